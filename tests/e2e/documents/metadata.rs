//! What tenants say of their own documents, where they may: kept if it is right however it is written, and told if it is not.

use serde_json::{Value, json};

use crate::support::world::{World, world};

const STACK: &str = "
    kind: SharedStack
    metadata: {name: standard}
    spec: {pool: {sidecars: Merge, index: {attributes: [{name: year, type: Number}, {name: kind, type: String}]}}}
    ---
    {kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Pool, stackRef: {name: standard}}}
    ---
    {kind: Tenant, metadata: {name: umbrella}, spec: {tenantId: umbrella, pattern: Pool, stackRef: {name: standard}}}";

/// As many write them: on several lines, the long form beside the short one.
const RIGHT: &str = r#"{
  "metadataAttributes": {
    "year": 2026,
    "kind": {"value": {"type": "STRING", "stringValue": "leave"}, "includeForEmbedding": false},
    "tenantId": "acme"
  }
}
"#;
const COLUMNS: &str = r#"{"metadataAttributes": {"tenantId": "acme"}, "documentStructureConfiguration": {
  "type": "RECORD_BASED_STRUCTURE_METADATA", "recordBasedStructureMetadata": {
    "contentFields": [{"fieldName": "text"}],
    "metadataFieldsSpecification": {"fieldsToExclude": [{"fieldName": "secret"}]}}}}"#;
const TOO_MUCH: &str = r#"{"metadataAttributes": {"tenantId": "acme", "kind": "", "colour": "red"}}"#;

async fn reported(w: &World) -> Value {
    let printed = w.tenantry(&["documents", "-n", &w.namespace_name(""), "acme", "-o", "json"]).await;
    serde_json::from_str(&printed).unwrap()
}

#[tokio::test]
async fn metadata_that_are_right_are_not_replaced_and_those_that_are_lost_are_told_once_to_their_tenant() {
    world(|w| async move {
        // One beyond what Bedrock takes would cost the document its tenant.
        w.double.settings(json!({"switches": {"malformed_sidecar": "failed"}})).await;
        w.apply(STACK).await;
        let bucket = w.ready("acme").await.status.bucket.unwrap();
        w.ready("umbrella").await;
        w.upload(
            "acme",
            &[
                ("leave.md.metadata.json", RIGHT),
                ("leave.md", "Everybody gets 27 days of annual leave."),
                ("hours.md.metadata.json", TOO_MUCH),
                ("hours.md", "The office opens at nine."),
                ("rows.csv.metadata.json", COLUMNS),
                ("rows.csv", "text,secret\nThe gate closes at six.,The code of the gate is swordfish.\n"),
            ],
        )
        .await;
        w.upload("umbrella", &[("leave.md", "Everybody gets 25 days of annual leave.")]).await;
        w.request_sync("SharedStack/standard").await;

        let note = w.event("acme", "MetadataLost").await;
        assert!(
            note.contains("hours.md") && note.contains("rows.csv") && !note.contains("leave.md"),
            "{note}"
        );
        let content = async |key: &str| {
            let object = w.sdk.s3.get_object().bucket(&bucket).key(key).send().await.unwrap();
            String::from_utf8(object.body.collect().await.unwrap().to_vec()).unwrap()
        };
        assert_eq!(content("pool/acme/leave.md.metadata.json").await, RIGHT, "`aws s3 sync` compares sizes");
        let report = reported(&w).await;
        let quarantined: Vec<_> =
            report["quarantined"].as_array().unwrap().iter().map(|it| &it["key"]).collect();
        let aside = |name: &str| format!("tenantry/quarantine/pool/acme/{name}.metadata.json");
        assert_eq!(quarantined, [&json!(aside("hours.md")), &json!(aside("rows.csv"))]);
        assert_eq!(report["failed"], json!([]), "{report:#}");
        assert!(report["lastLooked"].is_string() || report["condition"].is_null(), "{report:#}");

        let answers = w.retrieve("acme", "What is the code of the gate?").await;
        assert!(answers.iter().any(|(_, text)| text.contains("closes at six")), "{answers:?}");
        assert!(
            !answers.iter().any(|(_, text)| text.contains("swordfish")),
            "an excluded column: {answers:?}"
        );

        // Nothing has changed: the next job changes nothing, and nobody is told again.
        w.request_sync("SharedStack/standard").await;
        let job = w.get("SharedStack/standard").await.status.ingestion.unwrap().statistics.unwrap();
        assert_eq!((job.metadata_documents_modified, job.modified_documents_indexed), (0, 0), "{job:?}");
        for (tenant, times) in [("acme", 1), ("umbrella", 0)] {
            let events = w.events(tenant).await;
            let told = events.iter().filter(|(reason, _)| reason == "MetadataLost").count();
            assert_eq!(told, times, "{tenant}: {events:?}");
        }
    })
    .await;
}
