//! The review of a process, kept from one pass to the next.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::findings::Findings;
use super::review::{Haste, Review};
use super::reviews::Reviews;
use super::scope::Scope;
use crate::aws::Aws;
use crate::stack::fault::Fault;
use crate::stack::job::JobSummary;

/// See the [module](self). A pass takes the review. If a call fails or the pass ends, the pass does not give it back, and the
/// next pass begins a review anew with what the ledger knows. An older review may speak of parts of the ledger that are gone.
#[derive(Clone, Debug, Default)]
pub struct Kept(Arc<Mutex<Slot>>);

#[derive(Debug, Default)]
struct Slot {
    review: Option<Review>,
    /// What reviews that came to nothing have moved or corrected, and nobody was told.
    untold: Option<Findings>,
}

impl Kept {
    /// Whether nothing is kept.
    pub fn is_blank(&self) -> bool {
        let slot = self.0.lock();
        slot.review.is_none() && slot.untold.is_none()
    }

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
        self.0.lock().review.as_ref().is_some_and(|review| review.is_waiting_for_turn())
    }

    /// Whose documents are not all looked at.
    pub fn behind(&self) -> BTreeSet<String> {
        let slot = self.0.lock();
        slot.review.iter().flat_map(Review::behind).map(Into::into).collect()
    }
}
