//! A small account in which seeds decide which passes come and go. What is asserted holds for all seeds.

use fastrand::Rng;

use super::*;

const LIMITS: Limits = Limits { jobs: 5, interval: Duration::from_secs(10) };

fn at(second: u64) -> Timestamp {
    Timestamp::from_second(i64::try_from(second).unwrap()).unwrap()
}

/// A job in AWS.
#[derive(Clone)]
struct Job {
    id: String,
    started: u64,
    ends: u64,
    /// The last ask that it serves.
    serves: u64,
}

/// What a pass works on.
#[derive(Clone, Default)]
struct Base {
    jobs: Vec<Job>,
    /// When it was asked for a job, and not served yet; several are one.
    asks: Vec<u64>,
    look: u64,
    /// It has its turn, and its review lasts until then.
    review: Option<u64>,
}

/// How an account fares.
#[derive(Clone, Copy)]
struct Fate {
    bases: usize,
    /// A pass in so many restarts the process.
    restarts: Option<u64>,
    /// A review in so many finds that nothing has changed.
    unchanged: u64,
    /// So many slots are taken by others' jobs for the first half hour.
    others: usize,
}

struct Account {
    fate: Fate,
    dice: Rng,
    bases: Vec<Base>,
    scheduler: Scheduler<usize>,
    last_start: Option<u64>,
    refused: usize,
    passes: usize,
    longest: u64,
    starts: usize,
}

impl Account {
    fn new(seed: u64, fate: Fate) -> Self {
        Self {
            fate,
            dice: Rng::with_seed(seed),
            bases: vec![Base::default(); fate.bases],
            scheduler: Scheduler::new(LIMITS, at(0)),
            last_start: None,
            refused: 0,
            passes: 0,
            longest: 0,
            starts: 0,
        }
    }

    fn running(&self, now: u64) -> usize {
        self.bases.iter().flat_map(|base| &base.jobs).filter(|job| job.ends > now).count()
    }

    /// The process dies and another begins: all that it knew is gone.
    fn restart(&mut self, now: u64) {
        self.scheduler = Scheduler::new(LIMITS, at(now));
        for (n, base) in self.bases.iter_mut().enumerate() {
            (base.review, base.look) = (None, now + self.dice.u64(..5));
            self.scheduler.expect(&n.to_string(), &n.to_string());
        }
    }

    fn call(&mut self, now: u64) {
        if let Some(next) = self.scheduler.call(at(now)) {
            self.bases[next].look = now + 1;
        }
    }

    /// One pass, like `sync::step`.
    fn pass(&mut self, n: usize, now: u64) {
        self.passes += 1;
        let (name, lag) = (n.to_string(), 5);
        self.bases[n].look = u64::MAX;
        if let Some(review) = self.bases[n].review {
            assert!(review <= now);
            self.bases[n].review = None;
            return self.end_of_review(n, now);
        }
        if let Some(wait) = self.scheduler.too_early(&name, at(now)) {
            self.bases[n].look = now + wait.as_secs();
            return;
        }
        let listed: Vec<_> =
            self.bases[n].jobs.iter().filter(|job| job.started + lag <= now).cloned().collect();
        let jobs: Vec<_> = listed
            .iter()
            .map(|job| Listed { id: &job.id, running: job.ends > now, started: at(job.started) })
            .collect();
        let runs = self.scheduler.listed(&name, &name, &jobs, at(now));
        self.call(now);
        // What a listed job serves is not asked for again.
        let served = listed.iter().map(|job| job.serves).max();
        self.bases[n].asks.retain(|ask| served.is_none_or(|served| *ask > served));
        if runs {
            self.bases[n].look = now + 3;
        } else if self.bases[n].asks.is_empty() {
            self.scheduler.withdraw(&name, at(now));
            self.call(now);
        } else {
            self.ask(n, now);
        }
    }

    fn ask(&mut self, n: usize, now: u64) {
        let since = self.bases[n].asks.iter().min().copied().map(at);
        let answer = self.scheduler.ask(&n.to_string(), n, since, false, at(now));
        self.call(now);
        match answer {
            Answer::Wait(wait) => self.bases[n].look = self.bases[n].look.min(now + wait.as_secs().max(1)),
            Answer::JobSlot => {
                let ends = now + self.dice.u64(..15);
                (self.bases[n].review, self.bases[n].look) = (Some(ends), ends);
            }
        }
    }

    fn end_of_review(&mut self, n: usize, now: u64) {
        let name = n.to_string();
        if self.dice.u64(..self.fate.unchanged) == 0 {
            self.scheduler.give_back(&name, at(now));
            self.call(now);
            self.scheduler.withdraw(&name, at(now));
            self.bases[n].asks.clear();
            return self.call(now);
        }
        if self.last_start.is_some_and(|last| now < last + 10) {
            // The gate lets nobody through, if this process has started the last.
            self.scheduler.give_back(&name, at(now));
            self.call(now);
            return self.ask(n, now);
        }
        let others = if now < 1800 { self.fate.others } else { 0 };
        if self.running(now) + others >= LIMITS.jobs || self.bases[n].jobs.iter().any(|job| job.ends > now) {
            self.refused += 1;
            self.scheduler.refused(&name, Refusal::Full, at(now));
            self.scheduler.give_back(&name, at(now));
            self.call(now);
            return self.ask(n, now);
        }
        let (serves, ends) = (*self.bases[n].asks.iter().max().unwrap(), now + 30 + self.dice.u64(..60));
        assert!(self.bases[n].jobs.iter().all(|job| job.serves < serves), "a second start for the same ask");
        self.longest = self.longest.max(now - self.bases[n].asks.iter().min().unwrap());
        self.starts += 1;
        self.last_start = Some(now);
        let id = format!("{n}-{now}");
        self.scheduler.started(&name, &id, at(now));
        self.call(now);
        let base = &mut self.bases[n];
        (base.asks, base.look) = (Vec::new(), now + 3);
        base.jobs.push(Job { id, started: now, ends, serves });
    }

    /// All of them ask at once, or one by one; `until` no more come.
    fn run(&mut self, asks: impl Fn(&mut Rng, u64, usize) -> bool, until: u64, end: u64) {
        for now in 0..end {
            if self.fate.restarts.is_some_and(|one_in| self.dice.u64(..one_in) == 0) && now < until {
                self.restart(now);
            }
            for n in 0..self.bases.len() {
                if now < until && asks(&mut self.dice, now, n) {
                    self.bases[n].asks.push(now);
                    if self.bases[n].review.is_none() {
                        self.bases[n].look = now;
                    }
                }
            }
            // A restart may happen between a start and its listing, so what AWS knows decides.
            for n in 0..self.bases.len() {
                if self.bases[n].look <= now {
                    self.pass(n, now);
                }
            }
            assert!(self.running(now) <= LIMITS.jobs, "more jobs than AWS runs");
        }
        let left = self.bases.iter().filter(|base| !base.asks.is_empty()).count();
        assert_eq!(left, 0, "somebody starves");
    }
}

const HUNDRED: Fate = Fate { bases: 100, restarts: None, unchanged: u64::MAX, others: 0 };

#[test]
fn a_hundred_due_at_once_are_served_in_one_round_without_a_refusal() {
    for seed in 0..6 {
        let mut account = Account::new(seed, HUNDRED);
        account.run(|_, now, _| now == 100, 101, 3000);
        assert_eq!((account.starts, account.refused), (100, 0), "seed {seed}");
        // A hundred jobs of a minute each, five at a time, and the reviews before them, some of them in vain.
        assert!(account.longest < 2000, "seed {seed}: {} s", account.longest);
        assert!(account.passes < 3500, "seed {seed}: a storm of {} passes", account.passes);
    }
}

#[test]
fn a_process_that_dies_at_any_moment_asks_for_nothing_twice_and_for_nothing_too_much() {
    for seed in 0..20 {
        let fate = Fate { bases: 30, restarts: Some(150), ..HUNDRED };
        let mut account = Account::new(seed, fate);
        account.run(|dice, now, _| now == 50 || dice.u64(..400) == 0, 1500, 4500);
        assert_eq!(account.refused, 0, "seed {seed}");
        assert!(account.starts >= 30);
    }
}

#[test]
fn whoever_finds_nothing_to_do_holds_up_nobody() {
    for seed in 0..6 {
        let fate = Fate { unchanged: 2, ..HUNDRED };
        let mut account = Account::new(seed, fate);
        account.run(|dice, now, _| dice.u64(..900) == 0 || now == 10, 2000, 6000);
        assert_eq!(account.refused, 0, "seed {seed}");
    }
}

#[test]
fn others_jobs_are_met_with_patience() {
    for others in 1..=5 {
        let fate = Fate { bases: 20, others, ..HUNDRED };
        let mut account = Account::new(7, fate);
        account.run(|_, now, _| now == 100, 101, 4000);
        assert!(account.refused <= 60, "{others} slots taken: {} refusals in half an hour", account.refused);
        assert_eq!(account.starts, 20);
    }
}

#[test]
fn the_oldest_comes_first_and_of_equal_age_what_must_be_forgotten() {
    let ranks = [("b", 100, false), ("a", 60, false), ("leaver", 110, true), ("young", 600, true)];
    let ranks = ranks.map(|(base, since, urgent)| (base, Rank::new(at(since), urgent)));
    let mut order = Vec::new();
    let mut busy = Busy::default();
    while let [next] = due(at(1000), ranks.iter().map(|(base, rank)| (*base, rank)), &busy, LIMITS)[..] {
        order.push(next);
        busy.bases.insert(next);
    }
    assert_eq!(order, ["leaver", "a", "b", "young"]);
    let early = Busy { opens: Some(at(1001)), ..Busy::default() };
    assert!(due(at(1000), ranks.iter().map(|(base, rank)| (*base, rank)), &early, LIMITS).is_empty());
}

#[test]
fn whoever_does_not_come_for_its_turn_stands_in_nobodys_way() {
    let mut scheduler = Scheduler::new(LIMITS, at(0));
    let wait = |answer| matches!(answer, Answer::Wait(_));
    assert!(wait(scheduler.ask("gone", 1, Some(at(1)), false, at(5))));
    assert!(wait(scheduler.ask("next", 2, Some(at(2)), false, at(6))));
    assert!(wait(scheduler.ask("next", 2, Some(at(2)), false, at(12))), "an older one is expected");
    assert_eq!(scheduler.ask("next", 2, Some(at(2)), false, at(60)), Answer::JobSlot);
    scheduler.give_back("next", at(61));
    assert!(!wait(scheduler.ask("gone", 1, Some(at(1)), false, at(70))), "and it still may come");
    scheduler.forget("nobody", at(71));
    scheduler.started("gone", "job", at(72));
    assert!(scheduler.listed("gone", "uid", &[], at(73)), "no list shows it yet");
    scheduler.forget("uid", at(74));
    assert!(scheduler.bases(at(74)).is_empty());
}

#[test]
fn the_load_counts_who_runs_and_who_waits() {
    let mut scheduler = Scheduler::new(LIMITS, at(0));
    let idle = Load { running: 0, waiting: 0, slots: 5, longest_wait: Duration::ZERO };
    assert_eq!(scheduler.load(at(20)), idle);
    assert_eq!(scheduler.ask("first", 1, Some(at(12)), false, at(20)), Answer::JobSlot);
    scheduler.ask("second", 2, Some(at(15)), false, at(21));
    scheduler.ask("third", 3, Some(at(18)), false, at(22));
    let busy = Load { running: 1, waiting: 2, longest_wait: Duration::from_secs(10), ..idle };
    assert_eq!(scheduler.load(at(25)), busy);
    scheduler.withdraw("second", at(26));
    scheduler.withdraw("third", at(26));
    assert_eq!(scheduler.load(at(26)), Load { running: 1, ..idle });
}
