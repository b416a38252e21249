//! Requests that no SDK makes: signed, sent once, and answered in JSON.

use std::fmt;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::Headers;
use aws_smithy_types::byte_stream::ByteStream;
use serde_json::Value;

use super::config::{CONNECT_TIMEOUT, OPERATION_TIMEOUT};
use super::credentials::Credentials;
use super::signature::Signer;
use super::way;
use crate::stack::causes::causes;

/// A client of one service.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    connector: Result<SharedHttpConnector, String>,
    credentials: Credentials,
    region: String,
    service: &'static str,
}

/// An answer, whether or not it is a success.
pub(super) struct Answer {
    pub(super) status: u16,
    headers: Headers,
    /// Null if it is no JSON.
    pub(super) body: Value,
}

/// Why there is no answer.
pub(super) enum Unanswered {
    /// The request could not be signed.
    Unsigned(String),
    /// There was no connection, or it broke off.
    Connection(String),
    /// Nothing came in time.
    Timeout,
}

impl Answer {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(super) fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).map(str::to_owned)
    }
}

impl Unanswered {
    /// The code that a fault has in place of AWS's.
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Unanswered::Unsigned(_) => "Unsigned",
            Unanswered::Connection(_) => "Connection",
            Unanswered::Timeout => "Timeout",
        }
    }
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unanswered::Unsigned(why) | Unanswered::Connection(why) => f.write_str(why),
            Unanswered::Timeout => f.write_str("no answer"),
        }
    }
}

impl Signed {
    /// A client that signs for `service`, as its endpoints want it.
    pub(super) fn new(config: &SdkConfig, service: &'static str) -> Self {
        let settings = HttpConnectorSettings::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(OPERATION_TIMEOUT)
            .build();
        Self {
            connector: way::connector(&settings, config.sleep_impl()).map_err(|error| error.to_string()),
            credentials: Credentials::new(config.credentials_provider()),
            region: config.region().map(ToString::to_string).unwrap_or_default(),
            service,
        }
    }

    /// One request, and its answer within `patience`.
    pub(super) async fn exchange(
        &self,
        method: &str,
        url: &str,
        body: Option<&Value>,
        patience: Duration,
    ) -> Result<Answer, Unanswered> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = self.signed(method, url, body).await.map_err(Unanswered::Unsigned)?;
        let connector = self.connector.as_ref().map_err(|why| Unanswered::Connection(why.clone()))?;
        let exchange = async { read(connector.call(request).await.map_err(|error| causes(&error))?).await };
        match tokio::time::timeout(patience, exchange).await {
            Err(_) => Err(Unanswered::Timeout),
            Ok(answer) => answer.map_err(Unanswered::Connection),
        }
    }

    /// The request with its signature.
    async fn signed(&self, method: &str, url: &str, body: String) -> Result<HttpRequest, String> {
        let credentials = self.credentials.get().await?;
        let signer = Signer { service: self.service, region: &self.region, hash_header: true };
        signer.signed(credentials, method, url, body.into_bytes())
    }
}

/// All of an answer; one that breaks off is none.
async fn read(response: HttpResponse) -> Result<Answer, String> {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = ByteStream::new(response.into_body()).collect().await.map_err(|error| causes(&error))?;
    Ok(Answer { status, headers, body: serde_json::from_slice(&body.into_bytes()).unwrap_or_default() })
}
