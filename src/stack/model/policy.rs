//! The policies of a bucket, a key and a role, as pure functions of names: who may do what, and nothing more.
//!
//! Documents are compared as parsed JSON ([`same`]), because AWS gives them back with other white space and order.

use serde_json::{Value, json};

use super::desired::{DesiredBucket, DesiredRole};
use crate::api::VectorStore;
pub use crate::stack::compare::same;
use crate::stack::identity::Scope;
use crate::stack::layout::{POOL, SUFFIX};
use crate::stack::store::features;

/// The statements of a policy that another has not, by their names.
pub fn others(found: &Value, wanted: &Value) -> Vec<String> {
    let statements = |policy: &Value| match policy.get("Statement") {
        Some(Value::Array(statements)) => statements.clone(),
        one => one.cloned().into_iter().collect(),
    };
    let wanted = statements(wanted);
    let strange = statements(found).into_iter().filter(|it| !wanted.iter().any(|wanted| same(it, wanted)));
    strange.map(|it| it["Sid"].as_str().unwrap_or("a statement without a name").to_owned()).collect()
}

/// Who may assume a knowledge base's role: Bedrock, for one knowledge base, or, as long as it has no id, for any of
/// this account and region. Naming it is also AWS's own record that its index may hold vectors.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/kb-permissions.html>
pub fn trust(scope: &Scope, knowledge_base_arn: Option<&str>) -> Value {
    let any = scope.arn("bedrock", "knowledge-base/*");
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"Service": "bedrock.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {
            "StringEquals": {"aws:SourceAccount": scope.account},
            "ArnLike": {"aws:SourceArn": knowledge_base_arn.unwrap_or(&any)},
        },
    }]})
}

/// The one knowledge base that a trust policy names; `None` where it names any.
pub fn trusted(trust: &Value) -> Option<&str> {
    let statement = trust.pointer("/Statement/0").or_else(|| trust.pointer("/Statement"))?;
    let arn = statement.pointer("/Condition/ArnLike/aws:SourceArn")?;
    let arn = arn.as_str().or_else(|| arn.pointer("/0")?.as_str())?;
    (!arn.ends_with('*')).then_some(arn)
}

/// What a knowledge base's role may do: exactly its model, its prefix, its vector store and its key. Before that store is
/// there, nothing can be said.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/kb-permissions.html>
pub fn permissions(scope: &Scope, want: &DesiredRole) -> Option<Value> {
    let store = want.store.handle.as_ref()?;
    let Scope { account, region, partition, .. } = scope;
    let bucket = &want.bucket;
    let prefix = &want.prefix;
    let in_account = json!({"aws:ResourceAccount": account});
    let mut statements = vec![
        json!({"Sid": "Embed", "Effect": "Allow", "Action": "bedrock:InvokeModel", "Resource": want.embedding_model_arn}),
        // The slash at the prefix's end matters: without it `bridge/1` would open `bridge/10/…` too.
        json!({"Sid": "List", "Effect": "Allow", "Action": "s3:ListBucket",
            "Resource": format!("arn:{partition}:s3:::{bucket}"),
            "Condition": {"StringEquals": in_account, "StringLike": {"s3:prefix": [prefix, format!("{prefix}*")]}}}),
        json!({"Sid": "Read", "Effect": "Allow", "Action": "s3:GetObject",
            "Resource": format!("arn:{partition}:s3:::{bucket}/{prefix}*"),
            "Condition": {"StringEquals": in_account}}),
        store.permission(&want.index),
    ];
    if let Some(key) = &want.key_arn {
        statements.push(
            json!({"Sid": "DecryptDocuments", "Effect": "Allow", "Action": "kms:Decrypt", "Resource": key,
            "Condition": {"StringEquals": {"kms:ViaService": format!("s3.{region}.amazonaws.com")}}}),
        );
        statements.push(json!({"Sid": "TransientData", "Effect": "Allow",
            "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": key}));
    }
    Some(json!({"Version": "2012-10-17", "Statement": statements}))
}

/// The statement by which the operator alone writes a pool's metadata files.
pub const SIDECARS_BY_OPERATOR_ONLY: &str = "SidecarsByOperatorOnly";

/// The classes of objects that nobody can read before somebody has restored them.
const ARCHIVES: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

/// What a bucket takes from nobody, by the name of the statement and the condition under which it refuses: an object that
/// only its writer could read, or nobody before it is restored. No job could index it, and no tenant find it.
///
/// S3 knows these keys of the requests that begin an object: PutObject, CopyObject, CreateMultipartUpload. Each stands for
/// a header, and is not there where the header is not: such a write gets the bucket's own encryption and class, and passes.
/// A negated operator holds for a key that is not there, and so needs `Null` beside it.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#require-sse-kms>
fn refused(key_arn: Option<&str>) -> [(&'static str, Value); 3] {
    const KMS_KEY: &str = "s3:x-amz-server-side-encryption-aws-kms-key-id";
    let mut other_key = json!({"Null": {KMS_KEY: "false"}});
    if let Some(ours) = key_arn {
        other_key["StringNotEquals"] = json!({KMS_KEY: ours});
    }
    [
        ("NoKeysOfWriters", json!({"Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "false"}})),
        ("NoOtherKmsKeys", other_key),
        ("NoArchives", json!({"StringEquals": {"s3:x-amz-storage-class": ARCHIVES}})),
    ]
}

/// The bucket's policy: nothing travels without TLS, nothing comes in that could not be read, and where nobody else may say
/// whose a pool's document is, nobody else may write the file that does. It is all of the policy: what others add goes.
pub fn bucket(scope: &Scope, want: &DesiredBucket) -> Value {
    let arn = format!("arn:{}:s3:::{}", scope.partition, want.name);
    let mut statements = vec![json!({
        "Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": [arn, format!("{arn}/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    })];
    statements.extend(refused(want.key_arn.as_deref()).map(|(sid, condition)| {
        json!({
            "Sid": sid, "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
            "Resource": format!("{arn}/*"),
            "Condition": condition,
        })
    }));
    if let Some(operator) = &want.only_writer_of_sidecars {
        statements.push(json!({
            "Sid": SIDECARS_BY_OPERATOR_ONLY, "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
            "Resource": format!("{arn}/{POOL}*{SUFFIX}"),
            "Condition": {"ArnNotEquals": {"aws:PrincipalArn": operator}},
        }));
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// A created key's policy: the account's own IAM policies decide, as AWS's default key policy has it; beside them a vector
/// store may have a service that decrypts by itself.
pub fn key(scope: &Scope, store: VectorStore) -> Value {
    let account = json!({
        "Sid": "AccountDecides", "Effect": "Allow",
        "Principal": {"AWS": format!("arn:{}:iam::{}:root", scope.partition, scope.account)},
        "Action": "kms:*", "Resource": "*",
    });
    let of_store = features(store).key_statement.map(|statement| statement(scope));
    let statements: Vec<_> = [account].into_iter().chain(of_store).collect();
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// Whether some statement of a key's policy lets a service decrypt, under whatever conditions.
pub fn lets_in(policy: &Value, service: &str) -> bool {
    let all = |value: &Value| match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        one => one.as_str().map(str::to_owned).into_iter().collect::<Vec<_>>(),
    };
    let statements = match &policy["Statement"] {
        Value::Array(statements) => statements.clone(),
        one => vec![one.clone()],
    };
    statements.iter().any(|it| {
        let is_named = all(&it["Principal"]["Service"]).iter().any(|name| name == service);
        let is_anybody =
            it["Principal"] == "*" || all(&it["Principal"]["AWS"]).iter().any(|name| name == "*");
        let decrypts = all(&it["Action"])
            .iter()
            .any(|it| ["kms:Decrypt", "kms:Decrypt*", "kms:*", "*"].contains(&it.as_str()));
        it["Effect"] == "Allow" && (is_named || is_anybody) && decrypts
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::stack::model::ideal;
    use crate::stack::store::StoreRef;

    const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/k";

    fn scope() -> Scope {
        Scope::new("prod", "123456789012", "eu-central-1")
    }

    fn in_china() -> Scope {
        Scope::new("prod", "123456789012", "cn-north-1")
    }

    fn role_of(key_arn: Option<&str>) -> DesiredRole {
        DesiredRole {
            name: "r".into(),
            tags: BTreeMap::new(),
            bucket: "b".into(),
            prefix: "bridge/1/".into(),
            store: StoreRef {
                kind: VectorStore::default(),
                name: "c".into(),
                handle: Some(ideal::store("arn:c", None)),
            },
            index: "i".into(),
            embedding_model_arn: "arn:aws:bedrock:eu-central-1::foundation-model/m".into(),
            key_arn: key_arn.map(Into::into),
            trusted: None,
        }
    }

    #[test]
    fn bedrock_alone_assumes_a_role_and_for_one_knowledge_base_if_it_is_known() {
        let one = "arn:aws:bedrock:eu-central-1:123456789012:knowledge-base/KB1";
        let any = "arn:aws:bedrock:eu-central-1:123456789012:knowledge-base/*";
        for (given, named) in [(Some(one), one), (None, any)] {
            let expected = json!({"Version": "2012-10-17", "Statement": [{
                "Effect": "Allow",
                "Principal": {"Service": "bedrock.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {
                    "StringEquals": {"aws:SourceAccount": "123456789012"},
                    "ArnLike": {"aws:SourceArn": named},
                },
            }]});
            assert_eq!(trust(&scope(), given), expected);
        }
    }

    #[test]
    fn a_trust_names_one_knowledge_base_or_any() {
        let like = |arn: Value| json!({"Condition": {"ArnLike": {"aws:SourceArn": arn}}});
        for (document, named) in [
            (trust(&scope(), Some("arn:one")), Some("arn:one")),
            (trust(&scope(), None), None),
            (json!({"Statement": like(json!("arn:one"))}), Some("arn:one")),
            (json!({"Statement": [like(json!(["arn:one"]))]}), Some("arn:one")),
            (json!({"Statement": [like(json!(["arn:*"]))]}), None),
            (json!({"Statement": [like(json!([]))]}), None),
            (json!({"Statement": [like(json!(7))]}), None),
            (json!({"Statement": [{"Condition": {"StringLike": {"aws:SourceArn": "arn:one"}}}]}), None),
            (json!({"Statement": [{}]}), None),
            (json!({"Statement": []}), None),
            (json!({}), None),
            (Value::Null, None),
        ] {
            assert_eq!(trusted(&document), named, "{document}");
        }
    }

    #[test]
    fn a_role_may_use_its_model_its_prefix_its_collection_and_its_key() {
        let in_account = json!({"aws:ResourceAccount": "123456789012"});
        let mut statements = vec![
            json!({"Sid": "Embed", "Effect": "Allow", "Action": "bedrock:InvokeModel",
                "Resource": "arn:aws:bedrock:eu-central-1::foundation-model/m"}),
            json!({"Sid": "List", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::b",
                "Condition": {"StringEquals": in_account, "StringLike": {"s3:prefix": ["bridge/1/", "bridge/1/*"]}}}),
            json!({"Sid": "Read", "Effect": "Allow", "Action": "s3:GetObject",
                "Resource": "arn:aws:s3:::b/bridge/1/*", "Condition": {"StringEquals": in_account}}),
            json!({"Sid": "Vectors", "Effect": "Allow", "Action": "aoss:APIAccessAll", "Resource": "arn:c"}),
        ];
        let policy = |key| permissions(&scope(), &role_of(key)).unwrap();
        assert_eq!(policy(None), json!({"Version": "2012-10-17", "Statement": statements}));
        statements.extend([
            json!({"Sid": "DecryptDocuments", "Effect": "Allow", "Action": "kms:Decrypt", "Resource": KEY,
                "Condition": {"StringEquals": {"kms:ViaService": "s3.eu-central-1.amazonaws.com"}}}),
            json!({"Sid": "TransientData", "Effect": "Allow", "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
                "Resource": KEY}),
        ]);
        assert_eq!(policy(Some(KEY)), json!({"Version": "2012-10-17", "Statement": statements}));
        let there = permissions(&in_china(), &role_of(None)).unwrap();
        assert_eq!(there["Statement"][1]["Resource"], "arn:aws-cn:s3:::b");
        assert_eq!(there["Statement"][2]["Resource"], "arn:aws-cn:s3:::b/bridge/1/*");
    }

    /// Whether a pattern of IAM's, with `*` and `?`, covers an ARN.
    fn covers(pattern: &str, arn: &str) -> bool {
        match (pattern.chars().next(), arn.chars().next()) {
            (None, None) => true,
            (Some('*'), None) => covers(&pattern[1..], arn),
            (Some('*'), Some(_)) => covers(&pattern[1..], arn) || covers(pattern, &arn[1..]),
            (Some(one), Some(other)) if one == '?' || one == other => covers(&pattern[1..], &arn[1..]),
            _ => false,
        }
    }

    /// What a role needs is within the boundary of all: every action, on resources that it covers.
    #[test]
    fn the_boundary_cuts_off_nothing_that_a_role_needs() {
        let scope = scope();
        let boundary = crate::stack::iam::boundary::boundary(&scope, &[], &VectorStore::ALL);
        let list = |value: &Value| -> Vec<String> {
            let one = || vec![value.clone()];
            let all = value.as_array().cloned().unwrap_or_else(one);
            all.iter().map(|it| it.as_str().unwrap().to_owned()).collect()
        };
        for (bucket, prefix) in [
            ("prod-ta-acme-f43zkbv6n7", "documents/"),
            ("prod-sa-stand-gxt44wxbqg", "bridge/acme/"),
            ("prod-sa-stand-gxt44wxbqg", "pool/"),
        ] {
            let mut role = DesiredRole { bucket: bucket.into(), prefix: prefix.into(), ..role_of(Some(KEY)) };
            role.store.handle = Some(ideal::store(&scope.arn("aoss", "collection/abc"), None));
            let policy = permissions(&scope, &role).unwrap();
            for needs in policy["Statement"].as_array().unwrap() {
                for (action, arn) in list(&needs["Action"]).iter().flat_map(|action| {
                    list(&needs["Resource"]).into_iter().map(move |arn| (action.clone(), arn))
                }) {
                    let within = boundary["Statement"].as_array().unwrap().iter().any(|statement| {
                        list(&statement["Action"]).contains(&action)
                            && list(&statement["Resource"]).iter().any(|pattern| covers(pattern, &arn))
                    });
                    assert!(within, "{action} on {arn}");
                }
            }
        }
    }

    fn bucket_of(key_arn: Option<&str>, operator: Option<&str>) -> DesiredBucket {
        DesiredBucket {
            name: "b".into(),
            tags: BTreeMap::new(),
            documents: crate::api::Documents::resolve(None),
            prefixes: vec!["bridge/".into(), "pool/".into()],
            key_arn: key_arn.map(Into::into),
            only_writer_of_sidecars: operator.map(Into::into),
        }
    }

    #[test]
    fn a_bucket_wants_tls_and_objects_that_can_be_read_and_metadata_files_from_the_operator_only_if_it_says_so()
     {
        let named = json!({"Null": {"s3:x-amz-server-side-encryption-aws-kms-key-id": "false"}});
        let another = json!({
            "Null": {"s3:x-amz-server-side-encryption-aws-kms-key-id": "false"},
            "StringNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": KEY},
        });
        for (key, other_key) in [(None, named), (Some(KEY), another)] {
            let refuse = |sid: &str, condition: Value| {
                json!({"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
                    "Resource": "arn:aws:s3:::b/*", "Condition": condition})
            };
            let mut statements = vec![
                json!({
                    "Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
                    "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                }),
                refuse(
                    "NoKeysOfWriters",
                    json!({"Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "false"}}),
                ),
                refuse("NoOtherKmsKeys", other_key),
                refuse(
                    "NoArchives",
                    json!({"StringEquals": {"s3:x-amz-storage-class": ["GLACIER", "DEEP_ARCHIVE"]}}),
                ),
            ];
            let expected = json!({"Version": "2012-10-17", "Statement": statements});
            assert_eq!(bucket(&scope(), &bucket_of(key, None)), expected);
            statements.push(json!({
                "Sid": "SidecarsByOperatorOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
                "Resource": "arn:aws:s3:::b/pool/*.metadata.json",
                "Condition": {"ArnNotEquals": {"aws:PrincipalArn": "arn:o"}},
            }));
            let expected = json!({"Version": "2012-10-17", "Statement": statements});
            assert_eq!(bucket(&scope(), &bucket_of(key, Some("arn:o"))), expected);
        }
        let there = bucket(&in_china(), &bucket_of(None, None));
        assert_eq!(there["Statement"][0]["Resource"], json!(["arn:aws-cn:s3:::b", "arn:aws-cn:s3:::b/*"]));
        for refusal in 1..4 {
            assert_eq!(there["Statement"][refusal]["Resource"], "arn:aws-cn:s3:::b/*");
        }
    }

    #[test]
    fn the_account_decides_about_its_keys() {
        let expected = |partition: &str| {
            json!({"Version": "2012-10-17", "Statement": [{
                "Sid": "AccountDecides", "Effect": "Allow",
                "Principal": {"AWS": format!("arn:{partition}:iam::123456789012:root")},
                "Action": "kms:*", "Resource": "*",
            }]})
        };
        let store = VectorStore::OpenSearchServerless;
        assert_eq!(key(&scope(), store), expected("aws"));
        assert_eq!(key(&in_china(), store), expected("aws-cn"));
    }

    #[test]
    fn a_service_is_let_in_by_a_statement_that_names_it() {
        const SERVICE: &str = "indexing.s3vectors.amazonaws.com";
        let of = |principal: Value, action: Value| json!({"Statement": [{"Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*"}]});
        let service = json!({"Service": SERVICE});
        for (policy, is_in) in [
            (key(&scope(), VectorStore::S3Vectors), true),
            (key(&scope(), VectorStore::OpenSearchServerless), false),
            (of(service.clone(), json!("kms:Decrypt")), true),
            (of(json!({"Service": ["s3.amazonaws.com", SERVICE]}), json!(["kms:*"])), true),
            (of(json!("*"), json!("kms:*")), true),
            (of(service.clone(), json!("kms:GenerateDataKey")), false),
            (of(json!({"AWS": "arn:aws:iam::123456789012:root"}), json!("kms:*")), false),
            (json!({"Statement": {"Effect": "Deny", "Principal": service, "Action": "kms:*"}}), false),
            (json!({}), false),
        ] {
            assert_eq!(lets_in(&policy, SERVICE), is_in, "{policy}");
        }
    }

    /// Without it no index is made under the key.
    #[test]
    fn s3_vectors_indexes_under_a_key_by_itself() {
        let policy = key(&scope(), VectorStore::S3Vectors);
        let statements = policy["Statement"].as_array().unwrap();
        assert_eq!(statements[0], key(&scope(), VectorStore::OpenSearchServerless)["Statement"][0]);
        assert_eq!(
            statements[1..],
            [json!({
                "Sid": "VectorsAreIndexed", "Effect": "Allow",
                "Principal": {"Service": "indexing.s3vectors.amazonaws.com"},
                "Action": "kms:Decrypt", "Resource": "*",
                "Condition": {
                    "StringEquals": {"aws:SourceAccount": "123456789012"},
                    "ArnLike": {"aws:SourceArn": "arn:aws:s3vectors:eu-central-1:123456789012:bucket/*"},
                    "ForAnyValue:StringEquals": {
                        "kms:EncryptionContextKeys": ["aws:s3vectors:arn", "aws:s3vectors:resource-id"]},
                },
            })]
        );
    }
}
