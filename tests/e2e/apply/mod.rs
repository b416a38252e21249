//! From an applied spec to a stack that answers, and what is changed of it later.

pub mod admission;
pub mod again;
pub mod changes;
pub mod classes;
pub mod conditions;
pub mod edges;
pub mod examples;
pub mod limits;
pub mod onboarding;
pub mod overlap;
pub mod plan;
pub mod quota;
pub mod refusals;
pub mod s3_vectors;
pub mod tenant_ids;
pub mod writes;
