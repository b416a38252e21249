//! A SharedStack goes when the last of its tenants is gone, and not with what they have retained in it.

use std::collections::BTreeSet;

use tenantry::api::APPROVE;

use super::STACK;
use crate::inventory;
use crate::world::{World, world};

async fn stack(w: &World, policy: &str) {
    w.apply(&format!(
        "{{kind: SharedStack, metadata: {{name: standard}}, spec: {{pool: {{}}, deletionPolicy: {policy}}}}}"
    ))
    .await;
}

async fn tenant(w: &World, name: &str, pattern: &str, policy: &str) {
    w.apply(&format!(
        "{{kind: Tenant, metadata: {{name: {name}}},
           spec: {{tenantId: {name}, pattern: {pattern}, stackRef: {{name: standard}}, deletionPolicy: {policy}}}}}"
    ))
    .await;
}

#[tokio::test]
async fn it_waits_for_its_borrowers_and_then_everything_goes() {
    world(|w| async move {
        stack(&w, "Delete").await;
        tenant(&w, "bridge", "Bridge", "Delete").await;
        tenant(&w, "pool", "Pool", "Delete").await;
        for name in ["bridge", "pool"] {
            w.ready(name).await;
            w.upload(name, &[("hours.md", "The office opens at nine.")]).await;
        }
        w.condition("bridge", "DocumentsCurrent=True/Synced").await;
        w.condition(STACK, "DocumentsCurrent=True/Synced").await;
        let mark = w.double.mark().await;
        w.delete(STACK).await;
        let waits = w.condition(STACK, "DeletionBlocked=True/Borrowed").await;
        assert!(waits.is("Ready=False/Borrowed"), "{}", waits.describe());
        for name in ["bridge", "pool"] {
            assert!(waits.message("DeletionBlocked").contains(name), "{}", waits.describe());
        }
        assert!(w.double.journal(mark).await.mutating().is_empty());

        // Who comes now is not lent anything.
        tenant(&w, "late", "Pool", "Delete").await;
        let late = w.until("late", "waits for the stack", |late| late.is("Reconciling=True")).await;
        assert!(late.is("Ready=False") && late.meta.finalizers.is_none(), "{}", late.describe());
        w.delete("late").await;
        w.gone("late").await;

        for name in ["bridge", "pool"] {
            w.delete(name).await;
            w.gone(name).await;
        }
        w.gone(STACK).await;
        assert_eq!(inventory::names(&w.inventory().await), BTreeSet::from([w.grant()]));
    })
    .await;
}

#[tokio::test]
async fn retain_leaves_all_of_it() {
    world(|w| async move {
        stack(&w, "Retain").await;
        let bucket = w.ready(STACK).await.status.bucket.unwrap();
        let mut expected = inventory::names(&w.inventory().await);
        let mark = w.double.mark().await;
        w.delete(STACK).await;
        w.gone(STACK).await;
        expected.insert(format!("object {bucket}/tenantry/retained-stack.json"));
        assert_eq!(inventory::names(&w.inventory().await), expected);
        let writes = w.double.journal(mark).await.mutating();
        assert_eq!(writes.besides_tags().len(), 1, "the marker, and nothing else:\n{writes}");
    })
    .await;
}

#[tokio::test]
async fn what_tenants_have_retained_keeps_it() {
    world(|w| async move {
        stack(&w, "Delete").await;
        tenant(&w, "acme", "Pool", "Retain").await;
        w.ready("acme").await;
        w.upload("acme", &[("hours.md", "The office opens at nine.")]).await;
        w.condition(STACK, "DocumentsCurrent=True/Synced").await;
        w.delete("acme").await;
        w.gone("acme").await;
        let mut expected = inventory::names(&w.inventory().await);
        let mark = w.double.mark().await;
        w.delete(STACK).await;
        let waits = w.condition(STACK, "DeletionBlocked=True/RetainedTenants").await;
        assert!(waits.is("Stalled=True/RetainedTenants"), "a person must decide: {}", waits.describe());
        assert!(waits.message("DeletionBlocked").contains("acme"), "{}", waits.describe());
        assert!(w.double.journal(mark).await.mutating().is_empty());
        assert_eq!(inventory::names(&w.inventory().await), expected);

        w.annotate(STACK, APPROVE, Some("RetainedTenants-000000")).await;
        stack(&w, "Retain").await;
        w.gone(STACK).await;
        let bucket = w.stack_identity("standard", "").name(tenantry::api::Layer::Bucket);
        expected.insert(format!("object {bucket}/tenantry/retained-stack.json"));
        assert_eq!(inventory::names(&w.inventory().await), expected);
    })
    .await;
}

#[tokio::test]
async fn what_tenants_have_retained_goes_if_somebody_says_so() {
    world(|w| async move {
        stack(&w, "Delete").await;
        tenant(&w, "acme", "Bridge", "Retain").await;
        w.ready("acme").await;
        w.upload("acme", &[("hours.md", "The office opens at nine.")]).await;
        w.delete("acme").await;
        w.gone("acme").await;
        w.delete(STACK).await;
        let waits = w.condition(STACK, "DeletionBlocked=True/RetainedTenants").await;
        let message = waits.message("DeletionBlocked");
        let (_, code) = message.split_once(&format!("{APPROVE}=")).expect(message);
        w.annotate(STACK, APPROVE, code.split(',').next()).await;
        w.gone(STACK).await;
        // What the tenant owned itself is not the SharedStack's to delete; its documents lay in the bucket that is gone.
        let left = inventory::names(&w.inventory().await);
        let of_the_stack = format!("{}-sa-", w.settings.installation);
        assert!(!left.iter().any(|name| name.contains(&of_the_stack)), "{left:?}");
        assert!(left.iter().any(|name| name.starts_with("knowledge base ")), "{left:?}");
    })
    .await;
}
