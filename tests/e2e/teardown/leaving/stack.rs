//! A SharedStack goes when the last of its tenants is gone, and not with what they have retained in it.

use std::collections::BTreeSet;

use aws_sdk_iam::types::Tag;
use serde_json::json;
use tenantry::api::{APPROVE, Layer, Pattern};

use super::{LEAVE, STACK, STAY, assert_never_named, identity};
use crate::support::inventory;
use crate::support::objects::Object;
use crate::support::world::{World, world};

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

/// Another SharedStack with a Bridge tenant that stays.
async fn another_stack(w: &World) -> Object {
    w.apply("{kind: SharedStack, metadata: {name: other}, spec: {deletionPolicy: Delete}}").await;
    let name = STAY[1];
    w.apply(&format!(
        "{{kind: Tenant, metadata: {{name: {name}}},
           spec: {{tenantId: {name}, pattern: Bridge, stackRef: {{name: other}}, deletionPolicy: Delete}}}}"
    ))
    .await;
    w.ready(name).await;
    w.upload(name, &[("hours.md", "The office opens at ten.")]).await;
    w.condition(name, "DocumentsCurrent=True/Synced").await
}

/// A Bridge tenant with documents that was deleted with Retain; its uid.
async fn retained_bridge(w: &World) -> String {
    let name = LEAVE[1];
    tenant(w, name, "Bridge", "Retain").await;
    w.ready(name).await;
    w.upload(name, &[("hours.md", "The office opens at nine.")]).await;
    let uid = w.condition(name, "DocumentsCurrent=True/Synced").await.uid().to_owned();
    w.delete(name).await;
    w.gone(name).await;
    uid
}

/// Says yes to what the SharedStack asks for; what it said.
async fn approve(w: &World) -> String {
    let waits = w.condition(STACK, "DeletionBlocked=True/RetainedTenants").await;
    let message = waits.message("DeletionBlocked");
    let (_, code) = message.split_once(&format!("{APPROVE}=")).expect(message);
    w.annotate(STACK, APPROVE, code.split(',').next()).await;
    message.to_owned()
}

#[tokio::test]
async fn what_tenants_have_retained_goes_if_somebody_says_so() {
    world(|w| async move {
        let stays = another_stack(&w).await;
        // Somebody's things that are called almost like those that go.
        let like = identity(&w, LEAVE[1], "");
        w.others_role(&format!("{}x", like.name(Layer::Role))).await;
        let access = format!("{}x", like.name(Layer::Index));
        w.others_access_policy(&access, "somebodys", &[&w.own_role()]).await;
        let bucket = format!("{}x", w.stack_identity("standard", "").name(Layer::Bucket));
        w.sdk.s3.create_bucket().bucket(&bucket).send().await.unwrap();
        let expected = w.inventory().await;

        stack(&w, "Delete").await;
        retained_bridge(&w).await;
        tenant(&w, LEAVE[2], "Pool", "Retain").await;
        w.ready(LEAVE[2]).await;
        w.upload(LEAVE[2], &[("hours.md", "The office opens at nine.")]).await;
        w.condition(STACK, "DocumentsCurrent=True/Synced").await;
        w.delete(LEAVE[2]).await;
        w.gone(LEAVE[2]).await;

        let (mark, gone) = (w.double.mark().await, w.get(STACK).await);
        w.delete(STACK).await;
        let asked = approve(&w).await;
        assert!(asked.contains("2 tenants have retained"), "{asked}");
        assert!(
            asked.ends_with("with the knowledge base, index and role of each Bridge tenant among them"),
            "{asked}"
        );
        w.gone(STACK).await;
        assert_eq!(w.inventory().await, expected, "nothing of all three is left, and all else is as it was");
        assert_never_named(&w, &w.double.journal(mark).await.mutating(), &[stays]);
        let said = w.last_word(&gone, "Delete").await;
        assert_eq!(said, "Everything of this SharedStack in AWS is deleted");
    })
    .await;
}

/// A role that somebody has made their own, a marker that nobody can read, and one that speaks of a Tenant that is there.
#[tokio::test]
async fn what_is_not_provably_theirs_is_left_alone_and_named() {
    world(|w| async move {
        let stays = another_stack(&w).await;
        let untouched = w.inventory().await;
        stack(&w, "Delete").await;
        let uid = retained_bridge(&w).await;
        let id = w.tenant_identity(LEAVE[1], Pattern::Bridge, Some("standard"), &uid);
        let role = id.name(Layer::Role);
        let theirs = Tag::builder().key("tenantry.dev/owner-uid").value("somebodys").build().unwrap();
        w.sdk.iam.tag_role().role_name(&role).tags(theirs).send().await.unwrap();
        let bucket = w.stack_identity("standard", "").name(Layer::Bucket);
        let forged = json!({
            "owner": format!("Tenant/{}/{}", w.namespace_name(""), STAY[1]), "ownerUid": stays.uid(),
            "installation": w.settings.installation, "tenantId": STAY[1], "pattern": "Bridge",
            "prefix": format!("bridge/{}/", STAY[1]), "left": "Everything",
        });
        for (name, content) in [("lost", "no marker".to_owned()), (STAY[1], forged.to_string())] {
            w.sdk.upload(&bucket, &format!("tenantry/retained/{name}.json"), content).await;
        }

        let (mark, gone) = (w.double.mark().await, w.get(STACK).await);
        w.delete(STACK).await;
        approve(&w).await;
        w.gone(STACK).await;
        let mut left = w.inventory().await;
        assert!(left.remove(&format!("role {role}")).is_some(), "it is somebody else's now: {left:?}");
        assert_eq!(left, untouched);
        // The forged marker goes with the bucket, and its key has the tenant's name.
        let writes = w.double.journal(mark).await.mutating().only(|call| call.operation != "DeleteObjects");
        assert_never_named(&w, &writes, &[stays]);
        for reason in ["LeftAlone", "Delete"] {
            let said = w.last_word(&gone, reason).await;
            for named in [
                format!("role {role} (tenantId {})", LEAVE[1]),
                "lost had".into(),
                format!("{} had", STAY[1]),
            ] {
                assert!(said.contains(&named), "'{named}' is not in: {said}");
            }
        }
    })
    .await;
}
