//! What may be changed in a spec is changed in AWS, without anything being made anew.

use aws_sdk_bedrockagent::types::DataDeletionPolicy;
use aws_sdk_s3::types::BucketVersioningStatus;
use serde_json::json;
use tenantry::api::{Layer, Pattern};

use crate::inventory;
use crate::world::world;

#[tokio::test]
async fn a_changed_spec_is_changed_in_aws() {
    world(|w| async move {
        w.apply(
            "
            kind: Tenant
            metadata: {name: acme}
            spec:
              tenantId: acme
              pattern: Silo
              tags: {costCenter: '42'}
              encryption: {key: Create}
              index: {attributes: [{name: year, type: Number}]}",
        )
        .await;
        let before = w.ready("acme").await;
        let things = inventory::names(&w.inventory().await);
        let mark = w.double.mark().await;
        w.patch(
            "acme",
            json!({"spec": {
                "tags": {"costCenter": "43", "team": "red"},
                "documents": {"versioning": "Suspended", "expirationDays": 365},
                "collection": {"network": {"access": "Public"}},
                "index": {"attributes": [{"name": "year", "type": "Number"}, {"name": "author", "type": "String"}]},
                "dataDeletionPolicy": "Retain",
            }}),
        )
        .await;
        let after = w.ready("acme").await;
        let ids = |status: &tenantry::api::Status| {
            (status.knowledge_base_id.clone(), status.data_source_id.clone(), status.store_arn.clone())
        };
        assert_eq!(ids(&after.status), ids(&before.status));

        let id = w.tenant_identity("acme", Pattern::Silo, None, after.uid());
        let found = w.inventory().await;
        assert_eq!(inventory::names(&found), things);
        for (what, layer) in [
            ("key behind", Layer::Key),
            ("bucket", Layer::Bucket),
            ("collection", Layer::VectorStore),
            ("role", Layer::Role),
            ("knowledge base", Layer::KnowledgeBase),
        ] {
            let name = if layer == Layer::Key { "alias/".to_string() } else { String::new() } + &id.name(layer);
            let tags = &found[&format!("{what} {name}")];
            for (tag, value) in
                [("costCenter", "43"), ("team", "red"), ("tenantry.dev/owner-uid", after.uid())]
            {
                assert_eq!(tags.get(tag).map(String::as_str), Some(value), "{what}: {tag}");
            }
        }
        let bucket = after.status.bucket.unwrap();
        let versioning = w.sdk.s3.get_bucket_versioning().bucket(&bucket).send().await.unwrap().status;
        assert_eq!(versioning, Some(BucketVersioningStatus::Suspended));
        let lifecycle = w.sdk.s3.get_bucket_lifecycle_configuration().bucket(&bucket).send().await.unwrap();
        let days = lifecycle.rules().iter().filter_map(|rule| Some((rule.id()?, rule.expiration()?.days()?)));
        assert_eq!(days.collect::<Vec<_>>(), [("documents", 365), ("tenantry/quarantine", 365)]);
        let collection = id.name(Layer::VectorStore);
        let network = w.sdk.aoss.get_security_policy().r#type("network".into()).name(&collection).send().await;
        let network = format!("{:?}", network.unwrap().security_policy_detail.unwrap().policy.unwrap());
        assert!(network.contains("\"AllowFromPublic\": Bool(true)"), "{network}");
        let (_, collection_id) = after.status.store_arn.as_deref().unwrap().rsplit_once('/').unwrap();
        let index = w.sdk.aoss.get_index().id(collection_id).index_name(id.name(Layer::Index)).send().await.unwrap();
        let schema = format!("{:?}", index.index_schema.unwrap());
        assert!(schema.contains("\"author\"") && schema.contains("\"year\""), "{schema}");
        let (knowledge_base, source) = (after.status.knowledge_base_id.unwrap(), after.status.data_source_id.unwrap());
        let source = w.sdk.bedrock.get_data_source().knowledge_base_id(knowledge_base).data_source_id(source);
        let source = source.send().await.unwrap().data_source.unwrap();
        assert_eq!(source.data_deletion_policy, Some(DataDeletionPolicy::Retain));

        let made = w.double.journal(mark).await.mutating().only(|call| {
            call.operation.starts_with("Create") || call.operation.starts_with("Delete")
        });
        assert!(made.is_empty(), "nothing is made or taken apart:\n{made}");
    })
    .await;
}

/// `Ready` is what people are woken by.
#[tokio::test]
async fn what_answers_is_not_unready_while_its_spec_is_changed() {
    world(|w| async move {
        w.apply(
            "{kind: Tenant, metadata: {name: acme},
              spec: {tenantId: acme, pattern: Silo, encryption: {key: Create}, tags: {team: red}}}",
        )
        .await;
        let before = w.ready("acme").await;
        let witness = w.witness();
        w.patch(
            "acme",
            json!({"spec": {
                "tags": {"team": "blue"},
                "documents": {"versioning": "Suspended", "expirationDays": 365},
                "collection": {"network": {"access": "Public"}},
                "index": {"attributes": [{"name": "year", "type": "Number"}]},
                "dataDeletionPolicy": "Retain",
            }}),
        )
        .await;
        let after = w.ready("acme").await;
        let versions = witness.versions(&w, &after).await;
        for version in &versions {
            let ready = version.condition("Ready").unwrap();
            assert_eq!(ready.status, "True", "it answered all the time:\n{}", version.describe());
        }
        assert!(
            versions.iter().any(|it| it.is("Reconciling=True/Updating")),
            "nobody was told of the change"
        );
        let since =
            |object: &crate::objects::Object| object.condition("Ready").unwrap().last_transition_time.clone();
        assert_eq!(since(&after), since(&before));
        let told = w.events("acme").await.into_iter().filter(|(reason, _)| reason == "Ready").count();
        assert_eq!(told, 1, "once it became Ready");
    })
    .await;
}
