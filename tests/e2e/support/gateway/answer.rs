//! What a gateway answers, and whether it is what AWS would.

use reqwest::Response;
use serde_json::Value;

/// An answer, whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    /// The header `x-amzn-errortype`.
    pub code: String,
    pub kind: String,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
    pub body: String,
}

impl Answer {
    pub async fn of(response: Response) -> Self {
        let header = |name: &str| {
            let value = response.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let (status, code, kind) =
            (response.status().as_u16(), header("x-amzn-errortype"), header("content-type"));
        let retry_after = header("retry-after").parse().ok();
        Self { status, code, kind, retry_after, body: response.text().await.unwrap() }
    }

    /// The body of one that is JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Each passage: its document and its text.
    pub fn passages(&self) -> Vec<(String, String)> {
        assert_eq!(self.status, 200, "{self:?}");
        let answer = self.json();
        let results = answer["retrievalResults"].as_array().unwrap_or_else(|| panic!("{self:?}"));
        let text = |passage: &Value, path: &str| {
            passage.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let each = results
            .iter()
            .map(|passage| (text(passage, "/location/s3Location/uri"), text(passage, "/content/text")));
        each.collect()
    }

    /// The status and AWS's name of a refusal, which is in that service's shape: of Bedrock JSON, of STS XML.
    pub fn refusal(&self) -> (u16, String) {
        if self.body.starts_with('<') {
            let of = |tag: &str| {
                let (_, rest) =
                    self.body.split_once(&format!("<{tag}>")).unwrap_or_else(|| panic!("{self:?}"));
                rest.split_once(&format!("</{tag}>")).unwrap_or_else(|| panic!("{self:?}")).0.to_owned()
            };
            assert!(self.kind.starts_with("text/xml"), "STS speaks XML: {self:?}");
            assert!(!of("RequestId").is_empty() && !of("Message").is_empty(), "{self:?}");
            assert!(["Sender", "Receiver"].contains(&of("Type").as_str()), "{self:?}");
            return (self.status, of("Code"));
        }
        assert!(self.kind.starts_with("application/json"), "Bedrock speaks JSON: {self:?}");
        assert!(!self.message().is_empty(), "a refusal says why: {self:?}");
        (self.status, self.code.clone())
    }

    /// What a refusal says.
    pub fn message(&self) -> String {
        match self.body.split_once("<Message>") {
            Some((_, rest)) => rest.split_once("</Message>").unwrap().0.to_owned(),
            None => self.json()["message"].as_str().unwrap_or_default().to_owned(),
        }
    }
}
