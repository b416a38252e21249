//! The beginning of a job: everything is reviewed, and a job is started if it would change anything, and nothing speaks
//! against it.

use super::findings::Findings;
use super::review::{self, Scope};
use super::reviews::Reviews;
use super::schedule::{self, Ask};
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
    /// Nothing has changed since the last job, and that one left nothing undone: none is needed.
    Unchanged,
    /// A person must say yes first: what to tell.
    Waits(String),
}

/// Reviews, and starts a job for all that is asked. The turn is used, or goes back.
pub async fn begin(
    aws: &Aws,
    source: &Source<'_>,
    ticket: Ticket<'_>,
    open: &[&Ask],
    jobs: &[JobSummary],
    reviews: &Reviews,
) -> Result<(Begun, Findings), Fault> {
    let (kb, ds) = (&source.knowledge_base_id, &source.data_source_id);
    let description = schedule::description(open, jobs);
    let (findings, ledger) = review::all(aws, &source.scope(), &description, reviews).await?;
    let is_needed = open.iter().any(|ask| ask.needs_a_job());
    if !is_needed && findings.changed == 0 && nothing_is_left(&findings, jobs) {
        ledger.give_up().await?;
        return Ok((Begun::Unchanged, findings));
    }
    if let Some(message) = large_deletion(source, &findings) {
        ledger.give_up().await?;
        return Ok((Begun::Waits(message), findings));
    }
    // Before the job, so that no job is without its ledger; it says whose it is, in case the job does not come.
    match findings.changed {
        0 => ledger.give_up().await?,
        _ => ledger.finish().await?,
    }
    match aws.jobs.start(kb, ds, &description).await {
        Ok(job) => {
            ticket.started(&job);
            tracing::info!(knowledge_base = kb, job, documents = findings.documents, "ingestion job started");
            Ok((Begun::Started, findings))
        }
        Err(fault) if fault.class == Class::NotYet => {
            ticket.refused(&fault);
            Ok((Begun::NoSlot, findings))
        }
        Err(fault) => Err(fault),
    }
}

/// Whether the last ledger's job has run, and the last job of all has left nothing undone.
fn nothing_is_left(findings: &Findings, jobs: &[JobSummary]) -> bool {
    let is_done = |job: &JobSummary| job.status == "COMPLETE" && job.statistics.failed == 0;
    let its = |job: &JobSummary| Some(&job.description) == findings.last_for.as_ref();
    jobs.first().is_some_and(is_done) && jobs.iter().any(|job| its(job) && job.status == "COMPLETE")
}

/// What to tell of a job that would forget an unusually large part of the documents, unless somebody has approved it.
fn large_deletion(source: &Source<'_>, findings: &Findings) -> Option<String> {
    if !findings.is_large_deletion() {
        return None;
    }
    let Findings { gone, known, .. } = findings;
    let code = approval::code(
        &source.owner_uid,
        Reason::LargeDeletion,
        &[&source.data_source_id, &gone.to_string(), &known.to_string()],
    );
    if source.approved.as_deref() == Some(code.as_str()) {
        return None;
    }
    let Scope { bucket, prefix, .. } = source.scope();
    Some(format!(
        "{gone} of {known} documents under s3://{bucket}/{prefix} are gone since the last job, and the next would forget \
         them. Put them back if that was a mistake. {}, and the job runs",
        approval::ask(&code)
    ))
}
