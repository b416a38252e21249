//! What a process says of itself over HTTP.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::json;
use tenantry::api::metric::ALL;

use crate::support::fleet::Fleet;
use crate::support::objects::Object;
use crate::support::replicas::Replica;
use crate::support::world::{World, world_without_operator};

const FLEET: Fleet = Fleet { each: 1 };

/// A line of a scrape.
#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// All samples of a scrape.
async fn scrape(replica: &Replica) -> Vec<Sample> {
    let (status, page) = replica.get("/metrics").await;
    assert_eq!(status, 200, "{page}");
    assert!(page.ends_with("# EOF\n"), "a whole page:\n{page}");
    let line = Regex::new(r"^([a-z_]+)(?:\{(.*)\})? (\S+)$").unwrap();
    let label = Regex::new(r#"([a-z_]+)="([^"]*)""#).unwrap();
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|text| {
            let parts = line.captures(text).unwrap_or_else(|| panic!("what is this: {text}"));
            let labels = label.captures_iter(parts.get(2).map_or("", |labels| labels.as_str()));
            Sample {
                name: parts[1].into(),
                labels: labels.map(|pair| (pair[1].into(), pair[2].into())).collect(),
                value: parts[3].parse().unwrap(),
            }
        })
        .collect()
}

impl Sample {
    /// Whether it is of a metric and has these labels, among others.
    fn is(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.name == name
            && labels.iter().all(|(key, value)| self.labels.get(*key).is_some_and(|it| it == value))
    }
}

/// The sum of all samples of a metric that have these labels.
fn sum(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> f64 {
    samples.iter().filter(|sample| sample.is(name, labels)).map(|sample| sample.value).sum()
}

/// Every sample belongs to a metric of the table, and has its labels.
fn assert_known(samples: &[Sample]) -> BTreeSet<&'static str> {
    let mut seen = BTreeSet::new();
    for Sample { name, labels, .. } in samples {
        let parts = ["_bucket", "_sum", "_count"].map(|part| name.strip_suffix(part).unwrap_or(name));
        let known = ALL.iter().find(|metric| parts.contains(&metric.name) || metric.name == name);
        let known = known.unwrap_or_else(|| panic!("{name} is in no table"));
        let found: BTreeSet<_> = labels.keys().map(String::as_str).filter(|label| *label != "le").collect();
        assert_eq!(found, known.labels.iter().copied().collect(), "the labels of {name}");
        seen.insert(known.name);
    }
    seen
}

#[tokio::test]
async fn both_replicas_answer_and_say_who_leads() {
    let test = async |w: World| {
        let leader = w.leader("first", &[]).await;
        let mut standby = w.standby("second", &[]).await;
        for (replica, leads) in [(&leader, 1.0), (&standby, 0.0)] {
            let ready = || async { replica.ready().await.0.then_some(()) };
            w.eventually("it is ready", ready).await;
            assert_eq!(replica.get("/healthz").await, (200, "ok\n".into()));
            assert_eq!(replica.get("/elsewhere").await.0, 404);
            let samples = scrape(replica).await;
            let status = [("name", "tenantry-e2e")];
            assert_eq!(sum(&samples, "leader_election_master_status", &status), leads);
            assert_known(&samples);
        }
        let recorded = || async { w.records_are_complete().await.then_some(()) };
        w.eventually("who is new is let in", recorded).await;
        // Neither AWS nor the lease makes it unready.
        let fault = json!({"fault": "failed", "count": 1_000_000});
        w.double.fault(fault).await;
        w.apply("{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Silo}}").await;
        let errors = || async {
            let failed = sum(
                &scrape(&leader).await,
                "controller_runtime_reconcile_errors_total",
                &[("controller", "tenant")],
            );
            (failed > 0.0).then_some(())
        };
        w.eventually("a pass fails and is counted", errors).await;
        assert!(leader.ready().await.0 && standby.ready().await.0);
        w.double.heal().await;
        standby.signal("TERM").await;
        assert!(standby.ended().await.success(), "{}", standby.log());
    };
    world_without_operator(|_| {}, test).await;
}

#[tokio::test]
async fn metrics_say_how_things_stand_and_forget_what_is_gone() {
    let test = async |w: World| {
        let ends = json!({"legacy_models": [["amazon.titan-embed-text-v2:0", 60]]});
        w.double.settings(json!({"switches": ends})).await;
        let mut operator = w.leader("first", &["--metrics-per-object", "1000"]).await;
        w.apply(&FLEET.yaml()).await;
        FLEET.ready(&w).await;
        w.apply("{kind: TenantClass, metadata: {name: bounds}, spec: {limits: {documents: 9}}}").await;
        let class = w.stack_name("bounds");
        w.patch("pool1", json!({"spec": {"classRef": {"name": class}}})).await;
        let stands = |it: &Object| it.is("Ready=True") && it.status.class.as_ref() == Some(&class);
        w.until("pool1", "stands under its class", stands).await;
        // A review that takes its time is seen while it goes on.
        w.double.fault(json!({"operation": "PutObject", "caller": "*/operator-first", "delay": 2})).await;
        w.upload("pool1", &[("handbook.md", "Our office opens at nine."), ("notes.md", "Tea at four.")])
            .await;
        let owner = format!("SharedStack/{}", w.stack_name("standard"));
        let review = ("tenantry_documents_review_objects", [("owner", owner.as_str())]);
        let under_way =
            || async { scrape(&operator).await.iter().any(|it| it.is(review.0, &review.1)).then_some(()) };
        w.eventually("the documents are reviewed", under_way).await;
        let ready = [("kind", "Tenant"), ("name", "silo1"), ("type", "Ready"), ("status", "True")];
        let reviewed = || async {
            let samples = scrape(&operator).await;
            let is = |name, labels| sum(&samples, name, labels);
            (is("tenantry_documents_sidecars_written_total", &[]) == 2.0
                && is("tenantry_ingestion_finished_timestamp_seconds", &[("kind", "SharedStack")]) > 0.0
                && is("tenantry_status_condition", &ready) == 1.0
                && is("tenantry_class_tenants", &[("class", class.as_str()), ("ready", "true")]) == 1.0
                && is("tenantry_class_documents", &[("class", class.as_str())]) == 2.0)
                .then_some(samples)
        };
        let samples = w.eventually("documents are read, and all of that can be scraped", reviewed).await;
        let seen = assert_known(&samples);
        assert!(!seen.contains(review.0), "the review is over");
        let busy =
            [review.0, "tenantry_deletion_timestamp_seconds", "tenantry_oldest_deletion_timestamp_seconds"];
        let missing: Vec<_> = ALL
            .iter()
            .map(|metric| metric.name)
            .filter(|name| !seen.contains(name) && !busy.contains(name))
            .collect();
        assert!(missing.is_empty(), "in the table, and never scraped: {missing:?}");
        for (name, labels, value) in [
            ("tenantry_objects", &[("kind", "Tenant"), ("type", "Ready"), ("status", "True")][..], 3.0),
            ("tenantry_objects", &[("kind", "SharedStack"), ("type", "Ready"), ("status", "True")], 1.0),
            ("tenantry_aws_requests_total", &[("operation", "CreateBucket"), ("code", "OK")], 3.0),
            ("tenantry_records_lost", &[], 0.0),
            ("tenantry_documents_reviewed_total", &[], 2.0),
            ("tenantry_ingestion_job_slots", &[], 5.0),
            ("controller_runtime_max_concurrent_reconciles", &[("controller", "tenant")], 32.0),
        ] {
            assert_eq!(sum(&samples, name, labels), value, "{name} {labels:?}");
        }
        let of = |samples: &[Sample], tenant: &str| {
            samples.iter().filter(|it| it.labels.get("name").is_some_and(|name| name == tenant)).count()
        };
        assert!(of(&samples, "pool1") > 0);

        // One that waits on its way out can be seen, with since when; and is forgotten when it is gone.
        w.delete("SharedStack/standard").await;
        let stack = w.stack_name("standard");
        let blocked = [
            ("name", stack.as_str()),
            ("type", "DeletionBlocked"),
            ("status", "True"),
            ("reason", "Borrowed"),
        ];
        let stuck = || async {
            let samples = scrape(&operator).await;
            (sum(&samples, "tenantry_status_condition", &blocked) == 1.0).then_some(samples)
        };
        let samples = w.eventually("its deletion is blocked", stuck).await;
        assert!(sum(&samples, "tenantry_deletion_timestamp_seconds", &[("name", &stack)]) > 1.7e9);
        assert!(
            sum(&samples, "tenantry_oldest_deletion_timestamp_seconds", &[("kind", "SharedStack")]) > 1.7e9
        );
        for tenant in ["silo1", "bridge1", "pool1"] {
            w.delete(tenant).await;
        }
        w.gone("SharedStack/standard").await;
        let forgotten = || async {
            let samples = scrape(&operator).await;
            let left = ["silo1", "bridge1", "pool1", &stack].iter().any(|object| of(&samples, object) > 0);
            (!left && sum(&samples, "tenantry_objects", &[]) == 0.0).then_some(())
        };
        w.eventually("their series are gone", forgotten).await;
        operator.die().await;
    };
    world_without_operator(|_| {}, test).await;
}

#[tokio::test]
async fn lost_records_are_told_where_somebody_looks() {
    let test = async |w: World| {
        let mut operator = w.leader("first", &[]).await;
        w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}").await;
        w.apply("{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Pool, stackRef: {name: standard}}}").await;
        w.ready("acme").await;
        operator.die().await;
        w.lose("tenants/acme.json").await;

        let mut operator = w.leader("second", &[]).await;
        let note = w.event("SharedStack/standard", "RecordsLost").await;
        assert!(note.contains("'acme'") && note.contains("--rebuild-records"), "{note}");
        assert_eq!(sum(&scrape(&operator).await, "tenantry_records_lost", &[]), 1.0);
        assert!(w.get("acme").await.is("Ready=True"), "who has an id goes on");
        operator.die().await;
    };
    world_without_operator(|_| {}, test).await;
}

#[tokio::test]
async fn of_tenants_those_in_trouble_are_named_if_any_are() {
    let test = async |w: World| {
        let tenants = "{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}
---
{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Pool, stackRef: {name: standard}}}
---
{kind: Tenant, metadata: {name: lost}, spec: {tenantId: lost, pattern: Bridge, stackRef: {name: missing}}}";
        let (kind, type_) = (("kind", "Tenant"), ("type", "Ready"));
        for (run, most, names) in [("first", "0", vec![]), ("second", "1", vec!["lost"])] {
            let mut operator = w.leader(run, &["--metrics-per-object", most]).await;
            w.apply(tenants).await;
            w.ready("acme").await;
            let stack = w.stack_name("standard");
            let stack = [("kind", "SharedStack"), ("name", stack.as_str()), type_];
            // A process that has just begun to lead may know the Tenants before it knows the SharedStacks.
            let counted = || async {
                let samples = scrape(&operator).await;
                let is = |status| sum(&samples, "tenantry_objects", &[kind, type_, ("status", status)]);
                let tenants = is("True") == 1.0 && sum(&samples, "tenantry_objects", &[kind, type_]) == 2.0;
                (tenants && sum(&samples, "tenantry_status_condition", &stack) == 1.0).then_some(samples)
            };
            let samples =
                w.eventually("one is Ready, the other not, and the SharedStack is named", counted).await;
            let named: Vec<_> = samples
                .iter()
                .filter(|it| it.is("tenantry_status_condition", &[kind, type_]))
                .map(|it| it.labels["name"].clone())
                .collect();
            assert_eq!(named, names, "with room for {most}");
            if names.is_empty() {
                let tells =
                    samples.iter().find(|it| it.labels.get("namespace").is_some_and(|it| !it.is_empty()));
                assert!(tells.is_none(), "it names a Tenant's namespace: {tells:?}");
            }
            operator.die().await;
        }
    };
    world_without_operator(|_| {}, test).await;
}
