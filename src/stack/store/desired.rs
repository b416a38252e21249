//! A vector store as it should be.

use std::collections::BTreeMap;

use super::capacity::Capacity;
use super::change::{Fixed, StoreChange};
use super::facts::StoreFacts;
use super::opensearch::collection::DesiredCollection;
use super::s3_vectors;
use super::s3_vectors::vector_bucket::{DesiredVectorBucket, VectorBucketChange};
use crate::api::{StoreSettings, VectorStore};
use crate::stack::identity::Scope;

/// A vector store and all its settings.
#[derive(Clone, Debug, PartialEq)]
pub enum DesiredStore {
    /// A collection of OpenSearch Serverless.
    OpenSearchServerless(DesiredCollection),
    /// A vector bucket of S3 Vectors.
    S3Vectors(DesiredVectorBucket),
}

impl DesiredStore {
    /// One of this name, with these settings.
    pub fn new(
        scope: &Scope,
        name: String,
        tags: BTreeMap<String, String>,
        settings: &StoreSettings,
        key_arn: Option<String>,
    ) -> Self {
        match settings {
            StoreSettings::OpenSearchServerless(settings) => {
                let settings = settings.clone();
                Self::OpenSearchServerless(DesiredCollection { name, tags, settings, key_arn })
            }
            StoreSettings::S3Vectors => {
                let policy = s3_vectors::policy(scope, &name);
                Self::S3Vectors(DesiredVectorBucket { name, tags, key_arn, policy })
            }
        }
    }

    /// Which store.
    pub const fn kind(&self) -> VectorStore {
        match self {
            Self::OpenSearchServerless(_) => VectorStore::OpenSearchServerless,
            Self::S3Vectors(_) => VectorStore::S3Vectors,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::OpenSearchServerless(want) => &want.name,
            Self::S3Vectors(want) => &want.name,
        }
    }

    /// What differs between a store and this one. Empty: it is as it should be.
    pub fn changes(&self, facts: &StoreFacts) -> Vec<StoreChange> {
        match (self, facts) {
            (Self::OpenSearchServerless(want), StoreFacts::OpenSearchServerless(facts)) => {
                want.changes(facts).into_iter().map(|change| change.told(facts)).collect()
            }
            (Self::S3Vectors(want), StoreFacts::S3Vectors(facts)) => {
                want.changes(facts).into_iter().map(VectorBucketChange::told).collect()
            }
            // Nobody looks for one kind where another is wanted: an object keeps the store that it began with.
            (Self::OpenSearchServerless(_) | Self::S3Vectors(_), _) => Vec::new(),
        }
    }

    /// What of it never changes, as AWS has it and as it should be.
    pub fn fixed(&self, facts: &StoreFacts) -> Vec<Fixed> {
        match (self, facts) {
            (Self::OpenSearchServerless(want), StoreFacts::OpenSearchServerless(facts)) => want.fixed(facts),
            (Self::S3Vectors(want), StoreFacts::S3Vectors(facts)) => want.fixed(facts),
            (Self::OpenSearchServerless(_) | Self::S3Vectors(_), _) => Vec::new(),
        }
    }

    /// Whether nobody will get to its endpoint.
    pub fn is_shut(&self) -> bool {
        match self {
            Self::OpenSearchServerless(want) => want.is_shut(),
            Self::S3Vectors(_) => false,
        }
    }

    /// What it will run on under a key that is called `key`, if it takes anything while nobody uses it.
    pub fn capacity(&self, key: String) -> Option<Capacity> {
        match self {
            Self::OpenSearchServerless(want) => Some(want.capacity(key)),
            Self::S3Vectors(_) => None,
        }
    }
}
