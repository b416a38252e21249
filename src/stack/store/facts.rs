//! A vector store as AWS has it.

use std::collections::BTreeMap;

use super::handle::StoreHandle;
use super::opensearch::collection::{CollectionDetail, CollectionFacts};
use super::s3_vectors::vector_bucket::VectorBucketFacts;
use crate::api::VectorStore;
use crate::stack::foreign::Foreign;

/// What AWS says of a vector store, and of what stands beside it under its name.
// There is one for each object; a box would save nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq)]
pub enum StoreFacts {
    /// A collection of OpenSearch Serverless, with its policies.
    OpenSearchServerless(CollectionFacts),
    /// A vector bucket of S3 Vectors, with its policy.
    S3Vectors(VectorBucketFacts),
}

impl From<VectorBucketFacts> for StoreFacts {
    fn from(facts: VectorBucketFacts) -> Self {
        Self::S3Vectors(facts)
    }
}

impl From<CollectionFacts> for StoreFacts {
    fn from(facts: CollectionFacts) -> Self {
        Self::OpenSearchServerless(facts)
    }
}

impl StoreFacts {
    /// One of which nothing is there yet.
    pub fn nothing(kind: VectorStore) -> Self {
        match kind {
            VectorStore::OpenSearchServerless => CollectionFacts::default().into(),
            VectorStore::S3Vectors => VectorBucketFacts::default().into(),
        }
    }

    /// Which store.
    pub const fn kind(&self) -> VectorStore {
        match self {
            Self::OpenSearchServerless(_) => VectorStore::OpenSearchServerless,
            Self::S3Vectors(_) => VectorStore::S3Vectors,
        }
    }

    /// Whether anything of it is ours.
    pub fn has_any(&self) -> bool {
        match self {
            Self::OpenSearchServerless(facts) => facts.has_any(),
            Self::S3Vectors(facts) => facts.detail.is_some(),
        }
    }

    /// Something beside it that has our name and is somebody else's.
    pub fn foreign(&self) -> Option<&Foreign> {
        match self {
            Self::OpenSearchServerless(facts) => facts.foreign.as_ref(),
            Self::S3Vectors(_) => None,
        }
    }

    /// How one gets at it, if the store itself is there.
    pub fn handle(&self) -> Option<StoreHandle> {
        match self {
            Self::OpenSearchServerless(facts) => Some(facts.collection.as_ref()?.handle().into()),
            Self::S3Vectors(facts) => Some(facts.detail.as_ref()?.handle().into()),
        }
    }

    /// Whether it answers calls about its indexes.
    pub fn is_active(&self) -> bool {
        match self {
            Self::OpenSearchServerless(facts) => facts.collection.as_ref().is_some_and(|it| it.is_active()),
            Self::S3Vectors(facts) => facts.detail.is_some(),
        }
    }

    /// Whether AWS is making it.
    pub fn is_being_made(&self) -> bool {
        match self {
            Self::OpenSearchServerless(facts) => {
                facts.collection.as_ref().is_some_and(CollectionDetail::is_being_made)
            }
            Self::S3Vectors(_) => false,
        }
    }

    /// The tags of each thing that is there.
    pub fn tags(&self) -> Vec<BTreeMap<String, String>> {
        match self {
            Self::OpenSearchServerless(facts) => facts.tags(),
            Self::S3Vectors(facts) => facts.detail.iter().map(|it| it.tags.clone()).collect(),
        }
    }

    /// The key that encrypts it, where that is a customer's.
    pub fn key_arn(&self) -> Option<&str> {
        match self {
            Self::OpenSearchServerless(facts) => facts.collection.as_ref()?.kms_key_arn.as_deref(),
            Self::S3Vectors(facts) => facts.detail.as_ref()?.key_arn.as_deref(),
        }
    }

    /// Each thing that is there: what it is, and its name, which is `name` but for what AWS names by an ARN.
    pub fn things(&self, name: &str) -> Vec<(&'static str, String)> {
        match self {
            Self::OpenSearchServerless(facts) => facts.things(name),
            Self::S3Vectors(facts) => facts.things(name),
        }
    }

    /// The compute units that it takes while nobody uses it.
    pub fn idle_units(&self) -> f64 {
        match self {
            Self::OpenSearchServerless(facts) => facts.idle_units(),
            Self::S3Vectors(_) => 0.0,
        }
    }
}
