//! What a look at one layer may know from looks at others, or from a status.

use crate::api::VectorStore;
use crate::stack::store::StoreHandle;

/// Where to look first. AWS is the truth; a wrong hint costs one call.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// Which kind of vector store the owner has or borrows.
    pub store_kind: VectorStore,
    /// The vector store that would hold the index.
    pub store: Option<StoreHandle>,
    /// Whether the index was made by that store's own endpoint.
    pub index_by_endpoint: bool,
    /// Whether the vector store is the owner's and lets in AWS's own services only, so that nobody gets to its endpoint.
    pub store_is_shut: bool,
    /// Whether AWS has it on record that an index of our name was made for us: by our knowledge base, or by the role
    /// that trusts it.
    pub index_on_record: bool,
    /// The knowledge base's id, as status remembers it.
    pub knowledge_base_id: Option<String>,
    /// The data source's id, likewise.
    pub data_source_id: Option<String>,
    /// The bucket that was the owner's, as status remembers it.
    pub bucket: Option<String>,
    /// Whether the owner has a customer key made.
    pub creates_key: bool,
}
