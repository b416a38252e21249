//! What was left behind with deletionPolicy Retain says so, and is taken over by the same manifest, applied again.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use tenantry::api::APPROVE;

use crate::inventory::{self, Inventory};
use crate::world::{World, world, world_without_operator};

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
                    status.store_arn,
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
            "knowledgeBase.chunking is {strategy: FixedSize, maxTokens: 300, overlapPercentage: 20} and should be {strategy: None}",
            "collection.standbyReplicas is Enabled and should be Disabled",
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

/// A tenant of each pattern, each with a tenantId of its own and a name that begins with `prefix`.
fn named(prefix: &str, namespace: &str) -> String {
    let tenant = |id: &str, spec: &str| {
        format!(
            "{{kind: Tenant, metadata: {{name: {prefix}{id}{namespace}}}, spec: {{tenantId: {id}, {spec}}}}}",
            namespace =
                if namespace.is_empty() { String::new() } else { format!(", namespace: {namespace}") }
        )
    };
    [
        tenant("silo", "pattern: Silo, encryption: {key: Create}"),
        tenant("bridge", "pattern: Bridge, stackRef: {name: standard}"),
        tenant("pool", "pattern: Pool, stackRef: {name: standard}"),
    ]
    .join("\n---\n")
}

const IDS: [&str; 3] = ["silo", "bridge", "pool"];

#[tokio::test]
async fn another_name_in_the_namespace_takes_over_if_somebody_says_so() {
    world(|w| async move {
        w.namespace("elsewhere", &[]).await;
        w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}").await;
        w.apply(&named("old-", "")).await;
        let mut before = Vec::new();
        for id in IDS {
            before.push(w.ready(&format!("old-{id}")).await);
            w.upload(&format!("old-{id}"), &[("a.md", "what must never be lost")]).await;
        }
        let stays = w.ready("SharedStack/standard").await;
        w.condition("SharedStack/standard", "DocumentsCurrent=True/Synced").await;
        w.condition("old-silo", "DocumentsCurrent=True/Synced").await;
        w.condition("old-bridge", "DocumentsCurrent=True/Synced").await;
        for id in IDS {
            w.delete(&format!("old-{id}")).await;
            w.gone(&format!("old-{id}")).await;
        }
        let mark = w.double.mark().await;

        // Across namespaces nobody can say so, and nobody reads who it was.
        w.apply(&named("thief-", "elsewhere")).await;
        for id in IDS {
            let refused = w.condition(&format!("elsewhere/thief-{id}"), "Stalled=True/TenantIdTaken").await;
            let message = refused.message("Ready");
            assert!(!message.contains("approve") && !message.contains("old-"), "{message}");
        }
        for id in IDS {
            w.delete(&format!("elsewhere/thief-{id}")).await;
            w.gone(&format!("elsewhere/thief-{id}")).await;
        }

        w.apply(&named("new-", "")).await;
        for id in IDS {
            let name = format!("new-{id}");
            let asks = w.condition(&name, "Stalled=True/TenantIdRetained").await;
            let message = asks.message("Ready");
            assert!(message.contains(&format!("/old-{id} was deleted")), "{message}");
            w.annotate(&name, APPROVE, Some("TenantIdRetained-000000")).await;
        }
        assert!(w.double.journal(mark).await.mutating().is_empty());
        for (id, before) in IDS.into_iter().zip(&before) {
            let name = format!("new-{id}");
            let asks = w.condition(&name, "Stalled=True/TenantIdRetained").await;
            let (_, code) = asks.message("Ready").split_once(&format!("{APPROVE}=")).expect("a code");
            w.annotate(&name, APPROVE, code.split(',').next()).await;
            let after = w.ready(&name).await;
            assert_eq!(after.status.knowledge_base_id, before.status.knowledge_base_id, "{name}");
            assert_eq!(after.status.bucket, before.status.bucket, "{name}");
            w.event(&name, "Adopted").await;
        }
        let made = w.double.journal(mark).await.mutating().only(|call| call.operation.starts_with("Create"));
        assert!(made.is_empty(), "nothing is made anew:\n{made}");
        assert_eq!(
            w.get("SharedStack/standard").await.status.knowledge_base_id,
            stays.status.knowledge_base_id
        );

        // It is the new one's now, to the last tag.
        for id in IDS {
            w.patch(&format!("new-{id}"), json!({"spec": {"deletionPolicy": "Delete"}})).await;
            w.delete(&format!("new-{id}")).await;
            w.gone(&format!("new-{id}")).await;
        }
        let left = inventory::names(&w.inventory().await);
        let theirs: Vec<_> =
            left.iter().filter(|name| name.contains("-ta-") || name.contains("a.md")).collect();
        assert!(theirs.is_empty(), "{theirs:?}");
    })
    .await;
}

/// A backup has the objects, but not their uids; AWS was not restored.
#[tokio::test]
async fn a_restored_cluster_takes_over_what_it_had() {
    let test = async |w: World| {
        w.start_operator().await;
        w.granted().await;
        w.apply(&manifest("Retain")).await;
        let mut before = Vec::new();
        for object in OBJECTS {
            before.push(w.ready(object).await);
        }
        w.stop_operator().await;
        for object in OBJECTS {
            w.patch(object, json!({"metadata": {"finalizers": null}})).await;
            w.delete(object).await;
            w.gone(object).await;
        }
        w.belongs_to_cluster("the-one-that-burnt-down").await;
        let mark = w.double.mark().await;
        w.apply(&manifest("Retain")).await;
        let operator = w.program(&["--take-over", "the-one-that-burnt-down"]).await.spawn().unwrap();
        for (object, before) in OBJECTS.into_iter().zip(&before) {
            let after = w.ready(object).await;
            assert_ne!(before.uid(), after.uid());
            assert_eq!(after.status.knowledge_base_id, before.status.knowledge_base_id, "{object}");
        }
        crate::operators::kill(operator).await;
        let made = w.double.journal(mark).await.mutating().only(|call| call.operation.starts_with("Create"));
        assert!(made.is_empty(), "nothing is made anew:\n{made}");
        let states = owners(&w.inventory().await, &w.grant());
        assert!(
            states.iter().all(|(state, uid)| state == "owned" && !before.iter().any(|it| it.uid() == uid)),
            "{states:?}"
        );
    };
    world_without_operator(|_| {}, test).await;
}
