//! The gateway: questions of tenants' programs, in AWS's own protocol, answered from their own documents or not at all.
//!
//! Its rights in the cluster:
//!
//! | what | which verbs | where |
//! |---|---|---|
//! | `tenants`, `sharedstacks`, `tenantclasses` (`tenantry.dev`) | list, watch | everywhere |
//! | `tokenreviews` (`authentication.k8s.io`) | create | everywhere |
//! | `subjectaccessreviews` (`authorization.k8s.io`) | create | everywhere |
//! | `events` (`events.k8s.io`) | create | everywhere |
//! | `endpointslices` (`discovery.k8s.io`) | list, watch | in its own namespace, with `--service` |
//!
//! A caller that is a ServiceAccount needs the verb `ask` on the Tenant (`tenants`, `tenantry.dev`), by its namespace and name.

mod access_log;
mod alarm;
mod beginning;
mod callers;
mod classes;
mod door;
mod freshness;
mod kept;
mod listen;
mod metrics;
#[cfg(test)]
mod mocked;
mod patience;
mod places;
mod records;
mod replicas;
mod rights;
mod route;
mod server;
mod sessions;
pub mod settings;
mod start;
mod tenants;
mod tls;
mod turns;
mod upstream;
mod watches;

pub use self::settings::Settings;
pub use self::start::run;
pub use self::watches::SILENCE;
