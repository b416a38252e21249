//! `tenantry plan`: what manifests would become, without a cluster and without AWS.

mod manifests;
mod report;
mod text;

use std::collections::BTreeSet;
use std::io::{ErrorKind, Write};
use std::sync::Arc;

use anyhow::bail;
use clap::{Args, ValueEnum};

use super::iam_policy::{account, region};
use super::preview::manifests::{Found, Manifests, title};
use super::preview::report::{Ingestion, Outlook, Report, by_model, floor, sum, warnings};
use super::price::Priced;
use super::run::installation;
use crate::api::{EncryptionSettings, Isolation, KnowledgeBaseSettings, Pattern, Shared, Tenant, models};
use crate::stack::accept;
use crate::stack::forecast::estimate::{self, Load, Rates, Sizes};
use crate::stack::forecast::limits::Capacity;
use crate::stack::forecast::limits::{Counts, Documents};
use crate::stack::forecast::onboarding;
use crate::stack::forecast::price::Prices;
use crate::stack::forecast::prospect::{Cost, Prospect};
use crate::stack::identity::{Identity, Owner, Scope};
use crate::stack::names;
use crate::stack::store::{INDEX_API_REGIONS, SCHEMA, WITHOUT_INDEX_API};

/// The account of AWS's own examples.
const EXAMPLE_ACCOUNT: &str = "111122223333";

#[derive(Debug, Args)]
#[command(
    after_help = "Example: tenantry plan -f shared-stack.yaml tenants.yaml --installation prod --account 111122223333 \
                        --region eu-central-1 --documents 1000 --tokens-per-document 8000"
)]
pub(super) struct Plan {
    /// Files with Tenants and the SharedStacks that they borrow from, or folders of them; '-' is the standard input. A file
    /// may hold several documents; those of other kinds are skipped.
    #[arg(short = 'f', long = "filename", value_name = "FILE", required = true, num_args = 1..)]
    files: Vec<String>,

    /// The namespace of Tenants that name none.
    #[arg(short, long, value_name = "NAMESPACE", default_value = "default")]
    namespace: String,

    /// The operator's --installation. Like account and region, it is part of every name in AWS.
    #[arg(long, env = "TENANTRY_INSTALLATION", value_parser = installation, default_value = "tenantry")]
    installation: String,

    /// The account's twelve digits. The default is an example.
    #[arg(long, value_name = "ID", value_parser = account, default_value = EXAMPLE_ACCOUNT)]
    account: String,

    /// The region.
    #[arg(long, value_name = "REGION", env = "AWS_REGION", value_parser = region, default_value = "us-east-1")]
    region: String,

    /// How many documents each Tenant brings.
    #[arg(long, value_name = "N", default_value_t = 100, help_heading = "Ingestion")]
    documents: u64,

    /// How many chunks a document is cut into. Default: what follows from --tokens-per-document and the chunking.
    #[arg(long, value_name = "N", value_parser = at_least_one(), help_heading = "Ingestion")]
    chunks_per_document: Option<u64>,

    /// How many tokens a document has: some 500 a page.
    #[arg(
        long, value_name = "N", default_value_t = 5_000, value_parser = at_least_one(),
        help_heading = "Ingestion"
    )]
    tokens_per_document: u64,

    /// How many tokens a chunk has. Default: as many as the chunking lets it have.
    #[arg(long, value_name = "N", value_parser = at_least_one(), help_heading = "Ingestion")]
    tokens_per_chunk: Option<u64>,

    /// How many requests a minute the account may send to an embedding model. Service Quotas has yours.
    #[arg(
        long, value_name = "N", default_value_t = 2_000, value_parser = at_least_one(),
        help_heading = "Ingestion"
    )]
    rpm: u64,

    /// How many tokens a minute it may send.
    #[arg(
        long, value_name = "N", default_value_t = 300_000, value_parser = at_least_one(),
        help_heading = "Ingestion"
    )]
    tpm: u64,

    /// How many bytes a document has, if what they cost and the limits on bytes are of interest.
    #[arg(long, value_name = "N", help_heading = "Ingestion")]
    bytes_per_document: Option<u64>,

    /// The operator's --max-knowledge-bases.
    #[arg(long, env = "TENANTRY_MAX_KNOWLEDGE_BASES", value_name = "N", default_value_t = 90)]
    max_knowledge_bases: u64,

    /// How to print it.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Output::Text)]
    output: Output,

    #[command(flatten, next_help_heading = "Prices")]
    prices: Priced,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    Text,
    Json,
}

fn at_least_one() -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(1..)
}

/// Indexes whose schema may be refused: they are made all the same where the endpoint can be reached.
fn large_schemas(objects: &[Outlook], prospects: &[Prospect]) -> Vec<String> {
    let all = objects.iter().zip(prospects);
    let large =
        all.filter_map(|(it, prospect)| Some((it, prospect.schema.filter(|length| *length > SCHEMA)?)));
    let said = large.map(|(it, length)| {
        format!(
            "{}: the schema of its index has {length} characters with all its attributes, and AWS documents {SCHEMA}; should \
             CreateIndex refuse it, {WITHOUT_INDEX_API}.",
            it.object
        )
    });
    said.collect()
}

impl Plan {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let manifests = match Manifests::read(&self.files, &self.namespace) {
            Ok(manifests) => manifests,
            Err(wrong) => bail!("nothing can be planned:\n  {}", wrong.join("\n  ")),
        };
        let scope = Arc::new(Scope::new(&self.installation, &self.account, &self.region));
        self.keys_are_here(&scope, &manifests)?;
        let told = self.told(&scope, &manifests);
        let told = match self.output {
            Output::Json => serde_json::to_string_pretty(&told)?,
            Output::Text => text::of(&told),
        };
        match writeln!(std::io::stdout(), "{told}") {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        }
    }

    /// An existing key must be where the stack is; whether it may be used only AWS knows. In an account that is only an
    /// example, nobody's key is.
    fn keys_are_here(&self, scope: &Scope, manifests: &Manifests) -> anyhow::Result<()> {
        if self.account == EXAMPLE_ACCOUNT {
            return Ok(());
        }
        let stacks = manifests.stacks.iter();
        let stacks = stacks.map(|it| (&it.file, title(&it.object), Some(&it.asks.encryption)));
        let tenants = manifests.tenants.iter().map(|it| {
            let encryption = match &it.asks {
                Isolation::Silo(silo) => Some(&silo.encryption),
                Isolation::Bridge(_) | Isolation::Pool(_) => None,
            };
            (&it.file, title(&it.object), encryption)
        });
        for (file, title, encryption) in stacks.chain(tenants) {
            if let Some(EncryptionSettings::Existing { kms_key_arn }) = encryption
                && let Err(blocked) = accept::key_is_here(scope, kms_key_arn)
            {
                bail!("{file}: {title} is refused: {}: {}", blocked.reason.as_str(), blocked.message);
            }
        }
        Ok(())
    }

    fn told(&self, scope: &Arc<Scope>, manifests: &Manifests) -> Report {
        let prices = Prices::from(self.prices);
        let rates = Rates { requests_per_minute: self.rpm, tokens_per_minute: self.tpm };
        let mut objects = Vec::new();
        let mut prospects = Vec::new();
        for Found { file, object, asks } in &manifests.stacks {
            let prospect = Prospect::of_stack(stack_id(scope, &title(object)), asks, &prices);
            let borrows = |it: &&Found<Tenant, Isolation>| {
                it.asks.pattern() == Pattern::Pool && prospect.id.owner_tag() == lender_tag(&it.asks)
            };
            let tenants = manifests.tenants.iter().filter(borrows).count() as u64;
            objects.push(self.outlook(file, title(object), &prospect, tenants, rates, &prices));
            prospects.push(prospect);
        }
        for Found { file, object, asks } in &manifests.tenants {
            let stack = asks.stack().and_then(|name| manifests.stack(name));
            let lender: Option<(Identity, &Shared)> =
                stack.map(|stack| (stack_id(scope, &title(&stack.object)), &stack.asks));
            let lender = lender.as_ref().map(|(id, shared)| (id, *shared));
            let prospect = Prospect::of_tenant(tenant_id(scope, object), asks, lender, &prices);
            objects.push(self.outlook(file, title(object), &prospect, 1, rates, &prices));
            prospects.push(prospect);
        }
        let capacities: BTreeSet<Capacity> = prospects.iter().filter_map(|it| it.capacity.clone()).collect();
        let documents = Documents {
            most: objects
                .iter()
                .filter_map(|it| it.ingestion.as_ref())
                .map(documents)
                .max()
                .unwrap_or_default(),
            bytes: self.bytes_per_document,
        };
        let quotas = Counts::sum(prospects.iter().map(|it| &it.counts)).quotas(
            self.max_knowledge_bases,
            &capacities,
            documents,
        );
        Report {
            installation: self.installation.clone(),
            account: self.account.clone(),
            region: self.region.clone(),
            operator_calls: vec![onboarding::of_operator(scope)],
            ingestion: by_model(&objects, rates),
            rates,
            floor: floor(&objects, capacities, &prices),
            warnings: warnings(&objects, &quotas)
                .into_iter()
                .chain(large_schemas(&objects, &prospects))
                .collect(),
            assumptions: self.assumptions(manifests),
            skipped: manifests.skipped.clone(),
            objects,
            quotas,
        }
    }

    fn outlook(
        &self,
        file: &str,
        object: String,
        prospect: &Prospect,
        tenants: u64,
        rates: Rates,
        prices: &Prices,
    ) -> Outlook {
        let tenant_id = prospect.id.tenant_id().map(str::to_owned);
        let bucket = prospect.layers.iter().find(|line| line.layer == "bucket");
        let bucket = bucket.and_then(|line| line.name.as_ref()).filter(|_| tenant_id.is_some());
        let documents = bucket.map(|bucket| format!("s3://{bucket}/{}", prospect.id.prefix()));
        let mut costs = prospect.costs.clone();
        if let (Some(place), Some(bytes)) = (&documents, self.bytes_per_document) {
            let monthly_usd = prices.bytes(self.documents.saturating_mul(bytes));
            costs.push(Cost { what: "documents", name: place.clone(), monthly_usd });
        }
        Outlook {
            object,
            file: file.into(),
            column: prospect.column.words(),
            tenant_id,
            documents,
            layers: prospect.layers.clone(),
            calls: prospect.calls.clone(),
            ingestion: prospect.knowledge_base.as_ref().map(|it| self.ingestion(it, tenants, rates)),
            monthly_usd: sum(costs.iter().map(|cost| cost.monthly_usd)),
            costs,
        }
    }

    fn ingestion(&self, knowledge_base: &KnowledgeBaseSettings, tenants: u64, rates: Rates) -> Ingestion {
        let sizes = Sizes {
            tokens_per_document: self.tokens_per_document,
            chunks_per_document: self.chunks_per_document,
            tokens_per_chunk: self.tokens_per_chunk,
        };
        let cut = estimate::cut(&knowledge_base.chunking, &sizes);
        let takes = Load::new(self.documents.saturating_mul(tenants), &cut).at(rates).into();
        let model = knowledge_base.embedding_model.clone();
        Ingestion { model, tenants, documents_per_tenant: self.documents, cut, takes }
    }

    fn assumptions(&self, manifests: &Manifests) -> Vec<String> {
        let mut assumed = Vec::new();
        if self.account == EXAMPLE_ACCOUNT {
            assumed.push(format!(
                "Names are those of installation {}, account {} (an example) and region {}: with --installation, \
                 --account and --region they are yours.",
                self.installation, self.account, self.region
            ));
        }
        if !names::is_known_region(&self.region) {
            assumed.push(format!(
                "{} is no region that this release knows: it may be new, or misspelt. Nothing here asks AWS.",
                self.region
            ));
        }
        let embeddings =
            manifests.stacks.iter().filter_map(|it| Some(&it.asks.pool.as_ref()?.knowledge_base));
        let embeddings = embeddings.chain(manifests.tenants.iter().filter_map(|it| match &it.asks {
            Isolation::Silo(silo) => Some(&silo.knowledge_base),
            Isolation::Bridge(bridge) => Some(&bridge.knowledge_base),
            Isolation::Pool(_) => None,
        }));
        let unknown: BTreeSet<_> = embeddings
            .filter(|it| models::lookup(&it.embedding_model).is_none())
            .map(|it| (it.embedding_model.as_str(), it.dimensions))
            .collect();
        assumed.extend(unknown.into_iter().map(|(model, dimensions)| {
            format!(
                "{model} is no embedding model that this release knows: that Bedrock has it in {}, and makes vectors of \
                 {dimensions} dimensions with it, is taken from the manifest.",
                self.region
            )
        }));
        assumed.extend(manifests.unnamed.iter().map(|object| {
            format!(
                "{object} has a generateName: its name, and all that is called after it, ends in characters that the API \
                 server chooses."
            )
        }));
        assumed.push(format!(
            "Each Tenant brings {} documents of {} tokens (--documents, --tokens-per-document), all of them new; a later \
             job embeds only what has changed. One request embeds one chunk, and nothing else asks the model.",
            self.documents, self.tokens_per_document
        ));
        assumed.push(format!(
            "The account may send {} requests and {} tokens a minute to each embedding model (--rpm, --tpm): Service \
             Quotas has yours, and provisioned throughput shortens it.",
            self.rpm, self.tpm
        ));
        assumed.push(
            "The account is empty: what is in it already comes on top of the quotas, and collections in it under the same \
             keys share their capacity with these."
                .into(),
        );
        assumed.push(
            "AWS takes the index by CreateIndex; if it refuses the schema, a TagRole and a PUT to the collection's endpoint \
             take its place. After the onboarding, each ingestion is one StartIngestionJob more, and in a pool the operator \
             first writes a .metadata.json beside each new document."
                .into(),
        );
        if !INDEX_API_REGIONS.contains(&self.region.as_str()) {
            assumed.push(format!(
                "AWS lists no API for indexes in {}; without one, {WITHOUT_INDEX_API}.",
                self.region
            ));
        }
        let narrowed = manifests.stacks.iter().filter(|stack| stack.asks.allowed_namespaces.is_some());
        assumed.extend(narrowed.map(|stack| {
            format!(
                "{} admits only namespaces with certain labels, which are not known here.",
                title(&stack.object)
            )
        }));
        assumed
    }
}

fn documents(ingestion: &Ingestion) -> u64 {
    ingestion.takes.estimate.load.documents
}

/// A SharedStack's names. `title` is `SharedStack/<name>`.
fn stack_id(scope: &Arc<Scope>, title: &str) -> Identity {
    Identity::of_stack(scope.clone(), title.rsplit('/').next().unwrap_or_default(), "")
}

fn lender_tag(asks: &Isolation) -> String {
    format!("SharedStack/{}", asks.stack().unwrap_or_default())
}

fn tenant_id(scope: &Arc<Scope>, tenant: &Tenant) -> Identity {
    let owner = Owner::Tenant {
        namespace: tenant.metadata.namespace.clone().unwrap_or_default(),
        name: tenant.metadata.name.clone().unwrap_or_default(),
        tenant_id: tenant.spec.tenant_id.clone(),
        pattern: tenant.spec.pattern,
        stack: tenant.spec.stack_ref.as_ref().map(|stack| stack.name.clone()),
    };
    Identity::new(scope.clone(), owner, "")
}
