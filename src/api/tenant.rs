//! The kind `Tenant`: how isolated one customer's stack must be.

use std::fmt;

use kube::core::Rule;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::placement::{placed, stack_is_named};
use super::rules::{
    ANOTHER_STACK, SECOND_TENANT, class_says, fixed, fixed_as_it_is, rule, unchanging, while_placed,
};
use super::tags::{self, Tags};
use super::{
    Answers, ClassRef, Collection, DataDeletionPolicy, Documents, Encryption, Index, Ingestion,
    KnowledgeBase, Pattern, StackRef, Status, VectorStore, index, knowledge_base, models, vector_store,
};

/// What a tenant's stack must be: how isolated, of what shape, and what survives its deletion.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "tenantry.dev",
    version = "v1alpha1",
    kind = "Tenant",
    plural = "tenants",
    namespaced,
    category = "tenantry",
    status = "Status",
    derive = "PartialEq",
    doc = "A tenant: one customer's retrieval-augmented-generation stack on Amazon Bedrock Knowledge Bases, as isolated as its pattern says. The operator builds in AWS what the tenant owns, borrows the rest from a SharedStack, and reports in the status what a client needs to ask questions.",
    validation = (
        "self.metadata.name.size() <= 63",
        "the name of a Tenant must have no more than 63 characters: it ends up in tags and policies in AWS",
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Pattern", type_ = "string", json_path = ".status.placement.pattern"),
    printcolumn(name = "Class", type_ = "string", json_path = ".status.class"),
    printcolumn(name = "Knowledge Base", type_ = "string", json_path = ".status.knowledgeBaseId"),
    printcolumn(name = "Index", type_ = "string", json_path = ".status.indexName"),
    printcolumn(name = "Last Sync", type_ = "date", json_path = ".status.ingestion.finishedTime"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Tenant Id", type_ = "string", json_path = ".spec.tenantId", priority = 1),
    printcolumn(name = "Bucket", type_ = "string", json_path = ".status.bucket", priority = 1),
    printcolumn(name = "Prefix", type_ = "string", json_path = ".status.prefix", priority = 1),
    printcolumn(name = "Store", type_ = "string", json_path = ".status.vectorStore", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#, priority = 1),
)]
#[serde(rename_all = "camelCase")]
// The feature table: who may set what. `placement.rs` has the messages.
#[x_kube(validation = stack_is_named())]
#[x_kube(validation = placed("stackRef"))]
#[x_kube(validation = placed("encryption"))]
#[x_kube(validation = placed("documents"))]
#[x_kube(validation = placed("vectorStore"))]
#[x_kube(validation = placed("collection"))]
#[x_kube(validation = placed("knowledgeBase"))]
#[x_kube(validation = placed("index"))]
#[x_kube(validation = placed("ingestion"))]
#[x_kube(validation = placed("dataDeletionPolicy"))]
#[x_kube(validation = placed("tags"))]
// What one vector store has and another lacks.
#[x_kube(validation = vector_store::no_collection())]
#[x_kube(validation = vector_store::lacks(&vector_store::GRAPH))]
#[x_kube(validation = vector_store::lacks(&vector_store::INNER_PRODUCT))]
#[x_kube(validation = vector_store::lacks(&vector_store::COSINE))]
#[x_kube(validation = vector_store::lacks(&vector_store::LISTS))]
#[x_kube(validation = vector_store::lacks(&vector_store::LARGE_PARENTS))]
// Who says where it is: the Tenant, all of it, or its class.
#[x_kube(validation = is_placed())]
#[x_kube(validation = class_says("stackRef"))]
#[x_kube(validation = class_says("vectorStore"))]
#[x_kube(validation = class_says("encryption"))]
#[x_kube(validation = class_says("knowledgeBase"))]
#[x_kube(validation = class_says("index"))]
#[x_kube(validation = class_says("collection.standbyReplicas"))]
// What is decided at creation, and the way to migrate. Between a pattern of its own and its class's the operator compares.
#[x_kube(validation = unchanging("tenantId", SECOND_TENANT))]
#[x_kube(validation = while_placed(unchanging("pattern", SECOND_TENANT)))]
#[x_kube(validation = while_placed(fixed_as_it_is("stackRef", ANOTHER_STACK)))]
#[x_kube(validation = while_placed(fixed("encryption.key", "'AWSOwned'", SECOND_TENANT)))]
#[x_kube(validation = while_placed(fixed_as_it_is("encryption.kmsKeyArn", SECOND_TENANT)))]
#[x_kube(validation = while_placed(fixed("vectorStore", "'OpenSearchServerless'", SECOND_TENANT)))]
#[x_kube(validation = while_placed(fixed("collection.standbyReplicas", "'Enabled'", SECOND_TENANT)))]
#[x_kube(validation = while_placed(models::model_stays(SECOND_TENANT)))]
#[x_kube(validation = while_placed(models::dimensions_stay(SECOND_TENANT)))]
#[x_kube(validation = while_placed(knowledge_base::chunking_stays(SECOND_TENANT)))]
#[x_kube(validation = while_placed(vector_store::distance_stays(SECOND_TENANT)))]
#[x_kube(validation = while_placed(fixed("index.hnsw.m", "16", SECOND_TENANT)))]
#[x_kube(validation = while_placed(fixed("index.hnsw.efConstruction", "512", SECOND_TENANT)))]
#[x_kube(validation = while_placed(fixed("index.hnsw.efSearch", "512", SECOND_TENANT)))]
#[x_kube(validation = while_placed(index::attributes_only_grow_but_lists(SECOND_TENANT)))]
pub struct TenantSpec {
    /// The tenant's identity in AWS, unique in an installation: it ends up in names, policies, prefixes and
    /// query filters. Lower-case letters, digits and single hyphens. Of two Tenants that ask for the same one,
    /// the older gets it and the other waits with the reason TenantIdTaken. Cannot be changed.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]+(-[a-z0-9]+)*$"))]
    pub tenant_id: String,

    /// The TenantClass that the tenant is of: its tier. The class may say where the tenant is, fills in what is left out
    /// here, and bounds it. It may be changed: at once where nothing has to be rebuilt; where the tenant would have to move,
    /// the change is refused with the reason Immutable, and all goes on as it was. Default: no class, and no limits but those of the AWS
    /// account; where the operator requires a class, it must be set.
    pub class_ref: Option<ClassRef>,

    /// How isolated the tenant is. 'Silo' owns everything: key, bucket, vector store, index, role and knowledge
    /// base. 'Bridge' owns index, role and knowledge base in a SharedStack's vector store and bucket. 'Pool' owns
    /// nothing: its documents are told from others' by a filter that every query must carry. Required unless the
    /// TenantClass of `classRef` places its tenants; then it must not be set, nor must `stackRef`, `vectorStore`, `encryption`,
    /// `knowledgeBase`, `index` and `collection.standbyReplicas`. Cannot be changed.
    pub pattern: Option<Pattern>,

    /// The SharedStack that lends what the tenant does not own. Required for Bridge and Pool, forbidden for
    /// Silo. Cannot be changed.
    pub stack_ref: Option<StackRef>,

    /// How documents become vectors. Silo and Bridge; a Pool tenant shares its SharedStack's
    /// `pool.knowledgeBase`. Default: each field's own.
    pub knowledge_base: Option<KnowledgeBase>,

    /// How vectors are found. Silo and Bridge; a Pool tenant shares its SharedStack's `pool.index`. Default:
    /// each field's own.
    pub index: Option<Index>,

    /// What Bedrock does with the vectors if somebody deletes the data source outside Tenantry: 'Delete' erases
    /// them one by one, 'Retain' leaves them. Silo and Bridge. Default: 'Delete'. What becomes of them when
    /// this Tenant is deleted is decided by `deletionPolicy`.
    pub data_deletion_policy: Option<DataDeletionPolicy>,

    /// When documents are read. Silo and Bridge; a Pool tenant shares its SharedStack's `pool.ingestion`.
    /// Default: when the first arrives, and on request.
    pub ingestion: Option<Ingestion>,

    /// The key that encrypts the tenant's data. Silo; the others share their SharedStack's `encryption`.
    /// Default: key 'AWSOwned'. May be set at creation only.
    pub encryption: Option<Encryption>,

    /// How the tenant's bucket keeps documents. Silo; the others share their SharedStack's `documents`.
    /// Default: each field's own.
    pub documents: Option<Documents>,

    /// Where the tenant's vectors are kept. 'OpenSearchServerless': a collection, billed by the hour, idle or not.
    /// 'S3Vectors': a vector bucket, billed by what is in it and by the question; it finds by meaning alone, not by words.
    /// Silo; the others share their SharedStack's `vectorStore`. Default: 'OpenSearchServerless'. May be set at creation
    /// only.
    pub vector_store: Option<VectorStore>,

    /// How the collection is, if `vectorStore` is 'OpenSearchServerless'. Silo; the others share their SharedStack's
    /// `collection`. Default: each field's own.
    pub collection: Option<Collection>,

    /// Which model answers the tenant's questions. It is for clients to read, here or in the registry, and changes
    /// nothing that Tenantry builds.
    /// Default: clients choose.
    pub answers: Option<Answers>,

    /// Tags of your own on everything in AWS that the tenant owns, for example for cost allocation; 40 at most.
    /// Keys must not begin with 'aws:' or 'tenantry', and must differ in more than case. One that is removed here
    /// stays in AWS. Silo and Bridge; a Pool tenant owns nothing.
    /// Default: none.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    #[schemars(schema_with = "tags::schema")]
    #[x_kube(validation = tags::keys_are_free())]
    #[x_kube(validation = tags::keys_differ())]
    pub tags: Tags,

    /// What happens in AWS when this Tenant is deleted. 'Retain' leaves everything in place, with a
    /// marker in the bucket that says who left it: it goes on costing money. 'RetainDocuments' keeps the
    /// documents, and a Silo's bucket and key, with the marker, and deletes what answers from them; a Pool tenant's
    /// documents move to 'tenantry/retained/<tenantId>/' in the bucket. 'Delete' deletes everything, documents included,
    /// for good. Both begin some minutes after the Tenant was deleted, and setting 'Retain' meanwhile saves what is left.
    /// Default: 'Retain'. May be changed at any time.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

impl TenantSpec {
    /// Whether it names this SharedStack.
    pub fn borrows_from(&self, stack: &str) -> bool {
        self.stack_ref.as_ref().is_some_and(|reference| reference.name == stack)
    }
}

/// A Tenant that nobody places could not be built.
fn is_placed() -> Rule {
    rule(
        "has(self.pattern) || has(self.classRef)",
        "`pattern` is required, or a `classRef` that names a TenantClass which places its tenants",
    )
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum DeletionPolicy {
    #[default]
    Retain,
    RetainDocuments,
    Delete,
}

impl fmt::Display for DeletionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
