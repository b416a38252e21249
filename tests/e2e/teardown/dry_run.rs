//! `tenantry delete --dry-run` says beforehand what a deletion then does.

use serde_json::Value;

use crate::operating::registry::registered;
use crate::support::inventory;
use crate::support::world::{World, world, world_with};

async fn foretold(w: &World, tenant: &str, more: &[&str]) -> String {
    let namespace = w.namespace_name("");
    w.tenantry(&[&["delete", "--dry-run", "--namespace", &namespace, tenant][..], more].concat()).await
}

/// What becomes of which things.
async fn lines(w: &World, tenant: &str, outcome: &str) -> Vec<String> {
    let lines: Value = serde_json::from_str(&foretold(w, tenant, &["-o", "json"]).await).unwrap();
    let of_it = lines.as_array().unwrap().iter().filter(|line| line["outcome"] == outcome);
    of_it.map(|line| line["what"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_is_foretold_is_what_happens() {
    world(|w| async move {
        w.apply(
            "
            {kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}
            ---
            kind: Tenant
            metadata: {name: silo}
            spec: {tenantId: silo, pattern: Silo, encryption: {key: Create}, deletionPolicy: Delete}
            ---
            kind: Tenant
            metadata: {name: bridge}
            spec: {tenantId: bridge, pattern: Bridge, stackRef: {name: standard}, deletionPolicy: Delete}
            ---
            kind: Tenant
            metadata: {name: kept}
            spec: {tenantId: kept, pattern: Pool, stackRef: {name: standard}}",
        )
        .await;
        for tenant in ["silo", "bridge", "kept"] {
            w.ready(tenant).await;
            w.upload(tenant, &[("a.md", "a"), ("b.md", "b")]).await;
        }
        let (mark, before) = (w.double.mark().await, inventory::resources(&w.inventory().await));
        let own = ["data source", "knowledge base", "index", "data access policy", "role"];
        assert_eq!(lines(&w, "bridge", "goes").await, [&own[..], &["documents"]].concat());
        assert_eq!(
            lines(&w, "bridge", "leftAlone").await,
            ["bucket", "vector store"],
            "the stack has no key"
        );
        let rest = ["bucket with all versions", "key, in 30 days"];
        let silo = lines(&w, "silo", "goes").await;
        for what in own.iter().chain(&["vector store", "network policy", "encryption policy"]).chain(&rest) {
            assert!(silo.iter().any(|found| found == what), "no {what} in {silo:?}");
        }
        assert_eq!(lines(&w, "kept", "stays").await, ["documents"]);
        let text = foretold(&w, "kept", &[]).await;
        for part in ["Nothing was touched", "would stay", "pool/kept/", "would be left alone"] {
            assert!(text.contains(part), "no '{part}' in\n{text}");
        }
        // The pool's first job may have brought each its metadata file, which is no document.
        let counts = ["2 under s3://", "2, with 2 metadata files, under s3://"];
        assert!(counts.iter().any(|count| text.contains(count)), "{text}");
        let by_test = w.double.journal_of_all(mark).await.mutating().only(|call| !call.is_operators());
        assert!(by_test.is_empty(), "it touched something:\n{by_test}");

        // One delete for each thing that was said to go.
        for (tenant, things) in [("bridge", 5), ("silo", silo.len())] {
            let mark = w.double.mark().await;
            w.delete(tenant).await;
            w.gone(tenant).await;
            let parts = ["DeleteObjects", "DeleteRolePolicy", "DeleteAlias"];
            let deleted = w.double.journal(mark).await.mutating().only(|call| {
                let deletes = call.operation.starts_with("Delete") || call.operation == "ScheduleKeyDeletion";
                deletes && call.succeeded() && !parts.contains(&call.operation.as_str())
            });
            assert_eq!(deleted.len(), things, "{tenant}: {silo:?}\n{deleted}");
        }
        // A key that waits for its deletion has no alias any more, and so another name here.
        let mut after = inventory::resources(&w.inventory().await);
        after.retain(|name| !name.starts_with("key "));
        assert!(after.is_subset(&before), "{after:?}");
    })
    .await;
}

#[tokio::test]
async fn the_registrys_item_is_foretold_as_the_tombstone_that_it_becomes() {
    let test = async |w: World| {
        w.table().await;
        w.put_item(&[("tenantId", "taken"), ("uid", "somebody-elses")]).await;
        w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}").await;
        for (tenant, policy) in [("kept", "Retain"), ("goes", "Delete"), ("taken", "Delete")] {
            w.apply(&format!(
                "{{kind: Tenant, metadata: {{name: {tenant}}}, spec: {{tenantId: {tenant}, pattern: Pool, \
                 stackRef: {{name: standard}}, deletionPolicy: {policy}}}}}"
            ))
            .await;
        }
        w.condition("taken", "Registered=False/RegistryConflict").await;
        assert!(lines(&w, "taken", "leftAlone").await.contains(&"registry item".to_owned()));
        for (tenant, state) in [("kept", "retained"), ("goes", "deleted")] {
            w.condition(tenant, "Registered=True").await;
            assert!(lines(&w, tenant, "stays").await.contains(&"registry item".to_owned()));
            let text = foretold(&w, tenant, &[]).await;
            assert!(text.contains(&format!("a tombstone, '{state}'")), "{text}");
            w.delete(tenant).await;
            w.gone(tenant).await;
            assert_eq!(w.item(tenant).await["state"], state);
        }
    };
    world_with(registered, test).await;
}
