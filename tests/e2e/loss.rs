//! A bucket or a vector store that is gone is not made anew, empty, before a person has said so.

use std::time::Duration;

use serde_json::json;
use tenantry::api::APPROVE;

use crate::objects::Object;
use crate::world::{World, world_with};

/// Looks at everything every two seconds.
async fn watchful<F: Future<Output = ()>>(test: impl FnOnce(World) -> F) {
    world_with(|settings| settings.resync = Duration::from_secs(20), test).await;
}

/// The code that a message asks for.
fn code(told: &Object, condition: &str) -> String {
    let message = told.message(condition);
    let code = message
        .split(&format!("{APPROVE}="))
        .nth(1)
        .unwrap_or_else(|| panic!("no code in {}", told.describe()));
    code.split(':').next().unwrap().to_owned()
}

/// Waits until it is told what to approve, and approves it.
async fn approved(w: &World, object: &str, condition: &str) -> String {
    let asked = |found: &Object| {
        found.is(&format!("{condition}=False/DataLost"))
            && found.is("Stalled=True/DataLost")
            && found.message(condition).contains(APPROVE)
    };
    let told = w.until(object, "asks for approval", asked).await;
    let code = code(&told, condition);
    w.annotate(object, APPROVE, Some(&code)).await;
    code
}

/// Empties a bucket and deletes it.
pub async fn delete_bucket(w: &World, bucket: &str) {
    let versions = w.sdk.s3.list_object_versions().bucket(bucket).send().await.unwrap();
    for version in versions.versions() {
        let request = w.sdk.s3.delete_object().bucket(bucket).key(version.key().unwrap());
        request.version_id(version.version_id().unwrap()).send().await.unwrap();
    }
    for marker in versions.delete_markers() {
        let request = w.sdk.s3.delete_object().bucket(bucket).key(marker.key().unwrap());
        request.version_id(marker.version_id().unwrap()).send().await.unwrap();
    }
    w.sdk.s3.delete_bucket().bucket(bucket).send().await.unwrap();
}

#[tokio::test]
async fn a_bucket_that_is_gone_is_made_anew_only_if_somebody_says_so() {
    watchful(|w| async move {
        w.apply("{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Silo}}").await;
        let before = w.ready("acme").await;
        let bucket = before.status.bucket.clone().unwrap();
        w.upload("acme", &[("a.md", "what is lost")]).await;
        w.condition("acme", "DocumentsCurrent=True/Synced").await;

        let mark = w.double.mark().await;
        delete_bucket(&w, &bucket).await;
        let told = w.condition("acme", "Stalled=True/DataLost").await;
        assert!(
            told.is("BucketReady=False/DataLost") && told.message("Ready").contains(&bucket),
            "{}",
            told.describe()
        );
        w.annotate("acme", APPROVE, Some("DataLost-000000")).await;
        // A job that is asked for does not run either: it would forget what was in the bucket.
        w.annotate("acme", "tenantry.dev/sync-requested-at", Some("now")).await;
        w.touch("acme").await;
        let generation = w.get("acme").await.meta.generation;
        w.until("acme", "is judged anew", |it| it.status.observed_generation == generation).await;
        let writes = w.double.journal(mark).await.mutating().only(|call| call.is_operators());
        assert!(writes.is_empty(), "{writes}");

        let first = approved(&w, "acme", "BucketReady").await;
        let after = w.ready("acme").await;
        assert_eq!(after.status.bucket, before.status.bucket);
        assert_eq!(after.status.knowledge_base_id, before.status.knowledge_base_id);

        // What was approved once approves no second loss.
        delete_bucket(&w, &bucket).await;
        let asks = |found: &Object| found.message("BucketReady").contains(APPROVE);
        let told = w.until("acme", "asks again", asks).await;
        assert_ne!(code(&told, "BucketReady"), first);
        approved(&w, "acme", "BucketReady").await;
        w.ready("acme").await;
    })
    .await;
}

#[tokio::test]
async fn a_collection_that_is_gone_takes_its_knowledge_bases_along_only_if_somebody_says_so() {
    watchful(|w| async move {
        w.apply(
            "
            {kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}
            ---
            kind: Tenant
            metadata: {name: bridge}
            spec: {tenantId: bridge, pattern: Bridge, stackRef: {name: standard}}
            ---
            kind: Tenant
            metadata: {name: pool}
            spec: {tenantId: pool, pattern: Pool, stackRef: {name: standard}}",
        )
        .await;
        for tenant in ["bridge", "pool"] {
            w.ready(tenant).await;
            w.upload(tenant, &[("hours.md", "The office opens at nine.")]).await;
        }
        w.condition("bridge", "DocumentsCurrent=True/Synced").await;
        let stack = w.condition("SharedStack/standard", "DocumentsCurrent=True/Synced").await;
        let mark = w.double.mark().await;
        let (_, collection) = stack.status.store_arn.as_deref().unwrap().rsplit_once('/').unwrap();
        w.sdk.aoss.delete_collection().id(collection).send().await.unwrap();

        let told = w.condition("SharedStack/standard", "Stalled=True/DataLost").await;
        assert!(told.is("VectorStoreReady=False/DataLost"), "{}", told.describe());
        for tenant in ["bridge", "pool"] {
            w.condition(tenant, "Ready=False/StackNotReady").await;
        }
        let writes = w.double.journal(mark).await.mutating().only(|call| call.is_operators());
        assert!(writes.is_empty(), "{writes}");

        approved(&w, "SharedStack/standard", "VectorStoreReady").await;
        let after = w.ready("SharedStack/standard").await;
        assert_ne!(after.status.store_arn, stack.status.store_arn);
        assert_ne!(after.status.knowledge_base_id, stack.status.knowledge_base_id);
        for tenant in ["bridge", "pool"] {
            w.ready(tenant).await;
            let found = w.retrieve(tenant, "When does the office open?").await;
            assert!(found.iter().any(|(_, text)| text.contains("nine")), "{tenant}: {found:?}");
        }
        w.patch("bridge", json!({"spec": {"deletionPolicy": "Delete"}})).await;
        w.delete("bridge").await;
        w.gone("bridge").await;
    })
    .await;
}
