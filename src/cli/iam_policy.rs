//! `tenantry iam-policy`: what IAM must allow, from the tables that the program's own calls and names go by.

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use super::args::{
    OfStores, OfTenant, account, bounding, bucket, installation, model, partition, region, registry, role,
};
use super::help;
use super::inspect;
use super::place::Place;
use crate::api::{Pattern, Tenant, VectorStore};
use crate::stack::iam::guard::{self, MAX_GUARD_CHARS};
use crate::stack::iam::permissions::{self, Audience, MAX_INLINE_CHARS, MAX_MANAGED_CHARS};
use crate::stack::iam::{ask, boundary, client_policy};
use crate::stack::identity::{Scope, known_partition, partition_of};
use crate::stack::names;
use crate::stack::registry::Table;

#[derive(Debug, Args)]
pub(super) struct IamPolicy {
    #[command(subcommand)]
    who: Who,
}

#[derive(Debug, Subcommand)]
enum Who {
    /// The operator's own role: what it needs to build, look and repair.
    #[command(after_help = help::after("tenantry iam-policy operator --installation prod --permissions-boundary $BOUNDARY", &[]))]
    Operator(Operator),
    /// What the operator's role needs beside that to delete. Without it nothing that was built is deleted: a Tenant or
    /// SharedStack that must go waits, and its conditions name the action that is missing.
    #[command(after_help = help::after("tenantry iam-policy destructive --installation prod", &[]))]
    Destructive(Destructive),
    /// The permissions boundary for the roles that the operator makes: all that a knowledge base of this installation needs, and
    /// nothing of anybody else's.
    Boundary(Boundary),
    /// Two policies of the organization, for the account that the operator works in: a service control policy, and with `--kind
    /// resource` a resource control policy. They refuse what no other policy can: that anybody but a service uses the roles that
    /// the operator makes, and that the operator puts its tags on others' keys and knowledge bases. They only deny; whatever
    /// allows, such as FullAWSAccess, stays beside them. They bind nothing in the organization's management account.
    Guard(Guard),
    /// The gateway's own role: records of tenantIds, and sessions of the asking role.
    #[command(after_help = help::after("tenantry iam-policy gateway --installation prod --ask-role $ASK", &[]))]
    Gateway(Gateway),
    /// The role in whose sessions the gateway asks, one for each tenant: a session may ask the knowledge base that its tags
    /// name, and no other. With `--trust`, the role's trust: the gateway's role alone may have such a session.
    #[command(after_help = help::after("tenantry iam-policy ask --installation prod --trust --gateway-role $GATEWAY", &[]))]
    Ask(Ask),
    /// A service control policy of the organization: nobody of the account reads the installation's knowledge bases but the
    /// gateway's asking role, and whoever `--except` names. It binds nobody of the management account, no service, and no role
    /// that a service has made for itself. It does not reach documents in buckets, nor vectors in a store; and whoever may take the
    /// installation's tag off a knowledge base takes that out of it.
    #[command(after_help = help::after("tenantry iam-policy fence --installation prod --ask-role $ASK --except $ADMINISTRATOR", &[]))]
    Fence(Fence),
    /// Whoever uploads a tenant's documents: its prefix, and nothing else. Read from the Tenant in the cluster.
    #[command(after_help = help::after("tenantry iam-policy writer -n tenants acme", &help::CLUSTER))]
    Writer(OfTenant),
    /// Whoever asks a tenant's knowledge base, and with `answers.model` has that model answer. Read from the Tenant in the
    /// cluster.
    #[command(after_help = help::after("tenantry iam-policy reader -n tenants acme", &help::CLUSTER))]
    Reader(Reader),
}

#[derive(Debug, Args)]
struct Installed {
    /// The installation's name: the policy covers what it names and tags, and nothing of another's.
    #[arg(long, env = "TENANTRY_INSTALLATION", value_parser = installation)]
    installation: String,

    /// The account's twelve digits. Default: any, as the policy works only in the account that it is attached in.
    #[arg(long, value_name = "ID", value_parser = account)]
    account: Option<String>,

    /// The region. Default: any.
    #[arg(long, value_name = "REGION", value_parser = region)]
    region: Option<String>,

    /// The partition, such as aws-us-gov. Default: the one of the region, or of an ARN that is given; of neither, aws.
    #[arg(long, value_name = "PARTITION", value_parser = partition)]
    partition: Option<String>,
}

#[derive(Debug, Args)]
struct Destructive {
    #[command(flatten)]
    installed: Installed,

    #[command(flatten)]
    of: OfStores,
}

#[derive(Debug, Args)]
struct Operator {
    #[command(flatten)]
    installed: Installed,

    /// The role that the operator runs as. It looks itself up, for its path: without this it may look up any role.
    #[arg(long, value_name = "ARN", value_parser = role)]
    role_arn: Option<String>,

    /// Let the operator make roles only within this permissions boundary.
    #[arg(long, value_name = "ARN", value_parser = bounding)]
    permissions_boundary: Option<String>,

    /// The registry that `tenantry run` is given, as dynamodb:<table>. Default: none, and nothing is allowed there.
    #[arg(long, env = "TENANTRY_REGISTRY", value_name = "REGISTRY", value_parser = registry)]
    registry: Option<Table>,

    /// The bucket for records of tenantIds that `tenantry run` is given. Default: the one that the operator makes.
    #[arg(long, env = "TENANTRY_INSTALLATION_BUCKET", value_name = "BUCKET", value_parser = bucket)]
    installation_bucket: Option<String>,

    #[command(flatten)]
    of: OfStores,

    /// Print one part only. All in one document fits a role's inline policies (10,240 characters), and not a managed
    /// policy (6,144): for managed policies, attach both parts.
    #[arg(long, value_enum, value_name = "PART")]
    part: Option<Part>,
}

#[derive(Debug, Args)]
struct Boundary {
    #[command(flatten)]
    installed: Installed,

    /// An embedding model that knowledge bases may invoke, by id or ARN; may be repeated. Default: all that Bedrock offers in
    /// the region. One that is an account's own must be named, by its ARN.
    #[arg(long = "embedding-model", value_name = "MODEL", value_parser = model)]
    embedding_models: Vec<String>,

    #[command(flatten)]
    of: OfStores,
}

#[derive(Debug, Args)]
struct Guard {
    #[command(flatten)]
    installed: Installed,

    /// The role that the operator runs as.
    #[arg(long, value_name = "ARN", value_parser = role)]
    role_arn: String,

    /// Which of the two to print.
    #[arg(long, value_enum, value_name = "KIND", default_value = "service")]
    kind: Kind,
}

#[derive(Debug, Args)]
struct Gateway {
    #[command(flatten)]
    installed: Installed,

    /// The role in whose sessions the gateway asks: its --ask-role.
    #[arg(long, env = "TENANTRY_ASK_ROLE", value_name = "ARN", value_parser = role)]
    ask_role: String,

    /// The bucket for records of tenantIds that `tenantry run` is given. Default: the one that the operator makes.
    #[arg(long, env = "TENANTRY_INSTALLATION_BUCKET", value_name = "BUCKET", value_parser = bucket)]
    installation_bucket: Option<String>,
}

#[derive(Debug, Args)]
struct Ask {
    #[command(flatten)]
    installed: Installed,

    /// Print whom the role trusts, and not what it may do.
    #[arg(long, requires = "gateway_role")]
    trust: bool,

    /// The role that the gateway runs as.
    #[arg(long, value_name = "ARN", value_parser = role, requires = "trust")]
    gateway_role: Option<String>,
}

#[derive(Debug, Args)]
struct Fence {
    #[command(flatten)]
    installed: Installed,

    /// The role in whose sessions the gateway asks: its --ask-role.
    #[arg(long, env = "TENANTRY_ASK_ROLE", value_name = "ARN", value_parser = role)]
    ask_role: String,

    /// A role that may go on asking by itself, such as that of who runs `tenantry retrieve`; may be repeated.
    #[arg(long = "except", value_name = "ARN", value_parser = role)]
    others: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// The service control policy: it binds whoever is of the account.
    Service,
    /// The resource control policy: it keeps the roles from whoever is not, and from whoever comes by an identity provider.
    Resource,
}

#[derive(Debug, Args)]
struct Reader {
    #[command(flatten)]
    of: OfTenant,

    /// Where the client looks the tenant up, as dynamodb:<table>: it may read the tenant's item. Default: nowhere.
    #[arg(long, env = "TENANTRY_REGISTRY", value_name = "REGISTRY", value_parser = registry)]
    registry: Option<Table>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Part {
    /// Buckets, documents and keys, and the registry.
    Storage,
    /// Roles, vector stores and what they may do with keys, indexes and knowledge bases.
    Retrieval,
}

impl IamPolicy {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let policy = match self.who {
            Who::Operator(operator) => operator.policy()?,
            Who::Destructive(Destructive { installed, of }) => {
                permissions::destructive(&installed.audience(of.stores())?)
            }
            Who::Boundary(Boundary { installed, embedding_models, of }) => {
                let arns = embedding_models.iter().filter(|model| model.starts_with("arn:"));
                let arns: Vec<_> = arns.map(|arn| ("--embedding-model", arn.as_str())).collect();
                let scope = installed.scope(&arns)?;
                within(boundary::boundary(&scope, &embedding_models, &of.stores()), MAX_MANAGED_CHARS)?
            }
            Who::Guard(Guard { installed, role_arn, kind }) => {
                let scope = installed.scope(&[("--role-arn", &role_arn)])?;
                not_made_by_itself(&scope, Some(&role_arn))?;
                let policy = match kind {
                    Kind::Service => guard::guard(&scope, &role_arn),
                    Kind::Resource => guard::resource_guard(&scope),
                };
                within(policy, MAX_GUARD_CHARS)?
            }
            Who::Gateway(gateway) => gateway.policy()?,
            Who::Ask(ask) => ask.policy()?,
            Who::Fence(Fence { installed, ask_role, others }) => {
                let arns: Vec<_> = others.iter().map(|arn| ("--except", arn.as_str())).collect();
                let scope =
                    installed.scope(&[&[("--ask-role", ask_role.as_str())], arns.as_slice()].concat())?;
                within(ask::fence(&scope, &ask_role, &others), MAX_GUARD_CHARS)?
            }
            Who::Writer(of) => {
                let (tenant, scope) = find(&of).await?;
                client_policy::writer(&scope, &tenant.status.unwrap_or_default()).context(NOT_YET)?
            }
            Who::Reader(Reader { of, registry }) => {
                let (tenant, scope) = find(&of).await?;
                if tenant.pattern() == Some(Pattern::Pool) {
                    eprintln!(
                        "warning: IAM cannot force a filter. Whoever has this policy and leaves the filter out is answered from \
                         the documents of every tenant of the pool: give it to trusted programs only, which always send \
                         status.retrievalFilter"
                    );
                }
                let model = tenant.answers().map(|answers| answers.model.as_str());
                let status = tenant.status.clone().unwrap_or_default();
                client_policy::reader(&scope, &tenant.spec.tenant_id, &status, model, registry.as_ref())?
                    .context(NOT_YET)?
            }
        };
        inspect::print(&format!("{policy:#}"))
    }
}

const NOT_YET: &str = "the Tenant is not built yet; `kubectl get tenant` says what it waits for";

/// A policy that IAM, or AWS Organizations, takes.
fn within(policy: Value, limit: usize) -> anyhow::Result<Value> {
    let length = permissions::length(&policy);
    if length > limit {
        bail!("the policy has {length} characters, and AWS takes {limit}: give fewer or shorter ARNs");
    }
    Ok(policy)
}

/// The operator gives rights to roles under its path, and would be one of them.
fn not_made_by_itself(scope: &Scope, role_arn: Option<&String>) -> anyhow::Result<()> {
    let path = scope.role_path();
    match role_arn.filter(|arn| arn.contains(&format!(":role{path}"))) {
        Some(arn) => bail!(
            "the operator may change all roles under {path}, and {arn} is one: it could give itself any right. Make its role \
             under another path"
        ),
        None => Ok(()),
    }
}

impl Installed {
    /// Where the policy holds, by its own options and by the ARNs that others have; an error where they contradict one another.
    fn scope(&self, arns: &[(&str, &str)]) -> anyhow::Result<Scope> {
        let (mut partitions, mut accounts) = (Vec::new(), Vec::new());
        partitions.extend(self.region.iter().map(|region| ("--region", partition_of(region))));
        partitions.extend(self.partition.iter().map(|partition| ("--partition", partition.as_str())));
        accounts.extend(self.account.iter().map(|account| ("--account", account.as_str())));
        for (option, arn) in arns {
            let mut parts = arn.split(':');
            partitions.push((option, known_partition(parts.nth(1).unwrap_or_default())?));
            // AWS's own policies and models are of no account.
            accounts.extend(parts.nth(2).filter(|id| names::is_account(id)).map(|id| (*option, id)));
        }
        let partition = agreed("partition", &partitions)?.unwrap_or("aws").into();
        agreed("account", &accounts)?;
        let any = |given: &Option<String>| given.clone().unwrap_or_else(|| "*".into());
        let scope = Scope::new(&self.installation, &any(&self.account), &any(&self.region));
        Ok(Scope { partition, ..scope })
    }

    fn audience(&self, stores: Vec<VectorStore>) -> anyhow::Result<Audience> {
        Ok(Audience {
            scope: self.scope(&[])?,
            role_arn: None,
            boundary_arn: None,
            registry: None,
            installation_bucket: None,
            stores,
        })
    }
}

/// What all options say that say anything.
fn agreed<'a>(what: &str, said: &[(&str, &'a str)]) -> anyhow::Result<Option<&'a str>> {
    let Some((option, first)) = said.first() else { return Ok(None) };
    match said.iter().find(|(_, other)| other != first) {
        Some((another, other)) => {
            bail!("{option} is of the {what} {first}, and {another} of {other}: give what is of one {what}")
        }
        None => Ok(Some(first)),
    }
}

impl Gateway {
    fn policy(self) -> anyhow::Result<Value> {
        let Self { installed, ask_role, installation_bucket } = self;
        let scope = installed.scope(&[("--ask-role", &ask_role)])?;
        not_made_by_itself(&scope, Some(&ask_role))?;
        within(ask::gateway(&scope, &ask_role, installation_bucket.as_deref()), MAX_MANAGED_CHARS)
    }
}

impl Ask {
    fn policy(self) -> anyhow::Result<Value> {
        let arns: Vec<_> = self.gateway_role.iter().map(|arn| ("--gateway-role", arn.as_str())).collect();
        let scope = self.installed.scope(&arns)?;
        not_made_by_itself(&scope, self.gateway_role.as_ref())?;
        match &self.gateway_role {
            None => within(ask::ask(&scope), MAX_MANAGED_CHARS),
            Some(gateway) => within(ask::trust(&scope, gateway), ask::MAX_TRUST_CHARS),
        }
    }
}

impl Operator {
    fn policy(self) -> anyhow::Result<Value> {
        if self.permissions_boundary.is_none() {
            eprintln!(
                "warning: without --permissions-boundary whoever has this policy can make a role that may do anything. Give \
                 the ARN of the policy that `tenantry iam-policy boundary` prints, here and to `tenantry run`"
            );
        }
        let arns = [("--role-arn", &self.role_arn), ("--permissions-boundary", &self.permissions_boundary)];
        let arns: Vec<_> = arns.iter().filter_map(|(option, arn)| Some((*option, arn.as_deref()?))).collect();
        let scope = self.installed.scope(&arns)?;
        not_made_by_itself(&scope, self.role_arn.as_ref())?;
        let audience = Audience {
            scope,
            role_arn: self.role_arn,
            boundary_arn: self.permissions_boundary,
            registry: self.registry,
            installation_bucket: self.installation_bucket,
            stores: self.of.stores(),
        };
        let (part, limit) = match self.part {
            None => (None, MAX_INLINE_CHARS),
            Some(Part::Storage) => (Some(permissions::Part::Storage), MAX_MANAGED_CHARS),
            Some(Part::Retrieval) => (Some(permissions::Part::Retrieval), MAX_MANAGED_CHARS),
        };
        within(permissions::operator(&audience, part), limit)
            .context("print one --part after the other, or only what one vector --store needs")
    }
}

/// The Tenant, and where in AWS it is: its status says so, and no AWS credentials are needed.
async fn find(of: &OfTenant) -> anyhow::Result<(Tenant, Scope)> {
    let tenant = of.find().await?;
    let status = tenant.status.clone().unwrap_or_default();
    let Place { account, region } = Place::of(&status);
    let scope = Scope::new("", &account.context(NOT_YET)?, &region.context(NOT_YET)?);
    let scope = match status.arns().next() {
        Some(arn) => scope.in_partition_of(arn)?,
        None => scope,
    };
    Ok((tenant, scope))
}
