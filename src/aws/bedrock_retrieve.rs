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
use super::gate::Gate;
use crate::stack::fault::Fault;
use crate::stack::iam::operation::bedrock;
use crate::stack::target::Target;

/// Questions to knowledge bases.
#[derive(Clone, Debug)]
pub struct Retrieval {
    client: Client,
    gate: Gate,
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
    pub(super) fn new(client: Client, gate: &Gate) -> Self {
        Self { client, gate: gate.clone() }
    }

    /// The passages that fit a question best, the best first. `question` has at most 1,000 characters,
    /// `number_of_results` is 1 to 100.
    /// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_agent-runtime_Retrieve.html>
    pub async fn retrieve(
        &self,
        target: &Target,
        question: &str,
        number_of_results: i32,
    ) -> Result<Vec<Passage>, Fault> {
        let knowledge_base = target.knowledge_base();
        let call = self.gate.call(bedrock::Retrieve, knowledge_base);
        let wanted = usize::try_from(number_of_results).unwrap_or(0);
        let search = KnowledgeBaseVectorSearchConfiguration::builder()
            .number_of_results(number_of_results)
            .set_filter(target.filter().map(equals).transpose().map_err(call.unbuilt())?)
            .build();
        let how = KnowledgeBaseRetrievalConfiguration::builder().vector_search_configuration(search).build();
        let request = self.client.retrieve().knowledge_base_id(knowledge_base).retrieval_configuration(how);
        let request = request.retrieval_query(KnowledgeBaseQuery::builder().text(question).build());
        let mut so_far = 0;
        let pages = call
            .pages(request.into_paginator().send(), |page| {
                so_far += page.retrieval_results.len();
                so_far < wanted && page.next_token.is_some()
            })
            .await?;
        let results = pages.into_iter().flat_map(|page| page.retrieval_results);
        Ok(results.take(wanted).map(Into::into).collect())
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
