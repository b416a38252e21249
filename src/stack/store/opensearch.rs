//! OpenSearch Serverless as the vector store: the policies of a collection and its indexes, and the schema of an index.

pub mod collection;
mod policy;

pub use self::policy::PolicyFacts;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::capacity::Capacity;
use super::features::{Features, StoreCounts};
use crate::api::{AttributeType, Distance, GROUP, IndexSettings, Layer, NetworkSettings};
use crate::stack::iam::operation::aoss;
use crate::stack::identity::Scope;
use crate::stack::quota::{Quota, STALLS};

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

/// What differs from other stores.
pub(crate) const FEATURES: Features = Features {
    words: "collection",
    title: "Collection",
    // The index's data access policy is the role's, and must stand before the index is made.
    index_needs: &[Layer::VectorStore, Layer::Role],
    create_index: aoss::CreateIndex,
    create_data_access: Some(aoss::CreateAccessPolicy),
    declares: true,
    index_has_tags: false,
    takes_indexes_along: true,
    bills_vectors: false,
    made_at_once: false,
    finds_words: true,
    no_operators: &[],
    metadata: None,
    decrypts: None,
    key_statement: None,
    quotas,
};

/// AWS's limits, which are those of a new account.
fn quotas(counts: &StoreCounts, capacities: &BTreeSet<Capacity>) -> Vec<Quota> {
    const SOURCE: &str = "https://docs.aws.amazon.com/general/latest/gr/opensearch-service.html";
    const WAIT: &str = "collections wait: raise the account's maximum, up to 1,700 each";
    let StoreCounts { stores, roles, .. } = *counts;
    // One unit for indexing and one for search; without copies a half of each.
    let halves: u64 = capacities.iter().map(|it| if it.standby_replicas { 2 } else { 1 }).sum();
    let idle = halves.div_ceil(2);
    vec![
        // Each role has one, and one operator has one grant more.
        Quota::of("data access policies", roles + 1, 500, false, STALLS, SOURCE),
        Quota::of("network policies", stores, 500, false, STALLS, SOURCE),
        Quota::of("encryption policies", stores, 150, false, STALLS, SOURCE),
        Quota::of("indexes in the fullest collection", counts.fullest(), 1_000, false, STALLS, SOURCE),
        Quota::of("OCUs for indexing, and as many for search, while idle", idle, 10, true, WAIT, SOURCE),
    ]
}

/// Why a key that is in several regions encrypts no collection.
pub(crate) const NO_SUCH_KEY: &str = "it is a multi-Region key, which OpenSearch Serverless does not take";

/// How long a collection may take, which AWS says are several minutes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30 * 60);

/// How long a collection takes at the least, as others have measured.
pub(crate) const USUALLY: Duration = Duration::from_secs(60);

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

/// The longest schema of an index that AWS documents, in characters, for CloudFormation; for CreateIndex it documents none.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-opensearchserverless-collectionindex.html>
pub(crate) const SCHEMA: usize = 2_480;

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
    let mut properties = Map::new();
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

/// The mappings of a schema that an index lacks: attributes that were declared after it was made.
pub(crate) fn missing_mappings(schema: &Value, found: &Value) -> Map<String, Value> {
    const PROPERTIES: &str = "/mappings/properties";
    let Some(found) = found.pointer(PROPERTIES).and_then(Value::as_object) else {
        return Map::new();
    };
    let wanted = schema.pointer(PROPERTIES).and_then(Value::as_object).cloned().unwrap_or_default();
    wanted.into_iter().filter(|(field, _)| !found.contains_key(field)).collect()
}

/// What a distance is called there.
pub(crate) fn space_type(distance: Distance) -> &'static str {
    match distance {
        Distance::Euclidean => "l2",
        Distance::InnerProduct => "innerproduct",
        Distance::Cosine => "cosinesimil",
    }
}

/// The tag of a role whose index only the collection's endpoint would make, and so may be the only one to see.
pub(crate) fn index_by_endpoint() -> BTreeMap<String, String> {
    BTreeMap::from([(format!("{GROUP}/index"), "endpoint".into())])
}

#[cfg(test)]
mod tests;
