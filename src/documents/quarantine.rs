//! Where a pool's objects go that cannot be told whose they are, and the metadata files that were replaced by one that says
//! less: no data source reads there, and nothing is lost.

use super::sidecar::MAX_KEY;
use crate::aws::{Aws, Object};
use crate::stack::fault::Fault;
use crate::stack::hash::fingerprint;
pub(crate) use crate::stack::layout::QUARANTINE;

/// Why a document was set aside.
pub const NO_ROOM: &str = "put into quarantine, because AWS takes 5,000,000 files and 100 GB in one ingestion job, and one job \
                           reads all tenants of a pool. Upload it again when the next job is over";

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

/// Whether a key there is only the beginning of what an object was called. Then that left no room for a metadata file either.
pub fn is_cut(key: &str) -> bool {
    // The last letter that had no room has four bytes at most.
    key.len() > MAX_KEY - 4 && key.contains('~')
}

/// Copies an object there, over one of the same key.
pub async fn take(aws: &Aws, bucket: &str, object: &Object) -> Result<(), Fault> {
    let Object { key, etag, .. } = object;
    tracing::debug!(bucket, key, "copied into quarantine");
    aws.objects.copy(bucket, key, Some(etag), &key_of(key)).await
}

/// Moves a document there, over one of the same key. What was written anew since it was listed stays.
pub async fn quarantine(aws: &Aws, bucket: &str, object: &Object) -> Result<(), Fault> {
    tracing::debug!(bucket, key = object.key, "put into quarantine");
    aws.objects.rename(bucket, object, &key_of(&object.key)).await
}

/// Copies a metadata file there, if S3 lets us. What becomes of the file itself does not wait for that: it may be one that
/// nobody can copy, and as long as it stands somebody's filter may find what is beside it. The bucket keeps its version.
pub async fn keep(aws: &Aws, bucket: &str, key: &str) {
    if let Err(fault) = aws.objects.copy(bucket, key, None, &key_of(key)).await {
        tracing::warn!(bucket, key, %fault, "a metadata file cannot be kept in quarantine; the bucket has its version");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_key_is_cut_and_stays_its_own() {
        assert_eq!(key_of("pool/x.md"), "tenantry/quarantine/pool/x.md");
        let long = |end: &str| format!("pool/acme/{}{end}", "ü".repeat(500));
        let (one, two) = (key_of(&long("1")), key_of(&long("2")));
        assert!(is_cut(&one) && is_cut(&two) && !is_cut("tenantry/quarantine/pool/x~.md"));
        assert!(one.len() <= MAX_KEY && one.starts_with("tenantry/quarantine/pool/acme/"), "{one}");
        assert_ne!(one, two);
    }
}
