//! Bedrock: the data source of a knowledge base, which says what is ingested and how it is cut.
//!
//! An update overwrites: what it leaves out is lost, and chunking must be sent again as it is. So every update reads
//! first, changes what it is about and sends all of it back.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_agent_UpdateDataSource.html>

use aws_sdk_bedrockagent::Client;
use aws_sdk_bedrockagent::error::BuildError;
use aws_sdk_bedrockagent::types::{
    ChunkingConfiguration, ChunkingStrategy, DataDeletionPolicy as Policy, DataSource,
    DataSourceConfiguration, DataSourceType, FixedSizeChunkingConfiguration,
    HierarchicalChunkingConfiguration, HierarchicalChunkingLevelConfiguration, S3DataSourceConfiguration,
    SemanticChunkingConfiguration, ServerSideEncryptionConfiguration, VectorIngestionConfiguration,
};

use super::bedrock::is_id;
use super::fault::{found, gone};
use super::gate::Gate;
use super::made::Made;
use crate::api::{ChunkingSettings, DataDeletionPolicy};
use crate::stack::fault::Fault;
use crate::stack::iam::operation::bedrock;
use crate::stack::model::desired::DesiredKnowledgeBase;
use crate::stack::model::observed::DataSourceFacts;

/// Data sources of knowledge bases.
#[derive(Clone, Debug)]
pub struct DataSources {
    client: Client,
    gate: Gate,
    /// By knowledge base.
    made: Made,
}

impl DataSources {
    pub(super) fn new(client: Client, gate: &Gate) -> Self {
        Self { client, gate: gate.clone(), made: Made::default() }
    }

    /// The data source of this name. `hint` is an id that it may have: the list lags behind creates, the id does not; but only
    /// the name counts.
    pub async fn find(
        &self,
        kb: &str,
        name: &str,
        hint: Option<&str>,
    ) -> Result<Option<DataSourceFacts>, Fault> {
        let made = self.made.of(kb);
        let mut source = None;
        for id in [hint.filter(is_id), made.as_deref()].into_iter().flatten() {
            if source.is_none() {
                source = found(self.get(kb, id).await)?.filter(|it| it.name == name);
            }
        }
        if source.is_none() {
            made.iter().for_each(|id| self.made.forget(kb, id));
            source = self.listed(kb, name).await?;
        }
        Ok(source.map(Into::into))
    }

    /// Makes a data source of one prefix in one bucket of `account`, and answers with its id. `prefix` has at most 300
    /// characters; a knowledge base has room for five data sources. Bedrock's token is a fresh one: the name makes this
    /// call idempotent.
    /// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_agent_CreateDataSource.html>
    pub async fn create(
        &self,
        kb: &str,
        want: &DesiredKnowledgeBase,
        account: &str,
    ) -> Result<String, Fault> {
        let call = self.gate.call(bedrock::CreateDataSource, &want.name);
        let source = source(want, account).map_err(call.unbuilt())?;
        let chunking = chunking(&want.chunking).map_err(call.unbuilt())?;
        let request = self.client.create_data_source().knowledge_base_id(kb).name(&want.name);
        let request = request
            .data_source_configuration(source)
            .vector_ingestion_configuration(
                VectorIngestionConfiguration::builder().chunking_configuration(chunking).build(),
            )
            .data_deletion_policy(deletion_policy(&want.data_deletion_policy))
            .set_server_side_encryption_configuration(want.key_arn.as_deref().map(encryption));
        let answer = call.send(request.send()).await?;
        let made = answer.data_source.map(|it| it.data_source_id).ok_or_else(|| call.empty())?;
        self.made.note(kb, &made);
        Ok(made)
    }

    /// Sets bucket, prefix, key and deletion policy as wanted. Chunking goes back as AWS has it: it cannot change.
    pub async fn update(
        &self,
        kb: &str,
        id: &str,
        want: &DesiredKnowledgeBase,
        account: &str,
    ) -> Result<(), Fault> {
        let call = self.gate.call(bedrock::UpdateDataSource, id);
        let source = source(want, account).map_err(call.unbuilt())?;
        let mut it = self.get(kb, id).await?;
        it.data_source_configuration = Some(source);
        it.data_deletion_policy = Some(deletion_policy(&want.data_deletion_policy));
        it.server_side_encryption_configuration = want.key_arn.as_deref().map(encryption);
        self.resend(it).await
    }

    /// Lets the vectors stay when the data source goes: it can then be deleted even where store, role or bucket are
    /// gone. What is gone already needs nothing.
    /// <https://docs.aws.amazon.com/bedrock/latest/userguide/kb-ds-delete.html>
    pub async fn retain(&self, kb: &str, id: &str) -> Result<(), Fault> {
        let Some(mut it) = found(self.get(kb, id).await)? else {
            return Ok(());
        };
        it.data_deletion_policy = Some(Policy::Retain);
        gone(self.resend(it).await)
    }

    /// Begins to delete a data source.
    pub async fn delete(&self, kb: &str, id: &str) -> Result<(), Fault> {
        let call = self.gate.call(bedrock::DeleteDataSource, id);
        let request = self.client.delete_data_source().knowledge_base_id(kb).data_source_id(id);
        gone(call.send(request.send()).await)
    }

    async fn get(&self, kb: &str, id: &str) -> Result<DataSource, Fault> {
        let call = self.gate.call(bedrock::GetDataSource, id);
        let request = self.client.get_data_source().knowledge_base_id(kb).data_source_id(id);
        call.send(request.send()).await?.data_source.ok_or_else(|| call.empty())
    }

    async fn listed(&self, kb: &str, name: &str) -> Result<Option<DataSource>, Fault> {
        let call = self.gate.call(bedrock::ListDataSources, kb);
        let pages =
            self.client.list_data_sources().knowledge_base_id(kb).max_results(1000).into_paginator().send();
        let Some(pages) = found(call.pages(pages, |page| page.next_token.is_some()).await)? else {
            return Ok(None);
        };
        let mut summaries = pages.into_iter().flat_map(|page| page.data_source_summaries);
        match summaries.find(|summary| summary.name == name) {
            Some(summary) => found(self.get(kb, &summary.data_source_id).await),
            None => Ok(None),
        }
    }

    async fn resend(&self, it: DataSource) -> Result<(), Fault> {
        let it = as_aws_takes_it(it);
        let call = self.gate.call(bedrock::UpdateDataSource, &it.data_source_id);
        let request = self.client.update_data_source().knowledge_base_id(it.knowledge_base_id);
        let request = request
            .data_source_id(&it.data_source_id)
            .name(it.name)
            .set_description(it.description)
            .set_data_source_configuration(it.data_source_configuration)
            .set_data_deletion_policy(it.data_deletion_policy)
            .set_server_side_encryption_configuration(it.server_side_encryption_configuration)
            .set_vector_ingestion_configuration(it.vector_ingestion_configuration);
        call.send(request.send()).await.map(drop)
    }
}

/// What was read, as it may be sent back: an answer may have an empty text or list where nobody has set anything, and a
/// request that has one is refused.
fn as_aws_takes_it(mut it: DataSource) -> DataSource {
    let is_set = |text: &String| !text.is_empty();
    it.description = it.description.filter(is_set);
    it.server_side_encryption_configuration =
        it.server_side_encryption_configuration.filter(|it| it.kms_key_arn.as_ref().is_some_and(is_set));
    if let Some(s3) = it.data_source_configuration.as_mut().and_then(|it| it.s3_configuration.as_mut()) {
        s3.inclusion_prefixes = s3.inclusion_prefixes.take().filter(|prefixes| !prefixes.is_empty());
        s3.bucket_owner_account_id = s3.bucket_owner_account_id.take().filter(is_set);
    }
    let parsing = it.vector_ingestion_configuration.as_mut().and_then(|it| it.parsing_configuration.as_mut());
    if let Some(model) = parsing.and_then(|it| it.bedrock_foundation_model_configuration.as_mut()) {
        model.parsing_prompt =
            model.parsing_prompt.take().filter(|prompt| is_set(&prompt.parsing_prompt_text));
    }
    it
}

impl From<DataSource> for DataSourceFacts {
    fn from(it: DataSource) -> Self {
        let s3 = it.data_source_configuration.and_then(|it| it.s3_configuration);
        let (bucket_arn, prefixes) = s3.map(|s3| (s3.bucket_arn, s3.inclusion_prefixes)).unwrap_or_default();
        Self {
            id: it.data_source_id,
            status: it.status.as_str().to_owned(),
            // What nobody has set means DELETE.
            data_deletion_policy: it.data_deletion_policy.unwrap_or(Policy::Delete).as_str().to_owned(),
            bucket_arn,
            prefix: prefixes.unwrap_or_default().into_iter().next(),
            key_arn: it.server_side_encryption_configuration.and_then(|it| it.kms_key_arn),
            chunking: it
                .vector_ingestion_configuration
                .and_then(|it| it.chunking_configuration)
                .and_then(|it| found_chunking(&it)),
            failure_reasons: it.failure_reasons.unwrap_or_default(),
        }
    }
}

fn source(want: &DesiredKnowledgeBase, account: &str) -> Result<DataSourceConfiguration, BuildError> {
    // The role is of the same partition as its bucket.
    let partition = want.role_arn.split(':').nth(1).unwrap_or("aws");
    let s3 = S3DataSourceConfiguration::builder()
        .bucket_arn(format!("arn:{partition}:s3:::{}", want.bucket))
        .inclusion_prefixes(&want.prefix)
        .bucket_owner_account_id(account)
        .build()?;
    DataSourceConfiguration::builder().r#type(DataSourceType::S3).s3_configuration(s3).build()
}

fn encryption(key_arn: &str) -> ServerSideEncryptionConfiguration {
    ServerSideEncryptionConfiguration::builder().kms_key_arn(key_arn).build()
}

fn deletion_policy(policy: &DataDeletionPolicy) -> Policy {
    match policy {
        DataDeletionPolicy::Delete => Policy::Delete,
        DataDeletionPolicy::Retain => Policy::Retain,
    }
}

/// How documents are cut, read back; `None` for a way that we do not set.
fn found_chunking(found: &ChunkingConfiguration) -> Option<ChunkingSettings> {
    match found.chunking_strategy {
        ChunkingStrategy::FixedSize => found.fixed_size_chunking_configuration.as_ref().map(|it| {
            let (max_tokens, overlap_percentage) = (it.max_tokens, it.overlap_percentage);
            ChunkingSettings::FixedSize { max_tokens, overlap_percentage }
        }),
        ChunkingStrategy::Hierarchical => found.hierarchical_chunking_configuration.as_ref().and_then(|it| {
            let [parent, child] = it.level_configurations.as_slice() else { return None };
            Some(ChunkingSettings::Hierarchical {
                parent_max_tokens: parent.max_tokens,
                child_max_tokens: child.max_tokens,
                overlap_tokens: it.overlap_tokens,
            })
        }),
        ChunkingStrategy::Semantic => {
            found.semantic_chunking_configuration.as_ref().map(|it| ChunkingSettings::Semantic {
                max_tokens: it.max_tokens,
                buffer_size: it.buffer_size,
                breakpoint_percentile_threshold: it.breakpoint_percentile_threshold,
            })
        }
        ChunkingStrategy::None => Some(ChunkingSettings::None),
        _ => None,
    }
}

fn chunking(settings: &ChunkingSettings) -> Result<ChunkingConfiguration, BuildError> {
    let configuration = ChunkingConfiguration::builder();
    let configuration = match *settings {
        ChunkingSettings::FixedSize { max_tokens, overlap_percentage } => {
            let fixed = FixedSizeChunkingConfiguration::builder();
            let fixed = fixed.max_tokens(max_tokens).overlap_percentage(overlap_percentage).build()?;
            configuration
                .chunking_strategy(ChunkingStrategy::FixedSize)
                .fixed_size_chunking_configuration(fixed)
        }
        ChunkingSettings::Hierarchical { parent_max_tokens, child_max_tokens, overlap_tokens } => {
            let level = |tokens| HierarchicalChunkingLevelConfiguration::builder().max_tokens(tokens).build();
            let hierarchical = HierarchicalChunkingConfiguration::builder()
                .level_configurations(level(parent_max_tokens)?)
                .level_configurations(level(child_max_tokens)?)
                .overlap_tokens(overlap_tokens)
                .build()?;
            configuration
                .chunking_strategy(ChunkingStrategy::Hierarchical)
                .hierarchical_chunking_configuration(hierarchical)
        }
        ChunkingSettings::Semantic { max_tokens, buffer_size, breakpoint_percentile_threshold } => {
            let semantic = SemanticChunkingConfiguration::builder()
                .max_tokens(max_tokens)
                .buffer_size(buffer_size)
                .breakpoint_percentile_threshold(breakpoint_percentile_threshold)
                .build()?;
            configuration
                .chunking_strategy(ChunkingStrategy::Semantic)
                .semantic_chunking_configuration(semantic)
        }
        ChunkingSettings::None => configuration.chunking_strategy(ChunkingStrategy::None),
    };
    configuration.build()
}

#[cfg(test)]
mod tests {
    use aws_sdk_bedrockagent::types::{
        BedrockFoundationModelConfiguration, DataSourceStatus, ParsingConfiguration, ParsingPrompt,
        ParsingStrategy,
    };
    use aws_smithy_types::DateTime;

    use super::*;

    /// A data source in which each text that may be absent is `text`, and each list has it alone, or nothing.
    fn with(text: &str) -> DataSource {
        let s3 =
            S3DataSourceConfiguration::builder().bucket_arn("arn:aws:s3:::b").bucket_owner_account_id(text);
        let prefixes = if text.is_empty() { Vec::new() } else { vec![text.to_owned()] };
        let s3 = s3.set_inclusion_prefixes(Some(prefixes)).build().unwrap();
        let source = DataSourceConfiguration::builder().r#type(DataSourceType::S3).s3_configuration(s3);
        let prompt = ParsingPrompt::builder().parsing_prompt_text(text).build().unwrap();
        let model = BedrockFoundationModelConfiguration::builder().model_arn("arn:m").parsing_prompt(prompt);
        let parsing = ParsingConfiguration::builder()
            .parsing_strategy(ParsingStrategy::BedrockFoundationModel)
            .bedrock_foundation_model_configuration(model.build().unwrap());
        let ingestion =
            VectorIngestionConfiguration::builder().parsing_configuration(parsing.build().unwrap()).build();
        DataSource::builder()
            .knowledge_base_id("KB")
            .data_source_id("DS")
            .name("n")
            .status(DataSourceStatus::Available)
            .created_at(DateTime::from_secs(0))
            .updated_at(DateTime::from_secs(0))
            .data_deletion_policy(Policy::Delete)
            .description(text)
            .data_source_configuration(source.build().unwrap())
            .server_side_encryption_configuration(encryption(text))
            .vector_ingestion_configuration(ingestion)
            .build()
            .unwrap()
    }

    #[test]
    fn what_nobody_has_set_is_not_sent_back_empty() {
        let set = with("x");
        assert_eq!(as_aws_takes_it(set.clone()), set, "what is set goes back as it is");
        let sent = as_aws_takes_it(with(""));
        assert_eq!((sent.description, sent.server_side_encryption_configuration), (None, None));
        let s3 = sent.data_source_configuration.unwrap().s3_configuration.unwrap();
        assert_eq!((s3.inclusion_prefixes, s3.bucket_owner_account_id), (None, None));
        let parsing = sent.vector_ingestion_configuration.unwrap().parsing_configuration.unwrap();
        assert_eq!(parsing.bedrock_foundation_model_configuration.unwrap().parsing_prompt, None);
        let no_key = Some(ServerSideEncryptionConfiguration::builder().build());
        let mut keyless = with("x");
        keyless.server_side_encryption_configuration = no_key;
        let sent = as_aws_takes_it(keyless);
        assert_eq!(sent.server_side_encryption_configuration, None);
    }
}
