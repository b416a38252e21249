//! What manifests would become, without a cluster and without AWS: names, calls, ingestion, costs and quotas; and what a
//! deletion would do.

pub(crate) mod deletion_preview;
pub(crate) mod estimate;
pub(crate) mod limits;
pub(crate) mod onboarding;
pub(crate) mod price;
pub(crate) mod prospect;
