//! What leaves one vector store and comes back to another, and what a vector bucket waits for that goes.

use serde_json::{Value, json};

use crate::support::aws::Role;
use crate::support::inventory;
use crate::support::world::{World, world, world_without_operator};

const RETRY: &str = "tenantry.dev/retry-requested-at";

/// Its knowledge base would be deleted, and its store be left to nobody.
#[tokio::test]
async fn what_was_retained_in_one_store_is_not_taken_over_into_another() {
    world(|w| async move {
        let all = |store: &str| {
            format!(
                "
                kind: SharedStack
                metadata: {{name: standard}}
                spec: {{vectorStore: {store}}}
                ---
                kind: Tenant
                metadata: {{name: acme}}
                spec: {{tenantId: acme, pattern: Silo, vectorStore: {store}}}"
            )
        };
        const BOTH: [&str; 2] = ["acme", "SharedStack/standard"];
        w.apply(&all("OpenSearchServerless")).await;
        for object in BOTH {
            w.ready(object).await;
        }
        let first = w.ready("acme").await;
        let leave = async || {
            for object in BOTH {
                w.delete(object).await;
                w.gone(object).await;
            }
        };
        leave().await;
        let left = inventory::resources(&w.inventory().await);

        let mark = w.double.mark().await;
        w.apply(&all("S3Vectors")).await;
        for object in BOTH {
            let told = w.condition(object, "Stalled=True/RetainedDiffers").await;
            let says = "vectorStore is OpenSearchServerless and should be S3Vectors";
            assert!(told.message("Ready").contains(says), "{}", told.describe());
        }
        let writes = w.double.journal(mark).await.mutating();
        assert!(writes.is_empty(), "{writes}");

        leave().await;
        assert_eq!(inventory::resources(&w.inventory().await), left);
        w.apply(&all("OpenSearchServerless")).await;
        for object in BOTH {
            w.ready(object).await;
        }
        assert_eq!(w.ready("acme").await.status.knowledge_base_id, first.status.knowledge_base_id);
    })
    .await;
}

async fn policy(w: &World, key: &str) -> Value {
    let found = w.sdk.kms.get_key_policy().key_id(key).send().await.unwrap();
    serde_json::from_str(&found.policy.unwrap()).unwrap()
}

async fn put_policy(w: &World, key: &str, policy: &Value) {
    let put = w.sdk.kms.put_key_policy().key_id(key).policy_name("default").policy(policy.to_string());
    put.send().await.unwrap();
}

/// The key was made for a store that asks nothing of its policy. The operator may change no policy of a key, and says what
/// is to be added.
#[tokio::test]
async fn documents_come_back_to_another_store_once_their_key_serves_it() {
    world(|w| async move {
        let silo = |store: &str| {
            format!(
                "{{kind: Tenant, metadata: {{name: acme}}, spec: {{tenantId: acme, pattern: Silo, vectorStore: {store},
                  encryption: {{key: Create}}, deletionPolicy: RetainDocuments}}}}"
            )
        };
        w.apply(&silo("OpenSearchServerless")).await;
        let first = w.ready("acme").await;
        w.upload("acme", &[("leave.md", "Everybody has thirty days of annual leave.")]).await;
        w.condition("acme", "DocumentsCurrent=True/Synced").await;
        w.delete("acme").await;
        w.gone("acme").await;

        w.apply(&silo("S3Vectors")).await;
        let told = w.condition("acme", "KeyReady=False/KeyNotAllowed").await;
        let key = first.status.kms_key_arn.unwrap();
        let (_, statement) = told.message("KeyReady").split_once("to the policy: ").expect("a statement");
        let before = policy(&w, &key).await;
        let mut after = before.clone();
        after["Statement"].as_array_mut().unwrap().push(serde_json::from_str(statement).unwrap());
        put_policy(&w, &key, &after).await;
        w.annotate("acme", RETRY, Some("once it is added")).await;
        w.ready("acme").await;
        w.condition("acme", "DocumentsCurrent=True/Synced").await;
        assert!(!w.retrieve("acme", "How many days of annual leave?").await.is_empty());

        // Whoever takes it out again is told, too.
        put_policy(&w, &key, &before).await;
        w.annotate("acme", RETRY, Some("once it is gone")).await;
        let told = w.condition("acme", "KeyReady=False/KeyNotAllowed").await;
        assert!(told.message("KeyReady").contains("indexing.s3vectors.amazonaws.com"), "{}", told.describe());
        assert!(told.is("Ready=False/KeyNotAllowed"), "a person must act: {}", told.describe());
        put_policy(&w, &key, &after).await;
        w.annotate("acme", RETRY, Some("once it is back")).await;
        w.condition("acme", "KeyReady=True").await;
    })
    .await;
}

/// AWS does not delete a vector bucket that has an index, and does not say which it is.
#[tokio::test]
async fn a_vector_bucket_waits_for_an_index_and_says_for_which() {
    const OWNER: &str = "tenantry.dev/owner-uid";
    let test = async |w: World| {
        w.double.settings(json!({"speedup": 50})).await;
        let _ = w.operator_session().await;
        let role = Role::of_operator(&w.settings, &w.account);
        w.start_operator().await;
        w.apply(
            "{kind: Tenant, metadata: {name: acme},
              spec: {tenantId: acme, pattern: Silo, vectorStore: S3Vectors, deletionPolicy: Delete}}",
        )
        .await;
        let acme = w.ready("acme").await;
        let index = acme.status.index_arn.clone().unwrap();

        let mut blind = role.policy.clone();
        let deny = json!({"Sid": "Blind", "Effect": "Deny", "Action": "s3vectors:GetIndex", "Resource": "*"});
        blind["Statement"].as_array_mut().unwrap().push(deny);
        w.role_may(role.name, blind).await;
        w.delete("acme").await;
        let told = w.condition("acme", "DeletionBlocked=True/Denied").await;
        assert!(told.message("DeletionBlocked").contains("s3vectors:GetIndex"), "{}", told.describe());

        // It can be seen again, and is somebody else's by now.
        let s3vectors = &w.sdk.s3vectors;
        s3vectors.untag_resource().resource_arn(&index).tag_keys(OWNER).send().await.unwrap();
        w.role_may(role.name, role.policy.clone()).await;
        let told = w.condition("acme", "DeletionBlocked=True/OwnedByAnother").await;
        let name = index.rsplit_once('/').unwrap().1;
        assert!(told.message("DeletionBlocked").contains(name), "{}", told.describe());
        let asked = w.double.journal(0).await.only(|call| call.operation == "DeleteVectorBucket");
        assert!(asked.is_empty(), "AWS would have refused it: {asked}");

        // With another one in it, which the operator does not look for, it is AWS that refuses.
        s3vectors.tag_resource().resource_arn(&index).tags(OWNER, acme.uid()).send().await.unwrap();
        let bucket = acme.status.store_arn.as_deref().unwrap();
        let another = s3vectors.create_index().vector_bucket_arn(bucket).index_name("another");
        let another = another.data_type("float32".into()).dimension(4).distance_metric("cosine".into());
        another.send().await.unwrap();
        let asks = |it: &crate::support::objects::Object| {
            it.message("Reconciling").contains("aws s3vectors list-indexes --vector-bucket-name")
        };
        w.until("acme", "is told how to find it", asks).await;
        s3vectors
            .delete_index()
            .vector_bucket_name(bucket.rsplit_once('/').unwrap().1)
            .index_name("another")
            .send()
            .await
            .unwrap();
        w.gone("acme").await;
        let left = inventory::names(&w.inventory().await);
        assert!(left.iter().all(|name| *name == w.grant()), "{left:?}");
    };
    world_without_operator(|settings| settings.clock = 50, test).await;
}
