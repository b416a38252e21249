//! Whatever somebody else may change of a stack, and what is said of it.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::stack::model::ideal::{self, Sample, found_collection, ours};
use crate::stack::model::observed::{DataSourceFacts, RoleDetail};
use crate::stack::store::opensearch::collection::CollectionChange;

/// The layer, what somebody did, and what is said of it once it is put right.
type Row = (Layer, fn(&mut Observation), &'static str);

const ROWS: &[Row] = &[
    (Layer::Key, |it| ours(&mut it.key).tags.clear(), "its tags"),
    (Layer::Key, |it| ours(&mut it.key).has_alias = false, "its alias"),
    // Only a person switches a key on again; its layer says so.
    (Layer::Key, |it| ours(&mut it.key).state = "Disabled".into(), ""),
    (Layer::Bucket, |it| ours(&mut it.bucket).tags.clear(), "its tags"),
    (Layer::Bucket, |it| ours(&mut it.bucket).blocks_public_access = false, "its public access block"),
    (Layer::Bucket, |it| ours(&mut it.bucket).object_ownership = None, "its object ownership"),
    (Layer::Bucket, |it| ours(&mut it.bucket).policy = None, "its policy"),
    (Layer::Bucket, |it| ours(&mut it.bucket).key_arn = None, "its default encryption"),
    (Layer::Bucket, |it| ours(&mut it.bucket).versioned = false, "its versioning"),
    (Layer::Bucket, |it| ours(&mut it.bucket).lifecycle.clear(), "its lifecycle rules"),
    (Layer::VectorStore, |it| found_collection(it).encryption = None, "its encryption policy"),
    (Layer::VectorStore, |it| found_collection(it).network = None, "its network policy"),
    (Layer::VectorStore, |it| found_collection(it).collection.as_mut().unwrap().tags.clear(), "its tags"),
    (Layer::VectorStore, |it| it.vector_store = Observed::Absent, "it was gone"),
    // AWS's own doing.
    (Layer::VectorStore, |it| found_collection(it).collection.as_mut().unwrap().status = "FAILED".into(), ""),
    (Layer::Index, |it| it.index = Observed::Absent, "it was gone"),
    (Layer::Index, forget_a_field, "field AMAZON_BEDROCK_METADATA"),
    (Layer::Role, |it| it.role = Observed::Absent, "it was gone"),
    (Layer::Role, |it| role(it).trust = json!({}), "its trust policy"),
    (Layer::Role, |it| role(it).boundary = None, "its permissions boundary"),
    (Layer::Role, |it| role(it).policies.clear(), "its permissions"),
    (Layer::Role, |it| ours(&mut it.role).data_access = None, "the data access policy of its index"),
    (Layer::Role, |it| role(it).tags.clear(), "its tags"),
    (Layer::KnowledgeBase, |it| it.knowledge_base = Observed::Absent, "it was gone"),
    (Layer::KnowledgeBase, |it| ours(&mut it.knowledge_base).tags.clear(), "its tags"),
    (
        Layer::KnowledgeBase,
        |it| ours(&mut it.knowledge_base).store = Some(ideal::store("another", None)),
        "its collection",
    ),
    (Layer::KnowledgeBase, |it| ours(&mut it.knowledge_base).data_source = None, "its data source was gone"),
    (
        Layer::KnowledgeBase,
        |it| source(it).data_deletion_policy = "NEVER".into(),
        "the settings of its data source",
    ),
    (Layer::KnowledgeBase, |it| ours(&mut it.knowledge_base).status = "FAILED".into(), ""),
    (Layer::KnowledgeBase, |it| source(it).status = "DELETE_UNSUCCESSFUL".into(), ""),
];

fn role(observed: &mut Observation) -> &mut RoleDetail {
    ours(&mut observed.role).role.as_mut().unwrap()
}

fn source(observed: &mut Observation) -> &mut DataSourceFacts {
    ours(&mut observed.knowledge_base).data_source.as_mut().unwrap()
}

fn forget_a_field(observed: &mut Observation) {
    let schema = &mut ours(&mut observed.index).schema;
    schema["mappings"]["properties"].as_object_mut().unwrap().remove("AMAZON_BEDROCK_METADATA");
}

/// A stack that owns every layer, and a boundary around its role.
fn everything() -> Sample {
    let spec = json!({
        "encryption": {"key": "Create"}, "tags": {"costCenter": "42"}, "documents": {"expirationDays": 400}, "pool": {},
    });
    let mut sample = ideal::stack("everything", spec);
    let boundary = Some("arn:aws:iam::123456789012:policy/boundary".into());
    sample.id.scope = Arc::new(Scope { permissions_boundary: boundary, ..Scope::clone(&sample.id.scope) });
    sample
}

#[test]
fn nothing_that_somebody_may_change_is_put_right_without_a_word() {
    let sample = everything();
    let observed = sample.built();
    let want = sample.want(&observed);
    for layer in Layer::ALL {
        assert_eq!(of(&sample.id, &want, &want, &observed, layer), None, "nobody has changed the {layer}");
        assert!(ROWS.iter().any(|(of, ..)| *of == layer), "the {layer} has no row");
    }
    for (layer, change, words) in ROWS {
        let mut found = observed.clone();
        change(&mut found);
        let said = of(&sample.id, &want, &want, &found, *layer);
        let name = sample.id.name(*layer);
        let wanted = (!words.is_empty()).then(|| format!("{} {name}: {words}", layer.words()));
        match (&said, &wanted) {
            // What is gone lacks more.
            (Some(said), Some(wanted)) => assert!(said.starts_with(wanted.as_str()), "{said}"),
            _ => assert_eq!(said, wanted, "{layer}: {words}"),
        }
        let whole = diff::is_whole(&sample.id.scope, &want, &found, *layer);
        assert!(!whole, "nothing differs: {layer}, {words}");
    }
}

/// Each has words of its own, and a row.
#[test]
fn no_difference_is_without_its_row() {
    let told: Vec<_> = ROWS.iter().map(|(_, _, words)| *words).collect();
    let key = [KeyChange::Tags, KeyChange::Alias, KeyChange::NotEnabled, KeyChange::ShutsStoreOut];
    let bucket = [
        BucketChange::PublicAccess,
        BucketChange::Ownership,
        BucketChange::Policy,
        BucketChange::Encryption,
        BucketChange::Versioning,
        BucketChange::Lifecycle,
        BucketChange::Tags,
    ];
    let collection = [
        CollectionChange::Encryption,
        CollectionChange::Network,
        CollectionChange::Create,
        CollectionChange::Tags,
        CollectionChange::NotActive,
    ];
    let role = [
        RoleChange::Create,
        RoleChange::Trust,
        RoleChange::Boundary,
        RoleChange::Permissions,
        RoleChange::DataAccess,
        RoleChange::Tags,
    ];
    let knowledge_base = [
        KnowledgeBaseChange::Tags,
        KnowledgeBaseChange::Replace,
        KnowledgeBaseChange::NotActive,
        KnowledgeBaseChange::CreateDataSource,
        KnowledgeBaseChange::DataSourceNotAvailable,
        KnowledgeBaseChange::UpdateDataSource,
    ];
    let words = bucket.map(|it| Some(it.words())).into_iter();
    let words = words.chain(key.map(KeyChange::words));
    let words = words.chain(collection.map(CollectionChange::words));
    let words = words.chain(role.map(|it| Some(it.words())));
    let words = words.flatten().map(str::to_owned);
    let knowledge_base = knowledge_base.map(|it| it.words(VectorStore::default())).into_iter().flatten();
    for words in words.chain(knowledge_base) {
        assert!(told.contains(&words.as_str()), "{words} has no row");
    }
}
