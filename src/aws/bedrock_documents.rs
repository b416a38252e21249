//! Bedrock: what became of each document of a data source.

use aws_sdk_bedrockagent::Client;
use aws_sdk_bedrockagent::types::KnowledgeBaseDocumentDetail;

use super::gate::Gate;
use super::values::timestamp;
use crate::stack::fault::Fault;
use crate::stack::iam::operation::bedrock;
use crate::stack::job::DocumentState;

/// The documents that a knowledge base knows.
#[derive(Clone, Debug)]
pub struct KnowledgeBaseDocuments {
    client: Client,
    gate: Gate,
}

impl KnowledgeBaseDocuments {
    pub(super) fn new(client: Client, gate: &Gate) -> Self {
        Self { client, gate: gate.clone() }
    }

    /// Shows `each` document of a data source that is in S3, page by page: there may be more than fit into memory. A page
    /// has 100: AWS's model has room for 1,000, but a managed knowledge base was seen to refuse more.
    /// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_agent_ListKnowledgeBaseDocuments.html>
    pub async fn each(
        &self,
        kb: &str,
        data_source: &str,
        mut each: impl FnMut(DocumentState),
    ) -> Result<(), Fault> {
        let mut next = None;
        loop {
            let call = self.gate.call(bedrock::ListKnowledgeBaseDocuments, data_source);
            let request = self.client.list_knowledge_base_documents().knowledge_base_id(kb);
            let request = request.data_source_id(data_source).max_results(100).set_next_token(next);
            let page = call.send(request.send()).await?;
            page.document_details.into_iter().filter_map(state).for_each(&mut each);
            // An empty token is none: sent back, it is refused.
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(());
            }
        }
    }
}

fn state(document: KnowledgeBaseDocumentDetail) -> Option<DocumentState> {
    let uri = document.identifier?.s3?.uri;
    let (_, key) = uri.strip_prefix("s3://")?.split_once('/')?;
    Some(DocumentState {
        key: key.into(),
        status: document.status.as_str().to_owned(),
        reason: document.status_reason.unwrap_or_default(),
        updated: document.updated_at.as_ref().map(timestamp),
    })
}
