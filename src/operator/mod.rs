//! The process: it starts, waits for what it needs, is elected, watches the cluster, and says how it is.

mod build;
mod classes;
mod controllers;
pub(crate) mod definitions;
mod health;
pub(crate) mod installation_owner;
mod lead;
pub(crate) mod lease;
pub(crate) mod metrics;
mod queue;
pub(crate) mod records;
pub(crate) mod start;
pub(crate) mod wait_for_aws;
mod watches;
mod work;

pub use start::run;
