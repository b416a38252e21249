//! Tenants of one pool never see one another's documents, whatever they write beside them.

use tenantry::api::SYNC_REQUESTED_AT;

use crate::support::double::Held;
use crate::support::retrieval::Answer;
use crate::support::world::{World, world};

pub const QUESTION: &str = "How many days of annual leave do employees get?";
const ACME: &str = "Employees of Acme get 25 days of annual leave.";
const UMBRELLA: &str =
    "Employees of Umbrella get 31 days of annual leave. Annual leave days: 31 days of leave.";

const POOL: &str = "
    {kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}
    ---
    {kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Pool, stackRef: {name: standard}}}
    ---
    {kind: Tenant, metadata: {name: umbrella}, spec: {tenantId: umbrella, pattern: Pool, stackRef: {name: standard}}}";

/// A metadata file that claims a document for a tenant.
pub fn naming(tenant: &str) -> String {
    format!(r#"{{"metadataAttributes":{{"tenantId":"{tenant}"}}}}"#)
}

#[tokio::test]
async fn each_tenant_is_answered_from_its_own_documents() {
    world(|w| async move {
        let bucket = pool_of_two(&w, "OperatorOnly").await;
        let knowledge_base = w.get("acme").await.status.knowledge_base_id.unwrap();
        let everybodys = w.retrieve_unfiltered(&knowledge_base, QUESTION).await;
        assert!(everybodys[0].1.contains("31 days"), "the best match of all is Umbrella's: {everybodys:?}");
        assert!(
            everybodys.iter().any(|(uri, _)| uri.contains("/pool/acme/")),
            "nothing else keeps them apart"
        );
        assert_own(&w, &bucket, "acme", "25 days").await;
        assert_own(&w, &bucket, "umbrella", "31 days").await;
    })
    .await;
}

#[tokio::test]
async fn nobody_else_may_write_a_sidecar_and_what_names_no_tenant_is_put_aside() {
    world(|w| async move {
        let bucket = pool_of_two(&w, "OperatorOnly").await;
        let forged = "pool/umbrella/handbook.md.metadata.json";
        let request = w.sdk.s3.put_object().bucket(&bucket).key(forged);
        let refused = request.body(naming("acme").into_bytes().into()).send().await;
        let refused = format!("{:?}", refused.expect_err("the bucket's policy refuses it"));
        assert!(refused.contains("AccessDenied"), "{refused}");

        let long = format!("pool/acme/{}.md", "x".repeat(1007));
        for stray in ["pool/stray.md", "pool/Not A Tenant/stray.md", &long] {
            w.sdk.upload(&bucket, stray, "Acme grants 99 days of annual leave to employees.").await;
        }
        w.request_sync("acme").await;
        assert_own(&w, &bucket, "acme", "25 days").await;
        assert_own(&w, &bucket, "umbrella", "31 days").await;
        let knowledge_base = w.get("acme").await.status.knowledge_base_id.unwrap();
        let everybodys = w.retrieve_unfiltered(&knowledge_base, QUESTION).await;
        assert!(!everybodys.iter().any(|(_, text)| text.contains("99 days")), "{everybodys:?}");
        let note = w.event("SharedStack/standard", "DocumentsQuarantined").await;
        assert!(
            note.contains("tenantry/quarantine/") && !note.contains("stray.md"),
            "it names nobody's: {note}"
        );
        for key in ["tenantry/quarantine/pool/stray.md", "tenantry/quarantine/pool/Not A Tenant/stray.md"] {
            let kept = w.sdk.s3.get_object().bucket(&bucket).key(key).send().await;
            assert!(kept.is_ok(), "{key} is not lost: {kept:?}");
        }
    })
    .await;
}

/// With OperatorOnly the same window lets in a document that nobody finds before the next job, and no file that names
/// anybody.
#[tokio::test]
async fn what_came_after_the_review_is_nobodys_until_the_next_job() {
    world(|w| async move {
        const LATE: &str = "pool/umbrella/late.md";
        let bucket = pool_of_two(&w, "OperatorOnly").await;
        let knowledge_base = w.get("acme").await.status.knowledge_base_id.unwrap();
        let is_late = |(uri, _): &Answer| uri.ends_with(LATE);
        let held = w.double.hold("ingestion.list", "*").await;
        let finish = w.double.hold("job_finish", "*").await;
        w.annotate("acme", SYNC_REQUESTED_AT, Some("now")).await;
        reached(&w, &held, "everything is reviewed and the job is about to list").await;
        w.sdk.upload(&bucket, LATE, "Acme grants 99 days of annual leave to employees.").await;
        let request = w.sdk.s3.put_object().bucket(&bucket).key(format!("{LATE}.metadata.json"));
        let refused = request.body(naming("acme").into_bytes().into()).send().await;
        assert!(format!("{refused:?}").contains("AccessDenied"), "{refused:?}");
        held.release().await;
        reached(&w, &finish, "the job has read everything").await;
        let nobodys = async || {
            assert!(
                w.retrieve_unfiltered(&knowledge_base, QUESTION).await.iter().any(is_late),
                "it is indexed"
            );
            assert_own(&w, &bucket, "acme", "25 days").await;
            let own = assert_own(&w, &bucket, "umbrella", "31 days").await;
            assert!(!own.iter().any(is_late), "{own:?}");
        };
        nobodys().await;
        finish.release().await;
        w.condition("SharedStack/standard", "DocumentsCurrent=True/Synced").await;
        nobodys().await;
        w.request_sync("acme").await;
        assert_own(&w, &bucket, "acme", "25 days").await;
        let own = assert_own(&w, &bucket, "umbrella", "99 days").await;
        assert!(own.iter().any(is_late), "{own:?}");
    })
    .await;
}

/// No order of calls closes the window between the review and the moment in which Bedrock reads: with Merge the job is
/// repeated.
#[tokio::test]
async fn what_was_written_while_the_job_read_is_found_and_forgotten() {
    world(|w| async move {
        let bucket = pool_of_two(&w, "Merge").await;
        w.sdk
            .upload(&bucket, "pool/umbrella/trap.md", "Acme grants 99 days of annual leave to employees.")
            .await;
        let held = w.double.hold("ingestion.sidecar", "*trap.md*").await;
        let finish = w.double.hold("job_finish", "*").await;
        w.annotate("acme", SYNC_REQUESTED_AT, Some("now")).await;
        reached(&w, &held, "the job is about to read it").await;
        w.sdk.upload(&bucket, "pool/umbrella/trap.md.metadata.json", naming("acme")).await;
        held.release().await;
        reached(&w, &finish, "the job has read everything").await;
        // The window that docs/documents.md admits.
        let fooled = w.retrieve("acme", QUESTION).await;
        assert!(fooled.iter().any(|(uri, _)| uri.ends_with("pool/umbrella/trap.md")), "{fooled:?}");
        finish.release().await;
        w.event("SharedStack/standard", "SidecarCorrected").await;
        w.eventually("acme is answered from its own again", || async {
            let answers = w.retrieve("acme", QUESTION).await;
            answers.iter().all(|(uri, _)| uri.contains("/pool/acme/")).then_some(())
        })
        .await;
        let knowledge_base = w.get("acme").await.status.knowledge_base_id.unwrap();
        let jobs = w.jobs(&knowledge_base).await;
        assert!(jobs.iter().any(|job| job.starts_with("corrected ")), "{jobs:?}");
    })
    .await;
}

/// Waits until something has come to a point at which the double holds it.
pub async fn reached(w: &World, held: &Held<'_>, what: &str) {
    w.eventually(what, || async { (!held.waiting().await.is_empty()).then_some(()) }).await;
}

/// Two tenants with a handbook each, all of it indexed; returns their bucket.
pub async fn pool_of_two(w: &World, sidecars: &str) -> String {
    w.apply(&POOL.replace("pool: {}", &format!("pool: {{sidecars: {sidecars}}}"))).await;
    let acme = w.ready("acme").await;
    w.ready("umbrella").await;
    w.upload("acme", &[("handbook.md", ACME)]).await;
    w.upload("umbrella", &[("handbook.md", UMBRELLA)]).await;
    w.request_sync("acme").await;
    acme.status.bucket.unwrap()
}

/// Asks as a tenant, in both ways: every answer is from under its own prefix, and the best says what it should.
pub async fn assert_own(w: &World, bucket: &str, tenant: &str, best: &str) -> Vec<Answer> {
    let answers = w.retrieve(tenant, QUESTION).await;
    let home = format!("s3://{bucket}/pool/{tenant}/");
    assert!(
        !answers.is_empty() && answers.iter().all(|(uri, _)| uri.starts_with(&home)),
        "{tenant}: {answers:?}"
    );
    assert!(answers.iter().any(|(_, text)| text.contains(best)), "{tenant}: {answers:?}");
    assert_eq!(
        w.retrieve_by_command(tenant, QUESTION).await,
        answers,
        "`tenantry retrieve` answers the same"
    );
    answers
}
