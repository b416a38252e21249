//! An object that may be unreadable: one of them must not blind the watch for the others.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::value::MapDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error};
use serde_json::value::RawValue;

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

/// An object of which only the metadata has been read: whoever asks for very many asks for the next of them, and reads these meanwhile.
#[derive(Clone, Debug)]
pub struct Unread<K> {
    metadata: ObjectMeta,
    rest: BTreeMap<String, Box<RawValue>>,
    kind: PhantomData<K>,
}

/// An object is read from its parts as they were sent: there may be very many objects, and a tree of values takes longer than all
/// else. Who manages which field is often half of an object, and nobody reads it.
impl<'de, K> Deserialize<'de> for Unread<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut rest = BTreeMap::<String, Box<RawValue>>::deserialize(deserializer)?;
        let blank = RawValue::from_string("{}".into()).map_err(D::Error::custom)?;
        let metadata = rest.insert("metadata".into(), blank);
        let metadata = metadata.ok_or_else(|| D::Error::missing_field("metadata"))?;
        let metadata = unmanaged(&metadata).map_err(D::Error::custom)?;
        Ok(Self { metadata, rest, kind: PhantomData })
    }
}

impl<K: Resource + DeserializeOwned> Unread<K> {
    /// Reads the rest of it.
    pub fn read(self) -> Guarded<K> {
        let Self { metadata, rest, .. } = self;
        // What is wrong is told without a place in a text that nobody sees.
        let object = read(rest.iter().map(|(name, part)| (name.as_str(), &**part)))
            .or_else(|_| K::deserialize(serde_json::to_value(&rest)?));
        Guarded(match object {
            Ok(mut object) => {
                *K::meta_mut(&mut object) = metadata;
                Ok(object)
            }
            Err(error) => Err(Unreadable { error: error.to_string(), metadata }),
        })
    }
}

impl<'de, K: Resource + DeserializeOwned> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Unread::deserialize(deserializer).map(Unread::read)
    }
}

/// Metadata without who manages which field.
fn unmanaged(metadata: &RawValue) -> Result<ObjectMeta, serde_json::Error> {
    let mut fields = BTreeMap::<String, &RawValue>::deserialize(metadata)?;
    fields.remove("managedFields");
    read(fields.iter().map(|(name, field)| (name.as_str(), *field)))
}

fn read<'de, T: Deserialize<'de>>(
    parts: impl Iterator<Item = (&'de str, &'de RawValue)>,
) -> Result<T, serde_json::Error> {
    T::deserialize(MapDeserializer::new(parts))
}

/// What stands for an object is of its kind.
macro_rules! stands_for {
    ($of:ident, $this:ident, $meta:expr, $meta_mut:expr) => {
        impl<K: Resource> Resource for $of<K> {
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

            fn meta(&$this) -> &ObjectMeta {
                $meta
            }

            fn meta_mut(&mut $this) -> &mut ObjectMeta {
                $meta_mut
            }
        }
    };
}

stands_for!(
    Guarded,
    self,
    self.0.as_ref().map_or_else(|unreadable| &unreadable.metadata, K::meta),
    self.0.as_mut().map_or_else(|unreadable| &mut unreadable.metadata, K::meta_mut)
);
stands_for!(Unread, self, &self.metadata, &mut self.metadata);

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
