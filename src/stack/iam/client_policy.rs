//! What the programs around a tenant must be allowed in IAM: one that uploads its documents, and one that asks its
//! knowledge base. Read from the Tenant's status, which says where both are.

use serde_json::{Value, json};

use crate::api::Status;
use crate::stack::identity::Scope;
use crate::stack::layout::{POOL, QUARANTINE};
use crate::stack::names;
use crate::stack::registry::Table;

/// What an uploader needs: the tenant's prefix in its bucket, and to read what of it was put into quarantine; where the bucket
/// is under a customer key, that key, by way of S3. `None` while the status says no place.
pub fn writer(scope: &Scope, status: &Status) -> Option<Value> {
    let (bucket, prefix) = (status.bucket.as_ref()?, status.prefix.as_ref()?);
    let bucket = format!("arn:{}:s3:::{bucket}", scope.partition);
    let in_account = json!({"aws:ResourceAccount": scope.account});
    let aside = format!("{QUARANTINE}{prefix}*");
    let mut statements = vec![
        json!({"Sid": "Documents", "Effect": "Allow",
            "Action": ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"],
            "Resource": format!("{bucket}/{prefix}*"), "Condition": {"StringEquals": in_account}}),
        json!({"Sid": "ListDocuments", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket,
            "Condition": {"StringEquals": in_account, "StringLike": {"s3:prefix": [format!("{prefix}*"), aside]}}}),
    ];
    // Elsewhere nothing goes there.
    if prefix.starts_with(POOL) {
        statements.push(json!({"Sid": "Quarantine", "Effect": "Allow", "Action": "s3:GetObject",
            "Resource": format!("{bucket}/{aside}"), "Condition": {"StringEquals": in_account}}));
    }
    if let Some(key) = &status.kms_key_arn {
        statements.push(json!({"Sid": "KeyOfDocuments", "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": key,
            "Condition": {"StringEquals": {"kms:ViaService": format!("s3.{}.amazonaws.com", scope.region)}}}));
    }
    Some(json!({"Version": "2012-10-17", "Statement": statements}))
}

/// What a client needs that asks the tenant's knowledge base; with the model that answers, if the Tenant names one, and
/// the tenant's item in the registry, if there is one. `None` while the status names no knowledge base. Whoever wrote the Tenant
/// chose the model, and whoever attaches the policy need not be the same: a name that means more than one model is refused,
/// whatever the API server took.
///
/// `RetrieveAndGenerate` knows no resource; which knowledge base it may ask is `Retrieve`'s.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/knowledge-base-prereq-permissions-general.html>
pub fn reader(
    scope: &Scope,
    tenant_id: &str,
    status: &Status,
    model: Option<&str>,
    registry: Option<&Table>,
) -> Result<Option<Value>, ManyModels> {
    let Some(knowledge_base) = &status.knowledge_base_arn else { return Ok(None) };
    if let Some(many) = model.filter(|model| !names::is_model(model)) {
        return Err(ManyModels(many.into()));
    }
    let mut statements = vec![
        json!({"Sid": "Ask", "Effect": "Allow", "Action": "bedrock:Retrieve", "Resource": knowledge_base}),
    ];
    if let Some(model) = model {
        statements.push(
            json!({"Sid": "Answer", "Effect": "Allow", "Action": "bedrock:RetrieveAndGenerate", "Resource": "*"}),
        );
        statements.extend(answers(scope, model));
    }
    if let Some(table) = registry {
        statements.push(json!({"Sid": "Registry", "Effect": "Allow", "Action": "dynamodb:GetItem",
            "Resource": scope.arn("dynamodb", &format!("table/{}", table.name())),
            "Condition": {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [tenant_id]}}}));
    }
    Ok(Some(json!({"Version": "2012-10-17", "Statement": statements})))
}

/// What is no name of one model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`answers.model` of this Tenant is {0:?}, which is no model's name: in a policy it could mean any. Set it to the id or the ARN of one"
)]
pub struct ManyModels(String);

/// Geographies of cross-region inference profiles.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html>
const GEOGRAPHIES: [&str; 8] = ["us.", "us-gov.", "eu.", "apac.", "au.", "ca.", "jp.", "global."];

/// What must be allowed to have a model answer: itself; an inference profile needs to be read too, and to choose a model in
/// any of its regions, which only it may.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-prereq.html>
fn answers(scope: &Scope, model: &str) -> Vec<Value> {
    let of_geography = GEOGRAPHIES.iter().any(|geography| model.starts_with(geography));
    let arn = if of_geography {
        scope.arn("bedrock", &format!("inference-profile/{model}"))
    } else {
        scope.model_arn(model)
    };
    if !arn.contains("inference-profile/") {
        return vec![
            json!({"Sid": "Model", "Effect": "Allow", "Action": "bedrock:InvokeModel", "Resource": arn}),
        ];
    }
    let anywhere = format!("arn:{}:bedrock:*::foundation-model/*", scope.partition);
    vec![
        json!({"Sid": "Profile", "Effect": "Allow",
            "Action": ["bedrock:GetInferenceProfile", "bedrock:InvokeModel"], "Resource": arn}),
        json!({"Sid": "ModelOfProfile", "Effect": "Allow", "Action": "bedrock:InvokeModel", "Resource": anywhere,
            "Condition": {"StringEquals": {"bedrock:InferenceProfileArn": arn}}}),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_uploader_reads_what_of_its_own_is_in_quarantine_and_nothing_of_others() {
        let scope = Scope::new("prod", "111122223333", "eu-central-1");
        let aside = |prefix: &str| -> Vec<String> {
            let (bucket, prefix) = (Some("docs".into()), Some(prefix.into()));
            let policy = writer(&scope, &Status { bucket, prefix, ..Status::default() }).unwrap();
            let statements = policy["Statement"].as_array().unwrap().iter();
            let quarantine = statements.filter(|it| it["Sid"] == "Quarantine");
            quarantine.map(|it| it["Resource"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(aside("pool/acme/"), ["arn:aws:s3:::docs/tenantry/quarantine/pool/acme/*"]);
        assert_eq!(aside("bridge/acme/"), [] as [&str; 0], "nothing goes there");
        assert_eq!(aside("documents/"), [] as [&str; 0]);
    }

    #[test]
    fn a_model_that_is_a_pattern_gets_into_no_policy() {
        let scope = Scope::new("prod", "111122223333", "eu-central-1");
        let arn = "arn:aws:bedrock:eu-central-1:111122223333:knowledge-base/KB1".to_string();
        let status = Status { knowledge_base_arn: Some(arn), ..Status::default() };
        let of = |model| reader(&scope, "acme", &status, model, None);
        for many in ["*", "arn:*", "arn:aws:bedrock:*:111122223333:inference-profile/*", "${aws:username}"] {
            assert_eq!(of(Some(many)), Err(ManyModels(many.into())));
        }
        assert!(of(Some("amazon.nova-pro-v1:0")).is_ok() && of(None).is_ok());
    }

    #[test]
    fn a_model_is_allowed_in_every_way_that_it_can_be_named() {
        let scope = Scope::new("prod", "111122223333", "eu-central-1");
        let resources = |model: &str| -> Vec<String> {
            let resource = |statement: Value| statement["Resource"].as_str().unwrap().to_owned();
            answers(&scope, model).into_iter().map(resource).collect()
        };
        let nova = "amazon.nova-pro-v1:0";
        let here = format!("arn:aws:bedrock:eu-central-1::foundation-model/{nova}");
        let anywhere = "arn:aws:bedrock:*::foundation-model/*";
        let ours = "arn:aws:bedrock:eu-central-1:111122223333";
        let profile = format!("{ours}:inference-profile/eu.{nova}");
        assert_eq!(resources(nova), [here.as_str()]);
        assert_eq!(resources(&here), [here.as_str()]);
        assert_eq!(resources(&format!("eu.{nova}")), [profile.as_str(), anywhere]);
        assert_eq!(resources(&profile), [profile.as_str(), anywhere]);
        let application = format!("{ours}:application-inference-profile/abc");
        assert_eq!(resources(&application), [application.as_str(), anywhere]);
        let custom = format!("{ours}:custom-model/x/1");
        assert_eq!(resources(&custom), [custom.as_str()]);
        for behind in answers(&scope, &application).into_iter().skip(1) {
            assert_eq!(
                behind["Condition"]["StringEquals"]["bedrock:InferenceProfileArn"],
                application.as_str()
            );
        }
    }
}
