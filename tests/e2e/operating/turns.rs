//! One namespace's objects do not keep the operator from another's, and one object's changes not from everything else.

use std::collections::BTreeSet;
use std::time::Instant;

use futures::StreamExt;
use kube::api::{ListParams, WatchParams};
use kube::core::{Selector, WatchEvent};
use kube::{Api, ResourceExt};
use serde_json::json;
use tenantry::api::Tenant;

use crate::support::world::{LABEL, PATIENCE, World, world, world_without_operator};

const MANY: usize = 300;
const FEW: usize = 12;

/// The namespaces of Tenants in the order in which each was first reported on.
async fn first_reports(w: &World, since: &str) -> Vec<String> {
    let tenants: Api<Tenant> = Api::all(w.client.clone());
    let ours = WatchParams::default().labels(&format!("{LABEL}={}", w.suffix));
    let mut changes = tenants.watch(&ours, since).await.unwrap().boxed();
    let (mut seen, mut reports) = (BTreeSet::new(), Vec::new());
    while reports.len() < MANY + FEW {
        let change = tokio::time::timeout(PATIENCE, changes.next()).await.expect("another report").unwrap();
        let WatchEvent::Modified(tenant) = change.unwrap() else { continue };
        if tenant.status.as_ref().is_some_and(|it| !it.conditions.is_empty()) && seen.insert(tenant.uid()) {
            reports.push(tenant.namespace().unwrap());
        }
    }
    reports
}

#[tokio::test]
async fn twelve_tenants_do_not_wait_for_three_hundred_of_another_namespace() {
    let tell = |settings: &mut tenantry::settings::Settings| {
        // Passes end in the order in which they begin.
        settings.concurrency = 1;
        settings.silo_namespaces = Some([("tier", "premium")].into_iter().collect::<Selector>());
    };
    let test = async |w: World| {
        w.start_operator().await;
        w.granted().await;
        w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}").await;
        w.ready("SharedStack/standard").await;
        w.stop_operator().await;

        w.namespace("many", &[]).await;
        w.namespace("few", &[]).await;
        let refused = |n| {
            format!(
                "{{kind: Tenant, metadata: {{namespace: many, name: r{n}}}, spec: {{tenantId: r{n}, pattern: Silo}}}}"
            )
        };
        let honest = |n| {
            format!(
                "{{kind: Tenant, metadata: {{namespace: few, name: h{n}}}, spec: {{tenantId: h{n}, pattern: Pool, stackRef: {{name: standard}}}}}}"
            )
        };
        let all: Vec<_> = (0..MANY).map(refused).chain((0..FEW).map(honest)).collect();
        w.apply(&all.join("\n---\n")).await;
        let tenants: Api<Tenant> = Api::all(w.client.clone());
        let since = tenants.list(&ListParams::default().limit(1)).await.unwrap().metadata.resource_version;

        w.start_operator().await;
        let reports = first_reports(&w, &since.unwrap()).await;
        let few = w.namespace_name("few");
        let turns: Vec<_> = (0..reports.len()).filter(|at| reports[*at] == few).collect();
        assert!(turns[0] <= 2, "{turns:?}");
        // A pass that asks AWS reports after one that has begun behind it.
        let in_turn = |(turn, at): (usize, &usize)| (2 * turn).abs_diff(at - turns[0]) <= 1;
        assert!(turns.iter().enumerate().all(in_turn), "{turns:?}");
        for n in 0..FEW {
            w.ready(&format!("few/h{n}")).await;
        }
        assert!(w.get("many/r0").await.is("Accepted=False/SiloNotAllowed"));
    };
    world_without_operator(tell, test).await;
}

#[tokio::test]
async fn a_spec_that_flips_is_not_compared_with_aws_each_time() {
    const FLIPS: usize = 150;
    world(|w| async move {
        w.apply("{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Silo, tags: {flip: '0'}}}")
            .await;
        let bucket = w.ready("acme").await.status.bucket.unwrap();
        let (mark, start) = (w.double.mark().await, Instant::now());
        for flip in 1..=FLIPS {
            w.patch("acme", json!({"spec": {"tags": {"flip": flip.to_string()}}})).await;
        }
        w.ready("acme").await;
        let took = start.elapsed() * w.settings.clock;
        // No other look asks for the index: nothing about it changes.
        let looks = w.double.journal(mark).await.of("GetIndex").len();
        let most = took.as_secs() as usize / 10 + 2;
        assert!((1..=most).contains(&looks), "{looks} looks in {took:?}");
        assert!(most < FLIPS / 4, "{took:?} is too long to tell");
        let tags = w.sdk.s3.get_bucket_tagging().bucket(bucket).send().await.unwrap().tag_set;
        let last = tags.iter().find(|tag| tag.key == "flip").map(|tag| tag.value.clone());
        assert_eq!(last, Some(FLIPS.to_string()), "the last one is not lost");
    })
    .await;
}
