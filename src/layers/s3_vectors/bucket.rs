//! The vector bucket with its policy. All of it is there when AWS answers.

use crate::api::{Layer, Reason};
use crate::aws::{Aws, Tags};
use crate::stack::compare::carries;
use crate::stack::fault::{Class, Fault};
use crate::stack::identity::Identity;
use crate::stack::model::observed::Observed;
use crate::stack::model::progress::{Cadence, Progress};
use crate::stack::store::s3_vectors::vector_bucket::{
    DesiredVectorBucket, VectorBucketChange, VectorBucketFacts,
};

/// Reads the bucket of our name, its tags and its policy.
pub async fn look(aws: &Aws, id: &Identity) -> Result<Observed<VectorBucketFacts>, Fault> {
    let name = id.name(Layer::VectorStore);
    let Some(detail) = aws.vector_buckets.find(&name).await? else { return Ok(Observed::Absent) };
    let tags = detail.tags.clone();
    let facts = VectorBucketFacts { detail: Some(detail) };
    Ok(Observed::by_tags(id, || format!("vector bucket {name}"), &tags, facts))
}

/// Creates the bucket with its tags and its key, or works off what differs. Its policy is there before an index is.
pub async fn ensure(
    aws: &Aws,
    want: &DesiredVectorBucket,
    facts: &VectorBucketFacts,
) -> Result<Progress, Fault> {
    let (buckets, name) = (&aws.vector_buckets, &want.name);
    for change in want.changes(facts) {
        match change {
            VectorBucketChange::Create => buckets.create(name, want.key_arn.as_deref(), &want.tags).await?,
            VectorBucketChange::Policy => buckets.put_policy(name, &want.policy).await?,
            VectorBucketChange::Mode => buckets.put_mode(name).await?,
            VectorBucketChange::Tags => tag(aws, facts, &want.tags).await?,
        }
    }
    Ok(Progress::under_way(facts.detail.is_some(), &format!("Vector bucket {name}")))
}

/// Writes the tags.
pub async fn tag(aws: &Aws, facts: &VectorBucketFacts, tags: &Tags) -> Result<(), Fault> {
    match &facts.detail {
        Some(detail) if !carries(&detail.tags, tags) => aws.vector_buckets.tag(&detail.arn, tags).await,
        _ => Ok(()),
    }
}

/// Deletes it. One that still has an index, which is somebody else's, is refused, and waits.
pub async fn teardown(aws: &Aws, id: &Identity, facts: &VectorBucketFacts) -> Result<Progress, Fault> {
    if let Some(detail) = &facts.detail {
        tracing::info!(
            vector_bucket = detail.arn,
            owner = id.owner_tag(),
            uid = id.uid,
            "deleting the vector bucket"
        );
        let name = id.name(Layer::VectorStore);
        match aws.vector_buckets.delete(&name).await {
            Err(fault) if matches!(fault.class, Class::NotYet | Class::Conflict) => {
                let message = format!(
                    "{fault}. If it stays so, the vector bucket has an index of somebody else's, and is not deleted while it \
                     has one: list it with `aws s3vectors list-indexes --vector-bucket-name {name}`, and remove it, if it is \
                     yours to remove"
                );
                return Ok(Progress::Waiting { reason: Reason::NotYet, message, cadence: Cadence::Probe });
            }
            deleted => deleted?,
        }
    }
    Ok(Progress::Done)
}
