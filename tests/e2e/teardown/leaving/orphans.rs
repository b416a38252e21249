//! A SharedStack that is gone, by whatever force, holds up none of its tenants.

use serde_json::json;

use super::STACK;
use crate::support::inventory;
use crate::support::world::world;

#[tokio::test]
async fn tenants_whose_shared_stack_is_gone_leave_all_the_same() {
    world(|w| async move {
        w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}").await;
        for (name, pattern, policy) in [
            ("bridge", "Bridge", "Delete"),
            ("pool", "Pool", "Delete"),
            ("kept", "Pool", "Retain"),
            ("moved", "Pool", "RetainDocuments"),
        ] {
            w.apply(&format!(
                "{{kind: Tenant, metadata: {{name: {name}}},
                   spec: {{tenantId: {name}, pattern: {pattern}, stackRef: {{name: standard}}, deletionPolicy: {policy}}}}}"
            ))
            .await;
            w.ready(name).await;
            w.upload(name, &[("a.md", "what must never be lost")]).await;
        }
        w.condition("bridge", "DocumentsCurrent=True/Synced").await;
        let (stack, pool) = (w.get(STACK).await, w.get("pool").await);
        let bucket = stack.status.bucket.clone().unwrap();
        w.delete(STACK).await;
        w.condition(STACK, "DeletionBlocked=True/Borrowed").await;
        w.patch(STACK, json!({"metadata": {"finalizers": null}})).await;
        w.gone(STACK).await;

        let mark = w.double.mark().await;
        for name in ["bridge", "pool", "kept", "moved"] {
            w.delete(name).await;
            w.gone(name).await;
        }
        let note = w.last_word(&pool, "Delete").await;
        let knowledge_base = w.stack_identity("standard", "").name(tenantry::api::Layer::KnowledgeBase);
        assert!(note.contains("left alone") && note.contains(&knowledge_base), "{note}");
        let left = inventory::names(&w.inventory().await);
        assert!(!left.iter().any(|name| name.contains("-ta-bridg") || name.contains("/bridge/bridge/")), "{left:?}");
        for (object, is_there) in [
            ("pool/pool/a.md", false),
            ("pool/kept/a.md", true),
            ("tenantry/retained/kept.json", true),
            ("tenantry/retained/moved/a.md", true),
            ("tenantry/retained/moved.json", true),
        ] {
            assert_eq!(left.contains(&format!("object {bucket}/{object}")), is_there, "{object} in {left:?}");
        }
        // What is the SharedStack's is nobody's to change.
        let of_the_stack = format!("{}-sa-", w.settings.installation);
        let changed = w.double.journal(mark).await.mutating().only(|call| {
            call.text().contains(&of_the_stack)
                && !["PutObject", "CopyObject", "DeleteObjects", "DeleteIndex", "UpdateDataSource"].contains(&call.operation.as_str())
        });
        assert!(changed.is_empty(), "{changed}");
    })
    .await;
}
