//! A knowledge base's documents: where they lie, and what is to be observed of them.

use std::collections::BTreeSet;
use std::time::Duration;

use super::job_size::Size;
use super::scope::Scope;
use super::sidecar::Pool;
use super::tally::Bound;
use crate::stack::cron::Schedule;
use crate::stack::identity::Owner;
use crate::stack::store::MetadataLimits;

/// A knowledge base's documents.
#[derive(Clone)]
pub struct Source<'a> {
    /// The knowledge base.
    pub knowledge_base_id: String,
    /// Its data source.
    pub data_source_id: String,
    /// The bucket,
    pub bucket: String,
    /// and the prefix that is ingested.
    pub prefix: String,
    /// The key of its ledger in that bucket.
    pub ledger: String,
    /// What stands beside the documents and whose they may be, if this is a pool.
    pub pool: Option<Pool<'a>>,
    /// What its vector store takes of the metadata file beside a document, if less than Bedrock reads.
    pub metadata: Option<MetadataLimits>,
    /// Whether tenants may write metadata files of their own: then they are looked at again after each job.
    pub merges: bool,
    /// Whether some tenants were told of documents that are not indexed, or the owner was.
    pub some_were_told: bool,
    /// What one job takes.
    pub limit: Size,
    /// Tenants that leave: that their documents go is expected.
    pub leaving: BTreeSet<String>,
    /// The object that owns it.
    pub owner: Owner,
    /// Its uid, for approvals.
    pub owner_uid: String,
    /// The approval that somebody gave, if any.
    pub approved: Option<String>,
    /// When new documents are looked for, unless that rests.
    pub schedule: Option<Schedule>,
    /// How many documents its tenant may have, if a limit binds it and it has the knowledge base for itself.
    pub bound: Option<Bound>,
    /// How long after the start of a job the next may start.
    pub between: Duration,
}

impl Source<'_> {
    /// What a review looks at.
    pub fn scope(&self) -> Scope<'_> {
        Scope {
            owner: &self.owner,
            bucket: &self.bucket,
            prefix: &self.prefix,
            ledger: &self.ledger,
            pool: self.pool,
            metadata: self.metadata,
            all_first: self.merges,
            limit: self.limit,
            leaving: &self.leaving,
        }
    }
}
