//! The reconcile model: what is desired, what was observed, how they differ, what the next steps are, and the outcome.

pub mod blocked;
pub mod desired;
pub mod diff;
#[cfg(test)]
pub(crate) mod ideal;
pub mod observed;
pub mod outcome;
pub mod plan;
pub mod policy;
pub mod progress;
pub mod teardown_order;
