//! The customer key, where one is to be created. Created keys are the only ones ever scheduled for deletion.

use crate::api::{Layer, Reason};
use crate::aws::{Aws, Tags};
use crate::stack::fault::Fault;
use crate::stack::iam::grant::DELETION_WINDOW_DAYS;
use crate::stack::identity::Identity;
use crate::stack::model::desired::DesiredKey;
use crate::stack::model::diff::{carries, key_is_whole, unusable};
use crate::stack::model::observed::{KeyFacts, Observed};
use crate::stack::model::policy;
use crate::stack::model::progress::Progress;

/// Finds the key by its alias, or, if one is to be created, by its tags: a process may have died between creating the
/// two, or somebody may have pointed the alias elsewhere.
pub async fn look(aws: &Aws, id: &Identity, creates_key: bool) -> Result<Observed<KeyFacts>, Fault> {
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

/// Creates the key, then its alias.
pub async fn ensure(
    aws: &Aws,
    id: &Identity,
    want: &DesiredKey,
    seen: &Observed<KeyFacts>,
) -> Result<Progress, Fault> {
    match seen.ours() {
        None => {
            let arn = aws.keys.create(&policy::key(&id.scope), &id.owner_tag(), &want.tags).await?;
            aws.keys.put_alias(&want.name, &arn).await?;
            Ok(Progress::waiting(Reason::Creating, format!("KMS key {arn} was created")))
        }
        Some(facts) if key_is_whole(want, facts) => Ok(Progress::Done),
        Some(facts) => match unusable(&facts.arn, &facts.state) {
            Some(why) => Ok(Progress::unusable(why)),
            None => complete(aws, want, facts).await,
        },
    }
}

/// What a key lacks that can be used.
async fn complete(aws: &Aws, want: &DesiredKey, facts: &KeyFacts) -> Result<Progress, Fault> {
    let key = &facts.arn;
    if !carries(&facts.tags, &want.tags) {
        tag(aws, facts, &want.tags).await?;
        return Ok(Progress::waiting(Reason::Updating, format!("KMS key {key} got its tags")));
    }
    if !facts.has_alias {
        aws.keys.put_alias(&want.name, key).await?;
        return Ok(Progress::waiting(Reason::Updating, format!("KMS key {key} got its alias")));
    }
    Ok(Progress::waiting(Reason::NotYet, format!("KMS key {key} is {}", facts.state)))
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
