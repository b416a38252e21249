//! A vector bucket with its policy: what it should be, what AWS says it is, and what is still to do.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::change::{Fixed, StoreChange};
use super::VectorBucketHandle;
use super::index::MODE;
use crate::api::Layer;
use crate::stack::compare::{carries, differing, same};
use crate::stack::iam::operation::{Operation, s3vectors};

/// A vector bucket and all its settings.
#[derive(Clone, Debug, PartialEq)]
pub struct DesiredVectorBucket {
    /// Its name.
    pub name: String,
    /// The owner's tags.
    pub tags: BTreeMap<String, String>,
    /// The key; `None` = S3's own.
    pub key_arn: Option<String>,
    /// Who may not read and write the vectors in it.
    pub policy: Value,
}

/// What AWS says of a vector bucket. Without `detail` there is none.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct VectorBucketFacts {
    /// The bucket.
    pub detail: Option<VectorBucketDetail>,
}

/// A vector bucket, its tags and its policy.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorBucketDetail {
    /// Its ARN.
    pub arn: String,
    /// The key, where it is a customer's.
    pub key_arn: Option<String>,
    /// The mode of indexes that are made in it, if that is said.
    pub mode: Option<String>,
    /// Its policy, if it has one.
    pub policy: Option<Value>,
    /// All tags.
    pub tags: BTreeMap<String, String>,
}

/// Something of a vector bucket that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VectorBucketChange {
    /// There is none yet.
    Create,
    /// Its policy is missing, or says something else.
    Policy,
    /// Indexes that are made in it would be asked in another mode.
    Mode,
    /// A tag of ours or of the user's is missing or differs.
    Tags,
}

impl VectorBucketDetail {
    /// How one gets at it.
    pub fn handle(&self) -> VectorBucketHandle {
        VectorBucketHandle { arn: self.arn.clone() }
    }
}

impl VectorBucketFacts {
    /// It, if it is there.
    pub(crate) fn things(&self, name: &str) -> Vec<(&'static str, String)> {
        self.detail.iter().map(|_| (Layer::VectorStore.words(), name.to_owned())).collect()
    }
}

/// A vector bucket that has just been made: it has its tags, and the mode that all have since 2026-09-30.
pub(crate) fn new_bucket(want: &DesiredVectorBucket) -> VectorBucketDetail {
    VectorBucketDetail {
        arn: String::new(),
        key_arn: want.key_arn.clone(),
        mode: Some(MODE.into()),
        policy: None,
        tags: want.tags.clone(),
    }
}

impl DesiredVectorBucket {
    /// What differs between a vector bucket and this one. Of one that is not there, all that follows its making.
    pub fn changes(&self, facts: &VectorBucketFacts) -> Vec<VectorBucketChange> {
        use VectorBucketChange::{Create, Mode, Policy, Tags};
        let new = new_bucket(self);
        let detail = facts.detail.as_ref().unwrap_or(&new);
        differing([
            (Create, facts.detail.is_some()),
            (Policy, detail.policy.as_ref().is_some_and(|found| same(found, &self.policy))),
            (Mode, detail.mode.as_deref().is_none_or(|mode| mode == MODE)),
            (Tags, carries(&detail.tags, &self.tags)),
        ])
    }

    /// What never changes of one that is there.
    pub(crate) fn fixed(&self, facts: &VectorBucketFacts) -> Vec<Fixed> {
        let key = |arn: &Option<String>| arn.clone().unwrap_or_else(|| "S3's own".into());
        let found = facts.detail.iter();
        let key = |found: &VectorBucketDetail| Fixed {
            setting: "the vector bucket's key",
            has: Some(key(&found.key_arn)),
            wanted: key(&self.key_arn),
        };
        found.map(key).collect()
    }
}

impl VectorBucketChange {
    /// As whoever knows no vector bucket asks of it.
    pub(crate) fn told(self) -> StoreChange {
        StoreChange {
            words: Some(self.words()),
            lets_answers_be: self != VectorBucketChange::Create,
            call: Some((self.call(), "vector bucket")),
        }
    }

    /// The call that puts it right.
    const fn call(self) -> Operation {
        match self {
            VectorBucketChange::Create => s3vectors::CreateVectorBucket,
            VectorBucketChange::Policy => s3vectors::PutVectorBucketPolicy,
            VectorBucketChange::Mode => s3vectors::PutVectorBucketDefaultIndexMode,
            VectorBucketChange::Tags => s3vectors::TagResource,
        }
    }

    /// As a sentence names it.
    const fn words(self) -> &'static str {
        match self {
            VectorBucketChange::Create => "it was gone",
            VectorBucketChange::Policy => "its policy",
            VectorBucketChange::Mode => "its index mode",
            VectorBucketChange::Tags => "its tags",
        }
    }
}
