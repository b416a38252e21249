//! A review of all documents before a job, as a value: it goes on for a while, and another pass goes on where it stopped.
//!
//! It goes over the keys in their order, and a tenant of a pool of whom there is much waits until the others are done: then
//! a job may start, and those take turns. What has been gone over is in the [`index`] of the ledger; so whoever forgets a
//! review, because the process ends, lists again what the ledger knows and looks into nothing twice.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::draft::Store;
use super::failures::Skipped;
use super::findings::Findings;
use super::index::{Index, Span};
use super::known::{self, Known, index_key, part_key};
use super::reviews::Reviews;
use super::schedule::Ask;
use super::scope::Scope;
use super::sidecar;
use super::walk::{Left, Range, Until, Walk};
use crate::aws::{Away, Aws};
use crate::stack::fault::Fault;
use crate::stack::job::JobSummary;

/// How long a pass reviews before it reports and goes on.
const SLICE: Duration = Duration::from_secs(30);
/// How long a job waits, which somebody has asked for, while nothing has changed but with tenants of whom there is much.
const PATIENCE: Duration = Duration::from_secs(600);
/// So many objects of one tenant are gone over before it is the next one's turn.
const TURN: usize = 20_000;

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

/// A review that is under way, or over.
#[derive(Clone, Debug)]
pub struct Review {
    /// What it was begun for.
    asks: BTreeSet<String>,
    index: Index,
    /// The index that is in the bucket.
    saved: Index,
    /// Parts that do not count any more once that is this.
    superseded: Vec<u64>,
    /// What comes first,
    first: VecDeque<Range>,
    /// and what takes turns after it.
    later: VecDeque<Range>,
    /// Whether something has changed of those who are not among the latter.
    others_changed: bool,
    /// How long it has worked.
    worked: Duration,
    /// What it has found,
    pub findings: Findings,
    /// and whether that has been told.
    is_told: bool,
}

impl Review {
    /// The one that was begun for all that is asked, or a new one. What the one before has left for later stays so.
    pub async fn for_all(
        aws: &Aws,
        scope: &Scope<'_>,
        asks: BTreeSet<String>,
        before: Option<Review>,
    ) -> Result<Self, Fault> {
        let before = match before {
            Some(before) if before.asks.is_superset(&asks) => return Ok(before),
            Some(before) if before.first.is_empty() => before,
            _ => Self::at_the_beginning(known::index(aws, scope.bucket, scope.ledger).await?),
        };
        let first = Span::default().without(before.later.iter().map(|range| &range.span));
        let first = first.into_iter().map(Range::new).collect();
        let Review { index, saved, superseded, later, .. } = before;
        Ok(Self { asks, first, later, saved, superseded, ..Self::at_the_beginning(index) })
    }

    fn at_the_beginning(index: Index) -> Self {
        Self {
            asks: BTreeSet::new(),
            saved: index.clone(),
            index,
            superseded: Vec::new(),
            first: VecDeque::new(),
            later: VecDeque::new(),
            others_changed: false,
            worked: Duration::ZERO,
            findings: Findings::default(),
            is_told: false,
        }
    }

    /// What it has found must be looked at anew before anything follows from it.
    pub fn is_out_of_date(&mut self) {
        self.asks.clear();
    }

    /// Whether everything was looked at.
    pub fn is_whole(&self) -> bool {
        self.first.is_empty() && self.later.is_empty()
    }

    /// Whether it has found what a job must make true, or an earlier one has not.
    pub fn has_news(&self, jobs: &[JobSummary]) -> bool {
        self.findings.changed > 0 || self.index.is_open(jobs)
    }

    /// What it has found, if that was not told yet.
    pub fn news(&mut self) -> Option<Findings> {
        (!std::mem::replace(&mut self.is_told, true)).then(|| self.findings.clone())
    }

    /// Whose documents are not all looked at.
    pub fn behind(&self) -> BTreeSet<&str> {
        self.later.iter().filter_map(|range| sidecar::tenant_of(range.span.until.as_deref()?)).collect()
    }

    /// Whether a job may start. Those of whom there is much keep nobody waiting, and go on while it runs.
    fn is_ready(&self, scope: &Scope<'_>, haste: Haste) -> bool {
        let is_waited_for = match haste {
            Haste::Needed => self.others_changed || self.worked >= PATIENCE,
            Haste::IfNews => self.others_changed,
            Haste::None => false,
        };
        self.first.is_empty() && (self.later.is_empty() || (is_waited_for && !scope.all_first))
    }

    /// Goes on until a job may start, or for a while; whether one may.
    pub async fn go(
        &mut self,
        aws: &Aws,
        scope: &Scope<'_>,
        jobs: &[JobSummary],
        haste: Haste,
        reviews: &Reviews,
    ) -> Result<bool, Fault> {
        // Meanwhile others have its place: it mostly waits for S3.
        let _away = Away::now();
        let begun = Instant::now();
        self.go_until(aws, scope, jobs, haste, reviews, &|| begun.elapsed() >= SLICE).await
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
        let (begun, worked) = (Instant::now(), self.worked);
        let mut progress = reviews.begin(scope.owner, &self.findings);
        while !self.is_ready(scope, haste) && !is_over() {
            let is_first = !self.first.is_empty();
            let Some(range) = self.first.pop_front().or_else(|| self.later.pop_front()) else { break };
            let until = match is_first {
                true => Until::Enough(is_over),
                false => Until::Objects(TURN, is_over),
            };
            let store = Store {
                aws,
                bucket: scope.bucket,
                ledger: scope.ledger,
                index: &mut self.index,
                superseded: &mut self.superseded,
            };
            let (findings, progress) = (&mut self.findings, &mut progress);
            let left = Walk { aws, scope, jobs, store, findings, progress }.over(range, until).await?;
            let Left { ahead, later, others_changed } = left;
            self.later.extend(later);
            self.worked = worked + begun.elapsed();
            match is_first {
                true => {
                    ahead.into_iter().for_each(|range| self.first.push_front(range));
                    self.others_changed |= others_changed;
                }
                false => self.later.extend(ahead),
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
        let (bucket, prefix, behind) = (scope.bucket, scope.prefix, self.later.len());
        tracing::info!(
            bucket,
            prefix,
            documents,
            changed,
            written,
            dropped,
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
        self.index.claim(description, jobs);
        self.save(aws, scope).await
    }

    /// The job has started. What is left for later goes on, and is what the next is asked for.
    pub fn rest(mut self, job: &str) -> Option<Self> {
        self.asks.insert(Ask::Rest(job.into()).words());
        let Findings { documents, unclaimed, skipped, .. } = self.findings;
        let findings = Findings { documents, unclaimed, skipped, ..Findings::default() };
        (!self.later.is_empty()).then_some(Self { findings, is_told: false, others_changed: false, ..self })
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
