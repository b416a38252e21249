//! The test's own view of AWS: the SDKs themselves, under a session that is not the operator's.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_sts::config::Credentials;

/// Where everything is.
pub const REGION: &str = "us-east-1";
/// The role that the operator, and the test beside it, assume.
const ROLE: &str = "tenantry-e2e";

/// All clients of one session.
pub struct Sdk {
    pub s3: aws_sdk_s3::Client,
    pub iam: aws_sdk_iam::Client,
    pub kms: aws_sdk_kms::Client,
    pub aoss: aws_sdk_opensearchserverless::Client,
    pub bedrock: aws_sdk_bedrockagent::Client,
}

impl Sdk {
    pub fn new(config: &SdkConfig) -> Self {
        let s3 = aws_sdk_s3::config::Builder::from(config).force_path_style(true).build();
        Self {
            s3: aws_sdk_s3::Client::from_conf(s3),
            iam: aws_sdk_iam::Client::new(config),
            kms: aws_sdk_kms::Client::new(config),
            aoss: aws_sdk_opensearchserverless::Client::new(config),
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

/// A session in an account, of a role that lives under a path, as an operator's does.
pub async fn session(endpoint: &str, account: &str, name: &str) -> SdkConfig {
    let root = config(endpoint, Credentials::new(account, "not-a-secret", None, None, "e2e")).await;
    let iam = aws_sdk_iam::Client::new(&root);
    let role = format!("arn:aws:iam::{account}:role/e2e/{ROLE}");
    if iam.get_role().role_name(ROLE).send().await.is_err() {
        let trust = format!(
            r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Action": "sts:AssumeRole",
                "Principal": {{"AWS": "arn:aws:iam::{account}:root"}}}}]}}"#
        );
        let create = iam.create_role().role_name(ROLE).path("/e2e/").assume_role_policy_document(trust);
        create.send().await.unwrap();
        let all = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}"#;
        iam.put_role_policy().role_name(ROLE).policy_name("all").policy_document(all).send().await.unwrap();
    }
    let sts = aws_sdk_sts::Client::new(&root);
    let answer = sts.assume_role().role_arn(role).role_session_name(name).send().await.unwrap();
    let keys = answer.credentials.unwrap();
    let (id, secret, token) = (keys.access_key_id, keys.secret_access_key, Some(keys.session_token));
    config(endpoint, Credentials::new(id, secret, token, None, "e2e")).await
}
