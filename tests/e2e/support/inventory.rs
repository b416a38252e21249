//! Everything in an AWS account, as the services themselves list it.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_opensearchserverless::error::SdkError;
use aws_sdk_opensearchserverless::types::{AccessPolicyType, SecurityPolicyType};
use tenantry::api::{Column, Layer, Ownership};
use tenantry::stack::identity::Identity;

use crate::support::aws::{Sdk, TESTS_GRANT};
use crate::support::double::{self, Call, Journal};

/// What is there, by kind and name (`bucket e2e-…`), each with its tags, or what its description says in their place.
pub type Inventory = BTreeMap<String, Tags>;
type Tags = BTreeMap<String, String>;

/// The names alone.
pub fn names(inventory: &Inventory) -> BTreeSet<String> {
    inventory.keys().cloned().collect()
}

/// The part of an inventory that is not objects in buckets.
pub fn resources(inventory: &Inventory) -> BTreeSet<String> {
    inventory.keys().filter(|name| !name.starts_with("object ")).cloned().collect()
}

/// What the owner of `id` should have in AWS, its column of the ownership table being `column`.
pub fn owned(id: &Identity, column: Column, creates_key: bool) -> BTreeSet<String> {
    let mut expected = BTreeSet::new();
    for layer in column.layers(Ownership::Owns) {
        let name = id.name(layer);
        let parts = match layer {
            Layer::Key if !creates_key => vec![],
            Layer::Key => vec![format!("alias {name}"), format!("key behind alias/{name}")],
            Layer::Bucket => vec![format!("bucket {name}")],
            Layer::VectorStore => ["collection", "encryption policy", "network policy"]
                .map(|what| format!("{what} {name}"))
                .into(),
            // The data access policy bears the name of its index and belongs to the role.
            Layer::Role => vec![format!("role {name}"), format!("data policy {}", id.name(Layer::Index))],
            Layer::Index => vec![format!("index {name}")],
            Layer::KnowledgeBase => vec![format!("knowledge base {name}"), format!("data source {name}")],
        };
        expected.extend(parts);
    }
    expected
}

/// The same of one whose vectors are in S3 Vectors.
pub fn owned_on_s3_vectors(id: &Identity, column: Column, creates_key: bool) -> BTreeSet<String> {
    let policies = ["encryption policy", "network policy", "data policy"];
    let of_collections = |name: &String| policies.iter().any(|kind| name.starts_with(kind));
    let all = owned(id, column, creates_key).into_iter().filter(|name| !of_collections(name));
    all.map(|name| match name.strip_prefix("collection ") {
        Some(name) => format!("vector bucket {name}"),
        None => name,
    })
    .collect()
}

/// Lists everything but the records of tenantIds, which outlive all. No service lists indexes: `journal` says which were made, and GetIndex which of them are there.
pub async fn take(sdk: &Sdk, journal: &Journal) -> Inventory {
    let mut found = Inventory::new();
    buckets(sdk, &mut found).await;
    roles(sdk, &mut found).await;
    keys(sdk, &mut found).await;
    collections(sdk, &mut found).await;
    policies(sdk, &mut found).await;
    vector_buckets(sdk, &mut found).await;
    indexes(sdk, journal, &mut found).await;
    knowledge_bases(sdk, &mut found).await;
    found
}

async fn buckets(sdk: &Sdk, found: &mut Inventory) {
    for bucket in sdk.s3.list_buckets().send().await.unwrap().buckets.unwrap_or_default() {
        let name = bucket.name.unwrap();
        if double::is_of_records(&name) {
            continue;
        }
        let tagging = sdk.s3.get_bucket_tagging().bucket(&name).send().await;
        let tags = tagging.map(|tagging| tagging.tag_set).unwrap_or_default();
        found.insert(format!("bucket {name}"), tags.into_iter().map(|tag| (tag.key, tag.value)).collect());
        objects(sdk, &name, found).await;
    }
}

/// Every version counts, and so does a delete marker: what is only hidden is not gone.
async fn objects(sdk: &Sdk, bucket: &str, found: &mut Inventory) {
    let mut marker = None;
    loop {
        let (key, version) = marker.unwrap_or_default();
        let request =
            sdk.s3.list_object_versions().bucket(bucket).set_key_marker(key).set_version_id_marker(version);
        let page = request.send().await.unwrap();
        let versions = page.versions.unwrap_or_default().into_iter().map(|version| version.key);
        let hidden = page.delete_markers.unwrap_or_default().into_iter().map(|marker| marker.key);
        for key in versions.chain(hidden).flatten() {
            found.insert(format!("object {bucket}/{}", without_part(&key)), Tags::new());
        }
        if page.is_truncated != Some(true) {
            return;
        }
        marker = Some((page.next_key_marker, page.next_version_id_marker));
    }
}

/// A ledger is one thing, however many parts it has and whichever number they have come to.
pub fn without_part(key: &str) -> &str {
    match key.strip_prefix("tenantry/ledger/").and_then(|rest| rest.split_once('/')) {
        Some((_, part)) => &key[..key.len() - part.len() - 1],
        None => key,
    }
}

/// All roles but those that operator and test run as.
async fn roles(sdk: &Sdk, found: &mut Inventory) {
    let mut pages = sdk.iam.list_roles().into_paginator().items().send();
    while let Some(role) = pages.try_next().await.unwrap() {
        if role.path == "/e2e/" {
            continue;
        }
        let tags = sdk.iam.list_role_tags().role_name(&role.role_name).send().await.unwrap().tags;
        let name = format!("role {}", role.role_name);
        found.insert(name, tags.into_iter().map(|tag| (tag.key, tag.value)).collect());
    }
}

/// Keys by their alias; one without an alias, or about to be deleted, by its id and state.
async fn keys(sdk: &Sdk, found: &mut Inventory) {
    let mut aliases = BTreeMap::new();
    let mut pages = sdk.kms.list_aliases().into_paginator().items().send();
    while let Some(alias) = pages.try_next().await.unwrap() {
        let name = alias.alias_name.unwrap();
        if let (false, Some(key)) = (name.starts_with("alias/aws/"), alias.target_key_id) {
            found.insert(name.replacen('/', " ", 1), Tags::new());
            aliases.insert(key, name);
        }
    }
    let mut pages = sdk.kms.list_keys().into_paginator().items().send();
    while let Some(key) = pages.try_next().await.unwrap() {
        let id = key.key_id.unwrap();
        let facts = sdk.kms.describe_key().key_id(&id).send().await.unwrap().key_metadata.unwrap();
        if facts.key_manager == Some("AWS".into()) {
            continue;
        }
        let tags = sdk.kms.list_resource_tags().key_id(&id).send().await.unwrap().tags.unwrap_or_default();
        let state = facts.key_state.unwrap();
        let name = match aliases.get(&id) {
            Some(alias) if state.as_str() == "Enabled" => format!("key behind {alias}"),
            _ => format!("key {id} {state}"),
        };
        found.insert(name, tags.into_iter().map(|tag| (tag.tag_key, tag.tag_value)).collect());
    }
}

async fn collections(sdk: &Sdk, found: &mut Inventory) {
    let mut pages = sdk.aoss.list_collections().into_paginator().send();
    while let Some(page) = pages.try_next().await.unwrap() {
        for collection in page.collection_summaries.unwrap_or_default() {
            let tags = sdk.aoss.list_tags_for_resource().resource_arn(collection.arn.unwrap()).send().await;
            let tags = match tags.map_err(SdkError::into_service_error) {
                // It has gone since it was listed.
                Err(error) if error.is_resource_not_found_exception() => continue,
                tags => tags.unwrap().tags.unwrap_or_default(),
            };
            let name = format!("collection {}", collection.name.unwrap());
            found.insert(name, tags.into_iter().map(|tag| (tag.key, tag.value)).collect());
        }
    }
}

async fn vector_buckets(sdk: &Sdk, found: &mut Inventory) {
    let s3vectors = &sdk.s3vectors;
    let tags = |arn: String| async move {
        s3vectors.list_tags_for_resource().resource_arn(arn).send().await.map(|it| it.tags)
    };
    let mut pages = s3vectors.list_vector_buckets().into_paginator().send();
    while let Some(page) = pages.try_next().await.unwrap() {
        for bucket in page.vector_buckets {
            // It may have gone since it was listed.
            let Ok(tagged) = tags(bucket.vector_bucket_arn.clone()).await else { continue };
            found
                .insert(format!("vector bucket {}", bucket.vector_bucket_name), tagged.into_iter().collect());
            let mut indexes =
                s3vectors.list_indexes().vector_bucket_arn(bucket.vector_bucket_arn).into_paginator().send();
            while let Some(Ok(page)) = indexes.next().await {
                for index in page.indexes {
                    let Ok(tagged) = tags(index.index_arn).await else { continue };
                    found.insert(format!("index {}", index.index_name), tagged.into_iter().collect());
                }
            }
        }
    }
}

async fn policies(sdk: &Sdk, found: &mut Inventory) {
    let said = |description: Option<String>| Identity::parse_description(&description.unwrap_or_default());
    for kind in [SecurityPolicyType::Encryption, SecurityPolicyType::Network] {
        let mut pages = sdk.aoss.list_security_policies().r#type(kind.clone()).into_paginator().send();
        while let Some(page) = pages.try_next().await.unwrap() {
            for policy in page.security_policy_summaries.unwrap_or_default() {
                found.insert(format!("{kind} policy {}", policy.name.unwrap()), said(policy.description));
            }
        }
    }
    let mut pages = sdk.aoss.list_access_policies().r#type(AccessPolicyType::Data).into_paginator().send();
    while let Some(page) = pages.try_next().await.unwrap() {
        for policy in page.access_policy_summaries.unwrap_or_default() {
            if policy.name.as_deref() == Some(TESTS_GRANT) {
                continue;
            }
            found.insert(format!("data policy {}", policy.name.unwrap()), said(policy.description));
        }
    }
}

async fn indexes(sdk: &Sdk, journal: &Journal, found: &mut Inventory) {
    for call in journal.of("CreateIndex").only(Call::took_effect).iter() {
        let text = |name: &str| call.params[name].as_str().unwrap_or_default().to_owned();
        let (id, index) = (text("id"), text("indexName"));
        if call.service != "aoss" {
            continue;
        }
        if sdk.aoss.get_index().id(&id).index_name(&index).send().await.is_ok() {
            found.insert(format!("index {index}"), Tags::new());
        }
    }
}

async fn knowledge_bases(sdk: &Sdk, found: &mut Inventory) {
    let mut pages = sdk.bedrock.list_knowledge_bases().into_paginator().items().send();
    while let Some(summary) = pages.try_next().await.unwrap() {
        let id = summary.knowledge_base_id;
        let facts = sdk.bedrock.get_knowledge_base().knowledge_base_id(&id).send().await.unwrap();
        let arn = facts.knowledge_base.unwrap().knowledge_base_arn;
        let tags = sdk.bedrock.list_tags_for_resource().resource_arn(arn).send().await.unwrap().tags;
        found.insert(
            format!("knowledge base {}", summary.name),
            tags.unwrap_or_default().into_iter().collect(),
        );
        let mut sources =
            sdk.bedrock.list_data_sources().knowledge_base_id(&id).into_paginator().items().send();
        while let Some(source) = sources.try_next().await.unwrap() {
            found.insert(format!("data source {}", source.name), Tags::new());
        }
    }
}
