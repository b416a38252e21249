//! Schedules run by themselves, and however many are due at once, AWS's limits on ingestion jobs are kept: five at a time in
//! an account, one a knowledge base, one start each ten seconds.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tenantry::clock::Clock;
use tokio::process::Child;

use crate::support::operators::kill;
use crate::support::world::{World, world_without_operator};

/// How much faster than in production AWS, the operator and its calendar are.
const SPEED: u32 = 25;
/// Jobs take so long that five of them are too few.
const DWELL: u32 = 60;

/// Five minutes before a daily schedule is due in UTC, or somewhat less: its line, and when that is.
fn soon(zone: &str) -> (String, Timestamp) {
    let due = Clock::new(SPEED).calendar(Timestamp::now()) + SignedDuration::from_mins(5);
    let due = Timestamp::from_second(due.as_second() / 60 * 60).unwrap();
    let local = due.to_zoned(TimeZone::get(zone).unwrap());
    (format!("{} {} * * *", local.minute(), local.hour()), due)
}

/// Bridge tenants of one SharedStack that are due together.
struct Crowd {
    names: Vec<String>,
    /// What the job of each must say that it serves.
    serves: String,
    mark: u64,
}

impl Crowd {
    /// So many tenants have had their first job, have a new document each, and will be due at the same moment.
    async fn gather(w: &World, count: usize) -> Crowd {
        w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {}}").await;
        w.ready("SharedStack/standard").await;
        let names: Vec<_> = (1..=count).map(|n| format!("t{n}")).collect();
        let tenant = |name: &String| {
            format!(
                "{{kind: Tenant, metadata: {{name: {name}}}, spec: \
                 {{tenantId: {name}, pattern: Bridge, stackRef: {{name: standard}}, ingestion: {{suspend: true}}}}}}"
            )
        };
        w.apply(&names.iter().map(tenant).collect::<Vec<_>>().join("\n---\n")).await;
        // The first jobs are not what this is about: they are run without limits.
        let limits =
            |jobs: usize, running: u32| json!({"limits": {"jobs": jobs}, "dwell": {"job_running": running}});
        w.double.settings(limits(count, 0)).await;
        each(&names, async |name| {
            let ready = w.ready(name).await.status;
            let (base, source) = (ready.knowledge_base_id.unwrap(), ready.data_source_id.unwrap());
            let start = w.sdk.bedrock.start_ingestion_job().knowledge_base_id(base).data_source_id(source);
            start.description("first").send().await.unwrap();
        })
        .await;
        each(&names, async |name| {
            let ended = |status: Option<&str>| status == Some("COMPLETE");
            w.until(name, "has had its first job", |it| {
                ended(it.status.ingestion.as_ref().and_then(|it| it.last_status.as_deref()))
            })
            .await;
            w.upload(name, &[("hours.md", &format!("{name} opens at nine."))]).await;
        })
        .await;
        w.double.settings(limits(5, DWELL)).await;
        let (line, due) = soon("Etc/UTC");
        let mark = w.double.mark().await;
        each(&names, async |name| {
            w.patch(name, json!({"spec": {"ingestion": {"schedule": line, "suspend": false}}})).await;
        })
        .await;
        assert!(Clock::new(SPEED).calendar(Timestamp::now()) < due, "it was due before all of them knew");
        Crowd { names, serves: format!("due {due}"), mark }
    }

    /// Waits until so many of them have been started.
    async fn started(&self, w: &World, count: usize) {
        w.eventually(&format!("{count} jobs are started"), || async {
            let started = w.double.journal(self.mark).await.of("StartIngestionJob");
            (started.len() >= count).then_some(())
        })
        .await;
    }

    /// Waits until each has read its new document, and looks back: all of it in one round, and never more than AWS grants.
    async fn synced_within_the_limits(&self, w: &World) {
        let mut jobs = BTreeMap::new();
        for name in &self.names {
            let synced = w
                .until(name, "has read its new document", |it| {
                    let statistics = it.status.ingestion.as_ref().and_then(|it| it.statistics.as_ref());
                    statistics.is_some_and(|it| it.new_documents_indexed == 1)
                })
                .await;
            assert!(synced.is("DocumentsCurrent=True/Synced"), "{}", synced.describe());
            let (base, source) =
                (synced.status.knowledge_base_id.unwrap(), synced.status.data_source_id.unwrap());
            let list = w.sdk.bedrock.list_ingestion_jobs().knowledge_base_id(base).data_source_id(source);
            let listed = list.into_paginator().items().send().try_collect().await.unwrap();
            let [ours, first] = &listed[..] else { panic!("{name} has other jobs than two: {listed:?}") };
            assert_eq!((ours.description(), first.description()), (Some(&*self.serves), Some("first")));
            jobs.insert(name, (ours.started_at.as_secs_f64(), ours.updated_at.as_secs_f64()));
        }
        let journal = w.double.journal(self.mark).await;
        let refused = journal.of("StartIngestionJob").only(|call| !call.succeeded());
        assert!(refused.is_empty(), "AWS had to refuse:\n{refused}");
        let looks = journal.of("ListIngestionJobs").len();
        let starts: Vec<_> = jobs.values().map(|(start, _)| *start).collect();
        let at_once = |at: f64| jobs.values().filter(|(start, end)| *start <= at && at < *end).count();
        let most = starts.iter().map(|start| at_once(*start)).max().unwrap();
        // The clocks of a busy machine are not to the millisecond: counted over a hundred seconds of AWS's time.
        let window = 100.0 / f64::from(SPEED);
        let within = |from: f64| starts.iter().filter(|at| (from..from + window).contains(at)).count();
        let fastest = starts.iter().map(|start| within(*start)).max().unwrap();
        let (begin, end) =
            jobs.values().fold((f64::MAX, 0.0_f64), |(a, b), job| (a.min(job.0), b.max(job.1)));
        println!(
            "{} jobs in {:.0} s of AWS's time: {most} at once at the most, {fastest} started in 100 s, {looks} looks at jobs",
            jobs.len(),
            (end - begin) * f64::from(SPEED)
        );
        assert!((4..=5).contains(&most), "{most} jobs ran at once");
        assert!(fastest <= 10, "{fastest} jobs were started within 100 seconds");
        assert!(looks < 50 * self.names.len(), "{looks} looks at jobs");
    }
}

/// Does something for each of them, some at a time.
async fn each(names: &[String], does: impl AsyncFn(&String)) {
    stream::iter(names).for_each_concurrent(8, |name| does(name)).await;
}

async fn faster(w: &World) {
    w.double.settings(json!({"speedup": SPEED, "page_size": 100})).await;
}

#[tokio::test]
async fn a_hundred_tenants_are_due_at_once() {
    let test = async |w: World| {
        faster(&w).await;
        w.start_operator().await;
        w.granted().await;
        let crowd = Crowd::gather(&w, 100).await;
        crowd.started(&w, 5).await;
        let waits = async || {
            let all = w.all().await;
            let said = |words| all.iter().any(|it| it.message("DocumentsCurrent").contains(words));
            said("waits for its turn").then_some(())
        };
        w.eventually("somebody says that it waits for its turn", waits).await;
        // Each wait of a test is limited, and this takes longer than one.
        crowd.started(&w, 50).await;
        crowd.started(&w, 100).await;
        crowd.synced_within_the_limits(&w).await;
    };
    let tell = |settings: &mut tenantry::settings::Settings| {
        (settings.clock, settings.max_knowledge_bases) = (SPEED, 100);
    };
    world_without_operator(tell, test).await;
}

#[tokio::test]
async fn killed_in_the_middle_it_starts_nothing_twice_and_nothing_too_much() {
    let test = async |w: World| {
        faster(&w).await;
        let start = async || -> Child { w.program(&[]).await.spawn().unwrap() };
        let operator = start().await;
        let crowd = Crowd::gather(&w, 30).await;
        crowd.started(&w, 7).await;
        kill(operator).await;
        let operator = start().await;
        crowd.started(&w, 15).await;
        kill(operator).await;
        let operator = start().await;
        crowd.synced_within_the_limits(&w).await;
        kill(operator).await;
    };
    world_without_operator(|settings| settings.clock = SPEED, test).await;
}

#[tokio::test]
async fn a_schedule_runs_in_its_time_zone_and_rests_when_it_is_told() {
    let test = async |w: World| {
        // The hourly look comes between nothing.
        let acme = "{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Silo, ingestion: {suspend: true}}}";
        w.apply(acme).await;
        let knowledge_base = w.ready("acme").await.status.knowledge_base_id.unwrap();
        w.upload("acme", &[("one.md", "The office opens at nine.")]).await;
        w.condition("acme", "DocumentsCurrent=True/Synced").await;
        assert_eq!(w.jobs(&knowledge_base).await, ["first"]);

        // Half an hour off everybody's hours.
        w.upload("acme", &[("two.md", "It closes at five.")]).await;
        let zone = "Asia/Kolkata";
        let (line, due) = soon(zone);
        w.patch(
            "acme",
            json!({"spec": {"ingestion": {"schedule": line, "timeZone": zone, "suspend": false}}}),
        )
        .await;
        let jobs = async |count: usize| {
            w.eventually(&format!("{count} jobs were started"), || async {
                Some(w.jobs(&knowledge_base).await).filter(|jobs| jobs.len() == count)
            })
            .await
        };
        assert_eq!(jobs(2).await, ["first".into(), format!("due {due}")]);
        assert!(Clock::new(SPEED).calendar(Timestamp::now()) >= due, "it was early");
        w.until("acme", "has read it", |it| {
            it.status
                .ingestion
                .as_ref()
                .and_then(|it| it.statistics.as_ref())
                .is_some_and(|it| it.new_documents_indexed == 1)
        })
        .await;

        // Nothing has changed: it looks, and starts nothing. A process that begins anew knows no better, and no worse.
        let mark = w.double.mark().await;
        w.patch("acme", json!({"spec": {"ingestion": {"schedule": "*/5 * * * *"}}})).await;
        let looked = |mark| {
            let w = w.clone();
            async move {
                let journal = w.double.journal(mark).await;
                let ledger =
                    journal.only(|call| call.operation == "GetObject" && call.text().contains("/ledger/"));
                (!ledger.is_empty()).then_some(())
            }
        };
        w.eventually("it compares the documents with the ledger", || looked(mark)).await;
        w.restart_operator().await;
        let mark = w.double.mark().await;
        w.eventually("it compares them again", || looked(mark)).await;
        assert_eq!(w.jobs(&knowledge_base).await.len(), 2);

        // With one more document it starts one, and when it rests only what somebody asks for.
        w.upload("acme", &[("three.md", "It is shut on Sundays.")]).await;
        assert!(jobs(3).await[2].starts_with("due "));
        w.condition("acme", "DocumentsCurrent=True/Synced").await;
        w.patch("acme", json!({"spec": {"ingestion": {"suspend": true}}})).await;
        w.upload("acme", &[("four.md", "Tea is at four.")]).await;
        w.request_sync("acme").await;
        let jobs = w.jobs(&knowledge_base).await;
        assert!(jobs.len() == 4 && jobs[3].starts_with("request ") && !jobs[3].contains("due"), "{jobs:?}");
    };
    let tell = |settings: &mut tenantry::settings::Settings| settings.clock = SPEED;
    world_without_operator(tell, async |w: World| {
        faster(&w).await;
        w.start_operator().await;
        w.granted().await;
        test(w).await;
    })
    .await;
}
