//! S3 Object Lock, which somebody has switched on in a bucket of ours, is not overridden: deletion says until when it waits.

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{
    ObjectLockConfiguration, ObjectLockEnabled, ObjectLockLegalHold, ObjectLockLegalHoldStatus,
    ObjectLockRetention, ObjectLockRetentionMode,
};

use crate::inventory;
use crate::world::world;

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
