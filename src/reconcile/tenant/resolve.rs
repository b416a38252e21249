//! Everything about a Tenant that is decided before anything of it is looked at: is it allowed, may it have its tenantId,
//! and who lends to it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, ResourceExt};

use super::room::{self, Room, live_namespace, namespace};
use crate::api::{ConditionType, Isolation, Pattern, Reason, SharedStack, Tenant, annotations};
use crate::reconcile::context::{Context, claimant};
use crate::reconcile::{Error, finalizer, offer_status};
use crate::records::Trouble;
use crate::stack::accept;
use crate::stack::fault::Fault;
use crate::stack::identity::Identity;
use crate::stack::layout::{marker_key, retained_prefix};
use crate::stack::model::blocked::Blocked;
use crate::stack::model::outcome::LayerStatus;
use crate::stack::offer::Offer;
use crate::stack::record::{self, Claimant, Record, Ruling};
use crate::stack::tenant_ids::TENANT_IDS;

/// What `resolve` comes to.
pub(super) enum Resolved {
    /// It may not be acted upon.
    Refused(Blocked),
    /// Nobody can say at the moment whether it may.
    Withheld(Blocked),
    /// It waits for its SharedStack.
    Waits(LayerStatus),
    /// On with it.
    Go(Box<Ready>),
}

/// What is needed to go on.
pub(super) struct Ready {
    /// What is asked for.
    pub(super) isolation: Isolation,
    /// What is lent.
    pub(super) offer: Option<Offer>,
    /// The id that it may have and does not have yet; none if it has it.
    pub(super) grant: Option<Grant>,
    /// Why there is no room for its knowledge base, if there is none any more.
    pub(super) no_room: Option<Blocked>,
}

/// A tenantId that a Tenant may have. It has it once its record says so.
pub(super) struct Grant {
    /// The uid of the Tenant's namespace.
    pub(super) namespace_uid: String,
    /// Whether the namespace names the id.
    pub(super) named: bool,
    /// The record that this goes over, by its ETag.
    pub(super) over: Option<String>,
    /// An earlier holder may have left something.
    pub(super) inherits: bool,
}

impl From<&Trouble> for Resolved {
    fn from(trouble: &Trouble) -> Self {
        Resolved::Withheld(Blocked { reason: trouble.reason(), message: trouble.to_string() })
    }
}

/// Everything that is decided without looking at the stack. Ends with the hold on and the SharedStack looked at live:
/// flag, then look, so that a SharedStack that is leaving either sees the hold or is seen leaving.
pub(super) async fn resolve(cx: &Context, api: &Api<Tenant>, tenant: &mut Tenant) -> Result<Resolved, Error> {
    let held = finalizer::has_finalizer(tenant, &cx.finalizer());
    let (tenant_id, uid) = (tenant.spec.tenant_id.clone(), tenant.uid().unwrap_or_default());
    // Whoever makes an object can write our finalizer into it; a record only we write.
    let has_id = held && cx.ids.is_holder(&tenant_id, &uid);
    let isolation = match accept::tenant(tenant) {
        Ok(isolation) => isolation,
        Err(refused) => return Ok(Resolved::Refused(refused)),
    };
    let applicant = cx.applicant(tenant);
    if has_id {
        cx.reservations.is_in(&applicant.id);
    } else if let Err(refused) = cx.enter(&applicant, false) {
        return Ok(Resolved::Refused(refused));
    }
    let stack_name = isolation.stack().map(str::to_owned);
    let found = stack_name.as_deref().and_then(|name| cx.stack(name));
    let stack = found.as_ref().and_then(|stack| stack.0.as_ref().ok());
    if let (Some(name), None) = (&stack_name, stack) {
        let (reason, message) = match found {
            Some(_) => (Reason::StackNotReady, format!("This release cannot read the SharedStack '{name}'")),
            None => (Reason::StackNotFound, no_stack(cx, tenant, &isolation, name, has_id)),
        };
        return Ok(Resolved::Waits(LayerStatus::Waiting(reason, message)));
    }
    if let (Some(name), Some(stack), false) = (&stack_name, stack, has_id)
        && stack.metadata.deletion_timestamp.is_some()
    {
        return Ok(Resolved::Waits(stack_leaves(name)));
    }
    // What the cache has not seen is unknown, and not without labels. Before an id is asked for it is looked at live.
    if !has_id {
        let namespace = namespace(cx, tenant).await?;
        if let Err(refused) = admitted(cx, tenant, &namespace.metadata, &isolation, stack)
            .and_then(|_| room::is_not_full(cx, &applicant, &namespace.metadata, &isolation))
        {
            return Ok(Resolved::Refused(refused));
        }
    }
    if let Some(Err(refused)) = stack.map(|stack| accept::stack_serves(&isolation, stack)) {
        return Ok(Resolved::Refused(refused));
    }
    if !has_id && !cx.claims.ask(&tenant_id, &claimant(tenant)) {
        return Ok(Resolved::Refused(record::taken(&tenant_id)));
    }
    let offer = match (&stack_name, stack) {
        (Some(name), Some(stack)) => match offer_from(cx, tenant, name, stack) {
            Ok(offer) => Some(offer),
            Err(waits) => return Ok(Resolved::Waits(waits)),
        },
        _ => None,
    };
    if !has_id && let Err(refused) = cx.enter(&applicant, true) {
        return Ok(Resolved::Refused(refused));
    }
    let grant = match has_id {
        true => None,
        false => match ask(cx, tenant, &isolation, stack, offer.as_ref()).await {
            Ok(Ok(grant)) => grant,
            Ok(Err(refused)) => {
                cx.release_claim(&tenant_id, &uid);
                return Ok(Resolved::Refused(refused));
            }
            Err(Error::Records(trouble)) => return Ok((&*trouble).into()),
            Err(error) => return Err(error),
        },
    };
    let no_room = match room::ask(cx, tenant, &applicant, &isolation).await? {
        Room::Is => None,
        Room::Refused(refused) => return Ok(Resolved::Refused(refused)),
        Room::Awaited(no_room) => Some(no_room),
    };
    if !held && !cx.settings.read_only {
        *tenant = finalizer::take(api, tenant, &cx.finalizer()).await?;
    }
    let accepted =
        held && tenant.status.as_ref().is_some_and(|status| status.is_true(ConditionType::Accepted));
    if let (Some(name), false) = (&stack_name, accepted)
        && let Some(waits) = look_live(cx, name).await?
    {
        if !held {
            // Nothing was built under it yet, and the SharedStack waits for it to go.
            if let Some(released) = finalizer::release(api, tenant, &cx.finalizer()).await? {
                *tenant = released;
            }
        }
        return Ok(Resolved::Waits(waits));
    }
    Ok(Resolved::Go(Box::new(Ready { isolation, offer, grant, no_room })))
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
    let instead = match has_id {
        true => "and what this Tenant had in it is lost with it",
        false => "or delete this Tenant, of which nothing is built, and apply it with another stackRef",
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
) -> Result<bool, Blocked> {
    let name = tenant.namespace().unwrap_or_default();
    let annotation = namespace.annotations.as_ref().and_then(|all| all.get(TENANT_IDS)).map(String::as_str);
    let tenant_id = &tenant.spec.tenant_id;
    let allowed = accept::tenant_id(&name, annotation, cx.settings.require_tenant_ids, tenant_id)?;
    let labels = namespace.labels.clone().unwrap_or_default();
    accept::namespace(&name, &labels, cx.settings.silo_namespaces.as_ref(), isolation, stack)?;
    Ok(allowed.names(tenant_id))
}

/// Asks for the tenantId, with the namespace as it is now. None if the record names this Tenant already.
async fn ask(
    cx: &Context,
    tenant: &Tenant,
    isolation: &Isolation,
    stack: Option<&SharedStack>,
    offer: Option<&Offer>,
) -> Result<Result<Option<Grant>, Blocked>, Error> {
    if let Some(trouble) = cx.ids.closed() {
        return Err(trouble.into());
    }
    let namespace = live_namespace(cx, tenant).await?;
    let named = match admitted(cx, tenant, &namespace.metadata, isolation, stack) {
        Ok(named) => named,
        Err(refused) => return Ok(Err(refused)),
    };
    let id = cx.tenant_identity(tenant, &tenant.spec.tenant_id, tenant.spec.pattern, isolation.stack());
    let namespace_uid = namespace.uid().unwrap_or_default();
    let approved = annotations::approved(&tenant.metadata);
    let claimant = Claimant { id: &id, namespace_uid: &namespace_uid, named, approved };
    let kept = cx.ids.read(&tenant.spec.tenant_id).await?;
    let record = kept.as_ref().map(|kept| &kept.says);
    let lives = match record.filter(|record| cx.ids.may_live(record, &claimant)) {
        Some(record) => lives(cx, record).await?,
        None => false,
    };
    let ruling = cx.ids.rule(record, &claimant, lives);
    // Somebody may have written where an id once was, after all was gone: that is no stranger's to read.
    if let (Ruling::Granted { .. }, Some(record), Some(offer)) = (&ruling, record, offer)
        && record.was_held()
        && !claimant.is_same_owner(&record.holder, &cx.ids.terms)
        && has_documents(cx, offer, &id).await?
    {
        return Ok(Err(record::taken(&tenant.spec.tenant_id)));
    }
    Ok(match ruling {
        Ruling::Held => Ok(None),
        Ruling::Granted { inherits } => {
            Ok(Some(Grant { namespace_uid, named, over: kept.map(|kept| kept.etag), inherits }))
        }
        Ruling::Refused(refused) => Err(refused),
    })
}

/// Whether something lies where an id has its documents, or had retained them.
async fn has_documents(cx: &Context, offer: &Offer, id: &Identity) -> Result<bool, Fault> {
    let tenant_id = id.tenant_id().unwrap_or_default();
    for prefix in [id.prefix(), retained_prefix(tenant_id), marker_key(id)] {
        if !cx.aws.objects.list(&offer.bucket, &prefix, None, Some(1)).await?.objects.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the Tenant that a record names is still there.
async fn lives(cx: &Context, record: &Record) -> Result<bool, Error> {
    let api: Api<Tenant> = Api::namespaced(cx.client.clone(), &record.holder.namespace);
    let found = api.get_metadata_opt(&record.holder.name).await?;
    Ok(found.is_some_and(|found| found.metadata.uid.as_deref() == Some(record.holder.uid.as_str())))
}

/// What the SharedStack lends, or why it does not.
pub(super) fn offer_from(
    cx: &Context,
    tenant: &Tenant,
    name: &str,
    stack: &SharedStack,
) -> Result<Offer, LayerStatus> {
    let id = Identity::of_stack(cx.scope.clone(), name, "");
    let needs_pool = tenant.spec.pattern == Pattern::Pool;
    let offer = offer_status::offer_of(&id, stack).filter(|offer| offer.pool.is_some() || !needs_pool);
    offer.ok_or_else(|| {
        let message = format!("SharedStack '{name}' is not ready yet; this Tenant continues when it is");
        LayerStatus::Waiting(Reason::StackNotReady, message)
    })
}

/// The SharedStack as the API server has it now: there, and not leaving.
pub(super) async fn look_live(cx: &Context, name: &str) -> Result<Option<LayerStatus>, Error> {
    let stack = Api::<SharedStack>::all(cx.client.clone()).get_metadata_opt(name).await?;
    Ok(match stack {
        None => {
            Some(LayerStatus::Waiting(Reason::StackNotFound, format!("There is no SharedStack '{name}'")))
        }
        Some(stack) if stack.metadata.deletion_timestamp.is_some() => Some(stack_leaves(name)),
        Some(_) => None,
    })
}

pub(super) fn stack_leaves(name: &str) -> LayerStatus {
    let message = format!("SharedStack '{name}' is being deleted; name another in a new Tenant");
    LayerStatus::Waiting(Reason::StackLeaving, message)
}

#[cfg(test)]
mod tests {
    use kube::core::Expression;
    use serde_json::json;

    use super::*;
    use crate::reconcile::mocked::{api_server, context, get, read, shared_stack, store, tenant, with};

    /// A namespace that the cache has not seen has no labels there, and a rule that labels must be absent would admit it.
    #[tokio::test]
    async fn a_namespace_that_was_never_seen_is_looked_at() {
        let namespace = json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": {"name": "tenants", "uid": "ns-1", "labels": {"team": "web"}}});
        let server = api_server([get("/api/v1/namespaces/tenants").answered(namespace)]);
        let mut cx = context(server.client());
        let not_web = Expression::NotIn("team".into(), ["web".to_owned()].into());
        cx.settings.silo_namespaces = Some(not_web.into());
        let mut silo = read::<Tenant>(tenant(json!({})));
        assert_eq!(silo.spec.pattern, Pattern::Silo);
        let api = Api::namespaced(cx.client.clone(), "tenants");
        match resolve(&cx, &api, &mut silo).await.unwrap() {
            Resolved::Refused(refused) => assert_eq!(refused.reason, Reason::SiloNotAllowed),
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
        let mut silo = read::<Tenant>(tenant(json!({})));
        let api = Api::namespaced(cx.client.clone(), "tenants");
        match resolve(&cx, &api, &mut silo).await.unwrap() {
            Resolved::Refused(refused) => {
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
        cx.tenants = store([first.clone()]);
        cx.reservations.is_in(&cx.applicant(&read(first)).id);
        let mut second = read::<Tenant>(tenant(json!({})));
        let api = Api::namespaced(cx.client.clone(), "tenants");
        match resolve(&cx, &api, &mut second).await.unwrap() {
            Resolved::Refused(refused) => assert_eq!(refused.reason, Reason::TooManyTenants),
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
        let api = Api::namespaced(cx.client.clone(), "tenants");
        for (name, reason) in [("standart", Reason::StackNotFound), ("newer", Reason::StackNotReady)] {
            let spec = json!({"tenantId": "acme", "pattern": "Bridge", "stackRef": {"name": name}});
            let mut bridge = read::<Tenant>(with(tenant(json!({})), json!({"spec": spec})));
            match resolve(&cx, &api, &mut bridge).await.unwrap() {
                Resolved::Waits(LayerStatus::Waiting(told, message)) => {
                    assert!(told == reason && message.contains(name), "{message}");
                    assert_eq!(message.contains("standard"), name == "standart", "{message}");
                    assert!(!message.contains("others") && !message.contains("tenantId"), "{message}");
                }
                _ => panic!("it goes on without its stack"),
            }
        }
    }
}
