//! The plan: row by row where the rows can be counted, and where they cannot, what is true of every sight.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::api::{GROUP, Ownership, VectorStore, ownership};
use crate::stack::fault::{Class, Fault};
use crate::stack::identity::Owner;
use crate::stack::model::ideal::{self, Sample};
use crate::stack::model::observed::{
    BucketFacts, DataSourceFacts, Foreign, IndexFacts, KeyFacts, KnowledgeBaseFacts, Observed, PolicyFacts,
    RoleFacts,
};
use crate::stack::store::opensearch::collection::CollectionFacts;
use crate::stack::store::s3_vectors::vector_bucket::VectorBucketDetail;
use crate::stack::store::{StoreFacts, StoreHandle, opensearch};

/// Every sample with its stack as it is once it is built, those on S3 Vectors last.
static BUILT: LazyLock<Vec<(Sample, Observation)>> = LazyLock::new(|| {
    let samples = ideal::samples().into_iter().chain(ideal::on_s3_vectors());
    samples.map(|sample| (sample.clone(), sample.built())).collect()
});

/// What each layer was built on, told once more.
const fn built_on(store: VectorStore) -> [(Layer, &'static [Layer]); 6] {
    let of_index: &[Layer] = match store {
        VectorStore::OpenSearchServerless => &[Layer::VectorStore, Layer::Role],
        // No policy beside the role must stand before it.
        VectorStore::S3Vectors => &[Layer::VectorStore],
    };
    [
        (Layer::Key, &[]),
        (Layer::Bucket, &[Layer::Key]),
        (Layer::VectorStore, &[Layer::Key]),
        (Layer::Index, of_index),
        (Layer::Role, &[Layer::Key]),
        (Layer::KnowledgeBase, &[Layer::Bucket, Layer::Index, Layer::Role]),
    ]
}

/// Which store a sample has, or borrows.
fn store(sample: &Sample) -> VectorStore {
    sample.want(&Observation::default()).store_kind().unwrap()
}

/// One of two rows: in a collection an index waits for the role, beside which its data access policy stands.
fn row_in<'a>(sample: &Sample, collection: &'a str, vector_bucket: &'a str) -> &'a str {
    match store(sample) {
        VectorStore::OpenSearchServerless => collection,
        VectorStore::S3Vectors => vector_bucket,
    }
}

/// The uid of an object that is gone.
const BEFORE: &str = "6f1e0c1e-0000-4000-8000-000000000000";

/// Whether the ownership table gives a layer to a sample. A key is owned only where one is to be made.
fn owns(sample: &Sample, layer: Layer) -> bool {
    ownership(sample.column, layer) == Ownership::Owns && (layer != Layer::Key || sample.creates_key())
}

/// A plan in six characters, in build order: `E`nsure, `.` whole, `-` none; and for what waits the initial of the layer
/// that comes first, a capital for the knowledge base.
fn row(steps: &PerLayer<Step>) -> String {
    let cell = |step: &Step| match step {
        Step::None => '-',
        Step::UpToDate => '.',
        Step::Apply => 'E',
        Step::WaitFor(Layer::Key) => 'k',
        Step::WaitFor(Layer::Bucket) => 'b',
        Step::WaitFor(Layer::VectorStore) => 'c',
        Step::WaitFor(Layer::Index) => 'i',
        Step::WaitFor(Layer::Role) => 'r',
        Step::WaitFor(Layer::KnowledgeBase) => 'K',
        Step::Unseen => '?',
    };
    steps.iter().map(|(_, step)| cell(step)).collect()
}

/// The row of somebody who owns all layers, as a sample has it.
fn masked(row: &str, sample: &Sample) -> String {
    let cells = Layer::ALL.into_iter().zip(row.chars());
    cells.map(|(layer, cell)| if owns(sample, layer) { cell } else { '-' }).collect()
}

fn plan_of(sample: &Sample, observed: &Observation) -> Result<PerLayer<Step>, Blocked> {
    plan(&sample.id, &sample.want(observed), observed)
}

fn row_of(sample: &Sample, observed: &Observation) -> String {
    row(&plan_of(sample, observed).unwrap())
}

/// What is seen of the world: an index is looked for only in a vector store that is active.
fn look(sample: &Sample, world: &Observation) -> Observation {
    let index_known = sample.offer.is_some() || world.has_active_store();
    let index = if index_known { world.index.clone() } else { Observed::Absent };
    Observation { index, index_known, ..world.clone() }
}

/// A way in which a layer can differ from what is wanted, and the plan that follows for one that owns all layers.
struct Way {
    layer: Layer,
    /// The only store in which it can be so.
    store: Option<VectorStore>,
    name: &'static str,
    change: fn(&mut Observation),
    row: &'static str,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.layer, self.name)
    }
}

impl Way {
    /// Whether a sample's layer can differ so.
    fn is_of(&self, sample: &Sample) -> bool {
        owns(sample, self.layer) && self.store.is_none_or(|it| it == store(sample))
    }
}

const fn way(layer: Layer, name: &'static str, row: &'static str, change: fn(&mut Observation)) -> Way {
    Way { layer, store: None, name, change, row }
}

const fn way_of_collections(
    layer: Layer,
    name: &'static str,
    row: &'static str,
    change: fn(&mut Observation),
) -> Way {
    Way { store: Some(VectorStore::OpenSearchServerless), ..way(layer, name, row, change) }
}

const fn way_of_vector_buckets(
    layer: Layer,
    name: &'static str,
    row: &'static str,
    change: fn(&mut Observation),
) -> Way {
    Way { store: Some(VectorStore::S3Vectors), ..way(layer, name, row, change) }
}

fn change<T>(seen: &mut Observed<T>, change: impl FnOnce(&mut T)) {
    if let Observed::Ours(facts) = seen {
        change(facts);
    }
}

fn change_some<T>(it: &mut Option<T>, change: impl FnOnce(&mut T)) {
    if let Some(it) = it {
        change(it);
    }
}

fn key(observed: &mut Observation, by: fn(&mut KeyFacts)) {
    change(&mut observed.key, by);
}

fn bucket(observed: &mut Observation, by: fn(&mut BucketFacts)) {
    change(&mut observed.bucket, by);
}

fn collection(observed: &mut Observation, by: impl FnOnce(&mut CollectionFacts)) {
    change(&mut observed.vector_store, |facts| match facts {
        StoreFacts::OpenSearchServerless(facts) => by(facts),
        other => panic!("no collection: {other:?}"),
    });
}

fn vector_bucket(observed: &mut Observation, by: impl FnOnce(&mut VectorBucketDetail)) {
    change(&mut observed.vector_store, |facts| match facts {
        StoreFacts::S3Vectors(facts) => change_some(&mut facts.detail, by),
        other => panic!("no vector bucket: {other:?}"),
    });
}

fn index(observed: &mut Observation, by: fn(&mut IndexFacts)) {
    change(&mut observed.index, by);
}

fn role_with_access(observed: &mut Observation, by: fn(&mut RoleFacts)) {
    change(&mut observed.role, by);
}

fn role_itself(observed: &mut Observation, by: fn(&mut RoleDetail)) {
    change(&mut observed.role, |facts| change_some(&mut facts.role, by));
}

fn knowledge_base(observed: &mut Observation, by: fn(&mut KnowledgeBaseFacts)) {
    change(&mut observed.knowledge_base, by);
}

fn data_source(observed: &mut Observation, by: fn(&mut DataSourceFacts)) {
    change(&mut observed.knowledge_base, |facts| change_some(&mut facts.data_source, by));
}

fn forget_a_tag(tags: &mut BTreeMap<String, String>) {
    tags.remove(&format!("{GROUP}/state"));
}

fn say_nothing(policy: &mut Option<PolicyFacts>) {
    change_some(policy, |policy| policy.description.clear());
}

fn trust_one_that_is_gone(role: &mut RoleDetail) {
    role.trust = policy::trust(&ideal::scope(), Some(GONE));
}

/// A knowledge base that is no more.
const GONE: &str = "arn:aws:bedrock:eu-central-1:123456789012:knowledge-base/GONE000001";

const TRUSTS_ANY: &str = "it trusts any knowledge base";
const TRUSTS_ONE_THAT_IS_GONE: &str = "it trusts a knowledge base that is gone";
const WITHOUT_A_MAPPING: &str = "it lacks a mapping";
const WITHOUT_DATA_SOURCE: &str = "it has no data source";
const IN_ANOTHER_COLLECTION: &str = "its vectors are in a collection that is gone";

/// Every way but absence. What only differs leaves the layers above it alone, unless what they were made with changes.
static WAYS: &[Way] = &[
    way(Layer::Key, "its alias is gone", "E.....", |it| key(it, |key| key.has_alias = false)),
    way(Layer::Key, "it is switched off", "E.....", |it| key(it, |key| key.state = "Disabled".into())),
    way(Layer::Key, "it shuts the store out", "E.....", |it| key(it, |key| key.lets_store_in = false)),
    way(Layer::Key, "it lost a tag", "E.....", |it| key(it, |key| forget_a_tag(&mut key.tags))),
    way(Layer::Bucket, "it is open", ".E....", |it| bucket(it, |it| it.blocks_public_access = false)),
    way(Layer::Bucket, "it has ACLs", ".E....", |it| bucket(it, |it| it.object_ownership = None)),
    way(Layer::Bucket, "it has no policy", ".E....", |it| bucket(it, |it| it.policy = None)),
    way(Layer::Bucket, "it has another key", ".E....", |it| {
        bucket(it, |it| it.key_arn = Some("other".into()))
    }),
    way(Layer::Bucket, "it keeps no versions", ".E....", |it| bucket(it, |it| it.versioned = false)),
    way(Layer::Bucket, "nothing expires", ".E....", |it| bucket(it, |it| it.lifecycle.clear())),
    way(Layer::Bucket, "it lost a tag", ".E....", |it| bucket(it, |it| forget_a_tag(&mut it.tags))),
    way_of_collections(Layer::VectorStore, "it has no encryption policy", "..E...", |it| {
        collection(it, |it| it.encryption = None)
    }),
    way_of_collections(Layer::VectorStore, "its encryption policy is nobody's", "..E...", |it| {
        collection(it, |it| say_nothing(&mut it.encryption))
    }),
    way_of_collections(Layer::VectorStore, "it has no network policy", "..E...", |it| {
        collection(it, |it| it.network = None)
    }),
    way_of_collections(Layer::VectorStore, "its network policy is nobody's", "..E...", |it| {
        collection(it, |it| say_nothing(&mut it.network))
    }),
    way_of_collections(Layer::VectorStore, "only its policies stand", "..EcE.", |it| {
        collection(it, |it| it.collection = None)
    }),
    way_of_collections(Layer::VectorStore, "it is being created", "..Ec..", |it| {
        collection(it, |it| {
            change_some(&mut it.collection, |it| (it.status, it.endpoint) = ("CREATING".into(), None))
        })
    }),
    way_of_collections(Layer::VectorStore, "it lost a tag", "..E...", |it| {
        collection(it, |it| change_some(&mut it.collection, |it| forget_a_tag(&mut it.tags)))
    }),
    way_of_vector_buckets(Layer::VectorStore, "it lets others in", "..E...", |it| {
        vector_bucket(it, |it| it.policy = None)
    }),
    way_of_vector_buckets(Layer::VectorStore, "it searches before it filters", "..E...", |it| {
        vector_bucket(it, |it| it.mode = Some("CLASSIC".into()))
    }),
    way_of_vector_buckets(Layer::VectorStore, "the vector bucket lost a tag", "..E...", |it| {
        vector_bucket(it, |it| forget_a_tag(&mut it.tags))
    }),
    way_of_vector_buckets(Layer::Index, "its index searches before it filters", "...E..", |it| {
        index(it, |it| it.schema["indexMode"] = "CLASSIC".into())
    }),
    way_of_vector_buckets(Layer::Index, "the index lost a tag", "...E..", |it| {
        index(it, |it| forget_a_tag(&mut it.tags))
    }),
    way_of_collections(Layer::Index, WITHOUT_A_MAPPING, "...E..", |it| {
        index(it, |it| {
            let fields = it.schema.pointer_mut("/mappings/properties").unwrap().as_object_mut().unwrap();
            fields.remove(opensearch::TEXT_FIELD);
        })
    }),
    way_of_collections(Layer::Role, "only its data access policy stands", "....Er", |it| {
        role_with_access(it, |it| it.role = None)
    }),
    way_of_collections(Layer::Role, "it has no data access policy", "....E.", |it| {
        role_with_access(it, |it| it.data_access = None)
    }),
    way_of_collections(Layer::Role, "its data access policy is nobody's", "....E.", |it| {
        role_with_access(it, |it| say_nothing(&mut it.data_access))
    }),
    way(Layer::Role, "it has no permissions", "....E.", |it| role_itself(it, |it| it.policies.clear())),
    way(Layer::Role, "it lost a tag", "....E.", |it| role_itself(it, |it| forget_a_tag(&mut it.tags))),
    way(Layer::Role, TRUSTS_ANY, ".....E", |it| {
        role_itself(it, |it| it.trust = policy::trust(&ideal::scope(), None))
    }),
    way(Layer::Role, TRUSTS_ONE_THAT_IS_GONE, "....E.", |it| role_itself(it, trust_one_that_is_gone)),
    way(Layer::KnowledgeBase, "it failed", ".....E", |it| {
        knowledge_base(it, |it| it.status = "FAILED".into())
    }),
    way(Layer::KnowledgeBase, "it lost a tag", ".....E", |it| {
        knowledge_base(it, |it| forget_a_tag(&mut it.tags))
    }),
    way(Layer::KnowledgeBase, IN_ANOTHER_COLLECTION, ".....E", |it| {
        knowledge_base(it, |it| it.store = Some(ideal::store("arn:aws:aoss:::collection/gone", None)))
    }),
    way(Layer::KnowledgeBase, WITHOUT_DATA_SOURCE, ".....E", |it| {
        knowledge_base(it, |it| it.data_source = None)
    }),
    way(Layer::KnowledgeBase, "its data source failed", ".....E", |it| {
        data_source(it, |it| it.status = "DELETE_UNSUCCESSFUL".into())
    }),
    way(Layer::KnowledgeBase, "its data source would forget", ".....E", |it| {
        data_source(it, |it| it.data_deletion_policy = "FORGET".into())
    }),
    way(Layer::KnowledgeBase, "its data source reads too much", ".....E", |it| {
        data_source(it, |it| it.prefix = None)
    }),
    way(Layer::KnowledgeBase, "its data source has another key", ".....E", |it| {
        data_source(it, |it| it.key_arn = Some("other".into()))
    }),
    way(Layer::KnowledgeBase, "its data source reads another bucket", ".....E", |it| {
        data_source(it, |it| it.bucket_arn = "arn:aws:s3:::other".into())
    }),
];

fn by_name(name: &str) -> &'static Way {
    WAYS.iter().find(|way| way.name == name).unwrap()
}

/// Whoever could have left something of our name.
fn claims() -> [OwnershipClaim; 4] {
    let neighbour = OwnershipClaim::Neighbour { owner: "Tenant/tenants/old".into(), uid: BEFORE.into() };
    [OwnershipClaim::Adoptable, OwnershipClaim::Earlier, neighbour, OwnershipClaim::Foreign]
}

/// Makes a whole layer somebody else's, and says what it is called.
fn take(observed: &mut Observation, layer: Layer, claim: &OwnershipClaim) -> String {
    let resource = format!("somebody's {layer}");
    let foreign = Foreign { resource: resource.clone(), claim: claim.clone() };
    match layer {
        Layer::Key => observed.key = Observed::Foreign(foreign),
        Layer::Bucket => observed.bucket = Observed::Foreign(foreign),
        Layer::VectorStore => observed.vector_store = Observed::Foreign(foreign),
        Layer::Index => observed.index = Observed::Foreign(foreign),
        Layer::Role => observed.role = Observed::Foreign(foreign),
        Layer::KnowledgeBase => observed.knowledge_base = Observed::Foreign(foreign),
    }
    resource
}

/// Puts something of somebody else's beside a layer of ours, where that can be: an alias, one of two policies, the data
/// access policy.
fn put_beside(
    sample: &Sample,
    observed: &mut Observation,
    layer: Layer,
    claim: &OwnershipClaim,
) -> Option<String> {
    let resource = format!("what is beside the {layer}");
    let foreign = Some(Foreign { resource: resource.clone(), claim: claim.clone() });
    // A vector bucket and its role stand alone.
    let has_policies = store(sample) == VectorStore::OpenSearchServerless;
    match layer {
        Layer::Key => change(&mut observed.key, |facts| facts.foreign = foreign),
        Layer::VectorStore if has_policies => collection(observed, |facts| {
            (facts.network, facts.foreign) = (None, foreign);
        }),
        Layer::Role if has_policies => {
            change(&mut observed.role, |facts| (facts.data_access, facts.foreign) = (None, foreign))
        }
        Layer::VectorStore | Layer::Role => {}
        Layer::Bucket | Layer::Index | Layer::KnowledgeBase => {}
    }
    observed.foreign_of(layer).is_some().then_some(resource)
}

// The table.

#[test]
fn what_is_whole_is_left_alone() {
    for (sample, built) in BUILT.iter() {
        assert_eq!(row_of(sample, built), masked("......", sample), "{}", sample.name);
    }
}

/// Each layer gone from a stack that was whole, by itself and with all that stands on it.
#[test]
fn what_is_absent_is_made_and_what_was_made_with_it_waits() {
    let table = [
        (Layer::Key, "Ek..kb", ["Ekkckb"; 2]),
        (Layer::Bucket, ".E....", [".E.Eii"; 2]),
        // Nobody can say whether there still is an index, and the role is the record that it must go.
        (Layer::VectorStore, "..EcE.", ["..Ecci"; 2]),
        (Layer::Index, "...K.E", ["...rEi", "...EEi"]),
        // On S3 Vectors the index does not stand on it.
        (Layer::Role, "....Er", ["...rEi", "....Er"]),
        // The role trusts it, so that what is in the index was its.
        (Layer::KnowledgeBase, "...Eii", ["...Eii"; 2]),
    ];
    for (layer, alone, [in_a_collection, on_s3_vectors]) in table {
        for (sample, built) in BUILT.iter().filter(|(sample, _)| owns(sample, layer)) {
            let mut world = built.clone();
            ideal::teardown(layer, &mut world);
            let alone_row = row_of(sample, &look(sample, &world));
            assert_eq!(alone_row, masked(alone, sample), "{}: no {layer}", sample.name);
            for above in Layer::ALL.into_iter().filter(|above| stands_on(store(sample), *above, layer)) {
                ideal::teardown(above, &mut world);
            }
            let with_all_above = row_in(sample, in_a_collection, on_s3_vectors);
            let with_all_above = masked(with_all_above, sample);
            let row = row_of(sample, &look(sample, &world));
            assert_eq!(row, with_all_above, "{}: no {layer}, and nothing on it", sample.name);
        }
    }
}

fn stands_on(store: VectorStore, above: Layer, below: Layer) -> bool {
    let (_, on) = built_on(store).into_iter().find(|(layer, _)| *layer == above).unwrap();
    on.iter().any(|it| *it == below || stands_on(store, *it, below))
}

#[test]
fn what_differs_is_put_right_and_nothing_else_is_touched() {
    for way in WAYS {
        for (sample, built) in BUILT.iter().filter(|(sample, _)| way.is_of(sample)) {
            let mut world = built.clone();
            (way.change)(&mut world);
            let row = row_of(sample, &look(sample, &world));
            assert_eq!(row, masked(way.row, sample), "{}: {} {}", sample.name, way.layer, way.name);
        }
    }
}

/// From nothing to whole, pass by pass.
const WAY_UP: [(&str, &[&str]); 8] = [
    ("silo", &["-EEcEb", "-..rEi", "-..E.i", "-....E", "-....E", "-....."]),
    ("silo with a key", &["Ekkckb", ".EEcEb", "...rEi", "...E.i", ".....E", ".....E", "......"]),
    ("bridge", &["---rEi", "---E.i", "---..E", "---..E", "---..."]),
    ("shared stack", &["Ekk---", ".EE---", "...---"]),
    ("shared stack with a pool", &["-EEcEb", "-..rEi", "-..E.i", "-....E", "-....E", "-....."]),
    ("silo on S3 Vectors", &["Ekkckb", ".EEcEb", "...EEi", ".....E", ".....E", "......"]),
    ("bridge on S3 Vectors", &["---EEi", "---..E", "---..E", "---..."]),
    ("shared stack with a pool on S3 Vectors", &["-EEcEb", "-..EEi", "-....E", "-....E", "-....."]),
];

#[test]
fn a_stack_is_built_in_at_most_six_passes() {
    for ((sample, _), (name, rows)) in BUILT.iter().zip(WAY_UP) {
        assert_eq!(sample.name, name);
        let mut world = Observation::default();
        assert_eq!(passes(sample, look(sample, &world), &mut world, |_, _| ()), rows, "{name}");
        assert!(moving(rows) <= 6, "{name}");
    }
}

/// A knowledge base cannot move: its data source, itself and the index beside it go, the role forgets it, and the index
/// comes again, which is five passes more than from nothing.
#[test]
fn what_keeps_its_vectors_in_a_collection_that_is_gone_takes_the_longest() {
    let (sample, built) = &BUILT[1];
    let (index, knowledge_base) = (built.index.clone(), built.knowledge_base.clone());
    let mut world = Observation { index, knowledge_base, ..Observation::default() };
    (by_name(WITHOUT_A_MAPPING).change)(&mut world);
    (by_name(IN_ANOTHER_COLLECTION).change)(&mut world);
    let as_from_nothing = ["Ekkckb", ".EEcEb", "...rEi", "...E.i", ".....E", ".....E"];
    let once_more = ["...Eii", "...rEi", "...E.i", ".....E", ".....E", "......"];
    let rows = passes(sample, look(sample, &world), &mut world, |_, _| ());
    assert_eq!(rows, [as_from_nothing, once_more].concat());
}

/// Until somebody has looked for the index of a knowledge base that is gone, the role remembers; then the index goes.
#[test]
fn an_index_that_could_not_be_looked_for_takes_one_pass_more() {
    let (sample, built) = &BUILT[1];
    let mut world =
        Observation { index: built.index.clone(), role: built.role.clone(), ..Observation::default() };
    let rows = ["Ekkccb", ".EEccb", "...Eii", "...rEi", "...E.i", ".....E", ".....E", "......"];
    assert_eq!(passes(sample, look(sample, &world), &mut world, |_, _| ()), rows);
    for (sample, built) in BUILT.iter().filter(|(sample, _)| owns(sample, Layer::Role)) {
        let mut world = Observation { knowledge_base: Observed::Absent, ..built.clone() };
        let unlooked = Observation { index_known: false, index: Observed::Absent, ..world.clone() };
        let rows: &[&str] = match store(sample) {
            VectorStore::OpenSearchServerless => {
                &["...cci", "...Eii", "...rEi", "...E.i", ".....E", ".....E", "......"]
            }
            VectorStore::S3Vectors => &["...cci", "...Eii", "...EEi", ".....E", ".....E", "......"],
        };
        let rows: Vec<_> = rows.iter().map(|row| masked(row, sample)).collect();
        assert_eq!(passes(sample, unlooked, &mut world, |_, _| ()), rows, "{}", sample.name);
    }
}

#[test]
fn anything_of_somebody_elses_stops_everything() {
    const TENANT: bool = true;
    const STACK: bool = false;
    let [adoptable, earlier, neighbour, foreign] = claims();
    let retained =
        ["tenantId 'acme' is retained: ", "an earlier Tenant with this id", "Choose another tenantId"];
    let code = "tenantry.dev/approve=TenantIdRetained-";
    let taken_over = ["tenantId 'acme' is retained: ", "Tenant/tenants/old was deleted and left", code];
    let left = ["An earlier SharedStack of this name", "Retain and left", "Choose another name"];
    let others =
        ["has the name of ours but does not carry our tags", "belongs to somebody else", "Remove or rename"];
    let table = [
        (TENANT, &adoptable, Reason::TenantIdRetained, retained),
        (TENANT, &earlier, Reason::TenantIdRetained, retained),
        (TENANT, &neighbour, Reason::TenantIdRetained, taken_over),
        (TENANT, &foreign, Reason::OwnedByAnother, others),
        (STACK, &adoptable, Reason::OwnedByAnother, left),
        (STACK, &earlier, Reason::OwnedByAnother, left),
        (STACK, &neighbour, Reason::OwnedByAnother, others),
        (STACK, &foreign, Reason::OwnedByAnother, others),
    ];
    for (whose, claim, reason, parts) in table {
        let samples = BUILT.iter().filter(|(sample, _)| sample.id.tenant_id().is_some() == whose);
        for ((sample, built), layer) in samples.flat_map(|it| Layer::ALL.map(|layer| (it, layer))) {
            let refused = |resource: String, observed: &Observation| {
                let blocked = plan_of(sample, observed).unwrap_err();
                let case = format!("{}, {layer}, {claim:?}: {}", sample.name, blocked.message);
                assert_eq!(blocked.reason, reason, "{case}");
                for part in parts.into_iter().chain([resource.as_str(), "Nothing was changed"]) {
                    assert!(blocked.message.contains(part), "no '{part}' in {case}");
                }
            };
            let mut observed = built.clone();
            refused(take(&mut observed, layer, claim), &observed);
            let mut observed = built.clone();
            if let Some(resource) = put_beside(sample, &mut observed, layer, claim) {
                assert!(owns(sample, layer));
                refused(resource, &observed);
            }
        }
    }
}

#[test]
fn whoever_has_no_tenant_id_is_not_told_to_choose_another() {
    for (sample, built) in BUILT.iter().filter(|(sample, _)| sample.id.tenant_id().is_none()) {
        for claim in claims() {
            let mut observed = built.clone();
            take(&mut observed, Layer::Bucket, &claim);
            let blocked = plan_of(sample, &observed).unwrap_err();
            assert!(!blocked.message.contains("tenantId"), "{}: {}", sample.name, blocked.message);
        }
    }
}

#[test]
fn everything_foreign_is_named_and_the_first_layer_gives_the_reason() {
    let (sample, built) = &BUILT[1];
    let [.., neighbour, foreign] = claims();
    let parts = [Layer::Key, Layer::VectorStore, Layer::Role];
    for (first, others, reason) in
        [(&neighbour, &foreign, Reason::TenantIdRetained), (&foreign, &neighbour, Reason::OwnedByAnother)]
    {
        let mut observed = built.clone();
        let names = Layer::ALL.map(|layer| {
            let claim = if layer == Layer::Key { first } else { others };
            if parts.contains(&layer) {
                put_beside(sample, &mut observed, layer, claim).unwrap()
            } else {
                take(&mut observed, layer, claim)
            }
        });
        let blocked = plan_of(sample, &observed).unwrap_err();
        assert_eq!(blocked.reason, reason);
        assert!(blocked.message.contains(&names.join(", ")), "{}", blocked.message);
    }
}

#[test]
fn the_code_in_the_message_opens_what_a_neighbour_left_and_no_other_does() {
    for (sample, built) in BUILT.iter() {
        let Owner::Tenant { namespace, tenant_id, pattern, stack, .. } = sample.id.owner.clone() else {
            continue;
        };
        let owner = Owner::Tenant { namespace, name: "old".into(), tenant_id, pattern, stack };
        let neighbour = Identity { owner, uid: BEFORE.into(), ..sample.id.clone() };
        let seen_by = |id: &Identity| {
            let facts = built.knowledge_base.ours().unwrap().clone();
            let facts = KnowledgeBaseFacts { tags: neighbour.tags(), ..facts };
            let tags = facts.tags.clone();
            let knowledge_base = Observed::by_tags(id, || "knowledge base k".into(), &tags, facts);
            Observation { knowledge_base, ..built.clone() }
        };
        let planned = |id: &Identity| {
            let observed = seen_by(id);
            plan(id, &sample.want(&observed), &observed)
        };
        let message = planned(&sample.id).unwrap_err().message;
        let code = message.split_once("tenantry.dev/approve=").unwrap().1.split_once(',').unwrap().0;
        let approved = sample.id.clone().adopting(Some(code));
        assert_eq!(row(&planned(&approved).unwrap()), masked(".....E", sample), "{message}");
        for other in [None, Some("TenantIdRetained-000000"), Some("")] {
            let blocked = planned(&sample.id.clone().adopting(other)).unwrap_err();
            let plain = blocked
                .message
                .replace("The annotation has 'TenantIdRetained-000000', which does not open this. ", "");
            assert_eq!(plain, message, "{other:?}");
        }
    }
}

#[test]
fn what_a_neighbour_left_is_told_with_its_code_wherever_it_is_told() {
    let id = &BUILT[0].0.id;
    let code = id.takeover_code("Tenant/tenants/old", BEFORE);
    assert_eq!(
        retained_by_neighbour(id, "Tenant/tenants/old", BEFORE, "bucket b", None),
        format!(
            "tenantId 'acme' is retained: Tenant/tenants/old was deleted and left bucket b. Nothing was changed. \
             To go on all the same, set the annotation tenantry.dev/approve={code}, and it is taken over; or choose \
             another tenantId"
        )
    );
}

// The special rows.

#[test]
fn each_layer_needs_what_it_was_built_on() {
    for store in VectorStore::ALL {
        assert_eq!(Layer::ALL.map(|layer| (layer, needs(store, layer))), built_on(store), "{store}");
    }
}

#[test]
fn a_want_owns_the_layers_that_it_has() {
    for (sample, built) in BUILT.iter() {
        let want = sample.want(built);
        for layer in Layer::ALL {
            assert_eq!(want.owns(layer), owns(sample, layer), "{}: {layer}", sample.name);
            assert!(!Desired::default().owns(layer));
        }
    }
    let want = BUILT[1].0.want(&BUILT[1].1);
    let Desired { key, bucket, vector_store, role, index, knowledge_base } = want;
    let none = Desired::default;
    for (layer, want) in [
        (Layer::Key, Desired { key, ..none() }),
        (Layer::Bucket, Desired { bucket, ..none() }),
        (Layer::VectorStore, Desired { vector_store, ..none() }),
        (Layer::Index, Desired { index, ..none() }),
        (Layer::Role, Desired { role, ..none() }),
        (Layer::KnowledgeBase, Desired { knowledge_base, ..none() }),
    ] {
        assert_eq!(Layer::ALL.map(|it| want.owns(it)), Layer::ALL.map(|it| it == layer), "{layer}");
    }
}

#[test]
fn nothing_lends_nothing() {
    assert_eq!(handles(&Observation::default(), None), Handles::default());
    let only_its_policies = Observed::Ours(CollectionFacts::default().into());
    let observed = Observation { vector_store: only_its_policies, ..Observation::default() };
    assert_eq!(handles(&observed, None), Handles::default());
    let only_its_access_policy = Observed::Ours(RoleFacts::default());
    let observed = Observation { role: only_its_access_policy, ..Observation::default() };
    assert_eq!(handles(&observed, None), Handles::default());
    for claim in claims() {
        let mut observed = BUILT[1].1.clone();
        for layer in Layer::ALL {
            take(&mut observed, layer, &claim);
        }
        assert_eq!(handles(&observed, None), Handles::default(), "what is somebody else's lends nothing");
    }
}

#[test]
fn what_is_seen_lends_and_an_offer_wins() {
    let (_, built) = &BUILT[1];
    let key_arn = &built.key.ours().unwrap().arn;
    let from_sight = Handles {
        key_arn: Some(key_arn.clone()),
        store: built.vector_store.ours().unwrap().handle(),
        knowledge_base_arn: Some(built.knowledge_base.ours().unwrap().arn.clone()),
        trust_is_narrow: true,
        rebuild: Rebuild::Nothing,
    };
    assert_eq!(handles(built, None), from_sight);
    let offer = Offer { kms_key_arn: Some("arn:lent".into()), ..ideal::lent_by("standard") };
    let lent = |offer: &Offer| Handles {
        key_arn: Some("arn:lent".into()),
        store: Some(offer.store.clone()),
        ..from_sight.clone()
    };
    assert_eq!(handles(built, Some(&offer)), lent(&offer));
    let alone = Handles { knowledge_base_arn: None, trust_is_narrow: false, ..lent(&offer) };
    assert_eq!(handles(&Observation::default(), Some(&offer)), alone);
    let quiet = Offer { store: ideal::store(offer.store.arn(), None), ..offer.clone() };
    assert_eq!(handles(built, Some(&quiet)), lent(&quiet), "one's own endpoint leads to no lent collection");
    let keyless = Offer { kms_key_arn: None, ..offer };
    assert_eq!(handles(built, Some(&keyless)).key_arn.as_ref(), Some(key_arn));
}

#[test]
fn a_collection_that_is_being_made_has_an_id_and_no_endpoint() {
    let (_, built) = &BUILT[0];
    let mut observed = built.clone();
    (by_name("it is being created").change)(&mut observed);
    let store = built.store().map(|store| ideal::store(store.arn(), None));
    assert_eq!(handles(&observed, None), Handles { store, ..handles(built, None) });
}

/// What the role and the knowledge base say of what was there: by what the role trusts, and whether the knowledge base
/// is there. The third says which id is trusted, and the fourth whether an index is on record.
#[test]
fn the_trust_of_the_role_is_the_record_of_a_knowledge_base() {
    let (sample, built) = &BUILT[0];
    let own = &built.knowledge_base.ours().unwrap().id;
    let table = [
        ("narrow", true, Some(own.as_str()), true),
        ("narrow", false, Some(own), true),
        (TRUSTS_ANY, true, None, true),
        (TRUSTS_ANY, false, None, false),
        (TRUSTS_ONE_THAT_IS_GONE, true, Some("GONE000001"), true),
        (TRUSTS_ONE_THAT_IS_GONE, false, Some("GONE000001"), true),
        ("only its data access policy stands", true, None, true),
        ("only its data access policy stands", false, None, false),
        ("absent", true, None, true),
        ("absent", false, None, false),
    ];
    for (role, stands, trusted, on_record) in table {
        let mut observed = built.clone();
        match role {
            "narrow" => {}
            "absent" => observed.role = Observed::Absent,
            way => (by_name(way).change)(&mut observed),
        }
        if !stands {
            observed.knowledge_base = Observed::Absent;
        }
        assert_eq!(trusted_id(&observed).as_deref(), trusted, "{role}, {stands}");
        assert_eq!(index_on_record(&observed), on_record, "{role}, {stands}");
        let lent = handles(&observed, None);
        assert_eq!(lent.trust_is_narrow, trusted.is_some(), "{role}, {stands}");
        assert_eq!(lent.rebuild == Rebuild::Index, trusted.is_some() && !stands, "{role}, {stands}");
        if !stands {
            take(&mut observed, Layer::KnowledgeBase, &OwnershipClaim::Foreign);
            assert_eq!(index_on_record(&observed), on_record, "somebody else's is no record of ours");
            assert_eq!(handles(&observed, None).rebuild, Rebuild::Nothing, "{role}: it is there");
        }
    }
    let mut observed = built.clone();
    take(&mut observed, Layer::Role, &OwnershipClaim::Foreign);
    assert_eq!((trusted_id(&observed), index_by_endpoint(&observed)), (None, false));
    assert_eq!(sample.name, "silo");
}

#[test]
fn the_role_says_where_its_index_was_made() {
    let (_, built) = &BUILT[0];
    let tagged = |value: Option<&str>| {
        let mut observed = built.clone();
        change(&mut observed.role, |facts| {
            let tag = value.map(|value| (format!("{GROUP}/index"), value.to_owned()));
            facts.role.as_mut().unwrap().tags.extend(tag);
        });
        observed
    };
    assert!(index_by_endpoint(&tagged(Some("endpoint"))));
    assert!(!index_by_endpoint(&tagged(Some("control plane"))));
    assert!(!index_by_endpoint(&tagged(None)));
    assert!(!index_by_endpoint(&Observation::default()));
    let only_its_access_policy = Observed::Ours(RoleFacts::default());
    assert!(!index_by_endpoint(&Observation { role: only_its_access_policy, ..Observation::default() }));
}

/// What must be made anew: by whether the knowledge base is there and fills, what the role trusts, whether the index was
/// looked for and whether it is there.
#[test]
fn only_what_lost_its_other_half_is_made_anew() {
    let (sample, built) = &BUILT[0];
    use Rebuild::{DataSource, Index, Nothing};
    let table = [
        // Knowledge base     trust                  known  index  what                 row
        (Some(true), None, true, true, Nothing, "-....."),
        (Some(true), None, true, false, DataSource, "-..K.E"),
        (Some(true), None, false, true, Nothing, "-....."),
        (Some(true), None, false, false, Nothing, "-..E.."),
        (Some(true), Some(TRUSTS_ANY), true, false, DataSource, "-..K.E"),
        (Some(true), Some(TRUSTS_ONE_THAT_IS_GONE), true, false, DataSource, "-..KEE"),
        (Some(true), Some(TRUSTS_ONE_THAT_IS_GONE), true, true, Nothing, "-...E."),
        (Some(false), None, true, true, Nothing, "-....E"),
        (Some(false), None, true, false, Nothing, "-..E.i"),
        (Some(false), None, false, false, Nothing, "-..E.i"),
        (None, None, true, true, Index, "-..Eii"),
        (None, None, true, false, Nothing, "-..rEi"),
        (None, None, false, true, Index, "-..Eii"),
        (None, None, false, false, Nothing, "-..cci"),
        (None, Some(TRUSTS_ONE_THAT_IS_GONE), true, true, Index, "-..Eii"),
        (None, Some(TRUSTS_ONE_THAT_IS_GONE), false, false, Nothing, "-..cci"),
        (None, Some(TRUSTS_ANY), true, true, Nothing, "-....E"),
        (None, Some(TRUSTS_ANY), true, false, Nothing, "-..E.i"),
        (None, Some(TRUSTS_ANY), false, false, Nothing, "-..E.i"),
    ];
    for (fills, trust, index_known, index, rebuild, expected) in table {
        let mut observed = Observation { index_known, ..built.clone() };
        match fills {
            Some(true) => {}
            Some(false) => (by_name(WITHOUT_DATA_SOURCE).change)(&mut observed),
            None => observed.knowledge_base = Observed::Absent,
        }
        if let Some(trust) = trust {
            (by_name(trust).change)(&mut observed);
        }
        if !index {
            observed.index = Observed::Absent;
        }
        let case = format!("{fills:?}, {trust:?}, known: {index_known}, index: {index}");
        assert_eq!(handles(&observed, None).rebuild, rebuild, "{case}");
        let want = sample.want(&observed);
        assert_eq!(want.index.as_ref().unwrap().rebuild, rebuild == Index, "{case}");
        assert_eq!(want.knowledge_base.as_ref().unwrap().drop_data_source, rebuild == DataSource, "{case}");
        assert_eq!(row_of(sample, &observed), expected, "{case}");
    }
}

/// What must be made anew waits for nothing, and what builds on it waits for that, however little else stands.
#[test]
fn what_must_be_made_anew_comes_before_all_else() {
    let (sample, built) = &BUILT[1];
    let without = |gone: &[Layer]| {
        let mut observed = built.clone();
        gone.iter().for_each(|layer| ideal::teardown(*layer, &mut observed));
        row_of(sample, &observed)
    };
    assert_eq!(without(&[Layer::Key, Layer::VectorStore, Layer::KnowledgeBase]), "EkkEii");
    assert_eq!(without(&[Layer::Key, Layer::Bucket, Layer::Index, Layer::Role]), "Ek.KkE");
}

/// A hidden index is one that was not looked for; why, changes nothing.
#[test]
fn a_role_that_remembers_and_its_index_are_not_touched_before_that_was_looked_for() {
    for (sample, built) in BUILT.iter().filter(|(sample, _)| owns(sample, Layer::Role)) {
        for index_hidden in [None, Some(fault(Class::Unreachable))] {
            let hidden =
                Observation { index_hidden, index_known: false, index: Observed::Absent, ..built.clone() };
            assert_eq!(row_of(sample, &hidden), masked("...E..", sample), "{}", sample.name);
            let orphaned = Observation { knowledge_base: Observed::Absent, ..hidden };
            assert_eq!(row_of(sample, &orphaned), masked("...cci", sample), "{}", sample.name);
        }
    }
}

fn fault(class: Class) -> Fault {
    Fault {
        class,
        service: "aoss",
        operation: "GetIndex",
        resource: "index i".into(),
        code: "Code".into(),
        message: "message".into(),
        request_id: Some("R1".into()),
    }
}

#[test]
fn a_fault_that_needs_a_person_blocks_and_others_are_given_back() {
    let table = [
        (Class::Denied, Some(Reason::Denied)),
        (Class::Quota, Some(Reason::Quota)),
        (Class::Unreachable, Some(Reason::EndpointUnreachable)),
        (Class::Invalid, Some(Reason::Invalid)),
        (Class::NotYet, None),
        (Class::Throttled, None),
        (Class::Transient, None),
        (Class::Conflict, None),
        (Class::NotFound, None),
        (Class::Unnamed, None),
    ];
    for (class, reason) in table {
        let fault = fault(class);
        let expected = match reason {
            Some(reason) => Ok(Blocked { reason, message: fault.of_spec() }),
            None => Err(fault.clone()),
        };
        assert_eq!(Blocked::try_from(fault), expected, "{class:?}");
    }
}

/// A stack that some earlier object of the name made, in part, with other settings.
fn retained(with: impl FnOnce(&mut Observation)) -> (Identity, Desired, Observation) {
    let (sample, built) = &BUILT[1];
    let mut observed = built.clone();
    with(&mut observed);
    (sample.id.clone().adopting(None), sample.want(&observed), observed)
}

fn other_settings(observed: &mut Observation) {
    collection(observed, |facts| {
        facts.collection.as_mut().unwrap().standby_replicas = "DISABLED".into();
    });
    knowledge_base(observed, |facts| facts.embedding_model_arn = Some("arn:other".into()));
}

#[test]
fn what_was_left_is_taken_over_only_with_the_settings_that_it_has() {
    let earlier = |tags: &BTreeMap<String, String>| {
        let mut tags = tags.clone();
        tags.insert(format!("{GROUP}/owner-uid"), BEFORE.into());
        tags
    };
    let describe = |policy: &mut Option<PolicyFacts>| {
        let policy = policy.as_mut().unwrap();
        policy.description =
            Identity::description(&earlier(&Identity::parse_description(&policy.description)));
    };
    let message = "What an earlier object of this name left behind was made with other settings, which can never change: \
                   collection.standbyReplicas is Disabled and should be Enabled; knowledgeBase.embeddingModel is \
                   arn:other and should be amazon.titan-embed-text-v2:0. \
                   Nothing was changed. Apply the settings that it has in a new object, or remove what was left";
    let refused = Blocked { reason: Reason::RetainedDiffers, message: message.into() };
    type Leave<'a> = &'a dyn Fn(&mut Observation);
    let left: [(&str, &str, Leave); 8] = [
        ("key", "E.....", &|it| change(&mut it.key, |it| it.tags = earlier(&it.tags))),
        ("bucket", ".E....", &|it| change(&mut it.bucket, |it| it.tags = earlier(&it.tags))),
        ("encryption policy", "..E...", &|it| collection(it, |it| describe(&mut it.encryption))),
        ("network policy", "..E...", &|it| collection(it, |it| describe(&mut it.network))),
        ("collection", "..E...", &|it| {
            collection(it, |it| change_some(&mut it.collection, |it| it.tags = earlier(&it.tags)))
        }),
        ("data access policy", "....E.", &|it| change(&mut it.role, |it| describe(&mut it.data_access))),
        ("role", "....E.", &|it| {
            change(&mut it.role, |it| change_some(&mut it.role, |it| it.tags = earlier(&it.tags)))
        }),
        ("knowledge base", ".....E", &|it| change(&mut it.knowledge_base, |it| it.tags = earlier(&it.tags))),
    ];
    for (what, expected, leave) in left {
        let (id, want, observed) = retained(leave);
        assert_eq!(row(&plan(&id, &want, &observed).unwrap()), expected, "the {what} is taken over");
        let (id, want, mut observed) = retained(|observed| {
            leave(observed);
            other_settings(observed);
        });
        assert_eq!(plan(&id, &want, &observed), Err(refused.clone()), "{what}");
        let on_the_way_back = Identity { adopts: Default::default(), ..id.clone() };
        assert!(
            plan(&on_the_way_back, &want, &observed).is_ok(),
            "{what}: who adopts nothing compares nothing"
        );
        take(&mut observed, Layer::Index, &OwnershipClaim::Foreign);
        assert_eq!(plan(&id, &want, &observed).unwrap_err().reason, Reason::OwnedByAnother, "{what}");
    }
    let (id, want, observed) = retained(other_settings);
    assert_eq!(row(&plan(&id, &want, &observed).unwrap()), "......", "what is one's own stays as it is");
}

/// The knowledge base says which store it has, also where nobody may look for a store of another kind.
#[test]
fn what_was_left_in_another_store_is_not_taken_over() {
    let of = |name: &str| BUILT.iter().find(|(sample, _)| sample.name == name).unwrap();
    let stack_of = "`vectorStore` of the SharedStack";
    for (left, comes, setting) in [
        ("silo with a key", "silo on S3 Vectors", "vectorStore"),
        ("silo on S3 Vectors", "silo with a key", "vectorStore"),
        ("bridge", "bridge on S3 Vectors", stack_of),
        ("bridge on S3 Vectors", "bridge", stack_of),
        ("shared stack with a pool", "shared stack with a pool on S3 Vectors", "vectorStore"),
        ("shared stack with a pool on S3 Vectors", "shared stack with a pool", "vectorStore"),
    ] {
        let ((before, built), (sample, _)) = (of(left), of(comes));
        let id = Identity { uid: BEFORE.into(), ..sample.id.clone() }.adopting(None);
        // Neither a store of its own kind is found under the name, nor an index.
        let mut seen = built.clone();
        (seen.vector_store, seen.index) = (Observed::Absent, Observed::Absent);
        let refused = plan(&id, &sample.want(&seen), &seen).unwrap_err();
        assert_eq!(refused.reason, Reason::RetainedDiffers, "{left}");
        let says = format!("{setting} is {} and should be {}", store(before), store(sample));
        assert!(refused.message.contains(&says), "{}", refused.message);
        // The documents alone may be taken over.
        seen.knowledge_base = Observed::Absent;
        seen.role = Observed::Absent;
        let goes_on = plan(&id, &sample.want(&seen), &seen);
        assert!(goes_on.is_ok(), "{left}: {goes_on:?}");
    }
}

// What is true of every sight.

/// What is found of one layer.
#[derive(Clone, Debug)]
enum Found {
    Whole,
    Absent,
    Different(&'static Way),
}

/// A sight, in words: what a failing test prints.
#[derive(Clone, Debug)]
struct Recipe {
    sample: &'static str,
    found: [Found; 6],
    trust: Option<&'static str>,
    has_data_source: bool,
    index_known: bool,
    index_hidden: bool,
}

impl Recipe {
    fn sample(&self) -> &'static Sample {
        &BUILT.iter().find(|(sample, _)| sample.name == self.sample).unwrap().0
    }

    fn owned(&self) -> Vec<Layer> {
        Layer::ALL.into_iter().filter(|layer| owns(self.sample(), *layer)).collect()
    }

    fn observed(&self) -> Observation {
        let (_, built) = BUILT.iter().find(|(sample, _)| sample.name == self.sample).unwrap();
        let nothing = Observation::default();
        let found = || Layer::ALL.into_iter().zip(&self.found);
        let is_absent = |layer| found().any(|(it, found)| it == layer && matches!(found, Found::Absent));
        let mut observed =
            ideal::put_together(PerLayer::from_fn(|layer| if is_absent(layer) { &nothing } else { built }));
        for (_, found) in found() {
            if let Found::Different(way) = found
                && way.store.is_none_or(|it| it == store(self.sample()))
            {
                (way.change)(&mut observed);
            }
        }
        self.trust.map(by_name).into_iter().for_each(|way| (way.change)(&mut observed));
        if !self.has_data_source {
            (by_name(WITHOUT_DATA_SOURCE).change)(&mut observed);
        }
        observed.index_known = self.index_known;
        observed.index_hidden = self.index_hidden.then(|| fault(Class::Unreachable));
        observed
    }
}

fn found(layer: Layer) -> impl Strategy<Value = Found> {
    let ways: Vec<_> = WAYS.iter().filter(|way| way.layer == layer).collect();
    prop_oneof![4 => Just(Found::Whole), 3 => Just(Found::Absent), 3 => select(ways).prop_map(Found::Different)]
}

/// Any sight in which nothing is somebody else's.
fn recipe() -> impl Strategy<Value = Recipe> {
    let samples: Vec<_> = BUILT.iter().map(|(sample, _)| sample.name).collect();
    let trust = select(vec![None, Some(TRUSTS_ANY), Some(TRUSTS_ONE_THAT_IS_GONE)]);
    let flags = any::<[bool; 3]>();
    (select(samples), Layer::ALL.map(found), trust, flags).prop_map(|(sample, found, trust, flags)| {
        let [no_data_source, unknown, index_hidden] = flags;
        let (has_data_source, index_known) = (!no_data_source, !unknown);
        Recipe { sample, found, trust, has_data_source, index_known, index_hidden }
    })
}

/// `PROPTEST_CASES` asks for more than 256 cases; what goes all the way takes half as many.
fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

fn all_the_way() -> ProptestConfig {
    ProptestConfig { cases: config().cases / 2, ..config() }
}

/// Whether the role names a knowledge base.
fn is_narrow(observed: &Observation) -> bool {
    let role = observed.role.ours().and_then(|facts| facts.role.as_ref());
    role.is_some_and(|role| role.trust != policy::trust(&ideal::scope(), None))
}

/// Whether the role names a knowledge base, and none is there.
fn remembers(observed: &Observation) -> bool {
    observed.knowledge_base.is_absent() && is_narrow(observed)
}

/// The only layers that are touched before what they need is whole.
fn comes_first(observed: &Observation) -> Option<Layer> {
    let source = observed.knowledge_base.ours().and_then(|facts| facts.data_source.as_ref());
    match &observed.index {
        Observed::Ours(_) if remembers(observed) => Some(Layer::Index),
        Observed::Absent if observed.index_known && source.is_some() => Some(Layer::KnowledgeBase),
        _ => None,
    }
}

/// One pass over all layers, as the engine has it: what is wanted, and each step, follow from what was seen before any
/// of it moved.
fn pass(sample: &Sample, observed: &Observation, world: &mut Observation, backwards: bool) -> String {
    let want = sample.want(observed);
    let steps = plan(&sample.id, &want, observed).unwrap();
    let mut moving: Vec<_> = steps.iter().filter(|(_, step)| **step == Step::Apply).collect();
    if backwards {
        moving.reverse();
    }
    for (layer, _) in moving {
        ideal::ensure(&sample.id, layer, &want, world);
    }
    row(&steps)
}

/// In how many passes something moves.
fn moving(rows: &[impl AsRef<str>]) -> usize {
    rows.iter().filter(|row| row.as_ref().contains('E')).count()
}

/// The plans of all passes from a first sight until nothing moves any more. `watch` is told what each has made of the
/// world.
fn passes(
    sample: &Sample,
    first: Observation,
    world: &mut Observation,
    mut watch: impl FnMut(&Observation, &Observation),
) -> Vec<String> {
    let mut rows: Vec<String> = Vec::new();
    let mut observed = first;
    while rows.len() < 2 || rows.last().is_some_and(|row| row.contains('E') && rows.len() < 30) {
        let before = world.clone();
        rows.push(pass(sample, &observed, world, rows.len() % 2 == 1));
        watch(&before, world);
        observed = look(sample, world);
    }
    rows
}

/// What a pass does to the vectors: an index is filled by a data source, for one knowledge base only, and a data source
/// fills no index but the one that it was made for.
fn watch(sample: &Sample, before: &Observation, after: &Observation, filled: &mut bool) {
    let source = |observed: &Observation| {
        let here = handles(observed, sample.offer.as_ref()).store;
        let here = here.as_ref().map(StoreHandle::arn);
        let facts = observed.knowledge_base.ours();
        let facts = facts.filter(|facts| facts.store.as_ref().map(StoreHandle::arn) == here);
        facts.is_some_and(|facts| facts.data_source.is_some())
    };
    let appears = |it: fn(&Observation) -> bool| !it(before) && it(after);
    *filled &= after.index.ours().is_some();
    if appears(|it| it.knowledge_base.ours().is_some()) {
        assert!(!*filled, "a new knowledge base gets the vectors of one that is gone");
    }
    if appears(|it| it.index.ours().is_some()) {
        assert!(!source(before), "a data source takes an empty index for a full one");
    }
    *filled |= source(after) && after.index.ours().is_some();
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nothing_is_touched_before_what_it_needs_but_what_must_be_made_anew(recipe in recipe()) {
        let (sample, observed) = (recipe.sample(), recipe.observed());
        let want = sample.want(&observed);
        let steps = plan(&sample.id, &want, &observed).unwrap();
        let whole = |layer: Layer| !owns(sample, layer) || is_whole(&sample.id.scope, &want, &observed, layer);
        for ((layer, step), (_, needed)) in steps.iter().zip(built_on(store(sample))) {
            if comes_first(&observed) == Some(layer) && owns(sample, layer) {
                prop_assert_eq!(*step, Step::Apply, "{} must be made anew", layer);
            } else if *step == Step::Apply {
                prop_assert!(needed.iter().all(|needed| whole(*needed)), "{}: {}", layer, row(&steps));
            }
            prop_assert!(*step != Step::Apply || !whole(layer), "{} is whole: {}", layer, row(&steps));
        }
    }

    /// One thing alone waits for something else: a role that remembers a knowledge base, and its index, wait until somebody has
    /// looked for that, though the vector store be whole, or lent.
    #[test]
    fn what_waits_waits_for_a_layer_of_ones_own_that_is_not_whole(recipe in recipe()) {
        let (sample, observed) = (recipe.sample(), recipe.observed());
        let want = sample.want(&observed);
        let steps = plan(&sample.id, &want, &observed).unwrap();
        let waits_for_a_look = remembers(&observed) && !observed.index_known && observed.index.is_absent();
        for (layer, step) in steps.iter() {
            prop_assert_eq!(*step == Step::None, !owns(sample, layer), "{}: {}", layer, row(&steps));
            if waits_for_a_look && matches!(layer, Layer::Index | Layer::Role) && owns(sample, layer) {
                prop_assert_eq!(*step, Step::WaitFor(Layer::VectorStore), "{}", row(&steps));
            } else if let Step::WaitFor(next) = *step {
                prop_assert_ne!(next, layer, "{}", row(&steps));
                let is_whole = is_whole(&sample.id.scope, &want, &observed, next);
                prop_assert!(owns(sample, next) && !is_whole, "{}: {}", layer, row(&steps));
            }
        }
    }

    /// Whoever waits waits for something that moves, directly or not; or, in the end, for a look at the index.
    #[test]
    fn nothing_waits_for_ever(recipe in recipe()) {
        let (sample, observed) = (recipe.sample(), recipe.observed());
        let steps = plan_of(sample, &observed).unwrap();
        for layer in Layer::ALL {
            let mut way = vec![layer];
            while let Step::WaitFor(next) = *steps.get(way[way.len() - 1]) {
                prop_assert!(!way.contains(&next), "in a circle: {}", row(&steps));
                way.push(next);
            }
            let waits_for_a_look = remembers(&observed)
                && !observed.index_known
                && matches!(way[..], [.., Layer::Index | Layer::Role, Layer::VectorStore]);
            let end = steps.get(way[way.len() - 1]);
            prop_assert!(way.len() == 1 || waits_for_a_look || *end == Step::Apply, "{}", row(&steps));
        }
    }

    #[test]
    fn anything_foreign_anywhere_is_refused(
        recipe in recipe(),
        claim in select(claims().to_vec()),
        (which, beside) in any::<(Index, bool)>(),
    ) {
        let sample = recipe.sample();
        let layer = *which.get(&recipe.owned());
        let mut observed = recipe.observed();
        let part = if beside { put_beside(sample, &mut observed, layer, &claim) } else { None };
        let resource = part.unwrap_or_else(|| take(&mut observed, layer, &claim));
        for id in [sample.id.clone(), sample.id.clone().adopting(None)] {
            let blocked = plan(&id, &sample.want(&observed), &observed).unwrap_err();
            prop_assert!(matches!(blocked.reason, Reason::OwnedByAnother | Reason::TenantIdRetained));
            prop_assert!(blocked.message.contains(&resource), "{}", blocked.message);
        }
    }

    #[test]
    fn the_same_sight_makes_the_same_plan_whatever_hides_the_index(recipe in recipe()) {
        let (sample, observed) = (recipe.sample(), recipe.observed());
        let steps = plan_of(sample, &observed);
        prop_assert_eq!(&steps, &plan_of(sample, &observed));
        prop_assert_eq!(&steps, &plan_of(sample, &Observation { index_hidden: None, ..observed.clone() }));
    }
}

proptest! {
    #![proptest_config(all_the_way())]

    /// In no more passes than from nothing; one more if an index must go first, and five more if a knowledge base must.
    #[test]
    fn every_stack_comes_to_rest_whole_and_stays_so(recipe in recipe()) {
        let (sample, mut world) = (recipe.sample(), recipe.observed());
        let (_, way_up) = WAY_UP.iter().find(|(name, _)| *name == sample.name).unwrap();
        let is_elsewhere = |found: &Found| matches!(found, Found::Different(way) if way.name == IN_ANOTHER_COLLECTION);
        let more = if recipe.found.iter().any(is_elsewhere) {
            5
        } else {
            usize::from(remembers(&world) && world.index.ours().is_some())
        };
        let index = if recipe.index_known { world.index.clone() } else { Observed::Absent };
        let rows = passes(sample, Observation { index, ..world.clone() }, &mut world, |_, _| ());
        let whole = masked("......", sample);
        prop_assert_eq!(rows.last(), Some(&whole), "{:?}", rows);
        prop_assert!(moving(&rows) <= moving(way_up) + more, "{} more: {:?}", more, rows);
        let rested = format!("{world:?}");
        prop_assert_eq!(pass(sample, &look(sample, &world), &mut world, false), whole);
        prop_assert_eq!(format!("{world:?}"), rested);
    }

    #[test]
    fn no_vectors_meet_those_of_a_knowledge_base_that_is_gone(recipe in recipe()) {
        let (sample, mut world) = (recipe.sample(), recipe.observed());
        let mut filled = world.index.ours().is_some() && is_narrow(&world);
        passes(sample, look(sample, &world), &mut world, |before, after| {
            watch(sample, before, after, &mut filled);
        });
    }
}
