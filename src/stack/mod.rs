//! The model: what a stack should be, what it is, and what follows. Pure: no async, no client, no clock, no
//! environment. `tests/model` holds this folder to it.

pub mod accept;
pub mod approval;
pub mod blocked;
pub mod client_policy;
pub mod cron;
pub mod diff;
pub mod estimate;
pub mod farewell;
pub mod fault;
pub mod forecast;
pub mod grant;
pub mod hash;
#[cfg(test)]
pub(crate) mod ideal;
pub mod identity;
pub mod job;
pub mod layout;
pub mod limits;
pub mod offer;
pub mod onboarding;
pub mod opensearch;
pub mod operation;
pub mod permissions;
pub mod plan;
pub mod policy;
pub mod price;
pub mod progress;
pub mod registry;
pub mod seen;
pub mod unwind;
pub mod verdict;
pub mod want;
