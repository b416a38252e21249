//! What a teardown reads of a spec: a few raw values, each by itself, so that an invalid spec does not stand in its way.

use kube::api::DynamicObject;

use crate::api::{DeletionPolicy, EncryptionKey, Pattern, Placement, VectorStore};
use crate::reconcile::ids::Ids;
use crate::reconcile::unparsed::field;

/// The spec as it was last written. A value that is missing, or that this release does not know, is absent.
pub struct LastSpec {
    /// A Tenant's tenantId.
    pub tenant_id: Option<String>,
    /// A Tenant's pattern.
    pub pattern: Option<Pattern>,
    /// The SharedStack that a Tenant borrows from.
    pub stack: Option<String>,
    /// Whether a SharedStack has a pool.
    pub has_pool: bool,
    /// Which vector store it has of its own; absent also where it has the usual one.
    pub vector_store: Option<VectorStore>,
    /// Whether it had a key made for it.
    pub creates_key: bool,
    /// Whether it says no pattern, and was never accepted: its class says where it would have been.
    pub leaves_it_to_a_class: bool,
    /// What is to become of the stack.
    pub policy: Option<DeletionPolicy>,
}

/// Where a class places its tenants.
type PlacedBy<'a> = &'a dyn Fn(&str) -> Option<Placement>;

impl LastSpec {
    /// The only place where a teardown reads a spec. All but the policy may never change: what the object was accepted with
    /// stands in its status, and goes before what the spec says. The policy may change until the end, so it is always the one
    /// that stands in the spec now. `placed_by` says where a class places its tenants: a Tenant may be deleted before it was
    /// accepted.
    pub fn of(object: &DynamicObject, placed_by: PlacedBy<'_>) -> Self {
        let placed = object.data.pointer("/status/placement").is_some();
        let within = if placed { "/status/placement" } else { "/spec" };
        let key: Option<String> = field(object, &format!("{within}/encryption/key"));
        let last = Self {
            tenant_id: field(object, "/spec/tenantId"),
            pattern: field(object, &format!("{within}/pattern")),
            stack: field(object, &format!("{within}/stackRef/name")),
            vector_store: field(object, &format!("{within}/vectorStore")),
            has_pool: object.data.pointer("/spec/pool").is_some(),
            creates_key: key.is_some_and(|key| key == "Create"),
            leaves_it_to_a_class: false,
            policy: field(object, "/spec/deletionPolicy"),
        };
        let class: Option<String> = field(object, "/spec/classRef/name");
        match class.filter(|_| object.data.pointer(&format!("{within}/pattern")).is_none()) {
            Some(class) => Self { leaves_it_to_a_class: true, ..last.placed(placed_by(&class)) },
            None => last,
        }
    }

    /// The same of one that its class places.
    fn placed(self, by_class: Option<Placement>) -> Self {
        let Some(its) = by_class else { return self };
        Self {
            pattern: Some(its.pattern),
            stack: its.stack().map(str::to_owned),
            vector_store: its.vector_store,
            creates_key: its.encryption.is_some_and(|it| it.key == EncryptionKey::Create),
            ..self
        }
    }
}

impl LastSpec {
    /// Where the record says that the Tenant is, if nothing else does any more. What has no record of its own was never built.
    pub async fn as_recorded(&mut self, ids: &Ids, uid: &str) {
        let Some(tenant_id) = &self.tenant_id else { return };
        // While the records do not answer nothing is known.
        let Ok(kept) = ids.read(tenant_id).await else { return };
        match kept.map(|kept| kept.says).filter(|says| says.holder.uid == uid) {
            Some(says) => {
                // Nobody says whether it had a key made: it is looked for.
                self.creates_key = says.pattern == Pattern::Silo;
                self.vector_store = self.creates_key.then_some(says.store);
                (self.pattern, self.stack) = (Some(says.pattern), says.stack);
            }
            None => (self.pattern, self.stack) = (Some(Pattern::Pool), None),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::reconcile::mocked::{ids, read, tenant, with};
    use crate::records::in_memory::InMemory;
    use crate::stack::identity::{Identity, Owner, Scope};
    use crate::stack::record::Claimant;

    fn of(spec: Value) -> LastSpec {
        LastSpec::of(&read(with(tenant(json!({})), json!({"spec": spec}))), &|_| None)
    }

    #[test]
    fn each_value_is_read_whatever_the_others_are() {
        let whole = of(json!({
            "tenantId": "acme", "pattern": "Bridge", "stackRef": {"name": "standard"}, "deletionPolicy": "Delete",
            "encryption": {"key": "Create"}, "pool": {}, "vectorStore": "S3Vectors",
        }));
        assert_eq!(whole.vector_store, Some(VectorStore::S3Vectors));
        let accepted = with(
            tenant(json!({})),
            json!({
                "spec": {"tenantId": "acme", "pattern": "Silo", "classRef": {"name": "premium"}, "vectorStore": "S3Vectors"},
                "status": {"placement": {"pattern": "Pool", "stackRef": {"name": "standard"}}},
            }),
        );
        let accepted = LastSpec::of(&read(accepted), &|_| None);
        assert_eq!((accepted.pattern, accepted.stack.as_deref()), (Some(Pattern::Pool), Some("standard")));
        assert_eq!(accepted.vector_store, None);
        assert_eq!((whole.tenant_id.as_deref(), whole.pattern), (Some("acme"), Some(Pattern::Bridge)));
        assert_eq!((whole.stack.as_deref(), whole.policy), (Some("standard"), Some(DeletionPolicy::Delete)));
        assert!(whole.creates_key && whole.has_pool);
        let odd = of(json!({
            "tenantId": "acme", "pattern": "Newer", "stackRef": [], "deletionPolicy": 5, "encryption": "none",
            "vectorStore": "Newer",
        }));
        assert_eq!(odd.vector_store, None);
        assert_eq!((odd.tenant_id.as_deref(), odd.pattern), (Some("acme"), None));
        assert_eq!((odd.stack.as_deref(), odd.policy), (None, None));
        assert!(!odd.creates_key && !odd.has_pool);
    }

    /// It was deleted before its first status.
    #[test]
    fn who_leaves_it_to_its_class_was_built_as_that_says() {
        let by_class = |class: Value| {
            let object = with(tenant(json!({})), json!({"spec": null}));
            let object = with(object, json!({"spec": {"tenantId": "acme", "classRef": {"name": "basic"}}}));
            let placement =
                |name: &str| (name == "basic").then(|| serde_json::from_value(class.clone()).unwrap());
            let last = LastSpec::of(&read(object), &placement);
            assert!(last.leaves_it_to_a_class);
            (last.pattern, last.stack, last.vector_store, last.creates_key)
        };
        let pool = json!({"pattern": "Pool", "stackRef": {"name": "standard"}});
        assert_eq!(by_class(pool), (Some(Pattern::Pool), Some("standard".into()), None, false));
        let silo = json!({"pattern": "Silo", "vectorStore": "S3Vectors", "encryption": {"key": "Create"}});
        assert_eq!(by_class(silo), (Some(Pattern::Silo), None, Some(VectorStore::S3Vectors), true));
        assert_eq!(by_class(json!({"pattern": "Silo"})), (Some(Pattern::Silo), None, None, false));
    }

    /// Its class is gone too.
    #[tokio::test]
    async fn who_was_built_as_nobody_says_any_more_is_where_its_record_says() {
        let giving = ids(InMemory::default());
        let owner = Owner::Tenant {
            namespace: "tenants".into(),
            name: "acme".into(),
            tenant_id: "acme".into(),
            pattern: Pattern::Silo,
            stack: None,
        };
        let scope = Scope::new("prod", "111122223333", "eu-central-1");
        let id = Identity::new(Arc::new(scope), owner, "uid-acme");
        let store = VectorStore::S3Vectors;
        let claimant = Claimant { id: &id, store, namespace_uid: "n-1", named: false, approved: None };
        assert_eq!(giving.give(&claimant, None).await, Ok(true));
        let spec = json!({"tenantId": "acme", "classRef": {"name": "premium"}});
        for (uid, expected) in [
            ("uid-acme", (Some(Pattern::Silo), Some(store), true)),
            ("uid-other", (Some(Pattern::Pool), None, false)),
        ] {
            let mut last = of(spec.clone());
            last.as_recorded(&giving, uid).await;
            assert_eq!((last.pattern, last.vector_store, last.creates_key), expected, "{uid}");
        }
    }
}
