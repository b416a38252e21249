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
    Released(Arc<Guarded<TenantClass>>),
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

/// What a class says to whom, each as a fingerprint. The gateway looks at its own part itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Says {
    /// To all its Tenants.
    tenants: String,
    /// How much may be indexed, and how often: in a pool that is its SharedStack's to see.
    limits: String,
    /// Whose Tenants may come. Who is there stays.
    namespaces: String,
}

/// What is another than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// What concerns all its Tenants.
    pub tenants: bool,
    /// How much may be indexed, and how often.
    pub limits: bool,
    /// Whose Tenants may come.
    pub namespaces: bool,
}

impl Says {
    /// As a class is written.
    pub fn of(class: &Guarded<TenantClass>) -> Self {
        let TenantClass { metadata, spec } = match &class.0 {
            Ok(class) => class,
            Err(unreadable) => {
                let (tenants, none) = (unreadable.error.clone(), String::new());
                return Self { tenants, limits: none.clone(), namespaces: none };
            }
        };
        let leaves = metadata.deletion_timestamp.is_some();
        let of = |json: serde_json::Result<String>| fingerprint(&json.unwrap_or_default());
        let limits = spec.limits.clone().unwrap_or_default();
        let models = limits.answers.clone();
        let all = TenantClassSpec { gateway: None, limits: None, allowed_namespaces: None, ..spec.clone() };
        Self {
            tenants: of(serde_json::to_string(&(&metadata.uid, leaves, all, models))),
            limits: of(serde_json::to_string(&Limits { answers: None, ..limits })),
            namespaces: of(serde_json::to_string(&spec.allowed_namespaces)),
        }
    }

    /// What is another than before.
    pub fn since(&self, before: &Self) -> Change {
        Change {
            tenants: self.tenants != before.tenants,
            limits: self.limits != before.limits,
            namespaces: self.namespaces != before.namespaces,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::reconcile::mocked::read;

    fn says(metadata: Value, spec: Value) -> Says {
        let mut meta = json!({"name": "basic", "uid": "u-1"});
        meta.as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
        Says::of(&read(
            json!({"apiVersion": "tenantry.dev/v1alpha1", "kind": "TenantClass", "metadata": meta, "spec": spec}),
        ))
    }

    #[test]
    fn each_part_of_a_class_concerns_somebody_else() {
        let before = says(json!({}), json!({"limits": {"documents": 9}}));
        let none = Change { tenants: false, limits: false, namespaces: false };
        let tenants = Change { tenants: true, ..none };
        let leaves = json!({"deletionTimestamp": "2026-01-01T00:00:00Z"});
        let same = json!({"limits": {"documents": 9}});
        for (metadata, spec, change) in [
            (json!({}), json!({"limits": {"documents": 9}, "gateway": {"weight": 4}}), none),
            (
                json!({"labels": {"a": "b"}, "finalizers": ["c/d"], "resourceVersion": "8"}),
                same.clone(),
                none,
            ),
            (json!({}), json!({"limits": {"documents": 10}}), Change { limits: true, ..none }),
            (json!({}), json!({"limits": {"documents": 9, "gigabytes": 1}}), Change { limits: true, ..none }),
            (
                json!({}),
                json!({"limits": {"documents": 9}, "allowedNamespaces": {"matchLabels": {"plan": "paid"}}}),
                Change { namespaces: true, ..none },
            ),
            (json!({}), json!({"limits": {"documents": 9, "answers": {"models": ["small"]}}}), tenants),
            (json!({}), json!({"limits": {"documents": 9}, "mayOverride": ["Tags"]}), tenants),
            (json!({"uid": "u-2"}), same.clone(), tenants),
            (leaves, same, tenants),
            (json!({}), json!({"placement": 5}), Change { tenants: true, limits: true, namespaces: true }),
        ] {
            assert_eq!(says(metadata, spec.clone()).since(&before), change, "{spec}");
        }
    }
}
