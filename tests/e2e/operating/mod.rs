//! What people and machines read of a running operator, and what its work costs.

pub mod elsewhere;
pub mod metrics;
pub mod pace;
pub mod pages;
pub mod readers;
pub mod registry;
pub mod steady_state;
pub mod turns;
