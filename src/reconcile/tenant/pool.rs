//! The way back of a Pool tenant. It owns nothing, so its documents are all there is: they go, or move aside, and one
//! ingestion job of the pool forgets what was embedded of them, for all who leave at once.
//!
//! The status remembers when the last document went. It is written before a job is asked for, and erased before
//! documents are deleted again: a job counts only if nothing was touched after it was asked for.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{ConditionType, Layer, Reason, Status};
use crate::clock;
use crate::documents::failures::Failures;
use crate::documents::purge::{self, Purged};
use crate::documents::quarantine::QUARANTINE;
use crate::documents::relocate::{self, Move, Moved, OnConflict};
use crate::documents::schedule::{self, Ask};
use crate::layers;
use crate::reconcile::Error;
use crate::reconcile::context::Context;
use crate::reconcile::memory::Memory;
use crate::stack::fault::Fault;
use crate::stack::identity::Identity;
use crate::stack::layout::retained_prefix;
use crate::stack::model::progress::{Cadence, Progress, STALLED};
use crate::stack::model::teardown_order::OnDelete;

/// After so many jobs, in each of which documents had come again, a person should know.
const ROUNDS: u32 = 3;

/// One who leaves.
pub struct DeletedTenant<'a> {
    /// Who.
    pub id: &'a Identity,
    /// The SharedStack, whose bucket is there and its own.
    pub stack: &'a Identity,
    /// Its name.
    pub stack_name: &'a str,
    /// When it was deleted.
    pub since: Option<&'a Time>,
    /// What becomes of its documents.
    pub on_delete: OnDelete,
}

/// Takes a Pool tenant one step further away.
pub async fn step(
    cx: &Context,
    leaver: &DeletedTenant<'_>,
    status: &mut Status,
    memory: &mut Memory,
) -> Result<Progress, Error> {
    let DeletedTenant { id, stack, stack_name, since, on_delete } = leaver;
    let seen = layers::knowledge_base::look(&cx.aws, stack, status.knowledge_base_id.as_deref()).await?;
    let source = seen.ours().and_then(|facts| Some((facts.id.as_str(), facts.data_source.as_ref()?)));
    let Some((knowledge_base, source)) = source else {
        // Without a knowledge base nobody is answered from them any more. One whose SharedStack is gone forgets them with
        // the next job that somebody runs: the last event says that it was left alone.
        memory.observed.knowledge_base = seen;
        let Away { progress, stays, .. } = take_away(cx, leaver, memory).await?;
        return Ok(stays.filter(|_| progress.is_done()).unwrap_or(progress));
    };
    let remain = memory.rounds >= ROUNDS
        || status
            .condition(ConditionType::Ready)
            .is_some_and(|ready| ready.reason == Reason::DocumentsRemain.as_str());
    // Documents that moved earlier, when it came back to what it had retained, are another matter.
    let gone = status.documents_moved_time.take();
    let gone = gone.filter(|gone| since.is_none_or(|since| gone.0 >= since.0));
    let Some(gone) = gone else {
        // What S3 does not let us move or delete is found by nobody, and keeps nobody from forgetting the rest.
        let Away { progress, overtaken, .. } = take_away(cx, leaver, memory).await?;
        memory.rounds += u32::from(overtaken);
        if overtaken && memory.rounds >= ROUNDS {
            return Ok(waits(leaver, true, Cadence::After(STALLED)));
        }
        if progress.is_done() {
            let jobs = cx.aws.jobs.list(knowledge_base, &source.id).await?;
            // A clock that was set back must not make an older job count.
            let last = jobs.iter().filter_map(schedule::moved).max();
            status.documents_moved_time = Some(clock::stamp_after(last));
            return Ok(waits(leaver, remain, Cadence::Steady));
        }
        return Ok(progress);
    };
    let ask = Ask::Moved(gone.0);
    let jobs = cx.aws.jobs.list(knowledge_base, &source.id).await?;
    if !jobs.iter().any(|job| job.status == "COMPLETE" && ask.is_served_by(job)) {
        status.documents_moved_time = Some(gone);
        cx.wake_stack(stack_name);
        return Ok(waits(leaver, remain, Cadence::Steady));
    }
    let bucket = stack.name(Layer::Bucket);
    let has_come = !cx.aws.objects.list(&bucket, &id.prefix(), None, Some(1)).await?.objects.is_empty();
    let mut is_left = has_come;
    if *on_delete == OnDelete::Delete {
        for prefix in all_of(id) {
            is_left |= !cx.aws.objects.versions(&bucket, &prefix, None).await?.versions.is_empty();
        }
    }
    if !is_left {
        status.documents_moved_time = Some(gone);
        return Ok(Progress::Done);
    }
    // What a job may have read meanwhile is deleted only once the status asks for another.
    if !(has_come && *on_delete == OnDelete::Delete) {
        let Away { progress, changed, stays, .. } = take_away(cx, leaver, memory).await?;
        if let Some(stays) = stays.filter(|_| progress.is_done() && !changed) {
            // All that had been embedded is forgotten, and nothing is new: it needs no other job.
            status.documents_moved_time = Some(gone);
            return Ok(stays);
        }
    }
    memory.rounds += 1;
    let remain = remain || memory.rounds >= ROUNDS;
    Ok(waits(leaver, remain, if remain { Cadence::After(STALLED) } else { Cadence::Steady }))
}

/// How far documents are out of the way.
struct Away {
    /// Done once a job can be asked to forget them.
    progress: Progress,
    /// Whether any was touched.
    changed: bool,
    /// What is told of those that stay, where nobody finds them: S3 does not let us move or delete them.
    stays: Option<Progress>,
    /// Whether somebody writes there meanwhile.
    overtaken: bool,
}

/// Where all of a tenant's documents are: also what it had retained once and found replaced when it came back, and what was put
/// into quarantine.
fn all_of(id: &Identity) -> [String; 3] {
    let aside = retained_prefix(id.tenant_id().unwrap_or_default());
    [id.prefix(), aside, format!("{QUARANTINE}{}", id.prefix())]
}

/// Deletes this tenant's documents, or moves them where no job looks.
async fn take_away(cx: &Context, leaver: &DeletedTenant<'_>, memory: &mut Memory) -> Result<Away, Fault> {
    let bucket = leaver.stack.name(Layer::Bucket);
    match leaver.on_delete {
        OnDelete::Delete => {
            let all = all_of(leaver.id);
            let Purged { progress, changed } = purge::all_out_of_sight(&cx.aws, &bucket, &all).await?;
            Ok(match purge::is_locked(&progress) {
                true => Away { progress: Progress::Done, changed, stays: Some(progress), overtaken: false },
                false => Away { progress, changed, stays: None, overtaken: false },
            })
        }
        _ => {
            let [prefix, aside, quarantined] = all_of(leaver.id);
            let stopped_at = &mut memory.move_stopped_at;
            let own = Move {
                from: prefix,
                to: aside.clone(),
                on_conflict: OnConflict::Overwrite,
                is_read: true,
                with_files: true,
            };
            let others = Move {
                from: quarantined,
                to: aside,
                on_conflict: OnConflict::KeepExisting,
                is_read: false,
                with_files: false,
            };
            let moved = relocate::all(&cx.aws, &bucket, &[own, others], stopped_at).await?;
            let stays = moved.is_stuck().then(|| stuck(leaver, &moved.stuck));
            let Moved { progress, objects, overtaken, .. } = moved;
            Ok(Away { progress, changed: objects > 0, stays, overtaken })
        }
    }
}

/// Documents stay that S3 does not let us move.
fn stuck(leaver: &DeletedTenant<'_>, stuck: &Failures) -> Progress {
    let (bucket, prefix) = (leaver.stack.name(Layer::Bucket), leaver.id.prefix());
    let message = format!(
        "{stuck}. They stay under s3://{bucket}/{prefix}, where nobody is answered from them, and cannot be moved to what is \
         retained. Restore, replace or delete them, or set deletionPolicy to Delete; tried again every five minutes"
    );
    Progress::Waiting { reason: Reason::DocumentsStuck, message, cadence: Cadence::After(STALLED) }
}

fn waits(leaver: &DeletedTenant<'_>, remain: bool, cadence: Cadence) -> Progress {
    let (bucket, prefix) = (leaver.stack.name(Layer::Bucket), leaver.id.prefix());
    let (reason, message) = if remain {
        let message = format!(
            "New documents appear under s3://{bucket}/{prefix} as fast as they are deleted, and each time an ingestion job must \
             forget them. Stop whoever writes there; tried again every five minutes"
        );
        (Reason::DocumentsRemain, message)
    } else {
        let message = format!(
            "The documents under s3://{bucket}/{prefix} are gone, or hidden where they are locked; an ingestion job of the \
             pool must forget what was embedded of them. The SharedStack's DocumentsCurrent says how its jobs fare"
        );
        (Reason::Deleting, message)
    };
    Progress::Waiting { reason, message, cadence }
}
