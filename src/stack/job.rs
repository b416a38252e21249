//! Ingestion jobs, as Bedrock tells of them.

use jiff::Timestamp;

/// One job, as the list of jobs shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSummary {
    /// Its id.
    pub id: String,
    /// `STARTING`, `IN_PROGRESS`, `COMPLETE`, `FAILED`, `STOPPING` or `STOPPED`.
    pub status: String,
    /// What it serves: given at its start, kept by AWS, and so our only memory of it.
    pub description: String,
    /// When it started.
    pub started: Timestamp,
    /// When AWS last touched it; of a job that is over, when it ended.
    pub updated: Timestamp,
    /// What it has counted so far.
    pub statistics: Statistics,
}

impl JobSummary {
    /// Whether it still takes its knowledge base's only slot.
    pub fn is_running(&self) -> bool {
        matches!(self.status.as_str(), "STARTING" | "IN_PROGRESS" | "STOPPING")
    }
}

/// One job with what went wrong in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// What the list shows of it.
    pub summary: JobSummary,
    /// What failed, of the job or of single documents; a COMPLETE job can have some too.
    pub failure_reasons: Vec<String>,
}

/// What became of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentState {
    /// Its key in the bucket.
    pub key: String,
    /// `INDEXED`, `FAILED`, and a dozen others.
    pub status: String,
    /// Why, if there is something to say.
    pub reason: String,
    /// Since when, where that is said.
    pub updated: Option<Timestamp>,
}

impl DocumentState {
    /// Whether it, or a change of its metadata, could not be indexed, as far as that was said since then.
    pub fn has_failed_since(&self, since: Timestamp) -> bool {
        matches!(self.status.as_str(), "FAILED" | "IGNORED" | "METADATA_UPDATE_FAILED")
            && self.updated.is_none_or(|updated| updated >= since)
    }

    /// The reason, or that none is given.
    pub fn why(&self) -> String {
        match self.reason.as_str() {
            "" => format!("{}, and no reason is given", self.status),
            reason => reason.to_owned(),
        }
    }

    /// Whether it was indexed, but not all of it.
    pub fn is_partial(&self) -> bool {
        matches!(self.status.as_str(), "PARTIALLY_INDEXED" | "METADATA_PARTIALLY_INDEXED")
    }
}

/// What a job has counted. A COMPLETE job can have failed documents: the status alone is not success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Documents looked at.
    pub scanned: i64,
    /// Metadata files looked at.
    pub metadata_scanned: i64,
    /// Documents that are new in the index.
    pub new: i64,
    /// Documents that were embedded again.
    pub modified: i64,
    /// Metadata files that changed or went.
    pub metadata_modified: i64,
    /// Documents that left the index.
    pub deleted: i64,
    /// Documents that could not be ingested.
    pub failed: i64,
    /// Documents that were passed over.
    pub skipped: i64,
}
