//! S3: a bucket's settings, as they are.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{BucketVersioningStatus, ServerSideEncryption};
use futures::try_join;
use serde_json::Value;

use super::fault::found;
use super::s3::Buckets;
use super::s3::no_public_access;
use super::values::{Tags, tags};
use crate::stack::fault::{Class, Fault};
use crate::stack::iam::operation::s3;
use crate::stack::model::observed::BucketFacts;

impl Buckets {
    /// A bucket's settings; `None` if there is no such bucket. One in another account is `Denied`.
    pub async fn facts(&self, name: &str) -> Result<Option<BucketFacts>, Fault> {
        if found(self.head(name).await)?.is_none() {
            return Ok(None);
        }
        // What is not set is an answer in each of these; NotFound here means that the bucket went away meanwhile.
        found(self.settings(name).await)
    }

    pub(super) async fn head(&self, name: &str) -> Result<(), Fault> {
        let request = self.client.head_bucket().bucket(name).expected_bucket_owner(&self.account);
        self.gate.call(s3::HeadBucket, name).send(request.send()).await.map(drop)
    }

    async fn settings(&self, name: &str) -> Result<BucketFacts, Fault> {
        let (tags, blocks_public_access, object_ownership, policy, key_arn, versioned, lifecycle) = try_join!(
            self.tags(name),
            self.blocks_public_access(name),
            self.object_ownership(name),
            self.policy(name),
            self.key_arn(name),
            self.versioned(name),
            self.lifecycle(name),
        )?;
        Ok(BucketFacts {
            tags,
            blocks_public_access,
            object_ownership,
            policy,
            key_arn,
            versioned,
            lifecycle,
        })
    }

    /// The names of this account's buckets that begin so.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html>
    pub async fn names(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        let call = self.gate.call(s3::ListBuckets, "all");
        let request = self.client.list_buckets().prefix(prefix).max_buckets(1000);
        // Those of other regions answer nothing here.
        let region = Client::config(&self.client).region().map(ToString::to_string);
        let pages = request.set_bucket_region(region).into_paginator().send();
        let pages = call.pages(pages, |page| page.continuation_token.is_some()).await?;
        let names = pages.into_iter().flat_map(|page| page.buckets.unwrap_or_default());
        Ok(names.filter_map(|bucket| bucket.name).filter(|name| name.starts_with(prefix)).collect())
    }

    /// All tags of a bucket.
    pub async fn tags(&self, name: &str) -> Result<Tags, Fault> {
        let request = self.client.get_bucket_tagging().bucket(name).expected_bucket_owner(&self.account);
        let answer = set(self.gate.call(s3::GetBucketTagging, name).send(request.send()).await)?;
        Ok(tags(answer.map(|answer| answer.tag_set), |tag| (tag.key, tag.value)))
    }

    async fn blocks_public_access(&self, name: &str) -> Result<bool, Fault> {
        let request = self.client.get_public_access_block().bucket(name).expected_bucket_owner(&self.account);
        let answer = set(self.gate.call(s3::GetPublicAccessBlock, name).send(request.send()).await)?;
        Ok(answer.and_then(|answer| answer.public_access_block_configuration) == Some(no_public_access()))
    }

    async fn object_ownership(&self, name: &str) -> Result<Option<String>, Fault> {
        let request =
            self.client.get_bucket_ownership_controls().bucket(name).expected_bucket_owner(&self.account);
        let answer = set(self.gate.call(s3::GetBucketOwnershipControls, name).send(request.send()).await)?;
        let rules = answer.and_then(|answer| answer.ownership_controls).map(|controls| controls.rules);
        Ok(rules.unwrap_or_default().first().map(|rule| rule.object_ownership.as_str().to_owned()))
    }

    pub(super) async fn policy(&self, name: &str) -> Result<Option<Value>, Fault> {
        let request = self.client.get_bucket_policy().bucket(name).expected_bucket_owner(&self.account);
        let answer = set(self.gate.call(s3::GetBucketPolicy, name).send(request.send()).await)?;
        Ok(answer
            .and_then(|answer| answer.policy)
            .map(|text| serde_json::from_str(&text).unwrap_or_default()))
    }

    async fn key_arn(&self, name: &str) -> Result<Option<String>, Fault> {
        let request = self.client.get_bucket_encryption().bucket(name).expected_bucket_owner(&self.account);
        let answer = set(self.gate.call(s3::GetBucketEncryption, name).send(request.send()).await)?;
        let rules = answer.and_then(|answer| answer.server_side_encryption_configuration).map(|it| it.rules);
        let default =
            rules.unwrap_or_default().into_iter().find_map(|it| it.apply_server_side_encryption_by_default);
        // SSE-KMS without a key is the account's `aws/s3`, which is not S3's own either.
        Ok(default
            .filter(|default| default.sse_algorithm != ServerSideEncryption::Aes256)
            .map(|default| default.kms_master_key_id.unwrap_or_else(|| "alias/aws/s3".into())))
    }

    pub(super) async fn versioned(&self, name: &str) -> Result<bool, Fault> {
        let request = self.client.get_bucket_versioning().bucket(name).expected_bucket_owner(&self.account);
        let answer = self.gate.call(s3::GetBucketVersioning, name).send(request.send()).await?;
        Ok(answer.status == Some(BucketVersioningStatus::Enabled))
    }
}

/// A setting that is not set is an answer; a bucket that is gone is not.
pub(super) fn set<T>(result: Result<T, Fault>) -> Result<Option<T>, Fault> {
    match result {
        Err(fault) if fault.class == Class::NotFound && fault.code != "NoSuchBucket" => Ok(None),
        result => result.map(Some),
    }
}
