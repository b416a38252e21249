//! The vector index. It has no tags: it belongs to the data access policy of its name, which is made before it and
//! goes after it. Where somebody has deleted that, our knowledge base says that it is ours, or the role that trusts it.
//!
//! AWS's control plane makes it, so that a private collection needs no VPC endpoint for the operator. Where it has no API
//! for indexes, as in most regions, or refuses what is asked of it, the collection's own endpoint does.

use serde_json::{Value, json};

use super::policies::foreign_policy;
use crate::api::{Layer, Reason};
use crate::aws::{Aws, PolicyKind};
use crate::layers::Hints;
use crate::stack::fault::{Class, Fault};
use crate::stack::identity::{Identity, OwnershipClaim};
use crate::stack::model::desired::DesiredIndex;
use crate::stack::model::diff;
use crate::stack::model::observed::{Foreign, IndexFacts, Observed};
use crate::stack::model::progress::Progress;
use crate::stack::store::StoreHandle;
use crate::stack::store::opensearch::{self, CollectionHandle};

/// Reads the index and whose data access policy bears its name. Without a collection there is none.
pub async fn look(aws: &Aws, id: &Identity, hints: &Hints) -> Result<Observed<IndexFacts>, Fault> {
    let name = id.name(Layer::Index);
    let Some((collection, collection_id)) = collection(hints.store.as_ref()) else {
        // That nobody will be able to make its index is told while the collection is still being made.
        return match aws.index_endpoints.instead_of_api() {
            Some(refusal) if hints.store_is_shut => Err(Fault { resource: name, ..refusal.clone() }),
            _ => Ok(Observed::Absent),
        };
    };
    let seen = match aws.indexes.find(collection_id, &name).await {
        Err(refusal) if refusal.lacks_index_api() => {
            aws.index_endpoints.note_needed(&refusal);
            if collection.endpoint.is_none() {
                return Err(refusal);
            }
            None
        }
        seen => seen?,
    };
    let facts = match seen {
        Some(schema) => IndexFacts { schema, ..IndexFacts::default() },
        None => match find_by_endpoint(aws, &name, collection, hints).await? {
            Some(facts) => facts,
            None => return Ok(Observed::Absent),
        },
    };
    let resource = format!("index {name}");
    let access = aws.policies.find(PolicyKind::DataAccess, &name).await?;
    Ok(match access {
        None if hints.index_on_record => Observed::Ours(facts),
        None => Observed::Foreign(Foreign { resource, claim: OwnershipClaim::Foreign }),
        Some(access) => match foreign_policy(id, "index", &name, Some(&access)) {
            Some(foreign) => Observed::Foreign(foreign),
            None => Observed::Ours(facts),
        },
    })
}

/// The control plane may not see what it refused to make. So the endpoint is asked too where the control plane does not
/// do, and where a knowledge base uses the index, before it is taken for lost.
async fn find_by_endpoint(
    aws: &Aws,
    name: &str,
    collection: &CollectionHandle,
    hints: &Hints,
) -> Result<Option<IndexFacts>, Fault> {
    let endpoints = &aws.index_endpoints;
    let made_there = endpoints.needed().is_some() || hints.index_by_endpoint;
    let asked = made_there || hints.knowledge_base_id.is_some();
    let Some(endpoint) = collection.endpoint.as_ref().filter(|_| asked) else {
        return Ok(None);
    };
    match endpoints.find(endpoint, name).await {
        Ok(schema) => {
            Ok(schema.map(|schema| IndexFacts { schema, by_endpoint: true, ..IndexFacts::default() }))
        }
        // As far as we know, nothing is made where we cannot go.
        Err(fault) if fault.class == Class::Unreachable && !made_there => Ok(None),
        Err(fault) => Err(match endpoints.instead_of_api() {
            Some(refusal) => after(refusal)(fault),
            None => fault,
        }),
    }
}

/// Creates the index, or adds the mappings of attributes declared later.
pub async fn ensure(aws: &Aws, want: &DesiredIndex, seen: &Observed<IndexFacts>) -> Result<Progress, Fault> {
    let Some((collection, id)) = collection(want.store.handle.as_ref()) else {
        return Ok(Progress::waiting(Reason::WaitingForVectorStore, "The collection has no id yet"));
    };
    let endpoint = collection.endpoint.as_deref();
    match seen.ours() {
        Some(facts) if want.rebuild => {
            delete(aws, &want.name, id, endpoint, facts).await?;
        }
        None => create(aws, want, id, endpoint).await?,
        Some(facts) => {
            let missing = diff::missing_mappings(want, facts);
            if missing.is_empty() {
                return Ok(Progress::Done);
            }
            add(aws, &want.name, id, endpoint, facts, &json!({"properties": missing})).await?;
        }
    }
    Ok(Progress::under_way(seen.ours().is_some() && !want.rebuild, &format!("Index {}", want.name)))
}

/// The collection that holds the index, and its id.
fn collection(store: Option<&StoreHandle>) -> Option<(&CollectionHandle, &str)> {
    let StoreHandle::OpenSearchServerless(collection) = store? else { return None };
    Some((collection, collection.id()?))
}

/// Whether it is for the endpoint to say the last word: the control plane has no such API, or refuses the schema.
fn is_for_endpoint(refusal: &Fault) -> bool {
    refusal.lacks_index_api() || refusal.code == "ValidationException"
}

/// What is told where the endpoint cannot be reached either.
fn after(refusal: &Fault) -> impl FnOnce(Fault) -> Fault {
    move |fault| match fault.class {
        Class::Unreachable => {
            let Fault { operation, message, .. } = refusal;
            Fault { message: format!("{}; {operation} had refused it: {message}", fault.message), ..fault }
        }
        _ => fault,
    }
}

/// Adds mappings, by whoever sees the index. AWS documents UpdateIndex for fields of text alone.
/// <https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-semantic-enrichment.html>
async fn add(
    aws: &Aws,
    name: &str,
    collection_id: &str,
    endpoint: Option<&str>,
    facts: &IndexFacts,
    mappings: &Value,
) -> Result<(), Fault> {
    let endpoints = &aws.index_endpoints;
    if let Some(endpoint) = endpoint.filter(|_| facts.by_endpoint) {
        return endpoints.add_mappings(endpoint, name, mappings).await;
    }
    match (aws.indexes.update(collection_id, name, &json!({"mappings": mappings})).await, endpoint) {
        (Err(refusal), Some(endpoint)) if is_for_endpoint(&refusal) => {
            tracing::info!(index = name, %refusal, "adding to the index by the collection's endpoint");
            endpoints.add_mappings(endpoint, name, mappings).await.map_err(after(&refusal))
        }
        (answer, _) => answer,
    }
}

/// By the control plane; where that does not do, by the endpoint, which has the last word.
async fn create(
    aws: &Aws,
    want: &DesiredIndex,
    collection_id: &str,
    endpoint: Option<&str>,
) -> Result<(), Fault> {
    let schema = want.schema();
    let refusal = match aws.indexes.create(collection_id, &want.name, &schema).await {
        Err(fault) if is_for_endpoint(&fault) => fault,
        made => return made,
    };
    let Some(endpoint) = endpoint else {
        return Err(refusal);
    };
    tracing::info!(index = want.name, %refusal, "making the index by the collection's endpoint");
    let endpoints = &aws.index_endpoints;
    // An index has no tags; the role that fills it says for all time where it is to be looked for.
    aws.roles.tag(&want.role, &opensearch::index_by_endpoint()).await?;
    endpoints.note_needed(&refusal);
    let made = match endpoints.create(endpoint, &want.name, &schema).await {
        // The answer may have been lost on its way back: if so, the index is there now.
        Err(fault) if fault.class == Class::Unreachable => {
            endpoints.create(endpoint, &want.name, &schema).await
        }
        made => made,
    };
    made.map_err(after(&refusal))
}

async fn delete(
    aws: &Aws,
    name: &str,
    collection_id: &str,
    endpoint: Option<&str>,
    facts: &IndexFacts,
) -> Result<(), Fault> {
    if let Some(endpoint) = endpoint.filter(|_| facts.by_endpoint) {
        return aws.index_endpoints.delete(endpoint, name).await;
    }
    match (aws.indexes.delete(collection_id, name).await, endpoint) {
        (Err(refusal), Some(endpoint)) if refusal.lacks_index_api() => {
            aws.index_endpoints.delete(endpoint, name).await
        }
        (answer, _) => answer,
    }
}

/// Deletes the index.
pub async fn teardown(
    aws: &Aws,
    id: &Identity,
    hints: &Hints,
    seen: &Observed<IndexFacts>,
) -> Result<Progress, Fault> {
    let (Some(facts), Some((collection, collection_id))) = (seen.ours(), collection(hints.store.as_ref()))
    else {
        return Ok(Progress::Done);
    };
    let name = id.name(Layer::Index);
    tracing::info!(index = name, collection_id, owner = id.owner_tag(), uid = id.uid, "deleting the index");
    delete(aws, &name, collection_id, collection.endpoint.as_deref(), facts).await?;
    Ok(Progress::waiting(Reason::Deleting, format!("Index {name} is being deleted")))
}
