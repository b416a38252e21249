//! What an operator asks of AWS before it works, beside S3: whose the credentials are, the policy that is its own right to
//! indexes, and whether knowledge bases were left behind. How AWS really behaves is the AWS double's matter.

use hyper::StatusCode;
use serde_json::{Value, json};

/// The account of the bench.
pub const ACCOUNT: &str = "111122223333";

/// The policy, once it is made.
#[derive(Default)]
pub struct Account {
    policy: Option<Value>,
}

impl Account {
    /// An answer; `target` names the operation, where the protocol has it in a header.
    pub fn answer(&mut self, path: &str, target: Option<&str>, body: &[u8]) -> (StatusCode, String) {
        if path != "/" {
            return (StatusCode::OK, json!({"knowledgeBaseSummaries": []}).to_string());
        }
        let Some((_, operation)) = target.and_then(|target| target.split_once('.')) else {
            return (StatusCode::OK, caller());
        };
        if operation == "CreateAccessPolicy" {
            let asked: Value = serde_json::from_slice(body).unwrap_or_default();
            let policy: Value =
                serde_json::from_str(asked["policy"].as_str().unwrap_or_default()).unwrap_or_default();
            let (name, description) = (&asked["name"], &asked["description"]);
            self.policy = Some(json!({
                "name": name, "type": "data", "policy": policy, "description": description, "policyVersion": "MQ==",
            }));
        }
        match &self.policy {
            Some(policy) if operation.ends_with("AccessPolicy") => {
                (StatusCode::OK, json!({ "accessPolicyDetail": policy }).to_string())
            }
            _ => {
                let nothing =
                    json!({"__type": "ResourceNotFoundException", "message": "There is no such thing"});
                (StatusCode::BAD_REQUEST, nothing.to_string())
            }
        }
    }
}

fn caller() -> String {
    format!(
        "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::{ACCOUNT}:user/bench</Arn>\
         <UserId>AIDABENCH</UserId><Account>{ACCOUNT}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
    )
}
