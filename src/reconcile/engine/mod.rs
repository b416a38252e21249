//! One pass over the layers that an object owns: observe → plan → act. The same for both kinds.

pub mod case;
pub mod loss;

use std::time::{Duration, Instant};

use futures::future::{BoxFuture, join_all};

use self::case::Case;
use self::loss::Loss;
use super::context::Context;
use super::existing_key;
use super::memory::Memory;
use crate::api::{ConditionType, Layer, Ownership, PerLayer, Reason, ownership};
use crate::clock;
use crate::layers;
use crate::layers::Hints;
use crate::stack::fault::{Class, Fault};
use crate::stack::model::blocked::Blocked;
use crate::stack::model::desired::Want;
use crate::stack::model::observed::{CollectionFacts, Seen, Sight};
use crate::stack::model::outcome::Standing;
use crate::stack::model::plan::{self, Step};
use crate::stack::model::progress::{Cadence, Progress, STALLED};
use crate::stack::model::teardown_order::{Fate, ORDER, is_built_on};

/// What a pass came to.
#[derive(Default)]
pub struct Passed {
    /// How each owned layer stands.
    pub layers: PerLayer<Option<Standing>>,
    /// Something with our name is not ours: nothing was done.
    pub blocked: Option<Blocked>,
    /// When to look again.
    pub look_again: Option<Duration>,
    /// A passing failure: backoff decides when to look again.
    pub fault: Option<Fault>,
    /// The same, once it has lasted long enough to be news.
    pub passing: Option<(Reason, String)>,
    /// Whether it takes over what an earlier object of the same name left behind.
    pub adopts: bool,
    /// What was lost, and is made anew because somebody has approved it.
    pub given_up: Vec<Layer>,
}

/// Brings a stack one step closer to what it should be.
pub async fn forward(cx: &Context, case: &Case<'_>, memory: &mut Memory, generation: i64) -> Passed {
    let due = memory.looked_at_all.is_none_or(|at| cx.clock.since(at) >= cx.resync_after());
    let all = due || memory.generation != Some(generation);
    let wanted = |memory: &Memory, layer| all || !*memory.whole.get(layer);
    if all && let Some(passed) = key_of_others(cx, case, memory).await {
        return passed;
    }
    let (mut index_unseen, mut others_unseen): (Vec<_>, Vec<_>) =
        observe(cx, case, memory, wanted).await.into_iter().partition(|(layer, _)| *layer == Layer::Index);
    if let Some((layer, fault)) = others_unseen.pop() {
        return unseen(cx, case, memory, layer, fault);
    }
    if all {
        memory.looked_at_all = Some(Instant::now());
        memory.generation = Some(generation);
    }
    let want = case.want(&memory.sight);
    let losses = loss::losses(case, &want, &memory.sight);
    let mut steps = match plan::plan(case.id, &want, &memory.sight) {
        // What is lost waits for nobody but a person, and all that builds on it waits for that.
        Ok(steps) => steps.map(|layer, step| match losses.iter().find(|loss| loss.layer == layer) {
            Some(Loss { verdict: loss::Verdict::Waits(..), .. }) => Step::After(layer),
            _ => step,
        }),
        Err(blocked) => {
            memory.looked_at_all = None;
            let layers = PerLayer::from_fn(|layer| want.owns(layer).then_some(Standing::Unchanged));
            return Passed { layers, blocked: Some(blocked), look_again: Some(STALLED), ..Passed::default() };
        }
    };
    // What hides the index may be just what is to be put right, such as the collection's network policy.
    if let Some((layer, fault)) = index_unseen.pop() {
        let cause = steps.iter().find(|(it, step)| **step == Step::Ensure && *it != layer);
        let Some((cause, _)) = cause else {
            memory.looked_at_all = None;
            return unseen(cx, case, memory, layer, fault);
        };
        steps.index = Step::After(cause);
    }
    if cx.settings.read_only {
        return only_plan(steps);
    }
    if all {
        memory.refused = PerLayer::default();
    }
    let adopts = memory.sight.is_adopted(case.id);
    let results = act(cx, case, &want, memory, &steps).await;
    let mut passed = Passed { adopts, ..settle(cx, case, steps, results, memory) };
    for Loss { layer, verdict } in losses {
        match verdict {
            loss::Verdict::GivenUp => passed.given_up.push(layer),
            loss::Verdict::Waits(standing, look_again) => {
                *passed.layers.get_mut(layer) = Some(standing);
                passed.look_again = clock::earliest(passed.look_again, Some(look_again));
            }
        }
    }
    passed
}

/// What follows if the stack's key is somebody's own who has switched it off: nothing is changed until it is on again.
async fn key_of_others(cx: &Context, case: &Case<'_>, memory: &mut Memory) -> Option<Passed> {
    let usable = existing_key::can_be_used(&cx.aws.keys, case.blueprint.existing_key()?).await;
    let (blocked, fault) = match usable {
        Ok(Ok(())) => return None,
        Ok(Err(blocked)) => (Some(blocked), None),
        Err(fault) => (None, Some(fault)),
    };
    memory.looked_at_all = None;
    let want = case.want(&memory.sight);
    let layers = PerLayer::from_fn(|layer| want.owns(layer).then_some(Standing::Unchanged));
    let passing = memory.transient(cx.clock, fault.as_ref());
    Some(Passed { layers, blocked, look_again: Some(STALLED), fault, passing, ..Passed::default() })
}

/// With `--read-only` the plan is all there is.
fn only_plan(steps: PerLayer<Step>) -> Passed {
    let layers = steps.map(|layer, step| match step {
        Step::None => None,
        Step::Whole => Some(Standing::Whole),
        Step::After(needed) => Some(Standing::After(needed)),
        Step::Ensure => {
            let message = format!(
                "The operator runs with --read-only; without it, it would make or change the {layer}"
            );
            Some(Standing::Waiting(Reason::ReadOnly, message))
        }
    });
    Passed { layers, ..Passed::default() }
}

/// A layer that cannot be looked at. Without knowing what is there, nothing is done anywhere.
fn unseen(cx: &Context, case: &Case<'_>, memory: &mut Memory, layer: Layer, fault: Fault) -> Passed {
    let since = *memory.waiting_since.get_mut(layer).get_or_insert_with(Instant::now);
    let waited = cx.clock.since(since);
    let standing = Standing::from(&fault).by_deadline(layer, unready_for(cx, case, layer, waited));
    let want = case.want(&memory.sight);
    let mut layers = PerLayer::from_fn(|layer| want.owns(layer).then_some(Standing::Unchanged));
    let passes = standing == Standing::Unchanged;
    *layers.get_mut(layer) = Some(standing);
    let look_again = match fault.class {
        Class::NotYet => Cadence::Probe.look_again(waited).map(|again| again.min(STALLED)),
        _ => Some(STALLED),
    };
    let fault = passes.then_some(fault);
    let passing = memory.transient(cx.clock, fault.as_ref());
    Passed { layers, look_again, fault, passing, ..Passed::default() }
}

/// How long a layer has been waited for: as long as its condition says that it is not ready, but only while it was
/// being waited for. Time in which a person had to act, or in which nothing was to be changed, is not AWS's.
fn unready_for(cx: &Context, case: &Case<'_>, layer: Layer, waited: Duration) -> Option<Duration> {
    let unready = case.status.condition(ConditionType::of(layer)).filter(|c| c.status == "False")?;
    Some(cx.clock.since_stamp(unready.last_transition_time.0).min(waited))
}

/// Looks at owned layers, side by side but for the index, which is looked for in a collection that is active. Answers
/// which of them could not be looked at.
async fn observe(
    cx: &Context,
    case: &Case<'_>,
    memory: &mut Memory,
    wanted: impl Fn(&Memory, Layer) -> bool,
) -> Vec<(Layer, Fault)> {
    let mut unseen = Vec::new();
    let mut hints = case.hints(&memory.sight);
    let owned = case.column.layers(Ownership::Owns).filter(|layer| wanted(memory, *layer));
    let (index, others): (Vec<_>, Vec<_>) = owned.partition(|layer| *layer == Layer::Index);
    for wave in [others, index] {
        let active = case.offer.is_some() || memory.sight.has_active_collection();
        let handles = plan::handles(&memory.sight, case.offer);
        hints.collection_id = handles.collection_id.filter(|_| active);
        hints.collection_endpoint = handles.collection_endpoint;
        hints.index_by_endpoint = plan::index_by_endpoint(&memory.sight);
        hints.index_on_record = plan::index_on_record(&memory.sight);
        let looks = wave.iter().map(|layer| layers::look(&cx.aws, case.id, *layer, &hints));
        if wave.contains(&Layer::Index) {
            memory.sight.index_known = hints.collection_id.is_some();
        }
        for (layer, glance) in wave.iter().zip(join_all(looks).await) {
            match glance {
                Ok(glance) => memory.sight.put(glance),
                Err(fault) => unseen.push((*layer, fault)),
            }
        }
    }
    if unseen.iter().any(|(layer, _)| *layer == Layer::Index) {
        (memory.sight.index, memory.sight.index_known, memory.sight.index_hidden) =
            (Seen::Absent, false, None);
    }
    // A list may lag behind; the role knows which knowledge base it was made for, and by its id it is seen at once.
    let trusted = plan::trusted_id(&memory.sight).filter(|id| hints.knowledge_base_id.as_ref() != Some(id));
    if let (true, Some(id)) = (memory.sight.knowledge_base.is_absent(), trusted) {
        hints.knowledge_base_id = Some(id);
        match layers::look(&cx.aws, case.id, Layer::KnowledgeBase, &hints).await {
            Ok(glance) => memory.sight.put(glance),
            Err(fault) => unseen.push((Layer::KnowledgeBase, fault)),
        }
    }
    unseen
}

/// All that can move moves, side by side. What AWS refused in a way that needs a person is left alone for a while, even
/// if other layers bring on the next pass before.
async fn act(
    cx: &Context,
    case: &Case<'_>,
    want: &Want,
    memory: &Memory,
    steps: &PerLayer<Step>,
) -> Vec<(Layer, Result<Progress, Fault>)> {
    let moving = steps.iter().filter(|(_, step)| **step == Step::Ensure);
    join_all(moving.map(|(layer, _)| async move {
        let result = match memory.refused.get(layer) {
            Some((at, fault)) if cx.clock.since(*at) < STALLED => Err(fault.clone()),
            _ => layers::ensure(&cx.aws, case.id, layer, want, &memory.sight).await,
        };
        (layer, result)
    }))
    .await
}

fn settle(
    cx: &Context,
    case: &Case<'_>,
    steps: PerLayer<Step>,
    results: Vec<(Layer, Result<Progress, Fault>)>,
    memory: &mut Memory,
) -> Passed {
    let mut standings = steps.map(|_, step| match step {
        Step::None => None,
        Step::Whole | Step::Ensure => Some(Standing::Whole),
        Step::After(layer) => Some(Standing::After(layer)),
    });
    memory.whole = steps.map(|_, step| matches!(step, Step::None | Step::Whole));
    // A knowledge base that is being made narrows its role's trust.
    memory.whole.role &= steps.knowledge_base != Step::Ensure;
    for (layer, step) in steps.iter() {
        if *step != Step::Ensure {
            *memory.waiting_since.get_mut(layer) = None;
        }
    }
    let mut look_again: Option<Duration> = None;
    let mut fault = None;
    for (layer, result) in results {
        let since = memory.waiting_since.get_mut(layer).get_or_insert_with(Instant::now);
        let waited = cx.clock.since(*since);
        let (standing, again) = match &result {
            Ok(Progress::Done) => (Standing::Whole, Cadence::Steady.look_again(waited)),
            Ok(progress @ Progress::Waiting { cadence, .. }) => (progress.into(), cadence.look_again(waited)),
            Err(failed) => {
                let again = matches!(
                    failed.class,
                    Class::Denied | Class::Quota | Class::Unreachable | Class::Invalid
                )
                .then_some(STALLED);
                match again {
                    None => fault = Some(failed.clone()),
                    Some(_) => note_refusal(cx, memory, layer, failed),
                }
                (failed.into(), again)
            }
        };
        *standings.get_mut(layer) = Some(standing.by_deadline(layer, unready_for(cx, case, layer, waited)));
        if matches!(result, Ok(Progress::Waiting { reason: Reason::WaitingForCollection, .. })) {
            *memory.waiting_since.get_mut(layer) = None;
        }
        look_again = clock::earliest(look_again, again.map(|again| again.min(STALLED)));
    }
    if let (Some(hidden), Some(Standing::After(_))) = (&memory.sight.index_hidden, &standings.index) {
        standings.index = Some(hidden.into());
        look_again = clock::earliest(look_again, Some(STALLED));
    }
    let passing = memory.transient(cx.clock, fault.as_ref());
    Passed { layers: standings, look_again, fault, passing, ..Passed::default() }
}

/// A layer that waits for a person is not waited for, and not tried at each pass.
fn note_refusal(cx: &Context, memory: &mut Memory, layer: Layer, fault: &Fault) {
    *memory.waiting_since.get_mut(layer) = None;
    let refused = memory.refused.get_mut(layer);
    if refused.as_ref().is_none_or(|(at, _)| cx.clock.since(*at) >= STALLED) {
        *refused = Some((Instant::now(), fault.clone()));
    }
}

/// Marks what stays: it still says whose it was, and that nobody looks after it.
pub async fn retain(cx: &Context, case: &Case<'_>, fate: Fate, memory: &mut Memory) -> Result<(), Fault> {
    let stays = |layer: &Layer| fate.keeps(*layer);
    // An index has no tags, and whether anybody can see it does not matter.
    let tagged = |_: &Memory, layer| layer != Layer::Index && stays(&layer);
    if let Some((_, fault)) = observe(cx, case, memory, tagged).await.into_iter().next() {
        return Err(fault);
    }
    let tags = case.id.retained_tags();
    let owned = case.column.layers(Ownership::Owns).filter(stays);
    let tagged = owned.map(|layer| layers::tag(&cx.aws, case.id, layer, &memory.sight, &tags));
    join_all(tagged).await.into_iter().collect()
}

/// Takes what is owned, and does not stay, one step further apart: every layer on which nothing stands any more, side by side. `documents`
/// are what the owner has in a bucket that it borrows, and go like a bucket of its own. Done only in a pass that finds
/// nothing of ours left.
pub async fn back(
    cx: &Context,
    case: &Case<'_>,
    fate: Fate,
    memory: &mut Memory,
    documents: BoxFuture<'_, Result<Progress, Fault>>,
) -> Result<Progress, Fault> {
    memory.leaves();
    let mut stuck = observe(cx, case, memory, |_, _| true).await;
    // One's own collection takes its indexes along; in a borrowed one an unseen index would stay, with all its vectors.
    stuck.extend(memory.sight.index_hidden.clone().map(|hidden| (Layer::Index, hidden)));
    stuck.retain(|(layer, _)| *layer != Layer::Index || case.offer.is_some());
    let handles = plan::handles(&memory.sight, case.offer);
    let hints = Hints {
        collection_id: handles.collection_id,
        collection_endpoint: handles.collection_endpoint,
        ..case.hints(&memory.sight)
    };
    // What cannot be seen may well stand. A key that has encrypted what is left alone stays too.
    let is_stuck = |layer: Layer| stuck.iter().any(|(it, _)| *it == layer);
    let stands =
        |layer: Layer| is_stuck(layer) || (memory.sight.is_ours(layer) && !memory.sight.stays(layer));
    let owned = ORDER.into_iter().filter(|layer| ownership(case.column, *layer) == Ownership::Owns);
    let goes = owned.filter(|layer| !fate.keeps(*layer));
    let standing: Vec<_> = goes.filter(|layer| stands(*layer)).collect();
    let is_free = |below: Layer| !standing.iter().any(|above| is_built_on(*above, below));
    let free = standing.iter().copied().filter(|layer| is_free(*layer) && !is_stuck(*layer));
    let torn = join_all(free.map(|layer| tear(cx, case, layer, memory, &hints)));
    let documents = async {
        match is_free(Layer::Bucket) {
            true => documents.await,
            false => Ok(Progress::Done),
        }
    };
    let (torn, documents) = futures::join!(torn, documents);
    let stuck = stuck.into_iter().filter(|(layer, _)| standing.contains(layer));
    let layers = stuck.map(|(layer, fault)| (layer, Err(fault))).chain(torn).collect();
    left(cx, memory, layers, documents)
}

/// One layer's step back. What AWS refused in a way that needs a person is left alone for a while, even if other layers
/// bring on the next pass before.
async fn tear(
    cx: &Context,
    case: &Case<'_>,
    layer: Layer,
    memory: &Memory,
    hints: &Hints,
) -> (Layer, Result<Progress, Fault>) {
    let result = match memory.refused.get(layer) {
        Some((at, fault)) if cx.clock.since(*at) < STALLED => Err(fault.clone()),
        _ => layers::teardown(&cx.aws, case.id, layer, &memory.sight, hints).await,
    };
    let looks = || format!("The {layer} was deleted; looking whether anything is left");
    (layer, result.map(|progress| progress.or(|| Progress::waiting(Reason::Deleting, looks()))))
}

/// What is left to wait for, of all that goes on side by side. A failure that passes is told once it has lasted.
fn left(
    cx: &Context,
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
        let waited = cx.clock.since(*memory.waiting_since.get_mut(layer).get_or_insert_with(Instant::now));
        if let Err(refused) = &result
            && matches!(refused.class, Class::Denied | Class::Quota | Class::Unreachable | Class::Invalid)
        {
            note_refusal(cx, memory, layer, refused);
        }
        left = left.beside(waits(result).by_deadline(layer, waited));
    }
    left = left.beside(waits(documents));
    match (memory.transient(cx.clock, fault.as_ref()), fault) {
        (Some((reason, message)), _) => {
            Ok(left.beside(Progress::Waiting { reason, message, cadence: Cadence::Probe }))
        }
        (None, Some(fault)) => Err(fault),
        (None, None) => Ok(left),
    }
}

impl Sight {
    /// Whether the collection that was seen answers calls about its indexes.
    fn has_active_collection(&self) -> bool {
        let collection = self.collection.ours().and_then(|facts| facts.collection.as_ref());
        collection.is_some_and(|detail| detail.status == "ACTIVE")
    }

    /// Whether a layer is there and ours.
    pub fn is_ours(&self, layer: Layer) -> bool {
        match layer {
            Layer::Key => self.key.ours().is_some(),
            Layer::Bucket => self.bucket.ours().is_some(),
            Layer::Collection => self.collection.ours().is_some_and(CollectionFacts::has_any),
            Layer::Index => self.index.ours().is_some(),
            Layer::Role => self.role.ours().is_some(),
            Layer::KnowledgeBase => self.knowledge_base.ours().is_some(),
        }
    }
}
