//! What is written to OpenSearch Serverless, byte by byte.

use super::*;
use crate::api::{Attribute, HnswSettings};

#[test]
fn what_lets_bedrock_in_is_told_from_what_does_not() {
    let network = |access| network("c", &access);
    let private = |ids: &[&str]| NetworkSettings::Private {
        vpc_endpoint_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
    };
    for (policy, is_in) in [
        (network(NetworkSettings::Public), true),
        (network(private(&[])), true),
        (network(private(&["vpce-1"])), true),
        (with_bedrock_alone(&network(private(&[]))).unwrap(), true),
        (json!([{"AllowFromPublic": false, "SourceVPCEs": ["vpce-1"]}]), false),
        (json!([{"AllowFromPublic": false, "SourceServices": ["aoss.amazonaws.com"]}]), false),
        (json!([]), false),
        (json!({}), false),
    ] {
        assert_eq!(lets_bedrock_in(&policy), is_in, "{policy}");
    }
    let whole = network(private(&["vpce-1"]));
    assert_eq!(with_all_services(&with_bedrock_alone(&whole).unwrap()), Some(whole.clone()));
    assert_eq!(
        (with_all_services(&whole), with_bedrock_alone(&network(NetworkSettings::Public))),
        (None, None)
    );
}

const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/k";

fn scope() -> Scope {
    Scope::new("prod", "123456789012", "eu-central-1")
}

fn schema_of(distance: Distance, attributes: &[(&str, AttributeType)], key: Option<&str>) -> Value {
    let attributes = attributes.iter().map(|(name, type_)| Attribute { name: (*name).into(), type_: *type_ });
    let hnsw = HnswSettings { m: 16, ef_construction: 512, ef_search: 256 };
    index_schema(1024, &IndexSettings { distance, hnsw, attributes: attributes.collect() }, key)
}

#[test]
fn a_role_reads_and_writes_in_its_index_alone() {
    let expected = json!([{"Rules": [
        {"ResourceType": "index", "Resource": ["index/c/i"],
         "Permission": ["aoss:DescribeIndex", "aoss:ReadDocument", "aoss:WriteDocument", "aoss:UpdateIndex"]},
        {"ResourceType": "collection", "Resource": ["collection/c"],
         "Permission": ["aoss:DescribeCollectionItems"]},
    ], "Principal": ["arn:r"]}]);
    assert_eq!(data_access("c", "i", "arn:r"), expected);
}

#[test]
fn the_operator_makes_indexes_and_reads_none() {
    let expected = json!([{"Rules": [
        {"ResourceType": "index", "Resource": ["index/prod-sa-*/*", "index/prod-ta-*/*"],
         "Permission": ["aoss:CreateIndex", "aoss:DescribeIndex", "aoss:UpdateIndex", "aoss:DeleteIndex"]},
    ], "Principal": ["arn:o"]}]);
    assert_eq!(operator_grant(&scope(), "arn:o"), expected);
}

#[test]
fn a_collection_is_encrypted_with_the_key_that_it_is_given() {
    let rules = json!([{"ResourceType": "collection", "Resource": ["collection/c"]}]);
    assert_eq!(encryption("c", None), json!({"Rules": rules, "AWSOwnedKey": true}));
    let with_key = json!({"Rules": rules, "AWSOwnedKey": false, "KmsARN": KEY});
    assert_eq!(encryption("c", Some(KEY)), with_key);
}

#[test]
fn a_private_collection_opens_to_bedrock_and_named_endpoints_only() {
    let private = |ids: &[&str]| {
        let vpc_endpoint_ids = ids.iter().map(|id| id.to_string()).collect();
        network("c", &NetworkSettings::Private { vpc_endpoint_ids })
    };
    let rules = json!([{"ResourceType": "collection", "Resource": ["collection/c"]}]);
    let services = json!(["bedrock.amazonaws.com", "aoss.amazonaws.com"]);
    let mut expected = json!([{"Rules": rules, "AllowFromPublic": false, "SourceServices": services}]);
    assert_eq!(private(&[]), expected);
    expected[0]["SourceVPCEs"] = json!(["vpce-1", "vpce-2"]);
    assert_eq!(private(&["vpce-1", "vpce-2"]), expected);
    let public = json!([{"Rules": rules, "AllowFromPublic": true}]);
    assert_eq!(network("c", &NetworkSettings::Public), public);
}

#[test]
fn an_index_declares_the_vector_bedrocks_fields_and_the_attributes() {
    let settings = json!({"index": {"knn": true, "knn.algo_param.ef_search": 256}});
    let mut properties = json!({
        "bedrock-knowledge-base-default-vector": {"type": "knn_vector", "dimension": 1024, "method": {
            "name": "hnsw", "engine": "faiss", "space_type": "l2",
            "parameters": {"ef_construction": 512, "m": 16}}},
        "AMAZON_BEDROCK_TEXT_CHUNK": {"type": "text", "index": true},
        "AMAZON_BEDROCK_METADATA": {"type": "text", "index": false},
    });
    let bare = json!({"settings": settings, "mappings": {"properties": properties}});
    assert_eq!(schema_of(Distance::Euclidean, &[], None), bare);
    let text = json!({"type": "text", "fields": {"keyword": {"type": "keyword"}}});
    properties["bedrock-knowledge-base-default-vector"]["method"]["space_type"] = json!("innerproduct");
    properties["s"] = text.clone();
    properties["l"] = text.clone();
    properties["n"] = json!({"type": "double"});
    properties["b"] = json!({"type": "boolean"});
    let attributes = [
        ("s", AttributeType::String),
        ("l", AttributeType::StringList),
        ("n", AttributeType::Number),
        ("b", AttributeType::Boolean),
    ];
    let declared = json!({"settings": settings, "mappings": {"properties": properties}});
    assert_eq!(schema_of(Distance::InnerProduct, &attributes, None), declared);
    properties["tenantId"] = text;
    let mappings = json!({"properties": properties, "date_detection": false});
    let pool = json!({"settings": settings, "mappings": mappings});
    assert_eq!(schema_of(Distance::InnerProduct, &attributes, Some("tenantId")), pool);
    // Whatever an attribute of the same name says, a tenant's key is text.
    let clash = schema_of(Distance::InnerProduct, &[("n", AttributeType::Number)], Some("n"));
    assert_eq!(clash["mappings"]["properties"]["n"]["type"], "text");
}

#[test]
fn a_collections_id_is_the_end_of_its_arn() {
    let id = |arn: &str| CollectionHandle { arn: arn.into(), endpoint: None }.id().map(str::to_owned);
    let arn = "arn:aws:aoss:eu-central-1:123456789012:collection/07tjusf2h91cunochc";
    assert_eq!(id(arn).as_deref(), Some("07tjusf2h91cunochc"));
    assert_eq!(id("a/b/c").as_deref(), Some("c"));
    assert_eq!(id("arn:aws:aoss"), None);
}

#[test]
fn a_role_remembers_that_the_endpoint_made_its_index() {
    assert_eq!(json!(index_by_endpoint()), json!({"tenantry.dev/index": "endpoint"}));
}
