//! What depends on more than one field: the order of changes, and the small functions.

use super::*;
use crate::api::{Distance, DocumentsSettings};
use crate::stack::fault::{Class, Fault};

/// What is the case, how it came to be, and the layer's changes in their order: `ensure` works them off from the first.
type Case = (&'static str, fn(&mut Stack), Layer, &'static [&'static str]);

fn ordered(cases: &[Case]) {
    for (what, mutate, layer, changes) in cases {
        let mut it = whole();
        mutate(&mut it);
        assert_eq!(it.of(*layer), *changes, "{what}");
        assert!(!is_whole(&it.scope, &it.want, &it.observed, *layer), "{what}");
    }
}

#[test]
fn policies_come_before_their_collection_and_tags_before_patience() {
    ordered(&[
        (
            "nothing is there",
            |it| it.observed.vector_store = Observed::Ours(CollectionFacts::default().into()),
            Layer::VectorStore,
            &["Encryption", "Network", "Create"],
        ),
        (
            "it is being made, and already has the tags of before",
            |it| {
                tag(&mut wanted_collection(&mut it.want).tags, OURS);
                found_collection(&mut it.observed).collection.as_mut().unwrap().status = "CREATING".into();
            },
            Layer::VectorStore,
            &["Encryption", "Network", "Tags", "NotActive"],
        ),
    ]);
}

#[test]
fn a_role_is_made_before_it_gets_permissions() {
    ordered(&[
        (
            "nothing is there",
            |it| it.observed.role = Observed::Ours(RoleFacts::default()),
            Layer::Role,
            &["Create", "Permissions", "DataAccess"],
        ),
        (
            "all of it differs",
            |it| {
                tag(&mut it.want.role.as_mut().unwrap().tags, OURS);
                let role = ours(&mut it.observed.role).role.as_mut().unwrap();
                role.trust = Value::Null;
                role.policies.clear();
                role.boundary = None;
            },
            Layer::Role,
            &["Trust", "Boundary", "Permissions", "DataAccess", "Tags"],
        ),
    ]);
}

#[test]
fn without_a_boundary_of_ours_a_role_needs_none() {
    let mut it = whole();
    it.scope.permissions_boundary = None;
    for boundary in [None, Some("somebody's".to_owned())] {
        ours(&mut it.observed.role).role.as_mut().unwrap().boundary = boundary;
        assert_eq!(it.differences(), Vec::<String>::new());
    }
}

#[test]
fn as_long_as_no_knowledge_base_is_wanted_by_id_a_role_trusts_any() {
    let mut it = whole();
    it.want.role.as_mut().unwrap().trusted = None;
    ours(&mut it.observed.role).role.as_mut().unwrap().trust = policy::trust(&it.scope, None);
    assert_eq!(it.differences(), Vec::<String>::new());
}

#[test]
fn the_trust_is_narrow_before_there_is_a_data_source() {
    ordered(&[
        (
            "it was just made",
            |it| {
                it.want.knowledge_base.as_mut().unwrap().narrow_trust = true;
                ours(&mut it.observed.knowledge_base).data_source = None;
            },
            Layer::KnowledgeBase,
            &["NarrowTrust", "CreateDataSource"],
        ),
        (
            "it is being made, with the tags of before",
            |it| {
                let want = it.want.knowledge_base.as_mut().unwrap();
                want.narrow_trust = true;
                tag(&mut want.tags, OURS);
                let facts = ours(&mut it.observed.knowledge_base);
                facts.status = "CREATING".into();
                facts.data_source = None;
            },
            Layer::KnowledgeBase,
            &["Tags", "NotActive", "NarrowTrust", "CreateDataSource"],
        ),
        (
            "its collection is another, and everything else differs too",
            |it| {
                let want = it.want.knowledge_base.as_mut().unwrap();
                want.narrow_trust = true;
                want.drop_data_source = true;
                tag(&mut want.tags, OURS);
                let facts = ours(&mut it.observed.knowledge_base);
                facts.status = "FAILED".into();
                facts.store = Some(ideal::store(ELSEWHERE, None));
            },
            Layer::KnowledgeBase,
            &["Replace"],
        ),
        (
            "the data source must go, and everything about it differs",
            |it| {
                let want = it.want.knowledge_base.as_mut().unwrap();
                want.drop_data_source = true;
                want.prefix.push('x');
                ours(&mut it.observed.knowledge_base).data_source.as_mut().unwrap().status =
                    "DELETING".into();
            },
            Layer::KnowledgeBase,
            &["DropDataSource"],
        ),
        (
            "the data source that must go is gone",
            |it| {
                it.want.knowledge_base.as_mut().unwrap().drop_data_source = true;
                ours(&mut it.observed.knowledge_base).data_source = None;
            },
            Layer::KnowledgeBase,
            &["CreateDataSource"],
        ),
        (
            "a data source that is being made has the wrong settings",
            |it| {
                it.want.knowledge_base.as_mut().unwrap().prefix.push('x');
                ours(&mut it.observed.knowledge_base).data_source.as_mut().unwrap().status =
                    "CREATING".into();
            },
            Layer::KnowledgeBase,
            &["DataSourceNotAvailable"],
        ),
    ]);
}

#[test]
fn a_new_bucket_has_its_tags_and_gets_everything_else() {
    const ALL: &[&str] = &["PublicAccess", "Ownership", "Policy", "Encryption", "Versioning", "Lifecycle"];
    ordered(&[
        (
            "it was just made",
            |it| it.observed.bucket = Observed::Ours(new_bucket(it.want.bucket.as_ref().unwrap())),
            Layer::Bucket,
            ALL,
        ),
        (
            "somebody took off all of it",
            |it| it.observed.bucket = Observed::Ours(BucketFacts::default()),
            Layer::Bucket,
            &["Tags", "PublicAccess", "Ownership", "Policy", "Encryption", "Versioning", "Lifecycle"],
        ),
    ]);
    let want = whole().want.bucket.unwrap();
    let expected = BucketFacts {
        tags: want.tags.clone(),
        blocks_public_access: false,
        object_ownership: None,
        policy: None,
        key_arn: None,
        versioned: false,
        lifecycle: Vec::new(),
    };
    assert_eq!(new_bucket(&want), expected);
}

#[test]
fn what_is_wanted_must_be_there_and_ours() {
    check(
        fields!(Observation {
            key,
            bucket,
            vector_store,
            index,
            index_known,
            index_asked,
            index_hidden,
            role,
            knowledge_base
        }),
        |it| &mut it.observed,
        &[
            ("key", "gone", |it| it.key = Observed::Absent, &["Key: not there"]),
            ("key", "not ours", |it| it.key = Observed::Foreign(somebody()), &["Key: not there"]),
            ("bucket", "gone", |it| it.bucket = Observed::Absent, &["Bucket: not there"]),
            ("bucket", "not ours", |it| it.bucket = Observed::Foreign(somebody()), &["Bucket: not there"]),
            ("vector_store", "gone", |it| it.vector_store = Observed::Absent, &["VectorStore: not there"]),
            (
                "vector_store",
                "not ours",
                |it| it.vector_store = Observed::Foreign(somebody()),
                &["VectorStore: not there"],
            ),
            ("index", "gone", |it| it.index = Observed::Absent, &["Index: not there"]),
            ("index", "not ours", |it| it.index = Observed::Foreign(somebody()), &["Index: not there"]),
            ("index_known", "it was not looked for", |it| it.index_known = false, &[]),
            ("index_asked", "something was added", |it| it.index_asked = ["year".into()].into(), &[]),
            ("index_hidden", "nobody could look", |it| it.index_hidden = Some(unreachable()), &[]),
            ("role", "gone", |it| it.role = Observed::Absent, &["Role: not there"]),
            ("role", "not ours", |it| it.role = Observed::Foreign(somebody()), &["Role: not there"]),
            (
                "knowledge_base",
                "gone",
                |it| it.knowledge_base = Observed::Absent,
                &["KnowledgeBase: not there"],
            ),
            (
                "knowledge_base",
                "not ours",
                |it| it.knowledge_base = Observed::Foreign(somebody()),
                &["KnowledgeBase: not there"],
            ),
        ],
    );
}

fn unreachable() -> Fault {
    Fault {
        class: Class::Unreachable,
        service: "aoss-endpoint",
        operation: "GetIndex",
        resource: "index".into(),
        code: "Timeout".into(),
        message: "no answer".into(),
        request_id: None,
    }
}

#[test]
fn a_layer_that_nobody_wants_is_whole_whatever_is_there() {
    check(
        fields!(Desired { key, bucket, vector_store, role, index, knowledge_base }),
        |it| &mut it.want,
        &[
            ("key", "none", |it| it.key = None, &[]),
            ("bucket", "none", |it| it.bucket = None, &[]),
            ("vector_store", "none", |it| it.vector_store = None, &[]),
            ("role", "none", |it| it.role = None, &[]),
            ("index", "none", |it| it.index = None, &[]),
            ("knowledge_base", "none", |it| it.knowledge_base = None, &[]),
        ],
    );
    let foreign = Observation { bucket: Observed::Foreign(somebody()), ..Observation::default() };
    for observed in [Observation::default(), foreign] {
        let it = Stack { want: Desired::default(), observed, ..whole() };
        assert_eq!(it.differences(), Vec::<String>::new());
    }
}

#[test]
fn missing_mappings_are_given_as_they_are_wanted() {
    let it = whole();
    let want = it.want.index.unwrap();
    let wanted = want.schema();
    let wanted = wanted["mappings"]["properties"].as_object().unwrap();
    assert_eq!(wanted.len(), 5);
    let of = |schema| IndexFacts { schema, ..IndexFacts::default() };
    let empty = of(json!({"mappings": {"properties": {}}}));
    assert_eq!(&missing_mappings(&want, &empty), wanted);
    for unknown in
        [json!({}), json!(null), json!({"mappings": {}}), json!({"mappings": {"properties": null}})]
    {
        let facts = of(unknown);
        assert!(missing_mappings(&want, &facts).is_empty(), "{facts:?}");
    }
    let mut facts = ideal::index(&want);
    let properties = facts.schema["mappings"]["properties"].as_object_mut().unwrap();
    properties.remove("year");
    properties.remove("tenantId");
    let expected = json!({
        "tenantId": {"type": "text", "fields": {"keyword": {"type": "keyword"}}},
        "year": {"type": "double"},
    });
    assert_eq!(Value::Object(missing_mappings(&want, &facts)), expected);
    let asked = |fields: &[&str]| fields.iter().map(|field| field.to_string()).collect();
    let left =
        |fields: &[&str]| mappings_to_add(&want, &facts, &asked(fields)).into_iter().map(|(field, _)| field);
    assert_eq!(left(&["year"]).collect::<Vec<_>>(), ["tenantId"], "what changed nothing is not repeated");
    assert_eq!(left(&["year", "tenantId", "gone"]).count(), 0);
}

#[test]
fn what_cannot_change_is_compared_only_where_it_is_known() {
    type Case = (&'static str, fn(&mut Stack), &'static [&'static str]);
    let cases: &[Case] = &[
        (
            "everything differs",
            |it| {
                let detail = found_collection(&mut it.observed).collection.as_mut().unwrap();
                detail.standby_replicas = "DISABLED".into();
                detail.kms_key_arn = Some("a".into());
                wanted_collection(&mut it.want).key_arn = Some("b".into());
                let facts = ours(&mut it.observed.knowledge_base);
                facts.embedding_model_arn = Some("c".into());
                facts.data_source.as_mut().unwrap().chunking = Some(ChunkingSettings::None);
                let want = it.want.index.as_mut().unwrap();
                want.dimensions = 512;
                want.settings.distance = Distance::InnerProduct;
                want.settings.hnsw.m = 8;
                want.settings.hnsw.ef_construction = 100;
            },
            &[
                "collection.standbyReplicas is Disabled and should be Enabled",
                "the collection's key is a and should be b",
                "knowledgeBase.embeddingModel is c and should be amazon.titan-embed-text-v2:0",
                "knowledgeBase.chunking is {strategy: None} and should be {strategy: FixedSize, maxTokens: 300, overlapPercentage: 20}",
                "knowledgeBase.dimensions is 1024 and should be 512",
                "index.distance is Euclidean and should be InnerProduct",
                "index.hnsw.m is 16 and should be 8",
                "index.hnsw.efConstruction is 512 and should be 100",
            ],
        ),
        (
            "a collection that is being made does not say its key yet, but its replicas",
            |it| {
                let detail = found_collection(&mut it.observed).collection.as_mut().unwrap();
                detail.standby_replicas = "DISABLED".into();
                detail.status = "CREATING".into();
                detail.kms_key_arn = None;
            },
            &["collection.standbyReplicas is Disabled and should be Enabled"],
        ),
        ("no collection yet", |it| found_collection(&mut it.observed).collection = None, &[]),
        (
            "the knowledge base was made with no data source, and so without chunking",
            |it| {
                it.want.knowledge_base.as_mut().unwrap().chunking = ChunkingSettings::None;
                ours(&mut it.observed.knowledge_base).data_source = None;
            },
            &[],
        ),
        (
            "what an index does not show is unknown, and does not differ",
            |it| ours(&mut it.observed.index).schema = json!({}),
            &[],
        ),
        (
            "somebody else's is not compared",
            |it| {
                it.observed.vector_store = Observed::Foreign(somebody());
                it.observed.knowledge_base = Observed::Foreign(somebody());
                it.observed.index = Observed::Foreign(somebody());
            },
            &[],
        ),
        ("nothing is there", |it| it.observed = Observation::default(), &[]),
        ("nothing is wanted", |it| it.want = Desired::default(), &[]),
    ];
    for (what, mutate, sentences) in cases {
        let mut it = whole();
        mutate(&mut it);
        assert_eq!(immutable(&it.scope, &it.want, &it.observed), *sentences, "{what}");
    }
}

#[test]
fn a_knowledge_base_without_a_model_differs_from_one_with_a_model() {
    let mut it = whole();
    ours(&mut it.observed.knowledge_base).embedding_model_arn = None;
    let sentences = immutable(&it.scope, &it.want, &it.observed);
    let expected = "knowledgeBase.embeddingModel is unknown and should be amazon.titan-embed-text-v2:0";
    assert_eq!(sentences, [expected]);
}

/// Every review may replace a metadata file, and every job writes a ledger: their older versions would be kept for ever.
#[test]
fn each_prefix_has_a_rule_where_something_expires_and_what_the_operator_keeps_does_not_grow_for_ever() {
    let mut want = whole().want.bucket.unwrap();
    want.prefixes = vec!["pool/".into(), "bridge/".into()];
    use Versioning::{Enabled, Suspended};
    for (versioning, noncurrent_expiration_days, expiration_days, days) in [
        (Enabled, 0, 0, None),
        (Enabled, 30, 0, Some((0, 30))),
        (Enabled, 0, 400, Some((400, 0))),
        (Enabled, 30, 400, Some((400, 30))),
        (Suspended, 30, 0, None),
        (Suspended, 30, 400, Some((400, 0))),
        (Suspended, 0, 0, None),
    ] {
        want.documents = DocumentsSettings { versioning, noncurrent_expiration_days, expiration_days };
        assert_eq!(is_versioned(&want), versioning == Enabled);
        let rule =
            |prefix: &str, expiration_days, noncurrent_expiration_days, abort_uploads_days| LifecycleRule {
                prefix: prefix.into(),
                expiration_days,
                noncurrent_expiration_days,
                abort_uploads_days,
            };
        let (current, noncurrent) = days.unwrap_or_default();
        let mut rules = vec![
            rule("bridge/", current, noncurrent, 0),
            rule("pool/", current, noncurrent, 0),
            // What a crash leaves of an upload is given up, whatever is kept for ever.
            rule("tenantry/", 0, noncurrent, 7),
            rule("tenantry/quarantine/", current, 0, 0),
        ];
        rules.retain(|it| it.expiration_days + it.noncurrent_expiration_days + it.abort_uploads_days > 0);
        assert_eq!(lifecycle(&want), rules, "{:?}", want.documents);
    }
}

#[test]
fn a_person_must_enable_a_key_that_is_off_or_on_its_way_out() {
    let cases = [
        ("Enabled", None),
        ("Creating", None),
        ("Updating", None),
        ("PendingImport", None),
        ("Unavailable", None),
        ("PendingReplicaDeletion", None),
        (
            "Disabled",
            Some("KMS key arn:k is Disabled, so that nothing that it has encrypted can be read: enable it"),
        ),
        (
            "PendingDeletion",
            Some(
                "KMS key arn:k is PendingDeletion, so that nothing that it has encrypted can be read: cancel its \
                 deletion and enable it, or all that it has encrypted is lost",
            ),
        ),
    ];
    for (state, why) in cases {
        assert_eq!(unusable("arn:k", state).as_deref(), why, "{state}");
    }
}

#[test]
fn only_wanted_tags_are_looked_for() {
    let tags = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect::<BTreeMap<_, _>>()
    };
    let wanted = tags(&[("a", "1"), ("b", "2")]);
    for (found, carried) in [
        (tags(&[("a", "1"), ("b", "2")]), true),
        (tags(&[("a", "1"), ("b", "2"), ("c", "3")]), true),
        (tags(&[("a", "1")]), false),
        (tags(&[("a", "1"), ("b", "1")]), false),
        (tags(&[("a", "2"), ("b", "1")]), false),
        (tags(&[]), false),
    ] {
        assert_eq!(carries(&found, &wanted), carried, "{found:?}");
        assert!(carries(&found, &tags(&[])), "{found:?}");
    }
}

#[test]
fn a_description_says_our_tags_and_nothing_else() {
    let wanted = BTreeMap::from(
        [("tenantry.dev/owner", "SharedStack/standard"), ("tenantry.dev/state", "owned"), (USERS, "42")]
            .map(|(key, value)| (key.to_owned(), value.to_owned())),
    );
    for (description, same) in [
        ("owner=SharedStack/standard,state=owned", true),
        ("state=owned,owner=SharedStack/standard", false),
        ("owner=SharedStack/standard,state=owned,costCenter=42", false),
        ("owner=SharedStack/standard,state=retained", false),
        ("", false),
    ] {
        let facts = PolicyFacts { document: json!({}), version: "1".into(), description: description.into() };
        assert_eq!(facts.describes(&wanted), same, "{description}");
    }
}
