//! What docs/disaster-recovery.md says, step by step: another cluster takes the installation over, and gives it back.

use serde_json::json;

use super::{document_is_there, tenant};
use crate::world::{World, world_without_operator};

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
        crate::operators::kill(operator).await;

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
        crate::operators::kill(operator).await;
    };
    world_without_operator(|_| {}, test).await;
}
