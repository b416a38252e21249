//! What the operator reports. One status for both kinds, because one engine reconciles both.
//!
//! Nothing in it changes without news. An absent value is sent as null, which a merge patch takes for
//! "remove".

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime, Time};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::condition::{self, ConditionType, Reason};
use super::vector_store::VectorStore;
use super::{Answers, Placement};

/// What the operator has built or found, and how it stands. Everything here is reported, nothing is read back
/// as a wish.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
// Without a default, Helm and Flux call an object ready that no operator has seen yet.
#[schemars(extend("default" = json!({"observedGeneration": -1})))]
pub struct Status {
    /// The `metadata.generation` that this status speaks of; -1 until the operator has seen the object.
    pub observed_generation: Option<i64>,

    /// How things stand. 'Ready' sums up. 'Stalled' True waits for a person; 'Reconciling' True resolves itself.
    /// 'Accepted' says whether the object may be acted upon, the conditions of the layers how far each owned
    /// layer is, 'StackReady' how the borrowed ones are, and 'DocumentsCurrent' whether the last documents are
    /// indexed. 'Registered' says how the item in the registry is. 'DeletionBlocked' and 'Paused' are there only while they are True.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// Where the Tenant was placed when it was accepted, by its spec or by its class: what decides what is built, as it was
    /// written. It stays so; a change that would move the Tenant is refused with the reason Immutable.
    pub placement: Option<Placement>,

    /// The TenantClass under which the Tenant stands: the last one that was accepted. Absent without one.
    pub class: Option<String>,

    /// Which model answers, by the Tenant's spec or its class. Absent where clients choose.
    pub answers: Option<Answers>,

    /// How many documents the tenant has, as the last look before a job found them, those that a limit of the class holds back
    /// included. Absent until then.
    pub documents: Option<DocumentsStatus>,

    /// The knowledge base to ask. A Pool tenant's is its SharedStack's.
    pub knowledge_base_id: Option<String>,

    /// The ARN of the knowledge base, for IAM policies of clients.
    pub knowledge_base_arn: Option<String>,

    /// The data source of the knowledge base: its ingestion jobs are found by this id.
    pub data_source_id: Option<String>,

    /// The vector index.
    pub index_name: Option<String>,

    /// The ARN of the vector index. Of S3 Vectors.
    pub index_arn: Option<String>,

    /// The kind of store that holds the index.
    pub vector_store: Option<VectorStore>,

    /// The vector store that holds the index: of OpenSearch Serverless the collection, of S3 Vectors the vector bucket.
    pub store_arn: Option<String>,

    /// Deprecated: 'storeArn' has it. What an earlier release wrote here is read until the operator's first pass.
    pub collection_arn: Option<String>,

    /// Where the collection answers. Of OpenSearch Serverless.
    pub collection_endpoint: Option<String>,

    /// The bucket that holds the documents.
    pub bucket: Option<String>,

    /// Where in the bucket the documents belong: 'documents/' for Silo, 'bridge/<tenantId>/' for Bridge,
    /// 'pool/<tenantId>/' for Pool; of a SharedStack with a pool, 'pool/'.
    pub prefix: Option<String>,

    /// The IAM role with which Bedrock reads the documents and writes the index.
    pub role_arn: Option<String>,

    /// The KMS key that encrypts; absent while AWS's own keys do.
    pub kms_key_arn: Option<String>,

    /// The AWS region of everything above.
    pub region: Option<String>,

    /// The filter that every query of a Pool tenant must carry: without it Bedrock answers from everybody's
    /// documents. Absent where the knowledge base is the tenant's own.
    pub retrieval_filter: Option<RetrievalFilter>,

    /// When the operator itself last moved or deleted a Pool tenant's documents, because the tenant leaves or is back
    /// with what it had retained. An ingestion job that starts after it makes that true in the index.
    pub documents_moved_time: Option<MicroTime>,

    /// Whether there were documents when the deletion began: once they are deleted nobody can tell any more. There only on a
    /// Tenant that is being deleted.
    pub had_documents: Option<bool>,

    /// When the grace of its deletion began: when the operator first could have acted upon that. A pause ends it, and it begins
    /// anew after that. There only on an object that is being deleted.
    pub grace_started_time: Option<Time>,

    /// When the grace was over, and the operator began to delete. There only on an object that is being deleted.
    pub deletion_started_time: Option<Time>,

    /// Which version of the installation's record says that the tenantId is this Tenant's. Only the operator reads it.
    pub id_record: Option<String>,

    /// The last ingestion job. Of its pool's a Pool tenant has the times and the state, noted anew once an hour at the most;
    /// the rest is in the status of its SharedStack.
    pub ingestion: Option<IngestionStatus>,

    /// Whether the index was lost and is made anew, and not all documents are embedded again: until they are, 'Ready' is False.
    /// Absent otherwise.
    pub reindexing: Option<bool>,

    /// Of a SharedStack with a pool: how many documents lie under 'pool/<tenantId>/' with a tenantId that is nobody's, as
    /// the last look before a job found them. No query finds them, and they are neither moved nor deleted: create the
    /// Tenant, and the next job reads them for it, or move them to where they belong. Absent while there are none.
    pub unclaimed_documents: Option<i64>,
}

impl Status {
    /// A condition by its type.
    pub fn condition(&self, kind: ConditionType) -> Option<&Condition> {
        condition::find(&self.conditions, kind)
    }

    /// The ARN of the vector store. An earlier release writes it elsewhere, and its word counts: a store of which nothing is
    /// known is made, and one that is lost is not. This release removes that word where it differs, so one that differs is
    /// newer: somebody went back to the earlier release for a while.
    pub fn store_arn(&self) -> Option<&String> {
        self.collection_arn.as_ref().or(self.store_arn.as_ref())
    }

    /// Every ARN that stands in it.
    pub fn arns(&self) -> impl Iterator<Item = &String> {
        let arns = [
            self.knowledge_base_arn.as_ref(),
            self.store_arn(),
            self.index_arn.as_ref(),
            self.role_arn.as_ref(),
            self.kms_key_arn.as_ref(),
        ];
        arns.into_iter().flatten()
    }

    /// Whether the object was accepted, and is acted upon: also if a change that was made since was refused, and what stood
    /// before goes on.
    pub fn is_accepted(&self) -> bool {
        let refused_change = || {
            let said = self.condition(ConditionType::Accepted)?;
            Some(self.placement.is_some() && Reason::parse(&said.reason)?.refuses_a_change())
        };
        self.is_true(ConditionType::Accepted) || refused_change().unwrap_or_default()
    }

    /// Whether a condition is True.
    pub fn is_true(&self, kind: ConditionType) -> bool {
        condition::is_true(&self.conditions, kind)
    }

    /// One condition by itself, in its place among the others.
    pub fn set(
        &mut self,
        kind: ConditionType,
        status: &str,
        reason: Reason,
        message: &str,
        generation: Option<i64>,
        now: Time,
    ) {
        let same = self.condition(kind).filter(|before| before.status == status);
        let said = Condition {
            type_: kind.to_string(),
            status: status.into(),
            reason: reason.to_string(),
            message: message.into(),
            observed_generation: generation,
            last_transition_time: same.map_or(now, |before| before.last_transition_time.clone()),
        };
        self.conditions.retain(|condition| condition.type_ != said.type_);
        self.conditions.push(said);
        condition::sort(&mut self.conditions);
    }
}

/// The documents of a tenant.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentsStatus {
    /// How many there are.
    #[serde(default)]
    pub count: i64,

    /// How many bytes they have together.
    #[serde(default)]
    pub bytes: i64,
}

/// A filter, as `Retrieve` and `RetrieveAndGenerate` take it in
/// `retrievalConfiguration.vectorSearchConfiguration.filter`.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RetrievalFilter {
    /// Only documents whose metadata have this value under this key.
    pub equals: Equals,
}

/// A key and the value it must have.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Equals {
    /// The metadata key: the SharedStack's `pool.tenantIdKey`.
    pub key: String,

    /// The value: the tenant's `tenantId`.
    pub value: String,
}

impl IngestionStatus {
    /// When new documents were last looked for, if the last job came to its end: by it, or in vain since.
    pub fn looked(&self) -> Option<&Time> {
        let is_complete = self.last_status.as_deref() == Some("COMPLETE");
        self.started_time.iter().filter(|_| is_complete).chain(&self.last_look_time).max_by_key(|at| at.0)
    }
}

/// An ingestion job: it reads what is new in the bucket and forgets what is gone.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IngestionStatus {
    /// The id of the job.
    pub last_job_id: Option<String>,

    /// What Bedrock says of it, for example 'IN_PROGRESS', 'COMPLETE' or 'FAILED'. A complete job may still
    /// have failed documents.
    pub last_status: Option<String>,

    /// When it started.
    pub started_time: Option<Time>,

    /// When it ended; absent while it runs.
    pub finished_time: Option<Time>,

    /// What it did, once it has ended.
    pub statistics: Option<IngestionStatistics>,

    /// When new or changed documents were last looked for, and there were none, so that no job was needed. A job reads
    /// whatever is there when it starts.
    pub last_look_time: Option<Time>,

    /// Why it failed, in Bedrock's words; the first ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failure_reasons: Vec<String>,
}

/// How many documents a job has handled.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IngestionStatistics {
    /// Documents looked at.
    #[serde(default)]
    pub documents_scanned: i64,

    /// `.metadata.json` files looked at.
    #[serde(default)]
    pub metadata_documents_scanned: i64,

    /// New documents that were indexed.
    #[serde(default)]
    pub new_documents_indexed: i64,

    /// Changed documents that were indexed again.
    #[serde(default)]
    pub modified_documents_indexed: i64,

    /// Documents whose metadata alone had changed.
    #[serde(default)]
    pub metadata_documents_modified: i64,

    /// Documents that were gone from the bucket and are forgotten.
    #[serde(default)]
    pub documents_deleted: i64,

    /// Documents that could not be indexed.
    #[serde(default)]
    pub documents_failed: i64,
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn at(second: i64) -> Time {
        Time(Timestamp::from_second(second).unwrap())
    }

    fn said(kind: ConditionType, status: &str, reason: Reason, second: i64) -> Condition {
        Condition {
            type_: kind.to_string(),
            status: status.into(),
            reason: reason.to_string(),
            message: "as before".into(),
            observed_generation: Some(1),
            last_transition_time: at(second),
        }
    }

    #[test]
    fn a_condition_is_found_by_its_type_and_true_by_its_status() {
        let ready = said(ConditionType::Ready, "False", Reason::Creating, 1);
        let bucket = said(ConditionType::BucketReady, "True", Reason::Ready, 2);
        let index = said(ConditionType::IndexReady, "Unknown", Reason::WaitingForVectorStore, 3);
        let status =
            Status { conditions: vec![ready.clone(), bucket.clone(), index.clone()], ..Status::default() };
        for (kind, condition, is_true) in [
            (ConditionType::Ready, Some(&ready), false),
            (ConditionType::BucketReady, Some(&bucket), true),
            (ConditionType::IndexReady, Some(&index), false),
            (ConditionType::Stalled, None, false),
        ] {
            assert_eq!(status.condition(kind), condition, "{kind}");
            assert_eq!(status.is_true(kind), is_true, "{kind}");
        }
    }

    #[test]
    fn a_condition_keeps_its_time_as_long_as_its_status_stays() {
        let others = [
            said(ConditionType::Stalled, "False", Reason::Ready, 1),
            said(ConditionType::Accepted, "True", Reason::Accepted, 1),
        ];
        let with = |ready: Option<Condition>| Status {
            conditions: ready.into_iter().chain(others.clone()).collect(),
            region: Some("eu-central-1".into()),
            ..Status::default()
        };
        let no = said(ConditionType::Ready, "False", Reason::Creating, 1);
        for (before, status, second) in [
            (Some(no.clone()), "False", 1),
            (Some(no.clone()), "True", 2),
            (Some(no), "Unknown", 2),
            (None, "False", 2),
        ] {
            let mut after = with(before);
            after.set(ConditionType::Ready, status, Reason::Paused, "now", Some(4), at(2));
            let expected = Condition {
                message: "now".into(),
                observed_generation: Some(4),
                ..said(ConditionType::Ready, status, Reason::Paused, second)
            };
            assert_eq!(after, with(Some(expected)), "{status}");
        }
    }

    #[test]
    fn conditions_stand_in_the_order_of_the_documentation() {
        let mut status = Status::default();
        for kind in ConditionType::ALL.iter().rev().chain(ConditionType::ALL) {
            status.set(*kind, "True", Reason::Ready, "", None, at(1));
        }
        let order: Vec<_> = status.conditions.iter().map(|condition| condition.type_.as_str()).collect();
        let all: Vec<_> = ConditionType::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(order, all);
    }
}
