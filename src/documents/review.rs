//! A review of all documents before a job: each object of the listing is compared with the ledger, what differs is put
//! right, and the next ledger is written as the listing goes by.

use std::collections::BTreeSet;

use futures::future::try_join;
use futures::{StreamExt, TryStreamExt, stream};

use super::draft::Draft;
use super::findings::Findings;
use super::ledger::{self, Entry, HEADER, Listed, Pair, Pairing};
use super::quarantine;
use super::reviews::Reviews;
use super::sidecar::{self, Rules};
use crate::aws::{Aws, Lines, Object, Writer};
use crate::stack::fault::{Class, Fault};
use crate::stack::identity::Owner;

/// Objects put right side by side.
const CONCURRENCY: usize = 16;
/// Pages after which a long review says how far it is.
const PAGES: usize = 20;

/// What is reviewed.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// Whose documents they are.
    pub owner: &'a Owner,
    /// The bucket,
    pub bucket: &'a str,
    /// and the prefix that the data source reads.
    pub prefix: &'a str,
    /// The key of its ledger.
    pub ledger: &'a str,
    /// What stands beside the documents, if this is a pool. Others' metadata files are their own.
    pub rules: Option<&'a Rules>,
    /// Tenants that leave: their documents are expected to go.
    pub leaving: &'a BTreeSet<String>,
}

/// What is to be done with an object, in the order of the listing.
enum Task {
    /// It is written down.
    Keep(Entry),
    /// The file beside a document is looked at, unless it is as it was.
    Check(Pair),
    /// It belongs to nobody, and goes where no job looks.
    Banish(String),
}

/// What became of it.
#[derive(Default)]
struct Done {
    line: Option<Entry>,
    written: bool,
    dropped: usize,
    corrected: Option<String>,
    quarantined: Option<String>,
}

/// Reviews everything, a page of the listing at a time, so that memory does not grow with the number of documents. The
/// next ledger is written, and not yet there: it is the ledger of the job that is started after it, and says so by that
/// job's description.
pub async fn all(
    aws: &Aws,
    scope: &Scope<'_>,
    job: &str,
    reviews: &Reviews,
) -> Result<(Findings, Writer), Fault> {
    let mut draft = Draft::new(aws, scope.bucket, scope.ledger, job);
    match listing(aws, scope, &mut draft, reviews).await {
        Ok(findings) => Ok((findings, draft.written())),
        Err(fault) => {
            draft.written().give_up().await?;
            Err(fault)
        }
    }
}

async fn listing(
    aws: &Aws,
    scope: &Scope<'_>,
    draft: &mut Draft<'_>,
    reviews: &Reviews,
) -> Result<Findings, Fault> {
    let mut progress = reviews.begin(scope.owner);
    let mut last = Last::open(aws, scope).await?;
    let mut findings = Findings { last_for: last.job.take(), ..Findings::default() };
    let mut pairing = Pairing::default();
    let mut pages = 0_usize;
    let mut page = aws.objects.list(scope.bucket, scope.prefix, None, None).await?;
    loop {
        let (mut tasks, objects) = (Vec::new(), page.objects.len());
        for object in page.objects {
            let listed = last.compare(object, scope, &mut findings).await?;
            sort(scope, listed, &mut pairing, &mut tasks);
        }
        let next = page.next;
        if next.is_none() {
            last.rest(scope, &mut findings).await?;
            tasks.extend(std::mem::take(&mut pairing).end().into_iter().map(Task::Check));
        }
        if findings.changed > 0 {
            draft.differs().await?;
        }
        // The next page comes meanwhile. What is written now lies before it.
        let ahead = async {
            match &next {
                Some(next) => aws.objects.list(scope.bucket, scope.prefix, Some(next), None).await.map(Some),
                None => Ok(None),
            }
        };
        let (ahead, ()) = try_join(ahead, work(aws, scope, tasks, draft, &mut findings)).await?;
        progress.page(objects, &findings);
        pages += 1;
        let Some(ahead) = ahead else {
            let Findings { documents, changed, written, dropped, .. } = findings;
            tracing::info!(
                scope.bucket,
                scope.prefix,
                documents,
                changed,
                written,
                dropped,
                "documents reviewed"
            );
            return Ok(findings);
        };
        page = ahead;
        if pages.is_multiple_of(PAGES) {
            tracing::info!(
                scope.bucket,
                scope.prefix,
                findings.documents,
                findings.written,
                "reviewing documents"
            );
        }
    }
}

/// Says what is to be done with an object, and with the documents before it of which all is known now.
fn sort(scope: &Scope<'_>, listed: Listed, pairing: &mut Pairing, tasks: &mut Vec<Task>) {
    let key = listed.entry.key.clone();
    if scope.rules.is_none() {
        return tasks.push(Task::Keep(listed.entry));
    }
    if sidecar::is_document(&key) && (sidecar::tenant_of(&key).is_none() || sidecar::key_of(&key).is_none()) {
        return tasks.push(Task::Banish(key));
    }
    let entry = listed.entry.clone();
    let known = pairing.next(listed);
    let is_paired = known.iter().any(|pair| pair.sidecar.as_ref().is_some_and(|it| it.entry.key == key));
    tasks.extend(known.into_iter().map(Task::Check));
    if !is_paired {
        tasks.push(Task::Keep(entry));
    }
}

async fn work(
    aws: &Aws,
    scope: &Scope<'_>,
    tasks: Vec<Task>,
    draft: &mut Draft<'_>,
    findings: &mut Findings,
) -> Result<(), Fault> {
    // In their order, because the ledger has the listing's.
    let mut done = stream::iter(tasks).map(|task| one(aws, scope, task)).buffered(CONCURRENCY);
    while let Some(Done { line, written, dropped, corrected, quarantined }) = done.try_next().await? {
        if written {
            draft.differs().await?;
        }
        if let Some(entry) = line {
            draft.line(&entry).await?;
        }
        findings.written += usize::from(written);
        findings.dropped += dropped;
        corrected.into_iter().for_each(|name| findings.corrected.add(|| name));
        quarantined.into_iter().for_each(|name| findings.quarantined.add(|| name));
    }
    Ok(())
}

async fn one(aws: &Aws, scope: &Scope<'_>, task: Task) -> Result<Done, Fault> {
    match task {
        Task::Keep(entry) => Ok(Done { line: Some(entry), ..Done::default() }),
        Task::Check(pair) => check(aws, scope, pair).await,
        Task::Banish(key) => {
            quarantine::take(aws, scope.bucket, &key).await?;
            aws.objects.delete(scope.bucket, std::slice::from_ref(&key)).await?;
            Ok(Done { quarantined: Some(key), ..Done::default() })
        }
    }
}

/// Puts the file beside a document right. One that is right is left alone: writing it anew would make Bedrock look at the
/// document again.
async fn check(aws: &Aws, scope: &Scope<'_>, pair: Pair) -> Result<Done, Fault> {
    let document = &pair.document.entry.key;
    let (Some(rules), Some(key), Some(tenant)) =
        (scope.rules, sidecar::key_of(document), sidecar::tenant_of(document))
    else {
        return Ok(Done::default());
    };
    // The ledger speaks for a file only together with its document: one that lay there before was nobody's, and unread.
    if let (true, Some(Listed { entry, .. })) = (pair.is_same(), &pair.sidecar) {
        return Ok(Done { line: Some(entry.clone()), ..Done::default() });
    }
    let there = match pair.sidecar {
        Some(_) => read(aws, scope.bucket, &key).await?,
        None => None,
    };
    let content = there.as_ref().and_then(|there| there.content.as_deref());
    let wanted = rules.sidecar(tenant, content);
    if let Some(etag) = there.as_ref().and_then(|there| there.etag.as_ref())
        && content == Some(&wanted.content)
    {
        let mark = ledger::mark(etag, wanted.content.len() as u64);
        return Ok(Done { line: Some(Entry { key, mark }), ..Done::default() });
    }
    if there.is_some() {
        quarantine::take(aws, scope.bucket, &key).await?;
    }
    let size = wanted.content.len() as u64;
    let etag = aws.objects.put(scope.bucket, &key, wanted.content, "application/json").await?;
    let corrected = wanted.named.is_some().then(|| document.clone());
    let line = Some(Entry { key, mark: ledger::mark(&etag, size) });
    Ok(Done { line, written: true, dropped: wanted.dropped, corrected, quarantined: None })
}

/// A metadata file that is there, as far as it can be read.
struct There {
    content: Option<Vec<u8>>,
    etag: Option<String>,
}

async fn read(aws: &Aws, bucket: &str, key: &str) -> Result<Option<There>, Fault> {
    match aws.objects.read(bucket, key, sidecar::MAX_SIDECAR as u64).await {
        Ok(found) => Ok(found.map(|found| There { content: Some(found.bytes), etag: Some(found.etag) })),
        // One that passes by itself is worth waiting for.
        Err(fault)
            if matches!(fault.class, Class::Throttled | Class::Transient)
                && fault.code != "InvalidObjectState" =>
        {
            Err(fault)
        }
        // One that is too long, archived, or under a key that nobody lets us use is not ours, and so not right.
        Err(fault) => {
            tracing::debug!(bucket, key, %fault, "the metadata file cannot be read and is replaced");
            Ok(Some(There { content: None, etag: None }))
        }
    }
}

/// The last ledger, as far as it has been read.
struct Last {
    job: Option<String>,
    lines: Option<Lines>,
    next: Option<Entry>,
}

impl Last {
    async fn open(aws: &Aws, scope: &Scope<'_>) -> Result<Self, Fault> {
        let mut lines = aws.objects.lines(scope.bucket, scope.ledger).await?;
        let (mut header, mut job) = (None, None);
        if let Some(lines) = &mut lines {
            header = lines.next().await?;
            job = lines.next().await?.and_then(|line| serde_json::from_str(&line).ok());
        }
        let lines = lines.filter(|_| header.as_deref() == Some(HEADER));
        let mut last = Last { job, lines, next: None };
        last.advance().await?;
        Ok(last)
    }

    /// The next line. One that cannot be read ends it: what follows counts as new.
    async fn advance(&mut self) -> Result<Option<Entry>, Fault> {
        let line = match &mut self.lines {
            Some(lines) => lines.next().await?,
            None => None,
        };
        let next = line.as_deref().and_then(Entry::parse);
        Ok(std::mem::replace(&mut self.next, next))
    }

    /// Compares an object with the ledger, and notes what the ledger has before it: that is gone.
    async fn compare(
        &mut self,
        object: Object,
        scope: &Scope<'_>,
        findings: &mut Findings,
    ) -> Result<Listed, Fault> {
        let entry = Entry { mark: object.mark(), key: object.key };
        while self.next.as_ref().is_some_and(|next| next.key < entry.key) {
            let gone = self.advance().await?;
            gone.iter().for_each(|gone| findings.lost(gone, scope.leaving));
        }
        let known = match self.next.as_ref().is_some_and(|next| next.key == entry.key) {
            true => self.advance().await?,
            false => None,
        };
        let listed = Listed { same: known.as_ref() == Some(&entry), entry };
        findings.found(&listed, known.is_some());
        Ok(listed)
    }

    /// All that is left in the ledger is gone.
    async fn rest(&mut self, scope: &Scope<'_>, findings: &mut Findings) -> Result<(), Fault> {
        while let Some(gone) = self.advance().await? {
            findings.lost(&gone, scope.leaving);
        }
        Ok(())
    }
}
