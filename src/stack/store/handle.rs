//! How one gets at a vector store that is there, and what is asked for in it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::opensearch::{self, CollectionHandle};
use super::s3_vectors::{self, VectorBucketHandle};
use crate::api::{IndexSettings, Status, VectorStore};
use crate::stack::identity::{Identity, Scope};

/// A vector store that is there, and how one gets at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum StoreHandle {
    /// A collection of OpenSearch Serverless.
    OpenSearchServerless(CollectionHandle),
    /// A vector bucket of S3 Vectors.
    S3Vectors(VectorBucketHandle),
}

impl From<VectorBucketHandle> for StoreHandle {
    fn from(bucket: VectorBucketHandle) -> Self {
        Self::S3Vectors(bucket)
    }
}

impl From<CollectionHandle> for StoreHandle {
    fn from(collection: CollectionHandle) -> Self {
        Self::OpenSearchServerless(collection)
    }
}

impl StoreHandle {
    /// One of this name, which has this id where AWS gives it one, and does not answer yet.
    pub(crate) fn named(kind: VectorStore, scope: &Scope, name: &str, id: &str) -> Self {
        match kind {
            VectorStore::OpenSearchServerless => CollectionHandle::named(scope, id).into(),
            VectorStore::S3Vectors => VectorBucketHandle::named(scope, name).into(),
        }
    }

    /// What a status says of a store that was whole once.
    pub fn of_status(status: &Status) -> Option<Self> {
        let arn = status.store_arn().cloned()?;
        Some(match status.vector_store.unwrap_or_default() {
            VectorStore::OpenSearchServerless => Self::OpenSearchServerless(CollectionHandle {
                arn,
                endpoint: status.collection_endpoint.clone(),
            }),
            VectorStore::S3Vectors => Self::S3Vectors(VectorBucketHandle { arn }),
        })
    }

    /// Says in a status where the store is.
    pub fn write(&self, status: &mut Status) {
        status.vector_store = Some(self.kind());
        status.store_arn = Some(self.arn().into());
        status.collection_arn.take_if(|before| before != self.arn());
        status.collection_endpoint = match self {
            Self::OpenSearchServerless(collection) => collection.endpoint.clone(),
            Self::S3Vectors(_) => None,
        };
    }

    /// Says in a status no more where the store is.
    pub fn forget(status: &mut Status) {
        (status.vector_store, status.store_arn, status.collection_endpoint) = (None, None, None);
        status.index_arn = None;
        status.collection_arn = None;
    }

    /// Which store it is.
    pub const fn kind(&self) -> VectorStore {
        match self {
            Self::OpenSearchServerless(_) => VectorStore::OpenSearchServerless,
            Self::S3Vectors(_) => VectorStore::S3Vectors,
        }
    }

    /// Its ARN.
    pub fn arn(&self) -> &str {
        match self {
            Self::OpenSearchServerless(collection) => &collection.arn,
            Self::S3Vectors(bucket) => &bucket.arn,
        }
    }

    /// Whether both lead to the same store.
    pub fn is_same(&self, other: &Self) -> bool {
        self.arn() == other.arn()
    }

    /// The ARN of an index in it, where indexes have one.
    pub fn index_arn(&self, index: &str) -> Option<String> {
        match self {
            Self::OpenSearchServerless(_) => None,
            Self::S3Vectors(bucket) => Some(bucket.index_arn(index)),
        }
    }

    /// What a role may do that reads and writes the vectors of an index: a statement of its policy.
    pub fn permission(&self, index: &str) -> Value {
        match self {
            Self::OpenSearchServerless(collection) => opensearch::permission(&collection.arn),
            Self::S3Vectors(bucket) => s3_vectors::permission(&bucket.index_arn(index)),
        }
    }
}

/// A vector store as a role is told of it: by its name from the beginning, and by its handle once it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreRef {
    /// Which store.
    pub kind: VectorStore,
    /// What it is called.
    pub name: String,
    /// How one gets at it.
    pub handle: Option<StoreHandle>,
}

impl StoreRef {
    /// What an index is made from.
    pub(crate) fn index_schema(
        &self,
        dimensions: i32,
        settings: &IndexSettings,
        tenant_id_key: Option<&str>,
    ) -> Value {
        match self.kind {
            VectorStore::OpenSearchServerless => {
                opensearch::index_schema(dimensions, settings, tenant_id_key)
            }
            VectorStore::S3Vectors => s3_vectors::schema(dimensions, settings),
        }
    }

    /// The fields that an index lacks and its schema has. Of one whose fields are not shown nobody knows what it lacks.
    pub(crate) fn missing_fields(&self, schema: &Value, found: &Value) -> Map<String, Value> {
        match self.kind {
            VectorStore::OpenSearchServerless => opensearch::missing_mappings(schema, found),
            // It declares none.
            VectorStore::S3Vectors => Map::new(),
        }
    }

    /// The policy beside the role that opens one index to it, for a store that knows such policies.
    pub(crate) fn data_access(&self, scope: &Scope, index: &str, role: &str) -> Option<Value> {
        match self.kind {
            VectorStore::OpenSearchServerless => {
                Some(opensearch::data_access(&self.name, index, &scope.role_arn(role)))
            }
            VectorStore::S3Vectors => None,
        }
    }

    /// Whether an index is asked in the mode in which it should be, in a store that has such.
    pub(crate) fn has_mode(&self, found: &Value) -> bool {
        match self.kind {
            VectorStore::OpenSearchServerless => true,
            VectorStore::S3Vectors => s3_vectors::has_mode(found),
        }
    }

    /// The tags by which the store tells which role may read which index: both bear them.
    pub(crate) fn fence_tags(&self, id: &Identity) -> BTreeMap<String, String> {
        match self.kind {
            VectorStore::OpenSearchServerless => BTreeMap::new(),
            VectorStore::S3Vectors => s3_vectors::fence_tag(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_release_says_of_a_store_counts_until_it_is_wrong() {
        let arn = "arn:aws:aoss:eu-central-1:123456789012:collection/abc";
        let mut status = Status { collection_arn: Some(arn.into()), ..Status::default() };
        let old = StoreHandle::of_status(&status).unwrap();
        assert_eq!((old.arn(), old.kind()), (arn, VectorStore::OpenSearchServerless));
        old.write(&mut status);
        // An earlier release that is gone back to finds it, too.
        assert_eq!((status.store_arn.as_deref(), status.collection_arn.as_deref()), (Some(arn), Some(arn)));
        let new = CollectionHandle { arn: format!("{arn}d"), endpoint: None };
        StoreHandle::from(new).write(&mut status);
        assert_eq!((status.store_arn, status.collection_arn), (Some(format!("{arn}d")), None));
        let mut back = Status {
            store_arn: Some(format!("{arn}-before")),
            collection_arn: Some(arn.into()),
            ..Status::default()
        };
        assert_eq!(
            StoreHandle::of_status(&back).unwrap().arn(),
            arn,
            "an earlier release made another meanwhile"
        );
        StoreHandle::of_status(&back).unwrap().write(&mut back);
        assert_eq!(back.store_arn.as_deref(), Some(arn));
        let mut lost = Status { collection_arn: Some(arn.into()), ..Status::default() };
        StoreHandle::forget(&mut lost);
        assert_eq!(StoreHandle::of_status(&lost), None);
    }
}
