//! STS: sessions in which tenants' questions are asked. Their tags say whose a question is: IAM compares them with the tags
//! of the knowledge base, and the bill has the session's name.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_sdk_sts::Client;
use aws_sdk_sts::types::Tag;

use super::config::patient;
use super::gate::Gate;
use crate::stack::fault::Fault;
use crate::stack::iam::operation::sts;

/// How long a session lasts: what AWS grants to a role that another role assumes.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining>
const LASTS: i32 = 3600;

/// The role in whose sessions questions are asked.
#[derive(Clone, Debug)]
pub struct AskRole {
    client: Client,
    arn: String,
    gate: Gate,
}

/// One session of it.
#[derive(Clone)]
pub struct Session(Credentials);

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session(…)")
    }
}

impl AskRole {
    /// The role of this ARN.
    pub fn new(config: &SdkConfig, arn: &str, gate: &Gate) -> Self {
        Self { client: Client::new(&patient(config)), arn: arn.into(), gate: gate.clone() }
    }

    /// A session of this name, with these tags.
    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
    pub async fn session(&self, name: &str, tags: &[(&str, &str)]) -> Result<Session, Fault> {
        let call = self.gate.call(sts::AssumeRole, &self.arn);
        let tags = tags.iter().map(|(key, value)| Tag::builder().key(*key).value(*value).build());
        let tags = tags.collect::<Result<Vec<_>, _>>().map_err(call.unbuilt())?;
        let request = self.client.assume_role().role_arn(&self.arn).role_session_name(name);
        let answer = call.send(request.duration_seconds(LASTS).set_tags(Some(tags)).send()).await?;
        let given = answer.credentials.ok_or_else(|| call.empty())?;
        let ends = SystemTime::try_from(given.expiration).unwrap_or_else(|_| SystemTime::now());
        Ok(Session(Credentials::new(
            given.access_key_id,
            given.secret_access_key,
            Some(given.session_token),
            Some(ends),
            "tenantry",
        )))
    }
}

impl Session {
    /// How long it lasts from now on.
    pub fn lasts(&self) -> Duration {
        let ends = self.0.expiry().unwrap_or_else(SystemTime::now);
        ends.duration_since(SystemTime::now()).unwrap_or_default()
    }

    pub(super) fn credentials(&self) -> Credentials {
        self.0.clone()
    }

    /// One that lasts so long, for tests.
    #[cfg(test)]
    pub(crate) fn lasting(lasts: Duration) -> Self {
        Self(Credentials::new("A", "S", None, Some(SystemTime::now() + lasts), "tests"))
    }
}
