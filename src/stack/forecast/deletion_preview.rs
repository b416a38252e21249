//! What a deletion would do, told before it is done: one line for each thing in AWS.

use serde::Serialize;

use crate::api::{Column, Layer, Ownership, ownership};
use crate::stack::identity::Identity;
use crate::stack::model::observed::{Seen, Sight};
use crate::stack::model::teardown_order::{Fate, ORDER};

/// What becomes of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It is deleted.
    Goes,
    /// It stays, tagged as retained, and goes on costing money.
    Stays,
    /// It is not touched.
    LeftAlone,
}

/// One thing, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What becomes of it.
    pub outcome: Outcome,
    /// What it is, such as `knowledge base`.
    pub what: &'static str,
    /// Its name, id or ARN.
    pub name: String,
    /// Why.
    pub why: &'static str,
}

const OWNED: &str = "it is this object's own";
const RETAINED: &str = "deletionPolicy keeps it: tagged as retained, and goes on costing money";
const FOREIGN: &str = "it has our name and is not provably this object's";
const ENCRYPTS: &str = "it may have encrypted what is left alone";
const BORROWED: &str = "it is the SharedStack's";

/// Everything that was seen of one owner, in the order of the way back, and what it borrows of `lender`.
pub fn lines(
    id: &Identity,
    lender: Option<&Identity>,
    column: Column,
    fate: Fate,
    sight: &Sight,
) -> Vec<Line> {
    let outcome = |layer| match fate.keeps(layer) {
        true => (Outcome::Stays, RETAINED),
        false => (Outcome::Goes, OWNED),
    };
    let owned = ORDER.into_iter().filter(|layer| ownership(column, *layer) == Ownership::Owns);
    let owned = owned.flat_map(|layer| {
        let (outcome, why) = outcome(layer);
        let ours = things(id, sight, layer).into_iter();
        let foreign = sight.foreign_of(layer).map(|foreign| Line {
            outcome: Outcome::LeftAlone,
            what: layer.words(),
            name: foreign.resource.clone(),
            why: FOREIGN,
        });
        let (outcome, why) = if sight.stays(layer) { (Outcome::LeftAlone, ENCRYPTS) } else { (outcome, why) };
        ours.map(|(what, name)| Line { outcome, what, name, why }).chain(foreign).collect::<Vec<_>>()
    });
    let borrowed = column.layers(Ownership::Borrows).map(|layer| Line {
        outcome: Outcome::LeftAlone,
        what: layer.words(),
        name: lender.map(|lender| lender.name(layer)).unwrap_or_default(),
        why: BORROWED,
    });
    owned.chain(borrowed).collect()
}

/// What there is of a layer that is ours: what it is, and its name.
fn things(id: &Identity, sight: &Sight, layer: Layer) -> Vec<(&'static str, String)> {
    fn of<T>(
        seen: &Seen<T>,
        things: impl FnOnce(&T) -> Vec<Option<(&'static str, String)>>,
    ) -> Vec<(&'static str, String)> {
        seen.ours().map(things).unwrap_or_default().into_iter().flatten().collect()
    }
    match layer {
        Layer::Key => of(&sight.key, |key| vec![Some(("key, in 30 days", key.arn.clone()))]),
        Layer::Bucket => of(&sight.bucket, |_| vec![Some(("bucket with all versions", id.name(layer)))]),
        Layer::Collection => of(&sight.collection, |facts| {
            vec![
                facts.collection.as_ref().map(|it| ("collection", it.arn.clone())),
                facts.network.as_ref().map(|_| ("network policy", id.name(layer))),
                facts.encryption.as_ref().map(|_| ("encryption policy", id.name(layer))),
            ]
        }),
        Layer::Index => of(&sight.index, |_| vec![Some(("index", id.name(layer)))]),
        Layer::Role => of(&sight.role, |facts| {
            vec![
                facts.data_access.as_ref().map(|_| ("data access policy", id.name(Layer::Index))),
                facts.role.as_ref().map(|role| ("role", role.arn.clone())),
            ]
        }),
        Layer::KnowledgeBase => of(&sight.knowledge_base, |facts| {
            vec![
                facts.data_source.as_ref().map(|source| ("data source", source.id.clone())),
                Some(("knowledge base", facts.arn.clone())),
            ]
        }),
    }
}
