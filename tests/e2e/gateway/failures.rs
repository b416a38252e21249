//! What fails around the gateway: whoever was known goes on being answered while what is known may be used, nobody new is, and all of
//! it is told in AWS's own words.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::Method;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::support::gateway::process::{asking, signed, until_answered};
use crate::support::gateway::tenants::{POOL, QUESTION, text_of};
use crate::support::gateway::{Answer, Gateway};
use crate::support::proxy::Proxy;
use crate::support::world::{World, world};

/// How long what is known may be used without the API server: five minutes, as this world's clock has them.
const USABLE: Duration = Duration::from_secs(30);

async fn pool_of_two(w: &World) {
    w.apply(POOL).await;
    w.with_documents(&["pool1", "pool2"]).await;
}

#[tokio::test]
async fn without_the_api_server_who_is_known_is_answered_for_five_minutes_and_nobody_new() {
    world(|w| async move {
        pool_of_two(&w).await;
        let tokens = w.askers(&["pool1", "pool2"]).await;
        let proxy = Proxy::before_as(&w.bed.gateway_kubeconfig);
        let gateway = w.gateway_by(proxy.kubeconfig(), &["--retrieve-rate", "1000"]).await;
        let ask = |tenant: &'static str| gateway.ask(&tokens[tenant], tenant, QUESTION);
        assert_eq!(ask("pool1").await.passages()[0].1, text_of("pool1"));

        let nothing = json!({"method": "*", "path": "*", "count": 1_000_000, "do": "refuse", "status": 503});
        proxy.rule(nothing).await;
        proxy.cut().await;
        let begun = Instant::now();
        let refused = ask("pool2").await;
        assert_eq!(refused.refusal(), (503, "ServiceUnavailableException".into()), "nobody new");
        let known = assert_answered_until(USABLE / 2, begun, || ask("pool1")).await;
        assert!(known >= 10, "asked {known} times");
        assert!(
            gateway.metric("tenantry_gateway_tenants_age_seconds", "").await > 1.0,
            "it says how old that is"
        );
        assert!(gateway.is_ready().await, "to start another in its place would mend nothing");
        let beginner = w.gateway_starts(proxy.kubeconfig(), &[]).await;
        let over = until_answered("what is known is too old", || ask("pool1"), |it| it.status != 200).await;
        let lasted = begun.elapsed();
        assert!(lasted <= USABLE + Duration::from_secs(5), "{over:?} after half of it: {lasted:?}");
        assert_eq!(ask("pool1").await.refusal(), (503, "ServiceUnavailableException".into()));
        assert!(!beginner.is_ready().await, "one that knows nobody is not ready");
        drop(beginner);

        proxy.heal().await;
        for tenant in ["pool1", "pool2"] {
            until_answered("it is there again", || ask(tenant), |answer| answer.status == 200).await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_api_server_that_hangs_holds_up_nobody_who_is_known() {
    world(|w| async move {
        pool_of_two(&w).await;
        let tokens = w.askers(&["pool1", "pool2"]).await;
        // As many pods of one account, each with a token of its own.
        let pods = join_all((0..100).map(|_| w.token("pool1"))).await;
        let proxy = Proxy::before_as(&w.bed.gateway_kubeconfig);
        // Slower than elsewhere: how long it waits for the API server is not divided, and must fit between the time at which it asks
        // again, 15 seconds here, and the time until which an answer is fresh.
        let options = ["--retrieve-rate", "10000", "--clock", "2"];
        let gateway = w.gateway_by(proxy.kubeconfig(), &options).await;
        let ask = async |pods: &[String]| {
            let begun = Instant::now();
            let all = join_all(pods.iter().map(|token| gateway.ask(token, "pool1", QUESTION))).await;
            let refused = all.iter().find(|answer| answer.status != 200);
            assert!(refused.is_none(), "{refused:?}");
            begun.elapsed()
        };
        // They come from one address, which may have fewer callers at a time that are not known yet.
        for pods in pods.chunks(20) {
            ask(pods).await;
        }
        proxy.rule(json!({"method": "*", "path": "*", "count": 1_000_000, "do": "hold"})).await;
        let begun = Instant::now();
        // What the API server has said is fresh for 22 seconds here.
        while begun.elapsed() < Duration::from_secs(35) {
            let taken = ask(&pods).await;
            assert!(taken < Duration::from_secs(4), "{taken:?}, after {:?}", begun.elapsed());
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let begun = Instant::now();
        let new = gateway.ask(&tokens["pool2"], "pool2", QUESTION).await;
        assert_eq!(new.refusal(), (503, "ServiceUnavailableException".into()), "nobody new");
        assert!(begun.elapsed() < Duration::from_secs(8), "told after {:?}", begun.elapsed());
        proxy.heal().await;
        let new = || gateway.ask(&tokens["pool2"], "pool2", QUESTION);
        until_answered("it is there again", new, |answer| answer.status == 200).await;
    })
    .await;
}

/// What a load balancer does that forgets a connection: from the gateway, a quiet cluster looks the same.
#[tokio::test]
async fn a_watch_that_dies_without_a_word_hides_a_change_for_less_than_a_minute() {
    world(|w| async move {
        pool_of_two(&w).await;
        let tokens = w.askers(&["pool1"]).await;
        let proxy = Proxy::before_as(&w.bed.gateway_kubeconfig);
        let gateway = w.gateway_by(proxy.kubeconfig(), &["--retrieve-rate", "1000"]).await;
        let ask = || gateway.ask(&tokens["pool1"], "pool1", QUESTION);
        assert_eq!(ask().await.status, 200);
        proxy
            .rule(json!({"method": "GET", "path": "*/tenants", "query": "*watch=true*", "do": "freeze"}))
            .await;
        proxy.cut().await;
        w.eventually("the watch is dead", || async { (proxy.hits().await == 1).then_some(()) }).await;
        let begun = Instant::now();
        w.delete("pool1").await;
        assert_eq!(ask().await.status, 200, "nobody has told it");
        let over = until_answered("the watch is renewed", ask, |it| it.status != 200).await;
        assert!(begun.elapsed() < Duration::from_secs(45), "{over:?}");
        // Leaving, or gone already.
        let status = gateway.ask(&tokens["pool1"], "pool1", QUESTION).await.status;
        assert!([403, 404].contains(&status), "{status}");
    })
    .await;
}

/// Asks until so much time is over since `begun`; each time it is answered. How often.
async fn assert_answered_until<F: Future<Output = Answer>>(
    until: Duration,
    begun: Instant,
    ask: impl Fn() -> F,
) -> usize {
    let mut times = 0;
    while begun.elapsed() < until {
        let answer = ask().await;
        assert_eq!(answer.status, 200, "after {:?}: {answer:?}", begun.elapsed());
        times += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    times
}

#[tokio::test]
async fn without_sts_sessions_are_used_until_their_end() {
    world(|w| async move {
        pool_of_two(&w).await;
        let tokens = w.askers(&["pool1", "pool2"]).await;
        let gateway = w.gateway(&["--retrieve-rate", "1000"]).await;
        let ask = |tenant: &'static str| gateway.ask(&tokens[tenant], tenant, QUESTION);
        // It takes requests, and does not answer: a program is told so long before it gives up.
        let hangs = json!({"service": "sts", "operation": "AssumeRole", "delay": 15, "count": 100_000});
        let hangs = w.double.fault(hangs).await;
        let begun = Instant::now();
        assert_eq!(ask("pool2").await.refusal(), (503, "ServiceUnavailableException".into()));
        assert!(begun.elapsed() < Duration::from_secs(10), "told after {:?}", begun.elapsed());
        assert!(!hangs.hits().await.is_empty());
        w.double.heal().await;
        let lasts = Duration::from_secs(12);
        w.double.settings(json!({"session_seconds": lasts.as_secs_f64()})).await;
        let begun = Instant::now();
        assert_eq!(ask("pool1").await.passages()[0].1, text_of("pool1"));
        let fault = w
            .double
            .fault(json!({"service": "sts", "operation": "AssumeRole", "fault": "failed", "count": 100000}))
            .await;
        assert_eq!(ask("pool2").await.refusal(), (503, "ServiceUnavailableException".into()), "nobody new");
        assert_answered_until(lasts * 2 / 3, begun, || ask("pool1")).await;
        until_answered("its session is over", || ask("pool1"), |answer| answer.status != 200).await;
        assert_eq!(ask("pool1").await.refusal(), (503, "ServiceUnavailableException".into()));
        assert!(!fault.hits().await.is_empty());
        // Refusals are remembered for a while, so that a flood of questions is none for STS.
        let before = fault.hits().await.len();
        for _ in 0..50 {
            assert_eq!(ask("pool1").await.status, 503);
        }
        let after = fault.hits().await.len();
        assert!(after - before < 25, "50 questions have asked STS {} times", after - before);
        w.double.heal().await;
        w.double.settings(json!({"session_seconds": 0.0})).await;
        for tenant in ["pool1", "pool2"] {
            until_answered("it is there again", || ask(tenant), |answer| answer.status == 200).await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_aws_refuses_is_tried_again_within_its_time_and_then_told() {
    world(|w| async move {
        pool_of_two(&w).await;
        let tokens = w.askers(&["pool1"]).await;
        let gateway = w.gateway(&["--retrieve-rate", "1000"]).await;
        let ask = || gateway.ask(&tokens["pool1"], "pool1", QUESTION);
        let answered = async |what: &str| {
            let answer = ask().await;
            assert_eq!(answer.status, 200, "{what}: {answer:?}");
        };
        answered("at first").await;
        let throttled = json!({"operation": "Retrieve", "code": "ThrottlingException", "status": 429,
            "message": "Your request rate is too high. Please slow down."});
        for (what, times, rule) in [
            ("AWS asked once to go slower", 1, throttled.clone()),
            ("AWS failed once", 1, json!({"operation": "Retrieve", "fault": "failed"})),
            ("the connection was lost before", 1, json!({"operation": "Retrieve", "drop": "before"})),
            ("the answer was lost", 1, json!({"operation": "Retrieve", "drop": "after"})),
        ] {
            let mut rule = rule;
            rule["count"] = json!(times);
            let fault = w.double.fault(rule).await;
            answered(what).await;
            assert_eq!(fault.hits().await.len(), times, "{what}");
            w.double.heal().await;
        }
        let with = async |mut rule: serde_json::Value| {
            rule["count"] = json!(100_000);
            let _ = w.double.fault(rule).await;
            let (begun, answer) = (Instant::now(), ask().await);
            assert!(begun.elapsed() < Duration::from_secs(15), "{answer:?} took {:?}", begun.elapsed());
            w.double.heal().await;
            answer
        };
        let slower = with(throttled).await;
        assert_eq!(slower.refusal(), (429, "ThrottlingException".into()));
        assert!(slower.message().contains("Please slow down") && slower.retry_after.is_some(), "{slower:?}");
        let away = with(json!({"operation": "Retrieve", "drop": "before"})).await;
        assert_eq!(away.refusal(), (503, "ServiceUnavailableException".into()));
        let invalid = with(json!({"operation": "Retrieve", "code": "ValidationException", "status": 400,
            "message": "The knowledge base is odd"}))
        .await;
        assert_eq!(invalid.refusal(), (400, "ValidationException".into()));
        assert!(
            invalid.message().contains("The knowledge base is odd"),
            "AWS speaks for itself: {invalid:?}"
        );
        // What AWS says of roles is the administrator's business.
        let denied = with(json!({"operation": "Retrieve", "fault": "denied"})).await;
        assert_eq!(denied.refusal(), (403, "AccessDeniedException".into()));
        assert!(!denied.body.contains("arn:") && !denied.body.contains(&w.account), "{denied:?}");
        answered("in the end").await;
    })
    .await;
}

#[tokio::test]
async fn who_comes_when_all_places_are_taken_is_told_so_at_once() {
    world(|w| async move {
        pool_of_two(&w).await;
        let tokens = w.askers(&["pool1", "pool2"]).await;
        let mut gateway = w.gateway(&["--retrieve-rate", "1000", "--max-in-flight", "2"]).await;
        assert_eq!(gateway.ask(&tokens["pool1"], "pool1", QUESTION).await.status, 200);
        let held = w.double.hold("retrieve", "*").await;
        let answers = {
            let two = async {
                tokio::join!(
                    gateway.ask(&tokens["pool1"], "pool1", QUESTION),
                    gateway.ask(&tokens["pool2"], "pool2", QUESTION)
                )
            };
            let rest = async {
                w.eventually("two wait for AWS", || async {
                    (held.waiting().await.len() == 2).then_some(())
                })
                .await;
                let begun = Instant::now();
                let third = gateway.ask(&tokens["pool1"], "pool1", QUESTION).await;
                assert_eq!(third.refusal(), (503, "ServiceUnavailableException".into()));
                assert!(begun.elapsed() < Duration::from_secs(1), "at once, not after {:?}", begun.elapsed());
                // Told to end, it is not ready any more, and ends what it has begun.
                gateway.signal("TERM").await;
                w.eventually("it is not ready", || async { (!gateway.is_ready().await).then_some(()) }).await;
                held.release().await;
            };
            tokio::join!(two, rest).0
        };
        for answer in [answers.0, answers.1] {
            assert_eq!(answer.status, 200, "what had begun is answered: {answer:?}");
        }
        assert!(gateway.ended().await.success(), "{}", gateway.log());
    })
    .await;
}

/// Requests whose bodies do not come, so many at a time and over and over, until this is dropped.
async fn slow_bodies(gateway: &Gateway, times: usize, path: &str, headers: &str) -> JoinSet<()> {
    let address = gateway.url.strip_prefix("http://").unwrap().to_owned();
    let head = format!("POST {path} HTTP/1.1\r\nhost: gateway\r\n{headers}content-length: 100\r\n\r\n{{");
    let mut slow = JoinSet::new();
    for _ in 0..times {
        let (address, head) = (address.clone(), head.clone());
        slow.spawn(async move {
            loop {
                let mut stream = TcpStream::connect(&address).await.unwrap();
                let _ = stream.write_all(head.as_bytes()).await;
                // Until it is told something, or cut off.
                let _ = stream.read(&mut [0; 1024]).await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
    }
    slow
}

#[tokio::test]
async fn who_sends_bodies_slowly_keeps_nobody_else_out() {
    world(|w| async move {
        pool_of_two(&w).await;
        let tokens = w.askers(&["pool1", "pool2"]).await;
        // Of 512 places one address has 8 while it is not known, and a tenant 64.
        let gateway = w.gateway(&["--retrieve-rate", "1000", "--plaintext", "--max-in-flight", "512"]).await;
        let ask = |tenant: &'static str| gateway.ask(&tokens[tenant], tenant, QUESTION);
        assert_eq!(ask("pool1").await.passages()[0].1, text_of("pool1"));
        let refused = |reason: &str| format!("reason=\"{reason}\"");

        let nobody = slow_bodies(&gateway, 100, "/", "").await;
        gateway.reaches(&w, REFUSED, &refused("strangers"), 1.0).await;
        assert_answered_until(Duration::from_secs(3), Instant::now(), || ask("pool1")).await;
        let elsewhere =
            reqwest::Client::builder().no_proxy().local_address(std::net::IpAddr::from([127, 0, 0, 2]));
        let url = format!("{}{}", gateway.url, asking("TENANTRYKB"));
        let newcomer =
            signed(elsewhere.build().unwrap().request(Method::POST, url), &tokens["pool2"], "pool2");
        let newcomer = gateway.sent(newcomer.json(&json!({"retrievalQuery": {"text": QUESTION}}))).await;
        assert_eq!(newcomer.passages()[0].1, text_of("pool2"), "who comes anew, from another address");
        drop(nobody);

        let bearer = format!("authorization: Bearer {}\r\n", tokens["pool1"]);
        let path = format!("/t/pool1{}", asking("TENANTRYKB"));
        let loud = slow_bodies(&gateway, 100, &path, &bearer).await;
        gateway.reaches(&w, REFUSED, &refused("in_flight"), 1.0).await;
        assert_eq!(ask("pool1").await.refusal(), (429, "ThrottlingException".into()));
        assert_answered_until(Duration::from_secs(3), Instant::now(), || ask("pool2")).await;
        drop(loud);
        until_answered("its bodies are over", || ask("pool1"), |answer| answer.status == 200).await;
    })
    .await;
}

const REFUSED: &str = "tenantry_gateway_refused_total";

#[tokio::test]
async fn another_certificate_is_shown_without_an_answer_lost() {
    world(|w| async move {
        pool_of_two(&w).await;
        let tokens = w.askers(&["pool1"]).await;
        let gateway = w.gateway(&["--retrieve-rate", "1000"]).await;
        let first = shown(&gateway).await;
        let held = w.double.hold("retrieve", "*").await;
        let asked = gateway.ask(&tokens["pool1"], "pool1", QUESTION);
        let renewed = async {
            w.eventually("it waits for AWS", || async { (!held.waiting().await.is_empty()).then_some(()) })
                .await;
            gateway.renew_certificate();
            let other = || async { (shown(&gateway).await != first).then_some(()) };
            w.eventually("another certificate is shown", other).await;
            held.release().await;
        };
        let (answer, ()) = tokio::join!(asked, renewed);
        assert_eq!(answer.passages()[0].1, text_of("pool1"), "what was under way is answered");
        let second = shown(&gateway).await;
        assert_eq!(gateway.metric(STALE, "").await, 0.0);
        gateway.spoil_certificate();
        gateway.reaches(&w, STALE, "", 1.0).await;
        assert_eq!(shown(&gateway).await, second, "one that cannot be read replaces none");
        assert_eq!(gateway.ask(&tokens["pool1"], "pool1", QUESTION).await.status, 200);
        gateway.renew_certificate();
        w.eventually("it is mended", || async { (gateway.metric(STALE, "").await == 0.0).then_some(()) })
            .await;
    })
    .await;
}

const STALE: &str = "tenantry_gateway_certificate_stale";

/// The certificate that a new connection is shown.
async fn shown(gateway: &Gateway) -> Vec<u8> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(gateway.authority.pem().as_bytes()).unwrap()).unwrap();
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let address = gateway.url.strip_prefix("https://").unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}
