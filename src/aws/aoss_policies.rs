//! OpenSearch Serverless: encryption, network and data access policies.
//!
//! They have no tags: their description carries what other resources have as tags. An account has room for 150
//! encryption, 500 network and 500 data access policies, each of at most 10,240 bytes.
//! <https://docs.aws.amazon.com/general/latest/gr/opensearch-service.html>

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_opensearchserverless::Client;
use aws_sdk_opensearchserverless::types::{
    AccessPolicyDetail, AccessPolicyType, SecurityPolicyDetail, SecurityPolicyType,
};
use aws_smithy_types::Document;
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt};
use serde_json::Value;

use super::document::to_value;
use super::fault::{found, gone};
use super::gate::Gate;
use crate::stack::fault::Fault;
use crate::stack::iam::operation::aoss;
use crate::stack::model::observed::PolicyFacts;
use crate::stack::store::opensearch;

/// OpenSearch Serverless policies of all three kinds.
#[derive(Clone, Debug)]
pub struct Policies {
    client: Client,
    gate: Gate,
    services: Services,
}

/// Whether AWS has refused a network policy that lets in other services beside Bedrock. Each process asks once.
#[derive(Clone, Debug, Default)]
struct Services(Arc<AtomicBool>);

impl Services {
    /// Asks for a policy as it is wanted; where AWS takes only Bedrock, for that.
    async fn ask<'a>(
        &self,
        policy: &Value,
        ask: impl Fn(String) -> BoxFuture<'a, Result<(), Fault>>,
    ) -> Result<(), Fault> {
        let Some(alone) = opensearch::with_bedrock_alone(policy) else {
            return ask(policy.to_string()).await;
        };
        if self.0.load(Ordering::Relaxed) {
            return ask(alone.to_string()).await;
        }
        let refusal = match ask(policy.to_string()).await {
            Err(refusal) if refusal.code == "ValidationException" => refusal,
            answer => return answer,
        };
        if ask(alone.to_string()).await.is_err() {
            return Err(refusal);
        }
        tracing::warn!(%refusal, "network policies let in Bedrock alone, because AWS takes no more");
        self.0.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// What AWS takes no more of is as it was wanted.
    fn read(&self, facts: PolicyFacts) -> PolicyFacts {
        match opensearch::with_all_services(&facts.document).filter(|_| self.0.load(Ordering::Relaxed)) {
            Some(document) => PolicyFacts { document, ..facts },
            None => facts,
        }
    }
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
        Self { client, gate: gate.clone(), services: Services::default() }
    }

    /// A policy, by kind and name.
    pub async fn find(&self, kind: PolicyKind, name: &str) -> Result<Option<PolicyFacts>, Fault> {
        match kind.security() {
            Some(type_) => {
                let call = self.gate.call(aoss::GetSecurityPolicy, name);
                let request = self.client.get_security_policy().r#type(type_).name(name);
                let answer = found(call.send(request.send()).await)?;
                let detail = answer.and_then(|answer| answer.security_policy_detail);
                Ok(detail.map(|detail| self.services.read(detail.into())))
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
        match kind.security() {
            Some(type_) => {
                let ask = |policy: String| {
                    let call = self.gate.call(aoss::CreateSecurityPolicy, name);
                    let request = self.client.create_security_policy().r#type(type_.clone()).name(name);
                    let request = request.policy(policy).description(description);
                    call.send(request.send()).map_ok(drop).boxed()
                };
                self.services.ask(policy, ask).await
            }
            None => {
                let call = self.gate.call(aoss::CreateAccessPolicy, name);
                let request = self.client.create_access_policy().r#type(AccessPolicyType::Data).name(name);
                let request = request.policy(policy.to_string()).description(description);
                call.send(request.send()).await.map(drop)
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
        match kind.security() {
            Some(type_) => {
                let ask = |policy: String| {
                    let call = self.gate.call(aoss::UpdateSecurityPolicy, name);
                    let request = self.client.update_security_policy().r#type(type_.clone()).name(name);
                    let request = request.policy(policy).description(description).policy_version(version);
                    call.send(request.send()).map(|answer| unchanged_or(answer.map(drop))).boxed()
                };
                self.services.ask(policy, ask).await
            }
            None => {
                let call = self.gate.call(aoss::UpdateAccessPolicy, name);
                let request = self.client.update_access_policy().r#type(AccessPolicyType::Data).name(name);
                let request = request.policy(policy.to_string()).description(description);
                let request = request.policy_version(version);
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

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;
    use crate::api::NetworkSettings;
    use crate::stack::fault::Class;

    fn refusal(code: &str) -> Fault {
        Fault {
            class: Class::Invalid,
            service: "aoss",
            operation: "CreateSecurityPolicy",
            resource: "c".into(),
            code: code.into(),
            message: "SourceServices is not valid".into(),
            request_id: None,
        }
    }

    /// A region that takes so many services in a policy.
    struct Region {
        services: usize,
        asked: Mutex<Vec<usize>>,
    }

    impl Region {
        async fn asks(&self, services: &Services, policy: &Value) -> Result<(), Fault> {
            let ask = |policy: String| {
                let policy: Value = serde_json::from_str(&policy).unwrap();
                let count = policy[0]["SourceServices"].as_array().map_or(0, Vec::len);
                self.asked.lock().push(count);
                let answer = if count > self.services { Err(refusal("ValidationException")) } else { Ok(()) };
                async move { answer }.boxed()
            };
            services.ask(policy, ask).await
        }
    }

    #[tokio::test]
    async fn a_region_that_takes_one_service_alone_refuses_no_private_collection() {
        let private = opensearch::network("c", &NetworkSettings::Private { vpc_endpoint_ids: vec![] });
        let public = opensearch::network("c", &NetworkSettings::Public);
        let facts = |document: &Value| PolicyFacts {
            document: document.clone(),
            version: "1".into(),
            description: String::new(),
        };
        let alone = opensearch::with_bedrock_alone(&private).unwrap();
        for (takes, asked, is_taken) in
            [(2, vec![2, 2, 0], true), (1, vec![2, 1, 1, 0], true), (0, vec![2, 1, 2, 1, 0], false)]
        {
            let (services, region) =
                (Services::default(), Region { services: takes, asked: Mutex::default() });
            for _ in 0..2 {
                let refused = region.asks(&services, &private).await.err().map(|refused| refused.code);
                assert_eq!(refused, (!is_taken).then(|| "ValidationException".to_owned()), "{takes}");
            }
            region.asks(&services, &public).await.unwrap();
            assert_eq!(*region.asked.lock(), asked, "{takes}");
            let read = services.read(facts(&alone)).document;
            assert_eq!(read == private, takes == 1, "what AWS takes no more of is not put right for ever");
            assert_eq!(services.read(facts(&public)).document, public);
        }
        // Any other refusal is nobody's to go round.
        let services = Services::default();
        let ask = |_| async { Err(refusal("AccessDeniedException")) }.boxed();
        assert!(services.ask(&private, ask).await.is_err() && !services.0.load(Ordering::Relaxed));
    }
}
