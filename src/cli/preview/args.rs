//! What `tenantry plan` is given.

use clap::Args;

use crate::api::annotations::yes_or_no;
use crate::cli::args::{Output, account, installation, region};
use crate::cli::price::Priced;

/// The account of AWS's own examples.
pub(super) const EXAMPLE_ACCOUNT: &str = "111122223333";

#[derive(Debug, Args)]
#[command(
    after_help = "Example: tenantry plan -f shared-stack.yaml tenants.yaml --installation prod --account 111122223333 \
                        --region eu-central-1 --documents 1000 --tokens-per-document 8000"
)]
pub(in crate::cli) struct Plan {
    /// Files with Tenants, the SharedStacks that they borrow from and the TenantClasses that they name, or folders of them; '-' is
    /// the standard input. A file may hold several documents; those of other kinds are skipped.
    #[arg(short = 'f', long = "filename", value_name = "FILE", required = true, num_args = 1..)]
    pub(super) files: Vec<String>,

    /// The namespace of Tenants that name none.
    #[arg(short, long, value_name = "NAMESPACE", default_value = "default")]
    pub(super) namespace: String,

    /// The operator's --installation. Like account and region, it is part of every name in AWS.
    #[arg(long, env = "TENANTRY_INSTALLATION", value_parser = installation, default_value = "tenantry")]
    pub(super) installation: String,

    /// The account's twelve digits. The default is an example.
    #[arg(long, value_name = "ID", value_parser = account, default_value = EXAMPLE_ACCOUNT)]
    pub(super) account: String,

    /// The region.
    #[arg(long, value_name = "REGION", env = "AWS_REGION", value_parser = region, default_value = "us-east-1")]
    pub(super) region: String,

    /// How many documents each Tenant brings.
    #[arg(long, value_name = "N", default_value_t = 100, help_heading = "Ingestion")]
    pub(super) documents: u64,

    /// How many chunks a document is cut into. Default: what follows from --tokens-per-document and the chunking.
    #[arg(long, value_name = "N", value_parser = at_least_one(), help_heading = "Ingestion")]
    pub(super) chunks_per_document: Option<u64>,

    /// How many tokens a document has: some 500 a page.
    #[arg(
        long, value_name = "N", default_value_t = 5_000, value_parser = at_least_one(),
        help_heading = "Ingestion"
    )]
    pub(super) tokens_per_document: u64,

    /// How many tokens a chunk has. Default: as many as the chunking lets it have.
    #[arg(long, value_name = "N", value_parser = at_least_one(), help_heading = "Ingestion")]
    pub(super) tokens_per_chunk: Option<u64>,

    /// How many requests a minute the account may send to an embedding model. Service Quotas has yours.
    #[arg(
        long, value_name = "N", default_value_t = 2_000, value_parser = at_least_one(),
        help_heading = "Ingestion"
    )]
    pub(super) rpm: u64,

    /// How many tokens a minute it may send.
    #[arg(
        long, value_name = "N", default_value_t = 300_000, value_parser = at_least_one(),
        help_heading = "Ingestion"
    )]
    pub(super) tpm: u64,

    /// How many bytes a document has, if what they cost and the limits on bytes are of interest.
    #[arg(long, value_name = "N", help_heading = "Ingestion")]
    pub(super) bytes_per_document: Option<u64>,

    /// The operator's --max-knowledge-bases.
    #[arg(long, env = "TENANTRY_MAX_KNOWLEDGE_BASES", value_name = "N", default_value_t = 90)]
    pub(super) max_knowledge_bases: u64,

    /// The operator's --require-class: a Tenant without a class is refused.
    #[arg(long, env = "TENANTRY_REQUIRE_CLASS", value_parser = yes_or_no)]
    pub(super) require_class: bool,

    #[command(flatten)]
    pub(super) output: Output,

    #[command(flatten, next_help_heading = "Prices")]
    pub(super) prices: Priced,
}

fn at_least_one() -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(1..)
}
