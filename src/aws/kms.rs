//! KMS: keys and their aliases.
//!
//! CreateKey has no name and no token, so that calling it twice makes two keys. The alias is a key's name for us; the
//! tags find a key whose alias was not written any more.

use aws_sdk_kms::Client;
use aws_sdk_kms::error::BuildError;
use aws_sdk_kms::types::{KeyManagerType, KeyMetadata, KeySpec, KeyUsageType, Tag};
use futures::future::ready;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;

use super::fault::{found, gone};
use super::gate::Gate;
use super::values::Tags;
use crate::stack::fault::{Class, Fault};
use crate::stack::iam::operation::kms;
use crate::stack::model::diff;
use crate::stack::model::observed::KeyFacts;

/// How many keys are looked at side by side. KMS grants 50 reads a second and more.
const SIDE_BY_SIDE: usize = 4;

/// KMS keys and their aliases.
#[derive(Clone, Debug)]
pub struct Keys {
    client: Client,
    gate: Gate,
}

/// What DescribeKey says of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDetail {
    /// Its ARN.
    pub arn: String,
    /// `Enabled`, `Disabled`, `PendingDeletion`, …
    pub state: String,
    /// Whether it encrypts and decrypts with one secret: the only sort that S3, Bedrock and AOSS take.
    pub symmetric: bool,
    /// Whether it has copies in other regions: AOSS takes none of those.
    pub multi_region: bool,
    /// Whether it is a customer's and not an AWS service's.
    pub customer: bool,
}

impl Keys {
    pub(super) fn new(client: Client, gate: &Gate) -> Self {
        Self { client, gate: gate.clone() }
    }

    /// The key behind `alias/<name>`.
    pub async fn find(&self, name: &str) -> Result<Option<KeyFacts>, Fault> {
        let found = self.describe(&alias(name)).await?;
        Ok(found.map(|(key, tags)| KeyFacts {
            arn: key.arn,
            has_alias: true,
            state: key.state,
            tags,
            foreign: None,
            lets_store_in: true,
        }))
    }

    /// Any key, by ARN, id or alias, with its tags.
    /// <https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html>
    pub async fn describe(&self, key: &str) -> Result<Option<(KeyDetail, Tags)>, Fault> {
        let Some(detail) = found(self.detail(key).await)? else {
            return Ok(None);
        };
        let tags = self.tags(&detail.arn).await?;
        Ok(Some((detail, tags)))
    }

    /// The enabled customer key that carries all of these tags. It reads the tags of every key of the account: for the
    /// case that a key was made and its alias was not.
    pub async fn find_by_tags(&self, wanted: &Tags) -> Result<Option<KeyFacts>, Fault> {
        let keys = self.all().await?;
        let looks: Vec<_> = keys.iter().map(|arn| self.carries(arn, wanted)).collect();
        let mut carriers =
            stream::iter(looks).buffer_unordered(SIDE_BY_SIDE).try_filter_map(|arn| ready(Ok(arn)));
        while let Some((arn, tags)) = carriers.try_next().await? {
            let detail = found(self.detail(&arn).await)?;
            if let Some(key) = detail.filter(|key| key.customer && key.state == "Enabled") {
                return Ok(Some(KeyFacts {
                    arn: key.arn,
                    has_alias: false,
                    state: key.state,
                    tags,
                    foreign: None,
                    lets_store_in: true,
                }));
            }
        }
        Ok(None)
    }

    /// The policy of a key. None: it has none that can be read.
    pub async fn policy(&self, arn: &str) -> Result<Option<Value>, Fault> {
        let call = self.gate.call(kms::GetKeyPolicy, arn);
        let answer = found(call.send(self.client.get_key_policy().key_id(arn).send()).await)?;
        Ok(answer.and_then(|answer| serde_json::from_str(&answer.policy?).ok()))
    }

    /// Makes a symmetric key and answers with its ARN. Also needs kms:TagResource. `description` has at most 8,192
    /// characters, `policy` 32,768 bytes.
    /// <https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateKey.html>
    pub async fn create(&self, policy: &Value, description: &str, tags: &Tags) -> Result<String, Fault> {
        let call = self.gate.call(kms::CreateKey, description);
        let tags = tags.iter().map(tag).collect::<Result<Vec<_>, _>>().map_err(call.unbuilt())?;
        let request = self.client.create_key().policy(policy.to_string()).description(description);
        let answer = call.send(request.set_tags(Some(tags)).send()).await?;
        answer.key_metadata.and_then(|key| key.arn).ok_or_else(|| call.empty())
    }

    /// Adds tags to a key, over those of the same names.
    pub async fn tag(&self, arn: &str, tags: &Tags) -> Result<(), Fault> {
        let call = self.gate.call(kms::TagResource, arn);
        let tags = tags.iter().map(tag).collect::<Result<Vec<_>, _>>().map_err(call.unbuilt())?;
        let request = self.client.tag_resource().key_id(arn).set_tags(Some(tags));
        call.send(request.send()).await.map(drop)
    }

    /// Points `alias/<name>` at a key. An alias that exists is a conflict, and stays as it is: it may be another's.
    pub async fn put_alias(&self, name: &str, key_arn: &str) -> Result<(), Fault> {
        let call = self.gate.call(kms::CreateAlias, name);
        let request = self.client.create_alias().alias_name(alias(name)).target_key_id(key_arn);
        call.send(request.send()).await.map(drop)
    }

    /// Removes `alias/<name>`; the key stays.
    pub async fn delete_alias(&self, name: &str) -> Result<(), Fault> {
        let call = self.gate.call(kms::DeleteAlias, name);
        gone(call.send(self.client.delete_alias().alias_name(alias(name)).send()).await)
    }

    /// Lets a key be deleted in `days` days, 7 to 30; until then it can be rescued, but no longer used. A key that is
    /// scheduled already is a `KMSInvalidStateException`.
    /// <https://docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html>
    pub async fn schedule_deletion(&self, arn: &str, days: i32) -> Result<(), Fault> {
        let call = self.gate.call(kms::ScheduleKeyDeletion, arn);
        let request = self.client.schedule_key_deletion().key_id(arn).pending_window_in_days(days);
        gone(call.send(request.send()).await)
    }

    async fn detail(&self, key: &str) -> Result<KeyDetail, Fault> {
        let call = self.gate.call(kms::DescribeKey, key);
        let answer = call.send(self.client.describe_key().key_id(key).send()).await?;
        answer.key_metadata.map(detail).ok_or_else(|| call.empty())
    }

    async fn all(&self) -> Result<Vec<String>, Fault> {
        let call = self.gate.call(kms::ListKeys, "all keys");
        let pages = call
            .pages(self.client.list_keys().limit(1000).into_paginator().send(), |page| page.truncated)
            .await?;
        Ok(pages
            .into_iter()
            .flat_map(|page| page.keys.unwrap_or_default())
            .filter_map(|key| key.key_arn)
            .collect())
    }

    async fn tags(&self, arn: &str) -> Result<Tags, Fault> {
        let call = self.gate.call(kms::ListResourceTags, arn);
        let pages = call
            .pages(self.client.list_resource_tags().key_id(arn).into_paginator().send(), |page| {
                page.truncated
            })
            .await?;
        let tags = pages.into_iter().flat_map(|page| page.tags.unwrap_or_default());
        Ok(tags.map(|tag| (tag.tag_key, tag.tag_value)).collect())
    }

    /// The ARN again with all tags, if the key carries these. A key whose own policy shuts us out is not ours.
    async fn carries(&self, arn: &str, wanted: &Tags) -> Result<Option<(String, Tags)>, Fault> {
        let tags = match self.tags(arn).await {
            Err(fault) if matches!(fault.class, Class::Denied | Class::NotFound) => return Ok(None),
            tags => tags?,
        };
        Ok(diff::carries(&tags, wanted).then(|| (arn.to_owned(), tags)))
    }
}

fn alias(name: &str) -> String {
    format!("alias/{name}")
}

fn tag((key, value): (&String, &String)) -> Result<Tag, BuildError> {
    Tag::builder().tag_key(key).tag_value(value).build()
}

fn detail(key: KeyMetadata) -> KeyDetail {
    KeyDetail {
        symmetric: key.key_spec == Some(KeySpec::SymmetricDefault)
            && key.key_usage == Some(KeyUsageType::EncryptDecrypt),
        multi_region: key.multi_region.unwrap_or(false),
        customer: key.key_manager == Some(KeyManagerType::Customer),
        state: key.key_state.map(|state| state.as_str().to_owned()).unwrap_or_default(),
        arn: key.arn.unwrap_or_default(),
    }
}
