//! The finalizer: our finalizer, written before the first AWS write and removed after the last.
//!
//! Both patches test the uid, so that neither can land on a successor of the same name. kube's own helper does not,
//! and it takes any success of a cleanup for its end.

use std::fmt::Debug;

use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::api::FINALIZER_PREFIX;

/// Whether an object carries the finalizer.
pub fn has_finalizer(object: &impl ResourceExt, finalizer: &str) -> bool {
    object.finalizers().iter().any(|it| it == finalizer)
}

/// Whose finalizer an object carries, if it is another installation's and not ours.
pub fn held_by_another(object: &impl ResourceExt, finalizer: &str) -> Option<String> {
    let mut others = object.finalizers().iter().filter_map(|it| it.strip_prefix(FINALIZER_PREFIX));
    if has_finalizer(object, finalizer) { None } else { others.next().map(Into::into) }
}

/// Puts the finalizer on, and returns the object as it then is.
pub async fn take<K>(api: &Api<K>, object: &impl ResourceExt, finalizer: &str) -> Result<K, kube::Error>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let add = match object.finalizers() {
        [] => json!({"op": "add", "path": "/metadata/finalizers", "value": [finalizer]}),
        _ => json!({"op": "add", "path": "/metadata/finalizers/-", "value": finalizer}),
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

/// Takes the finalizer off, and returns the object as it then is, unless it is gone or had none.
pub async fn release<K>(
    api: &Api<K>,
    object: &impl ResourceExt,
    finalizer: &str,
) -> Result<Option<K>, kube::Error>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let Some(at) = object.finalizers().iter().position(|it| it == finalizer) else {
        return Ok(None);
    };
    let path = format!("/metadata/finalizers/{at}");
    let removed = patch::<K>(
        api,
        object,
        json!([
            {"op": "test", "path": "/metadata/uid", "value": object.uid()},
            {"op": "test", "path": path, "value": finalizer},
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

#[cfg(test)]
mod tests {
    use kube::Client;
    use serde_json::Value;

    use super::*;
    use crate::api::Tenant;
    use crate::reconcile::mocked::{FINALIZER, TENANT, api_server, json_patch, read, tenant};

    fn api(client: Client) -> Api<Tenant> {
        Api::namespaced(client, "tenants")
    }

    fn with_finalizers(finalizers: Value) -> Tenant {
        read(tenant(json!({"finalizers": finalizers})))
    }

    /// The object as it is after a patch.
    fn patched(finalizers: Value) -> Value {
        tenant(json!({"finalizers": finalizers, "resourceVersion": "8"}))
    }

    fn code(error: kube::Error) -> u16 {
        match error {
            kube::Error::Api(status) => status.code,
            other => panic!("{other}"),
        }
    }

    fn taking(add: Value) -> Value {
        json!([
            {"op": "test", "path": "/metadata/uid", "value": "uid-acme"},
            {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
            add,
        ])
    }

    fn releasing(path: &str) -> Value {
        json!([
            {"op": "test", "path": "/metadata/uid", "value": "uid-acme"},
            {"op": "test", "path": path, "value": FINALIZER},
            {"op": "remove", "path": path},
        ])
    }

    #[tokio::test]
    async fn the_hold_is_added_to_the_finalizers_of_the_object_that_was_read() {
        let whole_list = json!({"op": "add", "path": "/metadata/finalizers", "value": [FINALIZER]});
        let behind_others = json!({"op": "add", "path": "/metadata/finalizers/-", "value": FINALIZER});
        for (before, add, after) in [
            (json!([]), whole_list, json!([FINALIZER])),
            (json!(["a/b"]), behind_others.clone(), json!(["a/b", FINALIZER])),
            (json!(["a/b", "c/d"]), behind_others, json!(["a/b", "c/d", FINALIZER])),
        ] {
            let server = api_server([json_patch(TENANT, taking(add)).answered(patched(after.clone()))]);
            let taken = take(&api(server.client()), &with_finalizers(before), FINALIZER).await.unwrap();
            assert_eq!(taken, read(patched(after)));
        }
    }

    #[tokio::test]
    async fn a_hold_that_is_refused_is_an_error() {
        let add = json!({"op": "add", "path": "/metadata/finalizers", "value": [FINALIZER]});
        for refusal in [403, 404, 409, 422] {
            let server = api_server([json_patch(TENANT, taking(add.clone())).refused(refusal)]);
            let taken = take(&api(server.client()), &with_finalizers(json!([])), FINALIZER).await;
            assert_eq!(code(taken.unwrap_err()), refusal);
        }
    }

    #[tokio::test]
    async fn the_hold_is_removed_from_wherever_it_is() {
        for (before, path, after) in [
            (json!([FINALIZER]), "/metadata/finalizers/0", json!([])),
            (json!([FINALIZER, "a/b", "c/d"]), "/metadata/finalizers/0", json!(["a/b", "c/d"])),
            (json!(["a/b", FINALIZER, "c/d"]), "/metadata/finalizers/1", json!(["a/b", "c/d"])),
            (json!(["a/b", "c/d", FINALIZER]), "/metadata/finalizers/2", json!(["a/b", "c/d"])),
        ] {
            let server = api_server([json_patch(TENANT, releasing(path)).answered(patched(after.clone()))]);
            let released = release(&api(server.client()), &with_finalizers(before), FINALIZER).await.unwrap();
            assert_eq!(released, Some(read(patched(after))));
        }
    }

    #[tokio::test]
    async fn without_a_hold_nothing_is_asked() {
        let server = api_server([]);
        for finalizers in [json!([]), json!(["a/b"]), json!(["tenantry.dev/prod2", "tenantry.dev/pro"])] {
            let released: Option<Tenant> =
                release(&api(server.client()), &with_finalizers(finalizers), FINALIZER).await.unwrap();
            assert_eq!(released, None);
        }
    }

    #[tokio::test]
    async fn an_object_that_is_gone_has_no_hold_and_any_other_refusal_is_an_error() {
        for (refusal, expected) in
            [(404, None), (403, Some(403)), (409, Some(409)), (422, Some(422)), (500, Some(500))]
        {
            let asked = json_patch(TENANT, releasing("/metadata/finalizers/0"));
            let server = api_server([asked.refused(refusal)]);
            let released =
                release(&api(server.client()), &with_finalizers(json!([FINALIZER])), FINALIZER).await;
            match expected {
                None => assert_eq!(released.unwrap(), None),
                Some(expected) => assert_eq!(code(released.unwrap_err()), expected),
            }
        }
    }

    #[test]
    fn a_hold_is_ours_another_installations_or_nobodys() {
        for (finalizers, ours, anothers) in [
            (json!([]), false, None),
            (json!(["foregroundDeletion"]), false, None),
            (json!([FINALIZER]), true, None),
            (json!(["a/b", FINALIZER]), true, None),
            (json!(["tenantry.dev/test"]), false, Some("test")),
            (json!(["a/b", "tenantry.dev/test", "tenantry.dev/third"]), false, Some("test")),
            (json!(["tenantry.dev/test", FINALIZER]), true, None),
            (json!([FINALIZER, "tenantry.dev/test"]), true, None),
            (json!(["tenantry.dev/prod2"]), false, Some("prod2")),
            (json!(["tenantry.development/x", "sub.tenantry.dev/x", "tenantry.dev"]), false, None),
        ] {
            let tenant = with_finalizers(finalizers.clone());
            assert_eq!(has_finalizer(&tenant, FINALIZER), ours, "{finalizers}");
            assert_eq!(held_by_another(&tenant, FINALIZER).as_deref(), anothers, "{finalizers}");
        }
    }
}
