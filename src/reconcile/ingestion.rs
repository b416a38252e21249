//! The last step of a pass: the documents, once the knowledge base is whole.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::context::Context;
use super::memory::{Memory, lasts};
use crate::api::{DocumentsStatus, IngestionStatus, Layer, Pattern, Reason, Standing, Status};
use crate::clock::{Clock, earliest};
use crate::documents::failures::{ByTenant, Failures};
use crate::documents::job_size::Size;
use crate::documents::schedule::Ask;
use crate::documents::source::Source;
use crate::documents::sync::{self, Inputs, Synced};
use crate::documents::tally::Tallies;
use crate::stack::cron::Schedule;
use crate::stack::fault::Fault;
use crate::stack::identity::Identity;
use crate::stack::layout::ledger_key;
use crate::stack::model::outcome::Documents;
use crate::stack::model::progress::STALLED;
use crate::stack::store::features;

/// How long the look after documents may fail before a person should look.
const DEADLINE: Duration = Duration::from_secs(30 * 60);

/// What the last step came to.
pub struct LastStep {
    /// What was found and done.
    pub synced: Synced,
    /// When to look again.
    pub look_again: Option<Duration>,
    /// A passing failure.
    pub fault: Option<Fault>,
}

impl LastStep {
    /// Nothing was looked at.
    fn unseen(documents: Documents) -> Self {
        Self { synced: Synced::unseen(documents), look_again: None, fault: None }
    }
}

/// Where a status says the documents are.
pub fn source<'a>(
    status: &Status,
    owner: &Identity,
    approved: Option<&str>,
    schedule: Option<Schedule>,
) -> Option<Source<'a>> {
    Some(Source {
        ledger: ledger_key(owner),
        pool: None,
        metadata: features(status.vector_store.unwrap_or_default()).metadata,
        merges: false,
        some_were_told: Documents::were_in_trouble(&status.conditions),
        limit: Size::OF_A_JOB,
        leaving: BTreeSet::new(),
        owner: owner.owner.clone(),
        owner_uid: owner.uid.clone(),
        approved: approved.map(Into::into),
        knowledge_base_id: status.knowledge_base_id.clone()?,
        data_source_id: status.data_source_id.clone()?,
        bucket: status.bucket.clone()?,
        prefix: status.prefix.clone()?,
        schedule,
        bound: None,
        between: Duration::ZERO,
    })
}

/// What releases before this one wrote as the state of the last job, instead of `status.reindexing`.
const REFILLING: &str = "REFILLING";

/// Notes that the documents have a new data source, and says while they are not all embedded again. The status is the
/// memory.
pub fn reindexing(before: &Status, status: &mut Status, step: &LastStep) -> Option<(Reason, String)> {
    let as_before = |it: &IngestionStatus| it.last_status.as_deref() == Some(REFILLING);
    status.ingestion = status.ingestion.take().filter(|it| !as_before(it));
    let noted = before.reindexing == Some(true) || before.ingestion.as_ref().is_some_and(as_before);
    let renewed = before.data_source_id.is_some()
        && status.data_source_id.is_some()
        && status.data_source_id != before.data_source_id;
    let filled = !renewed && step.synced.jobs.iter().any(|job| job.status == "COMPLETE");
    let goes_on = (renewed || noted) && !filled && step.synced.documents.reason != Reason::NoDocuments;
    status.reindexing = goes_on.then_some(true);
    if !goes_on {
        status.ingestion = step.synced.ingestion.clone().or(status.ingestion.take());
        return None;
    }
    // What the jobs of the data source before this one did says nothing of it.
    status.ingestion = None;
    let message =
        "The index was lost and is being rebuilt; Ready again once every document is embedded again";
    Some((Reason::Updating, message.into()))
}

/// Puts down what of a pool's documents could not be indexed, and wakes those whose documents failed or recovered.
pub fn tell_tenants(cx: &Context, stack: &str, failures: ByTenant) {
    let failures = Arc::new(failures);
    let before = cx.failures.lock().insert(stack.into(), failures.clone());
    cx.wake_tenants(|tenant| {
        let (Some(id), Some((_, status))) = (tenant.tenant_id(), tenant.common()) else { return false };
        let is_news = match &before {
            Some(before) => before.get(id) != failures.get(id),
            // After a restart, what was known is what its status says.
            None => {
                failures.contains_key(id)
                    || status.is_some_and(|it| Documents::were_in_trouble(&it.conditions))
            }
        };
        tenant.standing() == Some(Standing { pattern: Pattern::Pool, stack: Some(stack) }) && is_news
    });
}

/// Puts down how many documents each tenant of a pool has, and wakes those of whom that is news.
pub fn tell_counts(cx: &Context, stack: &str, tallies: Tallies) {
    let tallies = Arc::new(tallies);
    let before = cx.tallies.lock().insert(stack.into(), tallies.clone());
    let in_pool = Some(Standing { pattern: Pattern::Pool, stack: Some(stack) });
    cx.wake_tenants(|tenant| {
        let Some(id) = tenant.tenant_id().filter(|_| tenant.standing() == in_pool) else { return false };
        let (was, is) = (before.as_ref().and_then(|before| before.get(id)), tallies.get(id));
        let counted = is.map(|it| DocumentsStatus::from(it.tally));
        was.map(|it| &it.held) != is.map(|it| &it.held)
            || counted.unwrap_or_default() != tenant.documents().unwrap_or_default()
    });
}

/// What a Pool tenant's status says of how many documents it has; the last word stands until that is known. Who never had one
/// is told of none.
pub fn count_of_pool_tenant(
    tallies: Option<&Tallies>,
    tenant_id: &str,
    before: Option<DocumentsStatus>,
) -> Option<DocumentsStatus> {
    let Some(tallies) = tallies else { return before };
    let counted = tallies.get(tenant_id).map(|it| DocumentsStatus::from(it.tally));
    counted.or(before.map(|_| DocumentsStatus::default()))
}

/// How often a Pool tenant's status follows the jobs of its pool. They may be ten thousand.
const NOTED: Duration = Duration::from_secs(3600);

/// What a Pool tenant's status says of its pool's jobs: when the last ended and documents were last looked for, as its
/// SharedStack has it. What a job did is that one's to tell, because it did it for everybody. A tenant that has asked for a
/// job is told of each.
pub fn of_the_pool(
    clock: Clock,
    before: Option<&IngestionStatus>,
    pools: Option<&IngestionStatus>,
    has_asked: bool,
) -> Option<IngestionStatus> {
    // One that runs says nothing yet, and one that failed is its SharedStack's trouble.
    let now = pools.filter(|it| it.last_status.as_deref() == Some("COMPLETE")).map(|it| IngestionStatus {
        last_status: it.last_status.clone(),
        started_time: it.started_time.clone(),
        finished_time: it.finished_time.clone(),
        last_look_time: it.last_look_time.clone(),
        ..IngestionStatus::default()
    });
    let latest = |it: &IngestionStatus| {
        [&it.finished_time, &it.last_look_time].into_iter().flatten().map(|at| clock.calendar(at.0)).max()
    };
    let is_news = |before: &IngestionStatus, now: &IngestionStatus| match (latest(before), latest(now)) {
        (Some(before), Some(now)) => now.duration_since(before).unsigned_abs() >= NOTED,
        _ => true,
    };
    match (before, now) {
        (Some(before), Some(now)) if !has_asked && !is_news(before, &now) => Some(before.clone()),
        (before, now) => now.or_else(|| before.cloned()),
    }
}

/// What of a Pool tenant's documents could not be indexed, or when new ones were last looked for, which its status has; its
/// last word stands until that is known.
pub fn of_pool_tenant(
    failures: Option<&ByTenant>,
    tallies: Option<&Tallies>,
    tenant_id: &str,
    status: &Status,
) -> Option<Documents> {
    if let Some(held) = tallies.and_then(|it| it.get(tenant_id)?.condition()) {
        return Some(held);
    }
    let Some(failures) = failures else { return Documents::last(&status.conditions) };
    let looked = || {
        let at = status.ingestion.as_ref()?.looked()?.0;
        let message = format!("New documents of the pool were last looked for at {at}");
        Some(Documents { current: Some(true), reason: Reason::Synced, message })
    };
    failures.get(tenant_id).map(Failures::condition).or_else(looked)
}

/// Looks after the documents. A failure here is news of the documents, never of the stack: `Ready` stays as it is.
pub async fn last_step(
    cx: &Context,
    source: Option<&Source<'_>>,
    asks: &[Ask],
    before: &Status,
    memory: &mut Memory,
) -> LastStep {
    let last = Documents::last(&before.conditions);
    let Some(source) = source.filter(|_| !cx.settings.read_only) else {
        return LastStep::unseen(last.unwrap_or(Documents {
            current: None,
            reason: Reason::waiting_for(Layer::KnowledgeBase),
            message: "Documents are read once the knowledge base is ready".into(),
        }));
    };
    if let Some(wait) = cx.job_slots.too_early(&source.knowledge_base_id)
        && let Some(last) = &last
    {
        return LastStep { look_again: Some(wait), ..LastStep::unseen(last.clone()) };
    }
    let reported = before.ingestion.as_ref();
    let started = Instant::now();
    let (aws, job_slots, reviews) = (&cx.aws, &cx.job_slots, &cx.reviews);
    let inputs = Inputs { aws, source, asks, reported, job_slots, reviews };
    match sync::step(inputs, &mut memory.documents).await {
        Ok(synced) => {
            memory.documents_failing_since = None;
            let began = synced.jobs.first().map(|job| job.started);
            let waited = began.map_or_else(|| cx.clock.since(started), |began| cx.clock.since_stamp(began));
            let cadence = synced.cadence.and_then(|cadence| cadence.look_again(waited));
            LastStep { look_again: earliest(cadence, synced.due_in), synced, fault: None }
        }
        Err(fault) => {
            let needs_person = fault.class.needs_person().is_some();
            let lasts = lasts(&mut memory.documents_failing_since, cx.clock, !needs_person);
            let documents = failing(&fault, lasts, last);
            if needs_person {
                LastStep { look_again: Some(STALLED), ..LastStep::unseen(documents) }
            } else {
                LastStep { fault: Some(fault), ..LastStep::unseen(documents) }
            }
        }
    }
}

/// How the documents stand if they cannot be looked after. What passes leaves the last word alone until it has lasted;
/// then nobody knows.
fn failing(fault: &Fault, lasts: Option<Duration>, last: Option<Documents>) -> Documents {
    let message = fault.to_string();
    match (fault.class.needs_person(), lasts) {
        (Some(reason), _) => Documents { current: Some(false), reason, message },
        (None, Some(lasts)) if lasts > DEADLINE => {
            let minutes = DEADLINE.as_secs() / 60;
            let message =
                format!("The documents could not be processed for more than {minutes} minutes. {message}");
            Documents { current: Some(false), reason: Reason::DeadlineExceeded, message }
        }
        (None, lasts) => {
            let unknown = Documents { current: None, reason: fault.class.lasting(), message };
            last.filter(|_| lasts.is_none()).unwrap_or(unknown)
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::stack::fault::Class;
    use crate::stack::job::JobSummary;

    /// What is documented as Bedrock's word on a job is that, and nobody else's.
    #[test]
    fn an_index_that_is_made_anew_is_not_told_as_the_state_of_a_job() {
        let step = |jobs: &[&str], reason| {
            let mut step = LastStep::unseen(Documents { current: None, reason, message: String::new() });
            step.synced.ingestion = Some(job("IN_PROGRESS", None, None));
            let jobs = jobs.iter().map(|status| JobSummary { status: (*status).into(), ..summary() });
            step.synced.jobs = jobs.collect();
            step
        };
        let status = |source: &str, reindexing, last: &str| Status {
            data_source_id: Some(source.into()),
            reindexing,
            ingestion: Some(job(last, None, None)),
            ..Status::default()
        };
        let (waits, none) = (Reason::SyncRequested, Reason::NoDocuments);
        let noted = Some(true);
        for (before, source, step, goes_on) in [
            (status("DS1", None, "COMPLETE"), "DS1", step(&["COMPLETE"], waits), false),
            (status("DS1", None, "COMPLETE"), "DS2", step(&[], waits), true),
            // A job that ended before the data source was made anew.
            (status("DS1", None, "COMPLETE"), "DS2", step(&["COMPLETE"], waits), true),
            (status("DS2", noted, "FAILED"), "DS2", step(&["FAILED", "IN_PROGRESS"], waits), true),
            (status("DS2", noted, "FAILED"), "DS2", step(&["FAILED", "COMPLETE"], waits), false),
            (status("DS2", noted, "FAILED"), "DS2", step(&[], none), false),
            (status("DS2", None, REFILLING), "DS2", step(&[], waits), true),
            (status("DS2", None, REFILLING), "DS2", step(&["COMPLETE"], waits), false),
        ] {
            let mut after = Status { data_source_id: Some(source.into()), ..before.clone() };
            let told = reindexing(&before, &mut after, &step);
            assert_eq!(told.map(|(reason, _)| reason), goes_on.then_some(Reason::Updating), "{before:?}");
            assert_eq!(after.reindexing, goes_on.then_some(true), "{before:?}");
            assert_eq!(after.ingestion, step.synced.ingestion.filter(|_| !goes_on), "{before:?}");
        }
    }

    fn summary() -> JobSummary {
        let at = Timestamp::UNIX_EPOCH;
        JobSummary {
            id: "J".into(),
            status: String::new(),
            description: String::new(),
            started: at,
            updated: at,
            statistics: Default::default(),
        }
    }

    /// A job that began and ended then, and when documents were looked for in vain.
    fn job(status: &str, ended: Option<i64>, looked: Option<i64>) -> IngestionStatus {
        let at = |minute: i64| Time(Timestamp::from_second(60 * minute).unwrap());
        IngestionStatus {
            last_job_id: Some("J".into()),
            last_status: Some(status.into()),
            started_time: ended.map(at),
            finished_time: ended.map(at),
            last_look_time: looked.map(at),
            failure_reasons: vec!["pool/other/secret.md".into()],
            ..IngestionStatus::default()
        }
    }

    /// Ten thousand tenants may share a pool.
    #[test]
    fn a_pool_tenant_follows_its_pool_once_an_hour_and_reads_of_no_other_tenant() {
        let noted = |before: Option<&IngestionStatus>, pools: Option<IngestionStatus>, has_asked| {
            of_the_pool(Clock::new(1), before, pools.as_ref(), has_asked)
        };
        let first = noted(None, Some(job("COMPLETE", Some(0), None)), false).unwrap();
        assert!(
            first.failure_reasons.is_empty() && first.last_job_id.is_none() && first.statistics.is_none()
        );
        assert_eq!(first.looked(), first.finished_time.as_ref());
        assert_eq!(noted(None, None, false), None);
        for (pools, has_asked, is_noted) in [
            (None, false, false),
            (Some(job("COMPLETE", Some(59), None)), false, false),
            (Some(job("COMPLETE", Some(60), None)), false, true),
            (Some(job("COMPLETE", Some(0), Some(59))), false, false),
            (Some(job("COMPLETE", Some(0), Some(60))), false, true),
            (Some(job("COMPLETE", Some(1), None)), true, true),
            (Some(job("IN_PROGRESS", None, Some(90))), true, false),
            (Some(job("FAILED", Some(90), None)), true, false),
        ] {
            let after = noted(Some(&first), pools.clone(), has_asked);
            assert_eq!(after != Some(first.clone()), is_noted, "{pools:?}, asked: {has_asked}");
            assert!(after.is_some(), "what is known stays");
        }
        let looked = noted(Some(&first), Some(job("COMPLETE", Some(0), Some(60))), false).unwrap();
        assert_eq!(looked.looked(), looked.last_look_time.as_ref());
    }

    /// `Synced` is the last word of a job, and no word on documents that nobody can look after.
    #[test]
    fn documents_that_cannot_be_looked_after_are_not_said_to_be_current() {
        let fault = |class| Fault {
            class,
            service: "bedrock",
            operation: "ListIngestionJobs",
            resource: "KB1".into(),
            code: "Code".into(),
            message: "AWS says no".into(),
            request_id: None,
        };
        let synced =
            || Some(Documents { current: Some(true), reason: Reason::Synced, message: "job 1".into() });
        let minutes = |minutes: u64| Some(Duration::from_secs(minutes * 60));
        let (no, unknown) = (Some(false), None);
        for (class, lasts, last, current, reason) in [
            (Class::Denied, None, synced(), no, Reason::Denied),
            (Class::Invalid, None, None, no, Reason::Invalid),
            (Class::Transient, None, synced(), Some(true), Reason::Synced),
            (Class::Transient, None, None, unknown, Reason::Transient),
            (Class::Transient, minutes(3), synced(), unknown, Reason::Transient),
            (Class::Throttled, minutes(3), None, unknown, Reason::Throttled),
            (Class::Unnamed, minutes(3), synced(), unknown, Reason::Transient),
            (Class::Unnamed, minutes(31), synced(), no, Reason::DeadlineExceeded),
            (Class::Transient, minutes(31), synced(), no, Reason::DeadlineExceeded),
        ] {
            let told = failing(&fault(class), lasts, last);
            assert_eq!((told.current, told.reason), (current, reason), "{class:?} {lasts:?}");
            let says_why = told.message.contains("AWS says no");
            assert!(says_why || reason == Reason::Synced, "{told:?}");
            assert!(!told.message.contains("spec"), "documents are no spec: {told:?}");
        }
    }
}
