//! Embedding models end: it is told in time, and keeps nobody from asking.

use serde_json::json;

use crate::support::world::{World, world};

const TITAN: &str = "amazon.titan-embed-text-v2:0";

/// So many days are left, for all that the next operator can know.
async fn days_left(w: &World, days: i64) {
    w.double.settings(json!({"switches": {"legacy_models": [[TITAN, days]]}})).await;
    w.restart_operator().await;
}

/// How often an object was told of its model.
async fn told(w: &World, object: &str) -> usize {
    w.events(object).await.iter().filter(|(reason, _)| reason == "ModelLegacy").count()
}

#[tokio::test]
async fn the_end_of_a_model_is_told_before_it_comes() {
    world(|w| async move {
        w.apply(
            "
            {kind: SharedStack, metadata: {name: pooled}, spec: {pool: {}}}
            ---
            {kind: Tenant, metadata: {name: silo}, spec: {tenantId: silo, pattern: Silo}}
            ---
            kind: Tenant
            metadata: {name: pool}
            spec: {tenantId: pool, pattern: Pool, stackRef: {name: pooled}}",
        )
        .await;
        for object in ["silo", "SharedStack/pooled"] {
            let object = w.ready(object).await;
            assert!(object.is("ModelCurrent=True/ModelStays"), "{}", object.describe());
        }
        assert!(w.ready("pool").await.condition("ModelCurrent").is_none(), "it is its SharedStack's");
        let asked = w.double.journal(0).await.of("GetFoundationModel");
        assert_eq!(asked.len(), 1, "two who use it ask once: {asked}");

        let mut message = String::new();
        for (times, days, said) in
            [(1, 89, "90 days"), (2, 29, "30 days"), (3, 6, "7 days"), (4, -1, "ended on")]
        {
            days_left(&w, days).await;
            let is_said =
                |object: &crate::support::objects::Object| object.message("ModelCurrent").contains(said);
            let object = w.until("silo", said, is_said).await;
            assert!(object.is("ModelCurrent=False/ModelLegacy"), "{}", object.describe());
            assert!(object.is("Ready=True") && object.is("Stalled=False"), "{}", object.describe());
            w.until("SharedStack/pooled", said, is_said).await;
            let events = || async { (told(&w, "silo").await == times).then_some(()) };
            w.eventually("it is an event", events).await;
            message = object.message("ModelCurrent").to_owned();
        }
        // Another operator has nothing new to say, and one that may not ask takes nothing back.
        let mark = w.double.mark().await;
        let fault = json!({"operation": "GetFoundationModel", "fault": "denied", "count": 1_000_000});
        let denied = w.double.fault(fault).await;
        w.restart_operator().await;
        let asked = || async { (!denied.hits().await.is_empty()).then_some(()) };
        w.eventually("it asks", asked).await;
        w.touch("silo").await;
        let object = w.ready("silo").await;
        assert_eq!(object.message("ModelCurrent"), message);
        assert_eq!(told(&w, "silo").await, 4);
        assert!(w.double.journal(mark).await.of("GetFoundationModel").len() <= 1);
    })
    .await;
}

#[tokio::test]
async fn who_may_not_look_a_model_up_is_told_so_and_builds_all_the_same() {
    world(|w| async move {
        let fault = json!({"operation": "GetFoundationModel", "fault": "denied", "count": 1_000_000});
        w.double.fault(fault).await;
        w.apply("{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Silo}}").await;
        let acme = w.ready("acme").await;
        assert!(acme.is("ModelCurrent=Unknown/Denied"), "{}", acme.describe());
        assert!(acme.message("ModelCurrent").contains("bedrock:GetFoundationModel"), "{}", acme.describe());
    })
    .await;
}

/// What Bedrock says of a model that nobody has subscribed to sounds like IAM that lags.
#[tokio::test]
async fn a_model_of_the_marketplace_is_not_waited_for_and_no_spec_is_blamed() {
    for said in [
        "Model access is denied due to IAM user or service role is not authorized to perform the required AWS Marketplace \
         actions (aws-marketplace:ViewSubscriptions, aws-marketplace:Subscribe) to enable access to this model",
        "Knowledge base role r is not able to call specified embedding model m: You don't have access to the model with \
         the specified model ID",
    ] {
        world(|w| async move {
            let rule = json!({"operation": "CreateKnowledgeBase", "code": "ValidationException", "message": said,
                "count": 1_000_000});
            w.double.fault(rule).await;
            let model = "knowledgeBase: {embeddingModel: cohere.embed-multilingual-v3}";
            w.apply(&format!(
                "{{kind: Tenant, metadata: {{name: acme}}, spec: {{tenantId: acme, pattern: Silo, {model}}}}}"
            ))
            .await;
            let told = w.condition("acme", "KnowledgeBaseReady=False/Denied").await;
            assert!(told.is("Stalled=True/Denied"), "{}", told.describe());
            let message = told.message("KnowledgeBaseReady");
            assert!(message.contains("aws-marketplace:Subscribe") && !message.contains("Change the spec"), "{message}");
            w.double.heal().await;
            w.ready("acme").await;
        })
        .await;
    }
}

/// An answer may have an empty description, and a request may not.
#[tokio::test]
async fn what_nobody_has_set_keeps_nothing_from_being_deleted() {
    world(|w| async move {
        w.double.settings(json!({"switches": {"unset": "empty"}})).await;
        w.apply(
            "
            {kind: SharedStack, metadata: {name: standard}, spec: {deletionPolicy: Delete}}
            ---
            kind: Tenant
            metadata: {name: acme}
            spec: {tenantId: acme, pattern: Bridge, stackRef: {name: standard}, deletionPolicy: Delete}",
        )
        .await;
        w.ready("acme").await;
        w.patch("acme", json!({"spec": {"dataDeletionPolicy": "Retain"}})).await;
        w.ready("acme").await;
        w.delete("acme").await;
        w.gone("acme").await;
        w.delete("SharedStack/standard").await;
        w.gone("SharedStack/standard").await;
        let updates = w.double.journal(0).await.of("UpdateDataSource");
        assert!(!updates.is_empty() && updates.iter().all(|call| call.succeeded()), "{updates}");
    })
    .await;
}
