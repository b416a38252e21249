//! Whose a pool's document is: a pure function of its key, and the file beside it that says so to Bedrock.

use serde_json::json;

/// What a metadata file's name ends with.
pub const SUFFIX: &str = ".metadata.json";
/// The folder of all pool documents.
pub const POOL: &str = "pool/";
/// Bytes that S3 allows a key.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>
const MAX_KEY: usize = 1024;

/// Whether a key names a metadata file.
pub fn is_sidecar(key: &str) -> bool {
    key.ends_with(SUFFIX)
}

/// The key of a document's metadata file; `None` where there is no room for one.
pub fn key_of(document: &str) -> Option<String> {
    (document.len() + SUFFIX.len() <= MAX_KEY).then(|| format!("{document}{SUFFIX}"))
}

/// The tenant a pool document belongs to, by its key alone, whether or not a Tenant of that id exists.
pub fn tenant_of(key: &str) -> Option<&str> {
    let (id, rest) = key.strip_prefix(POOL)?.split_once('/')?;
    (is_tenant_id(id) && !rest.is_empty()).then_some(id)
}

/// `^[a-z0-9]+(-[a-z0-9]+)*$`, at most 63 characters: the pattern that the API server holds every tenantId to.
pub fn is_tenant_id(id: &str) -> bool {
    id.len() <= 63
        && id.split('-').all(|word| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
}

/// The metadata file of a pool document. One whose key names no tenant is tagged with the empty id, which is nobody's:
/// left alone, it would belong to whomever the file beside it names.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/s3-data-source-connector.html>
pub fn content(tenant_id_key: &str, document: &str) -> Vec<u8> {
    json!({"metadataAttributes": {tenant_id_key: tenant_of(document).unwrap_or_default()}})
        .to_string()
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_alone_says_whose_a_document_is() {
        for (key, tenant) in [
            ("pool/acme/handbook.md", Some("acme")),
            ("pool/acme/deep/er/x", Some("acme")),
            ("pool/2024-01-01/x", Some("2024-01-01")),
            ("pool/acme/", None),
            ("pool/x.md", None),
            ("pool//x.md", None),
            ("pool/Acme/x.md", None),
            ("pool/-acme/x.md", None),
            ("pool/a--b/x.md", None),
            ("pool/acme\"/x.md", None),
            ("bridge/acme/x.md", None),
        ] {
            assert_eq!(tenant_of(key), tenant, "{key}");
        }
    }

    #[test]
    fn nobody_is_tagged_with_the_empty_id() {
        assert_eq!(content("tenantId", "pool/acme/x"), br#"{"metadataAttributes":{"tenantId":"acme"}}"#);
        assert_eq!(content("tenantId", "pool/x"), br#"{"metadataAttributes":{"tenantId":""}}"#);
        assert!(!is_tenant_id(""));
    }

    #[test]
    fn a_key_may_leave_no_room_for_a_sidecar() {
        assert_eq!(key_of(&"k".repeat(1010)).map(|key| key.len()), Some(1024));
        assert_eq!(key_of(&"k".repeat(1011)), None);
    }
}
