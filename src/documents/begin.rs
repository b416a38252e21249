//! The beginning of a job: everything is reviewed, and a job is started if it would change anything, and nothing speaks
//! against it.

use std::time::Duration;

use jiff::Timestamp;

use super::findings::{Findings, Losses, Names};
use super::job_slots::Permit;
use super::kept::Kept;
use super::review::{Haste, Review, SLICE};
use super::reviews::Reviews;
use super::schedule::{self, Ask};
use super::scope::Scope;
use super::source::Source;
use super::tally::{self, Before};
use crate::api::Reason;
use crate::aws::Aws;
use crate::stack::approval;
use crate::stack::fault::{Class, Fault};
use crate::stack::job::JobSummary;

/// How long a knowledge base that has waited for a job slot may review once more. Others wait for the slot meanwhile.
const WITH_TURN: Duration = Duration::from_secs(300);

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// A job was started.
    Started,
    /// Bedrock has no room for it now, although this knowledge base had a job slot.
    NoSlot,
}

/// What a review comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// It goes on, and so far nothing is known.
    GoesOn,
    /// Nothing had changed since the last job when the review began, and that job left nothing undone. These asks need no
    /// job.
    Unchanged(Vec<Ask>, Timestamp),
    /// A person must act first: why, and what to tell.
    Waits(Reason, String),
    /// A job is to be started, as soon as it may be.
    Ready,
}

/// Goes on for a while with the review that was begun for what is asked, or begins one. What it has found is told once. A
/// knowledge base that has waited for a job slot reviews while it has the slot.
pub async fn look(
    aws: &Aws,
    source: &Source<'_>,
    open: &[&Ask],
    jobs: &[JobSummary],
    kept: &Kept,
    reviews: &Reviews,
    has_turn: bool,
) -> Result<(Outlook, Option<Findings>), Fault> {
    let scope = source.scope();
    let asked = |review: &Review| open.iter().all(|ask| review.serves(ask));
    let review = match kept.take() {
        // What is asked for meanwhile waits until this review is over. Otherwise asks that keep coming would never let one end.
        Some(review)
            if review.is_fresh()
                && !review.asks(jobs).is_empty()
                && (review.is_under_way() || has_turn || asked(&review)) =>
        {
            review
        }
        before => {
            let asks = open.iter().copied().cloned().collect();
            let (review, before) = Review::anew(aws, &scope, asks, before).await?;
            before.into_iter().for_each(|before| kept.tell_later(before));
            review
        }
    };
    let asks = review.asks(jobs);
    let is_needed = asks.iter().any(|ask| ask.needs_a_job());
    let haste = match jobs.first().map(|last| last.status.as_str()) {
        // What was left for later may be what made it too large.
        Some("FAILED") => Haste::None,
        // A job for what was left for later waits for all of it. Otherwise one such job would follow the other.
        _ if asks.iter().all(|ask| matches!(ask, Ask::Rest(_))) => Haste::None,
        _ if is_needed => Haste::Needed,
        _ => Haste::IfNews,
    };
    let slice = if has_turn { WITH_TURN } else { SLICE };
    let (mut review, is_ready) = kept.go(review, aws, &scope, jobs, (haste, slice), reviews).await?;
    let found = is_ready.then(|| kept.news(&mut review)).flatten();
    let large =
        large_deletion(source, &review.findings, jobs).map(|message| (Reason::LargeDeletion, message));
    let beyond = tally::beyond(source.bound.as_ref(), review.findings.total(), before(&review, jobs));
    let outlook = match large.or(beyond.map(|message| (Reason::LimitExceeded, message))) {
        _ if !is_ready => Outlook::GoesOn,
        _ if !is_needed && !review.has_news(jobs) && is_settled(jobs) => {
            let asks = review.asks(jobs).into_iter().cloned().collect();
            return Ok((Outlook::Unchanged(asks, review.began), found));
        }
        Some((reason, message)) => Outlook::Waits(reason, message),
        None => Outlook::Ready,
    };
    kept.keep(match outlook {
        Outlook::Waits(..) => review.waits_for_a_person(),
        Outlook::Ready => review.waits_for_turn(),
        _ => review,
    });
    Ok((outlook, found))
}

/// Starts a job for all asks for which the review was begun. The slot is used, or goes back.
pub async fn begin(
    aws: &Aws,
    source: &Source<'_>,
    permit: Permit<'_>,
    jobs: &[JobSummary],
    kept: &Kept,
) -> Result<Begun, Fault> {
    let (kb, ds) = (&source.knowledge_base_id, &source.data_source_id);
    let Some(mut review) = kept.take() else { return Ok(Begun::NoSlot) };
    let description = schedule::description(&review.asks(jobs), jobs, !review.is_whole());
    review.claim(aws, &source.scope(), &description, jobs).await?;
    match aws.jobs.start(kb, ds, &description).await {
        Ok(job) => {
            permit.started(&job);
            let (documents, behind) = (review.findings.documents, review.behind().len());
            tracing::info!(knowledge_base = kb, job, documents, behind, "ingestion job started");
            if let Some(rest) = review.rest(&job) {
                kept.keep(rest);
            }
            Ok(Begun::Started)
        }
        Err(fault) => {
            permit.refused(&fault);
            if fault.class != Class::NotYet {
                return Err(fault);
            }
            kept.keep(review);
            Ok(Begun::NoSlot)
        }
    }
}

/// How much there was before the last job. It may have found documents that came after the review.
fn before(review: &Review, jobs: &[JobSummary]) -> Before {
    let counted = review.counted(jobs);
    let documents = counted.map_or(0, |it| it.documents).max(scanned(jobs));
    Before { documents, bytes: counted.map(|it| it.bytes) }
}

/// How many documents the last job found that went through all of them.
fn scanned(newest_first: &[JobSummary]) -> u64 {
    let whole = newest_first.iter().find(|job| job.status == "COMPLETE");
    whole.and_then(|job| u64::try_from(job.statistics.scanned).ok()).unwrap_or(0)
}

/// Whether the last job has left nothing undone that another job would do. It failed in no document, or in as many as the job
/// before, which tried the same documents.
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
/// pool the deletions of one tenant are its own decision. Only those of many tenants at once are taken for a mistake.
fn large_deletion(source: &Source<'_>, findings: &Findings, jobs: &[JobSummary]) -> Option<String> {
    let bereft = findings.bereft();
    let is_large = if source.pool.is_some() { bereft.is_some() } else { findings.losses.is_large() };
    if !is_large {
        return None;
    }
    // After another job it is another question, even if the same documents come back and go again.
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
        approval::ask(&code, source.approved.as_deref())
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::aws::in_memory::{BUCKET, S3};
    use crate::documents::job_size::Size;
    use crate::documents::sidecar::{self, Pool, Rules};
    use crate::stack::identity::Owner;
    use crate::stack::job::Statistics;

    /// Whoever asks every moment gets a job all the same: what is asked for meanwhile waits for the next.
    #[tokio::test]
    async fn asks_that_keep_coming_do_not_begin_a_review_anew() {
        let s3 = S3::new(5);
        (0..40).for_each(|n| s3.put(&format!("pool/acme/{n:02}.md"), "A text."));
        let rules = Rules {
            tenant_id_key: "tenantId".into(),
            attributes: Vec::new(),
            max_bytes: sidecar::MAX_SIDECAR,
        };
        let source = Source {
            metadata: None,
            knowledge_base_id: "KB".into(),
            data_source_id: "DS".into(),
            bucket: BUCKET.into(),
            prefix: "pool/".into(),
            ledger: "tenantry/ledger/test".into(),
            pool: Some(Pool { rules: &rules, is_somebodys: &|_| true, bounds: &sidecar::NO_BOUNDS }),
            merges: false,
            limit: Size::OF_A_JOB,
            some_were_told: false,
            leaving: BTreeSet::new(),
            owner: Owner::Stack { name: "standard".into() },
            owner_uid: "uid".into(),
            approved: None,
            schedule: None,
            bound: None,
            between: Duration::ZERO,
        };
        let (aws, kept, reviews) = (s3.aws(), Kept::default(), Reviews::default());
        let (scope, ask) = (source.scope(), Ask::Request("0".into()));
        let (review, _) = Review::anew(&aws, &scope, vec![ask.clone()], None).await.unwrap();
        kept.keep(review);
        let another = Ask::Request("1".into());
        let outlook = look(&aws, &source, &[&another, &ask], &[], &kept, &reviews, false).await.unwrap().0;
        assert_eq!(outlook, Outlook::Ready);
        let review = kept.take().unwrap();
        assert_eq!(review.asks(&[]), [&ask], "the other's is the next");
        // One that is through serves all that is asked for by now, unless it is about to begin a job.
        for (has_turn, asks) in [(true, vec![&ask]), (false, vec![&another, &ask])] {
            let (mut review, _) = Review::anew(&aws, &scope, vec![ask.clone()], None).await.unwrap();
            let pace = (Haste::None, SLICE);
            (review, _) = kept.go(review, &aws, &scope, &[], pace, &reviews).await.unwrap();
            kept.keep(review);
            look(&aws, &source, &[&another, &ask], &[], &kept, &reviews, has_turn).await.unwrap();
            assert_eq!(kept.take().unwrap().asks(&[]), asks);
        }
    }

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
