//! AWS's limits, and what a plan takes of them. What is in the account already is not known here, and comes on top.
//!
//! Numbers are those of a new account; the pages in `source` have the current ones.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::stack::model::desired::Desired;

const BEDROCK: &str = "https://docs.aws.amazon.com/general/latest/gr/bedrock.html";
const OPENSEARCH: &str = "https://docs.aws.amazon.com/general/latest/gr/opensearch-service.html";
const S3: &str = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/BucketRestrictions.html";
const IAM: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html";
const KMS: &str = "https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html";

/// Bytes that one ingestion job takes: 100 GB.
const JOB_BYTES: u64 = 100_000_000_000;
/// Bytes that one document may have: 50 MB.
const DOCUMENT_BYTES: u64 = 50_000_000;

/// Collections for which all of this is the same share their capacity.
/// <https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-scaling.html>
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Capacity {
    /// The key that encrypts.
    pub key: String,
    /// Whether there are copies in other availability zones.
    pub standby_replicas: bool,
}

/// What one owner, or all of them, take of AWS's limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Keys that are created.
    pub keys: u64,
    /// Buckets.
    pub buckets: u64,
    /// Collections, each of which has an encryption and a network policy.
    pub collections: u64,
    /// Roles, each of which has a data access policy.
    pub roles: u64,
    /// Knowledge bases.
    pub knowledge_bases: u64,
    /// Indexes, by collection.
    pub indexes: BTreeMap<String, u64>,
}

/// What the documents of a plan take of AWS's limits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Documents {
    /// In the fullest knowledge base.
    pub most: u64,
    /// How long each is, if that is known.
    pub bytes: Option<u64>,
}

/// One limit, and what is taken of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Quota {
    /// What is limited, and where.
    pub what: &'static str,
    /// What this plan takes.
    pub used: u64,
    /// How much there is.
    pub limit: u64,
    /// Whether AWS raises it for who asks.
    pub adjustable: bool,
    /// Whether all of the plan can be built.
    pub fits: bool,
    /// What happens to what does not fit.
    pub beyond: &'static str,
    /// Who says so.
    pub source: &'static str,
}

impl Counts {
    /// What an owner takes.
    pub fn of(want: &Desired) -> Self {
        let Desired { key, bucket, collection, role, index, knowledge_base } = want;
        let in_collection = role.as_ref().zip(index.as_ref()).map(|(role, _)| (role.store.name.clone(), 1));
        Self {
            keys: key.is_some().into(),
            buckets: bucket.is_some().into(),
            collections: collection.is_some().into(),
            roles: role.is_some().into(),
            knowledge_bases: knowledge_base.is_some().into(),
            indexes: in_collection.into_iter().collect(),
        }
    }

    /// All of them together.
    pub fn sum<'a>(all: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut sum = Self::default();
        for Self { keys, buckets, collections, roles, knowledge_bases, indexes } in all {
            sum.keys += keys;
            sum.buckets += buckets;
            sum.collections += collections;
            sum.roles += roles;
            sum.knowledge_bases += knowledge_bases;
            for (collection, count) in indexes {
                *sum.indexes.entry(collection.clone()).or_default() += count;
            }
        }
        sum
    }

    /// Each limit that this touches. `knowledge_bases` is how many the operator may build.
    pub fn quotas(
        &self,
        knowledge_bases: u64,
        capacities: &BTreeSet<Capacity>,
        documents: Documents,
    ) -> Vec<Quota> {
        let fullest = self.indexes.values().copied().max().unwrap_or_default();
        // One unit for indexing and one for search; without copies a half of each.
        let halves: u64 = capacities.iter().map(|it| if it.standby_replicas { 2 } else { 1 }).sum();
        let fails = "the layer is Stalled with the reason Quota";
        let row = |what, used, limit, adjustable, beyond, source| Quota {
            what,
            used,
            limit,
            adjustable,
            fits: used <= limit,
            beyond,
            source,
        };
        let mut quotas = vec![
            row(
                "knowledge bases in the account and region",
                self.knowledge_bases,
                100,
                false,
                fails,
                BEDROCK,
            ),
            row(
                "knowledge bases that the operator builds (--max-knowledge-bases)",
                self.knowledge_bases,
                knowledge_bases,
                true,
                "a Tenant is refused: Accepted=False, QuotaReserved",
                "tenantry run --help",
            ),
            // One operator has one grant more.
            row("data access policies", self.roles + 1, 500, false, fails, OPENSEARCH),
            row("network policies", self.collections, 500, false, fails, OPENSEARCH),
            row("encryption policies", self.collections, 150, false, fails, OPENSEARCH),
            row("indexes in the fullest collection", fullest, 1_000, false, fails, OPENSEARCH),
            row(
                "OCUs for indexing, and as many for search, while idle",
                halves.div_ceil(2),
                10,
                true,
                "collections wait: raise the account's maximum, up to 1,700 each",
                OPENSEARCH,
            ),
            row("roles in the account", self.roles, 1_000, true, fails, IAM),
            row("buckets in the account", self.buckets, 10_000, true, fails, S3),
            row("keys in the account and region", self.keys, 100_000, true, fails, KMS),
            row("documents in an ingestion job", documents.most, 5_000_000, false, "the job fails", BEDROCK),
        ];
        if let Some(bytes) = documents.bytes {
            let of_job = documents.most.saturating_mul(bytes);
            quotas.extend([
                row("bytes in an ingestion job", of_job, JOB_BYTES, false, "the job fails", BEDROCK),
                row("bytes in a document", bytes, DOCUMENT_BYTES, false, "the document is left out", BEDROCK),
            ]);
        }
        quotas
    }
}
