//! A TenantClass, as far as a pass needs it, and what a process knows of those that are used.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex as Lock;
use tokio::sync::{Mutex, Notify};

use super::Guarded;
use crate::api::{Limits, Named, TenantClass, TenantClassSpec};
use crate::stack::hash::fingerprint;

/// What a process knows of the classes that its Tenants use.
#[derive(Default)]
pub struct Classes {
    /// Whoever holds it puts our finalizer on a class, or takes it off.
    pub(super) turn: Mutex<()>,
    /// What this process wrote last of our finalizer on a class, or saw of it. The cache may still show the class as it was
    /// before.
    pub(super) marks: Lock<BTreeMap<String, Mark>>,
    /// By a Tenant's uid: the class that it is coming to, before its status says so.
    pub(super) coming: Lock<BTreeMap<String, String>>,
    /// When a class was last found to be used by Tenants that this process does not see.
    pub(super) others: Lock<BTreeMap<String, Instant>>,
    /// Notified when a class may not be used any more.
    pub unused: Notify,
}

/// Our finalizer on a class.
pub(super) enum Mark {
    /// It is there.
    Held,
    /// It was taken off: the class as it was then, until the watch shows it.
    Released(Box<Guarded<TenantClass>>),
}

/// A class as a Tenant stands, or would stand, under it.
#[derive(Clone, Debug)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// What it says.
    pub spec: Arc<TenantClassSpec>,
    /// Whether it is being deleted.
    pub leaves: bool,
}

impl Class {
    /// By its name.
    pub fn named(&self) -> Named<'_> {
        Named { name: &self.name, spec: &self.spec }
    }

    /// How much a tenant of it may have.
    pub fn limits(&self) -> Limits {
        self.spec.limits.clone().unwrap_or_default()
    }
}

/// What of a class concerns its Tenants. The gateway looks at its own part itself.
pub fn concerns(class: &TenantClass) -> String {
    let TenantClass { metadata, spec } = class;
    let spec = TenantClassSpec { gateway: None, ..spec.clone() };
    let leaves = metadata.deletion_timestamp.is_some();
    fingerprint(&serde_json::to_string(&(&metadata.uid, leaves, spec)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::reconcile::mocked::read;

    fn says(metadata: Value, spec: Value) -> String {
        let mut meta = json!({"name": "basic", "uid": "u-1"});
        meta.as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
        concerns(&read(
            json!({"apiVersion": "tenantry.dev/v1alpha1", "kind": "TenantClass", "metadata": meta, "spec": spec}),
        ))
    }

    /// Ten thousand Tenants are not woken because the gateway is to let them ask more.
    #[test]
    fn an_edit_of_what_only_the_gateway_looks_at_concerns_no_tenant() {
        let class = |weight: i32, documents: i64| json!({"gateway": {"weight": weight}, "limits": {"documents": documents}});
        let before = says(json!({}), class(1, 9));
        assert_eq!(says(json!({}), class(4, 9)), before);
        assert_eq!(
            says(json!({"labels": {"a": "b"}, "finalizers": ["c/d"], "resourceVersion": "8"}), class(1, 9)),
            before
        );
        for other in [
            says(json!({}), class(1, 10)),
            says(json!({"uid": "u-2"}), class(1, 9)),
            says(json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}), class(1, 9)),
        ] {
            assert_ne!(other, before);
        }
    }
}
