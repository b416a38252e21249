//! A job is preceded by one listing and one look into the ledger, and by nothing else where nothing has changed.

use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tenantry::api::{APPROVE, SYNC_REQUESTED_AT};

use crate::support::double::Journal;
use crate::support::world::{World, world};

const PAGE: usize = 100;
const STACK: &str = "SharedStack/standard";
const POOL: &str = "
    {kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}
    ---
    {kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Pool, stackRef: {name: standard}}}";

async fn upload(w: &World, bucket: &str, keys: impl Iterator<Item = String>) {
    let one = |key: String| async move { w.sdk.upload(bucket, &key, format!("The text of {key}.")).await };
    stream::iter(keys).map(one).buffer_unordered(16).collect::<Vec<_>>().await;
}

/// What a review costs in S3: pages of listings, reads and writes.
fn costs(journal: &Journal) -> (usize, usize, usize) {
    (journal.of("ListObjectsV2").len(), journal.of("GetObject").len(), journal.of("PutObject").len())
}

/// What `tenantry documents` says of a tenant's.
async fn documents(w: &World, tenant: &str) -> Value {
    let printed = w.tenantry(&["documents", "-n", &w.namespace_name(""), tenant, "-o", "json"]).await;
    serde_json::from_str(&printed).unwrap()
}

/// Documents that are there, that the last job found as they are, and that wait for the next.
fn counts(report: &Value) -> (usize, usize, usize) {
    let [there, ingested, waiting] =
        ["documents", "ingested", "waiting"].map(|name| report[name].as_u64().unwrap() as usize);
    (there, ingested, waiting)
}

#[tokio::test]
async fn a_thousand_documents_are_stamped_once_and_then_only_listed() {
    const DOCUMENTS: usize = 1000;
    world(|w| async move {
        // AWS lists up to 1,000 documents of a knowledge base at once. With two, the command would be minutes at its pace.
        w.double.settings(json!({"object_page_size": PAGE, "page_size": PAGE})).await;
        w.apply(POOL).await;
        let bucket = w.ready("acme").await.status.bucket.unwrap();
        w.annotate(STACK, "tenantry.dev/paused", Some("true")).await;
        upload(&w, &bucket, (0..DOCUMENTS).map(|n| format!("pool/acme/{n:04}.md"))).await;
        let mark = w.double.mark().await;
        w.annotate(STACK, "tenantry.dev/paused", None).await;
        // Two waits, each of which may take long.
        w.until(STACK, "has reviewed everything", |it| it.status.ingestion.is_some()).await;
        let synced = w.condition(STACK, "DocumentsCurrent=True/Synced").await;
        assert_eq!(synced.status.ingestion.unwrap().statistics.unwrap().documents_scanned, DOCUMENTS as i64);
        let journal = w.double.journal(mark).await;
        let (_, _, files) = costs(&journal.only(|call| call.text().contains(".metadata.json")));
        assert_eq!(files, DOCUMENTS, "each metadata file once");
        let (_, _, puts) = costs(&journal);
        assert!((2..=8).contains(&(puts - files)), "the index, and few parts: {}", puts - files);
        let report = documents(&w, "acme").await;
        assert_eq!(counts(&report), (DOCUMENTS, DOCUMENTS, 0), "{report:#}");

        let mark = w.double.mark().await;
        w.request_sync(STACK).await;
        let journal = w.double.journal(mark).await;
        let (lists, gets, puts) = costs(&journal);
        assert_eq!((lists, puts), (2 * DOCUMENTS / PAGE, 0), "{journal}");
        let ledger =
            w.sdk.s3.list_objects_v2().bucket(&bucket).prefix("tenantry/ledger/").send().await.unwrap();
        assert_eq!(gets, ledger.contents().len(), "its index and its parts, each once: {journal}");

        // After a restart nothing is known but what the ledger says.
        w.restart_operator().await;
        let mark = w.double.mark().await;
        upload(&w, &bucket, ["pool/acme/new.md".to_string()].into_iter()).await;
        w.request_sync(STACK).await;
        let (_, gets, puts) =
            costs(&w.double.journal(mark).await.only(|call| call.resource.contains("new.md")));
        assert_eq!((gets, puts), (0, 1), "one metadata file was missing");
        let report = documents(&w, "acme").await;
        assert_eq!(counts(&report), (DOCUMENTS + 1, DOCUMENTS + 1, 0), "{report:#}");
    })
    .await;
}

#[tokio::test]
async fn the_command_counts_what_is_there_and_tells_what_is_not_well() {
    world(|w| async move {
        w.double.settings(json!({"switches": {"malformed_sidecar": "failed"}})).await;
        w.apply(POOL).await;
        let bucket = w.ready("acme").await.status.bucket.unwrap();
        upload(&w, &bucket, ["good", "bad"].map(|name| format!("pool/acme/{name}.md")).into_iter()).await;
        upload(&w, &bucket, ["pool/acme/unheard.of", "pool/other/unheard.of"].map(String::from).into_iter())
            .await;
        w.request_sync("acme").await;
        upload(&w, &bucket, ["pool/acme/new.md", "pool/acme/good.md"].map(String::from).into_iter()).await;
        w.sdk.upload(&bucket, "pool/acme/good.md", "Changed since.").await;
        let long = format!("pool/acme/{}.md", "x".repeat(1007));
        w.sdk.upload(&bucket, &format!("tenantry/quarantine/{}", &long[..900]), "").await;
        let report = documents(&w, "acme").await;
        assert_eq!(counts(&report), (4, 2, 2), "{report:#}");
        assert_eq!(report["lastJob"]["status"], "COMPLETE");
        let failed = report["failed"].as_array().unwrap();
        assert!(
            failed.len() == 1
                && failed[0]["key"] == "pool/acme/unheard.of"
                && failed[0]["status"] == "FAILED",
            "{report:#}"
        );
        assert_eq!(report["quarantined"].as_array().unwrap().len(), 1, "{report:#}");
    })
    .await;
}

#[tokio::test]
async fn a_job_that_would_forget_much_waits_for_a_person() {
    world(|w| async move {
        w.apply("{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Silo}}").await;
        let acme = w.ready("acme").await;
        let bucket = acme.status.bucket.unwrap();
        upload(&w, &bucket, (0..40).map(|n| format!("documents/{n:02}.md"))).await;
        w.condition("acme", "DocumentsCurrent=True/Synced").await;
        w.request_sync("acme").await;
        for n in 0..20 {
            w.sdk
                .s3
                .delete_object()
                .bucket(&bucket)
                .key(format!("documents/{n:02}.md"))
                .send()
                .await
                .unwrap();
        }
        let mark = w.double.mark().await;
        w.annotate("acme", SYNC_REQUESTED_AT, Some("after the deletion")).await;
        let waits = w.condition("acme", "DocumentsCurrent=False/LargeDeletion").await;
        assert!(waits.is("Ready=True"), "{}", waits.describe());
        let message = waits.message("DocumentsCurrent");
        assert!(message.starts_with("20 of 40 documents"), "{message}");
        assert!(w.double.journal(mark).await.of("StartIngestionJob").is_empty());

        // If the facts change, the code does not open any more.
        let code = |message: &str| {
            let (_, rest) = message.split_once(&format!("{APPROVE}=")).expect("a code");
            rest.split(',').next().unwrap().to_owned()
        };
        let first = code(message);
        w.sdk.s3.delete_object().bucket(&bucket).key("documents/20.md").send().await.unwrap();
        w.annotate("acme", APPROVE, Some(&first)).await;
        let waits = w
            .until("acme", "asks anew", |it| it.message("DocumentsCurrent").starts_with("21 of 40 documents"))
            .await;
        w.annotate("acme", APPROVE, Some(&code(waits.message("DocumentsCurrent")))).await;
        let synced = w.condition("acme", "DocumentsCurrent=True/Synced").await;
        assert_eq!(synced.status.ingestion.unwrap().statistics.unwrap().documents_deleted, 21);
    })
    .await;
}
