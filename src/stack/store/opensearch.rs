//! OpenSearch Serverless as the vector store: the policies of a collection and its indexes, and the schema of an index.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::api::{AttributeType, Distance, GROUP, IndexSettings, NetworkSettings};
use crate::stack::identity::Scope;

/// A collection that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CollectionHandle {
    /// Its ARN.
    pub arn: String,
    /// Where it answers, once it is active.
    pub endpoint: Option<String>,
}

impl CollectionHandle {
    /// One that has this id, and does not answer yet.
    pub(crate) fn named(scope: &Scope, id: &str) -> Self {
        Self { arn: scope.arn("aoss", &format!("collection/{id}")), endpoint: None }
    }

    /// Its id, by which its indexes are made.
    pub fn id(&self) -> Option<&str> {
        self.arn.rsplit_once('/').map(|(_, id)| id)
    }
}

/// How long a collection may take, which AWS says are several minutes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30 * 60);

/// The vector field of every index, as the console's quick create names it.
pub const VECTOR_FIELD: &str = "bedrock-knowledge-base-default-vector";
/// The chunk's text; indexed, so that hybrid search works.
pub const TEXT_FIELD: &str = "AMAZON_BEDROCK_TEXT_CHUNK";
/// Bedrock, as policies name it.
const BEDROCK: &str = "bedrock.amazonaws.com";
/// Whom a private collection lets in: Bedrock, and the control plane's index calls.
const SERVICES: [&str; 2] = [BEDROCK, "aoss.amazonaws.com"];
/// Bedrock's own metadata; stored, not searched.
pub const METADATA_FIELD: &str = "AMAZON_BEDROCK_METADATA";

/// The regions whose control plane has an API for indexes, as AWS lists them.
/// <https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-semantic-enrichment.html>
pub(crate) const INDEX_API_REGIONS: [&str; 11] = [
    "us-east-1",
    "us-east-2",
    "us-west-2",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-northeast-1",
    "eu-central-1",
    "eu-west-1",
    "eu-north-1",
    "eu-south-2",
];

/// What follows where it has none.
pub(crate) const WITHOUT_INDEX_API: &str = "the endpoints of the collections make the indexes: a collection whose network is \
                                            Private needs vpcEndpointIds, and an operator where they lead; or it is Public";

/// The data access policy of one index: its role may read and write vectors there, and nobody else is named.
pub(crate) fn data_access(collection: &str, index: &str, role_arn: &str) -> Value {
    json!([{"Rules": [
        {"ResourceType": "index", "Resource": [format!("index/{collection}/{index}")],
         "Permission": ["aoss:DescribeIndex", "aoss:ReadDocument", "aoss:WriteDocument", "aoss:UpdateIndex"]},
        {"ResourceType": "collection", "Resource": [format!("collection/{collection}")],
         "Permission": ["aoss:DescribeCollectionItems"]},
    ], "Principal": [role_arn]}])
}

/// What a role may do with its vectors, as far as the data access policy lets it: the statement of its own policy.
pub(crate) fn permission(collection_arn: &str) -> Value {
    json!({"Sid": "Vectors", "Effect": "Allow", "Action": "aoss:APIAccessAll", "Resource": collection_arn})
}

/// The operator's own grant: indexes of this installation, no right to any document in them.
pub(crate) fn operator_grant(scope: &Scope, operator_arn: &str) -> Value {
    let indexes = scope.prefixes().map(|prefix| format!("index/{prefix}*/*"));
    json!([{"Rules": [
        {"ResourceType": "index", "Resource": indexes,
         "Permission": ["aoss:CreateIndex", "aoss:DescribeIndex", "aoss:UpdateIndex", "aoss:DeleteIndex"]},
    ], "Principal": [operator_arn]}])
}

/// The encryption policy of one collection. A collection's key can never change.
pub(crate) fn encryption(collection: &str, key_arn: Option<&str>) -> Value {
    let rules = json!([{"ResourceType": "collection", "Resource": [format!("collection/{collection}")]}]);
    match key_arn {
        Some(key) => json!({"Rules": rules, "AWSOwnedKey": false, "KmsARN": key}),
        None => json!({"Rules": rules, "AWSOwnedKey": true}),
    }
}

/// The network policy of one collection. Private lets in Bedrock and the control plane's index calls as services,
/// and the named VPC endpoints; the dashboards stay shut either way.
/// <https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-network.html>
pub(crate) fn network(collection: &str, access: &NetworkSettings) -> Value {
    let rules = json!([{"ResourceType": "collection", "Resource": [format!("collection/{collection}")]}]);
    match access {
        NetworkSettings::Public => json!([{"Rules": rules, "AllowFromPublic": true}]),
        NetworkSettings::Private { vpc_endpoint_ids } => {
            let mut policy = json!({"Rules": rules, "AllowFromPublic": false, "SourceServices": SERVICES});
            if !vpc_endpoint_ids.is_empty() {
                policy["SourceVPCEs"] = json!(vpc_endpoint_ids);
            }
            json!([policy])
        }
    }
}

/// Whether a network policy lets Bedrock ask the collection.
pub(crate) fn lets_bedrock_in(policy: &Value) -> bool {
    let parts = policy.as_array().map_or(std::slice::from_ref(policy), Vec::as_slice);
    parts.iter().any(|part| {
        let services = part["SourceServices"].as_array().into_iter().flatten();
        part["AllowFromPublic"] == true || services.into_iter().any(|it| it == BEDROCK)
    })
}

/// The same network policy with no service but Bedrock let in, if it lets in more: AWS documents each service alone, and none
/// that would make indexes where it has no API for them.
/// <https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-semantic-enrichment.html>
pub(crate) fn with_bedrock_alone(policy: &Value) -> Option<Value> {
    with_services(policy, &SERVICES, &SERVICES[..1])
}

/// The same network policy with all services let in, if it lets in Bedrock alone.
pub(crate) fn with_all_services(policy: &Value) -> Option<Value> {
    with_services(policy, &SERVICES[..1], &SERVICES)
}

fn with_services(policy: &Value, found: &[&str], wanted: &[&str]) -> Option<Value> {
    let mut policy = policy.clone();
    let services = policy.pointer_mut("/0/SourceServices").filter(|it| **it == json!(found))?;
    *services = json!(wanted);
    Some(policy)
}

/// The index's settings and mappings. FAISS is the only engine that Bedrock takes; what is not declared here is
/// mapped dynamically. A pool's schema declares its tenant key, as text with a keyword beside it, and switches date
/// detection off: a tenantId such as `2024-01-01` must stay a string.
pub(crate) fn index_schema(dimensions: i32, settings: &IndexSettings, tenant_id_key: Option<&str>) -> Value {
    let space = space_type(settings.distance);
    let hnsw = &settings.hnsw;
    let text = || json!({"type": "text", "fields": {"keyword": {"type": "keyword"}}});
    let mut properties = serde_json::Map::new();
    properties.insert(
        VECTOR_FIELD.into(),
        json!({"type": "knn_vector", "dimension": dimensions, "method": {
            "name": "hnsw", "engine": "faiss", "space_type": space,
            "parameters": {"ef_construction": hnsw.ef_construction, "m": hnsw.m}}}),
    );
    properties.insert(TEXT_FIELD.into(), json!({"type": "text", "index": true}));
    properties.insert(METADATA_FIELD.into(), json!({"type": "text", "index": false}));
    for attribute in &settings.attributes {
        let mapping = match attribute.type_ {
            AttributeType::String | AttributeType::StringList => text(),
            AttributeType::Number => json!({"type": "double"}),
            AttributeType::Boolean => json!({"type": "boolean"}),
        };
        properties.insert(attribute.name.clone(), mapping);
    }
    let mut mappings = json!({"properties": properties});
    if let Some(key) = tenant_id_key {
        mappings["properties"][key] = text();
        mappings["date_detection"] = json!(false);
    }
    json!({
        "settings": {"index": {"knn": true, "knn.algo_param.ef_search": hnsw.ef_search}},
        "mappings": mappings,
    })
}

/// What a distance is called there.
pub(crate) fn space_type(distance: Distance) -> &'static str {
    match distance {
        Distance::Euclidean => "l2",
        Distance::InnerProduct => "innerproduct",
    }
}

/// The tag of a role whose index only the collection's endpoint would make, and so may be the only one to see.
pub(crate) fn index_by_endpoint() -> BTreeMap<String, String> {
    BTreeMap::from([(format!("{GROUP}/index"), "endpoint".into())])
}

#[cfg(test)]
mod tests {
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

    use super::*;
    use crate::api::{Attribute, HnswSettings};

    const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/k";

    fn scope() -> Scope {
        Scope::new("prod", "123456789012", "eu-central-1")
    }

    fn schema_of(distance: Distance, attributes: &[(&str, AttributeType)], key: Option<&str>) -> Value {
        let attributes =
            attributes.iter().map(|(name, type_)| Attribute { name: (*name).into(), type_: *type_ });
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
}
