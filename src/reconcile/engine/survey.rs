//! What AWS has of a stack, and what is to be done next: observe → plan.

use std::time::Instant;

use super::loss::{self, Loss, LossDecision};
use super::observe::{observe, unseen};
use super::passed::Passed;
use super::stack::Stack;
use super::unready::is_passing;
use super::world::World;
use crate::api::{Layer, Ownership, PerLayer, VectorStore, ownership};
use crate::layers::existing_key::Unusable;
use crate::layers::{Hints, LayerObservation};
use crate::reconcile::attention::{Attention, Look};
use crate::reconcile::memory::Memory;
use crate::stack::fault::Fault;
use crate::stack::model::answers;
use crate::stack::model::blocked::Blocked;
use crate::stack::model::desired::Desired;
use crate::stack::model::drift;
use crate::stack::model::observed::Observation;
use crate::stack::model::outcome::{Cause, LayerStatus, Outcome};
use crate::stack::model::plan::{self, Step};
use crate::stack::model::progress::STALLED;
use crate::stack::store::StoreFacts;

/// What a look at a stack came to: what is to be done next.
pub struct Survey {
    pub(super) desired: Desired,
    pub(super) steps: PerLayer<Step>,
    pub(super) losses: Vec<Loss>,
    pub(super) index_unseen: Option<Fault>,
    pub(super) no_room: bool,
    pub(super) all: bool,
}

/// Looks at a stack, and says what is to be done. Nothing is changed. An error is a pass that ends here: something is not
/// ours, or cannot be seen.
pub async fn survey(
    world: &World<'_>,
    stack: &Stack<'_>,
    memory: &mut Memory,
    generation: i64,
) -> Result<Survey, Passed> {
    let all = memory.looks_at_all(world.clock, world.resync_after, generation);
    if all {
        memory.began_to_look = Some(Instant::now());
    }
    // A process that begins, and whoever has got another spec, cannot tell others' changes from its own.
    let desired_before = memory.desired.clone().filter(|_| memory.generation == Some(generation));
    let was_whole = memory.whole;
    if all {
        key_of_others(world, stack, memory).await?;
    }
    let how = PerLayer::from_fn(|layer| if all { Look::All } else { memory.attention.look(layer) });
    let index_unseen = look(world, stack, memory, how).await?;
    if all {
        memory.looked_at_all = Some(Instant::now());
        memory.takes_up(generation);
    }
    let (Planned { desired, losses, mut steps }, index_unseen) =
        plan_by_fresh_looks(world, stack, memory, how, index_unseen).await?;
    let no_room = !world.read_only
        && stack.no_room.is_some()
        && steps.knowledge_base == Step::Apply
        && memory.observed.knowledge_base.is_absent();
    if no_room {
        steps.knowledge_base = Step::WaitFor(Layer::KnowledgeBase);
    }
    let index_unseen = match without_index(stack, &desired, memory, &mut steps, index_unseen) {
        Ok(index_unseen) => index_unseen,
        Err(fault) => {
            memory.looked_at_all = None;
            return Err(unseen(world, stack, memory, Layer::Index, fault));
        }
    };
    let may_have_drifted = |layer: Layer| {
        *was_whole.get(layer)
            && *steps.get(layer) == Step::Apply
            && !losses.iter().any(|loss| loss.layer == layer)
    };
    for layer in Layer::ALL.into_iter().filter(|layer| may_have_drifted(*layer)) {
        let drift = |before| drift::of(stack.id, before, &desired, &memory.observed, layer);
        if let Some(what) = desired_before.as_ref().and_then(drift) {
            *memory.drift.get_mut(layer) = Some(what);
        }
    }
    memory.desired = Some(desired.clone());
    Ok(Survey { desired, steps, losses, index_unseen, no_room, all })
}

/// What is wanted, what of it is lost, and what is to be done next, by what was seen.
struct Planned {
    desired: Desired,
    losses: Vec<Loss>,
    steps: PerLayer<Step>,
}

impl Planned {
    fn by(stack: &Stack<'_>, observed: &Observation) -> Result<Self, Blocked> {
        let desired = stack.desired(observed);
        let losses = loss::losses(stack, &desired, observed);
        let steps = waiting_for_a_person(plan::plan(stack.id, &desired, observed)?, &losses);
        Ok(Self { desired, losses, steps })
    }
}

/// Plans. What was not looked at in this pass, as `how` says, is looked at before it is to be changed, and planned for anew.
async fn plan_by_fresh_looks(
    world: &World<'_>,
    stack: &Stack<'_>,
    memory: &mut Memory,
    how: PerLayer<Look>,
    mut index_unseen: Option<Fault>,
) -> Result<(Planned, Option<Fault>), Passed> {
    let mut is_fresh = how.map(|_, how| how != Look::None);
    loop {
        let planned = match Planned::by(stack, &memory.observed) {
            Ok(planned) => planned,
            Err(blocked) => return Err(stopped(stack, memory, Some(blocked), None)),
        };
        let stale = planned.steps.map(|layer, step| {
            step == Step::Apply && !*is_fresh.get(layer) && Attention::is_stale(&memory.observed, layer)
        });
        if stale == PerLayer::default() {
            return Ok((planned, index_unseen));
        }
        is_fresh = is_fresh.map(|layer, fresh| fresh || *stale.get(layer));
        let how = stale.map(|_, stale| if stale { Look::All } else { Look::None });
        index_unseen = look(world, stack, memory, how).await?.or(index_unseen);
    }
}

/// Looks at layers. Without knowing what is there nothing is done anywhere, but for an
/// index that cannot be seen: why is the answer.
async fn look(
    world: &World<'_>,
    stack: &Stack<'_>,
    memory: &mut Memory,
    how: PerLayer<Look>,
) -> Result<Option<Fault>, Passed> {
    let unseen_layers = observe(world, stack, memory, |_, layer| *how.get(layer)).await;
    let (index, mut others): (Vec<_>, Vec<_>) =
        unseen_layers.into_iter().partition(|(layer, _)| *layer == Layer::Index);
    if let Some((layer, fault)) = others.pop() {
        return Err(unseen(world, stack, memory, layer, fault));
    }
    if *how.get(Layer::VectorStore) == Look::All
        && let Err(fault) = look_for_another_store(world, stack, memory).await
    {
        return Err(unseen(world, stack, memory, Layer::VectorStore, fault));
    }
    Ok(index.into_iter().map(|(_, fault)| fault).next())
}

/// Where something was left behind and no store of the wanted kind was, one of another kind may have been. It has the same
/// name, and whoever took over the rest would leave it to nobody. A kind that cannot be asked for lack of a right, or that
/// the region does not have, has none.
async fn look_for_another_store(
    world: &World<'_>,
    stack: &Stack<'_>,
    memory: &mut Memory,
) -> Result<(), Fault> {
    let owns = ownership(stack.column, Layer::VectorStore) == Ownership::Owns;
    if !owns || !memory.observed.lacks(Layer::VectorStore) || !memory.observed.is_adopted(stack.id) {
        return Ok(());
    }
    let wanted = stack.store_kind();
    for store_kind in VectorStore::ALL.into_iter().filter(|kind| *kind != wanted) {
        let hints = Hints { store_kind, ..stack.hints(&memory.observed) };
        match world.layers.look(stack.id, Layer::VectorStore, &hints).await {
            Ok(LayerObservation::VectorStore(seen)) if seen.ours().is_some_and(StoreFacts::has_any) => {
                memory.observed.vector_store = seen;
            }
            Err(fault) if fault.class.needs_person().is_none() => return Err(fault),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

/// What is lost waits for nobody but a person, and all that builds on it waits for that.
fn waiting_for_a_person(steps: PerLayer<Step>, losses: &[Loss]) -> PerLayer<Step> {
    steps.map(|layer, step| match losses.iter().find(|loss| loss.layer == layer) {
        Some(Loss { decision: LossDecision::Waits(..), .. }) => Step::WaitFor(layer),
        _ => step,
    })
}

/// The steps, if the index cannot be seen: what hides it may be just what is to be put right, such as the collection's
/// network policy. Answers why it cannot be seen, unless it waits for that; an error if nothing else can be done.
fn without_index(
    stack: &Stack<'_>,
    desired: &Desired,
    memory: &Memory,
    steps: &mut PerLayer<Step>,
    fault: Option<Fault>,
) -> Result<Option<Fault>, Fault> {
    let Some(fault) = fault else { return Ok(None) };
    let moving = |layer: &Layer| *layer != Layer::Index && *steps.get(*layer) == Step::Apply;
    if !Layer::ALL.iter().any(moving) {
        return Err(fault);
    }
    let hides =
        |layer: &Layer| moving(layer) && !answers::go_on(&stack.id.scope, desired, &memory.observed, *layer);
    let cause = [Layer::Key, Layer::VectorStore, Layer::Role].into_iter().find(hides);
    match cause.filter(|_| !is_passing(&fault)) {
        Some(cause) => {
            steps.index = Step::WaitFor(cause);
            Ok(None)
        }
        None => {
            steps.index = Step::Unseen;
            Ok(Some(fault))
        }
    }
}

/// What follows if the stack's key is somebody's own who has switched it off: nothing is changed until it is on again.
async fn key_of_others(world: &World<'_>, stack: &Stack<'_>, memory: &mut Memory) -> Result<(), Passed> {
    let Some(key) = stack.blueprint.existing_key() else { return Ok(()) };
    let (blocked, fault) = match world.layers.existing_key(key).await {
        Ok(old_tag) => {
            memory.old_tag = old_tag;
            return Ok(());
        }
        Err(Unusable::Blocked(blocked)) => (Some(blocked), None),
        Err(Unusable::Unknown(fault)) => (None, Some(fault)),
    };
    let transient = memory.transient(world.clock, fault.as_ref());
    let passed = stopped(stack, memory, blocked, transient);
    Err(Passed { fault, ..passed })
}

/// A pass that changes nothing. All is looked at again in the next.
fn stopped(
    stack: &Stack<'_>,
    memory: &mut Memory,
    blocked: Option<Blocked>,
    transient: Option<Cause>,
) -> Passed {
    memory.looked_at_all = None;
    let desired = stack.desired(&memory.observed);
    let layers = PerLayer::from_fn(|layer| desired.owns(layer).then_some(LayerStatus::Unchanged));
    let outcome = blocked.map_or(Outcome::of_layers(transient), Outcome::blocked);
    Passed { layers, outcome, look_again: Some(STALLED), ..Passed::default() }
}
