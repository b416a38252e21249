//! A stack that is deleted while it is being built leaves nothing behind, wherever the building stood.

use std::collections::BTreeSet;

use crate::support::inventory;
use crate::support::world::world;

/// Holds the building at a point, deletes the tenant there, and lets AWS go on.
async fn deleted_at(point: &'static str) {
    world(|w| async move {
        let held = w.double.hold(point, "*").await;
        w.apply(
            "
            kind: Tenant
            metadata: {name: acme}
            spec: {tenantId: acme, pattern: Silo, encryption: {key: Create}, deletionPolicy: Delete}",
        )
        .await;
        w.eventually(&format!("the building is at {point}"), || async {
            (!held.waiting().await.is_empty()).then_some(())
        })
        .await;
        w.delete("acme").await;
        w.until("acme", "is being deleted", |acme| acme.is_leaving() && acme.is("Ready=False")).await;
        held.release().await;
        w.gone("acme").await;
        let left = inventory::names(&w.inventory().await);
        let (keys, left): (BTreeSet<_>, BTreeSet<_>) = left
            .into_iter()
            .partition(|thing| thing.starts_with("key ") && thing.ends_with(" PendingDeletion"));
        assert_eq!(left, BTreeSet::from([w.grant()]));
        assert_eq!(keys.len(), 1, "{keys:?}");
    })
    .await;
}

#[tokio::test]
async fn while_the_collection_is_made() {
    deleted_at("collection_create").await;
}

#[tokio::test]
async fn while_the_index_is_made() {
    deleted_at("index_create").await;
}

#[tokio::test]
async fn while_the_knowledge_base_is_made() {
    deleted_at("kb_create").await;
}

#[tokio::test]
async fn while_a_job_runs() {
    world(|w| async move {
        w.apply("{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Silo, deletionPolicy: Delete}}")
            .await;
        w.ready("acme").await;
        let held = w.double.hold("ingestion.document", "*").await;
        w.upload("acme", &[("hours.md", "The office opens at nine.")]).await;
        w.eventually("the job reads the document", || async { (!held.waiting().await.is_empty()).then_some(()) }).await;
        w.delete("acme").await;
        w.eventually("the job is stopped", || async {
            let journal = w.double.journal(0).await;
            (!journal.of("StopIngestionJob").is_empty()).then_some(())
        })
        .await;
        held.release().await;
        w.gone("acme").await;
        assert_eq!(inventory::names(&w.inventory().await), BTreeSet::from([w.grant()]));
    })
    .await;
}
