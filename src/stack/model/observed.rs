//! What AWS answered about each layer, and the pure comparison with what it should be.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::api::{ChunkingSettings, Layer, VectorStore};
use crate::stack::fault::Fault;
pub use crate::stack::foreign::Foreign;
use crate::stack::identity::{Identity, OwnershipClaim};
pub use crate::stack::store::PolicyFacts;
use crate::stack::store::{StoreFacts, StoreHandle};

/// One layer, as looked at.
#[derive(Clone, Debug, PartialEq)]
pub enum Observed<T> {
    /// Nothing has our name.
    Absent,
    /// It carries our name and proves to be ours.
    Ours(T),
    /// It carries our name and is not provably ours: never changed, never deleted.
    Foreign(Foreign),
}

// Not derived: a derived Default would ask it of `T` too.
#[allow(clippy::derivable_impls)]
impl<T> Default for Observed<T> {
    fn default() -> Self {
        Observed::Absent
    }
}

impl<T> Observed<T> {
    /// Judges a resource by its tags.
    pub fn by_tags(
        id: &Identity,
        resource: impl FnOnce() -> String,
        tags: &BTreeMap<String, String>,
        facts: T,
    ) -> Self {
        match id.claim(tags) {
            claim if id.owns(&claim) => Observed::Ours(facts),
            claim => Observed::Foreign(Foreign { resource: resource(), claim }),
        }
    }

    /// The same of other facts.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Observed<U> {
        match self {
            Observed::Absent => Observed::Absent,
            Observed::Ours(facts) => Observed::Ours(f(facts)),
            Observed::Foreign(foreign) => Observed::Foreign(foreign),
        }
    }

    /// The facts, if it is ours.
    pub fn ours(&self) -> Option<&T> {
        match self {
            Observed::Ours(facts) => Some(facts),
            _ => None,
        }
    }

    /// Whose it is, if it is not ours.
    pub fn foreign(&self) -> Option<&Foreign> {
        match self {
            Observed::Foreign(foreign) => Some(foreign),
            _ => None,
        }
    }

    /// Whether nothing has our name.
    pub fn is_absent(&self) -> bool {
        matches!(self, Observed::Absent)
    }
}

/// All layers of one owner, as looked at. Layers that the owner borrows stay `Absent`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observation {
    /// The customer key.
    pub key: Observed<KeyFacts>,
    /// The bucket.
    pub bucket: Observed<BucketFacts>,
    /// The vector store.
    pub vector_store: Observed<StoreFacts>,
    /// The vector index.
    pub index: Observed<IndexFacts>,
    /// Whether the index was looked for: only an active vector store can be asked.
    pub index_known: bool,
    /// The fields that AWS was asked to add to it, and took, since the process began.
    pub index_asked: BTreeSet<String>,
    /// Why it may be there although nobody could see it.
    pub index_hidden: Option<Fault>,
    /// The role and the data access policy.
    pub role: Observed<RoleFacts>,
    /// The knowledge base and its data source.
    pub knowledge_base: Observed<KnowledgeBaseFacts>,
}

/// What a look at one layer found.
pub enum LayerObservation {
    /// The customer key.
    Key(Observed<KeyFacts>),
    /// The bucket.
    Bucket(Observed<BucketFacts>),
    /// The vector store.
    VectorStore(Observed<StoreFacts>),
    /// The vector index.
    Index(Observed<IndexFacts>),
    /// The index cannot be reached from here, so it may be there.
    IndexHidden(Fault),
    /// The role and the data access policy.
    Role(Observed<RoleFacts>),
    /// The knowledge base and its data source.
    KnowledgeBase(Observed<KnowledgeBaseFacts>),
}

impl Observation {
    /// Puts what was found of one layer in its place.
    pub fn put(&mut self, looked: LayerObservation) {
        match looked {
            LayerObservation::Key(seen) => self.key = seen,
            LayerObservation::Bucket(seen) => self.bucket = seen,
            LayerObservation::VectorStore(seen) => self.vector_store = seen,
            LayerObservation::Index(seen) => (self.index, self.index_hidden) = (seen, None),
            LayerObservation::IndexHidden(fault) => {
                self.index = Observed::Absent;
                self.index_known = false;
                self.index_hidden = Some(fault);
            }
            LayerObservation::Role(seen) => self.role = seen,
            LayerObservation::KnowledgeBase(seen) => self.knowledge_base = seen,
        }
    }

    /// Whether anything of it still bears the uid of an earlier owner, who left it behind.
    pub fn is_adopted(&self, id: &Identity) -> bool {
        let Self { key, bucket, vector_store, index, role, knowledge_base, .. } = self;
        let role = role.ours();
        let tags = [
            index.ours().map(|facts| facts.tags.clone()),
            key.ours().map(|facts| facts.tags.clone()),
            bucket.ours().map(|facts| facts.tags.clone()),
            role.and_then(|facts| facts.data_access.as_ref()).map(PolicyFacts::tags),
            role.and_then(|facts| facts.role.as_ref()).map(|it| it.tags.clone()),
            knowledge_base.ours().map(|facts| facts.tags.clone()),
        ];
        let of_store = vector_store.ours().map(StoreFacts::tags).unwrap_or_default();
        tags.iter()
            .flatten()
            .chain(&of_store)
            .map(|tags| id.claim(tags))
            .any(|claim| claim != OwnershipClaim::Ours && id.owns(&claim))
    }

    /// Everything that has our name and is not ours.
    pub fn foreign(&self) -> Vec<&Foreign> {
        Layer::ALL.into_iter().filter_map(|layer| self.foreign_of(layer)).collect()
    }

    /// Whether a layer stays on the way back although it is ours: without its key, what is somebody else's now would be
    /// lost.
    pub fn stays(&self, layer: Layer) -> bool {
        layer == Layer::Key && (self.bucket.foreign().is_some() || self.vector_store.foreign().is_some())
    }

    /// Which store it is, if that can be seen: its own, or the one that its knowledge base uses.
    pub fn store_kind(&self) -> Option<VectorStore> {
        let used =
            || self.knowledge_base.ours().and_then(|facts| facts.store.as_ref()).map(StoreHandle::kind);
        self.vector_store.ours().map(StoreFacts::kind).or_else(used)
    }

    /// How one gets at the vector store, if it is there and ours.
    pub fn store(&self) -> Option<StoreHandle> {
        self.vector_store.ours()?.handle()
    }

    /// Whether the vector store that was seen answers calls about its indexes.
    pub fn has_active_store(&self) -> bool {
        self.vector_store.ours().is_some_and(StoreFacts::is_active)
    }

    /// Whether a layer is there and ours.
    pub fn is_ours(&self, layer: Layer) -> bool {
        match layer {
            Layer::Key => self.key.ours().is_some(),
            Layer::Bucket => self.bucket.ours().is_some(),
            Layer::VectorStore => self.vector_store.ours().is_some_and(StoreFacts::has_any),
            Layer::Index => self.index.ours().is_some(),
            Layer::Role => self.role.ours().is_some(),
            Layer::KnowledgeBase => self.knowledge_base.ours().is_some(),
        }
    }

    /// Whether what a layer is named after is not there, whatever stands beside it.
    pub fn lacks(&self, layer: Layer) -> bool {
        match layer {
            Layer::Key => self.key.is_absent(),
            Layer::Bucket => self.bucket.is_absent(),
            Layer::VectorStore => match &self.vector_store {
                Observed::Ours(facts) => facts.handle().is_none(),
                seen => seen.is_absent(),
            },
            Layer::Index => self.index.is_absent(),
            Layer::Role => match &self.role {
                Observed::Ours(facts) => facts.role.is_none(),
                seen => seen.is_absent(),
            },
            Layer::KnowledgeBase => self.knowledge_base.is_absent(),
        }
    }

    /// What of one layer has our name and is not ours: all of it, or a part beside ours.
    pub fn foreign_of(&self, layer: Layer) -> Option<&Foreign> {
        fn of<T>(seen: &Observed<T>, beside: impl FnOnce(&T) -> Option<&Foreign>) -> Option<&Foreign> {
            match seen {
                Observed::Absent => None,
                Observed::Ours(facts) => beside(facts),
                Observed::Foreign(foreign) => Some(foreign),
            }
        }
        match layer {
            Layer::Key => of(&self.key, |facts| facts.foreign.as_ref()),
            Layer::Bucket => of(&self.bucket, |_| None),
            Layer::VectorStore => of(&self.vector_store, StoreFacts::foreign),
            Layer::Index => of(&self.index, |_| None),
            Layer::Role => of(&self.role, |facts| facts.foreign.as_ref()),
            Layer::KnowledgeBase => of(&self.knowledge_base, |_| None),
        }
    }
}

/// A created key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    /// Its ARN.
    pub arn: String,
    /// Whether the alias already points at it.
    pub has_alias: bool,
    /// `Enabled`, `PendingDeletion`, …
    pub state: String,
    /// All tags.
    pub tags: BTreeMap<String, String>,
    /// Somebody else's key, if our alias points at it.
    pub foreign: Option<Foreign>,
    /// Whether its policy lets in the service of the vector store that decrypts by itself. Also where the store has none, and
    /// where nobody can say.
    pub lets_store_in: bool,
}

/// A bucket's settings, each `None` where AWS has none.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct BucketFacts {
    /// All tags.
    pub tags: BTreeMap<String, String>,
    /// All four switches of Block Public Access are on.
    pub blocks_public_access: bool,
    /// `BucketOwnerEnforced`, …
    pub object_ownership: Option<String>,
    /// The bucket policy.
    pub policy: Option<Value>,
    /// The key of default encryption; `None` for S3's own.
    pub key_arn: Option<String>,
    /// Whether versioning is enabled.
    pub versioned: bool,
    /// The lifecycle rules, one a prefix.
    pub lifecycle: Vec<LifecycleRule>,
}

/// One lifecycle rule, in the terms that we set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LifecycleRule {
    /// The prefix it applies to.
    pub prefix: String,
    /// Current versions expire after so many days; 0 = never.
    pub expiration_days: i32,
    /// Noncurrent versions expire after so many days; 0 = never.
    pub noncurrent_expiration_days: i32,
    /// Uploads in parts that were begun and not finished are given up after so many days; 0 = never.
    pub abort_uploads_days: i32,
}

impl LifecycleRule {
    /// Whether it has any effect: S3 refuses one that has none.
    pub fn does_anything(&self) -> bool {
        let Self { prefix: _, expiration_days, noncurrent_expiration_days, abort_uploads_days } = self;
        [expiration_days, noncurrent_expiration_days, abort_uploads_days].into_iter().any(|days| *days > 0)
    }
}

/// An index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IndexFacts {
    /// Its settings, and mappings where it has some, as AWS has them.
    pub schema: Value,
    /// All tags, where it has some.
    pub tags: BTreeMap<String, String>,
    /// Its ARN, where it has one.
    pub arn: Option<String>,
    /// Whether only the store's own endpoint sees it, so that it must be changed and deleted there.
    pub by_endpoint: bool,
}

/// A role and the data access policy of its index.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct RoleFacts {
    /// The role; absent where only the data access policy stands.
    pub role: Option<RoleDetail>,
    /// The data access policy.
    pub data_access: Option<PolicyFacts>,
    /// The one of the two that is somebody else's, if only the other is ours.
    pub foreign: Option<Foreign>,
}

/// What IAM says of a role.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleDetail {
    /// Its ARN.
    pub arn: String,
    /// Who may assume it.
    pub trust: Value,
    /// Its inline policies, by name.
    pub policies: BTreeMap<String, Value>,
    /// All tags.
    pub tags: BTreeMap<String, String>,
    /// Its permissions boundary, by ARN.
    pub boundary: Option<String>,
}

/// A knowledge base and its data source.
#[derive(Clone, Debug, PartialEq)]
pub struct KnowledgeBaseFacts {
    /// Its id.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// `CREATING`, `ACTIVE`, `DELETING`, `FAILED`, `DELETE_UNSUCCESSFUL`, …
    pub status: String,
    /// Why it failed, if it did.
    pub failure_reasons: Vec<String>,
    /// The model that it embeds with.
    pub embedding_model_arn: Option<String>,
    /// The length of its vectors, if Bedrock was told.
    pub dimensions: Option<i32>,
    /// The store that holds its vectors, without an endpoint.
    pub store: Option<StoreHandle>,
    /// All tags.
    pub tags: BTreeMap<String, String>,
    /// The data source of our name.
    pub data_source: Option<DataSourceFacts>,
}

/// A data source.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSourceFacts {
    /// Its id.
    pub id: String,
    /// `AVAILABLE`, `DELETING`, `DELETE_UNSUCCESSFUL`, …
    pub status: String,
    /// `RETAIN` or `DELETE`.
    pub data_deletion_policy: String,
    /// The bucket's ARN.
    pub bucket_arn: String,
    /// The one inclusion prefix.
    pub prefix: Option<String>,
    /// The key of transient data.
    pub key_arn: Option<String>,
    /// How it cuts documents, if in a way that we know.
    pub chunking: Option<ChunkingSettings>,
    /// Why it failed, if it did.
    pub failure_reasons: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::model::ideal::{self, Sample, found_collection, ours};
    use crate::stack::store::opensearch::collection::CollectionFacts;

    const UID: &str = "tenantry.dev/owner-uid";

    fn somebodys(resource: &str) -> Foreign {
        Foreign { resource: resource.into(), claim: OwnershipClaim::Foreign }
    }

    fn of_earlier(tags: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut tags = tags.clone();
        tags.insert(UID.into(), "6f1e0c1e-0000-4000-8000-000000000000".into());
        tags
    }

    /// One that owns every layer, and all of it built.
    fn built() -> (Sample, Observation) {
        let sample = ideal::stack(
            "everything",
            serde_json::json!({"encryption": {"key": "Create"}, "tags": {"costCenter": "42"}, "pool": {}}),
        );
        let observed = sample.built();
        (sample, observed)
    }

    #[test]
    fn tags_tell_whose_a_resource_is() {
        let (sample, _) = built();
        let (id, adopting) = (sample.id.clone(), sample.id.clone().adopting(None));
        let tags = id.tags();
        let earlier = of_earlier(&tags);
        let mut with_others = tags.clone();
        with_others.insert("others".into(), "own".into());
        let mut elsewhere = tags.clone();
        elsewhere.insert("tenantry.dev/installation".into(), "test".into());
        let foreign = |claim| Observed::Foreign(Foreign { resource: "thing x".into(), claim });
        for (id, tags, expected) in [
            (&id, &tags, Observed::Ours(7)),
            (&adopting, &tags, Observed::Ours(7)),
            (&id, &with_others, Observed::Ours(7)),
            (&adopting, &earlier, Observed::Ours(7)),
            (&id, &earlier, foreign(OwnershipClaim::Adoptable)),
            (&adopting, &elsewhere, foreign(OwnershipClaim::Foreign)),
            (&adopting, &BTreeMap::new(), foreign(OwnershipClaim::Foreign)),
        ] {
            let seen = Observed::by_tags(id, || "thing x".into(), tags, 7);
            assert_eq!(seen, expected);
            let is_ours = expected == Observed::Ours(7);
            assert_eq!(seen.ours(), is_ours.then_some(&7));
            assert_eq!(seen.foreign().is_some(), !is_ours);
            assert!(!seen.is_absent());
        }
        let absent = Observed::<i32>::default();
        assert!(absent.is_absent() && absent.ours().is_none() && absent.foreign().is_none());
    }

    #[test]
    fn one_thing_with_the_uid_of_an_earlier_owner_makes_it_adopted() {
        fn adopt(policy: &mut PolicyFacts) {
            let tags = of_earlier(&Identity::parse_description(&policy.description));
            policy.description = Identity::description(&tags);
        }
        type Case = (&'static str, fn(&mut Observation));
        let places: &[Case] = &[
            ("key", |it| ours(&mut it.key).tags = of_earlier(&ours(&mut it.key).tags)),
            ("bucket", |it| ours(&mut it.bucket).tags = of_earlier(&ours(&mut it.bucket).tags)),
            ("encryption policy", |it| adopt(found_collection(it).encryption.as_mut().unwrap())),
            ("network policy", |it| adopt(found_collection(it).network.as_mut().unwrap())),
            ("collection", |it| {
                let detail = found_collection(it).collection.as_mut().unwrap();
                detail.tags = of_earlier(&detail.tags);
            }),
            ("data access policy", |it| adopt(ours(&mut it.role).data_access.as_mut().unwrap())),
            ("role", |it| {
                let role = ours(&mut it.role).role.as_mut().unwrap();
                role.tags = of_earlier(&role.tags);
            }),
            ("knowledge base", |it| {
                let facts = ours(&mut it.knowledge_base);
                facts.tags = of_earlier(&facts.tags);
            }),
        ];
        let (sample, observed) = built();
        let adopting = sample.id.clone().adopting(None);
        assert!(!observed.is_adopted(&adopting), "all of it is its own");
        assert!(!Observation::default().is_adopted(&adopting), "there is nothing");
        for (what, mutate) in places {
            let mut it = observed.clone();
            mutate(&mut it);
            assert!(it.is_adopted(&adopting), "{what}");
            assert!(!it.is_adopted(&sample.id), "{what}: who takes over nothing has adopted nothing");
        }
    }

    /// All of a layer, or a part of it beside ours; an index, a bucket and a knowledge base have no parts.
    #[test]
    fn what_is_somebody_elses_is_told_layer_by_layer() {
        type Case = (Layer, &'static str, fn(&mut Observation, Foreign));
        let cases: &[Case] = &[
            (Layer::Key, "all", |it, other| it.key = Observed::Foreign(other)),
            (Layer::Key, "part", |it, other| ours(&mut it.key).foreign = Some(other)),
            (Layer::Bucket, "all", |it, other| it.bucket = Observed::Foreign(other)),
            (Layer::VectorStore, "all", |it, other| it.vector_store = Observed::Foreign(other)),
            (Layer::VectorStore, "part", |it, other| found_collection(it).foreign = Some(other)),
            (Layer::Index, "all", |it, other| it.index = Observed::Foreign(other)),
            (Layer::Role, "all", |it, other| it.role = Observed::Foreign(other)),
            (Layer::Role, "part", |it, other| ours(&mut it.role).foreign = Some(other)),
            (Layer::KnowledgeBase, "all", |it, other| it.knowledge_base = Observed::Foreign(other)),
        ];
        let (_, observed) = built();
        assert!(observed.foreign().is_empty() && Observation::default().foreign().is_empty());
        for (layer, how, mutate) in cases {
            let mut it = observed.clone();
            mutate(&mut it, somebodys("x"));
            for other in Layer::ALL {
                let expected = (other == *layer).then(|| somebodys("x"));
                assert_eq!(it.foreign_of(other), expected.as_ref(), "{how} of {layer:?}: {other:?}");
                assert_eq!(Observation::default().foreign_of(other), None);
            }
            assert_eq!(it.foreign(), [&somebodys("x")], "{how} of {layer:?}");
        }
        let both = Observation {
            bucket: Observed::Foreign(somebodys("first")),
            role: Observed::Foreign(somebodys("second")),
            ..Observation::default()
        };
        assert_eq!(both.foreign(), [&somebodys("first"), &somebodys("second")], "in build order");
    }

    #[test]
    fn a_key_stays_while_what_it_may_encrypt_is_somebody_elses() {
        type Case = (&'static str, fn(&mut Observation), &'static [Layer]);
        let cases: &[Case] = &[
            ("all is ours", |_| {}, &[]),
            ("the bucket", |it| it.bucket = Observed::Foreign(somebodys("x")), &[Layer::Key]),
            ("the collection", |it| it.vector_store = Observed::Foreign(somebodys("x")), &[Layer::Key]),
            // A policy beside our collection encrypts nothing.
            ("a policy", |it| found_collection(it).foreign = Some(somebodys("x")), &[]),
            ("the role", |it| it.role = Observed::Foreign(somebodys("x")), &[]),
            ("the index", |it| it.index = Observed::Foreign(somebodys("x")), &[]),
        ];
        for (what, mutate, staying) in cases {
            let (_, mut it) = built();
            mutate(&mut it);
            let stays: Vec<_> = Layer::ALL.into_iter().filter(|layer| it.stays(*layer)).collect();
            assert_eq!(stays, *staying, "{what}");
        }
    }

    #[test]
    fn any_part_of_a_collection_is_something() {
        let (_, mut observed) = built();
        let whole = found_collection(&mut observed).clone();
        let none = CollectionFacts::default();
        for (what, facts, any) in [
            ("nothing", none.clone(), false),
            ("somebody's", CollectionFacts { foreign: Some(somebodys("x")), ..none.clone() }, false),
            ("encryption", CollectionFacts { encryption: whole.encryption.clone(), ..none.clone() }, true),
            ("network", CollectionFacts { network: whole.network.clone(), ..none.clone() }, true),
            ("itself", CollectionFacts { collection: whole.collection.clone(), ..none }, true),
            ("everything", whole, true),
        ] {
            assert_eq!(facts.has_any(), any, "{what}");
        }
    }
}
