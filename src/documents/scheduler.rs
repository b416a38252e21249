//! Whose turn it is to start a job, of all knowledge bases of the account. Pure: told what the passes see, at the time that
//! they tell it.
//!
//! AWS runs five jobs at a time in an account, and starts one each ten seconds. The oldest comes first, and age is never
//! lost while somebody waits, so nobody starves. Nothing here outlives the process: AWS's lists of jobs are the memory, and
//! after a start no turn is given before all of them have been seen again.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A list of jobs may not show one that was started less than this ago: lists lag.
const LIST_LAG: Duration = Duration::from_secs(10);
/// How long one that was started is taken to run although no list shows it.
const UNLISTED: Duration = Duration::from_secs(60);
/// After the start of the process, how long lists are waited for that nobody brings, such as a paused object's.
const PATIENCE: Duration = Duration::from_secs(120);
/// A job of which nothing has been seen for so long does not count: the pass that looked after it is gone.
const UNSEEN: Duration = Duration::from_secs(1200);
/// How long an owner that is told that it is its turn may take to come for it.
const CALL: Duration = Duration::from_secs(30);
/// Who is not next looks again after so long, in case nobody wakes them.
const FALLBACK: Duration = Duration::from_secs(300);
/// How long nobody tries after AWS had no room although we thought so: somebody else's jobs take it. Doubles.
const FULL: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(300));

/// What AWS grants to an account and region.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Jobs at a time; one a knowledge base.
    pub jobs: usize,
    /// Between two starts.
    pub interval: Duration,
}

/// Who waits for a turn, the most urgent first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// Since when, to the minute: of equal age are those whom the same minute made wait.
    minute: i64,
    /// Of those, what must be forgotten or corrected comes first,
    urgent: Reverse<bool>,
    /// then who waits longer.
    since: Timestamp,
}

impl Rank {
    /// Of what is wanted since then.
    pub fn new(since: Timestamp, urgent: bool) -> Self {
        Self { minute: since.as_second().div_euclid(60), urgent: Reverse(urgent), since }
    }

    /// Both wait together: since the longer, and urgently if one does.
    fn and(&self, other: &Rank) -> Rank {
        Rank::new(self.since.min(other.since), self.urgent.0 || other.urgent.0)
    }
}

/// What stands in the way of a start.
#[derive(Clone, Debug, Default)]
pub struct Busy<'a> {
    /// Knowledge bases with a job or a turn.
    pub bases: BTreeSet<&'a str>,
    /// Before this nobody starts.
    pub opens: Option<Timestamp>,
}

/// Whose turn it is now: never more than the limits, the oldest first.
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

/// What is known of one that waits.
#[derive(Clone, Debug)]
struct Waiting<O> {
    rank: Rank,
    owner: O,
    /// When it must have asked again, or it stands in nobody's way until it does.
    until: Timestamp,
    /// It knows when to come.
    told: bool,
}

/// A knowledge base's job.
#[derive(Clone, Debug)]
struct Running {
    /// When it was last seen, or started.
    seen: Timestamp,
    /// Until then it counts although no list shows it.
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

/// The answer to a pass that asks for a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It may start a job, or give the turn back.
    JobSlot,
    /// Not yet; look again then, if nobody wakes you.
    Wait(Duration),
}

/// Why AWS did not start a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The account's jobs all run.
    Full,
    /// This knowledge base has one that no list shows yet.
    Running,
    /// It was too early, by AWS's count.
    Early,
}

/// How busy the account's jobs are, as far as we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Knowledge bases with a job or a turn.
    pub running: usize,
    /// Knowledge bases that wait for their turn.
    pub waiting: usize,
    /// How many may run at a time.
    pub slots: usize,
    /// How long the oldest of those that wait has been waiting.
    pub longest_wait: Duration,
}

/// All that is known of the account's jobs. `O` is the owner of a knowledge base, which can be woken.
#[derive(Clone, Debug)]
pub struct Scheduler<O> {
    limits: Limits,
    began: Timestamp,
    /// Knowledge bases that were there at the start and whose jobs nobody has listed yet, with their owners' uids.
    unheard: BTreeMap<String, String>,
    owners: BTreeMap<String, String>,
    waiting: BTreeMap<String, Waiting<O>>,
    job_slots: BTreeMap<String, Timestamp>,
    running: BTreeMap<String, Running>,
    last: Option<Timestamp>,
    /// AWS was full: until when nobody tries, and how long that was.
    full: Option<(Timestamp, Duration)>,
}

fn after(at: Timestamp, wait: Duration) -> Timestamp {
    SignedDuration::try_from(wait).ok().and_then(|wait| at.checked_add(wait).ok()).unwrap_or(Timestamp::MAX)
}

fn until(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or_default()
}

impl<O: Clone> Scheduler<O> {
    /// At the start of a process.
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

    /// A knowledge base that was there before the process: it may have a job.
    pub fn expect(&mut self, base: &str, uid: &str) {
        self.unheard.insert(base.into(), uid.into());
    }

    /// How long to wait before the jobs of a knowledge base are listed: a predecessor may have started one that lists do
    /// not show yet.
    pub fn too_early(&self, base: &str, now: Timestamp) -> Option<Duration> {
        let wait = until(now, after(self.began, LIST_LAG));
        (self.unheard.contains_key(base) && !wait.is_zero()).then_some(wait)
    }

    /// A pass has listed the jobs of its knowledge base: whether one runs, even if the list does not show it yet.
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

    /// A pass asks for a turn for what is wanted since `since`. What has no age of its own is as old as its waiting.
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
            // A job that no list shows yet is nobody's to tell of.
            _ if self.running.contains_key(base) => LIST_LAG,
            _ => FALLBACK,
        };
        if let Some(waiting) = self.waiting.get_mut(base) {
            (waiting.until, waiting.told) = (after(now, wait + CALL), next);
        }
        Answer::Wait(wait)
    }

    /// Nothing is wanted any more.
    pub fn withdraw(&mut self, base: &str, now: Timestamp) {
        if self.waiting.remove(base).is_some() {
            self.reconsider(now);
        }
    }

    /// A turn was used.
    pub fn started(&mut self, base: &str, job: &str, now: Timestamp) {
        self.job_slots.remove(base);
        self.waiting.remove(base);
        self.last = Some(now);
        self.full = None;
        let unlisted = Some((Some(job.to_owned()), after(now, UNLISTED)));
        self.running.insert(base.into(), Running { seen: now, unlisted });
    }

    /// AWS refused the start.
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

    /// A turn ended without a job. Its owner keeps its age, and stands in nobody's way until it asks again.
    pub fn give_back(&mut self, base: &str, now: Timestamp) {
        if self.job_slots.remove(base).is_none() {
            return;
        }
        if let Some(waiting) = self.waiting.get_mut(base) {
            waiting.until = Timestamp::MIN;
        }
        self.reconsider(now);
    }

    /// An object is gone, and its knowledge bases with it, or left to themselves.
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

    /// Whom to wake: who is next and does not know yet when to come.
    pub fn call(&mut self, now: Timestamp) -> Option<O> {
        if !self.has_room(now) {
            return None;
        }
        let next = self.next(now)?.to_owned();
        let waiting = self.waiting.get_mut(&next).filter(|waiting| !waiting.told)?;
        (waiting.told, waiting.until) = (true, waiting.until.min(after(now, CALL)));
        Some(waiting.owner.clone())
    }

    /// How things stand.
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

    /// Something became free: who is next was told a time that no longer holds.
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

    /// Who would be first if there were room.
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

    /// Before this nobody starts. A clock that was set back holds nobody up.
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
