//! Every operator here runs under the policy that `tenantry iam-policy operator` prints. With an action taken away the
//! condition names it; given back, the work goes on.

use serde_json::{Value, json};

use crate::aws::{ROLE_POLICY, Role};
use crate::world::{World, world_without_operator};

/// The policy without these actions.
fn without(policy: &Value, actions: &[&str]) -> Value {
    let mut policy = policy.clone();
    let mut found = 0;
    let statements = policy["Statement"].as_array_mut().unwrap();
    for statement in statements.iter_mut() {
        let listed = match statement["Action"].take() {
            Value::Array(listed) => listed,
            one => vec![one],
        };
        let (taken, left): (Vec<_>, Vec<_>) =
            listed.into_iter().partition(|action| actions.contains(&action.as_str().unwrap()));
        found += taken.len();
        statement["Action"] = left.into();
    }
    statements.retain(|statement| statement["Action"] != json!([]));
    assert!(found >= actions.len(), "the policy does not list all of {actions:?}: {policy:#}");
    policy
}

#[tokio::test]
async fn an_action_that_is_taken_away_is_named() {
    // AWS and the operator are equally much faster than they are.
    const SPEED: u32 = 50;
    let test = async |w: World| {
        w.double.settings(json!({"speedup": SPEED})).await;
        w.start_operator().await;
        w.granted().await;
        let role = Role::of_operator(&w.settings, &w.account);
        let allow = async |policy: Value| {
            let put = w.sdk.iam.put_role_policy().role_name(role.name).policy_name(ROLE_POLICY);
            put.policy_document(policy.to_string()).send().await.unwrap();
        };
        // One of each service, in the order in which they are missed.
        let steps: [&[(&str, &str)]; 3] = [
            &[("kms:CreateKey", "KeyReady")],
            &[
                ("s3:CreateBucket", "BucketReady"),
                ("iam:CreateRole", "RoleReady"),
                ("aoss:CreateCollection", "CollectionReady"),
            ],
            &[("bedrock:CreateKnowledgeBase", "KnowledgeBaseReady")],
        ];
        let mut missing: Vec<&str> =
            steps.iter().flat_map(|step| step.iter().map(|(action, _)| *action)).collect();
        allow(without(&role.policy, &missing)).await;
        w.apply(
            "{kind: Tenant, metadata: {name: acme},
              spec: {tenantId: acme, pattern: Silo, encryption: {key: Create}, deletionPolicy: Delete}}",
        )
        .await;
        for step in steps {
            for (action, condition) in step {
                let told = w.condition("acme", &format!("{condition}=False/Denied")).await;
                assert!(told.is("Stalled=True/Denied"), "{}", told.describe());
                let message = told.message(condition);
                for wanted in [*action, "Allow ", "(request "] {
                    assert!(message.contains(wanted), "'{wanted}' is not in: {message}");
                }
                missing.retain(|left| left != action);
            }
            allow(without(&role.policy, &missing)).await;
        }
        w.ready("acme").await;

        // And on the way back.
        allow(without(&role.policy, &["bedrock:DeleteKnowledgeBase"])).await;
        w.delete("acme").await;
        let told = w.condition("acme", "Stalled=True/Denied").await;
        assert!(told.message("Ready").contains("bedrock:DeleteKnowledgeBase"), "{}", told.describe());
        allow(role.policy.clone()).await;
        w.gone("acme").await;
    };
    world_without_operator(|settings| settings.clock = SPEED, test).await;
}
