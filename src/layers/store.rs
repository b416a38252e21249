//! The vector store and the index in it, by whatever store it is: the one `match` on that among the effects.

use super::Hints;
use super::opensearch::{collection, index};
use crate::api::{Layer, VectorStore};
use crate::aws::{Aws, Tags};
use crate::stack::fault::Fault;
use crate::stack::identity::Identity;
use crate::stack::model::desired::DesiredIndex;
use crate::stack::model::observed::{IndexFacts, Observed};
use crate::stack::model::progress::Progress;
use crate::stack::store::{DesiredStore, StoreFacts, StoreHandle};

/// A store that was found by its name, whosever it is.
pub struct Found {
    /// How one gets at it.
    pub handle: StoreHandle,
    /// Whether it answers calls about its indexes.
    pub is_active: bool,
    /// All its tags.
    pub tags: Tags,
}

/// The names of all stores of one kind that begin so.
pub async fn names(aws: &Aws, kind: VectorStore, prefix: &str) -> Result<Vec<String>, Fault> {
    match kind {
        VectorStore::OpenSearchServerless => aws.collections.names(prefix).await,
    }
}

/// The store of this name, of whatever kind it is.
pub async fn find(aws: &Aws, name: &str) -> Result<Option<Found>, Fault> {
    for kind in VectorStore::ALL {
        let found = match kind {
            VectorStore::OpenSearchServerless => aws.collections.find(name).await?.map(|it| Found {
                handle: it.handle().into(),
                is_active: it.is_active(),
                tags: it.tags,
            }),
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

pub async fn look(aws: &Aws, id: &Identity, hints: &Hints) -> Result<Observed<StoreFacts>, Fault> {
    match hints.store_kind {
        VectorStore::OpenSearchServerless => Ok(collection::look(aws, id).await?.map(StoreFacts::from)),
    }
}

/// How far AWS is with this store; nothing if all of it must be looked at.
pub async fn look_how_far(
    aws: &Aws,
    id: &Identity,
    facts: &StoreFacts,
) -> Result<Option<Observed<StoreFacts>>, Fault> {
    match facts {
        StoreFacts::OpenSearchServerless(facts) => {
            let now = collection::look_how_far(aws, id, facts).await?;
            Ok(now.map(|now| Observed::Ours(StoreFacts::from(now))))
        }
    }
}

pub async fn ensure(aws: &Aws, want: &DesiredStore, seen: &Observed<StoreFacts>) -> Result<Progress, Fault> {
    let nothing = StoreFacts::nothing(want.kind());
    match (want, seen.ours().unwrap_or(&nothing)) {
        (DesiredStore::OpenSearchServerless(want), StoreFacts::OpenSearchServerless(facts)) => {
            collection::ensure(aws, want, facts).await
        }
    }
}

pub async fn tag(aws: &Aws, id: &Identity, facts: &StoreFacts, tags: &Tags) -> Result<(), Fault> {
    match facts {
        StoreFacts::OpenSearchServerless(facts) => {
            collection::tag(aws, &id.name(Layer::VectorStore), facts, tags).await
        }
    }
}

pub async fn teardown(aws: &Aws, id: &Identity, seen: &Observed<StoreFacts>) -> Result<Progress, Fault> {
    match seen.ours() {
        Some(StoreFacts::OpenSearchServerless(facts)) => collection::teardown(aws, id, facts).await,
        None => Ok(Progress::Done),
    }
}

pub async fn look_at_index(aws: &Aws, id: &Identity, hints: &Hints) -> Result<Observed<IndexFacts>, Fault> {
    match hints.store_kind {
        VectorStore::OpenSearchServerless => index::look(aws, id, hints).await,
    }
}

pub async fn ensure_index(
    aws: &Aws,
    want: &DesiredIndex,
    seen: &Observed<IndexFacts>,
) -> Result<Progress, Fault> {
    match want.store.kind {
        VectorStore::OpenSearchServerless => index::ensure(aws, want, seen).await,
    }
}

pub async fn teardown_index(
    aws: &Aws,
    id: &Identity,
    hints: &Hints,
    seen: &Observed<IndexFacts>,
) -> Result<Progress, Fault> {
    match hints.store_kind {
        VectorStore::OpenSearchServerless => index::teardown(aws, id, hints, seen).await,
    }
}
