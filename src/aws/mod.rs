//! What the operator says to AWS: one file a service, the only folder that knows the SDK.
//!
//! Every method is one thing asked or done, answers with plain values, and gives a [`Fault`] when AWS refuses. What is
//! not there is an answer (`None`), and deleting it is a success. Nothing here sleeps, retries or caches: the SDK's own
//! retries are off, because a pass that comes back later is the retry, and it looks again first.

pub(crate) use aws_config::SdkConfig;

mod aoss;
mod aoss_endpoint;
mod aoss_indexes;
mod aoss_policies;
mod bedrock;
mod bedrock_data_sources;
mod bedrock_documents;
mod bedrock_jobs;
mod bedrock_models;
mod bedrock_questions;
mod bedrock_retrieve;
mod call;
mod config;
mod credentials;
mod document;
mod dynamodb;
mod endpoint;
mod fault;
mod fence;
mod gate;
mod iam;
#[cfg(test)]
pub(crate) mod in_memory;
mod kms;
mod made;
mod place;
mod requests;
mod s3;
mod s3_conditional;
mod s3_facts;
mod s3_lifecycle;
mod s3_listing;
mod s3_objects;
mod s3_vectors;
mod s3_vectors_indexes;
mod s3_versions;
mod signature;
mod signed;
mod sts;
mod sts_ask;
mod values;
mod way;
mod web;

pub(crate) use aoss::Collections;
pub(crate) use aoss_endpoint::IndexEndpoints;
pub(crate) use aoss_indexes::Indexes;
pub(crate) use aoss_policies::{Policies, PolicyKind};
pub(crate) use bedrock::KnowledgeBases;
pub(crate) use bedrock_data_sources::DataSources;
pub(crate) use bedrock_documents::KnowledgeBaseDocuments;
pub(crate) use bedrock_jobs::Jobs;
pub(crate) use bedrock_models::FoundationModels;
pub(crate) use bedrock_questions::{Answer, NoAnswer, Passages, Questions, Refusal};
pub use bedrock_retrieve::{Passage, Retrieval};
pub(crate) use config::{load, region};
pub(crate) use dynamodb::Registry;
pub(crate) use fence::{Fence, Moment};
pub use gate::{Gate, Pace};
pub(crate) use iam::Roles;
pub(crate) use kms::Keys;
pub(crate) use place::Away;
pub(crate) use place::{Place, with_place};
pub(crate) use requests::Requests;
pub(crate) use s3::Buckets;
pub(crate) use s3_conditional::{Over, Protection, Put};
pub(crate) use s3_listing::{Object, Objects, Page};
pub(crate) use s3_objects::Content;
pub(crate) use s3_vectors::VectorBuckets;
pub(crate) use s3_vectors_indexes::VectorIndexes;
pub(crate) use s3_versions::Version;
pub(crate) use sts::caller;
pub(crate) use sts_ask::{AskRole, Session};
pub(crate) use values::Tags;
pub(crate) use web::{Unread, Web};

/// All of AWS that the operator uses, for one account and region. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Aws {
    /// KMS keys and their aliases.
    pub(crate) keys: Keys,
    /// Buckets and their settings.
    pub(crate) buckets: Buckets,
    /// Objects, their versions and unfinished uploads.
    pub objects: Objects,
    /// IAM roles and their inline policies.
    pub(crate) roles: Roles,
    /// OpenSearch Serverless policies of all three kinds.
    pub(crate) policies: Policies,
    /// OpenSearch Serverless collections.
    pub(crate) collections: Collections,
    /// Vector indexes, by the control plane.
    pub indexes: Indexes,
    /// The same, by the endpoints of their collections.
    pub(crate) index_endpoints: IndexEndpoints,
    /// S3 Vectors: vector buckets.
    pub(crate) vector_buckets: VectorBuckets,
    /// The indexes in them.
    pub(crate) vector_indexes: VectorIndexes,
    /// Bedrock knowledge bases.
    pub(crate) knowledge_bases: KnowledgeBases,
    /// Their data sources.
    pub(crate) data_sources: DataSources,
    /// Their ingestion jobs.
    pub(crate) jobs: Jobs,
    /// The models that they embed with.
    pub(crate) models: FoundationModels,
    /// What became of each of their documents.
    pub(crate) documents: KnowledgeBaseDocuments,
    /// Questions to knowledge bases.
    pub retrieval: Retrieval,
    /// Items of the registry.
    pub(crate) registry: Registry,
}

impl Aws {
    /// All clients, from one configuration. `account` is the owner that every S3 call expects its bucket to have; all
    /// calls pass the `gate`.
    pub fn new(config: &SdkConfig, account: &str, gate: &Gate) -> Self {
        let config = &config::patient(config);
        let s3 = s3::client(config);
        let aoss = aws_sdk_opensearchserverless::Client::new(config);
        let fips = config.use_fips() == Some(true);
        let s3_vectors = aws_sdk_s3vectors::Client::new(config);
        let bedrock = aws_sdk_bedrockagent::Client::new(config);
        Self {
            keys: Keys::new(aws_sdk_kms::Client::new(config), gate),
            buckets: Buckets::new(s3.clone(), account, gate),
            objects: Objects::new(s3, account, gate),
            roles: Roles::new(aws_sdk_iam::Client::new(config), gate),
            policies: Policies::new(aoss.clone(), gate),
            collections: Collections::new(aoss.clone(), fips, gate),
            indexes: Indexes::new(aoss, gate),
            index_endpoints: IndexEndpoints::new(config, gate),
            vector_buckets: VectorBuckets::new(s3_vectors.clone(), gate),
            vector_indexes: VectorIndexes::new(s3_vectors, gate),
            knowledge_bases: KnowledgeBases::new(bedrock.clone(), gate),
            data_sources: DataSources::new(bedrock.clone(), gate),
            jobs: Jobs::new(bedrock.clone(), gate),
            models: FoundationModels::new(config, gate),
            documents: KnowledgeBaseDocuments::new(bedrock, gate),
            retrieval: Retrieval::new(aws_sdk_bedrockagentruntime::Client::new(config), gate),
            registry: Registry::new(aws_sdk_dynamodb::Client::new(config), gate),
        }
    }
}
