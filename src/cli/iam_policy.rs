//! `tenantry iam-policy`: what IAM must allow, from the table that the program's own calls go by.

use anyhow::bail;
use clap::{Args, Subcommand, ValueEnum};

use super::run::{installation, registry};
use crate::stack::identity::Scope;
use crate::stack::permissions::{self, Audience, MAX_INLINE_CHARS, MAX_MANAGED_CHARS};
use crate::stack::registry::Table;

#[derive(Debug, Args)]
pub(super) struct IamPolicy {
    #[command(subcommand)]
    audience: Who,
}

#[derive(Debug, Subcommand)]
enum Who {
    /// The operator's own role.
    Operator(Operator),
}

#[derive(Debug, Args)]
struct Operator {
    /// The installation's name: the policy covers what it names and tags, and nothing of another's.
    #[arg(long, env = "TENANTRY_INSTALLATION", value_parser = installation)]
    installation: String,

    /// The account's twelve digits. Default: any, as the policy works only in the account that it is attached in.
    #[arg(long, value_name = "ID", value_parser = account)]
    account: Option<String>,

    /// The region. Default: any.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,

    /// The role that the operator runs as. It looks itself up, for its path: without this it may look up any role.
    #[arg(long, value_name = "ARN", value_parser = arn)]
    role_arn: Option<String>,

    /// Let the operator make roles only within this permissions boundary.
    #[arg(long, value_name = "ARN", value_parser = arn)]
    permissions_boundary: Option<String>,

    /// The registry that `tenantry run` is given, as dynamodb:<table>. Default: none, and nothing is allowed there.
    #[arg(long, env = "TENANTRY_REGISTRY", value_name = "REGISTRY", value_parser = registry)]
    registry: Option<Table>,

    /// Print one part only. All in one document fits a role's inline policies (10,240 characters), and not a managed
    /// policy (6,144): for managed policies, attach both parts.
    #[arg(long, value_enum, value_name = "PART")]
    part: Option<Part>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Part {
    /// Buckets, documents and keys, and the registry.
    Storage,
    /// Roles, collections, indexes and knowledge bases.
    Retrieval,
}

pub(super) fn account(id: &str) -> Result<String, String> {
    match id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Ok(id.into()),
        false => Err("an account id has twelve digits".into()),
    }
}

fn arn(text: &str) -> Result<String, String> {
    match text.starts_with("arn:") && text.split(':').count() >= 6 {
        true => Ok(text.into()),
        false => Err("an ARN is of the form arn:aws:iam::<account>:<resource>".into()),
    }
}

impl IamPolicy {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Who::Operator(operator) = self.audience;
        let any = |given: Option<String>| given.unwrap_or_else(|| "*".into());
        let scope = Scope::new(&operator.installation, &any(operator.account), &any(operator.region));
        let audience = Audience {
            scope,
            role_arn: operator.role_arn,
            boundary_arn: operator.permissions_boundary,
            registry: operator.registry,
        };
        let (part, limit) = match operator.part {
            None => (None, MAX_INLINE_CHARS),
            Some(Part::Storage) => (Some(permissions::Part::Storage), MAX_MANAGED_CHARS),
            Some(Part::Retrieval) => (Some(permissions::Part::Retrieval), MAX_MANAGED_CHARS),
        };
        let policy = permissions::operator(&audience, part);
        let length = permissions::length(&policy);
        if length > limit {
            bail!("the policy has {length} characters, and IAM takes {limit}: give shorter ARNs");
        }
        println!("{policy:#}");
        Ok(())
    }
}
