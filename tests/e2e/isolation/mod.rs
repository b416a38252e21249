//! Whose something is, a tenantId, a resource in AWS or an object in the cluster, and who is kept from what.

pub mod client_policies;
pub mod foreign;
pub mod foreign_layers;
pub mod forged;
pub mod guarded;
pub mod hostile_sidecars;
pub mod installations;
pub mod keys;
pub mod one_tenant_id;
pub mod permissions;
pub mod pool_isolation;
pub mod selectors;
pub mod trust;
pub mod whose_id;
