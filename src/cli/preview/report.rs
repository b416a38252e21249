//! What is told, as `-o json` prints it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::api::Layer;
use crate::stack::forecast::estimate::{Cut, Estimate, Load, Rates, Schedule};
use crate::stack::forecast::limits::Capacity;
use crate::stack::forecast::limits::{Questions, Quota};
use crate::stack::forecast::onboarding::Call;
use crate::stack::forecast::price::Prices;
use crate::stack::forecast::prospect::{Cost, Line};

/// All that is told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    pub(super) installation: String,
    pub(super) account: String,
    pub(super) region: String,
    /// What the operator makes for itself when it first starts.
    pub(super) operator_calls: Vec<Call>,
    pub(super) objects: Vec<Outlook>,
    pub(super) ingestion: Vec<OfModel>,
    pub(super) rates: Rates,
    pub(super) floor: Floor,
    pub(super) quotas: Vec<Quota>,
    pub(super) questions: Questions,
    pub(super) warnings: Vec<String>,
    pub(super) assumptions: Vec<String>,
    pub(super) skipped: Vec<String>,
}

/// What is told of one object.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outlook {
    /// `Tenant/<namespace>/<name>` or `SharedStack/<name>`.
    pub(super) object: String,
    pub(super) file: String,
    pub(super) column: &'static str,
    pub(super) tenant_id: Option<String>,
    /// Where its documents go.
    pub(super) documents: Option<String>,
    pub(super) layers: Vec<Line>,
    pub(super) calls: Vec<Call>,
    pub(super) ingestion: Option<Ingestion>,
    /// What the whole ingestion costs at the most in a store that bills what is put there.
    #[serde(rename = "firstIngestionUSD", skip_serializing_if = "Option::is_none")]
    pub(super) first_ingestion_usd: Option<f64>,
    pub(super) costs: Vec<Cost>,
    #[serde(rename = "monthlyUSD")]
    pub(super) monthly_usd: f64,
}

/// How long the whole of a knowledge base takes, if it has the model for itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ingestion {
    pub(super) model: String,
    pub(super) tenants: u64,
    pub(super) documents_per_tenant: u64,
    #[serde(flatten)]
    pub(super) cut: Cut,
    #[serde(flatten)]
    pub(super) takes: Takes,
}

/// All knowledge bases that share a model's rates, one after another or at once.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfModel {
    pub(super) model: String,
    pub(super) knowledge_bases: u64,
    #[serde(flatten)]
    pub(super) takes: Takes,
}

/// An estimate with its conclusions.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Takes {
    #[serde(flatten)]
    pub(super) estimate: Estimate,
    pub(super) seconds: u64,
    /// None: it takes more than a day.
    pub(super) schedule: Option<Schedule>,
    pub(super) cron: Option<String>,
}

/// What all of it costs a month while nobody uses it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Floor {
    /// If no vector store shared its capacity.
    #[serde(rename = "atMostMonthlyUSD")]
    pub(super) at_most: f64,
    /// As those under one key do share it.
    #[serde(rename = "sharedMonthlyUSD")]
    pub(super) shared: f64,
    /// Under how many keys, with or without standby replicas.
    pub(super) capacities: BTreeSet<Capacity>,
    pub(super) prices: String,
}

impl From<Estimate> for Takes {
    fn from(estimate: Estimate) -> Self {
        let schedule = estimate.schedule();
        Self { seconds: estimate.seconds(), cron: schedule.map(|it| it.cron()), schedule, estimate }
    }
}

/// The rates are an account's, for each model: knowledge bases with the same one share them.
pub(super) fn by_model(objects: &[Outlook], rates: Rates) -> Vec<OfModel> {
    let mut models: BTreeMap<&str, (u64, Load)> = BTreeMap::new();
    for ingestion in objects.iter().filter_map(|it| it.ingestion.as_ref()) {
        let (knowledge_bases, load) = models.entry(&ingestion.model).or_default();
        *knowledge_bases += 1;
        *load = load.and(ingestion.takes.estimate.load);
    }
    let told = models.into_iter().map(|(model, (knowledge_bases, load))| OfModel {
        model: model.into(),
        knowledge_bases,
        takes: load.at(rates).into(),
    });
    told.collect()
}

/// Nothing adds up to 0, and not to the -0 that `Iterator::sum` begins with.
pub(super) fn sum(amounts: impl Iterator<Item = f64>) -> f64 {
    amounts.fold(0.0, |sum, amount| sum + amount)
}

pub(super) fn floor(objects: &[Outlook], capacities: BTreeSet<Capacity>, prices: &Prices) -> Floor {
    let costs = || objects.iter().flat_map(|it| &it.costs);
    let of_stores = |cost: &&Cost| cost.layer == Layer::VectorStore;
    let besides = sum(costs().filter(|cost| !of_stores(cost)).map(|cost| cost.monthly_usd));
    let alone = sum(costs().filter(of_stores).map(|cost| cost.monthly_usd));
    let shared = sum(capacities.iter().map(|it| prices.units(it.idle_units())));
    Floor { at_most: besides + alone, shared: besides + shared, capacities, prices: prices.words() }
}

pub(super) fn warnings(objects: &[Outlook], quotas: &[Quota]) -> Vec<String> {
    let too_much = quotas.iter().filter(|quota| !quota.fits).map(|quota| {
        let Quota { what, used, limit, beyond, .. } = quota;
        format!("{what}: {used} are planned, and {limit} is the limit; beyond it, {beyond}.")
    });
    let too_long = objects
        .iter()
        .filter(|it| it.ingestion.as_ref().is_some_and(|ingestion| ingestion.takes.schedule.is_none()));
    let too_long = too_long.map(|it| {
        format!("{}: the ingestion of everything takes more than a day; no daily schedule fits.", it.object)
    });
    too_much.chain(too_long).collect()
}
