//! What a review looks at.

use std::collections::BTreeSet;

use super::job_size::Size;
use super::sidecar::Pool;
use crate::stack::identity::Owner;
use crate::stack::store::MetadataLimits;

/// What is reviewed.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// Whose documents they are.
    pub owner: &'a Owner,
    /// The bucket,
    pub bucket: &'a str,
    /// and the prefix that the data source reads.
    pub prefix: &'a str,
    /// The folder of its ledger.
    pub ledger: &'a str,
    /// What stands beside the documents and whose they may be, if this is a pool. Others' metadata files are their own.
    pub pool: Option<Pool<'a>>,
    /// What the vector store takes of a metadata file, if less than Bedrock reads. Only others' files are measured: a pool's are
    /// written to fit.
    pub metadata: Option<MetadataLimits>,
    /// Whether no job may start before everything was looked at, because there may be files that name another tenant.
    pub all_first: bool,
    /// What one job takes. Only a pool's documents are made to wait: others are one tenant's.
    pub limit: Size,
    /// Tenants that leave: their documents are expected to go.
    pub leaving: &'a BTreeSet<String>,
}
