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
