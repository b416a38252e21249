//! Whatever part of a stack is missing, somebody else's or stuck: what is the owner's own goes, and nothing else.

use std::collections::BTreeSet;

use serde_json::json;
use tenantry::api::{Column, Layer, Ownership, Pattern, VectorStore};
use tenantry::stack::identity::Owner;
use tenantry::stack::model::teardown_order::is_built_on;

use crate::support::inventory;
use crate::support::parts::{Owned, Part};
use crate::support::world::{World, world_without_operator};

/// AWS and the operator are equally much faster than they are.
const SPEED: u32 = 50;

/// One Silo, one Bridge and one SharedStack with a pool for each of these parts, as far as each owns it, all Ready.
/// The operator is stopped.
async fn owners(w: &World, parts: &[Part], policy: &str) -> Vec<(Part, Owned)> {
    w.double.settings(json!({"speedup": SPEED, "page_size": 50, "limits": {"jobs": 50}})).await;
    w.start_operator().await;
    w.apply("{kind: SharedStack, metadata: {name: lender}, spec: {}}").await;
    let mut objects = Vec::new();
    for part in parts {
        let word = part.word();
        w.apply(&format!(
            "
            kind: SharedStack
            metadata: {{name: {word}}}
            spec: {{pool: {{}}, encryption: {{key: Create}}, deletionPolicy: {policy}}}
            ---
            kind: Tenant
            metadata: {{name: silo-{word}}}
            spec: {{tenantId: silo-{word}, pattern: Silo, encryption: {{key: Create}}, deletionPolicy: {policy}}}"
        ))
        .await;
        objects.extend([(*part, format!("SharedStack/{word}")), (*part, format!("silo-{word}"))]);
        if tenantry::api::ownership(Column::Bridge, part.layer()) == Ownership::Owns {
            w.apply(&format!(
                "{{kind: Tenant, metadata: {{name: bridge-{word}}}, spec: {{tenantId: bridge-{word}, pattern: Bridge,
                   stackRef: {{name: lender}}, deletionPolicy: {policy}}}}}"
            ))
            .await;
            objects.push((*part, format!("bridge-{word}")));
        }
    }
    let mut owners = Vec::new();
    for (part, object) in objects {
        w.ready(&object).await;
        owners.push((part, w.owned(&object).await));
    }
    w.stop_operator().await;
    owners
}

fn column(owned: &Owned) -> Column {
    match &owned.id.owner {
        Owner::Tenant { pattern, .. } => Column::from(*pattern),
        Owner::Stack { .. } => Column::SharedStackWithPool,
    }
}

/// What there is in AWS, but for keys that wait for their deletion.
async fn left(w: &World) -> BTreeSet<String> {
    let names = inventory::names(&w.inventory().await).into_iter();
    names.filter(|name| !(name.starts_with("key ") && name.ends_with(" PendingDeletion"))).collect()
}

#[tokio::test]
async fn what_is_missing_already_is_not_waited_for() {
    let test = async |w: World| {
        let owners = owners(&w, &Part::THINGS, "Delete").await;
        for (part, owned) in &owners {
            owned.lose(&w, *part).await;
            w.delete(&owned.object).await;
        }
        w.start_operator().await;
        for (_, owned) in &owners {
            w.gone(&owned.object).await;
        }
        let lender = w.owned("SharedStack/lender").await;
        let mut expected = inventory::owned(&lender.id, Column::SharedStack, false);
        expected.insert(w.grant());
        // The alias of a key that somebody has scheduled goes; a key without its alias is found by its tags.
        assert_eq!(left(&w).await, expected);
    };
    world_without_operator(|it| (it.clock, it.max_ingestion_jobs) = (SPEED, 50), test).await;
}

#[tokio::test]
async fn what_is_missing_does_not_keep_the_rest_from_being_retained() {
    let test = async |w: World| {
        let owners = owners(&w, &Part::THINGS, "Retain").await;
        for (part, owned) in &owners {
            owned.lose(&w, *part).await;
        }
        let mut expected = inventory::names(&w.inventory().await);
        expected.retain(|name| !name.ends_with(" PendingDeletion"));
        let mark = w.double.mark().await;
        for (_, owned) in &owners {
            w.delete(&owned.object).await;
        }
        w.start_operator().await;
        let lender = w.owned("SharedStack/lender").await;
        for (part, owned) in &owners {
            if *part == Part::Key {
                // Nothing can be written into its bucket, not even word of who left it, until the key is back.
                let key = key_id(owned);
                let told = w.condition(&owned.object, "DeletionBlocked=True/NotYet").await;
                assert!(told.message("DeletionBlocked").contains(key), "{}", told.describe());
                w.sdk.kms.cancel_key_deletion().key_id(key).send().await.unwrap();
                w.sdk.kms.enable_key().key_id(key).send().await.unwrap();
            }
            w.gone(&owned.object).await;
            // Where there is no bucket, there is nothing that a marker could speak of.
            let bucket = owned.id.name(Layer::Bucket);
            if *part == Part::Key {
                expected.insert(format!("key behind alias/{}", owned.name(Part::Key)));
            }
            match (&owned.id.owner, part) {
                (Owner::Tenant { pattern: Pattern::Bridge, tenant_id, .. }, _) => {
                    let bucket = lender.id.name(Layer::Bucket);
                    expected.insert(format!("object {bucket}/tenantry/retained/{tenant_id}.json"));
                }
                (_, Part::Bucket) => {}
                (Owner::Tenant { tenant_id, .. }, _) => {
                    expected.insert(format!("object {bucket}/tenantry/retained/{tenant_id}.json"));
                }
                (Owner::Stack { .. }, _) => {
                    expected.insert(format!("object {bucket}/tenantry/retained-stack.json"));
                }
            }
        }
        assert_eq!(inventory::names(&w.inventory().await), expected);
        let writes = w.double.journal(mark).await.mutating().besides_tags();
        assert!(writes.iter().all(|call| call.operation == "PutObject"), "nothing but markers:\n{writes}");
    };
    world_without_operator(|it| (it.clock, it.max_ingestion_jobs) = (SPEED, 50), test).await;
}

/// What stays of an owner one part of which is somebody else's.
fn stays(part: Part, owned: &Owned) -> Vec<String> {
    let name = owned.name(part);
    let bridge = matches!(owned.id.owner, Owner::Tenant { pattern: Pattern::Bridge, .. });
    let key = owned.id.name(Layer::Key);
    // What it has encrypted is somebody's now, and lost without it.
    let its_key = [format!("alias {key}"), format!("key behind alias/{key}")];
    match part {
        Part::Key | Part::Alias => its_key.into(),
        Part::Bucket => [vec![format!("bucket {name}")], its_key.into()].concat(),
        Part::Encryption => vec![format!("encryption policy {name}")],
        Part::Network => vec![format!("network policy {name}")],
        Part::Collection => {
            let parts =
                ["collection", "encryption policy", "network policy"].map(|it| format!("{it} {name}"));
            [parts.into(), its_key.into(), vec![format!("index {}", owned.id.name(Layer::Index))]].concat()
        }
        Part::Role => vec![format!("role {name}")],
        // One's own collection takes its indexes along, whoever may touch them.
        Part::Access if !bridge => vec![format!("data policy {name}")],
        Part::Access => vec![format!("data policy {name}"), format!("index {name}")],
        Part::KnowledgeBase => vec![format!("knowledge base {name}"), format!("data source {name}")],
        _ => panic!("nobody else can have {part:?}"),
    }
}

#[tokio::test]
async fn what_is_somebody_elses_is_left_alone_and_everything_else_goes() {
    let test = async |w: World| {
        let parts: Vec<_> =
            Part::THINGS.into_iter().filter(|part| ![Part::Index, Part::DataSource].contains(part)).collect();
        let owners = owners(&w, &parts, "Delete").await;
        for (part, owned) in &owners {
            owned.disown(&w, *part).await;
            if *part == Part::Bucket {
                w.sdk.upload(&owned.name(*part), "documents/precious.md", "Keep me.").await;
            }
            w.delete(&owned.object).await;
        }
        let before = w.inventory().await;
        w.start_operator().await;
        for (_, owned) in &owners {
            w.gone(&owned.object).await;
        }
        let lender = w.owned("SharedStack/lender").await;
        let mut expected = inventory::owned(&lender.id, Column::SharedStack, false);
        expected.insert(w.grant());
        for (part, owned) in &owners {
            expected.extend(stays(*part, owned));
            if *part == Part::Bucket {
                expected.insert(format!("object {}/documents/precious.md", owned.name(*part)));
            }
        }
        assert_eq!(left(&w).await, expected);
        let after = w.inventory().await;
        for name in &expected {
            assert_eq!(after[name], before[name], "{name} is as it was");
        }

        // The last that is heard of an object says what was left.
        let events = w.all_events().await;
        for (part, owned) in &owners {
            let of_it = |event: &&k8s_openapi::api::events::v1::Event| {
                let about = event.regarding.as_ref().unwrap();
                about.uid.as_deref() == Some(owned.id.uid.as_str())
                    && event.reason.as_deref() == Some("Delete")
            };
            let note = events.iter().find(of_it).and_then(|event| event.note.clone()).unwrap_or_default();
            let known = if part.layer() == Layer::Key { "KMS key".into() } else { owned.name(*part) };
            assert!(note.contains("left alone") && note.contains(&known), "{}: {note}", owned.object);
        }
    };
    world_without_operator(|it| (it.clock, it.max_ingestion_jobs) = (SPEED, 50), test).await;
}

/// The call that takes a part away, and the resource by which the double knows it.
fn last_call(part: Part, owned: &Owned) -> (&'static str, String) {
    let name = owned.name(part);
    match part {
        Part::Key => ("ScheduleKeyDeletion", format!("*{}", key_id(owned))),
        Part::Alias => ("DeleteAlias", format!("*{name}")),
        Part::Bucket => ("DeleteBucket", name),
        // One policy as good as the other: they have the same name.
        Part::Encryption | Part::Network => ("DeleteSecurityPolicy", name),
        Part::Collection => ("DeleteCollection", name),
        Part::Index => ("DeleteIndex", format!("*{name}")),
        Part::Role => ("DeleteRole", name),
        Part::Access => ("DeleteAccessPolicy", name),
        Part::KnowledgeBase => ("DeleteKnowledgeBase", owned.knowledge_base().into()),
        Part::DataSource => ("DeleteDataSource", format!("*{}", owned.data_source())),
        Part::BucketPolicy | Part::Trust | Part::Permissions => panic!("{part:?} goes with another"),
    }
}

fn key_id(owned: &Owned) -> &str {
    owned.status.kms_key_arn.as_deref().unwrap().rsplit_once('/').unwrap().1
}

#[tokio::test]
async fn what_is_stuck_is_named_and_holds_up_only_what_it_stands_on() {
    let test = async |w: World| {
        let owners = owners(&w, &Part::THINGS, "Delete").await;
        for (part, owned) in &owners {
            let (operation, resource) = last_call(*part, owned);
            let rule =
                json!({"operation": operation, "resource": resource, "fault": "denied", "count": 1_000_000});
            w.double.fault(rule).await;
            w.delete(&owned.object).await;
        }
        w.start_operator().await;
        for (part, owned) in &owners {
            // An index that may not be deleted looks like one whose policy has not propagated yet.
            let blocked =
                if *part == Part::Index { "DeletionBlocked=True" } else { "DeletionBlocked=True/Denied" };
            let told = w.condition(&owned.object, blocked).await;
            assert!(*part == Part::Index || told.is("Stalled=True/Denied"), "{}", told.describe());
            let (operation, _) = last_call(*part, owned);
            let name = match part {
                Part::Key => key_id(owned).into(),
                Part::Collection => owned.collection().into(),
                Part::KnowledgeBase => owned.knowledge_base().into(),
                Part::DataSource => owned.data_source().into(),
                _ => owned.name(*part),
            };
            let message = told.message("DeletionBlocked");
            assert!(
                message.contains(&name) && message.contains(operation) && message.contains("llow "),
                "no {name} in {}",
                told.describe()
            );
        }
        // Whatever it does not stand on goes.
        let goes = owners.iter().flat_map(|(part, owned)| {
            let built_on = move |layer| is_built_on(VectorStore::default(), part.layer(), layer);
            let apart = move |layer: &Layer| *layer != part.layer() && !built_on(*layer);
            column(owned).layers(Ownership::Owns).filter(apart).map(|layer| match layer {
                // The data access policy has its name too.
                Layer::Index => format!("index {}", owned.id.name(layer)),
                _ => format!(" {}", owned.id.name(layer)),
            })
        });
        let goes: Vec<_> = goes.collect();
        let gone = || async {
            let left = left(&w).await;
            (!left.iter().any(|thing| goes.iter().any(|name| thing.ends_with(name)))).then_some(())
        };
        w.eventually("all that nothing stuck stands on is gone", gone).await;
        w.double.heal().await;
        for (_, owned) in &owners {
            w.gone(&owned.object).await;
        }
        let lender = w.owned("SharedStack/lender").await;
        let mut expected = inventory::owned(&lender.id, Column::SharedStack, false);
        expected.insert(w.grant());
        assert_eq!(left(&w).await, expected);
    };
    world_without_operator(|it| (it.clock, it.max_ingestion_jobs) = (SPEED, 50), test).await;
}
