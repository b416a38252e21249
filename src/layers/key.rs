//! The customer key, where one is to be created. Created keys are the only ones ever scheduled for deletion.

use crate::api::{Layer, Reason};
use crate::aws::{Aws, Tags};
use crate::layers::{Hints, existing_key};
use crate::stack::fault::Fault;
use crate::stack::iam::grant::DELETION_WINDOW_DAYS;
use crate::stack::identity::Identity;
use crate::stack::model::desired::DesiredKey;
use crate::stack::model::diff::{self, KeyChange};
use crate::stack::model::observed::{KeyFacts, Observed};
use crate::stack::model::policy;
use crate::stack::model::progress::Progress;

/// Finds the key by its alias, or, if one is to be created, by its tags: a process may have died between creating the
/// two, or somebody may have pointed the alias elsewhere. Of one to be created, what its policy says to the vector store, too.
pub async fn look(aws: &Aws, id: &Identity, hints: &Hints) -> Result<Observed<KeyFacts>, Fault> {
    let mut seen = find(aws, id, hints.creates_key).await?;
    if let (true, Observed::Ours(facts)) = (hints.creates_key, &mut seen) {
        // An earlier object may have had it made for another store, and somebody may have changed it since.
        facts.lets_store_in = existing_key::lets_store_in(&aws.keys, &facts.arn, hints.store_kind).await?;
    }
    Ok(seen)
}

async fn find(aws: &Aws, id: &Identity, creates_key: bool) -> Result<Observed<KeyFacts>, Fault> {
    let name = id.name(Layer::Key);
    let behind_alias = match aws.keys.find(&name).await? {
        Some(facts) => Observed::by_tags(id, || format!("KMS key {}", facts.arn), &facts.tags, facts.clone()),
        None => Observed::Absent,
    };
    if !creates_key || matches!(behind_alias, Observed::Ours(_)) {
        return Ok(behind_alias);
    }
    Ok(match (aws.keys.find_by_tags(&id.tags()).await?, behind_alias) {
        (Some(facts), behind_alias) => {
            Observed::Ours(KeyFacts { foreign: behind_alias.foreign().cloned(), ..facts })
        }
        (None, behind_alias) => behind_alias,
    })
}

/// Creates the key with its alias, or makes the first change that is due: the next look shows what came of it.
pub async fn ensure(
    aws: &Aws,
    id: &Identity,
    want: &DesiredKey,
    seen: &Observed<KeyFacts>,
) -> Result<Progress, Fault> {
    let Some(facts) = seen.ours() else {
        let arn = aws.keys.create(&policy::key(&id.scope, want.store), &id.owner_tag(), &want.tags).await?;
        aws.keys.put_alias(&want.name, &arn).await?;
        return Ok(Progress::waiting(Reason::Creating, format!("KMS key {arn} was created")));
    };
    let KeyFacts { arn, state, .. } = facts;
    if let Some(why) = diff::unusable(arn, state) {
        return Ok(Progress::unusable(why));
    }
    Ok(match diff::key(want, facts).first() {
        None => Progress::Done,
        Some(KeyChange::Tags) => {
            tag(aws, facts, &want.tags).await?;
            Progress::waiting(Reason::Updating, format!("KMS key {arn} got its tags"))
        }
        Some(KeyChange::Alias) => {
            aws.keys.put_alias(&want.name, arn).await?;
            Progress::waiting(Reason::Updating, format!("KMS key {arn} got its alias"))
        }
        Some(KeyChange::NotEnabled) => Progress::waiting(Reason::NotYet, format!("KMS key {arn} is {state}")),
        Some(KeyChange::ShutsStoreOut) => {
            diff::shuts_store_out(&id.scope, want, arn).map_or(Progress::Done, Progress::unusable)
        }
    })
}

/// Writes the tags.
pub async fn tag(aws: &Aws, facts: &KeyFacts, tags: &Tags) -> Result<(), Fault> {
    aws.keys.tag(&facts.arn, tags).await
}

/// Schedules the deletion, then removes the alias: in that order, or a crash between them would leave a key that
/// nobody finds again.
pub async fn teardown(aws: &Aws, id: &Identity, seen: &Observed<KeyFacts>) -> Result<Progress, Fault> {
    let Some(facts) = seen.ours() else {
        return Ok(Progress::Done);
    };
    if facts.state != "PendingDeletion" {
        tracing::info!(
            key = facts.arn,
            owner = id.owner_tag(),
            uid = id.uid,
            "scheduling the key's deletion"
        );
        aws.keys.schedule_deletion(&facts.arn, DELETION_WINDOW_DAYS).await?;
    }
    if facts.has_alias {
        aws.keys.delete_alias(&id.name(Layer::Key)).await?;
    }
    Ok(Progress::Done)
}
