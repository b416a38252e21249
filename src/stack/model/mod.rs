//! The reconcile model: what is desired, what was observed, how they differ, what the next steps are, and the outcome.

pub(crate) mod answers;
pub(crate) mod blocked;
pub(crate) mod conditions;
pub(crate) mod desired;
pub(crate) mod diff;
pub(crate) mod drift;
pub(crate) mod grace;
#[cfg(test)]
pub(crate) mod ideal;
pub(crate) mod immutable;
pub(crate) mod layer_status;
pub(crate) mod observed;
pub(crate) mod outcome;
pub mod plan;
pub(crate) mod policy;
pub(crate) mod progress;
pub mod teardown_order;
pub(crate) mod written;
