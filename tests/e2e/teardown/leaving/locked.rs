//! S3 Object Lock, which somebody has switched on in a bucket of ours, is not overridden: deletion says until when it waits.

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{
    ObjectLockConfiguration, ObjectLockEnabled, ObjectLockLegalHold, ObjectLockLegalHoldStatus,
    ObjectLockRetention, ObjectLockRetentionMode,
};

use crate::support::inventory;
use crate::support::world::world;

#[tokio::test]
async fn locked_versions_are_waited_for_and_all_others_go() {
    world(|w| async move {
        w.apply("{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Silo, deletionPolicy: Delete}}")
            .await;
        let bucket = w.ready("acme").await.status.bucket.unwrap();
        w.upload("acme", &[("a.md", "a"), ("held.md", "held"), ("locked.md", "locked")]).await;
        let lock = ObjectLockConfiguration::builder().object_lock_enabled(ObjectLockEnabled::Enabled).build();
        let request = w.sdk.s3.put_object_lock_configuration().bucket(&bucket);
        request.object_lock_configuration(lock).send().await.unwrap();
        let until = DateTime::from_secs(jiff::Timestamp::now().as_second() + 86_400);
        let retention = ObjectLockRetention::builder()
            .mode(ObjectLockRetentionMode::Governance)
            .retain_until_date(until)
            .build();
        let request = w.sdk.s3.put_object_retention().bucket(&bucket).key("documents/locked.md");
        request.retention(retention).send().await.unwrap();
        let hold = async |status| {
            let hold = ObjectLockLegalHold::builder().status(status).build();
            let request = w.sdk.s3.put_object_legal_hold().bucket(&bucket).key("documents/held.md");
            request.legal_hold(hold).send().await.unwrap();
        };
        hold(ObjectLockLegalHoldStatus::On).await;

        w.delete("acme").await;
        let blocked = w.condition("acme", "DeletionBlocked=True/ObjectsLocked").await;
        let message = blocked.message("DeletionBlocked");
        assert!(message.contains("documents/held.md") && message.contains("legal hold"), "{message}");
        let objects = inventory::names(&w.inventory().await);
        let objects: Vec<_> = objects.iter().filter(|it| it.contains("/documents/")).collect();
        assert!(objects.iter().all(|it| it.ends_with("held.md") || it.ends_with("locked.md")), "{objects:?}");

        hold(ObjectLockLegalHoldStatus::Off).await;
        w.touch("acme").await;
        let told = async || {
            let message = w.get("acme").await.message("DeletionBlocked").to_owned();
            message.contains("documents/locked.md, until 20").then_some(())
        };
        w.eventually("it says until when", told).await;

        // Somebody who may overrides the lock.
        let locked = w.sdk.s3.list_object_versions().bucket(&bucket).prefix("documents/locked.md").send().await.unwrap();
        let request = w.sdk.s3.delete_object().bucket(&bucket).key("documents/locked.md");
        let request = request.version_id(locked.versions()[0].version_id().unwrap());
        request.bypass_governance_retention(true).send().await.unwrap();
        w.touch("acme").await;
        w.gone("acme").await;
    })
    .await;
}

/// A job reads what is there: a locked document that is merely waited for would go on answering.
#[tokio::test]
async fn nobody_is_answered_from_a_pools_locked_documents_while_they_wait() {
    world(|w| async move {
        const STACK: &str = "SharedStack/standard";
        const QUESTION: &str = "When does the office open?";
        w.apply(
            "
            {kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}
            ---
            kind: Tenant
            metadata: {name: acme}
            spec: {tenantId: acme, pattern: Pool, stackRef: {name: standard}, deletionPolicy: Delete}
            ---
            kind: Tenant
            metadata: {name: umbrella}
            spec: {tenantId: umbrella, pattern: Pool, stackRef: {name: standard}}",
        )
        .await;
        for tenant in ["acme", "umbrella"] {
            w.ready(tenant).await;
            let text = format!("The office of {tenant} opens at nine.");
            w.upload(tenant, &[("hours.md", &text), ("held.md", &text)]).await;
        }
        w.request_sync(STACK).await;
        w.condition(STACK, "DocumentsCurrent=True/Synced").await;
        let status = w.get("acme").await.status;
        let (bucket, pool) = (status.bucket.unwrap(), status.knowledge_base_id.unwrap());
        let of_acme = async || {
            let answers = w.retrieve_unfiltered(&pool, QUESTION).await;
            answers.into_iter().filter(|(uri, _)| uri.contains("/pool/acme/")).count()
        };
        assert_eq!(of_acme().await, 2);
        let lock = ObjectLockConfiguration::builder().object_lock_enabled(ObjectLockEnabled::Enabled).build();
        let request = w.sdk.s3.put_object_lock_configuration().bucket(&bucket);
        request.object_lock_configuration(lock).send().await.unwrap();
        let hold = async |key: &str, version: Option<&str>, status| {
            let hold = ObjectLockLegalHold::builder().status(status).build();
            let request = w.sdk.s3.put_object_legal_hold().bucket(&bucket).key(key);
            request.set_version_id(version.map(Into::into)).legal_hold(hold).send().await.unwrap();
        };
        const ASIDE: &str = "tenantry/quarantine/pool/acme/odd.md";
        w.sdk.upload(&bucket, ASIDE, "odd").await;
        for key in ["pool/acme/held.md", ASIDE] {
            hold(key, None, ObjectLockLegalHoldStatus::On).await;
        }

        w.delete("acme").await;
        let blocked = w.condition("acme", "DeletionBlocked=True/ObjectsLocked").await;
        let message = blocked.message("DeletionBlocked");
        assert!(message.contains("pool/acme/held.md") && message.contains("legal hold"), "{message}");
        assert_eq!(of_acme().await, 0, "locked documents go on answering");
        // However often it is tried, nothing comes to light again, and no job runs for it.
        let mark = w.double.mark().await;
        w.touch("acme").await;
        w.request_sync(STACK).await;
        assert_eq!(of_acme().await, 0);
        let tried = w.double.journal(mark).await;
        assert!(tried.of("DeleteObject").is_empty(), "{tried}");
        let listed =
            w.sdk.s3.list_object_versions().bucket(&bucket).prefix("pool/acme/").send().await.unwrap();
        let keys = listed.versions().iter().map(|it| it.key().unwrap()).collect::<Vec<_>>();
        assert_eq!(keys, ["pool/acme/held.md"], "all others are gone");

        let version = listed.versions()[0].version_id();
        hold("pool/acme/held.md", version, ObjectLockLegalHoldStatus::Off).await;
        w.touch("acme").await;
        let told = async || w.get("acme").await.message("DeletionBlocked").contains(ASIDE).then_some(());
        w.eventually("what is locked elsewhere is waited for, too", told).await;
        let listed = w.sdk.s3.list_object_versions().bucket(&bucket).prefix(ASIDE).send().await.unwrap();
        let version = listed.versions()[0].version_id();
        hold(ASIDE, version, ObjectLockLegalHoldStatus::Off).await;
        w.touch("acme").await;
        w.gone("acme").await;
        let left = w.sdk.s3.list_object_versions().bucket(&bucket).prefix("pool/acme/").send().await.unwrap();
        assert!(left.versions().is_empty() && left.delete_markers().is_empty(), "{left:?}");
        assert_eq!(w.retrieve("umbrella", QUESTION).await.len(), 2);
    })
    .await;
}
