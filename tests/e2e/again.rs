//! A Tenant that is deleted and at once applied again, over and over, is always Ready in the end, on new resources.

use std::collections::BTreeSet;

use serde_json::json;

use crate::inventory;
use crate::objects::Object;
use crate::world::{World, world_without_operator};

/// AWS and the operator are equally much faster than they are.
const SPEED: u32 = 100;
const TIMES: usize = 20;

const TENANTS: [(&str, &str); 3] = [
    ("silo", "pattern: Silo"),
    ("bridge", "pattern: Bridge, stackRef: {name: standard}"),
    ("pool", "pattern: Pool, stackRef: {name: standard}"),
];

/// What a status names that dies with its Tenant.
fn ids(tenant: &Object) -> BTreeSet<String> {
    let status = tenant.status.clone();
    let of_silo = (tenant.spec["pattern"] == "Silo").then_some(status.store_arn).flatten();
    let ids = [status.knowledge_base_id, status.data_source_id, of_silo];
    if tenant.spec["pattern"] == "Pool" { BTreeSet::new() } else { ids.into_iter().flatten().collect() }
}

async fn over_and_over(w: &World, name: &str, spec: &str) {
    let manifest = format!(
        "{{kind: Tenant, metadata: {{name: {name}}}, spec: {{tenantId: {name}, {spec}, deletionPolicy: Delete}}}}"
    );
    let mut dead = BTreeSet::new();
    let mut uids = BTreeSet::new();
    for time in 1..=TIMES {
        w.apply(&manifest).await;
        let tenant = w.ready(name).await;
        assert!(uids.insert(tenant.uid().to_owned()));
        assert!(ids(&tenant).is_disjoint(&dead), "time {time}: {}", tenant.describe());
        // It is not only said to be new: it can be asked.
        w.retrieve(name, "When does the office open?").await;
        if time == 1 {
            w.upload(name, &[("hours.md", "The office opens at nine.")]).await;
        }
        dead.extend(ids(&tenant));
        w.delete(name).await;
        w.gone(name).await;
    }
}

#[tokio::test]
async fn twenty_times_deleted_and_applied_again() {
    let test = async |w: World| {
        // AWS blocks a bucket's name for a while.
        w.double.settings(json!({"speedup": SPEED, "dwell": {"bucket_name": 60}})).await;
        w.start_operator().await;
        w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}").await;
        w.ready("SharedStack/standard").await;
        let before = inventory::resources(&w.inventory().await);
        let witness = w.witness();
        futures::future::join_all(TENANTS.map(|(name, spec)| over_and_over(&w, name, spec))).await;
        assert_eq!(inventory::resources(&w.inventory().await), before);

        // At no moment was one Ready on what belonged to its predecessor.
        let last = w.get("SharedStack/standard").await;
        let mut owner = std::collections::BTreeMap::new();
        for version in witness.versions(&w, &last).await.iter().filter(|version| version.is("Ready=True")) {
            for id in if version.meta.namespace.is_some() { ids(version) } else { BTreeSet::new() } {
                let first = owner.entry(id.clone()).or_insert_with(|| version.uid().to_owned());
                assert_eq!(first, version.uid(), "{id} was somebody's before:\n{}", version.describe());
            }
        }
    };
    world_without_operator(|settings| settings.clock = SPEED, test).await;
}
