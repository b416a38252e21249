//! What decides what is built for a tenant. A class says it for its tenants, and a status what a Tenant was accepted with.

use std::fmt;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::placement::{placed, stack_is_named};
use super::rules::{SECOND_CLASS, fixed, fixed_as_it_is, unchanging};
use super::{
    Encryption, Index, KnowledgeBase, Pattern, StackRef, StandbyReplicas, VectorStore, index, knowledge_base,
    models, vector_store,
};

/// What decides what is built, and may never change: the pattern, what is borrowed, and how vectors are made, kept and found.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = stack_is_named())]
#[x_kube(validation = placed("stackRef"))]
#[x_kube(validation = placed("encryption"))]
#[x_kube(validation = placed("vectorStore"))]
#[x_kube(validation = placed("standbyReplicas"))]
#[x_kube(validation = placed("knowledgeBase"))]
#[x_kube(validation = placed("index"))]
#[x_kube(validation = vector_store::no_standby_replicas())]
#[x_kube(validation = vector_store::lacks(&vector_store::GRAPH))]
#[x_kube(validation = vector_store::lacks(&vector_store::INNER_PRODUCT))]
#[x_kube(validation = vector_store::lacks(&vector_store::COSINE))]
#[x_kube(validation = vector_store::lacks(&vector_store::LISTS))]
#[x_kube(validation = vector_store::lacks(&vector_store::LARGE_PARENTS))]
#[x_kube(validation = unchanging("pattern", SECOND_CLASS))]
#[x_kube(validation = fixed_as_it_is("stackRef", SECOND_CLASS))]
#[x_kube(validation = fixed("encryption.key", "'AWSOwned'", SECOND_CLASS))]
#[x_kube(validation = fixed_as_it_is("encryption.kmsKeyArn", SECOND_CLASS))]
#[x_kube(validation = fixed("vectorStore", "'OpenSearchServerless'", SECOND_CLASS))]
#[x_kube(validation = fixed("standbyReplicas", "'Enabled'", SECOND_CLASS))]
#[x_kube(validation = models::model_stays(SECOND_CLASS))]
#[x_kube(validation = models::dimensions_stay(SECOND_CLASS))]
#[x_kube(validation = knowledge_base::chunking_stays(SECOND_CLASS))]
#[x_kube(validation = vector_store::distance_stays(SECOND_CLASS))]
#[x_kube(validation = fixed("index.hnsw.m", "16", SECOND_CLASS))]
#[x_kube(validation = fixed("index.hnsw.efConstruction", "512", SECOND_CLASS))]
#[x_kube(validation = fixed("index.hnsw.efSearch", "512", SECOND_CLASS))]
#[x_kube(validation = index::attributes_only_grow_but_lists(SECOND_CLASS))]
pub struct Placement {
    /// How isolated a tenant is: 'Silo', 'Bridge' or 'Pool', as in a Tenant.
    pub pattern: Pattern,

    /// The SharedStack that lends what a tenant does not own. Required for Bridge and Pool, forbidden for Silo.
    pub stack_ref: Option<StackRef>,

    /// Where the vectors of each tenant are kept, 'OpenSearchServerless' or 'S3Vectors'. Silo; the others share their
    /// SharedStack's. Default: 'OpenSearchServerless'.
    pub vector_store: Option<VectorStore>,

    /// The key that encrypts a tenant's data. Silo; the others share their SharedStack's. Default: key 'AWSOwned'.
    pub encryption: Option<Encryption>,

    /// Whether the collection of each tenant has a copy in other availability zones, if `vectorStore` is
    /// 'OpenSearchServerless': 'Enabled' or 'Disabled'. Silo; the others share their SharedStack's. Default: 'Enabled'.
    pub standby_replicas: Option<StandbyReplicas>,

    /// How documents become vectors. Silo and Bridge; a Pool tenant shares its SharedStack's. Default: each field's own.
    pub knowledge_base: Option<KnowledgeBase>,

    /// How vectors are found. Silo and Bridge; a Pool tenant shares its SharedStack's. Attributes may be added. Default:
    /// each field's own.
    pub index: Option<Index>,
}

impl Placement {
    /// A Silo of which nothing is written, to fill in.
    pub const fn nowhere() -> Self {
        Self {
            pattern: Pattern::Silo,
            stack_ref: None,
            vector_store: None,
            encryption: None,
            standby_replicas: None,
            knowledge_base: None,
            index: None,
        }
    }

    /// The SharedStack that it borrows from.
    pub fn stack(&self) -> Option<&str> {
        self.stack_ref.as_ref().map(|stack| stack.name.as_str())
    }
}

/// In a sentence: the pattern, and what tells it from the usual one.
impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.pattern)?;
        if let Some(stack) = self.stack() {
            write!(f, " of SharedStack '{stack}'")?;
        }
        if self.pattern == Pattern::Silo {
            write!(f, " on {}", self.vector_store.unwrap_or_default())?;
        }
        Ok(())
    }
}
