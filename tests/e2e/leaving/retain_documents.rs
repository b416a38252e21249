//! deletionPolicy RetainDocuments: the documents stay, what answers from them goes, and the same manifest brings it back.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tenantry::api::{Layer, Pattern};
use tenantry::stack::layout::ledger_key;

use super::{LEAVE, STACK, STAY, assert_never_named, identity, pattern, six_tenants};
use crate::inventory;
use crate::world::{World, world};

/// The texts of all current objects under a prefix, by the rest of their keys.
async fn texts(w: &World, bucket: &str, prefix: &str) -> BTreeSet<(String, Vec<u8>)> {
    let list = w.sdk.s3.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator();
    let pages = list.send().try_collect().await.unwrap();
    let mut texts = BTreeSet::new();
    for object in pages.iter().flat_map(|page| page.contents()) {
        let key = object.key().unwrap();
        let got = w.sdk.s3.get_object().bucket(bucket).key(key).send().await.unwrap();
        let content = got.body.collect().await.unwrap().to_vec();
        texts.insert((key.strip_prefix(prefix).unwrap().to_owned(), content));
    }
    texts
}

/// Where a tenant's documents are once it is gone.
fn kept_under(name: &str, prefix: &str) -> String {
    match pattern(name) {
        Pattern::Pool => format!("tenantry/retained/{name}/"),
        Pattern::Silo | Pattern::Bridge => prefix.to_owned(),
    }
}

#[tokio::test]
async fn the_documents_stay_and_come_back() {
    world(|w| async move {
        six_tenants(&w, "RetainDocuments").await;
        let (mut leave, mut stay) = (Vec::new(), Vec::new());
        for (name, other) in LEAVE.into_iter().zip(STAY) {
            leave.push(w.get(name).await);
            stay.push(w.get(other).await);
        }
        let at = |tenant: &crate::objects::Object| {
            let status = &tenant.status;
            (status.bucket.clone().unwrap(), status.prefix.clone().unwrap())
        };
        let mut documents = Vec::new();
        for tenant in &leave {
            let (bucket, prefix) = at(tenant);
            let found = texts(&w, &bucket, &prefix).await;
            assert!(found.len() >= 2, "{found:?}");
            documents.push(found);
        }
        // A document that had no room in a job goes along.
        let (bucket, prefix) = at(&leave[2]);
        let late = "Nobody has read this yet.";
        w.sdk.upload(&bucket, &format!("tenantry/quarantine/{prefix}late.md"), late).await;
        documents[2].insert(("late.md".into(), late.into()));
        let mark = w.double.mark().await;
        for name in LEAVE {
            w.delete(name).await;
        }
        for name in LEAVE {
            w.gone(name).await;
        }

        // What answered is gone; the documents are byte for byte what they were, and a marker says whose.
        let after = inventory::names(&w.inventory().await);
        for ((name, tenant), documents) in LEAVE.into_iter().zip(&leave).zip(&documents) {
            let (bucket, prefix) = at(tenant);
            assert_eq!(texts(&w, &bucket, &kept_under(name, &prefix)).await, *documents, "{name}");
            let marker = format!("tenantry/retained/{name}.json");
            let marker = w.sdk.s3.get_object().bucket(&bucket).key(marker).send().await.unwrap();
            let marker: Value =
                serde_json::from_slice(&marker.body.collect().await.unwrap().into_bytes()).unwrap();
            assert_eq!(marker["left"], "Documents", "{marker}");
            assert_eq!(marker["prefix"], kept_under(name, &prefix), "{marker}");
            let id = identity(&w, name, tenant.uid());
            for layer in [Layer::VectorStore, Layer::Index, Layer::Role, Layer::KnowledgeBase] {
                let is_left = |thing: &&String| !thing.starts_with("object ") && thing.contains(&id.name(layer));
                let left: Vec<_> = after.iter().filter(is_left).collect();
                assert!(left.is_empty(), "{name}: {left:?}");
            }
        }
        let silo = identity(&w, LEAVE[0], leave[0].uid());
        let inventory = w.inventory().await;
        for kept in [
            format!("bucket {}", silo.name(Layer::Bucket)),
            format!("key behind alias/{}", silo.name(Layer::Key)),
        ] {
            assert_eq!(inventory[&kept]["tenantry.dev/state"], "retained", "{kept}");
        }
        let writes = w.double.journal(mark).await.mutating();
        assert_never_named(&w, &writes, &stay);
        let pool = stay[2].status.knowledge_base_id.as_deref().unwrap();
        let answers = w.retrieve_unfiltered(pool, "When does the office open?").await;
        assert!(!answers.is_empty() && answers.iter().all(|(uri, _)| uri.contains("/acme-pool-2/")), "{answers:?}");

        // Somebody put a newer version where the pool's documents belong, of the same length. S3 knows that it differs:
        // nobody reads it.
        let (bucket, prefix) = at(&leave[2]);
        w.sdk.upload(&bucket, &format!("{prefix}hours.md"), "The office of acme-pool opens at four.").await;
        let mark = w.double.mark().await;

        for name in LEAVE {
            let spec = match pattern(name) {
                Pattern::Silo => "pattern: Silo, encryption: {key: Create}",
                Pattern::Bridge => "pattern: Bridge, stackRef: {name: standard}",
                Pattern::Pool => "pattern: Pool, stackRef: {name: standard}",
            };
            w.apply(&format!(
                "{{kind: Tenant, metadata: {{name: {name}}}, spec: {{tenantId: {name}, {spec}, deletionPolicy: Delete}}}}"
            ))
            .await;
        }
        for (name, before) in LEAVE.into_iter().zip(&leave) {
            let back = w.ready(name).await;
            assert_eq!(back.status.bucket, before.status.bucket);
            w.event(name, "Adopted").await;
        }
        let answered = async |name: &'static str| {
            let answers = w.retrieve(name, "When does the office open?").await;
            (!answers.is_empty()).then_some(answers)
        };
        for name in LEAVE {
            w.eventually(&format!("{name} is answered from its documents again"), || answered(name)).await;
        }
        let journal = w.double.journal(mark).await;
        let of = |operation: &str| journal.of(operation).only(|call| {
            let text = call.text();
            call.is_operators() && text.contains("hours.md") && !text.contains(".metadata.json")
        });
        assert!(of("GetObject").is_empty() && of("HeadObject").len() >= 2, "{:?}", of("GetObject"));
        let back = texts(&w, &bucket, &prefix).await;
        assert!(back.iter().any(|(key, text)| key == "hours.md" && text.ends_with(b"at four.")), "the newer stays");
        assert!(back.iter().any(|(key, _)| key == "deep/er.md"), "{back:?}");
        assert!(back.iter().any(|(key, _)| key == "late.md"), "{back:?}");
        let aside = texts(&w, &bucket, "tenantry/retained/acme-pool/").await;
        assert!(aside.iter().any(|(key, _)| key == "hours.md"), "and the older is not lost: {aside:?}");

        // With Delete it all goes, also what lies aside.
        for name in LEAVE {
            w.delete(name).await;
            w.gone(name).await;
        }
        let left = inventory::names(&w.inventory().await);
        let left: Vec<_> =
            left.iter().filter(|it| it.contains("acme-pool/") || it.contains("acme-pool.json")).collect();
        assert!(left.is_empty(), "{left:?}");
    })
    .await;
}

/// Newer documents in all the old places: everything is passed by, and the way to the end is longer than one call goes.
#[tokio::test]
async fn what_stays_aside_does_not_keep_the_rest_from_coming_back() {
    const NEWER: usize = 30;
    const LAST: &str = "z.md";
    world(|w| async move {
        w.double.settings(json!({"object_page_size": 2})).await;
        let acme = "{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Pool, \
                    stackRef: {name: standard}, deletionPolicy: RetainDocuments}}";
        w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}").await;
        w.apply(acme).await;
        let bucket = w.ready("acme").await.status.bucket.unwrap();
        let names: Vec<_> = (0..NEWER).map(|n| format!("{n:02}.md")).collect();
        let aside = async || texts(&w, &bucket, "tenantry/retained/acme/").await;
        for name in &names {
            w.upload("acme", &[(name, "old")]).await;
        }
        w.upload("acme", &[(LAST, "the only one")]).await;
        w.delete("acme").await;
        w.gone("acme").await;
        assert!(aside().await.len() > NEWER);

        for name in &names {
            w.sdk.upload(&bucket, &format!("pool/acme/{name}"), "new").await;
        }
        w.apply(acme).await;
        w.ready("acme").await;
        let (back, left) = (texts(&w, &bucket, "pool/acme/").await, aside().await);
        assert!(back.contains(&(LAST.into(), b"the only one".into())), "{back:?}");
        for name in &names {
            assert!(back.contains(&(name.clone(), b"new".into())), "the newer {name} stays: {back:?}");
            assert!(left.contains(&(name.clone(), b"old".into())), "and the older is not lost: {left:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_shared_stack_keeps_its_bucket_and_asks_for_who_would_lose_more() {
    world(|w| async move {
        w.apply(
            "
            {kind: SharedStack, metadata: {name: standard}, spec: {pool: {}, deletionPolicy: RetainDocuments}}
            ---
            kind: Tenant
            metadata: {name: all}
            spec: {tenantId: all, pattern: Pool, stackRef: {name: standard}, deletionPolicy: Retain}
            ---
            kind: Tenant
            metadata: {name: documents}
            spec: {tenantId: documents, pattern: Pool, stackRef: {name: standard}, deletionPolicy: RetainDocuments}
            ---
            kind: Tenant
            metadata: {name: bridge}
            spec: {tenantId: bridge, pattern: Bridge, stackRef: {name: standard}, deletionPolicy: Retain}",
        )
        .await;
        for tenant in ["all", "documents", "bridge"] {
            w.ready(tenant).await;
            w.upload(tenant, &[("a.md", "what must never be lost")]).await;
            w.delete(tenant).await;
            w.gone(tenant).await;
        }
        let stack = w.get(STACK).await;
        w.delete(STACK).await;
        let waits = w.condition(STACK, "DeletionBlocked=True/RetainedTenants").await;
        let message = waits.message("DeletionBlocked");
        assert!(message.contains("2 tenants") && message.contains(": all, bridge."), "{message}");
        let (_, code) = message.split_once("tenantry.dev/approve=").expect(message);
        w.annotate(STACK, tenantry::api::APPROVE, code.split(',').next()).await;
        w.gone(STACK).await;
        let bucket = stack.status.bucket.clone().unwrap();
        let left = inventory::names(&w.inventory().await);
        let expected: BTreeSet<String> = [
            w.grant(),
            format!("bucket {bucket}"),
            format!("object {bucket}/pool/all/a.md"),
            // What answered from them is gone.
            format!("object {bucket}/bridge/bridge/a.md"),
            format!("object {bucket}/tenantry/retained/bridge.json"),
            // Its older versions: a move leaves them to the bucket's own rules.
            format!("object {bucket}/pool/documents/a.md"),
            format!("object {bucket}/tenantry/retained/documents/a.md"),
            format!("object {bucket}/tenantry/retained/all.json"),
            format!("object {bucket}/tenantry/retained/documents.json"),
            format!("object {bucket}/tenantry/retained-stack.json"),
            format!("object {bucket}/{}", ledger_key(&w.stack_identity("standard", stack.uid()))),
        ]
        .into();
        let left: BTreeSet<_> = left.into_iter().filter(|it| !it.ends_with(".metadata.json")).collect();
        assert_eq!(left, expected);
        for (tenant, left) in [("all", "Everything"), ("bridge", "Documents")] {
            let key = format!("tenantry/retained/{tenant}.json");
            let marker = w.sdk.s3.get_object().bucket(&bucket).key(key).send().await.unwrap();
            let marker: Value =
                serde_json::from_slice(&marker.body.collect().await.unwrap().into_bytes()).unwrap();
            assert_eq!(marker["left"], left, "{marker}");
        }
    })
    .await;
}
