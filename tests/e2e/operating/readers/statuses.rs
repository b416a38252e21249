//! The statuses of the table come about as it says, and are kept as they came.

use std::fs;

use serde_json::{Value, json};
use tenantry::api::PAUSED;

use super::{Opinions, file, kept, opinions, refreshes, table};
use crate::support::objects::Object;
use crate::support::world::{World, world, world_without_operator};

/// The conditions that do not depend on how far the layers happened to be.
const TELLING: [&str; 6] = ["Ready", "Reconciling", "Stalled", "Accepted", "DeletionBlocked", "Paused"];

/// An object's status is the one that the table calls `name`, and its readers say what the table says.
async fn assert_is(w: &World, name: &str, object: &Object) {
    if refreshes() {
        fs::write(file(name), serde_saphyr::to_string(&trimmed(w, object)).unwrap()).unwrap();
    }
    let row = table().into_iter().find(|row| row.name == name).expect("the table has the status");
    let Opinions { kstatus, argo } = opinions(std::slice::from_ref(&object.as_it_is)).await.remove(0);
    assert_eq!(
        (&kstatus.status, &argo.status),
        (&row.kstatus, &row.argo),
        "{name}: {}; {}\n{}",
        kstatus.message,
        argo.message,
        object.describe()
    );
    let is = serde_json::to_value(&object.as_it_is).unwrap();
    assert_eq!(telling(&is), telling(&kept(name)), "{name}.yaml is not what the operator writes any more");
}

/// What a status tells, without all that another run would tell in other words.
fn telling(object: &Value) -> Value {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    let conditions = conditions.filter(|condition| TELLING.contains(&condition["type"].as_str().unwrap()));
    let conditions =
        conditions.map(|c| json!([c["type"], c["status"], c["reason"], c["observedGeneration"]]));
    json!({
        "generation": object["metadata"]["generation"],
        "leaving": object["metadata"]["deletionTimestamp"].is_string(),
        "annotations": object["metadata"]["annotations"],
        "observedGeneration": object["status"]["observedGeneration"],
        "conditions": conditions.collect::<Vec<_>>(),
    })
}

/// An object without what only this test put into it, and as in a cluster of its own.
fn trimmed(w: &World, object: &Object) -> Value {
    let mut value = serde_json::to_value(&object.as_it_is).unwrap();
    let metadata = value["metadata"].as_object_mut().unwrap();
    for field in ["labels", "managedFields", "resourceVersion"] {
        metadata.remove(field);
    }
    if let Some(namespace) = metadata.get_mut("namespace") {
        *namespace = "tenants".into();
    }
    let text = value.to_string().replace(&w.account, "111122223333");
    let text = text.replace(&format!("{}/_aoss", w.bed.aws_endpoint), "https://aoss.example.com");
    let text = text.replace(&format!("-{}", w.suffix), "").replace(&format!("{}/", w.suffix), "tenants/");
    serde_json::from_str(&text).unwrap()
}

const SILO: &str = "
    kind: Tenant
    metadata: {name: acme, annotations: {example.com/contact: ops}}
    spec: {tenantId: acme, pattern: Silo, deletionPolicy: Delete}";

#[tokio::test]
async fn of_one_that_comes_and_goes() {
    world_without_operator(
        |_| {},
        |w| async move {
            w.apply(SILO).await;
            assert_is(&w, "new", &w.get("acme").await).await;
            w.start_operator().await;
            assert_is(&w, "creating", &w.condition("acme", "Ready=False/Creating").await).await;
            let ready = w
                .until("acme", "is ready, with no documents", |acme| {
                    acme.is("Ready=True") && acme.is("DocumentsCurrent=True/NoDocuments")
                })
                .await;
            assert_is(&w, "ready", &ready).await;
            w.delete("acme").await;
            assert_is(&w, "leaving", &w.condition("acme", "Ready=False/Deleting").await).await;
            w.gone("acme").await;
        },
    )
    .await;
}

#[tokio::test]
async fn of_one_that_changes_or_is_paused() {
    world(|w| async move {
        w.apply(SILO).await;
        w.ready("acme").await;
        w.annotate("acme", PAUSED, Some("true")).await;
        assert_is(&w, "paused", &w.condition("acme", "Paused=True").await).await;
        w.touch("acme").await;
        let changed = w.condition("acme", "Ready=False/Paused").await;
        assert_is(&w, "paused-outdated", &changed).await;
        w.annotate("acme", PAUSED, None).await;
        w.ready("acme").await;
        w.stop_operator().await;
        w.touch("acme").await;
        assert_is(&w, "outdated", &w.get("acme").await).await;
        w.start_operator().await;
        w.ready("acme").await;
    })
    .await;
}

#[tokio::test]
async fn of_one_that_answers_while_it_is_changed() {
    world(|w| async move {
        w.apply(SILO).await;
        w.ready("acme").await;
        // What AWS changes at once is changed before anybody is told.
        w.patch("acme", json!({"spec": {"collection": {"network": {"access": "Public"}}}})).await;
        assert_is(&w, "updating", &w.condition("acme", "Reconciling=True/Updating").await).await;
        w.ready("acme").await;
    })
    .await;
}

#[tokio::test]
async fn of_those_that_cannot_be_built() {
    world(|w| async move {
        w.apply(
            "{kind: Tenant, metadata: {name: waiting},
              spec: {tenantId: waiting, pattern: Bridge, stackRef: {name: standard}}}",
        )
        .await;
        assert_is(&w, "waiting", &w.condition("waiting", "Ready=False/StackNotFound").await).await;
        w.double.fault(json!({"operation": "CreateRole", "fault": "denied", "count": 1_000_000})).await;
        w.apply("{kind: Tenant, metadata: {name: stalled}, spec: {tenantId: stalled, pattern: Silo}}").await;
        assert_is(&w, "stalled", &w.condition("stalled", "Ready=False/Denied").await).await;
        w.apply("{kind: Tenant, metadata: {name: refused}, spec: {tenantId: stalled, pattern: Silo}}").await;
        assert_is(&w, "refused", &w.condition("refused", "Accepted=False/TenantIdTaken").await).await;
    })
    .await;
}

#[tokio::test]
async fn of_one_that_may_not_change_as_it_asks() {
    world(|w| async move {
        w.apply(
            "{kind: TenantClass, metadata: {name: paid}, spec: {allowedNamespaces: {matchLabels: {plan: paid}}}}",
        )
        .await;
        w.apply(SILO).await;
        w.ready("acme").await;
        w.patch("acme", json!({"spec": {"classRef": {"name": w.stack_name("paid")}}})).await;
        let refused = w.condition("acme", "Accepted=False/ClassNotAllowed").await;
        assert_is(&w, "change-refused", &refused).await;
    })
    .await;
}

#[tokio::test]
async fn of_one_whose_document_cannot_be_indexed() {
    world(|w| async move {
        w.double.settings(json!({"switches": {"malformed_sidecar": "failed"}})).await;
        w.apply(SILO).await;
        w.ready("acme").await;
        w.upload("acme", &[("one.md", "The office opens at nine."), ("one.md.metadata.json", "{not JSON")])
            .await;
        let failed = w.condition("acme", "DocumentsCurrent=False/DocumentsFailed").await;
        assert_is(&w, "documents-failed", &failed).await;
    })
    .await;
}

#[tokio::test]
async fn of_one_that_aws_keeps_from_being_looked_at() {
    world(|w| async move {
        w.apply(SILO).await;
        w.ready("acme").await;
        let unread =
            json!({"operation": "GetRole", "resource": "e2e-*", "fault": "failed", "count": 1_000_000});
        w.double.fault(unread).await;
        w.restart_operator().await;
        assert_is(&w, "aws-fails", &w.condition("acme", "Reconciling=True/Transient").await).await;
    })
    .await;
}

#[tokio::test]
async fn of_a_shared_stack() {
    world(|w| async move {
        w.apply(
            "
            kind: SharedStack
            metadata: {name: standard, annotations: {example.com/contact: ops}}
            spec: {pool: {}}
            ---
            {kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Pool, stackRef: {name: standard}}}",
        )
        .await;
        w.ready("acme").await;
        assert_is(&w, "shared-stack", &w.ready("SharedStack/standard").await).await;
        w.delete("SharedStack/standard").await;
        let blocked = w.condition("SharedStack/standard", "DeletionBlocked=True/Borrowed").await;
        assert_is(&w, "deletion-blocked", &blocked).await;
    })
    .await;
}
