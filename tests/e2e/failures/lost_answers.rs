//! Every create goes wrong once, in every way in which it can: in the end everything is there, once, as if nothing had
//! happened.

use serde_json::{Value, json};

use crate::support::fleet::Fleet;
use crate::support::world::{World, world_without_operator};

const FLEET: Fleet = Fleet { each: 1 };

/// Strikes the first of all creates of each resource.
async fn once_each(speed: u32, what: &str, fault: Value, stalls: bool) {
    let disturbed = async |w: World| {
        // AWS and the operator are equally much faster than they are; only processors are not.
        w.double.settings(json!({"speedup": speed})).await;
        w.start_operator().await;
        w.granted().await;
        let strike = async |mut rule: Value| {
            rule["caller"] = "*/operator".into();
            rule["each"] = "resource".into();
            rule.as_object_mut().unwrap().extend(fault.as_object().unwrap().clone());
            w.double.fault(rule).await
        };
        let struck = strike(json!({"operation": "Create*"})).await;
        // A collection's two policies have one name: the second call is the second policy's if the first was obeyed.
        let second = if fault["drop"] == "after" { 1 } else { 2 };
        strike(json!({"operation": "CreateSecurityPolicy", "first": second})).await;
        let witness = w.witness();
        w.apply(&FLEET.yaml()).await;
        FLEET.ready(&w).await;
        if !stalls {
            witness.assert_never_stalled(&w, "bridge1").await;
        }
        FLEET.assert_as_if_undisturbed(&w).await;
        let hits = struck.hits().await;
        for operation in [
            "kms:CreateKey",
            "kms:CreateAlias",
            "s3:CreateBucket",
            "aoss:CreateSecurityPolicy",
            "aoss:CreateCollection",
            "aoss:CreateAccessPolicy",
            "aoss:CreateIndex",
            "iam:CreateRole",
            "bedrock-agent:CreateKnowledgeBase",
            "bedrock-agent:CreateDataSource",
        ] {
            assert!(
                hits.iter().any(|hit| hit.starts_with(operation)),
                "{operation} was not {what}: {hits:?}"
            );
        }
    };
    world_without_operator(|settings| settings.clock = speed, disturbed).await;
}

#[tokio::test]
async fn an_answer_that_is_lost_makes_nothing_twice() {
    once_each(10, "lost", json!({"drop": "after"}), false).await;
}

#[tokio::test]
async fn a_request_that_is_lost_is_made_again() {
    once_each(20, "lost", json!({"drop": "before"}), false).await;
}

#[tokio::test]
async fn a_create_that_is_throttled_is_made_later() {
    once_each(20, "throttled", json!({"fault": "throttled"}), false).await;
}

#[tokio::test]
async fn a_create_that_fails_in_aws_is_made_later() {
    once_each(20, "failed", json!({"fault": "failed"}), false).await;
}

/// A refusal needs a person and is tried again every five minutes.
#[tokio::test]
async fn a_create_that_is_denied_is_made_once_it_is_allowed() {
    once_each(100, "denied", json!({"fault": "denied"}), true).await;
}
