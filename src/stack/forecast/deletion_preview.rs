//! What a deletion would do, told before it is done: one line for each thing in AWS.

use serde::Serialize;

use crate::api::{Column, Layer, Ownership, ownership};
use crate::stack::identity::Identity;
use crate::stack::model::observed::{Observation, Observed};
use crate::stack::model::teardown_order::{ORDER, OnDelete};

/// What becomes of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It is deleted.
    Goes,
    /// It stays, tagged as retained, and continues to cost money.
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
const RETAINED: &str = "deletionPolicy keeps it: tagged as retained, and continues to cost money";
const FOREIGN: &str = "it has our name and is not provably this object's";
const ENCRYPTS: &str = "it may have encrypted what is left alone";
const BORROWED: &str = "it is the SharedStack's";

/// Whom an owner borrows from.
#[derive(Clone, Copy, Debug)]
pub struct Lender<'a> {
    /// The SharedStack's names.
    pub id: &'a Identity,
    /// The key that was created for it, by ARN. Most have none.
    pub key_arn: Option<&'a str>,
}

/// Everything that was seen of one owner, in the order of the way back, and what it borrows of `lender`.
pub fn lines(
    id: &Identity,
    lender: Option<Lender<'_>>,
    column: Column,
    on_delete: OnDelete,
    observed: &Observation,
) -> Vec<Line> {
    let outcome =
        |layer| if on_delete.keeps(layer) { (Outcome::Stays, RETAINED) } else { (Outcome::Goes, OWNED) };
    let owned = ORDER.into_iter().filter(|layer| ownership(column, *layer) == Ownership::Owns);
    let owned = owned.flat_map(|layer| {
        let (outcome, why) = outcome(layer);
        let ours = things(id, observed, layer).into_iter();
        let foreign = observed.foreign_of(layer).map(|foreign| Line {
            outcome: Outcome::LeftAlone,
            what: layer.words(),
            name: foreign.resource.clone(),
            why: FOREIGN,
        });
        let (outcome, why) =
            if observed.stays(layer) { (Outcome::LeftAlone, ENCRYPTS) } else { (outcome, why) };
        ours.map(|(what, name)| Line { outcome, what, name, why }).chain(foreign).collect::<Vec<_>>()
    });
    let borrowed = column.layers(Ownership::Borrows).filter_map(|layer| {
        let lender = lender?;
        let name = match layer {
            Layer::Key => lender.key_arn?.to_owned(),
            _ => lender.id.name(layer),
        };
        Some(Line { outcome: Outcome::LeftAlone, what: layer.words(), name, why: BORROWED })
    });
    owned.chain(borrowed).collect()
}

/// What there is of a layer that is ours: what it is, and its name.
fn things(id: &Identity, observed: &Observation, layer: Layer) -> Vec<(&'static str, String)> {
    fn of<T>(
        seen: &Observed<T>,
        things: impl FnOnce(&T) -> Vec<Option<(&'static str, String)>>,
    ) -> Vec<(&'static str, String)> {
        seen.ours().map(things).unwrap_or_default().into_iter().flatten().collect()
    }
    match layer {
        Layer::Key => of(&observed.key, |key| vec![Some(("key, in 30 days", key.arn.clone()))]),
        Layer::Bucket => of(&observed.bucket, |_| vec![Some(("bucket with all versions", id.name(layer)))]),
        Layer::VectorStore => {
            of(&observed.vector_store, |facts| facts.things(&id.name(layer)).into_iter().map(Some).collect())
        }
        Layer::Index => of(&observed.index, |_| vec![Some(("index", id.name(layer)))]),
        Layer::Role => of(&observed.role, |facts| {
            vec![
                facts.data_access.as_ref().map(|_| ("data access policy", id.name(Layer::Index))),
                facts.role.as_ref().map(|role| ("role", role.arn.clone())),
            ]
        }),
        Layer::KnowledgeBase => of(&observed.knowledge_base, |facts| {
            vec![
                facts.data_source.as_ref().map(|source| ("data source", source.id.clone())),
                Some(("knowledge base", facts.arn.clone())),
            ]
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Pattern;
    use crate::stack::model::ideal;

    #[test]
    fn a_borrowed_key_is_told_only_where_there_is_one() {
        let scope = ideal::scope();
        let stack = Identity::of_stack(scope.clone(), "standard", "");
        let bridge = ideal::samples().into_iter().find(|sample| sample.name == "bridge").unwrap();
        let alone = |key_arn| {
            let lender = Some(Lender { id: &stack, key_arn });
            let all = lines(&bridge.id, lender, Pattern::Bridge.into(), OnDelete::Delete, &bridge.built());
            let alone = all.into_iter().filter(|line| line.outcome == Outcome::LeftAlone);
            alone.map(|line| (line.what, line.name)).collect::<Vec<_>>()
        };
        let (bucket, store) = (stack.name(Layer::Bucket), stack.name(Layer::VectorStore));
        let expected = [("bucket", bucket), ("vector store", store)];
        assert_eq!(alone(None), expected);
        assert_eq!(alone(Some("arn:k")), [&[("key", "arn:k".to_owned())], &expected[..]].concat());
    }
}
