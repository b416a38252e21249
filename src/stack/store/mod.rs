//! Where vectors are kept: the one place that knows which stores there are, and what each wants to be told. Nobody else
//! asks which store it is: what differs is a row of [`features`], or a question to a value that one store has made.

mod capacity;
mod change;
mod desired;
mod facts;
mod features;
mod found_index;
mod handle;
mod metadata;
pub mod opensearch;
pub(crate) mod read_back;
pub mod s3_vectors;

use std::time::Duration;

use serde_json::Value;

pub use self::capacity::Capacity;
pub use self::change::{Fixed, StoreChange};
pub use self::desired::DesiredStore;
pub use self::facts::StoreFacts;
pub use self::features::{Features, StoreCounts};
use self::found_index::FoundIndex;
pub use self::handle::{StoreHandle, StoreRef};
pub use self::metadata::MetadataLimits;
pub use self::opensearch::PolicyFacts;
pub(crate) use self::opensearch::{
    INDEX_API_REGIONS, NO_SUCH_KEY, SCHEMA, WITHOUT_INDEX_API, index_by_endpoint, operator_grant,
};
use crate::api::{Layer, VectorStore};

/// The row of a store.
pub(crate) const fn features(kind: VectorStore) -> &'static Features {
    match kind {
        VectorStore::OpenSearchServerless => &opensearch::FEATURES,
        VectorStore::S3Vectors => &s3_vectors::FEATURES,
    }
}

/// What the schema of an index says.
pub(crate) fn read_back(kind: VectorStore, schema: &Value) -> FoundIndex {
    match kind {
        VectorStore::OpenSearchServerless => read_back::index(schema),
        VectorStore::S3Vectors => s3_vectors::read_back(schema),
    }
}

/// Whether a store can be searched by words, beside vectors.
pub const fn finds_words(kind: VectorStore) -> bool {
    features(kind).finds_words
}

/// The operators of a question's filter that a store does not know.
pub const fn without_operators(kind: VectorStore) -> &'static [&'static str] {
    features(kind).no_operators
}

/// What must be whole before a layer is touched. The role needs only the store's *name*, and its ARN for its permissions,
/// so it is built beside the store, not after it.
pub const fn needs(kind: VectorStore, layer: Layer) -> &'static [Layer] {
    match layer {
        Layer::Key => &[],
        Layer::Bucket | Layer::VectorStore | Layer::Role => &[Layer::Key],
        Layer::Index => features(kind).index_needs,
        Layer::KnowledgeBase => &[Layer::Bucket, Layer::Index, Layer::Role],
    }
}

/// How long the slowest store may take to be made, as AWS says and as others have measured, with room.
pub(crate) const DEADLINE: Duration = opensearch::DEADLINE;

/// How long the quickest store takes to be made.
pub(crate) const USUALLY: Duration = opensearch::USUALLY;
