//! What a spec must say to ask for what is there: the way back, from AWS's answers to the fields that users write. What
//! is the default is left out.
//!
//! AWS keeps no schedule, no `allowedNamespaces` and no `answers`; and which of the tags beside ours are the user's, nobody
//! can tell. So none of these is here.

use serde_json::Value;

use super::observed::{LifecycleRule, Observation};
use super::policy::SIDECARS_BY_OPERATOR_ONLY;
use crate::api::{
    AttributeType, ChunkingSettings, Collection, DataDeletionPolicy, DeletionPolicy, Distance, Documents,
    Encryption, EncryptionKey, Hnsw, Index, KnowledgeBase, Layer, PoolSpec, SharedStackSpec, Sidecars,
    StackRef, TenantSpec, VectorStore, Versioning, models,
};
use crate::stack::identity::{Identity, Owner, Scope};
use crate::stack::layout::{BRIDGE, POOL};
use crate::stack::store::read_back::{attribute, collection as read_collection};
use crate::stack::store::{StoreFacts, features, read_back};

/// A spec, and what of it nobody could read.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The spec, with what differs from the defaults.
    pub spec: Value,
    /// What was left at its default for want of an answer, and why.
    pub unsure: Vec<String>,
}

/// The spec that takes over what was seen of an owner, with every setting that was read; on deletion all of it goes.
pub fn spec(id: &Identity, observed: &Observation) -> Written {
    let mut unsure = Vec::new();
    let spec = match &id.owner {
        Owner::Tenant { tenant_id, pattern, stack, .. } => {
            let usual = vector_store(observed).unwrap_or_default().usual_distance();
            let settings = retrieval(&id.scope, observed, usual, &mut unsure);
            let mut index = settings.index;
            // A text is a text to queries, whether it came alone or in a list.
            let texts = settings.texts.iter().map(|name| attribute(name, AttributeType::String));
            index.attributes.extend(texts);
            serde_json::to_value(TenantSpec {
                tenant_id: tenant_id.clone(),
                class_ref: None,
                pattern: Some(*pattern),
                stack_ref: stack.clone().map(|name| StackRef { name }),
                knowledge_base: set(settings.knowledge_base),
                index: set(index),
                data_deletion_policy: data_deletion_policy(observed),
                ingestion: None,
                encryption: encryption(observed),
                documents: documents(observed, &[id.prefix()]),
                vector_store: vector_store(observed),
                collection: store(observed),
                answers: None,
                tags: Default::default(),
                deletion_policy: DeletionPolicy::Delete,
            })
        }
        Owner::Stack { .. } => serde_json::to_value(SharedStackSpec {
            allowed_namespaces: None,
            encryption: encryption(observed),
            documents: documents(observed, &[BRIDGE.into(), POOL.into()]),
            vector_store: vector_store(observed),
            collection: store(observed),
            pool: pool(&id.scope, observed, &mut unsure),
            tags: Default::default(),
            deletion_policy: DeletionPolicy::Delete,
        }),
    };
    Written { spec: without_nulls(spec.unwrap_or_default()), unsure }
}

/// How documents become vectors and are found.
#[derive(Default)]
struct Retrieval {
    knowledge_base: KnowledgeBase,
    index: Index,
    /// Declared text, which may be an attribute or a pool's tenant key.
    texts: Vec<String>,
}

fn retrieval(scope: &Scope, observed: &Observation, usual: Distance, unsure: &mut Vec<String>) -> Retrieval {
    let facts = observed.knowledge_base.ours();
    let model = facts.and_then(|facts| facts.embedding_model_arn.as_deref()).map(|arn| scope.model_of(arn));
    let index = observed.index.ours();
    let kind = observed.store_kind().unwrap_or_default();
    let found = index.map(|facts| read_back(kind, &facts.schema)).unwrap_or_default();
    if index.is_some() && !features(kind).declares {
        unsure.push(format!("index.attributes: no {} says which were declared", features(kind).words));
    } else if index.is_some() && found == Default::default() {
        unsure.push(
            "index.distance, index.hnsw and index.attributes: only whom a data access policy lets in, such as the \
             operator's role, may look into the index"
                .into(),
        );
    }
    let default = models::lookup(model.unwrap_or(models::DEFAULT_MODEL)).map(|model| model.default);
    let dimensions = found.dimensions.or_else(|| facts.and_then(|facts| facts.dimensions));
    if default.is_none() && dimensions.is_none() {
        unsure.push("knowledgeBase.dimensions: neither the index nor the knowledge base says them".into());
    }
    let source = facts.and_then(|facts| facts.data_source.as_ref());
    if source.is_some_and(|source| source.chunking.is_none()) {
        unsure.push("knowledgeBase.chunking: documents are cut in a way that no spec can ask for".into());
    }
    let chunking = source.and_then(|source| source.chunking);
    let usual = Index::resolve(None, usual);
    Retrieval {
        knowledge_base: KnowledgeBase {
            embedding_model: model.filter(|model| *model != models::DEFAULT_MODEL).map(Into::into),
            dimensions: dimensions.filter(|it| Some(*it) != default),
            chunking: chunking.filter(|it| *it != ChunkingSettings::default()).map(Into::into),
        },
        index: Index {
            distance: found.distance.filter(|it| *it != usual.distance),
            hnsw: set(Hnsw {
                m: found.m.filter(|it| *it != usual.hnsw.m),
                ef_construction: found.ef_construction.filter(|it| *it != usual.hnsw.ef_construction),
                ef_search: found.ef_search.filter(|it| *it != usual.hnsw.ef_search),
            }),
            attributes: found.attributes,
        },
        texts: found.texts,
    }
}

/// What Pool tenants shared, if there was a pool.
fn pool(scope: &Scope, observed: &Observation, unsure: &mut Vec<String>) -> Option<PoolSpec> {
    if !Layer::ALL.iter().any(|layer| is_pools(*layer) && observed.is_ours(*layer)) {
        return None;
    }
    let kind = observed.store_kind().unwrap_or_default();
    let mut of_pool = Vec::new();
    let Retrieval { knowledge_base, mut index, mut texts } =
        retrieval(scope, observed, kind.usual_distance(), &mut of_pool);
    unsure.extend(of_pool.into_iter().map(|what| format!("pool.{what}")));
    if observed.index.ours().is_some() && !features(kind).declares {
        unsure.push(format!(
            "pool.tenantIdKey: no {} says it; '{TENANT_ID}' is the usual one",
            features(kind).words
        ));
    }
    let key = match &texts[..] {
        texts if texts.iter().any(|name| name == TENANT_ID) => TENANT_ID.to_owned(),
        [only] => only.clone(),
        [] => TENANT_ID.to_owned(),
        several => {
            unsure.push(format!("pool.tenantIdKey: one of {}", several.join(", ")));
            TENANT_ID.to_owned()
        }
    };
    texts.retain(|name| *name != key);
    if !texts.is_empty() {
        let names = texts.join(", ");
        unsure.push(format!("pool.index.attributes: whether {names} are 'String' or 'StringList'"));
    }
    index.attributes.extend(texts.iter().map(|name| attribute(name, AttributeType::String)));
    let policy = observed.bucket.ours().and_then(|facts| facts.policy.as_ref());
    if policy.is_some_and(|policy| !policy.to_string().contains(SIDECARS_BY_OPERATOR_ONLY)) {
        // What lets more people in is for a person to say.
        unsure.push(
            "pool.sidecars: the bucket's policy lets others write metadata files, as 'Merge' does".into(),
        );
    }
    Some(PoolSpec {
        tenant_id_key: key,
        knowledge_base: set(knowledge_base),
        index: set(index),
        ingestion: None,
        sidecars: Sidecars::OperatorOnly,
    })
}

/// The layers that a SharedStack owns for its pool alone.
fn is_pools(layer: Layer) -> bool {
    matches!(layer, Layer::Index | Layer::Role | Layer::KnowledgeBase)
}

const TENANT_ID: &str = "tenantId";

fn data_deletion_policy(observed: &Observation) -> Option<DataDeletionPolicy> {
    let source = observed.knowledge_base.ours()?.data_source.as_ref()?;
    let retain = DataDeletionPolicy::Retain;
    (source.data_deletion_policy == retain.in_aws()).then_some(retain)
}

/// The key of the vector store or, where that is gone, of the bucket. It is existing unless it was created.
fn encryption(observed: &Observation) -> Option<Encryption> {
    if observed.key.ours().is_some() {
        return Some(Encryption { key: EncryptionKey::Create, kms_key_arn: None });
    }
    let of_store = observed.vector_store.ours().and_then(|facts| facts.key_arn().map(str::to_owned));
    let arn = of_store.or_else(|| observed.bucket.ours()?.key_arn.clone())?;
    Some(Encryption { key: EncryptionKey::Existing, kms_key_arn: Some(arn) })
}

/// Not one of these is immutable; but the defaults would delete older versions that were to be kept for ever.
fn documents(observed: &Observation, prefixes: &[String]) -> Option<Documents> {
    let facts = observed.bucket.ours()?;
    let ours =
        |rule: &&LifecycleRule| prefixes.contains(&rule.prefix) && rule.noncurrent_expiration_days >= 0;
    let rule = facts.lifecycle.iter().find(ours);
    let expiration = rule.map_or(0, |rule| rule.expiration_days.max(0));
    let noncurrent = rule.map_or(0, |rule| rule.noncurrent_expiration_days);
    let usual = Documents::resolve(None);
    set(Documents {
        versioning: (!facts.versioned).then_some(Versioning::Suspended),
        // Where no versions are kept, no rule speaks of them.
        noncurrent_expiration_days: Some(noncurrent)
            .filter(|days| facts.versioned && *days != usual.noncurrent_expiration_days),
        expiration_days: Some(expiration).filter(|days| *days != usual.expiration_days),
    })
}

/// Which store its own is, unless it is the usual one.
fn vector_store(observed: &Observation) -> Option<VectorStore> {
    let kind = observed.vector_store.ours().map(StoreFacts::kind);
    kind.filter(|kind| *kind != VectorStore::default())
}

/// The settings of a collection, of a store that has such.
fn store(observed: &Observation) -> Option<Collection> {
    set(read_collection(observed.vector_store.ours()?)?)
}

/// Something that says anything at all.
fn set<T: Default + PartialEq>(written: T) -> Option<T> {
    (written != T::default()).then_some(written)
}

/// Fields that are not set are not written either.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(fields.map(|(name, value)| (name, without_nulls(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::Isolation;
    use crate::stack::model::ideal::{self, Sample, ours};
    use crate::stack::model::observed::Observed;

    const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-4000-8000-000000000000";

    /// All that is not the default, in every field that can be read back.
    fn knowledge_base() -> Value {
        json!({"embeddingModel": "amazon.nova-2-multimodal-embeddings-v1:0", "dimensions": 384, "chunking":
            {"strategy": "Hierarchical", "parentMaxTokens": 1500, "childMaxTokens": 300, "overlapTokens": 60}})
    }

    fn index() -> Value {
        json!({"distance": "InnerProduct", "hnsw": {"m": 8, "efConstruction": 100, "efSearch": 256},
            "attributes": [{"name": "final", "type": "Boolean"}, {"name": "year", "type": "Number"},
                {"name": "kind", "type": "String"}]})
    }

    fn storage() -> Value {
        json!({
            "encryption": {"key": "Create"},
            "documents": {"noncurrentExpirationDays": 0, "expirationDays": 400},
            "collection": {"standbyReplicas": "Disabled",
                "network": {"access": "Private", "vpcEndpointIds": ["vpce-1", "vpce-2"]}},
        })
    }

    fn with(mut spec: Value, more: Value) -> Value {
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    }

    fn tenant(pattern: &str, more: Value) -> Value {
        let stack = json!({"stackRef": {"name": "standard"}});
        let spec = json!({"tenantId": "acme", "pattern": pattern, "deletionPolicy": "Delete"});
        with(with(spec, if pattern == "Silo" { json!({}) } else { stack }), more)
    }

    fn stack(more: Value) -> Value {
        with(json!({"deletionPolicy": "Delete"}), more)
    }

    fn pool(more: Value) -> Value {
        stack(json!({"pool": with(json!({"tenantIdKey": "tenantId", "sidecars": "OperatorOnly"}), more)}))
    }

    fn sample(spec: &Value) -> Sample {
        match spec.get("pattern") {
            Some(_) => ideal::tenant("tenant", spec.clone()),
            None => ideal::stack("stack", spec.clone()),
        }
    }

    #[test]
    fn what_was_built_says_the_spec_that_it_was_built_from() {
        let retrieval = json!({"knowledgeBase": knowledge_base(), "index": index()});
        let owned = with(retrieval.clone(), json!({"dataDeletionPolicy": "Retain"}));
        let own_key = json!({"encryption": {"key": "Existing", "kmsKeyArn": KEY}});
        let public = json!({"collection": {"network": {"access": "Public"}}});
        let model = |model: Value| json!({"knowledgeBase": model});
        for spec in [
            tenant("Silo", json!({})),
            tenant("Silo", with(storage(), owned.clone())),
            tenant("Silo", with(own_key.clone(), public.clone())),
            tenant("Silo", json!({"documents": {"versioning": "Suspended", "expirationDays": 1}})),
            tenant("Silo", json!({"documents": {"versioning": "Suspended"}})),
            tenant("Silo", json!({"documents": {"noncurrentExpirationDays": 7}})),
            tenant("Silo", json!({"documents": {"expirationDays": 7}})),
            tenant("Bridge", json!({})),
            tenant("Bridge", owned),
            tenant("Bridge", model(json!({"embeddingModel": "cohere.embed-english-v3"}))),
            tenant("Bridge", model(json!({"embeddingModel": "acme.embed-v9", "dimensions": 700}))),
            tenant(
                "Bridge",
                model(json!({"embeddingModel": "arn:aws:bedrock:eu-west-1::x", "dimensions": 9})),
            ),
            tenant("Bridge", model(json!({"chunking": {"strategy": "None"}}))),
            tenant("Pool", json!({})),
            stack(json!({})),
            stack(storage()),
            stack(with(own_key, public)),
            pool(json!({})),
            with(storage(), pool(json!({"knowledgeBase": knowledge_base()}))),
            pool(json!({"index": {"attributes": [{"name": "year", "type": "Number"}]}})),
            pool(json!({"tenantIdKey": "customer", "index": {"hnsw": {"m": 8}}})),
        ] {
            let sample = sample(&spec);
            let written = super::spec(&sample.id, &sample.built());
            assert_eq!(written, Written { spec: spec.clone(), unsure: Vec::new() });
        }
    }

    #[test]
    fn what_is_written_means_the_same() {
        let spec =
            tenant("Silo", with(storage(), json!({"knowledgeBase": knowledge_base(), "index": index()})));
        let before: TenantSpec = serde_json::from_value(spec.clone()).unwrap();
        let sample = sample(&spec);
        let after: TenantSpec =
            serde_json::from_value(super::spec(&sample.id, &sample.built()).spec).unwrap();
        let (Isolation::Silo(before), Isolation::Silo(after)) =
            (before.isolation().unwrap(), after.isolation().unwrap())
        else {
            panic!("no Silo")
        };
        assert_eq!(after, before);
    }

    #[test]
    fn what_nobody_could_read_is_said() {
        type Case = (&'static str, Value, fn(&mut Observation), Value, &'static [&'static str]);
        let hnsw = json!({"index": {"hnsw": {"m": 8}}, "knowledgeBase": {"dimensions": 512}});
        let texts = |names: &[&str]| -> Value {
            names.iter().map(|name| json!({"name": name, "type": "String"})).collect()
        };
        let attributes = |names: &[&str]| json!({"index": {"attributes": texts(names)}});
        let hidden: fn(&mut Observation) = |it| ours(&mut it.index).schema = Value::Null;
        let cases: Vec<Case> = vec![
            (
                "whoever asks may not look into the index, and the knowledge base knows the dimensions",
                tenant("Bridge", hnsw),
                hidden,
                tenant("Bridge", json!({"knowledgeBase": {"dimensions": 512}})),
                &["index.distance, index.hnsw"],
            ),
            (
                "and the knowledge base does not say them",
                tenant("Bridge", json!({"knowledgeBase": {"embeddingModel": "a.b", "dimensions": 9}})),
                |it| {
                    ours(&mut it.index).schema = Value::Null;
                    ours(&mut it.knowledge_base).dimensions = None;
                },
                tenant("Bridge", json!({"knowledgeBase": {"embeddingModel": "a.b"}})),
                &["index.distance, index.hnsw", "knowledgeBase.dimensions"],
            ),
            (
                "chunks of another kind",
                tenant("Bridge", json!({})),
                |it| ours(&mut it.knowledge_base).data_source.as_mut().unwrap().chunking = None,
                tenant("Bridge", json!({})),
                &["knowledgeBase.chunking"],
            ),
            (
                "chunks of another kind in a pool",
                pool(json!({})),
                |it| ours(&mut it.knowledge_base).data_source.as_mut().unwrap().chunking = None,
                pool(json!({})),
                &["pool.knowledgeBase.chunking"],
            ),
            (
                "only the documents are left",
                tenant("Bridge", json!({"knowledgeBase": knowledge_base()})),
                |it| *it = Observation::default(),
                tenant("Bridge", json!({})),
                &[],
            ),
            (
                "a pool's texts",
                pool(attributes(&["kind"])),
                |_| (),
                pool(attributes(&["kind"])),
                &["pool.index.attributes: whether kind"],
            ),
            (
                "a pool whose tenant key is one of two texts",
                pool(with(attributes(&["kind"]), json!({"tenantIdKey": "customer"}))),
                |_| (),
                pool(attributes(&["customer", "kind"])),
                &["pool.tenantIdKey: one of customer, kind", "pool.index.attributes"],
            ),
            (
                "a pool whose tenants write metadata files",
                pool(json!({"sidecars": "Merge"})),
                |_| (),
                pool(json!({})),
                &["pool.sidecars"],
            ),
            (
                "a bucket is left of a stack with a pool, and its collection's key with it",
                with(pool(json!({})), json!({"encryption": {"key": "Existing", "kmsKeyArn": KEY}})),
                |it| *it = Observation { bucket: std::mem::take(&mut it.bucket), ..Observation::default() },
                stack(json!({"encryption": {"key": "Existing", "kmsKeyArn": KEY}})),
                &[],
            ),
            (
                "somebody else's settings are not read",
                tenant("Silo", storage()),
                |it| {
                    let foreign = crate::stack::model::observed::Foreign {
                        resource: "x".into(),
                        claim: crate::stack::identity::OwnershipClaim::Foreign,
                    };
                    (it.key, it.bucket) =
                        (Observed::Foreign(foreign.clone()), Observed::Foreign(foreign.clone()));
                    it.vector_store = Observed::Foreign(foreign);
                },
                tenant("Silo", json!({})),
                &[],
            ),
        ];
        for (what, spec, happens, expected, unsure) in cases {
            let sample = sample(&spec);
            let mut observed = sample.built();
            happens(&mut observed);
            let written = super::spec(&sample.id, &observed);
            assert_eq!(written.spec, expected, "{what}");
            assert_eq!(written.unsure.len(), unsure.len(), "{what}: {:?}", written.unsure);
            for (said, begins) in written.unsure.iter().zip(unsure) {
                assert!(said.starts_with(begins), "{what}: {said}");
            }
        }
    }
}
