//! Documents that a Pool tenant has retained stay as they are, whatever their SharedStack does meanwhile, and also without
//! any Tenant that speaks for them.

use std::collections::BTreeMap;

use serde_json::json;

use super::STACK;
use crate::support::double::{Call, Journal};
use crate::support::operators::kill;
use crate::support::world::{World, world_without_operator};

/// A hundred jobs are run, which would take an hour of AWS's time.
const SPEED: u32 = 100;
const PASSES: usize = 100;
const QUESTION: &str = "When does the office open?";
const POOL: &str = "{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}";

/// All versions under a prefix, with what they are and say.
type Versions = BTreeMap<(String, String), (String, Vec<u8>)>;

async fn versions(w: &World, bucket: &str, prefix: &str) -> Versions {
    let listed = w.sdk.s3.list_object_versions().bucket(bucket).prefix(prefix).send().await.unwrap();
    assert!(!listed.is_truncated.unwrap_or_default() && listed.delete_markers().is_empty(), "{listed:?}");
    let mut found = Versions::new();
    for version in listed.versions() {
        let (key, id) = (version.key().unwrap(), version.version_id().unwrap());
        let got = w.sdk.s3.get_object().bucket(bucket).key(key).version_id(id).send().await.unwrap();
        let content = got.body.collect().await.unwrap().to_vec();
        found.insert((key.into(), id.into()), (version.e_tag().unwrap().into(), content));
    }
    found
}

/// The keys under the pool's folder that somebody changed.
fn changed(journal: &Journal) -> Vec<&Call> {
    let is_document = |call: &&Call| call.service == "s3" && call.mutating && call.text().contains("/pool/");
    journal.iter().filter(is_document).collect()
}

/// Who is found with a tenant's filter, asked as by a client that still has it.
async fn found(w: &World, knowledge_base: &str, tenant: &str) -> Vec<String> {
    let answers = w.ask(knowledge_base, QUESTION, Some(("tenantId", tenant))).await;
    answers.into_iter().map(|(uri, _)| uri).collect()
}

#[tokio::test]
async fn nothing_touches_what_a_pool_tenant_has_retained() {
    let test = async |w: World| {
        let jobs_at_once = json!({"job_starting": 0, "job_running": 0});
        w.double.settings(json!({"speedup": SPEED, "dwell": jobs_at_once, "page_size": 100})).await;
        w.start_operator().await;
        w.granted().await;
        w.apply(POOL).await;
        for tenant in ["acme", "umbrella"] {
            w.apply(&format!(
                "{{kind: Tenant, metadata: {{name: {tenant}}}, spec: {{tenantId: {tenant}, pattern: Pool, \
                 stackRef: {{name: standard}}}}}}"
            ))
            .await;
            w.ready(tenant).await;
            let text = format!("The office of {tenant} opens at nine.");
            w.upload(tenant, &[("hours.md", &text), ("deep/er.md", &text)]).await;
        }
        w.request_sync(STACK).await;
        let stack = w.condition(STACK, "DocumentsCurrent=True/Synced").await;
        let bucket = stack.status.bucket.clone().unwrap();
        let knowledge_base = stack.status.knowledge_base_id.clone().unwrap();
        let acmes = ["deep/er.md", "hours.md"].map(|name| format!("s3://{bucket}/pool/acme/{name}"));
        w.delete("acme").await;
        w.gone("acme").await;
        let retained = versions(&w, &bucket, "pool/acme/").await;
        assert_eq!(retained.len(), 4, "{retained:?}");

        // A hundred passes, each with a job of its own for those who stay.
        let mark = w.double.mark().await;
        for pass in 0..PASSES {
            w.upload(
                "umbrella",
                &[("news.md", &format!("The office of umbrella opens at ten past {pass}."))],
            )
            .await;
            w.request_sync(STACK).await;
        }
        let journal = w.double.journal(mark).await;
        let reviews = journal.only(|call| call.operation == "GetObject" && call.text().contains("/ledger/"));
        let jobs = journal.of("StartIngestionJob").only(Call::succeeded);
        assert!(reviews.len() >= PASSES && jobs.len() >= PASSES, "{} {}", reviews.len(), jobs.len());
        let touched = changed(&journal);
        assert!(touched.iter().all(|call| call.text().contains("/pool/umbrella/news.md")), "{touched:?}");
        assert_eq!(versions(&w, &bucket, "pool/acme/").await, retained);
        let mut uris = found(&w, &knowledge_base, "acme").await;
        uris.sort();
        assert_eq!(uris, acmes, "its clients are answered as before");
        assert_eq!(found(&w, &knowledge_base, "umbrella").await.len(), 3);

        // The cluster burns down, and what comes back of it is the SharedStack alone.
        w.stop_operator().await;
        let before = versions(&w, &bucket, "pool/").await;
        for object in ["umbrella", STACK] {
            w.patch(object, json!({"metadata": {"finalizers": null}})).await;
            w.delete(object).await;
            w.gone(object).await;
        }
        w.belongs_to_cluster("the-one-that-burnt-down").await;
        let mark = w.double.mark().await;
        w.apply(POOL).await;
        let operator = w.program(&["--take-over", "the-one-that-burnt-down"]).await.spawn().unwrap();
        let restored = w.ready(STACK).await;
        assert_ne!(restored.uid(), stack.uid());
        assert_eq!(restored.status.knowledge_base_id.as_ref(), Some(&knowledge_base));
        for _ in 0..3 {
            w.request_sync(STACK).await;
        }
        let touched = w.double.journal(mark).await;
        assert!(changed(&touched).is_empty(), "{touched}");
        assert_eq!(versions(&w, &bucket, "pool/").await, before);

        // Whose a new document is its key says, whether or not there is a Tenant.
        w.sdk.upload(&bucket, "pool/umbrella/new.md", "The office of umbrella opens at noon.").await;
        w.request_sync(STACK).await;
        let touched = w.double.journal(mark).await;
        let touched = changed(&touched);
        assert!(
            touched.len() == 1 && touched[0].text().contains("/pool/umbrella/new.md.metadata.json"),
            "{touched:?}"
        );
        assert_eq!(found(&w, &knowledge_base, "umbrella").await.len(), 4);
        assert_eq!(found(&w, &knowledge_base, "acme").await.len(), 2);
        kill(operator).await;
    };
    world_without_operator(|settings| settings.clock = SPEED, test).await;
}
