//! What lies where in a bucket.

use super::identity::Identity;
use super::names;
use crate::api::Layer;

/// The folder of all pool documents.
pub(crate) const POOL: &str = "pool/";
/// The folder of a Silo's documents.
pub(crate) const DOCUMENTS: &str = "documents/";
/// The folder of all Bridge tenants' documents.
pub(crate) const BRIDGE: &str = "bridge/";
/// The folder of all that the operator writes for itself.
pub(crate) const OPERATORS_OWN: &str = "tenantry/";
/// The folder of what could not stay among the documents.
pub(crate) const QUARANTINE: &str = "tenantry/quarantine/";
/// What a metadata file's name ends with.
pub(crate) const SUFFIX: &str = ".metadata.json";

/// Where a stack's owner leaves word of what it retained. A SharedStack's marker lies beside the folder of the
/// tenants', where no tenantId can have its name.
pub fn marker_key(identity: &Identity) -> String {
    match identity.tenant_id() {
        Some(tenant_id) => format!("{MARKERS}{tenant_id}.json"),
        None => "tenantry/retained-stack.json".into(),
    }
}

/// The folder of all markers in a bucket.
pub(crate) const MARKERS: &str = "tenantry/retained/";

/// In the installation's bucket: which cluster works, and since when its records are complete.
pub(crate) const LOCK: &str = "lock.json";
/// In the installation's bucket: the folder of the records, one a tenantId.
pub(crate) const RECORDS: &str = "tenants/";

/// Where the record of a tenantId lies.
pub(crate) fn record_key(tenant_id: &str) -> String {
    format!("{RECORDS}{tenant_id}.json")
}

/// Whose record lies there.
pub(crate) fn recorded_id(key: &str) -> Option<&str> {
    let id = key.strip_prefix(RECORDS)?.strip_suffix(".json")?;
    names::is_tenant_id(id).then_some(id)
}

/// Where the owner of a data source writes what its last job was started for.
pub fn ledger_key(owner: &Identity) -> String {
    format!("tenantry/ledger/{}", owner.name(Layer::KnowledgeBase))
}

/// Where a Pool tenant's documents lie once it has retained them: beside its marker, and in no data source.
pub(crate) fn retained_prefix(tenant_id: &str) -> String {
    format!("{MARKERS}{tenant_id}/")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::api::Pattern;
    use crate::stack::identity::{Adopts, Generation, Owner, Scope};

    fn scope() -> Scope {
        Scope::new("prod", "123456789012", "eu-central-1")
    }

    #[test]
    fn what_the_operator_keeps_for_itself_lies_under_its_own_folder() {
        let stack = Identity::of_stack(Arc::new(scope()), "standard", "u-1");
        let owner = Owner::Tenant {
            namespace: "tenants".into(),
            name: "object".into(),
            tenant_id: "acme".into(),
            pattern: Pattern::Bridge,
            stack: Some("standard".into()),
        };
        let tenant = Identity {
            scope: stack.scope.clone(),
            owner,
            uid: "u-2".into(),
            generation: Generation::A,
            adopts: Adopts::Nothing,
        };
        assert_eq!(marker_key(&stack), "tenantry/retained-stack.json");
        assert_eq!(marker_key(&tenant), "tenantry/retained/acme.json");
        assert_eq!(retained_prefix("acme"), "tenantry/retained/acme/");
        for id in [&stack, &tenant] {
            assert_eq!(ledger_key(id), format!("tenantry/ledger/{}", id.name(Layer::KnowledgeBase)));
        }
        for key in [marker_key(&stack), marker_key(&tenant), ledger_key(&stack), retained_prefix("acme")] {
            assert!(key.starts_with(OPERATORS_OWN), "{key}");
        }
    }
}
