//! The kind `SharedStack`: what an administrator lends to tenants.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::rules::{SECOND_STACK, fixed, fixed_as_it_is, rule, unchanging};
use super::tags::{self, Tags};
use super::{
    Collection, DeletionPolicy, Documents, Encryption, Index, Ingestion, KnowledgeBase, NamespaceSelector,
    Sidecars, Status, VectorStore, index, knowledge_base, models, vector_store,
};

/// What the stack is, whom it serves, and what survives its deletion.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "tenantry.dev",
    version = "v1alpha1",
    kind = "SharedStack",
    plural = "sharedstacks",
    category = "tenantry",
    status = "Status",
    derive = "PartialEq",
    doc = "What several tenants share: a bucket, a vector store and a key for tenants of the Bridge pattern, and, with a pool, also the index, role and knowledge base for tenants of the Pool pattern. An administrator's object; tenants name it in their `stackRef`.",
    validation = (
        "self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]+(-[a-z0-9]+)*$')",
        "the name of a SharedStack must have no more than 63 characters: lower-case letters, digits and single hyphens, because it ends up in names and tags in AWS",
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Knowledge Base", type_ = "string", json_path = ".status.knowledgeBaseId"),
    printcolumn(name = "Index", type_ = "string", json_path = ".status.indexName"),
    printcolumn(name = "Last Sync", type_ = "date", json_path = ".status.ingestion.finishedTime"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Bucket", type_ = "string", json_path = ".status.bucket", priority = 1),
    printcolumn(name = "Store", type_ = "string", json_path = ".status.vectorStore", priority = 1),
    printcolumn(name = "Store ARN", type_ = "string", json_path = ".status.storeArn", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#, priority = 1),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = fixed("encryption.key", "'AWSOwned'", SECOND_STACK))]
#[x_kube(validation = fixed_as_it_is("encryption.kmsKeyArn", SECOND_STACK))]
#[x_kube(validation = fixed("vectorStore", "'OpenSearchServerless'", SECOND_STACK))]
#[x_kube(validation = fixed("collection.standbyReplicas", "'Enabled'", SECOND_STACK))]
#[x_kube(validation = vector_store::pools_distance_stays(SECOND_STACK))]
#[x_kube(validation = vector_store::no_collection())]
#[x_kube(validation = vector_store::pool_lacks(&vector_store::GRAPH))]
#[x_kube(validation = vector_store::pool_lacks(&vector_store::INNER_PRODUCT))]
#[x_kube(validation = vector_store::pool_lacks(&vector_store::COSINE))]
#[x_kube(validation = vector_store::pool_lacks(&vector_store::LISTS))]
#[x_kube(validation = vector_store::pool_lacks(&vector_store::LARGE_PARENTS))]
#[x_kube(validation = pool_stays())]
pub struct SharedStackSpec {
    /// The namespaces whose Tenants may borrow from this stack. Default: all of them. When it is narrowed
    /// later, those who already borrow stay.
    pub allowed_namespaces: Option<NamespaceSelector>,

    /// The key that encrypts the data of all tenants of this stack. Default: key 'AWSOwned'. May be set at
    /// creation only.
    pub encryption: Option<Encryption>,

    /// How the bucket keeps the documents of all tenants of this stack. Default: each field's own.
    pub documents: Option<Documents>,

    /// Where the vectors of all tenants of this stack are kept. 'OpenSearchServerless': a collection, billed by the hour,
    /// idle or not. 'S3Vectors': a vector bucket, billed by what is in it and by the question; it finds by meaning alone,
    /// not by words. Default: 'OpenSearchServerless'. May be set at creation only.
    pub vector_store: Option<VectorStore>,

    /// How the collection of all tenants of this stack is, if `vectorStore` is 'OpenSearchServerless'. Default: each
    /// field's own.
    pub collection: Option<Collection>,

    /// The index, role and knowledge base that Pool tenants share. Without it the stack serves Bridge tenants
    /// only. May be added later, but not removed.
    pub pool: Option<PoolSpec>,

    /// Tags of your own on everything in AWS that the stack owns, for example for cost allocation; 40 at most.
    /// Keys must not begin with 'aws:' or 'tenantry', and must differ in more than case. One that is removed here
    /// stays in AWS. Default: none.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    #[schemars(schema_with = "tags::schema")]
    #[x_kube(validation = tags::keys_are_free())]
    #[x_kube(validation = tags::keys_differ())]
    pub tags: Tags,

    /// What happens in AWS when this SharedStack is deleted, which waits until the last Tenant that borrows
    /// from it is gone. 'Retain' leaves everything in place, with a marker in the bucket: it goes on
    /// costing money. 'RetainDocuments' keeps the bucket, and its key, and deletes the rest. 'Delete' deletes
    /// everything, documents included, for good. Default: 'Retain'. May be changed at any time.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// What Pool tenants share. Their documents lie in one knowledge base; each carries its tenant's id, and every
/// query must filter by it.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = unchanging("tenantIdKey", SECOND_STACK))]
#[x_kube(validation = models::model_stays(SECOND_STACK))]
#[x_kube(validation = models::dimensions_stay(SECOND_STACK))]
#[x_kube(validation = knowledge_base::chunking_stays(SECOND_STACK))]
#[x_kube(validation = fixed("index.hnsw.m", "16", SECOND_STACK))]
#[x_kube(validation = fixed("index.hnsw.efConstruction", "512", SECOND_STACK))]
#[x_kube(validation = fixed("index.hnsw.efSearch", "512", SECOND_STACK))]
#[x_kube(validation = index::attributes_only_grow(SECOND_STACK))]
#[x_kube(validation = tenant_id_key_is_its_own())]
pub struct PoolSpec {
    /// The metadata key that holds a document's tenant, and the key of the filter that every query must carry.
    /// Letters, digits and underscores, beginning with a letter. Default: 'tenantId'. Cannot be changed.
    #[serde(default = "tenant_id_key")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z][A-Za-z0-9_]*$"))]
    #[x_kube(validation = index::not_reserved("`tenantIdKey`"))]
    pub tenant_id_key: String,

    /// How the documents of all Pool tenants become vectors. Default: each field's own.
    pub knowledge_base: Option<KnowledgeBase>,

    /// How the vectors of all Pool tenants are found. Default: each field's own.
    pub index: Option<Index>,

    /// When the documents of all Pool tenants are read. Default: when the first arrives, and on request.
    pub ingestion: Option<Ingestion>,

    /// Who writes the `.metadata.json` files beside the documents. 'OperatorOnly': the operator alone, and the
    /// bucket's policy refuses everybody else. 'Merge': tenants may bring attributes of their own that
    /// `index.attributes` declares; the operator corrects whose the document is and drops the rest, before each job and
    /// again after it. Default: 'OperatorOnly'.
    #[serde(default)]
    pub sidecars: Sidecars,
}

fn tenant_id_key() -> String {
    "tenantId".to_owned()
}

fn pool_stays() -> kube::core::Rule {
    rule(
        "has(self.pool) || !has(oldSelf.pool)",
        "`pool` may be added but must not be removed: tenants borrow from it; delete the Pool tenants and this \
         SharedStack, or leave the pool empty",
    )
}

fn tenant_id_key_is_its_own() -> kube::core::Rule {
    rule(
        "!has(self.index) || !has(self.index.attributes) || \
         self.index.attributes.all(attribute, attribute.name != self.tenantIdKey)",
        "an attribute must not have the name of `tenantIdKey`: only the operator says whose a document is",
    )
}
