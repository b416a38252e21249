//! `tenantry retrieve`: what a client does, done right.

use anyhow::bail;
use clap::Args;
use serde_json::json;

use super::args::{OfTenant, Output};
use super::help;
use super::inspect;
use super::place::Place;
use crate::api::{ConditionType, Pattern, Tenant};
use crate::aws::Passage;

#[derive(Debug, Args)]
#[command(after_help = help::after("tenantry retrieve -n tenants acme 'How many days of annual leave?' --results 3", &help::both()))]
pub(super) struct Retrieve {
    #[command(flatten)]
    of: OfTenant,

    /// The question, of at most 1,000 characters.
    question: String,

    /// How many passages to return, 1 to 100.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(i32).range(1..=100))]
    results: i32,

    #[command(flatten)]
    output: Output,
}

/// Whom to ask, and as whom.
#[derive(Debug)]
struct Target {
    knowledge_base_id: String,
    filter: Option<(String, String)>,
}

impl Retrieve {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        if self.question.trim().is_empty() || self.question.chars().count() > 1000 {
            bail!("the question must have 1 to 1,000 characters");
        }
        let tenant = self.of.find().await?;
        let target = target(&tenant)?;
        let (aws, scope) = inspect::aws("").await?;
        Place::must_be(&tenant, &scope)?;
        let filter = target.filter.as_ref().map(|(key, value)| (key.as_str(), value.as_str()));
        let asked = aws.retrieval.retrieve(&target.knowledge_base_id, &self.question, filter, self.results);
        let passages = asked.await?;
        inspect::print(&self.output.of(&as_json(&target, &passages), || as_text(&passages))?)
    }
}

/// The knowledge base of a tenant and the filter that goes with it. A Pool tenant without its filter is refused: an
/// unfiltered question is answered from everybody's documents.
fn target(tenant: &Tenant) -> anyhow::Result<Target> {
    let status = tenant.status.clone().unwrap_or_default();
    if !status.is_true(ConditionType::Accepted) {
        let why = status.condition(ConditionType::Accepted).map(|c| c.message.clone());
        bail!(
            "this Tenant is not accepted: {}",
            why.unwrap_or_else(|| "the operator has not seen it yet".into())
        );
    }
    let Some(knowledge_base_id) = status.knowledge_base_id else {
        let why = status.condition(ConditionType::Ready).map(|c| c.message.clone());
        bail!("this Tenant has no knowledge base yet: {}", why.unwrap_or_default());
    };
    let filter = status.retrieval_filter.map(|filter| (filter.equals.key, filter.equals.value));
    match (tenant.spec.pattern, &filter) {
        (Pattern::Pool, Some((_, value))) if *value == tenant.spec.tenant_id => {}
        (Pattern::Pool, _) => {
            bail!("this Pool tenant's status has no filter for its tenantId; it is not asked without")
        }
        (Pattern::Silo | Pattern::Bridge, _) => {}
    }
    Ok(Target { knowledge_base_id, filter })
}

/// The passages in the shape of AWS's own answer, with what was asked.
fn as_json(target: &Target, passages: &[Passage]) -> serde_json::Value {
    let results: Vec<_> = passages
        .iter()
        .map(|Passage { text, uri, score, metadata }| {
            let location = uri.as_ref().map(|uri| json!({"type": "S3", "s3Location": {"uri": uri}}));
            json!({"content": {"text": text}, "location": location, "score": score, "metadata": metadata})
        })
        .collect();
    let filter = target.filter.as_ref().map(|(key, value)| json!({"equals": {"key": key, "value": value}}));
    json!({"knowledgeBaseId": target.knowledge_base_id, "filter": filter, "retrievalResults": results})
}

fn as_text(passages: &[Passage]) -> String {
    if passages.is_empty() {
        return "No passage found. Are the documents indexed? See the condition DocumentsCurrent.".into();
    }
    let passages = passages.iter().enumerate().map(|(n, Passage { text, uri, score, .. })| {
        let uri = uri.as_deref().unwrap_or("an unknown source");
        let lines: Vec<_> = text.trim().lines().map(|line| format!("   {line}")).collect();
        format!("{}. {uri} (score {score:.3})\n{}\n", n + 1, lines.join("\n"))
    });
    passages.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool_tenant(value: Option<&str>) -> Tenant {
        let filter = value.map(|value| json!({"equals": {"key": "tenantId", "value": value}}));
        serde_json::from_value(json!({
            "apiVersion": "tenantry.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": "a"},
            "spec": {"tenantId": "acme", "pattern": "Pool", "stackRef": {"name": "s"}},
            "status": {"knowledgeBaseId": "KB12345678", "retrievalFilter": filter, "conditions": [{
                "type": "Accepted", "status": "True", "reason": "Accepted", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}]},
        }))
        .unwrap()
    }

    #[test]
    fn a_pool_tenant_is_never_asked_without_its_own_filter() {
        let asked = target(&pool_tenant(Some("acme"))).unwrap();
        assert_eq!(asked.filter, Some(("tenantId".into(), "acme".into())));
        assert!(target(&pool_tenant(None)).is_err());
        assert!(target(&pool_tenant(Some("umbrella"))).is_err());
    }
}
