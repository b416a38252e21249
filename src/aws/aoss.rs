//! OpenSearch Serverless: collections.

use aws_sdk_opensearchserverless::Client;
use aws_sdk_opensearchserverless::error::BuildError;
use aws_sdk_opensearchserverless::types::{
    CollectionDetail as Detail, CollectionType, CreateCollectionDetail, StandbyReplicas as Replicas, Tag,
};

use super::fault::{found, gone};
use super::gate::Gate;
use super::values::{Tags, tags};
use crate::api::StandbyReplicas;
use crate::stack::fault::Fault;
use crate::stack::iam::operation::aoss;
use crate::stack::store::opensearch::collection::CollectionDetail;

/// OpenSearch Serverless collections.
#[derive(Clone, Debug)]
pub struct Collections {
    client: Client,
    fips: bool,
    gate: Gate,
}

impl Collections {
    pub(super) fn new(client: Client, fips: bool, gate: &Gate) -> Self {
        Self { client, fips, gate: gate.clone() }
    }

    /// A collection and its tags, by name.
    pub async fn find(&self, name: &str) -> Result<Option<CollectionDetail>, Fault> {
        let Some(detail) = self.detail(name).await? else {
            return Ok(None);
        };
        let tags = found(self.tags(&detail.arn).await)?;
        Ok(tags.map(|tags| CollectionDetail { tags, ..detail }))
    }

    /// A collection without its tags, by name. AWS answers 200 for a name that it does not know, and says so inside.
    /// <https://docs.aws.amazon.com/opensearch-service/latest/ServerlessAPIReference/API_BatchGetCollection.html>
    pub async fn detail(&self, name: &str) -> Result<Option<CollectionDetail>, Fault> {
        let call = self.gate.call(aoss::BatchGetCollection, name);
        let answer = call.send(self.client.batch_get_collection().names(name).send()).await?;
        let Some(detail) = answer.collection_details.unwrap_or_default().into_iter().next() else {
            let mut errors = answer.collection_error_details.unwrap_or_default().into_iter();
            return match errors.find(|error| error.error_code.as_deref() != Some("NOT_FOUND")) {
                Some(error) => Err(call.refused(
                    &error.error_code.unwrap_or_default(),
                    &error.error_message.unwrap_or_default(),
                )),
                None => Ok(None),
            };
        };
        Ok(Some(told(detail, self.fips)))
    }

    /// The names of all collections that begin so, whosever they are.
    pub async fn names(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        let call = self.gate.call(aoss::ListCollections, "all");
        let pages = self.client.list_collections().max_results(100).into_paginator().send();
        let pages = call.pages(pages, |page| page.next_token.is_some()).await?;
        let summaries = pages.into_iter().flat_map(|page| page.collection_summaries.unwrap_or_default());
        Ok(summaries.filter_map(|it| it.name).filter(|name| name.starts_with(prefix)).collect())
    }

    /// Makes a collection for vectors; it becomes ACTIVE within minutes. A policy that names its key must stand before.
    /// `name` has 3 to 28 characters, `description` at most 1,000; at most 50 tags. Standby replicas can never be
    /// changed. Also needs aoss:TagResource.
    /// <https://docs.aws.amazon.com/opensearch-service/latest/ServerlessAPIReference/API_CreateCollection.html>
    pub async fn create(
        &self,
        name: &str,
        standby_replicas: StandbyReplicas,
        description: &str,
        tags: &Tags,
    ) -> Result<CollectionDetail, Fault> {
        let call = self.gate.call(aoss::CreateCollection, name);
        let tags = sdk_tags(tags).map_err(call.unbuilt())?;
        let replicas = match standby_replicas {
            StandbyReplicas::Enabled => Replicas::Enabled,
            StandbyReplicas::Disabled => Replicas::Disabled,
        };
        let request = self.client.create_collection().name(name).r#type(CollectionType::Vectorsearch);
        let request = request.standby_replicas(replicas).description(description).set_tags(Some(tags));
        let answer = call.send(request.send()).await?;
        answer.create_collection_detail.map(Into::into).ok_or_else(|| call.empty())
    }

    /// Adds tags to a collection, over those of the same names.
    pub async fn tag(&self, arn: &str, tags: &Tags) -> Result<(), Fault> {
        let call = self.gate.call(aoss::TagResource, arn);
        let tags = sdk_tags(tags).map_err(call.unbuilt())?;
        let request = self.client.tag_resource().resource_arn(arn).set_tags(Some(tags));
        call.send(request.send()).await.map(drop)
    }

    /// Begins to delete a collection with all that is in it. One that is still being made is a conflict.
    pub async fn delete(&self, id: &str) -> Result<(), Fault> {
        let call = self.gate.call(aoss::DeleteCollection, id);
        gone(call.send(self.client.delete_collection().id(id).send()).await)
    }

    async fn tags(&self, arn: &str) -> Result<Tags, Fault> {
        let call = self.gate.call(aoss::ListTagsForResource, arn);
        let answer = call.send(self.client.list_tags_for_resource().resource_arn(arn).send()).await?;
        Ok(tags(answer.tags, |tag| (tag.key, tag.value)))
    }
}

/// A collection as AWS tells of it. Whoever asks for FIPS endpoints has the collection's too; one without has none.
/// <https://docs.aws.amazon.com/opensearch-service/latest/ServerlessAPIReference/API_FipsEndpoints.html>
fn told(detail: Detail, fips: bool) -> CollectionDetail {
    let failure: Vec<_> = detail.failure_code.into_iter().chain(detail.failure_message).collect();
    CollectionDetail {
        id: detail.id.unwrap_or_default(),
        arn: detail.arn.unwrap_or_default(),
        status: detail.status.map(|status| status.as_str().to_owned()).unwrap_or_default(),
        endpoint: if fips {
            detail.fips_endpoints.and_then(|endpoints| endpoints.collection_endpoint)
        } else {
            detail.collection_endpoint
        },
        kms_key_arn: customer_key(detail.kms_key_arn),
        standby_replicas: detail.standby_replicas.map(|it| it.as_str().to_owned()).unwrap_or_default(),
        failure: (!failure.is_empty()).then(|| failure.join(": ")),
        tags: Tags::new(),
    }
}

impl From<CreateCollectionDetail> for CollectionDetail {
    fn from(detail: CreateCollectionDetail) -> Self {
        Self {
            id: detail.id.unwrap_or_default(),
            arn: detail.arn.unwrap_or_default(),
            status: detail.status.map(|status| status.as_str().to_owned()).unwrap_or_default(),
            endpoint: None,
            kms_key_arn: customer_key(detail.kms_key_arn),
            standby_replicas: detail.standby_replicas.map(|it| it.as_str().to_owned()).unwrap_or_default(),
            failure: None,
            tags: Tags::new(),
        }
    }
}

fn sdk_tags(tags: &Tags) -> Result<Vec<Tag>, BuildError> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// AWS writes `auto` where it uses a key of its own.
fn customer_key(arn: Option<String>) -> Option<String> {
    arn.filter(|arn| arn.starts_with("arn:"))
}

#[cfg(test)]
mod tests {
    use aws_sdk_opensearchserverless::types::FipsEndpoints;

    use super::*;

    /// What must go by FIPS endpoints alone may not fall back to others.
    #[test]
    fn a_collections_endpoint_is_not_another_than_was_asked_for() {
        let plain = || Detail::builder().collection_endpoint("https://plain");
        let fips = || FipsEndpoints::builder().collection_endpoint("https://fips").build();
        for (detail, of_plain, of_fips) in [
            (plain().fips_endpoints(fips()).build(), Some("https://plain"), Some("https://fips")),
            (plain().build(), Some("https://plain"), None),
            (Detail::builder().build(), None, None),
        ] {
            assert_eq!(told(detail.clone(), false).endpoint.as_deref(), of_plain);
            assert_eq!(told(detail, true).endpoint.as_deref(), of_fips);
        }
    }
}
