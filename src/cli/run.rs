//! `tenantry run`

use std::time::Duration;

use anyhow::{Context, bail};
use clap::{ArgAction, Args};
use kube::core::Selector;
use tokio::runtime::{Builder, Handle};

use super::args::{bounding, bucket, installation, percent, registry};
use super::cluster::InCluster;
use super::help;
use super::process;
use crate::api::annotations::yes_or_no;
use crate::aws;
use crate::operator;
use crate::settings::LeaderElection;
use crate::settings::Settings;
use crate::stack::record;
use crate::stack::registry::Table;

/// For how long a connection to the API server may be silent: kube's watches are renewed before that.
const SILENCE: Duration = Duration::from_secs(295);

#[derive(Debug, Args)]
#[command(after_help = help::after("tenantry run --installation prod --read-only", &[&[help::LOG][..], &help::both()].concat()))]
pub(super) struct Run {
    /// This installation's name: the prefix of everything it names in AWS, and its finalizer in the cluster. One to
    /// eight lower-case letters and digits, beginning with a letter. Never change it while Tenants exist.
    #[arg(long, env = "TENANTRY_INSTALLATION", value_parser = installation)]
    installation: String,

    /// See only Tenants and SharedStacks with these labels, so that several installations can share a cluster. A label
    /// selector, such as 'region=eu'. Default: all.
    #[arg(long, env = "TENANTRY_SELECTOR", value_name = "SELECTOR")]
    selector: Option<String>,

    /// Which namespaces may have Silo tenants, each of which costs a collection. Labels that the namespace must have,
    /// such as 'tier=premium,team=rag'. Default: all.
    #[arg(long, env = "TENANTRY_SILO_NAMESPACES", value_name = "LABELS", value_parser = labels)]
    silo_namespaces: Option<Selector>,

    /// For how long nothing is taken apart yet after the operator could have begun with a Tenant that was deleted, in seconds:
    /// the time to say no. Neither a pause nor an operator that was down counts.
    #[arg(long, env = "TENANTRY_DELETION_GRACE", value_name = "SECONDS", default_value_t = 600)]
    deletion_grace: u64,

    /// How often everything is compared with AWS although nothing happened, in seconds.
    #[arg(long, env = "TENANTRY_RESYNC", value_name = "SECONDS", default_value_t = 600)]
    resync: u64,

    /// How many objects of a kind are worked on at once: the places. Namespaces take turns at them, whatever else is due,
    /// and a pass that waits until AWS's limits allow its next call holds none.
    #[arg(long, env = "TENANTRY_CONCURRENCY", value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,

    /// Plan and report, and change nothing in AWS: no call that mutates is made, and no finalizer is set.
    #[arg(long, env = "TENANTRY_READ_ONLY", value_parser = yes_or_no)]
    read_only: bool,

    /// How many knowledge bases the account may have, other people's included, before new ones are refused. AWS's limit
    /// is 100 an account and region.
    #[arg(long, env = "TENANTRY_MAX_KNOWLEDGE_BASES", value_name = "N", default_value_t = 90)]
    max_knowledge_bases: usize,

    /// How many Tenants a namespace may have before new ones are refused; those that are there stay. 0: as many as it likes.
    #[arg(long, env = "TENANTRY_MAX_TENANTS_PER_NAMESPACE", value_name = "N", default_value_t = 0)]
    max_tenants_per_namespace: usize,

    /// How many ingestion jobs run at a time. AWS runs five an account and region; fewer leave room for other people's.
    #[arg(long, env = "TENANTRY_MAX_INGESTION_JOBS", value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    max_ingestion_jobs: u16,

    /// Take over the AWS resources of this installation from another cluster, named by the uid of its kube-system
    /// namespace, as the refusal to start says it. The operator over there ends when it sees this.
    #[arg(long, env = "TENANTRY_TAKE_OVER", value_name = "UID")]
    take_over: Option<String>,

    /// A bucket for the records of tenantIds that an administrator has made, with the tag tenantry.dev/installation. Default:
    /// the operator makes one, in the account's own namespace of bucket names.
    #[arg(long, env = "TENANTRY_INSTALLATION_BUCKET", value_name = "BUCKET", value_parser = bucket)]
    installation_bucket: Option<String>,

    /// What becomes of a tenantId whose Tenant is deleted with all that it had. PerNamespace: only Tenants of the same
    /// namespace may have it again. Reuse: anybody may.
    #[arg(long, env = "TENANTRY_ID_POLICY", value_name = "POLICY", value_enum, default_value_t = IdPolicy::PerNamespace)]
    id_policy: IdPolicy,

    /// A namespace may have only the tenantIds that its annotation tenantry.dev/tenant-ids names; without the annotation it
    /// may have none. Default: without the annotation it may have all.
    #[arg(long, env = "TENANTRY_REQUIRE_TENANT_IDS", value_parser = yes_or_no)]
    require_tenant_ids: bool,

    /// A new Tenant must name a TenantClass, and one that has a class may not leave it for none. Those that stand without a class
    /// go on. Default: a Tenant may be without a class, and then has no limits but those of the AWS account.
    #[arg(long, env = "TENANTRY_REQUIRE_CLASS", value_parser = yes_or_no)]
    require_class: bool,

    /// Make records of tenantIds that were lost anew, of what the cluster and AWS have. Ids of which nothing is left there are
    /// forgotten: anybody may have them. For one start.
    #[arg(long, env = "TENANTRY_REBUILD_RECORDS", value_parser = yes_or_no)]
    rebuild_records: bool,

    /// How much of what AWS grants to the account and region is used, where AWS limits how many calls a second there may
    /// be: 1% to 100%. The rest is for others.
    #[arg(long, env = "TENANTRY_PACE", value_name = "PERCENT", default_value = "80%", value_parser = percent)]
    pace: u32,

    /// The ARN of an IAM policy that bounds what any role made here may ever do.
    #[arg(long, env = "TENANTRY_PERMISSIONS_BOUNDARY", value_name = "ARN", value_parser = bounding)]
    permissions_boundary: Option<String>,

    /// A table of DynamoDB that says, for clients that do not read the cluster, which knowledge base answers for which
    /// tenant: dynamodb:<table>, in the operator's account and region, with the key tenantId, a string. The operator
    /// writes items, and never the table. Default: none.
    #[arg(long, env = "TENANTRY_REGISTRY", value_name = "REGISTRY", value_parser = registry)]
    registry: Option<Table>,

    #[command(flatten)]
    watched: process::Watched,

    /// How many Tenants at most have metrics of their own, with namespace and name, those first that are not Ready. 0: none is
    /// named, to whoever may scrape. All are counted, and SharedStacks are always named.
    #[arg(long, env = "TENANTRY_METRICS_PER_OBJECT", value_name = "N", default_value_t = 0)]
    metrics_per_object: usize,

    /// Divides all waits but those of the leader election; for tests.
    #[arg(long, env = "TENANTRY_CLOCK", value_name = "N", default_value_t = 1, hide = true)]
    clock: u32,

    /// How often new documents are looked for where no schedule says so, in seconds; for tests.
    #[arg(
        long,
        env = "TENANTRY_LOOK_FOR_DOCUMENTS",
        value_name = "SECONDS",
        default_value_t = 3600,
        hide = true
    )]
    look_for_documents: u64,

    #[command(flatten)]
    within: InCluster,

    // Last, because its heading would cover whatever came after it.
    #[command(flatten)]
    election: Election,
}

/// Who acts, if there are several processes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Leader election")]
struct Election {
    /// Act only while holding the lease tenantry-<installation>, so that several processes can run and one takes over
    /// when another dies. With 'false' this must be the only process. One that runs with --read-only needs no lease.
    #[arg(long, env = "TENANTRY_LEADER_ELECT", value_name = "BOOL", default_value_t = true, action = ArgAction::Set, value_parser = yes_or_no, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    leader_elect: bool,

    /// How long others wait after the last renewal that they saw before they take over, in seconds.
    #[arg(long, env = "TENANTRY_LEADER_ELECT_LEASE_DURATION", value_name = "SECONDS", default_value_t = 15)]
    leader_elect_lease_duration: u32,

    /// How long the leader goes on after its last renewal, in seconds. Then it ends.
    #[arg(long, env = "TENANTRY_LEADER_ELECT_RENEW_DEADLINE", value_name = "SECONDS", default_value_t = 10)]
    leader_elect_renew_deadline: u32,

    /// How long is waited between two tries to take or renew the lease, in seconds.
    #[arg(long, env = "TENANTRY_LEADER_ELECT_RETRY_PERIOD", value_name = "SECONDS", default_value_t = 2)]
    leader_elect_retry_period: u32,

    /// The namespace of the lease, the same for all processes of an installation. Default: the service account's
    /// namespace, or that of the kubeconfig's context.
    #[arg(long, env = "TENANTRY_LEADER_ELECT_RESOURCE_NAMESPACE", value_name = "NAMESPACE")]
    leader_elect_resource_namespace: Option<String>,
}

impl Election {
    /// What is to be kept to, unless this is the only process. `namespace` is where we are.
    fn terms(self, namespace: &str) -> anyhow::Result<Option<LeaderElection>> {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let terms = LeaderElection {
            namespace: self.leader_elect_resource_namespace.unwrap_or_else(|| namespace.into()),
            identity: identity(),
            duration: seconds(self.leader_elect_lease_duration),
            renew_deadline: seconds(self.leader_elect_renew_deadline),
            retry_period: seconds(self.leader_elect_retry_period),
        };
        if !self.leader_elect {
            return Ok(None);
        }
        terms.check().map_err(anyhow::Error::msg)?;
        Ok(Some(terms))
    }
}

/// The pod's name says where to look for the logs; what is random tells a process from the one before it.
fn identity() -> String {
    let pod = std::env::var("POD_NAME").ok().filter(|pod| !pod.is_empty());
    let host =
        || hostname::get().map_or_else(|_| "tenantry".into(), |host| host.to_string_lossy().into_owned());
    format!("{}_{:016x}", pod.unwrap_or_else(host), fastrand::u64(..))
}

/// As the command line spells it.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
#[value(rename_all = "PascalCase")]
enum IdPolicy {
    PerNamespace,
    Reuse,
}

fn labels(text: &str) -> Result<Selector, String> {
    let pairs = text.split(',').map(|pair| match pair.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_string(), value.trim().to_string()))
        }
        _ => Err(format!("'{pair}' is not of the form key=value")),
    });
    pairs.collect()
}

impl Run {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        process::log(self.watched.log_format);
        let config = process::patient(self.within.config().await?, SILENCE);
        let api_server = config.cluster_url.to_string();
        let client = kube::Client::try_from(config)?;
        let settings = Settings {
            selector: self.selector,
            silo_namespaces: self.silo_namespaces,
            deletion_grace: Duration::from_secs(self.deletion_grace),
            resync: Duration::from_secs(self.resync),
            read_only: self.read_only,
            max_knowledge_bases: self.max_knowledge_bases,
            max_tenants_per_namespace: self.max_tenants_per_namespace,
            max_ingestion_jobs: self.max_ingestion_jobs.into(),
            pace: self.pace,
            take_over: self.take_over,
            installation_bucket: self.installation_bucket,
            id_policy: match self.id_policy {
                IdPolicy::PerNamespace => record::IdPolicy::PerNamespace,
                IdPolicy::Reuse => record::IdPolicy::Reuse,
            },
            require_tenant_ids: self.require_tenant_ids,
            require_class: self.require_class,
            rebuild_records: self.rebuild_records,
            permissions_boundary: self.permissions_boundary,
            registry: self.registry,
            api_server,
            clock: self.clock,
            look_for_documents: Duration::from_secs(self.look_for_documents),
            concurrency: self.concurrency,
            stack_threads: Some(stack_threads()?),
            leader_election: self.election.terms(client.default_namespace())?,
            health_probe_bind_address: self.watched.health_probe_bind_address,
            metrics_bind_address: self.watched.metrics_bind_address,
            metrics_per_object: self.metrics_per_object,
            ..Settings::new(&self.installation)
        };
        if settings.resync.is_zero() {
            bail!("--resync must be at least 1 second");
        }
        let stop = process::stop_on_signal();
        operator::run(settings, client, &aws::load().await?, stop).await
    }
}

/// Threads for SharedStacks. Their passes make requests for each document of a pool, which must not delay the Tenants.
fn stack_threads() -> anyhow::Result<Handle> {
    let threads = Builder::new_multi_thread().worker_threads(2).thread_name("stacks").enable_all().build();
    let threads = threads.context("the threads for SharedStacks cannot be started")?;
    // They end with the process: a runtime may not end within another.
    Ok(Box::leak(Box::new(threads)).handle().clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Alone {
        #[command(flatten)]
        election: Election,
    }

    fn terms(arguments: &[&str]) -> anyhow::Result<Option<LeaderElection>> {
        use clap::Parser;
        let arguments = std::iter::once(&"run").chain(arguments);
        Alone::try_parse_from(arguments)?.election.terms("here")
    }

    #[test]
    fn leaders_are_elected_unless_told_otherwise() {
        for arguments in [&[][..], &["--leader-elect"], &["--leader-elect=true"]] {
            let terms = terms(arguments).unwrap().expect("an election");
            assert_eq!((terms.namespace.as_str(), terms.duration.as_secs()), ("here", 15));
        }
        assert!(terms(&["--leader-elect=false"]).unwrap().is_none());
        let elsewhere = terms(&["--leader-elect-resource-namespace", "there"]).unwrap().expect("an election");
        assert_eq!(elsewhere.namespace, "there");
        let refused = terms(&["--leader-elect-renew-deadline", "15"]).unwrap_err().to_string();
        assert!(refused.contains("--leader-elect-lease-duration (15 s) must be more than"), "{refused}");
    }

    #[test]
    fn processes_are_told_apart() {
        assert_ne!(identity(), identity());
        assert!(!identity().starts_with('_'));
    }

    #[test]
    fn labels_are_pairs() {
        assert!(labels("tier=premium,team=rag").is_ok());
        assert!(labels("tier").is_err());
        assert!(labels("=x").is_err());
    }
}
