use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn queue<T>(per_second: f64, waiting: usize) -> Queue<T> {
    Queue::new(Limits { per_second, waiting }, Duration::ZERO)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What became of each tenant's questions.
#[derive(Default)]
struct Seen {
    served: usize,
    late: usize,
    full: usize,
    waits: Vec<Duration>,
}

/// Tenants that ask so many times a second each, for some seconds, in front of a queue. All wait for a second at most.
fn run(per_second: f64, seconds: u64, tenants: &[(&str, u32, f64)]) -> BTreeMap<String, Seen> {
    let mut queue = queue(per_second, 32);
    let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
    // Each has its own moment in a second.
    let own = |n: usize| SECOND * u32::try_from(n).unwrap() / u32::try_from(tenants.len()).unwrap();
    let mut due: Vec<Duration> = (0..tenants.len()).map(own).collect();
    let (mut now, end) = (Duration::ZERO, Duration::from_secs(seconds));
    loop {
        for (at, (name, weight, rate)) in due.iter_mut().zip(tenants) {
            while *at <= now && now < end {
                if queue.push(name, *weight, (*name).to_owned(), *at + SECOND, *at).is_err() {
                    seen.entry((*name).into()).or_default().full += 1;
                }
                *at += Duration::from_secs_f64(1.0 / rate);
            }
        }
        let next = match queue.next(now) {
            Next::Go(name, waited) => {
                let its = seen.entry(name).or_default();
                its.served += 1;
                its.waits.push(waited);
                continue;
            }
            Next::Late(name) => {
                seen.entry(name).or_default().late += 1;
                continue;
            }
            Next::At(at) => {
                assert!(at > now, "it never says to look again at once");
                at
            }
            Next::Nobody if now >= end => return seen,
            Next::Nobody => end,
        };
        let arrival = due.iter().copied().filter(|at| *at > now && *at < end).min().unwrap_or(next);
        now = next.min(arrival);
    }
}

fn jain(shares: impl Iterator<Item = f64> + Clone) -> f64 {
    let (sum, squares, count) =
        (shares.clone().sum::<f64>(), shares.clone().map(|it| it * it).sum::<f64>(), shares.count());
    sum * sum / (count as f64 * squares)
}

fn p99(waits: &[Duration]) -> Duration {
    let mut waits = waits.to_vec();
    waits.sort();
    waits[(waits.len() * 99).div_ceil(100) - 1]
}

#[test]
fn one_that_is_loud_takes_nothing_from_nine_that_are_quiet() {
    let names: Vec<String> = (0..9).map(|n| format!("quiet{n}")).collect();
    let mut tenants = vec![("loud", 1, 100.0)];
    tenants.extend(names.iter().map(|name| (name.as_str(), 1, 1.0)));
    let seen = run(share(20.0, 80, 1), 60, &tenants);
    for name in &names {
        let its = &seen[name];
        assert_eq!((its.served, its.late, its.full), (60, 0, 0), "{name}");
        assert!(p99(&its.waits) <= ms(200), "{name}: {:?}", p99(&its.waits));
    }
    let all: Vec<_> = names.iter().flat_map(|name| seen[name].waits.clone()).collect();
    assert!(all.len() == 540);
    assert!((410..=440).contains(&seen["loud"].served), "what they leave is its: {}", seen["loud"].served);
}

#[test]
fn among_equals_all_get_the_same() {
    let names: Vec<String> = (0..10).map(|n| format!("t{n}")).collect();
    // They ask for very different amounts, and all for more than there is.
    let tenants: Vec<_> =
        names.iter().enumerate().map(|(n, name)| (name.as_str(), 1, 4.0 + 7.0 * n as f64)).collect();
    let seen = run(16.0, 60, &tenants);
    let served = seen.values().map(|its| its.served as f64);
    assert!(jain(served.clone()) >= 0.999, "{:?}", served.collect::<Vec<_>>());
}

#[test]
fn a_weight_is_a_share() {
    let seen = run(16.0, 120, &[("four", 4, 50.0), ("one", 1, 50.0)]);
    let ratio = seen["four"].served as f64 / seen["one"].served as f64;
    assert!((3.8..=4.2).contains(&ratio), "{ratio}");
}

/// As three replicas share the rate, each with a third of the questions of every tenant.
#[test]
fn a_weight_is_a_share_of_what_three_queues_grant_together() {
    // Their questions come at different moments and in different order.
    let replicas = [
        [("four", 4, 17.0), ("one", 1, 16.0)],
        [("one", 1, 17.0), ("four", 4, 15.0)],
        [("four", 4, 18.0), ("one", 1, 17.0)],
    ];
    let seen = replicas.map(|tenants| run(16.0 / 3.0, 120, &tenants));
    let served = |name: &str| seen.iter().map(|replica| replica[name].served).sum::<usize>();
    let (four, one) = (served("four"), served("one"));
    let ratio = four as f64 / one as f64;
    assert!((3.8..=4.2).contains(&ratio), "{four} to {one}");
    let all = 16 * 120;
    assert!((all - all / 20..=all + 3 * (4 + 17)).contains(&(four + one)), "{} of {all}", four + one);
}

#[test]
fn what_nobody_else_wants_is_anybodys() {
    let seen = run(16.0, 60, &[("alone", 1, 15.0)]);
    let its = &seen["alone"];
    assert_eq!((its.late, its.full), (0, 0));
    assert!(p99(&its.waits) <= ms(1), "nobody waits for what is free: {:?}", p99(&its.waits));
}

#[test]
fn nothing_is_granted_beyond_the_rate() {
    let seen = run(16.0, 60, &[("a", 1, 100.0), ("b", 1, 100.0)]);
    let served: usize = seen.values().map(|its| its.served).sum();
    // A minute, the spare at its beginning, and what waits at its end.
    assert!((955..=960 + 4 + 17).contains(&served), "{served}");
}

#[test]
fn a_pause_buys_no_burst() {
    let mut queue = queue(16.0, 32);
    let now = Duration::from_secs(3600);
    for n in 0..20 {
        queue.push("a", 1, n, now + SECOND, now).unwrap();
    }
    let mut went = 0;
    while let Next::Go(..) = queue.next(now) {
        went += 1;
    }
    assert_eq!(went, 4);
}

#[test]
fn a_tenants_line_is_short_and_says_how_long_it_takes() {
    let mut queue = queue(16.0, 32);
    for n in 0..32 {
        queue.push("a", 1, n, SECOND, Duration::ZERO).unwrap();
    }
    assert_eq!(queue.push("a", 1, 32, SECOND, Duration::ZERO), Err(Full { wait: Duration::from_secs(2) }));
    queue.push("b", 1, 0, SECOND, Duration::ZERO).unwrap();
    assert_eq!(queue.wait_of("a"), Duration::from_secs(4), "half of it is b's");
    assert_eq!((queue.len(), queue.wait_of("c")), (33, Duration::ZERO));
}

#[test]
fn what_is_late_is_told_so_and_takes_no_grant() {
    let mut queue = queue(1.0, 32);
    for (n, deadline) in [(1, 10), (2, 500), (3, 2000)] {
        queue.push("a", 1, n, ms(deadline), Duration::ZERO).unwrap();
    }
    assert_eq!(queue.next(ms(5)), Next::Go(1, ms(5)));
    assert_eq!(queue.next(ms(5)), Next::At(ms(500)), "a deadline is before the next grant");
    assert_eq!(queue.next(ms(500)), Next::Late(2));
    let Next::At(at) = queue.next(ms(500)) else { panic!() };
    assert!(at > ms(1000) && at < ms(1010), "{at:?}");
    assert_eq!(queue.next(at), Next::Go(3, at));
    assert_eq!(queue.next(at), Next::Nobody);
}

#[test]
fn who_leaves_is_forgotten() {
    let mut queue = queue(1.0, 32);
    let first = queue.push("a", 1, 1, SECOND, Duration::ZERO).unwrap();
    let second = queue.push("a", 1, 2, SECOND, Duration::ZERO).unwrap();
    assert_eq!(queue.remove(first, SECOND), Some(1));
    assert_eq!(queue.remove(first, SECOND), None);
    assert_eq!(queue.next(Duration::ZERO), Next::Go(2, Duration::ZERO));
    assert_eq!((queue.remove(second, SECOND), queue.is_empty(), queue.tenants.len()), (None, true, 0));
}

#[test]
fn a_word_of_awss_stops_everybody_for_a_while() {
    let mut queue = queue(16.0, 32);
    queue.push("a", 1, 1, 10 * SECOND, Duration::ZERO).unwrap();
    queue.slow_down(SECOND, ms(10));
    assert_eq!(queue.next(ms(20)), Next::At(SECOND));
    assert_eq!(queue.next(SECOND), Next::Go(1, SECOND));
}

#[test]
fn another_rate_counts_from_when_it_is_told() {
    let mut queue = queue(16.0, 64);
    for n in 0..40 {
        queue.push("a", 1, n, 100 * SECOND, Duration::ZERO).unwrap();
    }
    while let Next::Go(..) = queue.next(Duration::ZERO) {}
    queue.set_rate(2.0, Duration::ZERO);
    let mut went = 0;
    for now in (0..=10_000).step_by(10).map(ms) {
        while let Next::Go(..) = queue.next(now) {
            went += 1;
        }
    }
    assert_eq!(went, 20);
    assert_eq!(queue.per_second(), 2.0);
}

#[test]
fn the_rate_is_divided_by_who_is_ready() {
    assert_eq!((share(20.0, 80, 1), share(20.0, 80, 4), share(20.0, 100, 0)), (16.0, 4.0, 20.0));
}

#[test]
fn tenants_that_came_once_are_not_kept() {
    let mut queue = queue(1000.0, 32);
    queue.push("always", 1, 0, Duration::MAX, Duration::ZERO).unwrap();
    for n in 0..10_000_u64 {
        let now = ms(2 * n);
        queue.push("always", 1, 0, Duration::MAX, now).ok();
        queue.push(&format!("t{n}"), 1, 0, Duration::MAX, now).unwrap();
        while let Next::Go(..) = queue.next(now) {}
    }
    assert!(
        queue.tenants.len() <= 2 * queue.heads.len() + 70,
        "{} of {}",
        queue.tenants.len(),
        queue.heads.len()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// The bound of start-time fair queueing: while two tenants wait all the time, what they got differs by one question of each at most,
    /// as their weights count.
    #[test]
    fn two_that_wait_get_their_shares_at_every_moment(weights in prop::collection::vec(1..8_u32, 2..6), pick in 0..1000_u64) {
        let mut queue = Queue::new(Limits { per_second: 1000.0, waiting: 1000 }, Duration::ZERO);
        let mut served = vec![0_u32; weights.len()];
        for (n, weight) in weights.iter().enumerate() {
            for _ in 0..400 {
                queue.push(&n.to_string(), *weight, n, Duration::MAX, Duration::ZERO).unwrap();
            }
        }
        for step in 0..300 {
            let Next::Go(n, _) = queue.next(Duration::from_millis(step)) else { panic!() };
            served[n] += 1;
            if step == pick % 300 {
                // A newcomer has no claim to what was before it.
                queue.push("new", 1, 0, Duration::MAX, Duration::from_millis(step)).unwrap();
                served[0] = served[0].saturating_sub(1);
            }
            for a in 0..weights.len() {
                for b in 0..weights.len() {
                    let got = |n: usize| f64::from(served[n]) / f64::from(weights[n]);
                    let one = 1.0 / f64::from(weights[a]) + 2.0 / f64::from(weights[b]) + 1.0 / f64::from(weights[0]);
                    prop_assert!((got(a) - got(b)).abs() <= one + 1e-3, "{:?} {:?}", served, weights);
                }
            }
        }
    }

    /// Whatever comes, goes once: it is served, late, removed, or it waits.
    #[test]
    fn nothing_is_lost_and_nothing_comes_twice(steps in prop::collection::vec((0..5_u8, 0..4_usize, 1..2000_u64), 1..300)) {
        let mut queue = queue(20.0, 8);
        let (mut now, mut open, mut count) = (Duration::ZERO, BTreeMap::new(), 0_u32);
        for (what, tenant, millis) in steps {
            match what {
                0..=2 => {
                    let deadline = now + ms(millis);
                    if let Ok(ticket) = queue.push(&tenant.to_string(), 1 + tenant as u32, count, deadline, now) {
                        open.insert(count, (ticket, deadline));
                        count += 1;
                    }
                }
                3 => {
                    let first = open.first_key_value().map(|(n, it)| (*n, *it));
                    if let Some((n, (ticket, deadline))) = first {
                        prop_assert_eq!(queue.remove(ticket, deadline), Some(n));
                        open.remove(&n);
                    }
                }
                _ => now += ms(millis / 10),
            }
            loop {
                match queue.next(now) {
                    Next::Go(n, _) => prop_assert!(open.remove(&n).is_some_and(|(_, deadline)| deadline > now)),
                    Next::Late(n) => prop_assert!(open.remove(&n).is_some_and(|(_, deadline)| deadline <= now)),
                    Next::At(at) => { prop_assert!(at > now); break }
                    Next::Nobody => { prop_assert!(open.is_empty()); break }
                }
            }
            prop_assert_eq!(queue.len(), open.len());
        }
    }
}
