//! What an unset field means: the description says it, and the operator does it.

use serde_json::json;
use tenantry::api::{
    ChunkingSettings, DataDeletionPolicy, Distance, EncryptionSettings, HnswSettings, IngestionSettings,
    Isolation, NetworkSettings, PoolSpec, SharedStackSpec, Sidecars, StandbyReplicas, StoreSettings,
    TenantSpec, Versioning,
};

use crate::crds::SCHEMAS;

/// What a Tenant's spec says of a field.
fn description(field: &str) -> &'static str {
    let path = std::iter::once("spec").chain(field.split('.'));
    let schema = path.fold(&SCHEMAS["Tenant"], |schema, field| &schema["properties"][field]);
    schema["description"].as_str().unwrap()
}

#[test]
fn every_default_is_described() {
    for (field, default) in [
        ("deletionPolicy", "'Retain'"),
        ("dataDeletionPolicy", "'Delete'"),
        ("encryption", "key 'AWSOwned'"),
        ("documents.versioning", "'Enabled'"),
        ("documents.noncurrentExpirationDays", "30"),
        ("documents.expirationDays", "0"),
        ("collection.standbyReplicas", "'Enabled'"),
        ("collection.network", "'Private', with no VPC endpoints"),
        ("knowledgeBase.embeddingModel", "'amazon.titan-embed-text-v2:0'"),
        ("knowledgeBase.dimensions", "the model's usual size, 1024 for the default model"),
        ("knowledgeBase.chunking", "strategy 'FixedSize' with 300 tokens and an overlap of 20 percent"),
        ("index.distance", "'Euclidean'"),
        ("index.hnsw.m", "16"),
        ("index.hnsw.efConstruction", "512"),
        ("index.hnsw.efSearch", "512"),
        (
            "ingestion.schedule",
            "every hour, at a moment of each knowledge base's own; what is missed is made up for by the next",
        ),
        ("ingestion.timeZone", "'Etc/UTC'"),
        ("ingestion.suspend", "false"),
    ] {
        let text = description(field);
        assert!(text.contains(&format!("Default: {default}.")), "{field}: {text}");
    }
}

#[test]
fn a_silo_that_says_nothing_gets_the_defaults() {
    let spec: TenantSpec = serde_json::from_value(json!({
        "tenantId": "acme", "pattern": "Silo", "ingestion": {"schedule": "0 4 * * *"},
    }))
    .unwrap();
    let Isolation::Silo(silo) = spec.isolation().unwrap() else { panic!("a Silo is a Silo") };
    assert_eq!(silo.encryption, EncryptionSettings::AwsOwned);
    assert_eq!(silo.data_deletion_policy, DataDeletionPolicy::Delete);
    let documents = silo.documents;
    assert_eq!(
        (documents.versioning, documents.noncurrent_expiration_days, documents.expiration_days),
        (Versioning::Enabled, 30, 0)
    );
    let StoreSettings::OpenSearchServerless(collection) = silo.vector_store else {
        panic!("it is the usual one")
    };
    assert_eq!(collection.standby_replicas, StandbyReplicas::Enabled);
    assert_eq!(collection.network, NetworkSettings::Private { vpc_endpoint_ids: Vec::new() });
    let knowledge_base = silo.knowledge_base;
    assert_eq!(knowledge_base.embedding_model, "amazon.titan-embed-text-v2:0");
    assert_eq!((knowledge_base.dimensions, knowledge_base.send_dimensions), (1024, true));
    assert_eq!(
        knowledge_base.chunking,
        ChunkingSettings::FixedSize { max_tokens: 300, overlap_percentage: 20 }
    );
    assert_eq!(silo.index.distance, Distance::Euclidean);
    assert_eq!(silo.index.hnsw, HnswSettings { m: 16, ef_construction: 512, ef_search: 512 });
    let ingestion = silo.ingestion;
    assert_eq!((ingestion.time_zone.as_str(), ingestion.suspend), ("Etc/UTC", false));
}

#[test]
fn a_pool_that_says_nothing_gets_the_defaults() {
    let spec: SharedStackSpec = serde_json::from_value(json!({"pool": {}})).unwrap();
    let pool = spec.shared().unwrap().pool.unwrap();
    assert_eq!((pool.tenant_id_key.as_str(), pool.sidecars), ("tenantId", Sidecars::OperatorOnly));
    let hourly = IngestionSettings { schedule: None, time_zone: "Etc/UTC".into(), suspend: false };
    assert_eq!(pool.ingestion, hourly);
}

/// Stored before a rule existed: the operator refuses it, and says which field.
#[test]
fn what_the_rules_refuse_the_operator_refuses() {
    for (pool, field) in [
        (json!({"knowledgeBase": {"embeddingModel": "acme.embed-v9"}}), "pool.knowledgeBase.dimensions"),
        (json!({"knowledgeBase": {"dimensions": 7}}), "pool.knowledgeBase.dimensions"),
        (
            json!({"knowledgeBase": {"chunking": {"strategy": "FixedSize", "maxTokens": 9}}}),
            "pool.knowledgeBase.chunking",
        ),
        (
            json!({"knowledgeBase": {"chunking": {
                "strategy": "Hierarchical", "parentMaxTokens": 1, "childMaxTokens": 2, "overlapTokens": 1,
            }}}),
            "pool.knowledgeBase.chunking",
        ),
    ] {
        let pool: PoolSpec = serde_json::from_value(pool).unwrap();
        let spec = SharedStackSpec { pool: Some(pool), ..serde_json::from_value(json!({})).unwrap() };
        assert_eq!(spec.shared().unwrap_err().field, field);
    }
}
