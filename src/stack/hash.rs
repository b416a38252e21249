//! Hashes of text: what is compared, asked for and called by them stays the same in every process.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// A short, stable fingerprint of any text: twelve hexadecimal characters of its sha256.
pub fn fingerprint(text: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(text))[..12].to_string()
}

/// A deterministic client token: the whole sha256 as 64 hexadecimal characters (Bedrock wants 33 to 256).
pub fn token(parts: &[&str]) -> String {
    HEXLOWER.encode(&Sha256::digest(parts.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// They are in tags of AWS, in keys and in annotations.
    #[test]
    fn no_hash_ever_changes() {
        assert_eq!(fingerprint("acme"), "822b33ad87c1");
        assert_eq!(token(&["a", "b"]), "7e18f737311b2dc3b2f269dd78396b0351f14fb66efa879f768cb23181883c78");
    }
}
