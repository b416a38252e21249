//! What docs/disaster-recovery.md says, step by step: another cluster takes the installation over, and gives it back; records
//! are restored. A namespace that was made again is in `attacks`, and what cannot be restored in `lost`.

use aws_sdk_s3::types::{Tag, Tagging};
use serde_json::json;

use super::{document_is_there, tenant};
use crate::support::world::{World, world_without_operator};

/// All objects are restored from a backup or from Git: new uids, new namespaces of the same names.
#[tokio::test]
async fn another_cluster_takes_over_and_gives_back() {
    let test = async |w: World| {
        w.start_operator().await;
        w.granted().await;
        super::victim(&w, "Retain").await;
        let others = [
            ("ours", "bridge", "Bridge"),
            ("ours", "silo", "Silo"),
            ("ours", "left", "Pool"),
            ("ours", "passed", "Pool"),
        ];
        for (namespace, name, pattern) in others {
            w.apply(&tenant(
                namespace,
                name,
                name,
                pattern,
                if name == "passed" { "Delete" } else { "Retain" },
            ))
            .await;
            w.ready(&format!("{namespace}/{name}")).await;
        }
        w.upload("ours/left", &[("a.md", "left")]).await;
        w.upload("ours/passed", &[("a.md", "passed")]).await;
        for name in ["ours/left", "ours/passed"] {
            w.delete(name).await;
            w.gone(name).await;
        }
        let mut before = Vec::new();
        for name in ["ours/victim", "ours/bridge", "ours/silo"] {
            before.push((name, w.get(name).await));
        }
        w.stop_operator().await;

        // The cluster burns down; its objects come back in another.
        for name in ["ours/victim", "ours/bridge", "ours/silo", "SharedStack/standard"] {
            w.patch(name, json!({"metadata": {"finalizers": null}})).await;
            w.delete(name).await;
            w.gone(name).await;
        }
        w.belongs_to_cluster("burnt-down").await;
        let mark = w.double.mark().await;
        w.apply(super::STACK).await;
        for (namespace, name, pattern) in
            [("ours", "victim", "Pool"), ("ours", "bridge", "Bridge"), ("ours", "silo", "Silo")]
        {
            w.apply(&tenant(namespace, name, name, pattern, "Retain")).await;
        }
        // A stranger, in a namespace of another name.
        w.apply(&tenant("theirs", "thief", "victim", "Pool", "Delete")).await;
        let operator = w.program(&["--take-over", "burnt-down"]).await.spawn().unwrap();
        for (name, before) in &before {
            let after = w.ready(name).await;
            assert_ne!(before.uid(), after.uid());
            assert_eq!(after.status.knowledge_base_id, before.status.knowledge_base_id, "{name}");
        }
        w.condition("theirs/thief", "Stalled=True/TenantIdTaken").await;
        document_is_there(&w).await;
        for (name, state) in [("victim", "held"), ("left", "retained"), ("passed", "gone")] {
            assert_eq!(w.state_of(name).await, state, "{name}");
        }
        // What was retained, and what is gone, is the namespace's of the same name.
        for name in ["left", "passed"] {
            w.apply(&tenant("theirs", &format!("thief-{name}"), name, "Pool", "Delete")).await;
            w.condition(&format!("theirs/thief-{name}"), "Stalled=True/TenantIdTaken").await;
            w.apply(&tenant("ours", name, name, "Pool", "Retain")).await;
            w.ready(&format!("ours/{name}")).await;
        }
        let made = w.double.journal(mark).await.mutating().only(|call| call.operation.starts_with("Create"));
        assert!(made.is_empty(), "nothing is made anew:\n{made}");
        crate::support::operators::kill(operator).await;

        // Back to the first cluster, in which the objects still are as they were: other uids once more.
        for name in
            ["ours/victim", "ours/bridge", "ours/silo", "ours/left", "ours/passed", "SharedStack/standard"]
        {
            w.patch(name, json!({"metadata": {"finalizers": null}})).await;
            w.delete(name).await;
            w.gone(name).await;
        }
        w.belongs_to_cluster("the-other-one").await;
        w.apply(super::STACK).await;
        for (name, pattern) in [("victim", "Pool"), ("bridge", "Bridge"), ("silo", "Silo")] {
            w.apply(&tenant("ours", name, name, pattern, "Retain")).await;
        }
        let operator = w.program(&["--take-over", "the-other-one"]).await.spawn().unwrap();
        for (name, before) in &before {
            let after = w.ready(name).await;
            assert_eq!(after.status.knowledge_base_id, before.status.knowledge_base_id, "{name}");
        }
        w.touch("theirs/thief").await;
        w.condition("theirs/thief", "Stalled=True/TenantIdTaken").await;
        document_is_there(&w).await;
        crate::support::operators::kill(operator).await;
    };
    world_without_operator(|_| {}, test).await;
}

/// "Objects were deleted": the bucket keeps versions, and a deletion is one of them.
#[tokio::test]
async fn a_deleted_record_is_taken_back() {
    let test = async |w: World| {
        w.start_operator().await;
        super::victim(&w, "Retain").await;
        w.stop_operator().await;
        let key = "tenants/victim.json";
        let deleted = w.sdk.s3.delete_object().bucket(w.records()).key(key).send().await.unwrap();
        w.start_operator().await;
        w.apply(&tenant("ours", "new", "new", "Pool", "Delete")).await;
        w.condition("ours/new", "Accepted=Unknown/RecordsLost").await;
        w.stop_operator().await;
        let marker = deleted.version_id.expect("the bucket keeps versions");
        w.sdk.s3.delete_object().bucket(w.records()).key(key).version_id(marker).send().await.unwrap();
        w.start_operator().await;
        w.ready("ours/new").await;
        w.touch("ours/victim").await;
        w.ready("ours/victim").await;
    };
    world_without_operator(|_| {}, test).await;
}

/// "The bucket was deleted": a copy of it is filled before an operator sees it, and named.
#[tokio::test]
async fn a_copy_of_the_bucket_stands_in_for_it() {
    let test = async |w: World| {
        w.start_operator().await;
        super::victim(&w, "Delete").await;
        w.apply(&tenant("ours", "passed", "passed", "Pool", "Delete")).await;
        w.ready("ours/passed").await;
        w.upload("ours/passed", &[("a.md", "passed")]).await;
        w.delete("ours/passed").await;
        w.gone("ours/passed").await;
        w.stop_operator().await;
        let copy = format!("copy-records-{}", w.suffix);
        w.sdk.s3.create_bucket().bucket(&copy).send().await.unwrap();
        let tag = Tag::builder().key("tenantry.dev/installation").value("e2e").build().unwrap();
        let tagging = Tagging::builder().tag_set(tag).build().unwrap();
        w.sdk.s3.put_bucket_tagging().bucket(&copy).tagging(tagging).send().await.unwrap();
        for key in w.keys(&w.records(), "").await {
            let source = format!("{}/{key}", w.records());
            w.sdk.s3.copy_object().bucket(&copy).key(&key).copy_source(source).send().await.unwrap();
        }
        w.lose_records().await;
        w.operator_may_use(&copy).await;
        let operator = w.program(&["--installation-bucket", &copy]).await.spawn().unwrap();
        w.touch("ours/victim").await;
        w.ready("ours/victim").await;
        w.apply(&tenant("theirs", "thief", "passed", "Pool", "Delete")).await;
        w.condition("theirs/thief", "Stalled=True/TenantIdTaken").await;
        w.apply(&tenant("ours", "passed", "passed", "Pool", "Delete")).await;
        w.ready("ours/passed").await;
        crate::support::operators::kill(operator).await;

        // Lost once more: an administrator's bucket is missed as the operator's own is, and what has an id goes on.
        for key in w.keys(&copy, "").await {
            let versions = w.sdk.s3.list_object_versions().bucket(&copy).prefix(&key).send().await.unwrap();
            for version in versions.versions() {
                let delete = w.sdk.s3.delete_object().bucket(&copy).key(&key);
                delete.version_id(version.version_id().unwrap()).send().await.unwrap();
            }
        }
        w.sdk.s3.delete_bucket().bucket(&copy).send().await.unwrap();
        let operator = w.program(&["--installation-bucket", &copy]).await.spawn().unwrap();
        w.apply(&tenant("ours", "new", "new", "Pool", "Delete")).await;
        w.condition("ours/new", "Accepted=Unknown/RecordsLost").await;
        w.touch("ours/victim").await;
        w.ready("ours/victim").await;
        crate::support::operators::kill(operator).await;
        w.operator_may_use(&w.records()).await;
    };
    world_without_operator(|_| {}, test).await;
}
