//! What other people have in a world's account: things that the operator did not make and must leave alone.

use aws_sdk_bedrockagent::types::{
    KnowledgeBaseConfiguration, KnowledgeBaseStorageType, KnowledgeBaseType,
    OpenSearchServerlessConfiguration, OpenSearchServerlessFieldMapping, StorageConfiguration,
    VectorKnowledgeBaseConfiguration,
};
use aws_sdk_opensearchserverless::types::{AccessPolicyType, CollectionType, SecurityPolicyType};
use aws_smithy_types::Document;
use serde_json::{Value, json};
use tenantry::stack::store::opensearch::{METADATA_FIELD, TEXT_FIELD, VECTOR_FIELD};

use crate::support::aws::{REGION, Role, role_arn};
use crate::support::world::World;

const MODEL: &str = "amazon.titan-embed-text-v2:0";

/// Somebody's collection with an index in it and a role that may use both: enough to make knowledge bases.
pub struct Store {
    collection_arn: String,
    role_arn: String,
    index: String,
}

impl World {
    /// The role that the test's session belongs to.
    pub fn own_role(&self) -> String {
        role_arn(&self.account, Role::of_test().name)
    }

    /// Somebody's role that Bedrock may assume.
    pub async fn others_role(&self, name: &str) -> String {
        let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"Service": "bedrock.amazonaws.com"}}]});
        let create =
            self.sdk.iam.create_role().role_name(name).assume_role_policy_document(trust.to_string());
        let made = create.send().await.unwrap().role.unwrap();
        let all = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
        let put = self.sdk.iam.put_role_policy().role_name(name).policy_name("all");
        put.policy_document(all.to_string()).send().await.unwrap();
        made.arn
    }

    /// Somebody's encryption or network policy for a collection.
    pub async fn others_security_policy(&self, kind: SecurityPolicyType, name: &str, collection: &str) {
        let rules = json!([{"ResourceType": "collection", "Resource": [format!("collection/{collection}")]}]);
        let policy = match kind {
            SecurityPolicyType::Encryption => json!({"Rules": rules, "AWSOwnedKey": true}),
            _ => json!([{"Rules": rules, "AllowFromPublic": true}]),
        };
        let create =
            self.sdk.aoss.create_security_policy().r#type(kind).name(name).policy(policy.to_string());
        create.description("somebody else's").send().await.unwrap();
    }

    /// Somebody's data access policy: these principals may do everything in that collection.
    pub async fn others_access_policy(&self, name: &str, collection: &str, principals: &[&str]) {
        let policy = json!([{"Rules": [
            {"ResourceType": "index", "Resource": [format!("index/{collection}/*")], "Permission": ["aoss:*"]},
            {"ResourceType": "collection", "Resource": [format!("collection/{collection}")], "Permission": ["aoss:*"]},
        ], "Principal": principals}]);
        let create = self.sdk.aoss.create_access_policy().r#type(AccessPolicyType::Data).name(name);
        create.policy(policy.to_string()).description("somebody else's").send().await.unwrap();
    }

    /// Somebody's collection, active at once; its id and ARN.
    pub async fn others_collection(&self, name: &str) -> (String, String) {
        for kind in [SecurityPolicyType::Encryption, SecurityPolicyType::Network] {
            self.others_security_policy(kind, name, name).await;
        }
        self.bare_collection(name).await
    }

    /// The same without its policies.
    pub async fn bare_collection(&self, name: &str) -> (String, String) {
        self.double.settings(json!({"dwell": {"collection_create": 0}})).await;
        let create = self.sdk.aoss.create_collection().name(name).r#type(CollectionType::Vectorsearch);
        let made = create.send().await.unwrap().create_collection_detail.unwrap();
        let (id, arn) = (made.id.unwrap(), made.arn.unwrap());
        let active = || async {
            let found = self.sdk.aoss.batch_get_collection().ids(&id).send().await.unwrap();
            let status = found.collection_details.unwrap_or_default().first()?.status.clone();
            (status?.as_str() == "ACTIVE").then_some(())
        };
        self.eventually("somebody's collection is ACTIVE", active).await;
        self.double.settings(json!({"dwell": {"collection_create": 60}})).await;
        (id, arn)
    }

    /// Somebody's index, of a shape that Bedrock takes. The test's role needs a data access policy for it.
    pub async fn others_index(&self, collection_id: &str, name: &str) {
        let schema = json!({
            "settings": {"index": {"knn": true}},
            "mappings": {"properties": {
                VECTOR_FIELD: {"type": "knn_vector", "dimension": 1024,
                               "method": {"name": "hnsw", "engine": "faiss", "space_type": "l2"}},
                TEXT_FIELD: {"type": "text", "index": true},
                METADATA_FIELD: {"type": "text", "index": false},
            }},
        });
        let create =
            self.sdk.aoss.create_index().id(collection_id).index_name(name).index_schema(document(&schema));
        create.send().await.unwrap();
    }

    /// Somebody's store for knowledge bases.
    pub async fn others_store(&self) -> Store {
        let name = "somebodys-store";
        let role_arn = self.others_role(name).await;
        let (id, collection_arn) = self.others_collection(name).await;
        self.others_access_policy(name, name, &[&role_arn, &self.own_role()]).await;
        self.others_index(&id, name).await;
        Store { collection_arn, role_arn, index: name.into() }
    }

    /// Somebody's knowledge base; its id.
    pub async fn others_knowledge_base(&self, store: &Store, name: &str) -> String {
        let vector = VectorKnowledgeBaseConfiguration::builder()
            .embedding_model_arn(format!("arn:aws:bedrock:{REGION}::foundation-model/{MODEL}"))
            .build()
            .unwrap();
        let configuration = KnowledgeBaseConfiguration::builder()
            .r#type(KnowledgeBaseType::Vector)
            .vector_knowledge_base_configuration(vector)
            .build()
            .unwrap();
        let fields = OpenSearchServerlessFieldMapping::builder()
            .vector_field(VECTOR_FIELD)
            .text_field(TEXT_FIELD)
            .metadata_field(METADATA_FIELD)
            .build()
            .unwrap();
        let serverless = OpenSearchServerlessConfiguration::builder()
            .collection_arn(&store.collection_arn)
            .vector_index_name(&store.index)
            .field_mapping(fields)
            .build()
            .unwrap();
        let storage = StorageConfiguration::builder()
            .r#type(KnowledgeBaseStorageType::OpensearchServerless)
            .opensearch_serverless_configuration(serverless)
            .build()
            .unwrap();
        let make = || async {
            let create = self.sdk.bedrock.create_knowledge_base().name(name).role_arn(&store.role_arn);
            let create = create.knowledge_base_configuration(configuration.clone());
            // Until Bedrock sees the index.
            create.storage_configuration(storage.clone()).send().await.ok()
        };
        let made = self.eventually("somebody has a knowledge base", make).await;
        made.knowledge_base.unwrap().knowledge_base_id
    }
}

/// JSON as the SDK has it.
fn document(value: &Value) -> Document {
    match value {
        Value::Null => Document::Null,
        Value::Bool(it) => Document::Bool(*it),
        Value::Number(it) => match it.as_u64() {
            Some(it) => Document::from(it),
            None => Document::from(it.as_f64().unwrap()),
        },
        Value::String(it) => Document::from(it.as_str()),
        Value::Array(items) => Document::Array(items.iter().map(document).collect()),
        Value::Object(members) => {
            Document::Object(members.iter().map(|(name, it)| (name.clone(), document(it))).collect())
        }
    }
}
