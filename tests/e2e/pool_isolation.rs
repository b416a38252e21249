//! Tenants of one pool never see one another's documents, whatever they write beside them.

use crate::retrieval::Answer;
use crate::world::{World, world};

const QUESTION: &str = "How many days of annual leave do employees get?";
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
fn naming(tenant: &str) -> String {
    format!(r#"{{"metadataAttributes":{{"tenantId":"{tenant}"}}}}"#)
}

#[tokio::test]
async fn each_tenant_is_answered_from_its_own_documents() {
    world(|w| async move {
        let bucket = pool_of_two(&w).await;
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
async fn a_sidecar_that_names_another_tenant_is_corrected_before_the_job() {
    world(|w| async move {
        let bucket = pool_of_two(&w).await;
        // Umbrella puts its document into Acme's mouth, and so does one whose key names no tenant.
        for document in ["pool/umbrella/forged.md", "pool/stray.md"] {
            w.sdk.upload(&bucket, document, "Acme grants 99 days of annual leave to employees.").await;
            w.sdk.upload(&bucket, &format!("{document}.metadata.json"), naming("acme")).await;
        }
        // And one that is already right has no say either: it is not the operator's word.
        w.sdk.upload(&bucket, "pool/umbrella/handbook.md.metadata.json", naming("acme")).await;
        w.request_sync("acme").await;

        assert_own(&w, &bucket, "acme", "25 days").await;
        let umbrellas = assert_own(&w, &bucket, "umbrella", "31 days").await;
        assert!(
            umbrellas.iter().any(|(uri, _)| uri.ends_with("pool/umbrella/forged.md")),
            "it is Umbrella's own"
        );
        let knowledge_base = w.get("acme").await.status.knowledge_base_id.unwrap();
        let everybodys = w.retrieve_unfiltered(&knowledge_base, QUESTION).await;
        assert!(everybodys.iter().any(|(uri, _)| uri.ends_with("pool/stray.md")), "it was read, as nobody's");
    })
    .await;
}

/// Two tenants with a handbook each, all of it indexed; returns their bucket.
async fn pool_of_two(w: &World) -> String {
    w.apply(POOL).await;
    let acme = w.ready("acme").await;
    w.ready("umbrella").await;
    w.upload("acme", &[("handbook.md", ACME)]).await;
    w.upload("umbrella", &[("handbook.md", UMBRELLA)]).await;
    w.request_sync("acme").await;
    acme.status.bucket.unwrap()
}

/// Asks as a tenant, in both ways: every answer is from under its own prefix, and the best says what it should.
async fn assert_own(w: &World, bucket: &str, tenant: &str, best: &str) -> Vec<Answer> {
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
