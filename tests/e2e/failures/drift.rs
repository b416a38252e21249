//! What somebody changes in AWS behind the operator's back is put right at the next resync.

use std::time::Duration;

use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use tenantry::api::{Layer, PAUSED, Pattern};

use crate::support::world::world_with;

#[tokio::test]
async fn what_was_changed_is_put_right() {
    world_with(
        |settings| settings.resync = Duration::from_secs(20),
        |w| async move {
            w.apply("{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Silo}}").await;
            let acme = w.ready("acme").await;
            let id = w.tenant_identity("acme", Pattern::Silo, None, acme.uid());
            let (bucket, role) = (acme.status.bucket.unwrap(), id.name(Layer::Role));

            // All of it is found by one look.
            w.annotate("acme", PAUSED, Some("true")).await;
            w.condition("acme", "Paused=True").await;
            w.sdk.s3.delete_bucket_policy().bucket(&bucket).send().await.unwrap();
            w.sdk.s3.delete_public_access_block().bucket(&bucket).send().await.unwrap();
            let suspended =
                VersioningConfiguration::builder().status(BucketVersioningStatus::Suspended).build();
            let request =
                w.sdk.s3.put_bucket_versioning().bucket(&bucket).versioning_configuration(suspended);
            request.send().await.unwrap();
            let policies = w.sdk.iam.list_role_policies().role_name(&role).send().await.unwrap().policy_names;
            w.sdk.iam.delete_role_policy().role_name(&role).policy_name(&policies[0]).send().await.unwrap();

            w.annotate("acme", PAUSED, None).await;

            w.eventually("all of it is as it was", || async {
                let policy = w.sdk.s3.get_bucket_policy().bucket(&bucket).send().await.ok()?.policy?;
                let block = w.sdk.s3.get_public_access_block().bucket(&bucket).send().await.ok()?;
                let block = block.public_access_block_configuration?;
                let versioning = w.sdk.s3.get_bucket_versioning().bucket(&bucket).send().await.ok()?.status?;
                let permissions =
                    w.sdk.iam.list_role_policies().role_name(&role).send().await.ok()?.policy_names;
                let refuses = ["TlsOnly", "NoKeysOfWriters", "NoOtherKmsKeys", "NoArchives"];
                let right = refuses.iter().all(|statement| policy.contains(statement))
                    && block.block_public_policy == Some(true)
                    && versioning == BucketVersioningStatus::Enabled
                    && permissions == policies;
                right.then_some(())
            })
            .await;
            w.ready("acme").await;
            // Whoever has changed it reads where it went.
            let note = w.event("acme", "DriftRepaired").await;
            assert!(note.contains(&bucket) && note.contains(&role), "{note}");
        },
    )
    .await;
}
