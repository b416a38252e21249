//! Whatever layer it is whose name somebody else has taken: the whole stack is refused before anything is written, and
//! goes on when the name is free.

use aws_sdk_opensearchserverless::types::{AccessPolicyType, SecurityPolicyType};
use serde_json::json;
use tenantry::api::{Layer, Pattern};

use crate::aws::{Role, Sdk, session};
use crate::world::{World, world_without_operator};

const KINDS: [&str; 9] =
    ["key", "bucket", "faraway", "encryption", "network", "collection", "role", "access", "kb"];

/// What each would be called if it were ours.
fn name(w: &World, kind: &str) -> String {
    let layer = match kind {
        "key" => Layer::Key,
        "bucket" | "faraway" => Layer::Bucket,
        "encryption" | "network" | "collection" => Layer::VectorStore,
        "role" => Layer::Role,
        "access" => Layer::Index,
        _ => Layer::KnowledgeBase,
    };
    w.tenant_identity(kind, Pattern::Silo, None, "").name(layer)
}

/// Another account, whose buckets' names are taken for everybody.
async fn another_account(w: &World) -> Sdk {
    let account = format!("9{}", &w.account[1..]);
    Sdk::new(&session(&w.bed.aws_endpoint, &account, Role::of_test(), "test").await)
}

async fn take(w: &World, kind: &str) {
    let (name, sdk) = (name(w, kind), &w.sdk);
    match kind {
        "key" => {
            let key = sdk.kms.create_key().send().await.unwrap().key_metadata.unwrap().key_id;
            let alias = sdk.kms.create_alias().alias_name(format!("alias/{name}")).target_key_id(key);
            alias.send().await.unwrap();
        }
        "bucket" => drop(sdk.s3.create_bucket().bucket(name).send().await.unwrap()),
        "faraway" => drop(another_account(w).await.s3.create_bucket().bucket(name).send().await.unwrap()),
        "encryption" => w.others_security_policy(SecurityPolicyType::Encryption, &name, &name).await,
        "network" => w.others_security_policy(SecurityPolicyType::Network, &name, &name).await,
        "collection" => {
            w.others_security_policy(SecurityPolicyType::Encryption, "somebodys", &name).await;
            w.bare_collection(&name).await;
        }
        "role" => drop(w.others_role(&name).await),
        "access" => w.others_access_policy(&name, "somebodys", &[&w.own_role()]).await,
        _ => {
            let store = w.others_store().await;
            w.others_knowledge_base(&store, &name).await;
        }
    }
}

async fn give_back(w: &World, kind: &str) {
    let (name, sdk) = (name(w, kind), &w.sdk);
    let security = |kind: SecurityPolicyType| sdk.aoss.delete_security_policy().r#type(kind).name(&name);
    match kind {
        "key" => {
            drop(sdk.kms.delete_alias().alias_name(format!("alias/{name}")).send().await.unwrap());
        }
        "bucket" => drop(sdk.s3.delete_bucket().bucket(name).send().await.unwrap()),
        "faraway" => drop(another_account(w).await.s3.delete_bucket().bucket(name).send().await.unwrap()),
        "encryption" => drop(security(SecurityPolicyType::Encryption).send().await.unwrap()),
        "network" => drop(security(SecurityPolicyType::Network).send().await.unwrap()),
        "collection" => {
            let found = sdk.aoss.batch_get_collection().names(name).send().await.unwrap();
            let id = found.collection_details.unwrap()[0].id.clone().unwrap();
            sdk.aoss.delete_collection().id(id).send().await.unwrap();
            let kind = SecurityPolicyType::Encryption;
            sdk.aoss.delete_security_policy().r#type(kind).name("somebodys").send().await.unwrap();
        }
        "role" => {
            sdk.iam.delete_role_policy().role_name(&name).policy_name("all").send().await.unwrap();
            sdk.iam.delete_role().role_name(name).send().await.unwrap();
        }
        "access" => {
            let delete = sdk.aoss.delete_access_policy().r#type(AccessPolicyType::Data).name(name);
            delete.send().await.unwrap();
        }
        _ => {
            let mut all = sdk.bedrock.list_knowledge_bases().into_paginator().items().send();
            let found = all.try_next().await.unwrap().unwrap();
            assert_eq!(found.name, name);
            sdk.bedrock
                .delete_knowledge_base()
                .knowledge_base_id(found.knowledge_base_id)
                .send()
                .await
                .unwrap();
        }
    }
}

// AWS and the operator are equally much faster than they are.
const SPEED: u32 = 50;

#[tokio::test]
async fn a_name_that_is_taken_stops_the_whole_stack_until_it_is_free() {
    let test = async |w: World| {
        w.double.settings(json!({"speedup": SPEED})).await;
        for kind in KINDS {
            take(&w, kind).await;
        }
        let listed = || async {
            let bases = w.sdk.bedrock.list_knowledge_bases().send().await.unwrap();
            bases.knowledge_base_summaries.first().map(drop)
        };
        w.eventually("AWS lists somebody's knowledge base", listed).await;
        let before = w.inventory().await;
        w.start_operator().await;
        w.granted().await;
        let mark = w.double.mark().await;
        for kind in KINDS {
            w.apply(&format!(
                "{{kind: Tenant, metadata: {{name: {kind}}},
                  spec: {{tenantId: {kind}, pattern: Silo, encryption: {{key: Create}}}}}}"
            ))
            .await;
        }
        for kind in KINDS {
            let told = w.condition(kind, "Stalled=True/OwnedByAnother").await;
            assert!(
                told.is("Ready=False/OwnedByAnother") && told.is("Reconciling=False"),
                "{}",
                told.describe()
            );
            let message = told.message("Ready");
            let known = if kind == "key" { "KMS key".into() } else { name(&w, kind) };
            assert!(message.contains(&known), "'{known}' is not in: {message}");
        }
        let writes = w.double.journal(mark).await.mutating();
        assert!(writes.is_empty(), "all were refused, and yet:\n{writes}");
        let mut after = w.inventory().await;
        after.remove(&w.grant());
        assert_eq!(after, before);

        for kind in KINDS {
            give_back(&w, kind).await;
        }
        for kind in KINDS {
            w.ready(kind).await;
        }
    };
    world_without_operator(|settings| settings.clock = SPEED, test).await;
}

/// An index has no tags: it belongs to the data access policy of its name.
#[tokio::test]
async fn an_index_in_a_borrowed_collection_may_be_somebody_elses() {
    let test = async |w: World| {
        w.double.settings(json!({"speedup": SPEED})).await;
        w.start_operator().await;
        w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {}}").await;
        let stack = w.ready("SharedStack/standard").await.status;
        let (_, collection) = stack.store_arn.as_ref().unwrap().rsplit_once('/').unwrap();
        let index = w.tenant_identity("acme", Pattern::Bridge, Some("standard"), "").name(Layer::Index);
        w.others_index(collection, &index).await;
        let mark = w.double.mark().await;
        w.apply(
            "{kind: Tenant, metadata: {name: acme},
              spec: {tenantId: acme, pattern: Bridge, stackRef: {name: standard}}}",
        )
        .await;
        let told = w.condition("acme", "Stalled=True/OwnedByAnother").await;
        assert!(told.message("Ready").contains(&format!("index {index}")), "{}", told.describe());
        let writes = w.double.journal(mark).await.mutating();
        assert!(writes.is_empty(), "it was refused, and yet:\n{writes}");
        w.sdk.aoss.delete_index().id(collection).index_name(&index).send().await.unwrap();
        w.ready("acme").await;
    };
    world_without_operator(|settings| settings.clock = SPEED, test).await;
}
