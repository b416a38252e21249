//! One turn of a review over a range of keys. Each object of the listing is compared with the ledger, and what differs is put
//! right. The next ledger is written as the listing goes by.

use std::mem;

use futures::future::try_join;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;

use super::beside::Done;
use super::draft::{Draft, Store};
use super::findings::Findings;
use super::index::Span;
use super::job_size::Cuts;
use super::known::Known;
use super::ledger::{Entry, Listed};
use super::quarantine::NO_ROOM;
use super::range::{MUCH, Range};
use super::reviews::Progress;
use super::room::{self, Room, Rooms, Trust};
use super::scope::Scope;
use super::sidecar;
use super::task::{Because, Task, sort};
use crate::aws::{Aws, Object, Page};
use crate::stack::fault::Fault;
use crate::stack::job::JobSummary;

/// Objects put right side by side: as many as are read of a tenant before it is left for later, so that nobody behind it waits
/// for them twice.
const CONCURRENCY: usize = MUCH;
/// So many tasks are gathered before they are done.
const BATCH: usize = 1_000;

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

/// A turn that is to begin.
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
    pub rooms: &'a mut Rooms,
    pub progress: &'a mut Progress<'b>,
}

/// A turn under way.
struct Turn<'a, 'b, 'c> {
    walk: Walk<'a, 'b>,
    until: Until<'c>,
    /// What lies ahead.
    range: Range,
    /// What the last ledger says of it.
    known: Known<'a>,
    /// The next ledger.
    draft: Draft,
    left: Left,
    /// How many objects have been listed.
    listed: usize,
    /// What is to be done, in the order of the listing.
    tasks: Vec<Task>,
    /// How many objects of the page differ from the ledger, since tasks were done.
    looks: usize,
    /// The last key of a tenant that is left for later, if the page has one.
    behind: Option<String>,
}

/// How far a page was gone over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Went {
    /// To its end.
    Through,
    /// To the end of the range, which comes before that.
    ToTheEndOfTheRange,
    /// To an object after which it was enough.
    UntilEnough,
}

impl Walk<'_, '_> {
    /// Goes over a range. The index says what of it has been gone over.
    pub async fn over(self, range: Range, until: Until<'_>) -> Result<Left, Fault> {
        let mut turn = Turn::new(self, range, until);
        let mut page = turn.walk.list(&turn.range.span.after).await?;
        while let Some(next) = turn.page(page).await? {
            page = next;
        }
        Ok(turn.left)
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
        let is_known = known.peek().await?.is_some_and(|next| next.key == entry.key);
        let its = if is_known { known.next().await? } else { None };
        if self.cuts.is_none() {
            self.findings.found(&entry, its.as_ref());
            self.findings.tally(&entry.key, size);
            if let Some(tenant) = sidecar::tenant_of(&entry.key)
                && sidecar::is_document(&entry.key)
                && written >= self.since
            {
                self.findings.added.add(tenant, written, size);
            }
        }
        let same = its.as_ref() == Some(&entry);
        its.into_iter().for_each(|its| draft.last(its));
        Ok(Listed { same, entry, bytes: size })
    }

    /// Counts what was done with an object. Answers what the next ledger says of it.
    fn count(&mut self, done: Done) -> Option<Entry> {
        let Done { line, written, set_aside, unclaimed, dropped, corrected, lost, quarantined, held, waits } =
            done;
        let (findings, is_first_look) = (&mut *self.findings, self.cuts.is_none());
        if let Some(Entry { key, skipped: Some(why), .. }) = &line
            && is_first_look
        {
            findings.skipped.add(key, why);
        }
        // The listing may be as it was. Then only this is what a job must make true.
        findings.changed += usize::from(written || set_aside);
        findings.written += usize::from(written);
        findings.unclaimed += usize::from(unclaimed && is_first_look);
        findings.dropped += dropped;
        corrected.into_iter().for_each(|name| findings.corrected.add(|| name));
        quarantined.into_iter().for_each(|name| findings.quarantined.add(|| name));
        let tenant_of = |key: &str| sidecar::tenant_of(key).unwrap_or_default().to_owned();
        if let Some(key) = lost {
            findings.lost.entry(tenant_of(&key)).or_default().add(|| key);
        }
        if let Some((key, bytes)) = held.filter(|_| is_first_look)
            && let Some(room) = self.rooms.get(&tenant_of(&key))
        {
            findings.hold(tenant_of(&key), key, bytes, room.bound());
        }
        if let Some((key, written, size)) = waits {
            findings.skipped.tell(&key, NO_ROOM);
            let tenant = tenant_of(&key);
            findings.added.take(&tenant, written, size);
            findings.set_aside.entry(tenant).or_default().add(|| key);
        }
        line
    }
}

impl<'a, 'b, 'c> Turn<'a, 'b, 'c> {
    fn new(walk: Walk<'a, 'b>, range: Range, until: Until<'c>) -> Self {
        let Scope { bucket, ledger, .. } = *walk.scope;
        let pieces = walk.store.index.over(&range.span);
        let ends: Vec<_> = pieces.iter().filter_map(|piece| piece.span.until.clone()).collect();
        let draft = Draft::new(&range.span, ends);
        let known = Known::new(walk.aws, bucket, ledger, walk.jobs, pieces);
        let (left, tasks) = (Left::default(), Vec::new());
        Self { walk, until, range, known, draft, left, listed: 0, tasks, looks: 0, behind: None }
    }

    /// Goes over a page, and does what is to be done. Answers the next page, unless the turn is over.
    async fn page(&mut self, page: Page) -> Result<Option<Page>, Fault> {
        let (count, next) = (page.objects.len(), page.next);
        (self.looks, self.behind) = (0, None);
        let went = self.objects(page.objects).await?;
        self.listed += count;
        let is_over = went == Went::ToTheEndOfTheRange || (went == Went::Through && next.is_none());
        if is_over {
            self.end_of_range().await?;
        }
        let is_enough = went == Went::UntilEnough || self.until.is_enough(self.listed);
        let goes_on = !is_over && !is_enough;
        // The next page comes while tasks are done. What they write lies before it.
        let behind = self.behind.take().filter(|behind| *behind == self.range.span.after);
        let (aws, scope) = (self.walk.aws, self.walk.scope);
        let ahead = async {
            match (goes_on, behind) {
                (false, _) => Ok(None),
                // The page has ended within what is left for later.
                (true, Some(behind)) => {
                    aws.objects.list_after(scope.bucket, scope.prefix, &behind).await.map(Some)
                }
                (true, None) => {
                    aws.objects.list(scope.bucket, scope.prefix, next.as_deref(), None).await.map(Some)
                }
            }
        };
        let (ahead, ()) = try_join(ahead, self.work()).await?;
        self.walk.progress.page(count, self.walk.findings);
        if ahead.is_none() {
            self.end(is_over).await?;
        }
        Ok(ahead)
    }

    async fn objects(&mut self, objects: Vec<Object>) -> Result<Went, Fault> {
        for object in objects {
            if self.behind.as_ref().is_some_and(|behind| object.key <= *behind) {
                continue;
            }
            if self.range.span.is_before(&object.key) {
                return Ok(Went::ToTheEndOfTheRange);
            }
            if let Until::Enough(_) = self.until
                && self.range.of_one.is_too_much(&object.key)
                && let Some(tenant) = sidecar::tenant_of(&object.key)
            {
                self.leave_for_later(tenant).await?;
                continue;
            }
            self.object(object).await?;
            if self.looks >= MUCH || self.tasks.len() >= BATCH {
                self.work().await?;
                self.looks = 0;
                if self.until.is_enough(0) {
                    return Ok(Went::UntilEnough);
                }
            }
        }
        Ok(Went::Through)
    }

    /// The rest of a tenant's keys is left for later. The turn goes on behind them.
    async fn leave_for_later(&mut self, tenant: &str) -> Result<(), Fault> {
        let its = Range::of(self.walk.scope.prefix, tenant);
        let may_lose = self.known.peek().await?.is_some_and(|next| its.span.has(&next.key))
            || self.walk.findings.knew(tenant);
        let Span { after, until } = self.range.span.clone();
        let last = until.into_iter().chain(its.span.until.clone()).min().unwrap_or_default();
        self.work().await?;
        self.draft.end(&mut self.walk.store, Some(after.clone())).await?;
        let pairing = mem::take(&mut self.range.pairing);
        let changed = self.walk.findings.changed;
        let span = Span { after, until: Some(last.clone()) };
        let has_changed = self.range.of_one.changed < changed;
        self.left.later.push(Range { span, pairing, may_lose, has_changed, ..its });
        self.known.skip(&last);
        self.draft.skip(&last);
        self.range.span.after.clone_from(&last);
        self.range.of_one.leave(changed);
        self.behind = Some(last);
        Ok(())
    }

    /// The next object of the listing.
    async fn object(&mut self, object: Object) -> Result<(), Fault> {
        let key = object.key.clone();
        while self.known.peek().await?.is_some_and(|next| next.key < key)
            && let Some(gone) = self.known.next().await?
        {
            self.gone(gone).await?;
        }
        let (of_one, changed) = (&mut self.range.of_one, self.walk.findings.changed);
        self.left.others_changed |= of_one.is_over(&key) && of_one.changed < changed;
        of_one.begin(&key, self.walk.scope, changed);
        let must_wait = self.walk.must_wait(&object);
        let listed = self.walk.compare(&object, &mut self.known, &mut self.draft).await?;
        of_one.objects += 1;
        of_one.looks += usize::from(!listed.same);
        self.looks += usize::from(!listed.same);
        if must_wait {
            self.tasks.extend(self.range.pairing.before(&key).into_iter().map(Task::Check));
            self.tasks.push(Task::Quarantine(object, Because::OfNoRoom));
        } else {
            sort(self.walk.scope, object, listed, &mut self.range.pairing, &mut self.tasks);
        }
        self.range.span.after = key;
        Ok(())
    }

    /// Something is gone. If it is a document, the ledger says so until a job is started: nothing else would know.
    async fn gone(&mut self, gone: Entry) -> Result<(), Fault> {
        if self.tasks.len() >= BATCH {
            self.work().await?;
        }
        self.tasks.extend(self.range.pairing.before(&gone.key).into_iter().map(Task::Check));
        if self.walk.cuts.is_none() {
            self.walk.findings.lost(&gone, self.walk.scope.leaving);
        }
        if sidecar::is_document(&gone.key) {
            self.tasks.push(Task::Keep(Entry::gone(gone.key.clone())));
        }
        self.draft.last(gone);
        Ok(())
    }

    /// Nothing more is listed in the range. What the ledger has beyond is gone.
    async fn end_of_range(&mut self) -> Result<(), Fault> {
        while let Some(gone) = self.known.next().await? {
            self.gone(gone).await?;
        }
        self.tasks.extend(self.range.unpaired().into_iter().map(Task::Check));
        self.left.others_changed |= self.range.of_one.changed < self.walk.findings.changed;
        Ok(())
    }

    /// Ends the turn.
    async fn end(&mut self, is_over: bool) -> Result<(), Fault> {
        let Span { after, until } = self.range.span.clone();
        let until = if is_over { until } else { Some(after) };
        self.draft.end(&mut self.walk.store, until).await?;
        self.left.ahead = (!is_over).then(|| self.range.clone());
        Ok(())
    }

    /// Of a tenant whom a limit binds, what is new and has no room gets no metadata file. Nothing is asked as long as nothing is new.
    async fn hold_back(&mut self, tasks: Vec<Task>) -> Result<Vec<Task>, Fault> {
        let (aws, scope, jobs) = (self.walk.aws, self.walk.scope, self.walk.jobs);
        let mut sorted = Vec::with_capacity(tasks.len());
        for task in tasks {
            let Task::Check(pair) = task else {
                sorted.push(task);
                continue;
            };
            let Some((tenant, bound)) = room::bound(scope, &pair.document.entry.key) else {
                sorted.push(Task::Check(pair));
                continue;
            };
            let pieces = self.walk.store.index.over(&room::span(scope, &tenant));
            let trust = Trust::of(scope, &pieces);
            if trust.has_place(&pair) {
                sorted.push(Task::Check(pair));
                continue;
            }
            if !self.walk.rooms.contains_key(&tenant) {
                let has = room::taken(aws, scope, jobs, &tenant, pieces).await?;
                self.walk.rooms.insert(tenant.clone(), Room::new(bound.clone(), has));
            }
            let room = self.walk.rooms.get_mut(&tenant);
            let has_room = room.is_none_or(|room| room.take(pair.document.bytes));
            sorted.push(if has_room { Task::Check(pair) } else { Task::Hold(pair, trust) });
        }
        Ok(sorted)
    }

    /// Does what is to be done, and writes the next ledger.
    async fn work(&mut self) -> Result<(), Fault> {
        let tasks = mem::take(&mut self.tasks);
        let tasks = self.hold_back(tasks).await?;
        let (aws, scope) = (self.walk.aws, self.walk.scope);
        // In their order, because the ledger has the listing's.
        let mut done = stream::iter(tasks).map(|task| task.run(aws, scope)).buffered(CONCURRENCY);
        while let Some(done) = done.try_next().await? {
            if let Some(entry) = self.walk.count(done) {
                self.draft.line(&mut self.walk.store, &entry).await?;
            }
        }
        Ok(())
    }
}
