//! The process: it starts, waits for what it needs, is elected, watches the cluster, and says how it is.

pub mod client;
pub mod definitions;
pub mod installation_owner;
pub mod lease;
pub mod metrics;
pub mod serve;
pub mod start;
pub mod wait_for_aws;
mod watches;

pub use start::run;
