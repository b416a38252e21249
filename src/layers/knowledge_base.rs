//! The knowledge base with its one data source, which bears its name.

use crate::api::{Layer, Reason};
use crate::aws::{Aws, Tags};
use crate::stack::fault::Fault;
use crate::stack::identity::Identity;
use crate::stack::model::desired::DesiredKnowledgeBase;
use crate::stack::model::diff::{self, KnowledgeBaseChange};
use crate::stack::model::observed::{DataSourceFacts, KnowledgeBaseFacts, Observed};
use crate::stack::model::policy;
use crate::stack::model::progress::{Cadence, Progress};

/// AWS makes it, and takes no data source before it has.
const CREATING: &str = "CREATING";

/// Finds the knowledge base of our name, and its data source: by the ids that status remembers, or in AWS's lists.
pub async fn look(
    aws: &Aws,
    id: &Identity,
    hint: Option<&str>,
    data_source_hint: Option<&str>,
) -> Result<Observed<KnowledgeBaseFacts>, Fault> {
    let name = id.name(Layer::KnowledgeBase);
    let Some(mut facts) = aws.knowledge_bases.find(&name, hint).await? else {
        return Ok(Observed::Absent);
    };
    if facts.status != CREATING {
        facts.data_source = aws.data_sources.find(&facts.id, &name, data_source_hint).await?;
    }
    Ok(Observed::by_tags(id, || format!("knowledge base {name} ({})", facts.id), &facts.tags, facts.clone()))
}

/// How far AWS is with this knowledge base; nothing if all of it must be looked at.
pub async fn look_how_far(
    aws: &Aws,
    facts: &KnowledgeBaseFacts,
) -> Result<Option<Observed<KnowledgeBaseFacts>>, Fault> {
    let now = aws.knowledge_bases.detail(&facts.id).await?;
    Ok(now.and_then(|now| still_being_made(facts, now)).map(Observed::Ours))
}

/// A knowledge base as it is now, if it is the same and is still being made. Once it is made its tags count, and somebody may
/// have changed them.
fn still_being_made(facts: &KnowledgeBaseFacts, now: KnowledgeBaseFacts) -> Option<KnowledgeBaseFacts> {
    let is_it = now.arn == facts.arn && now.status == CREATING;
    let KnowledgeBaseFacts { tags, data_source, .. } = facts.clone();
    is_it.then_some(KnowledgeBaseFacts { tags, data_source, ..now })
}

/// Creates the knowledge base, then, once it is active, its data source.
pub async fn ensure(
    aws: &Aws,
    id: &Identity,
    want: &DesiredKnowledgeBase,
    seen: &Observed<KnowledgeBaseFacts>,
) -> Result<Progress, Fault> {
    let Some(facts) = seen.ours() else {
        return Ok(being_created(&aws.knowledge_bases.create(want).await?));
    };
    let account = &id.scope.account;
    for change in diff::knowledge_base(&id.scope, want, facts) {
        match (change, &facts.data_source) {
            (KnowledgeBaseChange::Replace, _) => return teardown(aws, seen).await,
            (KnowledgeBaseChange::Tags, _) => tag(aws, facts, &want.tags).await?,
            (KnowledgeBaseChange::NotActive, _) => return Ok(not_active(facts)),
            (KnowledgeBaseChange::NarrowTrust, _) => {
                let trust = policy::trust(&id.scope, Some(&facts.arn));
                aws.roles.put_trust(&id.name(Layer::Role), &trust).await?;
            }
            (KnowledgeBaseChange::CreateDataSource, _) => {
                aws.data_sources.create(&facts.id, want, account).await?;
            }
            (KnowledgeBaseChange::DropDataSource, Some(source)) => {
                return drop_data_source(aws, &facts.id, source).await;
            }
            (KnowledgeBaseChange::DataSourceNotAvailable, Some(source)) => {
                return Ok(not_available(facts, source));
            }
            (KnowledgeBaseChange::UpdateDataSource, Some(source)) => {
                aws.data_sources.update(&facts.id, &source.id, want, account).await?;
            }
            (_, None) => {}
        }
    }
    Ok(match facts.data_source {
        Some(_) => Progress::under_way(true, &format!("Knowledge base {}", facts.id)),
        None => {
            let message = format!("Knowledge base {} is getting its data source", facts.id);
            Progress::waiting(Reason::Creating, message)
        }
    })
}

/// Writes the tags; data sources have none.
pub async fn tag(aws: &Aws, facts: &KnowledgeBaseFacts, tags: &Tags) -> Result<(), Fault> {
    aws.knowledge_bases.tag(&facts.arn, tags).await
}

fn not_active(facts: &KnowledgeBaseFacts) -> Progress {
    let message = format!("Knowledge base {} is {}{}", facts.id, facts.status, why(&facts.failure_reasons));
    match facts.status.as_str() {
        "FAILED" | "DELETE_UNSUCCESSFUL" => {
            Progress::failed(format!("{message}. Delete it, and the operator creates it again"))
        }
        // The same words as before it was seen: it is no news.
        CREATING => being_created(&facts.id),
        _ => Progress::waiting(Reason::Creating, message),
    }
}

fn being_created(id: &str) -> Progress {
    Progress::waiting(Reason::Creating, format!("Knowledge base {id} is being created"))
}

fn not_available(facts: &KnowledgeBaseFacts, source: &DataSourceFacts) -> Progress {
    let why = why(&source.failure_reasons);
    let message =
        format!("Data source {} of knowledge base {} is {}{why}", source.id, facts.id, source.status);
    match source.status.as_str() {
        "FAILED" | "DELETE_UNSUCCESSFUL" => {
            Progress::failed(format!("{message}. Delete it, and the operator creates it again"))
        }
        _ => Progress::waiting(Reason::Creating, message),
    }
}

fn why(reasons: &[String]) -> String {
    if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) }
}

/// Stops a running job; sets the data source to RETAIN, so that Bedrock has nothing to erase and cannot get stuck on
/// a store that is going away; then data source, then knowledge base, each awaited.
pub async fn teardown(aws: &Aws, seen: &Observed<KnowledgeBaseFacts>) -> Result<Progress, Fault> {
    let Some(facts) = seen.ours() else {
        return Ok(Progress::Done);
    };
    let kb = &facts.id;
    let Some(source) = &facts.data_source else {
        if facts.status != "DELETING" {
            tracing::info!(knowledge_base = facts.arn, "deleting the knowledge base");
            aws.knowledge_bases.delete(kb).await?;
        }
        return Ok(being_deleted(&format!("Knowledge base {kb}"), &facts.status, &facts.failure_reasons));
    };
    drop_data_source(aws, kb, source).await
}

/// A data source with no job running and nothing for Bedrock to erase, deleted.
async fn drop_data_source(aws: &Aws, kb: &str, source: &DataSourceFacts) -> Result<Progress, Fault> {
    if source.status == "DELETING" {
        return Ok(Progress::waiting(
            Reason::Deleting,
            format!("Data source {} is being deleted", source.id),
        ));
    }
    if let Some(job) = aws.jobs.list(kb, &source.id).await?.into_iter().find(|job| job.is_running()) {
        if job.status != "STOPPING" {
            aws.jobs.stop(kb, &source.id, &job.id).await?;
        }
        let message = format!("Ingestion job {} of knowledge base {kb} is being stopped", job.id);
        return Ok(Progress::waiting(Reason::Deleting, message));
    }
    if source.data_deletion_policy != "RETAIN" || source.status == "DELETE_UNSUCCESSFUL" {
        aws.data_sources.retain(kb, &source.id).await?;
    }
    tracing::info!(knowledge_base = kb, data_source = source.id, "deleting the data source");
    aws.data_sources.delete(kb, &source.id).await?;
    Ok(being_deleted(&format!("Data source {}", source.id), &source.status, &source.failure_reasons))
}

/// What Bedrock could not delete before says why, while it is tried again.
fn being_deleted(what: &str, status: &str, reasons: &[String]) -> Progress {
    if status != "DELETE_UNSUCCESSFUL" {
        return Progress::waiting(Reason::Deleting, format!("{what} is being deleted"));
    }
    let message = format!("{what} was {status} and is deleted once more{}", why(reasons));
    Progress::Waiting { reason: Reason::NotYet, message, cadence: Cadence::Probe }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::model::ideal;

    #[test]
    fn what_is_made_is_looked_at_whole() {
        let silo = ideal::samples().into_iter().find(|sample| sample.name == "silo").unwrap().built();
        let made = silo.knowledge_base.ours().unwrap().clone();
        let being_made = KnowledgeBaseFacts { status: CREATING.into(), ..made.clone() };
        let untold = |now: KnowledgeBaseFacts| KnowledgeBaseFacts { tags: Tags::default(), ..now };
        let another = KnowledgeBaseFacts { arn: "another".into(), ..being_made.clone() };
        let failed = KnowledgeBaseFacts { status: "FAILED".into(), ..made.clone() };
        let seen = still_being_made(&being_made, untold(being_made.clone()));
        assert_eq!(seen.as_ref(), Some(&being_made));
        for now in [made, failed, another] {
            assert_eq!(still_being_made(&being_made, untold(now)), None);
        }
    }
}
