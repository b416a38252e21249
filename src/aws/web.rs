//! What is read from servers that are not AWS's, by the same way as AWS: through the proxies that the environment names.

use std::path::Path;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;

use super::way::{self, NoWay};
use crate::stack::causes::causes;

/// How long one document may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most that a document has.
const MOST: usize = 1 << 20;

/// Reads documents from servers.
#[derive(Clone, Debug)]
pub struct Web(SharedHttpConnector);

/// Why a document could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// There was no answer, or it broke off.
    #[error("{url} cannot be reached: {why}")]
    Away {
        /// Where.
        url: String,
        /// Why.
        why: String,
    },
    /// The answer is no document.
    #[error("{url} answers HTTP {status}")]
    Refused {
        /// Where.
        url: String,
        /// With what.
        status: u16,
    },
    /// It has too much in it.
    #[error("{0} has more in it than such a document has")]
    TooLarge(String),
}

impl Web {
    /// By the environment's way. `authorities` is a file of those who vouch for the server, in place of the system's.
    pub fn new(config: &SdkConfig, authorities: Option<&Path>) -> Result<Self, NoWay> {
        let settings =
            HttpConnectorSettings::builder().connect_timeout(PATIENCE).read_timeout(PATIENCE).build();
        way::connector_to(&settings, config.sleep_impl(), authorities).map(Self)
    }

    /// A document. Nothing is followed that leads elsewhere.
    pub async fn get(&self, url: &str) -> Result<Vec<u8>, Unread> {
        let away = |why: String| Unread::Away { url: url.into(), why };
        let read = async {
            let mut request = HttpRequest::new(SdkBody::empty());
            request.set_uri(url).map_err(|error| away(causes(&error)))?;
            request.headers_mut().insert("accept", "application/json");
            let answer = self.0.call(request).await.map_err(|error| away(causes(&error)))?;
            let status = answer.status().as_u16();
            if status != 200 {
                return Err(Unread::Refused { url: url.into(), status });
            }
            let (mut body, mut stream) = (Vec::new(), ByteStream::new(answer.into_body()));
            while let Some(part) = stream.next().await {
                body.extend_from_slice(&part.map_err(|error| away(causes(&error)))?);
                if body.len() > MOST {
                    return Err(Unread::TooLarge(url.into()));
                }
            }
            Ok(body)
        };
        tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(|_| Err(away("no answer in time".into())))
    }
}
