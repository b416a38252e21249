//! The move of documents within their bucket: their current versions, with the files beside them.

use futures::{StreamExt, TryStreamExt, stream};

use crate::api::Reason;
use crate::aws::{Aws, Object};
use crate::stack::fault::Fault;
use crate::stack::model::progress::{Cadence, Progress};

/// Pages of a thousand objects from which one call moves something before it lets others have their turn. Pages of which
/// everything stays put do not count: each call begins anew, and would come no further than the last.
const PAGES_A_CALL: usize = 10;
/// Objects copied side by side.
const CONCURRENCY: usize = 16;

/// What happens to an object where another already has the name that it would get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meeting {
    /// What is moved comes on top.
    OnTop,
    /// What is there is newer and stays, and the other stays where it is; but for what has arrived already.
    StayPut,
}

/// Moves everything under `from` to `to`: each object is copied, and only then deleted by its key, so that its older
/// versions stay where they are as long as the bucket keeps them. Done once a listing has come to its end.
pub async fn all(aws: &Aws, bucket: &str, from: &str, to: &str, meeting: Meeting) -> Result<Progress, Fault> {
    let (mut next, mut pages) = (None::<String>, 0);
    while pages < PAGES_A_CALL {
        let page = aws.objects.list(bucket, from, next.as_deref(), None).await?;
        let moved: Vec<Option<String>> = stream::iter(page.objects)
            .map(|object| async move { one(aws, bucket, from, to, meeting, object).await })
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await?;
        let moved: Vec<String> = moved.into_iter().flatten().collect();
        tracing::info!(bucket, from, to, objects = moved.len(), "moving documents");
        aws.objects.delete(bucket, &moved).await?;
        pages += usize::from(!moved.is_empty());
        next = page.next;
        if next.is_none() {
            return Ok(Progress::Done);
        }
    }
    let message = format!("Documents are being moved from s3://{bucket}/{from} to {to}");
    Ok(Progress::Waiting { reason: Reason::Updating, message, cadence: Cadence::Steady })
}

/// Copies one object; its key, if it may now be deleted.
async fn one(
    aws: &Aws,
    bucket: &str,
    from: &str,
    to: &str,
    meeting: Meeting,
    object: Object,
) -> Result<Option<String>, Fault> {
    let Object { key, size, .. } = object;
    let there = format!("{to}{}", key.strip_prefix(from).unwrap_or(&key));
    if meeting == Meeting::StayPut {
        // The first key in order that begins so is the key itself, if there is one.
        let page = aws.objects.list(bucket, &there, None, Some(1)).await?;
        if let Some(met) = page.objects.first().filter(|object| object.key == there) {
            // Its own copy, if a process died, or an answer was lost, between the copy and the deletion.
            let arrived = met.size == size
                && aws.objects.digest(bucket, &key).await? == aws.objects.digest(bucket, &there).await?;
            return Ok(arrived.then_some(key));
        }
    }
    aws.objects.copy(bucket, &key, &there).await?;
    Ok(Some(key))
}
