//! A stack that is as wanted, and each way in which it can stop being so: one row for each field of what AWS answers and of
//! what is wanted, with exactly the differences that follow, in all layers.

mod facts;
mod s3_vectors;
mod special;
mod wants;

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::{Arc, LazyLock};

use serde_json::json;

use super::*;
use crate::api::ChunkingSettings;
use crate::stack::identity::OwnershipClaim;
use crate::stack::model::ideal::{self, found_collection, ours, wanted_collection};
use crate::stack::model::immutable::immutable;
use crate::stack::model::observed::Foreign;
use crate::stack::store::opensearch::collection::{CollectionDetail, CollectionFacts, DesiredCollection};
use crate::stack::store::{DesiredStore, StoreFacts, opensearch};

const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/another";
const ELSEWHERE: &str = "arn:aws:aoss:eu-central-1:123456789012:collection/elsewhere";
/// A tag of ours, and so a part of descriptions.
const OURS: &str = "tenantry.dev/owner-uid";
/// A tag of the user's.
const USERS: &str = "costCenter";

/// What was seen of a stack that owns every layer, beside what is wanted.
#[derive(Clone, Debug)]
struct Stack {
    scope: Scope,
    want: Desired,
    observed: Observation,
}

/// Everything is built and as wanted.
fn whole() -> Stack {
    static WHOLE: LazyLock<Stack> = LazyLock::new(|| {
        build(json!({
            "encryption": {"key": "Create"},
            "tags": {USERS: "42"},
            "documents": {"expirationDays": 400},
            "collection": {"network": {"access": "Private", "vpcEndpointIds": ["vpce-1", "vpce-2"]}},
            "pool": {"index": {"attributes": [{"name": "year", "type": "Number"}]}},
        }))
    });
    WHOLE.clone()
}

fn build(spec: Value) -> Stack {
    let mut sample = ideal::stack("everything", spec);
    let scope = Scope {
        permissions_boundary: Some("arn:aws:iam::123456789012:policy/boundary".into()),
        ..Scope::clone(&sample.id.scope)
    };
    sample.id.scope = Arc::new(scope.clone());
    let mut observed = sample.built();
    let want = sample.want(&observed);
    // What `built` makes first does not know its collection yet.
    observed.knowledge_base =
        Observed::Ours(ideal::knowledge_base(&scope, want.knowledge_base.as_ref().unwrap()));
    Stack { scope, want, observed }
}

impl Stack {
    /// What differs in all layers, and what of that nobody can change.
    fn differences(&self) -> Vec<String> {
        let Self { scope, want, observed } = self;
        let mut all = Vec::new();
        for layer in Layer::ALL {
            let found = self.of(layer);
            assert_eq!(is_whole(scope, want, observed, layer), found.is_empty(), "{layer:?}: {found:?}");
            all.extend(found.into_iter().map(|difference| format!("{layer:?}: {difference}")));
        }
        all.extend(immutable(scope, want, observed));
        all
    }

    fn of(&self, layer: Layer) -> Vec<String> {
        fn said<C: std::fmt::Debug>(changes: Vec<C>) -> Vec<String> {
            changes.iter().map(|change| format!("{change:?}")).collect()
        }
        fn of<W, T>(
            want: &Option<W>,
            seen: &Observed<T>,
            diff: impl Fn(&W, &T) -> Vec<String>,
        ) -> Vec<String> {
            match (want, seen) {
                (None, _) => Vec::new(),
                (Some(want), Observed::Ours(facts)) => diff(want, facts),
                (Some(_), Observed::Absent | Observed::Foreign(_)) => vec!["not there".into()],
            }
        }
        let Self { scope, want, observed } = self;
        match layer {
            Layer::Key => of(&want.key, &observed.key, |want, facts| said(key(want, facts))),
            Layer::Bucket => {
                of(&want.bucket, &observed.bucket, |want, facts| said(bucket(scope, want, facts)))
            }
            Layer::VectorStore => {
                of(&want.vector_store, &observed.vector_store, |want, facts| match (want, facts) {
                    (DesiredStore::OpenSearchServerless(want), StoreFacts::OpenSearchServerless(facts)) => {
                        said(want.changes(facts))
                    }
                    (DesiredStore::S3Vectors(want), StoreFacts::S3Vectors(facts)) => {
                        said(want.changes(facts))
                    }
                    _ => vec!["another store".into()],
                })
            }
            Layer::Index => of(&want.index, &observed.index, |want, facts| {
                let missing = missing_mappings(want, facts);
                let missing = missing.keys().map(|field| format!("lacks {field}"));
                let mut changes = index(want, facts, &BTreeSet::new());
                changes.retain(|change| *change != IndexChange::Fields);
                missing.chain(said(changes)).chain(want.rebuild.then(|| "must go first".into())).collect()
            }),
            Layer::Role => of(&want.role, &observed.role, |want, facts| said(role(scope, want, facts))),
            Layer::KnowledgeBase => of(&want.knowledge_base, &observed.knowledge_base, |want, facts| {
                said(knowledge_base(scope, want, facts))
            }),
        }
    }
}

/// The field, what somebody did to it, how, and what then differs.
type Row<T> = (&'static str, &'static str, fn(&mut T), &'static [&'static str]);

/// The names of a struct's fields.
struct Fields<T>(&'static [&'static str], PhantomData<T>);

/// All of them. A new one does not compile before somebody has added it here, and then it needs a
/// row.
macro_rules! fields {
    ($type:ident { $($field:ident),+ $(,)? }) => {{
        let _ = |it: &$type| {
            let $type { $($field: _),+ } = it;
        };
        Fields::<$type>(&[$(stringify!($field)),+], PhantomData)
    }};
}
use fields;

/// Holds a part of a stack to its table, in which every field has a row.
fn check<T>(fields: Fields<T>, part: fn(&mut Stack) -> &mut T, rows: &[Row<T>]) {
    check_from(whole, fields, part, rows);
}

/// The same of another stack that is as wanted.
fn check_from<T>(
    right: fn() -> Stack,
    Fields(fields, _): Fields<T>,
    part: fn(&mut Stack) -> &mut T,
    rows: &[Row<T>],
) {
    for field in fields {
        assert!(rows.iter().any(|(of, ..)| of == field), "{field} has no row");
    }
    let right = right();
    for (field, what, mutate, differences) in rows {
        assert!(fields.contains(field), "{field} is no field");
        let mut it = right.clone();
        mutate(part(&mut it));
        assert_ne!(format!("{it:?}"), format!("{right:?}"), "{field}, {what}: nothing was done");
        assert_eq!(it.differences(), *differences, "{field}: {what}");
    }
}

fn list<'a>(document: &'a mut Value, pointer: &str) -> &'a mut Vec<Value> {
    document.pointer_mut(pointer).unwrap().as_array_mut().unwrap()
}

/// Gives a tag a value that nobody wants.
fn tag(tags: &mut BTreeMap<String, String>, key: &str) {
    tags.insert(key.into(), "other".into());
}

fn somebody() -> Foreign {
    Foreign { resource: "somebody else's".into(), claim: OwnershipClaim::Foreign }
}

#[test]
fn what_is_as_wanted_differs_in_nothing() {
    for sample in ideal::samples().into_iter().chain(ideal::on_s3_vectors()) {
        let name = sample.name;
        let observed = sample.built();
        let want = sample.want(&observed);
        let scope = &sample.id.scope;
        let Desired { key, bucket, vector_store, role, index, knowledge_base } = &want;
        let mut owned = 0;
        if let Some(want) = key {
            owned += 1;
            assert_eq!(super::key(want, &ideal::key(&sample.id, want)), [], "{name}");
        }
        if let Some(want) = bucket {
            owned += 1;
            assert_eq!(super::bucket(scope, want, &ideal::bucket(scope, want)), [], "{name}");
        }
        if let Some(want) = vector_store {
            owned += 1;
            assert_eq!(want.changes(&ideal::store_facts(scope, want)), [], "{name}");
        }
        if let Some(want) = role {
            owned += 1;
            assert_eq!(super::role(scope, want, &ideal::role(scope, want)), [], "{name}");
        }
        if let Some(want) = index {
            owned += 1;
            assert_eq!(missing_mappings(want, &ideal::index(want)), Map::new(), "{name}");
        }
        if let Some(want) = knowledge_base {
            owned += 1;
            let facts = ideal::knowledge_base(scope, want);
            assert_eq!(super::knowledge_base(scope, want, &facts), [], "{name}");
        }
        assert!(owned >= 3, "{name} owns only {owned} layers");
        let stack = Stack { scope: Scope::clone(scope), want, observed };
        assert_eq!(stack.differences(), Vec::<String>::new(), "{name}");
    }
    assert_eq!(whole().differences(), Vec::<String>::new());
}
