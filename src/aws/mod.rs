//! What the operator says to AWS: one file a service, the only folder that knows the SDK.
//!
//! Every method is one thing asked or done, answers with plain values, and gives a [`Fault`] when AWS refuses. What is
//! not there is an answer (`None`), and deleting it is a success. Nothing here sleeps, retries or caches: the SDK's own
//! retries are off, because a pass that comes back later is the retry, and it looks again first.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::BehaviorVersion;
pub use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;

mod aoss;
mod aoss_endpoint;
mod aoss_indexes;
mod aoss_policies;
mod bedrock;
mod bedrock_data_sources;
mod bedrock_documents;
mod bedrock_jobs;
mod bedrock_retrieve;
mod credentials;
mod document;
mod dynamodb;
mod fault;
mod fence;
mod gate;
mod iam;
mod kms;
mod requests;
mod s3;
mod s3_facts;
mod s3_lifecycle;
mod s3_objects;
mod s3_uploads;
mod s3_versions;
mod sts;

pub use aoss::Collections;
pub use aoss_endpoint::IndexEndpoints;
pub use aoss_indexes::Indexes;
pub use aoss_policies::{Policies, PolicyKind};
pub use bedrock::KnowledgeBases;
pub use bedrock_data_sources::DataSources;
pub use bedrock_documents::KnowledgeBaseDocuments;
pub use bedrock_jobs::Jobs;
pub use bedrock_retrieve::{Passage, Retrieval};
pub use dynamodb::{Item, Registry};
pub use fence::{Fence, Moment};
pub use gate::{Gate, Pace};
pub use iam::Roles;
pub use kms::{KeyDetail, Keys};
pub use requests::Requests;
pub use s3::Buckets;
pub use s3_objects::{Content, Lines, Object, Objects, Page};
pub use s3_uploads::Writer;
pub use s3_versions::{Upload, Version, VersionMarker, VersionPage};
pub use sts::{Caller, caller};

/// Tags, by key.
pub type Tags = BTreeMap<String, String>;

/// How long one call may take, its answer's body not counted.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// All of AWS that the operator uses, for one account and region. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Aws {
    /// KMS keys and their aliases.
    pub keys: Keys,
    /// Buckets and their settings.
    pub buckets: Buckets,
    /// Objects, their versions and unfinished uploads.
    pub objects: Objects,
    /// IAM roles and their inline policies.
    pub roles: Roles,
    /// OpenSearch Serverless policies of all three kinds.
    pub policies: Policies,
    /// OpenSearch Serverless collections.
    pub collections: Collections,
    /// Vector indexes, by the control plane.
    pub indexes: Indexes,
    /// The same, by the endpoints of their collections.
    pub index_endpoints: IndexEndpoints,
    /// Bedrock knowledge bases.
    pub knowledge_bases: KnowledgeBases,
    /// Their data sources.
    pub data_sources: DataSources,
    /// Their ingestion jobs.
    pub jobs: Jobs,
    /// What became of each of their documents.
    pub documents: KnowledgeBaseDocuments,
    /// Questions to knowledge bases.
    pub retrieval: Retrieval,
    /// Items of the registry.
    pub registry: Registry,
}

impl Aws {
    /// All clients, from one configuration. `account` is the owner that every S3 call expects its bucket to have; all
    /// calls pass the `gate`.
    pub fn new(config: &SdkConfig, account: &str, gate: &Gate) -> Self {
        let config = &patient(config);
        let s3 = s3::client(config);
        let aoss = aws_sdk_opensearchserverless::Client::new(config);
        let bedrock = aws_sdk_bedrockagent::Client::new(config);
        Self {
            keys: Keys::new(aws_sdk_kms::Client::new(config), gate),
            buckets: Buckets::new(s3.clone(), account, gate),
            objects: Objects::new(s3, account, gate),
            roles: Roles::new(aws_sdk_iam::Client::new(config), gate),
            policies: Policies::new(aoss.clone(), gate),
            collections: Collections::new(aoss.clone(), gate),
            indexes: Indexes::new(aoss, gate),
            index_endpoints: IndexEndpoints::new(config, gate),
            knowledge_bases: KnowledgeBases::new(bedrock.clone(), gate),
            data_sources: DataSources::new(bedrock.clone(), gate),
            jobs: Jobs::new(bedrock.clone(), gate),
            documents: KnowledgeBaseDocuments::new(bedrock, gate),
            retrieval: Retrieval::new(aws_sdk_bedrockagentruntime::Client::new(config), gate),
            registry: Registry::new(aws_sdk_dynamodb::Client::new(config), gate),
        }
    }
}

/// The configuration that the environment gives: credentials, region, and `AWS_ENDPOINT_URL` where it is set.
pub async fn load() -> SdkConfig {
    aws_config::load_defaults(BehaviorVersion::latest()).await
}

/// Without retries and with our timeouts: backoff is the controller's, and it has to see every refusal.
fn patient(config: &SdkConfig) -> SdkConfig {
    let timeouts =
        TimeoutConfig::builder().operation_timeout(OPERATION_TIMEOUT).connect_timeout(CONNECT_TIMEOUT);
    let mut builder = config.to_builder();
    builder.set_retry_config(Some(RetryConfig::disabled())).set_timeout_config(Some(timeouts.build()));
    builder.set_behavior_version(config.behavior_version().or(Some(BehaviorVersion::latest())));
    builder.build()
}

/// Tags in whatever shape a service has them.
fn tags<T>(tags: Option<Vec<T>>, pair: impl Fn(T) -> (String, String)) -> Tags {
    tags.unwrap_or_default().into_iter().map(pair).collect()
}

/// The SDK's time as ours; what lies outside of all calendars is the epoch.
fn timestamp(time: &aws_smithy_types::DateTime) -> jiff::Timestamp {
    jiff::Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).unwrap_or(0)).unwrap_or_default()
}
