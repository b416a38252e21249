//! Bedrock: knowledge bases.

use aws_sdk_bedrockagent::Client;
use aws_sdk_bedrockagent::error::BuildError;
use aws_sdk_bedrockagent::types::{
    BedrockEmbeddingModelConfiguration, EmbeddingModelConfiguration, KnowledgeBase,
    KnowledgeBaseConfiguration, KnowledgeBaseStorageType, KnowledgeBaseSummary, KnowledgeBaseType,
    OpenSearchServerlessConfiguration, OpenSearchServerlessFieldMapping, S3VectorsConfiguration,
    StorageConfiguration, VectorKnowledgeBaseConfiguration,
};

use super::fault::{found, gone};
use super::gate::Gate;
use super::made::Made;
use super::values::Tags;
use crate::api::GROUP;
use crate::stack::fault::Fault;
use crate::stack::iam::operation::bedrock;
use crate::stack::identity::{RETAINED, Scope};
use crate::stack::model::desired::DesiredKnowledgeBase;
use crate::stack::model::observed::KnowledgeBaseFacts;
use crate::stack::store::StoreHandle;
use crate::stack::store::opensearch::{CollectionHandle, METADATA_FIELD, TEXT_FIELD, VECTOR_FIELD};
use crate::stack::store::s3_vectors::VectorBucketHandle;

/// Knowledge bases.
#[derive(Clone, Debug)]
pub struct KnowledgeBases {
    client: Client,
    gate: Gate,
    made: Made,
}

/// Whether a hint can be an id at all: AWS refuses the whole request otherwise.
pub(super) fn is_id(hint: &&str) -> bool {
    hint.len() == 10 && hint.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl KnowledgeBases {
    pub(super) fn new(client: Client, gate: &Gate) -> Self {
        Self { client, gate: gate.clone(), made: Made::default() }
    }

    /// The knowledge base of this name, without its data source, and its tags. `hint` is an id that it may have: the
    /// list lags behind creates, the id does not; but only the name counts.
    pub async fn find(&self, name: &str, hint: Option<&str>) -> Result<Option<KnowledgeBaseFacts>, Fault> {
        let made = self.made.of(name);
        let mut knowledge_base = None;
        for id in [hint.filter(is_id), made.as_deref()].into_iter().flatten() {
            if knowledge_base.is_none() {
                knowledge_base = found(self.get(id).await)?.filter(|it| it.name == name);
            }
        }
        if knowledge_base.is_none() {
            made.iter().for_each(|id| self.made.forget(name, id));
            knowledge_base = self.listed(name).await?;
        }
        let Some(knowledge_base) = knowledge_base else {
            return Ok(None);
        };
        let tags = found(self.tags(&knowledge_base.knowledge_base_arn).await)?;
        Ok(tags.map(|tags| KnowledgeBaseFacts { tags, ..knowledge_base.into() }))
    }

    /// The knowledge base of this id, without its data source and its tags.
    pub async fn detail(&self, id: &str) -> Result<Option<KnowledgeBaseFacts>, Fault> {
        Ok(found(self.get(id).await)?.map(Into::into))
    }

    /// The names of all knowledge bases of the account and region, other people's included.
    pub async fn names(&self) -> Result<Vec<String>, Fault> {
        Ok(self.summaries().await?.into_iter().map(|summary| summary.name).collect())
    }

    /// Those that tenants of this installation have left behind, without their data sources.
    pub async fn retained(&self, scope: &Scope) -> Result<Vec<KnowledgeBaseFacts>, Fault> {
        let ours = format!("{}-t", scope.installation);
        let mut retained = Vec::new();
        for summary in self.summaries().await?.into_iter().filter(|it| it.name.starts_with(&ours)) {
            let arn = scope.arn("bedrock", &format!("knowledge-base/{}", summary.knowledge_base_id));
            // One that went away meanwhile leaves nothing.
            let Some(tags) = found(self.tags(&arn).await)? else { continue };
            let says =
                |key: &str, value: &str| tags.get(&format!("{GROUP}/{key}")).is_some_and(|it| it == value);
            if says("installation", &scope.installation)
                && says("state", RETAINED)
                && let Some(facts) = self.detail(&summary.knowledge_base_id).await?
            {
                retained.push(KnowledgeBaseFacts { tags, ..facts });
            }
        }
        Ok(retained)
    }

    async fn summaries(&self) -> Result<Vec<KnowledgeBaseSummary>, Fault> {
        let call = self.gate.call(bedrock::ListKnowledgeBases, "all");
        let pages = call
            .pages(self.client.list_knowledge_bases().max_results(1000).into_paginator().send(), |page| {
                page.next_token.is_some()
            })
            .await?;
        Ok(pages.into_iter().flat_map(|page| page.knowledge_base_summaries).collect())
    }

    /// Makes a knowledge base and answers with its id. `name` has at most 100 characters; an account has room for 100
    /// knowledge bases. Also needs bedrock:TagResource, and iam:PassRole for the role. A role, policy or index that has
    /// not propagated yet is a ValidationException that only its message tells from a mistake.
    /// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_agent_CreateKnowledgeBase.html>
    pub async fn create(&self, want: &DesiredKnowledgeBase) -> Result<String, Fault> {
        let call = self.gate.call(bedrock::CreateKnowledgeBase, &want.name);
        // The token is a fresh one of the SDK's: Bedrock would silently ignore one that it has seen, even if what it
        // made then is long gone. The name makes this call idempotent.
        let request = self.client.create_knowledge_base().name(&want.name).role_arn(&want.role_arn);
        let request = request
            .knowledge_base_configuration(configuration(want).map_err(call.unbuilt())?)
            .storage_configuration(storage(want.store.as_ref(), &want.index).map_err(call.unbuilt())?)
            .set_tags(Some(want.tags.clone().into_iter().collect()));
        let answer = call.send(request.send()).await?;
        let made = answer.knowledge_base.map(|it| it.knowledge_base_id).ok_or_else(|| call.empty())?;
        self.made.note(&want.name, &made);
        Ok(made)
    }

    /// Adds tags to a knowledge base, over those of the same names.
    pub async fn tag(&self, arn: &str, tags: &Tags) -> Result<(), Fault> {
        let call = self.gate.call(bedrock::TagResource, arn);
        let tags = tags.clone().into_iter().collect();
        let request = self.client.tag_resource().resource_arn(arn).set_tags(Some(tags));
        call.send(request.send()).await.map(drop)
    }

    /// Begins to delete a knowledge base. A data source that it still has goes by its own deletion policy.
    pub async fn delete(&self, id: &str) -> Result<(), Fault> {
        let call = self.gate.call(bedrock::DeleteKnowledgeBase, id);
        gone(call.send(self.client.delete_knowledge_base().knowledge_base_id(id).send()).await)
    }

    async fn get(&self, id: &str) -> Result<KnowledgeBase, Fault> {
        let call = self.gate.call(bedrock::GetKnowledgeBase, id);
        let answer = call.send(self.client.get_knowledge_base().knowledge_base_id(id).send()).await?;
        answer.knowledge_base.ok_or_else(|| call.empty())
    }

    async fn listed(&self, name: &str) -> Result<Option<KnowledgeBase>, Fault> {
        let call = self.gate.call(bedrock::ListKnowledgeBases, name);
        let pages = call
            .pages(self.client.list_knowledge_bases().max_results(1000).into_paginator().send(), |page| {
                page.next_token.is_some()
            })
            .await?;
        let mut summaries = pages.into_iter().flat_map(|page| page.knowledge_base_summaries);
        match summaries.find(|summary| summary.name == name) {
            Some(summary) => found(self.get(&summary.knowledge_base_id).await),
            None => Ok(None),
        }
    }

    async fn tags(&self, arn: &str) -> Result<Tags, Fault> {
        let call = self.gate.call(bedrock::ListTagsForResource, arn);
        let answer = call.send(self.client.list_tags_for_resource().resource_arn(arn).send()).await?;
        Ok(answer.tags.unwrap_or_default().into_iter().collect())
    }
}

impl From<KnowledgeBase> for KnowledgeBaseFacts {
    fn from(it: KnowledgeBase) -> Self {
        let vectors = it.knowledge_base_configuration.and_then(|it| it.vector_knowledge_base_configuration);
        Self {
            id: it.knowledge_base_id,
            arn: it.knowledge_base_arn,
            status: it.status.as_str().to_owned(),
            failure_reasons: it.failure_reasons.unwrap_or_default(),
            store: it.storage_configuration.and_then(stored),
            dimensions: vectors
                .as_ref()
                .and_then(|it| it.embedding_model_configuration.as_ref())
                .and_then(|it| it.bedrock_embedding_model_configuration.as_ref())
                .and_then(|it| it.dimensions),
            embedding_model_arn: vectors.map(|it| it.embedding_model_arn),
            tags: Tags::new(),
            data_source: None,
        }
    }
}

fn configuration(want: &DesiredKnowledgeBase) -> Result<KnowledgeBaseConfiguration, BuildError> {
    let model = want.dimensions.map(|dimensions| {
        let bedrock = BedrockEmbeddingModelConfiguration::builder().dimensions(dimensions).build();
        EmbeddingModelConfiguration::builder().bedrock_embedding_model_configuration(bedrock).build()
    });
    let vector = VectorKnowledgeBaseConfiguration::builder()
        .embedding_model_arn(&want.embedding_model_arn)
        .set_embedding_model_configuration(model)
        .build()?;
    KnowledgeBaseConfiguration::builder()
        .r#type(KnowledgeBaseType::Vector)
        .vector_knowledge_base_configuration(vector)
        .build()
}

/// Where vectors are, if in a store that we know.
fn stored(configuration: StorageConfiguration) -> Option<StoreHandle> {
    if let Some(collection) = configuration.opensearch_serverless_configuration {
        return Some(CollectionHandle { arn: collection.collection_arn, endpoint: None }.into());
    }
    let S3VectorsConfiguration { vector_bucket_arn, index_arn, .. } =
        configuration.s3_vectors_configuration?;
    let of_index = || VectorBucketHandle::of_index(&index_arn?);
    vector_bucket_arn.map(|arn| VectorBucketHandle { arn }).or_else(of_index).map(Into::into)
}

/// Where vectors go.
fn storage(store: Option<&StoreHandle>, index: &str) -> Result<StorageConfiguration, BuildError> {
    let Some(store) = store else {
        return Err(BuildError::missing_field("storage_configuration", "the vector store is not known yet"));
    };
    match store {
        StoreHandle::OpenSearchServerless(collection) => {
            let fields = OpenSearchServerlessFieldMapping::builder()
                .vector_field(VECTOR_FIELD)
                .text_field(TEXT_FIELD)
                .metadata_field(METADATA_FIELD)
                .build()?;
            let store = OpenSearchServerlessConfiguration::builder()
                .collection_arn(&collection.arn)
                .vector_index_name(index)
                .field_mapping(fields)
                .build()?;
            StorageConfiguration::builder()
                .r#type(KnowledgeBaseStorageType::OpensearchServerless)
                .opensearch_serverless_configuration(store)
                .build()
        }
        // By its ARN alone: both ways of naming it together are refused.
        StoreHandle::S3Vectors(bucket) => {
            let store = S3VectorsConfiguration::builder().index_arn(bucket.index_arn(index)).build();
            StorageConfiguration::builder()
                .r#type(KnowledgeBaseStorageType::S3Vectors)
                .s3_vectors_configuration(store)
                .build()
        }
    }
}
