//! `tenantry release` gives a tenantId away: never while somebody has it, and never with what somebody left.

use serde_json::{Value, json};

use crate::support::world::{World, world};

const STACK: &str = "{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}";
const FIRST: &str = "crimson/crimson-tenant";
const SECOND: &str = "azure/azure-tenant";

fn tenant(namespace: &str, tenant_id: &str, policy: &str) -> String {
    format!(
        "{{kind: Tenant, metadata: {{name: {namespace}-tenant, namespace: {namespace}}},
           spec: {{tenantId: {tenant_id}, pattern: Pool, stackRef: {{name: standard}}, deletionPolicy: {policy}}}}}"
    )
}

async fn prepare(w: &World) {
    w.namespace("crimson", &[]).await;
    w.namespace("azure", &[]).await;
    w.apply(STACK).await;
    w.ready("SharedStack/standard").await;
}

fn command<'a>(w: &'a World, more: &[&'a str]) -> Vec<&'a str> {
    [&["release", "--installation", &w.settings.installation][..], more].concat()
}

/// What a release says that must succeed.
async fn release(w: &World, more: &[&str]) -> Value {
    let told = w.tenantry(&command(w, &[more, &["-o", "json"]].concat())).await;
    serde_json::from_str(&told).unwrap()
}

/// What one says that must not.
async fn refused(w: &World, more: &[&str]) -> String {
    let (succeeded, out, error) = w.tenantry_tried(&command(w, more)).await;
    assert!(!succeeded, "it was released: {out}{error}");
    error
}

#[tokio::test]
async fn an_id_is_anybodys_once_nobody_has_it_and_nothing_is_left() {
    world(|w| async move {
        prepare(&w).await;
        let nothing = release(&w, &["wanted"]).await;
        assert_eq!(nothing["outcome"], "unchanged", "{nothing:#}");

        w.apply(&tenant("crimson", "wanted", "Retain")).await;
        w.ready(FIRST).await;
        let held = refused(&w, &["wanted"]).await;
        assert!(held.contains("has it and is there"), "{held}");

        w.upload(FIRST, &[("a.md", "what must never be a stranger's")]).await;
        w.delete(FIRST).await;
        w.gone(FIRST).await;
        w.apply(&tenant("azure", "wanted", "Retain")).await;
        w.condition(SECOND, "Accepted=False/TenantIdTaken").await;
        let left = refused(&w, &["wanted"]).await;
        for part in ["/tenantry/retained/wanted.json", "/pool/wanted/ (", "`tenantry retained`"] {
            assert!(left.contains(part), "no {part} in {left}");
        }
        assert_eq!(w.state_of("wanted").await, "retained");

        // Its own namespace purges it. Then it still is that namespace's, until somebody says otherwise.
        w.apply(&tenant("crimson", "wanted", "Delete")).await;
        w.ready(FIRST).await;
        w.delete(FIRST).await;
        w.gone(FIRST).await;
        let would = release(&w, &["wanted", "--dry-run"]).await;
        assert_eq!((&would["outcome"], &would["record"]["state"]), (&"wouldBeWritten".into(), &"free".into()));
        assert_eq!(w.state_of("wanted").await, "gone", "a dry run writes nothing");
        w.touch(SECOND).await;
        w.condition(SECOND, "Accepted=False/TenantIdTaken").await;

        // Of two who write at once, one is told so.
        let rule = json!({"operation": "PutObject", "caller": "*:root", "count": 1, "status": 412, "code": "PreconditionFailed"});
        w.double.fault(rule).await;
        let late = refused(&w, &["wanted"]).await;
        assert!(late.contains("was changed by somebody else"), "{late}");
        w.double.heal().await;

        assert_eq!(release(&w, &["wanted"]).await["outcome"], "written");
        assert_eq!(release(&w, &["wanted"]).await["outcome"], "unchanged");
        w.touch(SECOND).await;
        w.ready(SECOND).await;
        let held = refused(&w, &["wanted"]).await;
        assert!(held.contains(&w.namespace_name("azure")), "{held}");
    })
    .await;
}

/// As after a rollback to a release that knew no records, and gave an id to another.
#[tokio::test]
async fn an_id_is_given_to_a_tenant_that_is_there() {
    world(|w| async move {
        prepare(&w).await;
        w.apply(&tenant("crimson", "wanted", "Retain")).await;
        w.ready(FIRST).await;
        w.apply(&tenant("azure", "wanted", "Retain")).await;
        w.condition(SECOND, "Accepted=False/TenantIdTaken").await;
        let to = format!("{}/azure-tenant", w.namespace_name("azure"));
        let held = refused(&w, &["wanted", "--to", &to]).await;
        assert!(held.contains("has it and is there"), "{held}");
        let other = refused(&w, &["another", "--to", &to]).await;
        assert!(other.contains("is 'wanted'"), "{other}");

        w.upload(FIRST, &[("a.md", "what lies there goes along")]).await;
        w.delete(FIRST).await;
        w.gone(FIRST).await;
        assert_eq!(release(&w, &["wanted", "--to", &to]).await["outcome"], "written");
        let holder = &w.record_of("wanted").await.unwrap()["holder"];
        let uid = w.get(SECOND).await.uid().to_owned();
        assert_eq!((&holder["uid"], holder["namespaceUid"].is_string()), (&json!(uid), true), "{holder:#}");
        w.touch(SECOND).await;
        w.ready(SECOND).await;
        assert_eq!(release(&w, &["wanted", "--to", &to]).await["outcome"], "unchanged");
    })
    .await;
}
