//! Effects, one file a layer, each with the same three verbs: `look` reads what AWS has, `ensure` brings it one step
//! closer to what is wanted, `teardown` takes it one step further apart. All three may be called at any point of an
//! earlier, interrupted run.

pub(crate) mod bucket;
pub(crate) mod existing_key;
pub(crate) mod hints;
pub(crate) mod key;
pub(crate) mod knowledge_base;
pub(crate) mod opensearch;
pub(crate) mod role;
pub(crate) mod s3_vectors;
pub(crate) mod store;

pub use crate::stack::model::observed::LayerObservation;
pub use hints::Hints;
pub(crate) use opensearch::data_access;

use futures::FutureExt;
use futures::future::BoxFuture;

use self::existing_key::{OldTag, Unusable};
use crate::api::{Layer, Reason};
use crate::aws::{Aws, Tags};
use crate::stack::fault::{Class, Fault};
use crate::stack::identity::Identity;
use crate::stack::model::desired::Desired;
use crate::stack::model::diff::carries;
use crate::stack::model::observed::Observation;
use crate::stack::model::progress::{Cadence, Progress};

/// What a verb answers, once it has.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Fault>>;

/// The verbs of all layers, and a look at a key that is somebody's own. AWS answers, or in tests a stack in memory.
pub trait Layers: Sync {
    /// Reads one layer.
    fn look<'a>(&'a self, id: &'a Identity, layer: Layer, hints: &'a Hints) -> Answer<'a, LayerObservation>;

    /// Reads how far AWS is with a layer that it is making, by one call if there is one that says it; all else of it is as it
    /// was observed.
    fn look_how_far<'a>(
        &'a self,
        id: &'a Identity,
        layer: Layer,
        hints: &'a Hints,
        _: &'a Observation,
    ) -> Answer<'a, LayerObservation> {
        self.look(id, layer, hints)
    }

    /// Brings one owned layer a step closer to what is wanted.
    fn ensure<'a>(
        &'a self,
        id: &'a Identity,
        layer: Layer,
        want: &'a Desired,
        observed: &'a Observation,
    ) -> Answer<'a, Progress>;

    /// Writes tags on what is there of one layer and ours. Idempotent.
    fn tag<'a>(
        &'a self,
        id: &'a Identity,
        layer: Layer,
        observed: &'a Observation,
        tags: &'a Tags,
    ) -> Answer<'a, ()>;

    /// Takes one owned layer a step further apart; Done once nothing of ours is left of it.
    fn teardown<'a>(
        &'a self,
        id: &'a Identity,
        layer: Layer,
        observed: &'a Observation,
        hints: &'a Hints,
    ) -> Answer<'a, Progress>;

    /// Whether a key that is somebody's own can still be used, or why not; and its tag, if that is of an older release.
    fn existing_key<'a>(&'a self, arn: &'a str) -> BoxFuture<'a, Result<Option<OldTag>, Unusable>>;
}

impl Layers for Aws {
    fn look<'a>(&'a self, id: &'a Identity, layer: Layer, hints: &'a Hints) -> Answer<'a, LayerObservation> {
        async move {
            Ok(match layer {
                Layer::Key => LayerObservation::Key(key::look(self, id, hints).await?),
                Layer::Bucket => {
                    LayerObservation::Bucket(bucket::look(self, id, hints.bucket.as_deref()).await?)
                }
                Layer::VectorStore => LayerObservation::VectorStore(store::look(self, id, hints).await?),
                Layer::Index => match store::look_at_index(self, id, hints).await {
                    // Reason to say so and to go on with all else, such as the network policy that may be the cause.
                    Err(fault) if fault.class == Class::Unreachable => LayerObservation::IndexHidden(fault),
                    seen => LayerObservation::Index(seen?),
                },
                Layer::Role => LayerObservation::Role(role::look(self, id, hints.store_kind).await?),
                Layer::KnowledgeBase => LayerObservation::KnowledgeBase(
                    knowledge_base::look(
                        self,
                        id,
                        hints.knowledge_base_id.as_deref(),
                        hints.data_source_id.as_deref(),
                    )
                    .await?,
                ),
            })
        }
        .boxed()
    }

    fn look_how_far<'a>(
        &'a self,
        id: &'a Identity,
        layer: Layer,
        hints: &'a Hints,
        observed: &'a Observation,
    ) -> Answer<'a, LayerObservation> {
        async move {
            let seen = match (layer, observed.vector_store.ours(), observed.knowledge_base.ours()) {
                (Layer::VectorStore, Some(facts), _) => {
                    store::look_how_far(self, id, facts).await?.map(LayerObservation::VectorStore)
                }
                (Layer::KnowledgeBase, _, Some(facts)) => {
                    knowledge_base::look_how_far(self, facts).await?.map(LayerObservation::KnowledgeBase)
                }
                _ => None,
            };
            match seen {
                Some(seen) => Ok(seen),
                // It is another than it was: nothing that was observed holds.
                None => self.look(id, layer, hints).await,
            }
        }
        .boxed()
    }

    fn ensure<'a>(
        &'a self,
        id: &'a Identity,
        layer: Layer,
        want: &'a Desired,
        observed: &'a Observation,
    ) -> Answer<'a, Progress> {
        async move {
            let done = match layer {
                Layer::Key => match &want.key {
                    Some(want) => key::ensure(self, id, want, &observed.key).await,
                    None => Ok(Progress::Done),
                },
                Layer::Bucket => match &want.bucket {
                    Some(want) => bucket::ensure(self, id, want, &observed.bucket).await,
                    None => Ok(Progress::Done),
                },
                Layer::VectorStore => match &want.vector_store {
                    Some(want) => store::ensure(self, want, &observed.vector_store).await,
                    None => Ok(Progress::Done),
                },
                Layer::Index => match &want.index {
                    Some(want) => store::ensure_index(self, want, &observed.index).await,
                    None => Ok(Progress::Done),
                },
                Layer::Role => match &want.role {
                    Some(want) => role::ensure(self, id, want, &observed.role).await,
                    None => Ok(Progress::Done),
                },
                Layer::KnowledgeBase => match &want.knowledge_base {
                    Some(want) => knowledge_base::ensure(self, id, want, &observed.knowledge_base).await,
                    None => Ok(Progress::Done),
                },
            };
            waiting_is_no_fault(done)
        }
        .boxed()
    }

    fn tag<'a>(
        &'a self,
        id: &'a Identity,
        layer: Layer,
        observed: &'a Observation,
        tags: &'a Tags,
    ) -> Answer<'a, ()> {
        async move {
            match layer {
                Layer::Key => match observed.key.ours().filter(|facts| !carries(&facts.tags, tags)) {
                    Some(facts) => key::tag(self, facts, tags).await,
                    None => Ok(()),
                },
                Layer::Bucket => match observed.bucket.ours().filter(|facts| !carries(&facts.tags, tags)) {
                    Some(facts) => bucket::tag(self, id, facts, tags).await,
                    None => Ok(()),
                },
                Layer::VectorStore => match observed.vector_store.ours() {
                    Some(facts) => store::tag(self, id, facts, tags).await,
                    None => Ok(()),
                },
                Layer::Index => match observed.index.ours() {
                    Some(facts) => store::tag_index(self, facts, tags).await,
                    None => Ok(()),
                },
                Layer::Role => match observed.role.ours() {
                    Some(facts) => role::tag(self, id, facts, tags).await,
                    None => Ok(()),
                },
                Layer::KnowledgeBase => {
                    match observed.knowledge_base.ours().filter(|facts| !carries(&facts.tags, tags)) {
                        Some(facts) => knowledge_base::tag(self, facts, tags).await,
                        None => Ok(()),
                    }
                }
            }
        }
        .boxed()
    }

    fn teardown<'a>(
        &'a self,
        id: &'a Identity,
        layer: Layer,
        observed: &'a Observation,
        hints: &'a Hints,
    ) -> Answer<'a, Progress> {
        async move {
            waiting_is_no_fault(match layer {
                Layer::Key => key::teardown(self, id, &observed.key).await,
                Layer::Bucket => bucket::teardown(self, id, &observed.bucket).await,
                Layer::VectorStore => store::teardown(self, id, &observed.vector_store).await,
                Layer::Index => store::teardown_index(self, id, hints, &observed.index).await,
                Layer::Role => role::teardown(self, id, &observed.role).await,
                Layer::KnowledgeBase => knowledge_base::teardown(self, &observed.knowledge_base).await,
            })
        }
        .boxed()
    }

    fn existing_key<'a>(&'a self, arn: &'a str) -> BoxFuture<'a, Result<Option<OldTag>, Unusable>> {
        existing_key::can_be_used(&self.keys, arn).boxed()
    }
}

/// AWS's races are waiting, not failing; and what somebody made or removed meanwhile is looked at again.
fn waiting_is_no_fault(result: Result<Progress, Fault>) -> Result<Progress, Fault> {
    match result {
        Err(fault) if matches!(fault.class, Class::NotYet | Class::Conflict | Class::NotFound) => {
            let cadence = if fault.class == Class::NotYet { Cadence::Probe } else { Cadence::Race };
            Ok(Progress::Waiting { reason: Reason::NotYet, message: fault.to_string(), cadence })
        }
        other => other,
    }
}
