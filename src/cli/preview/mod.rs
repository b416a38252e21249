//! `tenantry plan`: what manifests would become, without a cluster and without AWS.

mod args;
mod assumptions;
mod manifests;
mod report;
mod text;

use std::collections::BTreeSet;
use std::io::{ErrorKind, Write};
use std::sync::Arc;

use anyhow::bail;

use self::args::EXAMPLE_ACCOUNT;
pub(super) use self::args::Plan;
use super::preview::manifests::{Found, Manifests, title};
use super::preview::report::{Ingestion, Outlook, Report, by_model, floor, sum, warnings};
use crate::api::{EncryptionSettings, Isolation, KnowledgeBaseSettings, Layer, Pattern, Shared, Tenant};
use crate::stack::accept;
use crate::stack::forecast::estimate::{self, Load, Rates, Sizes};
use crate::stack::forecast::limits::Capacity;
use crate::stack::forecast::limits::{Counts, Documents, Questions};
use crate::stack::forecast::onboarding;
use crate::stack::forecast::price::Prices;
use crate::stack::forecast::prospect::{Cost, Prospect};
use crate::stack::identity::{Identity, Owner, Scope};
use crate::stack::store::{SCHEMA, WITHOUT_INDEX_API, features};

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
        let manifests = match Manifests::read(&self.files, &self.namespace, self.require_class) {
            Ok(manifests) => manifests,
            Err(wrong) => bail!("nothing can be planned:\n  {}", wrong.join("\n  ")),
        };
        let scope = Arc::new(Scope::new(&self.installation, &self.account, &self.region));
        self.keys_are_here(&scope, &manifests)?;
        let told = self.told(&scope, &manifests);
        let told = self.output.of(&told, || text::of(&told))?;
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
        let tenants = manifests.tenants.iter();
        let tenants = tenants.map(|it| (&it.file, title(&it.object), it.asks.encryption()));
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
        let counts = Counts::sum(prospects.iter().map(|it| &it.counts));
        let stores = || counts.stores.keys().copied();
        let quotas = counts.quotas(self.max_knowledge_bases, &capacities, documents);
        Report {
            installation: self.installation.clone(),
            account: self.account.clone(),
            region: self.region.clone(),
            operator_calls: onboarding::of_operator(scope, stores()).into_iter().collect(),
            ingestion: by_model(&objects, rates),
            rates,
            floor: floor(&objects, capacities, &prices),
            warnings: warnings(&objects, &quotas)
                .into_iter()
                .chain(large_schemas(&objects, &prospects))
                .collect(),
            assumptions: assumptions::of(self, manifests, stores()),
            skipped: manifests.skipped.clone(),
            questions: Questions::of(manifests.tenants.len()),
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
            costs.push(Cost {
                layer: crate::api::Layer::Bucket,
                what: "documents",
                name: place.clone(),
                monthly_usd,
            });
        }
        let ingestion = prospect.knowledge_base.as_ref().map(|it| self.ingestion(it, tenants, rates));
        let bills = prospect.store.is_some_and(|kind| features(kind).bills_vectors);
        let mut first_ingestion_usd = None;
        if let (true, Some(it), Some(base)) = (bills, &ingestion, &prospect.knowledge_base) {
            let vectors = it.takes.estimate.load.requests;
            first_ingestion_usd = Some(prices.puts(vectors));
            costs.push(Cost {
                layer: Layer::Index,
                what: "vectors",
                name: prospect.id.name(Layer::Index),
                monthly_usd: prices.vectors(vectors.saturating_mul(vector_bytes(base.dimensions))),
            });
        }
        Outlook {
            object,
            file: file.into(),
            column: prospect.column.words(),
            tenant_id,
            documents,
            layers: prospect.layers.clone(),
            calls: prospect.calls.clone(),
            ingestion,
            first_ingestion_usd,
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
}

/// What a vector takes in S3 Vectors: four bytes a dimension, and its text and metadata, some 2 KB.
fn vector_bytes(dimensions: i32) -> u64 {
    const BESIDE: u64 = 2_048;
    u64::try_from(dimensions).unwrap_or_default() * 4 + BESIDE
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
        pattern: tenant.spec.pattern.unwrap_or(Pattern::Silo),
        stack: tenant.spec.stack_ref.as_ref().map(|stack| stack.name.clone()),
    };
    Identity::new(scope.clone(), owner, "")
}
