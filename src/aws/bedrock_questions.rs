//! Bedrock: questions whose answers are read as AWS wrote them. The SDK's client drops members that it does not know, and
//! would cost more than all else that is done for a question.

use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::byte_stream::ByteStream;
use bytes::Bytes;
use serde::Deserialize;

use super::endpoint::endpoint;
use super::gate::Gate;
use super::signature::Signer;
use super::sts_ask::Session;
use super::way::{self, NoWay};
use crate::stack::causes::causes;
use crate::stack::iam::operation::bedrock;

/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(1);
/// The most that an answer can have: a hundred passages are some hundred kilobytes.
const MOST: usize = 16 << 20;

/// Questions to knowledge bases, by sessions of tenants. All share one pool of connections.
#[derive(Clone, Debug)]
pub struct Questions {
    connector: SharedHttpConnector,
    endpoint: String,
    region: String,
    gate: Gate,
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It answers.
    Passages(Passages),
    /// It refuses.
    Refused(Refusal),
}

/// What AWS says when it answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passages {
    /// The body, as AWS wrote it.
    pub body: Bytes,
    /// Its id of the request.
    pub request_id: Option<String>,
}

/// What AWS says when it refuses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Its error code, such as `ThrottlingException`; empty if it has none.
    pub code: String,
    /// Its message.
    pub message: String,
    /// Its id of the request.
    pub request_id: Option<String>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// The request could not be signed.
    #[error("it could not be signed: {0}")]
    Unsigned(String),
    /// There was no connection, or it broke off.
    #[error("AWS cannot be reached: {0}")]
    Connection(String),
    /// Nothing came in time.
    #[error("AWS did not answer in time")]
    Timeout,
    /// It is larger than any answer.
    #[error("AWS's answer is too large")]
    TooLarge,
}

impl Questions {
    /// By the environment's way to AWS. They are counted with the other calls that pass the gate, and do not wait at it: who
    /// asks has a queue of its own.
    pub fn new(config: &SdkConfig, gate: &Gate) -> Result<Self, NoWay> {
        // How long an answer may take is said with each question.
        let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT).build();
        Ok(Self {
            connector: way::connector(&settings, config.sleep_impl())?,
            endpoint: endpoint(config, "Bedrock Agent Runtime", "bedrock-agent-runtime"),
            region: config.region().map(ToString::to_string).unwrap_or_default(),
            gate: gate.clone(),
        })
    }

    /// Puts one question, once, and waits so long for the answer.
    /// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_agent-runtime_Retrieve.html>
    pub async fn retrieve(
        &self,
        session: &Session,
        knowledge_base: &str,
        body: Vec<u8>,
        patience: Duration,
    ) -> Result<Answer, NoAnswer> {
        let url = format!("{}/knowledgebases/{knowledge_base}/retrieve", self.endpoint);
        let signer = Signer { service: "bedrock", region: &self.region, hash_header: false };
        let request = signer.signed(session.credentials(), "POST", &url, body).map_err(NoAnswer::Unsigned)?;
        let exchange = async {
            let answer = self.connector.call(request).await;
            read(answer.map_err(|error| NoAnswer::Connection(causes(&error)))?).await
        };
        let begun = Instant::now();
        let answer = tokio::time::timeout(patience, exchange).await.unwrap_or(Err(NoAnswer::Timeout));
        self.gate.requests.ended(bedrock::Retrieve, begun.elapsed(), code(&answer));
        answer
    }
}

/// As the call is counted.
fn code(answer: &Result<Answer, NoAnswer>) -> Option<&str> {
    match answer {
        Ok(Answer::Passages(_)) => None,
        Ok(Answer::Refused(refusal)) if refusal.code.is_empty() => Some("Other"),
        Ok(Answer::Refused(refusal)) => Some(&refusal.code),
        Err(NoAnswer::Unsigned(_)) => Some("Unsigned"),
        Err(NoAnswer::Connection(_)) => Some("Connection"),
        Err(NoAnswer::Timeout) => Some("Timeout"),
        Err(NoAnswer::TooLarge) => Some("TooLarge"),
    }
}

/// All of an answer; one that breaks off is none.
async fn read(response: HttpResponse) -> Result<Answer, NoAnswer> {
    let status = response.status().as_u16();
    let headers = response.headers();
    let is_answer = (200..300).contains(&status);
    let header = |name| headers.get(name).map(str::to_owned);
    let request_id = header("x-amzn-requestid");
    let code = if is_answer { None } else { header("x-amzn-errortype") };
    let body = whole(ByteStream::new(response.into_body())).await?;
    if is_answer {
        return Ok(Answer::Passages(Passages { body, request_id }));
    }
    Ok(Answer::Refused(refusal(status, code, request_id, &body)))
}

/// A whole body. One that comes in one part, as most do, is not copied.
async fn whole(mut stream: ByteStream) -> Result<Bytes, NoAnswer> {
    let (mut parts, mut length) = (Vec::new(), 0);
    while let Some(part) = stream.next().await {
        let part = part.map_err(|error| NoAnswer::Connection(causes(&error)))?;
        length += part.len();
        if length > MOST {
            return Err(NoAnswer::TooLarge);
        }
        parts.push(part);
    }
    Ok(if parts.len() == 1 { parts.swap_remove(0) } else { parts.concat().into() })
}

/// The members of a refusal, as services write them.
#[derive(Default, Deserialize)]
struct Said {
    #[serde(rename = "__type", alias = "code")]
    code: Option<String>,
    #[serde(alias = "Message")]
    message: Option<String>,
}

fn refusal(status: u16, code: Option<String>, request_id: Option<String>, body: &[u8]) -> Refusal {
    let said: Said = serde_json::from_slice(body).unwrap_or_default();
    let code = code.or(said.code).unwrap_or_default();
    // Such as `com.amazon#ThrottlingException:http://internal`.
    let code = code.split(':').next().and_then(|code| code.rsplit('#').next()).unwrap_or_default();
    let is_word = code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let code = if is_word { code.to_owned() } else { String::new() };
    Refusal { status, code, message: said.message.unwrap_or_default(), request_id }
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::body::SdkBody;

    use super::*;

    /// CloudTrail names a request by it, answered or not.
    #[tokio::test]
    async fn aws_id_of_a_request_is_kept() {
        let of = async |status: u16| {
            let body = SdkBody::from(&b"{}"[..]);
            let mut response = HttpResponse::new(status.try_into().unwrap(), body);
            response.headers_mut().insert("x-amzn-requestid", "R1");
            response.headers_mut().insert("x-amzn-errortype", "ThrottlingException");
            read(response).await
        };
        let request_id = Some("R1".to_owned());
        let passages = Passages { body: "{}".into(), request_id: request_id.clone() };
        assert_eq!(of(200).await, Ok(Answer::Passages(passages)));
        let code = "ThrottlingException".to_owned();
        let refusal = Refusal { status: 429, code, message: String::new(), request_id };
        assert_eq!(of(429).await, Ok(Answer::Refused(refusal)));
    }

    #[tokio::test]
    async fn a_body_is_bounded_whichever_way_it_comes() {
        let of = |size: usize| whole(ByteStream::from(vec![b'x'; size]));
        assert_eq!(of(MOST).await.map(|body| body.len()), Ok(MOST));
        assert_eq!(of(MOST + 1).await, Err(NoAnswer::TooLarge));
        assert_eq!(of(0).await, Ok(Bytes::new()));
    }

    #[test]
    fn a_refusal_says_what_aws_says() {
        let of = |code: Option<&str>, body: &str| {
            let refusal = refusal(429, code.map(str::to_owned), None, body.as_bytes());
            (refusal.code, refusal.message)
        };
        let expected = |code: &str, message: &str| (code.to_owned(), message.to_owned());
        for (code, body) in [
            (Some("ThrottlingException"), r#"{"message": "slower"}"#),
            (Some("ThrottlingException:http://internal.amazon.com/coral/x/"), r#"{"Message": "slower"}"#),
            (None, r#"{"__type": "com.amazon.bedrock#ThrottlingException", "message": "slower"}"#),
        ] {
            assert_eq!(of(code, body), expected("ThrottlingException", "slower"), "{body}");
        }
        assert_eq!(of(None, "<html>"), expected("", ""));
        assert_eq!(of(Some("<script>"), "[]"), expected("", ""));
    }
}
