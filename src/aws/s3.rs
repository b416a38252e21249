//! S3: buckets, and the settings that are written.
//!
//! Every call says which account must own the bucket: bucket names are shared by all of AWS, and a bucket of our name
//! in another account must never be taken for ours.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html>

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::BuildError;
use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketNamespace, BucketVersioningStatus, CreateBucketConfiguration,
    ObjectOwnership, OwnershipControls, OwnershipControlsRule, PublicAccessBlockConfiguration,
    ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration,
    ServerSideEncryptionRule, Tag, Tagging, VersioningConfiguration,
};
use serde_json::Value;

use super::fault::gone;
use super::gate::Gate;
use super::values::Tags;
use crate::stack::fault::Fault;
use crate::stack::iam::operation::s3;

/// Buckets and their settings.
#[derive(Clone, Debug)]
pub struct Buckets {
    pub(super) client: Client,
    pub(super) account: String,
    pub(super) gate: Gate,
}

/// An S3 client. An endpoint of one's own has no DNS name for each bucket, so there the bucket goes into the path.
pub(super) fn client(config: &SdkConfig) -> Client {
    let own_endpoint = config.endpoint_url().is_some();
    Client::from_conf(aws_sdk_s3::config::Builder::from(config).force_path_style(own_endpoint).build())
}

impl Buckets {
    pub(super) fn new(client: Client, account: &str, gate: &Gate) -> Self {
        Self { client, account: account.into(), gate: gate.clone() }
    }

    /// Makes a bucket that carries its tags from its first moment, so that none of our name is ever without an owner.
    /// Also needs s3:TagResource. `region` is the client's own; us-east-1 must not be named, it is what no name means.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html>
    pub async fn create(&self, name: &str, region: &str, tags: &Tags) -> Result<(), Fault> {
        self.create_in(None, name, region, tags).await
    }

    /// The same in a namespace of names; without one, in that which all of AWS shares.
    pub(super) async fn create_in(
        &self,
        namespace: Option<BucketNamespace>,
        name: &str,
        region: &str,
        tags: &Tags,
    ) -> Result<(), Fault> {
        let call = self.gate.call(s3::CreateBucket, name);
        let location = (region != "us-east-1").then(|| BucketLocationConstraint::from(region));
        let configuration = CreateBucketConfiguration::builder()
            .set_location_constraint(location)
            .set_tags(Some(tag_set(tags).map_err(call.unbuilt())?))
            .build();
        let request = self.client.create_bucket().bucket(name).create_bucket_configuration(configuration);
        call.send(request.set_bucket_namespace(namespace).send()).await.map(drop)
    }

    /// Replaces all tags; at most 50.
    pub async fn put_tags(&self, name: &str, tags: &Tags) -> Result<(), Fault> {
        let call = self.gate.call(s3::PutBucketTagging, name);
        let tagging = tag_set(tags).and_then(|tags| Tagging::builder().set_tag_set(Some(tags)).build());
        let request = self.client.put_bucket_tagging().bucket(name).expected_bucket_owner(&self.account);
        call.send(request.tagging(tagging.map_err(call.unbuilt())?).send()).await.map(drop)
    }

    /// Switches on all four of Block Public Access.
    pub async fn put_public_access_block(&self, name: &str) -> Result<(), Fault> {
        let call = self.gate.call(s3::PutPublicAccessBlock, name);
        let request = self.client.put_public_access_block().bucket(name).expected_bucket_owner(&self.account);
        let request = request.public_access_block_configuration(no_public_access());
        call.send(request.send()).await.map(drop)
    }

    /// Lets the bucket's owner own every object, whoever wrote it; ACLs are off.
    pub async fn put_ownership_enforced(&self, name: &str) -> Result<(), Fault> {
        let call = self.gate.call(s3::PutBucketOwnershipControls, name);
        let rule =
            OwnershipControlsRule::builder().object_ownership(ObjectOwnership::BucketOwnerEnforced).build();
        let controls = rule.and_then(|rule| OwnershipControls::builder().rules(rule).build());
        let request =
            self.client.put_bucket_ownership_controls().bucket(name).expected_bucket_owner(&self.account);
        let request = request.ownership_controls(controls.map_err(call.unbuilt())?);
        call.send(request.send()).await.map(drop)
    }

    /// Replaces the bucket policy; at most 20 KB.
    pub async fn put_policy(&self, name: &str, policy: &Value) -> Result<(), Fault> {
        let call = self.gate.call(s3::PutBucketPolicy, name);
        let request = self.client.put_bucket_policy().bucket(name).expected_bucket_owner(&self.account);
        call.send(request.policy(policy.to_string()).send()).await.map(drop)
    }

    /// How new objects are encrypted: by a KMS key, with a bucket key to keep its calls few, or by S3's own.
    pub async fn put_encryption(&self, name: &str, key_arn: Option<&str>) -> Result<(), Fault> {
        let call = self.gate.call(s3::PutBucketEncryption, name);
        let request = self.client.put_bucket_encryption().bucket(name).expected_bucket_owner(&self.account);
        let request =
            request.server_side_encryption_configuration(encryption(key_arn).map_err(call.unbuilt())?);
        call.send(request.send()).await.map(drop)
    }

    /// Keeps what is overwritten or deleted as an older version, or no longer does.
    pub async fn put_versioning(&self, name: &str, enabled: bool) -> Result<(), Fault> {
        let call = self.gate.call(s3::PutBucketVersioning, name);
        let status =
            if enabled { BucketVersioningStatus::Enabled } else { BucketVersioningStatus::Suspended };
        let configuration = VersioningConfiguration::builder().status(status).build();
        let request = self.client.put_bucket_versioning().bucket(name).expected_bucket_owner(&self.account);
        call.send(request.versioning_configuration(configuration).send()).await.map(drop)
    }

    /// Deletes a bucket, which must be empty: no objects, versions or delete markers. Its name can be refused for a
    /// while afterwards (`OperationAborted`).
    pub async fn delete(&self, name: &str) -> Result<(), Fault> {
        let request = self.client.delete_bucket().bucket(name).expected_bucket_owner(&self.account);
        gone(self.gate.call(s3::DeleteBucket, name).send(request.send()).await)
    }
}

fn tag_set(tags: &Tags) -> Result<Vec<Tag>, BuildError> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

pub(super) fn no_public_access() -> PublicAccessBlockConfiguration {
    PublicAccessBlockConfiguration::builder()
        .block_public_acls(true)
        .ignore_public_acls(true)
        .block_public_policy(true)
        .restrict_public_buckets(true)
        .build()
}

fn encryption(key_arn: Option<&str>) -> Result<ServerSideEncryptionConfiguration, BuildError> {
    let algorithm =
        if key_arn.is_some() { ServerSideEncryption::AwsKms } else { ServerSideEncryption::Aes256 };
    let default = ServerSideEncryptionByDefault::builder()
        .sse_algorithm(algorithm)
        .set_kms_master_key_id(key_arn.map(Into::into))
        .build()?;
    let rule = ServerSideEncryptionRule::builder()
        .apply_server_side_encryption_by_default(default)
        .bucket_key_enabled(key_arn.is_some())
        .build();
    ServerSideEncryptionConfiguration::builder().rules(rule).build()
}
