//! A review of all documents before a job: each object of the listing is compared with the ledger, what differs is put
//! right, and the next ledger is written as the listing goes by.

use std::collections::BTreeSet;

use futures::future::try_join;
use futures::{StreamExt, TryStreamExt, stream};

use super::beside::{self, Done};
use super::draft::Draft;
use super::failures::Skipped;
use super::findings::Findings;
use super::ledger::{Entry, HEADER, Listed, Pair, Pairing};
use super::quarantine;
use super::reviews::Reviews;
use super::sidecar::{self, Pool};
use crate::aws::{Aws, Lines, Object, Writer};
use crate::stack::fault::Fault;
use crate::stack::identity::Owner;

/// Objects put right side by side.
const CONCURRENCY: usize = 16;
/// Pages after which a long review says how far it is.
const PAGES: usize = 20;

/// What is reviewed.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// Whose documents they are.
    pub owner: &'a Owner,
    /// The bucket,
    pub bucket: &'a str,
    /// and the prefix that the data source reads.
    pub prefix: &'a str,
    /// The key of its ledger.
    pub ledger: &'a str,
    /// What stands beside the documents and whose they may be, if this is a pool. Others' metadata files are their own.
    pub pool: Option<Pool<'a>>,
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
    Banish(Entry),
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
            let Findings { documents, changed, written, dropped, unclaimed, .. } = findings;
            tracing::info!(
                scope.bucket,
                scope.prefix,
                documents,
                changed,
                written,
                dropped,
                unclaimed,
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
    if scope.pool.is_none() {
        return tasks.push(Task::Keep(listed.entry));
    }
    if sidecar::is_document(&key) && (sidecar::tenant_of(&key).is_none() || sidecar::key_of(&key).is_none()) {
        return tasks.push(Task::Banish(listed.entry));
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
    while let Some(done) = done.try_next().await? {
        let Done { line, written, set_aside, unclaimed, dropped, corrected, quarantined } = done;
        if written || set_aside {
            // The listing may be as it was: then this alone is what a job must make true.
            findings.changed += 1;
            draft.differs().await?;
        }
        if let Some(entry) = line {
            if let Some(why) = &entry.skipped {
                findings.skipped.add(&entry.key, why);
            }
            draft.line(&entry).await?;
        }
        findings.written += usize::from(written);
        findings.unclaimed += usize::from(unclaimed);
        findings.dropped += dropped;
        corrected.into_iter().for_each(|name| findings.corrected.add(|| name));
        quarantined.into_iter().for_each(|name| findings.quarantined.add(|| name));
    }
    Ok(())
}

async fn one(aws: &Aws, scope: &Scope<'_>, task: Task) -> Result<Done, Fault> {
    match task {
        Task::Keep(entry) => Ok(Done { line: Some(entry), ..Done::default() }),
        Task::Check(pair) => match scope.pool {
            Some(pool) => beside::check(aws, scope.bucket, pool, pair).await,
            None => Ok(Done::default()),
        },
        Task::Banish(entry) => match quarantine::banish(aws, scope.bucket, &entry.key).await {
            Ok(()) => Ok(Done { quarantined: Some(entry.key), ..Done::default() }),
            // It stays where it is. A file beside it would make some filter find it.
            Err(fault) => {
                let set_aside = match sidecar::key_of(&entry.key) {
                    Some(key) => {
                        is_there(aws, scope.bucket, &key).await? && {
                            beside::untag(aws, scope.bucket, &key).await?;
                            true
                        }
                    }
                    None => false,
                };
                let line = Some(Entry { skipped: Some(beside::why(&fault)), ..entry });
                Ok(Done { line, set_aside, ..Done::default() })
            }
        },
    }
}

/// What the last ledger says that its review had to skip.
pub async fn skipped(aws: &Aws, scope: &Scope<'_>) -> Result<Skipped, Fault> {
    let (mut last, mut skipped) = (Last::open(aws, scope).await?, Skipped::default());
    while let Some(entry) = last.advance().await? {
        if let Some(why) = &entry.skipped {
            skipped.add(&entry.key, why);
        }
    }
    Ok(skipped)
}

async fn is_there(aws: &Aws, bucket: &str, key: &str) -> Result<bool, Fault> {
    // The first key in order that begins so is the key itself, if there is one.
    let page = aws.objects.list(bucket, key, None, Some(1)).await?;
    Ok(page.objects.first().is_some_and(|object| object.key == key))
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
        let entry = Entry::new(object.key.clone(), object.mark());
        while self.next.as_ref().is_some_and(|next| next.key < entry.key) {
            let gone = self.advance().await?;
            gone.iter().for_each(|gone| findings.lost(gone, scope.leaving));
        }
        let known = match self.next.as_ref().is_some_and(|next| next.key == entry.key) {
            true => self.advance().await?,
            false => None,
        };
        findings.found(&entry, known.as_ref());
        Ok(Listed { same: known.as_ref() == Some(&entry), entry })
    }

    /// All that is left in the ledger is gone.
    async fn rest(&mut self, scope: &Scope<'_>, findings: &mut Findings) -> Result<(), Fault> {
        while let Some(gone) = self.advance().await? {
            findings.lost(&gone, scope.leaving);
        }
        Ok(())
    }
}
