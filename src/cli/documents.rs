//! `tenantry documents`: how a tenant's documents fare.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::bail;
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::args::{OfTenant, Output};
use super::help;
use super::inspect;
use super::place::Place;
use crate::api::{ConditionType, Pattern, Standing, Tenant};
use crate::aws::Aws;
use crate::documents::failures;
use crate::documents::index::Span;
use crate::documents::known::{self, Known};
use crate::documents::ledger::Mark;
use crate::documents::quarantine::{NO_ROOM, QUARANTINE, is_cut};
use crate::documents::sidecar;
use crate::stack::fault::{Class, Fault};
use crate::stack::identity::{Identity, Scope};
use crate::stack::job::{DocumentState, JobSummary};
use crate::stack::layout::ledger_key;

#[derive(Debug, Args)]
#[command(after_help = help::after("tenantry documents -n tenants acme -o json", &help::both()))]
pub(super) struct Documents {
    #[command(flatten)]
    of: OfTenant,

    #[command(flatten)]
    output: Output,
}

/// What is known of a tenant's documents.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    bucket: String,
    prefix: String,
    /// Documents that are there now.
    documents: usize,
    /// How they compare with the last job; absent if whoever asks may not know.
    #[serde(flatten)]
    since_last_job: Option<SinceLastJob>,
    /// When new documents were last looked for, as the Tenant's status says.
    last_looked: Option<Timestamp>,
    /// What the Tenant's status says of them.
    condition: Option<Said>,
    last_job: Option<LastJob>,
    /// What could not be indexed, or not all of it, and why.
    failed: Vec<Failed>,
    /// What was put into quarantine, and why.
    quarantined: Vec<Quarantined>,
    /// What is not known, because whoever asks may not read it.
    unknown: Vec<String>,
}

#[derive(Debug, Serialize)]
struct SinceLastJob {
    /// Documents that were there when the last job began, and are as they were.
    ingested: usize,
    /// Documents that are new or changed since.
    waiting: usize,
    /// Documents that are gone since: the next job forgets them.
    gone: usize,
}

/// The condition `DocumentsCurrent`.
#[derive(Debug, Serialize)]
struct Said {
    status: String,
    reason: String,
    message: String,
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
    since: Timestamp,
}

impl Documents {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let tenant = self.of.find().await?;
        let Some(installation) = inspect::installation(&tenant)? else {
            bail!("no operator holds this Tenant: nothing is known of its documents");
        };
        let (aws, scope) = inspect::aws(installation).await?;
        Place::must_be(&tenant, &scope)?;
        let report = report(&aws, scope, &tenant).await?;
        inspect::print(&self.output.of(&report, || as_text(&report))?)
    }
}

async fn report(aws: &Aws, scope: Arc<Scope>, tenant: &Tenant) -> anyhow::Result<Report> {
    let status = tenant.status.clone().unwrap_or_default();
    let (Some(bucket), Some(prefix)) = (status.bucket, status.prefix) else {
        bail!("the Tenant has no place for documents yet; `kubectl get tenant` says what it waits for");
    };
    let ledger = ledger_key(&owner_of_documents(scope, tenant)?);
    let mut unknown = Vec::new();
    let source = status.knowledge_base_id.as_deref().zip(status.data_source_id.as_deref());
    let jobs = match source {
        Some((kb, ds)) => allowed(aws.jobs.list(kb, ds).await, "what jobs did", &mut unknown)?,
        None => Some(Vec::new()),
    };
    let what = "which documents are new since the last job";
    let known = match &jobs {
        Some(jobs) => allowed(known(aws, &bucket, &prefix, &ledger, jobs).await, what, &mut unknown)?,
        None => None,
    };
    let said = status.conditions.iter().find(|it| it.type_ == ConditionType::DocumentsCurrent.as_str());
    let quarantined =
        allowed(quarantined(aws, &bucket, &prefix).await, "what is in quarantine", &mut unknown)?;
    let count = count(aws, &bucket, &prefix, known).await?;
    let mut report = Report {
        documents: count.documents,
        since_last_job: count.since_last_job,
        last_looked: status.ingestion.as_ref().and_then(|it| Some(it.looked()?.0)),
        condition: said.map(|it| Said {
            status: it.status.clone(),
            reason: it.reason.clone(),
            message: it.message.clone(),
        }),
        last_job: None,
        failed: count.failed,
        quarantined: quarantined.unwrap_or_default(),
        unknown,
        bucket,
        prefix,
    };
    if let (Some(source), Some(jobs)) = (source, jobs)
        && let Some(last) = jobs.first().cloned()
    {
        report.failed.extend(failed(aws, source, &jobs, &report.prefix, &mut report.unknown).await?);
        report.last_job = Some(last_job(aws, source, last, tenant.pattern(), &mut report.unknown).await?);
    }
    Ok(report)
}

/// The documents under a prefix that the last job, or an earlier one that still counts, could not index, or not all of them.
async fn failed(
    aws: &Aws,
    (kb, ds): (&str, &str),
    jobs: &[JobSummary],
    prefix: &str,
    unknown: &mut Vec<String>,
) -> Result<Vec<Failed>, Fault> {
    let since = failures::since(jobs);
    let mut failed = Vec::new();
    let each = |document: DocumentState| {
        let is_its_own = document.key.starts_with(prefix);
        if is_its_own && (since.is_some_and(|it| document.has_failed_since(it)) || document.is_partial()) {
            let reason = document.why();
            let DocumentState { key, status, .. } = document;
            failed.push(Failed { key, status, reason });
        }
    };
    let what = "which documents could not be indexed";
    allowed(aws.documents.each(kb, ds, each).await, what, unknown)?;
    Ok(failed)
}

/// What became of a job. A pool's speaks of all its tenants' documents, and may name several in one sentence.
async fn last_job(
    aws: &Aws,
    (kb, ds): (&str, &str),
    last: JobSummary,
    pattern: Option<Pattern>,
    unknown: &mut Vec<String>,
) -> Result<LastJob, Fault> {
    let has_failures = last.status == "FAILED" || last.statistics.failed > 0;
    let failure_reasons = if has_failures && pattern != Some(Pattern::Pool) {
        let job = allowed(aws.jobs.get(kb, ds, &last.id).await, "why it failed", unknown)?;
        job.flatten().map(|job| job.failure_reasons).unwrap_or_default()
    } else {
        Vec::new()
    };
    let JobSummary { id, status, started, updated, .. } = last;
    Ok(LastJob { id, status, started, updated, failure_reasons })
}

/// What may be read of something. That it may not is no reason to say nothing of the rest: whoever may only upload sees what
/// becomes of it all the same.
fn allowed<T>(answer: Result<T, Fault>, what: &str, unknown: &mut Vec<String>) -> Result<Option<T>, Fault> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(fault) if fault.class == Class::Denied => {
            unknown.push(format!("{what}: whoever asks needs {} on {}", fault.action(), fault.resource));
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

/// Who runs the jobs for a tenant's documents: itself, or the SharedStack of its pool.
fn owner_of_documents(scope: Arc<Scope>, tenant: &Tenant) -> anyhow::Result<Identity> {
    match tenant.standing() {
        Some(Standing { pattern: Pattern::Pool, stack: Some(stack) }) => {
            Ok(Identity::of_stack(scope, stack, ""))
        }
        _ => inspect::identity(scope, tenant),
    }
}

/// What the ledger says of a tenant's documents.
struct InLedger {
    known: BTreeMap<String, InJob>,
    /// Which the operator had to skip.
    skipped: Vec<Failed>,
}

/// A document that the last job has read, if it was written before that.
struct InJob {
    mark: Mark,
    written_before: Timestamp,
}

async fn known(
    aws: &Aws,
    bucket: &str,
    prefix: &str,
    ledger: &str,
    jobs: &[JobSummary],
) -> Result<InLedger, Fault> {
    let mut found = InLedger { known: BTreeMap::new(), skipped: Vec::new() };
    // Only the parts of the ledger that may say something of them are read.
    // What was reviewed since is in no job before one begins.
    let last = jobs.first().map_or(Timestamp::MIN, |last| last.started);
    for piece in known::index(aws, bucket, ledger).await?.over(&Span::under(prefix)) {
        let has_begun = piece.has_begun(jobs);
        let mut entries = Known::new(aws, bucket, ledger, jobs, vec![piece]);
        while let Some(entry) = entries.next().await? {
            if !entry.key.starts_with(prefix) {
                continue;
            }
            if let Some(reason) = entry.skipped {
                found.skipped.push(Failed { key: entry.key, status: "SKIPPED".into(), reason });
            } else if sidecar::is_document(&entry.key) {
                let written_before = if has_begun { Timestamp::MAX } else { last };
                found.known.insert(entry.key, InJob { mark: entry.mark, written_before });
            }
        }
    }
    Ok(found)
}

struct Count {
    documents: usize,
    since_last_job: Option<SinceLastJob>,
    failed: Vec<Failed>,
}

/// How many documents there are, how many of them are as the last job found them, and how many are no more.
async fn count(aws: &Aws, bucket: &str, prefix: &str, ledger: Option<InLedger>) -> Result<Count, Fault> {
    let is_known = ledger.is_some();
    let InLedger { mut known, skipped: failed } =
        ledger.unwrap_or(InLedger { known: BTreeMap::new(), skipped: Vec::new() });
    let (mut documents, mut ingested, mut next) = (0, 0, None);
    loop {
        let page = aws.objects.list(bucket, prefix, next.as_deref(), None).await?;
        for object in page.objects.into_iter().filter(|it| sidecar::is_document(&it.key)) {
            documents += 1;
            let its = known.remove(&object.key).filter(|its| its.mark == object.mark());
            ingested += usize::from(its.is_some_and(|its| object.last_modified < its.written_before));
        }
        next = page.next;
        if next.is_none() {
            let since = SinceLastJob { ingested, waiting: documents - ingested, gone: known.len() };
            return Ok(Count { documents, since_last_job: is_known.then_some(since), failed });
        }
    }
}

async fn quarantined(aws: &Aws, bucket: &str, prefix: &str) -> Result<Vec<Quarantined>, Fault> {
    let (mut found, mut next) = (Vec::new(), None);
    loop {
        let page = aws.objects.list(bucket, &format!("{QUARANTINE}{prefix}"), next.as_deref(), None).await?;
        found.extend(page.objects.into_iter().map(|object| Quarantined {
            why: if sidecar::is_sidecar(&object.key) {
                METADATA_LOST
            } else if is_cut(&object.key) {
                "its key leaves no room for a metadata file"
            } else {
                NO_ROOM
            },
            since: object.last_modified,
            key: object.key,
        }));
        next = page.next;
        if next.is_none() {
            return Ok(found);
        }
    }
}

/// Why a metadata file is there.
const METADATA_LOST: &str = "a metadata file that said more than may be kept, and was replaced. Kept are attributes that the \
                             SharedStack's pool.index.attributes declares, of that type";

/// How many keys of a kind are printed; JSON has all of them.
const NAMED: usize = 10;

fn as_text(report: &Report) -> String {
    let Report { bucket, prefix, documents, .. } = report;
    let mut text = format!("s3://{bucket}/{prefix}: {documents} documents");
    if let Some(SinceLastJob { ingested, waiting, gone }) = &report.since_last_job {
        text +=
            &format!(", {ingested} as the last job found them, {waiting} new or changed since, {gone} gone");
    }
    text += "\n";
    match &report.last_job {
        None if report.unknown.is_empty() => text += "no job has run yet\n",
        None => {}
        Some(LastJob { id, status, started, updated, failure_reasons }) => {
            text += &format!("last job {id}: {status}, started {started:.0}, updated {updated:.0}\n");
            failure_reasons.iter().for_each(|reason| text += &format!("  {reason}\n"));
        }
    }
    if let Some(at) = report.last_looked {
        text += &format!("new documents were last looked for at {at:.0}\n");
    }
    if let Some(Said { status, reason, message }) = &report.condition {
        text += &format!("DocumentsCurrent is {status}, {reason}: {message}\n");
    }
    let mut lists: Vec<(String, Vec<String>)> = Vec::new();
    let failed = report.failed.iter().map(|it| format!("{}: {}: {}", it.key, it.status, it.reason));
    lists.push(("could not be indexed, or not all of it".into(), failed.collect()));
    let mut aside: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for Quarantined { key, why, since } in &report.quarantined {
        aside.entry(why).or_default().push(format!("{key} ({since:.0})"));
    }
    lists.extend(aside.into_iter().map(|(why, keys)| (format!("in quarantine, {why}"), keys)));
    lists.push(("not known".into(), report.unknown.clone()));
    for (title, lines) in lists.into_iter().filter(|(_, lines)| !lines.is_empty()) {
        let first = &lines[..lines.len().min(NAMED)];
        text += &format!("\n{title}: {}\n  {}\n", lines.len(), first.join("\n  "));
        if lines.len() > NAMED {
            text += &format!("  and {} more (-o json has all)\n", lines.len() - NAMED);
        }
    }
    text.trim_end().to_owned()
}
