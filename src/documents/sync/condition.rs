//! What the condition DocumentsCurrent says.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{IngestionStatus, Reason};
use crate::documents::failures::{ByTenant, NOBODYS};
use crate::documents::findings::Names;
use crate::documents::source::Source;
use crate::stack::job::JobSummary;
use crate::stack::model::outcome::Documents;
use crate::stack::store::MetadataLimits;

/// What it is worked out from.
pub(super) struct Facts<'a> {
    pub source: &'a Source<'a>,
    /// Whether a job was asked for, by anything but the schedule, and has not ended.
    pub asked: bool,
    /// Whether a job waits for its turn.
    pub waits: bool,
    /// Whether it waits because the class of its tenant leaves some time between jobs.
    pub spaced: bool,
    /// All jobs, newest first.
    pub jobs: &'a [JobSummary],
    /// What the status says of the last one.
    pub last: Option<&'a IngestionStatus>,
    /// What the last review skipped.
    pub skipped: Option<&'a ByTenant>,
    /// Tenants whose documents have not all been looked at.
    pub behind: &'a BTreeSet<String>,
}

impl Facts<'_> {
    /// The condition.
    pub fn documents(&self) -> Documents {
        let mut documents = if self.asked { self.of_request() } else { self.of_last_job() };
        let message = &mut documents.message;
        if let Some(too_long) = self.too_long() {
            message.push_str(&too_long);
        }
        if self.waits {
            let what = if self.asked { "; it" } else { ". The job that the schedule asks for" };
            message.push_str(&format!(
                "{what} waits for its turn: AWS runs five at a time in an account, and starts one each ten seconds"
            ));
        }
        if self.spaced {
            let what = if self.asked { "; it" } else { ". The job that the schedule asks for" };
            let minutes = self.source.between.as_secs() / 60;
            message.push_str(&format!(
                "{what} waits: the class of the tenant leaves {minutes} minutes between the starts of two jobs"
            ));
        }
        if !self.behind.is_empty() {
            let mut names = Names::default();
            self.behind.iter().for_each(|tenant| names.add(|| tenant.clone()));
            message
                .push_str(&format!(". Not all documents of these tenants have been looked at yet: {names}"));
        }
        documents
    }

    fn of_request(&self) -> Documents {
        let message =
            if self.waits { "A job was asked for" } else { "A job was asked for and has not ended yet" };
        Documents { current: Some(false), reason: Reason::SyncRequested, message: message.into() }
    }

    /// By the last job that has ended.
    fn of_last_job(&self) -> Documents {
        let Source { bucket, prefix, .. } = self.source;
        let (current, reason, message) = match self.jobs.iter().find(|job| !job.is_running()) {
            None if self.jobs.is_empty() => {
                let message =
                    format!("There is no document under s3://{bucket}/{prefix} yet; the first starts a job");
                (Some(true), Reason::NoDocuments, message)
            }
            None => (None, Reason::SyncRequested, "The first job runs".to_string()),
            Some(job) if job.status == "FAILED" => {
                (Some(false), Reason::SyncFailed, format!("Job {} failed: {}", job.id, self.why()))
            }
            Some(job) if job.status == "STOPPED" => {
                let message = format!(
                    "Job {} was stopped before its end; set the annotation tenantry.dev/sync-requested-at to a new \
                     value to ask for another",
                    job.id
                );
                (Some(false), Reason::SyncFailed, message)
            }
            // In a pool each tenant is told of its own documents.
            Some(job) if job.statistics.failed > 0 && self.source.pool.is_none() => {
                let message = format!(
                    "{} documents could not be indexed by job {}: {}",
                    job.statistics.failed,
                    job.id,
                    self.why()
                );
                (Some(false), Reason::DocumentsFailed, message)
            }
            Some(job) => match self.left_aside(job) {
                Some(message) => (Some(false), Reason::DocumentsFailed, message),
                None if self.too_long().is_some() => {
                    (Some(false), Reason::DocumentsFailed, format!("Job {} has ended", job.id))
                }
                None => (Some(true), Reason::Synced, self.indexed_by(job)),
            },
        };
        Documents { current, reason, message }
    }

    /// What a job says of documents that it left aside without counting them as failed: the vector store takes less of a metadata
    /// file than Bedrock reads. In a pool the operator writes these files, and none is too long.
    fn left_aside(&self, job: &JobSummary) -> Option<String> {
        let MetadataLimits { bytes, attributes } =
            self.source.metadata.filter(|_| self.source.pool.is_none())?;
        let its = self.last.filter(|last| last.last_job_id.as_deref() == Some(&job.id))?;
        (!its.failure_reasons.is_empty()).then(|| {
            format!(
                "Job {} left documents aside, and no query finds them: {}. The vector store takes metadata files of {bytes} bytes \
                 and {attributes} attributes at the most; shorten them, and the next job reads the documents",
                job.id,
                self.why()
            )
        })
    }

    /// What the last review says of metadata files that the vector store does not take, before a job leaves them aside and after
    /// it. In a pool each tenant is told of its own documents.
    fn too_long(&self) -> Option<String> {
        let MetadataLimits { bytes, .. } = self.source.metadata.filter(|_| self.source.pool.is_none())?;
        let its = self.skipped?.get(NOBODYS)?;
        let (files, documents) =
            if its.count == 1 { ("file is", "its document") } else { ("files are", "their documents") };
        Some(format!(
            ". {} metadata {files} longer than the {bytes} bytes that the vector store takes; so {documents} will not be found: \
             {its}. Shorten what is too long, and the next job reads it",
            its.count
        ))
    }

    /// Why the last job failed, in the words of Bedrock.
    fn why(&self) -> String {
        self.last.map(|last| last.failure_reasons.join("; ")).unwrap_or_default()
    }

    fn indexed_by(&self, job: &JobSummary) -> String {
        let skipped = self.skipped.filter(|it| !it.is_empty()).map(told_of).unwrap_or_default();
        let failed = match job.statistics.failed {
            0 => String::new(),
            failed => format!(" but {failed}, of which their tenants are told"),
        };
        let looked = self.last.and_then(IngestionStatus::looked).map(|at| last_looked(at, self.source));
        let looked = looked.unwrap_or_default();
        format!("Job {} indexed every document it found{failed}{looked}{skipped}", job.id)
    }
}

/// When new documents were last looked for, and if that will be so again.
fn last_looked(at: &Time, source: &Source<'_>) -> String {
    let rests = match source.schedule {
        Some(_) => "",
        None => ", and are not again before a job is asked for: `ingestion.suspend` is true",
    };
    format!(". New ones were last looked for at {}{rests}", at.0)
}

/// What a pool says of the documents that its review had to skip: their tenants are told which, and nobody else.
fn told_of(skipped: &ByTenant) -> String {
    let (count, tenants) = (skipped.values().map(|it| it.count).sum::<usize>(), skipped.len());
    let nobodys = skipped.get(NOBODYS).map(|it| format!("; under no tenant: {it}")).unwrap_or_default();
    let documents = if count == 1 { "document was" } else { "documents were" };
    format!(
        ". {count} {documents} skipped, so that no query finds them, under {tenants} of its prefixes{nobodys}"
    )
}
