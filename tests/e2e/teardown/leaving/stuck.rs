//! What does not go although AWS allows it: it is named once it takes too long, and goes when the cause does.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::inventory;
use crate::support::parts::{Owned, Part};
use crate::support::world::{World, world_without_operator};

/// AWS and the operator are equally much faster than they are.
const SPEED: u32 = 50;
/// Whoever waits for deadlines of half an hour waits for nine seconds.
const HURRY: u32 = 200;

fn silo(name: &str) -> String {
    format!(
        "{{kind: Tenant, metadata: {{name: {name}}}, spec: {{tenantId: {name}, pattern: Silo, deletionPolicy: Delete}}}}"
    )
}

async fn owned(w: &World, names: &[&str]) -> Vec<Owned> {
    let mut all = Vec::new();
    for name in names {
        w.ready(name).await;
        all.push(w.owned(name).await);
    }
    all
}

#[tokio::test]
async fn what_takes_too_long_is_named() {
    let test = async |w: World| {
        w.double.settings(json!({"speedup": SPEED, "page_size": 50})).await;
        w.start_operator().await;
        let names = ["source", "base", "collection", "role"];
        w.apply(&names.map(silo).join("\n---\n")).await;
        let all = owned(&w, &names).await;
        let [source, base, collection, role] = &all[..] else { unreachable!() };
        let held = [
            w.double.hold("data_source_delete", &source.name(Part::DataSource)).await,
            w.double.hold("kb_delete", &base.name(Part::KnowledgeBase)).await,
            w.double.hold("collection_delete", &collection.name(Part::Collection)).await,
        ];
        let role_name = role.name(Part::Role);
        let fails =
            json!({"operation": "DeleteRole", "resource": role_name, "fault": "failed", "count": 1_000_000});
        w.double.fault(fails).await;
        for name in names {
            w.delete(name).await;
        }
        for (owned, thing, reason) in [
            (source, source.data_source(), "DeadlineExceeded"),
            (base, base.knowledge_base(), "DeadlineExceeded"),
            (collection, collection.collection(), "DeadlineExceeded"),
            // AWS fails in a way that passes, and does not: somebody should look.
            (role, role_name.as_str(), "DeadlineExceeded"),
        ] {
            let told = w.condition(&owned.object, &format!("DeletionBlocked=True/{reason}")).await;
            assert!(told.is("Stalled=True/DeadlineExceeded"), "{}", told.describe());
            assert!(told.message("DeletionBlocked").contains(thing), "no {thing} in {}", told.describe());
            w.event(&owned.object, reason).await;
        }
        for held in held {
            held.release().await;
        }
        w.double.heal().await;
        for name in names {
            w.gone(name).await;
        }
        assert_eq!(inventory::names(&w.inventory().await), BTreeSet::from([w.grant()]));
    };
    world_without_operator(|settings| settings.clock = HURRY, test).await;
}

/// Somebody deleted the index, and then the knowledge base or its data source: Bedrock could not erase what was in it.
#[tokio::test]
async fn what_bedrock_could_not_delete_goes_all_the_same() {
    let test = async |w: World| {
        w.double.settings(json!({"speedup": SPEED, "page_size": 50})).await;
        w.start_operator().await;
        w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {deletionPolicy: Delete}}").await;
        let bridge = |name: &str| {
            format!(
                "{{kind: Tenant, metadata: {{name: {name}}}, spec: {{tenantId: {name}, pattern: Bridge,
                   stackRef: {{name: standard}}, deletionPolicy: Delete}}}}"
            )
        };
        let names = ["silo-base", "silo-source", "bridge-base", "bridge-source"];
        for name in names {
            w.apply(&if name.starts_with("silo") { silo(name) } else { bridge(name) }).await;
        }
        let all = owned(&w, &names).await;
        w.stop_operator().await;
        for owned in &all {
            owned.lose(&w, Part::Index).await;
            let (kb, source) = (owned.knowledge_base(), owned.data_source());
            let bedrock = &w.sdk.bedrock;
            if owned.object.ends_with("base") {
                bedrock.delete_knowledge_base().knowledge_base_id(kb).send().await.unwrap();
            } else {
                let delete = bedrock.delete_data_source().knowledge_base_id(kb).data_source_id(source);
                delete.send().await.unwrap();
            }
            let stuck = || async {
                let found =
                    bedrock.get_data_source().knowledge_base_id(kb).data_source_id(source).send().await;
                let status = found.unwrap().data_source.unwrap().status;
                (status.as_str() == "DELETE_UNSUCCESSFUL").then_some(())
            };
            w.eventually("Bedrock could not delete it", stuck).await;
            w.delete(&owned.object).await;
        }
        w.start_operator().await;
        for name in names {
            w.gone(name).await;
        }
        w.delete("SharedStack/standard").await;
        w.gone("SharedStack/standard").await;
        assert_eq!(inventory::names(&w.inventory().await), BTreeSet::from([w.grant()]));
    };
    world_without_operator(|settings| settings.clock = SPEED, test).await;
}
