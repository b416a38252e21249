//! Where vectors are kept: what each store wants to be told.

pub mod opensearch;
pub(crate) mod read_back;

/// The vector store behind a knowledge base. This enum and the function that writes a storage configuration from it
/// are all that the knowledge-base layer knows of OpenSearch Serverless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// An index in an OpenSearch Serverless collection.
    OpenSearchServerless {
        /// The collection's ARN.
        collection_arn: String,
        /// The index.
        index: String,
    },
}
