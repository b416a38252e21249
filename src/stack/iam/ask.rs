//! Who asks: the gateway's own role, the role in whose sessions it puts questions to knowledge bases, and what an organization can
//! refuse to everybody else.
//!
//! The gateway's role can do next to nothing: it reads records, and has STS give it a session of the asking role. There is one
//! session for each tenant, and its tags say whose knowledge base it may ask: whatever goes wrong in the gateway, IAM refuses
//! every other. IAM knows no condition on the filter of a question, so that within a pool the gateway alone keeps tenants apart.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html>,
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonbedrock.html>

use serde_json::{Value, json};

use super::permissions::{INSTALLATION as INSTALLATION_TAG, resource_tag};
use crate::stack::identity::Scope;
use crate::stack::layout::RECORDS;

/// Which installation's knowledge bases a session may ask: its tag `tenantry.dev/installation`.
pub const INSTALLATION: &str = "tenantry-installation";
/// Whose knowledge base a session may ask: its tag `tenantry.dev/owner`.
pub const OWNER: &str = "tenantry-owner";
/// The tenant for which it asks: nothing depends on it but what the bill and the trail say.
pub const TENANT_ID: &str = "tenantry-tenant-id";

/// The operations that show what a knowledge base's documents say, and know the knowledge base as their resource.
/// `RetrieveAndGenerate` knows none: it may read what `Retrieve` may.
const READS: [&str; 3] = ["bedrock:AgenticRetrieveStream", "bedrock:GetDocumentContent", "bedrock:Retrieve"];

/// The tag that says whose a knowledge base is.
const OWNER_TAG: &str = "tenantry.dev/owner";

/// What the gateway's own role needs; `given` is the bucket for records that an administrator has made.
pub fn gateway(scope: &Scope, ask_role: &str, given: Option<&str>) -> Value {
    let bucket = given.map_or_else(|| scope.installation_bucket(), Into::into);
    let bucket = format!("arn:{}:s3:::{bucket}", scope.partition);
    let mut statements = vec![
        json!({"Sid": "SessionsOfTenants", "Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Resource": [ask_role], "Condition": tagged(scope)}),
        // Without the right to list it S3 does not say of a record that it is not there.
        json!({"Sid": "WhetherThereIsARecord", "Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [bucket]}),
        json!({"Sid": "Records", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [format!("{bucket}/{RECORDS}*")]}),
    ];
    if scope.account != "*" {
        for statement in &mut statements[1..] {
            statement["Condition"] = json!({"StringEquals": {"aws:ResourceAccount": scope.account}});
        }
    }
    // The operator's own bucket is under a key of S3's; an administrator's may be under any.
    if given.is_some() {
        statements.push(json!({"Sid": "KeyOfRecords", "Effect": "Allow", "Action": ["kms:Decrypt"],
        "Resource": [scope.arn("kms", "key/*")],
        "Condition": {"StringLike": {
            "kms:ViaService": format!("s3.{}.amazonaws.com", scope.region),
            "kms:EncryptionContext:aws:s3:arn": [bucket.clone(), format!("{bucket}/*")],
        }}}));
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// The tags that a session must be asked for with. Others may come along: those of a pod's own session are handed on by EKS.
fn tagged(scope: &Scope) -> Value {
    json!({
        "StringEquals": {format!("aws:RequestTag/{INSTALLATION}"): scope.installation},
        "StringLike": {
            format!("aws:RequestTag/{OWNER}"): ["SharedStack/*", "Tenant/*/*"],
            format!("aws:RequestTag/{TENANT_ID}"): "?*",
        },
    })
}

/// What the asking role may do: ask the installation's knowledge bases, and of these the one that its session's tags name.
pub fn ask(scope: &Scope) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "AskAsTagged", "Effect": "Allow", "Action": ["bedrock:Retrieve"],
        "Resource": [scope.arn("bedrock", "knowledge-base/*")],
        "Condition": {"StringEquals": {
            resource_tag(INSTALLATION_TAG): format!("${{aws:PrincipalTag/{INSTALLATION}}}"),
            resource_tag(OWNER_TAG): format!("${{aws:PrincipalTag/{OWNER}}}"),
            format!("aws:PrincipalTag/{INSTALLATION}"): scope.installation,
        }},
    }]})
}

/// The trust of the asking role: the gateway's role, and nobody else, for sessions with all their tags.
pub fn trust(scope: &Scope, gateway_role: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "TheGatewayForATenant", "Effect": "Allow", "Principal": {"AWS": gateway_role},
        "Action": ["sts:AssumeRole", "sts:TagSession"], "Condition": tagged(scope),
    }]})
}

/// A service control policy: nobody of the account reads a knowledge base of the installation but the asking role, and these
/// others. It binds nobody of the organization's management account, no service, and no role that a service has made for itself;
/// and it does not reach documents in buckets, nor the vectors in a store.
pub fn fence(scope: &Scope, ask_role: &str, others: &[String]) -> Value {
    let may: Vec<_> = [ask_role].into_iter().chain(others.iter().map(String::as_str)).collect();
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "OnlyTheGatewayAsks", "Effect": "Deny", "Action": READS,
        "Resource": [scope.arn("bedrock", "knowledge-base/*")],
        "Condition": {
            "StringEquals": {resource_tag(INSTALLATION_TAG): scope.installation},
            "ArnNotEquals": {"aws:PrincipalArn": may},
        },
    }]})
}

/// How long a policy is that a role trusts by.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
pub const MAX_TRUST_CHARS: usize = 2_048;
