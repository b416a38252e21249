//! Objects as a test sees them: both kinds alike, because both have the same status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::api::DynamicObject;
use serde_json::Value;
use tenantry::api::Status;

/// A Tenant or SharedStack at one moment.
#[derive(Clone, Debug)]
pub struct Object {
    pub meta: ObjectMeta,
    pub spec: Value,
    pub status: Status,
    /// All that the API server says of it.
    pub as_it_is: DynamicObject,
}

impl From<DynamicObject> for Object {
    fn from(object: DynamicObject) -> Self {
        let part = |name: &str| object.data.get(name).cloned().unwrap_or_default();
        let status = serde_json::from_value(part("status")).unwrap_or_default();
        Self { spec: part("spec"), status, meta: object.metadata.clone(), as_it_is: object }
    }
}

impl Object {
    /// A condition by its type.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|condition| condition.type_ == kind)
    }

    /// A condition's message; empty if there is none.
    pub fn message(&self, kind: &str) -> &str {
        self.condition(kind).map_or("", |condition| &condition.message)
    }

    /// Whether a condition of the object's newest generation is as `wanted`: `Ready=True`, or with its reason
    /// `Accepted=False/TenantIdTaken`.
    pub fn is(&self, wanted: &str) -> bool {
        let (kind, rest) = wanted.split_once('=').expect("a condition is written Type=Status/Reason");
        let (status, reason) =
            rest.split_once('/').map_or((rest, None), |(status, reason)| (status, Some(reason)));
        self.condition(kind).is_some_and(|found| {
            found.status == status
                && reason.is_none_or(|reason| found.reason == reason)
                && found.observed_generation == self.meta.generation
        })
    }

    /// Whether everything is as the newest spec says, and nothing is left to do.
    pub fn is_done(&self) -> bool {
        self.is("Ready=True") && !self.is("Reconciling=True")
    }

    pub fn uid(&self) -> &str {
        self.meta.uid.as_deref().unwrap()
    }

    pub fn version(&self) -> &str {
        self.meta.resource_version.as_deref().unwrap()
    }

    pub fn is_leaving(&self) -> bool {
        self.meta.deletion_timestamp.is_some()
    }

    /// All conditions, a line each.
    pub fn describe(&self) -> String {
        let Self { meta, status, .. } = self;
        let leaving = if self.is_leaving() { ", leaving" } else { "" };
        let name = meta.name.as_deref().unwrap_or_default();
        let mut text = format!("{name} (generation {}{leaving})\n", meta.generation.unwrap_or_default());
        for Condition { type_, status, reason, message, observed_generation, .. } in &status.conditions {
            let at = observed_generation.unwrap_or_default();
            text += &format!("  {type_}={status}/{reason} (generation {at}): {message}\n");
        }
        text
    }
}
