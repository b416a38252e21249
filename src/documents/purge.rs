//! The removal of documents: versions, delete markers and unfinished uploads, a bounded number a call.

use crate::api::Reason;
use crate::aws::Aws;
use crate::stack::fault::Fault;
use crate::stack::progress::{Cadence, Progress};

/// Pages of a thousand versions that one call removes before it lets others have their turn.
const PAGES_A_CALL: usize = 10;

/// Removes everything under `prefix`; Done once a listing of versions and of uploads is empty. It always lists from
/// the beginning: what was removed is no longer in the way.
pub async fn all_versions(aws: &Aws, bucket: &str, prefix: &str) -> Result<Progress, Fault> {
    for _ in 0..PAGES_A_CALL {
        let page = aws.objects.versions(bucket, prefix, None).await?;
        if page.versions.is_empty() {
            return uploads(aws, bucket, prefix).await;
        }
        tracing::info!(bucket, prefix, versions = page.versions.len(), "deleting document versions");
        aws.objects.delete_versions(bucket, &page.versions).await?;
    }
    let message = format!("Documents under s3://{bucket}/{prefix} are being deleted");
    Ok(Progress::Waiting { reason: Reason::Deleting, message, cadence: Cadence::Steady })
}

async fn uploads(aws: &Aws, bucket: &str, prefix: &str) -> Result<Progress, Fault> {
    for upload in aws.objects.uploads(bucket, prefix).await? {
        aws.objects.abort_upload(bucket, &upload).await?;
    }
    Ok(Progress::Done)
}
