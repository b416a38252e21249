//! What users write and read: the two kinds, their settings, their status, and the table that says who owns which layer.
//!
//! Each settings file holds a type twice: as users write it, with everything optional, and resolved
//! (`…Settings`), with every default filled in. Doc comments on the written types are the text of
//! `kubectl explain`; notes for programmers are plain comments.

pub mod admission;
pub mod annotations;
pub(crate) mod class_placement;
pub(crate) mod condition;
pub mod crds;
pub(crate) mod frozen;
pub(crate) mod guarded;
pub(crate) mod index;
pub(crate) mod ingestion;
pub(crate) mod invalid;
pub(crate) mod isolation;
pub(crate) mod knowledge_base;
pub(crate) mod long_form;
pub mod metric;
pub(crate) mod models;
mod names_tenants;
pub mod placement;
pub(crate) mod references;
pub(crate) mod remedy;
pub(crate) mod resolved;
mod rules;
pub(crate) mod selector;
pub(crate) mod severity;
pub(crate) mod shared_stack;
pub(crate) mod standing;
pub(crate) mod status;
pub(crate) mod storage;
pub(crate) mod tags;
pub(crate) mod tenant;
pub(crate) mod tenant_class;
pub(crate) mod vector_store;

pub use class_placement::Placement;
pub use condition::{ConditionType, Reason};
pub use frozen::Move;
pub use index::{Attribute, AttributeType, Distance, Hnsw, HnswSettings, Index, IndexSettings};
pub use ingestion::{DataDeletionPolicy, Ingestion, IngestionSettings, Sidecars};
pub use invalid::Invalid;
pub use isolation::{Column, Layer, Ownership, Pattern, PerLayer, ownership};
pub use knowledge_base::{
    Chunking, ChunkingSettings, ChunkingStrategy, KnowledgeBase, KnowledgeBaseSettings,
};
pub use long_form::{Conflict, Named, long_form, standing_form};
pub use models::{DEFAULT_MODEL, MODELS, Model};
pub use references::{Answers, ClassRef, StackRef};
pub use resolved::{Bridge, Isolation, Pool, PoolSettings, Shared, Silo};
pub use selector::NamespaceSelector;
pub use severity::Severity;
pub use shared_stack::{PoolSpec, SharedStack, SharedStackSpec};
pub use standing::{Standing, standing};
pub use status::{DocumentsStatus, Equals, IngestionStatistics, IngestionStatus, RetrievalFilter, Status};
pub use storage::{
    Access, Collection, CollectionSettings, Documents, DocumentsSettings, Encryption, EncryptionKey,
    EncryptionSettings, Network, NetworkSettings, StandbyReplicas, StoreSettings, Versioning,
};
pub use tenant::{DeletionPolicy, Tenant, TenantSpec};
pub use tenant_class::{
    AnswersLimit, ClassDefaults, CollectionDefaults, Enforcement, GatewayShare, Limits, Overridable,
    TenantClass, TenantClassSpec,
};
pub use vector_store::VectorStore;

/// The API group of both kinds, and the prefix of everything this project names in a cluster or in AWS.
pub const GROUP: &str = "tenantry.dev";
/// The only served version so far.
pub const VERSION: &str = "v1alpha1";
/// `"true"`, or whatever else [`annotations::pause`] does not read as a no, stops all work on the object, its teardown included.
pub const PAUSED: &str = "tenantry.dev/paused";
/// A new value asks for an ingestion job; a Pool tenant's asks for its stack's.
pub const SYNC_REQUESTED_AT: &str = "tenantry.dev/sync-requested-at";
/// A new value says that a cause was mended: what was refused is tried again at once, and everything is looked at.
pub const RETRY_REQUESTED_AT: &str = "tenantry.dev/retry-requested-at";
/// `<Reason>-<code>`, as a message gave it, approves what was refused.
pub const APPROVE: &str = "tenantry.dev/approve";

/// The finalizer of one installation. Who carries it may have things in AWS.
pub fn finalizer_name(installation: &str) -> String {
    format!("{GROUP}/{installation}")
}

/// What every hold begins with: any installation's, ours included.
pub const FINALIZER_PREFIX: &str = "tenantry.dev/";
