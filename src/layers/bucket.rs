//! The documents' bucket: private, owned outright, TLS only, closed to what could not be read, encrypted, versioned, with an
//! expiry per prefix.

use crate::api::{GROUP, Layer};
use crate::aws::{Aws, Tags};
use crate::documents::purge;
use crate::stack::fault::{Class, Fault};
use crate::stack::identity::{Identity, OwnershipClaim, RETAINED};
use crate::stack::layout;
use crate::stack::model::desired::DesiredBucket;
use crate::stack::model::diff::{self, BucketChange};
use crate::stack::model::observed::{BucketFacts, Foreign, Observed};
use crate::stack::model::policy;
use crate::stack::model::progress::Progress;

/// Reads the bucket of our name and all its settings. A bucket that another account owns answers 403 to HEAD, and so does
/// any bucket whose owner, or whose way there, does not let us: HEAD has no body that says which. So its tags are asked
/// for too. Of another account's bucket S3 says no more than AccessDenied; whatever else it says is the cause. One that was
/// ours, by `known`, is still ours.
pub async fn look(aws: &Aws, id: &Identity, known: Option<&str>) -> Result<Observed<BucketFacts>, Fault> {
    let name = id.name(Layer::Bucket);
    match aws.buckets.facts(&name).await {
        Ok(None) => Ok(Observed::Absent),
        Ok(Some(facts)) => {
            let tags = facts.tags.clone();
            Ok(Observed::by_tags(id, || format!("bucket {name}"), &tags, facts))
        }
        Err(fault)
            if fault.class == Class::Denied && fault.operation == "HeadBucket" && known != Some(&name) =>
        {
            match aws.buckets.tags(&name).await {
                Err(why) if why.is_mere_denial() => {
                    let resource = format!(
                        "bucket {name} (another account's; or {} is not allowed for the operator's role, or a policy of \
                         the VPC endpoint or the organization hides it: AWS gives no reason)",
                        fault.action()
                    );
                    Ok(Observed::Foreign(Foreign { resource, claim: OwnershipClaim::Foreign }))
                }
                Err(why) if why.class == Class::Denied => Err(why),
                _ => Err(fault),
            }
        }
        Err(fault) => Err(fault),
    }
}

/// Creates the bucket with its tags, or works off what differs.
pub async fn ensure(
    aws: &Aws,
    id: &Identity,
    want: &DesiredBucket,
    seen: &Observed<BucketFacts>,
) -> Result<Progress, Fault> {
    let fresh = diff::new_bucket(want);
    let facts = match seen.ours() {
        Some(facts) => facts,
        None => {
            aws.buckets.create(&want.name, &id.scope.region, &want.tags).await?;
            &fresh
        }
    };
    let name = &want.name;
    for change in diff::bucket(&id.scope, want, facts) {
        match change {
            BucketChange::Tags => tag(aws, id, facts, &want.tags).await?,
            BucketChange::PublicAccess => aws.buckets.put_public_access_block(name).await?,
            BucketChange::Ownership => aws.buckets.put_ownership_enforced(name).await?,
            BucketChange::Policy => aws.buckets.put_policy(name, &policy::bucket(&id.scope, want)).await?,
            BucketChange::Encryption => aws.buckets.put_encryption(name, want.key_arn.as_deref()).await?,
            BucketChange::Versioning => aws.buckets.put_versioning(name, diff::is_versioned(want)).await?,
            BucketChange::Lifecycle => aws.buckets.put_lifecycle(name, &diff::lifecycle(want)).await?,
        }
    }
    Ok(Progress::under_way(seen.ours().is_some(), &format!("Bucket {name}")))
}

/// Writes the tags beside what others have tagged it with: S3 replaces all of them at once.
///
/// What is looked after again needs no marker any more; the marker goes first, because the tag is what remembers it.
pub async fn tag(aws: &Aws, id: &Identity, facts: &BucketFacts, tags: &Tags) -> Result<(), Fault> {
    let state = |tags: &Tags| tags.get(&format!("{GROUP}/state")).cloned();
    if state(&facts.tags).as_deref() == Some(RETAINED) && state(tags).as_deref() != Some(RETAINED) {
        purge::all_versions(aws, &id.name(Layer::Bucket), &layout::marker_key(id)).await?;
    }
    let all = facts.tags.clone().into_iter().chain(tags.clone()).collect();
    aws.buckets.put_tags(&id.name(Layer::Bucket), &all).await
}

/// Empties the bucket, a bounded batch a call, then deletes it.
pub async fn teardown(aws: &Aws, id: &Identity, seen: &Observed<BucketFacts>) -> Result<Progress, Fault> {
    if seen.ours().is_none() {
        return Ok(Progress::Done);
    }
    let name = id.name(Layer::Bucket);
    let emptied = purge::all_versions(aws, &name, "").await?;
    if !emptied.is_done() {
        return Ok(emptied);
    }
    tracing::info!(bucket = name, owner = id.owner_tag(), uid = id.uid, "deleting the bucket");
    aws.buckets.delete(&name).await?;
    Ok(Progress::Done)
}
