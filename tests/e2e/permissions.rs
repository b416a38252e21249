//! The operator runs under the policy that it prints. What that policy lacks is named, and given back it is used.

use serde_json::Value;

use crate::aws;
use crate::world::{World, world};

fn without(mut policy: Value, action: &str) -> Value {
    for statement in policy["Statement"].as_array_mut().unwrap() {
        statement["Action"].as_array_mut().unwrap().retain(|it| it != action);
    }
    policy["Statement"].as_array_mut().unwrap().retain(|it| it["Action"] != serde_json::json!([]));
    policy
}

async fn allow(w: &World, policy: &Value) {
    aws::allow(&w.bed.aws_endpoint, &w.account, aws::OPERATOR, policy).await;
}

/// One action of each service; the table test in `tests/model` has the rest.
async fn names_it_and_recovers(action: &'static str, condition: &'static str) {
    world(|w| async move {
        let policy = aws::operator_policy(&w.settings.installation, &w.account);
        allow(&w, &without(policy.clone(), action)).await;
        w.apply(
            "{kind: Tenant, metadata: {name: acme},
              spec: {tenantId: acme, pattern: Silo, encryption: {key: Create}}}",
        )
        .await;
        let told = w.condition("acme", &format!("{condition}=False/Denied")).await;
        assert!(told.is("Stalled=True/Denied"), "{}", told.describe());
        let wanted = format!("Allow {action} for the operator's role");
        assert!(told.message(condition).ends_with(&wanted), "{}", told.describe());
        allow(&w, &policy).await;
        w.ready("acme").await;
    })
    .await;
}

#[tokio::test]
async fn a_missing_right_to_make_buckets_is_named() {
    names_it_and_recovers("s3:PutBucketPolicy", "BucketReady").await;
}

#[tokio::test]
async fn a_missing_right_to_make_keys_is_named() {
    names_it_and_recovers("kms:TagResource", "KeyReady").await;
}

#[tokio::test]
async fn a_missing_right_to_make_roles_is_named() {
    names_it_and_recovers("iam:TagRole", "RoleReady").await;
}

#[tokio::test]
async fn a_missing_right_to_make_collections_is_named() {
    names_it_and_recovers("aoss:CreateCollection", "CollectionReady").await;
}

#[tokio::test]
async fn a_missing_right_to_hand_over_the_role_is_named() {
    names_it_and_recovers("iam:PassRole", "KnowledgeBaseReady").await;
}

#[tokio::test]
async fn a_missing_right_to_make_knowledge_bases_is_named() {
    names_it_and_recovers("bedrock:CreateKnowledgeBase", "KnowledgeBaseReady").await;
}
