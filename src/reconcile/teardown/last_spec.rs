//! What a teardown reads of a spec: a few raw values, each by itself, so that an invalid spec does not stand in its way.

use kube::api::DynamicObject;

use crate::api::{DeletionPolicy, Pattern, VectorStore};
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

/// Where a class places its tenants: their pattern, and the SharedStack that they borrow from.
type PlacedBy<'a> = &'a dyn Fn(&str) -> Option<(Pattern, Option<String>)>;

impl LastSpec {
    /// The only place where a teardown reads a spec. All but the policy may never change: what the object was accepted with
    /// stands in its status, and goes before what the spec says. The policy may change until the end, so it is always the one
    /// that stands in the spec now. `placed_by` says where a class places its tenants: a Tenant may be deleted before it was
    /// accepted.
    pub fn of(object: &DynamicObject, placed_by: PlacedBy<'_>) -> Self {
        let placed = object.data.pointer("/status/placement").is_some();
        let within = if placed { "/status/placement" } else { "/spec" };
        let key: Option<String> = field(object, &format!("{within}/encryption/key"));
        let mut pattern = field(object, &format!("{within}/pattern"));
        let mut stack = field(object, &format!("{within}/stackRef/name"));
        let class: Option<String> = field(object, "/spec/classRef/name");
        let class = class.filter(|_| object.data.pointer(&format!("{within}/pattern")).is_none());
        if let Some(its) = class.as_deref().and_then(placed_by) {
            (pattern, stack) = (Some(its.0), its.1);
        }
        Self {
            tenant_id: field(object, "/spec/tenantId"),
            pattern,
            stack,
            vector_store: field(object, &format!("{within}/vectorStore")),
            has_pool: object.data.pointer("/spec/pool").is_some(),
            creates_key: key.is_some_and(|key| key == "Create"),
            leaves_it_to_a_class: class.is_some(),
            policy: field(object, "/spec/deletionPolicy"),
        }
    }
}

impl LastSpec {
    /// Where the record says that the Tenant is, if nothing else does any more. What has no record of its own was never built.
    pub async fn as_recorded(&mut self, ids: &Ids, uid: &str) {
        let Some(tenant_id) = &self.tenant_id else { return };
        // While the records do not answer nothing is known.
        let Ok(kept) = ids.read(tenant_id).await else { return };
        (self.pattern, self.stack) = match kept.map(|kept| kept.says).filter(|says| says.holder.uid == uid) {
            Some(says) => (Some(says.pattern), says.stack),
            None => (Some(Pattern::Pool), None),
        };
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::reconcile::mocked::{read, tenant, with};

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
        let by_class = with(tenant(json!({})), json!({"spec": null}));
        let by_class = with(by_class, json!({"spec": {"tenantId": "acme", "classRef": {"name": "basic"}}}));
        let placed_by =
            |class: &str| (class == "basic").then(|| (Pattern::Pool, Some("standard".to_owned())));
        let by_class = LastSpec::of(&read(by_class), &placed_by);
        assert_eq!((by_class.pattern, by_class.stack.as_deref()), (Some(Pattern::Pool), Some("standard")));
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
}
