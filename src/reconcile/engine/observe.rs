//! What AWS has of the layers that an object owns.

use futures::future::join_all;

use super::passed::Passed;
use super::stack::Stack;
use super::unready::{is_passing, of_unseen};
use super::world::World;
use crate::api::{Layer, Ownership, PerLayer};
use crate::reconcile::attention::Look;
use crate::reconcile::memory::{self, Memory};
use crate::stack::fault::Fault;
use crate::stack::model::observed::Observed;
use crate::stack::model::outcome::{LayerStatus, Outcome};
use crate::stack::model::plan;

/// A layer that cannot be looked at. Without knowing what is there, nothing is done anywhere.
pub(super) fn unseen(
    world: &World<'_>,
    stack: &Stack<'_>,
    memory: &mut Memory,
    layer: Layer,
    fault: Fault,
) -> Passed {
    let lasts = memory::lasts(&mut memory.failing_since, world.clock, is_passing(&fault));
    let (status, look_again) = of_unseen(world, stack, memory, layer, &fault, lasts);
    let desired = stack.desired(&memory.observed);
    let mut layers = PerLayer::from_fn(|layer| desired.owns(layer).then_some(LayerStatus::Unchanged));
    *layers.get_mut(layer) = Some(status);
    let fault = Some(fault).filter(is_passing);
    let outcome = Outcome::of_layers(memory.transient(world.clock, fault.as_ref()));
    Passed { layers, outcome, look_again, fault, ..Passed::default() }
}

/// Looks at owned layers, side by side but for the index, which is looked for in a vector store that is active. Answers
/// which of them could not be looked at.
pub(super) async fn observe(
    world: &World<'_>,
    stack: &Stack<'_>,
    memory: &mut Memory,
    how: impl Fn(&Memory, Layer) -> Look,
) -> Vec<(Layer, Fault)> {
    let mut unseen = Vec::new();
    let mut hints = stack.hints(&memory.observed);
    let owned = stack.column.layers(Ownership::Owns).map(|layer| (layer, how(memory, layer)));
    let looked_at = owned.filter(|(_, how)| *how != Look::None);
    let (index, others): (Vec<_>, Vec<_>) = looked_at.partition(|(layer, _)| *layer == Layer::Index);
    for wave in [others, index] {
        let active = stack.offer.is_some() || memory.observed.has_active_store();
        hints.store = plan::handles(&memory.observed, stack.offer).store.filter(|_| active);
        hints.index_by_endpoint = plan::index_by_endpoint(&memory.observed);
        hints.index_on_record = plan::index_on_record(&memory.observed);
        if wave.iter().any(|(layer, _)| *layer == Layer::Index) {
            memory.observed.index_known = hints.store.is_some();
        }
        let looks = wave.iter().map(|(layer, how)| match how {
            Look::Progress => world.layers.look_how_far(stack.id, *layer, &hints, &memory.observed),
            _ => world.layers.look(stack.id, *layer, &hints),
        });
        let observations = join_all(looks).await;
        for ((layer, _), observation) in wave.iter().zip(observations) {
            match observation {
                Ok(observation) => memory.observed.put(observation),
                Err(fault) => unseen.push((*layer, fault)),
            }
        }
    }
    if unseen.iter().any(|(layer, _)| *layer == Layer::Index) {
        (memory.observed.index, memory.observed.index_known, memory.observed.index_hidden) =
            (Observed::Absent, false, None);
    }
    // A list may lag behind; the role knows which knowledge base it was made for, and by its id it is seen at once.
    let trusted =
        plan::trusted_id(&memory.observed).filter(|id| hints.knowledge_base_id.as_ref() != Some(id));
    if let (true, Some(id)) = (memory.observed.knowledge_base.is_absent(), trusted) {
        hints.knowledge_base_id = Some(id);
        match world.layers.look(stack.id, Layer::KnowledgeBase, &hints).await {
            Ok(observation) => memory.observed.put(observation),
            Err(fault) => unseen.push((Layer::KnowledgeBase, fault)),
        }
    }
    unseen
}
