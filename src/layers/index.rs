//! The vector index. It has no tags: it belongs to the data access policy of its name, which is made before it and
//! goes after it.

use serde_json::json;

use crate::api::{Layer, Reason};
use crate::aws::{Aws, PolicyKind};
use crate::layers::collection::foreign_policy;
use crate::stack::diff;
use crate::stack::fault::Fault;
use crate::stack::identity::{Claim, Identity};
use crate::stack::policy;
use crate::stack::progress::Progress;
use crate::stack::seen::{Foreign, IndexFacts, Seen};
use crate::stack::want::WantIndex;

/// Reads the index and whose data access policy bears its name. Without a collection there is none.
pub async fn look(aws: &Aws, id: &Identity, collection_id: Option<&str>) -> Result<Seen<IndexFacts>, Fault> {
    let Some(collection_id) = collection_id else {
        return Ok(Seen::Absent);
    };
    let name = id.name(Layer::Index);
    let schema = match aws.indexes.find(collection_id, &name).await {
        Ok(Some(schema)) => schema,
        Ok(None) => return Ok(Seen::Absent),
        Err(fault) => return Err(fault),
    };
    let resource = format!("index {name}");
    let access = aws.policies.find(PolicyKind::DataAccess, &name).await?;
    Ok(match access {
        None => Seen::Foreign(Foreign { resource, claim: Claim::Foreign }),
        Some(access) => match foreign_policy(id, "index", &name, Some(&access)) {
            Some(foreign) => Seen::Foreign(foreign),
            None => Seen::Ours(IndexFacts { schema }),
        },
    })
}

/// Creates the index, or adds the mappings of attributes declared later.
pub async fn ensure(aws: &Aws, want: &WantIndex, seen: &Seen<IndexFacts>) -> Result<Progress, Fault> {
    let Some(collection_id) = &want.collection_id else {
        return Ok(Progress::waiting(Reason::WaitingForCollection, "The collection has no id yet"));
    };
    match seen.ours() {
        Some(_) if want.rebuild => {
            tracing::warn!(
                index = want.name,
                "the index holds vectors of a knowledge base that is gone: it is made anew"
            );
            aws.indexes.delete(collection_id, &want.name).await?;
        }
        None => aws.indexes.create(collection_id, &want.name, &policy::index_schema(want)).await?,
        Some(facts) => {
            let missing = diff::missing_mappings(want, facts);
            if missing.is_empty() {
                return Ok(Progress::Done);
            }
            let schema = json!({"mappings": {"properties": missing}});
            aws.indexes.update(collection_id, &want.name, &schema).await?;
        }
    }
    Ok(Progress::waiting(Reason::Creating, format!("Index {} is being created", want.name)))
}

/// Deletes the index.
pub async fn teardown(
    aws: &Aws,
    id: &Identity,
    collection_id: Option<&str>,
    seen: &Seen<IndexFacts>,
) -> Result<Progress, Fault> {
    let (Some(_), Some(collection_id)) = (seen.ours(), collection_id) else {
        return Ok(Progress::Done);
    };
    let name = id.name(Layer::Index);
    tracing::info!(index = name, collection_id, owner = id.owner_tag(), uid = id.uid, "deleting the index");
    aws.indexes.delete(collection_id, &name).await?;
    Ok(Progress::waiting(Reason::Deleting, format!("Index {name} is being deleted")))
}
