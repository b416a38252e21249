//! What is as it should be is left alone: a resync, or a new operator, reads everything and writes nothing anywhere.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::double::Journal;
use crate::support::world::{World, world_with};

const STACKS: &str = "
    {kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}
    ---
    kind: Tenant
    metadata: {name: silo}
    spec: {tenantId: silo, pattern: Silo, encryption: {key: Create}, tags: {costCenter: '42'}}
    ---
    kind: Tenant
    metadata: {name: bridge}
    spec: {tenantId: bridge, pattern: Bridge, stackRef: {name: standard}}
    ---
    kind: Tenant
    metadata: {name: pool}
    spec: {tenantId: pool, pattern: Pool, stackRef: {name: standard}}";

#[tokio::test]
async fn a_resync_and_a_restart_write_nothing() {
    world_with(
        |settings| settings.resync = Duration::from_secs(20),
        |w| async move {
            w.apply(STACKS).await;
            for tenant in ["silo", "bridge", "pool"] {
                w.ready(tenant).await;
                w.upload(tenant, &[("handbook.md", "Our office opens at nine.")]).await;
            }
            for owner in ["silo", "bridge", "pool", "SharedStack/standard"] {
                w.condition(owner, "DocumentsCurrent=True/Synced").await;
            }
            let (mark, before) = (w.double.mark().await, versions(&w).await);
            assert_writes_nothing(&w, mark, &before).await;

            let mark = w.double.mark().await;
            w.restart_operator().await;
            assert_writes_nothing(&w, mark, &before).await;
        },
    )
    .await;
}

/// Waits for two whole passes over everything, and looks at what they did. A pass ends with its owner's ingestion jobs.
async fn assert_writes_nothing(w: &World, mark: u64, before: &BTreeMap<String, String>) {
    let passes = |journal: &Journal| {
        let mut passes: BTreeMap<String, usize> = BTreeMap::new();
        for call in journal.of("ListIngestionJobs").iter() {
            *passes.entry(call.params["knowledgeBaseId"].to_string()).or_default() += 1;
        }
        passes
    };
    let journal = w
        .eventually("three knowledge bases have been passed thrice", || async {
            let journal = w.double.journal(mark).await;
            let passes = passes(&journal);
            (passes.len() == 3 && passes.values().all(|passes| *passes >= 3)).then_some(journal)
        })
        .await;
    for read in
        ["DescribeKey", "GetBucketPolicy", "BatchGetCollection", "GetIndex", "GetRolePolicy", "GetDataSource"]
    {
        assert!(!journal.of(read).is_empty(), "no {read}: not everything was looked at");
    }
    let writes = journal.mutating();
    assert!(writes.is_empty(), "nothing had changed, and yet:\n{writes}");
    assert_eq!(&versions(w).await, before, "nothing had changed, and yet an object was written");
}

/// The resourceVersion of each object, and how many events there are.
async fn versions(w: &World) -> BTreeMap<String, String> {
    let mut versions = BTreeMap::new();
    for object in w.all().await {
        versions.insert(object.meta.name.clone().unwrap(), object.version().to_owned());
    }
    for object in ["SharedStack/standard", "silo", "bridge", "pool"] {
        versions.insert(format!("events of {object}"), w.events(object).await.len().to_string());
    }
    versions
}
