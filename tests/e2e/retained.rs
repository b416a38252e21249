//! `tenantry retained` finds all that was left behind, and what it prints purges it.

use aws_sdk_s3::types::{Tag, Tagging};
use serde_json::{Value, json};

use crate::inventory;
use crate::world::{World, world};

async fn retained(w: &World, more: &[&str]) -> String {
    w.tenantry(&[&["retained", "--installation", &w.settings.installation][..], more].concat()).await
}

async fn estates(w: &World) -> Vec<Value> {
    serde_json::from_str(&retained(w, &["-o", "json"]).await).unwrap()
}

/// What it prints to take something over, in the world's own names, with more in its spec.
fn manifest(w: &World, estate: &Value, more: Value) -> Value {
    let printed = estate["manifest"].as_str().unwrap().replace(&w.stack_name("standard"), "standard");
    let mut manifest: Value = serde_saphyr::from_str(&printed).unwrap();
    let namespace = manifest["metadata"].as_object_mut().unwrap().remove("namespace");
    assert_eq!(namespace, Some(w.namespace_name("").into()));
    manifest["spec"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    manifest
}

fn whats(estate: &Value) -> Vec<&str> {
    estate["things"].as_array().unwrap().iter().map(|thing| thing["what"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_was_left_is_found_priced_and_purged() {
    world(|w| async move {
        let nothing = retained(&w, &[]).await;
        assert!(nothing.contains("Nothing of installation e2e was left behind"), "{nothing}");
        w.apply(
            "
            {kind: SharedStack, metadata: {name: standard}, spec: {pool: {}, deletionPolicy: Retain}}
            ---
            kind: Tenant
            metadata: {name: silo}
            spec: {tenantId: silo, pattern: Silo, encryption: {key: Create}, collection: {standbyReplicas: Disabled}}
            ---
            {kind: Tenant, metadata: {name: bridge}, spec: {tenantId: bridge, pattern: Bridge, stackRef: {name: standard}}}
            ---
            kind: Tenant
            metadata: {name: pool}
            spec: {tenantId: pool, pattern: Pool, stackRef: {name: standard}, deletionPolicy: RetainDocuments}
            ---
            kind: Tenant
            metadata: {name: stays}
            spec: {tenantId: stays, pattern: Silo}",
        )
        .await;
        for tenant in ["silo", "bridge", "pool", "stays"] {
            w.ready(tenant).await;
            w.upload(tenant, &[("a.md", "what must never be lost")]).await;
        }
        let mark = w.double.mark().await;
        for tenant in ["silo", "bridge", "pool"] {
            w.delete(tenant).await;
            w.gone(tenant).await;
        }

        let found = estates(&w).await;
        let ids: Vec<_> = found.iter().map(|it| it["tenantId"].as_str().unwrap()).collect();
        assert_eq!(ids, ["bridge", "pool", "silo"], "and not who is still there: {found:#?}");
        let by_test = w.double.journal_of_all(mark).await.mutating().only(|call| !call.is_operators());
        assert!(by_test.is_empty(), "it touched something:\n{by_test}");
        let [bridge, pool, silo] = &found[..] else { unreachable!() };
        let parts = ["data source", "knowledge base", "index", "data access policy", "role"];
        for what in parts.iter().chain(&["documents"]) {
            assert!(whats(bridge).contains(what), "no {what} in {bridge:#}");
        }
        for what in parts.iter().chain(&["collection", "bucket with all versions", "documents"]) {
            assert!(whats(silo).contains(what), "no {what} in {silo:#}");
        }
        assert_eq!(whats(pool), ["documents"]);
        assert!(pool["things"][0]["name"].as_str().unwrap().contains("/tenantry/retained/pool/"), "{pool:#}");
        assert_eq!((&pool["left"], &silo["left"]), (&"Documents".into(), &"Everything".into()));
        // One OCU without replicas, and a key; a knowledge base costs nothing by itself.
        assert!((silo["monthlyUSD"].as_f64().unwrap() - 176.2).abs() < 0.01, "{silo:#}");
        assert!(bridge["monthlyUSD"].as_f64().unwrap() < 0.01, "{bridge:#}");
        for estate in &found {
            let since: jiff::Timestamp = estate["since"].as_str().unwrap().parse().unwrap();
            assert!(jiff::Timestamp::now().duration_since(since).as_secs() < 600, "{estate:#}");
        }
        let text = retained(&w, &["--price-ocu-hour", "1"]).await;
        for part in ["silo, tenantId silo, left everything, 20", "$730.00", "at $1 an OCU-hour", "pattern: Bridge"] {
            assert!(text.contains(part), "no '{part}' in\n{text}");
        }

        // What it prints takes over what is left; then it goes like anything else.
        for estate in &found {
            w.apply(&manifest(&w, estate, json!({})).to_string()).await;
        }
        // The one setting that was not the default is named.
        let told = w.condition("silo", "Stalled=True/RetainedDiffers").await;
        assert!(told.message("Ready").contains("collection.standbyReplicas is DISABLED"), "{}", told.describe());
        w.delete("silo").await;
        w.gone("silo").await;
        let same = json!({"collection": {"standbyReplicas": "Disabled"}});
        w.apply(&manifest(&w, &found[2], same).to_string()).await;
        for tenant in ["silo", "bridge", "pool"] {
            w.ready(tenant).await;
            w.delete(tenant).await;
            w.gone(tenant).await;
        }
        assert_eq!(estates(&w).await, Vec::<Value>::new());

        // A SharedStack is found by its tags and its own marker, and its tenants' documents are its tenants'.
        w.delete("SharedStack/standard").await;
        w.gone("SharedStack/standard").await;
        let found = estates(&w).await;
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(found[0]["owner"], format!("SharedStack/{}", w.stack_name("standard")));
        assert!(found[0]["since"].is_string() && whats(&found[0]).contains(&"collection"), "{found:#?}");
        let left = inventory::names(&w.inventory().await);
        assert!(!left.iter().any(|name| name.contains("pool/pool") || name.contains("retained/pool")), "{left:?}");
    })
    .await;
}

/// Anybody of the account may make a bucket whose name begins like ours and put a marker into it; and what lies in our own
/// may be broken.
#[tokio::test]
async fn what_others_wrote_is_not_pasted_into_a_manifest() {
    world(|w| async move {
        w.apply(
            "
            {kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}
            ---
            kind: Tenant
            metadata: {name: acme}
            spec: {tenantId: acme, pattern: Pool, stackRef: {name: standard}}",
        )
        .await;
        let bucket = w.ready("acme").await.status.bucket.unwrap();
        w.upload("acme", &[("a.md", "what must never be lost")]).await;
        w.delete("acme").await;
        w.gone("acme").await;

        let installation = &w.settings.installation;
        let forged = |owner: &str, tenant_id: &str| {
            json!({"owner": owner, "ownerUid": "u", "installation": installation, "tenantId": tenant_id,
                "pattern": "Pool", "prefix": "pool/\n---\nkind: ClusterRoleBinding"})
            .to_string()
        };
        let owner = "Tenant/a/b\n---\nkind: ClusterRoleBinding\nmetadata: {name: c";
        let mallorys = format!("{installation}-sa-x-{}", w.suffix);
        w.sdk.s3.create_bucket().bucket(&mallorys).send().await.unwrap();
        let tags = [
            ("installation", installation.as_str()),
            ("owner", "SharedStack/standard"),
            ("state", "retained"),
        ];
        let tag = |(key, value): (&str, &str)| {
            Tag::builder().key(format!("tenantry.dev/{key}")).value(value).build().unwrap()
        };
        let tagging = Tagging::builder().set_tag_set(Some(tags.map(tag).to_vec())).build().unwrap();
        w.sdk.s3.put_bucket_tagging().bucket(&mallorys).tagging(tagging).send().await.unwrap();
        for (bucket, id, content) in [
            (&mallorys, "globex", forged("Tenant/a/b", "globex")),
            (&mallorys, "broken", "{".into()),
            (&bucket, "broken", "{".into()),
            (&bucket, "evil", forged(owner, "evil")),
            (&bucket, "sly", forged("Tenant/a/b", "sly\n---\nkind: ClusterRoleBinding")),
        ] {
            w.sdk.upload(bucket, &format!("tenantry/retained/{id}.json"), content).await;
        }

        let found = estates(&w).await;
        let ids: Vec<_> = found.iter().map(|it| it["tenantId"].as_str().unwrap()).collect();
        assert_eq!(ids, ["acme"], "{found:#?}");
        assert_eq!(manifest(&w, &found[0], json!({}))["spec"]["tenantId"], "acme");
        let text = retained(&w, &[]).await;
        assert!(!text.contains("ClusterRoleBinding"), "{text}");
    })
    .await
}
