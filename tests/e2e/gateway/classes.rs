//! A tenant's class gives it its share of the questions, and bounds them: the same with one replica and with three.

use std::ops::Range;
use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::replicas::endpoints;
use crate::support::gateway::Gateway;
use crate::support::gateway::process::until_answered;
use crate::support::gateway::tenants::{POOL, QUESTION};
use crate::support::objects::Object;
use crate::support::world::{World, world};

/// What is told by a watch: milliseconds, and what two busy processors take beside.
const AT_ONCE: Duration = Duration::from_secs(2);
const SECOND: Duration = Duration::from_secs(1);

impl World {
    /// What a class says, from now on.
    async fn class_says(&self, class: &str, spec: Value) {
        self.apply(&json!({"kind": "TenantClass", "metadata": {"name": class}, "spec": spec}).to_string())
            .await;
    }

    /// Names a class in a Tenant.
    async fn names_class(&self, tenant: &str, class: &str) {
        self.patch(tenant, json!({"spec": {"classRef": {"name": self.stack_name(class)}}})).await;
    }

    /// Waits until a Tenant is accepted in a class.
    async fn is_of_class(&self, tenant: &str, class: &str) {
        let name = self.stack_name(class);
        let is_its = |it: &Object| it.status.class.as_deref() == Some(&*name) && it.is_done();
        self.until(tenant, "is of its class", is_its).await;
    }
}

/// So many replicas that know of one another. A name tells each its place.
async fn replicas(w: &World, count: usize, more: &[&str]) -> Vec<Gateway> {
    let service = format!("gateway-{}", w.suffix);
    endpoints(w, &service, count, count).await;
    let named = format!("tenantry/{service}");
    let told = [&["--clock", "1", "--pace", "100%", "--service", &named], more].concat();
    let gateways = join_all((0..count).map(|_| w.gateway(&told))).await;
    for gateway in &gateways {
        gateway.reaches(w, "tenantry_gateway_ready_replicas", "", count as f64).await;
    }
    gateways
}

/// What became of a tenant's questions in a span of time.
#[derive(Debug, Default)]
struct Seen {
    answered: usize,
    throttled: usize,
    message: String,
}

/// Insists on questions of a tenant, with so many askers and a pause after each question, as often at one replica as at
/// another; counts what is answered after `after`, for so long.
async fn insist(
    gateways: &[Gateway],
    (tenant, token): (&str, &str),
    (askers, pause): (usize, Duration),
    (after, lasting): (Duration, Duration),
) -> Seen {
    let (begins, ends) = (Instant::now() + after, Instant::now() + after + lasting);
    let asker = async |n: usize| {
        let mut seen = Seen::default();
        let gateway = &gateways[n % gateways.len()];
        while Instant::now() < ends {
            let answer = gateway.ask(token, tenant, QUESTION).await;
            let counts = (begins..ends).contains(&Instant::now());
            match answer.status {
                200 => seen.answered += usize::from(counts),
                429 => {
                    assert_eq!(answer.refusal(), (429, "ThrottlingException".into()));
                    seen.throttled += usize::from(counts);
                    seen.message = answer.message();
                }
                _ => panic!("{answer:?}"),
            }
            tokio::time::sleep(pause).await;
        }
        seen
    };
    let each = join_all((0..askers).map(asker)).await;
    each.into_iter().fold(Seen::default(), |sum, one| Seen {
        answered: sum.answered + one.answered,
        throttled: sum.throttled + one.throttled,
        message: if one.message.is_empty() { sum.message } else { one.message },
    })
}

#[tokio::test]
async fn by_one_replica_and_by_three_a_weight_is_a_share_and_a_limit_is_one() {
    world(|w| async move {
        w.apply(POOL).await;
        w.class_says("basic", json!({"gateway": {"weight": 1}})).await;
        w.class_says("premium", json!({"gateway": {"weight": 4}})).await;
        for (tenant, class) in [("pool1", "premium"), ("pool2", "basic")] {
            w.names_class(tenant, class).await;
            w.is_of_class(tenant, class).await;
        }
        let tokens = w.askers(&["pool1", "pool2"]).await;
        for count in [1, 3] {
            let gateways = replicas(&w, count, &["--retrieve-rate", "90"]).await;
            shares(&gateways, [("pool1", &tokens["pool1"]), ("pool2", &tokens["pool2"])]).await;
            for gateway in &gateways {
                let premium = format!("class=\"{}\",outcome=\"ok\"", w.stack_name("premium"));
                assert!(gateway.metric("tenantry_gateway_class_requests_total", &premium).await > 0.0);
            }
            // 600 a minute, of which each replica has its part.
            w.class_says("basic", json!({"gateway": {"requestsPerMinute": 600}})).await;
            limited(&gateways, ("pool2", &tokens["pool2"]), count).await;
            w.class_says("basic", json!({"gateway": {"weight": 1}})).await;
        }
    })
    .await;
}

/// While both insist, one of weight four has four times as many answers.
async fn shares(gateways: &[Gateway], [four, one]: [(&str, &str); 2]) {
    let (askers, when) = ((30, Duration::ZERO), (2 * SECOND, 8 * SECOND));
    let (four, one) = tokio::join!(insist(gateways, four, askers, when), insist(gateways, one, askers, when));
    let ratio = four.answered as f64 / one.answered as f64;
    let all = four.answered + one.answered;
    // How exact it is, turns.rs shows with a clock of its own. Here those who ask may be slower than the gateway, and whoever
    // has nobody in the queue leaves its turn to the other.
    assert!((2.0..=4.4).contains(&ratio), "{four:?} and {one:?} by {}", gateways.len());
    assert!((8 * 90 * 9 / 10..=8 * 90 + 90).contains(&all), "{all} of what is granted");
}

/// How many of a tenant's questions that came within a span of time were answered.
fn let_in(gateways: &[Gateway], tenant: &str, span: Range<Timestamp>) -> usize {
    let is_one = |line: &Value| {
        let came = line["time"].as_str().map(|time| time.parse().unwrap());
        line["tenant"] == tenant && line["status"] == 200 && came.is_some_and(|came| span.contains(&came))
    };
    gateways.iter().flat_map(Gateway::access_log).filter(is_one).count()
}

/// Ten times as much is asked as is allowed: 10 a second are answered, and the others are told why.
async fn limited(gateways: &[Gateway], tenant: (&str, &str), count: usize) {
    // What a replica has saved up since it began is used up first.
    let used_up = (6 * SECOND, 12 * SECOND);
    let begins = Timestamp::now() + used_up.0;
    let seen = insist(gateways, tenant, (30, SECOND / 4), used_up).await;
    // By the time at which they came: they are read some time later where the machine is busy.
    let let_in = let_in(gateways, tenant.0, begins..begins + used_up.1);
    assert!((108..=121 + count).contains(&let_in), "120 by {count}: {let_in}, {seen:?}");
    assert!(seen.throttled > 2 * seen.answered, "{seen:?}");
    let says = match count {
        1 => "lets a tenant ask 600 questions a minute, and 600 are used up; try again in ",
        _ => {
            "lets a tenant ask 600 questions a minute, of which this replica has 200, and 200 are used up; try again in "
        }
    };
    assert!(seen.message.contains(says), "{seen:?}");
}

#[tokio::test]
async fn no_more_are_under_way_than_a_class_allows() {
    world(|w| async move {
        w.apply(POOL).await;
        w.class_says("basic", json!({"gateway": {"concurrent": 3}})).await;
        w.names_class("pool1", "basic").await;
        w.is_of_class("pool1", "basic").await;
        let tokens = w.askers(&["pool1", "pool2"]).await;
        for count in [1, 3] {
            let gateways = replicas(&w, count, &["--retrieve-rate", "1000"]).await;
            let ask = |n: usize| gateways[n % count].ask(&tokens["pool1"], "pool1", QUESTION);
            for n in 0..count {
                assert_eq!(ask(n).await.status, 200);
            }
            let held = w.double.hold("retrieve", "*").await;
            let rest = async {
                let three = || async { (held.waiting().await.len() == 3).then_some(()) };
                w.eventually("three wait for AWS", three).await;
                for n in 0..count {
                    let answer = ask(n).await;
                    assert_eq!(answer.refusal(), (429, "ThrottlingException".into()));
                    assert!(
                        answer.retry_after == Some(1)
                            && answer.message().contains("3 questions under way at once")
                    );
                }
                held.release().await;
            };
            let (three, ()) = tokio::join!(join_all((0..3).map(ask)), rest);
            assert!(three.iter().all(|answer| answer.status == 200), "{three:?}");
            assert_eq!(ask(0).await.status, 200, "there is room again");
        }
    })
    .await;
}

#[tokio::test]
async fn an_edit_of_a_class_counts_at_once_and_writes_to_nobody() {
    world(|w| async move {
        w.apply(POOL).await;
        w.class_says("basic", json!({"gateway": {"weight": 1}})).await;
        w.names_class("pool1", "basic").await;
        w.is_of_class("pool1", "basic").await;
        let tokens = w.askers(&["pool1", "pool2"]).await;
        let gateway = w.gateway(&["--clock", "1", "--retrieve-rate", "1000", "--pace", "100%"]).await;
        let ask = || gateway.ask(&tokens["pool1"], "pool1", QUESTION);
        for _ in 0..20 {
            assert_eq!(ask().await.status, 200);
        }
        let before = [w.get("pool1").await, w.get("pool2").await];
        w.class_says("basic", json!({"gateway": {"requestsPerMinute": 1}})).await;
        let taken = until_answered("a limit counts", &ask, |it| it.status == 429).await;
        assert!(taken < AT_ONCE, "after {taken:?}");
        assert_eq!(
            gateway.ask(&tokens["pool2"], "pool2", QUESTION).await.status,
            200,
            "who has no class has no limit"
        );

        // A shadow refuses nothing, and says what it would have refused.
        w.class_says("basic", json!({"gateway": {"requestsPerMinute": 1, "enforcement": "Shadow"}})).await;
        until_answered("a shadow refuses nothing", &ask, |it| it.status == 200).await;
        for _ in 0..20 {
            assert_eq!(ask().await.status, 200);
        }
        let shadow = format!(
            "class=\"{}\",reason=\"requests_per_minute\",enforcement=\"Shadow\"",
            w.stack_name("basic")
        );
        assert!(gateway.metric("tenantry_gateway_class_refused_total", &shadow).await >= 20.0);
        w.eventually("records say so", || async {
            let lines = gateway.access_log();
            let of = |member: &str, value: &str| lines.iter().filter(|line| line[member] == value).count();
            let class = of("class", &w.stack_name("basic"));
            (of("wouldRefuse", "requests_per_minute") >= 20
                && of("reason", "requests_per_minute") >= 1
                && class > 40)
                .then_some(())
        })
        .await;
        let after = [w.get("pool1").await, w.get("pool2").await];
        assert_eq!(before.map(|it| it.version().to_owned()), after.map(|it| it.version().to_owned()));
    })
    .await;
}

#[tokio::test]
async fn a_tenant_that_names_a_class_it_is_not_admitted_to_gains_nothing() {
    world(|w| async move {
        w.apply(POOL).await;
        w.class_says("basic", json!({"gateway": {"requestsPerMinute": 1}})).await;
        let paid = json!({"allowedNamespaces": {"matchLabels": {"paid": "yes"}}, "gateway": {"weight": 4}});
        w.class_says("premium", paid).await;
        w.names_class("pool1", "basic").await;
        w.is_of_class("pool1", "basic").await;
        let tokens = w.askers(&["pool1"]).await;
        let gateway = w.gateway(&["--clock", "1", "--retrieve-rate", "1000", "--pace", "100%"]).await;
        let ask = || gateway.ask(&tokens["pool1"], "pool1", QUESTION);
        assert_eq!(ask().await.status, 200);
        until_answered("the limit counts", &ask, |it| it.status == 429).await;
        w.names_class("pool1", "premium").await;
        w.condition("pool1", "Accepted=False/ClassNotAllowed").await;
        let refused = ask().await;
        assert_eq!(refused.refusal(), (429, "ThrottlingException".into()));
        assert!(refused.message().contains(&w.stack_name("basic")), "{refused:?}");
        // What it has goes on: it is found, and its own class counts.
        w.class_says("basic", json!({"gateway": {"weight": 1}})).await;
        let taken = until_answered("it is answered under its class", &ask, |it| it.status == 200).await;
        assert!(taken < AT_ONCE, "after {taken:?}");
        w.relabel("", "paid", "yes").await;
        w.is_of_class("pool1", "premium").await;
        assert_eq!(ask().await.status, 200);
    })
    .await;
}
