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
        let in_collection = role.as_ref().zip(index.as_ref()).map(|(role, _)| (role.collection.clone(), 1));
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
        const FAILS: &str = "the layer is Stalled with the reason Quota";
        const REFUSED: &str = "a Tenant is refused: Accepted=False, QuotaReserved";
        const WAIT: &str = "collections wait: raise the account's maximum, up to 1,700 each";
        let fullest = self.indexes.values().copied().max().unwrap_or_default();
        // One unit for indexing and one for search; without copies a half of each.
        let halves: u64 = capacities.iter().map(|it| if it.standby_replicas { 2 } else { 1 }).sum();
        let idle = halves.div_ceil(2);
        let built = self.knowledge_bases;
        #[rustfmt::skip]
        let rows = [
            Quota::of("knowledge bases in the account and region", built, 100, false, FAILS, BEDROCK),
            Quota::of(
                "knowledge bases that the operator builds (--max-knowledge-bases)",
                built, knowledge_bases, true, REFUSED, "tenantry run --help",
            ),
            // One operator has one grant more.
            Quota::of("data access policies", self.roles + 1, 500, false, FAILS, OPENSEARCH),
            Quota::of("network policies", self.collections, 500, false, FAILS, OPENSEARCH),
            Quota::of("encryption policies", self.collections, 150, false, FAILS, OPENSEARCH),
            Quota::of("indexes in the fullest collection", fullest, 1_000, false, FAILS, OPENSEARCH),
            Quota::of("OCUs for indexing, and as many for search, while idle", idle, 10, true, WAIT, OPENSEARCH),
            Quota::of("roles in the account", self.roles, 1_000, true, FAILS, IAM),
            Quota::of("buckets in the account", self.buckets, 10_000, true, FAILS, S3),
            Quota::of("keys in the account and region", self.keys, 100_000, true, FAILS, KMS),
        ];
        rows.into_iter().chain(documents.quotas()).collect()
    }
}

impl Documents {
    /// Each limit that they touch.
    fn quotas(self) -> Vec<Quota> {
        const FAILS: &str = "the job fails";
        const LEFT_OUT: &str = "the document is left out";
        let Self { most, bytes } = self;
        let mut rows =
            vec![Quota::of("documents in an ingestion job", most, 5_000_000, false, FAILS, BEDROCK)];
        if let Some(bytes) = bytes {
            let of_job = most.saturating_mul(bytes);
            rows.extend([
                Quota::of("bytes in an ingestion job", of_job, JOB_BYTES, false, FAILS, BEDROCK),
                Quota::of("bytes in a document", bytes, DOCUMENT_BYTES, false, LEFT_OUT, BEDROCK),
            ]);
        }
        rows
    }
}

impl Quota {
    /// A row: what is limited, what is taken of it, how much there is, whether AWS raises it, what happens beyond, and who
    /// says so.
    const fn of(
        what: &'static str,
        used: u64,
        limit: u64,
        adjustable: bool,
        beyond: &'static str,
        source: &'static str,
    ) -> Self {
        Self { what, used, limit, adjustable, fits: used <= limit, beyond, source }
    }
}
