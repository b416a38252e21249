//! Moves documents within their bucket: their current versions, and the metadata files beside them.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};

use super::failures::Failures;
use super::sidecar::{MAX_KEY, SUFFIX, is_sidecar};
use super::{beside, quarantine};
use crate::api::Reason;
use crate::aws::{Aws, Object};
use crate::stack::fault::{Class, Fault};
use crate::stack::model::progress::{Cadence, Progress};

/// How many pages of a thousand objects one call moves, so that other work goes on in between.
const PAGES_A_CALL: usize = 10;
/// How many objects are copied at a time.
const CONCURRENCY: usize = 16;
/// How often a page is gone over again after a failure that passes. What fails after that is stuck: it holds up no other.
const AGAIN: u32 = 5;
/// The same after a missing right, which a person may have granted since it was told.
const ONCE_MORE: u32 = 1;

/// What happens where an object already has the key to which another is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// It is overwritten.
    Overwrite,
    /// It is newer. Both stay where they are, unless it is the copy that an earlier call has made.
    KeepExisting,
}

/// One prefix whose objects get another.
#[derive(Clone, Debug)]
pub struct Move {
    /// The prefix that the objects have.
    pub from: String,
    /// The prefix that they get.
    pub to: String,
    /// What happens where another object has the new key.
    pub on_conflict: OnConflict,
    /// Whether jobs read objects under `from`.
    pub is_read: bool,
    /// Whether metadata files are moved too. Those in quarantine are not: they may name another tenant, and a document may be
    /// put beside them.
    pub with_files: bool,
}

/// Where a call stopped, and the next one goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoppedAt {
    /// How many of the moves are done.
    done: usize,
    /// The page of the move that is not.
    page: Option<String>,
    /// How often that page met a failure that passes.
    failed: u32,
}

/// What a call has moved.
#[derive(Debug)]
pub struct Moved {
    /// Whether all pages of all moves are done.
    pub progress: Progress,
    /// How many objects were moved.
    pub objects: usize,
    /// Documents that S3 does not let us move.
    pub stuck: Failures,
    /// Whether somebody wrote or deleted documents meanwhile.
    pub overtaken: bool,
}

/// Makes the moves one after the other, and goes on where the last call stopped. An object is copied first, and then deleted by
/// its key: its older versions stay as long as the bucket keeps them. An object that was written again after its copy is not
/// deleted, and is moved again.
///
/// A failure that passes is an error, and a missing right is one at first: who calls again goes over that page again, and what was
/// moved of it is not there any more. An object that S3 does not let us move stays, and holds up no other. If jobs read it, its metadata file is deleted, so that no
/// filter finds it.
pub async fn all(
    aws: &Aws,
    bucket: &str,
    moves: &[Move],
    stopped_at: &mut StoppedAt,
) -> Result<Moved, Fault> {
    let (mut objects, mut stuck, mut overtaken) = (0, Stuck::default(), false);
    for _ in 0..PAGES_A_CALL {
        let Some(to_move) = moves.get(stopped_at.done) else { break };
        let Move { from, to, is_read, .. } = to_move;
        let at = stopped_at.page.take();
        let page = aws.objects.list(bucket, from, at.as_deref(), None).await?;
        let Page { moved, mut faults } = self::page(aws, bucket, to_move, page.objects).await?;
        objects += moved;
        let may_go = |(_, fault): &(String, Fault)| {
            let times = match fault.class {
                _ if fault.passes() => AGAIN,
                Class::Denied => ONCE_MORE,
                _ => 0,
            };
            stopped_at.failed < times
        };
        if let Some(first) = faults.iter().position(may_go) {
            *stopped_at = StoppedAt { done: stopped_at.done, page: at, failed: stopped_at.failed + 1 };
            return Err(faults.swap_remove(first).1);
        }
        for (key, fault) in faults {
            if fault.is_overtaken() { overtaken = true } else { stuck.add(key, fault) }
        }
        if *is_read {
            for file in stuck.files_beside() {
                beside::untag(aws, bucket, &file).await?;
            }
        }
        tracing::info!(bucket, from, to, objects, "moving documents");
        let done = stopped_at.done + usize::from(page.next.is_none());
        *stopped_at = StoppedAt { done, page: page.next, failed: 0 };
    }
    if overtaken {
        *stopped_at = StoppedAt::default();
    }
    let Some(Move { from, to, .. }) = moves.get(stopped_at.done) else {
        *stopped_at = StoppedAt::default();
        return Ok(Moved { progress: Progress::Done, objects, stuck: stuck.told, overtaken });
    };
    let message = format!("Documents are being moved from s3://{bucket}/{from} to {to}");
    let progress = Progress::Waiting { reason: Reason::Updating, message, cadence: Cadence::Steady };
    Ok(Moved { progress, objects, stuck: stuck.told, overtaken })
}

/// What became of a page of objects.
struct Page {
    /// How many were moved.
    moved: usize,
    /// What S3 said of those that were not.
    faults: Vec<(String, Fault)>,
}

async fn page(aws: &Aws, bucket: &str, to_move: &Move, objects: Vec<Object>) -> Result<Page, Fault> {
    let copied: Vec<(Object, Result<Copied, Fault>)> = stream::iter(objects)
        .map(|object| async move {
            let copied = one(aws, bucket, to_move, &object).await;
            (object, copied)
        })
        .buffer_unordered(CONCURRENCY)
        .collect()
        .await;
    let (mut gone, mut faults) = (Vec::new(), Vec::new());
    for (object, copied) in copied {
        match copied {
            Ok(Copied::Arrived) => gone.push(object),
            Ok(Copied::Stays) => {}
            Err(fault) => faults.push((object.key, fault)),
        }
    }
    let kept = aws.objects.delete_unchanged(bucket, &gone).await?;
    let moved = gone.len() - kept.len();
    faults.extend(kept);
    Ok(Page { moved, faults })
}

/// Objects that could not be moved.
#[derive(Default)]
struct Stuck {
    keys: BTreeSet<String>,
    told: Failures,
}

impl Stuck {
    fn add(&mut self, key: String, fault: Fault) {
        self.told.add(&key, &beside::why(&fault));
        self.keys.insert(key);
    }

    /// The metadata files beside documents that could not be moved either. A file whose document has moved does no harm, and is
    /// tried again.
    fn files_beside(&mut self) -> Vec<String> {
        let document = |file: &String| file.strip_suffix(SUFFIX).is_some_and(|it| self.keys.contains(it));
        let files: Vec<_> = self.keys.iter().filter(|key| document(key)).cloned().collect();
        self.keys.retain(|key| !files.contains(key));
        files
    }
}

impl Moved {
    /// Whether everything is moved that can be, and something cannot.
    pub fn is_stuck(&self) -> bool {
        self.progress.is_done() && self.stuck.count > 0
    }
}

/// What became of one object.
enum Copied {
    /// Its copy is there, or it needs none. It may be deleted.
    Arrived,
    /// It is not to be moved.
    Stays,
}

async fn one(
    aws: &Aws,
    bucket: &str,
    Move { from, to, on_conflict, with_files, .. }: &Move,
    object: &Object,
) -> Result<Copied, Fault> {
    let Object { key, size, etag, .. } = object;
    if is_sidecar(key) && !with_files {
        return Ok(Copied::Stays);
    }
    let there = format!("{to}{}", key.strip_prefix(from.as_str()).unwrap_or(key));
    if there.len() > MAX_KEY {
        // A review makes the metadata file again. A document whose key is too long for one belongs to nobody.
        if !is_sidecar(key) {
            quarantine::take(aws, bucket, object).await?;
        }
        return Ok(Copied::Arrived);
    }
    if *on_conflict == OnConflict::KeepExisting {
        // A listing is sorted: if the key itself exists, it comes first.
        let page = aws.objects.list(bucket, &there, None, Some(1)).await?;
        if let Some(met) = page.objects.first().filter(|object| object.key == there) {
            // It is the copy if a process died, or an answer was lost, after the copy and before the deletion.
            let arrived = met.size == *size && aws.objects.are_same(bucket, key, &there).await?;
            return Ok(if arrived { Copied::Arrived } else { Copied::Stays });
        }
    }
    aws.objects.copy(bucket, key, Some(etag), &there).await?;
    Ok(Copied::Arrived)
}
