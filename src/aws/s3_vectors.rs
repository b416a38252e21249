//! S3 Vectors: vector buckets. No call has a client token, and each is done when it is answered: who lost an answer meets a
//! conflict, and looks.

use aws_sdk_s3vectors::Client;
use aws_sdk_s3vectors::types::{EncryptionConfiguration, IndexMode, SseType};
use serde_json::Value;

use super::fault::{found, gone};
use super::gate::Gate;
use super::values::Tags;
use crate::stack::fault::Fault;
use crate::stack::iam::operation::s3vectors;
use crate::stack::store::s3_vectors::vector_bucket::VectorBucketDetail;

/// Vector buckets.
#[derive(Clone, Debug)]
pub struct VectorBuckets {
    client: Client,
    gate: Gate,
}

impl VectorBuckets {
    pub(super) fn new(client: Client, gate: &Gate) -> Self {
        Self { client, gate: gate.clone() }
    }

    /// A vector bucket with its tags and its policy, by name.
    pub async fn find(&self, name: &str) -> Result<Option<VectorBucketDetail>, Fault> {
        let Some(detail) = self.detail(name).await? else { return Ok(None) };
        let policy = self.policy(name).await?;
        Ok(Some(VectorBucketDetail { policy, ..detail }))
    }

    /// A vector bucket with its tags, by name.
    pub async fn detail(&self, name: &str) -> Result<Option<VectorBucketDetail>, Fault> {
        let call = self.gate.call(s3vectors::GetVectorBucket, name);
        let answer = call.send(self.client.get_vector_bucket().vector_bucket_name(name).send());
        let Some(answer) = found(answer.await)? else { return Ok(None) };
        let bucket = answer.vector_bucket.ok_or_else(|| call.empty())?;
        let arn = bucket.vector_bucket_arn;
        let Some(tags) = found(tags(&self.client, &self.gate, &arn).await)? else { return Ok(None) };
        Ok(Some(VectorBucketDetail {
            key_arn: bucket.encryption_configuration.and_then(|it| it.kms_key_arn),
            mode: bucket.default_index_mode.map(|mode| mode.as_str().to_owned()),
            policy: None,
            tags,
            arn,
        }))
    }

    /// The names of all vector buckets that begin so, whosever they are.
    pub async fn names(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        let call = self.gate.call(s3vectors::ListVectorBuckets, "all");
        let pages = self.client.list_vector_buckets().prefix(prefix).max_results(500).into_paginator().send();
        let pages = call.pages(pages, |page| page.next_token.is_some()).await?;
        Ok(pages.into_iter().flat_map(|page| page.vector_buckets).map(|it| it.vector_bucket_name).collect())
    }

    /// Makes a vector bucket; `name` has 3 to 63 characters of `[a-z0-9-]`, and is the account's and region's own. Its key can
    /// never be changed. Also needs s3vectors:TagResource, and kms:GenerateDataKey for a customer key.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_S3VectorBuckets_CreateVectorBucket.html>
    pub async fn create(&self, name: &str, key_arn: Option<&str>, tags: &Tags) -> Result<(), Fault> {
        let call = self.gate.call(s3vectors::CreateVectorBucket, name);
        let request = self.client.create_vector_bucket().vector_bucket_name(name);
        let request = request
            .set_encryption_configuration(key_arn.map(encryption))
            .set_tags(Some(tags.clone().into_iter().collect()));
        call.send(request.send()).await.map(drop)
    }

    /// Puts a policy in place of whatever there is.
    pub async fn put_policy(&self, name: &str, policy: &Value) -> Result<(), Fault> {
        let call = self.gate.call(s3vectors::PutVectorBucketPolicy, name);
        let request = self.client.put_vector_bucket_policy().vector_bucket_name(name);
        call.send(request.policy(policy.to_string()).send()).await.map(drop)
    }

    /// Lets indexes that are made from now on filter before they search.
    pub async fn put_mode(&self, name: &str) -> Result<(), Fault> {
        let call = self.gate.call(s3vectors::PutVectorBucketDefaultIndexMode, name);
        let request = self.client.put_vector_bucket_default_index_mode().vector_bucket_name(name);
        call.send(request.default_index_mode(IndexMode::Enhanced).send()).await.map(drop)
    }

    /// Adds tags, over those of the same names.
    pub async fn tag(&self, arn: &str, tags: &Tags) -> Result<(), Fault> {
        tag(&self.client, &self.gate, arn, tags).await
    }

    /// Deletes a vector bucket. One that has an index is a conflict.
    pub async fn delete(&self, name: &str) -> Result<(), Fault> {
        let call = self.gate.call(s3vectors::DeleteVectorBucket, name);
        gone(call.send(self.client.delete_vector_bucket().vector_bucket_name(name).send()).await)
    }

    async fn policy(&self, name: &str) -> Result<Option<Value>, Fault> {
        let call = self.gate.call(s3vectors::GetVectorBucketPolicy, name);
        let request = self.client.get_vector_bucket_policy().vector_bucket_name(name);
        let answer = found(call.send(request.send()).await)?;
        // What cannot be read is no policy of ours.
        Ok(answer
            .and_then(|answer| answer.policy)
            .map(|text| serde_json::from_str(&text).unwrap_or_default()))
    }
}

/// Under a customer key.
pub(super) fn encryption(key_arn: &str) -> EncryptionConfiguration {
    EncryptionConfiguration::builder().sse_type(SseType::AwsKms).kms_key_arn(key_arn).build()
}

/// The tags of a vector bucket or of an index.
pub(super) async fn tags(client: &Client, gate: &Gate, arn: &str) -> Result<Tags, Fault> {
    let call = gate.call(s3vectors::ListTagsForResource, arn);
    let answer = call.send(client.list_tags_for_resource().resource_arn(arn).send()).await?;
    Ok(answer.tags.into_iter().collect())
}

/// Adds tags to either.
pub(super) async fn tag(client: &Client, gate: &Gate, arn: &str, tags: &Tags) -> Result<(), Fault> {
    let call = gate.call(s3vectors::TagResource, arn);
    let request = client.tag_resource().resource_arn(arn);
    call.send(request.set_tags(Some(tags.clone().into_iter().collect())).send()).await.map(drop)
}
