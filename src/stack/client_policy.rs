//! What the programs around a tenant must be allowed in IAM: one that uploads its documents, and one that asks its
//! knowledge base. Read from the Tenant's status, which says where both are.

use serde_json::{Value, json};

use super::policy::model_arn;
use super::registry::Table;
use crate::api::Status;
use crate::stack::identity::Scope;

/// What an uploader needs: the tenant's prefix in its bucket, and nothing beside it; where the bucket is under a customer
/// key, that key, by way of S3. `None` while the status says no place.
pub fn writer(scope: &Scope, status: &Status) -> Option<Value> {
    let (bucket, prefix) = (status.bucket.as_ref()?, status.prefix.as_ref()?);
    let bucket = format!("arn:{}:s3:::{bucket}", scope.partition);
    let in_account = json!({"aws:ResourceAccount": scope.account});
    let mut statements = vec![
        json!({"Sid": "Documents", "Effect": "Allow",
            "Action": ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"],
            "Resource": format!("{bucket}/{prefix}*"), "Condition": {"StringEquals": in_account}}),
        json!({"Sid": "ListDocuments", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket,
            "Condition": {"StringEquals": in_account, "StringLike": {"s3:prefix": format!("{prefix}*")}}}),
    ];
    if let Some(key) = &status.kms_key_arn {
        statements.push(json!({"Sid": "KeyOfDocuments", "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": key,
            "Condition": {"StringEquals": {"kms:ViaService": format!("s3.{}.amazonaws.com", scope.region)}}}));
    }
    Some(json!({"Version": "2012-10-17", "Statement": statements}))
}

/// What a client needs that asks the tenant's knowledge base; with the model that answers, if the Tenant names one, and
/// the tenant's item in the registry, if there is one. `None` while the status names no knowledge base.
///
/// `RetrieveAndGenerate` knows no resource; which knowledge base it may ask is `Retrieve`'s.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/knowledge-base-prereq-permissions-general.html>
pub fn reader(
    scope: &Scope,
    tenant_id: &str,
    status: &Status,
    model: Option<&str>,
    registry: Option<&Table>,
) -> Option<Value> {
    let knowledge_base = status.knowledge_base_arn.as_ref()?;
    let mut statements = vec![
        json!({"Sid": "Ask", "Effect": "Allow", "Action": "bedrock:Retrieve", "Resource": knowledge_base}),
    ];
    if let Some(model) = model {
        statements.push(
            json!({"Sid": "Answer", "Effect": "Allow", "Action": "bedrock:RetrieveAndGenerate", "Resource": "*"}),
        );
        statements.push(json!({"Sid": "Model", "Effect": "Allow",
            "Action": ["bedrock:GetInferenceProfile", "bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"],
            "Resource": models(scope, model)}));
    }
    if let Some(table) = registry {
        statements.push(json!({"Sid": "Registry", "Effect": "Allow", "Action": "dynamodb:GetItem",
            "Resource": scope.arn("dynamodb", &format!("table/{}", table.name())),
            "Condition": {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [tenant_id]}}}));
    }
    Some(json!({"Version": "2012-10-17", "Statement": statements}))
}

/// Geographies of cross-region inference profiles.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html>
const GEOGRAPHIES: [&str; 8] = ["us.", "us-gov.", "eu.", "apac.", "au.", "ca.", "jp.", "global."];

/// What must be allowed to have a model answer: itself, and, behind an inference profile, the model in every region that
/// the profile may choose.
fn models(scope: &Scope, model: &str) -> Vec<String> {
    let anywhere = |id: &str| format!("arn:{}:bedrock:*::foundation-model/{id}", scope.partition);
    let profiled =
        |id: &str| GEOGRAPHIES.iter().find_map(|geography| id.strip_prefix(geography)).map(anywhere);
    if let Some((_, id)) = model.split_once(":inference-profile/") {
        return std::iter::once(model.to_owned()).chain(profiled(id)).collect();
    }
    match profiled(model) {
        Some(behind) => vec![scope.arn("bedrock", &format!("inference-profile/{model}")), behind],
        None => vec![model_arn(scope, model)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_allowed_in_every_way_that_it_can_be_named() {
        let scope = Scope::new("prod", "111122223333", "eu-central-1");
        let nova = "amazon.nova-pro-v1:0";
        let here = format!("arn:aws:bedrock:eu-central-1::foundation-model/{nova}");
        let anywhere = format!("arn:aws:bedrock:*::foundation-model/{nova}");
        let profile = format!("arn:aws:bedrock:eu-central-1:111122223333:inference-profile/eu.{nova}");
        assert_eq!(models(&scope, nova), std::slice::from_ref(&here));
        assert_eq!(models(&scope, &here), [here]);
        assert_eq!(models(&scope, &format!("eu.{nova}")), [profile.clone(), anywhere.clone()]);
        assert_eq!(models(&scope, &profile), [profile, anywhere]);
        let custom = "arn:aws:bedrock:eu-central-1:111122223333:custom-model/x/1";
        assert_eq!(models(&scope, custom), [custom]);
        let application = "arn:aws:bedrock:eu-central-1:111122223333:application-inference-profile/abc";
        assert_eq!(models(&scope, application), [application]);
    }
}
