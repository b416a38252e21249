//! The vector store and the index in it, by whatever store it is: the one `match` on that among the effects.

use super::Hints;
use super::opensearch::{collection, index};
use super::s3_vectors;
use crate::api::{Layer, VectorStore};
use crate::aws::{Aws, Tags};
use crate::stack::fault::{Class, Fault};
use crate::stack::identity::{Identity, Scope};
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
        VectorStore::S3Vectors => aws.vector_buckets.names(prefix).await,
    }
}

/// The store of this name and kind.
pub async fn find(aws: &Aws, name: &str, kind: VectorStore) -> Result<Option<Found>, Fault> {
    Ok(match kind {
        VectorStore::OpenSearchServerless => aws.collections.find(name).await?.map(|it| Found {
            handle: it.handle().into(),
            is_active: it.is_active(),
            tags: it.tags,
        }),
        VectorStore::S3Vectors => aws.vector_buckets.detail(name).await?.map(|it| Found {
            handle: it.handle().into(),
            is_active: true,
            tags: it.tags,
        }),
    })
}

/// The store of this name, of whatever kind it is. An installation that has no store of one kind needs no right of it: where that
/// is missing, there is none, as long as another kind answers.
pub async fn find_any(aws: &Aws, name: &str) -> Result<Option<Found>, Fault> {
    let (mut answered, mut denied) = (false, None);
    for kind in VectorStore::ALL {
        match find(aws, name, kind).await {
            Ok(None) => answered = true,
            Err(fault) if fault.class == Class::Denied => denied = Some(fault),
            found => return found,
        }
    }
    match denied {
        Some(fault) if !answered => Err(fault),
        _ => Ok(None),
    }
}

/// The tags of an index in the store of this name, whosever it is, if there is one and indexes of such a store have tags.
pub async fn index_tags(
    aws: &Aws,
    scope: &Scope,
    kind: VectorStore,
    store: &str,
    index: &str,
) -> Result<Option<Tags>, Fault> {
    let Some(arn) = StoreHandle::named(kind, scope, store, "").index_arn(index) else { return Ok(None) };
    Ok(aws.vector_indexes.find(&arn).await?.map(|it| it.tags))
}

pub async fn look(aws: &Aws, id: &Identity, hints: &Hints) -> Result<Observed<StoreFacts>, Fault> {
    match hints.store_kind {
        VectorStore::OpenSearchServerless => Ok(collection::look(aws, id).await?.map(StoreFacts::from)),
        VectorStore::S3Vectors => Ok(s3_vectors::bucket::look(aws, id).await?.map(StoreFacts::from)),
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
        // Nothing of it is being made for long.
        StoreFacts::S3Vectors(_) => Ok(None),
    }
}

pub async fn ensure(aws: &Aws, want: &DesiredStore, seen: &Observed<StoreFacts>) -> Result<Progress, Fault> {
    let nothing = StoreFacts::nothing(want.kind());
    match (want, seen.ours().unwrap_or(&nothing)) {
        (DesiredStore::OpenSearchServerless(want), StoreFacts::OpenSearchServerless(facts)) => {
            collection::ensure(aws, want, facts).await
        }
        (DesiredStore::S3Vectors(want), StoreFacts::S3Vectors(facts)) => {
            s3_vectors::bucket::ensure(aws, want, facts).await
        }
        // An object keeps the store that it began with, and no other is looked for.
        (DesiredStore::OpenSearchServerless(_) | DesiredStore::S3Vectors(_), _) => Ok(Progress::Done),
    }
}

pub async fn tag(aws: &Aws, id: &Identity, facts: &StoreFacts, tags: &Tags) -> Result<(), Fault> {
    match facts {
        StoreFacts::OpenSearchServerless(facts) => {
            collection::tag(aws, &id.name(Layer::VectorStore), facts, tags).await
        }
        StoreFacts::S3Vectors(facts) => s3_vectors::bucket::tag(aws, facts, tags).await,
    }
}

pub async fn teardown(aws: &Aws, id: &Identity, seen: &Observed<StoreFacts>) -> Result<Progress, Fault> {
    match seen.ours() {
        Some(StoreFacts::OpenSearchServerless(facts)) => collection::teardown(aws, id, facts).await,
        Some(StoreFacts::S3Vectors(facts)) => s3_vectors::bucket::teardown(aws, id, facts).await,
        None => Ok(Progress::Done),
    }
}

pub async fn look_at_index(aws: &Aws, id: &Identity, hints: &Hints) -> Result<Observed<IndexFacts>, Fault> {
    match hints.store_kind {
        VectorStore::OpenSearchServerless => index::look(aws, id, hints).await,
        VectorStore::S3Vectors => s3_vectors::index::look(aws, id, hints).await,
    }
}

/// Writes tags on an index that has some. Another belongs to the data access policy of its name, which is the role's.
pub async fn tag_index(aws: &Aws, facts: &IndexFacts, tags: &Tags) -> Result<(), Fault> {
    s3_vectors::index::tag(aws, facts, tags).await
}

pub async fn ensure_index(
    aws: &Aws,
    want: &DesiredIndex,
    seen: &Observed<IndexFacts>,
) -> Result<Progress, Fault> {
    if want.rebuild && seen.ours().is_some() {
        tracing::warn!(
            index = want.name,
            "the index holds vectors of a knowledge base that is gone: it is created again"
        );
    }
    match want.store.kind {
        VectorStore::OpenSearchServerless => index::ensure(aws, want, seen).await,
        VectorStore::S3Vectors => s3_vectors::index::ensure(aws, want, seen).await,
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
        VectorStore::S3Vectors => s3_vectors::index::teardown(aws, id, hints, seen).await,
    }
}
