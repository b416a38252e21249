//! The stores that can hold vectors.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A store of vectors. Each release writes its word into records and statuses, so no word may change.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
pub enum VectorStore {
    /// An index in a collection of Amazon OpenSearch Serverless.
    #[default]
    OpenSearchServerless,
}

impl fmt::Display for VectorStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
