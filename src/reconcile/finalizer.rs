//! The hold: our finalizer, written before the first AWS write and removed after the last.
//!
//! Both patches test the uid, so that neither can land on a successor of the same name. kube's own helper does not,
//! and it takes any success of a cleanup for its end.

use std::fmt::Debug;

use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::api::HOLD_PREFIX;

/// Whether an object carries the hold.
pub fn is_held(object: &impl ResourceExt, hold: &str) -> bool {
    object.finalizers().iter().any(|finalizer| finalizer == hold)
}

/// Whose hold an object carries, if it is another installation's and not ours.
pub fn held_by_another(object: &impl ResourceExt, hold: &str) -> Option<String> {
    let mut holds = object.finalizers().iter().filter_map(|finalizer| finalizer.strip_prefix(HOLD_PREFIX));
    if is_held(object, hold) { None } else { holds.next().map(Into::into) }
}

/// Puts the hold on, and returns the object as it then is.
pub async fn take<K>(api: &Api<K>, object: &impl ResourceExt, hold: &str) -> Result<K, kube::Error>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let add = match object.finalizers() {
        [] => json!({"op": "add", "path": "/metadata/finalizers", "value": [hold]}),
        _ => json!({"op": "add", "path": "/metadata/finalizers/-", "value": hold}),
    };
    patch(
        api,
        object,
        json!([
            {"op": "test", "path": "/metadata/uid", "value": object.uid()},
            {"op": "test", "path": "/metadata/resourceVersion", "value": object.resource_version()},
            add,
        ]),
    )
    .await
}

/// Takes the hold off, and returns the object as it then is, unless it is gone or had none.
pub async fn release<K>(api: &Api<K>, object: &impl ResourceExt, hold: &str) -> Result<Option<K>, kube::Error>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let Some(at) = object.finalizers().iter().position(|finalizer| finalizer == hold) else {
        return Ok(None);
    };
    let path = format!("/metadata/finalizers/{at}");
    let removed = patch::<K>(
        api,
        object,
        json!([
            {"op": "test", "path": "/metadata/uid", "value": object.uid()},
            {"op": "test", "path": path, "value": hold},
            {"op": "remove", "path": path},
        ]),
    )
    .await;
    match removed {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        other => other.map(Some),
    }
}

async fn patch<K>(
    api: &Api<K>,
    object: &impl ResourceExt,
    operations: serde_json::Value,
) -> Result<K, kube::Error>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let operations = serde_json::from_value(operations).map_err(kube::Error::SerdeError)?;
    api.patch(&object.name_any(), &PatchParams::default(), &Patch::Json::<()>(operations)).await
}
