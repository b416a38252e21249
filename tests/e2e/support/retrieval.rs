//! Questions to a tenant's knowledge base, as a client asks them.

use aws_sdk_bedrockagentruntime::types::{
    FilterAttribute, KnowledgeBaseQuery, KnowledgeBaseRetrievalConfiguration,
    KnowledgeBaseVectorSearchConfiguration, RetrievalFilter,
};
use aws_smithy_types::Document;
use serde_json::Value;
use tenantry::aws::{Aws, Gate, Pace};

use crate::support::world::World;

/// An answer: which document it is from, and what it says.
pub type Answer = (String, String);

impl World {
    /// The operator's own adapters, under the test's session.
    pub fn adapters(&self) -> Aws {
        Aws::new(&self.sdk_config, &self.account, &Gate::new(Pace::FULL))
    }

    /// Asks as a client should: the knowledge base in the tenant's status, with the filter in its status.
    pub async fn retrieve(&self, tenant: &str, question: &str) -> Vec<Answer> {
        let status = self.get(tenant).await.status;
        let filter = status.retrieval_filter.map(|filter| (filter.equals.key, filter.equals.value));
        let filter = filter.as_ref().map(|(key, value)| (key.as_str(), value.as_str()));
        self.ask(&status.knowledge_base_id.unwrap(), question, filter).await
    }

    /// Asks without any filter, as no client should.
    pub async fn retrieve_unfiltered(&self, knowledge_base: &str, question: &str) -> Vec<Answer> {
        self.ask(knowledge_base, question, None).await
    }

    /// Asks as anybody can who has the right to: the operator's own adapter asks nobody but a tenant's own target.
    pub async fn ask(
        &self,
        knowledge_base: &str,
        question: &str,
        filter: Option<(&str, &str)>,
    ) -> Vec<Answer> {
        let filter = filter.map(|(key, value)| {
            let equals = FilterAttribute::builder().key(key).value(Document::String(value.into()));
            RetrievalFilter::Equals(equals.build().unwrap())
        });
        let search = KnowledgeBaseVectorSearchConfiguration::builder()
            .number_of_results(100)
            .set_filter(filter)
            .build();
        let how = KnowledgeBaseRetrievalConfiguration::builder().vector_search_configuration(search).build();
        let runtime = aws_sdk_bedrockagentruntime::Client::new(&self.sdk_config);
        let query = KnowledgeBaseQuery::builder().text(question).build();
        let asked = runtime.retrieve().knowledge_base_id(knowledge_base).retrieval_configuration(how);
        let mut pages = asked.retrieval_query(query).into_paginator().send();
        let mut answers = Vec::new();
        while let Some(page) = pages.next().await {
            for result in page.unwrap().retrieval_results {
                let uri = result.location.and_then(|it| it.s3_location).and_then(|it| it.uri);
                answers.push((uri.unwrap(), result.content.unwrap().text));
            }
        }
        answers
    }

    /// Asks with `tenantry retrieve`.
    pub async fn retrieve_by_command(&self, tenant: &str, question: &str) -> Vec<Answer> {
        let (namespace, tenant) = tenant.split_once('/').unwrap_or(("", tenant));
        let namespace = self.namespace_name(namespace);
        let asks =
            ["retrieve", "--namespace", &namespace, "--output", "json", "--results", "100", tenant, question];
        let answer: Value = serde_json::from_str(&self.tenantry(&asks).await).unwrap();
        let text = |result: &Value, path: &str| result.pointer(path).unwrap().as_str().unwrap().to_owned();
        let results = answer["retrievalResults"].as_array().unwrap().iter();
        results
            .map(|result| (text(result, "/location/s3Location/uri"), text(result, "/content/text")))
            .collect()
    }
}
