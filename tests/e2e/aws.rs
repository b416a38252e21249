//! AWS under two roles: the operator's, with the policy that it prints, and the test's own, which may do all.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_sts::config::Credentials;
use serde_json::{Value, json};
use tenantry::stack::identity::Scope;
use tenantry::stack::permissions::{self, Audience};

/// Where everything is.
pub const REGION: &str = "us-east-1";
/// The role that the test assumes.
pub const TEST: &str = "tenantry-e2e";
/// The role that the operator assumes. It lives under a path, as an operator's may.
pub const OPERATOR: &str = "tenantry-e2e-operator";

/// All clients of one session.
pub struct Sdk {
    pub s3: aws_sdk_s3::Client,
    pub iam: aws_sdk_iam::Client,
    pub kms: aws_sdk_kms::Client,
    pub aoss: aws_sdk_opensearchserverless::Client,
    /// As the operator, whom alone the data access policies let at indexes.
    pub indexes: aws_sdk_opensearchserverless::Client,
    pub bedrock: aws_sdk_bedrockagent::Client,
}

impl Sdk {
    pub fn new(config: &SdkConfig, operators: &SdkConfig) -> Self {
        let s3 = aws_sdk_s3::config::Builder::from(config).force_path_style(true).build();
        Self {
            s3: aws_sdk_s3::Client::from_conf(s3),
            iam: aws_sdk_iam::Client::new(config),
            kms: aws_sdk_kms::Client::new(config),
            aoss: aws_sdk_opensearchserverless::Client::new(config),
            indexes: aws_sdk_opensearchserverless::Client::new(operators),
            bedrock: aws_sdk_bedrockagent::Client::new(config),
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

/// What the test may do: all.
pub fn everything() -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
}

/// What the operator may do: what it says it needs.
pub fn operator_policy(installation: &str, account: &str) -> Value {
    let audience = Audience {
        scope: Scope::new(installation, account, REGION),
        role_arn: Some(arn(account, OPERATOR)),
        boundary_arn: None,
    };
    permissions::operator(&audience, None)
}

/// Lets a role do what `policy` says, from now on.
pub async fn allow(endpoint: &str, account: &str, role: &str, policy: &Value) {
    let iam = aws_sdk_iam::Client::new(&root(endpoint, account).await);
    let put = iam.put_role_policy().role_name(role).policy_name("allowed");
    put.policy_document(policy.to_string()).send().await.unwrap();
}

/// The account's own user, who may do all.
async fn root(endpoint: &str, account: &str) -> SdkConfig {
    config(endpoint, Credentials::new(account, "not-a-secret", None, None, "e2e")).await
}

fn arn(account: &str, role: &str) -> String {
    format!("arn:aws:iam::{account}:role/e2e/{role}")
}

/// A session of one of the two roles, in an account; the role may do nothing before it is allowed to.
pub async fn session(endpoint: &str, account: &str, role: &str, name: &str) -> SdkConfig {
    let root = root(endpoint, account).await;
    let iam = aws_sdk_iam::Client::new(&root);
    if iam.get_role().role_name(role).send().await.is_err() {
        let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"AWS": format!("arn:aws:iam::{account}:root")}}]});
        let create =
            iam.create_role().role_name(role).path("/e2e/").assume_role_policy_document(trust.to_string());
        create.send().await.unwrap();
    }
    let sts = aws_sdk_sts::Client::new(&root);
    let answer = sts.assume_role().role_arn(arn(account, role)).role_session_name(name).send().await.unwrap();
    let keys = answer.credentials.unwrap();
    let (id, secret, token) = (keys.access_key_id, keys.secret_access_key, Some(keys.session_token));
    config(endpoint, Credentials::new(id, secret, token, None, "e2e")).await
}
