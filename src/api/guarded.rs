//! An object that may be unreadable: one of them must not blind the watch for the others.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error};
use serde_json::{Map, Value};

/// As kube's `DeserializeGuard`, which keeps two copies of each object while it reads it.
#[derive(Clone, Debug)]
pub struct Guarded<K>(pub Result<K, Unreadable>);

/// What is known of an object that cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{error}")]
pub struct Unreadable {
    /// Why.
    pub error: String,
    /// Its metadata can always be read.
    pub metadata: ObjectMeta,
}

/// An object is read from its parts, and the parts are not copied: there may be very many objects. Who manages which field is
/// often half of an object, and nobody reads it.
impl<'de, K: Resource + DeserializeOwned> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = Map::<String, Value>::deserialize(deserializer)?;
        let mut metadata = object.insert("metadata".into(), Map::new().into()).unwrap_or_default();
        if let Some(fields) = metadata.as_object_mut() {
            fields.remove("managedFields");
        }
        let metadata = ObjectMeta::deserialize(metadata).map_err(D::Error::custom)?;
        Ok(Guarded(match K::deserialize(Value::Object(object)) {
            Ok(mut object) => {
                *object.meta_mut() = metadata;
                Ok(object)
            }
            Err(error) => Err(Unreadable { error: error.to_string(), metadata }),
        }))
    }
}

impl<K: Resource> Resource for Guarded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dynamic: &K::DynamicType) -> Cow<'_, str> {
        K::kind(dynamic)
    }

    fn group(dynamic: &K::DynamicType) -> Cow<'_, str> {
        K::group(dynamic)
    }

    fn version(dynamic: &K::DynamicType) -> Cow<'_, str> {
        K::version(dynamic)
    }

    fn plural(dynamic: &K::DynamicType) -> Cow<'_, str> {
        K::plural(dynamic)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.as_ref().map_or_else(|unreadable| &unreadable.metadata, K::meta)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.as_mut().map_or_else(|unreadable| &mut unreadable.metadata, K::meta_mut)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::Tenant;
    use crate::reconcile::mocked::{read, tenant, with};

    #[test]
    fn an_object_is_read_as_it_is_but_for_who_manages_it() {
        let object = tenant(json!({"labels": {"team": "a"}, "finalizers": ["a/b"], "ownerReferences": []}));
        let mut managed = object.clone();
        managed["metadata"]["managedFields"] = json!([{"manager": "kubectl"}]);
        let guarded = read::<Guarded<Tenant>>(managed);
        assert_eq!(guarded.0.unwrap(), read::<Tenant>(object));
    }

    #[test]
    fn of_an_object_that_cannot_be_read_the_metadata_can() {
        let unreadable = with(tenant(json!({})), json!({"spec": {"tenantId": 5}}));
        let Err(Unreadable { error, metadata }) = read::<Guarded<Tenant>>(unreadable).0 else {
            panic!("a number is no tenantId");
        };
        assert!(error.contains("invalid type"), "{error}");
        assert_eq!(metadata.uid.as_deref(), Some("uid-acme"));
        for nothing in [json!({"metadata": {"name": 5}}), json!(7)] {
            assert!(serde_json::from_value::<Guarded<Tenant>>(nothing).is_err());
        }
    }
}
