//! AWS's limits are for a job, and a pool is one job: a tenant that would make it too large fails it for nobody.

use serde_json::{Value, json};
use tenantry::documents::job_size::Size;

use crate::isolation::pool_isolation::{assert_own, pool_of_two};
use crate::support::world::{World, world_with};

/// What AWS takes in this test: five documents, each with the file beside it.
const FILES: u64 = 10;
const MANY: usize = 12;

async fn keys(w: &World, bucket: &str, prefix: &str) -> Vec<String> {
    let listed = w.sdk.s3.list_objects_v2().bucket(bucket).prefix(prefix).send().await.unwrap();
    let keys = listed.contents().iter().map(|object| object.key().unwrap().to_owned());
    keys.filter(|key| !key.ends_with(".metadata.json")).collect()
}

#[tokio::test]
async fn a_tenant_with_more_than_a_job_takes_keeps_nobody_from_being_indexed_and_loses_nothing() {
    let tell = |settings: &mut tenantry::settings::Settings| {
        settings.job_size = Size { files: FILES, ..Size::OF_A_JOB }
    };
    world_with(tell, async |w: World| {
        w.double.settings(json!({"limits": {"job_files": FILES}})).await;
        let bucket = pool_of_two(&w, "OperatorOnly").await;
        for n in 0..MANY {
            let text = format!("Acme grants {n} days of annual leave in the year {n}.");
            w.sdk.upload(&bucket, &format!("pool/acme/{n:02}.md"), text).await;
        }
        w.sdk.upload(&bucket, "pool/umbrella/new.md", "Umbrella now grants 32 days of annual leave.").await;
        w.request_sync("umbrella").await;
        assert_own(&w, &bucket, "umbrella", "32 days").await;

        // Its tenant is told, and nobody else.
        let told = w.event("acme", "DocumentsQuarantined").await;
        assert!(told.contains("5,000,000 files and 100 GB") && told.contains("pool/acme/00.md"), "{told}");
        let told = w.condition("acme", "DocumentsCurrent=False/DocumentsFailed").await;
        assert!(told.message("DocumentsCurrent").contains("put into quarantine"), "{}", told.describe());
        assert!(!w.get("umbrella").await.is("DocumentsCurrent=False"));
        w.condition("SharedStack/standard", "DocumentsCurrent=True/Synced").await;
        let (there, aside) = (
            keys(&w, &bucket, "pool/acme/").await,
            keys(&w, &bucket, "tenantry/quarantine/pool/acme/").await,
        );
        assert_eq!(there.len() + aside.len(), MANY + 1, "nothing is lost: {there:?} {aside:?}");
        assert!(there.contains(&"pool/acme/handbook.md".into()), "it was in the job before: {there:?}");
        assert!(
            aside.len() > MANY - 5 && aside.contains(&"tenantry/quarantine/pool/acme/11.md".into()),
            "{aside:?}"
        );
        let printed = w.tenantry(&["documents", "-n", &w.namespace_name(""), "acme", "-o", "json"]).await;
        let report: Value = serde_json::from_str(&printed).unwrap();
        let quarantined = report["quarantined"].as_array().unwrap();
        assert_eq!(quarantined.len(), aside.len());
        assert!(quarantined.iter().all(|it| it["why"].as_str().unwrap().contains("100 GB")), "{report:#}");

        // What it uploads again is in the next job, and no longer told.
        w.sdk.upload(&bucket, "pool/acme/11.md", "Acme grants 11 days of annual leave in the year 11.").await;
        w.request_sync("acme").await;
        w.until("acme", "is told of nothing any more", |it| !it.is("DocumentsCurrent=False")).await;
        let own = w.retrieve("acme", "How many days of annual leave in the year 11?").await;
        assert!(own.iter().any(|(uri, _)| uri.ends_with("/11.md")), "{own:?}");
    })
    .await;
}
