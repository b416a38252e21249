//! The way to the API server: calls that are lost, refused or cut off leave nothing undone and nothing done twice.

use serde_json::json;
use tenantry::operator;
use tokio_util::sync::CancellationToken;

use crate::support::fleet::Fleet;
use crate::support::proxy::Proxy;
use crate::support::world::{PATIENCE, World, world_without_operator};

const FLEET: Fleet = Fleet { each: 1 };

/// Runs an operator behind a proxy; of each object every second write meets what `deed` says. If writes were counted across
/// objects, two that take turns could leave all that fail to one, which then waits ever longer for its next pass.
async fn every_second_write(deed: &'static str) {
    let test = async |w: World| {
        let proxy = Proxy::before(w.bed);
        for object in FLEET.objects() {
            let name =
                object.strip_prefix("SharedStack/").map_or(object.clone(), |stack| w.stack_name(stack));
            for nth in (1..20).step_by(2) {
                // The object itself, and its status.
                let path = format!("/apis/tenantry.dev/*/{name}*");
                proxy.rule(json!({"path": path, "first": nth, "count": 1, "do": deed})).await;
            }
        }
        let (sdk, stop) = (w.operator_session().await, CancellationToken::new());
        let client = proxy.client().await;
        let (settings, token) = (w.settings.clone(), stop.clone());
        let operator = tokio::spawn(async move { operator::run(settings, client, &sdk, token).await });
        w.granted().await;
        w.apply(&FLEET.yaml()).await;
        w.condition("SharedStack/standard", "BucketReady=True").await;
        // Watches break off, too.
        proxy.cut().await;
        FLEET.ready(&w).await;
        FLEET.assert_as_if_undisturbed(&w).await;
        let hits = proxy.hits().await;
        assert!(hits >= 5, "only {hits} writes were disturbed");
        for tenant in ["silo1", "bridge1", "pool1"] {
            w.patch(tenant, json!({"spec": {"deletionPolicy": "Delete"}})).await;
            w.delete(tenant).await;
            w.gone(tenant).await;
        }
        stop.cancel();
        tokio::time::timeout(PATIENCE, operator).await.expect("it did not stop").unwrap().unwrap();
    };
    world_without_operator(|_| {}, test).await;
}

#[tokio::test]
async fn an_answer_that_is_lost_is_seen_all_the_same() {
    every_second_write("drop-after").await;
}

#[tokio::test]
async fn a_request_that_is_lost_is_made_again() {
    every_second_write("drop-before").await;
}

#[tokio::test]
async fn a_request_that_is_refused_is_made_again() {
    every_second_write("refuse").await;
}
