//! Decides which knowledge base of the account starts an ingestion job next. It is pure: passes tell it what they see, and
//! when.
//!
//! AWS runs five jobs at a time in an account, and starts one each ten seconds. Whoever has waited longest gets the next job
//! slot. An owner that waits keeps its age, so nobody waits for ever. The process remembers none of this after its end: it
//! reads AWS's lists of jobs again, and gives no slot before it has read all of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Lists lag: for so long, a list may not show a job that was started.
const LIST_LAG: Duration = Duration::from_secs(10);
/// For so long, a job that was started counts although no list shows it.
const UNLISTED: Duration = Duration::from_secs(60);
/// For so long after its start the process waits for lists that nobody reads, such as a paused object's.
const PATIENCE: Duration = Duration::from_secs(120);
/// A job that no pass has seen for so long does not count: the object that looked after it is gone.
const UNSEEN: Duration = Duration::from_secs(1200);
/// An owner that was woken for a slot has so long to ask for it.
const CALL: Duration = Duration::from_secs(30);
/// An owner that is not next asks again after so long, in case nobody wakes it.
const FALLBACK: Duration = Duration::from_secs(300);
/// The first and the longest pause after AWS refused a job for which we saw a free slot: somebody else's jobs take it. It
/// doubles each time.
const FULL: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(300));

/// AWS's limits of an account and region.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Jobs at a time. A knowledge base runs one.
    pub jobs: usize,
    /// The time between two starts.
    pub interval: Duration,
}

/// The order in which owners get slots, the first one smallest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// The minute in which the wait began: within a minute, urgency counts more than age.
    minute: i64,
    /// A job that must forget or correct something is urgent.
    urgent: Reverse<bool>,
    /// When the wait began.
    since: Timestamp,
}

impl Rank {
    /// The rank of a job that is wanted since then.
    pub fn new(since: Timestamp, urgent: bool) -> Self {
        Self { minute: since.as_second().div_euclid(60), urgent: Reverse(urgent), since }
    }

    /// The rank of one job that serves both: the older age, and urgent if one of them is.
    fn and(&self, other: &Rank) -> Rank {
        Rank::new(self.since.min(other.since), self.urgent.0 || other.urgent.0)
    }
}

/// What keeps jobs from starting.
#[derive(Clone, Debug, Default)]
pub struct Busy<'a> {
    /// Knowledge bases with a job or a slot.
    pub bases: BTreeSet<&'a str>,
    /// No job starts before this moment.
    pub opens: Option<Timestamp>,
}

/// The knowledge bases that may start a job now.
pub fn due<'a>(
    now: Timestamp,
    waiting: impl IntoIterator<Item = (&'a str, &'a Rank)>,
    busy: &Busy<'_>,
    limits: Limits,
) -> Vec<&'a str> {
    let free = limits.jobs.saturating_sub(busy.bases.len());
    // AWS grants less than one start a second: never two at once.
    let free = if busy.opens.is_some_and(|opens| now < opens) { 0 } else { free.min(1) };
    let mut waiting: Vec<_> = waiting.into_iter().filter(|(base, _)| !busy.bases.contains(base)).collect();
    waiting.sort_by_key(|(base, rank)| (*rank, *base));
    waiting.into_iter().take(free).map(|(base, _)| base).collect()
}

/// A knowledge base that waits for a slot.
#[derive(Clone, Debug)]
struct Waiting<O> {
    rank: Rank,
    owner: O,
    /// If it has not asked again by then, others go first until it does.
    until: Timestamp,
    /// Whether it knows when to ask.
    told: bool,
}

/// A knowledge base's job.
#[derive(Clone, Debug)]
struct Running {
    /// When a list last showed it, or when it started.
    seen: Timestamp,
    /// Its id, if known, and until when it counts although no list shows it.
    unlisted: Option<(Option<String>, Timestamp)>,
}

/// A job as a list shows it.
#[derive(Clone, Debug)]
pub struct Listed<'a> {
    /// Its id.
    pub id: &'a str,
    /// Whether it runs.
    pub running: bool,
    /// When it started.
    pub started: Timestamp,
}

/// The answer to a pass that asks for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has a slot: it starts a job, or gives the slot back.
    JobSlot,
    /// It has none. It asks again after this time, if nobody wakes it before.
    Wait(Duration),
}

/// Why AWS did not start a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The account runs as many jobs as it may.
    Full,
    /// This knowledge base has a job that no list shows yet.
    Running,
    /// AWS counts that the last start was too short a time ago.
    Early,
}

/// How busy the account is with jobs, as far as we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Knowledge bases with a job or a slot.
    pub running: usize,
    /// Knowledge bases that wait for a slot.
    pub waiting: usize,
    /// How many jobs may run at a time.
    pub slots: usize,
    /// How long the longest wait has lasted.
    pub longest_wait: Duration,
}

/// All that is known of the account's jobs. `O` is the owner of a knowledge base: the object whose pass is woken.
#[derive(Clone, Debug)]
pub struct Scheduler<O> {
    limits: Limits,
    began: Timestamp,
    /// Knowledge bases that are older than the process and whose jobs no pass has listed yet, with their owners' uids.
    unheard: BTreeMap<String, String>,
    owners: BTreeMap<String, String>,
    waiting: BTreeMap<String, Waiting<O>>,
    job_slots: BTreeMap<String, Timestamp>,
    running: BTreeMap<String, Running>,
    /// When the last job started.
    last: Option<Timestamp>,
    /// AWS had no free slot: until when nobody tries, and how long that pause is.
    full: Option<(Timestamp, Duration)>,
}

fn after(at: Timestamp, wait: Duration) -> Timestamp {
    SignedDuration::try_from(wait).ok().and_then(|wait| at.checked_add(wait).ok()).unwrap_or(Timestamp::MAX)
}

fn until(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or_default()
}

impl<O: Clone> Scheduler<O> {
    /// The scheduler of a process that starts now.
    pub fn new(limits: Limits, now: Timestamp) -> Self {
        Self {
            limits,
            began: now,
            unheard: BTreeMap::new(),
            owners: BTreeMap::new(),
            waiting: BTreeMap::new(),
            job_slots: BTreeMap::new(),
            running: BTreeMap::new(),
            last: None,
            full: None,
        }
    }

    /// Notes a knowledge base that is older than the process: it may have a job.
    pub fn expect(&mut self, base: &str, uid: &str) {
        self.unheard.insert(base.into(), uid.into());
    }

    /// How long to wait before the jobs of a knowledge base are listed. A process before this one may have started a job that
    /// lists do not show yet.
    pub fn too_early(&self, base: &str, now: Timestamp) -> Option<Duration> {
        let wait = until(now, after(self.began, LIST_LAG));
        (self.unheard.contains_key(base) && !wait.is_zero()).then_some(wait)
    }

    /// Notes the jobs of a knowledge base that a pass has listed. Answers whether one runs, even if the list does not show it
    /// yet.
    pub fn listed(&mut self, base: &str, uid: &str, jobs: &[Listed<'_>], now: Timestamp) -> bool {
        self.owners.insert(base.into(), uid.into());
        let mut changed = self.unheard.remove(base).is_some() && self.unheard.is_empty();
        self.last = self.last.max(jobs.iter().map(|job| job.started).filter(|started| *started <= now).max());
        let unlisted = self.running.get(base).and_then(|running| running.unlisted.clone());
        let unlisted = unlisted
            .filter(|(id, until)| now < *until && !jobs.iter().any(|job| Some(job.id) == id.as_deref()));
        let runs = unlisted.is_some() || jobs.iter().any(|job| job.running);
        if runs {
            self.running.insert(base.into(), Running { seen: now, unlisted });
        } else {
            changed |= self.running.remove(base).is_some();
        }
        if changed {
            self.reconsider(now);
        }
        runs
    }

    /// Asks for a slot for a job that is wanted since `since`, or else since it was first asked for.
    pub fn ask(
        &mut self,
        base: &str,
        owner: O,
        since: Option<Timestamp>,
        urgent: bool,
        now: Timestamp,
    ) -> Answer {
        let rank = Rank::new(since.map_or(now, |since| since.min(now)), urgent);
        let before = self.waiting.remove(base);
        let rank = before.map_or(rank.clone(), |before| rank.and(&before.rank));
        let waiting = Waiting { rank, owner, until: after(now, CALL), told: true };
        self.waiting.insert(base.into(), waiting);
        if self.due(now).contains(&base) {
            self.job_slots.insert(base.into(), now);
            return Answer::JobSlot;
        }
        let opens = self.opens(now);
        let next = self.next(now).is_some_and(|next| next == base) && self.has_room(now);
        let wait = match opens {
            Some(opens) if next => until(now, opens),
            // Nobody is woken when a job ends that no list shows yet.
            _ if self.running.contains_key(base) => LIST_LAG,
            _ => FALLBACK,
        };
        if let Some(waiting) = self.waiting.get_mut(base) {
            (waiting.until, waiting.told) = (after(now, wait + CALL), next);
        }
        Answer::Wait(wait)
    }

    /// No job is wanted any more.
    pub fn withdraw(&mut self, base: &str, now: Timestamp) {
        if self.waiting.remove(base).is_some() {
            self.reconsider(now);
        }
    }

    /// The slot was used.
    pub fn started(&mut self, base: &str, job: &str, now: Timestamp) {
        self.job_slots.remove(base);
        self.waiting.remove(base);
        self.last = Some(now);
        self.full = None;
        let unlisted = Some((Some(job.to_owned()), after(now, UNLISTED)));
        self.running.insert(base.into(), Running { seen: now, unlisted });
    }

    /// AWS refused to start a job.
    pub fn refused(&mut self, base: &str, why: Refusal, now: Timestamp) {
        match why {
            Refusal::Full => {
                let wait = self.full.map_or(FULL.0, |(_, last)| (last * 2).min(FULL.1));
                self.full = Some((after(now, wait), wait));
            }
            Refusal::Running => {
                let unlisted = Some((None, after(now, LIST_LAG)));
                self.running.insert(base.into(), Running { seen: now, unlisted });
            }
            Refusal::Early => self.last = Some(now),
        }
    }

    /// The slot was not used. Its owner keeps its age, and others go first until it asks again.
    pub fn give_back(&mut self, base: &str, now: Timestamp) {
        if self.job_slots.remove(base).is_none() {
            return;
        }
        if let Some(waiting) = self.waiting.get_mut(base) {
            waiting.until = Timestamp::MIN;
        }
        self.reconsider(now);
    }

    /// The object is gone. Its knowledge bases are gone too, or nobody looks after them any more.
    pub fn forget(&mut self, uid: &str, now: Timestamp) {
        self.unheard.retain(|_, owner| owner != uid);
        let gone: Vec<_> =
            self.owners.iter().filter(|(_, owner)| *owner == uid).map(|(base, _)| base.clone()).collect();
        for base in gone {
            self.owners.remove(&base);
            self.waiting.remove(&base);
            self.job_slots.remove(&base);
            self.running.remove(&base);
        }
        self.reconsider(now);
    }

    /// The owner to wake: it is next, and does not know yet when to ask.
    pub fn call(&mut self, now: Timestamp) -> Option<O> {
        if !self.has_room(now) {
            return None;
        }
        let next = self.next(now)?.to_owned();
        let waiting = self.waiting.get_mut(&next).filter(|waiting| !waiting.told)?;
        (waiting.told, waiting.until) = (true, waiting.until.min(after(now, CALL)));
        Some(waiting.owner.clone())
    }

    /// How busy the account is.
    pub fn load(&self, now: Timestamp) -> Load {
        let busy = self.bases(now);
        let waiting = self.waiting.iter().filter(|(base, _)| !busy.contains(base.as_str()));
        let ranks: Vec<_> = waiting.map(|(_, waiting)| &waiting.rank).collect();
        let oldest = ranks.iter().map(|rank| rank.since).min();
        Load {
            running: busy.len(),
            waiting: ranks.len(),
            slots: self.limits.jobs,
            longest_wait: oldest.map_or(Duration::ZERO, |since| until(since, now)),
        }
    }

    /// A slot became free: the time that the next owner was told no longer holds.
    fn reconsider(&mut self, now: Timestamp) {
        if let Some(next) = self.next(now).map(str::to_owned)
            && let Some(waiting) = self.waiting.get_mut(&next)
        {
            waiting.told = false;
        }
    }

    fn present(&self, now: Timestamp) -> impl Iterator<Item = (&str, &Rank)> {
        self.waiting.iter().filter(move |(_, it)| now <= it.until).map(|(base, it)| (base.as_str(), &it.rank))
    }

    fn due(&self, now: Timestamp) -> Vec<&str> {
        due(now, self.present(now), &Busy { bases: self.bases(now), opens: self.opens(now) }, self.limits)
    }

    /// The knowledge base that gets the next slot.
    fn next(&self, now: Timestamp) -> Option<&str> {
        let busy = self.bases(now);
        let waiting = self.present(now).filter(|(base, _)| !busy.contains(base));
        waiting.min_by_key(|(base, rank)| (*rank, *base)).map(|(base, _)| base)
    }

    fn has_room(&self, now: Timestamp) -> bool {
        self.bases(now).len() < self.limits.jobs
    }

    fn bases(&self, now: Timestamp) -> BTreeSet<&str> {
        let running = self.running.iter().filter(|(_, running)| now <= after(running.seen, UNSEEN));
        running.map(|(base, _)| base).chain(self.job_slots.keys()).map(String::as_str).collect()
    }

    /// No job starts before this moment. A clock that was set back delays nothing.
    fn opens(&self, now: Timestamp) -> Option<Timestamp> {
        let began = after(self.began, if self.unheard.is_empty() { self.limits.interval } else { PATIENCE });
        let job_slots = self.job_slots.values().copied().chain(self.last).filter(|at| *at <= now).max();
        let paced = job_slots.map(|at| after(at, self.limits.interval));
        let full = self.full.map(|(until, _)| until).filter(|until| *until <= after(now, FULL.1));
        Some(began).filter(|_| self.began <= now).max(paced).max(full)
    }
}

#[cfg(test)]
mod tests;
