//! Many Bridge tenants at once, under the rates that AWS grants: they wait for the rates, and for nothing else.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::future::join_all;
use kube::api::DynamicObject;
use serde_json::json;
use tokio::sync::mpsc;

use crate::bed;
use crate::report::{Bound, Report};
use crate::support::objects::Object;
use crate::support::world::World;

/// An account has room for a hundred knowledge bases.
const TENANTS: usize = 80;
/// How much faster than in production AWS is, and its rates. Faster than this the double itself would be short of processors.
const FASTER: u32 = 5;
/// CreateKnowledgeBase, and CreateDataSource, each second.
/// <https://docs.aws.amazon.com/general/latest/gr/bedrock.html>
const CREATES: f64 = 2.0;
/// In AWS's seconds, from CreateIndex until Bedrock sees the index, and from CreateKnowledgeBase until it is ACTIVE.
const INDEX: f64 = 6.0;
const KNOWLEDGE_BASE: f64 = 5.0;
/// Nobody waits longer.
const PATIENCE: Duration = Duration::from_secs(120);

pub async fn run(report: &mut Report) -> anyhow::Result<()> {
    let bed = bed::up().await?;
    let w = World::new(bed, |settings| settings.clock = FASTER).await;
    let lag = json!({"index_visible": INDEX});
    w.double.settings(json!({"speedup": FASTER, "lag": lag, "switches": {"rate_limits": true}})).await;
    w.start_operator().await;
    w.granted().await;
    w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {}}").await;
    w.ready("SharedStack/standard").await;

    let (told, mut ready) = mpsc::unbounded_channel();
    let see = move |object: DynamicObject| {
        let object = Object::from(object);
        if object.is_done() {
            // Nobody listens any more once all are.
            let _ = told.send(object.uid().to_owned());
        }
    };
    let watches = w.watch(see, |_| {});
    let mark = w.double.mark().await;
    let begun = Instant::now();
    let tenants: Vec<_> = (0..TENANTS)
        .map(|n| {
            format!(
                "{{kind: Tenant, metadata: {{name: t{n}}}, \
                 spec: {{tenantId: t{n}, pattern: Bridge, stackRef: {{name: standard}}}}}}"
            )
        })
        .collect();
    join_all(tenants.iter().map(|tenant| w.apply(tenant))).await;
    let all = async {
        let mut uids = BTreeSet::new();
        // The SharedStack is one of them.
        while uids.len() < TENANTS + 1 {
            let Some(uid) = ready.recv().await else { break };
            uids.insert(uid);
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, all).await.is_ok();
    let took = begun.elapsed();
    drop(watches);
    let journal = w.double.journal(mark).await;
    w.stop_operator().await;
    w.remove_all().await;
    anyhow::ensure!(in_time, "not all were Ready in {PATIENCE:?}");

    let pace = f64::from(w.settings.pace) / 100.0;
    let rate = CREATES * pace;
    let between = (TENANTS - 1) as f64 / rate;
    let floor = INDEX + between + KNOWLEDGE_BASE;
    let (least, took) = (floor / f64::from(FASTER), took.as_secs_f64());
    report.note(format!(
        "{TENANTS} Bridges: CreateKnowledgeBase is granted {CREATES} times a second, of which --pace takes {:.0} %: {rate} a \
         second. The first can be made when its index is seen, after {INDEX} s; {} more come {:.3} s apart, {between:.1} s; the \
         last takes {KNOWLEDGE_BASE} s: {floor:.1} s, ÷ {FASTER}: {least:.2} s. All were Ready after {took:.2} s",
        pace * 100.0,
        TENANTS - 1,
        1.0 / rate
    ));
    report.raw("bridges.seconds", took);
    report.judge("bridges-all-ready/rates-alone", took / least, Bound::AtMost(1.2));
    let throttled = journal.only(|call| call.status == 429 || call.error.starts_with("Throttl")).len();
    report.judge("bridges-throttled-calls", throttled as f64, Bound::Exactly(0));
    let refused = journal.of("CreateKnowledgeBase").only(|call| !call.succeeded()).len();
    report.raw("bridges.refused-probes", refused);
    let reads = journal.only(|call| !call.mutating).len() as f64 / TENANTS as f64;
    report.judge("bridges-reads-each", reads, Bound::AtMost(27.0));
    Ok(())
}
