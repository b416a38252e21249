//! How everything in an account is set, which names and tags do not say: policies, trust, versions, rules, jobs.

use std::collections::BTreeSet;

use aws_sdk_opensearchserverless::types::{AccessPolicyType, SecurityPolicyType};
use aws_smithy_types::Document;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::support::inventory::{Inventory, without_part};
use crate::support::world::World;

/// A line for each setting of everything in an inventory. What AWS does not say is a line, too.
pub async fn of(w: &World, inventory: &Inventory) -> Vec<String> {
    let mut lines = Vec::new();
    for thing in inventory.keys() {
        let (kind, name) = thing.rsplit_once(' ').unwrap();
        match kind {
            "bucket" => bucket(w, name, &mut lines).await,
            "role" => role(w, name, &mut lines).await,
            "vector bucket" => vector_bucket(w, name, &mut lines).await,
            "key behind" => {
                let policy = w.sdk.kms.get_key_policy().policy_name("default");
                let key = w.sdk.kms.describe_key().key_id(name).send().await.unwrap().key_metadata.unwrap();
                let policy = policy.key_id(key.key_id).send().await.ok().and_then(|it| it.policy);
                lines.push(format!("{thing}: {policy:?}"));
            }
            "data policy" => {
                let get = w.sdk.aoss.get_access_policy().name(name).r#type(AccessPolicyType::Data);
                let found = get.send().await.unwrap().access_policy_detail.unwrap();
                lines.push(format!("{thing}: {}", found.policy.as_ref().map_or(Value::Null, value)));
            }
            "encryption policy" | "network policy" => {
                let of = SecurityPolicyType::from(kind.split(' ').next().unwrap());
                let found = w.sdk.aoss.get_security_policy().name(name).r#type(of).send().await.unwrap();
                let policy = found.security_policy_detail.unwrap().policy;
                lines.push(format!("{thing}: {}", policy.as_ref().map_or(Value::Null, value)));
            }
            _ => {}
        }
    }
    knowledge_bases(w, &mut lines).await;
    lines
}

async fn bucket(w: &World, name: &str, lines: &mut Vec<String>) {
    let s3 = &w.sdk.s3;
    let mut say = |what: &str, said: String| lines.push(format!("bucket {name} {what}: {said}"));
    let versioning = s3.get_bucket_versioning().bucket(name).send().await;
    say("versioning", format!("{:?}", versioning.ok().and_then(|it| it.status)));
    let encryption = s3.get_bucket_encryption().bucket(name).send().await;
    say(
        "encryption",
        format!("{:?}", encryption.ok().and_then(|it| it.server_side_encryption_configuration)),
    );
    let rules = s3.get_bucket_lifecycle_configuration().bucket(name).send().await;
    say("lifecycle", format!("{:?}", rules.ok().and_then(|it| it.rules)));
    let policy = s3.get_bucket_policy().bucket(name).send().await;
    say("policy", format!("{:?}", policy.ok().and_then(|it| it.policy)));
    let access = s3.get_public_access_block().bucket(name).send().await;
    say("public access", format!("{:?}", access.ok().and_then(|it| it.public_access_block_configuration)));
    let ownership = s3.get_bucket_ownership_controls().bucket(name).send().await;
    say("ownership", format!("{:?}", ownership.ok().and_then(|it| it.ownership_controls)));
    // What is current; that something was there once, the inventory says.
    let mut objects = s3.list_objects_v2().bucket(name).into_paginator().send();
    let mut holds = BTreeSet::new();
    while let Some(page) = objects.try_next().await.unwrap() {
        holds.extend(page.contents().iter().map(|object| without_part(object.key().unwrap()).to_owned()));
    }
    holds.iter().for_each(|key| say("holds", format!("{key:?}")));
    let uploads = s3.list_multipart_uploads().bucket(name).send().await.unwrap().uploads.unwrap_or_default();
    uploads.iter().for_each(|upload| say("unfinished", format!("{:?}", upload.key)));
}

/// And the indexes in it.
async fn vector_bucket(w: &World, name: &str, lines: &mut Vec<String>) {
    let s3vectors = &w.sdk.s3vectors;
    let found = s3vectors.get_vector_bucket().vector_bucket_name(name).send().await.unwrap();
    let found = found.vector_bucket.unwrap();
    let (encryption, mode) = (found.encryption_configuration, found.default_index_mode);
    lines.push(format!("vector bucket {name}: {encryption:?} {mode:?}"));
    let policy = s3vectors.get_vector_bucket_policy().vector_bucket_name(name).send().await;
    lines.push(format!("vector bucket {name} policy: {:?}", policy.ok().and_then(|it| it.policy)));
    let mut indexes = s3vectors.list_indexes().vector_bucket_name(name).into_paginator().items().send();
    while let Some(index) = indexes.try_next().await.unwrap() {
        let get = s3vectors.get_index().index_arn(index.index_arn).send().await.unwrap();
        let found = get.index.unwrap();
        lines.push(format!(
            "index {}: {:?} {} {:?} {:?} {:?} {:?}",
            found.index_name,
            found.data_type,
            found.dimension,
            found.distance_metric,
            found.metadata_configuration,
            found.encryption_configuration,
            found.index_mode,
        ));
    }
}

async fn role(w: &World, name: &str, lines: &mut Vec<String>) {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let role = w.sdk.iam.get_role().role_name(name).send().await.unwrap().role.unwrap();
    let trust = role.assume_role_policy_document.map(|text| decoded(&text));
    lines.push(format!("role {name} trusts: {trust:?} at {}", role.path));
    let policies = w.sdk.iam.list_role_policies().role_name(name).send().await.unwrap().policy_names;
    for policy in policies {
        let found = w.sdk.iam.get_role_policy().role_name(name).policy_name(&policy).send().await.unwrap();
        lines.push(format!("role {name} may as {policy} says: {}", decoded(&found.policy_document)));
    }
}

async fn knowledge_bases(w: &World, lines: &mut Vec<String>) {
    let bedrock = &w.sdk.bedrock;
    let mut pages = bedrock.list_knowledge_bases().into_paginator().items().send();
    while let Some(summary) = pages.try_next().await.unwrap() {
        let (id, name) = (summary.knowledge_base_id, summary.name);
        let found = bedrock.get_knowledge_base().knowledge_base_id(&id).send().await.unwrap();
        let found = found.knowledge_base.unwrap();
        let (status, role, storage) = (found.status, found.role_arn, found.storage_configuration);
        lines.push(format!("knowledge base {name}: {status} {role} {storage:?}"));
        let mut sources = bedrock.list_data_sources().knowledge_base_id(&id).into_paginator().items().send();
        while let Some(source) = sources.try_next().await.unwrap() {
            let get = bedrock.get_data_source().knowledge_base_id(&id).data_source_id(&source.data_source_id);
            let found = get.send().await.unwrap().data_source.unwrap();
            lines.push(format!(
                "data source {}: {} {:?} {:?} {:?} {:?}",
                found.name,
                found.status,
                found.data_deletion_policy,
                found.data_source_configuration,
                found.vector_ingestion_configuration,
                found.server_side_encryption_configuration,
            ));
            let list =
                bedrock.list_ingestion_jobs().knowledge_base_id(&id).data_source_id(&source.data_source_id);
            let mut jobs = list.into_paginator().items().send();
            while let Some(job) = jobs.try_next().await.unwrap() {
                // What it serves, without the hash of who asked.
                let serves = job.description.unwrap_or_default();
                let serves = serves.split(' ').next().unwrap_or_default();
                lines.push(format!("job of {}: {serves} {}", found.name, job.status));
            }
        }
    }
}

fn value(document: &Document) -> Value {
    match document {
        Document::Object(members) => members.iter().map(|(name, it)| (name.clone(), value(it))).collect(),
        Document::Array(items) => items.iter().map(value).collect(),
        Document::String(text) => text.clone().into(),
        Document::Bool(it) => (*it).into(),
        Document::Number(number) => number.to_f64_lossy().into(),
        Document::Null => Value::Null,
    }
}
