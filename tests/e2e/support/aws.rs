//! The test's own view of AWS: the SDKs themselves, under a session that is not the operator's.

use std::hash::{DefaultHasher, Hash, Hasher};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_sts::config::Credentials;
use serde_json::{Value, json};
use tenantry::api::VectorStore;
use tenantry::settings::Settings;
use tenantry::stack::iam::permissions::{self, Audience};
use tenantry::stack::identity::Scope;

/// Where everything is.
pub const REGION: &str = "us-east-1";
/// The data access policy that lets the test look at the indexes of its world, and delete them.
pub const TESTS_GRANT: &str = "tests-own";
/// The inline policy of the roles that operator and test run as,
const ROLE_POLICY: &str = "all";
/// and how managed ones begin beside it, with what deletes: inline there is no room for both.
const DELETES: &str = "deletes-";

/// All clients of one session.
pub struct Sdk {
    pub s3: aws_sdk_s3::Client,
    pub iam: aws_sdk_iam::Client,
    pub kms: aws_sdk_kms::Client,
    pub aoss: aws_sdk_opensearchserverless::Client,
    pub s3vectors: aws_sdk_s3vectors::Client,
    pub bedrock: aws_sdk_bedrockagent::Client,
    pub dynamodb: aws_sdk_dynamodb::Client,
}

impl Sdk {
    pub fn new(config: &SdkConfig) -> Self {
        let s3 = aws_sdk_s3::config::Builder::from(config).force_path_style(true).build();
        Self {
            s3: aws_sdk_s3::Client::from_conf(s3),
            iam: aws_sdk_iam::Client::new(config),
            kms: aws_sdk_kms::Client::new(config),
            aoss: aws_sdk_opensearchserverless::Client::new(config),
            s3vectors: aws_sdk_s3vectors::Client::new(config),
            bedrock: aws_sdk_bedrockagent::Client::new(config),
            dynamodb: aws_sdk_dynamodb::Client::new(config),
        }
    }

    /// Puts an object into a bucket.
    pub async fn upload(&self, bucket: &str, key: &str, content: impl Into<Vec<u8>>) {
        let body = ByteStream::from(content.into());
        self.s3.put_object().bucket(bucket).key(key).body(body).send().await.unwrap();
    }
}

async fn config(endpoint: &str, credentials: Credentials) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::from_static(REGION))
        .credentials_provider(credentials)
        .load()
        .await
}

/// A role that somebody assumes here.
pub struct Role<'a> {
    pub name: &'a str,
    /// What it may do.
    pub policy: Value,
}

impl Role<'_> {
    /// The test's role, which may do everything.
    pub fn of_test() -> Self {
        let all = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
        Role { name: "tenantry-tests", policy: all }
    }

    /// The operator's role, which may do what `tenantry iam-policy operator` and `destructive` print, and nothing else.
    pub fn of_operator(settings: &Settings, account: &str) -> Self {
        Self::of_operator_on(settings, account, &VectorStore::ALL)
    }

    /// The same of an installation that has these vector stores alone.
    pub fn of_operator_on(settings: &Settings, account: &str, stores: &[VectorStore]) -> Self {
        let name = "tenantry-operator";
        let audience = Audience {
            scope: Scope::new(&settings.installation, account, REGION),
            role_arn: Some(role_arn(account, name)),
            boundary_arn: settings.permissions_boundary.clone(),
            registry: settings.registry.clone(),
            installation_bucket: settings.installation_bucket.clone(),
            stores: stores.to_vec(),
        };
        let mut policy = permissions::operator(&audience, None);
        let destructive = permissions::destructive(&audience)["Statement"].as_array().unwrap().clone();
        policy["Statement"].as_array_mut().unwrap().extend(destructive);
        Role { name, policy }
    }
}

/// Roles live under a path, as an operator's may.
pub fn role_arn(account: &str, role: &str) -> String {
    format!("arn:aws:iam::{account}:role/e2e/{role}")
}

/// A session of a role in an account; the role is made if it is not there.
pub async fn session(endpoint: &str, account: &str, role: Role<'_>, name: &str) -> SdkConfig {
    let root = config(endpoint, Credentials::new(account, "not-a-secret", None, None, "e2e")).await;
    let iam = aws_sdk_iam::Client::new(&root);
    if iam.get_role().role_name(role.name).send().await.is_err() {
        let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"AWS": format!("arn:aws:iam::{account}:root")}}]});
        let create = iam.create_role().role_name(role.name).path("/e2e/");
        create.assume_role_policy_document(trust.to_string()).send().await.unwrap();
        role_may(&iam, account, role.name, &role.policy).await;
    }
    session_at(endpoint, &root, &role_arn(account, role.name), name).await
}

/// Lets a role do this, and nothing else.
pub async fn role_may(iam: &aws_sdk_iam::Client, account: &str, role: &str, policy: &Value) {
    let of =
        |statements: Vec<&Value>| json!({"Version": policy["Version"], "Statement": statements}).to_string();
    let deletes = |it: &&Value| it["Sid"].as_str().is_some_and(|sid| sid.starts_with("Delete"));
    let (deletes, rest): (Vec<_>, Vec<_>) = policy["Statement"].as_array().unwrap().iter().partition(deletes);
    let mut wanted = None;
    if !deletes.is_empty() {
        let document = of(deletes);
        let mut hasher = DefaultHasher::new();
        document.hash(&mut hasher);
        let name = format!("{DELETES}{:x}", hasher.finish());
        let arn = format!("arn:aws:iam::{account}:policy/{name}");
        if iam.get_policy().policy_arn(&arn).send().await.is_err() {
            iam.create_policy().policy_name(&name).policy_document(document).send().await.unwrap();
        }
        iam.attach_role_policy().role_name(role).policy_arn(&arn).send().await.unwrap();
        wanted = Some(arn);
    }
    let put = iam.put_role_policy().role_name(role).policy_name(ROLE_POLICY);
    put.policy_document(of(rest)).send().await.unwrap();
    let attached = iam.list_attached_role_policies().role_name(role).send().await.unwrap();
    for arn in attached.attached_policies().iter().filter_map(|it| it.policy_arn()) {
        if Some(arn) != wanted.as_deref() && arn.contains(&format!(":policy/{DELETES}")) {
            iam.detach_role_policy().role_name(role).policy_arn(arn).send().await.unwrap();
        }
    }
}

/// A session of a role that is there, as whom it trusts.
pub async fn session_at(endpoint: &str, by: &SdkConfig, role_arn: &str, name: &str) -> SdkConfig {
    let assume = aws_sdk_sts::Client::new(by).assume_role().role_arn(role_arn).role_session_name(name);
    let keys = assume.send().await.unwrap().credentials.unwrap();
    let (id, secret, token) = (keys.access_key_id, keys.secret_access_key, Some(keys.session_token));
    config(endpoint, Credentials::new(id, secret, token, None, "e2e")).await
}
