//! The stores that can hold vectors.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kind of store that holds the index.
// It stands in records, which outlive a release: no word may change.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
pub enum VectorStore {
    /// An index in a collection of Amazon OpenSearch Serverless.
    #[default]
    OpenSearchServerless,
}

impl VectorStore {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::OpenSearchServerless];
}

impl fmt::Display for VectorStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
