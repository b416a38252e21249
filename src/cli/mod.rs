//! The command line: one verb a file.

mod args;
mod cluster;
mod crds;
mod delete;
mod documents;
mod gateway;
mod help;
mod iam_policy;
mod inspect;
mod place;
mod preview;
mod price;
mod process;
mod release;
mod retained;
mod retrieve;
mod run;
mod sentence;
mod tenants;
mod terminal;

use clap::{Parser, Subcommand};
use tokio::runtime::Builder;

use self::sentence::Reader;

/// Isolated retrieval-augmented-generation stacks on Amazon Bedrock Knowledge Bases, from a Tenant resource.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator: build in AWS what Tenants and SharedStacks ask for, and take it apart again.
    Run(run::Run),
    /// Run the gateway: answer questions of tenants' programs in AWS's own protocol, each from its own documents.
    Gateway(gateway::Gateway),
    /// Print the custom resource definitions, for `kubectl apply -f -`.
    Crds(crds::Crds),
    /// Print what IAM must allow, as a policy that can be attached as it is.
    IamPolicy(iam_policy::IamPolicy),
    /// Say what Tenants and SharedStacks in files would become, without a cluster and without AWS: layers and names, calls,
    /// ingestion, costs and quotas.
    Plan(preview::Plan),
    /// Show what deleting a Tenant would do in AWS, without touching anything.
    Delete(delete::Delete),
    /// Show how a tenant's documents fare: how many, the last job, what failed, what is in quarantine, and why.
    Documents(documents::Documents),
    /// List what was left behind in AWS: whose it is, since when, what it costs, and how to purge it.
    ///
    /// Reads AWS alone, with your credentials, and changes nothing. What is gone is noted beside what was left. What could
    /// not be looked at, for want of a right or of an answer, is named on stderr; all else is printed, and the exit code is
    /// 1, because the list may not be all. Where there is no installation bucket, no operator has worked, and nothing that
    /// is found there means nothing.
    Retained(retained::Retained),
    /// Give a tenantId to anybody, or to a Tenant that is there.
    ///
    /// Reads the record of the id, and writes it over what it read, with your credentials for AWS and the cluster. Refused
    /// while the Tenant that has the id is there, and while anything of it is left in AWS; what is left is named.
    Release(release::Release),
    /// List Tenants: where each is, of which class, and near which limit of the class.
    ///
    /// Reads the cluster alone: Tenants, and TenantClasses for their limits. Whoever is nearest to a limit comes first.
    /// Documents are counted as the last look before an ingestion job found them. Who may not read TenantClasses sees the
    /// Tenants without limits.
    Tenants(tenants::Tenants),
    /// Ask a tenant's knowledge base a question, always with the tenant's filter.
    Retrieve(retrieve::Retrieve),
}

impl Cli {
    /// Does what the command line says, on a runtime of its own. An error is one sentence.
    pub fn start(self) -> Result<(), String> {
        // One thread: a Tenant or a question waits for a few answers, and to wake another thread for each takes longer than the work
        // on it. `tenantry run` has two more threads for the documents of pools.
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|error| format!("the runtime of this program cannot be started: {error}"))?;
        // A task of its own: each waking of the future that `block_on` is given costs a system call.
        let done = runtime.block_on(runtime.spawn(self.run()));
        done.unwrap_or_else(|end| match end.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(end) => Err(end.to_string()),
        })
    }

    async fn run(self) -> Result<(), String> {
        // Both kube and the AWS SDK may bring a TLS provider; whoever comes second finds ours.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let reader = match self.command {
            Command::Run(_) | Command::Gateway(_) => Reader::Operators,
            _ => Reader::Caller,
        };
        self.command
            .run()
            .await
            .map_err(|error| terminal::harmless(&sentence::of(&error, reader)).into_owned())
    }
}

impl Command {
    async fn run(self) -> anyhow::Result<()> {
        match self {
            Command::Run(run) => run.run().await,
            Command::Gateway(gateway) => gateway.run().await,
            Command::Crds(crds) => crds.run(),
            Command::IamPolicy(policy) => policy.run().await,
            Command::Plan(plan) => plan.run(),
            Command::Delete(delete) => delete.run().await,
            Command::Documents(documents) => documents.run().await,
            Command::Retained(retained) => retained.run().await,
            Command::Release(release) => release.run().await,
            Command::Tenants(tenants) => tenants.run().await,
            Command::Retrieve(retrieve) => retrieve.run().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }

    /// What a command's help must say that it reads, besides its options.
    #[test]
    fn no_help_is_without_an_example_and_what_is_read_of_the_environment() {
        let (cluster, aws) = (&["KUBECONFIG", "--context"][..], &["AWS_REGION", "HTTPS_PROXY"][..]);
        for (path, reads) in [
            ("run", [cluster, aws, &["RUST_LOG"]].concat()),
            ("gateway", [cluster, aws, &["RUST_LOG"]].concat()),
            ("crds", vec![]),
            ("plan", vec![]),
            ("iam-policy operator", vec![]),
            ("iam-policy destructive", vec![]),
            ("iam-policy writer", cluster.to_vec()),
            ("iam-policy reader", cluster.to_vec()),
            ("delete", [cluster, aws].concat()),
            ("documents", [cluster, aws].concat()),
            ("release", [cluster, aws].concat()),
            ("retrieve", [cluster, aws].concat()),
            ("tenants", cluster.to_vec()),
            ("retained", [aws, &["TENANTRY_INSTALLATION"]].concat()),
        ] {
            let mut root = super::Cli::command();
            let command = path
                .split(' ')
                .fold(&mut root, |command, name| command.find_subcommand_mut(name).expect(path));
            let help = command.render_long_help().to_string();
            for part in reads.iter().chain(&["Example: "]) {
                assert!(help.contains(part), "{path} --help says nothing of {part}:\n{help}");
            }
        }
    }
}
