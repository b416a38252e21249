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

pub use hints::Hints;

use futures::FutureExt;
use futures::future::BoxFuture;

use self::opensearch::{collection, index};
use crate::api::{Layer, Reason};
use crate::aws::{Aws, Tags};
use crate::stack::fault::{Class, Fault};
use crate::stack::identity::Identity;
use crate::stack::model::blocked::Blocked;
use crate::stack::model::desired::Want;
use crate::stack::model::diff::carries;
use crate::stack::model::observed::{
    BucketFacts, CollectionFacts, IndexFacts, KeyFacts, KnowledgeBaseFacts, RoleFacts, Seen, Sight,
};
use crate::stack::model::progress::{Cadence, Progress};

/// The verbs of all layers, and a look at a key that is somebody's own. AWS answers, or in tests a stack in memory.
pub trait Layers: Sync {
    /// See [`look`].
    fn look<'a>(
        &'a self,
        id: &'a Identity,
        layer: Layer,
        hints: &'a Hints,
    ) -> BoxFuture<'a, Result<Glance, Fault>>;

    /// See [`ensure`].
    fn ensure<'a>(
        &'a self,
        id: &'a Identity,
        layer: Layer,
        want: &'a Want,
        sight: &'a Sight,
    ) -> BoxFuture<'a, Result<Progress, Fault>>;

    /// See [`tag`].
    fn tag<'a>(
        &'a self,
        id: &'a Identity,
        layer: Layer,
        sight: &'a Sight,
        tags: &'a Tags,
    ) -> BoxFuture<'a, Result<(), Fault>>;

    /// See [`teardown`].
    fn teardown<'a>(
        &'a self,
        id: &'a Identity,
        layer: Layer,
        sight: &'a Sight,
        hints: &'a Hints,
    ) -> BoxFuture<'a, Result<Progress, Fault>>;

    /// See [`existing_key::can_be_used`].
    fn existing_key<'a>(&'a self, arn: &'a str) -> BoxFuture<'a, Result<Result<(), Blocked>, Fault>>;
}

impl Layers for Aws {
    fn look<'a>(
        &'a self,
        id: &'a Identity,
        layer: Layer,
        hints: &'a Hints,
    ) -> BoxFuture<'a, Result<Glance, Fault>> {
        look(self, id, layer, hints).boxed()
    }

    fn ensure<'a>(
        &'a self,
        id: &'a Identity,
        layer: Layer,
        want: &'a Want,
        sight: &'a Sight,
    ) -> BoxFuture<'a, Result<Progress, Fault>> {
        ensure(self, id, layer, want, sight).boxed()
    }

    fn tag<'a>(
        &'a self,
        id: &'a Identity,
        layer: Layer,
        sight: &'a Sight,
        tags: &'a Tags,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        tag(self, id, layer, sight, tags).boxed()
    }

    fn teardown<'a>(
        &'a self,
        id: &'a Identity,
        layer: Layer,
        sight: &'a Sight,
        hints: &'a Hints,
    ) -> BoxFuture<'a, Result<Progress, Fault>> {
        teardown(self, id, layer, sight, hints).boxed()
    }

    fn existing_key<'a>(&'a self, arn: &'a str) -> BoxFuture<'a, Result<Result<(), Blocked>, Fault>> {
        existing_key::can_be_used(&self.keys, arn).boxed()
    }
}

/// Reads one layer.
pub async fn look(aws: &Aws, id: &Identity, layer: Layer, hints: &Hints) -> Result<Glance, Fault> {
    Ok(match layer {
        Layer::Key => Glance::Key(key::look(aws, id, hints.creates_key).await?),
        Layer::Bucket => Glance::Bucket(bucket::look(aws, id, hints.bucket.as_deref()).await?),
        Layer::Collection => Glance::Collection(collection::look(aws, id).await?),
        Layer::Index => match index::look(aws, id, hints).await {
            // Reason to say so and to go on with all else, such as the network policy that may be the cause.
            Err(fault) if fault.class == Class::Unreachable => Glance::IndexHidden(fault),
            seen => Glance::Index(seen?),
        },
        Layer::Role => Glance::Role(role::look(aws, id).await?),
        Layer::KnowledgeBase => {
            Glance::KnowledgeBase(knowledge_base::look(aws, id, hints.knowledge_base_id.as_deref()).await?)
        }
    })
}

/// One layer, looked at.
pub enum Glance {
    /// See [`key::look`].
    Key(Seen<KeyFacts>),
    /// See [`bucket::look`].
    Bucket(Seen<BucketFacts>),
    /// See [`collection::look`].
    Collection(Seen<CollectionFacts>),
    /// See [`index::look`].
    Index(Seen<IndexFacts>),
    /// It may be where there is no way to.
    IndexHidden(Fault),
    /// See [`role::look`].
    Role(Seen<RoleFacts>),
    /// See [`knowledge_base::look`].
    KnowledgeBase(Seen<KnowledgeBaseFacts>),
}

impl Sight {
    /// Puts one layer's look in its place.
    pub fn put(&mut self, glance: Glance) {
        match glance {
            Glance::Key(seen) => self.key = seen,
            Glance::Bucket(seen) => self.bucket = seen,
            Glance::Collection(seen) => self.collection = seen,
            Glance::Index(seen) => (self.index, self.index_hidden) = (seen, None),
            Glance::IndexHidden(fault) => {
                self.index = Seen::Absent;
                self.index_known = false;
                self.index_hidden = Some(fault);
            }
            Glance::Role(seen) => self.role = seen,
            Glance::KnowledgeBase(seen) => self.knowledge_base = seen,
        }
    }
}

/// Brings one owned layer a step closer to what is wanted.
pub async fn ensure(
    aws: &Aws,
    id: &Identity,
    layer: Layer,
    want: &Want,
    sight: &Sight,
) -> Result<Progress, Fault> {
    let done = match layer {
        Layer::Key => match &want.key {
            Some(want) => key::ensure(aws, id, want, &sight.key).await,
            None => Ok(Progress::Done),
        },
        Layer::Bucket => match &want.bucket {
            Some(want) => bucket::ensure(aws, id, want, &sight.bucket).await,
            None => Ok(Progress::Done),
        },
        Layer::Collection => match &want.collection {
            Some(want) => collection::ensure(aws, want, &sight.collection).await,
            None => Ok(Progress::Done),
        },
        Layer::Index => match &want.index {
            Some(want) => index::ensure(aws, want, &sight.index).await,
            None => Ok(Progress::Done),
        },
        Layer::Role => match &want.role {
            Some(want) => role::ensure(aws, id, want, &sight.role).await,
            None => Ok(Progress::Done),
        },
        Layer::KnowledgeBase => match &want.knowledge_base {
            Some(want) => knowledge_base::ensure(aws, id, want, &sight.knowledge_base).await,
            None => Ok(Progress::Done),
        },
    };
    waiting_is_no_fault(done)
}

/// Writes tags on what is there of one layer and ours. Once more is once.
pub async fn tag(aws: &Aws, id: &Identity, layer: Layer, sight: &Sight, tags: &Tags) -> Result<(), Fault> {
    match layer {
        Layer::Key => match sight.key.ours().filter(|facts| !carries(&facts.tags, tags)) {
            Some(facts) => key::tag(aws, facts, tags).await,
            None => Ok(()),
        },
        Layer::Bucket => match sight.bucket.ours().filter(|facts| !carries(&facts.tags, tags)) {
            Some(facts) => bucket::tag(aws, id, facts, tags).await,
            None => Ok(()),
        },
        Layer::Collection => match sight.collection.ours() {
            Some(facts) => collection::tag(aws, &id.name(layer), facts, tags).await,
            None => Ok(()),
        },
        // It belongs to the data access policy of its name, which is the role's.
        Layer::Index => Ok(()),
        Layer::Role => match sight.role.ours() {
            Some(facts) => role::tag(aws, id, facts, tags).await,
            None => Ok(()),
        },
        Layer::KnowledgeBase => {
            match sight.knowledge_base.ours().filter(|facts| !carries(&facts.tags, tags)) {
                Some(facts) => knowledge_base::tag(aws, facts, tags).await,
                None => Ok(()),
            }
        }
    }
}

/// Takes one owned layer a step further apart; Done once nothing of ours is left of it.
pub async fn teardown(
    aws: &Aws,
    id: &Identity,
    layer: Layer,
    sight: &Sight,
    hints: &Hints,
) -> Result<Progress, Fault> {
    waiting_is_no_fault(match layer {
        Layer::Key => key::teardown(aws, id, &sight.key).await,
        Layer::Bucket => bucket::teardown(aws, id, &sight.bucket).await,
        Layer::Collection => collection::teardown(aws, id, &sight.collection).await,
        Layer::Index => index::teardown(aws, id, hints, &sight.index).await,
        Layer::Role => role::teardown(aws, id, &sight.role).await,
        Layer::KnowledgeBase => knowledge_base::teardown(aws, &sight.knowledge_base).await,
    })
}

/// AWS's races are waiting, not failing; and what somebody made or removed meanwhile is looked at again.
fn waiting_is_no_fault(result: Result<Progress, Fault>) -> Result<Progress, Fault> {
    match result {
        Err(fault) if matches!(fault.class, Class::NotYet | Class::Conflict | Class::NotFound) => {
            Ok(Progress::Waiting {
                reason: Reason::NotYet,
                message: fault.to_string(),
                cadence: Cadence::Probe,
            })
        }
        other => other,
    }
}
