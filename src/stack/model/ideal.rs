//! AWS as it would be if nothing took time and nobody else had an account there: what it answers about a layer that is
//! as wanted, and what one step of a layer makes of what is there. For tests alone; the real layers are held to the
//! same by the end-to-end tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::desired::{
    Blueprint, Desired, DesiredBucket, DesiredIndex, DesiredKey, DesiredKnowledgeBase, DesiredRole,
};
use super::diff::{self, KnowledgeBaseChange, ROLE_POLICY};
use super::observed::{
    BucketFacts, DataSourceFacts, IndexFacts, KeyFacts, KnowledgeBaseFacts, Observation, Observed,
    PolicyFacts, RoleDetail, RoleFacts,
};
use super::plan;
use super::policy;
use crate::api::{
    Column, EncryptionSettings, Isolation, Layer, Pattern, PerLayer, Shared, SharedStackSpec, TenantSpec,
};
use crate::stack::identity::{Identity, Owner, Scope};
use crate::stack::offer::{Offer, PoolOffer};
use crate::stack::store::opensearch::collection::{CollectionDetail, CollectionFacts, DesiredCollection};
use crate::stack::store::opensearch::{self, CollectionHandle};
use crate::stack::store::s3_vectors::VectorBucketHandle;
use crate::stack::store::s3_vectors::vector_bucket::{
    DesiredVectorBucket, VectorBucketDetail, VectorBucketFacts,
};
use crate::stack::store::{DesiredStore, StoreFacts, StoreHandle};

/// The uid of every sample's owner.
pub const UID: &str = "6f1e0c1e-0000-4000-8000-000000000001";

/// One object and what it asks for: a column of the ownership table that owns something.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What a failing test calls it.
    pub name: &'static str,
    /// Its names and tags.
    pub id: Identity,
    /// Its column of the ownership table.
    pub column: Column,
    /// What it borrows.
    pub offer: Option<Offer>,
    asks: Asks,
}

#[derive(Clone, Debug)]
enum Asks {
    Tenant(Box<Isolation>),
    Stack(Box<Shared>),
}

impl Sample {
    /// What its wants are made from.
    pub fn blueprint(&self) -> Blueprint<'_> {
        match &self.asks {
            Asks::Tenant(isolation) => Blueprint::Tenant { isolation, tags: tags_of(isolation) },
            Asks::Stack(shared) => Blueprint::Stack(shared),
        }
    }

    /// Whether a key is among its layers.
    pub fn creates_key(&self) -> bool {
        let encryption = match &self.asks {
            Asks::Tenant(isolation) => isolation.encryption(),
            Asks::Stack(shared) => Some(&shared.encryption),
        };
        matches!(encryption, Some(EncryptionSettings::Create))
    }

    /// What it wants, given what was seen.
    pub fn want(&self, observed: &Observation) -> Desired {
        self.blueprint().want(&self.id, self.offer.as_ref(), &plan::handles(observed, self.offer.as_ref()))
    }

    /// Its stack once everything is built.
    pub fn built(&self) -> Observation {
        let mut observed = self.nothing();
        // A layer at a time: each is made from what the layers before it lend.
        for layer in [Layer::Key, Layer::Bucket, Layer::VectorStore, Layer::Role, Layer::Index] {
            self.step(layer, &mut observed);
        }
        // It comes first, and its data source after it.
        self.step(Layer::KnowledgeBase, &mut observed);
        self.step(Layer::KnowledgeBase, &mut observed);
        observed
    }

    fn step(&self, layer: Layer, observed: &mut Observation) {
        let want = self.want(observed);
        if want.owns(layer) {
            ensure(&self.id, layer, &want, observed);
        }
    }

    /// What is seen before anything is built.
    pub fn nothing(&self) -> Observation {
        Observation { index_known: true, ..Observation::default() }
    }
}

fn tags_of(isolation: &Isolation) -> &BTreeMap<String, String> {
    static NONE: BTreeMap<String, String> = BTreeMap::new();
    isolation.tags().unwrap_or(&NONE)
}

/// Where all samples live.
pub fn scope() -> Arc<Scope> {
    Arc::new(Scope {
        operator: Some("arn:aws:iam::123456789012:role/operators/tenantry".into()),
        ..Scope::new("prod", "123456789012", "eu-central-1")
    })
}

/// A Tenant with this spec, and the id, pattern and stack that it says.
pub fn tenant(name: &'static str, spec: Value) -> Sample {
    let spec: TenantSpec = serde_json::from_value(spec).unwrap();
    let isolation = spec.isolation().unwrap();
    let owner = Owner::Tenant {
        namespace: "tenants".into(),
        name: "acme".into(),
        tenant_id: spec.tenant_id.clone(),
        pattern: isolation.pattern(),
        stack: isolation.stack().map(str::to_owned),
    };
    let id = Identity::new(scope(), owner, UID);
    let offer = isolation.stack().map(lent_by);
    Sample { name, column: isolation.pattern().into(), id, offer, asks: Asks::Tenant(Box::new(isolation)) }
}

/// A SharedStack with this spec, called `standard`.
pub fn stack(name: &'static str, spec: Value) -> Sample {
    let spec: SharedStackSpec = serde_json::from_value(spec).unwrap();
    let shared = spec.shared().unwrap();
    let id = Identity::of_stack(scope(), "standard", UID);
    Sample { name, column: shared.column(), id, offer: None, asks: Asks::Stack(Box::new(shared)) }
}

/// How one gets at a collection.
pub fn store(arn: &str, endpoint: Option<&str>) -> StoreHandle {
    StoreHandle::OpenSearchServerless(CollectionHandle {
        arn: arn.into(),
        endpoint: endpoint.map(str::to_owned),
    })
}

/// What a SharedStack of this name lends.
pub fn lent_by(stack: &str) -> Offer {
    let id = Identity::of_stack(scope(), stack, "6f1e0c1e-0000-4000-8000-00000000000f");
    Offer {
        stack: stack.into(),
        uid: id.uid.clone(),
        bucket: id.name(Layer::Bucket),
        store_name: id.name(Layer::VectorStore),
        store: store(
            &id.scope.arn("aoss", "collection/lent0collection00000"),
            Some("https://lent0collection00000.eu-central-1.aoss.amazonaws.com"),
        ),
        kms_key_arn: None,
        pool: Some(PoolOffer {
            knowledge_base_id: "LENTKB0001".into(),
            knowledge_base_arn: id.scope.arn("bedrock", "knowledge-base/LENTKB0001"),
            data_source_id: "LENTDS0001".into(),
            index_name: id.name(Layer::Index),
            role_arn: id.scope.role_arn(&id.name(Layer::Role)),
            tenant_id_key: "tenantId".into(),
        }),
    }
}

/// Each column of the ownership table that owns something, and a Silo twice: with a key of its own and without.
pub fn samples() -> Vec<Sample> {
    let acme = |pattern: Pattern, more: Value| {
        let mut spec = json!({"tenantId": "acme", "pattern": pattern, "tags": {"costCenter": "42"}});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    let attributes = json!({"attributes": [{"name": "year", "type": "Number"}]});
    vec![
        tenant("silo", acme(Pattern::Silo, json!({"index": attributes}))),
        tenant("silo with a key", acme(Pattern::Silo, json!({"encryption": {"key": "Create"}}))),
        tenant("bridge", acme(Pattern::Bridge, json!({"stackRef": {"name": "standard"}}))),
        stack("shared stack", json!({"encryption": {"key": "Create"}, "tags": {"costCenter": "42"}})),
        stack(
            "shared stack with a pool",
            json!({"pool": {"index": attributes}, "documents": {"expirationDays": 400}}),
        ),
    ]
}

/// The same on S3 Vectors: a Silo with a key, a Bridge tenant, and a SharedStack with a pool.
pub fn on_s3_vectors() -> Vec<Sample> {
    const S3_VECTORS: &str = "S3Vectors";
    let stacks = json!({"name": "standard"});
    let mut bridge =
        tenant("bridge on S3 Vectors", json!({"tenantId": "acme", "pattern": "Bridge", "stackRef": stacks}));
    if let Some(offer) = &mut bridge.offer {
        offer.store = VectorBucketHandle::named(&bridge.id.scope, &offer.store_name).into();
    }
    let silo = json!({"tenantId": "acme", "pattern": "Silo", "vectorStore": S3_VECTORS,
        "encryption": {"key": "Create"}, "tags": {"costCenter": "42"}});
    let with_pool = json!({"vectorStore": S3_VECTORS, "pool": {}});
    vec![
        tenant("silo on S3 Vectors", silo),
        bridge,
        stack("shared stack with a pool on S3 Vectors", with_pool),
    ]
}

/// The facts of what is ours.
pub fn ours<T>(seen: &mut Observed<T>) -> &mut T {
    match seen {
        Observed::Ours(facts) => facts,
        _ => panic!("it is not there"),
    }
}

/// The collection that is there and ours, for tests that know which store it is.
pub fn found_collection(observed: &mut Observation) -> &mut CollectionFacts {
    match ours(&mut observed.vector_store) {
        StoreFacts::OpenSearchServerless(facts) => facts,
        other => panic!("no collection: {other:?}"),
    }
}

/// The collection that is wanted, for tests that know which store it is.
pub fn wanted_collection(want: &mut Desired) -> &mut DesiredCollection {
    match want.vector_store.as_mut().unwrap() {
        DesiredStore::OpenSearchServerless(want) => want,
        other => panic!("no collection: {other:?}"),
    }
}

/// What AWS answers about a key that is as wanted.
pub fn key(id: &Identity, want: &DesiredKey) -> KeyFacts {
    KeyFacts {
        arn: id.scope.arn("kms", &format!("key/{}", want.name)),
        has_alias: true,
        state: "Enabled".into(),
        tags: want.tags.clone(),
        foreign: None,
        lets_store_in: true,
    }
}

/// What AWS answers about a bucket that is as wanted.
pub fn bucket(scope: &Scope, want: &DesiredBucket) -> BucketFacts {
    BucketFacts {
        tags: want.tags.clone(),
        blocks_public_access: true,
        object_ownership: Some("BucketOwnerEnforced".into()),
        policy: Some(policy::bucket(scope, want)),
        key_arn: want.key_arn.clone(),
        versioned: diff::is_versioned(want),
        lifecycle: diff::lifecycle(want),
    }
}

fn described(document: Value, tags: &BTreeMap<String, String>) -> PolicyFacts {
    PolicyFacts { document, version: "1".into(), description: Identity::description(tags) }
}

/// What AWS answers about a collection that is as wanted, with its two policies.
pub fn collection(scope: &Scope, want: &DesiredCollection) -> CollectionFacts {
    // Twenty characters, as AWS's own ids have.
    let id = format!("{:0>20}", crate::stack::hash::fingerprint(&want.name));
    CollectionFacts {
        encryption: Some(described(opensearch::encryption(&want.name, want.key_arn.as_deref()), &want.tags)),
        network: Some(described(opensearch::network(&want.name, &want.settings.network), &want.tags)),
        collection: Some(CollectionDetail {
            arn: scope.arn("aoss", &format!("collection/{id}")),
            status: "ACTIVE".into(),
            endpoint: Some(format!("https://{id}.{}.aoss.amazonaws.com", scope.region)),
            kms_key_arn: want.key_arn.clone(),
            standby_replicas: want.settings.standby_replicas.in_aws().into(),
            failure: None,
            tags: want.tags.clone(),
            id,
        }),
        foreign: None,
    }
}

/// What AWS answers about a vector bucket that is as wanted.
pub fn vector_bucket(scope: &Scope, want: &DesiredVectorBucket) -> VectorBucketFacts {
    let VectorBucketHandle { arn } = VectorBucketHandle::named(scope, &want.name);
    let detail = VectorBucketDetail {
        arn,
        key_arn: want.key_arn.clone(),
        mode: Some("ENHANCED".into()),
        policy: Some(want.policy.clone()),
        tags: want.tags.clone(),
    };
    VectorBucketFacts { detail: Some(detail) }
}

/// What AWS answers about a vector store that is as wanted.
pub fn store_facts(scope: &Scope, want: &DesiredStore) -> StoreFacts {
    match want {
        DesiredStore::OpenSearchServerless(want) => collection(scope, want).into(),
        DesiredStore::S3Vectors(want) => vector_bucket(scope, want).into(),
    }
}

/// What AWS answers about an index that is as wanted.
pub fn index(want: &DesiredIndex) -> IndexFacts {
    let arn = want.store.handle.as_ref().and_then(|store| store.index_arn(&want.name));
    IndexFacts { schema: want.schema(), tags: want.tags.clone(), arn, by_endpoint: false }
}

/// What AWS answers about a role that is as wanted, with the data access policy of its index. Before the collection has
/// an ARN it has no permissions.
pub fn role(scope: &Scope, want: &DesiredRole) -> RoleFacts {
    let arn = scope.role_arn(&want.name);
    let permissions = policy::permissions(scope, want);
    RoleFacts {
        data_access: want.data_access(scope).map(|document| described(document, &want.tags)),
        role: Some(RoleDetail {
            arn,
            trust: policy::trust(scope, want.trusted.as_deref()),
            policies: permissions.map(|policy| (ROLE_POLICY.to_owned(), policy)).into_iter().collect(),
            tags: want.tags.clone(),
            boundary: scope.permissions_boundary.clone(),
        }),
        foreign: None,
    }
}

/// What AWS answers about a knowledge base that is as wanted, with its data source.
pub fn knowledge_base(scope: &Scope, want: &DesiredKnowledgeBase) -> KnowledgeBaseFacts {
    KnowledgeBaseFacts { data_source: Some(data_source(scope, want)), ..bare_knowledge_base(scope, want) }
}

fn bare_knowledge_base(scope: &Scope, want: &DesiredKnowledgeBase) -> KnowledgeBaseFacts {
    let id = crate::stack::hash::fingerprint(&want.name)[..10].to_uppercase();
    KnowledgeBaseFacts {
        arn: scope.arn("bedrock", &format!("knowledge-base/{id}")),
        status: "ACTIVE".into(),
        failure_reasons: Vec::new(),
        embedding_model_arn: Some(want.embedding_model_arn.clone()),
        dimensions: want.dimensions,
        store: want.store.as_ref().map(|it| match it {
            StoreHandle::OpenSearchServerless(it) => store(&it.arn, None),
            bucket @ StoreHandle::S3Vectors(_) => bucket.clone(),
        }),
        tags: want.tags.clone(),
        data_source: None,
        id,
    }
}

fn data_source(scope: &Scope, want: &DesiredKnowledgeBase) -> DataSourceFacts {
    DataSourceFacts {
        id: format!("D{}", &crate::stack::hash::fingerprint(&want.name)[..9].to_uppercase()),
        status: "AVAILABLE".into(),
        data_deletion_policy: want.data_deletion_policy.in_aws().into(),
        bucket_arn: format!("arn:{}:s3:::{}", scope.partition, want.bucket),
        prefix: Some(want.prefix.clone()),
        key_arn: want.key_arn.clone(),
        chunking: Some(want.chunking),
        failure_reasons: Vec::new(),
    }
}

/// One step of a layer towards what is wanted, done at once. In the same order as the real one: a knowledge base before
/// its data source, and an index that must be made anew goes before it comes.
pub fn ensure(id: &Identity, layer: Layer, want: &Desired, observed: &mut Observation) {
    let scope = &id.scope;
    match layer {
        Layer::Key => observed.key = Observed::Ours(key(id, want.key.as_ref().unwrap())),
        Layer::Bucket => observed.bucket = Observed::Ours(bucket(scope, want.bucket.as_ref().unwrap())),
        Layer::VectorStore => {
            let want = want.vector_store.as_ref().unwrap();
            observed.vector_store = Observed::Ours(store_facts(scope, want));
        }
        Layer::Index => {
            let want = want.index.as_ref().unwrap();
            observed.index = match observed.index.ours() {
                Some(_) if want.rebuild => Observed::Absent,
                _ => Observed::Ours(index(want)),
            };
            observed.index_known = true;
        }
        Layer::Role => {
            let want = want.role.as_ref().unwrap();
            let mut facts = role(scope, want);
            // The knowledge base narrows the trust; a role that is there keeps the one it has, if it is a right one.
            if let (Some(found), Some(wanted)) =
                (observed.role.ours().and_then(|facts| facts.role.as_ref()), &mut facts.role)
                && found.trust == policy::trust(scope, None)
            {
                wanted.trust = found.trust.clone();
            }
            observed.role = Observed::Ours(facts);
        }
        Layer::KnowledgeBase => step_knowledge_base(scope, want.knowledge_base.as_ref().unwrap(), observed),
    }
}

fn step_knowledge_base(scope: &Scope, want: &DesiredKnowledgeBase, observed: &mut Observation) {
    let Observed::Ours(facts) = &mut observed.knowledge_base else {
        observed.knowledge_base = Observed::Ours(bare_knowledge_base(scope, want));
        return;
    };
    for change in diff::knowledge_base(scope, want, facts) {
        match change {
            KnowledgeBaseChange::Tags => facts.tags = want.tags.clone(),
            KnowledgeBaseChange::NotActive => facts.status = "ACTIVE".into(),
            KnowledgeBaseChange::NarrowTrust => {
                let trust = policy::trust(scope, Some(&facts.arn));
                if let Observed::Ours(RoleFacts { role: Some(role), .. }) = &mut observed.role {
                    role.trust = trust;
                }
            }
            KnowledgeBaseChange::CreateDataSource | KnowledgeBaseChange::UpdateDataSource => {
                facts.data_source = Some(data_source(scope, want));
            }
            KnowledgeBaseChange::DataSourceNotAvailable => {
                if let Some(source) = &mut facts.data_source {
                    source.status = "AVAILABLE".into();
                }
            }
            KnowledgeBaseChange::DropDataSource => {
                facts.data_source = None;
                return;
            }
            // Its data source goes first.
            KnowledgeBaseChange::Replace => {
                if facts.data_source.take().is_none() {
                    observed.knowledge_base = Observed::Absent;
                }
                return;
            }
        }
    }
}

/// One step of a layer on the way back, done at once.
pub fn teardown(layer: Layer, observed: &mut Observation) {
    match layer {
        Layer::Key => observed.key = Observed::Absent,
        Layer::Bucket => observed.bucket = Observed::Absent,
        Layer::VectorStore => observed.vector_store = Observed::Absent,
        Layer::Index => observed.index = Observed::Absent,
        Layer::Role => observed.role = Observed::Absent,
        Layer::KnowledgeBase => observed.knowledge_base = Observed::Absent,
    }
}

/// A sight in which each layer was chosen by itself: of a stack that is built, or anything else.
pub fn put_together(from: PerLayer<&Observation>) -> Observation {
    let PerLayer { key, bucket, vector_store, index, role, knowledge_base } = from;
    Observation {
        key: key.key.clone(),
        bucket: bucket.bucket.clone(),
        vector_store: vector_store.vector_store.clone(),
        index: index.index.clone(),
        index_known: index.index_known,
        index_asked: index.index_asked.clone(),
        index_hidden: index.index_hidden.clone(),
        role: role.role.clone(),
        knowledge_base: knowledge_base.knowledge_base.clone(),
    }
}

mod tests {
    use super::*;
    use crate::stack::model::plan::Step;

    #[test]
    fn what_is_built_is_whole() {
        for sample in samples().into_iter().chain(on_s3_vectors()) {
            let observed = sample.built();
            let want = sample.want(&observed);
            let steps = plan::plan(&sample.id, &want, &observed).unwrap();
            let whole = PerLayer::from_fn(|layer| if want.owns(layer) { Step::UpToDate } else { Step::None });
            assert_eq!(steps, whole, "{}", sample.name);
        }
    }
}
