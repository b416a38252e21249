//! What one owner left behind: what is there, what it costs, and the manifest that takes it over.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::leavers::Leaver;
use super::unseen::{Unseen, said};
use crate::api::{Column, GROUP, Layer, Pattern, VERSION, VectorStore};
use crate::aws::Aws;
use crate::cli::inspect;
use crate::documents::marker::{Left, Marker};
use crate::layers::{Hints, store};
use crate::stack::fault::Class;
use crate::stack::forecast::deletion_preview::{self, Outcome};
use crate::stack::forecast::price::Prices;
use crate::stack::identity::{Identity, Owner, Scope};
use crate::stack::layout::retained_prefix;
use crate::stack::model::observed::Observation;
use crate::stack::model::teardown_order::OnDelete;
use crate::stack::model::written::{self, Written};
use crate::stack::store::features;

/// All that one owner left behind.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Estate {
    /// `Tenant/<namespace>/<name>` or `SharedStack/<name>`.
    pub(super) owner: String,
    /// The uid that it had.
    pub(super) owner_uid: String,
    pub(super) tenant_id: Option<String>,
    pub(super) pattern: Option<Pattern>,
    pub(super) stack: Option<String>,
    pub(super) left: Left,
    pub(super) since: Option<Timestamp>,
    pub(super) things: Vec<Thing>,
    #[serde(rename = "monthlyUSD")]
    pub(super) monthly_usd: f64,
    /// What is gone, what could not be looked at, and what the manifest could not be told.
    pub(super) notes: Vec<String>,
    /// What takes it over, applied as it is, and lets it be purged.
    pub(super) manifest: String,
}

/// Where it is looked for.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) aws: &'a Aws,
    pub(super) scope: &'a Arc<Scope>,
    /// The vector stores that are looked at.
    pub(super) stores: &'a [VectorStore],
}

impl Place<'_> {
    /// Which vector store an owner has. One that is gone is as good as any.
    async fn store_kind(self, owner: &Identity, unseen: &mut Unseen) -> VectorStore {
        let name = owner.name(Layer::VectorStore);
        for kind in self.stores.iter().copied() {
            let found = store::find(self.aws, &name, kind).await;
            let what = format!("{} {name}", features(kind).words);
            if unseen.or_note(what, found).is_some() {
                return kind;
            }
        }
        self.stores.first().copied().unwrap_or_default()
    }
}

/// One thing that is left.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Thing {
    pub(super) what: &'static str,
    pub(super) name: String,
    #[serde(rename = "monthlyUSD")]
    pub(super) monthly_usd: f64,
}

/// What is there of an owner; `None` for tags that nobody here wrote.
pub(super) async fn estate(
    place: Place<'_>,
    prices: &Prices,
    leaver: Leaver,
    unseen: &mut Unseen,
) -> Option<Estate> {
    let Place { aws, scope, .. } = place;
    let Leaver { tags, marker } = leaver;
    let owner = Owner::of_tags(&tags)?;
    let uid = tags.get(&format!("{GROUP}/owner-uid")).cloned().unwrap_or_default();
    let id = Identity::new(scope.clone(), owner, &uid);
    let (pattern, stack) = match &id.owner {
        Owner::Tenant { pattern, stack, .. } => (Some(*pattern), stack.as_deref()),
        Owner::Stack { .. } => (None, None),
    };
    let column = pattern.map_or(Column::SharedStackWithPool, Column::from);
    let lender = stack.map(|stack| Identity::of_stack(scope.clone(), stack, ""));
    let store_kind = place.store_kind(lender.as_ref().unwrap_or(&id), unseen).await;
    let hints = Hints { creates_key: true, store_kind, ..Hints::default() };
    let (observed, faults) = inspect::look_as_far_as_possible(aws, &id, lender.as_ref(), column, hints).await;
    let mut notes = Vec::new();
    for (layer, fault) in &faults {
        let what = format!("{} of {}", layer.words(), id.owner_tag());
        unseen.note(&what, fault);
        notes.push(said(layer.words(), fault));
    }
    let lines = deletion_preview::lines(&id, None, column, OnDelete::Keep, &observed);
    let mut things: Vec<Thing> = lines
        .into_iter()
        .filter(|line| line.outcome == Outcome::Stays)
        .map(|line| Thing {
            what: line.what,
            name: line.name,
            monthly_usd: cost(prices, &observed, line.what),
        })
        .collect();
    let lent = lender.as_ref().map(|lender| lender.name(Layer::Bucket));
    let own = observed.bucket.ours().map(|_| id.name(Layer::Bucket));
    if let Some(bucket) = lent.or(own) {
        match documents(aws, prices, &bucket, &prefix(&id, marker.as_ref()), unseen).await {
            Ok(documents) => things.push(documents),
            Err(note) => notes.push(note),
        }
    }
    let Written { spec, unsure } = written::spec(&id, &observed);
    notes.extend(unsure.into_iter().map(|what| format!("not known, and not in the manifest: {what}")));
    Some(Estate {
        owner: id.owner_tag(),
        owner_uid: id.uid.clone(),
        tenant_id: id.tenant_id().map(Into::into),
        pattern,
        stack: tags.get(&format!("{GROUP}/stack")).cloned(),
        left: marker.as_ref().map(|marker| marker.left).unwrap_or_default(),
        since: marker.and_then(|marker| marker.since),
        monthly_usd: things.iter().map(|thing| thing.monthly_usd).sum(),
        things,
        notes,
        manifest: manifest(&id, spec),
    })
}

/// Where the documents of an owner are: one of two places, whatever a marker says.
fn prefix(id: &Identity, marker: Option<&Marker>) -> String {
    let aside = id.tenant_id().map(retained_prefix);
    let is_aside = marker.is_some_and(|marker| Some(&marker.prefix) == aside.as_ref());
    aside.filter(|_| is_aside).unwrap_or_else(|| id.prefix())
}

/// The documents that are there, or a note that says why they are not told.
async fn documents(
    aws: &Aws,
    prices: &Prices,
    bucket: &str,
    prefix: &str,
    unseen: &mut Unseen,
) -> Result<Thing, String> {
    match inspect::count(aws, bucket, prefix).await {
        Ok(counted) => {
            let name = format!("{counted} under s3://{bucket}/{prefix}");
            Ok(Thing { what: "documents", name, monthly_usd: prices.bytes(counted.bytes) })
        }
        Err(fault) if fault.class == Class::NotFound => {
            Err(format!("bucket {bucket} is gone, and the documents with it"))
        }
        Err(fault) => {
            let what = format!("documents under s3://{bucket}/{prefix}");
            unseen.note(&what, &fault);
            Err(said(&what, &fault))
        }
    }
}

/// What a thing costs a month while nobody uses it. All that is not here costs nothing by itself.
fn cost(prices: &Prices, observed: &Observation, what: &str) -> f64 {
    match what {
        what if what == Layer::VectorStore.words() => prices.store_of(observed),
        what if what.starts_with("key") => prices.key_of(observed),
        _ => 0.0,
    }
}

/// The manifest of that spec under the owner's name.
fn manifest(id: &Identity, spec: serde_json::Value) -> String {
    let (kind, metadata) = match &id.owner {
        Owner::Tenant { namespace, name, .. } => ("Tenant", json!({"name": name, "namespace": namespace})),
        Owner::Stack { name } => ("SharedStack", json!({"name": name})),
    };
    let version = format!("{GROUP}/{VERSION}");
    let manifest = json!({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec});
    serde_saphyr::to_string(&manifest).unwrap_or_default().trim_end().to_owned()
}
