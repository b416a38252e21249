//! The gateway, as the chart starts it, and whoever asks it.

mod answer;
pub mod authority;
pub mod callers;
pub mod clients;
pub mod issuer;
pub mod jwt;
pub mod process;
pub mod raw;
pub mod roles;
pub mod tenants;

pub use answer::Answer;
pub use process::Gateway;
