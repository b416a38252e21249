//! The two roles of a gateway in AWS, with what `tenantry iam-policy` prints for them and nothing else.

use aws_config::SdkConfig;
use serde_json::Value;

use crate::support::aws::{REGION, Role, role_arn, role_may, session};
use crate::support::world::World;

/// The role that the gateway's pods have,
pub const GATEWAY: &str = "tenantry-gateway";
/// and the one in whose sessions it asks.
pub const ASK: &str = "tenantry-ask";

impl World {
    /// The ARN of the role in whose sessions questions are asked.
    pub fn ask_role(&self) -> String {
        role_arn(&self.account, ASK)
    }

    /// Makes both roles, if they are not there, and a session of the gateway's own.
    pub async fn gateway_session(&self) -> SdkConfig {
        let ask_role = self.ask_role();
        let policy = self.printed_policy("gateway", &["--ask-role", &ask_role]).await;
        let name = format!("gateway-{}", fastrand::u32(..));
        let session =
            session(&self.bed.aws_endpoint, &self.account, Role { name: GATEWAY, policy }, &name).await;
        if self.sdk.iam.get_role().role_name(ASK).send().await.is_err() {
            let gateway = role_arn(&self.account, GATEWAY);
            let trust = self.printed_policy("ask", &["--trust", "--gateway-role", &gateway]).await;
            let create = self.sdk.iam.create_role().role_name(ASK).path("/e2e/");
            create.assume_role_policy_document(trust.to_string()).send().await.unwrap();
            let policy = self.printed_policy("ask", &[]).await;
            role_may(&self.sdk.iam, &self.account, ASK, &policy).await;
        }
        session
    }

    /// What `tenantry iam-policy` prints for this installation.
    pub async fn printed_policy(&self, who: &str, options: &[&str]) -> Value {
        let installation = self.settings.installation.as_str();
        let scope = ["--installation", installation, "--account", &self.account, "--region", REGION];
        let arguments = [&["iam-policy", who][..], &scope, options].concat();
        serde_json::from_str(&self.tenantry(&arguments).await).unwrap()
    }
}
