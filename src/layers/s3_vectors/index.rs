//! The vector index. Its tags say whose it is. All of it is there when AWS answers, and but for its tags and its mode nothing of
//! it changes.

use crate::api::{Layer, Reason};
use crate::aws::{Aws, Tags};
use crate::layers::Hints;
use crate::stack::compare::carries;
use crate::stack::fault::Fault;
use crate::stack::identity::Identity;
use crate::stack::model::desired::DesiredIndex;
use crate::stack::model::diff::{self, IndexChange};
use crate::stack::model::observed::{IndexFacts, Observed};
use crate::stack::model::progress::Progress;
use crate::stack::store::StoreHandle;
use crate::stack::store::s3_vectors::{VectorBucketHandle, found_index};

/// Reads the index and its tags. Without a vector bucket there is none: of a bucket that is gone AWS says that the index is.
pub async fn look(aws: &Aws, id: &Identity, hints: &Hints) -> Result<Observed<IndexFacts>, Fault> {
    let Some(bucket) = bucket(hints.store.as_ref()) else { return Ok(Observed::Absent) };
    let name = id.name(Layer::Index);
    let Some(detail) = aws.vector_indexes.find(&bucket.index_arn(&name)).await? else {
        return Ok(Observed::Absent);
    };
    let tags = detail.tags.clone();
    let facts = IndexFacts {
        schema: found_index(&detail),
        tags: detail.tags,
        arn: Some(detail.arn),
        by_endpoint: false,
    };
    Ok(Observed::by_tags(id, || format!("index {name}"), &tags, facts))
}

/// Creates the index with its tags and its key, or works off what differs.
pub async fn ensure(aws: &Aws, want: &DesiredIndex, seen: &Observed<IndexFacts>) -> Result<Progress, Fault> {
    let Some(bucket) = bucket(want.store.handle.as_ref()) else {
        return Ok(Progress::waiting(Reason::WaitingForVectorStore, "The vector bucket is not there yet"));
    };
    let arn = bucket.index_arn(&want.name);
    match seen.ours() {
        Some(_) if want.rebuild => {
            aws.vector_indexes.delete(&arn).await?;
        }
        None => aws.vector_indexes.create(bucket, want).await?,
        Some(facts) => {
            for change in diff::index(want, facts, &Default::default()) {
                match change {
                    // No fields are declared.
                    IndexChange::Fields => {}
                    IndexChange::Mode => aws.vector_indexes.put_mode(&arn).await?,
                    IndexChange::Tags => tag(aws, facts, &want.tags).await?,
                }
            }
        }
    }
    Ok(Progress::under_way(seen.ours().is_some() && !want.rebuild, &format!("Index {}", want.name)))
}

/// Writes the tags.
pub async fn tag(aws: &Aws, facts: &IndexFacts, tags: &Tags) -> Result<(), Fault> {
    match &facts.arn {
        Some(arn) if !carries(&facts.tags, tags) => aws.vector_indexes.tag(arn, tags).await,
        _ => Ok(()),
    }
}

/// Deletes the index.
pub async fn teardown(
    aws: &Aws,
    id: &Identity,
    hints: &Hints,
    seen: &Observed<IndexFacts>,
) -> Result<Progress, Fault> {
    let (Some(_), Some(bucket)) = (seen.ours(), bucket(hints.store.as_ref())) else {
        return Ok(Progress::Done);
    };
    let arn = bucket.index_arn(&id.name(Layer::Index));
    tracing::info!(index = arn, owner = id.owner_tag(), uid = id.uid, "deleting the index");
    aws.vector_indexes.delete(&arn).await?;
    Ok(Progress::Done)
}

/// The vector bucket that holds the index.
fn bucket(store: Option<&StoreHandle>) -> Option<&VectorBucketHandle> {
    let StoreHandle::S3Vectors(bucket) = store? else { return None };
    Some(bucket)
}
