//! The last step of the pass that owns a knowledge base. It looks at the jobs of the data source, and starts the next job
//! when there is a reason for one.

mod condition;
mod inputs;
mod last_job;
mod look_after;
mod unindexed;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use self::condition::Facts;
pub use self::inputs::Inputs;
use self::last_job::{describe, seconds};
use self::look_after::{LookedAfter, Reviewed, look_after};
use self::unindexed::Unindexed;
use super::begin::{Begun, Outlook, begin, look};
use super::failures::ByTenant;
use super::findings::Findings;
use super::job_slots::{JobSlot, Permit};
use super::kept::Kept;
use super::review::{Haste, SLICE};
use super::schedule::{self, Ask, Seen};
use super::source::Source;
use super::tally::{Tallies, Tally};
use crate::api::{IngestionStatus, Reason};
use crate::stack::fault::Fault;
use crate::stack::job::JobSummary;
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

/// What a process remembers of a source. A process that has forgotten it looks once more.
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
    /// The review after a job.
    reviewed: Reviewed,
    /// Which of a pool's documents are not indexed.
    unindexed: Unindexed,
    /// How many documents the last review found under tenantIds that no Tenant has,
    unclaimed: Option<usize>,
    /// and how many of each tenant.
    tallies: Tallies,
}

impl Remembered {
    /// Whether it is as before the first look.
    pub fn is_blank(&self) -> bool {
        let Self { since, settled, looked, review, reviewed, unindexed, unclaimed, tallies } = self;
        since.is_none()
            && settled.is_empty()
            && looked.is_none()
            && review.is_blank()
            && *reviewed == Reviewed::default()
            && *unindexed == Unindexed::default()
            && unclaimed.is_none()
            && tallies.is_empty()
    }
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
    /// How many documents the last review found under tenantIds that no Tenant has.
    pub unclaimed: Option<usize>,
    /// How many documents the last review found, if that is news: of a knowledge base of a tenant's own,
    pub tally: Option<Tally>,
    /// or of each tenant of a pool.
    pub tallies: Option<Tallies>,
    /// What of a pool's documents the last job could not index, if that is news.
    pub failures: Option<ByTenant>,
}

impl Synced {
    /// Nothing was looked at: this is told of it.
    pub fn unseen(documents: Documents) -> Self {
        Self {
            documents,
            ingestion: None,
            cadence: None,
            due_in: None,
            jobs: Vec::new(),
            findings: None,
            unclaimed: None,
            tally: None,
            tallies: None,
            failures: None,
        }
    }
}

/// How far the next job has come. A step goes from state to state until it can go no farther now.
enum State<'a> {
    /// No job is to be started now.
    Idle,
    /// A job is asked for, and none runs.
    Wanted,
    /// The documents are reviewed. A knowledge base that has waited for a job slot reviews while it has the slot. So no other
    /// takes the slot meanwhile.
    Review(Option<Permit<'a>>),
    /// The review has found a reason for a job.
    Reviewed(Option<Permit<'a>>),
    /// This knowledge base has a job slot.
    Start(Permit<'a>),
    /// The job waits for a slot. The slot is asked for again after this time.
    WaitsForTurn(Duration),
    /// The job waits for a person: what to tell.
    WaitsForPerson(Reason, String),
}

/// Looks at the jobs, and starts the one that is due.
pub async fn step(inputs: Inputs<'_>, remembered: &mut Remembered) -> Result<Synced, Fault> {
    let mut step = Step::observe(inputs, remembered).await?;
    let mut state = step.first();
    let state = loop {
        state = match state {
            State::Wanted => step.wanted(),
            State::Review(permit) => step.review(permit).await?,
            State::Reviewed(permit) => step.reviewed(permit),
            State::Start(permit) => step.start(permit).await?,
            end @ (State::Idle | State::WaitsForTurn(_) | State::WaitsForPerson(..)) => break end,
        };
    };
    step.review_the_rest(&state).await?;
    step.report(state).await
}

/// A step under way.
struct Step<'a, 'r> {
    inputs: Inputs<'a>,
    remembered: &'r mut Remembered,
    /// When it began, as schedules see it.
    now: Timestamp,
    /// All jobs, newest first.
    jobs: Vec<JobSummary>,
    /// Whether one of them runs.
    running: bool,
    /// Why a job is wanted.
    asks: Vec<Ask>,
    /// Whether another job may follow the last.
    rested: bool,
    /// How long the class of its tenant leaves the next job waiting.
    spaced: Option<Duration>,
    /// Whether a review is to go on at once.
    goes_on: bool,
    /// What a review found.
    findings: Option<Findings>,
}

impl<'a, 'r> Step<'a, 'r> {
    async fn observe(inputs: Inputs<'a>, remembered: &'r mut Remembered) -> Result<Self, Fault> {
        let Inputs { source, reported, job_slots, .. } = inputs;
        let jobs = list(inputs).await?;
        let running = job_slots.listed(&source.knowledge_base_id, &source.owner_uid, &jobs);
        let now = job_slots.now();
        remembered.looked =
            remembered.looked.max(reported.and_then(|it| Some(it.last_look_time.as_ref()?.0)));
        let mut asks = asked(inputs, &jobs, remembered, now);
        let (goes_on, findings) =
            match look_after(inputs, &jobs, &remembered.review, &mut remembered.reviewed).await? {
                LookedAfter::NotNeeded => (false, None),
                LookedAfter::GoesOn => (true, None),
                LookedAfter::Found(found) => (false, Some(*found)),
            };
        asks.extend(remembered.reviewed.fooled.clone().map(Ask::Corrected));
        if !jobs.iter().any(|job| job.status != "FAILED") && !is_empty(inputs).await? {
            asks.push(Ask::First);
        }
        let open = schedule::open(&asks, &jobs);
        let rested = jobs.first().is_none_or(|last| is_rested(last, &open, job_slots.since(last.updated)));
        let last = spacing(&jobs);
        let spaced = last.and_then(|last| left(source.between, job_slots.since(last.started)));
        Ok(Self { inputs, remembered, now, jobs, running, asks, rested, spaced, goes_on, findings })
    }

    /// What is asked for, and no job has served.
    fn open(&self) -> Vec<&Ask> {
        schedule::open(&self.asks, &self.jobs)
    }

    fn first(&self) -> State<'a> {
        if self.open().is_empty() || !self.rested || self.spaced.is_some() {
            self.withdraw();
            State::Idle
        } else if self.running || self.goes_on {
            State::Idle
        } else {
            State::Wanted
        }
    }

    fn wanted(&self) -> State<'a> {
        if !self.remembered.review.waits_for_turn() {
            return State::Review(None);
        }
        match self.job_slot() {
            JobSlot::Wait(wait) => State::WaitsForTurn(wait),
            JobSlot::Yours(permit) => State::Review(Some(permit)),
        }
    }

    async fn review(&mut self, permit: Option<Permit<'a>>) -> Result<State<'a>, Fault> {
        let Inputs { aws, source, reviews, .. } = self.inputs;
        let kept = &self.remembered.review;
        let (outlook, found) =
            look(aws, source, &self.open(), &self.jobs, kept, reviews, permit.is_some()).await?;
        if let Some(found) = found {
            self.findings = Some(found.after(self.findings.take()));
        }
        Ok(match outlook {
            Outlook::Ready => State::Reviewed(permit),
            Outlook::GoesOn => {
                self.goes_on = true;
                State::Idle
            }
            Outlook::Unchanged(settled, looked) => {
                self.withdraw();
                self.remembered.looked = self.remembered.looked.max(Some(looked));
                self.remembered.settled.extend(settled.iter().map(Ask::words));
                self.asks.retain(|ask| !self.remembered.settled.contains(&ask.words()));
                State::Idle
            }
            Outlook::Waits(reason, message) => {
                self.withdraw();
                State::WaitsForPerson(reason, message)
            }
        })
    }

    fn reviewed(&self, permit: Option<Permit<'a>>) -> State<'a> {
        match permit.map_or_else(|| self.job_slot(), JobSlot::Yours) {
            JobSlot::Wait(wait) => State::WaitsForTurn(wait),
            JobSlot::Yours(permit) => State::Start(permit),
        }
    }

    async fn start(&mut self, permit: Permit<'a>) -> Result<State<'a>, Fault> {
        let Inputs { aws, source, job_slots, .. } = self.inputs;
        match begin(aws, source, permit, &self.jobs, &self.remembered.review).await? {
            Begun::Started => {
                self.jobs = list(self.inputs).await?;
                self.running = job_slots.listed(&source.knowledge_base_id, &source.owner_uid, &self.jobs);
                // The status tells of the job before the review goes on.
                self.goes_on = !self.remembered.review.behind().is_empty();
                Ok(State::Idle)
            }
            // The answer says when to look again. If it could be now, a moment later is soon enough.
            Begun::NoSlot => Ok(match self.job_slot() {
                JobSlot::Wait(wait) => State::WaitsForTurn(wait),
                JobSlot::Yours(_) => State::WaitsForTurn(SOON),
            }),
        }
    }

    /// While a job runs or waits for a slot, the review goes on with what it left for later.
    async fn review_the_rest(&mut self, state: &State<'a>) -> Result<(), Fault> {
        let Inputs { aws, source, reviews, .. } = self.inputs;
        let kept = &self.remembered.review;
        if !self.goes_on
            && (self.running || matches!(state, State::WaitsForTurn(_)))
            && !kept.behind().is_empty()
            && let Some(review) = kept.take()
        {
            let (scope, pace) = (source.scope(), (Haste::None, SLICE));
            let (review, is_over) = kept.go(review, aws, &scope, &self.jobs, pace, reviews).await?;
            self.goes_on = !is_over;
            kept.keep(review);
        }
        Ok(())
    }

    async fn report(mut self, state: State<'a>) -> Result<Synced, Fault> {
        let Inputs { aws, source, reported, job_slots, .. } = self.inputs;
        let ingestion = match self.jobs.first() {
            None => None,
            Some(last) => Some(IngestionStatus {
                last_look_time: self.remembered.looked.map(|at| Time(seconds(at))),
                ..describe(aws, source, last, reported).await?
            }),
        };
        let (asked, cadence) = (self.is_asked(), self.cadence(&state));
        let waits_by_class = self.spaced.is_some() && !self.running && !self.open().is_empty();
        let behind = self.remembered.review.behind();
        if let Some(findings) = &mut self.findings {
            // Of tenants that are behind, the last count stands.
            let before = self.remembered.unclaimed.filter(|_| !behind.is_empty());
            self.remembered.unclaimed = before.or(Some(findings.unclaimed));
            self.remembered.unindexed.keep_of(&behind, findings);
        }
        let counted = self.findings.as_ref().map(|found| (found.total(), found.by_class()));
        let (tally, tallies) = match counted {
            Some((_, mut each)) if source.pool.is_some() => {
                // Of tenants that are behind, the last count stands.
                for tenant in &behind {
                    match self.remembered.tallies.get(tenant) {
                        Some(before) => drop(each.insert(tenant.clone(), before.clone())),
                        None => drop(each.remove(tenant)),
                    }
                }
                self.remembered.tallies.clone_from(&each);
                (None, Some(each))
            }
            Some((total, _)) => (Some(total), None),
            None => (None, None),
        };
        let (jobs, findings) = (self.jobs, self.findings);
        let failures = self.remembered.unindexed.news(self.inputs, &jobs, findings.as_ref()).await;
        let documents = match state {
            State::WaitsForPerson(reason, message) => Documents { current: Some(false), reason, message },
            _ => {
                let waits = matches!(state, State::WaitsForTurn(_));
                let spaced = waits_by_class;
                let (last, skipped) = (ingestion.as_ref(), self.remembered.unindexed.skipped());
                Facts { source, asked, waits, spaced, jobs: &jobs, last, skipped, behind: &behind }
                    .documents()
            }
        };
        let due_in = source.schedule.as_ref().and_then(|it| schedule::due_in(it, self.now, job_slots.now()));
        let unclaimed = self.remembered.unclaimed;
        Ok(Synced {
            documents,
            ingestion,
            cadence,
            due_in,
            jobs,
            findings,
            unclaimed,
            tally,
            tallies,
            failures,
        })
    }

    /// Whether a job was asked for and has not ended. Neither a job of the schedule counts, nor one for what another job
    /// left: they do not change the condition. Nor does what rests after a job that failed: why it failed is told meanwhile.
    fn is_asked(&self) -> bool {
        if !self.rested {
            return false;
        }
        let counts = |ask: &Ask| !matches!(ask, Ask::Due(_) | Ask::Rest(_));
        let serves = |job: &JobSummary| self.asks.iter().any(|ask| counts(ask) && ask.is_served_by(job));
        self.open().into_iter().any(counts) || self.jobs.iter().any(|job| job.is_running() && serves(job))
    }

    /// When to look again.
    fn cadence(&self, state: &State<'a>) -> Option<Cadence> {
        let wait = match state {
            _ if self.goes_on => Duration::ZERO,
            _ if self.running => return Some(Cadence::Steady),
            State::WaitsForTurn(wait) => *wait,
            State::WaitsForPerson(..) => WAITING,
            _ if !self.open().is_empty() && self.spaced.is_some() => self.spaced.unwrap_or(SOON),
            _ if !self.open().is_empty() && self.rested => SOON,
            _ if !self.open().is_empty() => AFTER_FAILURE,
            _ if self.jobs.is_empty() => EMPTY_PREFIX,
            _ => return None,
        };
        Some(Cadence::After(wait))
    }

    /// Asks for a job slot for all that is open. An ask without a moment is as old as the first time that a slot was asked for.
    fn job_slot(&self) -> JobSlot<'a> {
        let Inputs { source, job_slots, .. } = self.inputs;
        let open = self.open();
        let since = open.iter().filter_map(|ask| match ask {
            Ask::Due(at) => Some(*at),
            Ask::Moved(at) => Some(job_slots.calendar(*at)),
            Ask::First | Ask::Request(_) | Ask::Corrected(_) | Ask::Rest(_) => None,
        });
        let urgent = open.iter().any(|ask| ask.is_urgent());
        job_slots.ask(&source.knowledge_base_id, &source.owner, since.min(), urgent)
    }

    /// Asks for no job slot any more.
    fn withdraw(&self) {
        self.inputs.job_slots.withdraw(&self.inputs.source.knowledge_base_id);
    }
}

async fn list(inputs: Inputs<'_>) -> Result<Vec<JobSummary>, Fault> {
    let Source { knowledge_base_id, data_source_id, .. } = inputs.source;
    inputs.aws.jobs.list(knowledge_base_id, data_source_id).await
}

/// Whether nothing lies under the prefix.
async fn is_empty(inputs: Inputs<'_>) -> Result<bool, Fault> {
    let Source { bucket, prefix, .. } = inputs.source;
    Ok(inputs.aws.objects.list(bucket, prefix, None, Some(1)).await?.objects.is_empty())
}

/// What the schedule, the object and the last job ask for, without what was found to need no job.
fn asked(inputs: Inputs<'_>, jobs: &[JobSummary], remembered: &mut Remembered, now: Timestamp) -> Vec<Ask> {
    let Inputs { source, job_slots, .. } = inputs;
    let seen =
        Seen { since: *remembered.since.get_or_insert_with(Timestamp::now), looked: remembered.looked };
    let schedule = source.schedule.as_ref();
    let due = schedule.and_then(|it| schedule::due(it, jobs, seen, |at| job_slots.calendar(at), now));
    // A description has not room for everything. What the schedule asks for comes first in it.
    let mut asks: Vec<_> = due.into_iter().chain(inputs.asks.iter().cloned()).collect();
    asks.extend(schedule::rest(jobs));
    remembered.settled.retain(|words| asks.iter().any(|ask| ask.words() == *words));
    asks.retain(|ask| !remembered.settled.contains(&ask.words()));
    asks
}

/// The job from whose start the class of a tenant counts. One that failed has indexed nothing, and holds up nobody.
fn spacing(newest_first: &[JobSummary]) -> Option<&JobSummary> {
    newest_first.iter().find(|job| job.status != "FAILED")
}

/// How long is left of a distance.
fn left(between: Duration, since: Duration) -> Option<Duration> {
    between.checked_sub(since).filter(|left| !left.is_zero())
}

/// Whether another job may follow the last, which ended so long ago. A job that failed is left alone for a while, unless
/// somebody has asked since: the cause may be mended.
fn is_rested(last: &JobSummary, open: &[&Ask], ended: Duration) -> bool {
    let anew = |ask: &&Ask| matches!(ask, Ask::Request(_)) && !ask.is_served_by(last);
    last.status != "FAILED" || ended >= AFTER_FAILURE || open.iter().any(anew)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_jobs_lie_as_far_apart_as_the_class_says() {
        let minute = Duration::from_secs(60);
        assert_eq!(left(Duration::ZERO, Duration::ZERO), None, "no class says anything");
        assert_eq!(left(10 * minute, 3 * minute), Some(7 * minute));
        assert_eq!(left(10 * minute, 10 * minute), None);
        assert_eq!(left(10 * minute, 11 * minute), None);
    }

    #[test]
    fn a_job_that_failed_keeps_no_other_at_a_distance() {
        let statuses = |of: &[&str]| of.iter().map(|status| job(status)).collect::<Vec<_>>();
        for (newest_first, expected) in [
            (&[][..], None),
            (&["FAILED"], None),
            (&["COMPLETE", "FAILED"], Some("COMPLETE")),
            (&["FAILED", "FAILED", "COMPLETE"], Some("COMPLETE")),
            (&["IN_PROGRESS", "COMPLETE"], Some("IN_PROGRESS")),
        ] {
            let jobs = statuses(newest_first);
            assert_eq!(spacing(&jobs).map(|it| it.status.as_str()), expected, "{newest_first:?}");
        }
    }

    fn job(status: &str) -> JobSummary {
        JobSummary {
            id: "J".into(),
            status: status.into(),
            description: "first; request before".into(),
            started: jiff::Timestamp::UNIX_EPOCH,
            updated: jiff::Timestamp::UNIX_EPOCH,
            statistics: Default::default(),
        }
    }

    #[test]
    fn a_job_that_failed_is_left_alone_but_for_who_has_asked_since() {
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
