//! What `docs/operator-rbac.yaml` allows is enough for a whole life, the election included.

use serde_json::{Value, json};

use crate::world::{World, world_without_operator};

const ACCOUNT: &str = "system:serviceaccount:tenantry:tenantry";

#[tokio::test]
async fn the_manifest_allows_all_that_is_needed() {
    let test = async |w: World| {
        w.kubectl(&["apply", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operator-rbac.yaml")]).await;
        let mut kubeconfig: Value =
            serde_json::from_str(&std::fs::read_to_string(&w.bed.kubeconfig).unwrap()).unwrap();
        kubeconfig["users"][0]["user"]["as"] = json!(ACCOUNT);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, kubeconfig.to_string()).unwrap();
        let way = file.path().to_str().unwrap();

        let namespace = ["--leader-elect-resource-namespace", "tenantry"];
        let mut operator = w.replica_by("first", way, &namespace).await;
        operator.says(&w, "this process leads").await;
        w.apply(
            "{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Silo, deletionPolicy: Delete}}",
        )
        .await;
        w.ready("acme").await;
        w.delete("acme").await;
        w.gone("acme").await;
        operator.signal("TERM").await;
        assert!(operator.ended().await.success());
        let log = operator.log();
        assert!(log.contains("the lease is given back"), "{log}");
        assert!(!log.to_lowercase().contains("forbidden"), "{log}");
    };
    world_without_operator(|_| {}, test).await;
}
