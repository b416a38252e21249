//! What manifests would become, without a cluster and without AWS: names, calls, ingestion, costs and quotas; and what a
//! deletion would do.

pub mod deletion_preview;
pub mod estimate;
pub mod limits;
pub mod onboarding;
pub mod price;
pub mod prospect;
