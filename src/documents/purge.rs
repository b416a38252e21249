//! The removal of documents: versions, delete markers and unfinished uploads, a bounded number a call.

use std::time::Duration;

use crate::api::Reason;
use crate::aws::{Aws, Version};
use crate::stack::fault::Fault;
use crate::stack::model::progress::{Cadence, Progress};

/// Pages of a thousand versions that one call removes before it lets others have their turn.
const PAGES_A_CALL: usize = 10;
/// How soon to try locked versions again: somebody may lift a hold.
const LOCKED: Duration = Duration::from_secs(300);

/// Removes everything under each of these prefixes, one after the other.
pub async fn all_under(aws: &Aws, bucket: &str, prefixes: &[String]) -> Result<Progress, Fault> {
    for prefix in prefixes {
        let progress = all_versions(aws, bucket, prefix).await?;
        if !progress.is_done() {
            return Ok(progress);
        }
    }
    Ok(Progress::Done)
}

/// Removes everything under `prefix`; Done once a listing of versions and of uploads is empty. It always lists from
/// the beginning: what was removed is no longer in the way. What is locked is passed over.
pub async fn all_versions(aws: &Aws, bucket: &str, prefix: &str) -> Result<Progress, Fault> {
    for _ in 0..PAGES_A_CALL {
        let mut locked = Vec::new();
        let mut removed = false;
        let mut next = None;
        loop {
            let page = aws.objects.versions(bucket, prefix, next.as_ref()).await?;
            if !page.versions.is_empty() {
                tracing::info!(bucket, prefix, versions = page.versions.len(), "deleting document versions");
                let kept = aws.objects.delete_versions(bucket, &page.versions).await?;
                removed |= kept.len() < page.versions.len();
                locked.extend(kept);
            }
            next = page.next.filter(|_| !removed);
            if next.is_none() {
                break;
            }
        }
        if !removed {
            uploads(aws, bucket, prefix).await?;
            return match locked.first() {
                None => Ok(Progress::Done),
                Some(first) => are_locked(aws, bucket, prefix, first, locked.len()).await,
            };
        }
    }
    let message = format!("Documents under s3://{bucket}/{prefix} are being deleted");
    Ok(Progress::Waiting { reason: Reason::Deleting, message, cadence: Cadence::Steady })
}

/// S3 Object Lock, which only an administrator can have switched on, is not overridden: it ends, or is lifted.
async fn are_locked(
    aws: &Aws,
    bucket: &str,
    prefix: &str,
    first: &Version,
    count: usize,
) -> Result<Progress, Fault> {
    let until = match aws.objects.locked_until(bucket, first).await? {
        Some(until) => format!("until {until}"),
        None => "by a legal hold, which somebody must lift".into(),
    };
    let message = format!(
        "{count} versions under s3://{bucket}/{prefix} are locked and cannot be deleted; the first, of {}, {until}. All \
         others are deleted. Set deletionPolicy to Retain or RetainDocuments to leave them",
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
