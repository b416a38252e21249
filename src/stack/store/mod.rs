//! Where vectors are kept: the one place that knows which stores there are, and what each wants to be told.

pub mod opensearch;
pub(crate) mod read_back;

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

pub use self::opensearch::CollectionHandle;
pub use self::opensearch::collection::{
    CollectionChange, CollectionDetail, CollectionFacts, DesiredCollection, PolicyFacts,
};
pub(crate) use self::opensearch::{
    INDEX_API_REGIONS, NO_SUCH_KEY, SCHEMA, WITHOUT_INDEX_API, index_by_endpoint, operator_grant,
};
use crate::api::{IndexSettings, Status, VectorStore};
use crate::stack::identity::Scope;

/// A vector store that is there, and how one gets at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum StoreHandle {
    /// A collection of OpenSearch Serverless.
    OpenSearchServerless(CollectionHandle),
}

impl From<CollectionHandle> for StoreHandle {
    fn from(collection: CollectionHandle) -> Self {
        Self::OpenSearchServerless(collection)
    }
}

impl StoreHandle {
    /// What a status says of a store that was whole once.
    pub fn of_status(status: &Status) -> Option<Self> {
        let arn = status.store_arn.clone()?;
        Some(match status.vector_store.unwrap_or_default() {
            VectorStore::OpenSearchServerless => Self::OpenSearchServerless(CollectionHandle {
                arn,
                endpoint: status.collection_endpoint.clone(),
            }),
        })
    }

    /// Says in a status where the store is.
    pub fn write(&self, status: &mut Status) {
        status.vector_store = Some(self.kind());
        status.store_arn = Some(self.arn().into());
        status.collection_endpoint = match self {
            Self::OpenSearchServerless(collection) => collection.endpoint.clone(),
        };
    }

    /// Says in a status no more where the store is.
    pub fn forget(status: &mut Status) {
        (status.vector_store, status.store_arn, status.collection_endpoint) = (None, None, None);
    }

    /// Which store it is.
    pub const fn kind(&self) -> VectorStore {
        match self {
            Self::OpenSearchServerless(_) => VectorStore::OpenSearchServerless,
        }
    }

    /// Its ARN.
    pub fn arn(&self) -> &str {
        match self {
            Self::OpenSearchServerless(collection) => &collection.arn,
        }
    }

    /// Whether both lead to the same store.
    pub fn is_same(&self, other: &Self) -> bool {
        self.arn() == other.arn()
    }

    /// What a role may do that reads and writes its vectors: a statement of its policy.
    pub fn permission(&self) -> Value {
        match self {
            Self::OpenSearchServerless(collection) => opensearch::permission(&collection.arn),
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
        }
    }

    /// The policy beside the role that opens one index to it, for a store that knows such policies.
    pub(crate) fn data_access(&self, scope: &Scope, index: &str, role: &str) -> Option<Value> {
        match self.kind {
            VectorStore::OpenSearchServerless => {
                Some(opensearch::data_access(&self.name, index, &scope.role_arn(role)))
            }
        }
    }
}

/// How long the slowest store may take to be made, as AWS says and as others have measured, with room.
pub(crate) const DEADLINE: Duration = opensearch::DEADLINE;

/// How long the quickest store takes to be made.
pub(crate) const USUALLY: Duration = opensearch::USUALLY;
