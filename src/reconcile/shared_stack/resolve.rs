//! What only AWS can say before anything of a SharedStack is built.

use kube::ResourceExt;

use crate::api::{ConditionType, Shared, SharedStack, Status};
use crate::layers::existing_key;
use crate::reconcile::Error;
use crate::reconcile::context::Context;
use crate::stack::identity::Identity;
use crate::stack::model::blocked::Blocked;
use crate::stack::model::desired::Blueprint;

/// Whether it may be built, as far as AWS has a say.
pub(super) enum Room {
    /// It may.
    Is,
    /// It may not, and nothing more is done.
    Refused(Blocked),
    /// There is no room for its knowledge base any more. What is built is looked after, and the knowledge base waits.
    Awaited(Blocked),
}

/// What only AWS can say before anything is built; not asked again of a SharedStack that was accepted, unless it has lost
/// the promise of its knowledge base since.
pub(super) async fn room(
    cx: &Context,
    stack: &SharedStack,
    shared: &Shared,
    before: &Status,
) -> Result<Room, Error> {
    let id = Identity::of_stack(cx.scope.clone(), &stack.name_any(), &stack.uid().unwrap_or_default());
    let applicant = cx.applying(id, &stack.metadata, Some(before));
    // A pool may be added later, and its knowledge base needs room then.
    let has_pool = before.condition(ConditionType::KnowledgeBaseReady).is_some();
    if applicant.begun && shared.pool.is_none() {
        return Ok(Room::Is);
    }
    if applicant.begun && has_pool {
        let id = &applicant.id;
        if before.knowledge_base_id.is_some() || cx.reservations.is_promised(&id.uid) {
            cx.reservations.promise(id);
            return Ok(Room::Is);
        }
        return Ok(cx.reserve(&applicant, None).await?.map_or_else(Room::Awaited, |()| Room::Is));
    }
    if let Some(key) = Blueprint::Stack(shared).existing_key()
        && let Err(refused) = existing_key::may_be_used(&cx.aws.keys, &cx.scope, key, None).await?
    {
        return Ok(Room::Refused(refused));
    }
    match shared.pool {
        Some(_) => Ok(cx.reserve(&applicant, None).await?.map_or_else(Room::Refused, |()| Room::Is)),
        None => Ok(Room::Is),
    }
}
