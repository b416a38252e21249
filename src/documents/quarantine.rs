//! Where a pool's objects go that cannot be told whose they are, and the metadata files that were replaced: no data source
//! reads there, and nothing is lost.

use super::sidecar::MAX_KEY;
use crate::aws::Aws;
use crate::stack::fault::Fault;
use crate::stack::hash::fingerprint;

/// The folder.
pub const QUARANTINE: &str = "tenantry/quarantine/";

/// What an object is called there: as before, or as much of it as there is room for.
pub fn key_of(key: &str) -> String {
    let whole = format!("{QUARANTINE}{key}");
    if whole.len() <= MAX_KEY {
        return whole;
    }
    let hash = fingerprint(key);
    let room = MAX_KEY - hash.len() - 1;
    let end = (0..=room).rev().find(|at| whole.is_char_boundary(*at)).unwrap_or(0);
    format!("{}~{hash}", &whole[..end])
}

/// Copies an object there, over one of the same key.
pub async fn take(aws: &Aws, bucket: &str, key: &str) -> Result<(), Fault> {
    tracing::warn!(bucket, key, "put into quarantine");
    aws.objects.copy(bucket, key, &key_of(key)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_key_is_cut_and_stays_its_own() {
        assert_eq!(key_of("pool/x.md"), "tenantry/quarantine/pool/x.md");
        let long = |end: &str| format!("pool/acme/{}{end}", "ü".repeat(500));
        let (one, two) = (key_of(&long("1")), key_of(&long("2")));
        assert!(one.len() <= MAX_KEY && one.starts_with("tenantry/quarantine/pool/acme/"), "{one}");
        assert_ne!(one, two);
    }
}
