//! From create to Ready, in every pattern: what the status names is in AWS, carries its owner's tags, and nothing else
//! was made.

use std::collections::BTreeSet;

use tenantry::api::{Column, Layer, Pattern};
use tenantry::stack::identity::Identity;

use crate::inventory::{self, Inventory, owned};
use crate::objects::Object;
use crate::world::{World, world};

#[tokio::test]
async fn a_silo_owns_all_six_layers() {
    world(|w| async move {
        w.apply(
            "
            kind: Tenant
            metadata: {name: acme}
            spec: {tenantId: acme, pattern: Silo, encryption: {key: Create}, tags: {costCenter: '42'}}",
        )
        .await;
        let acme = w.ready("acme").await;
        let id = w.tenant_identity("acme", Pattern::Silo, None, acme.uid());
        let found = w.inventory().await;
        assert_exactly(&w, &found, &[owned(&id, Column::Silo, true)]);
        assert_tagged(&found, &owned(&id, Column::Silo, true), &id);
        assert_eq!(found[&format!("bucket {}", id.name(Layer::Bucket))]["costCenter"], "42");

        assert_own_knowledge_base(&w, &acme, &id).await;
        assert_eq!(acme.status.bucket, Some(id.name(Layer::Bucket)));
        assert_eq!(acme.status.prefix.as_deref(), Some("documents/"));
        assert_eq!(acme.status.region.as_deref(), Some("us-east-1"));
        let key =
            w.sdk.kms.describe_key().key_id(acme.status.kms_key_arn.as_ref().unwrap()).send().await.unwrap();
        let key = key.key_metadata.unwrap();
        assert_eq!((key.arn, key.enabled), (acme.status.kms_key_arn.clone(), true));
        let bucket = acme.status.bucket.as_ref().unwrap();
        let encryption = w.sdk.s3.get_bucket_encryption().bucket(bucket).send().await.unwrap();
        let rule = encryption.server_side_encryption_configuration.unwrap().rules.remove(0);
        let default = rule.apply_server_side_encryption_by_default.unwrap();
        assert_eq!(default.kms_master_key_id, acme.status.kms_key_arn, "the bucket's key");
    })
    .await;
}

#[tokio::test]
async fn a_bridge_owns_what_answers_and_borrows_what_stores() {
    world(|w| async move {
        w.apply(
            "
            {kind: SharedStack, metadata: {name: standard}, spec: {}}
            ---
            kind: Tenant
            metadata: {name: acme}
            spec: {tenantId: acme, pattern: Bridge, stackRef: {name: standard}}",
        )
        .await;
        let (acme, stack) = (w.ready("acme").await, w.ready("SharedStack/standard").await);
        let id = w.tenant_identity("acme", Pattern::Bridge, Some("standard"), acme.uid());
        let lender = w.stack_identity("standard", stack.uid());
        let (own, lent) = (owned(&id, Column::Bridge, false), owned(&lender, Column::SharedStack, false));
        let found = w.inventory().await;
        assert_exactly(&w, &found, &[own.clone(), lent.clone()]);
        assert_tagged(&found, &own, &id);
        assert_tagged(&found, &lent, &lender);

        assert_own_knowledge_base(&w, &acme, &id).await;
        assert_eq!(acme.status.bucket, Some(lender.name(Layer::Bucket)));
        assert_eq!(acme.status.prefix.as_deref(), Some("bridge/acme/"));
        assert_eq!(acme.status.store_arn, stack.status.store_arn);
        assert!(acme.status.retrieval_filter.is_none(), "its knowledge base is its own");
        assert!(stack.status.knowledge_base_id.is_none() && stack.status.prefix.is_none(), "it has no pool");
    })
    .await;
}

#[tokio::test]
async fn a_pool_tenant_owns_nothing() {
    world(|w| async move {
        w.apply(
            "
            {kind: SharedStack, metadata: {name: standard}, spec: {pool: {tenantIdKey: customer}}}
            ---
            kind: Tenant
            metadata: {name: acme}
            spec: {tenantId: acme, pattern: Pool, stackRef: {name: standard}}",
        )
        .await;
        let (acme, stack) = (w.ready("acme").await, w.ready("SharedStack/standard").await);
        let lender = w.stack_identity("standard", stack.uid());
        let lent = owned(&lender, Column::SharedStackWithPool, false);
        let found = w.inventory().await;
        assert_exactly(&w, &found, std::slice::from_ref(&lent));
        assert_tagged(&found, &lent, &lender);

        assert_own_knowledge_base(&w, &stack, &lender).await;
        let shared = |status: &tenantry::api::Status| {
            (
                status.knowledge_base_id.clone(),
                status.index_name.clone(),
                status.bucket.clone(),
                status.role_arn.clone(),
            )
        };
        assert_eq!(shared(&acme.status), shared(&stack.status));
        assert_eq!(acme.status.prefix.as_deref(), Some("pool/acme/"));
        let filter = acme.status.retrieval_filter.unwrap().equals;
        assert_eq!((filter.key.as_str(), filter.value.as_str()), ("customer", "acme"));
    })
    .await;
}

/// The account holds these, the operator's own grant, and nothing else; no object is in any bucket.
fn assert_exactly(w: &World, found: &Inventory, expected: &[BTreeSet<String>]) {
    let mut expected: BTreeSet<String> = expected.iter().flatten().cloned().collect();
    expected.insert(w.grant());
    assert_eq!(inventory::names(found), expected);
}

/// All that can be tagged says whose it is. An alias, an index and a data source cannot: each belongs to something
/// that can.
fn assert_tagged(found: &Inventory, names: &BTreeSet<String>, id: &Identity) {
    let untaggable = ["alias ", "index ", "data source "];
    for name in names.iter().filter(|name| !untaggable.iter().any(|kind| name.starts_with(kind))) {
        for (tag, value) in id.tags() {
            assert_eq!(found[name].get(&tag), Some(&value), "the tag {tag} of {name}");
        }
    }
}

/// The knowledge base, data source, role and index that a status names are in AWS, and are one another's.
async fn assert_own_knowledge_base(w: &World, object: &Object, id: &Identity) {
    let status = object.status.clone();
    let (kb, source) = (status.knowledge_base_id.unwrap(), status.data_source_id.unwrap());
    let found = w.sdk.bedrock.get_knowledge_base().knowledge_base_id(&kb).send().await.unwrap();
    let found = found.knowledge_base.unwrap();
    assert_eq!(found.name, id.name(Layer::KnowledgeBase));
    assert_eq!(Some(found.knowledge_base_arn), status.knowledge_base_arn);
    assert_eq!(Some(&found.role_arn), status.role_arn.as_ref());
    let store = found.storage_configuration.unwrap().opensearch_serverless_configuration.unwrap();
    assert_eq!(
        (Some(store.collection_arn), Some(store.vector_index_name)),
        (status.store_arn, status.index_name)
    );

    let request = w.sdk.bedrock.get_data_source().knowledge_base_id(&kb).data_source_id(&source);
    let source = request.send().await.unwrap().data_source.unwrap();
    let s3 = source.data_source_configuration.unwrap().s3_configuration.unwrap();
    assert_eq!(s3.bucket_arn, format!("arn:aws:s3:::{}", status.bucket.unwrap()));
    assert_eq!(s3.inclusion_prefixes, Some(vec![status.prefix.unwrap()]));

    let role = w.sdk.iam.get_role().role_name(id.name(Layer::Role)).send().await.unwrap().role.unwrap();
    assert_eq!((role.arn, role.path), (found.role_arn, "/tenantry/e2e/".into()));
}
