//! What has our name and is not ours is never changed and never deleted; the whole stack waits for a person.

use tenantry::api::{Layer, Pattern};

use crate::world::{World, world};

const ACME: &str = "
    kind: Tenant
    metadata: {name: acme}
    spec: {tenantId: acme, pattern: Silo, encryption: {key: Create}, deletionPolicy: Delete}";

/// Somebody else's things under the names that Acme's would have.
async fn make(w: &World, what: &str) -> String {
    let id = w.tenant_identity("acme", Pattern::Silo, None, "");
    let name = |layer| id.name(layer);
    match what {
        "bucket" => {
            w.sdk.s3.create_bucket().bucket(name(Layer::Bucket)).send().await.unwrap();
            w.sdk.upload(&name(Layer::Bucket), "documents/precious.md", "Keep me.").await;
            name(Layer::Bucket)
        }
        "role" => {
            let trust = r#"{"Version": "2012-10-17", "Statement": []}"#;
            let request = w.sdk.iam.create_role().role_name(name(Layer::Role)).path("/somebody/");
            request.assume_role_policy_document(trust).send().await.unwrap();
            name(Layer::Role)
        }
        "network policy" => {
            let rules = format!(
                r#"[{{"Rules": [{{"ResourceType": "collection", "Resource": ["collection/{}"]}}], "AllowFromPublic": true}}]"#,
                name(Layer::VectorStore)
            );
            let request =
                w.sdk.aoss.create_security_policy().r#type("network".into()).name(name(Layer::VectorStore));
            request.policy(rules).description("installation=e2e,owner=somebody").send().await.unwrap();
            name(Layer::VectorStore)
        }
        "key" => {
            let key = w.sdk.kms.create_key().send().await.unwrap().key_metadata.unwrap().key_id;
            let alias = format!("alias/{}", name(Layer::Key));
            w.sdk.kms.create_alias().alias_name(&alias).target_key_id(&key).send().await.unwrap();
            key
        }
        other => panic!("nobody makes a {other}"),
    }
}

async fn is_left_alone(what: &'static str) {
    world(|w| async move {
        let name = make(&w, what).await;
        let before = w.inventory().await;
        let mark = w.double.mark().await;
        w.apply(ACME).await;
        let told = w.condition("acme", "Stalled=True/OwnedByAnother").await;
        assert!(told.is("Ready=False/OwnedByAnother") && told.is("Reconciling=False"), "{}", told.describe());
        assert!(told.message("Ready").contains(&name), "{}", told.describe());
        w.event("acme", "OwnedByAnother").await;
        w.delete("acme").await;
        w.gone("acme").await;
        let writes = w.double.journal(mark).await.mutating();
        assert!(writes.is_empty(), "nothing of all that is ours:\n{writes}");
        assert_eq!(w.inventory().await, before);
    })
    .await;
}

#[tokio::test]
async fn a_bucket_of_somebody_else() {
    is_left_alone("bucket").await;
}

#[tokio::test]
async fn a_role_of_somebody_else() {
    is_left_alone("role").await;
}

#[tokio::test]
async fn a_policy_of_somebody_else() {
    is_left_alone("network policy").await;
}

#[tokio::test]
async fn a_key_of_somebody_else() {
    is_left_alone("key").await;
}

/// A stack that is half built when somebody takes a name of it: teardown takes what is ours and leaves the rest.
#[tokio::test]
async fn teardown_leaves_what_is_not_ours() {
    world(|w| async move {
        w.apply(ACME).await;
        let bucket = w.ready("acme").await.status.bucket.unwrap();
        // Its tags are taken off: nothing proves any more that it is ours.
        w.sdk.s3.delete_bucket_tagging().bucket(&bucket).send().await.unwrap();
        w.sdk.upload(&bucket, "documents/precious.md", "Keep me.").await;
        w.delete("acme").await;
        w.gone("acme").await;
        let after = w.inventory().await;
        let left: Vec<_> = after.keys().cloned().collect();
        // Nobody could read the document without the key.
        let key = w.tenant_identity("acme", Pattern::Silo, None, "").name(Layer::Key);
        let expected = [
            format!("alias {key}"),
            format!("bucket {bucket}"),
            w.grant(),
            format!("key behind alias/{key}"),
            format!("object {bucket}/documents/precious.md"),
        ];
        assert_eq!(left, expected);
    })
    .await;
}
