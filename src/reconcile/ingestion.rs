//! The last step of a pass: the documents, once the knowledge base is whole.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::context::Context;
use crate::api::{IngestionSettings, IngestionStatus, Layer, Pattern, Reason, Status};
use crate::clock::earliest;
use crate::documents::failures::{ByTenant, Failures};
use crate::documents::findings::Findings;
use crate::documents::job_size::Size;
use crate::documents::schedule::Ask;
use crate::documents::source::Source;
use crate::documents::sync::{self, Remembered, Synced};
use crate::stack::cron::Schedule;
use crate::stack::fault::Fault;
use crate::stack::identity::Identity;
use crate::stack::job::JobSummary;
use crate::stack::layout::ledger_key;
use crate::stack::model::outcome::Documents;
use crate::stack::model::progress::STALLED;

/// What the last step came to.
pub struct LastStep {
    /// The condition.
    pub documents: Documents,
    /// The last job, if it was looked at.
    pub ingestion: Option<IngestionStatus>,
    /// When to look again.
    pub look_again: Option<Duration>,
    /// A passing failure.
    pub fault: Option<Fault>,
    /// All jobs, newest first, if they were looked at.
    pub jobs: Vec<JobSummary>,
    /// What a review found, if that is news.
    pub findings: Option<Findings>,
    /// How many documents the last review found under tenantIds that are nobody's.
    pub unclaimed: Option<usize>,
    /// What of a pool's documents could not be indexed, if that is news.
    pub failures: Option<ByTenant>,
}

/// Where a status says the documents are.
pub fn source<'a>(
    status: &Status,
    owner: &Identity,
    approved: Option<&str>,
    ingestion: Option<&IngestionSettings>,
) -> Option<Source<'a>> {
    Some(Source {
        ledger: ledger_key(owner),
        pool: None,
        merges: false,
        some_were_told: false,
        limit: Size::OF_A_JOB,
        leaving: BTreeSet::new(),
        owner: owner.owner.clone(),
        owner_uid: owner.uid.clone(),
        approved: approved.map(Into::into),
        knowledge_base_id: status.knowledge_base_id.clone()?,
        data_source_id: status.data_source_id.clone()?,
        bucket: status.bucket.clone()?,
        prefix: status.prefix.clone()?,
        // One that cannot be read was not accepted.
        schedule: ingestion.filter(|it| !it.suspend).and_then(|it| Schedule::parse(it).ok()),
    })
}

/// What stands for a job that must come first: the index was made anew, and until everything is embedded again nobody
/// finds what they found yesterday.
const REFILLING: &str = "REFILLING";

/// Notes that the documents have a new data source, and says while they are not all embedded again. The status is the
/// memory: the note is replaced by the job that ends it.
pub fn refilling(before: &Status, status: &mut Status, step: &LastStep) -> Option<(Reason, String)> {
    let note = |status: &Status| {
        status.ingestion.as_ref().and_then(|i| i.last_status.clone()).as_deref() == Some(REFILLING)
    };
    let renewed = before.data_source_id.is_some()
        && status.data_source_id.is_some()
        && status.data_source_id != before.data_source_id;
    if !renewed && !note(before) {
        return None;
    }
    let filled = !renewed && step.jobs.iter().any(|job| job.status == "COMPLETE");
    if filled || step.documents.reason == Reason::NoDocuments {
        return None;
    }
    status.ingestion =
        Some(IngestionStatus { last_status: Some(REFILLING.into()), ..IngestionStatus::default() });
    let message = "The index was lost and is made anew; Ready again when every document is embedded again";
    Some((Reason::Updating, message.into()))
}

/// Puts down what of a pool's documents could not be indexed, and wakes those whose documents failed or recovered.
pub fn tell_tenants(cx: &Context, stack: &str, failures: ByTenant) {
    let failures = Arc::new(failures);
    let before = cx.failures.lock().insert(stack.into(), failures.clone());
    cx.wake_tenants(|tenant| {
        let (id, status) = (&tenant.spec.tenant_id, tenant.status.as_ref());
        let is_news = match &before {
            Some(before) => before.get(id) != failures.get(id),
            // After a restart, what was known is what its status says.
            None => {
                failures.contains_key(id)
                    || status.is_some_and(|it| Documents::last(&it.conditions).is_some())
            }
        };
        tenant.spec.pattern == Pattern::Pool && tenant.spec.borrows_from(stack) && is_news
    });
}

/// What of a Pool tenant's documents could not be indexed; its last word stands until that is known.
pub fn of_pool_tenant(cx: &Context, stack: &str, tenant_id: &str, before: &Status) -> Option<Documents> {
    match cx.failures.get(stack) {
        Some(failures) => failures.get(tenant_id).map(Failures::verdict),
        None => Documents::last(&before.conditions),
    }
}

/// Looks after the documents. A failure here is news of the documents, never of the stack: `Ready` stays as it is.
pub async fn last_step(
    cx: &Context,
    source: Option<&Source<'_>>,
    asks: &[Ask],
    before: &Status,
    remembered: &mut Remembered,
) -> LastStep {
    let nothing = |documents| LastStep {
        documents,
        ingestion: None,
        look_again: None,
        fault: None,
        jobs: Vec::new(),
        findings: None,
        unclaimed: None,
        failures: None,
    };
    let last = Documents::last(&before.conditions);
    let Some(source) = source.filter(|_| !cx.settings.read_only) else {
        return nothing(last.unwrap_or(Documents {
            current: None,
            reason: Reason::waiting_for(Layer::KnowledgeBase),
            message: "Documents are read once the knowledge base is ready".into(),
        }));
    };
    if let Some(wait) = cx.turns.too_early(&source.knowledge_base_id)
        && let Some(last) = &last
    {
        return LastStep { look_again: Some(wait), ..nothing(last.clone()) };
    }
    let reported = before.ingestion.as_ref();
    let started = Instant::now();
    match sync::step(&cx.aws, source, asks, reported, remembered, &cx.turns, &cx.reviews).await {
        Ok(Synced { documents, ingestion, cadence, due_in, jobs, findings, unclaimed, failures }) => {
            let waited =
                jobs.first().map_or_else(|| cx.clock.since(started), |job| cx.clock.since_stamp(job.started));
            let look_again = earliest(cadence.and_then(|cadence| cadence.look_again(waited)), due_in);
            LastStep { documents, ingestion, look_again, fault: None, jobs, findings, unclaimed, failures }
        }
        Err(fault) => match (fault.class.needs_person(), last) {
            (Some(reason), _) => LastStep {
                look_again: Some(STALLED),
                ..nothing(Documents { current: Some(false), reason, message: fault.to_string() })
            },
            (None, last) => {
                let unknown =
                    Documents { current: None, reason: Reason::Transient, message: fault.to_string() };
                LastStep { fault: Some(fault), ..nothing(last.unwrap_or(unknown)) }
            }
        },
    }
}
