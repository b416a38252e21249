//! A review of all documents before a job, as a value: it goes on for a while, and another pass goes on where it stopped.
//!
//! It goes over the keys in their order, and a tenant of a pool of whom there is much waits until the others are done: then
//! a job may start, and those take turns. What has been gone over is in the [`index`] of the ledger; so whoever forgets a
//! review, because the process ends, lists again what the ledger knows and looks into nothing twice.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;

use super::draft::Store;
use super::failures::Skipped;
use super::findings::Findings;
use super::index::{Index, Span};
use super::job_size::{self, Cuts};
use super::known::{self, Known, index_key, part_key};
use super::reviews::Reviews;
use super::schedule::{self, Ask};
use super::scope::Scope;
use super::walk::{Left, Range, Until, Walk};
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

/// The review of a process, for whoever goes on with it. Whoever takes it and does not come back, because a call failed or
/// the pass ended, has lost it, and the next begins anew with what the ledger knows: an older one may speak of parts that
/// are gone.
#[derive(Clone, Debug, Default)]
pub struct Kept(Arc<Mutex<Slot>>);

#[derive(Debug, Default)]
struct Slot {
    review: Option<Review>,
    /// What reviews that came to nothing have moved or corrected, and nobody was told.
    untold: Option<Findings>,
}

impl Kept {
    /// Takes it.
    pub fn take(&self) -> Option<Review> {
        self.0.lock().review.take()
    }

    /// Keeps it for the next.
    pub fn keep(&self, review: Review) {
        self.0.lock().review = Some(review);
    }

    /// Goes on with a review; whether a job may start. If that fails the review is lost, and what it has moved is told
    /// later.
    pub async fn go(
        &self,
        mut review: Review,
        aws: &Aws,
        scope: &Scope<'_>,
        jobs: &[JobSummary],
        pace: (Haste, Duration),
        reviews: &Reviews,
    ) -> Result<(Review, bool), Fault> {
        match review.go(aws, scope, jobs, pace.0, reviews, pace.1).await {
            Ok(is_ready) => Ok((review, is_ready)),
            Err(fault) => {
                review.untold().into_iter().for_each(|untold| self.tell_later(untold));
                Err(fault)
            }
        }
    }

    /// What a review has found is told with what the next one finds.
    pub fn tell_later(&self, untold: Findings) {
        let mut slot = self.0.lock();
        let earlier = slot.untold.take();
        slot.untold = Some(untold.after(earlier));
    }

    /// What a review has found, if that was not told yet, with what those before it could not tell.
    pub fn news(&self, review: &mut Review) -> Option<Findings> {
        let news = review.news()?;
        let untold = self.0.lock().untold.take();
        Some(news.after(untold))
    }

    /// Whether one waits for its turn to start a job.
    pub fn waits_for_turn(&self) -> bool {
        self.0.lock().review.as_ref().is_some_and(|review| review.waits_for_turn)
    }

    /// Whose documents are not all looked at.
    pub fn behind(&self) -> BTreeSet<String> {
        let slot = self.0.lock();
        slot.review.iter().flat_map(Review::behind).map(Into::into).collect()
    }
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
    index: Index,
    /// The index that is in the bucket.
    saved: Index,
    /// Parts that do not count any more once that is this.
    superseded: Vec<u64>,
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
            _ => Self::at_the_beginning(known::index(aws, scope.bucket, scope.ledger).await?),
        };
        let first = Span::default().without(before.later.iter().map(|range| &range.span));
        let first = first.into_iter().map(Range::new).collect();
        let Review { index, saved, superseded, later, others_changed, worked, .. } = before;
        let (others_changed, worked) =
            if later.is_empty() { (false, Duration::ZERO) } else { (others_changed, worked) };
        let beginning = Self::at_the_beginning(index);
        let review = Self { asks, first, later, saved, superseded, others_changed, worked, ..beginning };
        Ok((review, untold))
    }

    fn at_the_beginning(index: Index) -> Self {
        Self {
            began: Timestamp::now(),
            asks: Vec::new(),
            saved: index.clone(),
            index,
            superseded: Vec::new(),
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
    fn untold(&self) -> Option<Findings> {
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
        self.findings.changed > 0 || self.index.is_open(jobs)
    }

    /// Whether something was made true by no job.
    pub fn is_open(&self, jobs: &[JobSummary]) -> bool {
        self.index.is_open(jobs)
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
        let all_first = scope.all_first || self.index.may_name_others;
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
            let (cuts, since) = (self.cuts.as_ref().filter(|_| order == Order::Again), job_size::since(jobs));
            let store = Store {
                aws,
                bucket: scope.bucket,
                ledger: scope.ledger,
                index: &mut self.index,
                superseded: &mut self.superseded,
            };
            let (findings, progress) = (&mut self.findings, &mut progress);
            let mut walk = Walk { aws, scope, jobs, cuts, since, store, findings, progress };
            let Left { ahead, later, others_changed } = walk.over(range, until).await?;
            self.later.extend(later);
            (self.worked, self.took) = (worked + begun.elapsed(), took + begun.elapsed());
            (self.saw_last, self.is_told) = (Instant::now(), false);
            match order {
                Order::First => {
                    ahead.into_iter().for_each(|range| self.first.push_front(range));
                    self.others_changed |= others_changed;
                }
                Order::Again => ahead.into_iter().for_each(|range| self.again.push_front(range)),
                // One that is done waits for nobody: its changes are for the next job.
                Order::Later => match ahead {
                    None => self.others_changed |= has_changed || self.findings.changed > changed,
                    Some(mut range) => {
                        range.has_changed = has_changed || self.findings.changed > changed;
                        self.later.push_back(range);
                    }
                },
            }
            if order != Order::Again {
                self.cuts = None;
            }
        }
        let is_ready = self.is_ready(scope, haste);
        if !is_ready {
            self.save(aws, scope).await?;
        }
        if self.worked == worked {
            return Ok(is_ready);
        }
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
        Ok(is_ready)
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
        self.index.may_name_others = scope.all_first || (self.index.may_name_others && !self.is_whole());
        self.index.claim(description, jobs);
        self.save(aws, scope).await
    }

    /// The job has started. What is left for later goes on, and is what the next is asked for.
    pub fn rest(mut self, job: &str) -> Option<Self> {
        self.asks = vec![Ask::Rest(job.into())];
        let findings = self.findings.forgotten();
        let rest = Self { findings, others_changed: false, waits_for_turn: false, cuts: None, ..self };
        (!rest.later.is_empty()).then_some(rest)
    }

    /// What has been gone over counts from now on, whoever goes on.
    pub async fn save(&mut self, aws: &Aws, scope: &Scope<'_>) -> Result<(), Fault> {
        if self.index == self.saved {
            return Ok(());
        }
        let (key, text) = (index_key(scope.ledger), self.index.text().into_bytes());
        aws.objects.put(scope.bucket, &key, text, "text/plain; charset=utf-8").await?;
        self.saved = self.index.clone();
        let keys: Vec<_> = self.superseded.drain(..).map(|part| part_key(scope.ledger, part)).collect();
        for keys in keys.chunks(1_000) {
            // Whatever stays is read by nobody, and goes with its owner.
            if let Err(fault) = aws.objects.delete(scope.bucket, keys).await {
                tracing::debug!(%fault, "parts of a ledger that do not count stay");
            }
        }
        Ok(())
    }
}

/// What the last reviews had to skip.
pub async fn skipped(aws: &Aws, scope: &Scope<'_>) -> Result<Skipped, Fault> {
    let index = known::index(aws, scope.bucket, scope.ledger).await?;
    let mut known = Known::new(aws, scope.bucket, scope.ledger, &[], index.over(&Span::default()));
    let mut skipped = Skipped::default();
    while let Some(entry) = known.next().await? {
        if let Some(why) = &entry.skipped {
            skipped.add(&entry.key, why);
        }
    }
    Ok(skipped)
}

#[cfg(test)]
mod tests;
