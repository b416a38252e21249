//! OpenSearch Serverless: encryption, network and data access policies.
//!
//! They have no tags: their description carries what other resources have as tags. An account has room for 150
//! encryption, 500 network and 500 data access policies, each of at most 10,240 bytes.
//! <https://docs.aws.amazon.com/general/latest/gr/opensearch-service.html>

use aws_sdk_opensearchserverless::Client;
use aws_sdk_opensearchserverless::types::{
    AccessPolicyDetail, AccessPolicyType, SecurityPolicyDetail, SecurityPolicyType,
};
use aws_smithy_types::Document;
use serde_json::Value;

use super::document::to_value;
use super::fault::{found, gone};
use super::gate::Gate;
use crate::stack::fault::Fault;
use crate::stack::iam::operation::aoss;
use crate::stack::model::observed::PolicyFacts;

/// OpenSearch Serverless policies of all three kinds.
#[derive(Clone, Debug)]
pub struct Policies {
    client: Client,
    gate: Gate,
}

/// What a policy rules. Names are unique within a kind; AOSS has one API for the first two and another for the third.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKind {
    /// Which key encrypts a collection; must stand before the collection is made.
    Encryption,
    /// Who reaches a collection over the network.
    Network,
    /// Which principal may do what to indexes and their documents.
    DataAccess,
}

impl PolicyKind {
    /// The kind as the security policies' API has it; `None` for data access.
    fn security(self) -> Option<SecurityPolicyType> {
        match self {
            PolicyKind::Encryption => Some(SecurityPolicyType::Encryption),
            PolicyKind::Network => Some(SecurityPolicyType::Network),
            PolicyKind::DataAccess => None,
        }
    }
}

impl Policies {
    pub(super) fn new(client: Client, gate: &Gate) -> Self {
        Self { client, gate: gate.clone() }
    }

    /// A policy, by kind and name.
    pub async fn find(&self, kind: PolicyKind, name: &str) -> Result<Option<PolicyFacts>, Fault> {
        match kind.security() {
            Some(type_) => {
                let call = self.gate.call(aoss::GetSecurityPolicy, name);
                let request = self.client.get_security_policy().r#type(type_).name(name);
                let answer = found(call.send(request.send()).await)?;
                Ok(answer.and_then(|answer| answer.security_policy_detail).map(Into::into))
            }
            None => {
                let call = self.gate.call(aoss::GetAccessPolicy, name);
                let request = self.client.get_access_policy().r#type(AccessPolicyType::Data).name(name);
                let answer = found(call.send(request.send()).await)?;
                Ok(answer.and_then(|answer| answer.access_policy_detail).map(Into::into))
            }
        }
    }

    /// Makes a policy. `name` has 3 to 32 characters, `description` at most 1,000.
    pub async fn create(
        &self,
        kind: PolicyKind,
        name: &str,
        policy: &Value,
        description: &str,
    ) -> Result<(), Fault> {
        let policy = policy.to_string();
        match kind.security() {
            Some(type_) => {
                let call = self.gate.call(aoss::CreateSecurityPolicy, name);
                let request = self.client.create_security_policy().r#type(type_).name(name).policy(policy);
                call.send(request.description(description).send()).await.map(drop)
            }
            None => {
                let call = self.gate.call(aoss::CreateAccessPolicy, name);
                let request = self.client.create_access_policy().r#type(AccessPolicyType::Data).name(name);
                call.send(request.policy(policy).description(description).send()).await.map(drop)
            }
        }
    }

    /// Replaces what a policy and its description say, if it still has the version that we read; otherwise a conflict.
    /// The description goes along each time: it says whose the policy is, and no page of AWS promises that one left out
    /// stays.
    pub async fn update(
        &self,
        kind: PolicyKind,
        name: &str,
        policy: &Value,
        description: &str,
        version: &str,
    ) -> Result<(), Fault> {
        let policy = policy.to_string();
        match kind.security() {
            Some(type_) => {
                let call = self.gate.call(aoss::UpdateSecurityPolicy, name);
                let request = self.client.update_security_policy().r#type(type_).name(name).policy(policy);
                let request = request.description(description).policy_version(version);
                unchanged_or(call.send(request.send()).await.map(drop))
            }
            None => {
                let call = self.gate.call(aoss::UpdateAccessPolicy, name);
                let request = self.client.update_access_policy().r#type(AccessPolicyType::Data).name(name);
                let request = request.policy(policy).description(description).policy_version(version);
                unchanged_or(call.send(request.send()).await.map(drop))
            }
        }
    }

    /// Deletes a policy.
    pub async fn delete(&self, kind: PolicyKind, name: &str) -> Result<(), Fault> {
        match kind.security() {
            Some(type_) => {
                let call = self.gate.call(aoss::DeleteSecurityPolicy, name);
                let request = self.client.delete_security_policy().r#type(type_).name(name);
                gone(call.send(request.send()).await)
            }
            None => {
                let call = self.gate.call(aoss::DeleteAccessPolicy, name);
                let request = self.client.delete_access_policy().r#type(AccessPolicyType::Data).name(name);
                gone(call.send(request.send()).await)
            }
        }
    }
}

/// AWS refuses an update that changes nothing; to us it is one that was made already.
fn unchanged_or(result: Result<(), Fault>) -> Result<(), Fault> {
    match result {
        Err(fault) if fault.message.starts_with("No changes detected") => Ok(()),
        result => result,
    }
}

impl From<SecurityPolicyDetail> for PolicyFacts {
    fn from(detail: SecurityPolicyDetail) -> Self {
        facts(detail.policy, detail.policy_version, detail.description)
    }
}

impl From<AccessPolicyDetail> for PolicyFacts {
    fn from(detail: AccessPolicyDetail) -> Self {
        facts(detail.policy, detail.policy_version, detail.description)
    }
}

fn facts(policy: Option<Document>, version: Option<String>, description: Option<String>) -> PolicyFacts {
    PolicyFacts {
        document: policy.as_ref().map(to_value).unwrap_or_default(),
        version: version.unwrap_or_default(),
        description: description.unwrap_or_default(),
    }
}
