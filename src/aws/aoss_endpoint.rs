//! OpenSearch Serverless: vector indexes, by the collection's own endpoint, in OpenSearch's own API: for where the
//! control plane does not take a vector schema.
//!
//! Three fences stand before it: the collection's network policy, IAM (`aoss:APIAccessAll`) and the data access policy.
//! <https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-clients.html>

use std::sync::{Arc, OnceLock};

use aws_config::SdkConfig;
use serde_json::Value;

use super::call::Call;
use super::config::OPERATION_TIMEOUT;
use super::fault::{found, gone};
use super::gate::Gate;
use super::signed::{Answer, Signed, Unanswered};
use crate::stack::fault::{Class, Fault};
use crate::stack::iam::operation::aoss_endpoint;

/// Vector indexes, by the endpoints of their collections.
#[derive(Clone, Debug)]
pub struct IndexEndpoints {
    client: Signed,
    needed: Arc<OnceLock<Fault>>,
    gate: Gate,
}

/// An answer that is no success.
struct Refusal {
    status: u16,
    /// Which of the fences it was, where AWS says so.
    hint: String,
    request_id: Option<String>,
    body: Value,
}

impl IndexEndpoints {
    pub(super) fn new(config: &SdkConfig, gate: &Gate) -> Self {
        Self { client: Signed::new(config, "aoss"), needed: Arc::default(), gate: gate.clone() }
    }

    /// What the control plane said when it first refused a vector schema, or said that it has no API for indexes, since
    /// the process began: then it may not see the indexes that were made here, either.
    pub fn needed(&self) -> Option<&Fault> {
        self.needed.get()
    }

    /// That the control plane has no API for indexes, in its own words.
    pub fn instead_of_api(&self) -> Option<&Fault> {
        self.needed().filter(|refusal| refusal.lacks_index_api())
    }

    /// Notes that the control plane does not do.
    pub fn note_needed(&self, refusal: &Fault) {
        self.needed.get_or_init(|| Fault { request_id: None, ..refusal.clone() });
    }

    /// The settings and mappings of an index.
    /// <https://docs.opensearch.org/latest/api-reference/index-apis/get-index/>
    pub async fn find(&self, endpoint: &str, name: &str) -> Result<Option<Value>, Fault> {
        let call = self.gate.call(aoss_endpoint::GetIndex, name);
        let answer = found(self.send(call, "GET", &format!("{endpoint}/{name}"), None).await)?;
        // Whatever answers there may not be OpenSearch.
        let index = |mut answer: Value| answer.get_mut(name).map(Value::take).ok_or_else(|| call.empty());
        answer.map(index).transpose()
    }

    /// Makes an index.
    /// <https://docs.opensearch.org/latest/api-reference/index-apis/create-index/>
    pub async fn create(&self, endpoint: &str, name: &str, schema: &Value) -> Result<(), Fault> {
        let call = self.gate.call(aoss_endpoint::PutIndex, name);
        self.send(call, "PUT", &format!("{endpoint}/{name}"), Some(schema)).await.map(drop)
    }

    /// Adds fields to the mappings of an index: `{"properties": …}`.
    /// <https://docs.opensearch.org/latest/api-reference/index-apis/put-mapping/>
    pub async fn add_mappings(&self, endpoint: &str, name: &str, mappings: &Value) -> Result<(), Fault> {
        let call = self.gate.call(aoss_endpoint::PutMapping, name);
        self.send(call, "PUT", &format!("{endpoint}/{name}/_mapping"), Some(mappings)).await.map(drop)
    }

    /// Deletes an index with all vectors in it.
    /// <https://docs.opensearch.org/latest/api-reference/index-apis/delete-index/>
    pub async fn delete(&self, endpoint: &str, name: &str) -> Result<(), Fault> {
        let call = self.gate.call(aoss_endpoint::DeleteIndex, name);
        gone(self.send(call, "DELETE", &format!("{endpoint}/{name}"), None).await)
    }

    async fn send(
        &self,
        call: Call<'_>,
        method: &str,
        url: &str,
        body: Option<&Value>,
    ) -> Result<Value, Fault> {
        call.pass(self.exchange(call, method, url, body)).await
    }

    async fn exchange(
        &self,
        call: Call<'_>,
        method: &str,
        url: &str,
        body: Option<&Value>,
    ) -> Result<Value, Fault> {
        match self.client.exchange(method, url, body, OPERATION_TIMEOUT).await {
            Ok(answer) if answer.is_success() => Ok(answer.body),
            Ok(answer) => Err(Refusal::from(answer).fault(call, url)),
            Err(Unanswered::Unsigned(why)) => Err(call.refused("Unsigned", &why)),
            Err(why) => {
                Err(Fault { class: Class::Unreachable, ..call.refused(why.code(), &format!("{url}: {why}")) })
            }
        }
    }
}

impl From<Answer> for Refusal {
    fn from(answer: Answer) -> Self {
        let hint = answer.header("x-aoss-response-hint").unwrap_or_default();
        let request_id = answer.header("x-request-id");
        Self { status: answer.status, hint, request_id, body: answer.body }
    }
}

impl Refusal {
    /// OpenSearch says what it dislikes; the gateway before it, which knows network policies and IAM, says little.
    /// <https://repost.aws/knowledge-center/opensearch-serverless-troubleshoot>
    fn fault(self, call: Call<'_>, url: &str) -> Fault {
        let text = |name: &str| self.body["error"][name].as_str().map(str::to_owned);
        let code = text("type").unwrap_or_else(|| self.status.to_string());
        let message = text("reason").unwrap_or_else(|| format!("{url} answers HTTP {}", self.status));
        let fault = call.refused(&code, &message);
        let by_gateway = matches!(self.status, 401 | 403) && !code.ends_with("_exception");
        let class = match by_gateway {
            true if self.hint.ends_with("gw-helper-deny") => Class::Denied,
            true => Class::Unreachable,
            false => fault.class,
        };
        Fault { class, request_id: self.request_id, ..fault }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fault(status: u16, hint: &str, error: Value) -> Fault {
        let body = json!({"error": error, "status": status});
        let refusal = Refusal { status, hint: hint.into(), request_id: Some("R1".into()), body };
        refusal.fault(Gate::open().call(aoss_endpoint::PutIndex, "i"), "https://c.aoss.amazonaws.com/i")
    }

    #[test]
    fn each_fence_is_told_from_the_others() {
        let gateway = |reason: &str, type_: &str| json!({"reason": reason, "type": type_});
        let network = fault(401, "", gateway("401 Unauthorized", "Unauthorized"));
        assert_eq!(network.class, Class::Unreachable);
        assert_eq!(fault(403, "", gateway("403 Forbidden", "Forbidden")).class, Class::Unreachable);
        let iam = fault(403, "X01:gw-helper-deny", gateway("403 Forbidden", "Forbidden"));
        assert_eq!((iam.class, iam.action().as_str()), (Class::Denied, "aoss:APIAccessAll"));
        for propagating in ["security_exception", "authorization_exception"] {
            let reason = "User does not have permissions for the requested resource";
            assert_eq!(fault(403, "", json!({"type": propagating, "reason": reason})).class, Class::NotYet);
        }
    }

    #[test]
    fn opensearch_says_what_it_dislikes() {
        let of = |status, type_: &str| fault(status, "", json!({"type": type_, "reason": "because"}));
        assert_eq!(of(400, "resource_already_exists_exception").class, Class::Conflict);
        assert_eq!(of(404, "index_not_found_exception").class, Class::NotFound);
        assert_eq!(of(400, "mapper_parsing_exception").class, Class::Invalid);
        assert_eq!(of(400, "mapper_parsing_exception").request_id.as_deref(), Some("R1"));
        assert_eq!(fault(503, "", Value::Null).class, Class::Transient);
        assert_eq!(fault(429, "", Value::Null).class, Class::Throttled);
    }
}
