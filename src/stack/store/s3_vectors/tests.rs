//! What is written to S3 Vectors, byte by byte, and what of it is put right.

use serde_json::Map;

use super::vector_bucket::{DesiredVectorBucket, VectorBucketChange, VectorBucketDetail, VectorBucketFacts};
use super::*;
use crate::api::Distance;
use crate::stack::identity::Owner;
use crate::stack::model::ideal;
use crate::stack::store::read_back;

const INDEX: &str = "arn:aws:s3vectors:eu-central-1:123456789012:bucket/b/index/i";

fn scope() -> Scope {
    Scope::new("prod", "123456789012", "eu-central-1")
}

#[test]
fn a_role_fills_one_index_and_finds_in_it() {
    let expected = json!({"Sid": "Vectors", "Effect": "Allow", "Resource": INDEX, "Action": [
        "s3vectors:DeleteVectors", "s3vectors:GetIndex", "s3vectors:GetVectors", "s3vectors:PutVectors",
        "s3vectors:QueryVectors",
    ]});
    let bucket = VectorBucketHandle::named(&scope(), "b");
    assert_eq!(permission(&bucket.index_arn("i")), expected);
    assert_eq!(VectorBucketHandle::of_index(INDEX), Some(bucket.clone()));
    assert_eq!(VectorBucketHandle::of_index(&bucket.arn), None);
}

/// Whoever lends a key of their own copies the statement from the page, and checks the policy of a bucket by it.
#[test]
fn the_page_says_what_policies_have_and_what_is_lacking() {
    let page = include_str!("../../../../docs/vector-stores.md");
    let shown = page.split("```json").nth(1).and_then(|it| it.split("```").next()).unwrap();
    let scope = Scope::new("prod", "111122223333", "eu-central-1");
    assert_eq!(serde_json::from_str::<Value>(shown).unwrap(), key_statement(&scope));

    let policy = policy(&scope, "b");
    let sids = policy["Statement"].as_array().unwrap().iter().map(|it| it["Sid"].as_str().unwrap());
    let actions = OF_VECTORS.iter().map(|it| it.trim_start_matches("s3vectors:"));
    for word in sids.chain(actions).chain(FEATURES.no_operators.iter().copied()).chain([TENANT_ID]) {
        assert!(page.contains(&format!("`{word}`")), "the page does not speak of {word}");
    }
    let MetadataLimits { bytes: 1_024, attributes: 35 } = METADATA else {
        panic!("the page has other limits")
    };
    assert!(page.contains("1,024 bytes and 35 keys"));
}

#[test]
fn vectors_are_refused_to_all_but_the_role_with_the_tag_of_their_index() {
    let deny = |sid: &str, condition: Value| {
        json!({"Sid": sid, "Effect": "Deny", "Principal": {"AWS": "*"}, "Action": [
            "s3vectors:DeleteVectors", "s3vectors:GetVectors", "s3vectors:ListVectors", "s3vectors:PutVectors",
            "s3vectors:QueryVectors",
        ], "Resource": "arn:aws:s3vectors:eu-central-1:123456789012:bucket/b/index/*", "Condition": condition})
    };
    let roles = "arn:aws:iam::123456789012:role/tenantry/prod/*";
    let expected = json!({"Version": "2012-10-17", "Statement": [
        deny("OnlyRolesOfTheInstallation", json!({"ArnNotLike": {"aws:PrincipalArn": roles}})),
        deny("OnlyTaggedRoles", json!({"Null": {"aws:PrincipalTag/tenantry-tenant-id": "true"}})),
        deny("OnlyTheirOwnIndex", json!({"StringNotEquals": {
            "aws:ResourceTag/tenantry-tenant-id": "${aws:PrincipalTag/tenantry-tenant-id}"}})),
    ]});
    assert_eq!(policy(&scope(), "b"), expected);
}

/// No tenantId has a slash, so that no tenant is called like a stack.
#[test]
fn an_index_and_its_role_bear_the_same_tag_and_no_other_owners() {
    let mut seen = std::collections::BTreeSet::new();
    for sample in ideal::on_s3_vectors() {
        let want = sample.want(&sample.built());
        let (index, role) = (want.index.unwrap(), want.role.unwrap());
        let of = |tags: &BTreeMap<String, String>| tags.get("tenantry-tenant-id").cloned();
        let expected = match &sample.id.owner {
            Owner::Tenant { tenant_id, .. } => tenant_id.clone(),
            Owner::Stack { name } => format!("stack/{name}"),
        };
        assert_eq!((of(&index.tags), of(&role.tags)), (Some(expected.clone()), Some(expected.clone())));
        seen.insert(expected);
    }
    assert_eq!(seen.len(), 2, "{seen:?}");
    for sample in ideal::samples() {
        let want = sample.want(&sample.built());
        let tags = want.role.into_iter().map(|role| role.tags).chain(want.index.map(|index| index.tags));
        assert!(tags.into_iter().all(|tags| !tags.contains_key("tenantry-tenant-id")), "{}", sample.name);
    }
}

#[test]
fn a_vector_bucket_is_put_right_call_by_call() {
    let mut sample = ideal::on_s3_vectors().remove(0).built();
    let StoreFactsOf { want, facts } = found(&mut sample);
    type Case = (&'static str, fn(&mut VectorBucketDetail), &'static [VectorBucketChange]);
    let cases: &[Case] = &[
        ("nothing", |_| {}, &[]),
        ("no policy", |it| it.policy = None, &[VectorBucketChange::Policy]),
        ("another policy", |it| it.policy = Some(json!({"Statement": []})), &[VectorBucketChange::Policy]),
        ("another mode", |it| it.mode = Some("CLASSIC".into()), &[VectorBucketChange::Mode]),
        ("no mode is told", |it| it.mode = None, &[]),
        ("others' tags", |it| drop(it.tags.insert("theirs".into(), "x".into())), &[]),
        ("our tags", |it| it.tags.clear(), &[VectorBucketChange::Tags]),
    ];
    for (what, mutate, changes) in cases {
        let mut detail = facts.detail.clone().unwrap();
        mutate(&mut detail);
        assert_eq!(want.changes(&VectorBucketFacts { detail: Some(detail) }), *changes, "{what}");
    }
    let anew = [VectorBucketChange::Create, VectorBucketChange::Policy];
    assert_eq!(want.changes(&VectorBucketFacts::default()), anew);
    assert!(want.fixed(&facts).iter().all(|it| it.has.as_ref() == Some(&it.wanted)));
    let another = DesiredVectorBucket { key_arn: None, ..want };
    assert!(another.fixed(&facts).iter().all(|it| it.has.as_ref() != Some(&it.wanted)));
}

struct StoreFactsOf {
    want: DesiredVectorBucket,
    facts: VectorBucketFacts,
}

/// What is there of a store, and the want of which it was made.
fn found(observed: &mut crate::stack::model::observed::Observation) -> StoreFactsOf {
    use crate::stack::store::StoreFacts;
    let StoreFacts::S3Vectors(facts) = ideal::ours(&mut observed.vector_store).clone() else {
        panic!("no vector bucket")
    };
    let detail = facts.detail.clone().unwrap();
    let name = detail.arn.rsplit('/').next().unwrap().to_owned();
    let want = DesiredVectorBucket {
        name,
        tags: detail.tags,
        key_arn: detail.key_arn,
        policy: detail.policy.unwrap(),
    };
    StoreFactsOf { want, facts }
}

#[test]
fn an_index_says_what_it_was_made_from() {
    for (distance, metric) in [(Distance::Cosine, "cosine"), (Distance::Euclidean, "euclidean")] {
        let settings = crate::api::Index::resolve(None, distance);
        let schema = schema(512, &settings);
        let expected = json!({"dimension": 512, "distanceMetric": metric, "indexMode": "ENHANCED",
            "nonFilterableMetadataKeys": ["AMAZON_BEDROCK_TEXT", "AMAZON_BEDROCK_METADATA"]});
        assert_eq!(schema, expected);
        let found = read_back(crate::api::VectorStore::S3Vectors, &schema);
        assert_eq!((found.dimensions, found.distance), (Some(512), Some(distance)));
        assert!(has_mode(&schema) && has_mode(&Value::Object(Map::new())));
    }
    assert!(!has_mode(&json!({"indexMode": "CLASSIC"})));
    let other = read_back(crate::api::VectorStore::S3Vectors, &json!({"distanceMetric": "manhattan"}));
    assert_eq!((other.distance, other.other_distance.as_deref()), (None, Some("manhattan")));
}
