//! Whatever lies beside a pool's documents, and however it came there: nobody is answered from another's, and everybody is
//! from its own.

use serde_json::json;
use tenantry::api::SYNC_REQUESTED_AT;

use crate::isolation::pool_isolation::{QUESTION, assert_own, naming, pool_of_two, reached};
use crate::support::world::{World, world};

const STACK: &str = "SharedStack/standard";
/// A document that comes long after the file beside it.
const LATER: &str = "pool/umbrella/later.md";
/// As long as Bedrock reads a metadata file.
const LIMIT: usize = 10 * 1024;

/// Umbrella's documents, and the files beside them by which acme would be answered from them, or nobody at all.
fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    let tenant = |value: &str| format!(r#"{{"metadataAttributes":{{"tenantId":{value}}}}}"#).into_bytes();
    let records = |fields: &str| {
        format!(
            r#"{{"documentStructureConfiguration":{{"type":"RECORD_BASED_STRUCTURE_METADATA",
            "recordBasedStructureMetadata":{{"contentFields":[{{"fieldName":"text"}}]{fields}}}}},
            "metadataAttributes":{{"tenantId":"umbrella"}}}}"#
        )
        .into_bytes()
    };
    let own = |more: &str| format!(r#"{{"metadataAttributes":{{"tenantId":"acme",{more}}}}}"#).into_bytes();
    let too_long =
        |length: usize| own(&format!(r#""note":"{}""#, "x".repeat(length - own(r#""note":"""#).len())));
    vec![
        ("another.md", naming("acme").into()),
        ("doubled.md", tenant(r#""umbrella","tenantId":"acme""#)),
        ("doubled-too.md", tenant(r#""acme","tenantId":"umbrella""#)),
        ("list.md", tenant(r#"["acme","umbrella"]"#)),
        ("rich.md", tenant(r#"{"value":{"type":"STRING","stringValue":"acme"}}"#)),
        (
            "rich-embedded.md",
            tenant(r#"{"value":{"type":"STRING","stringValue":"acme"},"includeForEmbedding":true}"#),
        ),
        ("rich-list.md", tenant(r#"{"value":{"type":"STRING_LIST","stringListValue":["acme","umbrella"]}}"#)),
        ("number.md", tenant("7")),
        ("nothing.md", tenant("null")),
        ("as-long-as-may-be.md", too_long(LIMIT)),
        ("too-long.md", too_long(LIMIT + 1)),
        ("latin.md", b"{\"metadataAttributes\":{\"tenantId\":\"acme\",\"name\":\"\xFC\"}}".into()),
        ("broken.md", br#"{"metadataAttributes":{"tenantId":"acme""#.into()),
        ("empty.md", Vec::new()),
        ("mark.md", format!("\u{feff}{}", naming("acme")).into()),
        (
            "records.csv",
            records(r#","metadataFieldsSpecification":{"fieldsToInclude":[{"fieldName":"tenantId"}]}"#),
        ),
        ("all-columns.csv", records("")),
        ("reserved.md", own(r#""x-amz-bedrock-kb-source-uri":"s3://acme/""#)),
        ("two words & \u{fc}\u{4f11}.md", naming("acme").into()),
        ("deep/er/\u{1f3d6} + %2F.md", naming("acme").into()),
        ("sidecar.md", naming("acme").into()),
        // Beside the file beside the one before.
        ("sidecar.md.metadata.json", naming("acme").into()),
    ]
}

/// Objects that are nobody's: not under a tenant's folder, or with a key that leaves no room for a file beside it.
fn strays() -> [String; 4] {
    let long = format!("pool/umbrella/{}.md", "x".repeat(1003));
    assert_eq!(long.len(), 1020);
    ["pool/stray.md".into(), "pool/Not A Tenant/stray.md".into(), "pool//stray.md".into(), long]
}

fn text(of: &str) -> String {
    format!("text,tenantId\nAcme grants 99 days of annual leave to employees ({of}).,acme\n")
}

async fn plant(w: &World, bucket: &str) {
    for (document, sidecar) in hostile() {
        let key = format!("pool/umbrella/{document}");
        if !document.ends_with(".metadata.json") {
            w.sdk.upload(bucket, &key, text(document)).await;
        }
        w.sdk.upload(bucket, &format!("{key}.metadata.json"), sidecar).await;
    }
    w.sdk.upload(bucket, &format!("{LATER}.metadata.json"), naming("acme")).await;
    for stray in strays() {
        w.sdk.upload(bucket, &stray, text("a stray")).await;
        if stray.len() < 1000 {
            w.sdk.upload(bucket, &format!("{stray}.metadata.json"), naming("acme")).await;
        }
    }
}

/// The bucket's policy refuses everybody else's metadata files from now on; those that are there stay.
async fn closed(w: &World, bucket: &str) {
    w.patch(STACK, json!({"spec": {"pool": {"sidecars": "OperatorOnly"}}})).await;
    let closed = async || {
        let found = w.sdk.s3.get_bucket_policy().bucket(bucket).send().await.unwrap();
        found.policy.unwrap().contains("SidecarsByOperatorOnly").then_some(())
    };
    w.eventually("the bucket's policy names the only writer", closed).await;
}

async fn nobody_is_answered_from_anothers(w: &World, sidecars: &str, malformed: &str) {
    w.double.settings(json!({"switches": {"malformed_sidecar": malformed}})).await;
    let bucket = pool_of_two(w, "Merge").await;
    let knowledge_base = w.get("acme").await.status.knowledge_base_id.unwrap();
    plant(w, &bucket).await;
    if sidecars == "OperatorOnly" {
        closed(w, &bucket).await;
    }
    let finish = w.double.hold("job_finish", "*").await;
    w.annotate("acme", SYNC_REQUESTED_AT, Some("now")).await;
    reached(w, &finish, "the job has read everything").await;
    assert_own(w, &bucket, "acme", "25 days").await;
    finish.release().await;

    // The file beside it was in the last listing, but not looked into.
    w.sdk.upload(&bucket, LATER, text(LATER)).await;

    // None of it stops a job, and each document is found by whom its key names.
    w.request_sync("acme").await;
    let synced = w.condition(STACK, "DocumentsCurrent=True/Synced").await;
    let statistics = synced.status.ingestion.unwrap().statistics.unwrap();
    assert_eq!(statistics.documents_failed, 0, "{statistics:?}");
    assert_own(w, &bucket, "acme", "25 days").await;
    let own = assert_own(w, &bucket, "umbrella", "99 days").await;
    for (document, _) in hostile().iter().filter(|(document, _)| !document.ends_with(".metadata.json")) {
        assert!(
            own.iter().any(|(uri, _)| uri.ends_with(&format!("/{document}"))),
            "no {document} in {own:?}"
        );
    }
    assert!(own.iter().any(|(uri, _)| uri.ends_with(LATER)), "{own:?}");
    let everybodys = w.retrieve_unfiltered(&knowledge_base, QUESTION).await;
    assert!(!everybodys.iter().any(|(_, text)| text.contains("a stray")), "{everybodys:?}");

    let note = w.event(STACK, "SidecarCorrected").await;
    assert!(!note.contains("umbrella"), "it names nobody: {note}");
    let kept = async |key: &str| {
        let kept =
            w.sdk.s3.get_object().bucket(&bucket).key(format!("tenantry/quarantine/{key}")).send().await;
        kept.unwrap_or_else(|error| panic!("{key} is lost: {error:?}")).body.collect().await.unwrap().to_vec()
    };
    for (document, sidecar) in
        hostile().into_iter().filter(|(document, _)| !document.ends_with(".metadata.json"))
    {
        assert_eq!(kept(&format!("pool/umbrella/{document}.metadata.json")).await, sidecar, "{document}");
    }
    for stray in strays().iter().filter(|stray| stray.len() < 1000) {
        assert!(!kept(stray).await.is_empty());
    }
}

#[tokio::test]
async fn merged_they_are_corrected_before_the_job() {
    world(|w| async move { nobody_is_answered_from_anothers(&w, "Merge", "indexed").await }).await;
}

#[tokio::test]
async fn merged_none_of_them_fails_a_document() {
    world(|w| async move { nobody_is_answered_from_anothers(&w, "Merge", "failed").await }).await;
}

#[tokio::test]
async fn those_from_before_the_policy_are_corrected_before_the_job() {
    world(|w| async move { nobody_is_answered_from_anothers(&w, "OperatorOnly", "indexed").await }).await;
}

#[tokio::test]
async fn those_from_before_the_policy_fail_no_document() {
    world(|w| async move { nobody_is_answered_from_anothers(&w, "OperatorOnly", "failed").await }).await;
}
