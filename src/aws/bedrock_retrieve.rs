//! Bedrock: questions to a knowledge base.

use aws_sdk_bedrockagentruntime::Client;
use aws_sdk_bedrockagentruntime::error::BuildError;
use aws_sdk_bedrockagentruntime::types::{
    FilterAttribute, KnowledgeBaseQuery, KnowledgeBaseRetrievalConfiguration, KnowledgeBaseRetrievalResult,
    KnowledgeBaseVectorSearchConfiguration, RetrievalFilter,
};
use aws_smithy_types::Document;
use serde_json::Value;

use super::document::to_value;
use crate::stack::fault::Fault;
use crate::stack::operation::bedrock;

/// Questions to knowledge bases.
#[derive(Clone, Debug)]
pub struct Retrieval {
    client: Client,
}

/// A passage that answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Passage {
    /// What it says.
    pub text: String,
    /// The document it is from, `s3://…`.
    pub uri: Option<String>,
    /// How well it fits; higher is better.
    pub score: f64,
    /// The document's metadata, the filter's key included.
    pub metadata: Value,
}

impl Retrieval {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// The passages that fit a question best, the best first. `question` has at most 1,000 characters,
    /// `number_of_results` is 1 to 100. `filter` is a metadata key and the value it must have: without it a pool
    /// answers from everybody's documents.
    /// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_agent-runtime_Retrieve.html>
    pub async fn retrieve(
        &self,
        knowledge_base: &str,
        question: &str,
        filter: Option<(&str, &str)>,
        number_of_results: i32,
    ) -> Result<Vec<Passage>, Fault> {
        let call = bedrock::Retrieve.on(knowledge_base);
        let wanted = usize::try_from(number_of_results).unwrap_or(0);
        let search = KnowledgeBaseVectorSearchConfiguration::builder()
            .number_of_results(number_of_results)
            .set_filter(filter.map(equals).transpose().map_err(call.unbuilt())?)
            .build();
        let how = KnowledgeBaseRetrievalConfiguration::builder().vector_search_configuration(search).build();
        let request = self.client.retrieve().knowledge_base_id(knowledge_base).retrieval_configuration(how);
        let request = request.retrieval_query(KnowledgeBaseQuery::builder().text(question).build());
        let mut pages = request.into_paginator().send();
        let mut passages: Vec<Passage> = Vec::new();
        while passages.len() < wanted
            && let Some(page) = pages.try_next().await.map_err(call.failed())?
        {
            passages.extend(page.retrieval_results.into_iter().map(Into::into));
        }
        passages.truncate(wanted);
        Ok(passages)
    }
}

fn equals((key, value): (&str, &str)) -> Result<RetrievalFilter, BuildError> {
    let attribute = FilterAttribute::builder().key(key).value(Document::String(value.into())).build()?;
    Ok(RetrievalFilter::Equals(attribute))
}

impl From<KnowledgeBaseRetrievalResult> for Passage {
    fn from(result: KnowledgeBaseRetrievalResult) -> Self {
        let metadata = result.metadata.unwrap_or_default();
        Self {
            text: result.content.map(|content| content.text).unwrap_or_default(),
            uri: result.location.and_then(|location| location.s3_location).and_then(|s3| s3.uri),
            score: result.score.unwrap_or(0.0),
            metadata: metadata.iter().map(|(key, value)| (key.clone(), to_value(value))).collect(),
        }
    }
}
