//! S3 Vectors as the vector store: a vector bucket with its policy, and the indexes in it.
//!
//! An index is its own resource with tags and, if need be, a key, and IAM alone says who may read vectors. What the data access
//! policy of a collection does, that one role reads one index, the bucket's policy does here by tags: it refuses vectors to every
//! role but those of the installation, and to each of these all but the index that bears the same tag.

mod index;
pub mod vector_bucket;

pub use self::index::{IndexDetail, found_index};
pub(crate) use self::index::{NOT_FILTERABLE, has_mode, metric, read_back, schema};

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use super::capacity::Capacity;
use super::features::{Features, StoreCounts};
use super::metadata::MetadataLimits;
use crate::api::Layer;
use crate::stack::iam::ask::TENANT_ID;
use crate::stack::iam::boundary::FILLS_AND_FINDS;
use crate::stack::iam::operation::s3vectors;
use crate::stack::identity::{Identity, Owner, Scope};
use crate::stack::quota::{Quota, STALLS};

/// A vector bucket that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VectorBucketHandle {
    /// Its ARN.
    pub arn: String,
}

impl VectorBucketHandle {
    /// One of this name.
    pub(crate) fn named(scope: &Scope, name: &str) -> Self {
        Self { arn: scope.arn("s3vectors", &format!("bucket/{name}")) }
    }

    /// The bucket of an index.
    pub(crate) fn of_index(arn: &str) -> Option<Self> {
        arn.split_once("/index/").map(|(bucket, _)| Self { arn: bucket.into() })
    }

    /// The ARN of an index in it.
    pub fn index_arn(&self, index: &str) -> String {
        format!("{}/index/{index}", self.arn)
    }
}

/// What differs from other stores.
pub(crate) const FEATURES: Features = Features {
    words: "vector bucket",
    title: "Vector bucket",
    index_needs: &[Layer::VectorStore],
    create_index: s3vectors::CreateIndex,
    create_data_access: None,
    declares: false,
    index_has_tags: true,
    takes_indexes_along: false,
    bills_vectors: true,
    made_at_once: true,
    finds_words: false,
    no_operators: &["startsWith", "stringContains"],
    metadata: Some(METADATA),
    decrypts: Some(INDEXING),
    key_statement: Some(key_statement),
    quotas,
};

/// What Bedrock takes along of a document into an index: so many bytes of its metadata file, and so many attributes.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/knowledge-base-setup.html>
const METADATA: MetadataLimits = MetadataLimits { bytes: 1_024, attributes: 35 };

/// The service that indexes vectors by itself.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-vectors-data-encryption.html>
pub const INDEXING: &str = "indexing.s3vectors.amazonaws.com";

/// What the policy of a key says, for the service that indexes: without it there is no index under that key.
fn key_statement(scope: &Scope) -> Value {
    json!({
        "Sid": "VectorsAreIndexed", "Effect": "Allow", "Principal": {"Service": INDEXING},
        "Action": "kms:Decrypt", "Resource": "*",
        "Condition": {
            "StringEquals": {"aws:SourceAccount": scope.account},
            "ArnLike": {"aws:SourceArn": scope.arn("s3vectors", "bucket/*")},
            "ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": ["aws:s3vectors:arn", "aws:s3vectors:resource-id"]},
        },
    })
}

/// What reads and writes vectors.
const OF_VECTORS: [&str; 5] = [
    "s3vectors:DeleteVectors",
    "s3vectors:GetVectors",
    "s3vectors:ListVectors",
    "s3vectors:PutVectors",
    "s3vectors:QueryVectors",
];

/// What a role may do that fills one index and finds in it.
pub(crate) fn permission(index_arn: &str) -> Value {
    json!({"Sid": "Vectors", "Effect": "Allow", "Action": FILLS_AND_FINDS, "Resource": index_arn})
}

/// The tag that an index and the role of its knowledge base both bear, beside the tags of all that is ours: by it the policy of
/// the bucket tells which role may read which index. A tag's key that has a slash may be none that a policy's variable can name.
/// It does not change when another object takes both over.
pub(crate) fn fence_tag(id: &Identity) -> BTreeMap<String, String> {
    let value = match &id.owner {
        Owner::Tenant { tenant_id, .. } => tenant_id.clone(),
        // No tenantId has a slash.
        Owner::Stack { name } => format!("stack/{name}"),
    };
    BTreeMap::from([(TENANT_ID.to_owned(), value)])
}

/// The policy of a vector bucket, which never grows with tenants. Denials bind whoever is allowed by whatever policy of IAM's: who
/// is not one of the installation's roles, whose role has no tag, and whose tag is another than the index's.
pub(crate) fn policy(scope: &Scope, bucket: &str) -> Value {
    let indexes = scope.arn("s3vectors", &format!("bucket/{bucket}/index/*"));
    let roles = format!("arn:{}:iam::{}:role{}*", scope.partition, scope.account, scope.role_path());
    let deny = |sid: &str, condition: Value| {
        json!({"Sid": sid, "Effect": "Deny", "Principal": {"AWS": "*"}, "Action": OF_VECTORS, "Resource": indexes,
            "Condition": condition})
    };
    json!({"Version": "2012-10-17", "Statement": [
        deny("OnlyRolesOfTheInstallation", json!({"ArnNotLike": {"aws:PrincipalArn": roles}})),
        deny("OnlyTaggedRoles", json!({"Null": {format!("aws:PrincipalTag/{TENANT_ID}"): "true"}})),
        // Also where the index has no such tag.
        deny("OnlyTheirOwnIndex", json!({"StringNotEquals": {
            format!("aws:ResourceTag/{TENANT_ID}"): format!("${{aws:PrincipalTag/{TENANT_ID}}}"),
        }})),
    ]})
}

/// AWS's limits, which are the same for all accounts.
fn quotas(counts: &StoreCounts, _: &BTreeSet<Capacity>) -> Vec<Quota> {
    const SOURCE: &str = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-vectors-limitations.html";
    let StoreCounts { stores, .. } = *counts;
    vec![
        Quota::of("vector buckets in the account and region", stores, 10_000, true, STALLS, SOURCE),
        Quota::of("indexes in the fullest vector bucket", counts.fullest(), 10_000, true, STALLS, SOURCE),
    ]
}

#[cfg(test)]
mod tests;
