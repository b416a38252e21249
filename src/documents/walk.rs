//! One turn of a review over a range of keys: each object of the listing is compared with the ledger, what differs is put
//! right, and the next ledger is written as the listing goes by.

use futures::future::try_join;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;

use super::beside::{self, Done};
use super::draft::{Draft, Store};
use super::findings::Findings;
use super::index::Span;
use super::job_size::Cuts;
use super::known::Known;
use super::ledger::{ABSENT, Entry, Listed, Pair, Pairing};
use super::quarantine::{self, NO_ROOM};
use super::reviews::Progress;
use super::scope::Scope;
use super::sidecar;
use crate::aws::{Aws, Object, Page};
use crate::stack::fault::Fault;
use crate::stack::job::JobSummary;

/// Objects put right side by side.
const CONCURRENCY: usize = 16;
/// So many objects of a tenant of a pool are listed before others have their turn, or as many as all others had,
const MANY: usize = 2_000;
/// and so many of them are looked into.
const MUCH: usize = 2 * CONCURRENCY;
/// So many tasks are gathered before they are done.
const BATCH: usize = 1_000;

/// What lies ahead in a range of keys.
#[derive(Clone, Debug)]
pub struct Range {
    /// The keys.
    pub span: Span,
    /// The documents before them whose metadata file may be among them.
    pairing: Pairing,
    /// How much there was of whoever was listed last.
    of_one: OfOne,
    /// Whose it is, if it was left for later.
    pub tenant: Option<String>,
    /// Whether the ledger knew something of that tenant.
    pub may_lose: bool,
    /// Whether something of that tenant has changed, as far as it was looked at.
    pub has_changed: bool,
}

impl Range {
    /// Nothing of it has been seen.
    pub fn new(span: Span) -> Self {
        let (pairing, of_one) = (Pairing::default(), OfOne::default());
        Self { span, pairing, of_one, tenant: None, may_lose: false, has_changed: false }
    }

    /// All keys in the folder of a tenant. The last is the first that no folder of that name can have, and names nobody.
    pub fn of(prefix: &str, tenant: &str) -> Self {
        Self { tenant: Some(tenant.into()), ..Self::new(Span::under(&format!("{prefix}{tenant}/"))) }
    }

    /// The documents that are left at its end. The file of one that lies behind it may be there.
    fn unpaired(&mut self) -> Vec<Pair> {
        let mut pairs = std::mem::take(&mut self.pairing).end();
        for pair in &mut pairs {
            let file = pair.document.file();
            if self.span.is_before(&file) {
                pair.sidecar = Some(Listed { entry: Entry::new(file, ABSENT.into()), same: false });
            }
        }
        pairs
    }
}

/// How far a turn goes.
#[derive(Clone, Copy)]
pub enum Until<'a> {
    /// To the end of the range, or until this says that it is enough. A tenant of whom there is much is left for later.
    Enough(&'a (dyn Fn() -> bool + Sync)),
    /// The same, and not farther than so many objects. Nobody is left for later.
    Objects(usize, &'a (dyn Fn() -> bool + Sync)),
}

impl Until<'_> {
    /// Whether it is enough after so many objects.
    fn is_enough(&self, listed: usize) -> bool {
        match self {
            Until::Enough(is_enough) => is_enough(),
            Until::Objects(most, is_enough) => listed >= *most || is_enough(),
        }
    }
}

/// What is left of a range after a turn.
#[derive(Default)]
pub struct Left {
    /// What is next.
    pub ahead: Option<Range>,
    /// What of it was left for later.
    pub later: Vec<Range>,
    /// Whether something has changed of those who were not.
    pub others_changed: bool,
}

/// What is to be done with an object, in the order of the listing.
enum Task {
    /// It is written down.
    Keep(Entry),
    /// The file beside a document is looked at, unless it is as it was.
    Check(Pair),
    /// It belongs to nobody, and goes where no job looks.
    Quarantine(Object),
    /// The next job has no room for it, and it goes there too.
    SetAside(Object),
}

/// A turn.
pub struct Walk<'a, 'b> {
    pub aws: &'a Aws,
    pub scope: &'a Scope<'a>,
    pub jobs: &'a [JobSummary],
    /// What must wait because the job would be too large. Then this is a second look, and counts nothing anew.
    pub cuts: Option<&'a Cuts>,
    /// What was written before this was in an earlier job.
    pub since: Timestamp,
    pub store: Store<'a>,
    pub findings: &'a mut Findings,
    pub progress: &'a mut Progress<'b>,
}

impl Walk<'_, '_> {
    /// Goes over a range. What of it has been gone over is in the index.
    pub async fn over(&mut self, mut range: Range, until: Until<'_>) -> Result<Left, Fault> {
        let Scope { bucket, prefix, ledger, .. } = *self.scope;
        let pieces = self.store.index.over(&range.span);
        let ends: Vec<_> = pieces.iter().filter_map(|piece| piece.span.until.clone()).collect();
        let mut draft = Draft::new(&range.span, ends);
        let mut known = Known::new(self.aws, bucket, ledger, self.jobs, pieces);
        let (mut left, mut listed) = (Left::default(), 0);
        let mut page = self.list(&range.span.after).await?;
        loop {
            let (mut tasks, mut looks, count) = (Vec::new(), 0, page.objects.len());
            // The last key of a tenant that is left for later.
            let mut behind: Option<String> = None;
            let (mut is_over, mut is_cut) = (false, false);
            for object in std::mem::take(&mut page.objects) {
                if behind.as_ref().is_some_and(|behind| object.key <= *behind) {
                    continue;
                }
                if range.span.is_before(&object.key) {
                    is_over = true;
                    break;
                }
                let key = object.key.clone();
                if let Until::Enough(_) = until
                    && range.of_one.is_too_much(&key)
                    && let Some(tenant) = sidecar::tenant_of(&key)
                {
                    let its = Range::of(prefix, tenant);
                    let may_lose = known.peek().await?.is_some_and(|next| its.span.has(&next.key))
                        || self.findings.knew(tenant);
                    let (after, until) = (range.span.after.clone(), range.span.until.clone());
                    let last = until.into_iter().chain(its.span.until.clone()).min().unwrap_or_default();
                    self.work(std::mem::take(&mut tasks), &mut draft).await?;
                    draft.end(&mut self.store, Some(after.clone())).await?;
                    let pairing = std::mem::take(&mut range.pairing);
                    let span = Span { after, until: Some(last.clone()) };
                    let has_changed = range.of_one.changed < self.findings.changed;
                    left.later.push(Range { span, pairing, may_lose, has_changed, ..its });
                    known.skip(&last);
                    draft.skip(&last);
                    range.span.after.clone_from(&last);
                    range.of_one.leave(self.findings.changed);
                    behind = Some(last);
                    continue;
                }
                while known.peek().await?.is_some_and(|next| next.key < key)
                    && let Some(gone) = known.next().await?
                {
                    self.gone(gone, &mut range.pairing, &mut draft, &mut tasks).await?;
                }
                let of_one = &mut range.of_one;
                left.others_changed |= of_one.is_over(&key) && of_one.changed < self.findings.changed;
                of_one.begin(&key, self.scope, self.findings.changed);
                let must_wait = self.must_wait(&object);
                let listed = self.compare(&object, &mut known, &mut draft).await?;
                of_one.objects += 1;
                of_one.looks += usize::from(!listed.same);
                looks += usize::from(!listed.same);
                match must_wait {
                    true => {
                        tasks.extend(range.pairing.before(&key).into_iter().map(Task::Check));
                        tasks.push(Task::SetAside(object));
                    }
                    false => sort(self.scope, object, listed, &mut range.pairing, &mut tasks),
                }
                range.span.after = key;
                if looks >= MUCH || tasks.len() >= BATCH {
                    self.work(std::mem::take(&mut tasks), &mut draft).await?;
                    looks = 0;
                    is_cut = until.is_enough(0);
                    if is_cut {
                        break;
                    }
                }
            }
            listed += count;
            let is_over = !is_cut && (is_over || page.next.is_none());
            if is_over {
                while let Some(gone) = known.next().await? {
                    self.gone(gone, &mut range.pairing, &mut draft, &mut tasks).await?;
                }
                tasks.extend(range.unpaired().into_iter().map(Task::Check));
                left.others_changed |= range.of_one.changed < self.findings.changed;
            }
            let is_enough = is_cut || until.is_enough(listed);
            // The next page comes meanwhile. What is written now lies before it.
            let (aws, next) = (self.aws, page.next.take());
            let ahead = async {
                if is_over || is_enough {
                    return Ok(None);
                }
                match &behind {
                    // The page has ended within what is left for later.
                    Some(behind) if *behind == range.span.after => {
                        aws.objects.list_after(bucket, prefix, behind).await.map(Some)
                    }
                    _ => aws.objects.list(bucket, prefix, next.as_deref(), None).await.map(Some),
                }
            };
            let (ahead, ()) = try_join(ahead, self.work(tasks, &mut draft)).await?;
            self.progress.page(count, self.findings);
            match ahead {
                Some(ahead) => page = ahead,
                None if is_over => {
                    draft.end(&mut self.store, range.span.until).await?;
                    return Ok(left);
                }
                None => {
                    draft.end(&mut self.store, Some(range.span.after.clone())).await?;
                    left.ahead = Some(range);
                    return Ok(left);
                }
            }
        }
    }

    async fn list(&self, after: &str) -> Result<Page, Fault> {
        let Scope { bucket, prefix, .. } = *self.scope;
        match after {
            "" => self.aws.objects.list(bucket, prefix, None, None).await,
            after => self.aws.objects.list_after(bucket, prefix, after).await,
        }
    }

    /// Whether a document must wait, because the next job has no room for it.
    fn must_wait(&self, object: &Object) -> bool {
        let since = || self.cuts?.get(sidecar::tenant_of(&object.key)?);
        let is_new = object.last_modified >= self.since && sidecar::is_document(&object.key);
        is_new && since().is_some_and(|since| object.last_modified >= *since)
    }

    /// Compares an object with the ledger.
    async fn compare(
        &mut self,
        object: &Object,
        known: &mut Known<'_>,
        draft: &mut Draft,
    ) -> Result<Listed, Fault> {
        let (written, size) = (object.last_modified, object.bytes());
        let entry = Entry::new(object.key.clone(), object.mark());
        let its = match known.peek().await?.is_some_and(|next| next.key == entry.key) {
            true => known.next().await?,
            false => None,
        };
        if self.cuts.is_none() {
            self.findings.found(&entry, its.as_ref());
            if let Some(tenant) = sidecar::tenant_of(&entry.key)
                && sidecar::is_document(&entry.key)
                && written >= self.since
            {
                self.findings.added.add(tenant, written, size);
            }
        }
        let same = its.as_ref() == Some(&entry);
        its.into_iter().for_each(|its| draft.last(its));
        Ok(Listed { same, entry })
    }

    /// Something is gone. That a document is, is written down until a job is started: nothing else would know.
    async fn gone(
        &mut self,
        gone: Entry,
        pairing: &mut Pairing,
        draft: &mut Draft,
        tasks: &mut Vec<Task>,
    ) -> Result<(), Fault> {
        if tasks.len() >= BATCH {
            self.work(std::mem::take(tasks), draft).await?;
        }
        tasks.extend(pairing.before(&gone.key).into_iter().map(Task::Check));
        if self.cuts.is_none() {
            self.findings.lost(&gone, self.scope.leaving);
        }
        if sidecar::is_document(&gone.key) {
            tasks.push(Task::Keep(Entry::gone(gone.key.clone())));
        }
        draft.last(gone);
        Ok(())
    }

    async fn work(&mut self, tasks: Vec<Task>, draft: &mut Draft) -> Result<(), Fault> {
        let (aws, scope) = (self.aws, self.scope);
        // In their order, because the ledger has the listing's.
        let mut done = stream::iter(tasks).map(|task| one(aws, scope, task)).buffered(CONCURRENCY);
        while let Some(done) = done.try_next().await? {
            let Done { line, written, set_aside, unclaimed, dropped, corrected, lost, quarantined, waits } =
                done;
            if let Some(entry) = line {
                if let Some(why) = &entry.skipped
                    && self.cuts.is_none()
                {
                    self.findings.skipped.add(&entry.key, why);
                }
                draft.line(&mut self.store, &entry).await?;
            }
            let findings = &mut *self.findings;
            // The listing may be as it was: then this alone is what a job must make true.
            findings.changed += usize::from(written || set_aside);
            findings.written += usize::from(written);
            findings.unclaimed += usize::from(unclaimed && self.cuts.is_none());
            findings.dropped += dropped;
            corrected.into_iter().for_each(|name| findings.corrected.add(|| name));
            quarantined.into_iter().for_each(|name| findings.quarantined.add(|| name));
            if let Some(key) = lost {
                let tenant = sidecar::tenant_of(&key).unwrap_or_default().to_owned();
                findings.lost.entry(tenant).or_default().add(|| key);
            }
            if let Some((key, written, size)) = waits {
                findings.skipped.tell(&key, NO_ROOM);
                let tenant = sidecar::tenant_of(&key).unwrap_or_default().to_owned();
                findings.added.take(&tenant, written, size);
                findings.set_aside.entry(tenant).or_default().add(|| key);
            }
        }
        Ok(())
    }
}

/// How much there was of the tenant of a pool whose documents are listed.
#[derive(Clone, Debug, Default)]
struct OfOne {
    /// Its folder; empty where there is no tenant.
    folder: String,
    objects: usize,
    looks: usize,
    /// What there was of others before it: objects,
    objects_before: usize,
    /// looks into them,
    looks_before: usize,
    /// and changes.
    changed: usize,
}

impl OfOne {
    /// Whether a key is another's.
    fn is_over(&self, key: &str) -> bool {
        self.folder.is_empty() || !key.starts_with(&self.folder)
    }

    /// From this key on, if it is another's, another is counted.
    fn begin(&mut self, key: &str, scope: &Scope<'_>, changed: usize) {
        if self.is_over(key) {
            let tenant = scope.pool.and_then(|_| sidecar::tenant_of(key));
            let folder = tenant.map(|tenant| format!("{}{tenant}/", scope.prefix)).unwrap_or_default();
            let objects_before = self.objects_before + self.objects;
            let looks_before = self.looks_before + self.looks;
            *self = Self { folder, objects_before, looks_before, changed, ..Self::default() };
        }
    }

    /// It is left for later, and counts for nothing.
    fn leave(&mut self, changed: usize) {
        *self = Self { folder: String::new(), objects: 0, looks: 0, changed, ..*self };
    }

    /// Whether there was so much of it that others have their turn before the next key, which is its own.
    fn is_too_much(&self, key: &str) -> bool {
        let is_too_much =
            self.objects >= self.objects_before.max(MANY) || self.looks >= self.looks_before.max(MUCH);
        !self.is_over(key) && is_too_much
    }
}

/// Says what is to be done with an object, and with the documents before it of which all is known now.
fn sort(scope: &Scope<'_>, object: Object, listed: Listed, pairing: &mut Pairing, tasks: &mut Vec<Task>) {
    let key = listed.entry.key.clone();
    if scope.pool.is_none() {
        return tasks.push(Task::Keep(listed.entry));
    }
    if sidecar::is_document(&key) && (sidecar::tenant_of(&key).is_none() || sidecar::key_of(&key).is_none()) {
        tasks.extend(pairing.before(&key).into_iter().map(Task::Check));
        return tasks.push(Task::Quarantine(object));
    }
    let entry = listed.entry.clone();
    let known = pairing.next(listed);
    let is_paired = known.iter().any(|pair| pair.sidecar.as_ref().is_some_and(|it| it.entry.key == key));
    tasks.extend(known.into_iter().map(Task::Check));
    match sidecar::is_sidecar(&key) {
        true if is_paired => {}
        // Nobody looks into it while it has no document.
        true => tasks.push(Task::Keep(entry.unread())),
        false => tasks.push(Task::Keep(entry)),
    }
}

async fn one(aws: &Aws, scope: &Scope<'_>, task: Task) -> Result<Done, Fault> {
    match task {
        Task::Keep(entry) => Ok(Done { line: Some(entry), ..Done::default() }),
        Task::Check(pair) => match scope.pool {
            Some(pool) => beside::check(aws, scope.bucket, pool, pair).await,
            None => Ok(Done::default()),
        },
        Task::SetAside(object) => match quarantine::quarantine(aws, scope.bucket, &object).await {
            Ok(()) => {
                let bytes = object.bytes();
                Ok(Done { waits: Some((object.key, object.last_modified, bytes)), ..Done::default() })
            }
            // It was written anew: the next review looks at it.
            Err(fault) if fault.is_overtaken() => Ok(Done::default()),
            // It stays where it is, and the job may be too large.
            Err(fault) => Ok(Done { line: Some(skipped(object, &fault)), ..Done::default() }),
        },
        Task::Quarantine(object) => match quarantine::quarantine(aws, scope.bucket, &object).await {
            Ok(()) => Ok(Done { quarantined: Some(object.key), ..Done::default() }),
            // It stays where it is. A file beside it would make some filter find it.
            Err(fault) => {
                let set_aside = match sidecar::key_of(&object.key) {
                    Some(key) => {
                        is_there(aws, scope.bucket, &key).await? && {
                            beside::untag(aws, scope.bucket, &key).await?;
                            true
                        }
                    }
                    None => false,
                };
                // What was written anew is looked at by the next review.
                let line = (!fault.is_overtaken()).then(|| skipped(object, &fault));
                Ok(Done { line, set_aside, ..Done::default() })
            }
        },
    }
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
