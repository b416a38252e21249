//! When documents are read, and what is said of it.

use std::time::Duration;

use serde_json::json;
use tenantry::api::{Pattern, SYNC_REQUESTED_AT};
use tenantry::settings::Settings;

use crate::support::double::Call;
use crate::support::objects::Object;
use crate::support::world::{World, world, world_with};

impl World {
    /// Asks for an ingestion job through a tenant, and waits until it has ended.
    pub async fn request_sync(&self, object: &str) {
        let mark = self.double.mark().await;
        self.annotate(object, SYNC_REQUESTED_AT, Some(&format!("after call {mark}"))).await;
        let job = self
            .eventually("the job that was asked for is started", || async {
                let started = self.double.journal(mark).await.of("StartIngestionJob");
                let serves = |call: &&Call| call.succeeded() && call.text().contains("request ");
                // Of a start that it has seen before, the double does not name the job.
                started
                    .iter()
                    .filter(serves)
                    .find_map(|call| call.resource.split('/').nth(2).map(str::to_owned))
            })
            .await;
        self.until(&self.owner_of_documents(object).await, "has run the job that was asked for", |owner| {
            let last = owner.status.ingestion.clone().unwrap_or_default();
            last.last_job_id.as_ref() == Some(&job) && last.finished_time.is_some()
        })
        .await;
    }

    /// Who runs the jobs for a tenant's documents.
    async fn owner_of_documents(&self, object: &str) -> String {
        let status = self.get(object).await.status;
        match status.placement.as_ref().map(|it| (it.pattern, it.stack())) {
            Some((Pattern::Pool, Some(stack))) => {
                format!("SharedStack/{}", stack.strip_suffix(&format!("-{}", self.suffix)).unwrap())
            }
            _ => object.to_owned(),
        }
    }

    /// The jobs that were started, by what they say they serve. A start that AWS has seen before starts nothing.
    pub async fn jobs(&self, knowledge_base: &str) -> Vec<String> {
        let started = self.double.journal(0).await.of("StartIngestionJob").only(|call| call.succeeded());
        let started = started.only(|call| call.params["knowledgeBaseId"] == knowledge_base);
        let serves = |call: &Call| call.params["description"].as_str().unwrap_or_default().to_owned();
        let mut jobs: Vec<_> = started.iter().map(serves).collect();
        jobs.dedup();
        jobs
    }
}

#[tokio::test]
async fn the_first_document_starts_a_job_and_a_request_another() {
    world(|w| async move {
        w.apply(
            "
            {kind: SharedStack, metadata: {name: standard}, spec: {}}
            ---
            kind: Tenant
            metadata: {name: silo}
            spec: {tenantId: silo, pattern: Silo}
            ---
            kind: Tenant
            metadata: {name: bridge}
            spec: {tenantId: bridge, pattern: Bridge, stackRef: {name: standard}}",
        )
        .await;
        for tenant in ["silo", "bridge"] {
            let ready = w.ready(tenant).await;
            assert!(ready.is("DocumentsCurrent=True/NoDocuments"), "{}", ready.describe());
            let knowledge_base = ready.status.knowledge_base_id.unwrap();
            assert!(w.jobs(&knowledge_base).await.is_empty());
            w.upload(tenant, &[("one.md", "The office opens at nine."), ("two.md", "It closes at five.")])
                .await;
            let synced = w.condition(tenant, "DocumentsCurrent=True/Synced").await;
            assert_eq!(w.jobs(&knowledge_base).await, ["first"]);
            let job = synced.status.ingestion.clone().unwrap();
            assert_eq!(job.last_status.as_deref(), Some("COMPLETE"));
            assert!(
                job.started_time.is_some() && job.finished_time.is_some() && job.failure_reasons.is_empty()
            );
            let counted = job.statistics.unwrap();
            assert_eq!(
                (counted.documents_scanned, counted.new_documents_indexed),
                (2, 2),
                "{}",
                synced.describe()
            );

            // A third document is read when somebody asks for it, once.
            w.upload(tenant, &[("three.md", "It is shut on Sundays.")]).await;
            w.annotate(tenant, SYNC_REQUESTED_AT, Some("now")).await;
            w.condition(tenant, "DocumentsCurrent=False/SyncRequested").await;
            let synced = w.condition(tenant, "DocumentsCurrent=True/Synced").await;
            assert!(synced.is("Ready=True"));
            assert_eq!(synced.status.ingestion.unwrap().statistics.unwrap().new_documents_indexed, 1);
            w.restart_operator().await;
            w.request_sync(tenant).await;
            let jobs = w.jobs(&knowledge_base).await;
            assert!(jobs.len() == 3 && jobs[1].starts_with("request "), "one job for each request: {jobs:?}");
            let answers = w.retrieve_by_command(tenant, "When is the office shut?").await;
            assert!(answers.iter().any(|(uri, _)| uri.ends_with("three.md")), "{answers:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_pool_tenants_request_runs_the_stacks_job() {
    let test = async |w: World| {
        w.apply(
            "
            {kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}
            ---
            {kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Pool, stackRef: {name: standard}}}",
        )
        .await;
        let acme = w.ready("acme").await;
        w.upload("acme", &[("one.md", "The office opens at nine.")]).await;
        w.condition("SharedStack/standard", "DocumentsCurrent=True/Synced").await;
        w.upload("acme", &[("two.md", "The office is shut on Sundays.")]).await;
        w.request_sync("acme").await;
        let jobs = w.jobs(&acme.status.knowledge_base_id.unwrap()).await;
        assert!(jobs.len() == 2 && jobs[0] == "first" && jobs[1].starts_with("request "), "{jobs:?}");
        let answers = w.retrieve("acme", "When is the office shut?").await;
        assert!(answers.iter().any(|(uri, _)| uri.ends_with("pool/acme/two.md")), "{answers:?}");
        // It reads when its pool was read, and of nothing that the job did for others.
        let acme = w.condition("acme", "DocumentsCurrent=True/Synced").await;
        let job = acme.status.ingestion.unwrap();
        assert!(
            job.finished_time.is_some() && job.statistics.is_none() && job.last_job_id.is_none(),
            "{job:?}"
        );
    };
    world_with(|settings| settings.resync = Duration::from_secs(20), test).await;
}

/// An hour in the time of these tests.
const HOURLY: Duration = Duration::from_secs(60);

#[tokio::test]
async fn new_documents_do_not_wait_for_a_schedule_and_an_hourly_look_starts_no_job_where_nothing_has_changed()
{
    let hourly = |settings: &mut Settings| {
        (settings.look_for_documents, settings.resync) = (HOURLY, Duration::from_secs(60));
    };
    let test = async |w: World| {
        w.apply(
            "
            {kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}
            ---
            {kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Pool, stackRef: {name: standard}}}",
        )
        .await;
        let status = w.ready("acme").await.status;
        let knowledge_base = status.knowledge_base_id.unwrap();
        w.upload("acme", &[("one.md", "The office opens at nine.")]).await;
        w.condition("SharedStack/standard", "DocumentsCurrent=True/Synced").await;
        assert_eq!(w.jobs(&knowledge_base).await, ["first"]);
        let looked = |it: &Object| it.status.ingestion.as_ref().and_then(|it| it.last_look_time.clone());

        // Nothing has changed: it is listed and compared, and the time is written down.
        let first = w.until("SharedStack/standard", "was looked through", |it| looked(it).is_some()).await;
        let mark = w.double.mark().await;
        w.until("SharedStack/standard", "was looked through again", |it| looked(it) > looked(&first)).await;
        let journal = w.double.journal(mark).await;
        let changes = journal.mutating();
        assert!(changes.is_empty(), "a look changes nothing:\n{changes}");
        // Its ledger is an index and one part; its documents are one page.
        let of_documents =
            |operation: &str, what: &str| journal.of(operation).only(|call| call.text().contains(what)).len();
        let looks = of_documents("GetObject", "/ledger/") / 2;
        assert!((1..=3).contains(&looks), "{journal}");
        assert!(of_documents("ListObjectsV2", "pool/") <= looks, "{journal}");
        assert_eq!(w.jobs(&knowledge_base).await, ["first"]);
        let told = w.condition("acme", "DocumentsCurrent=True/Synced").await;
        let job = told.status.ingestion.clone().unwrap_or_default();
        assert!(job.finished_time.is_some(), "the column Last Sync: {}", told.describe());

        w.upload("acme", &[("two.md", "The office is shut on Sundays.")]).await;
        w.eventually("it is found without being asked for", || async {
            let answers = w.retrieve("acme", "When is the office shut?").await;
            answers.iter().any(|(uri, _)| uri.ends_with("pool/acme/two.md")).then_some(())
        })
        .await;
        assert!(w.jobs(&knowledge_base).await[1].starts_with("due "));

        // While it rests nobody looks.
        w.patch("SharedStack/standard", json!({"spec": {"pool": {"ingestion": {"suspend": true}}}})).await;
        w.until("SharedStack/standard", "rests", |it| {
            it.message("DocumentsCurrent").contains("`ingestion.suspend` is true")
        })
        .await;
        let rests = looked(&w.get("SharedStack/standard").await);
        let mark = w.double.mark().await;
        w.eventually("three resyncs have passed", || async {
            (w.double.journal(mark).await.of("ListIngestionJobs").len() >= 3).then_some(())
        })
        .await;
        assert_eq!(looked(&w.get("SharedStack/standard").await), rests);
    };
    world_with(hourly, test).await;
}

#[tokio::test]
async fn a_pool_tenant_is_told_of_its_own_documents_and_of_nobody_elses() {
    told_of_its_own("full").await;
}

#[tokio::test]
async fn a_pool_tenant_is_told_of_its_own_documents_even_without_a_reason() {
    told_of_its_own("bare").await;
}

/// `states` is how much Bedrock says of each document.
async fn told_of_its_own(states: &'static str) {
    world(|w| async move {
        w.double.settings(json!({"switches": {"document_states": states}})).await;
        w.apply(
            "
            {kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}
            ---
            {kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Pool, stackRef: {name: standard}}}
            ---
            {kind: Tenant, metadata: {name: other}, spec: {tenantId: other, pattern: Pool, stackRef: {name: standard}}}
            ---
            {kind: Tenant, metadata: {name: third}, spec: {tenantId: third, pattern: Pool, stackRef: {name: standard}}}",
        )
        .await;
        for tenant in ["acme", "other", "third"] {
            w.ready(tenant).await;
            w.upload(tenant, &[("good.md", "The office opens at nine.")]).await;
        }
        w.upload("acme", &[("a.broken", "?"), ("b.broken", "?")]).await;
        w.upload("other", &[("secret.broken", "?")]).await;
        w.request_sync("SharedStack/standard").await;
        for (tenant, its_own, foreign) in
            [("acme", "pool/acme/b.broken: ", "secret"), ("other", "pool/other/secret.broken: ", "acme")]
        {
            let told = w.condition(tenant, "DocumentsCurrent=False/DocumentsFailed").await;
            let message = told.message("DocumentsCurrent");
            assert!(message.contains(its_own) && !message.contains(foreign), "{message}");
            assert!(told.is("Ready=True"), "{}", told.describe());
            w.event(tenant, "DocumentsFailed").await;
        }
        let stack = w.condition("SharedStack/standard", "DocumentsCurrent=True/Synced").await;
        let message = stack.message("DocumentsCurrent");
        assert!(message.contains("but 3, of which their tenants are told"), "{message}");
        assert_eq!(stack.status.ingestion.unwrap().failure_reasons.len(), 3);

        // A job that ends in the middle clears nobody: nothing was tried again.
        let told = w.get("acme").await.message("DocumentsCurrent").to_owned();
        let listing = w.double.hold("ingestion.list", "*").await;
        w.annotate("SharedStack/standard", SYNC_REQUESTED_AT, Some("for nothing")).await;
        let status = w.get("SharedStack/standard").await.status;
        let (kb, source) = (status.knowledge_base_id.unwrap(), status.data_source_id.unwrap());
        let running = w
            .eventually("a job runs", || async {
                let jobs = w.sdk.bedrock.list_ingestion_jobs().knowledge_base_id(&kb).data_source_id(&source);
                let jobs = jobs.send().await.unwrap().ingestion_job_summaries;
                let running = jobs.into_iter().find(|job| job.status().as_str() == "IN_PROGRESS");
                running.map(|job| job.ingestion_job_id)
            })
            .await;
        let stop = w.sdk.bedrock.stop_ingestion_job().knowledge_base_id(&kb).data_source_id(&source);
        stop.ingestion_job_id(running).send().await.unwrap();
        listing.release().await;
        w.condition("SharedStack/standard", "DocumentsCurrent=False/SyncFailed").await;
        assert_eq!(w.get("acme").await.message("DocumentsCurrent"), told, "what failed has not been tried again");

        // It is as well known after a restart, and then only who recovers hears of it.
        let known = w.get("other").await.message("DocumentsCurrent").to_owned();
        let mark = w.double.mark().await;
        w.restart_operator().await;
        w.eventually("the failures are asked for again", || async {
            let asked = w.double.journal(mark).await.of("ListKnowledgeBaseDocuments");
            (!asked.is_empty()).then_some(())
        })
        .await;
        let bucket = w.get("acme").await.status.bucket.unwrap();
        for key in ["a.broken", "b.broken"] {
            w.sdk.s3.delete_object().bucket(&bucket).key(format!("pool/acme/{key}")).send().await.unwrap();
        }
        w.request_sync("SharedStack/standard").await;
        w.until("acme", "is well again", |acme| !acme.is("DocumentsCurrent=False")).await;
        assert_eq!(w.get("other").await.message("DocumentsCurrent"), known, "nothing changed for it");
        let third = w.get("third").await;
        assert!(!third.is("DocumentsCurrent=False"), "it was never concerned: {}", third.describe());
    })
    .await;
}

#[tokio::test]
async fn a_document_that_cannot_be_indexed_is_told_of_and_the_tenant_stays_ready() {
    world(|w| async move {
        w.double.settings(json!({"switches": {"malformed_sidecar": "failed"}})).await;
        w.apply("{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Silo}}").await;
        w.ready("acme").await;
        w.upload(
            "acme",
            &[
                ("good.md", "The office opens at nine."),
                ("bad.md", "Unheard of."),
                ("bad.md.metadata.json", "{not JSON"),
            ],
        )
        .await;
        let told = w.condition("acme", "DocumentsCurrent=False/DocumentsFailed").await;
        assert!(told.is("Ready=True"), "{}", told.describe());
        assert!(told.message("DocumentsCurrent").starts_with("1 document"), "{}", told.describe());
        let job = told.status.ingestion.unwrap();
        assert_eq!(
            (job.last_status.as_deref(), job.statistics.unwrap().documents_failed),
            (Some("COMPLETE"), 1)
        );
        assert!(!job.failure_reasons.is_empty());
        w.event("acme", "DocumentsFailed").await;

        // Mended and asked for, it is well again.
        w.upload("acme", &[("bad.md.metadata.json", r#"{"metadataAttributes":{"year":2026}}"#)]).await;
        w.request_sync("acme").await;
        w.condition("acme", "DocumentsCurrent=True/Synced").await;
    })
    .await;
}
