//! What an owner's layers should be: the spec and the names, resolved to plain values that each layer can compare
//! with what AWS answers.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::{
    ChunkingSettings, DataDeletionPolicy, DocumentsSettings, EncryptionSettings, IndexSettings, Isolation,
    KnowledgeBaseSettings, Layer, Shared, Sidecars, StoreSettings, VectorStore,
};
use crate::stack::identity::{Identity, Scope};
use crate::stack::offer::Offer;
use crate::stack::store::{DesiredStore, StoreHandle, StoreRef, features};

/// The wanted layers of one owner. `None`: borrowed, or nothing to own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Desired {
    /// A customer key to create.
    pub key: Option<DesiredKey>,
    /// The bucket.
    pub bucket: Option<DesiredBucket>,
    /// The vector store.
    pub vector_store: Option<DesiredStore>,
    /// The service role with its data access policy.
    pub role: Option<DesiredRole>,
    /// The vector index.
    pub index: Option<DesiredIndex>,
    /// The knowledge base with its data source.
    pub knowledge_base: Option<DesiredKnowledgeBase>,
}

/// A key to be created under its alias.
#[derive(Clone, Debug, PartialEq)]
pub struct DesiredKey {
    /// The alias without `alias/`.
    pub name: String,
    /// The owner's tags.
    pub tags: BTreeMap<String, String>,
    /// What it encrypts beside documents.
    pub store: VectorStore,
}

/// A bucket and all its settings.
#[derive(Clone, Debug, PartialEq)]
pub struct DesiredBucket {
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

/// A service role, its inline policy, and the data access policy of its index.
#[derive(Clone, Debug, PartialEq)]
pub struct DesiredRole {
    /// The role's name.
    pub name: String,
    /// The owner's tags.
    pub tags: BTreeMap<String, String>,
    /// The bucket it may read,
    pub bucket: String,
    /// under this prefix.
    pub prefix: String,
    /// The vector store: it is there once AWS has answered its creation.
    pub store: StoreRef,
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
#[derive(Clone, Debug, PartialEq)]
pub struct DesiredIndex {
    /// The index's name.
    pub name: String,
    /// The owner's tags, in a store where an index has some.
    pub tags: BTreeMap<String, String>,
    /// The vector store: it can be asked once it is there.
    pub store: StoreRef,
    /// The key that encrypts it, in a store where an index may have another than its store.
    pub key_arn: Option<String>,
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

impl Desired {
    /// Which vector store the owner uses, if any: its own, or one that is lent.
    pub fn store_kind(&self) -> Option<VectorStore> {
        let own = self.vector_store.as_ref().map(DesiredStore::kind);
        own.or_else(|| self.role.as_ref().map(|role| role.store.kind))
    }
}

impl DesiredRole {
    /// The data access policy of its index, for a store that knows such policies.
    pub fn data_access(&self, scope: &Scope) -> Option<Value> {
        self.store.data_access(scope, &self.index, &self.name)
    }
}

impl DesiredIndex {
    /// What it is made from: its settings, and mappings where it has some.
    pub fn schema(&self) -> Value {
        self.store.index_schema(self.dimensions, &self.settings, self.tenant_id_key.as_deref())
    }
}

/// A knowledge base and its one data source, which carries its name.
#[derive(Clone, Debug, PartialEq)]
pub struct DesiredKnowledgeBase {
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
    /// Where vectors go, once that is there,
    pub store: Option<StoreHandle>,
    /// and the index.
    pub index: String,
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

/// What earlier layers have to lend to later ones, from AWS's answers or from a SharedStack's offer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handles {
    /// The key that encrypts, if there is one.
    pub key_arn: Option<String>,
    /// The vector store.
    pub store: Option<StoreHandle>,
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
    pub fn want(&self, id: &Identity, offer: Option<&Offer>, handles: &Handles) -> Desired {
        let handles = match self.existing_key() {
            Some(key) => &Handles { key_arn: Some(key.into()), ..handles.clone() },
            None => handles,
        };
        match self {
            Blueprint::Tenant { isolation, tags } => of_tenant(id, isolation, tags, offer, handles),
            Blueprint::Stack(shared) => of_stack(id, shared, handles),
            Blueprint::Nothing => Desired::default(),
        }
    }

    /// Which vector store the spec asks for, if it says so: a borrower has its lender's.
    pub fn store_kind(&self) -> Option<VectorStore> {
        match self {
            Blueprint::Tenant { isolation, .. } => isolation.vector_store(),
            Blueprint::Stack(shared) => Some(shared.vector_store.kind()),
            Blueprint::Nothing => None,
        }
    }

    /// The customer's own key, if the spec names one.
    pub fn existing_key(&self) -> Option<&str> {
        let encryption = match self {
            Blueprint::Tenant { isolation, .. } => isolation.encryption(),
            Blueprint::Stack(shared) => Some(&shared.encryption),
            Blueprint::Nothing => None,
        };
        match encryption? {
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
) -> Desired {
    match isolation {
        Isolation::Silo(silo) => {
            let base = Base::of_own_storage(id, tags, handles, &silo.vector_store);
            let mut want =
                base.storage(&silo.encryption, &silo.documents, &silo.vector_store, vec![id.prefix()]);
            base.retrieval(&mut want, &silo.knowledge_base, &silo.index, silo.data_deletion_policy, None);
            want
        }
        Isolation::Bridge(bridge) => {
            let Some(offer) = offer else {
                return Desired::default();
            };
            let base = Base { id, tags, handles, bucket: offer.bucket.clone(), store: offer.store_ref() };
            let mut want = Desired::default();
            base.retrieval(
                &mut want,
                &bridge.knowledge_base,
                &bridge.index,
                bridge.data_deletion_policy,
                None,
            );
            want
        }
        Isolation::Pool(_) => Desired::default(),
    }
}

fn of_stack(id: &Identity, shared: &Shared, handles: &Handles) -> Desired {
    let base = Base::of_own_storage(id, &shared.tags, handles, &shared.vector_store);
    let prefixes = vec!["bridge/".into(), "pool/".into()];
    let mut want = base.storage(&shared.encryption, &shared.documents, &shared.vector_store, prefixes);
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
    store: StoreRef,
}

impl<'a> Base<'a> {
    /// On the owner's own bucket and vector store.
    fn of_own_storage(
        id: &'a Identity,
        tags: &'a BTreeMap<String, String>,
        handles: &'a Handles,
        store: &StoreSettings,
    ) -> Self {
        let (name, handle) = (id.name(Layer::VectorStore), handles.store.clone());
        let store = StoreRef { kind: store.kind(), name, handle };
        Self { id, tags, handles, bucket: id.name(Layer::Bucket), store }
    }

    fn tags(&self) -> BTreeMap<String, String> {
        // Ours last: CEL refuses our domain in users' tags, and this holds even if something slips through.
        self.tags.clone().into_iter().chain(self.id.tags()).collect()
    }

    fn storage(
        &self,
        encryption: &EncryptionSettings,
        documents: &DocumentsSettings,
        store: &StoreSettings,
        prefixes: Vec<String>,
    ) -> Desired {
        let key_arn = self.handles.key_arn.clone();
        Desired {
            key: matches!(encryption, EncryptionSettings::Create).then(|| DesiredKey {
                name: self.id.name(Layer::Key),
                tags: self.tags(),
                store: self.store.kind,
            }),
            bucket: Some(DesiredBucket {
                name: self.bucket.clone(),
                tags: self.tags(),
                documents: *documents,
                prefixes,
                key_arn: key_arn.clone(),
                only_writer_of_sidecars: None,
            }),
            vector_store: Some(DesiredStore::new(
                &self.id.scope,
                self.store.name.clone(),
                self.tags(),
                store,
                key_arn,
            )),
            ..Desired::default()
        }
    }

    fn retrieval(
        &self,
        want: &mut Desired,
        kb: &KnowledgeBaseSettings,
        index: &IndexSettings,
        data_deletion_policy: DataDeletionPolicy,
        tenant_id_key: Option<String>,
    ) {
        let Self { id, handles, .. } = self;
        let role = id.name(Layer::Role);
        let index_name = id.name(Layer::Index);
        let model = id.scope.model_arn(&kb.embedding_model);
        // What may be read, and who may read it, bear the same of them.
        let tags: BTreeMap<_, _> = self.tags().into_iter().chain(self.store.fence_tags(id)).collect();
        want.role = Some(DesiredRole {
            name: role.clone(),
            tags: tags.clone(),
            bucket: self.bucket.clone(),
            prefix: id.prefix(),
            store: self.store.clone(),
            index: index_name.clone(),
            embedding_model_arn: model.clone(),
            key_arn: handles.key_arn.clone(),
            trusted: handles.knowledge_base_arn.clone(),
        });
        want.index = Some(DesiredIndex {
            name: index_name.clone(),
            tags: if features(self.store.kind).index_has_tags { tags } else { BTreeMap::new() },
            store: self.store.clone(),
            key_arn: handles.key_arn.clone(),
            role: role.clone(),
            dimensions: kb.dimensions,
            settings: index.clone(),
            tenant_id_key,
            rebuild: handles.rebuild == Rebuild::Index,
        });
        want.knowledge_base = Some(DesiredKnowledgeBase {
            name: id.name(Layer::KnowledgeBase),
            tags: self.tags(),
            role_arn: id.scope.role_arn(&role),
            embedding_model_arn: model,
            dimensions: kb.send_dimensions.then_some(kb.dimensions),
            chunking: kb.chunking,
            store: self.store.handle.clone(),
            index: index_name,
            bucket: self.bucket.clone(),
            prefix: id.prefix(),
            data_deletion_policy,
            key_arn: handles.key_arn.clone(),
            narrow_trust: !handles.trust_is_narrow,
            drop_data_source: handles.rebuild == Rebuild::DataSource,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::api::{Collection, Column, Distance, Documents, Index, Ownership, ownership};
    use crate::stack::identity::Scope;
    use crate::stack::model::ideal::{self, Sample};
    use crate::stack::store::opensearch::collection::DesiredCollection;

    const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-4000-8000-000000000000";

    /// Everything is lent, and nothing is to be made anew.
    fn lent() -> Handles {
        Handles {
            key_arn: Some("arn:key".into()),
            store: Some(ideal::store("arn:collection/id", Some("https://endpoint"))),
            knowledge_base_arn: Some("arn:knowledge-base".into()),
            trust_is_narrow: true,
            rebuild: Rebuild::Nothing,
        }
    }

    /// The collection that a store is.
    fn collection_of(store: Option<DesiredStore>) -> Option<DesiredCollection> {
        store.map(|store| match store {
            DesiredStore::OpenSearchServerless(collection) => collection,
            other => panic!("no collection: {other:?}"),
        })
    }

    fn want(sample: &Sample, handles: &Handles) -> Desired {
        sample.blueprint().want(&sample.id, sample.offer.as_ref(), handles)
    }

    fn silo(more: serde_json::Value) -> Sample {
        let mut spec = json!({"tenantId": "acme", "pattern": "Silo"});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ideal::tenant("a silo", spec)
    }

    fn pool(pool: serde_json::Value) -> Sample {
        ideal::stack("a pool", json!({"pool": pool}))
    }

    #[test]
    fn each_column_wants_what_it_owns() {
        let mut samples = ideal::samples();
        let stack = json!({"name": "standard"});
        samples
            .push(ideal::tenant("pool", json!({"tenantId": "acme", "pattern": "Pool", "stackRef": stack})));
        for column in Column::ALL {
            assert!(samples.iter().any(|sample| sample.column == column), "{column:?} has no sample");
        }
        for sample in &samples {
            for handles in [Handles::default(), lent()] {
                let want = want(sample, &handles);
                for layer in Layer::ALL {
                    let owns = ownership(sample.column, layer) == Ownership::Owns;
                    let owns = owns && (layer != Layer::Key || sample.creates_key());
                    assert_eq!(want.owns(layer), owns, "{}: {layer:?}", sample.name);
                }
            }
        }
    }

    #[test]
    fn what_is_taken_apart_or_cannot_borrow_wants_nothing() {
        let bridge = &ideal::samples()[2];
        for want in [
            Blueprint::Nothing.want(&bridge.id, bridge.offer.as_ref(), &lent()),
            bridge.blueprint().want(&bridge.id, None, &lent()),
        ] {
            assert!(Layer::ALL.into_iter().all(|layer| !want.owns(layer)), "{want:?}");
        }
    }

    /// The bucket and the collection of each, the prefix that it ingests, and those that have rules of their own.
    #[test]
    fn a_bridge_uses_what_its_stack_has_and_others_their_own() {
        let samples = ideal::samples();
        let lent = ideal::lent_by("standard");
        for (n, prefix, prefixes) in [
            (0, Some("documents/"), Some(vec!["documents/"])),
            (1, Some("documents/"), Some(vec!["documents/"])),
            (2, Some("bridge/acme/"), None),
            (3, None, Some(vec!["bridge/", "pool/"])),
            (4, Some("pool/"), Some(vec!["bridge/", "pool/"])),
        ] {
            let sample = &samples[n];
            let (bucket, collection) = match sample.column {
                Column::Bridge => (lent.bucket.clone(), lent.store_name.clone()),
                _ => (sample.id.name(Layer::Bucket), sample.id.name(Layer::VectorStore)),
            };
            let want = want(sample, &self::lent());
            let role =
                want.role.as_ref().map(|it| (it.bucket.clone(), it.store.name.clone(), it.prefix.clone()));
            let ingested = want.knowledge_base.as_ref().map(|it| (it.bucket.clone(), it.prefix.clone()));
            let prefix = prefix.map(str::to_owned);
            assert_eq!(
                role,
                prefix.clone().map(|it| (bucket.clone(), collection.clone(), it)),
                "{}",
                sample.name
            );
            assert_eq!(ingested, prefix.map(|it| (bucket.clone(), it)), "{}", sample.name);
            let own = want.bucket.as_ref().map(|it| it.prefixes.iter().map(String::as_str).collect());
            assert_eq!(own, prefixes, "{}", sample.name);
            for (name, expected) in [
                (want.bucket.map(|it| it.name), bucket),
                (want.vector_store.map(|it| it.name().to_owned()), collection),
            ] {
                assert_eq!(name.unwrap_or_else(|| expected.clone()), expected, "{}", sample.name);
            }
        }
    }

    #[test]
    fn everything_has_its_own_name() {
        let sample = silo(json!({"encryption": {"key": "Create"}}));
        let Desired { key, bucket, vector_store, role, index, knowledge_base } = want(&sample, &lent());
        let (role, index, knowledge_base) = (role.unwrap(), index.unwrap(), knowledge_base.unwrap());
        let name = |layer| sample.id.name(layer);
        assert_eq!(key.unwrap().name, name(Layer::Key));
        assert_eq!(bucket.unwrap().name, name(Layer::Bucket));
        assert_eq!(vector_store.unwrap().name(), name(Layer::VectorStore));
        assert_eq!((role.name, role.index), (name(Layer::Role), name(Layer::Index)));
        assert_eq!((index.name, index.role), (name(Layer::Index), name(Layer::Role)));
        assert_eq!(knowledge_base.name, name(Layer::KnowledgeBase));
        let arn = format!("arn:aws:iam::123456789012:role/tenantry/prod/{}", name(Layer::Role));
        assert_eq!(knowledge_base.role_arn, arn);
    }

    #[test]
    fn what_earlier_layers_lend_is_used_where_it_belongs() {
        let sample = silo(json!({}));
        for handles in [lent(), Handles::default()] {
            let Desired { key: _, bucket, vector_store, role, index, knowledge_base } =
                want(&sample, &handles);
            let (role, index, knowledge_base) = (role.unwrap(), index.unwrap(), knowledge_base.unwrap());
            assert_eq!(knowledge_base.index, sample.id.name(Layer::Index));
            assert_eq!(knowledge_base.narrow_trust, !handles.trust_is_narrow);
            let keys = [
                bucket.unwrap().key_arn,
                collection_of(vector_store).unwrap().key_arn,
                role.key_arn,
                knowledge_base.key_arn,
            ];
            let Handles { key_arn, store, knowledge_base_arn, trust_is_narrow: _, rebuild: _ } = handles;
            assert!(keys.iter().all(|key| *key == key_arn), "{keys:?}");
            assert_eq!([&role.store.handle, &index.store.handle, &knowledge_base.store], [&store; 3]);
            assert_eq!(role.trusted, knowledge_base_arn);
        }
    }

    #[test]
    fn only_what_must_be_made_anew_goes() {
        let sample = silo(json!({}));
        for (rebuild, index, data_source) in [
            (Rebuild::Nothing, false, false),
            (Rebuild::Index, true, false),
            (Rebuild::DataSource, false, true),
        ] {
            let want = want(&sample, &Handles { rebuild, ..lent() });
            assert_eq!(want.index.unwrap().rebuild, index, "{rebuild:?}");
            assert_eq!(want.knowledge_base.unwrap().drop_data_source, data_source, "{rebuild:?}");
        }
    }

    #[test]
    fn a_key_that_the_spec_names_wins_over_any_other() {
        let existing = json!({"key": "Existing", "kmsKeyArn": KEY});
        for sample in [
            silo(json!({"encryption": existing})),
            ideal::stack("an existing key", json!({"encryption": existing, "pool": {}})),
        ] {
            assert_eq!(sample.blueprint().existing_key(), Some(KEY));
            for handles in [lent(), Handles::default()] {
                let want = want(&sample, &handles);
                assert!(want.key.is_none());
                assert_eq!(want.bucket.unwrap().key_arn.as_deref(), Some(KEY));
                assert_eq!(collection_of(want.vector_store).unwrap().key_arn.as_deref(), Some(KEY));
                assert_eq!(want.role.unwrap().key_arn.as_deref(), Some(KEY));
                assert_eq!(want.knowledge_base.unwrap().key_arn.as_deref(), Some(KEY));
                assert_eq!(want.index.unwrap().store.handle, handles.store, "the rest is as it was lent");
            }
        }
        for sample in ideal::samples() {
            assert_eq!(sample.blueprint().existing_key(), None, "{}", sample.name);
        }
        assert_eq!(Blueprint::Nothing.existing_key(), None);
    }

    #[test]
    fn the_operator_alone_writes_metadata_files_where_a_pool_says_so() {
        let operator = ideal::scope().operator.clone();
        assert!(operator.is_some());
        let mut unknown = pool(json!({}));
        unknown.id.scope = Arc::new(Scope { operator: None, ..Scope::clone(&unknown.id.scope) });
        for (sample, writer) in [
            (pool(json!({})), operator.clone()),
            (pool(json!({"sidecars": "OperatorOnly"})), operator),
            (pool(json!({"sidecars": "Merge"})), None),
            (unknown, None),
            (ideal::stack("no pool", json!({})), None),
            (silo(json!({})), None),
        ] {
            let bucket = want(&sample, &lent()).bucket.unwrap();
            assert_eq!(bucket.only_writer_of_sidecars, writer, "{}", sample.name);
        }
    }

    #[test]
    fn a_tag_of_ours_cannot_be_forged() {
        let tags = json!({"costCenter": "42", "tenantry.dev/owner": "Tenant/tenants/somebody"});
        let stack = json!({"name": "standard"});
        let create = json!({"key": "Create"});
        for sample in [
            silo(json!({"tags": tags, "encryption": create})),
            ideal::tenant(
                "a bridge",
                json!({"tenantId": "acme", "pattern": "Bridge", "stackRef": stack, "tags": tags}),
            ),
            ideal::stack("a stack", json!({"tags": tags, "encryption": create, "pool": {}})),
        ] {
            let mut expected = sample.id.tags();
            expected.insert("costCenter".into(), "42".into());
            let Desired { key, bucket, vector_store, role, index: _, knowledge_base } =
                want(&sample, &lent());
            let all = [
                key.map(|it| it.tags),
                bucket.map(|it| it.tags),
                collection_of(vector_store).map(|it| it.tags),
                role.map(|it| it.tags),
                knowledge_base.map(|it| it.tags),
            ];
            assert!(all.iter().flatten().count() >= 2);
            for tags in all.into_iter().flatten() {
                assert_eq!(tags, expected, "{}", sample.name);
            }
        }
    }

    #[test]
    fn bedrock_is_told_the_dimensions_where_they_can_be_chosen() {
        let foundation = |id: &str| format!("arn:aws:bedrock:eu-central-1::foundation-model/{id}");
        let custom = "arn:aws:bedrock:eu-central-1:123456789012:custom-model/mine";
        for (settings, model, dimensions, told) in [
            (json!({}), foundation("amazon.titan-embed-text-v2:0"), 1024, Some(1024)),
            (json!({"dimensions": 256}), foundation("amazon.titan-embed-text-v2:0"), 256, Some(256)),
            (
                json!({"embeddingModel": "cohere.embed-english-v3"}),
                foundation("cohere.embed-english-v3"),
                1024,
                None,
            ),
            (json!({"embeddingModel": custom, "dimensions": 384}), custom.into(), 384, Some(384)),
        ] {
            for sample in [silo(json!({"knowledgeBase": settings})), pool(json!({"knowledgeBase": settings}))]
            {
                let Desired { role, index, knowledge_base, .. } = want(&sample, &lent());
                let knowledge_base = knowledge_base.unwrap();
                assert_eq!(index.unwrap().dimensions, dimensions, "{settings}");
                assert_eq!(knowledge_base.dimensions, told, "{settings}");
                assert_eq!(knowledge_base.embedding_model_arn, model);
                assert_eq!(role.unwrap().embedding_model_arn, model);
            }
        }
    }

    #[test]
    fn settings_go_to_their_layers() {
        let documents =
            json!({"versioning": "Suspended", "noncurrentExpirationDays": 7, "expirationDays": 8});
        let collection = json!({"standbyReplicas": "Disabled", "network": {"access": "Public"}});
        let index = json!({"distance": "InnerProduct", "attributes": [{"name": "year", "type": "Number"}]});
        let knowledge_base = json!({"chunking": {"strategy": "None"}});
        let of_pool = json!({"index": index, "knowledgeBase": knowledge_base, "tenantIdKey": "customer"});
        let with_policy = |policy: &str| {
            json!({
                "documents": documents,
                "collection": collection,
                "index": index,
                "knowledgeBase": knowledge_base,
                "dataDeletionPolicy": policy,
            })
        };
        for (sample, key, policy) in [
            (silo(with_policy("Retain")), None, DataDeletionPolicy::Retain),
            (silo(with_policy("Delete")), None, DataDeletionPolicy::Delete),
            (
                ideal::stack(
                    "a stack",
                    json!({"documents": documents, "collection": collection, "pool": of_pool}),
                ),
                Some("customer"),
                DataDeletionPolicy::Delete,
            ),
        ] {
            let want = want(&sample, &lent());
            let index_of = want.index.unwrap();
            let base = want.knowledge_base.unwrap();
            let resolved = Documents::resolve(Some(&serde_json::from_value(documents.clone()).unwrap()));
            assert_eq!(want.bucket.unwrap().documents, resolved);
            let resolved = Collection::resolve(Some(&serde_json::from_value(collection.clone()).unwrap()));
            assert_eq!(collection_of(want.vector_store).unwrap().settings, resolved.unwrap());
            let resolved =
                Index::resolve(Some(&serde_json::from_value(index.clone()).unwrap()), Distance::Euclidean);
            assert_eq!(index_of.settings, resolved);
            assert_eq!(index_of.tenant_id_key.as_deref(), key);
            assert_eq!(base.chunking, ChunkingSettings::None);
            assert_eq!(base.data_deletion_policy, policy);
        }
    }
}
