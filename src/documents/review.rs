//! A review of all documents before a job, as a value: it goes on for a while, and another pass goes on where it stopped.
//!
//! It goes over the keys in their order. A tenant of a pool that has many documents waits until the others are done. Then a
//! job may start, and the tenants that have waited take turns. The [`index`](super::index) of the ledger has what has been gone over. A
//! process that has forgotten a review lists again what the ledger knows, and looks into nothing twice.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::findings::Findings;
use super::index::Span;
use super::job_size::{self, Cuts};
use super::ledger_index::LedgerIndex;
use super::range::Range;
use super::reviews::{Progress, Reviews};
use super::schedule::{self, Ask};
use super::scope::Scope;
use super::walk::{Left, Until, Walk};
use crate::aws::{Away, Aws};
use crate::stack::fault::Fault;
use crate::stack::job::JobSummary;

/// How long a pass reviews before it reports and goes on.
pub const SLICE: Duration = Duration::from_secs(30);
/// How long a job waits, which somebody has asked for, while nothing has changed but with tenants of whom there is much.
const PATIENCE: Duration = Duration::from_secs(600);
/// So many objects of one tenant are gone over before it is the next one's turn.
const TURN: usize = 20_000;
/// What a review has seen is true for so long, or for as long as it took: what it saw first is as old anyway.
const FRESH: Duration = Duration::from_secs(60);

/// Who waits for a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// A job must start, whatever it finds.
    Needed,
    /// A job must start if something has changed: as soon as that is known, except of those of whom there is much.
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

/// A review that is under way, or over.
#[derive(Debug)]
pub struct Review {
    /// When it was begun: what comes later, it may not have seen.
    pub began: Timestamp,
    /// What it was begun for. What is asked for after that waits for the next.
    asks: Vec<Ask>,
    /// The index of the ledger.
    ledger: LedgerIndex,
    /// What comes first,
    first: VecDeque<Range>,
    /// what is looked over again, because something of it must wait,
    again: VecDeque<Range>,
    /// and what takes turns after it.
    later: VecDeque<Range>,
    /// Whether something has changed of those who are not among the latter.
    others_changed: bool,
    /// How long it has worked for a job, those before it included from whom it has what was left for later.
    worked: Duration,
    /// How long it has worked itself,
    took: Duration,
    /// and when it did last.
    saw_last: Instant,
    /// The job after which it was begun, if it was because that has ended.
    after: Option<String>,
    /// Whether it waits for its turn to start a job.
    waits_for_turn: bool,
    /// What must wait, because the job would be too large; `None` until that is known.
    cuts: Option<Cuts>,
    /// What it has found,
    pub findings: Findings,
    /// and whether that has been told.
    is_told: bool,
}

impl Review {
    /// A new one. What the one before has left for later stays so, if it has seen all the rest. Answers also with what that
    /// has found and nobody was told, if it has moved something.
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
            findings: Findings::default(),
            is_told: false,
        }
    }

    /// What it was begun for, and no job has served.
    pub fn asks(&self, jobs: &[JobSummary]) -> Vec<&Ask> {
        schedule::open(&self.asks, jobs)
    }

    /// One of everything because a job has ended, or the one that was begun for that.
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

    /// Whether it was begun for this too.
    pub fn serves(&self, ask: &Ask) -> bool {
        self.asks.contains(ask)
    }

    /// What it has found, if it has moved something and nobody was told.
    pub(super) fn untold(&self) -> Option<Findings> {
        let Findings { corrected, quarantined, set_aside, lost, .. } = &self.findings;
        let has_moved = corrected.count + quarantined.count + set_aside.len() + lost.len() > 0;
        (!self.is_told && has_moved).then(|| self.findings.clone())
    }

    /// A person must answer first. Then everything is looked at anew: it is begun for nothing, and nobody goes on with it.
    pub fn waits_for_a_person(self) -> Self {
        Self { asks: Vec::new(), ..self }
    }

    /// It waits for its turn to start a job.
    pub fn waits_for_turn(self) -> Self {
        Self { waits_for_turn: true, ..self }
    }

    /// Whether it does.
    pub fn is_waiting_for_turn(&self) -> bool {
        self.waits_for_turn
    }

    /// Whether what it has seen is still to be relied upon: nobody left it lying.
    pub fn is_fresh(&self) -> bool {
        self.saw_last.elapsed() <= FRESH.max(self.took)
    }

    /// Whether it has not seen all that comes first.
    pub fn is_under_way(&self) -> bool {
        !self.first.is_empty()
    }

    /// Whether everything was looked at.
    pub fn is_whole(&self) -> bool {
        self.first.is_empty() && self.later.is_empty()
    }

    /// Whether it has found what a job must make true, or an earlier one has not.
    pub fn has_news(&self, jobs: &[JobSummary]) -> bool {
        self.findings.changed > 0 || self.ledger.index.is_open(jobs)
    }

    /// Whether something was made true by no job.
    pub fn is_open(&self, jobs: &[JobSummary]) -> bool {
        self.ledger.index.is_open(jobs)
    }

    /// What it has found, if that was not told yet.
    pub fn news(&mut self) -> Option<Findings> {
        (!std::mem::replace(&mut self.is_told, true)).then(|| self.findings.clone())
    }

    /// Whose documents are not all looked at.
    pub fn behind(&self) -> BTreeSet<&str> {
        self.later.iter().filter_map(|range| range.tenant.as_deref()).collect()
    }

    /// Whether so many tenants may have lost so much that a person must be asked. Nobody knows yet what those have lost of
    /// whom there is much, if they had something: only when all have been looked at the question is the same each time.
    fn may_be_bereft(&self) -> bool {
        let unknown = self.later.iter().filter(|range| range.may_lose);
        let unknown = unknown.filter_map(|range| range.tenant.as_deref()).collect();
        self.findings.may_be_bereft(&unknown)
    }

    /// What is next.
    fn next(&mut self) -> Option<(Order, Range)> {
        let order = |order, ranges: &mut VecDeque<Range>| Some((order, ranges.pop_front()?));
        order(Order::First, &mut self.first)
            .or_else(|| order(Order::Again, &mut self.again))
            .or_else(|| order(Order::Later, &mut self.later))
    }

    /// Whether the job that may start now is no larger than AWS allows, or as small as it can be made. If not, those whose
    /// newest documents must wait are looked over again.
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

    /// Whether enough was looked at. Those of whom there is much keep nobody waiting, and go on while the job runs.
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

    /// Goes on until a job may start, or for a while; whether one may.
    pub async fn go(
        &mut self,
        aws: &Aws,
        scope: &Scope<'_>,
        jobs: &[JobSummary],
        haste: Haste,
        reviews: &Reviews,
        slice: Duration,
    ) -> Result<bool, Fault> {
        // Meanwhile others have its place: it mostly waits for S3.
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
        Walk { aws, scope, jobs, cuts, since, store, findings: &mut self.findings, progress }
    }

    /// Notes what a turn has left of a range, and whether something of it has changed so far.
    fn note(&mut self, order: Order, left: Left, has_changed: bool) {
        let Left { ahead, later, others_changed } = left;
        self.later.extend(later);
        match order {
            Order::First => {
                ahead.into_iter().for_each(|range| self.first.push_front(range));
                self.others_changed |= others_changed;
            }
            Order::Again => ahead.into_iter().for_each(|range| self.again.push_front(range)),
            // A tenant that is done waits for no other. Its changes are for the next job.
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

    /// A job is to be started for all for which none was. The ledger says so before it is, so that no job is without its
    /// ledger, and by the job's description, in case that it does not come.
    pub async fn claim(
        &mut self,
        aws: &Aws,
        scope: &Scope<'_>,
        description: &str,
        jobs: &[JobSummary],
    ) -> Result<(), Fault> {
        // What was written while tenants might write such files has not been looked at before all was.
        self.ledger.index.may_name_others =
            scope.all_first || (self.ledger.index.may_name_others && !self.is_whole());
        self.ledger.index.claim(description, jobs);
        self.ledger.save(aws, scope).await
    }

    /// The job has started. What is left for later goes on, and is what the next is asked for.
    pub fn rest(mut self, job: &str) -> Option<Self> {
        self.asks = vec![Ask::Rest(job.into())];
        let findings = self.findings.forgotten();
        let rest = Self { findings, others_changed: false, waits_for_turn: false, cuts: None, ..self };
        (!rest.later.is_empty()).then_some(rest)
    }
}

#[cfg(test)]
mod tests;
