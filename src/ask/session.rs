//! As whom AWS is asked: one role, in a session of each tenant's, whose tags say which knowledge base it may ask. And the
//! name by which a client says which tenant it means.

use super::whose::Asked;
use crate::stack::iam::ask::{INSTALLATION, OWNER, TENANT_ID};
use crate::stack::names;

/// What an access key id of ours begins with. SDKs take sixteen letters, digits and underscores at least.
const KEY: &str = "TENANTRYSESSION_";

/// The access key id that a tenant's clients get. It is no secret: it names, and proves nothing.
pub fn access_key_id(tenant_id: &str) -> String {
    // No tenantId has an underscore, and no access key id a hyphen.
    format!("{KEY}{}", tenant_id.replace('-', "_"))
}

/// The tenantId of an access key id of ours.
pub fn tenant_of(access_key_id: &str) -> Option<String> {
    let id = access_key_id.strip_prefix(KEY)?;
    let id = (!id.contains('-')).then(|| id.replace('_', "-"))?;
    names::is_tenant_id(&id).then_some(id)
}

/// The access key id that the header `Authorization` of a signed request names.
pub fn signed_by(authorization: &str) -> Option<&str> {
    let parts = authorization.trim().strip_prefix("AWS4-HMAC-SHA256")?;
    let mut named = parts.split([' ', ',']).filter_map(|part| part.strip_prefix("Credential="));
    let credential = named.next()?;
    // Of two nobody can say which one was meant.
    if named.next().is_some() { None } else { credential.split('/').next() }
}

/// The name of a tenant's session: the tenantId. IAM wants two characters.
pub fn name(tenant_id: &str) -> String {
    if tenant_id.len() < 2 { format!("{tenant_id}.") } else { tenant_id.into() }
}

/// The tags of a tenant's session.
pub fn tags(asked: &Asked) -> [(&'static str, &str); 3] {
    [(INSTALLATION, &asked.installation), (OWNER, &asked.owner), (TENANT_ID, &asked.tenant_id)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_read_back_from_its_access_key_id() {
        for id in ["acme", "a", "7", "a-b-c", "2024-01-01", &"x".repeat(63)] {
            let key = access_key_id(id);
            assert!((16..=128).contains(&key.len()), "{key}");
            assert!(key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{key}");
            assert_eq!(tenant_of(&key).as_deref(), Some(id));
        }
        for other in [
            "",
            "TENANTRYSESSION_",
            "TENANTRYSESSION_Acme",
            "TENANTRYSESSION_a-b",
            "TENANTRYSESSION_a__b",
            "TENANTRYSESSION__a",
            "TENANTRYSESSION_a_",
            "tenantrysession_acme",
            "AKIAIOSFODNN7EXAMPLE",
        ] {
            assert_eq!(tenant_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_signature_names_one_key() {
        let signed = "AWS4-HMAC-SHA256 Credential=TENANTRYSESSION_acme/20261129/eu-central-1/bedrock/aws4_request, \
                      SignedHeaders=host;x-amz-date, Signature=abc";
        assert_eq!(signed_by(signed), Some("TENANTRYSESSION_acme"));
        assert_eq!(signed_by(&signed.replace(", ", ",")), Some("TENANTRYSESSION_acme"));
        for other in [
            "",
            "Bearer x",
            "AWS4-HMAC-SHA256 Signature=abc",
            "AWS4-HMAC-SHA256 Credential=a/b, Credential=c/d",
            "Basic Credential=a",
        ] {
            assert_eq!(signed_by(other), None, "{other}");
        }
    }

    #[test]
    fn a_session_has_a_name_that_iam_takes() {
        assert_eq!((name("7"), name("ab"), name("acme")), ("7.".into(), "ab".into(), "acme".into()));
    }
}
