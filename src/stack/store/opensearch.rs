//! OpenSearch Serverless as the vector store: the policies of a collection and its indexes, and the schema of an index.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api::{AttributeType, Distance, GROUP, IndexSettings, NetworkSettings};
use crate::stack::identity::Scope;

/// The vector field of every index, as the console's quick create names it.
pub const VECTOR_FIELD: &str = "bedrock-knowledge-base-default-vector";
/// The chunk's text; indexed, so that hybrid search works.
pub const TEXT_FIELD: &str = "AMAZON_BEDROCK_TEXT_CHUNK";
/// Bedrock's own metadata; stored, not searched.
pub const METADATA_FIELD: &str = "AMAZON_BEDROCK_METADATA";

/// The data access policy of one index: its role may read and write vectors there, and nobody else is named.
pub fn data_access(collection: &str, index: &str, role_arn: &str) -> Value {
    json!([{"Rules": [
        {"ResourceType": "index", "Resource": [format!("index/{collection}/{index}")],
         "Permission": ["aoss:DescribeIndex", "aoss:ReadDocument", "aoss:WriteDocument", "aoss:UpdateIndex"]},
        {"ResourceType": "collection", "Resource": [format!("collection/{collection}")],
         "Permission": ["aoss:DescribeCollectionItems"]},
    ], "Principal": [role_arn]}])
}

/// The operator's own grant: indexes of this installation, no right to any document in them.
pub fn operator_grant(scope: &Scope, operator_arn: &str) -> Value {
    let installation = &scope.installation;
    json!([{"Rules": [
        {"ResourceType": "index", "Resource": [format!("index/{installation}-*/*")],
         "Permission": ["aoss:CreateIndex", "aoss:DescribeIndex", "aoss:UpdateIndex", "aoss:DeleteIndex"]},
    ], "Principal": [operator_arn]}])
}

/// The encryption policy of one collection. A collection's key can never change.
pub fn encryption(collection: &str, key_arn: Option<&str>) -> Value {
    let rules = json!([{"ResourceType": "collection", "Resource": [format!("collection/{collection}")]}]);
    match key_arn {
        Some(key) => json!({"Rules": rules, "AWSOwnedKey": false, "KmsARN": key}),
        None => json!({"Rules": rules, "AWSOwnedKey": true}),
    }
}

/// The network policy of one collection. Private lets in Bedrock and the control plane's index calls as services,
/// and the named VPC endpoints; the dashboards stay shut either way.
/// <https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-network.html>
pub fn network(collection: &str, access: &NetworkSettings) -> Value {
    let rules = json!([{"ResourceType": "collection", "Resource": [format!("collection/{collection}")]}]);
    match access {
        NetworkSettings::Public => json!([{"Rules": rules, "AllowFromPublic": true}]),
        NetworkSettings::Private { vpc_endpoint_ids } => {
            let services = ["bedrock.amazonaws.com", "aoss.amazonaws.com"];
            let mut policy = json!({"Rules": rules, "AllowFromPublic": false, "SourceServices": services});
            if !vpc_endpoint_ids.is_empty() {
                policy["SourceVPCEs"] = json!(vpc_endpoint_ids);
            }
            json!([policy])
        }
    }
}

/// The index's settings and mappings. FAISS is the only engine that Bedrock takes; what is not declared here is
/// mapped dynamically. A pool's schema declares its tenant key, as text with a keyword beside it, and switches date
/// detection off: a tenantId such as `2024-01-01` must stay a string.
pub fn index_schema(dimensions: i32, settings: &IndexSettings, tenant_id_key: Option<&str>) -> Value {
    let space = match settings.distance {
        Distance::Euclidean => "l2",
        Distance::InnerProduct => "innerproduct",
    };
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

/// The tag of a role whose index only the collection's endpoint would make, and so may be the only one to see.
pub fn index_by_endpoint() -> BTreeMap<String, String> {
    BTreeMap::from([(format!("{GROUP}/index"), "endpoint".into())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_collection_opens_to_bedrock_and_named_endpoints_only() {
        let private = |ids: &[&str]| {
            let vpc_endpoint_ids = ids.iter().map(|id| id.to_string()).collect();
            network("c", &NetworkSettings::Private { vpc_endpoint_ids })
        };
        let policy = private(&["vpce-1"]);
        assert_eq!(policy[0]["AllowFromPublic"], false);
        assert_eq!(policy[0]["SourceVPCEs"], json!(["vpce-1"]));
        assert!(private(&[])[0].get("SourceVPCEs").is_none());
        assert!(!policy.to_string().contains("dashboard"));
    }
}
