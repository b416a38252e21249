use proptest::prelude::*;
use serde_json::json;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn terms(gateway: serde_json::Value) -> Terms {
    Terms::of("basic", &serde_json::from_value(json!({"gateway": gateway})).unwrap())
}

fn per_minute(allowed: u32) -> Terms {
    terms(json!({"requestsPerMinute": allowed}))
}

/// Replicas behind one Service, which sends each the next question in turn. Each knows how many are ready.
struct Replicas {
    each: Vec<(Limits, Duration)>,
    turn: usize,
}

impl Replicas {
    fn new(count: usize) -> Self {
        let mut replicas = Self { each: Vec::new(), turn: 0 };
        replicas.are(count, Duration::ZERO);
        replicas
    }

    /// From now on so many are ready: the newest go, and who comes knows nothing.
    fn are(&mut self, count: usize, now: Duration) {
        self.each.truncate(count);
        self.each.resize_with(count, || (Limits::new(MINUTE), now));
        for (before, (limits, _)) in self.each.iter_mut().enumerate() {
            limits.set_part(Part { replicas: count, before });
        }
    }

    fn enter(&mut self, terms: &Terms, now: Duration) -> Result<usize, Beyond> {
        self.turn = (self.turn + 1) % self.each.len();
        let (limits, begun) = &mut self.each[self.turn];
        limits.enter("acme", terms, now - *begun).map(|()| self.turn)
    }

    /// Asks ten times as much as is allowed for so long, each question answered at once. Answers how many were let in.
    fn insist(&mut self, terms: &Terms, from: Duration, lasting: Duration) -> usize {
        let every = MINUTE / (10 * terms.per_minute.unwrap());
        let (mut now, mut let_in) = (from, 0);
        while now < from + lasting {
            if let Ok(replica) = self.enter(terms, now) {
                let_in += 1;
                self.each[replica].0.leave("acme");
            }
            now += every;
        }
        let_in
    }
}

fn is_within(let_in: usize, allowed: f64) -> bool {
    (0.9 * allowed..=1.01 * allowed).contains(&(let_in as f64))
}

#[test]
fn a_class_says_what_its_tenants_may_ask() {
    let all = json!({"weight": 4, "requestsPerMinute": 60, "concurrent": 3, "maxWait": "500ms", "enforcement": "Shadow"});
    let (class, max_wait) = ("basic".into(), Some(Duration::from_millis(500)));
    let said =
        Terms { class, weight: 4, per_minute: Some(60), concurrent: Some(3), max_wait, is_shadow: true };
    assert_eq!(terms(all), said);
    let nothing = Terms {
        class: "basic".into(),
        weight: 1,
        per_minute: None,
        concurrent: None,
        max_wait: None,
        is_shadow: false,
    };
    assert_eq!(Terms::of("basic", &TenantClassSpec::default()), nothing);
    assert!(
        !nothing.has_limits() && terms(json!({"concurrent": 1})).has_limits() && per_minute(1).has_limits()
    );
}

#[test]
fn the_limit_of_a_minute_is_the_same_whatever_the_number_of_replicas() {
    for allowed in [30, 60, 600] {
        for count in [1, 2, 3, 7] {
            let let_in = Replicas::new(count).insist(&per_minute(allowed), Duration::ZERO, 10 * MINUTE);
            assert!(is_within(let_in, 10.0 * f64::from(allowed)), "{let_in} of 10 x {allowed} by {count}");
        }
    }
}

#[test]
fn the_limit_of_a_minute_is_the_same_while_replicas_come_and_go() {
    let terms = per_minute(600);
    for lasting in [7 * SECOND, 30 * SECOND, 90 * SECOND] {
        let (mut replicas, mut now, mut let_in) = (Replicas::new(1), Duration::ZERO, 0);
        for count in [1, 3, 2, 7, 4, 5, 1, 2].into_iter().cycle().take(40) {
            replicas.are(count, now);
            let_in += replicas.insist(&terms, now, lasting);
            now += lasting;
        }
        let allowed = 600.0 * now.div_duration_f64(MINUTE);
        assert!(is_within(let_in, allowed), "{let_in} of {allowed}, which change each {lasting:?}");
    }
}

#[test]
fn who_was_quiet_may_ask_a_minutes_questions_at_once() {
    for count in [1, 3] {
        let (mut replicas, terms) = (Replicas::new(count), per_minute(60));
        assert!(replicas.enter(&terms, Duration::ZERO).is_ok());
        let later = 5 * MINUTE;
        let let_in = (0..600).filter(|_| replicas.enter(&terms, later).is_ok()).count();
        assert_eq!(let_in, 60, "{count} replicas");
        assert!(is_within(replicas.insist(&terms, later, MINUTE), 60.0));
    }
}

/// A release that is rolled out, or a replica that dies each minute, gives nobody a second minute.
#[test]
fn a_process_begins_with_an_empty_minute_and_a_first_question_on_credit() {
    let (mut limits, terms) = (Limits::new(MINUTE), per_minute(60));
    assert!(limits.enter("acme", &terms, Duration::ZERO).is_ok(), "nobody is refused without having asked");
    let beyond = limits.enter("acme", &terms, SECOND / 2).unwrap_err();
    assert_eq!(beyond.wait, SECOND + SECOND / 2, "it is paid back first");
    assert!(limits.enter("acme", &terms, 2 * SECOND).is_ok());
    assert!(limits.enter("umbrella", &terms, 2 * SECOND).is_ok());
    assert!(limits.enter("umbrella", &terms, 2 * SECOND).is_ok(), "two seconds have passed for it, too");
    assert!(limits.enter("umbrella", &terms, 2 * SECOND).is_err());
}

#[test]
fn a_refusal_says_the_limit_what_is_used_and_the_wait() {
    let (mut limits, terms) = (Limits::new(MINUTE), per_minute(60));
    let now = 10 * MINUTE;
    for _ in 0..60 {
        limits.enter("acme", &terms, now).unwrap();
        limits.leave("acme");
    }
    let wait = SECOND;
    let (class, limit) = ("basic".into(), Limit::RequestsPerMinute);
    let alone = Beyond { class, limit, allowed: 60, here: None, used: "60".into(), wait };
    assert_eq!(limits.enter("acme", &terms, now), Err(alone.clone()));
    limits.set_part(Part { replicas: 7, before: 0 });
    let (here, used, wait) = (Some("8.6".into()), "8.6".into(), SECOND * 7);
    let beyond = limits.enter("acme", &terms, now).unwrap_err();
    let drift = beyond.wait.abs_diff(wait);
    assert!(drift < Duration::from_micros(1), "{beyond:?}");
    assert_eq!(Beyond { wait, ..beyond }, Beyond { here, used, wait, ..alone });
}

#[test]
fn of_a_limit_that_is_smaller_than_the_number_of_replicas_one_question_is_told_and_not_a_part_of_one() {
    let (mut limits, terms) = (Limits::new(MINUTE), per_minute(1));
    limits.set_part(Part { replicas: 3, before: 0 });
    limits.enter("acme", &terms, Duration::ZERO).unwrap();
    let message = limits.enter("acme", &terms, SECOND).unwrap_err().message();
    let says = "Class basic lets a tenant ask 1 question a minute, of which this replica has 1 in 3 minutes, and 1 is used up; try";
    assert!(message.starts_with(says), "{message}");
}

#[test]
fn another_limit_counts_at_once_and_gives_no_new_minute() {
    let mut limits = Limits::new(MINUTE);
    let now = 10 * MINUTE;
    let mut enters =
        |terms: &Terms, now| (0..1000).filter(|_| limits.enter("acme", terms, now).is_ok()).count();
    assert_eq!(enters(&per_minute(60), now), 60);
    assert_eq!(enters(&per_minute(600), now), 0, "what is used up stays used up");
    assert_eq!(enters(&per_minute(600), now + SECOND), 10, "and fills as the new limit says");
    assert_eq!(enters(&per_minute(60), now + 2 * SECOND), 1);
    assert_eq!(enters(&terms(json!({})), now + 2 * SECOND), 1000, "no limit is none");
}

#[test]
fn no_more_are_under_way_than_may_be_and_who_leaves_makes_room() {
    let (mut limits, terms) =
        (Limits::new(MINUTE), terms(json!({"concurrent": 2, "requestsPerMinute": 100})));
    let now = 2 * MINUTE;
    assert!(limits.enter("acme", &terms, now).is_ok() && limits.enter("acme", &terms, now).is_ok());
    for _ in 0..1000 {
        let beyond = limits.enter("acme", &terms, now).unwrap_err();
        assert_eq!((beyond.limit, beyond.allowed, &*beyond.used), (Limit::Concurrent, 2, "2"));
    }
    assert!(limits.enter("umbrella", &terms, now).is_ok(), "each tenant has its own");
    for _ in 0..98 {
        limits.leave("acme");
        assert!(limits.enter("acme", &terms, now).is_ok(), "what was refused has used up nothing");
    }
    limits.leave("acme");
    assert_eq!(limits.enter("acme", &terms, now).unwrap_err().limit, Limit::RequestsPerMinute);
}

#[test]
fn what_cannot_be_divided_is_shared_to_the_last_one() {
    for (all, replicas, each) in [
        (10, 1, vec![10]),
        (10, 3, vec![4, 3, 3]),
        (5, 2, vec![3, 2]),
        (7, 7, vec![1; 7]),
        // A tenant may be asked for at every replica: with more replicas than the limit has, each has one.
        (2, 3, vec![1; 3]),
        (1, 7, vec![1; 7]),
    ] {
        let part = |before| Part { replicas, before }.of_count(all);
        assert_eq!((0..replicas).map(part).collect::<Vec<_>>(), each, "{all} among {replicas}");
    }
    assert_eq!(Part { replicas: 3, before: 9 }.of_count(10), 3, "who does not know its place has no more");
}

#[test]
fn a_limit_that_is_smaller_than_the_number_of_replicas_is_kept_in_the_long_run() {
    let let_in = Replicas::new(7).insist(&per_minute(2), Duration::ZERO, 60 * MINUTE);
    assert!(is_within(let_in, 120.0), "{let_in} in an hour");
}

#[test]
fn tenants_that_are_quiet_are_not_kept() {
    let (mut limits, terms) =
        (Limits::new(MINUTE), terms(json!({"requestsPerMinute": 600, "concurrent": 5})));
    limits.enter("always", &terms, Duration::ZERO).unwrap();
    for n in 0..20_000_u32 {
        let tenant = format!("t{n}");
        limits.enter(&tenant, &terms, SECOND * n / 10).unwrap();
        limits.leave(&tenant);
    }
    assert!(limits.tenants.len() <= 2 * KEPT, "{}", limits.tenants.len());
    assert!(limits.tenants.contains_key("always"), "it is under way");
}

#[test]
fn a_number_has_a_digit_behind_its_point_where_it_needs_one() {
    assert_eq!([16.0, 8.571, 0.04, 100.0].map(decimal), ["16", "8.6", "0", "100"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever is asked when, at however many replicas: in no span of time more is let in than the limit times the span and a minute,
    /// and one question on credit for each process.
    #[test]
    fn in_no_span_is_more_let_in_than_it_has_and_a_minute(
        steps in prop::collection::vec((0..5000_u64, 1..8_usize), 1..200), allowed in 1..100_u32
    ) {
        let (mut replicas, terms) = (Replicas::new(1), per_minute(allowed));
        let (mut now, mut let_in, mut count, mut begun) = (Duration::ZERO, Vec::new(), 1, 1);
        for (millis, replicas_now) in steps {
            now += Duration::from_millis(millis);
            if millis % 7 == 0 && replicas_now != count {
                begun += replicas_now.saturating_sub(count);
                count = replicas_now;
                replicas.are(count, now);
            }
            for _ in 0..3 {
                if replicas.enter(&terms, now).is_ok() {
                    let_in.push(now);
                }
            }
        }
        // A minute of a replica is at least one question.
        let most = f64::max(f64::from(allowed), 7.0);
        for (at, since) in let_in.iter().enumerate().step_by(5) {
            for (later, until) in let_in.iter().enumerate().skip(at).step_by(5) {
                let span = (*until - *since).div_duration_f64(MINUTE);
                let bound = f64::from(allowed) * span + most + begun as f64;
                prop_assert!((later - at + 1) as f64 <= bound + 1.0, "{} in {span} minutes", later - at + 1);
            }
        }
    }
}
