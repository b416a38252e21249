//! What an owner's layers should be: the spec and the names, resolved to plain values that each layer can compare
//! with what AWS answers.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::{
    ChunkingSettings, CollectionSettings, DataDeletionPolicy, DocumentsSettings, EncryptionSettings,
    IndexSettings, Isolation, KnowledgeBaseSettings, Layer, Shared, Sidecars,
};
use crate::stack::identity::{Identity, Scope};
use crate::stack::offer::Offer;
use crate::stack::store::opensearch;

/// The wanted layers of one owner. `None`: borrowed, or nothing to own.
#[derive(Clone, Debug, Default)]
pub struct Want {
    /// A customer key to create.
    pub key: Option<WantKey>,
    /// The bucket.
    pub bucket: Option<WantBucket>,
    /// The collection with its encryption and network policies.
    pub collection: Option<WantCollection>,
    /// The service role with its data access policy.
    pub role: Option<WantRole>,
    /// The vector index.
    pub index: Option<WantIndex>,
    /// The knowledge base with its data source.
    pub knowledge_base: Option<WantKnowledgeBase>,
}

/// A key to be created under its alias.
#[derive(Clone, Debug)]
pub struct WantKey {
    /// The alias without `alias/`.
    pub name: String,
    /// The owner's tags.
    pub tags: BTreeMap<String, String>,
}

/// A bucket and all its settings.
#[derive(Clone, Debug)]
pub struct WantBucket {
    /// The bucket's name.
    pub name: String,
    /// The owner's tags.
    pub tags: BTreeMap<String, String>,
    /// Versioning and expiry.
    pub documents: DocumentsSettings,
    /// The prefixes that carry documents: one lifecycle rule each.
    pub prefixes: Vec<String>,
    /// The key of default encryption; `None` = S3's own.
    pub key_arn: Option<String>,
    /// The role that alone may write a pool's metadata files, by ARN; `None` = whoever may write documents.
    pub only_writer_of_sidecars: Option<String>,
}

/// A collection and its two policies, which carry its name.
#[derive(Clone, Debug)]
pub struct WantCollection {
    /// The collection's name.
    pub name: String,
    /// The owner's tags.
    pub tags: BTreeMap<String, String>,
    /// Replicas and network.
    pub settings: CollectionSettings,
    /// The key; `None` = AWS's own.
    pub key_arn: Option<String>,
}

/// A service role, its inline policy, and the data access policy of its index.
#[derive(Clone, Debug)]
pub struct WantRole {
    /// The role's name.
    pub name: String,
    /// The owner's tags.
    pub tags: BTreeMap<String, String>,
    /// The bucket it may read,
    pub bucket: String,
    /// under this prefix.
    pub prefix: String,
    /// The collection, by name,
    pub collection: String,
    /// and by ARN, once CreateCollection has answered.
    pub collection_arn: Option<String>,
    /// The index it may fill; also the name of the data access policy.
    pub index: String,
    /// The model it may ask for embeddings.
    pub embedding_model_arn: String,
    /// The key of the documents and of Bedrock's transient data.
    pub key_arn: Option<String>,
    /// The knowledge base that may assume it, once it has an ARN.
    pub trusted: Option<String>,
}

/// A vector index.
#[derive(Clone, Debug)]
pub struct WantIndex {
    /// The index's name.
    pub name: String,
    /// The collection's id, once there is one.
    pub collection_id: Option<String>,
    /// The collection's endpoint, once it is active.
    pub collection_endpoint: Option<String>,
    /// The role that fills it.
    pub role: String,
    /// Vector length.
    pub dimensions: i32,
    /// Distance, graph and declared attributes.
    pub settings: IndexSettings,
    /// A pool's tenant key, which must be filterable.
    pub tenant_id_key: Option<String>,
    /// Whether the one that is there must go first.
    pub rebuild: bool,
}

impl WantRole {
    /// The data access policy of its index.
    pub fn data_access(&self, scope: &Scope) -> Value {
        opensearch::data_access(&self.collection, &self.index, &scope.role_arn(&self.name))
    }
}

impl WantIndex {
    /// The index's settings and mappings.
    pub fn schema(&self) -> Value {
        opensearch::index_schema(self.dimensions, &self.settings, self.tenant_id_key.as_deref())
    }
}

/// A knowledge base and its one data source, which carries its name.
#[derive(Clone, Debug)]
pub struct WantKnowledgeBase {
    /// The knowledge base's name.
    pub name: String,
    /// The owner's tags.
    pub tags: BTreeMap<String, String>,
    /// The service role.
    pub role_arn: String,
    /// The embedding model.
    pub embedding_model_arn: String,
    /// Vector length, where the model lets it be chosen.
    pub dimensions: Option<i32>,
    /// How documents are cut.
    pub chunking: ChunkingSettings,
    /// Where vectors go: see [`Store`].
    pub store: Option<Store>,
    /// The bucket, by name,
    pub bucket: String,
    /// and the prefix that is ingested.
    pub prefix: String,
    /// What Bedrock does with vectors if the data source is deleted outside Tenantry.
    pub data_deletion_policy: DataDeletionPolicy,
    /// The key of Bedrock's transient data.
    pub key_arn: Option<String>,
    /// Whether the role still trusts every knowledge base of the account.
    pub narrow_trust: bool,
    /// Whether the data source that is there must go first.
    pub drop_data_source: bool,
}

/// The vector store behind a knowledge base. This enum and the function that writes a storage configuration from it
/// are all that the knowledge-base layer knows of OpenSearch Serverless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// An index in an OpenSearch Serverless collection.
    OpenSearchServerless {
        /// The collection's ARN.
        collection_arn: String,
        /// The index.
        index: String,
    },
}

/// What earlier layers have to lend to later ones, from AWS's answers or from a SharedStack's offer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handles {
    /// The key that encrypts, if there is one.
    pub key_arn: Option<String>,
    /// The collection's id.
    pub collection_id: Option<String>,
    /// The collection's ARN.
    pub collection_arn: Option<String>,
    /// The collection's endpoint.
    pub collection_endpoint: Option<String>,
    /// The knowledge base's ARN.
    pub knowledge_base_arn: Option<String>,
    /// Whether the role trusts one knowledge base only.
    pub trust_is_narrow: bool,
    /// What must be made anew.
    pub rebuild: Rebuild,
}

/// What must be made anew, because what it was made for or with is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rebuild {
    /// Nothing.
    #[default]
    Nothing,
    /// The index: it holds the vectors of a knowledge base that is gone, and a new one would add its own beside them.
    Index,
    /// The data source: its index is gone, and Bedrock believes that everything is in it.
    DataSource,
}

/// What wants are made from.
#[derive(Clone, Copy, Debug)]
pub enum Blueprint<'a> {
    /// A Tenant's spec, parsed.
    Tenant {
        /// What it asks for.
        isolation: &'a Isolation,
        /// The user's tags.
        tags: &'a BTreeMap<String, String>,
    },
    /// A SharedStack's spec, parsed.
    Stack(&'a Shared),
    /// Nothing: it is being taken apart.
    Nothing,
}

impl Blueprint<'_> {
    /// What the owned layers should be, given what earlier layers lend.
    pub fn want(&self, id: &Identity, offer: Option<&Offer>, handles: &Handles) -> Want {
        let handles = match self.existing_key() {
            Some(key) => &Handles { key_arn: Some(key.into()), ..handles.clone() },
            None => handles,
        };
        match self {
            Blueprint::Tenant { isolation, tags } => of_tenant(id, isolation, tags, offer, handles),
            Blueprint::Stack(shared) => of_stack(id, shared, handles),
            Blueprint::Nothing => Want::default(),
        }
    }

    /// The customer's own key, if the spec names one.
    pub fn existing_key(&self) -> Option<&str> {
        let encryption = match self {
            Blueprint::Tenant { isolation: Isolation::Silo(silo), .. } => &silo.encryption,
            Blueprint::Stack(shared) => &shared.encryption,
            Blueprint::Tenant { .. } | Blueprint::Nothing => return None,
        };
        match encryption {
            EncryptionSettings::Existing { kms_key_arn } => Some(kms_key_arn),
            EncryptionSettings::AwsOwned | EncryptionSettings::Create => None,
        }
    }
}

fn of_tenant(
    id: &Identity,
    isolation: &Isolation,
    tags: &BTreeMap<String, String>,
    offer: Option<&Offer>,
    handles: &Handles,
) -> Want {
    match isolation {
        Isolation::Silo(silo) => {
            let base = Base {
                id,
                tags,
                handles,
                bucket: id.name(Layer::Bucket),
                collection: id.name(Layer::Collection),
            };
            let mut want =
                base.storage(&silo.encryption, &silo.documents, &silo.collection, vec![id.prefix()]);
            base.retrieval(&mut want, &silo.knowledge_base, &silo.index, silo.data_deletion_policy, None);
            want
        }
        Isolation::Bridge(bridge) => {
            let Some(offer) = offer else {
                return Want::default();
            };
            let base = Base {
                id,
                tags,
                handles,
                bucket: offer.bucket.clone(),
                collection: offer.collection_name.clone(),
            };
            let mut want = Want::default();
            base.retrieval(
                &mut want,
                &bridge.knowledge_base,
                &bridge.index,
                bridge.data_deletion_policy,
                None,
            );
            want
        }
        Isolation::Pool(_) => Want::default(),
    }
}

fn of_stack(id: &Identity, shared: &Shared, handles: &Handles) -> Want {
    let base = Base {
        id,
        tags: &shared.tags,
        handles,
        bucket: id.name(Layer::Bucket),
        collection: id.name(Layer::Collection),
    };
    let prefixes = vec!["bridge/".into(), "pool/".into()];
    let mut want = base.storage(&shared.encryption, &shared.documents, &shared.collection, prefixes);
    if let Some(pool) = &shared.pool {
        if let (Some(bucket), Sidecars::OperatorOnly) = (&mut want.bucket, pool.sidecars) {
            bucket.only_writer_of_sidecars = id.scope.operator.clone();
        }
        let key = Some(pool.tenant_id_key.clone());
        // Whoever deletes the pool's data source by hand means its vectors too.
        base.retrieval(&mut want, &pool.knowledge_base, &pool.index, DataDeletionPolicy::Delete, key);
    }
    want
}

struct Base<'a> {
    id: &'a Identity,
    tags: &'a BTreeMap<String, String>,
    handles: &'a Handles,
    bucket: String,
    collection: String,
}

impl Base<'_> {
    fn tags(&self) -> BTreeMap<String, String> {
        // Ours last: CEL refuses our domain in users' tags, and this holds even if something slips through.
        self.tags.clone().into_iter().chain(self.id.tags()).collect()
    }

    fn storage(
        &self,
        encryption: &EncryptionSettings,
        documents: &DocumentsSettings,
        collection: &CollectionSettings,
        prefixes: Vec<String>,
    ) -> Want {
        let key_arn = self.handles.key_arn.clone();
        Want {
            key: matches!(encryption, EncryptionSettings::Create)
                .then(|| WantKey { name: self.id.name(Layer::Key), tags: self.tags() }),
            bucket: Some(WantBucket {
                name: self.bucket.clone(),
                tags: self.tags(),
                documents: *documents,
                prefixes,
                key_arn: key_arn.clone(),
                only_writer_of_sidecars: None,
            }),
            collection: Some(WantCollection {
                name: self.collection.clone(),
                tags: self.tags(),
                settings: collection.clone(),
                key_arn,
            }),
            ..Want::default()
        }
    }

    fn retrieval(
        &self,
        want: &mut Want,
        kb: &KnowledgeBaseSettings,
        index: &IndexSettings,
        data_deletion_policy: DataDeletionPolicy,
        tenant_id_key: Option<String>,
    ) {
        let Self { id, handles, .. } = self;
        let role = id.name(Layer::Role);
        let index_name = id.name(Layer::Index);
        let model = id.scope.model_arn(&kb.embedding_model);
        want.role = Some(WantRole {
            name: role.clone(),
            tags: self.tags(),
            bucket: self.bucket.clone(),
            prefix: id.prefix(),
            collection: self.collection.clone(),
            collection_arn: handles.collection_arn.clone(),
            index: index_name.clone(),
            embedding_model_arn: model.clone(),
            key_arn: handles.key_arn.clone(),
            trusted: handles.knowledge_base_arn.clone(),
        });
        want.index = Some(WantIndex {
            name: index_name.clone(),
            collection_id: handles.collection_id.clone(),
            collection_endpoint: handles.collection_endpoint.clone(),
            role: role.clone(),
            dimensions: kb.dimensions,
            settings: index.clone(),
            tenant_id_key,
            rebuild: handles.rebuild == Rebuild::Index,
        });
        want.knowledge_base = Some(WantKnowledgeBase {
            name: id.name(Layer::KnowledgeBase),
            tags: self.tags(),
            role_arn: id.scope.role_arn(&role),
            embedding_model_arn: model,
            dimensions: kb.send_dimensions.then_some(kb.dimensions),
            chunking: kb.chunking,
            store: handles
                .collection_arn
                .clone()
                .map(|collection_arn| Store::OpenSearchServerless { collection_arn, index: index_name }),
            bucket: self.bucket.clone(),
            prefix: id.prefix(),
            data_deletion_policy,
            key_arn: handles.key_arn.clone(),
            narrow_trust: !handles.trust_is_narrow,
            drop_data_source: handles.rebuild == Rebuild::DataSource,
        });
    }
}
