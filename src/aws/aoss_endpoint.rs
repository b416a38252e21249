//! OpenSearch Serverless: vector indexes, by the collection's own endpoint, in OpenSearch's own API: for where the
//! control plane does not take a vector schema.
//!
//! Three fences stand before it: the collection's network policy, IAM (`aoss:APIAccessAll`) and the data access policy.
//! <https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-clients.html>

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_sigv4::http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use serde_json::Value;

use super::call::Call;
use super::config::{CONNECT_TIMEOUT, OPERATION_TIMEOUT};
use super::credentials::Credentials;
use super::fault::{chain, found, gone};
use super::gate::Gate;
use crate::stack::fault::{Class, Fault};
use crate::stack::iam::operation::aoss_endpoint;

/// Vector indexes, by the endpoints of their collections.
#[derive(Clone, Debug)]
pub struct IndexEndpoints {
    connector: Option<SharedHttpConnector>,
    credentials: Credentials,
    region: String,
    needed: Arc<AtomicBool>,
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
        let settings = HttpConnectorSettings::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(OPERATION_TIMEOUT)
            .build();
        Self {
            connector: aws_smithy_http_client::default_connector(&settings, config.sleep_impl()),
            credentials: Credentials::new(config.credentials_provider()),
            region: config.region().map(ToString::to_string).unwrap_or_default(),
            needed: Arc::default(),
            gate: gate.clone(),
        }
    }

    /// Whether the control plane has refused a vector schema since the process began: then it may not see the indexes
    /// that were made here, either.
    pub fn is_needed(&self) -> bool {
        self.needed.load(Ordering::Relaxed)
    }

    /// Notes that the control plane has refused a vector schema.
    pub fn note_needed(&self) {
        self.needed.store(true, Ordering::Relaxed);
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
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = self.signed(method, url, body).await.map_err(|why| call.refused("Unsigned", &why))?;
        let unreachable = |code: &str, why: &str| Fault {
            class: Class::Unreachable,
            ..call.refused(code, &format!("{url}: {why}"))
        };
        let Some(connector) = &self.connector else {
            return Err(unreachable("Connection", "this build has no HTTP client"));
        };
        let exchange = async { read(connector.call(request).await.map_err(chain)?).await };
        match tokio::time::timeout(OPERATION_TIMEOUT, exchange).await {
            Err(_) => Err(unreachable("Timeout", "no answer")),
            Ok(Err(why)) => Err(unreachable("Connection", &why)),
            Ok(Ok(Err(refusal))) => Err(refusal.fault(call, url)),
            Ok(Ok(Ok(answer))) => Ok(answer),
        }
    }

    /// The request with its signature. This service wants the body's hash as a header, too.
    async fn signed(&self, method: &str, url: &str, body: String) -> Result<HttpRequest, String> {
        let identity = self.credentials.get().await?.into();
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("aoss")
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .map_err(|error| error.to_string())?
            .into();
        let headers = [("content-type", "application/json")];
        let signable =
            SignableRequest::new(method, url, headers.into_iter(), SignableBody::Bytes(body.as_bytes()));
        let signature =
            signable.and_then(|request| sign(request, &parameters)).map_err(|it| it.to_string())?;
        let (instructions, _) = signature.into_parts();
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method(method).map_err(|error| error.to_string())?;
        request.set_uri(url).map_err(|error| error.to_string())?;
        let signed = instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned()));
        for (name, value) in
            headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().chain(signed)
        {
            request.headers_mut().insert(name, value);
        }
        Ok(request)
    }
}

/// What the endpoint says; an answer that breaks off is no answer.
async fn read(response: HttpResponse) -> Result<Result<Value, Refusal>, String> {
    let header = |name: &str| response.headers().get(name).map(str::to_owned);
    let status = response.status();
    let (hint, request_id) = (header("x-aoss-response-hint"), header("x-request-id"));
    let body = ByteStream::new(response.into_body()).collect().await.map_err(chain)?;
    let body = serde_json::from_slice(&body.into_bytes()).unwrap_or_default();
    Ok(match status.is_success() {
        true => Ok(body),
        false => Err(Refusal { status: status.as_u16(), hint: hint.unwrap_or_default(), request_id, body }),
    })
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
