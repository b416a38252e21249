//! The review after a job, where tenants may write metadata files of their own.

use std::mem;

use super::inputs::Inputs;
use crate::documents::findings::Findings;
use crate::documents::kept::Kept;
use crate::documents::review::{Haste, Review, SLICE};
use crate::stack::fault::Fault;
use crate::stack::job::JobSummary;

/// What a process remembers of these reviews.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reviewed {
    /// The job after which everything was reviewed.
    job: Option<String>,
    /// The job that may have read a metadata file before the review corrected it.
    pub fooled: Option<String>,
}

/// What the review after a job comes to.
pub(super) enum LookedAfter {
    /// No job has ended that needs one.
    NotNeeded,
    /// It goes on.
    GoesOn,
    /// It is over, and has found this.
    Found(Box<Findings>),
}

/// Reviews everything again after each job. A tenant may have named another tenant in a metadata file after the file was
/// reviewed and before the job read it.
pub(super) async fn look_after(
    inputs: Inputs<'_>,
    jobs: &[JobSummary],
    kept: &Kept,
    reviewed: &mut Reviewed,
) -> Result<LookedAfter, Fault> {
    let Inputs { aws, source, reviews, .. } = inputs;
    let Some(last) = jobs.first().filter(|last| source.merges && !last.is_running()) else {
        return Ok(LookedAfter::NotNeeded);
    };
    if reviewed.job.as_ref() == Some(&last.id) {
        return Ok(LookedAfter::NotNeeded);
    }
    let scope = source.scope();
    // If a call fails below, nobody knows what the review had corrected. So this is forgotten first.
    let before = mem::take(&mut reviewed.job);
    let (review, untold) = Review::after(aws, &scope, &last.id, kept.take()).await?;
    untold.into_iter().for_each(|untold| kept.tell_later(untold));
    let pace = (Haste::None, SLICE);
    let (mut review, is_over) = kept.go(review, aws, &scope, jobs, pace, reviews).await?;
    if is_over {
        let findings = &review.findings;
        // A process that has just begun does not know what it corrected before. It counts every change as a correction.
        let may_have = before.is_none() && (findings.changed_files > 0 || review.is_open(jobs));
        let fooled = findings.corrected.count > 0 || may_have;
        reviewed.fooled = fooled.then(|| last.id.clone());
    }
    reviewed.job = if is_over { Some(last.id.clone()) } else { before };
    let found = is_over.then(|| kept.news(&mut review)).flatten();
    kept.keep(review);
    Ok(found.map_or(LookedAfter::GoesOn, |found| LookedAfter::Found(Box::new(found))))
}
