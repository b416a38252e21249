//! Replicas share what AWS grants to the account, and tenants share what a replica has.

use std::time::{Duration, Instant};

use futures::future::join_all;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::gateway::process::Http;
use crate::support::gateway::tenants::{POOL, QUESTION};
use crate::support::world::{World, world};

/// How long the others may take to have the share of one that is gone.
const TEN_SECONDS: Duration = Duration::from_secs(10);

/// The endpoints of a Service as Kubernetes writes them: so many pods, and how many of them are ready.
pub async fn endpoints(w: &World, service: &str, pods: usize, ready: usize) {
    let api: Api<EndpointSlice> = Api::namespaced(w.client.clone(), "tenantry");
    let endpoint = |n: usize| {
        json!({"addresses": [format!("10.0.0.{}", n + 1)], "conditions": {"ready": n < ready},
            "targetRef": {"kind": "Pod", "name": format!("{service}-{n}"), "namespace": "tenantry", "uid": format!("{service}-{n}")}})
    };
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": format!("{service}-abcde"), "labels": {"kubernetes.io/service-name": service}},
        "endpoints": (0..pods).map(endpoint).collect::<Vec<_>>(), "ports": [{"port": 8443}],
    });
    let how = PatchParams::apply("e2e").force();
    api.patch(&format!("{service}-abcde"), &how, &Patch::Apply(&slice)).await.unwrap();
}

/// How many questions a gateway has answered of very many that are asked at once for so long.
async fn answered_in(gateway: &Gateway, token: &str, seconds: u64) -> usize {
    let ends = Instant::now() + Duration::from_secs(seconds);
    let asker = || async {
        let mut answered = 0;
        while Instant::now() < ends {
            answered += usize::from(gateway.ask(token, "pool1", QUESTION).await.status == 200);
        }
        answered
    };
    join_all((0..24).map(|_| asker())).await.into_iter().sum()
}

#[tokio::test]
async fn the_share_of_a_replica_that_is_gone_goes_to_the_others() {
    world(|w| async move {
        w.apply(POOL).await;
        w.with_documents(&["pool1", "pool2"]).await;
        let tokens = w.askers(&["pool1", "pool2"]).await;
        let service = format!("gateway-{}", w.suffix);
        endpoints(&w, &service, 2, 2).await;
        let named = format!("tenantry/{service}");
        let told = ["--clock", "1", "--retrieve-rate", "20", "--pace", "80", "--service", &named];
        let (mut one, two) = (w.gateway(&told).await, w.gateway(&told).await);
        for gateway in [&one, &two] {
            gateway.reaches(&w, "tenantry_gateway_ready_replicas", "", 2.0).await;
            assert_eq!(gateway.metric(RATE, "").await, 8.0);
        }
        let half = answered_in(&two, &tokens["pool1"], 3).await;
        one.die().await;
        let begun = Instant::now();
        endpoints(&w, &service, 2, 1).await;
        two.reaches(&w, RATE, "", 16.0).await;
        assert!(begun.elapsed() < TEN_SECONDS, "its share was free after {:?}", begun.elapsed());
        let all = answered_in(&two, &tokens["pool1"], 3).await;
        // Eight and sixteen a second for three seconds, and what may come at once.
        assert!((20..=42).contains(&half) && (42..=72).contains(&all), "{half} with two, {all} alone");
        let slices: Api<EndpointSlice> = Api::namespaced(w.client.clone(), "tenantry");
        slices.delete(&format!("{service}-abcde"), &DeleteParams::default()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn one_that_asks_much_waits_behind_itself() {
    world(|w| async move {
        w.apply(POOL).await;
        w.with_documents(&["pool1", "pool2"]).await;
        let tokens = w.askers(&["pool1", "pool2"]).await;
        let gateway = w.gateway(&["--clock", "1", "--retrieve-rate", "20", "--pace", "50%"]).await;
        // The first question of a tenant waits for its session, too, and of callers who are not known yet only some may come at once.
        for tenant in ["pool1", "pool2"] {
            assert_eq!(gateway.ask(&tokens[tenant], tenant, QUESTION).await.status, 200);
        }
        // All over one connection: 120 handshakes at once would keep the machine busy, and the others waiting for that.
        let one_connection = gateway.client(Http::Two);
        let loud = async {
            let question = json!({"retrievalQuery": {"text": QUESTION}});
            let one = |_| gateway.retrieve_by(&one_connection, &tokens["pool1"], "pool1", &question);
            join_all((0..120).map(one)).await
        };
        let quiet = async {
            for _ in 0..6 {
                tokio::time::sleep(Duration::from_millis(200)).await;
                let answer = gateway.ask(&tokens["pool2"], "pool2", QUESTION).await;
                assert_eq!(answer.status, 200, "who asks little loses nothing: {answer:?}");
            }
        };
        let (loud, ()) = tokio::join!(loud, quiet);
        let of_quiet = || {
            let of = |line: &Value| (line["tenant"] == "pool2").then(|| line["queuedMs"].as_f64()).flatten();
            gateway.access_log().iter().filter_map(of).collect::<Vec<_>>()
        };
        let all = || async { Some(of_quiet()).filter(|waited| waited.len() == 7) };
        let mut waited = w.eventually("all seven of the quiet one are recorded", all).await;
        waited.sort_by(f64::total_cmp);
        // One who waited behind the other's 32 would wait for three seconds.
        assert!(waited.iter().all(|ms| *ms < 1000.0) && waited[3] < 400.0, "{waited:?}");
        let refused: Vec<_> = loud.iter().filter(|answer| answer.status != 200).collect();
        assert!(refused.len() >= 60 && refused.len() < 120, "{} of 120 are refused", refused.len());
        for answer in refused {
            assert_eq!(answer.refusal(), (429, "ThrottlingException".into()));
            assert!(answer.retry_after.is_some_and(|seconds| seconds >= 1), "{answer:?}");
            assert!(!answer.message().contains("pool2"), "{answer:?}");
        }
    })
    .await;
}

/// This replica's share.
const RATE: &str = "tenantry_gateway_retrieve_rate";
