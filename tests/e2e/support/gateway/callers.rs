//! Who asks: ServiceAccounts with tokens of the API server, and RoleBindings that let them.

use std::collections::BTreeMap;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};
use kube::Api;
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use serde::de::DeserializeOwned;

use crate::support::world::World;

/// The audience of tokens for the gateway.
pub const AUDIENCE: &str = "tenantry-gateway";

impl World {
    /// A token of a ServiceAccount of this world, as a pod has it; the account is made if it is not there.
    pub async fn token(&self, account: &str) -> String {
        self.token_for(account, AUDIENCE, 3600).await
    }

    /// The same for another audience, or for another time in seconds.
    pub async fn token_for(&self, account: &str, audience: &str, seconds: i64) -> String {
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &self.namespace_name(""));
        let metadata = ObjectMeta { name: Some(account.into()), ..ObjectMeta::default() };
        made(&api, &ServiceAccount { metadata, ..ServiceAccount::default() }).await;
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: vec![audience.into()],
                expiration_seconds: Some(seconds),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let given = api.create_token_request(account, &PostParams::default(), &request).await.unwrap();
        given.status.unwrap().token
    }

    /// Lets a ServiceAccount ask for a tenant, named as its Tenant is: `acme`, or `other/acme`.
    pub async fn let_ask(&self, account: &str, tenant: &str) {
        let (namespace, tenant) = tenant.split_once('/').unwrap_or(("", tenant));
        let (namespace, client) = (self.namespace_name(namespace), self.client.clone());
        let (role, binding) = (format!("ask-{tenant}"), format!("{account}-asks-{tenant}"));
        let rule = PolicyRule {
            api_groups: Some(vec!["tenantry.dev".into()]),
            resources: Some(vec!["tenants".into()]),
            resource_names: Some(vec![tenant.into()]),
            verbs: vec!["ask".into()],
            ..PolicyRule::default()
        };
        let named = |name: &str| ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() };
        let roles = Api::namespaced(client.clone(), &namespace);
        made(&roles, &Role { metadata: named(&role), rules: Some(vec![rule]) }).await;
        let subject = Subject {
            kind: "ServiceAccount".into(),
            name: account.into(),
            namespace: Some(self.namespace_name("")),
            ..Subject::default()
        };
        let role_ref =
            RoleRef { api_group: "rbac.authorization.k8s.io".into(), kind: "Role".into(), name: role };
        let bindings = Api::namespaced(client, &namespace);
        made(&bindings, &RoleBinding { metadata: named(&binding), role_ref, subjects: Some(vec![subject]) })
            .await;
    }

    /// Takes it back.
    pub async fn let_ask_no_more(&self, account: &str, tenant: &str) {
        let (namespace, tenant) = tenant.split_once('/').unwrap_or(("", tenant));
        let bindings: Api<RoleBinding> =
            Api::namespaced(self.client.clone(), &self.namespace_name(namespace));
        bindings.delete(&format!("{account}-asks-{tenant}"), &DeleteParams::default()).await.unwrap();
    }

    /// Deletes a ServiceAccount. What it may stays written down.
    pub async fn delete_account(&self, account: &str) {
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &self.namespace_name(""));
        api.delete(account, &DeleteParams::default()).await.unwrap();
    }

    /// Tokens of ServiceAccounts that are called like the tenants for which they ask, each for one.
    pub async fn askers(&self, tenants: &[&str]) -> BTreeMap<String, String> {
        let mut tokens = BTreeMap::new();
        for tenant in tenants {
            self.let_ask(tenant, tenant).await;
            tokens.insert((*tenant).to_owned(), self.token(tenant).await);
        }
        tokens
    }
}

async fn made<K>(api: &Api<K>, object: &K)
where
    K: Clone + std::fmt::Debug + serde::Serialize + DeserializeOwned,
{
    match api.create(&PostParams::default(), object).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => {}
        created => drop(created.unwrap()),
    }
}
