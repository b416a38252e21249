//! What an adversarial review tried, and got another tenant's documents by. Each was done here as it was done then.

use serde_json::json;

use super::{STACK, document_is_there, tenant, thief_is_refused, victim};
use crate::support::world::{LABEL, World, world, world_with};

/// A tenant that retains its documents while the operator starts was given to whoever waited for its id.
#[tokio::test]
async fn a_tenant_that_leaves_while_the_operator_starts_leaves_nothing_to_strangers() {
    world(|w| async move {
        victim(&w, "Retain").await;
        w.apply(&tenant("theirs", "thief", "victim", "Pool", "Delete")).await;
        w.condition("theirs/thief", "Stalled=True/TenantIdTaken").await;
        w.stop_operator().await;
        w.start_operator().await;
        w.delete("ours/victim").await;
        w.gone("ours/victim").await;
        thief_is_refused(&w).await;
        w.restart_operator().await;
        thief_is_refused(&w).await;
        assert_eq!(w.state_of("victim").await, "retained");
        w.delete("theirs/thief").await;
        w.gone("theirs/thief").await;
        document_is_there(&w).await;
        // Whose it was gets it back.
        w.apply(&tenant("ours", "victim", "victim", "Pool", "Retain")).await;
        w.ready("ours/victim").await;
        assert_eq!(w.state_of("victim").await, "held");
    })
    .await;
}

/// Stripping a finalizer is the usual cure for a namespace that hangs.
#[tokio::test]
async fn a_stripped_finalizer_gives_nothing_away() {
    world(|w| async move {
        victim(&w, "Delete").await;
        w.stop_operator().await;
        w.patch("ours/victim", json!({"metadata": {"finalizers": null}})).await;
        w.delete("ours/victim").await;
        w.gone("ours/victim").await;
        w.start_operator().await;
        w.apply(&tenant("theirs", "thief", "victim", "Pool", "Delete")).await;
        w.condition("theirs/thief", "Stalled=True/TenantIdTaken").await;
        thief_is_refused(&w).await;
        assert_eq!(w.state_of("victim").await, "held", "nobody has said that it is gone");
        w.delete("theirs/thief").await;
        w.gone("theirs/thief").await;
        document_is_there(&w).await;

        // While the operator looks on, too; and the next of its namespace and name has what it had.
        w.apply(&tenant("ours", "victim", "victim", "Pool", "Delete")).await;
        w.ready("ours/victim").await;
        w.patch("ours/victim", json!({"metadata": {"finalizers": null}})).await;
        w.delete("ours/victim").await;
        w.gone("ours/victim").await;
        w.apply(&tenant("theirs", "thief", "victim", "Pool", "Delete")).await;
        w.condition("theirs/thief", "Stalled=True/TenantIdTaken").await;
        thief_is_refused(&w).await;
        document_is_there(&w).await;
    })
    .await;
}

#[tokio::test]
async fn a_tenant_that_has_lost_its_label_keeps_its_id() {
    world(|w| async move {
        victim(&w, "Retain").await;
        w.patch("ours/victim", json!({"metadata": {"labels": {LABEL: null}}})).await;
        w.restart_operator().await;
        w.apply(&tenant("theirs", "thief", "victim", "Pool", "Delete")).await;
        w.condition("theirs/thief", "Stalled=True/TenantIdTaken").await;
        thief_is_refused(&w).await;
        assert_eq!(w.state_of("victim").await, "held");
        let label = json!({"metadata": {"labels": {LABEL: w.suffix}}});
        w.patch("ours/victim", label).await;
        w.touch("ours/victim").await;
        w.ready("ours/victim").await;
    })
    .await;
}

/// A retained id was free in another pattern, and whoever took it there was what clients found under it.
#[tokio::test]
async fn a_retained_id_is_taken_in_every_pattern() {
    world(|w| async move {
        victim(&w, "Retain").await;
        w.delete("ours/victim").await;
        w.gone("ours/victim").await;
        w.apply(&tenant("theirs", "thief", "victim", "Silo", "Delete")).await;
        w.condition("theirs/thief", "Stalled=True/TenantIdTaken").await;
        thief_is_refused(&w).await;

        // Its own namespace may use it for something else, if it says that it does not want what is there any more.
        w.apply(&tenant("ours", "other", "victim", "Bridge", "Delete")).await;
        let told = w.condition("ours/other", "Stalled=True/RetainedDiffers").await;
        let message = told.message("Ready");
        assert!(message.contains("Pool of SharedStack") && message.contains("/victim left it"), "{message}");
        let (_, code) = message.split_once("tenantry.dev/approve=").expect("a code");
        w.annotate("ours/other", "tenantry.dev/approve", code.split(':').next()).await;
        w.ready("ours/other").await;
        document_is_there(&w).await;
        w.delete("ours/other").await;
        w.gone("ours/other").await;
        document_is_there(&w).await;
    })
    .await;
}

/// A start read all markers one by one before anybody new was let in.
#[tokio::test]
async fn a_start_reads_no_markers() {
    world(|w| async move {
        victim(&w, "Retain").await;
        let bucket = w.get("SharedStack/standard").await.status.bucket.unwrap();
        for n in 0..40 {
            let marker = json!({"owner": format!("Tenant/x/left-{n}"), "ownerUid": "u", "installation": "e2e",
                "tenantId": format!("left-{n}"), "pattern": "Pool", "prefix": format!("pool/left-{n}/")});
            w.sdk.upload(&bucket, &format!("tenantry/retained/left-{n}.json"), marker.to_string()).await;
        }
        let mark = w.double.mark().await;
        w.restart_operator().await;
        w.apply(&tenant("ours", "new", "new", "Pool", "Delete")).await;
        w.ready("ours/new").await;
        let journal = w.double.journal(mark).await;
        let read = journal.only(|call| call.is_operators() && call.resource.contains("tenantry/retained/"));
        assert!(read.is_empty(), "{read}");
    })
    .await;
}

/// An object with our finalizer, in a namespace that the SharedStack does not admit.
fn forged(name: &str, tenant_id: &str, more: &str) -> String {
    format!(
        "{{kind: Tenant, metadata: {{name: {name}, namespace: web, finalizers: [tenantry.dev/e2e, test/keep]{more}}},
           spec: {{tenantId: {tenant_id}, pattern: Pool, stackRef: {{name: closed}}, deletionPolicy: Delete}}}}"
    )
}

const CLOSED: &str = "{kind: SharedStack, metadata: {name: closed},
    spec: {pool: {}, allowedNamespaces: {matchLabels: {team: rag}}, deletionPolicy: Delete}}";

async fn frees(w: &World, object: &str) {
    w.patch(object, json!({"metadata": {"finalizers": null}})).await;
    w.gone(object).await;
}

#[tokio::test]
async fn a_forged_tenant_neither_asks_nor_leaves_nor_borrows() {
    world(|w| async move {
        w.namespace("web", &[]).await;
        w.relabel("", "team", "rag").await;
        w.apply(CLOSED).await;
        w.ready("SharedStack/closed").await;
        const HONEST: [&str; 3] = ["acme", "globex", "umbrella"];
        let files: Vec<_> = (0..4).map(|n| (format!("{n}.md"), "its own")).collect();
        let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
        for id in HONEST {
            w.apply(&format!("{{kind: Tenant, metadata: {{name: {id}}}, spec: {{tenantId: {id}, pattern: Pool, stackRef: {{name: closed}}, deletionPolicy: Delete}}}}")).await;
            w.ready(id).await;
            w.upload(id, &files).await;
        }
        // The first job may have begun before the last document was there.
        w.request_sync("SharedStack/closed").await;
        w.condition("SharedStack/closed", "DocumentsCurrent=True/Synced").await;

        // It asks for a job, and names the id of somebody else as its own while it leaves: that is no reason to forget.
        let asks = ", annotations: {tenantry.dev/sync-requested-at: now}";
        w.apply(&forged("thief", "acme", asks)).await;
        w.condition("web/thief", "Accepted=False/NamespaceNotAllowed").await;
        w.delete("web/thief").await;
        let bucket = w.get("acme").await.status.bucket.unwrap();
        // Three tenants lose all that they have, which is somebody's mistake; without acme it would be two, and no reason to wait.
        for (id, (name, _)) in HONEST.iter().flat_map(|id| files.iter().map(move |file| (id, file))) {
            w.sdk.s3.delete_object().bucket(&bucket).key(format!("pool/{id}/{name}")).send().await.unwrap();
        }
        let mark = w.double.mark().await;
        w.annotate("SharedStack/closed", "tenantry.dev/sync-requested-at", Some("now")).await;
        w.condition("SharedStack/closed", "DocumentsCurrent=False/LargeDeletion").await;
        let jobs = w.double.journal(mark).await.of("StartIngestionJob");
        assert!(jobs.is_empty(), "{jobs}");
        frees(&w, "web/thief").await;

        // And the SharedStack waits for nobody who borrows nothing.
        w.apply(&forged("squatter", "squat", "")).await;
        w.condition("web/squatter", "Accepted=False/NamespaceNotAllowed").await;
        for id in HONEST {
            w.delete(id).await;
        }
        w.delete("SharedStack/closed").await;
        w.gone("SharedStack/closed").await;
        assert!(w.get("web/squatter").await.meta.deletion_timestamp.is_none());
        w.delete("web/squatter").await;
        frees(&w, "web/squatter").await;
    })
    .await;
}

#[tokio::test]
async fn a_forged_hold_keeps_no_id_over_a_restart() {
    world(|w| async move {
        w.namespace("web", &[]).await;
        w.relabel("", "team", "rag").await;
        w.apply(CLOSED).await;
        w.apply(STACK).await;
        w.ready("SharedStack/standard").await;
        w.apply(&forged("thief", "zeta", "")).await;
        w.condition("web/thief", "Accepted=False/NamespaceNotAllowed").await;
        w.restart_operator().await;
        w.apply(&tenant("", "zeta", "zeta", "Pool", "Delete")).await;
        w.ready("zeta").await;
        w.delete("web/thief").await;
        frees(&w, "web/thief").await;
        w.touch("zeta").await;
        w.ready("zeta").await;
    })
    .await;
}

/// Whoever makes a namespace of a name that another team once had takes over nothing, unless an administrator says so.
#[tokio::test]
async fn a_namespace_made_again_is_another() {
    world(|w| async move {
        victim(&w, "Retain").await;
        w.delete("ours/victim").await;
        w.gone("ours/victim").await;
        w.rewrite("tenants/victim.json", |record| {
            record["holder"]["namespaceUid"] = json!("of-an-earlier-one")
        })
        .await;
        w.apply(&tenant("ours", "victim", "victim", "Pool", "Retain")).await;
        w.condition("ours/victim", "Stalled=True/TenantIdTaken").await;
        w.annotate_namespace("ours", "tenantry.dev/tenant-ids", Some("victim, other-*")).await;
        w.ready("ours/victim").await;
        w.event("ours/victim", "Adopted").await;
        assert_ne!(w.record_of("victim").await.unwrap()["holder"]["namespaceUid"], "of-an-earlier-one");
    })
    .await;
}

/// Ids of customers that are yet to come can be asked for by anybody; who never used one keeps it from nobody.
#[tokio::test]
async fn squatting_burns_no_id() {
    let test = async |w: World| {
        w.namespace("theirs", &[]).await;
        w.apply(STACK).await;
        w.ready("SharedStack/standard").await;
        for (name, policy) in [("a", "Delete"), ("b", "Retain"), ("c", "RetainDocuments")] {
            w.apply(&tenant("theirs", name, name, "Pool", policy)).await;
            w.ready(&format!("theirs/{name}")).await;
            w.delete(&format!("theirs/{name}")).await;
            w.gone(&format!("theirs/{name}")).await;
            assert_eq!(w.state_of(name).await, "gone, empty", "{policy}");
            w.apply(&tenant("", name, name, "Pool", policy)).await;
            w.condition(name, "Stalled=True/TenantIdTaken").await;
            // A day goes by.
            w.rewrite(&format!("tenants/{name}.json"), |it| it["since"] = json!("2026-01-01T00:00:00Z"))
                .await;
            w.touch(name).await;
            w.ready(name).await;
        }
    };
    world_with(|_| {}, test).await;
}
