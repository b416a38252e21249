//! A deletion while a job runs and a layer that the job needs is gone already: it ends, and in the right order.

use serde_json::json;

use crate::support::double::{Call, Journal};
use crate::support::parts::{Owned, Part};
use crate::support::world::{World, world_without_operator};

/// AWS and the operator are equally much faster than they are.
const SPEED: u32 = 20;

const CASES: [(&str, Part); 7] = [
    ("silo-bucket", Part::Bucket),
    ("silo-collection", Part::Collection),
    ("silo-role", Part::Role),
    ("bridge-role", Part::Role),
    ("SharedStack/bucket", Part::Bucket),
    ("SharedStack/collection", Part::Collection),
    ("SharedStack/role", Part::Role),
];

async fn apply(w: &World, object: &str) {
    w.apply(&match object.split_once('/') {
        Some((_, name)) => {
            format!(
                "{{kind: SharedStack, metadata: {{name: {name}}}, spec: {{pool: {{}}, deletionPolicy: Delete}}}}"
            )
        }
        None => {
            let stack = if object.starts_with("bridge") { "stackRef: {name: lender}, " } else { "" };
            let pattern = if object.starts_with("bridge") { "Bridge" } else { "Silo" };
            format!(
                "{{kind: Tenant, metadata: {{name: {object}}},
                   spec: {{tenantId: {object}, pattern: {pattern}, {stack}deletionPolicy: Delete}}}}"
            )
        }
    })
    .await;
}

/// The first call of each step, and that they came in this order.
fn assert_order(journal: &Journal, owned: &Owned, lost: Part) {
    let (kb, source) = (owned.knowledge_base(), owned.data_source());
    let index = owned.name(Part::Index);
    let mut steps: Vec<(&str, String)> = vec![
        ("StopIngestionJob", format!("{kb}/{source}")),
        ("UpdateDataSource", format!("{kb}/{source}")),
        ("DeleteDataSource", format!("{kb}/{source}")),
        ("DeleteKnowledgeBase", kb.into()),
    ];
    if lost != Part::Collection {
        steps.push(("DeleteIndex", index.clone()));
    }
    let owns_collection = !owned.object.starts_with("bridge");
    if owns_collection && lost != Part::Collection {
        steps.push(("DeleteCollection", owned.name(Part::Collection)));
    }
    let of = |operation: &str, resource: &str| {
        let is_it = |call: &&Call| {
            call.operation == operation && call.resource.contains(resource) && call.succeeded()
        };
        let found = journal.iter().find(is_it);
        found.unwrap_or_else(|| {
            panic!("{}: no {operation} of {resource} in\n{}", owned.object, journal.mutating())
        })
    };
    let found: Vec<_> = steps.iter().map(|(operation, resource)| of(operation, resource).seq).collect();
    assert!(found.is_sorted(), "{}: {steps:?} came as {found:?}", owned.object);
    assert_eq!(of("UpdateDataSource", source).params["dataDeletionPolicy"], "RETAIN");
    // Who may touch the index goes after it, and what a job reads with and from after the knowledge base.
    let deleted = of("DeleteKnowledgeBase", kb).seq;
    if lost != Part::Collection {
        assert!(of("DeleteAccessPolicy", &index).seq > of("DeleteIndex", &index).seq, "{}", owned.object);
    }
    for (part, operation) in [(Part::Role, "DeleteRole"), (Part::Bucket, "DeleteBucket")] {
        if lost != part && (owns_collection || part == Part::Role) {
            assert!(of(operation, &owned.name(part)).seq > deleted, "{}: {operation}", owned.object);
        }
    }
}

#[tokio::test]
async fn it_ends_in_the_right_order_whatever_the_job_has_lost() {
    let test = async |w: World| {
        w.double.settings(json!({"speedup": SPEED, "page_size": 50, "limits": {"jobs": 50}})).await;
        w.start_operator().await;
        w.apply("{kind: SharedStack, metadata: {name: lender}, spec: {}}").await;
        for (object, _) in CASES {
            apply(&w, object).await;
        }
        let mut owners = Vec::new();
        for (object, lost) in CASES {
            w.ready(object).await;
            owners.push((w.owned(object).await, lost));
        }
        let held = w.double.hold("ingestion.document", "*").await;
        for (owned, _) in &owners {
            let (bucket, prefix) =
                (owned.status.bucket.as_ref().unwrap(), owned.status.prefix.as_ref().unwrap());
            w.sdk.upload(bucket, &format!("{prefix}acme/hours.md"), "The office opens at nine.").await;
        }
        let reading = || async { (held.waiting().await.len() == owners.len()).then_some(()) };
        w.eventually("every owner's job reads its document", reading).await;

        let mark = w.double.mark().await;
        for (owned, lost) in &owners {
            owned.lose(&w, *lost).await;
            w.delete(&owned.object).await;
        }
        let stopped = || async {
            let journal = w.double.journal(mark).await;
            let stops = journal.of("StopIngestionJob").only(Call::succeeded);
            (stops.len() == owners.len()).then_some(())
        };
        w.eventually("every job is stopped", stopped).await;
        held.release().await;
        for (owned, _) in &owners {
            w.gone(&owned.object).await;
        }
        let journal = w.double.journal(mark).await;
        for (owned, lost) in &owners {
            assert_order(&journal, owned, *lost);
        }
        let left = w.inventory().await;
        for (owned, _) in &owners {
            for layer in tenantry::api::Layer::ALL {
                let name = owned.id.name(layer);
                assert!(!left.keys().any(|it| it.contains(&name)), "{name} of {} is left", owned.object);
            }
        }
    };
    world_without_operator(|it| (it.clock, it.max_ingestion_jobs) = (SPEED, 50), test).await;
}
