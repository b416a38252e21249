//! A vector store as AWS has it.

use std::collections::BTreeMap;

use super::handle::StoreHandle;
use super::opensearch::collection::{CollectionDetail, CollectionFacts};
use crate::api::VectorStore;
use crate::stack::foreign::Foreign;

/// What AWS says of a vector store, and of what stands beside it under its name.
#[derive(Clone, Debug, PartialEq)]
pub enum StoreFacts {
    /// A collection of OpenSearch Serverless, with its policies.
    OpenSearchServerless(CollectionFacts),
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
        }
    }

    /// Whether anything of it is ours.
    pub fn has_any(&self) -> bool {
        match self {
            Self::OpenSearchServerless(facts) => facts.has_any(),
        }
    }

    /// Something beside it that has our name and is somebody else's.
    pub fn foreign(&self) -> Option<&Foreign> {
        match self {
            Self::OpenSearchServerless(facts) => facts.foreign.as_ref(),
        }
    }

    /// How one gets at it, if the store itself is there.
    pub fn handle(&self) -> Option<StoreHandle> {
        match self {
            Self::OpenSearchServerless(facts) => Some(facts.collection.as_ref()?.handle().into()),
        }
    }

    /// Whether it answers calls about its indexes.
    pub fn is_active(&self) -> bool {
        match self {
            Self::OpenSearchServerless(facts) => facts.collection.as_ref().is_some_and(|it| it.is_active()),
        }
    }

    /// Whether AWS is making it.
    pub fn is_being_made(&self) -> bool {
        match self {
            Self::OpenSearchServerless(facts) => {
                facts.collection.as_ref().is_some_and(CollectionDetail::is_being_made)
            }
        }
    }

    /// The tags of each thing that is there.
    pub fn tags(&self) -> Vec<BTreeMap<String, String>> {
        match self {
            Self::OpenSearchServerless(facts) => facts.tags(),
        }
    }

    /// The key that encrypts it, where that is a customer's.
    pub fn key_arn(&self) -> Option<&str> {
        match self {
            Self::OpenSearchServerless(facts) => facts.collection.as_ref()?.kms_key_arn.as_deref(),
        }
    }

    /// Each thing that is there: what it is, and its name, which is `name` but for what AWS names by an ARN.
    pub fn things(&self, name: &str) -> Vec<(&'static str, String)> {
        match self {
            Self::OpenSearchServerless(facts) => facts.things(name),
        }
    }

    /// The compute units that it takes while nobody uses it.
    pub fn idle_units(&self) -> f64 {
        match self {
            Self::OpenSearchServerless(facts) => facts.idle_units(),
        }
    }
}
