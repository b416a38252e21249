//! What only AWS can say before anything of a SharedStack is built.

use kube::ResourceExt;

use crate::api::{ConditionType, Shared, SharedStack, Status};
use crate::layers::existing_key;
use crate::reconcile::context::Context;
use crate::reconcile::{Error, finalizer};
use crate::stack::identity::Identity;
use crate::stack::model::blocked::Blocked;
use crate::stack::model::desired::Blueprint;

/// What only AWS can say before anything is built; not asked again of a SharedStack that was accepted.
pub(super) async fn room(
    cx: &Context,
    stack: &SharedStack,
    shared: &Shared,
    before: &Status,
) -> Result<Option<Blocked>, Error> {
    let id = Identity::of_stack(cx.scope.clone(), &stack.name_any(), &stack.uid().unwrap_or_default());
    let accepted = finalizer::is_held(stack, &cx.hold()) && before.is_true(ConditionType::Accepted);
    // A pool may be added later, and its knowledge base needs room then.
    let has_pool = before.condition(ConditionType::KnowledgeBaseReady).is_some();
    if accepted && shared.pool.is_some() && has_pool {
        cx.reservations.promise(&id);
    }
    if accepted && (has_pool || shared.pool.is_none()) {
        return Ok(None);
    }
    if let Some(key) = Blueprint::Stack(shared).existing_key()
        && let Err(refused) = existing_key::may_be_used(&cx.aws.keys, &cx.scope, key, None).await?
    {
        return Ok(Some(refused));
    }
    match shared.pool {
        Some(_) => Ok(cx.reserve(&id).await?.err()),
        None => Ok(None),
    }
}
