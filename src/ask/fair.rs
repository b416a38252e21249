//! Whose turn it is. AWS grants a number of questions a second to a whole account, whoever asks them; here they wait for it,
//! and each tenant gets its share: start-time fair queueing, in front of a bucket of tokens.
//!
//! Each question begins, in a time of its own that runs with what is served, where its tenant's last one ended, or now if that
//! is over; and it lasts as long as its tenant's weight makes it. Whatever begins first is next. So a tenant's burst waits
//! behind itself and not before others, and what nobody else asks for is anybody's.
//! <https://doi.org/10.1109/90.649569>
//!
//! Nothing here knows a clock: who calls says how long the process has run.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// One question's length in the time of its own, at weight one.
const LENGTH: u64 = 1 << 20;
/// For how long unused grants are kept: AWS counts in seconds, and a pause is no reason for a wait.
const SPARE: Duration = Duration::from_millis(250);

/// What is granted, and to how many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// How many questions each second, for all.
    pub per_second: f64,
    /// How many of one tenant's may wait.
    pub waiting: usize,
}

/// The share of one replica: of what AWS grants each second that part which is taken (in percent), divided by the replicas that
/// are ready.
pub fn share(granted: f64, pace: u32, replicas: usize) -> f64 {
    granted * f64::from(pace) / 100.0 / f64::max(replicas as f64, 1.0)
}

/// Names what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(u64);

/// Too many of the tenant's are waiting already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// How long those will take that are there, if nothing changes.
    pub wait: Duration,
}

/// What is next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<T> {
    /// This one, now. It has waited for so long.
    Go(T, Duration),
    /// This one has waited until its deadline: nobody will ask for it.
    Late(T),
    /// Nobody before then, when to look again.
    At(Duration),
    /// Nobody waits.
    Nobody,
}

#[derive(Debug)]
struct Waiting<T> {
    ticket: Ticket,
    since: Duration,
    deadline: Duration,
    item: T,
}

#[derive(Debug)]
struct Tenant<T> {
    weight: u32,
    /// Where the first that waits begins,
    start: u64,
    /// and where the last that went ends. What was taken out without going has used up nothing.
    ends: u64,
    waiting: VecDeque<Waiting<T>>,
}

/// The queue.
#[derive(Debug)]
pub struct Queue<T> {
    limits: Limits,
    /// Grants that are left, and when that was so.
    left: f64,
    at: Duration,
    /// Before then nobody goes: AWS asked to go slower.
    not_before: Duration,
    /// The time of its own: where that question began which went last.
    virtual_time: u64,
    tickets: u64,
    tenants: HashMap<Arc<str>, Tenant<T>>,
    /// Each tenant that waits, by where its first begins. Of equals the one that came first.
    heads: BTreeMap<(u64, Ticket), Arc<str>>,
    /// What waits, by its deadline.
    deadlines: BTreeMap<(Duration, Ticket), Arc<str>>,
}

impl<T> Queue<T> {
    /// An empty one.
    pub fn new(limits: Limits, now: Duration) -> Self {
        Self {
            limits,
            left: capacity(limits.per_second),
            at: now,
            not_before: Duration::ZERO,
            virtual_time: 0,
            tickets: 0,
            tenants: HashMap::new(),
            heads: BTreeMap::new(),
            deadlines: BTreeMap::new(),
        }
    }

    /// Another rate from now on: replicas come and go.
    pub fn set_rate(&mut self, per_second: f64, now: Duration) {
        self.refill(now);
        self.limits.per_second = per_second;
        self.left = self.left.min(capacity(per_second));
    }

    /// How many questions are granted each second.
    pub fn per_second(&self) -> f64 {
        self.limits.per_second
    }

    /// AWS asked to go slower: what it grants is used up, by others too, and nobody goes for a while.
    pub fn slow_down(&mut self, until: Duration, now: Duration) {
        self.refill(now);
        self.left = self.left.min(0.0);
        self.not_before = self.not_before.max(until);
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.deadlines.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.deadlines.is_empty()
    }

    /// Takes a place at the end of its tenant's, until a deadline. What was asked already and must be asked again comes with the
    /// deadline that it had.
    pub fn push(
        &mut self,
        tenant: &str,
        weight: u32,
        item: T,
        deadline: Duration,
        now: Duration,
    ) -> Result<Ticket, Full> {
        let weight = weight.max(1);
        if self.tenants.get(tenant).is_some_and(|it| it.waiting.len() >= self.limits.waiting) {
            return Err(Full { wait: self.wait_of(tenant) });
        }
        let name: Arc<str> = tenant.into();
        let ticket = Ticket(self.tickets);
        self.tickets += 1;
        let nobody = || Tenant { weight, start: 0, ends: 0, waiting: VecDeque::new() };
        let its = self.tenants.entry(name.clone()).or_insert_with(nobody);
        its.weight = weight;
        if its.waiting.is_empty() {
            its.start = its.ends.max(self.virtual_time);
            self.heads.insert((its.start, ticket), name.clone());
        }
        its.waiting.push_back(Waiting { ticket, since: now, deadline, item });
        self.deadlines.insert((deadline, ticket), name);
        Ok(ticket)
    }

    /// Takes what waits out again, if it does: its client is gone.
    pub fn remove(&mut self, ticket: Ticket, deadline: Duration) -> Option<T> {
        let name = self.deadlines.get(&(deadline, ticket))?.clone();
        let its = self.tenants.get(&name)?;
        let at = its.waiting.iter().position(|it| it.ticket == ticket)?;
        self.take(&name, at, false).map(|it| it.item)
    }

    /// Who is next. To be asked again at once until it says [`Next::At`] or [`Next::Nobody`].
    pub fn next(&mut self, now: Duration) -> Next<T> {
        if let Some((&(deadline, ticket), _)) = self.deadlines.first_key_value()
            && deadline <= now
            && let Some(late) = self.remove(ticket, deadline)
        {
            return Next::Late(late);
        }
        self.refill(now);
        let Some((&(start, _), name)) = self.heads.first_key_value() else { return Next::Nobody };
        let granted = self.granted_at(now);
        if granted > now {
            let deadline = self.deadlines.first_key_value().map_or(granted, |((deadline, _), _)| *deadline);
            return Next::At(granted.min(deadline));
        }
        let name = name.clone();
        self.left -= 1.0;
        self.virtual_time = self.virtual_time.max(start);
        match self.take(&name, 0, true) {
            Some(it) => Next::Go(it.item, now.saturating_sub(it.since)),
            None => Next::Nobody,
        }
    }

    /// How long a tenant's next question would wait, if nothing changes.
    pub fn wait_of(&self, tenant: &str) -> Duration {
        let Some(its) = self.tenants.get(tenant) else { return Duration::ZERO };
        let waiting = |it: &&Arc<str>| self.tenants.get(&***it);
        let all: u64 =
            self.heads.values().filter_map(|name| waiting(&name)).map(|it| u64::from(it.weight)).sum();
        let part = f64::from(its.weight) / f64::max(all as f64, f64::from(its.weight));
        Duration::try_from_secs_f64(its.waiting.len() as f64 / (self.limits.per_second * part))
            .unwrap_or(SPARE)
    }

    fn take(&mut self, name: &Arc<str>, at: usize, goes: bool) -> Option<Waiting<T>> {
        let its = self.tenants.get_mut(name)?;
        let taken = its.waiting.remove(at)?;
        self.deadlines.remove(&(taken.deadline, taken.ticket));
        if at == 0 {
            self.heads.remove(&(its.start, taken.ticket));
            if goes {
                its.ends = its.start + (LENGTH / u64::from(its.weight)).max(1);
                its.start = its.ends;
            }
            if let Some(next) = its.waiting.front() {
                self.heads.insert((its.start, next.ticket), name.clone());
            }
        }
        self.forget();
        Some(taken)
    }

    /// Forgets whoever has nothing waiting and nothing ahead: to come anew is then the same. When nobody waits, all.
    fn forget(&mut self) {
        if self.heads.is_empty() {
            self.tenants.clear();
        } else if self.tenants.len() > 2 * self.heads.len() + 64 {
            let now = self.virtual_time;
            self.tenants.retain(|_, it| !it.waiting.is_empty() || it.ends > now);
        }
    }

    fn refill(&mut self, now: Duration) {
        let more = now.saturating_sub(self.at).as_secs_f64() * self.limits.per_second;
        self.left = (self.left + more).min(capacity(self.limits.per_second));
        self.at = self.at.max(now);
    }

    /// When there is a grant.
    fn granted_at(&self, now: Duration) -> Duration {
        // A grant that is there but for a rounding error is there.
        const NEARLY: f64 = 1.0 - 1e-6;
        let missing = f64::max(NEARLY - self.left, 0.0) / self.limits.per_second;
        let wait = Duration::try_from_secs_f64(missing).unwrap_or(Duration::MAX);
        // Rounded up: whoever looks again then must find it.
        let wait = if wait.is_zero() { wait } else { wait.saturating_add(Duration::from_micros(1)) };
        now.saturating_add(wait).max(self.not_before)
    }
}

/// How many grants there can be at once: what AWS gives for a moment, and one in any case.
fn capacity(per_second: f64) -> f64 {
    (per_second * SPARE.as_secs_f64()).max(1.0)
}

#[cfg(test)]
mod tests;
