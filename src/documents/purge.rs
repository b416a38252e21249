//! The removal of documents: versions, delete markers and unfinished uploads, a bounded number a call.

use std::collections::HashSet;
use std::time::Duration;

use crate::api::Reason;
use crate::aws::{Aws, Version};
use crate::stack::fault::Fault;
use crate::stack::model::progress::{Cadence, Progress};

/// How many versions one request deletes.
const PAGE: usize = 1000;
/// Pages of a thousand versions that one call removes before it lets others have their turn.
const PAGES_A_CALL: usize = 10;
/// How soon to try locked versions again: somebody may lift a hold.
const LOCKED: Duration = Duration::from_secs(300);

/// What becomes of documents of which a locked version is the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Locked {
    /// They stay as they are.
    Stays,
    /// A delete marker comes on top, so that no job reads them while they wait.
    Hidden,
}

/// How a removal fares.
#[derive(Debug)]
pub struct Purged {
    /// Done once a listing of versions and of uploads is empty.
    pub progress: Progress,
    /// Whether this call changed anything.
    pub changed: bool,
}

/// Removes everything under each of these prefixes, one after the other.
pub async fn all_under(aws: &Aws, bucket: &str, prefixes: &[String]) -> Result<Progress, Fault> {
    under(aws, bucket, prefixes, Locked::Stays).await.map(|purged| purged.progress)
}

/// The same under a prefix that a job of another owner reads. A delete marker hides what is locked from it.
pub async fn all_out_of_sight(aws: &Aws, bucket: &str, prefixes: &[String]) -> Result<Purged, Fault> {
    under(aws, bucket, prefixes, Locked::Hidden).await
}

/// Removes everything under `prefix`.
pub async fn all_versions(aws: &Aws, bucket: &str, prefix: &str) -> Result<Progress, Fault> {
    one(aws, bucket, prefix, Locked::Stays).await.map(|purged| purged.progress)
}

/// What is locked under one prefix keeps nothing under the next.
async fn under(aws: &Aws, bucket: &str, prefixes: &[String], then: Locked) -> Result<Purged, Fault> {
    let mut all = Purged { progress: Progress::Done, changed: false };
    for prefix in prefixes {
        let Purged { progress, changed } = one(aws, bucket, prefix, then).await?;
        all.changed |= changed;
        let goes_on = progress.is_done() || is_locked(&progress);
        if !goes_on || all.progress.is_done() {
            all.progress = progress;
        }
        if !goes_on {
            break;
        }
    }
    Ok(all)
}

/// Whether nothing is left but what is locked.
pub fn is_locked(progress: &Progress) -> bool {
    matches!(progress, Progress::Waiting { reason: Reason::ObjectsLocked, .. })
}

/// Removes everything under a prefix. It always lists from the beginning: what was removed is no longer listed. What is locked
/// is passed over.
async fn one(aws: &Aws, bucket: &str, prefix: &str, then: Locked) -> Result<Purged, Fault> {
    let mut changed = false;
    for _ in 0..PAGES_A_CALL {
        let mut locked: Vec<Version> = Vec::new();
        let mut removed = false;
        let mut next = None;
        // Delete markers of a page's last key, of which the next page may have more.
        let mut held_back = Vec::new();
        loop {
            let page = aws.objects.versions(bucket, prefix, next.as_ref()).await?;
            tracing::info!(bucket, prefix, versions = page.versions.len(), "deleting document versions");
            let last = page.versions.iter().map(|it| &it.key).max().filter(|_| page.next.is_some()).cloned();
            let (markers, versions): (Vec<_>, Vec<_>) =
                page.versions.into_iter().partition(|version| version.is_delete_marker);
            let kept = aws.objects.delete_versions(bucket, &versions).await?;
            removed |= kept.len() < versions.len();
            locked.extend(kept);
            held_back.extend(markers);
            let (later, now): (Vec<_>, Vec<_>) =
                held_back.into_iter().partition(|marker| last.as_ref() == Some(&marker.key));
            held_back = later;
            // Without its marker a locked version would be a document again.
            let covers: HashSet<_> = locked.iter().map(|it| &it.key).collect();
            let idle: Vec<_> = now.into_iter().filter(|marker| !covers.contains(&marker.key)).collect();
            for some in idle.chunks(PAGE) {
                aws.objects.delete_versions(bucket, some).await?;
            }
            removed |= !idle.is_empty();
            next = page.next.filter(|_| !removed);
            if next.is_none() {
                break;
            }
        }
        changed |= removed;
        if !removed {
            uploads(aws, bucket, prefix).await?;
            if then == Locked::Hidden {
                for version in locked.iter().filter(|version| version.is_latest) {
                    aws.objects.delete_one(bucket, &version.key, None).await?;
                    changed = true;
                }
            }
            let progress = match locked.first() {
                None => Progress::Done,
                Some(first) => are_locked(aws, bucket, prefix, first, locked.len(), then).await?,
            };
            return Ok(Purged { progress, changed });
        }
    }
    let message = format!("Documents under s3://{bucket}/{prefix} are being deleted");
    let progress = Progress::Waiting { reason: Reason::Deleting, message, cadence: Cadence::Steady };
    Ok(Purged { progress, changed })
}

/// Only an administrator can have switched S3 Object Lock on. It is not overridden: it ends, or is lifted.
async fn are_locked(
    aws: &Aws,
    bucket: &str,
    prefix: &str,
    first: &Version,
    count: usize,
    then: Locked,
) -> Result<Progress, Fault> {
    let until = match aws.objects.locked_until(bucket, first).await? {
        Some(until) => format!("until {until}"),
        None => "by a legal hold, which somebody must lift".into(),
    };
    let unseen = match then {
        Locked::Stays => "",
        Locked::Hidden => {
            " Nobody is answered from them: a delete marker lies on each, which whoever wants the document back deletes."
        }
    };
    let message = format!(
        "{count} versions under s3://{bucket}/{prefix} are locked and cannot be deleted; the first, of {}, {until}. All \
         others are deleted.{unseen} Set deletionPolicy to Retain or RetainDocuments to leave them",
        first.key
    );
    Ok(Progress::Waiting { reason: Reason::ObjectsLocked, message, cadence: Cadence::After(LOCKED) })
}

async fn uploads(aws: &Aws, bucket: &str, prefix: &str) -> Result<(), Fault> {
    for upload in aws.objects.uploads(bucket, prefix).await? {
        aws.objects.abort_upload(bucket, &upload).await?;
    }
    Ok(())
}
