//! `tenantry retained` finds all that was left behind, and what it prints purges it.

use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration, Tag, Tagging};
use serde_json::{Value, json};

use crate::failures::loss::delete_bucket;
use crate::support::inventory;
use crate::support::kubectl::printed;
use crate::support::world::{World, world};

fn ask<'a>(w: &'a World, more: &[&'a str]) -> Vec<&'a str> {
    [&["retained", "--installation", &w.settings.installation][..], more].concat()
}

async fn retained(w: &World, more: &[&str]) -> String {
    w.tenantry(&ask(w, more)).await
}

async fn estates(w: &World) -> Vec<Value> {
    serde_json::from_str(&retained(w, &["-o", "json"]).await).unwrap()
}

/// The same for whom a data access policy lets look into indexes.
async fn estates_with_indexes(w: &World) -> Vec<Value> {
    let environment = w.environment_under(&w.sdk_config).await;
    let told = printed(env!("CARGO_BIN_EXE_tenantry"), &ask(w, &["-o", "json"]), environment).await;
    serde_json::from_str(&told).unwrap()
}

/// What it prints to take something over, in the world's own names, with more in its spec.
fn manifest(w: &World, estate: &Value, more: Value) -> Value {
    let printed = estate["manifest"].as_str().unwrap().replace(&w.stack_name("standard"), "standard");
    let mut manifest: Value = serde_saphyr::from_str(&printed).unwrap();
    if manifest["kind"] == "Tenant" {
        let namespace = manifest["metadata"].as_object_mut().unwrap().remove("namespace");
        assert_eq!(namespace, Some(w.namespace_name("").into()));
    }
    manifest["spec"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    manifest
}

fn whats(estate: &Value) -> Vec<&str> {
    estate["things"].as_array().unwrap().iter().map(|thing| thing["what"].as_str().unwrap()).collect()
}

/// How many documents it says there are.
fn documents(estate: &Value) -> &str {
    let things = estate["things"].as_array().unwrap();
    let documents = things.iter().find(|thing| thing["what"] == "documents").unwrap();
    documents["name"].as_str().unwrap().split([' ', ',']).next().unwrap()
}

/// What is not the default, in the spec of a Bridge.
const SETTINGS: &str = "
  knowledgeBase:
    dimensions: 512
    chunking: {strategy: Hierarchical, parentMaxTokens: 1500, childMaxTokens: 300, overlapTokens: 60}
  index:
    distance: InnerProduct
    hnsw: {m: 8, efConstruction: 100, efSearch: 256}
    attributes: [{name: year, type: Number}]";

#[tokio::test]
async fn what_is_printed_takes_over_settings_that_can_never_change() {
    world(|w| async move {
        w.apply(&format!(
            "
kind: SharedStack
metadata: {{name: standard}}
spec:
  encryption: {{key: Create}}
  documents: {{noncurrentExpirationDays: 0, expirationDays: 400}}
  collection: {{standbyReplicas: Disabled, network: {{access: Public}}}}
  pool:{pool}
---
kind: Tenant
metadata: {{name: acme}}
spec:
  tenantId: acme
  pattern: Bridge
  stackRef: {{name: standard}}{SETTINGS}
",
            pool = SETTINGS.replace('\n', "\n  ")
        ))
        .await;
        let objects = ["acme", "SharedStack/standard"];
        let mut before = Vec::new();
        for object in objects {
            before.push(w.ready(object).await);
        }
        w.upload("acme", &[("a.md", "When does the office open? At seven.")]).await;
        w.condition("acme", "DocumentsCurrent=True/Synced").await;
        for object in objects {
            w.delete(object).await;
            w.gone(object).await;
        }

        // Without a look into the index all else is there, and what is not is named.
        for estate in estates(&w).await {
            let chunks = "childMaxTokens: 300";
            let printed = estate["manifest"].as_str().unwrap();
            assert!(printed.contains(chunks) && printed.contains("dimensions: 512"), "{printed}");
            assert!(notes(&estate).contains("index.distance, index.hnsw and index.attributes"), "{estate:#}");
        }
        let found = estates_with_indexes(&w).await;
        assert_eq!(found.len(), 2, "{found:#?}");
        for estate in &found {
            assert_eq!(estate["notes"], json!([]), "{estate:#}");
        }
        // The borrower waits for its lender, whichever comes first.
        for estate in &found {
            w.apply(&manifest(&w, estate, json!({"deletionPolicy": "Retain"})).to_string()).await;
        }
        for (object, before) in objects.into_iter().zip(&before) {
            let after = w.ready(object).await;
            assert_eq!(after.status.knowledge_base_id, before.status.knowledge_base_id, "{object}");
            assert_eq!(after.status.store_arn, before.status.store_arn, "{object}");
        }
    })
    .await;
}

/// One thing that is gone, or may not be seen, hides nothing else.
#[tokio::test]
async fn what_can_be_looked_at_is_printed_whatever_else_is_gone_or_forbidden() {
    world(|w| async move {
        w.apply(
            "
            {kind: SharedStack, metadata: {name: standard}, spec: {}}
            ---
            {kind: Tenant, metadata: {name: bridge}, spec: {tenantId: bridge, pattern: Bridge, stackRef: {name: standard}}}
            ---
            {kind: Tenant, metadata: {name: silo}, spec: {tenantId: silo, pattern: Silo}}",
        )
        .await;
        let mut bucket = String::new();
        for tenant in ["silo", "bridge"] {
            bucket = w.ready(tenant).await.status.bucket.unwrap();
            w.upload(tenant, &[("a.md", "a")]).await;
            w.condition(tenant, "DocumentsCurrent=True/Synced").await;
            w.delete(tenant).await;
            w.gone(tenant).await;
        }
        w.delete("SharedStack/standard").await;
        w.gone("SharedStack/standard").await;

        // Whoever asks may not list what is in buckets: so much is printed all the same, and that it is not all.
        let me = json!({"operation": "ListObjectsV2", "caller": "*:root", "fault": "denied", "count": 1_000_000});
        w.double.fault(me).await;
        let (succeeded, out, error) = w.tenantry_tried(&ask(&w, &["-o", "json"])).await;
        w.double.heal().await;
        assert!(!succeeded && error.contains("this may not be all"), "{error}");
        assert!(error.contains(&format!("bucket {bucket} could not be looked at: s3:ListObjectsV2")), "{error}");
        let found: Vec<Value> = serde_json::from_str(&out).unwrap();
        assert_eq!(found.len(), 3, "{found:#?}");
        for estate in &found {
            assert!(whats(estate).contains(&"vector store") || estate["tenantId"] == "bridge", "{estate:#}");
        }
        let [bridge, ..] = &found[..] else { unreachable!() };
        assert!(notes(bridge).contains("could not be looked at: s3:ListObjectsV2"), "{bridge:#}");

        // What is gone hides nothing.
        delete_bucket(&w, &bucket).await;
        let found = estates(&w).await;
        let bridge = found.iter().find(|it| it["tenantId"] == "bridge").unwrap();
        assert!(notes(bridge).contains(&format!("bucket {bucket} is gone, and the documents with it")), "{bridge:#}");
        assert!(whats(bridge).contains(&"knowledge base") && !whats(bridge).contains(&"documents"), "{bridge:#}");
        let silo = found.iter().find(|it| it["tenantId"] == "silo").unwrap();
        assert_eq!(documents(silo), "1", "{silo:#}");
    })
    .await;
}

/// Anybody of the account may call a bucket after an installation, and one installation may work in two regions.
#[tokio::test]
async fn no_bucket_that_merely_begins_like_the_installation_ends_the_list() {
    world(|w| async move {
        w.apply("{kind: Tenant, metadata: {name: silo}, spec: {tenantId: silo, pattern: Silo}}").await;
        w.ready("silo").await;
        w.delete("silo").await;
        w.gone("silo").await;
        let (installation, account) = (&w.settings.installation, &w.account);
        let letters: String = account.bytes().rev().take(10).map(|digit| (b'a' + digit - b'0') as char).collect();
        let theirs = format!("{installation}-logs-{account}");
        let (abroad, closed) = (format!("{installation}-ta-far-{letters}"), format!("{installation}-ta-shut-{letters}"));
        for (bucket, region) in [(&theirs, None), (&closed, None), (&abroad, Some("eu-west-1"))] {
            let place = region.map(|region| {
                let constraint = BucketLocationConstraint::from(region);
                CreateBucketConfiguration::builder().location_constraint(constraint).build()
            });
            let create = w.sdk.s3.create_bucket().bucket(bucket);
            create.set_create_bucket_configuration(place).send().await.unwrap();
        }
        let refused = |bucket: &str| json!({"operation": "GetBucketTagging", "resource": bucket, "fault": "denied", "count": 1_000_000});
        w.double.fault(refused(&theirs)).await;
        let found = estates(&w).await;
        assert_eq!(found.len(), 1, "what cannot be ours, or is elsewhere, is not looked at: {found:#?}");
        // One that could be ours may hide something.
        w.double.fault(refused(&closed)).await;
        let (succeeded, out, error) = w.tenantry_tried(&ask(&w, &["-o", "json"])).await;
        w.double.heal().await;
        assert!(!succeeded && error.contains(&format!("bucket {closed} could not be looked at")), "{error}");
        assert!(!error.contains("the operator's role") && !error.contains(&abroad), "{error}");
        let found: Vec<Value> = serde_json::from_str(&out).unwrap();
        assert_eq!(found.len(), 1, "{found:#?}");
        for bucket in [&theirs, &closed, &abroad] {
            w.sdk.s3.delete_bucket().bucket(bucket).send().await.ok();
        }
    })
    .await;
}

fn notes(estate: &Value) -> String {
    let notes = estate["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap());
    notes.collect::<Vec<_>>().join("; ")
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
        for what in parts.iter().chain(&["vector store", "bucket with all versions", "documents"]) {
            assert!(whats(silo).contains(what), "no {what} in {silo:#}");
        }
        assert_eq!(whats(pool), ["documents"]);
        assert_eq!(documents(pool), "1", "its metadata file is none: {pool:#}");
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
        assert!(found[0]["since"].is_string() && whats(&found[0]).contains(&"vector store"), "{found:#?}");
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
