//! The same of a stack on S3 Vectors, where it differs from others: its vector bucket, the index in it, and the role, beside which
//! no policy stands.

use super::*;
use crate::stack::store::s3_vectors::vector_bucket::{
    DesiredVectorBucket, VectorBucketDetail, VectorBucketFacts,
};

/// The tag by which the vector bucket's policy tells which role may read which index.
const FENCE: &str = "tenantry-tenant-id";

fn on_s3_vectors() -> Stack {
    static WHOLE: LazyLock<Stack> = LazyLock::new(|| {
        build(json!({
            "vectorStore": "S3Vectors",
            "encryption": {"key": "Create"},
            "tags": {USERS: "42"},
            "pool": {"index": {"attributes": [{"name": "year", "type": "Number"}]}},
        }))
    });
    WHOLE.clone()
}

fn found_bucket(it: &mut Stack) -> &mut VectorBucketFacts {
    match ours(&mut it.observed.vector_store) {
        StoreFacts::S3Vectors(facts) => facts,
        other => panic!("no vector bucket: {other:?}"),
    }
}

fn wanted_bucket(it: &mut Stack) -> &mut DesiredVectorBucket {
    match it.want.vector_store.as_mut().unwrap() {
        DesiredStore::S3Vectors(want) => want,
        other => panic!("no vector bucket: {other:?}"),
    }
}

#[test]
fn it_is_as_wanted() {
    assert_eq!(on_s3_vectors().differences(), [] as [&str; 0]);
}

#[test]
fn a_vector_bucket() {
    check_from(
        on_s3_vectors,
        fields!(VectorBucketFacts { detail }),
        found_bucket,
        &[("detail", "it is gone", |it| it.detail = None, &["VectorStore: Create", "VectorStore: Policy"])],
    );
    check_from(
        on_s3_vectors,
        fields!(VectorBucketDetail { arn, key_arn, mode, policy, tags }),
        |it| found_bucket(it).detail.as_mut().unwrap(),
        &[
            ("arn", "another", |it| it.arn = ELSEWHERE.into(), &[]),
            (
                "key_arn",
                "S3's own",
                |it| it.key_arn = None,
                &["the vector bucket's key is S3's own and should be \
                   arn:aws:kms:eu-central-1:123456789012:key/prod-sa-stand-d46j56jt7e"],
            ),
            (
                "mode",
                "searches before it filters",
                |it| it.mode = Some("CLASSIC".into()),
                &["VectorStore: Mode"],
            ),
            ("mode", "is not told", |it| it.mode = None, &[]),
            ("policy", "none", |it| it.policy = None, &["VectorStore: Policy"]),
            (
                "policy",
                "denies less",
                |it| drop(list(it.policy.as_mut().unwrap(), "/Statement").pop()),
                &["VectorStore: Policy"],
            ),
            (
                "policy",
                "lets somebody in",
                |it| {
                    let statement = json!({"Effect": "Allow", "Principal": "*", "Action": "s3vectors:*"});
                    list(it.policy.as_mut().unwrap(), "/Statement").push(statement);
                },
                &["VectorStore: Policy"],
            ),
            (
                "policy",
                "in another order",
                |it| list(it.policy.as_mut().unwrap(), "/Statement/0/Action").reverse(),
                &[],
            ),
            ("tags", "ours was removed", |it| drop(it.tags.remove(OURS)), &["VectorStore: Tags"]),
            ("tags", "the user's was changed", |it| tag(&mut it.tags, USERS), &["VectorStore: Tags"]),
            ("tags", "others' beside ours", |it| tag(&mut it.tags, "others"), &[]),
        ],
    );
}

#[test]
fn a_vector_bucket_that_is_wanted() {
    check_from(
        on_s3_vectors,
        fields!(DesiredVectorBucket { name, tags, key_arn, policy }),
        wanted_bucket,
        &[
            ("name", "another", |it| it.name.push('x'), &[]),
            ("tags", "another of the user's", |it| tag(&mut it.tags, USERS), &["VectorStore: Tags"]),
            ("tags", "one fewer", |it| drop(it.tags.remove(USERS)), &[]),
            (
                "key_arn",
                "another",
                |it| it.key_arn = Some(KEY.into()),
                &[
                    "the vector bucket's key is arn:aws:kms:eu-central-1:123456789012:key/prod-sa-stand-d46j56jt7e and should be \
                   arn:aws:kms:eu-central-1:123456789012:key/another",
                ],
            ),
            ("policy", "another", |it| it.policy = Value::Null, &["VectorStore: Policy"]),
        ],
    );
}

#[test]
fn an_index() {
    check_from(
        on_s3_vectors,
        fields!(IndexFacts { schema, tags, arn, by_endpoint }),
        |it| ours(&mut it.observed.index),
        &[
            (
                "schema",
                "searches before it filters",
                |it| it.schema["indexMode"] = json!("CLASSIC"),
                &["Index: Mode"],
            ),
            (
                "schema",
                "vectors of another length",
                |it| it.schema["dimension"] = json!(512),
                &["knowledgeBase.dimensions is 512 and should be 1024"],
            ),
            (
                "schema",
                "another distance",
                |it| it.schema["distanceMetric"] = json!("euclidean"),
                &["index.distance is Euclidean and should be Cosine"],
            ),
            (
                "schema",
                "a distance that nobody here writes",
                |it| it.schema["distanceMetric"] = json!("manhattan"),
                &["index.distance is manhattan and should be Cosine"],
            ),
            // Nobody can change it; a job says what does not fit.
            (
                "schema",
                "other keys that cannot be filtered by",
                |it| it.schema["nonFilterableMetadataKeys"] = json!([]),
                &[],
            ),
            ("tags", "ours was removed", |it| drop(it.tags.remove(OURS)), &["Index: Tags"]),
            ("tags", "that of the fence", |it| tag(&mut it.tags, FENCE), &["Index: Tags"]),
            ("tags", "the user's was changed", |it| tag(&mut it.tags, USERS), &["Index: Tags"]),
            ("tags", "others' beside ours", |it| tag(&mut it.tags, "others"), &[]),
            ("arn", "another", |it| it.arn = Some(ELSEWHERE.into()), &[]),
            ("by_endpoint", "nobody asks", |it| it.by_endpoint = true, &[]),
        ],
    );
}

#[test]
fn a_role() {
    fn permissions(it: &mut Stack) -> &mut Value {
        let role = ours(&mut it.observed.role).role.as_mut().unwrap();
        role.policies.get_mut(ROLE_POLICY).unwrap()
    }
    fn vectors(policy: &mut Value) -> &mut Value {
        let all = list(policy, "/Statement");
        all.iter_mut().find(|statement| statement["Sid"] == "Vectors").unwrap()
    }
    let right = on_s3_vectors();
    type Way = (&'static str, fn(&mut Value));
    let ways: [Way; 3] = [
        ("it may do all", |it| it["Action"] = json!("s3vectors:*")),
        ("it may read all", |it| it["Resource"] = json!("*")),
        ("it may less", |it| drop(list(it, "/Action").pop())),
    ];
    for (what, mutate) in ways {
        let mut it = right.clone();
        mutate(vectors(permissions(&mut it)));
        assert_eq!(it.differences(), ["Role: Permissions"], "{what}");
    }
    let mut it = right.clone();
    tag(&mut ours(&mut it.observed.role).role.as_mut().unwrap().tags, FENCE);
    assert_eq!(it.differences(), ["Role: Tags"]);
    assert!(ours(&mut it.observed.role).data_access.is_none(), "IAM alone says who may read vectors");
}
