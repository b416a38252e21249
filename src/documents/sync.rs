//! The last step of the pass that owns a knowledge base: see what its jobs did, and start the one that is due.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::begin::{Begun, Outlook, begin, look};
use super::failures::{self, ByTenant, NOBODYS, Skipped};
use super::findings::{Findings, Names};
use super::job_slots::{JobSlot, JobSlots};
use super::review::{self, Haste, Kept, Review, SLICE};
use super::reviews::Reviews;
use super::schedule::{self, Ask, Seen};
use super::source::Source;
use crate::api::{IngestionStatistics, IngestionStatus, Reason};
use crate::aws::Aws;
use crate::stack::fault::Fault;
use crate::stack::job::{Job, JobSummary, Statistics};
use crate::stack::model::outcome::Documents;
use crate::stack::model::progress::Cadence;

/// How often an empty prefix is looked into while its knowledge base has had no job.
const EMPTY_PREFIX: Duration = Duration::from_secs(30);
/// How long a failed job is left alone before it is tried again.
const AFTER_FAILURE: Duration = Duration::from_secs(600);
/// How long a job that waits for a person is left alone.
const WAITING: Duration = Duration::from_secs(300);
/// How soon to look again at what is still asked for.
const SOON: Duration = Duration::from_secs(10);

/// What a process remembers of a source; one that forgets looks once more.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    /// When the source was first seen.
    since: Option<Timestamp>,
    /// What was asked for, and needed no job because nothing had changed,
    settled: BTreeSet<String>,
    /// and when that was last looked for.
    looked: Option<Timestamp>,
    /// The review that is under way, or that a job is to follow.
    review: Kept,
    /// The job after which the metadata files were looked at again.
    looked_after: Option<String>,
    /// The job that a corrected one may have fooled.
    fooled: Option<String>,
    /// The job whose failures are known.
    told: Option<String>,
    /// What of a pool's documents that job could not index,
    failed: ByTenant,
    /// and what the last review had to skip; `None` before the first.
    skipped: Option<Skipped>,
    /// How many documents it found under tenantIds that are nobody's.
    unclaimed: Option<usize>,
}

/// What the step found and did.
#[derive(Clone, Debug)]
pub struct Synced {
    /// The condition.
    pub documents: Documents,
    /// The last job, for the status.
    pub ingestion: Option<IngestionStatus>,
    /// When to look again.
    pub cadence: Option<Cadence>,
    /// How long it is until the schedule is due.
    pub due_in: Option<Duration>,
    /// All jobs, newest first.
    pub jobs: Vec<JobSummary>,
    /// What a review found, if that is news.
    pub findings: Option<Findings>,
    /// How many documents the last review found under tenantIds that are nobody's.
    pub unclaimed: Option<usize>,
    /// What of a pool's documents the last job could not index, if that is news.
    pub failures: Option<ByTenant>,
}

/// Looks at the jobs and starts the one that is due. `reported` is the ingestion status that stands: a job that it
/// already describes is not asked about again.
pub async fn step(
    aws: &Aws,
    source: &Source<'_>,
    asks: &[Ask],
    reported: Option<&IngestionStatus>,
    remembered: &mut Remembered,
    job_slots: &JobSlots,
    reviews: &Reviews,
) -> Result<Synced, Fault> {
    let (kb, ds) = (&source.knowledge_base_id, &source.data_source_id);
    let mut jobs = aws.jobs.list(kb, ds).await?;
    let mut running = job_slots.listed(kb, &source.owner_uid, &jobs);
    let now = job_slots.now();
    remembered.looked = remembered.looked.max(reported.and_then(|it| Some(it.last_look_time.as_ref()?.0)));
    let seen =
        Seen { since: *remembered.since.get_or_insert_with(Timestamp::now), looked: remembered.looked };
    let due = source
        .schedule
        .as_ref()
        .and_then(|it| schedule::due(it, &jobs, seen, |at| job_slots.calendar(at), now));
    // What the schedule asks for comes first in a description, which has not room for everything.
    let mut asks: Vec<_> = due.into_iter().chain(asks.iter().cloned()).collect();
    asks.extend(schedule::rest(&jobs));
    remembered.settled.retain(|words| asks.iter().any(|ask| ask.words() == *words));
    asks.retain(|ask| !remembered.settled.contains(&ask.words()));
    let looked_after = look_after(aws, source, &jobs, remembered, reviews).await?;
    let mut goes_on = looked_after == Some(None);
    let mut findings = looked_after.flatten();
    asks.extend(remembered.fooled.clone().map(Ask::Corrected));
    if !jobs.iter().any(|job| job.status != "FAILED") {
        let empty = aws.objects.list(&source.bucket, &source.prefix, None, Some(1)).await?.objects.is_empty();
        if !empty {
            asks.push(Ask::First);
        }
    }
    let open = schedule::open(&asks, &jobs);
    let rested = jobs.first().is_none_or(|last| is_rested(last, &open, job_slots.since(last.updated)));
    let (mut waits, mut large_deletion) = (None, None);
    if open.is_empty() || !rested {
        job_slots.withdraw(kb);
    } else if !running && !goes_on {
        let ask = || turn(source, &open, job_slots);
        // Whoever has waited for its turn looks once more while it has it, so that nobody else takes it meanwhile.
        let had = remembered.review.waits_for_turn().then(ask);
        if let Some(JobSlot::Wait(wait)) = had {
            waits = Some(wait);
        } else {
            let (outlook, found) =
                look(aws, source, &open, &jobs, &remembered.review, reviews, had.is_some()).await?;
            findings = found.map(|found| found.after(findings.take())).or(findings);
            match outlook {
                Outlook::GoesOn => goes_on = true,
                Outlook::Unchanged(settled, looked) => {
                    job_slots.withdraw(kb);
                    remembered.looked = remembered.looked.max(Some(looked));
                    remembered.settled.extend(settled.iter().map(Ask::words));
                    asks.retain(|ask| !remembered.settled.contains(&ask.words()));
                }
                Outlook::Waits(message) => {
                    job_slots.withdraw(kb);
                    large_deletion = Some(message);
                }
                Outlook::Ready => match had.unwrap_or_else(ask) {
                    JobSlot::Wait(wait) => waits = Some(wait),
                    JobSlot::Yours(permit) => {
                        match begin(aws, source, permit, &jobs, &remembered.review).await? {
                            Begun::Started => {
                                jobs = aws.jobs.list(kb, ds).await?;
                                running = job_slots.listed(kb, &source.owner_uid, &jobs);
                                // That is told first.
                                goes_on = !remembered.review.behind().is_empty();
                            }
                            // Whoever asks is told when to look again, and if it is now, that is soon enough.
                            Begun::NoSlot => match ask() {
                                JobSlot::Wait(wait) => waits = Some(wait),
                                JobSlot::Yours(_) => waits = Some(SOON),
                            },
                        }
                    }
                },
            }
        }
    }
    // While a job runs, or waits for its turn, the review goes on with what was left for later.
    if !goes_on
        && (running || waits.is_some())
        && !remembered.review.behind().is_empty()
        && let Some(review) = remembered.review.take()
    {
        let (scope, pace) = (source.scope(), (Haste::None, SLICE));
        let (review, is_over) = remembered.review.go(review, aws, &scope, &jobs, pace, reviews).await?;
        goes_on = !is_over;
        remembered.review.keep(review);
    }
    let open = schedule::open(&asks, &jobs);
    // A job that the schedule asks for flips nothing, nor does what is left of one.
    let wanted = |ask: &Ask| !matches!(ask, Ask::Due(_) | Ask::Rest(_));
    let asked = open.iter().any(|ask| wanted(ask))
        || jobs
            .iter()
            .any(|job| job.is_running() && asks.iter().any(|ask| wanted(ask) && ask.is_served_by(job)));
    let ingestion = match jobs.first() {
        None => None,
        Some(last) => Some(IngestionStatus {
            last_look_time: remembered.looked.map(|at| Time(seconds(at))),
            ..describe(aws, source, last, reported).await?
        }),
    };
    let cadence = if goes_on {
        Some(Cadence::After(Duration::ZERO))
    } else if running {
        Some(Cadence::Steady)
    } else if let Some(wait) = waits {
        Some(Cadence::After(wait))
    } else if large_deletion.is_some() {
        Some(Cadence::After(WAITING))
    } else if !open.is_empty() {
        Some(Cadence::After(if rested { SOON } else { AFTER_FAILURE }))
    } else if jobs.is_empty() {
        Some(Cadence::After(EMPTY_PREFIX))
    } else {
        None
    };
    if let Some(findings) = &mut findings {
        // Of those who are behind the last word stands.
        let behind = remembered.review.behind();
        let before = remembered.unclaimed.filter(|_| !behind.is_empty());
        remembered.unclaimed = before.or(Some(findings.unclaimed));
        if let Some(before) = &remembered.skipped {
            findings.skipped.keep(before, &behind);
        }
    }
    let unclaimed = remembered.unclaimed;
    let failures = failures_of(aws, source, &jobs, findings.as_ref(), remembered).await;
    let documents = match large_deletion {
        Some(message) => Documents { current: Some(false), reason: Reason::LargeDeletion, message },
        None => {
            let skipped = remembered.skipped.as_ref().map(|it| &it.by_tenant);
            let behind = remembered.review.behind();
            verdict(source, asked, waits.is_some(), &jobs, ingestion.as_ref(), skipped, &behind)
        }
    };
    let due_in = source.schedule.as_ref().and_then(|it| schedule::due_in(it, now, job_slots.now()));
    Ok(Synced { documents, ingestion, cadence, due_in, jobs, findings, unclaimed, failures })
}

/// What of a pool's documents could not be indexed: by the last job that went through all of them, and by those that ended
/// in the middle since. It is asked for once, and only if there is something; a process that has just begun asks again.
/// A job is not kept waiting for it: what cannot be had now is asked for at the next look.
async fn failures_of(
    aws: &Aws,
    source: &Source<'_>,
    jobs: &[JobSummary],
    findings: Option<&Findings>,
    remembered: &mut Remembered,
) -> Option<ByTenant> {
    source.pool?;
    let skipped = match (findings, &remembered.skipped) {
        (Some(findings), _) => Some(findings.skipped.clone()),
        // What an earlier process skipped is in the ledger.
        (None, None) if source.some_were_told => review::skipped(aws, &source.scope()).await.ok(),
        (None, None) => Some(Skipped::default()),
        (None, Some(_)) => None,
    };
    let is_news = skipped.is_some() && skipped != remembered.skipped;
    remembered.skipped = skipped.or(remembered.skipped.take());
    let has_failed = failed(aws, source, jobs, remembered).await;
    let skipped = remembered.skipped.as_ref()?;
    (is_news || has_failed).then(|| failures::together(&remembered.failed, &skipped.by_tenant))
}

/// Looks up what the last job could not index; whether that is news.
async fn failed(aws: &Aws, source: &Source<'_>, jobs: &[JobSummary], remembered: &mut Remembered) -> bool {
    let Some(last) = jobs.iter().find(|job| !job.is_running()) else { return false };
    if remembered.told.as_ref() == Some(&last.id) {
        return false;
    }
    let Some(since) = failures::since(jobs) else { return false };
    let mut concerned = jobs.iter().filter(|job| job.started >= since && !job.is_running());
    let any = concerned.any(|job| job.status == "FAILED" || job.statistics.failed > 0);
    let failures = match any {
        true => {
            let skipped = remembered.skipped.clone().unwrap_or_default();
            let (kb, ds) = (&source.knowledge_base_id, &source.data_source_id);
            failures::by_tenant(aws, kb, ds, since, &skipped).await
        }
        false => Ok(ByTenant::new()),
    };
    match failures {
        Ok(failures) => {
            remembered.told = Some(last.id.clone());
            remembered.failed = failures;
            true
        }
        Err(fault) => {
            tracing::warn!(%fault, "what could not be indexed is not known yet");
            false
        }
    }
}

/// Asks for a turn for all that is open; what has no age of its own is as old as its asking.
fn turn<'a>(source: &Source<'_>, open: &[&Ask], job_slots: &'a JobSlots) -> JobSlot<'a> {
    let since = open.iter().filter_map(|ask| match ask {
        Ask::Due(at) => Some(*at),
        Ask::Moved(at) => Some(job_slots.calendar(*at)),
        Ask::First | Ask::Request(_) | Ask::Corrected(_) | Ask::Rest(_) => None,
    });
    let urgent = open.iter().any(|ask| ask.is_urgent());
    job_slots.ask(&source.knowledge_base_id, &source.owner, since.min(), urgent)
}

/// Where tenants may write metadata files of their own, one may have named another tenant after it was reviewed and before
/// the job read it. So all of them are looked at again after each job; a process that has just begun does not know what it
/// corrected before, and takes every change for one.
async fn look_after(
    aws: &Aws,
    source: &Source<'_>,
    jobs: &[JobSummary],
    remembered: &mut Remembered,
    reviews: &Reviews,
) -> Result<Option<Option<Findings>>, Fault> {
    let Some(last) = jobs.first().filter(|last| source.merges && !last.is_running()) else { return Ok(None) };
    if remembered.looked_after.as_ref() == Some(&last.id) {
        return Ok(None);
    }
    let scope = source.scope();
    // If it is cut short, nobody knows what it had corrected.
    let before = remembered.looked_after.take();
    let (review, untold) = Review::after(aws, &scope, &last.id, remembered.review.take()).await?;
    untold.into_iter().for_each(|untold| remembered.review.tell_later(untold));
    let pace = (Haste::None, SLICE);
    let (mut review, is_over) = remembered.review.go(review, aws, &scope, jobs, pace, reviews).await?;
    if is_over {
        let findings = &review.findings;
        let may_have = before.is_none() && (findings.changed_files > 0 || review.is_open(jobs));
        let fooled = findings.corrected.count > 0 || may_have;
        remembered.fooled = fooled.then(|| last.id.clone());
    }
    remembered.looked_after = if is_over { Some(last.id.clone()) } else { before };
    let found = is_over.then(|| remembered.review.news(&mut review)).flatten();
    remembered.review.keep(review);
    Ok(Some(found))
}

/// The status of a job. Failure reasons cost one more call, which is made once, when the job has ended badly.
async fn describe(
    aws: &Aws,
    source: &Source<'_>,
    last: &JobSummary,
    reported: Option<&IngestionStatus>,
) -> Result<IngestionStatus, Fault> {
    let known = reported.filter(|known| {
        known.last_job_id.as_deref() == Some(&last.id) && known.last_status.as_deref() == Some(&last.status)
    });
    if let Some(known) = known {
        return Ok(known.clone());
    }
    let ended = !last.is_running();
    let failed = ended && (last.status == "FAILED" || last.statistics.failed > 0);
    let job: Option<Job> = match failed {
        true => aws.jobs.get(&source.knowledge_base_id, &source.data_source_id, &last.id).await?,
        false => None,
    };
    Ok(IngestionStatus {
        last_job_id: Some(last.id.clone()),
        last_status: Some(last.status.clone()),
        started_time: Some(Time(seconds(last.started))),
        finished_time: ended.then(|| Time(seconds(last.updated))),
        statistics: ended.then(|| statistics(&last.statistics)),
        last_look_time: None,
        failure_reasons: job
            .map(|job| job.failure_reasons.into_iter().take(10).collect())
            .unwrap_or_default(),
    })
}

/// Kubernetes' times have whole seconds; what is written must equal what is read back.
fn seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

fn statistics(job: &Statistics) -> IngestionStatistics {
    IngestionStatistics {
        documents_scanned: job.scanned,
        metadata_documents_scanned: job.metadata_scanned,
        new_documents_indexed: job.new,
        modified_documents_indexed: job.modified,
        metadata_documents_modified: job.metadata_modified,
        documents_deleted: job.deleted,
        documents_failed: job.failed,
    }
}

fn verdict(
    source: &Source<'_>,
    asked: bool,
    waits: bool,
    jobs: &[JobSummary],
    last: Option<&IngestionStatus>,
    skipped: Option<&ByTenant>,
    behind: &BTreeSet<String>,
) -> Documents {
    let Source { bucket, prefix, .. } = source;
    let ended = jobs.iter().find(|job| !job.is_running());
    let (current, reason, mut message) = if asked {
        let message = match waits {
            true => "A job was asked for",
            false => "A job was asked for and has not ended yet",
        };
        let message = message.to_string();
        (Some(false), Reason::SyncRequested, message)
    } else {
        match ended {
            None if jobs.is_empty() => {
                let message =
                    format!("There is no document under s3://{bucket}/{prefix} yet; the first starts a job");
                (Some(true), Reason::NoDocuments, message)
            }
            None => (None, Reason::SyncRequested, "The first job runs".to_string()),
            Some(job) if job.status == "FAILED" => {
                let why = last.map(|last| last.failure_reasons.join("; ")).unwrap_or_default();
                (Some(false), Reason::SyncFailed, format!("Job {} failed: {why}", job.id))
            }
            Some(job) if job.status == "STOPPED" => {
                let message = format!(
                    "Job {} was stopped before its end; set the annotation tenantry.dev/sync-requested-at to a new \
                     value to ask for another",
                    job.id
                );
                (Some(false), Reason::SyncFailed, message)
            }
            // In a pool that is their tenants' matter, each of which is told of its own.
            Some(job) if job.statistics.failed > 0 && source.pool.is_none() => {
                let why = last.map(|last| last.failure_reasons.join("; ")).unwrap_or_default();
                let message = format!(
                    "{} documents could not be indexed by job {}: {why}",
                    job.statistics.failed, job.id
                );
                (Some(false), Reason::DocumentsFailed, message)
            }
            Some(job) => {
                let skipped = skipped.filter(|it| !it.is_empty()).map(told_of).unwrap_or_default();
                let failed = match job.statistics.failed {
                    0 => String::new(),
                    failed => format!(" but {failed}, of which their tenants are told"),
                };
                let looked = last.and_then(IngestionStatus::looked).map(|at| last_looked(at, source));
                let looked = looked.unwrap_or_default();
                let message =
                    format!("Job {} indexed every document it found{failed}{looked}{skipped}", job.id);
                (Some(true), Reason::Synced, message)
            }
        }
    };
    if waits {
        let what = if asked { "; it" } else { ". The job that the schedule asks for" };
        message.push_str(&format!(
            "{what} waits for its turn: AWS runs five at a time in an account, and starts one each ten seconds"
        ));
    }
    if !behind.is_empty() {
        let mut names = Names::default();
        behind.iter().for_each(|tenant| names.add(|| tenant.clone()));
        message.push_str(&format!(". Not all documents of these tenants have been looked at yet: {names}"));
    }
    Documents { current, reason, message }
}

/// When new documents were last looked for, and if that will be so again.
fn last_looked(at: &Time, source: &Source<'_>) -> String {
    let rests = match source.schedule {
        Some(_) => "",
        None => ", and are not again before a job is asked for: `ingestion.suspend` is true",
    };
    format!(". New ones were last looked for at {}{rests}", at.0)
}

/// What a pool says of the documents that its review had to skip: their tenants are told which, and nobody else.
fn told_of(skipped: &ByTenant) -> String {
    let (count, tenants) = (skipped.values().map(|it| it.count).sum::<usize>(), skipped.len());
    let nobodys = skipped.get(NOBODYS).map(|it| format!("; under no tenant: {it}")).unwrap_or_default();
    let documents = if count == 1 { "document was" } else { "documents were" };
    format!(
        ". {count} {documents} skipped, so that no query finds them, under {tenants} of its prefixes{nobodys}"
    )
}
/// Whether another job may follow the last, which ended so long ago. One that failed is left alone for a while, but for
/// whoever has asked since: the cause may be mended.
fn is_rested(last: &JobSummary, open: &[&Ask], ended: Duration) -> bool {
    let anew = |ask: &&Ask| matches!(ask, Ask::Request(_)) && !ask.is_served_by(last);
    last.status != "FAILED" || ended >= AFTER_FAILURE || open.iter().any(anew)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_failed_is_left_alone_but_for_who_has_asked_since() {
        let job = |status: &str| JobSummary {
            id: "J".into(),
            status: status.into(),
            description: "first; request before".into(),
            started: jiff::Timestamp::UNIX_EPOCH,
            updated: jiff::Timestamp::UNIX_EPOCH,
            statistics: Default::default(),
        };
        let [first, before, after] =
            [Ask::First, Ask::Request("before".into()), Ask::Request("after".into())];
        let soon = Duration::from_secs(1);
        for (status, open, ended, expected) in [
            ("FAILED", &[&first, &before][..], soon, false),
            ("FAILED", &[&first, &before], AFTER_FAILURE, true),
            ("FAILED", &[&first, &before, &after], soon, true),
            ("COMPLETE", &[&before], soon, true),
        ] {
            assert_eq!(is_rested(&job(status), open, ended), expected, "{status} {open:?} {ended:?}");
        }
    }
}
