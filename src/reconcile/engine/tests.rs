//! The engine against layers in memory: what a pass does, what it leaves alone, and what it says, in no time.

mod backward;
mod forward;
mod waiting;

use std::time::Instant;

use futures::FutureExt;
use parking_lot::Mutex;

use super::*;
use crate::api::{ConditionType, Status};
use crate::aws::Tags;
use crate::clock::{self, Clock};
use crate::layers::existing_key::{OldTag, Unusable};
use crate::layers::{Answer, Hints, LayerObservation, Layers};
use crate::reconcile::offer_status;
use crate::stack::fault::{Class, Fault};
use crate::stack::identity::{Adopts, Identity, OwnershipClaim};
use crate::stack::model::blocked::Blocked;
use crate::stack::model::desired::{Blueprint, Desired};
use crate::stack::model::ideal::{self, Sample, found_collection, ours};
use crate::stack::model::observed::{Foreign, Observation, Observed};
use crate::stack::model::outcome::{Outcome, Report};
use crate::stack::model::progress::Progress;
use crate::stack::store::StoreFacts;
use futures::future::BoxFuture;

/// AWS as one stack sees it: nothing takes time, unless it is told to.
#[derive(Default)]
struct InMemory(Mutex<State>);

#[derive(Default)]
struct State {
    /// What there is.
    observed: Observation,
    /// What each layer's looks are answered with, instead of what there is.
    blind: PerLayer<Option<Fault>>,
    /// What each layer's changes are answered with, instead of being made.
    refuses: PerLayer<Option<Fault>>,
    /// Layers that AWS makes, and is not done with.
    being_made: PerLayer<bool>,
    /// Layers whose changes are under way and do not end.
    slow: PerLayer<bool>,
    /// Whether an index that is there takes changes and shows none of them.
    index_shows_no_change: bool,
    /// Why nobody sees the index: there is no way to it.
    no_way_to_index: Option<Fault>,
    /// What looks at this layer show, instead of what there is by now.
    was: Option<(Layer, Box<Observation>)>,
    /// Whether lists lag, so that a knowledge base is found by its id alone.
    lists_lag: bool,
    /// What becomes of a look at somebody's own key.
    existing_key: Option<Unusable>,
    /// All calls, such as `look Bucket`.
    journal: Vec<String>,
}

impl InMemory {
    fn change(&self, verb: &str, layer: Layer) -> Result<(), Result<Progress, Fault>> {
        let mut state = self.0.lock();
        state.journal.push(format!("{verb} {layer:?}"));
        match state.refuses.get(layer) {
            Some(fault) => Err(Err(fault.clone())),
            None if *state.slow.get(layer) => {
                Err(Ok(Progress::waiting(Reason::Creating, format!("The {layer} is slow"))))
            }
            None => Ok(()),
        }
    }
}

impl Layers for InMemory {
    fn look<'a>(&'a self, id: &'a Identity, layer: Layer, hints: &'a Hints) -> Answer<'a, LayerObservation> {
        async move {
            let mut state = self.0.lock();
            state.journal.push(format!("look {layer:?}"));
            if let Some(fault) = state.blind.get(layer) {
                return Err(fault.clone());
            }
            let was = state.was.as_ref().filter(|(it, _)| *it == layer);
            let observed = was.map_or(&state.observed, |(_, was)| was);
            Ok(match layer {
                Layer::Key => LayerObservation::Key(judged(id, &observed.key, |it| Some(&it.tags))),
                Layer::Bucket => LayerObservation::Bucket(judged(id, &observed.bucket, |it| Some(&it.tags))),
                Layer::VectorStore
                    if observed.vector_store.ours().is_some_and(|facts| facts.kind() != hints.store_kind) =>
                {
                    LayerObservation::VectorStore(Observed::Absent)
                }
                Layer::VectorStore => {
                    LayerObservation::VectorStore(judged(id, &observed.vector_store, |it| {
                        Some(match it {
                            StoreFacts::OpenSearchServerless(it) => &it.collection.as_ref()?.tags,
                            StoreFacts::S3Vectors(it) => &it.detail.as_ref()?.tags,
                        })
                    }))
                }
                Layer::Index if hints.store.is_none() => LayerObservation::Index(Observed::Absent),
                Layer::Index => match &state.no_way_to_index {
                    Some(fault) => LayerObservation::IndexHidden(fault.clone()),
                    None => LayerObservation::Index(observed.index.clone()),
                },
                Layer::Role => {
                    LayerObservation::Role(judged(id, &observed.role, |it| Some(&it.role.as_ref()?.tags)))
                }
                Layer::KnowledgeBase => LayerObservation::KnowledgeBase(match &observed.knowledge_base {
                    Observed::Ours(facts)
                        if state.lists_lag && hints.knowledge_base_id.as_ref() != Some(&facts.id) =>
                    {
                        Observed::Absent
                    }
                    seen => judged(id, seen, |it| Some(&it.tags)),
                }),
            })
        }
        .boxed()
    }

    fn look_how_far<'a>(
        &'a self,
        id: &'a Identity,
        layer: Layer,
        hints: &'a Hints,
        _: &'a Observation,
    ) -> Answer<'a, LayerObservation> {
        async move {
            let found = self.look(id, layer, hints).await;
            if let Some(call) = self.0.lock().journal.last_mut() {
                *call = format!("look how far {layer:?}");
            }
            found
        }
        .boxed()
    }

    fn ensure<'a>(
        &'a self,
        id: &'a Identity,
        layer: Layer,
        desired: &'a Desired,
        _: &'a Observation,
    ) -> Answer<'a, Progress> {
        async move {
            if let Err(answer) = self.change("ensure", layer) {
                return answer;
            }
            let state = &mut *self.0.lock();
            let was_there = match layer {
                Layer::Key => state.observed.key.ours().is_some(),
                Layer::Bucket => state.observed.bucket.ours().is_some(),
                Layer::VectorStore => state.observed.has_active_store(),
                Layer::Index => state.observed.index.ours().is_some(),
                Layer::Role => state.observed.role.ours().is_some_and(|facts| facts.role.is_some()),
                Layer::KnowledgeBase => state.observed.knowledge_base.ours().is_some(),
            };
            if !(layer == Layer::Index && state.index_shows_no_change) {
                ideal::ensure(id, layer, desired, &mut state.observed);
            }
            if *state.being_made.get(layer) {
                if let (Layer::VectorStore, Observed::Ours(StoreFacts::OpenSearchServerless(facts))) =
                    (layer, &mut state.observed.vector_store)
                {
                    facts.collection.as_mut().unwrap().status = "CREATING".into();
                }
                if let (Layer::KnowledgeBase, Observed::Ours(facts)) =
                    (layer, &mut state.observed.knowledge_base)
                {
                    facts.status = "CREATING".into();
                }
            }
            let needs_arn = desired.role.as_ref().is_some_and(|role| role.store.handle.is_none());
            let reason = match layer {
                Layer::Role if needs_arn => Reason::WaitingForVectorStore,
                _ if was_there => Reason::Updating,
                _ => Reason::Creating,
            };
            Ok(Progress::waiting(reason, format!("The {layer} is on its way")))
        }
        .boxed()
    }

    fn tag<'a>(
        &'a self,
        _: &'a Identity,
        layer: Layer,
        _: &'a Observation,
        tags: &'a Tags,
    ) -> Answer<'a, ()> {
        async move {
            let state = tags.get("tenantry.dev/state").cloned().unwrap_or_default();
            match self.change(&format!("tag {state}"), layer) {
                Err(Err(fault)) => Err(fault),
                _ => Ok(()),
            }
        }
        .boxed()
    }

    fn teardown<'a>(
        &'a self,
        _: &'a Identity,
        layer: Layer,
        _: &'a Observation,
        _: &'a Hints,
    ) -> Answer<'a, Progress> {
        async move {
            if let Err(answer) = self.change("teardown", layer) {
                return answer;
            }
            ideal::teardown(layer, &mut self.0.lock().observed);
            Ok(Progress::Done)
        }
        .boxed()
    }

    fn existing_key<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<OldTag>, Unusable>> {
        async move {
            let mut state = self.0.lock();
            state.journal.push("look at the key".into());
            match &state.existing_key {
                None => Ok(None),
                Some(unusable) => Err(unusable.clone()),
            }
        }
        .boxed()
    }
}

/// What is there as its tags say whose it is.
fn judged<T: Clone>(
    id: &Identity,
    seen: &Observed<T>,
    tags: impl FnOnce(&T) -> Option<&Tags>,
) -> Observed<T> {
    match seen {
        Observed::Ours(facts) => match tags(facts) {
            Some(tags) => Observed::by_tags(id, || "something".into(), tags, facts.clone()),
            None => seen.clone(),
        },
        other => other.clone(),
    }
}

/// One object, its memory and its status, and AWS around it.
struct Object {
    sample: Sample,
    aws: InMemory,
    memory: Memory,
    status: Status,
    generation: i64,
    approved: Option<String>,
    no_room: Option<Blocked>,
    read_only: bool,
    clock: Clock,
}

/// Minutes go by in microseconds: whatever is waited for is over.
fn later() -> Clock {
    Clock::new(1_000_000_000)
}

impl Object {
    /// An object of which nothing is built.
    fn new(sample: Sample) -> Self {
        Self {
            sample,
            aws: InMemory::default(),
            memory: Memory::default(),
            status: Status::default(),
            generation: 1,
            approved: None,
            no_room: None,
            read_only: false,
            clock: Clock::new(1),
        }
    }

    /// One of the samples, by its name.
    fn named(name: &str) -> Self {
        let mut samples = ideal::samples().into_iter().chain(ideal::on_s3_vectors());
        Self::new(samples.find(|sample| sample.name == name).unwrap())
    }

    /// One of which everything is built, seen and told.
    async fn built(name: &str) -> Self {
        let mut object = Self::named(name);
        object.aws.0.lock().observed = object.sample.built();
        object.pass().await;
        assert!(object.is_ready(), "{:?}", object.status.conditions);
        object.calls();
        object
    }

    fn stack(&self) -> Stack<'_> {
        Stack {
            id: &self.sample.id,
            column: self.sample.column,
            offer: self.sample.offer.as_ref(),
            status: &self.status,
            creates_key: self.sample.creates_key(),
            approved: self.approved.as_deref(),
            no_room: self.no_room.as_ref(),
            store: None,
            blueprint: self.sample.blueprint(),
        }
    }

    fn world(&self) -> World<'_> {
        let resync_after = std::time::Duration::from_secs(540);
        World { layers: &self.aws, clock: self.clock, resync_after, read_only: self.read_only }
    }

    /// One step of each layer, and the status that follows from it.
    async fn pass(&mut self) -> Passed {
        let mut memory = self.memory.clone();
        let passed = match survey(&self.world(), &self.stack(), &mut memory, self.generation).await {
            Ok(survey) => {
                carry_out(&self.world(), &self.stack(), &mut memory, survey, &mut Asked::default()).await
            }
            Err(passed) => passed,
        };
        self.told(memory, passed)
    }

    /// A whole pass: all steps that can follow one another.
    async fn pass_on(&mut self) -> Passed {
        let mut memory = self.memory.clone();
        let passed = match survey(&self.world(), &self.stack(), &mut memory, self.generation).await {
            Ok(survey) => carry_on(&self.world(), &self.stack(), &mut memory, self.generation, survey).await,
            Err(passed) => passed,
        };
        self.told(memory, passed)
    }

    fn told(&mut self, memory: Memory, passed: Passed) -> Passed {
        let mut status = self.status.clone();
        offer_status::approve_loss(&mut status, &passed.news.approved_loss);
        let desired = self.stack().desired(&memory.observed);
        offer_status::owned(&mut status, &desired, &memory.observed, &passed.layers);
        let report =
            Report { outcome: passed.outcome.clone(), layers: passed.layers.clone(), ..Report::default() };
        status.conditions = report.conditions(&status.conditions, self.generation, &clock::now());
        (self.memory, self.status) = (memory, status);
        passed
    }

    /// Passes until it is ready, and what each of them changed.
    async fn until_ready(&mut self) -> Vec<Vec<Layer>> {
        let mut changes = Vec::new();
        for _ in 0..20 {
            self.pass().await;
            if self.is_ready() && !self.status.is_true(ConditionType::Reconciling) {
                return changes;
            }
            changes.push(self.ensured());
        }
        panic!("not ready after 20 passes: {:?}", self.status.conditions);
    }

    fn is_ready(&self) -> bool {
        self.status.is_true(ConditionType::Ready)
    }

    /// The calls since this was asked last.
    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.aws.0.lock().journal)
    }

    /// The layers that were looked at, changed or taken apart since this was asked last.
    fn layers_of(&self, verb: &str) -> Vec<Layer> {
        let calls = self.calls();
        let layer = |call: &String| {
            let name = call.strip_prefix(verb)?.trim_start();
            Layer::ALL.into_iter().find(|layer| format!("{layer:?}") == name)
        };
        calls.iter().filter_map(layer).collect()
    }

    fn ensured(&self) -> Vec<Layer> {
        self.layers_of("ensure")
    }

    /// Does something to AWS.
    fn aws(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.aws.0.lock());
    }
}

fn fault(class: Class) -> Fault {
    Fault {
        class,
        service: "s3",
        operation: "PutBucketPolicy",
        resource: "bucket b".into(),
        code: format!("{class:?}"),
        message: "AWS says no".into(),
        request_id: None,
    }
}

fn foreign() -> Foreign {
    Foreign { resource: "bucket b".into(), claim: OwnershipClaim::Foreign }
}

/// What is reported of one layer.
/// Why a stack cannot go on.
fn blocked(passed: &Passed) -> Option<Reason> {
    match &passed.outcome {
        Outcome::Blocked { why, .. } => Some(why.reason),
        _ => None,
    }
}

fn status_of(passed: &Passed, layer: Layer) -> &LayerStatus {
    passed.layers.get(layer).as_ref().unwrap_or_else(|| panic!("nothing is said of the {layer}"))
}
