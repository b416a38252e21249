//! Every policy document and the index schema, as pure functions of names: who may do what, and nothing more.
//!
//! Documents are compared as parsed JSON ([`same`]), because AWS gives them back with other white space and order.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::identity::{Identity, Scope};
use super::want::{WantBucket, WantIndex, WantRole};
use crate::api::{AttributeType, Distance, GROUP, Layer, NetworkSettings};

/// The vector field of every index, as the console's quick create names it.
pub const VECTOR_FIELD: &str = "bedrock-knowledge-base-default-vector";
/// The chunk's text; indexed, so that hybrid search works.
pub const TEXT_FIELD: &str = "AMAZON_BEDROCK_TEXT_CHUNK";
/// Bedrock's own metadata; stored, not searched.
pub const METADATA_FIELD: &str = "AMAZON_BEDROCK_METADATA";

/// The folder of all pool documents.
pub const POOL: &str = "pool/";
/// The folder of all that the operator writes for itself.
pub const OPERATORS_OWN: &str = "tenantry/";
/// What a metadata file's name ends with.
pub const SUFFIX: &str = ".metadata.json";

/// Whether two policy documents say the same. IAM and AOSS may answer a one-element list as its element.
pub fn same(a: &Value, b: &Value) -> bool {
    fn unwrapped(value: &Value) -> &Value {
        match value {
            Value::Array(items) if items.len() == 1 => unwrapped(&items[0]),
            other => other,
        }
    }
    match (unwrapped(a), unwrapped(b)) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().all(|x| b.iter().any(|y| same(x, y)))
        }
        (a, b) => a == b,
    }
}

/// Who may assume a knowledge base's role: Bedrock, for one knowledge base, or, as long as it has no id, for any of
/// this account and region. Naming it is also AWS's own record that its index may hold vectors.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/kb-permissions.html>
pub fn trust(scope: &Scope, knowledge_base_arn: Option<&str>) -> Value {
    let any = scope.arn("bedrock", "knowledge-base/*");
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"Service": "bedrock.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {
            "StringEquals": {"aws:SourceAccount": scope.account},
            "ArnLike": {"aws:SourceArn": knowledge_base_arn.unwrap_or(&any)},
        },
    }]})
}

/// The one knowledge base that a trust policy names; `None` where it names any.
pub fn trusted(trust: &Value) -> Option<&str> {
    let statement = trust.pointer("/Statement/0").or_else(|| trust.pointer("/Statement"))?;
    let arn = statement.pointer("/Condition/ArnLike/aws:SourceArn")?;
    let arn = arn.as_str().or_else(|| arn.pointer("/0")?.as_str())?;
    (!arn.ends_with('*')).then_some(arn)
}

/// What a knowledge base's role may do: exactly its model, its prefix, its collection and its key.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/kb-permissions.html>
pub fn permissions(scope: &Scope, want: &WantRole, collection_arn: &str) -> Value {
    let Scope { account, region, partition, .. } = scope;
    let bucket = &want.bucket;
    let prefix = &want.prefix;
    let in_account = json!({"aws:ResourceAccount": account});
    let mut statements = vec![
        json!({"Sid": "Embed", "Effect": "Allow", "Action": "bedrock:InvokeModel", "Resource": want.embedding_model_arn}),
        // The slash at the prefix's end matters: without it `bridge/1` would open `bridge/10/…` too.
        json!({"Sid": "List", "Effect": "Allow", "Action": "s3:ListBucket",
            "Resource": format!("arn:{partition}:s3:::{bucket}"),
            "Condition": {"StringEquals": in_account, "StringLike": {"s3:prefix": [prefix, format!("{prefix}*")]}}}),
        json!({"Sid": "Read", "Effect": "Allow", "Action": "s3:GetObject",
            "Resource": format!("arn:{partition}:s3:::{bucket}/{prefix}*"),
            "Condition": {"StringEquals": in_account}}),
        json!({"Sid": "Vectors", "Effect": "Allow", "Action": "aoss:APIAccessAll", "Resource": collection_arn}),
    ];
    if let Some(key) = &want.key_arn {
        statements.push(
            json!({"Sid": "DecryptDocuments", "Effect": "Allow", "Action": "kms:Decrypt", "Resource": key,
            "Condition": {"StringEquals": {"kms:ViaService": format!("s3.{region}.amazonaws.com")}}}),
        );
        statements.push(json!({"Sid": "TransientData", "Effect": "Allow",
            "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": key}));
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// The data access policy of one index: its role may read and write vectors there, and nobody else is named.
pub fn data_access(want: &WantRole, role_arn: &str) -> Value {
    json!([{"Rules": [
        {"ResourceType": "index", "Resource": [format!("index/{}/{}", want.collection, want.index)],
         "Permission": ["aoss:DescribeIndex", "aoss:ReadDocument", "aoss:WriteDocument", "aoss:UpdateIndex"]},
        {"ResourceType": "collection", "Resource": [format!("collection/{}", want.collection)],
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

/// The bucket's policy: nothing travels without TLS, and where nobody else may say whose a pool's document is, nobody else
/// may write the file that does.
pub fn bucket(scope: &Scope, want: &WantBucket) -> Value {
    let arn = format!("arn:{}:s3:::{}", scope.partition, want.name);
    let mut statements = vec![json!({
        "Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": [arn, format!("{arn}/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    })];
    if let Some(operator) = &want.only_writer_of_sidecars {
        statements.push(json!({
            "Sid": "SidecarsByOperatorOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
            "Resource": format!("{arn}/{POOL}*{SUFFIX}"),
            "Condition": {"ArnNotEquals": {"aws:PrincipalArn": operator}},
        }));
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// A created key's policy: the account's own IAM policies decide, as AWS's default key policy has it.
pub fn key(scope: &Scope) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "AccountDecides", "Effect": "Allow",
        "Principal": {"AWS": format!("arn:{}:iam::{}:root", scope.partition, scope.account)},
        "Action": "kms:*", "Resource": "*",
    }]})
}

/// The index's settings and mappings. FAISS is the only engine that Bedrock takes; what is not declared here is
/// mapped dynamically. A pool's schema declares its tenant key, as text with a keyword beside it, and switches date
/// detection off: a tenantId such as `2024-01-01` must stay a string.
pub fn index_schema(want: &WantIndex) -> Value {
    let space = match want.settings.distance {
        Distance::Euclidean => "l2",
        Distance::InnerProduct => "innerproduct",
    };
    let hnsw = &want.settings.hnsw;
    let text = || json!({"type": "text", "fields": {"keyword": {"type": "keyword"}}});
    let mut properties = serde_json::Map::new();
    properties.insert(
        VECTOR_FIELD.into(),
        json!({"type": "knn_vector", "dimension": want.dimensions, "method": {
            "name": "hnsw", "engine": "faiss", "space_type": space,
            "parameters": {"ef_construction": hnsw.ef_construction, "m": hnsw.m}}}),
    );
    properties.insert(TEXT_FIELD.into(), json!({"type": "text", "index": true}));
    properties.insert(METADATA_FIELD.into(), json!({"type": "text", "index": false}));
    for attribute in &want.settings.attributes {
        let mapping = match attribute.type_ {
            AttributeType::String | AttributeType::StringList => text(),
            AttributeType::Number => json!({"type": "double"}),
            AttributeType::Boolean => json!({"type": "boolean"}),
        };
        properties.insert(attribute.name.clone(), mapping);
    }
    let mut mappings = json!({"properties": properties});
    if let Some(key) = &want.tenant_id_key {
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

/// Where a stack's owner leaves word of what it retained. A SharedStack's marker lies beside the folder of the
/// tenants', where no tenantId can have its name.
pub fn marker_key(identity: &Identity) -> String {
    match identity.tenant_id() {
        Some(tenant_id) => format!("{MARKERS}{tenant_id}.json"),
        None => "tenantry/retained-stack.json".into(),
    }
}

/// The folder of all markers in a bucket.
pub const MARKERS: &str = "tenantry/retained/";

/// Where the owner of a data source writes what its last job was started for.
pub fn ledger_key(owner: &Identity) -> String {
    format!("tenantry/ledger/{}", owner.name(Layer::KnowledgeBase))
}

/// Where a Pool tenant's documents lie once it has retained them: beside its marker, and in no data source.
pub fn retained_prefix(tenant_id: &str) -> String {
    format!("{MARKERS}{tenant_id}/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_compared_by_what_they_say() {
        assert!(same(&json!({"a": ["x", "y"], "b": "z"}), &json!({"b": ["z"], "a": ["y", "x"]})));
        assert!(!same(&json!({"a": ["x", "y"]}), &json!({"a": ["x"]})));
        assert!(!same(&json!({"a": 1}), &json!({"a": 1, "b": 2})));
    }

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
