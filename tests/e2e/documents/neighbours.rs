//! A tenant of whom there is much keeps no other of its pool waiting.

use futures::{StreamExt, stream};
use serde_json::json;

use crate::support::world::world;

const MANY: usize = 3_000;
/// So few of them may be read before everybody else's are in a job.
const FEW: usize = 100;
const STACK: &str = "SharedStack/standard";
const POOL: &str = "
    {kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}
    ---
    {kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Pool, stackRef: {name: standard}}}
    ---
    {kind: Tenant, metadata: {name: globex}, spec: {tenantId: globex, pattern: Pool, stackRef: {name: standard}}}";

#[tokio::test]
async fn ten_documents_do_not_wait_for_three_thousand_slow_ones_of_another_tenant() {
    world(|w| async move {
        w.double.settings(json!({"object_page_size": 1000, "page_size": 1000})).await;
        w.apply(POOL).await;
        let bucket = w.ready("acme").await.status.bucket.unwrap();
        w.sdk.upload(&bucket, "pool/acme/first.md", "It opens at nine.").await;
        w.request_sync(STACK).await;
        let beside = w.sdk.s3.get_object().bucket(&bucket).key("pool/acme/first.md.metadata.json");
        let file = beside.send().await.unwrap().body.collect().await.unwrap().to_vec();
        let file = String::from_utf8(file).unwrap();

        // Documents with files beside them that are right, as where a ledger is lost; S3 is slow with those of one tenant.
        w.stop_operator().await;
        w.sdk.s3.delete_bucket_policy().bucket(&bucket).send().await.unwrap();
        let upload = |n: usize| {
            let (w, bucket, file) = (&w, &bucket, &file);
            async move {
                let key = format!("pool/acme/{n:04}.md");
                w.sdk.upload(bucket, &key, "It opens at nine.").await;
                w.sdk.upload(bucket, &format!("{key}.metadata.json"), file.as_str()).await;
            }
        };
        stream::iter(0..MANY).map(upload).buffer_unordered(16).collect::<Vec<_>>().await;
        let slow =
            json!({"operation": "GetObject", "resource": "*/pool/acme/*", "count": 1_000_000, "delay": 0.1});
        w.double.fault(slow).await;
        for n in 0..10 {
            w.sdk.upload(&bucket, &format!("pool/globex/{n}.md"), "Globex grants 31 days of leave.").await;
        }
        let mark = w.double.mark().await;
        w.start_operator().await;
        w.annotate(STACK, "tenantry.dev/sync-requested-at", Some("now")).await;
        w.until(STACK, "says who is behind", |it| {
            it.message("DocumentsCurrent").contains("have been looked at yet: acme")
        })
        .await;
        let indexed = async || {
            let found = w.retrieve("globex", "How many days of leave?").await;
            found.iter().any(|(_, text)| text.contains("31 days")).then_some(())
        };
        w.eventually("the ten are answered from", indexed).await;
        let journal = w.double.journal(mark).await;
        let files = |of: &str| {
            let before = journal.iter().take_while(|call| call.operation != "StartIngestionJob");
            let reads = |operation: &str| matches!(operation, "GetObject" | "PutObject");
            before.filter(|call| reads(&call.operation) && call.text().contains(of)).count()
        };
        assert_eq!(files("/pool/globex/"), 10, "they are in the first job");
        assert!(files("/pool/acme/") <= FEW, "{} were read before", files("/pool/acme/"));

        // Nobody is forgotten: the rest is looked at while that job runs, and whatever it has found is in the next.
        w.until(STACK, "has looked at all", |it| !it.message("DocumentsCurrent").contains("looked at yet"))
            .await;
        w.condition(STACK, "DocumentsCurrent=True/Synced").await;
        let journal = w.double.journal(mark).await;
        let read = journal.of("GetObject").only(|call| call.text().contains("/pool/acme/")).len();
        assert_eq!(read, MANY, "each is read once");
    })
    .await;
}
