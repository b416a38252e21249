//! The move of documents within their bucket: their current versions, with the files beside them.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};

use super::failures::Failures;
use super::sidecar::{MAX_KEY, SUFFIX, is_sidecar};
use super::{beside, quarantine};
use crate::api::Reason;
use crate::aws::{Aws, Object};
use crate::stack::fault::Fault;
use crate::stack::model::progress::{Cadence, Progress};

/// Pages of a thousand objects that one call looks at before it lets others have their turn.
const PAGES_A_CALL: usize = 10;
/// Objects copied side by side.
const CONCURRENCY: usize = 16;

/// What happens to an object where another already has the name that it would get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// What is moved comes on top.
    Overwrite,
    /// What is there is newer and stays, and the other stays where it is; but for what has arrived already.
    KeepExisting,
}

/// What goes where, within a bucket.
#[derive(Clone, Debug)]
pub struct Move {
    /// The prefix that it has,
    pub from: String,
    /// and the one that it gets instead.
    pub to: String,
    /// What happens where another object has that key.
    pub on_conflict: OnConflict,
    /// Whether jobs read what it leaves behind.
    pub is_read: bool,
    /// Whether metadata files go along. Those that were put into quarantine do not: they may name another tenant, and a document
    /// may come to lie beside them.
    pub with_files: bool,
}

/// Where a call stopped: the next one goes on there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoppedAt {
    /// So many of the moves are done.
    done: usize,
    /// The page of the next one.
    page: Option<String>,
}

/// How moves fare.
#[derive(Debug)]
pub struct Moved {
    /// Whether the listing has come to its end.
    pub progress: Progress,
    /// How many objects were moved.
    pub objects: usize,
    /// Documents that stay where they are, because S3 does not let us move them.
    pub stuck: Failures,
    /// Whether somebody writes or deletes documents while they are moved.
    pub overtaken: bool,
}

/// Moves everything, one move after the other: each object is copied, and only then deleted by its key, so that its older
/// versions stay where they are as long as the bucket keeps them. Done once each listing has come to its end; a call goes on
/// where the last one stopped. What was written anew between its copy and its end is not deleted, and moved again.
///
/// An object that S3 does not let us move keeps no other: it stays. Where jobs read it the file beside it goes, so that no
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
        let page = aws.objects.list(bucket, from, stopped_at.page.take().as_deref(), None).await?;
        let copied: Vec<(Object, Result<Copied, Fault>)> = stream::iter(page.objects)
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
        objects += gone.len() - kept.len();
        for (key, fault) in faults.into_iter().chain(kept) {
            if fault.is_overtaken() { overtaken = true } else { stuck.add(key, fault) }
        }
        if *is_read {
            for file in stuck.files_beside() {
                beside::untag(aws, bucket, &file).await?;
            }
        }
        tracing::info!(bucket, from, to, objects, "moving documents");
        stopped_at.page = page.next;
        if stopped_at.page.is_none() {
            stopped_at.done += 1;
        }
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

/// What could not be moved.
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

    /// The metadata files that stay beside documents that stay. One whose document has moved does no harm, and is tried
    /// again.
    fn files_beside(&mut self) -> Vec<String> {
        let document = |file: &String| file.strip_suffix(SUFFIX).is_some_and(|it| self.keys.contains(it));
        let files: Vec<_> = self.keys.iter().filter(|key| document(key)).cloned().collect();
        self.keys.retain(|key| !files.contains(key));
        files
    }
}

impl Moved {
    /// Whether all is moved that can be, and not all can.
    pub fn is_stuck(&self) -> bool {
        self.progress.is_done() && self.stuck.count > 0
    }
}

/// What became of one object.
enum Copied {
    /// Its copy is there, or it needs none: its key may go.
    Arrived,
    /// It has no business there, or what is there is newer.
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
        // A metadata file is made anew; a document so long could have none, and is nobody's.
        if !is_sidecar(key) {
            quarantine::take(aws, bucket, object).await?;
        }
        return Ok(Copied::Arrived);
    }
    if *on_conflict == OnConflict::KeepExisting {
        // The first key in order that begins so is the key itself, if there is one.
        let page = aws.objects.list(bucket, &there, None, Some(1)).await?;
        if let Some(met) = page.objects.first().filter(|object| object.key == there) {
            // Its own copy, if a process died, or an answer was lost, between the copy and the deletion.
            let arrived = met.size == *size && aws.objects.are_same(bucket, key, &there).await?;
            return Ok(if arrived { Copied::Arrived } else { Copied::Stays });
        }
    }
    aws.objects.copy(bucket, key, Some(etag), &there).await?;
    Ok(Copied::Arrived)
}
