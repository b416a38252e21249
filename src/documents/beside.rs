//! The file beside a pool's document. It is put right, or taken away where no tenant has the document.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use jiff::Timestamp;

use super::ledger::{self, Entry, Listed, Pair};
use super::quarantine;
use super::room::Trust;
use super::sidecar::{self, Pool};
use crate::aws::Aws;
use crate::stack::fault::Fault;

/// When a file that could not be written is written again. Who is skipped waits for the next review, which may be an hour away.
const SOON: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_factor(3.0)
    .with_jitter()
    .with_max_times(4);

/// What a review did with an object.
#[derive(Default)]
pub(super) struct Done {
    /// What the next ledger says of it.
    pub line: Option<Entry>,
    /// Whether a metadata file was written.
    pub written: bool,
    /// Whether a metadata file was taken away, and none written in its place.
    pub set_aside: bool,
    /// Whether it is a document of a tenantId that no Tenant has.
    pub unclaimed: bool,
    /// Attributes that were not kept.
    pub dropped: usize,
    /// The document beside which a metadata file named another tenant,
    pub corrected: Option<String>,
    /// or said something that is not kept.
    pub lost: Option<String>,
    /// The document that was put into quarantine.
    pub quarantined: Option<String>,
    /// The document that is beyond the limit of its tenant's class, and its bytes.
    pub held: Option<(String, u64)>,
    /// The document that was put there because the next job has no room for it, when it was written, and its bytes.
    pub waits: Option<(String, Timestamp, u64)>,
}

/// Puts the file beside a document right. A file that is right is left alone, however it is written: a new one would make
/// Bedrock read the document again. A file that is not right is kept in quarantine, unless ours says all that it said.
///
/// A failure that passes is tried again in a moment. If S3 refuses something for one object, that object is skipped and told. No query finds it, because no file beside it
/// names a tenant. Only if a file that may name another tenant can neither be replaced nor removed, the review fails.
pub(super) async fn check(aws: &Aws, bucket: &str, pool: Pool<'_>, pair: Pair) -> Result<Done, Fault> {
    let document = &pair.document.entry.key;
    let (Some(key), Some(tenant)) = (sidecar::key_of(document), sidecar::tenant_of(document)) else {
        return Ok(Done::default());
    };
    if !(pool.is_somebodys)(tenant) {
        return unclaimed(aws, bucket, pool, &pair, tenant, key).await;
    }
    // The ledger vouches for a file only together with its document. A file that lay there before its document was not read.
    if let (true, Some(Listed { entry, .. })) = (pair.is_same(), &pair.sidecar) {
        return Ok(Done { line: Some(entry.clone()), ..Done::default() });
    }
    let there = match pair.sidecar {
        Some(_) => read(aws, bucket, &key).await,
        None => None,
    };
    let content = there.as_ref().and_then(|there| there.content.as_deref());
    let wanted = pool.rules.sidecar(tenant, content);
    if let Some(There { content: Some(content), etag: Some(etag) }) = &there
        && wanted.is_there
    {
        let mark = ledger::mark(etag, content.len() as u64);
        return Ok(Done { line: Some(Entry::new(key, mark)), ..Done::default() });
    }
    // A file that cannot be read may say anything.
    let is_lost = wanted.is_lost || there.is_some() && content.is_none();
    if is_lost || wanted.named.is_some() {
        quarantine::keep(aws, bucket, &key).await;
    }
    let size = wanted.content.len() as u64;
    let corrected = wanted.named.is_some().then(|| document.clone());
    let lost = is_lost.then(|| document.clone());
    let done = Done { dropped: wanted.dropped, corrected, lost, ..Done::default() };
    let put = || aws.objects.put(bucket, &key, wanted.content.clone(), "application/json");
    match put.retry(SOON).when(Fault::passes).await {
        Ok(etag) => {
            let line = Some(Entry::new(key, ledger::mark(&etag, size)));
            Ok(Done { line, written: true, ..done })
        }
        Err(fault) => {
            let set_aside =
                there.is_some() && !content.is_some_and(|it| wanted.named.is_none() && sidecar::is_plain(it));
            if set_aside {
                untag(aws, bucket, &key).await?;
            }
            let skipped = Some(why(&fault));
            // One that names nobody else stays, and is tried again as one that is not there.
            let line = Some(Entry { skipped, ..Entry::new(key, ledger::ABSENT.into()) });
            // Nothing of one that stays is lost yet.
            let lost = done.lost.clone().filter(|_| set_aside);
            Ok(Done { line, set_aside, lost, ..done })
        }
    }
}

/// What is told of a fault to whom the object belongs.
pub(super) fn why(fault: &Fault) -> String {
    let Fault { service, operation, code, message, .. } = fault;
    format!("{service}:{operation}: {code}: {message}")
}

/// Takes a metadata file away, so that no filter finds the document beside it: deleted, or else written over by one that
/// says nothing.
pub(super) async fn untag(aws: &Aws, bucket: &str, key: &str) -> Result<(), Fault> {
    let Err(fault) = aws.objects.delete_one(bucket, key, None).await else { return Ok(()) };
    tracing::warn!(bucket, key, %fault, "a metadata file cannot be deleted and is written over");
    aws.objects.put(bucket, key, sidecar::SAYS_NOTHING.into(), "application/json").await.map(drop)
}

/// A document under a tenantId that no Tenant has gets no file, so that no filter finds it. It stays where it is: a person
/// must say whose it is. A file that lies beside it would make some filter find it.
async fn unclaimed(
    aws: &Aws,
    bucket: &str,
    pool: Pool<'_>,
    pair: &Pair,
    tenant: &str,
    key: String,
) -> Result<Done, Fault> {
    let document = &pair.document.entry.key;
    tracing::debug!(bucket, document, "its tenantId is nobody's");
    let mut done = Done { unclaimed: true, ..Done::default() };
    if pair.sidecar.is_some()
        && let Some(there) = read(aws, bucket, &key).await
    {
        done.set_aside = true;
        // A job that read it may have told another tenant of this document, as with any other.
        let named = pool.rules.sidecar(tenant, there.content.as_deref()).named;
        done.corrected = named.map(|_| document.clone());
        quarantine::keep(aws, bucket, &key).await;
        untag(aws, bucket, &key).await?;
    }
    Ok(done)
}

/// A document beyond the limit of its tenant's class gets no file, so that no filter finds it. It stays where it is. One that
/// has a file which was not listed has its place, if files are to be trusted.
pub(super) async fn hold(
    aws: &Aws,
    bucket: &str,
    pool: Pool<'_>,
    pair: Pair,
    trust: Trust,
) -> Result<Done, Fault> {
    let document = &pair.document.entry.key;
    let Some(key) = sidecar::key_of(document) else { return Ok(Done::default()) };
    let mut done = Done { held: Some((document.clone(), pair.document.bytes)), ..Done::default() };
    if pair.sidecar.is_none() {
        return Ok(done);
    }
    let Some(_) = read(aws, bucket, &key).await else { return Ok(done) };
    if trust == Trust::Files {
        return check(aws, bucket, pool, pair).await;
    }
    done.set_aside = true;
    quarantine::keep(aws, bucket, &key).await;
    untag(aws, bucket, &key).await?;
    Ok(done)
}

/// A metadata file that is there, as far as it can be read.
struct There {
    content: Option<Vec<u8>>,
    etag: Option<String>,
}

/// Reads a metadata file. One that is too long, archived, slow, or under a key that we may not use is not ours. So it is not
/// right, and is replaced.
async fn read(aws: &Aws, bucket: &str, key: &str) -> Option<There> {
    match aws.objects.read(bucket, key, sidecar::MAX_SIDECAR as u64).await {
        Ok(found) => found.map(|found| There { content: Some(found.bytes), etag: Some(found.etag) }),
        Err(fault) => {
            tracing::debug!(bucket, key, %fault, "the metadata file cannot be read and is replaced");
            Some(There { content: None, etag: None })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::{Gate, SdkConfig};
    use crate::documents::sidecar::{NO_BOUNDS, Rules};

    fn listed(key: &str, same: bool) -> Listed {
        Listed { entry: Entry::new(key.into(), ledger::mark("e", 1)), same, bytes: 1 }
    }

    /// What becomes of a document and the file beside it, if there is one, where AWS cannot be reached: whether each is
    /// as in the last ledger.
    async fn unreached(document: bool, file: Option<bool>, is_somebodys: bool) -> Result<Done, Fault> {
        let aws = Aws::new(&SdkConfig::builder().build(), "123456789012", &Gate::default());
        let rules = Rules {
            tenant_id_key: "tenantId".into(),
            attributes: Vec::new(),
            max_bytes: sidecar::MAX_SIDECAR,
        };
        let knows = |id: &str| is_somebodys && id == "acme";
        let pool = Pool { rules: &rules, is_somebodys: &knows, bounds: &NO_BOUNDS };
        let pair = Pair {
            document: listed("pool/acme/x.md", document),
            sidecar: file.map(|same| listed("pool/acme/x.md.metadata.json", same)),
        };
        check(&aws, "bucket", pool, pair).await
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_right_costs_no_call() {
        let right = unreached(true, Some(true), true).await.unwrap();
        assert_eq!(right.line.unwrap().key, "pool/acme/x.md.metadata.json");
        assert!(!right.written && !right.set_aside && !right.unclaimed);
        for document in [true, false] {
            let nobodys = unreached(document, None, false).await.unwrap();
            assert!(
                nobodys.unclaimed && nobodys.line.is_none(),
                "it is told, and the ledger has no file of it"
            );
            assert!(!nobodys.written && !nobodys.set_aside, "nothing asks for a job");
        }
    }

    #[tokio::test]
    async fn the_ledger_vouches_for_no_file_beside_what_is_nobodys() {
        for document in [true, false] {
            let fault = unreached(document, Some(true), false).await.map(drop).unwrap_err();
            assert_eq!(fault.operation, "PutObject", "it can neither be deleted nor written over");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_written_is_skipped_and_what_may_name_another_is_not() {
        let skipped = unreached(true, None, true).await.unwrap();
        let line = skipped.line.unwrap();
        assert!(line.skipped.unwrap().starts_with("s3:PutObject: "), "it says what did not go");
        assert!(!skipped.written && !skipped.set_aside);
        let fault = unreached(true, Some(false), true).await.map(drop).unwrap_err();
        assert_eq!(fault.operation, "PutObject", "nobody knows whom it names, and it cannot be taken away");
    }
}
