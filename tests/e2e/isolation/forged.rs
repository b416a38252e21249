//! Whoever may write a Tenant can write our finalizer into it. It proves nothing: not that the object may be where it
//! is, and not that another's documents are its own.

use serde_json::json;

use crate::support::inventory;
use crate::support::world::{World, world};

/// A Tenant of somebody's who has read our source.
fn forged(name: &str, tenant_id: &str, pattern: &str, policy: &str) -> String {
    format!(
        "{{kind: Tenant, metadata: {{name: {name}, namespace: other, finalizers: [tenantry.dev/e2e]}},
           spec: {{tenantId: {tenant_id}, pattern: {pattern}, stackRef: {{name: standard}}, deletionPolicy: {policy}}}}}"
    )
}

async fn stack(w: &World, allowed: &str) {
    w.namespace("other", &[("team", "web")]).await;
    w.relabel("", "team", "rag").await;
    let spec = format!("{{pool: {{}}, allowedNamespaces: {{matchLabels: {{team: {allowed}}}}}}}");
    w.apply(&format!("{{kind: SharedStack, metadata: {{name: standard}}, spec: {spec}}}")).await;
    w.ready("SharedStack/standard").await;
}

#[tokio::test]
async fn a_finalizer_opens_no_namespace() {
    world(|w| async move {
        stack(&w, "rag").await;
        let mark = w.double.mark().await;
        w.apply(&forged("thief", "fresh", "Pool", "Delete")).await;
        w.condition("other/thief", "Accepted=False/NamespaceNotAllowed").await;
        w.delete("other/thief").await;
        w.gone("other/thief").await;
        let writes = w.double.journal(mark).await.mutating();
        assert!(writes.is_empty(), "{writes}");
        // Only that the id is anybody's is written down, in case an earlier leader was about to give it.
        assert_eq!(w.state_of("fresh").await, "free");
    })
    .await;
}

#[tokio::test]
async fn a_finalizer_deletes_nobodys_documents() {
    world(|w| async move {
        stack(&w, "rag").await;
        w.relabel("other", "team", "rag").await;
        for (name, pattern) in [("pool", "Pool"), ("bridge", "Bridge"), ("left", "Pool")] {
            w.apply(&format!(
                "{{kind: Tenant, metadata: {{name: {name}}},
                   spec: {{tenantId: {name}, pattern: {pattern}, stackRef: {{name: standard}}}}}}"
            ))
            .await;
            w.ready(name).await;
            w.upload(name, &[("a.md", "theirs")]).await;
        }
        // What is retained belongs to whoever left it.
        w.delete("left").await;
        w.gone("left").await;
        let (mark, before) = (w.double.mark().await, inventory::names(&w.inventory().await));

        for (name, pattern, policy, refused) in [
            ("pool", "Pool", "Delete", "TenantIdTaken"),
            ("bridge", "Bridge", "Delete", "TenantIdTaken"),
            ("left", "Pool", "Delete", "TenantIdTaken"),
            ("pool", "Pool", "Retain", "TenantIdTaken"),
        ] {
            let thief = format!("other/thief-{name}");
            w.apply(&forged(&format!("thief-{name}"), name, pattern, policy)).await;
            w.condition(&thief, &format!("Accepted=False/{refused}")).await;
            w.delete(&thief).await;
            w.gone(&thief).await;
        }
        let writes = w.double.journal(mark).await.mutating().only(|call| {
            // The pool's own first job and its metadata files may still be on their way.
            call.operation.starts_with("Delete") || call.resource.contains("tenantry/retained")
        });
        assert!(writes.is_empty(), "{writes}");
        let after = inventory::names(&w.inventory().await);
        assert_eq!(before.difference(&after).collect::<Vec<_>>(), Vec::<&String>::new());
        w.touch("pool").await;
        w.ready("pool").await;
    })
    .await;
}

/// A spec that was changed into something that is refused is still the spec of who was there.
#[tokio::test]
async fn a_tenant_that_was_refused_later_leaves_its_marker_all_the_same() {
    world(|w| async move {
        stack(&w, "rag").await;
        let tenant = "{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Bridge, stackRef: {name: standard}}}";
        w.apply(tenant).await;
        w.ready("acme").await;
        w.upload("acme", &[("a.md", "mine")]).await;
        w.patch("acme", json!({"spec": {"ingestion": {"schedule": "never"}}})).await;
        w.condition("acme", "Accepted=False/ScheduleInvalid").await;
        let bucket = w.get("acme").await.status.bucket.unwrap();
        w.delete("acme").await;
        w.gone("acme").await;
        let marker = w.sdk.s3.get_object().bucket(&bucket).key("tenantry/retained/acme.json").send().await;
        assert!(marker.is_ok(), "{marker:?}");
    })
    .await;
}
