//! Everything about a Tenant that is decided without AWS: is it allowed, has it its tenantId, and who lends to it.

use kube::{Api, ResourceExt};

use crate::api::{APPROVE, ConditionType, Isolation, Pattern, Reason, SharedStack, Tenant};
use crate::layers::existing_key;
use crate::reconcile::context::{Context, asker, was_acted_upon};
use crate::reconcile::{Error, finalizer, offer_status};
use crate::stack::accept;
use crate::stack::identity::{Claim, Identity};
use crate::stack::model::blocked::Blocked;
use crate::stack::model::desired::Blueprint;
use crate::stack::model::outcome::Standing;
use crate::stack::model::plan;
use crate::stack::offer::Offer;

/// What `resolve` comes to.
pub(super) enum Resolved {
    /// It may not be acted upon.
    Refused(Blocked),
    /// It waits for its SharedStack.
    Waits(Standing),
    /// On with it.
    Go { isolation: Box<Isolation>, offer: Option<Box<Offer>> },
}

/// Everything that is decided without AWS: is it allowed, has it its tenantId, and who lends to it. Ends with the hold
/// on and the SharedStack looked at live: flag, then look, so that a SharedStack that is leaving either sees the hold
/// or is seen leaving.
pub(super) async fn resolve(cx: &Context, api: &Api<Tenant>, tenant: &mut Tenant) -> Result<Resolved, Error> {
    let held = finalizer::is_held(tenant, &cx.hold());
    // Whoever makes an object can write our finalizer into it; a status only we write.
    let settled = held && was_acted_upon(tenant.status.as_ref());
    let isolation = match accept::tenant(tenant) {
        Ok(isolation) => isolation,
        Err(refused) => return Ok(Resolved::Refused(refused)),
    };
    let stack_name = isolation.stack().map(str::to_owned);
    let stack = stack_name.as_deref().and_then(|name| cx.stack(name));
    let stack = stack.as_ref().and_then(|stack| stack.0.as_ref().ok());
    if let (Some(name), None) = (&stack_name, stack) {
        let message = format!("There is no SharedStack '{name}'; create it, or name another in a new Tenant");
        return Ok(Resolved::Waits(Standing::Waiting(Reason::StackNotFound, message)));
    }
    if let (Some(name), Some(stack), false) = (&stack_name, stack, settled)
        && stack.metadata.deletion_timestamp.is_some()
    {
        return Ok(Resolved::Waits(stack_leaves(name)));
    }
    if !settled {
        let namespace = tenant.namespace().unwrap_or_default();
        if let Err(refused) = accept::namespace(
            &namespace,
            &cx.namespace_labels(&namespace),
            cx.settings.silo_namespaces.as_ref(),
            &isolation,
            stack,
        ) {
            return Ok(Resolved::Refused(refused));
        }
    }
    if let Some(Err(refused)) = stack.map(|stack| accept::stack_serves(&isolation, stack)) {
        return Ok(Resolved::Refused(refused));
    }
    if !cx.claims.ask(&tenant.spec.tenant_id, &asker(tenant)) {
        return Ok(Resolved::Refused(taken(&tenant.spec.tenant_id)));
    }
    let offer = match (&stack_name, stack) {
        (Some(name), Some(stack)) => match borrow(cx, tenant, name, stack, settled) {
            Ok(offer) => Some(offer),
            Err(resolved) => return Ok(resolved),
        },
        _ => None,
    };
    if let Some(refused) = room(cx, tenant, &isolation).await? {
        return Ok(Resolved::Refused(refused));
    }
    if !held && !cx.settings.read_only {
        *tenant = finalizer::take(api, tenant, &cx.hold()).await?;
    }
    let accepted =
        held && tenant.status.as_ref().is_some_and(|status| status.is_true(ConditionType::Accepted));
    if let (Some(name), false) = (&stack_name, accepted)
        && let Some(waits) = look_live(cx, name).await?
    {
        if !held {
            // Nothing was built under it yet, and the SharedStack waits for it to go.
            if let Some(released) = finalizer::release(api, tenant, &cx.hold()).await? {
                *tenant = released;
            }
        }
        return Ok(Resolved::Waits(waits));
    }
    Ok(Resolved::Go { isolation: Box::new(isolation), offer: offer.map(Box::new) })
}

/// What only AWS can say before anything is built: may the key be used, is there room for a knowledge base. Not asked
/// again of a Tenant that was accepted.
pub(super) async fn room(
    cx: &Context,
    tenant: &Tenant,
    isolation: &Isolation,
) -> Result<Option<Blocked>, Error> {
    if matches!(isolation, Isolation::Pool(_)) {
        return Ok(None);
    }
    let spec = &tenant.spec;
    let id = cx.tenant_identity(tenant, &spec.tenant_id, spec.pattern, isolation.stack());
    let status = tenant.status.as_ref();
    if finalizer::is_held(tenant, &cx.hold())
        && status.is_some_and(|status| status.is_true(ConditionType::Accepted))
    {
        cx.reservations.promise(&id);
        return Ok(None);
    }
    let blueprint = Blueprint::Tenant { isolation, tags: &spec.tags };
    if let Some(key) = blueprint.existing_key()
        && let Err(refused) =
            existing_key::may_be_used(&cx.aws.keys, &cx.scope, key, tenant.namespace().as_deref()).await?
    {
        return Ok(Some(refused));
    }
    Ok(cx.reserve(&id).await?.err())
}

pub(super) fn taken(tenant_id: &str) -> Blocked {
    Blocked {
        reason: Reason::TenantIdTaken,
        message: format!(
            "tenantId '{tenant_id}' is held by another Tenant. This one goes on by itself when the other is deleted; or \
             choose another tenantId in a new Tenant"
        ),
    }
}

/// What the SharedStack lends, or why it does not.
pub(super) fn borrow(
    cx: &Context,
    tenant: &Tenant,
    name: &str,
    stack: &SharedStack,
    settled: bool,
) -> Result<Offer, Resolved> {
    let waits = |reason, message: String| Resolved::Waits(Standing::Waiting(reason, message));
    let id = Identity::of_stack(cx.scope.clone(), name, "");
    let needs_pool = tenant.spec.pattern == Pattern::Pool;
    let offer = offer_status::offer_of(&id, stack).filter(|offer| offer.pool.is_some() || !needs_pool);
    let Some(offer) = offer else {
        let message =
            format!("SharedStack '{name}' is not ready to lend yet; this Tenant goes on when it is");
        return Err(waits(Reason::StackNotReady, message));
    };
    if settled {
        // What is retained under its id is nobody else's; a restart must not put it off until the markers are read.
        return Ok(offer);
    }
    let tenant_id = &tenant.spec.tenant_id;
    let approved = tenant.annotations().get(APPROVE).map(String::as_str);
    let whose = cx.tenant_identity(tenant, tenant_id, tenant.spec.pattern, Some(name)).adopting(approved);
    match cx.retained.get(name) {
        None => {
            let message = format!("SharedStack '{name}' is still being read; this Tenant goes on when it is");
            Err(waits(Reason::StackNotReady, message))
        }
        Some(retained) => {
            let Some(claim) = retained.get(tenant_id).map(|marker| marker.claim(&whose)) else {
                return Ok(offer);
            };
            let message = match &claim {
                claim if whose.owns(claim) => return Ok(offer),
                Claim::Neighbour { owner, uid } => {
                    plan::retained_by_neighbour(&whose, tenant_id, owner, uid, "its documents")
                }
                _ => format!(
                    "tenantId '{tenant_id}' is retained in SharedStack '{name}': an earlier Tenant with this id was deleted \
                     and its documents are still there. Choose another tenantId"
                ),
            };
            Err(Resolved::Refused(Blocked { reason: Reason::TenantIdRetained, message }))
        }
    }
}

/// The SharedStack as the API server has it now: there, and not leaving.
pub(super) async fn look_live(cx: &Context, name: &str) -> Result<Option<Standing>, Error> {
    let stack = Api::<SharedStack>::all(cx.client.clone()).get_metadata_opt(name).await?;
    Ok(match stack {
        None => Some(Standing::Waiting(Reason::StackNotFound, format!("There is no SharedStack '{name}'"))),
        Some(stack) if stack.metadata.deletion_timestamp.is_some() => Some(stack_leaves(name)),
        Some(_) => None,
    })
}

pub(super) fn stack_leaves(name: &str) -> Standing {
    let message = format!("SharedStack '{name}' is being deleted; name another in a new Tenant");
    Standing::Waiting(Reason::StackLeaving, message)
}
