//! What a review does with one object of a listing.

use super::beside::{self, Done};
use super::ledger::{Entry, Listed, Pair, Pairing};
use super::quarantine;
use super::room::Trust;
use super::scope::Scope;
use super::sidecar;
use crate::aws::{Aws, Object};
use crate::stack::fault::Fault;
use crate::stack::store::MetadataLimits;

/// What is to be done with an object.
pub(super) enum Task {
    /// It is written down.
    Keep(Entry),
    /// The file beside a document is looked at, unless both are as they were.
    Check(Pair),
    /// It is beyond the limit of its tenant's class: nobody is to find it.
    Hold(Pair, Trust),
    /// It goes where no job looks.
    Quarantine(Object, Because),
}

/// Why a document goes into quarantine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Because {
    /// Its key names no tenant, or leaves no room for a metadata file.
    OfItsKey,
    /// The next job has no room for it.
    OfNoRoom,
}

impl Task {
    /// Does it.
    pub async fn run(self, aws: &Aws, scope: &Scope<'_>) -> Result<Done, Fault> {
        match self {
            Task::Keep(entry) => Ok(Done { line: Some(entry), ..Done::default() }),
            Task::Check(pair) => match scope.pool {
                Some(pool) => beside::check(aws, scope.bucket, pool, pair).await,
                None => Ok(Done::default()),
            },
            Task::Hold(pair, trust) => match scope.pool {
                Some(pool) => beside::hold(aws, scope.bucket, pool, pair, trust).await,
                None => Ok(Done::default()),
            },
            Task::Quarantine(object, because) => put_away(aws, scope.bucket, object, because).await,
        }
    }
}

/// Puts an object into quarantine. One that S3 does not let go stays where it is.
async fn put_away(aws: &Aws, bucket: &str, object: Object, because: Because) -> Result<Done, Fault> {
    let Err(fault) = quarantine::quarantine(aws, bucket, &object).await else {
        return Ok(match because {
            Because::OfItsKey => Done { quarantined: Some(object.key), ..Done::default() },
            Because::OfNoRoom => {
                let bytes = object.bytes();
                Done { waits: Some((object.key, object.last_modified, bytes)), ..Done::default() }
            }
        });
    };
    // A file beside a document that no tenant has would make some filter find it.
    let set_aside = because == Because::OfItsKey && untag_beside(aws, bucket, &object.key).await?;
    // An object that was written anew meanwhile is looked at by the next review.
    let line = (!fault.is_overtaken()).then(|| skipped(object, &fault));
    Ok(Done { line, set_aside, ..Done::default() })
}

/// Takes the metadata file beside a document away. Answers whether there was one.
async fn untag_beside(aws: &Aws, bucket: &str, document: &str) -> Result<bool, Fault> {
    let Some(key) = sidecar::key_of(document) else { return Ok(false) };
    if !is_there(aws, bucket, &key).await? {
        return Ok(false);
    }
    beside::untag(aws, bucket, &key).await?;
    Ok(true)
}

/// Says what is to be done with an object, and with the documents before it whose metadata file has been found or passed.
pub(super) fn sort(
    scope: &Scope<'_>,
    object: Object,
    listed: Listed,
    pairing: &mut Pairing,
    tasks: &mut Vec<Task>,
) {
    let key = listed.entry.key.clone();
    if scope.pool.is_none() {
        let skipped = scope.metadata.and_then(|limits| too_long(limits, &object, &listed, pairing));
        return tasks.push(Task::Keep(Entry { skipped, ..listed.entry }));
    }
    if sidecar::is_document(&key) && (sidecar::tenant_of(&key).is_none() || sidecar::key_of(&key).is_none()) {
        tasks.extend(pairing.before(&key).into_iter().map(Task::Check));
        return tasks.push(Task::Quarantine(object, Because::OfItsKey));
    }
    let entry = listed.entry.clone();
    let known = pairing.next(listed);
    let is_paired = known.iter().any(|pair| pair.sidecar.as_ref().is_some_and(|it| it.entry.key == key));
    tasks.extend(known.into_iter().map(Task::Check));
    if !sidecar::is_sidecar(&key) {
        tasks.push(Task::Keep(entry));
    } else if !is_paired {
        // Nothing reads it while it has no document.
        tasks.push(Task::Keep(entry.unread()));
    }
}

/// How long a metadata file is that the vector store does not take: Bedrock leaves it aside, and the document beside it. The
/// listing says it, and more is not to be known. The operator may not read what a Silo or a Bridge tenant has; so nobody counts
/// the attributes.
fn too_long(
    limits: MetadataLimits,
    object: &Object,
    listed: &Listed,
    pairing: &mut Pairing,
) -> Option<String> {
    let key = &listed.entry.key;
    let known = pairing.next(listed.clone());
    // Nothing reads a file without a document.
    let is_paired = known.iter().any(|pair| pair.sidecar.as_ref().is_some_and(|it| it.entry.key == *key));
    let bytes = object.bytes();
    (is_paired && bytes > limits.bytes as u64).then(|| format!("{bytes} bytes"))
}

/// What the ledger says of an object with which nothing can be done.
fn skipped(object: Object, fault: &Fault) -> Entry {
    let mark = object.mark();
    Entry { skipped: Some(beside::why(fault)), ..Entry::new(object.key, mark) }
}

async fn is_there(aws: &Aws, bucket: &str, key: &str) -> Result<bool, Fault> {
    // The first key in order that begins so is the key itself, if there is one.
    let page = aws.objects.list(bucket, key, None, Some(1)).await?;
    Ok(page.objects.first().is_some_and(|object| object.key == key))
}
