//! The permissions boundary of the roles that the operator makes: what any of them may ever do, whatever becomes of the
//! operator. It is all that the role of some knowledge base of the installation needs
//! ([`crate::stack::model::policy::permissions`]), and of nobody else's things.

use serde_json::{Value, json};

use super::permissions::{INSTALLATION, all, named, resource_tag};
use crate::api::VectorStore;
use crate::stack::identity::Scope;
use crate::stack::layout::{BRIDGE, DOCUMENTS, POOL};
use crate::stack::lent;

/// What a role does with an index of S3 Vectors.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/kb-permissions.html>
pub const FILLS_AND_FINDS: [&str; 5] = [
    "s3vectors:DeleteVectors",
    "s3vectors:GetIndex",
    "s3vectors:GetVectors",
    "s3vectors:PutVectors",
    "s3vectors:QueryVectors",
];

/// The boundary; `models` are the embedding models that may be invoked, by id or ARN. None: all that Bedrock itself offers in
/// the region. `stores` are the vector stores that the installation has.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html>
pub fn boundary(scope: &Scope, models: &[String], stores: &[VectorStore]) -> Value {
    let Scope { account, partition, .. } = scope;
    let models: Vec<_> = match models {
        [] => vec![scope.model_arn("*")],
        some => some.iter().map(|model| scope.model_arn(model)).collect(),
    };
    let buckets = named(scope).map(|name| format!("arn:{partition}:s3:::{name}"));
    let [stacks, tenants] = scope.prefixes();
    let documents = [(&tenants, DOCUMENTS), (&stacks, BRIDGE), (&stacks, POOL)];
    let objects = documents.iter().flat_map(|(prefix, folder)| {
        Scope::of_each_length(prefix).map(move |name| format!("arn:{partition}:s3:::{name}/{folder}*"))
    });
    let in_account = match account.as_str() {
        "*" => json!({}),
        account => json!({"StringEquals": {"aws:ResourceAccount": account}}),
    };
    let listed = json!({"StringLike": {"s3:prefix": documents.map(|(_, prefix)| format!("{prefix}*"))}});
    let mut statements = vec![
        json!({"Sid": "Embed", "Effect": "Allow", "Action": "bedrock:InvokeModel", "Resource": models}),
        json!({"Sid": "List", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": buckets,
            "Condition": all([in_account.clone(), listed])}),
        json!({"Sid": "Read", "Effect": "Allow", "Action": "s3:GetObject",
            "Resource": objects.collect::<Vec<_>>()}),
    ];
    if account != "*" {
        statements[2]["Condition"] = in_account;
    }
    statements.extend(stores.iter().map(|store| vectors(scope, *store)));
    statements.extend(usable_keys(scope).into_iter().enumerate().map(|(n, key)| {
        json!({"Sid": format!("Keys{}", n + 1), "Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": scope.arn("kms", "key/*"), "Condition": key})
    }));
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// The vectors of a store that is the installation's.
fn vectors(scope: &Scope, store: VectorStore) -> Value {
    match store {
        VectorStore::OpenSearchServerless => {
            json!({"Sid": "Vectors", "Effect": "Allow", "Action": "aoss:APIAccessAll",
            "Resource": scope.arn("aoss", "collection/*"),
            "Condition": {"StringLike": {"aoss:collection": named(scope)}}})
        }
        VectorStore::S3Vectors => json!({"Sid": "VectorsInS3", "Effect": "Allow", "Action": FILLS_AND_FINDS,
            "Resource": named(scope).map(|name| scope.arn("s3vectors", &format!("bucket/{name}")))}),
    }
}

/// Keys that the stacks of an installation may be under: its own, those lent to it, and those lent to one of its namespaces. The
/// operator itself sees which namespace that is. A value without a kind is of an older release.
fn usable_keys(scope: &Scope) -> [Value; 3] {
    let lent = resource_tag(lent::TAG);
    let ours = lent::to_installation(&scope.installation);
    [
        json!({"StringEquals": {resource_tag(INSTALLATION): scope.installation}}),
        json!({"StringEquals": {&lent: ours}}),
        json!({"Null": {&lent: "false"}, "StringNotLike": {&lent: lent::to_installation("*")}}),
    ]
}
