//! One object, as the engine takes it.

use std::time::Duration;

use crate::api::{Column, ConditionType, Layer, Status, VectorStore};
use crate::clock::Clock;
use crate::layers::Hints;
use crate::stack::identity::Identity;
use crate::stack::model::blocked::Blocked;
use crate::stack::model::desired::{Blueprint, Desired};
use crate::stack::model::observed::Observation;
use crate::stack::model::plan;
use crate::stack::offer::Offer;

/// What is to be done for one object.
pub struct Stack<'a> {
    /// Whose stack, and what its parts are called.
    pub id: &'a Identity,
    /// Its column of the ownership table.
    pub column: Column,
    /// What it borrows.
    pub offer: Option<&'a Offer>,
    /// Its status as it stands: the knowledge base's id, and since when each layer has not been ready.
    pub status: &'a Status,
    /// Whether a customer key is among them: looking for one by its tags costs a call for each key of the account.
    pub creates_key: bool,
    /// The approval that somebody gave, if any.
    pub approved: Option<&'a str>,
    /// Why there is no room for its knowledge base, if there is none: it is not made, and the rest is.
    pub no_room: Option<&'a Blocked>,
    /// Which vector store it has or borrows, where nothing is wanted any more that would say it.
    pub store: Option<VectorStore>,
    /// What the owned layers should be.
    pub blueprint: Blueprint<'a>,
}

impl Stack<'_> {
    /// What the owned layers should be, given what the layers seen lend.
    pub fn desired(&self, observed: &Observation) -> Desired {
        self.blueprint.want(self.id, self.offer, &plan::handles(observed, self.offer))
    }

    /// Which kind of vector store it has or borrows: as its lender says, its spec, or else what it was built with.
    pub fn store_kind(&self) -> VectorStore {
        let lent = self.offer.map(|offer| offer.store.kind());
        let said = lent.or_else(|| self.blueprint.store_kind()).or(self.store);
        said.or(self.status.vector_store).unwrap_or_default()
    }

    /// Where to look first.
    pub(super) fn hints(&self, observed: &Observation) -> Hints {
        let seen = observed.knowledge_base.ours().map(|facts| facts.id.clone());
        Hints {
            store_kind: self.store_kind(),
            knowledge_base_id: self.status.knowledge_base_id.clone().or(seen),
            data_source_id: self.status.data_source_id.clone(),
            bucket: self.status.bucket.clone(),
            creates_key: self.creates_key,
            store_is_shut: self.store_is_shut(observed),
            ..Hints::default()
        }
    }

    /// Whether the vector store is its own, and nobody will get to its endpoint.
    fn store_is_shut(&self, observed: &Observation) -> bool {
        self.desired(observed).vector_store.is_some_and(|store| store.is_shut())
    }

    /// Whether a layer was as it should be when it was last looked at.
    pub(super) fn was_ready(&self, layer: Layer) -> bool {
        self.status.is_true(ConditionType::of(layer))
    }

    /// How long a layer has been waited for: as long as its condition says that it is not ready, but only while it was
    /// being waited for. Time in which a person had to act, or in which nothing was to be changed, is not AWS's.
    pub(super) fn unready_for(&self, clock: Clock, layer: Layer, waited: Duration) -> Option<Duration> {
        let unready = self.status.condition(ConditionType::of(layer)).filter(|c| c.status == "False")?;
        Some(clock.since_stamp(unready.last_transition_time.0).min(waited))
    }
}
