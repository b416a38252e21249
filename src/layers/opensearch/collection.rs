//! The OpenSearch Serverless collection with the encryption and network policies of its name.

use super::policies::{self, describe, own_policy};
use crate::api::{Layer, Reason};
use crate::aws::{Aws, PolicyKind, Tags};
use crate::stack::fault::{Class, Fault};
use crate::stack::identity::Identity;
use crate::stack::model::diff::carries;
use crate::stack::model::observed::{Foreign, Observed, PolicyFacts};
use crate::stack::model::progress::Progress;
use crate::stack::store::opensearch;
use crate::stack::store::opensearch::collection::{
    CollectionChange, CollectionDetail, CollectionFacts, DesiredCollection,
};

/// Reads the collection and its policies; each must prove to be ours on its own. Under a collection that is somebody
/// else's, no policy is ours to change.
pub async fn look(aws: &Aws, id: &Identity) -> Result<Observed<CollectionFacts>, Fault> {
    let name = id.name(Layer::VectorStore);
    let (encryption, network, collection) = futures::try_join!(
        aws.policies.find(PolicyKind::Encryption, &name),
        aws.policies.find(PolicyKind::Network, &name),
        aws.collections.find(&name),
    )?;
    if encryption.is_none() && network.is_none() && collection.is_none() {
        return Ok(Observed::Absent);
    }
    if let Some(collection) = &collection {
        let claim = id.claim(&collection.tags);
        if !id.owns(&claim) {
            return Ok(Observed::Foreign(Foreign { resource: format!("collection {name}"), claim }));
        }
    }
    let mut foreign = None;
    let encryption = own_policy(id, "encryption policy", &name, encryption, &mut foreign);
    let network = own_policy(id, "network policy", &name, network, &mut foreign);
    Ok(Observed::Ours(CollectionFacts { encryption, network, collection, foreign }))
}

/// How far AWS is with this collection; nothing if all of it must be looked at.
pub async fn look_how_far(
    aws: &Aws,
    id: &Identity,
    facts: &CollectionFacts,
) -> Result<Option<CollectionFacts>, Fault> {
    let now = aws.collections.detail(&id.name(Layer::VectorStore)).await?;
    Ok(now.and_then(|now| still_being_made(facts, now)))
}

/// A collection as it is now, if it is the same and is still being made. Once it is made its tags count, and somebody may have
/// changed them.
fn still_being_made(facts: &CollectionFacts, now: CollectionDetail) -> Option<CollectionFacts> {
    let known = facts.collection.as_ref().filter(|known| known.arn == now.arn)?;
    let collection = CollectionDetail { tags: known.tags.clone(), ..now };
    collection.is_being_made().then(|| CollectionFacts { collection: Some(collection), ..facts.clone() })
}

/// Both policies first, because CreateCollection is refused without an encryption policy; then the collection; then
/// patience.
pub async fn ensure(aws: &Aws, want: &DesiredCollection, facts: &CollectionFacts) -> Result<Progress, Fault> {
    let name = &want.name;
    for change in want.changes(facts) {
        match change {
            CollectionChange::Encryption => put_encryption(aws, want, facts.encryption.as_ref()).await?,
            CollectionChange::Network => put_network(aws, want, facts.network.as_ref()).await?,
            CollectionChange::Tags => tag_itself(aws, facts, &want.tags).await?,
            CollectionChange::Create => {
                let (standby, description) =
                    (want.settings.standby_replicas, Identity::description(&want.tags));
                aws.collections.create(name, standby, &description, &want.tags).await?;
            }
            CollectionChange::NotActive => return Ok(not_active(facts)),
        }
    }
    Ok(match facts.collection {
        Some(_) => Progress::under_way(true, &format!("Collection {name}")),
        None => {
            let message = format!("Collection {name} is being created; this takes minutes");
            Progress::waiting(Reason::Creating, message)
        }
    })
}

/// Writes the tags on the collection, and into the descriptions of its policies, which have none.
pub async fn tag(aws: &Aws, name: &str, facts: &CollectionFacts, tags: &Tags) -> Result<(), Fault> {
    let policies = [(PolicyKind::Encryption, &facts.encryption), (PolicyKind::Network, &facts.network)];
    for (kind, policy) in policies {
        if let Some(policy) = policy {
            describe(aws, kind, name, policy, tags).await?;
        }
    }
    tag_itself(aws, facts, tags).await
}

async fn tag_itself(aws: &Aws, facts: &CollectionFacts, tags: &Tags) -> Result<(), Fault> {
    match &facts.collection {
        Some(detail) if !carries(&detail.tags, tags) => aws.collections.tag(&detail.arn, tags).await,
        _ => Ok(()),
    }
}

/// One that is there keeps its key. A conflict is not taken for done: a policy of another name with the same pattern
/// conflicts too, and under somebody else's the collection would get somebody else's key for good.
async fn put_encryption(
    aws: &Aws,
    want: &DesiredCollection,
    found: Option<&PolicyFacts>,
) -> Result<(), Fault> {
    let (kind, name) = (PolicyKind::Encryption, &want.name);
    if let Some(found) = found {
        return describe(aws, kind, name, found, &want.tags).await;
    }
    let document = opensearch::encryption(name, want.key_arn.as_deref());
    policies::put(aws, kind, name, &document, &want.tags, None).await
}

/// A policy that another call of ours made a moment ago is as good as made: the next look proves whose it is.
async fn put_network(aws: &Aws, want: &DesiredCollection, found: Option<&PolicyFacts>) -> Result<(), Fault> {
    let document = opensearch::network(&want.name, &want.settings.network);
    match policies::put(aws, PolicyKind::Network, &want.name, &document, &want.tags, found).await {
        Err(fault) if found.is_none() && fault.class == Class::Conflict => Ok(()),
        put => put,
    }
}

fn not_active(facts: &CollectionFacts) -> Progress {
    let Some(detail) = &facts.collection else {
        return Progress::Done;
    };
    let failure = detail.failure.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    let message = format!("Collection {} is {}{failure}", detail.arn, detail.status);
    match detail.status.as_str() {
        "FAILED" => Progress::failed(format!("{message}. Delete it, and the operator creates it again")),
        _ => Progress::waiting(Reason::Creating, message),
    }
}

/// The collection first, then, once it is gone, its policies.
pub async fn teardown(aws: &Aws, id: &Identity, facts: &CollectionFacts) -> Result<Progress, Fault> {
    let name = id.name(Layer::VectorStore);
    if let Some(detail) = &facts.collection {
        if detail.status != "DELETING" {
            tracing::info!(
                collection = detail.arn,
                owner = id.owner_tag(),
                uid = id.uid,
                "deleting the collection"
            );
            aws.collections.delete(&detail.id).await?;
        }
        return Ok(Progress::waiting(
            Reason::Deleting,
            format!("Collection {} is being deleted", detail.arn),
        ));
    }
    if facts.network.is_some() {
        aws.policies.delete(PolicyKind::Network, &name).await?;
    }
    if facts.encryption.is_some() {
        aws.policies.delete(PolicyKind::Encryption, &name).await?;
    }
    Ok(Progress::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::model::ideal;

    #[test]
    fn what_is_made_is_looked_at_whole() {
        let mut silo = ideal::samples().into_iter().find(|sample| sample.name == "silo").unwrap().built();
        let facts = ideal::found_collection(&mut silo);
        let made = facts.collection.clone().unwrap();
        let being_made = CollectionDetail { status: "CREATING".into(), ..made.clone() };
        facts.collection = Some(being_made.clone());
        let untold = |now: CollectionDetail| CollectionDetail { tags: Tags::default(), ..now };
        let another = CollectionDetail { arn: "another".into(), ..being_made.clone() };
        let failed = CollectionDetail { status: "FAILED".into(), ..made.clone() };
        assert_eq!(still_being_made(facts, untold(being_made)).as_ref(), Some(&*facts));
        for now in [made, failed, another] {
            assert_eq!(still_being_made(facts, untold(now)), None);
        }
    }
}
