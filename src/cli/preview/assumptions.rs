//! What a plan takes for granted, because nothing here asks AWS or a cluster.

use std::collections::BTreeSet;

use super::args::{EXAMPLE_ACCOUNT, Plan};
use super::manifests::{Manifests, title};
use crate::api::{VectorStore, models};
use crate::stack::names;
use crate::stack::store::features;
use crate::stack::store::opensearch::{INDEX_API_REGIONS, WITHOUT_INDEX_API};

/// All of it, a sentence or two each; `stores` are those that are planned.
pub(super) fn of(
    plan: &Plan,
    manifests: &Manifests,
    stores: impl IntoIterator<Item = VectorStore>,
) -> Vec<String> {
    let mut assumed = of_the_place(plan);
    assumed.extend(of_models(plan, manifests));
    assumed.extend(manifests.unnamed.iter().map(|object| {
        format!(
            "{object} has a generateName: its name, and all that is called after it, ends in characters that the API \
             server chooses."
        )
    }));
    assumed.extend(of_the_account(plan));
    if stores.into_iter().any(|kind| features(kind).declares) {
        assumed.extend(of_schemas(plan));
    }
    let narrowed = manifests.stacks.iter().filter(|stack| stack.asks.allowed_namespaces.is_some());
    assumed.extend(narrowed.map(|stack| {
        format!(
            "{} admits only namespaces with certain labels, which are not known here.",
            title(&stack.object)
        )
    }));
    let narrowed = manifests.classes.iter().filter(|class| class.asks.allowed_namespaces.is_some());
    assumed.extend(narrowed.map(|class| {
        format!(
            "{} admits only namespaces with certain labels, which are not known here.",
            title(&class.object)
        )
    }));
    assumed
}

/// Where it would be built.
fn of_the_place(plan: &Plan) -> Vec<String> {
    let Plan { installation, account, region, .. } = plan;
    let mut assumed = Vec::new();
    if account == EXAMPLE_ACCOUNT {
        assumed.push(format!(
            "Names are those of installation {installation}, account {account} (an example) and region {region}: with \
             --installation, --account and --region they are yours."
        ));
    }
    if !names::is_known_region(region) {
        assumed.push(format!(
            "{region} is no region that this release knows: it may be new, or misspelt. Nothing here asks AWS."
        ));
    }
    assumed
}

/// The models that no table of ours has.
fn of_models(plan: &Plan, manifests: &Manifests) -> impl Iterator<Item = String> {
    let of_pools = manifests.stacks.iter().filter_map(|it| Some(&it.asks.pool.as_ref()?.knowledge_base));
    let of_tenants = manifests.tenants.iter().filter_map(|it| it.asks.knowledge_base());
    let unknown: BTreeSet<_> = of_pools
        .chain(of_tenants)
        .filter(|it| models::lookup(&it.embedding_model).is_none())
        .map(|it| (it.embedding_model.as_str(), it.dimensions))
        .collect();
    unknown.into_iter().map(|(model, dimensions)| {
        format!(
            "{model} is no embedding model that this release knows: that Bedrock has it in {}, and makes vectors of \
             {dimensions} dimensions with it, is taken from the manifest.",
            plan.region
        )
    })
}

/// What the account may do, and what is in it already.
fn of_the_account(plan: &Plan) -> [String; 4] {
    [
        format!(
            "Each Tenant brings {} documents of {} tokens (--documents, --tokens-per-document), all of them new; a later \
             job embeds only what has changed. One request embeds one chunk, and nothing else asks the model.",
            plan.documents, plan.tokens_per_document
        ),
        format!(
            "The account may send {} requests and {} tokens a minute to each embedding model (--rpm, --tpm): Service \
             Quotas has yours, and provisioned throughput shortens it.",
            plan.rpm, plan.tpm
        ),
        "The account is empty: what is in it already comes on top of the quotas, and collections in it under the same \
         keys share their capacity with these."
            .into(),
        "After the onboarding, each ingestion is one StartIngestionJob more, and in a pool the operator first writes a \
         .metadata.json beside each new document."
            .into(),
    ]
}

/// Who makes indexes that have a schema.
fn of_schemas(plan: &Plan) -> Vec<String> {
    let mut assumed = vec![
        "AWS takes the index by CreateIndex; if it refuses the schema in a collection, a TagRole and a PUT to the collection's \
         endpoint take its place."
            .into(),
    ];
    if !INDEX_API_REGIONS.contains(&plan.region.as_str()) {
        assumed.push(format!(
            "AWS lists no API for indexes in {}; without one, {WITHOUT_INDEX_API}.",
            plan.region
        ));
    }
    assumed
}
