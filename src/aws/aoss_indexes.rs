//! OpenSearch Serverless: vector indexes, by the control plane, so that a private collection needs no VPC endpoint for
//! the operator.
//!
//! Beside IAM these calls need a data access policy that names the caller; until that has propagated, about a minute,
//! AWS denies them.
//! <https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-data-access.html>

use aws_sdk_opensearchserverless::Client;
use serde_json::Value;

use super::document::{to_document, to_value};
use super::fault::{found, gone};
use super::gate::Gate;
use crate::stack::fault::Fault;
use crate::stack::iam::operation::aoss;
use crate::stack::store::read_back::unwrapped;

/// The id of no collection: AWS's have twenty characters.
const NO_COLLECTION: &str = "none";

/// Vector indexes.
#[derive(Clone, Debug)]
pub struct Indexes {
    client: Client,
    gate: Gate,
}

impl Indexes {
    pub(super) fn new(client: Client, gate: &Gate) -> Self {
        Self { client, gate: gate.clone() }
    }

    /// The settings and mappings of an index.
    /// <https://docs.aws.amazon.com/opensearch-service/latest/ServerlessAPIReference/API_GetIndex.html>
    pub async fn find(&self, collection_id: &str, name: &str) -> Result<Option<Value>, Fault> {
        let call = self.gate.call(aoss::GetIndex, name);
        let request = self.client.get_index().id(collection_id).index_name(name);
        let answer = found(call.send(request.send()).await)?;
        Ok(answer.map(|answer| answer.index_schema.as_ref().map(to_value).unwrap_or_default()).map(unwrapped))
    }

    /// What is wrong with the API for indexes, if this region has none: asked of a collection that is not there.
    pub async fn missing_api(&self) -> Option<Fault> {
        let call = self.gate.call(aoss::GetIndex, "a collection that is not there");
        let request = self.client.get_index().id(NO_COLLECTION).index_name(NO_COLLECTION);
        call.send(request.send()).await.err().filter(Fault::lacks_index_api)
    }

    /// Makes an index; a collection has room for 1,000. `name` is in lower case and does not begin with `_` or `-`.
    /// <https://docs.aws.amazon.com/opensearch-service/latest/ServerlessAPIReference/API_CreateIndex.html>
    pub async fn create(&self, collection_id: &str, name: &str, schema: &Value) -> Result<(), Fault> {
        let call = self.gate.call(aoss::CreateIndex, name);
        let request = self.client.create_index().id(collection_id).index_name(name);
        call.send(request.index_schema(to_document(schema)).send()).await.map(drop)
    }

    /// Adds to the mappings of an index. Settings cannot change, and what the schema leaves out stays.
    /// <https://docs.aws.amazon.com/opensearch-service/latest/ServerlessAPIReference/API_UpdateIndex.html>
    pub async fn update(&self, collection_id: &str, name: &str, schema: &Value) -> Result<(), Fault> {
        let call = self.gate.call(aoss::UpdateIndex, name);
        let request = self.client.update_index().id(collection_id).index_name(name);
        call.send(request.index_schema(to_document(schema)).send()).await.map(drop)
    }

    /// Deletes an index with all vectors in it.
    pub async fn delete(&self, collection_id: &str, name: &str) -> Result<(), Fault> {
        let call = self.gate.call(aoss::DeleteIndex, name);
        let request = self.client.delete_index().id(collection_id).index_name(name);
        gone(call.send(request.send()).await)
    }
}
