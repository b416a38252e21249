//! What a step works with.

use crate::api::IngestionStatus;
use crate::aws::Aws;
use crate::documents::job_slots::JobSlots;
use crate::documents::reviews::Reviews;
use crate::documents::schedule::Ask;
use crate::documents::source::Source;

/// See the [module](self).
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    pub aws: &'a Aws,
    pub source: &'a Source<'a>,
    /// Why a job is wanted, apart from what the schedule and the documents ask for.
    pub asks: &'a [Ask],
    /// The ingestion status that stands. A job that it already describes is not asked about again.
    pub reported: Option<&'a IngestionStatus>,
    pub job_slots: &'a JobSlots,
    pub reviews: &'a Reviews,
}
