//! An object as it is live, without its schema. One that this release cannot read must be told of, and be deleted, too.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::DynamicObject;
use kube::core::ApiResource;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

/// Where the objects of a kind are that live where this one does.
pub fn api<K: Resource<DynamicType = ()>>(client: Client, meta: &ObjectMeta) -> Api<DynamicObject> {
    let kind = ApiResource::erase::<K>(&());
    match &meta.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &kind),
        None => Api::all_with(client, &kind),
    }
}

/// A field of an object whose spec may not be readable as a whole.
pub fn field<T: DeserializeOwned>(object: &DynamicObject, pointer: &str) -> Option<T> {
    object.data.pointer(pointer).and_then(|value| serde_json::from_value(value.clone()).ok())
}

/// Where events and patches go.
pub fn reference(object: &DynamicObject) -> ObjectReference {
    let kind = object.types.clone().unwrap_or_default();
    ObjectReference {
        api_version: Some(kind.api_version),
        kind: Some(kind.kind),
        name: object.metadata.name.clone(),
        namespace: object.metadata.namespace.clone(),
        uid: object.metadata.uid.clone(),
        resource_version: object.metadata.resource_version.clone(),
        field_path: None,
    }
}
