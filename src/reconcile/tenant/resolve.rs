//! Everything about a Tenant that is decided before anything of it is looked at: is it allowed, may it have its tenantId,
//! and who lends to it.

use std::borrow::Cow;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client, ResourceExt};

use super::class::{self, Ruled};
use super::room::{self, live_namespace, namespace};
use crate::api::{Isolation, Pattern, Reason, SharedStack, Status, Tenant, annotations};
use crate::aws::Objects;
use crate::reconcile::classes::Class;
use crate::reconcile::context::{Context, claimant};
use crate::reconcile::managed::Managed;
use crate::reconcile::places::Applicant;
use crate::reconcile::resolved::{Asks, Grant, Resolved, Stands};
use crate::reconcile::stop::PassStop;
use crate::reconcile::{Error, Guarded, finalizer, offer_status};
use crate::stack::accept;
use crate::stack::fault::Fault;
use crate::stack::identity::{Identity, Scope};
use crate::stack::layout::{marker_key, retained_prefix};
use crate::stack::model::blocked::Blocked;
use crate::stack::model::outcome::LayerStatus;
use crate::stack::offer::Offer;
use crate::stack::record::{self, Claimant, Record, Ruling};
use crate::stack::tenant_ids::TENANT_IDS;

/// Everything that is decided without looking at the stack.
pub(super) async fn resolve(cx: &Context, tenant: &mut Cow<'_, Tenant>) -> Result<Resolved, PassStop> {
    let (tenant_id, uid) = (tenant.spec.tenant_id.clone(), tenant.uid().unwrap_or_default());
    // Whoever makes an object can write our finalizer into it; a record only we write.
    let held = finalizer::has_finalizer(&**tenant, &cx.finalizer());
    let has_id = held && cx.ids.is_holder(&tenant_id, &uid);
    let mut stands = become_long(cx, tenant, has_id).await?;
    let isolation = accept::tenant(tenant)?;
    let applicant = cx.applying(identity(cx, tenant, &isolation), &tenant.metadata, tenant.status.as_ref());
    if has_id {
        cx.is_in(&applicant.id)
    } else {
        cx.enter(&applicant, false)?
    }
    let lender = lender(cx, tenant, &isolation, has_id)?;
    let stack = lender.as_ref().and_then(|stack| stack.0.as_ref().ok());
    if !has_id {
        may_come(cx, tenant, &applicant, &isolation, stack, stands.class.as_ref()).await?;
    }
    if let Some(stack) = stack {
        accept::stack_serves(&isolation, stack)?;
        match accept::store_serves(tenant, &isolation, stack) {
            Err(lacks) if has_id => stands = goes_on_without(tenant, stands, lacks, stack),
            served => served?,
        }
    }
    if !has_id && !cx.claims.ask(&tenant_id, &claimant(tenant)) {
        return Err(record::taken(&tenant_id).into());
    }
    let offer = stack.map(|stack| offer_from(&cx.scope, isolation.pattern(), stack)).transpose()?;
    let mut grant = None;
    if !has_id {
        cx.enter(&applicant, true)?;
        let lender = (stack, offer.as_ref());
        let asked = ask(cx, tenant, &applicant.id, &isolation, lender, stands.class.as_ref()).await;
        grant = asked.inspect_err(|stop| {
            if matches!(stop, PassStop::Refused(_)) {
                cx.release_claim(&tenant_id, &uid);
            }
        })?;
    }
    let no_room = room::ask(cx, tenant, &applicant, &isolation).await?;
    let class = stands.class.as_ref().filter(|_| !has_id);
    if let Some(class) = class {
        cx.comes_to_class(&class.name, &uid);
    }
    hold(cx, tenant, held, isolation.stack()).await?;
    // Only now: another operator of the installation sees by our finalizer on the Tenant who needs the class.
    if let Some(class) = class {
        cx.hold_class(class).await?;
    }
    let approved = annotations::approved(&tenant.metadata).map(str::to_owned);
    Ok(Resolved {
        id: applicant.id.adopting(approved.as_deref()),
        asks: Asks::Tenant { isolation, tags: tenant.spec.tags.clone() },
        offer,
        grant,
        no_room,
        approved,
        stands: Some(stands),
    })
}

/// From here on the Tenant is its long form, and stands where that places it.
async fn become_long(cx: &Context, tenant: &mut Cow<'_, Tenant>, has_id: bool) -> Result<Stands, PassStop> {
    let Ruled { spec, stands } = class::rule(cx, tenant, has_id).await?;
    // A Tenant at rest that is long already is not copied: there may be very many.
    if tenant.spec != spec {
        tenant.to_mut().spec = spec;
    }
    let said = tenant.status.as_ref().and_then(|status| status.placement.as_ref());
    if said != Some(&stands.placement) {
        tenant.to_mut().status.get_or_insert_default().placement = Some(stands.placement.clone());
    }
    Ok(stands)
}

/// What the store lacks is refused as a change, and would change nothing of an index that is there: all goes on as it stands.
fn goes_on_without(
    tenant: &mut Cow<'_, Tenant>,
    stands: Stands,
    lacks: Blocked,
    stack: &SharedStack,
) -> Stands {
    let placement = stands.placement.lent_by(stack.spec.vector_store.unwrap_or_default());
    if let Some(status) = &mut tenant.to_mut().status {
        status.placement = Some(placement.clone());
    }
    Stands { placement, refused: stands.refused.or(Some(lacks)), ..stands }
}

fn identity(cx: &Context, tenant: &Tenant, isolation: &Isolation) -> Identity {
    cx.tenant_identity(tenant, &tenant.spec.tenant_id, isolation.pattern(), isolation.stack())
}

/// The SharedStack that a Tenant names, if it names one. Who has not its id yet does not come to one that leaves.
fn lender(
    cx: &Context,
    tenant: &Tenant,
    isolation: &Isolation,
    has_id: bool,
) -> Result<Option<Arc<Guarded<SharedStack>>>, PassStop> {
    let Some(name) = isolation.stack() else { return Ok(None) };
    let waits = |reason, message| PassStop::WaitsForStack(LayerStatus::Waiting(reason, message));
    let Some(found) = cx.stack(name) else {
        return Err(waits(Reason::StackNotFound, no_stack(cx, tenant, isolation, name, has_id)));
    };
    match &found.0 {
        Err(_) => {
            let message = format!("This release cannot read the SharedStack '{name}'");
            Err(waits(Reason::StackNotReady, message))
        }
        Ok(stack) if !has_id && stack.metadata.deletion_timestamp.is_some() => Err(stack_leaves(name)),
        Ok(_) => Ok(Some(found)),
    }
}

/// Whether a Tenant that has not its id yet may come, as far as that is known without asking AWS. What the cache has not
/// seen is unknown, and not without labels: it is looked at live.
async fn may_come(
    cx: &Context,
    tenant: &Tenant,
    applicant: &Applicant,
    isolation: &Isolation,
    stack: Option<&SharedStack>,
    class: Option<&Class>,
) -> Result<(), PassStop> {
    let namespace = namespace(cx, tenant).await?;
    admitted(cx, tenant, &namespace.metadata, isolation, stack, class)?;
    Ok(room::is_not_full(cx, applicant, &namespace.metadata, isolation)?)
}

/// Puts our finalizer on, and then looks at the SharedStack live: either its teardown sees our finalizer, or we see that it is
/// being deleted.
async fn hold(
    cx: &Context,
    tenant: &mut Cow<'_, Tenant>,
    held: bool,
    stack: Option<&str>,
) -> Result<(), PassStop> {
    let api = Tenant::api(cx.client.clone(), &tenant.namespace().unwrap_or_default());
    if !held && !cx.settings.read_only {
        let taken = finalizer::take(&api, &**tenant, &cx.finalizer()).await?;
        as_patched(tenant, taken);
    }
    let accepted = held && tenant.status.as_ref().is_some_and(Status::is_accepted);
    let Some(name) = stack.filter(|_| !accepted) else { return Ok(()) };
    let waits = match look_live(cx.client.clone(), name).await {
        Err(waits @ PassStop::WaitsForStack(_)) => waits,
        other => return other,
    };
    // Nothing was built under it yet, and the SharedStack waits for it to go.
    if !held && let Some(released) = finalizer::release(&api, &**tenant, &cx.finalizer()).await? {
        as_patched(tenant, released);
    }
    Err(waits)
}

/// The object as the API server has it after a patch of ours; what this pass works with stays as it was worked out.
fn as_patched(tenant: &mut Cow<'_, Tenant>, patched: Tenant) {
    let tenant = tenant.to_mut();
    let placement = tenant.status.as_mut().and_then(|status| status.placement.take());
    tenant.metadata = patched.metadata;
    tenant.status = Some(Status { placement, ..patched.status.unwrap_or_default() });
}

/// A SharedStack that is not there, perhaps misspelt. Those that would serve this Tenant are named; nobody learns here of
/// others.
fn no_stack(cx: &Context, tenant: &Tenant, isolation: &Isolation, name: &str, has_id: bool) -> String {
    let namespace = tenant.namespace().unwrap_or_default();
    let labels = cx.namespace(&namespace).and_then(|it| it.metadata.labels.clone()).unwrap_or_default();
    let silos = cx.settings.silo_namespaces.as_ref();
    let stacks = cx.stacks.state();
    let mut there: Vec<_> = stacks
        .iter()
        .filter_map(|stack| stack.0.as_ref().ok())
        .filter(|stack| accept::namespace(&namespace, &labels, silos, isolation, Some(stack)).is_ok())
        .map(|stack| stack.name_any())
        .collect();
    there.sort();
    let there = match there[..] {
        [] => String::new(),
        _ => format!(" There are: {}.", there.join(", ")),
    };
    let instead = if has_id {
        "and what this Tenant had in it is lost with it"
    } else {
        "or delete this Tenant, of which nothing is built, and apply it with another stackRef"
    };
    format!("There is no SharedStack '{name}'.{there} Create it, {instead}")
}

/// Whether a namespace may have such a Tenant, and whether it names the tenantId. Asked until the Tenant has its id: what
/// is narrowed later leaves who is already there in peace.
fn admitted(
    cx: &Context,
    tenant: &Tenant,
    namespace: &ObjectMeta,
    isolation: &Isolation,
    stack: Option<&SharedStack>,
    class: Option<&Class>,
) -> Result<bool, Blocked> {
    let name = tenant.namespace().unwrap_or_default();
    let annotation = namespace.annotations.as_ref().and_then(|all| all.get(TENANT_IDS)).map(String::as_str);
    let tenant_id = &tenant.spec.tenant_id;
    let allowed = accept::tenant_id(&name, annotation, cx.settings.require_tenant_ids, tenant_id)?;
    let labels = namespace.labels.clone().unwrap_or_default();
    accept::namespace(&name, &labels, cx.settings.silo_namespaces.as_ref(), isolation, stack)?;
    class.map_or(Ok(()), |class| class::admits(class, namespace))?;
    Ok(allowed.names(tenant_id))
}

/// Asks for the tenantId, with the namespace as it is now. None if the record names this Tenant already.
async fn ask(
    cx: &Context,
    tenant: &Tenant,
    id: &Identity,
    isolation: &Isolation,
    (stack, offer): (Option<&SharedStack>, Option<&Offer>),
    class: Option<&Class>,
) -> Result<Option<Grant>, PassStop> {
    if let Some(trouble) = cx.ids.closed() {
        return Err(trouble.into());
    }
    let namespace = live_namespace(cx.client.clone(), tenant).await?;
    let named = admitted(cx, tenant, &namespace.metadata, isolation, stack, class)?;
    let namespace_uid = namespace.uid().unwrap_or_default();
    let approved = annotations::approved(&tenant.metadata);
    let lent = offer.map(|offer| offer.store.kind());
    let store = lent.or_else(|| isolation.vector_store()).unwrap_or_default();
    let claimant = Claimant { id, store, namespace_uid: &namespace_uid, named, approved };
    let kept = cx.ids.read(&tenant.spec.tenant_id).await?;
    let record = kept.as_ref().map(|kept| &kept.says);
    let lives = match record.filter(|record| cx.ids.may_live(record, &claimant)) {
        Some(record) => lives(cx.client.clone(), record).await?,
        None => false,
    };
    let ruling = cx.ids.rule(record, &claimant, lives);
    // Somebody may have written where an id once was, after all was gone: that is no stranger's to read.
    if let (Ruling::Granted { .. }, Some(record), Some(offer)) = (&ruling, record, offer)
        && record.was_held()
        && !claimant.is_same_owner(&record.holder, &cx.ids.terms)
        && has_documents(&cx.aws.objects, offer, id).await?
    {
        return Err(record::taken(&tenant.spec.tenant_id).into());
    }
    match ruling {
        Ruling::Held => Ok(None),
        Ruling::Granted { inherits } => {
            Ok(Some(Grant { namespace_uid, named, over: kept.map(|kept| kept.etag), inherits }))
        }
        Ruling::Refused(refused) => Err(refused.into()),
    }
}

/// Whether something lies where an id has its documents, or had retained them.
async fn has_documents(objects: &Objects, offer: &Offer, id: &Identity) -> Result<bool, Fault> {
    let tenant_id = id.tenant_id().unwrap_or_default();
    for prefix in [id.prefix(), retained_prefix(tenant_id), marker_key(id)] {
        if !objects.list(&offer.bucket, &prefix, None, Some(1)).await?.objects.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the Tenant that a record names is still there.
async fn lives(client: Client, record: &Record) -> Result<bool, Error> {
    let api: Api<Tenant> = Api::namespaced(client, &record.holder.namespace);
    let found = api.get_metadata_opt(&record.holder.name).await?;
    Ok(found.is_some_and(|found| found.metadata.uid.as_deref() == Some(record.holder.uid.as_str())))
}

/// What the SharedStack lends, or why it does not.
fn offer_from(scope: &Arc<Scope>, pattern: Pattern, stack: &SharedStack) -> Result<Offer, PassStop> {
    let name = stack.name_any();
    let id = Identity::of_stack(scope.clone(), &name, "");
    let needs_pool = pattern == Pattern::Pool;
    let offer = offer_status::offer_of(&id, stack).filter(|offer| offer.pool.is_some() || !needs_pool);
    offer.ok_or_else(|| {
        let message = format!("SharedStack '{name}' is not ready yet; this Tenant continues when it is");
        PassStop::WaitsForStack(LayerStatus::Waiting(Reason::StackNotReady, message))
    })
}

/// Whether the SharedStack, as the API server has it now, is there and not leaving.
async fn look_live(client: Client, name: &str) -> Result<(), PassStop> {
    match Api::<SharedStack>::all(client).get_metadata_opt(name).await? {
        None => {
            let message = format!("There is no SharedStack '{name}'");
            Err(PassStop::WaitsForStack(LayerStatus::Waiting(Reason::StackNotFound, message)))
        }
        Some(stack) if stack.metadata.deletion_timestamp.is_some() => Err(stack_leaves(name)),
        Some(_) => Ok(()),
    }
}

fn stack_leaves(name: &str) -> PassStop {
    let message = format!("SharedStack '{name}' is being deleted; name another in a new Tenant");
    PassStop::WaitsForStack(LayerStatus::Waiting(Reason::StackLeaving, message))
}

#[cfg(test)]
mod tests {
    use kube::core::Expression;
    use serde_json::json;

    use super::*;
    use crate::reconcile::mocked::{
        api_server, context, get, read, shared_stack, store, tenant, tenants, with,
    };

    /// A namespace that the cache has not seen has no labels there, and a rule that labels must be absent would admit it.
    #[tokio::test]
    async fn a_namespace_that_was_never_seen_is_looked_at() {
        let namespace = json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": {"name": "tenants", "uid": "ns-1", "labels": {"team": "web"}}});
        let server = api_server([get("/api/v1/namespaces/tenants").answered(namespace)]);
        let mut cx = context(server.client());
        let not_web = Expression::NotIn("team".into(), ["web".to_owned()].into());
        cx.settings.silo_namespaces = Some(not_web.into());
        let silo = read::<Tenant>(tenant(json!({})));
        assert_eq!(silo.pattern(), Some(Pattern::Silo));
        match resolve(&cx, &mut Cow::Borrowed(&silo)).await {
            Err(PassStop::Refused(refused)) => assert_eq!(refused.reason, Reason::SiloNotAllowed),
            _ => panic!("it was let in"),
        }
    }

    /// An administrator's word counts from when it was written, and not from when the watch has told of it.
    #[tokio::test]
    async fn a_bound_that_the_cache_has_not_seen_yet_holds() {
        let namespace = |annotations| {
            json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
                "metadata": {"name": "tenants", "uid": "ns-1", "annotations": annotations}})
        };
        let now = namespace(json!({"tenantry.dev/max-knowledge-bases": "none"}));
        let asked = || get("/api/v1/namespaces/tenants").answered(now.clone());
        let server = api_server([asked(), asked()]);
        let mut cx = context(server.client());
        cx.namespaces = store([namespace(json!({}))]);
        let silo = read::<Tenant>(tenant(json!({})));
        match resolve(&cx, &mut Cow::Borrowed(&silo)).await {
            Err(PassStop::Refused(refused)) => {
                assert_eq!(refused.reason, Reason::QuotaReserved);
                assert!(refused.message.contains("'none' is no whole number"), "{}", refused.message);
            }
            _ => panic!("it was let in"),
        }
    }

    #[tokio::test]
    async fn who_is_one_too_many_is_told_so_before_anything_is_asked() {
        let mut cx = context(api_server([]).client());
        cx.settings.max_tenants_per_namespace = 1;
        let first = tenant(json!({"name": "first", "uid": "uid-first"}));
        cx.tenants = tenants([first.clone()]);
        cx.reservations.is_in(&cx.applicant(&read(first)).unwrap().id);
        let second = read::<Tenant>(tenant(json!({})));
        match resolve(&cx, &mut Cow::Borrowed(&second)).await {
            Err(PassStop::Refused(refused)) => assert_eq!(refused.reason, Reason::TooManyTenants),
            _ => panic!("it was let in"),
        }
    }

    /// Nothing is built yet, so nothing has to be copied, and no other tenantId is needed.
    #[tokio::test]
    async fn who_misspells_a_stack_is_told_which_there_are_for_it_and_nothing_of_others() {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": "tenants", "labels": {"team": "rag"}}});
        let stack = |name: &str, team: &str| {
            let spec = json!({"allowedNamespaces": {"matchLabels": {"team": team}}});
            with(shared_stack(json!({"name": name, "uid": name})), json!({"spec": spec}))
        };
        let unreadable = with(shared_stack(json!({"name": "newer"})), json!({"spec": {"pool": 5}}));
        let mut cx = context(api_server([]).client());
        cx.namespaces = store([namespace]);
        cx.stacks = store([stack("standard", "rag"), stack("others", "web"), unreadable]);
        for (name, reason) in [("standart", Reason::StackNotFound), ("newer", Reason::StackNotReady)] {
            let spec = json!({"tenantId": "acme", "pattern": "Bridge", "stackRef": {"name": name}});
            let bridge = read::<Tenant>(with(tenant(json!({})), json!({"spec": spec})));
            match resolve(&cx, &mut Cow::Borrowed(&bridge)).await {
                Err(PassStop::WaitsForStack(LayerStatus::Waiting(told, message))) => {
                    assert!(told == reason && message.contains(name), "{message}");
                    assert_eq!(message.contains("standard"), name == "standart", "{message}");
                    assert!(!message.contains("others") && !message.contains("tenantId"), "{message}");
                }
                _ => panic!("it goes on without its stack"),
            }
        }
    }
}
