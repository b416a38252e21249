//! Everything about a SharedStack that is decided before anything of it is looked at.

use std::borrow::Cow;

use kube::ResourceExt;

use crate::api::{ConditionType, Shared, SharedStack, annotations};
use crate::layers::existing_key;
use crate::reconcile::context::Context;
use crate::reconcile::finalizer;
use crate::reconcile::managed::Managed;
use crate::reconcile::places::Applicant;
use crate::reconcile::resolved::{Asks, Resolved};
use crate::reconcile::stop::PassStop;
use crate::stack::accept;
use crate::stack::identity::Identity;
use crate::stack::model::blocked::Blocked;
use crate::stack::model::desired::Blueprint;

/// Everything that is decided without looking at the stack.
pub(super) async fn resolve(cx: &Context, stack: &mut Cow<'_, SharedStack>) -> Result<Resolved, PassStop> {
    let shared = accept::shared_stack(&stack.spec)?;
    let id = Identity::of_stack(cx.scope.clone(), &stack.name_any(), &stack.uid().unwrap_or_default());
    let applicant = cx.applying(id, &stack.metadata, stack.status.as_ref());
    let no_room = room(cx, stack, &shared, &applicant).await?;
    if !finalizer::has_finalizer(&**stack, &cx.finalizer()) && !cx.settings.read_only {
        let api = SharedStack::api(cx.client.clone(), "");
        *stack = Cow::Owned(finalizer::take(&api, &**stack, &cx.finalizer()).await?);
    }
    let approved = annotations::approved(&stack.metadata).map(str::to_owned);
    Ok(Resolved {
        id: applicant.id.adopting(approved.as_deref()),
        asks: Asks::SharedStack(shared),
        offer: None,
        grant: None,
        no_room,
        approved,
        stands: None,
    })
}

/// What only AWS can say before anything is built; not asked again of a SharedStack that was accepted, unless it has lost
/// the promise of its knowledge base since: if there is no room any more, what is built is looked after, and the knowledge
/// base waits.
async fn room(
    cx: &Context,
    stack: &SharedStack,
    shared: &Shared,
    applicant: &Applicant,
) -> Result<Option<Blocked>, PassStop> {
    let status = stack.status.as_ref();
    // A pool may be added later, and its knowledge base needs room then.
    let has_pool = status.is_some_and(|it| it.condition(ConditionType::KnowledgeBaseReady).is_some());
    if applicant.begun && shared.pool.is_none() {
        return Ok(None);
    }
    if applicant.begun && has_pool {
        let id = &applicant.id;
        let has_one = status.is_some_and(|status| status.knowledge_base_id.is_some());
        if has_one || cx.reservations.is_promised(&id.uid) {
            cx.reservations.promise(id);
            return Ok(None);
        }
        return PassStop::if_let_in(cx.reserve(applicant, None).await);
    }
    if let Some(key) = Blueprint::Stack(shared).existing_key() {
        existing_key::may_be_used(&cx.aws.keys, &cx.scope, key, None, shared.vector_store.kind()).await?;
    }
    if shared.pool.is_some() {
        cx.reserve(applicant, None).await?;
    }
    Ok(None)
}
