//! The teardown of a stack: what stays is marked, what goes is taken apart, a step at a time.

use std::time::Instant;

use futures::future::{BoxFuture, join_all};

use super::observe::observe;
use super::stack::Stack;
use super::world::World;
use crate::api::{Column, Layer, Ownership, PerLayer, Reason, Status, VectorStore, ownership};
use crate::layers::Hints;
use crate::reconcile::attention::Look;
use crate::reconcile::memory::Memory;
use crate::stack::fault::Fault;
use crate::stack::identity::Identity;
use crate::stack::model::desired::Blueprint;
use crate::stack::model::plan;
use crate::stack::model::progress::{Cadence, Progress, STALLED};
use crate::stack::model::teardown_order::{ORDER, OnDelete, is_built_on};
use crate::stack::offer::Offer;
use crate::stack::store::features;

/// A stack of which nothing is wanted any more; `store` is which vector store it has, where that is known.
pub fn nothing_wanted<'a>(
    id: &'a Identity,
    column: Column,
    offer: Option<&'a Offer>,
    status: &'a Status,
    creates_key: bool,
    store: Option<VectorStore>,
) -> Stack<'a> {
    let blueprint = Blueprint::Nothing;
    Stack { id, column, offer, status, creates_key, approved: None, no_room: None, store, blueprint }
}

/// Marks what stays: it still says whose it was, and that nobody looks after it.
pub async fn retain(
    world: &World<'_>,
    case: &Stack<'_>,
    on_delete: OnDelete,
    memory: &mut Memory,
) -> Result<(), Fault> {
    let stays = |layer: &Layer| on_delete.keeps(*layer);
    // Where an index has no tags, whether anybody can see it does not matter.
    let index_has_tags = features(case.store_kind()).index_has_tags;
    let has_tags = |layer: Layer| layer != Layer::Index || index_has_tags;
    let tagged = |_: &Memory, layer| if has_tags(layer) && stays(&layer) { Look::All } else { Look::None };
    if let Some((_, fault)) = observe(world, case, memory, tagged).await.into_iter().next() {
        return Err(fault);
    }
    let tags = case.id.retained_tags();
    let owned = case.column.layers(Ownership::Owns).filter(stays);
    let tagged = owned.map(|layer| world.layers.tag(case.id, layer, &memory.observed, &tags));
    join_all(tagged).await.into_iter().collect()
}

/// Takes what is owned, and does not stay, one step further apart: every layer on which nothing stands any more, side by
/// side. `documents` are what the owner has in a bucket that it borrows, and go like a bucket of its own. Done only in a
/// pass that finds nothing of ours left.
pub async fn teardown(
    world: &World<'_>,
    case: &Stack<'_>,
    on_delete: OnDelete,
    memory: &mut Memory,
    documents: BoxFuture<'_, Result<Progress, Fault>>,
) -> Result<Progress, Fault> {
    memory.leaves();
    let mut stuck = observe(world, case, memory, |_, _| Look::All).await;
    // In a borrowed vector store an unseen index would stay, with all its vectors, and so it may in one's own.
    stuck.extend(memory.observed.index_hidden.clone().map(|hidden| (Layer::Index, hidden)));
    let takes_along = case.offer.is_none() && features(case.store_kind()).takes_indexes_along;
    stuck.retain(|(layer, _)| *layer != Layer::Index || !takes_along);
    let store = plan::handles(&memory.observed, case.offer).store;
    let hints = Hints { store, ..case.hints(&memory.observed) };
    // What cannot be seen may well stand. A key that has encrypted what is left alone stays too.
    let is_stuck = |layer: Layer| stuck.iter().any(|(it, _)| *it == layer);
    let stands =
        |layer: Layer| is_stuck(layer) || (memory.observed.is_ours(layer) && !memory.observed.stays(layer));
    let owned = ORDER.into_iter().filter(|layer| ownership(case.column, *layer) == Ownership::Owns);
    let goes: Vec<_> = owned.filter(|layer| !on_delete.keeps(*layer)).collect();
    memory.goes = PerLayer::from_fn(|layer| goes.contains(&layer));
    let there: Vec<_> = goes.into_iter().filter(|layer| stands(*layer)).collect();
    let is_free = |below: Layer| !there.iter().any(|above| is_built_on(case.store_kind(), *above, below));
    let free = there.iter().copied().filter(|layer| is_free(*layer) && !is_stuck(*layer));
    let torn = join_all(free.map(|layer| teardown_layer(world, case, layer, memory, &hints)));
    let documents = async { if is_free(Layer::Bucket) { documents.await } else { Ok(Progress::Done) } };
    let (torn, documents) = futures::join!(torn, documents);
    let stuck = stuck.into_iter().filter(|(layer, _)| there.contains(layer));
    let layers = stuck.map(|(layer, fault)| (layer, Err(fault))).chain(torn).collect();
    remaining(world, memory, layers, documents)
}

/// One layer's step back. What AWS refused in a way that needs a person is left alone for a while, even if other layers
/// bring on the next pass before.
async fn teardown_layer(
    world: &World<'_>,
    case: &Stack<'_>,
    layer: Layer,
    memory: &Memory,
    hints: &Hints,
) -> (Layer, Result<Progress, Fault>) {
    let result = match (holds_anothers(case, layer, memory), memory.refusal(world.clock, layer)) {
        (Some(waits), _) => Ok(waits),
        (None, Some(fault)) => Err(fault.clone()),
        (None, None) => world.layers.teardown(case.id, layer, &memory.observed, hints).await,
    };
    let looks = || format!("The {layer} was deleted; looking whether anything is left");
    (layer, result.map(|progress| progress.or(|| Progress::waiting(Reason::Deleting, looks()))))
}

/// Why a vector store of one's own stays for now: it is not deleted while it has an index, and the one in it is not ours.
fn holds_anothers(case: &Stack<'_>, layer: Layer, memory: &Memory) -> Option<Progress> {
    let store = features(case.store_kind());
    let stays = layer == Layer::VectorStore && !store.takes_indexes_along;
    let foreign = memory.observed.index.foreign().filter(|_| stays)?;
    let message = format!(
        "{} {} is not deleted while {} is in it, which does not carry our tags, so it belongs to somebody else. Remove it, if it \
         is yours to remove",
        store.title,
        case.id.name(layer),
        foreign.resource
    );
    Some(Progress::Waiting { reason: Reason::OwnedByAnother, message, cadence: Cadence::After(STALLED) })
}

/// What is left to wait for, of all that goes on side by side. A failure that passes is told once it has lasted.
fn remaining(
    world: &World<'_>,
    memory: &mut Memory,
    layers: Vec<(Layer, Result<Progress, Fault>)>,
    documents: Result<Progress, Fault>,
) -> Result<Progress, Fault> {
    let mut left = Progress::Done;
    let mut fault = None;
    let mut waits = |result: Result<Progress, Fault>| match result {
        Ok(progress) => progress,
        Err(failed) => Progress::of_fault(&failed).unwrap_or_else(|| {
            fault = Some(failed);
            Progress::Done
        }),
    };
    for (layer, result) in layers {
        let waited = world.clock.since(*memory.waiting_since.get_mut(layer).get_or_insert_with(Instant::now));
        if let Err(refused) = &result
            && refused.class.needs_person().is_some()
        {
            memory.note_refusal(world.clock, layer, refused);
        }
        left = left.beside(waits(result).by_deadline(layer, waited));
    }
    left = left.beside(waits(documents));
    match (memory.transient(world.clock, fault.as_ref()), fault) {
        (Some((reason, message)), _) => {
            Ok(left.beside(Progress::Waiting { reason, message, cadence: Cadence::Probe }))
        }
        (None, Some(fault)) => Err(fault),
        (None, None) => Ok(left),
    }
}
