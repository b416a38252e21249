//! The review of all documents before a job. It is a value: a pass works on it for a while, and the next pass goes on where it
//! stopped.
//!
//! A review goes over the keys in their order. A tenant of a pool that has many documents is left for later. A job may start once
//! all others are reviewed. Then the tenants that were left for later take turns. The [`index`](super::index) of the ledger says
//! what has been reviewed. A process that has forgotten a review lists the bucket again, but reads no file that the ledger knows.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::findings::Findings;
use super::index::Span;
use super::job_size::{self, Cuts};
use super::ledger_index::LedgerIndex;
use super::range::Range;
use super::reviews::{Progress, Reviews};
use super::room::Rooms;
use super::schedule::{self, Ask};
use super::scope::Scope;
use super::tally::Tally;
use super::walk::{Left, Until, Walk};
use crate::aws::{Away, Aws};
use crate::stack::fault::Fault;
use crate::stack::job::JobSummary;

/// How long a pass reviews before it reports.
pub const SLICE: Duration = Duration::from_secs(30);
/// How long a job that somebody has asked for waits, if only tenants that were left for later may have changes.
const PATIENCE: Duration = Duration::from_secs(600);
/// How many objects of one tenant are reviewed before the next tenant's turn.
const TURN: usize = 20_000;
/// How long the results of a review count after its last turn. A review that took longer counts for as long as it took: its first
/// results are that old anyway.
const FRESH: Duration = Duration::from_secs(60);

/// Who waits for a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// A job must start, whatever it finds.
    Needed,
    /// A job must start if something has changed. It does not wait for tenants that were left for later.
    IfNews,
    /// No job can start now.
    None,
}

/// Why a range is gone over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    First,
    Again,
    Later,
}

/// A review, finished or not.
#[derive(Debug)]
pub struct Review {
    /// When it began. It may have missed later changes.
    pub began: Timestamp,
    /// Why it began. What is asked for later waits for the next review.
    asks: Vec<Ask>,
    ledger: LedgerIndex,
    /// What is reviewed before a job may start.
    first: VecDeque<Range>,
    /// What is reviewed again, because a part of it must wait for a later job.
    again: VecDeque<Range>,
    /// What was left for later, and takes turns.
    later: VecDeque<Range>,
    /// Whether something has changed that was not left for later.
    others_changed: bool,
    /// How long was worked for the next job, with the reviews before this one that left it something.
    worked: Duration,
    /// How long was worked on this review.
    took: Duration,
    /// When its last turn ended.
    saw_last: Instant,
    /// The job whose end was the reason for it.
    after: Option<String>,
    /// Whether it waits for a job slot.
    waits_for_turn: bool,
    /// Which documents must wait, because the job would be too large. `None`: not known yet.
    cuts: Option<Cuts>,
    /// The tenants whom a limit binds and of whom there was something new.
    rooms: Rooms,
    /// What it has found.
    pub findings: Findings,
    /// Whether the findings were told.
    is_told: bool,
}

impl Review {
    /// A new review. What the one before has left for later stays so, if that one has reviewed all the rest. Answers also what
    /// the one before has moved or corrected and nobody was told of.
    pub async fn anew(
        aws: &Aws,
        scope: &Scope<'_>,
        asks: Vec<Ask>,
        before: Option<Review>,
    ) -> Result<(Self, Option<Findings>), Fault> {
        let untold = before.as_ref().and_then(Self::untold);
        let before = match before {
            Some(before) if before.first.is_empty() => before,
            _ => Self::at_the_beginning(LedgerIndex::read(aws, scope).await?),
        };
        let first = Span::default().without(before.later.iter().map(|range| &range.span));
        let first = first.into_iter().map(Range::new).collect();
        let Review { ledger, later, others_changed, worked, .. } = before;
        let (others_changed, worked) =
            if later.is_empty() { (false, Duration::ZERO) } else { (others_changed, worked) };
        let beginning = Self::at_the_beginning(ledger);
        let review = Self { asks, first, later, others_changed, worked, ..beginning };
        Ok((review, untold))
    }

    fn at_the_beginning(ledger: LedgerIndex) -> Self {
        Self {
            began: Timestamp::now(),
            asks: Vec::new(),
            ledger,
            first: VecDeque::new(),
            again: VecDeque::new(),
            later: VecDeque::new(),
            others_changed: false,
            worked: Duration::ZERO,
            took: Duration::ZERO,
            saw_last: Instant::now(),
            after: None,
            waits_for_turn: false,
            cuts: None,
            rooms: Rooms::default(),
            findings: Findings::default(),
            is_told: false,
        }
    }

    /// The reasons for it that no job has served.
    pub fn asks(&self, jobs: &[JobSummary]) -> Vec<&Ask> {
        schedule::open(&self.asks, jobs)
    }

    /// The review of everything after a job: a new one, or the one that has begun already.
    pub async fn after(
        aws: &Aws,
        scope: &Scope<'_>,
        job: &str,
        before: Option<Review>,
    ) -> Result<(Self, Option<Findings>), Fault> {
        match before {
            Some(before) if before.after.as_deref() == Some(job) => Ok((before, None)),
            before => {
                let (review, untold) = Self::anew(aws, scope, Vec::new(), before).await?;
                Ok((Self { after: Some(job.into()), ..review }, untold))
            }
        }
    }

    /// Whether this is among the reasons for it.
    pub fn serves(&self, ask: &Ask) -> bool {
        self.asks.contains(ask)
    }

    /// The findings, if nobody was told of them and something was moved or corrected.
    pub(super) fn untold(&self) -> Option<Findings> {
        let Findings { corrected, quarantined, set_aside, lost, .. } = &self.findings;
        let has_moved = corrected.count + quarantined.count + set_aside.len() + lost.len() > 0;
        (!self.is_told && has_moved).then(|| self.findings.clone())
    }

    /// A person must answer first. Nobody goes on with this review: everything is reviewed again then.
    pub fn waits_for_a_person(self) -> Self {
        Self { asks: Vec::new(), ..self }
    }

    /// It waits for a job slot.
    pub fn waits_for_turn(self) -> Self {
        Self { waits_for_turn: true, ..self }
    }

    /// Whether it waits for a job slot.
    pub fn is_waiting_for_turn(&self) -> bool {
        self.waits_for_turn
    }

    /// Whether its results still count.
    pub fn is_fresh(&self) -> bool {
        self.saw_last.elapsed() <= FRESH.max(self.took)
    }

    /// Whether something is left to review before a job may start.
    pub fn is_under_way(&self) -> bool {
        !self.first.is_empty()
    }

    /// Whether everything was reviewed.
    pub fn is_whole(&self) -> bool {
        self.first.is_empty() && self.later.is_empty()
    }

    /// Whether it has found something for which a job is needed, or an earlier review has and no job has served it.
    pub fn has_news(&self, jobs: &[JobSummary]) -> bool {
        self.findings.changed > 0 || self.ledger.index.is_open(jobs)
    }

    /// Whether an earlier review has found something that no job has served.
    pub fn is_open(&self, jobs: &[JobSummary]) -> bool {
        self.ledger.index.is_open(jobs)
    }

    /// The findings, if they were not told yet. They count as told then.
    pub fn news(&mut self) -> Option<Findings> {
        (!std::mem::replace(&mut self.is_told, true)).then(|| self.findings.clone())
    }

    /// Tenants whose documents are not all reviewed.
    pub fn behind(&self) -> BTreeSet<&str> {
        self.later.iter().filter_map(|range| range.tenant.as_deref()).collect()
    }

    /// Whether so many tenants may have lost so much that a person must be asked. The losses of tenants that were left for later
    /// are not known yet. The question must name all losses: otherwise it would change, and an approval would not fit it any more.
    fn may_be_bereft(&self) -> bool {
        let unknown = self.later.iter().filter(|range| range.may_lose);
        let unknown = unknown.filter_map(|range| range.tenant.as_deref()).collect();
        self.findings.may_be_bereft(&unknown)
    }

    /// What is reviewed next.
    fn next(&mut self) -> Option<(Order, Range)> {
        let order = |order, ranges: &mut VecDeque<Range>| Some((order, ranges.pop_front()?));
        order(Order::First, &mut self.first)
            .or_else(|| order(Order::Again, &mut self.again))
            .or_else(|| order(Order::Later, &mut self.later))
    }

    /// Whether the next job is no larger than AWS allows, or as small as it can be made. If not, the tenants whose newest documents
    /// must wait are reviewed again.
    fn leaves_room(&mut self, scope: &Scope<'_>) -> bool {
        if self.cuts.is_none() && scope.pool.is_some() {
            let cuts = self.findings.added.cuts(scope.limit);
            let of = |tenant: &String| {
                let span = Range::of(scope.prefix, tenant).span;
                span.without(self.later.iter().map(|range| &range.span))
            };
            self.again = cuts.keys().flat_map(of).map(Range::new).collect();
            self.cuts = Some(cuts);
        }
        self.again.is_empty()
    }

    /// Whether a job may start.
    fn is_ready(&mut self, scope: &Scope<'_>, haste: Haste) -> bool {
        self.has_seen_enough(scope, haste) && self.leaves_room(scope)
    }

    /// Whether enough was reviewed. Others do not wait for tenants that were left for later. Their review goes on while the job
    /// runs.
    fn has_seen_enough(&self, scope: &Scope<'_>, haste: Haste) -> bool {
        let is_waited_for = match haste {
            Haste::Needed => self.others_changed || self.worked >= PATIENCE,
            Haste::IfNews => self.others_changed,
            Haste::None => false,
        };
        let all_first = scope.all_first || self.ledger.index.may_name_others;
        let goes_before = || is_waited_for && !all_first && !self.may_be_bereft();
        self.first.is_empty() && (self.later.is_empty() || goes_before())
    }

    /// Goes on until a job may start, or for a while. Answers whether a job may start.
    pub async fn go(
        &mut self,
        aws: &Aws,
        scope: &Scope<'_>,
        jobs: &[JobSummary],
        haste: Haste,
        reviews: &Reviews,
        slice: Duration,
    ) -> Result<bool, Fault> {
        // A review mostly waits for S3. Another pass has its place meanwhile.
        let _away = Away::now();
        let _place = reviews.place().await;
        let begun = Instant::now();
        self.go_until(aws, scope, jobs, haste, reviews, &|| begun.elapsed() >= slice).await
    }

    async fn go_until(
        &mut self,
        aws: &Aws,
        scope: &Scope<'_>,
        jobs: &[JobSummary],
        haste: Haste,
        reviews: &Reviews,
        is_over: &(dyn Fn() -> bool + Sync),
    ) -> Result<bool, Fault> {
        let (begun, worked, took) = (Instant::now(), self.worked, self.took);
        let mut progress = reviews.begin(scope.owner, &self.findings);
        while !self.is_ready(scope, haste) && !is_over() {
            let Some((order, range)) = self.next() else { break };
            let until = match order {
                Order::First => Until::Enough(is_over),
                Order::Again => Until::Objects(usize::MAX, is_over),
                Order::Later => Until::Objects(TURN, is_over),
            };
            let (has_changed, changed) = (range.has_changed, self.findings.changed);
            let left = self.walk(aws, scope, jobs, order, &mut progress).over(range, until).await?;
            (self.worked, self.took) = (worked + begun.elapsed(), took + begun.elapsed());
            (self.saw_last, self.is_told) = (Instant::now(), false);
            self.note(order, left, has_changed || self.findings.changed > changed);
        }
        let is_ready = self.is_ready(scope, haste);
        if !is_ready {
            self.ledger.save(aws, scope).await?;
        }
        if self.worked != worked {
            self.log(scope, is_ready);
        }
        Ok(is_ready)
    }

    /// A turn over a range.
    fn walk<'a, 'b>(
        &'a mut self,
        aws: &'a Aws,
        scope: &'a Scope<'a>,
        jobs: &'a [JobSummary],
        order: Order,
        progress: &'a mut Progress<'b>,
    ) -> Walk<'a, 'b> {
        let (cuts, since) = (self.cuts.as_ref().filter(|_| order == Order::Again), job_size::since(jobs));
        let store = self.ledger.store(aws, scope);
        let (findings, rooms) = (&mut self.findings, &mut self.rooms);
        Walk { aws, scope, jobs, cuts, since, store, findings, rooms, progress }
    }

    /// Notes what a turn has left of a range. `has_changed` says whether something has changed in the part that was reviewed.
    fn note(&mut self, order: Order, left: Left, has_changed: bool) {
        let Left { ahead, later, others_changed } = left;
        self.later.extend(later);
        match order {
            Order::First => {
                ahead.into_iter().for_each(|range| self.first.push_front(range));
                self.others_changed |= others_changed;
            }
            Order::Again => ahead.into_iter().for_each(|range| self.again.push_front(range)),
            // A tenant that is done waits for no other: the next job may start because of its changes.
            Order::Later => match ahead {
                None => self.others_changed |= has_changed,
                Some(range) => self.later.push_back(Range { has_changed, ..range }),
            },
        }
        if order != Order::Again {
            self.cuts = None;
        }
    }

    fn log(&self, scope: &Scope<'_>, is_ready: bool) {
        let Findings { documents, changed, written, dropped, unclaimed, .. } = self.findings;
        let lost: usize = self.findings.lost.values().map(|names| names.count).sum();
        let (bucket, prefix, behind) = (scope.bucket, scope.prefix, self.later.len());
        tracing::info!(
            bucket,
            prefix,
            documents,
            changed,
            written,
            dropped,
            lost,
            unclaimed,
            behind,
            is_ready,
            "documents reviewed"
        );
    }

    /// Notes in the ledger that a job is to start for everything that no job has served. The ledger is written first, so that no
    /// job is missing in it. It has the job's description, by which it is known later whether the job did start.
    pub async fn claim(
        &mut self,
        aws: &Aws,
        scope: &Scope<'_>,
        description: &str,
        jobs: &[JobSummary],
    ) -> Result<(), Fault> {
        // Tenants might write metadata files until now. One may be wrong until everything is reviewed once more.
        self.ledger.index.may_name_others =
            scope.all_first || (self.ledger.index.may_name_others && !self.is_whole());
        self.ledger.index.claim(description, jobs);
        if scope.pool.is_none() {
            self.ledger.index.count(description, self.findings.total(), jobs);
        }
        self.ledger.save(aws, scope).await
    }

    /// How much there was before the last job of a knowledge base of a tenant's own that came to an end, if that is known.
    pub fn counted(&self, jobs: &[JobSummary]) -> Option<Tally> {
        self.ledger.index.counted(jobs)
    }

    /// The job has started. What was left for later is reviewed on, and is the reason for the next job.
    pub fn rest(mut self, job: &str) -> Option<Self> {
        self.asks = vec![Ask::Rest(job.into())];
        let findings = self.findings.forgotten();
        let rest = Self { findings, others_changed: false, waits_for_turn: false, cuts: None, ..self };
        (!rest.later.is_empty()).then_some(rest)
    }
}

#[cfg(test)]
mod tests;
