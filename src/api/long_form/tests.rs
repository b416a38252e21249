//! What a class and a Tenant say together is what one spec would say alone.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::api::StackRef;

const CLASS: &str = "premium";

fn class(spec: Value) -> TenantClassSpec {
    serde_json::from_value(spec).unwrap()
}

fn tenant(spec: Value) -> TenantSpec {
    let mut whole = json!({"tenantId": "acme", "classRef": {"name": CLASS}});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    serde_json::from_value(whole).unwrap()
}

fn long(tenant_spec: Value, class_spec: Value) -> Result<TenantSpec, Conflict> {
    let class = class(class_spec);
    long_form(&tenant(tenant_spec), Some(Named { name: CLASS, spec: &class }))
}

fn refused(tenant_spec: Value, class_spec: Value) -> (Reason, String) {
    let Conflict { reason, message } = long(tenant_spec, class_spec).unwrap_err();
    (reason, message)
}

/// An override that is taken away would shorten what a Tenant had said itself, and S3 would delete what is older.
#[test]
fn where_a_change_is_refused_documents_are_kept_as_long_as_before_at_least() {
    let place: Placement = serde_json::from_value(json!({"pattern": "Silo"})).unwrap();
    for (own, class, expected) in [
        (json!({"expirationDays": 3650}), json!({"expirationDays": 30}), (Some(3650), None)),
        (json!({"expirationDays": 0}), json!({"expirationDays": 30}), (Some(0), None)),
        (json!({"expirationDays": 9}), json!({"expirationDays": 30}), (Some(30), None)),
        (json!({"expirationDays": 9}), json!({}), (None, None)),
        (json!({"noncurrentExpirationDays": 90}), json!({}), (None, Some(90))),
        (json!({"noncurrentExpirationDays": 20}), json!({}), (None, None)),
        (json!({"noncurrentExpirationDays": 90}), json!({"noncurrentExpirationDays": 0}), (None, Some(0))),
    ] {
        let spec: TenantClassSpec =
            serde_json::from_value(json!({"defaults": {"documents": class}})).unwrap();
        let own = tenant(json!({"pattern": "Silo", "classRef": {"name": CLASS}, "documents": own}));
        let stands = standing_form(&own, &place, Some(Named { name: CLASS, spec: &spec }), None);
        let documents = stands.documents.unwrap();
        assert_eq!((documents.expiration_days, documents.noncurrent_expiration_days), expected, "{own:?}");
    }
}

#[test]
fn who_has_no_class_is_its_own_long_form() {
    let own = TenantSpec { class_ref: None, ..tenant(json!({"pattern": "Silo", "tags": {"a": "b"}})) };
    assert_eq!(long_form(&own, None), Ok(own.clone()));
    let nowhere = TenantSpec { pattern: None, ..own };
    assert_eq!(long_form(&nowhere, None).unwrap_err().reason, Reason::ClassConflict);
}

#[test]
fn either_the_class_or_the_tenant_says_where_it_is() {
    let pool = || json!({"placement": {"pattern": "Pool", "stackRef": {"name": "standard"}}});
    let placed = long(json!({}), pool()).unwrap();
    assert_eq!(
        (placed.pattern, placed.stack_ref),
        (Some(Pattern::Pool), Some(StackRef { name: "standard".into() }))
    );
    let (reason, message) = refused(json!({"pattern": "Silo", "vectorStore": "S3Vectors"}), pool());
    assert_eq!(reason, Reason::ClassConflict);
    assert!(message.contains("remove `pattern` and `vectorStore`"), "{message}");
    let (reason, message) = refused(json!({"collection": {"standbyReplicas": "Disabled"}}), pool());
    assert_eq!(reason, Reason::ClassConflict);
    assert!(message.contains("remove `collection.standbyReplicas` from it"), "{message}");
    assert_eq!(refused(json!({}), json!({})).0, Reason::ClassConflict, "nobody says it");
    assert_eq!(long(json!({"pattern": "Silo"}), json!({})).unwrap().pattern, Some(Pattern::Silo));
}

#[test]
fn a_tenant_sets_what_its_class_lets_it_set() {
    let silo = |may: Value| json!({"placement": {"pattern": "Silo"}, "mayOverride": may});
    for (spec, field, word) in [
        (json!({"documents": {"expirationDays": 9}}), "`documents`", "Documents"),
        (json!({"collection": {"network": {"access": "Public"}}}), "`collection.network`", "Collection"),
        (json!({"ingestion": {"suspend": true}}), "`ingestion`", "Ingestion"),
        (json!({"answers": {"model": "amazon.nova-pro-v1:0"}}), "`answers`", "Answers"),
        (json!({"tags": {"a": "b"}}), "`tags`", "Tags"),
    ] {
        let (reason, message) = refused(spec.clone(), silo(json!([])));
        assert_eq!(reason, Reason::OverrideForbidden);
        assert!(message.contains(field), "{message}");
        assert!(long(spec, silo(json!([word]))).is_ok(), "{word}");
    }
    for says_nothing in [json!({"documents": {}}), json!({"collection": {}}), json!({"ingestion": {}})] {
        assert!(long(says_nothing.clone(), silo(json!([]))).is_ok(), "{says_nothing}");
    }
    let free = json!({"dataDeletionPolicy": "Retain", "deletionPolicy": "Delete"});
    assert!(long(free, silo(json!([]))).is_ok(), "these are in no class");
}

#[test]
fn what_the_pattern_does_not_have_is_left_out() {
    let everything = json!({"defaults": {
        "documents": {"expirationDays": 9}, "collection": {"network": {"access": "Public"}},
        "ingestion": {"suspend": true}, "answers": {"model": "m"}, "tags": {"a": "b"},
    }});
    let stack = json!({"name": "standard"});
    let pool = long(json!({"pattern": "Pool", "stackRef": stack}), everything.clone()).unwrap();
    assert!(pool.isolation().is_ok() && pool.answers.is_some());
    let bridge = long(json!({"pattern": "Bridge", "stackRef": stack}), everything.clone()).unwrap();
    assert!(bridge.isolation().is_ok() && bridge.documents.is_none() && bridge.ingestion.is_some());
    let vectors = long(json!({"pattern": "Silo", "vectorStore": "S3Vectors"}), everything).unwrap();
    assert!(vectors.isolation().is_ok() && vectors.collection.is_none() && vectors.documents.is_some());
}

#[test]
fn a_model_that_the_class_does_not_allow_is_beyond_a_limit() {
    let limited = |default: Value| {
        json!({"placement": {"pattern": "Silo"}, "mayOverride": ["Answers"],
        "defaults": default, "limits": {"answers": {"models": ["small", "large"]}}})
    };
    let asks = |model: &str| json!({"answers": {"model": model}});
    assert!(long(asks("large"), limited(json!({}))).is_ok());
    assert!(long(json!({}), limited(json!({}))).is_ok(), "clients choose");
    assert_eq!(long(json!({}), limited(asks("small"))).unwrap().answers.unwrap().model, "small");
    let (reason, message) = refused(asks("huge"), limited(json!({})));
    assert_eq!(reason, Reason::LimitExceeded);
    assert!(message.contains("'huge'") && message.contains("small, large"), "{message}");
}

#[test]
fn tags_of_both_are_one_set() {
    let tier = |tags: Value| json!({"placement": {"pattern": "Silo"}, "mayOverride": ["Tags"], "defaults": {"tags": tags}});
    let both = long(
        json!({"tags": {"costCenter": "42", "tier": "own"}}),
        tier(json!({"tier": "premium", "x": "y"})),
    );
    let both: Vec<_> = both.unwrap().tags.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(both, ["costCenter=42", "tier=own", "x=y"]);
    let (reason, message) = refused(json!({"tags": {"TIER": "own"}}), tier(json!({"tier": "premium"})));
    assert!(reason == Reason::ClassConflict && message.contains("'tier'"), "{message}");
    let many = |from: usize| (from..from + 21).map(|n| (format!("k{n}"), json!("v"))).collect::<Map<_, _>>();
    let (reason, message) = refused(json!({"tags": many(0)}), tier(Value::Object(many(50))));
    assert!(reason == Reason::ClassConflict && message.contains("42 together"), "{message}");
}

/// A change that is refused leaves a Tenant with what it had, as far as that can be known.
#[test]
fn who_stands_has_its_placement_and_of_the_rest_what_its_class_lets_it_have() {
    let frozen: Placement =
        serde_json::from_value(json!({"pattern": "Silo", "vectorStore": "S3Vectors"})).unwrap();
    let moves = tenant(json!({"pattern": "Pool", "stackRef": {"name": "standard"}, "tags": {"own": "1"},
        "ingestion": {"suspend": true}, "answers": {"model": "huge"}, "deletionPolicy": "Delete"}));
    let spec = class(
        json!({"mayOverride": ["Tags"], "defaults": {"ingestion": {"schedule": "0 4 * * *"}, "tags": {"tier": "p"}}}),
    );
    let answers = Answers { model: "small".into() };
    let stands = standing_form(&moves, &frozen, Some(Named { name: CLASS, spec: &spec }), Some(&answers));
    assert_eq!(Placement::of(&stands), Some(frozen.clone()));
    assert_eq!(stands.ingestion.clone().unwrap().suspend, None, "the class does not let it say so");
    assert_eq!(stands.ingestion.clone().unwrap().schedule.as_deref(), Some("0 4 * * *"));
    assert_eq!(stands.tags.len(), 2);
    assert_eq!(stands.answers, Some(answers), "and not the one that was refused");
    assert_eq!(stands.deletion_policy, moves.deletion_policy, "that is read anew at each step");
    assert!(stands.isolation().is_ok());
    let without = standing_form(&moves, &frozen, None, None);
    assert!(without.isolation().is_ok() && without.ingestion.unwrap().suspend == Some(true));
}

/// Says each leaf of an object in one place, chosen by `by_class`, and leaves the other without it.
fn split(whole: &Value, by_class: &[bool]) -> (Value, Value) {
    let (mut class, mut tenant) = (Map::new(), Map::new());
    for (at, (key, value)) in whole.as_object().into_iter().flatten().enumerate() {
        let of = if by_class[at % by_class.len()] { &mut class } else { &mut tenant };
        of.insert(key.clone(), value.clone());
    }
    (class.into(), tenant.into())
}

fn placements() -> impl Strategy<Value = Value> {
    let bases = prop_oneof![
        Just(json!({})),
        Just(json!({"embeddingModel": "cohere.embed-english-v3"})),
        Just(json!({"dimensions": 256, "chunking": {"strategy": "None"}})),
    ];
    let indexes = prop_oneof![
        Just(json!({})),
        Just(json!({"attributes": [{"name": "year", "type": "Number"}]})),
        Just(json!({"distance": "Euclidean"})),
    ];
    let silos = (bases.clone(), indexes.clone(), any::<bool>(), any::<bool>(), any::<bool>());
    let silos = silos.prop_map(|(base, index, vectors, key, disabled)| {
        let mut silo = json!({"pattern": "Silo", "knowledgeBase": base, "index": index});
        if key {
            silo["encryption"] = json!({"key": "Create"});
        }
        if vectors {
            silo["vectorStore"] = json!("S3Vectors");
        } else if disabled {
            silo["standbyReplicas"] = json!("Disabled");
        }
        silo
    });
    let stack = json!({"name": "standard"});
    let (of_bridges, of_pools) = (stack.clone(), stack);
    let bridges = (bases, indexes).prop_map(move |(base, index)| {
        json!({"pattern": "Bridge", "stackRef": of_bridges, "knowledgeBase": base, "index": index})
    });
    prop_oneof![silos, bridges, Just(json!({"pattern": "Pool", "stackRef": of_pools}))]
}

proptest! {
    /// resolved(class + tenant) = resolved(long form): whoever of the two says a thing.
    #[test]
    fn it_makes_no_difference_who_says_a_thing(
        placement in placements(),
        places in any::<bool>(),
        by_class in prop::collection::vec(any::<bool>(), 7),
        days in 0..400,
        suspend in any::<bool>(),
    ) {
        let pattern: Pattern = serde_json::from_value(placement["pattern"].clone()).unwrap();
        let is_on_vectors = placement["vectorStore"] == json!("S3Vectors");
        // The long form, all of it in one spec.
        let documents = json!({"versioning": "Suspended", "noncurrentExpirationDays": days, "expirationDays": days});
        let ingestion = json!({"schedule": "0 4 * * *", "timeZone": "Europe/Vienna", "suspend": suspend});
        let tags = json!({"a": "1", "b": "2", "c": "3"});
        let network = json!({"access": "Public"});
        let (has, mut whole) = (|field: &str| has_place(field, pattern), tenant(json!({})));
        let place: Placement = serde_json::from_value(placement.clone()).unwrap();
        place.write_into(&mut whole);
        whole.answers = Some(Answers { model: "m".into() });
        if has("documents") { whole.documents = serde_json::from_value(documents.clone()).unwrap(); }
        if has("ingestion") { whole.ingestion = serde_json::from_value(ingestion.clone()).unwrap(); }
        if has("tags") { whole.tags = serde_json::from_value(tags.clone()).unwrap(); }
        if has("collection") && !is_on_vectors {
            whole.collection.get_or_insert_default().network = serde_json::from_value(network.clone()).unwrap();
        }
        // The same, a part of it by the class.
        let (class_documents, own_documents) = split(&documents, &by_class);
        let (class_ingestion, own_ingestion) = split(&ingestion, &by_class[1..]);
        let (class_tags, own_tags) = split(&tags, &by_class[2..]);
        let mut class_spec = json!({
            "defaults": {"documents": class_documents, "ingestion": class_ingestion, "tags": class_tags},
            "mayOverride": ["Documents", "Collection", "Ingestion", "Answers", "Tags"],
        });
        let mut own = json!({});
        if has("documents") { own["documents"] = own_documents; }
        if has("ingestion") { own["ingestion"] = own_ingestion; }
        if has("tags") { own["tags"] = own_tags; }
        let model = json!({"model": "m"});
        if by_class[0] { class_spec["defaults"]["answers"] = model; } else { own["answers"] = model; }
        if by_class[1] {
            class_spec["defaults"]["collection"] = json!({"network": network});
        } else if has("collection") && !is_on_vectors {
            own["collection"] = json!({"network": network});
        }
        let mut own = tenant(own);
        if places { class_spec["placement"] = placement } else { place.write_into(&mut own) }
        let class = class(class_spec);
        let long = long_form(&own, Some(Named { name: CLASS, spec: &class })).unwrap();
        let says_nothing_of_network = whole.collection.as_ref().is_none_or(|it| it.network.is_none());
        prop_assert_eq!(long.isolation(), whole.isolation(), "{:?}", says_nothing_of_network);
        prop_assert_eq!((&long.answers, &long.tags), (&whole.answers, &whole.tags));
        prop_assert_eq!(Placement::of(&long), Placement::of(&whole));
        // And what stands is the same again.
        let stands = standing_form(&own, &place, Some(Named { name: CLASS, spec: &class }), long.answers.as_ref());
        prop_assert_eq!(stands.isolation(), whole.isolation());
    }
}
