//! `tenantry retrieve`: what a client does, done right.

use anyhow::bail;
use clap::Args;
use serde_json::json;

use super::args::{OfTenant, Output};
use super::help;
use super::inspect;
use super::place::Place;
use crate::aws::Passage;
use crate::stack::target::Target;

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

impl Retrieve {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        if self.question.trim().is_empty() || self.question.chars().count() > 1000 {
            bail!("the question must have 1 to 1,000 characters");
        }
        let tenant = self.of.find().await?;
        let target = Target::of(&tenant)?;
        let (aws, scope) = inspect::aws("").await?;
        Place::must_be(&tenant, &scope)?;
        let passages = aws.retrieval.retrieve(&target, &self.question, self.results).await?;
        inspect::print(&self.output.of(&as_json(&target, &passages), || as_text(&passages))?)
    }
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
    let filter = target.filter().map(|(key, value)| json!({"equals": {"key": key, "value": value}}));
    json!({"knowledgeBaseId": target.knowledge_base(), "filter": filter, "retrievalResults": results})
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
