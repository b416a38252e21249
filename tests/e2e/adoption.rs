//! What was left behind with deletionPolicy Retain says so, and is taken over by the same manifest, applied again.

use std::collections::{BTreeMap, BTreeSet};

use crate::inventory::{self, Inventory};
use crate::world::{World, world};

const OBJECTS: [&str; 4] = ["SharedStack/standard", "silo", "bridge", "pool"];

/// A SharedStack with a pool and a tenant of each pattern.
fn manifest(policy: &str) -> String {
    format!(
        "
        {{kind: SharedStack, metadata: {{name: standard}}, spec: {{pool: {{}}, deletionPolicy: {policy}}}}}
        ---
        kind: Tenant
        metadata: {{name: silo}}
        spec: {{tenantId: silo, pattern: Silo, encryption: {{key: Create}}, tags: {{team: red}}, deletionPolicy: {policy}}}
        ---
        kind: Tenant
        metadata: {{name: bridge}}
        spec: {{tenantId: bridge, pattern: Bridge, stackRef: {{name: standard}}, deletionPolicy: {policy}}}
        ---
        kind: Tenant
        metadata: {{name: pool}}
        spec: {{tenantId: pool, pattern: Pool, stackRef: {{name: standard}}, deletionPolicy: {policy}}}"
    )
}

async fn all_leave(w: &World) {
    for object in OBJECTS.iter().rev() {
        w.delete(object).await;
        w.gone(object).await;
    }
}

/// The states that the resources of an account say they are in, and the uids of their owners.
fn owners(inventory: &Inventory, grant: &str) -> BTreeSet<(String, String)> {
    let tagged = inventory.iter().filter(|(name, _)| {
        // Indexes and data sources belong to what bears their name; aliases to their keys.
        !["object ", "index ", "data source ", "alias "].iter().any(|kind| name.starts_with(kind))
            && *name != grant
    });
    let tag = |tags: &BTreeMap<String, String>, key: &str| {
        tags.get(&format!("tenantry.dev/{key}")).cloned().unwrap_or_default()
    };
    tagged.map(|(_, tags)| (tag(tags, "state"), tag(tags, "owner-uid"))).collect()
}

#[tokio::test]
async fn the_same_manifest_takes_over_what_it_left() {
    world(|w| async move {
        w.apply(&manifest("Retain")).await;
        let mut before = Vec::new();
        for object in OBJECTS {
            before.push(w.ready(object).await);
        }
        for tenant in &OBJECTS[1..] {
            w.upload(tenant, &[("a.md", "what must never be lost")]).await;
        }
        let resources = inventory::resources(&w.inventory().await);
        all_leave(&w).await;

        let left = w.inventory().await;
        assert_eq!(inventory::resources(&left), resources, "all of it stays");
        let uids: BTreeSet<_> = before
            .iter()
            .filter(|it| it.spec["pattern"] != "Pool")
            .map(|it| ("retained".to_owned(), it.uid().to_owned()))
            .collect();
        assert_eq!(owners(&left, &w.grant()), uids, "and says whose it was, and that nobody looks after it");

        let mark = w.double.mark().await;
        w.apply(&manifest("Delete")).await;
        let mut after = Vec::new();
        for object in OBJECTS {
            after.push(w.ready(object).await);
        }
        for (before, after) in before.iter().zip(&after) {
            assert_ne!(before.uid(), after.uid());
            let ids = |it: &crate::objects::Object| {
                let status = it.status.clone();
                (
                    status.knowledge_base_id,
                    status.data_source_id,
                    status.collection_arn,
                    status.bucket,
                    status.kms_key_arn,
                )
            };
            assert_eq!(ids(before), ids(after));
            let events = w.events(&w.name_of(after)).await;
            assert!(events.iter().any(|(reason, _)| reason == "Adopted"), "{events:?}");
        }
        let journal = w.double.journal(mark).await;
        let made = journal.mutating().only(|call| call.operation.starts_with("Create"));
        assert!(made.is_empty(), "nothing is made anew:\n{made}");
        let found = w.inventory().await;
        let uids: BTreeSet<_> = after
            .iter()
            .filter(|it| it.spec["pattern"] != "Pool")
            .map(|it| ("owned".to_owned(), it.uid().to_owned()))
            .collect();
        assert_eq!(owners(&found, &w.grant()), uids);
        assert!(!found.keys().any(|name| name.contains("tenantry/retained")), "no marker is left: {found:?}");
        for tenant in &after[1..] {
            let (bucket, prefix) =
                (tenant.status.bucket.clone().unwrap(), tenant.status.prefix.clone().unwrap());
            let text =
                w.sdk.s3.get_object().bucket(bucket).key(format!("{prefix}a.md")).send().await.unwrap();
            assert_eq!(text.body.collect().await.unwrap().into_bytes(), "what must never be lost");
        }

        // What was taken over is its owner's to delete.
        all_leave(&w).await;
        let left: Vec<_> =
            inventory::names(&w.inventory().await).into_iter().filter(|name| *name != w.grant()).collect();
        let keys_wait_for_their_deletion = |name: &String| name.starts_with("key ");
        assert!(left.iter().all(keys_wait_for_their_deletion), "{left:?}");
    })
    .await;
}

#[tokio::test]
async fn other_settings_that_can_never_change_are_refused() {
    world(|w| async move {
        let silo = |more: &str| {
            format!("{{kind: Tenant, metadata: {{name: acme}}, spec: {{tenantId: acme, pattern: Silo{more}}}}}")
        };
        w.apply(&silo("")).await;
        w.ready("acme").await;
        w.delete("acme").await;
        w.gone("acme").await;
        let mark = w.double.mark().await;
        w.apply(&silo(
            ", knowledgeBase: {dimensions: 512, chunking: {strategy: None}}, collection: {standbyReplicas: Disabled}",
        ))
        .await;
        let told = w.condition("acme", "Stalled=True/RetainedDiffers").await;
        for part in [
            "knowledgeBase.dimensions is 1024 and should be 512",
            "knowledgeBase.chunking is FixedSize",
            "collection.standbyReplicas is ENABLED and should be DISABLED",
        ] {
            assert!(told.message("Ready").contains(part), "no '{part}' in {}", told.describe());
        }
        let writes = w.double.journal(mark).await.mutating();
        assert!(writes.is_empty(), "{writes}");

        // Retained again, and applied as it was: all is well.
        w.delete("acme").await;
        w.gone("acme").await;
        w.apply(&silo("")).await;
        w.ready("acme").await;
    })
    .await;
}
