//! A document under a tenantId that is nobody's is found by nobody, told as a number, and read once somebody has the id.

use std::collections::BTreeSet;

use serde_json::json;
use tenantry::api::SYNC_REQUESTED_AT;

use crate::isolation::pool_isolation::{QUESTION, assert_own, naming, pool_of_two, reached};
use crate::support::double::{Call, Journal};
use crate::support::retrieval::Answer;
use crate::support::world::{World, world};

const STACK: &str = "SharedStack/standard";
const DOCUMENT: &str = "pool/nobody/handbook.md";
const SIDECAR: &str = "pool/nobody/handbook.md.metadata.json";
const TEXT: &str = "Employees of Nobody get 99 days of annual leave.";
const TENANT: &str = "{kind: Tenant, metadata: {name: nobody}, spec: {tenantId: nobody, pattern: Pool, stackRef: {name: standard}}}";

/// What a client is answered that sends this tenantId, whether or not there is such a Tenant.
async fn asked_as(w: &World, tenant: &str) -> Vec<Answer> {
    let knowledge_base = w.get(STACK).await.status.knowledge_base_id.unwrap();
    w.ask(&knowledge_base, QUESTION, Some(("tenantId", tenant))).await
}

/// The keys of a bucket that begin so.
async fn keys(w: &World, bucket: &str, prefix: &str) -> BTreeSet<String> {
    let listed = w.sdk.s3.list_objects_v2().bucket(bucket).prefix(prefix).send().await.unwrap();
    listed.contents().iter().map(|object| object.key().unwrap().to_owned()).collect()
}

/// The look that wrote the file, or took it away, is followed by a job, and not by another look that finds it changed.
fn assert_job_follows(journal: &Journal, operation: &str) {
    let of_the_file = |call: &&Call| call.operation == operation && call.text().contains(SIDECAR);
    let change = journal.iter().find(of_the_file).unwrap_or_else(|| panic!("no {operation}:\n{journal}"));
    let next = |operation: &str| {
        journal.iter().filter(|call| call.seq > change.seq).position(|call| call.operation == operation)
    };
    let (job, look) = (next("StartIngestionJob"), next("ListObjectsV2"));
    assert!(job.is_some() && look.is_none_or(|look| job < Some(look)), "{journal}");
}

async fn counted(w: &World) -> Option<i64> {
    w.get(STACK).await.status.unclaimed_documents
}

#[tokio::test]
async fn what_is_nobodys_is_found_by_nobody_until_somebody_has_the_id() {
    world(|w| async move {
        let bucket = pool_of_two(&w, "OperatorOnly").await;
        assert_eq!(counted(&w).await, None);
        for document in [DOCUMENT, "pool/umbrela/handbook.md"] {
            w.sdk.upload(&bucket, document, TEXT).await;
        }
        w.request_sync(STACK).await;
        let told = w.until(STACK, "counts them", |it| it.status.unclaimed_documents == Some(2)).await;
        assert!(told.is("Ready=True") && told.is("DocumentsCurrent=True/Synced"), "{}", told.describe());
        let note = w.event(STACK, "DocumentsUnclaimed").await;
        assert!(note.starts_with("2 documents") && !note.contains("umbrela"), "{note}");
        assert_eq!(keys(&w, &bucket, "pool/nobody/").await, [DOCUMENT.into()].into());
        assert_eq!(asked_as(&w, "nobody").await, []);
        assert_own(&w, &bucket, "acme", "25 days").await;

        // Its number has been told, and it costs nothing more.
        let mark = w.double.mark().await;
        w.request_sync(STACK).await;
        let journal = w.double.journal(mark).await;
        let [lists, gets] = ["ListObjectsV2", "GetObject"].map(|operation| journal.of(operation).len());
        let changes = journal.only(|call| call.service == "s3" && call.mutating);
        // The index of the ledger, and its only part.
        assert!((lists, gets) == (1, 2) && changes.is_empty(), "{journal}");
        let events = w.events(STACK).await;
        assert_eq!(
            events.iter().filter(|(reason, _)| reason == "DocumentsUnclaimed").count(),
            1,
            "{events:?}"
        );

        // The next look before a job finds that it is somebody's, and the schedule's look is one.
        let mark = w.double.mark().await;
        w.apply(TENANT).await;
        w.ready("nobody").await;
        w.patch(STACK, json!({"spec": {"pool": {"ingestion": {"schedule": "* * * * *"}}}})).await;
        w.eventually("it is found by whom its key names", || async {
            (!w.retrieve("nobody", QUESTION).await.is_empty()).then_some(())
        })
        .await;
        assert_own(&w, &bucket, "nobody", "99 days").await;
        assert_job_follows(&w.double.journal(mark).await, "PutObject");
        w.until(STACK, "counts the other alone", |it| it.status.unclaimed_documents == Some(1)).await;
        w.sdk.s3.delete_object().bucket(&bucket).key("pool/umbrela/handbook.md").send().await.unwrap();
        w.until(STACK, "has nothing left to count", |it| it.status.unclaimed_documents.is_none()).await;

        // One that is taken away by force has left no word, and its id is its namespace's still: nothing of it changes.
        w.annotate("nobody", "tenantry.dev/paused", Some("true")).await;
        w.condition("nobody", "Paused=True").await;
        w.patch("nobody", json!({"metadata": {"finalizers": null}})).await;
        w.delete("nobody").await;
        w.gone("nobody").await;
        w.annotate(STACK, SYNC_REQUESTED_AT, Some("later")).await;
        w.condition(STACK, "DocumentsCurrent=True/Synced").await;
        assert!(!asked_as(&w, "nobody").await.is_empty());
        assert_eq!(keys(&w, &bucket, "pool/nobody/").await.len(), 2, "the document and the file beside it");
    })
    .await;
}

/// One from before its id was nobody's, and one that somebody wrote while a job read.
#[tokio::test]
async fn a_file_beside_what_is_nobodys_goes_into_quarantine_once() {
    world(|w| async move {
        let bucket = pool_of_two(&w, "Merge").await;
        w.sdk.upload(&bucket, SIDECAR, naming("nobody")).await;
        w.sdk.upload(&bucket, DOCUMENT, TEXT).await;
        let finish = w.double.hold("job_finish", "*").await;
        w.annotate(STACK, SYNC_REQUESTED_AT, Some("now")).await;
        reached(&w, &finish, "the job has read everything").await;
        let aside = format!("tenantry/quarantine/{SIDECAR}");
        assert_eq!(keys(&w, &bucket, "pool/nobody/").await, [DOCUMENT.into()].into());
        assert_eq!(keys(&w, &bucket, &aside).await, [aside.clone()].into());
        assert_eq!(asked_as(&w, "nobody").await, []);

        // A job that may have read it must be repeated, or acme would be answered from it.
        w.sdk.upload(&bucket, SIDECAR, naming("acme")).await;
        let mark = w.double.mark().await;
        finish.release().await;
        w.eventually("the job is repeated", || async {
            let started = w.double.journal(mark).await.of("StartIngestionJob").only(Call::succeeded);
            started.iter().any(|call| call.text().contains("corrected ")).then_some(())
        })
        .await;
        w.condition(STACK, "DocumentsCurrent=True/Synced").await;
        assert_own(&w, &bucket, "acme", "25 days").await;
        assert_eq!(counted(&w).await, Some(1));

        // And then it rests.
        w.request_sync(STACK).await;
        let mark = w.double.mark().await;
        w.request_sync(STACK).await;
        let journal = w.double.journal(mark).await;
        let changes = journal.only(|call| call.service == "s3" && call.mutating);
        assert!(
            changes.is_empty() && journal.of("StartIngestionJob").only(Call::succeeded).len() == 1,
            "{journal}"
        );
    })
    .await;
}
