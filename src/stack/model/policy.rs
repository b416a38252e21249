//! The policies of a bucket, a key and a role, as pure functions of names: who may do what, and nothing more.
//!
//! Documents are compared as parsed JSON ([`same`]), because AWS gives them back with other white space and order.

use serde_json::{Value, json};

use super::desired::{WantBucket, WantRole};
use crate::stack::identity::Scope;
use crate::stack::layout::{POOL, SUFFIX};

/// Whether two policy documents say the same. IAM and AOSS may answer a one-element list as its element.
pub fn same(a: &Value, b: &Value) -> bool {
    fn unwrapped(value: &Value) -> &Value {
        match value {
            Value::Array(items) if items.len() == 1 => unwrapped(&items[0]),
            other => other,
        }
    }
    match (unwrapped(a), unwrapped(b)) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().all(|x| b.iter().any(|y| same(x, y)))
        }
        (a, b) => a == b,
    }
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

/// What a knowledge base's role may do: exactly its model, its prefix, its collection and its key.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/kb-permissions.html>
pub fn permissions(scope: &Scope, want: &WantRole, collection_arn: &str) -> Value {
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
        json!({"Sid": "Vectors", "Effect": "Allow", "Action": "aoss:APIAccessAll", "Resource": collection_arn}),
    ];
    if let Some(key) = &want.key_arn {
        statements.push(
            json!({"Sid": "DecryptDocuments", "Effect": "Allow", "Action": "kms:Decrypt", "Resource": key,
            "Condition": {"StringEquals": {"kms:ViaService": format!("s3.{region}.amazonaws.com")}}}),
        );
        statements.push(json!({"Sid": "TransientData", "Effect": "Allow",
            "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": key}));
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// The bucket's policy: nothing travels without TLS, and where nobody else may say whose a pool's document is, nobody else
/// may write the file that does.
pub fn bucket(scope: &Scope, want: &WantBucket) -> Value {
    let arn = format!("arn:{}:s3:::{}", scope.partition, want.name);
    let mut statements = vec![json!({
        "Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": [arn, format!("{arn}/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    })];
    if let Some(operator) = &want.only_writer_of_sidecars {
        statements.push(json!({
            "Sid": "SidecarsByOperatorOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
            "Resource": format!("{arn}/{POOL}*{SUFFIX}"),
            "Condition": {"ArnNotEquals": {"aws:PrincipalArn": operator}},
        }));
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// A created key's policy: the account's own IAM policies decide, as AWS's default key policy has it.
pub fn key(scope: &Scope) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "AccountDecides", "Effect": "Allow",
        "Principal": {"AWS": format!("arn:{}:iam::{}:root", scope.partition, scope.account)},
        "Action": "kms:*", "Resource": "*",
    }]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_compared_by_what_they_say() {
        assert!(same(&json!({"a": ["x", "y"], "b": "z"}), &json!({"b": ["z"], "a": ["y", "x"]})));
        assert!(!same(&json!({"a": ["x", "y"]}), &json!({"a": ["x"]})));
        assert!(!same(&json!({"a": 1}), &json!({"a": 1, "b": 2})));
    }
}
