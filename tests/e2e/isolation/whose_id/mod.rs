//! Whose a tenantId is: the records decide, whatever finalizers, labels, markers and caches say.

mod allowed;
mod attacks;
mod cost;
mod disaster;
mod lost;
mod places;
mod refused;
mod upgrade;

use crate::support::world::World;

const STACK: &str = "{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}";

/// A Tenant in a namespace of the world.
fn tenant(namespace: &str, name: &str, tenant_id: &str, pattern: &str, policy: &str) -> String {
    let stack = if pattern == "Silo" { "" } else { "stackRef: {name: standard}, " };
    let namespace = if namespace.is_empty() { String::new() } else { format!(", namespace: {namespace}") };
    format!(
        "{{kind: Tenant, metadata: {{name: {name}{namespace}}},
           spec: {{tenantId: {tenant_id}, pattern: {pattern}, {stack}deletionPolicy: {policy}}}}}"
    )
}

/// A pool, two namespaces, and in one of them a tenant with a document that only it may read.
async fn victim(w: &World, policy: &str) {
    w.namespace("ours", &[]).await;
    w.namespace("theirs", &[]).await;
    w.apply(STACK).await;
    w.ready("SharedStack/standard").await;
    w.apply(&tenant("ours", "victim", "victim", "Pool", policy)).await;
    w.ready("ours/victim").await;
    w.upload("ours/victim", &[("secret.md", "what only the victim may read")]).await;
}

/// Somebody in the other namespace wants the victim's id, and is told that it is taken.
async fn thief_is_refused(w: &World) {
    w.touch("theirs/thief").await;
    let told = w.condition("theirs/thief", "Stalled=True/TenantIdTaken").await;
    assert!(told.is("Accepted=False/TenantIdTaken") && told.is("Ready=False"), "{}", told.describe());
    assert!(told.status.retrieval_filter.is_none() && told.status.prefix.is_none(), "{}", told.describe());
    let said = told.describe();
    assert!(!said.contains("ours") && !said.contains("etain"), "another namespace's business: {said}");
}

/// The victim's document is where it was.
async fn document_is_there(w: &World) {
    let bucket = w.get("SharedStack/standard").await.status.bucket.unwrap();
    let keys = w.keys(&bucket, "pool/victim/").await;
    assert!(keys.contains(&"pool/victim/secret.md".to_owned()), "{keys:?}");
}
