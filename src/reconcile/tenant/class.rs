//! A Tenant and its class: the long form of its spec, or why it keeps the one that it had.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use super::room::{live_namespace, namespace};
use crate::api::{
    Ingestion, Layer, Pattern, Placement, Reason, Status, Tenant, TenantSpec, long_form, standing_form,
};
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
        Err(PassStop::Refused(refused)) if has_id && refused.reason.is_of_a_class() => {
            stands(cx, tenant, refused).await
        }
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
    if class.is_none() && cx.settings.require_class {
        accept::without_class(has_id, status.class.as_deref().filter(|_| has_id))?;
    }
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
        let message =
            format!("TenantClass '{name}' is being deleted and takes nobody new: name another in `classRef`");
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
        message: format!(
            "With what TenantClass '{}' says, the Tenant is invalid: {}",
            class.name, invalid.message
        ),
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
    // Most often nothing has changed, and there may be very many.
    if status.placement.as_ref() == Some(wanted) {
        return Ok(());
    }
    let Some(frozen) = frozen(cx, tenant, status, wanted) else { return Ok(()) };
    let moves: Vec<_> = frozen.moves(wanted).iter().map(ToString::to_string).collect();
    if moves.is_empty() {
        return Ok(());
    }
    let named =
        |class: Option<&str>| class.map_or_else(String::new, |name| format!(" (TenantClass '{name}')"));
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
fn accepted(cx: &Context, tenant: &Tenant, status: &Status) -> Option<Placement> {
    let own = || Placement::of(&tenant.spec).filter(|own| is_at(cx, tenant, status, own));
    status.placement.clone().or_else(own)
}

/// The same, or else as far as it follows from where the documents are: the pattern.
fn frozen(cx: &Context, tenant: &Tenant, status: &Status, wanted: &Placement) -> Option<Placement> {
    accepted(cx, tenant, status).or_else(|| {
        status.prefix.as_ref()?;
        if is_at(cx, tenant, status, wanted) {
            return None;
        }
        let all = Pattern::ALL.map(|pattern| Placement { pattern, ..Placement::nowhere() });
        all.into_iter().find(|it| has_prefix(cx, tenant, status, it.pattern))
    })
}

/// Whether the documents are where such a placement has them.
fn is_at(cx: &Context, tenant: &Tenant, status: &Status, placement: &Placement) -> bool {
    let lends = |stack: &str| {
        let its = Identity::of_stack(cx.scope.clone(), stack, "").name(Layer::Bucket);
        status.bucket.as_ref().is_none_or(|bucket| *bucket == its)
    };
    has_prefix(cx, tenant, status, placement.pattern) && placement.stack().is_none_or(lends)
}

fn has_prefix(cx: &Context, tenant: &Tenant, status: &Status, pattern: Pattern) -> bool {
    let id = cx.tenant_identity(tenant, &tenant.spec.tenant_id, pattern, None);
    status.prefix.as_deref() == Some(id.prefix().as_str())
}

/// A Tenant comes to a class: is its namespace admitted, and is the class held? Asked at every change, by the namespace as
/// it is now; what is narrowed later leaves who is there in peace.
async fn come_to(
    cx: &Context,
    tenant: &Tenant,
    class: &Class,
    status: &Status,
    has_id: bool,
) -> Result<(), PassStop> {
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
    if is_there {
        cx.has_come_to_class(&uid);
    } else if has_id {
        cx.comes_to_class(&class.name, &uid);
    }
    // Who is new holds the class together with its own finalizer, once nothing else is in its way.
    if has_id {
        cx.hold_class(class).await?;
    }
    Ok(())
}

/// Whether a class admits the Tenants of a namespace.
pub(super) fn admits(class: &Class, namespace: &ObjectMeta) -> Result<(), Blocked> {
    static NONE: BTreeMap<String, String> = BTreeMap::new();
    accept::class(&class.name, &class.spec, namespace.labels.as_ref().unwrap_or(&NONE))
}

/// It goes on as it stands, under the class that was accepted last, which it holds.
async fn stands(cx: &Context, tenant: &Tenant, refused: Blocked) -> Result<Ruled, PassStop> {
    cx.comes_to_no_class(&tenant.uid().unwrap_or_default());
    let none = Status::default();
    let status = tenant.status.as_ref().unwrap_or(&none);
    let Some(placement) = accepted(cx, tenant, status) else { return Err(refused.into()) };
    let class = match &status.class {
        // Without its class nobody knows what it had: all is left as it is.
        Some(name) => Some(cx.class(name).map_err(|_| PassStop::Stands(refused.clone()))?),
        None => None,
    };
    if let Some(class) = &class {
        cx.hold_class(class).await?;
    }
    let answers = status.answers.as_ref();
    let long = standing_form(&tenant.spec, &placement, class.as_ref().map(Class::named), answers);
    let Some(long) = [long.clone(), without_times(long)].into_iter().find(|long| is_valid(tenant, long))
    else {
        return Err(PassStop::Stands(refused));
    };
    let spec = TenantSpec { class_ref: tenant.spec.class_ref.clone(), ..long };
    Ok(Ruled { spec, stands: Stands { placement, class, refused: Some(refused) } })
}

/// The same without times that nobody may be able to read: one typo in a class keeps none of its tenants from being looked
/// after. Documents are then read when they are found, as without a schedule.
fn without_times(long: TenantSpec) -> TenantSpec {
    let ingestion = long.ingestion.map(|it| Ingestion { schedule: None, time_zone: None, ..it });
    TenantSpec { ingestion, ..long }
}

fn is_valid(tenant: &Tenant, long: &TenantSpec) -> bool {
    accept::tenant(&Tenant { spec: long.clone(), ..tenant.clone() }).is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::reconcile::mocked::{
        ApiServer, Exchange, FINALIZER, api_server, context, get, json_patch, read, store, tenant, with,
    };
    use crate::settings::Settings;

    fn class(name: &str, metadata: Value, spec: Value) -> Value {
        let meta = json!({"name": name, "uid": format!("uid-{name}"), "resourceVersion": "3"});
        json!({"apiVersion": "tenantry.dev/v1alpha1", "kind": "TenantClass", "metadata": with(meta, metadata), "spec": spec})
    }

    fn held() -> Value {
        json!({"finalizers": [FINALIZER]})
    }

    fn in_pool() -> Value {
        json!({"placement": {"pattern": "Pool", "stackRef": {"name": "standard"}}})
    }

    fn silo() -> Value {
        json!({"placement": {"pattern": "Silo", "vectorStore": "S3Vectors"}})
    }

    /// Our finalizer is put on the class `new`.
    fn new_is_held() -> Exchange {
        let patch = json!([
            {"op": "test", "path": "/metadata/uid", "value": "uid-new"},
            {"op": "test", "path": "/metadata/resourceVersion", "value": "3"},
            {"op": "add", "path": "/metadata/finalizers", "value": [FINALIZER]},
        ]);
        let patched = class("new", held(), in_pool());
        json_patch("/apis/tenantry.dev/v1alpha1/tenantclasses/new", patch).answered(patched)
    }

    fn labelled(labels: Value) -> Value {
        json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": {"name": "tenants", "uid": "ns-1", "labels": labels}})
    }

    /// Classes as a cluster may have them.
    fn classes() -> Vec<Value> {
        let paid = json!({"matchLabels": {"plan": "paid"}});
        vec![
            class("basic", held(), in_pool()),
            class("cheap", held(), with(in_pool(), json!({"defaults": {"answers": {"model": "small"}}}))),
            class("premium", held(), silo()),
            class("paid", held(), with(in_pool(), json!({"allowedNamespaces": paid}))),
            class("old", with(held(), json!({"deletionTimestamp": "2026-01-01T00:00:00Z"})), in_pool()),
            class("new", json!({}), in_pool()),
            class("broken", held(), json!({"defaults": {"ingestion": {"schedule": "often"}}})),
            class(
                "late",
                held(),
                with(silo(), json!({"defaults": {"ingestion": {"schedule": "0 25 * * *"}}})),
            ),
            class(
                "nowhere",
                held(),
                with(silo(), json!({"defaults": {"ingestion": {"timeZone": "Vienna", "suspend": true}}})),
            ),
            class("unreadable", held(), json!({"placement": 5})),
        ]
    }

    /// What becomes of a Tenant with this spec and status; `expected` is what the API server is asked.
    async fn ruled(
        spec: Value,
        status: Value,
        has_id: bool,
        expected: impl IntoIterator<Item = Exchange>,
    ) -> (Result<Ruled, PassStop>, ApiServer) {
        ruled_by(|_| {}, spec, status, has_id, expected).await
    }

    /// The same by an operator with other settings.
    async fn ruled_by(
        set: impl FnOnce(&mut Settings),
        spec: Value,
        status: Value,
        has_id: bool,
        expected: impl IntoIterator<Item = Exchange>,
    ) -> (Result<Ruled, PassStop>, ApiServer) {
        let server = api_server(expected);
        let mut cx = context(server.client());
        cx.tenant_classes = store(classes());
        cx.namespaces = store([labelled(json!({}))]);
        set(&mut cx.settings);
        let spec = with(json!({"tenantId": "acme"}), spec);
        let tenant = read::<Tenant>(with(tenant(json!({})), json!({"spec": spec, "status": status})));
        (rule(&cx, &tenant, has_id).await, server)
    }

    fn by_class(name: &str) -> Value {
        json!({"classRef": {"name": name}})
    }

    /// The status of one that was accepted in the pool, under this class.
    fn accepted_under(class: &str) -> Value {
        json!({"class": class, "prefix": "pool/acme/", "placement": in_pool()["placement"]})
    }

    #[tokio::test]
    async fn who_is_new_is_refused_for_what_is_wrong_with_its_class() {
        for (class, reason) in [
            ("missing", Reason::ClassNotFound),
            ("unreadable", Reason::ClassNotFound),
            ("old", Reason::ClassNotFound),
            ("paid", Reason::ClassNotAllowed),
            ("broken", Reason::ClassConflict),
        ] {
            let (answer, _server) = ruled(by_class(class), json!({}), false, []).await;
            match answer {
                Err(PassStop::Refused(refused)) => {
                    assert!(
                        refused.reason == reason && refused.message.contains(class),
                        "{}",
                        refused.message
                    );
                }
                _ => panic!("{class}: it goes on"),
            }
        }
        let (answer, _server) = ruled(by_class("basic"), json!({}), false, []).await;
        let Ok(Ruled { spec, stands }) = answer else { panic!("it is refused") };
        assert_eq!((spec.pattern, stands.refused), (Some(Pattern::Pool), None));
        assert_eq!(stands.class.unwrap().name, "basic");
    }

    #[tokio::test]
    async fn a_class_carries_our_finalizer_before_anybody_stands_under_it() {
        let asked = get("/api/v1/namespaces/tenants").answered(labelled(json!({})));
        let expected = [asked, new_is_held()];
        let (answer, _server) = ruled(by_class("new"), accepted_under("cheap"), true, expected).await;
        assert!(answer.is_ok());
        let (answer, _server) = ruled(by_class("new"), json!({}), false, []).await;
        assert!(answer.is_ok(), "who is new holds nothing before all else is decided");
    }

    /// What would need another stack, or may not be, changes nothing of what stands.
    #[tokio::test]
    async fn who_was_accepted_goes_on_under_its_last_class_whatever_it_asks_for() {
        let asked = || get("/api/v1/namespaces/tenants").answered(labelled(json!({})));
        let silo = json!({"pattern": "Silo"});
        let other = json!({"pattern": "Pool", "stackRef": {"name": "other"}});
        let both = with(by_class("basic"), json!({"pattern": "Pool", "stackRef": {"name": "standard"}}));
        let own = with(by_class("basic"), json!({"answers": {"model": "large"}}));
        for (spec, reason, live) in [
            (by_class("missing"), Reason::ClassNotFound, vec![]),
            (by_class("old"), Reason::ClassNotFound, vec![]),
            (by_class("paid"), Reason::ClassNotAllowed, vec![asked()]),
            (by_class("premium"), Reason::Immutable, vec![]),
            (silo, Reason::Immutable, vec![]),
            (other, Reason::Immutable, vec![]),
            (both, Reason::ClassConflict, vec![]),
            (own, Reason::OverrideForbidden, vec![]),
        ] {
            let (answer, _server) = ruled(spec.clone(), accepted_under("cheap"), true, live).await;
            let Ok(Ruled { spec: long, stands }) = answer else { panic!("{spec}: it does not go on") };
            let refused = stands.refused.unwrap();
            assert_eq!(refused.reason, reason, "{spec}: {}", refused.message);
            assert_eq!(stands.class.unwrap().name, "cheap");
            assert_eq!((long.pattern, long.stack()), (Some(Pattern::Pool), Some("standard")), "{spec}");
        }
        let (answer, _server) = ruled(by_class("premium"), accepted_under("cheap"), true, []).await;
        let message = answer.ok().unwrap().stands.refused.unwrap().message;
        for part in [
            "Pool of SharedStack 'standard' (TenantClass 'cheap')",
            "Silo on S3Vectors (TenantClass 'premium')",
            "`pattern` from Pool to Silo",
        ] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[tokio::test]
    async fn what_moves_nobody_is_changed_at_once() {
        let asked = || get("/api/v1/namespaces/tenants").answered(labelled(json!({})));
        let pool = json!({"pattern": "Pool", "stackRef": {"name": "standard"}});
        for (spec, class, live) in [
            (by_class("basic"), Some("basic"), vec![asked()]),
            (by_class("cheap"), Some("cheap"), vec![]),
            (pool, None, vec![]),
        ] {
            let (answer, _server) = ruled(spec.clone(), accepted_under("cheap"), true, live).await;
            let Ok(Ruled { stands, .. }) = answer else { panic!("{spec}: it does not go on") };
            assert_eq!(stands.class.as_ref().map(|it| it.name.as_str()), class);
            assert!(stands.refused.is_none());
        }
        let (answer, _server) = ruled(by_class("old"), accepted_under("old"), true, []).await;
        assert!(answer.ok().unwrap().stands.refused.is_none(), "who is of a class that leaves stays");
    }

    /// A typo in a class stops nobody's repairs and nobody's documents.
    #[tokio::test]
    async fn times_of_a_class_that_cannot_be_read_leave_its_tenants_ready_and_without_a_schedule() {
        for (name, suspended) in [("late", None), ("nowhere", Some(true))] {
            let status = json!({"class": name, "prefix": "", "placement": silo()["placement"]});
            let (answer, _server) = ruled(by_class(name), status, true, []).await;
            let Ok(Ruled { spec, stands }) = answer else { panic!("{name}: it is left as it is") };
            let refused = stands.refused.unwrap();
            assert_eq!(refused.reason, Reason::ClassConflict, "{}", refused.message);
            assert!(refused.message.contains(name), "{}", refused.message);
            let ingestion = spec.ingestion.unwrap();
            assert_eq!((ingestion.schedule, ingestion.time_zone, ingestion.suspend), (None, None, suspended));
            assert_eq!(stands.class.unwrap().name, name);
        }
    }

    /// Whoever takes our finalizer off a class by force takes it from those too who stand under it with a refused wish.
    #[tokio::test]
    async fn who_stands_under_a_class_with_a_refused_wish_holds_it_too() {
        let expected = [new_is_held()];
        let (answer, _server) = ruled(by_class("premium"), accepted_under("new"), true, expected).await;
        assert_eq!(answer.ok().unwrap().stands.refused.unwrap().reason, Reason::Immutable);
    }

    /// Nobody knows any more what it had by its class.
    #[tokio::test]
    async fn who_has_lost_its_class_is_left_as_it_is() {
        let (answer, _server) = ruled(by_class("missing"), accepted_under("missing"), true, []).await;
        assert!(matches!(answer, Err(PassStop::Stands(why)) if why.reason == Reason::ClassNotFound));
    }

    /// Otherwise whoever may write Tenants leaves all limits of its class by removing its `classRef`.
    #[tokio::test]
    async fn where_a_class_is_required_nobody_comes_without_one_and_nobody_leaves_its_own_for_none() {
        let pool = || json!({"pattern": "Pool", "stackRef": {"name": "standard"}});
        let required = async |spec: Value, status: Value, has_id: bool| {
            ruled_by(|settings| settings.require_class = true, spec, status, has_id, []).await.0
        };
        for status in [json!({}), accepted_under("cheap")] {
            let Err(PassStop::Refused(new)) = required(pool(), status, false).await else {
                panic!("it came in")
            };
            assert_eq!(new.reason, Reason::ClassNotAllowed);
            assert!(
                new.message.contains("--require-class") && new.message.contains("`classRef`"),
                "{}",
                new.message
            );
        }
        let stands = required(pool(), accepted_under("cheap"), true).await.ok().unwrap().stands;
        let refused = stands.refused.unwrap();
        assert_eq!((refused.reason, stands.class.unwrap().name.as_str()), (Reason::ClassNotAllowed, "cheap"));
        assert!(refused.message.contains("leave TenantClass 'cheap' for none"), "{}", refused.message);
        for (spec, status, has_id) in [
            (by_class("basic"), json!({}), false),
            (by_class("cheap"), accepted_under("cheap"), true),
            (pool(), json!({"prefix": "pool/acme/", "placement": in_pool()["placement"]}), true),
            (pool(), json!({"prefix": "pool/acme/"}), true),
        ] {
            let stands = required(spec.clone(), status, has_id).await.ok().unwrap().stands;
            assert_eq!(stands.refused, None, "{spec}");
        }
    }

    /// The release before wrote down no placement.
    #[tokio::test]
    async fn who_was_accepted_by_an_earlier_release_is_placed_by_its_spec_or_its_documents() {
        let asked = || get("/api/v1/namespaces/tenants").answered(labelled(json!({})));
        let before = json!({"prefix": "pool/acme/"});
        let pool = json!({"pattern": "Pool", "stackRef": {"name": "standard"}});
        let (answer, _server) = ruled(pool.clone(), before.clone(), true, []).await;
        assert_eq!(answer.ok().unwrap().stands.placement.stack(), Some("standard"));
        let (answer, _server) = ruled(by_class("basic"), before.clone(), true, [asked()]).await;
        assert!(answer.ok().unwrap().stands.refused.is_none());
        let (answer, _server) = ruled(by_class("premium"), before.clone(), true, []).await;
        assert!(matches!(answer, Err(PassStop::Refused(why)) if why.reason == Reason::Immutable));
        let (answer, _server) = ruled(with(pool, by_class("missing")), before, true, []).await;
        let stands = answer.ok().unwrap().stands;
        assert_eq!((stands.placement.stack(), stands.class.is_none()), (Some("standard"), true));
    }
}
