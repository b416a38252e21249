//! The teardown of a Pool tenant. It owns nothing, so its documents are all there is: they go, or move aside, and one
//! ingestion job of the pool forgets what was embedded of them, for all who are deleted at once.
//!
//! The status remembers when the last document went. It is written before a job is asked for, and erased before
//! documents are deleted again: a job counts only if nothing was touched after it was asked for.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use crate::api::{ConditionType, Layer, Reason, Status};
use crate::clock;
use crate::documents::failures::Failures;
use crate::documents::purge::{self, Purged};
use crate::documents::quarantine::QUARANTINE;
use crate::documents::relocate::{self, Move, Moved, OnConflict};
use crate::documents::schedule::{self, Ask};
use crate::layers;
use crate::reconcile::context::Context;
use crate::reconcile::memory::Memory;
use crate::stack::fault::Fault;
use crate::stack::identity::{Identity, Owner};
use crate::stack::job::JobSummary;
use crate::stack::layout::retained_prefix;
use crate::stack::model::observed::{KnowledgeBaseFacts, Observed};
use crate::stack::model::progress::{Cadence, Progress, STALLED};
use crate::stack::model::teardown_order::OnDelete;

/// After so many jobs, in each of which documents had come again, a person should know.
const ROUNDS: u32 = 3;

/// A Pool tenant that is being deleted.
pub struct PoolTenant<'a> {
    /// What every pass needs.
    pub cx: &'a Context,
    /// Who.
    pub id: &'a Identity,
    /// The SharedStack, whose bucket is there and its own.
    pub stack: &'a Identity,
    /// When it was deleted.
    pub since: Timestamp,
    /// What becomes of its documents.
    pub on_delete: OnDelete,
}

/// The knowledge base that must forget what was embedded of the documents.
struct Pool {
    knowledge_base: String,
    data_source: String,
    /// Whether a person has been told, or is to be told, that documents come again and again.
    remain: bool,
}

/// Takes a Pool tenant one step further away.
pub async fn step(
    tenant: &PoolTenant<'_>,
    status: &mut Status,
    memory: &mut Memory,
) -> Result<Progress, Fault> {
    let hint = status.knowledge_base_id.as_deref();
    let source_hint = status.data_source_id.as_deref();
    let seen = layers::knowledge_base::look(&tenant.cx.aws, tenant.stack, hint, source_hint).await?;
    let Some(pool) = Pool::of(&seen, status, memory) else {
        // Without a knowledge base nobody is answered from them any more. One whose SharedStack is gone forgets them with
        // the next job that somebody runs: the last event says that it was left alone.
        memory.observed.knowledge_base = seen;
        let Away { progress, stays, .. } = tenant.take_away(memory).await?;
        return Ok(stays.filter(|_| progress.is_done()).unwrap_or(progress));
    };
    // Documents that moved earlier, when it came back to what it had retained, are another matter.
    match status.documents_moved_time.take().filter(|moved| moved.0 >= tenant.since) {
        None => tenant.move_first(&pool, status, memory).await,
        Some(moved) => tenant.until_forgotten(&pool, moved, status, memory).await,
    }
}

impl Pool {
    fn of(seen: &Observed<KnowledgeBaseFacts>, status: &Status, memory: &Memory) -> Option<Self> {
        let facts = seen.ours()?;
        let ready = status.condition(ConditionType::Ready);
        let was_told = ready.is_some_and(|ready| ready.reason == Reason::DocumentsRemain.as_str());
        Some(Self {
            knowledge_base: facts.id.clone(),
            data_source: facts.data_source.as_ref()?.id.clone(),
            remain: was_told || memory.rounds >= ROUNDS,
        })
    }

    async fn jobs(&self, cx: &Context) -> Result<Vec<JobSummary>, Fault> {
        cx.aws.jobs.list(&self.knowledge_base, &self.data_source).await
    }
}

impl PoolTenant<'_> {
    /// Takes the documents away, and then notes in the status that a job must forget them. What S3 does not let us move or
    /// delete is found by nobody, and keeps nobody from forgetting the rest.
    async fn move_first(
        &self,
        pool: &Pool,
        status: &mut Status,
        memory: &mut Memory,
    ) -> Result<Progress, Fault> {
        let Away { progress, overtaken, .. } = self.take_away(memory).await?;
        memory.rounds += u32::from(overtaken);
        if overtaken && memory.rounds >= ROUNDS {
            return Ok(self.waits(true, Cadence::After(STALLED)));
        }
        if !progress.is_done() {
            return Ok(progress);
        }
        // A clock that was set back must not make an older job count.
        let last = pool.jobs(self.cx).await?.iter().filter_map(schedule::moved).max();
        status.documents_moved_time = Some(clock::stamp_after(last));
        Ok(self.waits(pool.remain, Cadence::Steady))
    }

    /// Waits for the job, and ends if nothing has come again meanwhile.
    async fn until_forgotten(
        &self,
        pool: &Pool,
        moved: MicroTime,
        status: &mut Status,
        memory: &mut Memory,
    ) -> Result<Progress, Fault> {
        let ask = Ask::Moved(moved.0);
        let is_served = |job: &JobSummary| job.status == "COMPLETE" && ask.is_served_by(job);
        if !pool.jobs(self.cx).await?.iter().any(is_served) {
            status.documents_moved_time = Some(moved);
            if let Owner::Stack { name } = &self.stack.owner {
                self.cx.wake_stack(name);
            }
            return Ok(self.waits(pool.remain, Cadence::Steady));
        }
        let deletes = self.on_delete == OnDelete::Delete;
        let has_come = self.has_come().await?;
        let is_left = has_come || (deletes && self.has_versions().await?);
        if !is_left {
            status.documents_moved_time = Some(moved);
            return Ok(Progress::Done);
        }
        // What a job may have read meanwhile is deleted only once the status asks for another.
        if !(has_come && deletes) {
            let Away { progress, changed, stays, .. } = self.take_away(memory).await?;
            if let Some(stays) = stays.filter(|_| progress.is_done() && !changed) {
                // All that had been embedded is forgotten, and nothing is new: it needs no other job.
                status.documents_moved_time = Some(moved);
                return Ok(stays);
            }
        }
        memory.rounds += 1;
        let remain = pool.remain || memory.rounds >= ROUNDS;
        Ok(self.waits(remain, if remain { Cadence::After(STALLED) } else { Cadence::Steady }))
    }

    fn bucket(&self) -> String {
        self.stack.name(Layer::Bucket)
    }

    /// Where all of its documents are: also what it had retained once and found replaced when it came back, and what was put
    /// into quarantine.
    fn prefixes(&self) -> [String; 3] {
        let aside = retained_prefix(self.id.tenant_id().unwrap_or_default());
        [self.id.prefix(), aside, format!("{QUARANTINE}{}", self.id.prefix())]
    }

    /// Whether a job finds documents again.
    async fn has_come(&self) -> Result<bool, Fault> {
        let objects = &self.cx.aws.objects;
        let page = objects.list(&self.bucket(), &self.id.prefix(), None, Some(1)).await?;
        Ok(!page.objects.is_empty())
    }

    /// Whether any version of them is left anywhere.
    async fn has_versions(&self) -> Result<bool, Fault> {
        let (objects, bucket) = (&self.cx.aws.objects, self.bucket());
        for prefix in self.prefixes() {
            if !objects.versions(&bucket, &prefix, None).await?.versions.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Deletes the documents, or moves them where no job looks.
    async fn take_away(&self, memory: &mut Memory) -> Result<Away, Fault> {
        let (aws, bucket) = (&self.cx.aws, self.bucket());
        if self.on_delete == OnDelete::Delete {
            let Purged { progress, changed } =
                purge::all_out_of_sight(aws, &bucket, &self.prefixes()).await?;
            let (progress, stays) =
                if purge::is_locked(&progress) { (Progress::Done, Some(progress)) } else { (progress, None) };
            return Ok(Away { progress, changed, stays, overtaken: false });
        }
        let [prefix, aside, quarantined] = self.prefixes();
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
        let moved = relocate::all(aws, &bucket, &[own, others], &mut memory.move_stopped_at).await?;
        let stays = moved.is_stuck().then(|| self.stuck(&moved.stuck));
        let Moved { progress, objects, overtaken, .. } = moved;
        Ok(Away { progress, changed: objects > 0, stays, overtaken })
    }

    /// Documents stay that S3 does not let us move.
    fn stuck(&self, stuck: &Failures) -> Progress {
        let (bucket, prefix) = (self.bucket(), self.id.prefix());
        let message = format!(
            "{stuck}. They stay under s3://{bucket}/{prefix}, where nobody is answered from them, and cannot be moved to what \
             is retained. Restore, replace or delete them, or set deletionPolicy to Delete; tried again every five minutes"
        );
        Progress::Waiting { reason: Reason::DocumentsStuck, message, cadence: Cadence::After(STALLED) }
    }

    fn waits(&self, remain: bool, cadence: Cadence) -> Progress {
        let (bucket, prefix) = (self.bucket(), self.id.prefix());
        let (reason, message) = if remain {
            let message = format!(
                "New documents appear under s3://{bucket}/{prefix} as fast as they are deleted, and each time an ingestion job must \
                 forget them. Stop whoever writes there; tried again every five minutes"
            );
            (Reason::DocumentsRemain, message)
        } else {
            let message = format!(
                "The documents under s3://{bucket}/{prefix} are gone, or hidden where they are locked; an ingestion job of \
                 the pool must forget what was embedded of them. The SharedStack's DocumentsCurrent says how its jobs fare"
            );
            (Reason::Deleting, message)
        };
        Progress::Waiting { reason, message, cadence }
    }
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
