//! `tenantry documents`: how a tenant's documents fare.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::bail;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;

use super::inspect;
use crate::api::{Pattern, Tenant};
use crate::aws::Aws;
use crate::documents::failures;
use crate::documents::index::Span;
use crate::documents::known::{self, Known};
use crate::documents::quarantine::{NO_ROOM, QUARANTINE, is_cut};
use crate::documents::sidecar;
use crate::stack::fault::Fault;
use crate::stack::identity::{Identity, Scope};
use crate::stack::job::{DocumentState, JobSummary};
use crate::stack::layout::ledger_key;

#[derive(Debug, Args)]
pub(super) struct Documents {
    /// The Tenant's name.
    tenant: String,

    /// The Tenant's namespace.
    #[arg(short, long, value_name = "NAMESPACE", default_value = "default")]
    namespace: String,

    /// How to print it.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// What is known of a tenant's documents.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    bucket: String,
    prefix: String,
    /// Documents that are there now.
    documents: usize,
    /// Documents that were there when the last job began, and are as they were.
    ingested: usize,
    /// Documents that are new or changed since.
    waiting: usize,
    /// Documents that are gone since: the next job forgets them.
    gone: usize,
    last_job: Option<LastJob>,
    /// What could not be indexed, or not all of it, and why.
    failed: Vec<Failed>,
    /// What was put into quarantine, and why.
    quarantined: Vec<Quarantined>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LastJob {
    id: String,
    status: String,
    started: Timestamp,
    updated: Timestamp,
    /// What it says went wrong in it. A pool's job is the SharedStack's to speak of.
    failure_reasons: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Failed {
    key: String,
    status: String,
    reason: String,
}

#[derive(Debug, Serialize)]
struct Quarantined {
    key: String,
    why: &'static str,
}

impl Documents {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let tenant = inspect::tenant(&self.tenant, &self.namespace).await?;
        let Some(installation) = inspect::installation(&tenant) else {
            bail!("no operator holds this Tenant: nothing is known of its documents");
        };
        let (aws, scope) = inspect::aws(installation).await?;
        let report = report(&aws, scope, &tenant).await?;
        let told = match self.output {
            Output::Json => serde_json::to_string_pretty(&report)?,
            Output::Text => as_text(&report),
        };
        inspect::print(&told)
    }
}

async fn report(aws: &Aws, scope: Arc<Scope>, tenant: &Tenant) -> anyhow::Result<Report> {
    let status = tenant.status.clone().unwrap_or_default();
    let (Some(bucket), Some(prefix)) = (status.bucket, status.prefix) else {
        bail!("the Tenant has no place for documents yet; `kubectl get tenant` says what it waits for");
    };
    let ledger = ledger_key(&owner_of_documents(scope, tenant));
    let jobs = match (&status.knowledge_base_id, &status.data_source_id) {
        (Some(kb), Some(ds)) => aws.jobs.list(kb, ds).await?,
        _ => Vec::new(),
    };
    let Count { documents, ingested, gone, failed } = count(aws, &bucket, &prefix, &ledger, &jobs).await?;
    let mut report = Report {
        documents,
        ingested,
        waiting: documents - ingested,
        gone,
        last_job: None,
        failed,
        quarantined: quarantined(aws, &bucket, &prefix).await?,
        bucket,
        prefix,
    };
    if let (Some(kb), Some(ds)) = (&status.knowledge_base_id, &status.data_source_id)
        && let Some(last) = jobs.first().cloned()
    {
        let since = failures::since(&jobs);
        let each = |document: DocumentState| {
            let is_its_own = document.key.starts_with(&report.prefix);
            if is_its_own && (since.is_some_and(|it| document.has_failed_since(it)) || document.is_partial())
            {
                let reason = document.why();
                let DocumentState { key, status, .. } = document;
                report.failed.push(Failed { key, status, reason });
            }
        };
        aws.documents.each(kb, ds, each).await?;
        // A pool's job speaks of all its tenants' documents, and may name several in one sentence.
        let speaks = last.status == "FAILED" || last.statistics.failed > 0;
        let failure_reasons = match speaks && tenant.spec.pattern != Pattern::Pool {
            true => aws.jobs.get(kb, ds, &last.id).await?.map(|job| job.failure_reasons).unwrap_or_default(),
            false => Vec::new(),
        };
        let JobSummary { id, status, started, updated, .. } = last;
        report.last_job = Some(LastJob { id, status, started, updated, failure_reasons });
    }
    Ok(report)
}

/// Who runs the jobs for a tenant's documents: itself, or the SharedStack of its pool.
fn owner_of_documents(scope: Arc<Scope>, tenant: &Tenant) -> Identity {
    match (tenant.spec.pattern, &tenant.spec.stack_ref) {
        (Pattern::Pool, Some(stack)) => Identity::of_stack(scope, &stack.name, ""),
        _ => inspect::identity(scope, tenant),
    }
}

struct Count {
    documents: usize,
    ingested: usize,
    gone: usize,
    /// Which the operator had to skip.
    failed: Vec<Failed>,
}

/// How many documents there are, how many of them are as the last job found them, and how many are no more.
async fn count(
    aws: &Aws,
    bucket: &str,
    prefix: &str,
    ledger: &str,
    jobs: &[JobSummary],
) -> Result<Count, Fault> {
    let (mut known, mut failed) = (BTreeMap::new(), Vec::new());
    // Only the parts of the ledger that may say something of them are read.
    for piece in known::index(aws, bucket, ledger).await?.over(&Span::under(prefix)) {
        let has_begun = piece.has_begun(jobs);
        let mut entries = Known::new(aws, bucket, ledger, jobs, vec![piece]);
        while let Some(entry) = entries.next().await? {
            if !entry.key.starts_with(prefix) {
                continue;
            }
            if let Some(reason) = entry.skipped {
                failed.push(Failed { key: entry.key, status: "SKIPPED".into(), reason });
            } else if sidecar::is_document(&entry.key) {
                known.insert(entry.key, (entry.mark, has_begun));
            }
        }
    }
    // What was reviewed since is in no job before one begins.
    let last = jobs.first().map_or(Timestamp::MIN, |last| last.started);
    let (mut documents, mut ingested, mut next) = (0, 0, None);
    loop {
        let page = aws.objects.list(bucket, prefix, next.as_deref(), None).await?;
        for object in page.objects.into_iter().filter(|it| sidecar::is_document(&it.key)) {
            documents += 1;
            let its = known.remove(&object.key).filter(|(mark, _)| *mark == object.mark());
            ingested +=
                usize::from(its.is_some_and(|(_, has_begun)| has_begun || object.last_modified < last));
        }
        next = page.next;
        if next.is_none() {
            return Ok(Count { documents, ingested, gone: known.len(), failed });
        }
    }
}

async fn quarantined(aws: &Aws, bucket: &str, prefix: &str) -> Result<Vec<Quarantined>, Fault> {
    let (mut found, mut next) = (Vec::new(), None);
    loop {
        let page = aws.objects.list(bucket, &format!("{QUARANTINE}{prefix}"), next.as_deref(), None).await?;
        found.extend(page.objects.into_iter().map(|object| Quarantined {
            why: if sidecar::is_sidecar(&object.key) {
                "a metadata file that was not as it must be: it was replaced"
            } else if is_cut(&object.key) {
                "its key leaves no room for a metadata file"
            } else {
                NO_ROOM
            },
            key: object.key,
        }));
        next = page.next;
        if next.is_none() {
            return Ok(found);
        }
    }
}

fn as_text(report: &Report) -> String {
    let Report { bucket, prefix, documents, ingested, waiting, gone, .. } = report;
    let mut text = format!(
        "s3://{bucket}/{prefix}: {documents} documents, {ingested} as the last job found them, {waiting} new or changed since, {gone} gone\n"
    );
    match &report.last_job {
        None => text += "no job has run yet\n",
        Some(LastJob { id, status, started, updated, failure_reasons }) => {
            text += &format!("last job {id}: {status}, started {started:.0}, updated {updated:.0}\n");
            failure_reasons.iter().for_each(|reason| text += &format!("  {reason}\n"));
        }
    }
    let lists: [(_, Vec<_>); 2] = [
        (
            "could not be indexed, or not all of it",
            report.failed.iter().map(|it| format!("{}: {}: {}", it.key, it.status, it.reason)).collect(),
        ),
        ("in quarantine", report.quarantined.iter().map(|it| format!("{}: {}", it.key, it.why)).collect()),
    ];
    for (title, lines) in lists {
        if !lines.is_empty() {
            text += &format!("\n{title}:\n  {}\n", lines.join("\n  "));
        }
    }
    text.trim_end().to_owned()
}
