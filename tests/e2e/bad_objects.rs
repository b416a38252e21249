//! What S3 refuses of one object is that object's trouble: nobody else waits, nobody finds it, and its tenant is told.

use serde_json::{Value, json};

use crate::door::Manner;
use crate::pool_isolation::{QUESTION, assert_own, pool_of_two};
use crate::world::{World, world};

/// What S3 and KMS say of an object, or of whoever asks, with the status that goes with it.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
const CODES: &[(&str, u16)] = &[
    ("InvalidObjectState", 403),
    ("AccessDenied", 403),
    ("AllAccessDisabled", 403),
    ("InvalidRequest", 400),
    ("InvalidArgument", 400),
    ("EntityTooLarge", 400),
    ("KeyTooLongError", 400),
    ("MalformedXML", 400),
    ("InvalidTag", 400),
    ("KMS.DisabledException", 400),
    ("KMS.NotFoundException", 400),
    ("InvalidToken", 400),
    ("NoSuchKey", 404),
    ("NoSuchVersion", 404),
    ("MethodNotAllowed", 405),
    ("OperationAborted", 409),
    ("PreconditionFailed", 412),
    ("InternalError", 500),
    ("NotImplemented", 501),
    ("SlowDown", 503),
    ("ServiceUnavailable", 503),
    ("NobodyHasSeenThisBefore", 418),
];

/// Of these a copy or a deletion says that the object was written anew meanwhile, or is gone: no trouble.
const OVERTAKEN: [&str; 2] = ["NoSuchKey", "PreconditionFailed"];

/// From now on an operation on a key is refused so.
async fn refuse(w: &World, operation: &str, key: &str, (code, status): (&str, u16)) {
    let rule = json!({
        "operation": operation, "resource": format!("*{key}*"), "code": code, "status": status,
        "count": 1_000_000,
    });
    w.double.fault(rule).await;
}

/// A key that leaves no room for a metadata file.
fn long(name: &str) -> String {
    let key = format!("pool/acme/{name}-");
    format!("{key}{}.md", "x".repeat(1011 - key.len() - 3))
}

async fn documents(w: &World, tenant: &str) -> Value {
    let printed = w.tenantry(&["documents", "-n", &w.namespace_name(""), tenant, "-o", "json"]).await;
    serde_json::from_str(&printed).unwrap()
}

#[tokio::test]
async fn no_object_of_a_tenant_keeps_another_from_being_indexed_or_forgotten() {
    world(|w| async move {
        let bucket = pool_of_two(&w, "OperatorOnly").await;
        let leaver = "{kind: Tenant, metadata: {name: leaver}, spec: {tenantId: leaver, pattern: Pool, \
                      stackRef: {name: standard}, deletionPolicy: Delete}}";
        w.apply(leaver).await;
        w.ready("leaver").await;
        w.upload("leaver", &[("handbook.md", "Leavers get 77 days of annual leave.")]).await;
        w.request_sync("umbrella").await;
        assert_own(&w, &bucket, "leaver", "77 days").await;

        for code in CODES {
            let [put, copy, delete] = ["put", "copy", "delete"].map(|what| format!("{what}-{}", code.0));
            refuse(&w, "PutObject", &format!("{put}.md.metadata.json"), *code).await;
            refuse(&w, "CopyObject", &format!("/{copy}-"), *code).await;
            refuse(&w, "DeleteObject", &format!("/{delete}-"), *code).await;
        }
        for (code, _) in CODES {
            let text = "Acme grants 99 days of annual leave to employees.";
            w.sdk.upload(&bucket, &format!("pool/acme/put-{code}.md"), text).await;
            if OVERTAKEN.contains(code) {
                continue;
            }
            w.sdk.upload(&bucket, &long(&format!("copy-{code}")), text).await;
            w.sdk.upload(&bucket, &long(&format!("delete-{code}")), text).await;
        }
        w.sdk.upload(&bucket, "pool/umbrella/new.md", "Umbrella now grants 32 days of annual leave.").await;
        w.request_sync("umbrella").await;
        assert_own(&w, &bucket, "umbrella", "32 days").await;
        let own = assert_own(&w, &bucket, "acme", "25 days").await;
        assert!(!own.iter().any(|(_, text)| text.contains("99 days")), "{own:?}");

        // Whoever they belong to is told, and nobody else.
        let count = 3 * CODES.len() - 2 * OVERTAKEN.len();
        let told = w.condition("acme", "DocumentsCurrent=False/DocumentsFailed").await;
        let more = format!("and {} more", count - 10);
        assert!(told.message("DocumentsCurrent").contains(&more), "{}", told.describe());
        assert!(!w.get("umbrella").await.is("DocumentsCurrent=False"));
        let stack = w.condition("SharedStack/standard", "DocumentsCurrent=True/Synced").await;
        let said = format!("{count} documents were skipped, so that no query finds them");
        assert!(stack.message("DocumentsCurrent").contains(&said), "{}", stack.describe());
        let report = documents(&w, "acme").await;
        let failed = report["failed"].as_array().unwrap();
        for (code, _) in CODES {
            for what in ["put", "copy", "delete"] {
                if what != "put" && OVERTAKEN.contains(code) {
                    continue;
                }
                let is_it = |it: &&Value| it["key"].as_str().unwrap().contains(&format!("/{what}-{code}"));
                let it = failed.iter().find(is_it).unwrap_or_else(|| panic!("{what} {code}: {report:#}"));
                assert!(it["status"] == "SKIPPED" && it["reason"].as_str().unwrap().contains(code), "{it}");
            }
        }

        // Whoever leaves is forgotten.
        w.delete("leaver").await;
        w.gone("leaver").await;
        let knowledge_base = w.get("acme").await.status.knowledge_base_id.unwrap();
        let everybodys = w.retrieve_unfiltered(&knowledge_base, QUESTION).await;
        assert!(!everybodys.iter().any(|(_, text)| text.contains("77 days")), "{everybodys:?}");

        // Once the cause is gone all is well with the next job.
        w.double.heal().await;
        w.request_sync("umbrella").await;
        w.until("acme", "is told of nothing any more", |it| !it.is("DocumentsCurrent=False")).await;
        assert_own(&w, &bucket, "acme", "99 days").await;
    })
    .await;
}

/// With Merge a tenant may write metadata files, and choose ones that cannot be read or copied.
#[tokio::test]
async fn a_metadata_file_that_cannot_be_read_or_kept_names_nobody() {
    world(|w| async move {
        let bucket = pool_of_two(&w, "Merge").await;
        let naming = crate::pool_isolation::naming("umbrella");
        for (code, status) in CODES {
            for (operation, what) in [("GetObject", "get"), ("CopyObject", "copy")] {
                let key = format!("pool/acme/{what}-{code}.md");
                w.sdk.upload(&bucket, &key, "Umbrella: 99 days of annual leave. Days of annual leave.").await;
                w.sdk.upload(&bucket, &format!("{key}.metadata.json"), naming.as_str()).await;
                let name = format!("/{what}-{code}.md.metadata.json");
                refuse(&w, operation, &name, (code, *status)).await;
            }
        }
        // One that is really so: nobody has its key. The bucket's policy refuses it, so it is from before that.
        let own_key = "pool/acme/own-key.md.metadata.json";
        w.smuggle(&bucket, &[(own_key, Manner::own_key(), &naming)]).await;
        w.sdk.upload(&bucket, "pool/acme/own-key.md", "Umbrella: 98 days of annual leave.").await;
        w.sdk.upload(&bucket, "pool/umbrella/new.md", "Umbrella now grants 32 days of annual leave.").await;
        w.request_sync("umbrella").await;
        let own = assert_own(&w, &bucket, "umbrella", "32 days").await;
        assert!(own.iter().all(|(uri, _)| !uri.contains("/acme/")), "{own:?}");
    })
    .await;
}

/// What a tenant retains is moved aside, but for what S3 does not let anybody move.
#[tokio::test]
async fn what_cannot_be_moved_is_found_by_nobody_and_keeps_nothing_else() {
    world(|w| async move {
        let bucket = pool_of_two(&w, "OperatorOnly").await;
        w.patch("acme", json!({"spec": {"deletionPolicy": "RetainDocuments"}})).await;
        // As long as one may be that has a metadata file, which is too long for the folder of what is retained.
        let longest = format!("pool/acme/{}.md", "y".repeat(1010 - "pool/acme/.md".len()));
        w.sdk.upload(&bucket, &longest, "Acme grants 27 days of annual leave to juniors.").await;
        w.sdk.upload(&bucket, "pool/acme/frozen.md", "Acme grants 99 days of annual leave to employees.").await;
        w.request_sync("acme").await;
        assert_own(&w, &bucket, "acme", "99 days").await;
        let knowledge_base = w.get("acme").await.status.knowledge_base_id.unwrap();
        refuse(&w, "CopyObject", "/frozen.md", ("InvalidObjectState", 403)).await;
        w.delete("acme").await;
        let stuck = w.condition("acme", "DeletionBlocked=True/DocumentsStuck").await;
        let message = stuck.message("DeletionBlocked");
        assert!(message.contains("pool/acme/frozen.md: s3:CopyObject: InvalidObjectState"), "{message}");
        assert!(!message.contains("handbook.md"), "{message}");
        let filter = Some(("tenantId", "acme"));
        let answers = w.ask(&knowledge_base, QUESTION, filter).await;
        assert!(answers.is_empty(), "what stays is found by nobody: {answers:?}");
        let jobs = w.jobs(&knowledge_base).await.len();

        w.double.heal().await;
        w.annotate("acme", "example.com/look", Some("again")).await;
        w.gone("acme").await;
        assert!(w.jobs(&knowledge_base).await.len() <= jobs + 1, "{:?}", w.jobs(&knowledge_base).await);
        let kept = |key: &str| format!("tenantry/retained/acme/{}", key.strip_prefix("pool/acme/").unwrap());
        for key in ["pool/acme/frozen.md", "pool/acme/handbook.md", &longest] {
            let found = w.sdk.s3.head_object().bucket(&bucket).key(kept(key)).send().await;
            assert!(found.is_ok(), "{key} is not lost: {found:?}");
        }

        // The same manifest brings all of it back, each document with its metadata file.
        w.apply(
            "{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Pool, stackRef: {name: standard}}}",
        )
        .await;
        w.ready("acme").await;
        w.condition("SharedStack/standard", "DocumentsCurrent=True/Synced").await;
        w.eventually("all is found again", || async {
            let own = w.retrieve("acme", QUESTION).await;
            let has = |days: &str| own.iter().any(|(_, text)| text.contains(days));
            (has("25 days") && has("27 days") && has("99 days")).then_some(())
        })
        .await;
    })
    .await;
}

/// A list of keys to delete is XML, which cannot carry every character that a key may have.
#[tokio::test]
async fn a_key_that_xml_cannot_carry_keeps_no_tenant_and_no_stack_from_leaving() {
    world(|w| async move {
        let bucket = pool_of_two(&w, "OperatorOnly").await;
        for name in ["\u{1}.md", "a\rb.md", "two\nlines.md"] {
            w.sdk.upload(&bucket, &format!("pool/acme/{name}"), "Acme grants 99 days of annual leave.").await;
        }
        w.request_sync("acme").await;
        assert_own(&w, &bucket, "umbrella", "31 days").await;
        for (tenant, policy) in [("acme", "Delete"), ("umbrella", "RetainDocuments")] {
            w.patch(tenant, json!({"spec": {"deletionPolicy": policy}})).await;
            w.delete(tenant).await;
        }
        w.gone("acme").await;
        w.gone("umbrella").await;
        let left = w.sdk.s3.list_object_versions().bucket(&bucket).prefix("pool/acme/").send().await.unwrap();
        assert!(left.versions().is_empty() && left.delete_markers().is_empty(), "{left:?}");
        w.patch("SharedStack/standard", json!({"spec": {"deletionPolicy": "Delete"}})).await;
        w.delete("SharedStack/standard").await;
        let asks = w.condition("SharedStack/standard", "DeletionBlocked=True/RetainedTenants").await;
        let message = asks.message("DeletionBlocked");
        let (_, rest) = message.split_once(&format!("{}=", tenantry::api::APPROVE)).expect("a code");
        let code = rest.split(',').next().unwrap().to_owned();
        w.annotate("SharedStack/standard", tenantry::api::APPROVE, Some(&code)).await;
        w.gone("SharedStack/standard").await;
    })
    .await;
}

/// A job would try again, and fail again, at every moment of the schedule.
#[tokio::test]
async fn a_document_that_can_never_be_indexed_starts_no_job_at_each_scheduled_moment() {
    world(|w| async move {
        let bucket = pool_of_two(&w, "OperatorOnly").await;
        w.sdk.upload(&bucket, "pool/acme/scan.tiff", "No text.").await;
        w.request_sync("acme").await;
        w.condition("acme", "DocumentsCurrent=False/DocumentsFailed").await;
        let knowledge_base = w.get("acme").await.status.knowledge_base_id.unwrap();
        w.patch("SharedStack/standard", json!({"spec": {"pool": {"ingestion": {"schedule": "* * * * *"}}}}))
            .await;
        // It is tried once more, in case that the cause has gone.
        w.eventually("the schedule has started a job", || async {
            w.jobs(&knowledge_base).await.last().filter(|job| job.starts_with("due ")).map(drop)
        })
        .await;
        w.condition("SharedStack/standard", "DocumentsCurrent=True/Synced").await;
        let (jobs, mark) = (w.jobs(&knowledge_base).await, w.double.mark().await);
        w.eventually("it is due five times more", || async {
            let looks =
                w.double.journal(mark).await.of("GetObject").only(|call| call.text().contains("/ledger/"));
            (looks.len() >= 5).then_some(())
        })
        .await;
        assert_eq!(w.jobs(&knowledge_base).await, jobs);
        w.condition("SharedStack/standard", "DocumentsCurrent=True/Synced").await;
        w.condition("acme", "DocumentsCurrent=False/DocumentsFailed").await;
    })
    .await;
}
