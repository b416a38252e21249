//! A Tenant and its class: the long form of its spec, or why it keeps the one that it had.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use super::room::{live_namespace, namespace};
use crate::api::{Layer, Pattern, Placement, Reason, Status, Tenant, TenantSpec, long_form, standing_form};
use crate::reconcile::classes::Class;
use crate::reconcile::context::Context;
use crate::reconcile::resolved::Stands;
use crate::reconcile::stop::PassStop;
use crate::stack::accept;
use crate::stack::identity::Identity;
use crate::stack::model::blocked::Blocked;

/// What a Tenant is from here on in a pass: its long form, and under what it stands.
pub(super) struct Ruled {
    pub spec: TenantSpec,
    pub stands: Stands,
}

/// Works out what a Tenant asks for together with its class. Who has its tenantId and asks for what it may not have goes on
/// as it stands.
pub(super) async fn rule(cx: &Context, tenant: &Tenant, has_id: bool) -> Result<Ruled, PassStop> {
    match asks(cx, tenant, has_id).await {
        Err(PassStop::Refused(refused)) if has_id && refused.reason.is_of_a_class() => stands(cx, tenant, refused),
        other => other,
    }
}

/// What it asks for, if it may.
async fn asks(cx: &Context, tenant: &Tenant, has_id: bool) -> Result<Ruled, PassStop> {
    let none = Status::default();
    let status = tenant.status.as_ref().unwrap_or(&none);
    let class = match &tenant.spec.class_ref {
        Some(reference) => Some(find(cx, &reference.name, status)?),
        None => None,
    };
    let spec = long_form(&tenant.spec, class.as_ref().map(Class::named)).map_err(Blocked::from)?;
    let wanted = Placement::of(&spec).unwrap_or(Placement::nowhere());
    if has_id {
        readable(tenant, &spec, class.as_ref())?;
        stays(cx, tenant, status, &wanted, class.as_ref())?;
    }
    match &class {
        Some(class) => come_to(cx, tenant, class, status, has_id).await?,
        None => cx.comes_to_no_class(&tenant.uid().unwrap_or_default()),
    }
    let placement = match &status.placement {
        Some(frozen) if has_id => frozen.clone().grown(&wanted),
        _ => wanted,
    };
    Ok(Ruled { spec, stands: Stands { placement, class, refused: None } })
}

/// The class that a Tenant names. One that is being deleted takes nobody new.
fn find(cx: &Context, name: &str, status: &Status) -> Result<Class, Blocked> {
    let class = cx.class(name)?;
    if class.leaves && status.class.as_deref() != Some(name) {
        let message = format!("TenantClass '{name}' is being deleted and takes nobody new: name another in `classRef`");
        return Err(Blocked { reason: Reason::ClassNotFound, message });
    }
    Ok(class)
}

/// One edit of a class must not stop all its tenants: what would be refused of the long form is refused as a change.
fn readable(tenant: &Tenant, spec: &TenantSpec, class: Option<&Class>) -> Result<(), Blocked> {
    let Some(class) = class else { return Ok(()) };
    let long = Tenant { spec: spec.clone(), ..tenant.clone() };
    accept::tenant(&long).map(drop).map_err(|invalid| Blocked {
        reason: Reason::ClassConflict,
        message: format!("With what TenantClass '{}' says, the Tenant is invalid: {}", class.name, invalid.message),
    })
}

/// What was accepted may not move.
fn stays(
    cx: &Context,
    tenant: &Tenant,
    status: &Status,
    wanted: &Placement,
    class: Option<&Class>,
) -> Result<(), Blocked> {
    let Some(frozen) = frozen(cx, tenant, status, wanted) else { return Ok(()) };
    let moves: Vec<_> = frozen.moves(wanted).iter().map(ToString::to_string).collect();
    if moves.is_empty() {
        return Ok(());
    }
    let named = |class: Option<&str>| class.map_or_else(String::new, |name| format!(" (TenantClass '{name}')"));
    let (before, after) = (named(status.class.as_deref()), named(class.map(|it| it.name.as_str())));
    Err(Blocked {
        reason: Reason::Immutable,
        message: format!(
            "The Tenant stands as {frozen}{before} and would have to move to be {wanted}{after}: {}. Nothing was changed, and it \
             goes on as it stands. Set `classRef`, or `pattern` and the rest, back; or to move, create a second Tenant with another \
             `tenantId`, copy the documents to it and delete this one",
            moves.join(", ")
        ),
    })
}

/// Where a Tenant was placed when it was accepted. An earlier release did not write it down: then the spec says it, if that
/// agrees with where the documents are.
fn frozen(cx: &Context, tenant: &Tenant, status: &Status, wanted: &Placement) -> Option<Placement> {
    if let Some(frozen) = &status.placement {
        return Some(frozen.clone());
    }
    let (prefix, bucket) = (status.prefix.as_deref()?, status.bucket.as_deref());
    let has_prefix = |pattern: Pattern| {
        cx.tenant_identity(tenant, &tenant.spec.tenant_id, pattern, None).prefix() == prefix
    };
    let lends = |stack: &str| {
        let its = Identity::of_stack(cx.scope.clone(), stack, "").name(Layer::Bucket);
        bucket.is_none_or(|bucket| bucket == its)
    };
    let is_at = |it: &Placement| has_prefix(it.pattern) && it.stack().is_none_or(lends);
    match Placement::of(&tenant.spec) {
        Some(own) if is_at(&own) => Some(own),
        _ if is_at(wanted) => None,
        _ => {
            let pattern = Pattern::ALL.into_iter().find(|pattern| has_prefix(*pattern))?;
            Some(Placement { pattern, ..Placement::nowhere() })
        }
    }
}

/// A Tenant comes to a class: is its namespace admitted, and is the class held? Asked at every change, by the namespace as
/// it is now; what is narrowed later leaves who is there in peace.
async fn come_to(cx: &Context, tenant: &Tenant, class: &Class, status: &Status, has_id: bool) -> Result<(), PassStop> {
    let is_there = has_id && status.class.as_deref() == Some(class.name.as_str());
    if !is_there {
        let labels = if has_id {
            live_namespace(cx.client.clone(), tenant).await?.metadata
        } else {
            namespace(cx, tenant).await?.metadata
        };
        admits(class, &labels)?;
    }
    let uid = tenant.uid().unwrap_or_default();
    Ok(cx.hold_class(class, &uid).await?)
}

/// Whether a class admits the Tenants of a namespace.
pub(super) fn admits(class: &Class, namespace: &ObjectMeta) -> Result<(), Blocked> {
    static NONE: BTreeMap<String, String> = BTreeMap::new();
    accept::class(&class.name, &class.spec, namespace.labels.as_ref().unwrap_or(&NONE))
}

/// It goes on as it stands, under the class that was accepted last.
fn stands(cx: &Context, tenant: &Tenant, refused: Blocked) -> Result<Ruled, PassStop> {
    cx.comes_to_no_class(&tenant.uid().unwrap_or_default());
    let none = Status::default();
    let status = tenant.status.as_ref().unwrap_or(&none);
    let Some(placement) = status.placement.clone() else { return Err(refused.into()) };
    let class = match &status.class {
        // Without its class nobody knows what it had: all is left as it is.
        Some(name) => Some(cx.class(name).map_err(|_| PassStop::Stands(refused.clone()))?),
        None => None,
    };
    let answers = status.answers.as_ref();
    let spec = standing_form(&tenant.spec, &placement, class.as_ref().map(Class::named), answers);
    let long = Tenant { spec: spec.clone(), ..tenant.clone() };
    if accept::tenant(&long).is_err() {
        return Err(PassStop::Stands(refused));
    }
    let spec = TenantSpec { class_ref: tenant.spec.class_ref.clone(), ..spec };
    Ok(Ruled { spec, stands: Stands { placement, class, refused: Some(refused) } })
}
