//! Bedrock: how long a foundation model is on offer. One call does not pay for another SDK.

use std::time::Duration;

use aws_config::SdkConfig;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::endpoint::endpoint;
use super::fault::found;
use super::gate::Gate;
use super::signed::{Answer, Signed};
use crate::stack::fault::Fault;
use crate::stack::iam::operation::bedrock;
use crate::stack::lifecycle::Lifecycle;

/// How long the answer may take: nothing that anybody waits for depends on it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Foundation models.
#[derive(Clone, Debug)]
pub struct FoundationModels {
    client: Signed,
    endpoint: String,
    gate: Gate,
}

impl FoundationModels {
    pub(super) fn new(config: &SdkConfig, gate: &Gate) -> Self {
        let endpoint = endpoint(config, "Bedrock", "bedrock");
        Self { client: Signed::new(config, "bedrock"), endpoint, gate: gate.clone() }
    }

    /// How long a model of this region is on offer; `None` if Bedrock does not know it.
    /// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_GetFoundationModel.html>
    pub async fn lifecycle(&self, model: &str) -> Result<Option<Lifecycle>, Fault> {
        const SAFE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
        let call = self.gate.call(bedrock::GetFoundationModel, model);
        let url = format!("{}/foundation-models/{}", self.endpoint, utf8_percent_encode(model, SAFE));
        let answer = call.pass(async {
            let answer = self.client.exchange("GET", &url, None, PATIENCE).await;
            let answer = answer.map_err(|why| call.refused(why.code(), &format!("{url}: {why}")))?;
            if !answer.is_success() {
                return Err(refusal(&answer, |code, message| call.refused(code, message)));
            }
            Lifecycle::read(&answer.body).ok_or_else(|| call.empty())
        });
        found(answer.await)
    }
}

/// What Bedrock says, where it says it.
fn refusal(answer: &Answer, refused: impl FnOnce(&str, &str) -> Fault) -> Fault {
    let code = answer.header("x-amzn-errortype").and_then(|kind| Some(kind.split(':').next()?.to_owned()));
    let code = code.filter(|code| !code.is_empty()).unwrap_or_else(|| answer.status.to_string());
    let message = answer.body["message"].as_str().or_else(|| answer.body["Message"].as_str());
    let message = message.map_or_else(|| format!("AWS answers HTTP {}", answer.status), str::to_owned);
    let fault = refused(&code, &message);
    Fault { request_id: answer.header("x-amzn-requestid"), ..fault }
}
