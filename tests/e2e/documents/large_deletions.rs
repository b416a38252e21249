//! In a pool one tenant's large deletion is told to it and holds nobody; many at once wait for a person, once for each list
//! of keys.

use serde_json::json;
use tenantry::api::{APPROVE, SYNC_REQUESTED_AT};

use crate::support::world::{World, world};

const STACK: &str = "SharedStack/standard";
const TENANTS: [&str; 3] = ["acme", "globex", "umbrella"];

async fn pool(w: &World) -> String {
    w.double.settings(json!({"page_size": 100})).await;
    w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}").await;
    let mut bucket = String::new();
    for name in TENANTS {
        let tenant = format!(
            "{{kind: Tenant, metadata: {{name: {name}}}, spec: {{tenantId: {name}, pattern: Pool, stackRef: {{name: standard}}}}}}"
        );
        w.apply(&tenant).await;
        bucket = w.ready(name).await.status.bucket.unwrap();
        put(w, &bucket, name, 0..12).await;
    }
    w.request_sync(STACK).await;
    bucket
}

async fn put(w: &World, bucket: &str, tenant: &str, numbers: std::ops::Range<usize>) {
    for n in numbers {
        w.sdk.upload(bucket, &format!("pool/{tenant}/{n:02}.md"), format!("Document {n} of {tenant}.")).await;
    }
}

async fn take(w: &World, bucket: &str, tenant: &str, numbers: std::ops::Range<usize>) {
    for n in numbers {
        let request = w.sdk.s3.delete_object().bucket(bucket).key(format!("pool/{tenant}/{n:02}.md"));
        request.send().await.unwrap();
    }
}

#[tokio::test]
async fn one_tenants_large_deletion_is_told_to_it_and_keeps_nobody_waiting() {
    world(|w| async move {
        let bucket = pool(&w).await;
        take(&w, &bucket, "acme", 0..12).await;
        let told = w.tenantry(&["documents", "-n", &w.namespace_name(""), "acme"]).await;
        assert!(
            told.contains("0 documents, 0 as the last job found them, 0 new or changed since, 12 gone"),
            "{told}"
        );
        w.sdk.upload(&bucket, "pool/umbrella/new.md", "Umbrella grants 32 days of leave.").await;
        w.request_sync("umbrella").await;
        let found = w.retrieve("umbrella", "How many days of leave?").await;
        assert!(found.iter().any(|(_, text)| text.contains("32 days")), "{found:?}");
        let told = w.event("acme", "LargeDeletion").await;
        assert!(told.starts_with("12 of 12 documents are gone"), "{told}");
        assert!(w.retrieve("acme", "Document").await.is_empty(), "the job has forgotten them");
    })
    .await;
}

#[tokio::test]
async fn an_approval_opens_for_the_documents_that_it_was_given_for_and_no_others() {
    world(|w| async move {
        let bucket = pool(&w).await;
        for tenant in TENANTS {
            take(&w, &bucket, tenant, 0..4).await;
        }
        let ask = async |value: &str, which: &str| {
            w.annotate(STACK, SYNC_REQUESTED_AT, Some(value)).await;
            let asks = |it: &crate::support::objects::Object| {
                it.is("DocumentsCurrent=False/LargeDeletion")
                    && it.message("DocumentsCurrent").contains(which)
            };
            let waits = w.until(STACK, "asks for approval", asks).await;
            let message = waits.message("DocumentsCurrent").to_owned();
            let (_, rest) = message.split_once(&format!("{APPROVE}=")).expect("a code");
            (rest.split(',').next().unwrap().to_owned(), message.clone())
        };
        let (first, message) = ask("1", "12 of 36 documents").await;
        assert!(message.contains("each of 3 of 3 tenants had: acme, globex, umbrella"), "{message}");
        w.annotate(STACK, APPROVE, Some(&first)).await;
        w.condition(STACK, "DocumentsCurrent=True/Synced").await;

        // As many again, but others: the approval is still there, and opens nothing.
        for tenant in TENANTS {
            put(&w, &bucket, tenant, 0..4).await;
        }
        w.request_sync(STACK).await;
        let mark = w.double.mark().await;
        for tenant in TENANTS {
            take(&w, &bucket, tenant, 5..9).await;
        }
        let (second, _) = ask("2", "12 of 36 documents").await;
        assert_ne!(first, second);
        assert!(w.double.journal(mark).await.of("StartIngestionJob").is_empty());
        // Nor does it for the same ones, once a job has been in between.
        for tenant in TENANTS {
            put(&w, &bucket, tenant, 5..9).await;
        }
        w.annotate(STACK, SYNC_REQUESTED_AT, Some("3")).await;
        w.condition(STACK, "DocumentsCurrent=True/Synced").await;
        for tenant in TENANTS {
            take(&w, &bucket, tenant, 0..4).await;
        }
        let (third, _) = ask("4", "12 of 36 documents").await;
        assert_ne!(first, third);
    })
    .await;
}
