//! What an operator is told at its start.

use std::time::Duration;

use kube::core::Selector;

/// The operator's settings; see `tenantry run --help`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The installation's name: prefix of all names in AWS, and of our finalizer.
    pub installation: String,
    /// Which Tenants and SharedStacks this operator sees; `None` = all.
    pub selector: Option<String>,
    /// Which namespaces may have Silo tenants; `None` = all.
    pub silo_namespaces: Option<Selector>,
    /// How long after its deletion a Tenant with deletionPolicy Delete is taken apart.
    pub deletion_grace: Duration,
    /// How often everything is looked at although nothing happened.
    pub resync: Duration,
    /// Divides all waits.
    pub clock: u32,
    /// How many objects of a kind are worked on at once.
    pub concurrency: u16,
}

impl Settings {
    /// The defaults of `tenantry run`.
    pub fn new(installation: &str) -> Self {
        Self {
            installation: installation.into(),
            selector: None,
            silo_namespaces: None,
            deletion_grace: Duration::from_secs(600),
            resync: Duration::from_secs(600),
            clock: 1,
            concurrency: 32,
        }
    }
}
