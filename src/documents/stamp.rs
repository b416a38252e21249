//! Before a job, every object of a pool gets its metadata file, written over whatever is there.

use futures::{StreamExt, TryStreamExt, stream};

use super::sidecar::{self, POOL};
use crate::aws::Aws;
use crate::stack::fault::{Class, Fault};

/// Objects looked at side by side.
const CONCURRENCY: usize = 16;
/// A metadata file that is longer than Bedrock takes (10 KB) is wrong, whatever it says.
const MAX_SIDECAR: u64 = 10 * 1024;

/// What a stamping pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamped {
    /// Documents looked at.
    pub documents: usize,
    /// Metadata files written.
    pub written: usize,
}

/// Stamps all of a pool, a page of the listing at a time, so that memory does not grow with the number of documents.
pub async fn pool(aws: &Aws, bucket: &str, tenant_id_key: &str) -> Result<Stamped, Fault> {
    let mut total = Stamped::default();
    let mut next: Option<String> = None;
    loop {
        let page = aws.objects.list(bucket, POOL, next.as_deref(), None).await?;
        let documents = page.objects.into_iter().map(|object| object.key).filter(|key| is_document(key));
        let written: Vec<bool> = stream::iter(documents)
            .map(|key| async move { one(aws, bucket, tenant_id_key, &key).await })
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await?;
        total.documents += written.len();
        total.written += written.iter().filter(|written| **written).count();
        next = page.next;
        if next.is_none() {
            tracing::info!(bucket, documents = total.documents, written = total.written, "pool is stamped");
            return Ok(total);
        }
    }
}

/// Keys with a closing slash are the folders that consoles make.
fn is_document(key: &str) -> bool {
    !sidecar::is_sidecar(key) && !key.ends_with('/')
}

/// Whether the sidecar had to be written. One that is right is left alone: writing it anew would make Bedrock look at
/// the document again.
async fn one(aws: &Aws, bucket: &str, tenant_id_key: &str, document: &str) -> Result<bool, Fault> {
    let Some(key) = sidecar::key_of(document) else {
        tracing::warn!(
            bucket,
            key = document,
            "the key leaves no room for a metadata file: no tenant will find it"
        );
        return Ok(false);
    };
    let wanted = sidecar::content(tenant_id_key, document);
    match aws.objects.get(bucket, &key, MAX_SIDECAR).await {
        Ok(found) if found.as_ref() == Some(&wanted) => return Ok(false),
        Ok(_) => {}
        // One that passes by itself is worth waiting for.
        Err(fault)
            if matches!(fault.class, Class::Throttled | Class::Transient)
                && fault.code != "InvalidObjectState" =>
        {
            return Err(fault);
        }
        // One that is too long, archived, or under a key that nobody lets us use is not ours, and so not right.
        Err(fault) => {
            tracing::debug!(bucket, key, %fault, "the metadata file cannot be read and is replaced")
        }
    }
    aws.objects.put(bucket, &key, wanted, "application/json").await?;
    Ok(true)
}
