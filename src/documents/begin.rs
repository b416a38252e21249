//! The beginning of a job: everything is reviewed, and a job is started if it would change anything, and nothing speaks
//! against it.

use std::collections::BTreeSet;

use super::findings::{Findings, Losses, Names};
use super::review::{Haste, Review};
use super::reviews::Reviews;
use super::schedule::{self, Ask};
use super::scope::Scope;
use super::source::Source;
use super::turns::Ticket;
use crate::api::Reason;
use crate::aws::Aws;
use crate::stack::approval;
use crate::stack::fault::{Class, Fault};
use crate::stack::job::JobSummary;

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// A job was started.
    Started,
    /// Bedrock has no room for it now, although it was this knowledge base's turn.
    NoSlot,
}

/// What a review comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// It goes on, and so far nothing is known.
    GoesOn,
    /// Nothing has changed since the last job, and that one left nothing undone: none is needed.
    Unchanged,
    /// A person must say yes first: what to tell.
    Waits(String),
    /// A job is to be started, as soon as it may be.
    Ready,
}

/// Reviews for all that is asked, for a while. What it has found is told once.
pub async fn look(
    aws: &Aws,
    source: &Source<'_>,
    open: &[&Ask],
    jobs: &[JobSummary],
    remembered: &mut Option<Review>,
    reviews: &Reviews,
) -> Result<(Outlook, Option<Findings>), Fault> {
    let scope = source.scope();
    let asks: BTreeSet<_> = open.iter().map(|ask| ask.words()).collect();
    // Whoever fails has forgotten it, and begins again with what its ledger knows.
    let mut review = Review::for_all(aws, &scope, asks, remembered.take()).await?;
    let is_needed = open.iter().any(|ask| ask.needs_a_job());
    let haste = if is_needed { Haste::Needed } else { Haste::IfNews };
    let is_ready = review.go(aws, &scope, jobs, haste, reviews).await?;
    let outlook = match large_deletion(source, &review.findings, jobs) {
        _ if !is_ready => Outlook::GoesOn,
        _ if !is_needed && !review.has_news(jobs) && is_settled(jobs) => Outlook::Unchanged,
        Some(message) => Outlook::Waits(message),
        None => Outlook::Ready,
    };
    let found = is_ready.then(|| review.news()).flatten();
    match outlook {
        Outlook::Unchanged => {}
        Outlook::Waits(_) => {
            review.is_out_of_date();
            *remembered = Some(review);
        }
        Outlook::GoesOn | Outlook::Ready => *remembered = Some(review),
    }
    Ok((outlook, found))
}

/// Starts a job for all that is asked and reviewed. The turn is used, or goes back.
pub async fn begin(
    aws: &Aws,
    source: &Source<'_>,
    ticket: Ticket<'_>,
    open: &[&Ask],
    jobs: &[JobSummary],
    remembered: &mut Option<Review>,
) -> Result<Begun, Fault> {
    let (kb, ds) = (&source.knowledge_base_id, &source.data_source_id);
    let Some(mut review) = remembered.take() else { return Ok(Begun::NoSlot) };
    let description = schedule::description(open, jobs, !review.is_whole());
    review.claim(aws, &source.scope(), &description, jobs).await?;
    match aws.jobs.start(kb, ds, &description).await {
        Ok(job) => {
            ticket.started(&job);
            let (documents, behind) = (review.findings.documents, review.behind().len());
            tracing::info!(knowledge_base = kb, job, documents, behind, "ingestion job started");
            *remembered = review.rest(&job);
            Ok(Begun::Started)
        }
        Err(fault) if fault.class == Class::NotYet => {
            ticket.refused(&fault);
            *remembered = Some(review);
            Ok(Begun::NoSlot)
        }
        Err(fault) => Err(fault),
    }
}

/// Whether the last job has left nothing undone that another would do: it failed in nothing, or in as many documents as the
/// one before, which tried them too.
fn is_settled(jobs: &[JobSummary]) -> bool {
    let failed = |job: &JobSummary| (job.status == "COMPLETE").then_some(job.statistics.failed);
    match jobs {
        [] => false,
        [last, before @ ..] => match failed(last) {
            None => false,
            Some(0) => true,
            Some(count) => before.first().and_then(failed) == Some(count),
        },
    }
}

/// What to tell of a job that would forget an unusually large part of the documents, unless somebody has approved it. In a
/// pool one tenant's deletions are its own affair: only many at once are somebody's mistake.
fn large_deletion(source: &Source<'_>, findings: &Findings, jobs: &[JobSummary]) -> Option<String> {
    let bereft = findings.bereft();
    let is_large = if source.pool.is_some() { bereft.is_some() } else { findings.losses.is_large() };
    if !is_large {
        return None;
    }
    // The job before makes it another question, even if the same documents come back and go again.
    let code = approval::code(
        &source.owner_uid,
        Reason::LargeDeletion,
        &[
            &source.data_source_id,
            jobs.first().map(|job| job.id.as_str()).unwrap_or_default(),
            &findings.gone_keys.digest(),
        ],
    );
    if source.approved.as_deref() == Some(code.as_str()) {
        return None;
    }
    let Scope { bucket, prefix, .. } = source.scope();
    let Losses { known, gone } = findings.losses;
    let whose = match bereft {
        Some(tenants) => {
            let mut names = Names::default();
            tenants.iter().for_each(|tenant| names.add(|| (*tenant).into()));
            let all = findings.by_tenant.len();
            format!(", a fifth or more of what each of {} of {all} tenants had: {names}", tenants.len())
        }
        None => String::new(),
    };
    Some(format!(
        "{gone} of {known} documents under s3://{bucket}/{prefix} are gone since the last job{whose}. The next would forget \
         them. Put them back if that was a mistake. {}, and the job runs",
        approval::ask(&code)
    ))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::stack::job::Statistics;

    #[test]
    fn a_document_that_never_can_be_indexed_does_not_make_every_moment_a_job() {
        let job = |(status, failed): &(&str, i64)| JobSummary {
            id: "J".into(),
            status: (*status).into(),
            description: String::new(),
            started: Timestamp::UNIX_EPOCH,
            updated: Timestamp::UNIX_EPOCH,
            statistics: Statistics { failed: *failed, ..Statistics::default() },
        };
        for (newest_first, settled) in [
            (&[][..], false),
            (&[("COMPLETE", 0)], true),
            (&[("COMPLETE", 1)], false),
            (&[("COMPLETE", 1), ("COMPLETE", 1)], true),
            (&[("COMPLETE", 2), ("COMPLETE", 1)], false),
            (&[("COMPLETE", 1), ("FAILED", 1)], false),
            (&[("FAILED", 0), ("COMPLETE", 0)], false),
        ] {
            let jobs: Vec<_> = newest_first.iter().map(job).collect();
            assert_eq!(is_settled(&jobs), settled, "{newest_first:?}");
        }
    }
}
