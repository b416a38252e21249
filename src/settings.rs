//! What an operator is told at its start.

use std::net::SocketAddr;
use std::time::Duration;

use kube::core::Selector;
use tokio::runtime::Handle;

use crate::documents::job_size::Size;
use crate::stack::record::IdPolicy;
use crate::stack::registry::Table;

/// The operator's settings; see `tenantry run --help`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The installation's name: prefix of all names in AWS, and of our finalizer.
    pub installation: String,
    /// Which Tenants and SharedStacks this operator sees; `None` = all.
    pub selector: Option<String>,
    /// Which namespaces may have Silo tenants; `None` = all.
    pub silo_namespaces: Option<Selector>,
    /// For how long nothing is taken apart yet after we could have begun with it.
    pub deletion_grace: Duration,
    /// How often everything is looked at although nothing happened.
    pub resync: Duration,
    /// How often new documents are looked for where no schedule says so; no option but for tests, because a schedule, or `suspend`, says
    /// otherwise for each knowledge base.
    pub look_for_documents: Duration,
    /// Plans and reports, and changes nothing in AWS; takes no holds.
    pub read_only: bool,
    /// How many knowledge bases this account may have, other people's included, before new ones are refused.
    pub max_knowledge_bases: usize,
    /// How many Tenants a namespace may have; 0 = as many as it likes.
    pub max_tenants_per_namespace: usize,
    /// How many ingestion jobs run at a time.
    pub max_ingestion_jobs: usize,
    /// What AWS takes in one ingestion job; no option, because AWS raises it for nobody.
    pub job_size: Size,
    /// How much of AWS's own limits on the rate of calls is used, in percent.
    pub pace: u32,
    /// The cluster whose installation this operator takes over, by the uid of its kube-system namespace.
    pub take_over: Option<String>,
    /// A bucket that an administrator has made for the records of tenantIds; `None` = the operator makes it.
    pub installation_bucket: Option<String>,
    /// What becomes of tenantIds whose Tenants are gone with all that they had.
    pub id_policy: IdPolicy,
    /// Whether a namespace may have only the tenantIds that its annotation names.
    pub require_tenant_ids: bool,
    /// Whether new Tenants must be of a class, and those that are of one must stay of one.
    pub require_class: bool,
    /// Whether records that are lost are made anew of what is there.
    pub rebuild_records: bool,
    /// The policy that bounds what any role made here may ever do.
    pub permissions_boundary: Option<String>,
    /// The table that says, for clients, which knowledge base answers for which tenant.
    pub registry: Option<Table>,
    /// Where the API server is, as messages name it.
    pub api_server: String,
    /// Divides all waits.
    pub clock: u32,
    /// How many objects of a kind are worked on at once: the places at which namespaces take turns.
    pub concurrency: u16,
    /// On which threads SharedStacks are worked on; `None` = on those of all else.
    pub stack_threads: Option<Handle>,
    /// How leaders are elected; `None` = this is the only process.
    pub leader_election: Option<LeaderElection>,
    /// Where `/healthz` and `/readyz` are served, if anywhere.
    pub health_probe_bind_address: Option<SocketAddr>,
    /// Where `/metrics` is served, if anywhere.
    pub metrics_bind_address: Option<SocketAddr>,
    /// How many Tenants have metrics of their own, by name.
    pub metrics_per_object: usize,
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
            look_for_documents: Duration::from_secs(3600),
            read_only: false,
            max_knowledge_bases: 90,
            max_tenants_per_namespace: 0,
            max_ingestion_jobs: 5,
            job_size: Size::OF_A_JOB,
            pace: 80,
            take_over: None,
            installation_bucket: None,
            id_policy: IdPolicy::PerNamespace,
            require_tenant_ids: false,
            require_class: false,
            rebuild_records: false,
            permissions_boundary: None,
            registry: None,
            api_server: "of the cluster".into(),
            clock: 1,
            concurrency: 32,
            stack_threads: None,
            leader_election: None,
            health_probe_bind_address: None,
            metrics_bind_address: None,
            metrics_per_object: 0,
        }
    }
}

/// How leaders are elected.
#[derive(Clone, Debug)]
pub struct LeaderElection {
    /// The namespace of the Lease: the same for all processes of an installation.
    pub namespace: String,
    /// Who this process is; no two have the same.
    pub identity: String,
    /// How long others wait after the last renewal that they saw. Whole seconds.
    pub duration: Duration,
    /// How long the holder goes on acting after its last renewal.
    pub renew_deadline: Duration,
    /// Between two tries.
    pub retry_period: Duration,
}

impl LeaderElection {
    /// Whether the times fit together.
    pub fn check(&self) -> Result<(), String> {
        let Self { duration, renew_deadline, retry_period, .. } = *self;
        if retry_period.is_zero() {
            return Err("--leader-elect-retry-period must be at least 1 second".into());
        }
        if renew_deadline <= retry_period.mul_f64(1.2) {
            return Err(format!(
                "--leader-elect-renew-deadline ({} s) must be more than 1.2 times --leader-elect-retry-period ({} s)",
                renew_deadline.as_secs(),
                retry_period.as_secs()
            ));
        }
        if duration <= renew_deadline {
            return Err(format!(
                "--leader-elect-lease-duration ({} s) must be more than --leader-elect-renew-deadline ({} s)",
                duration.as_secs(),
                renew_deadline.as_secs()
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn times_that_do_not_fit_together_are_refused() {
        let terms = |duration: u64, deadline: u64, retry: u64| LeaderElection {
            namespace: "tenantry".into(),
            identity: "me".into(),
            duration: SECOND * duration as u32,
            renew_deadline: SECOND * deadline as u32,
            retry_period: SECOND * retry as u32,
        };
        for (duration, deadline, retry) in [(15, 10, 2), (4, 3, 1), (3, 2, 1)] {
            assert_eq!(terms(duration, deadline, retry).check(), Ok(()));
        }
        for (duration, deadline, retry, names) in [
            (10, 10, 2, "lease-duration (10 s)"),
            (15, 2, 2, "renew-deadline (2 s)"),
            (15, 6, 5, "renew-deadline (6 s)"),
            (15, 10, 0, "retry-period"),
        ] {
            let refused = terms(duration, deadline, retry).check().unwrap_err();
            assert!(refused.contains(names), "{refused}");
        }
    }
}
