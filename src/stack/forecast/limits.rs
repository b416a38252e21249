//! AWS's limits, and what a plan takes of them. What is in the account already is not known here, and comes on top.
//!
//! Numbers are those of a new account; the pages in `source` have the current ones.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::api::VectorStore;
use crate::stack::model::desired::Desired;
pub use crate::stack::quota::Quota;
use crate::stack::quota::STALLS as FAILS;
pub use crate::stack::store::Capacity;
use crate::stack::store::{self, StoreCounts};

const BEDROCK: &str = "https://docs.aws.amazon.com/general/latest/gr/bedrock.html";
const S3: &str = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/BucketRestrictions.html";
const IAM: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html";
const KMS: &str = "https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html";

/// Bytes that one ingestion job takes: 100 GB.
const JOB_BYTES: u64 = 100_000_000_000;
/// Bytes that one document may have: 50 MB.
const DOCUMENT_BYTES: u64 = 50_000_000;

/// Questions that AWS answers in a second, to all knowledge bases of an account and region together. It raises that for nobody.
const QUESTIONS_A_SECOND: u32 = 20;

/// What is left for each tenant of the questions that AWS answers. No row of a table: nobody knows beforehand how many are
/// asked.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Questions {
    /// How many a second AWS answers, to all knowledge bases of the account and region together.
    pub per_second: u32,
    /// How many tenants are planned.
    pub tenants: usize,
    /// How many a minute each of them may ask, if all ask alike. None without tenants.
    pub per_tenant_and_minute: Option<f64>,
    /// Who says so.
    pub source: &'static str,
}

impl Questions {
    /// Those of so many tenants.
    #[expect(clippy::cast_precision_loss, reason = "nobody has so many tenants")]
    pub fn of(tenants: usize) -> Self {
        let all = f64::from(QUESTIONS_A_SECOND) * 60.0;
        let each = (tenants > 0).then(|| all / tenants as f64);
        Self { per_second: QUESTIONS_A_SECOND, tenants, per_tenant_and_minute: each, source: BEDROCK }
    }
}

/// What one owner, or all of them, take of AWS's limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Keys that are created.
    pub keys: u64,
    /// Buckets.
    pub buckets: u64,
    /// Roles.
    pub roles: u64,
    /// Knowledge bases.
    pub knowledge_bases: u64,
    /// What is taken of each kind of vector store.
    pub stores: BTreeMap<VectorStore, StoreCounts>,
}

/// What the documents of a plan take of AWS's limits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Documents {
    /// In the fullest knowledge base.
    pub most: u64,
    /// How long each is, if that is known.
    pub bytes: Option<u64>,
}

impl Counts {
    /// What an owner takes.
    pub fn of(want: &Desired) -> Self {
        let Desired { key, bucket, vector_store, role, index, knowledge_base } = want;
        let in_store = role.as_ref().zip(index.as_ref()).map(|(role, _)| (role.store.name.clone(), 1));
        let of_store = StoreCounts {
            stores: vector_store.is_some().into(),
            roles: role.is_some().into(),
            indexes: in_store.into_iter().collect(),
        };
        Self {
            keys: key.is_some().into(),
            buckets: bucket.is_some().into(),
            roles: role.is_some().into(),
            knowledge_bases: knowledge_base.is_some().into(),
            stores: want.store_kind().map(|kind| (kind, of_store)).into_iter().collect(),
        }
    }

    /// All of them together.
    pub fn sum<'a>(all: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut sum = Self::default();
        for Self { keys, buckets, roles, knowledge_bases, stores } in all {
            sum.keys += keys;
            sum.buckets += buckets;
            sum.roles += roles;
            sum.knowledge_bases += knowledge_bases;
            for (kind, counts) in stores {
                sum.stores.entry(*kind).or_default().add(counts);
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
        const REFUSED: &str = "a Tenant is refused: Accepted=False, QuotaReserved";
        let built = self.knowledge_bases;
        let knowledge_bases = [
            Quota::of("knowledge bases in the account and region", built, 100, false, FAILS, BEDROCK),
            Quota::of(
                "knowledge bases that the operator builds (--max-knowledge-bases)",
                built,
                knowledge_bases,
                true,
                REFUSED,
                "tenantry run --help",
            ),
        ];
        let of_stores = VectorStore::ALL.into_iter().flat_map(|kind| {
            let none = StoreCounts::default();
            (store::features(kind).quotas)(self.stores.get(&kind).unwrap_or(&none), capacities)
        });
        let others = [
            Quota::of("roles in the account", self.roles, 1_000, true, FAILS, IAM),
            Quota::of("buckets in the account", self.buckets, 10_000, true, FAILS, S3),
            Quota::of("keys in the account and region", self.keys, 100_000, true, FAILS, KMS),
        ];
        knowledge_bases.into_iter().chain(of_stores).chain(others).chain(documents.quotas()).collect()
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
