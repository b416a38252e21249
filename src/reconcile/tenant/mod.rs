//! A pass over a Tenant: resolve → observe → plan → act → report.

mod apply;
mod pool;
mod resolve;
mod room;
mod teardown;

pub use apply::request;

use std::sync::Arc;

use futures::FutureExt;
use kube::api::DynamicObject;
use kube::core::ApiResource;
use kube::{Api, Resource, ResourceExt};

use self::apply::{Pass, go, withhold};
use self::resolve::{Resolved, resolve};
use self::teardown::DeletedTenant;
use super::context::Context;
use super::{
    Action, Error, Guarded, conditions_writer, failed, finalizer, in_time, registry, unreadable, untouched,
};
use crate::api::{ConditionType, Pattern, Reason, Tenant, annotations};
use crate::clock;
use crate::stack::model::blocked::Blocked;
use crate::stack::model::outcome::{Documents, Outcome};
use crate::stack::model::progress::STALLED;

/// What metrics call this controller.
pub const NAME: &str = "tenant";

/// One pass.
pub async fn reconcile(tenant: Arc<Guarded<Tenant>>, cx: Arc<Context>) -> Result<Action, Error> {
    cx.caches().await;
    let meta = tenant.meta();
    let namespace = meta.namespace.clone().unwrap_or_default();
    let dynamic = || {
        let kind = ApiResource::erase::<Tenant>(&());
        Api::<DynamicObject>::namespaced_with(cx.client.clone(), &namespace, &kind)
    };
    cx.heed(meta);
    match &tenant.0 {
        _ if meta.deletion_timestamp.is_some() => {
            match in_time(super::teardown::teardown::<DeletedTenant>(&cx, meta).boxed()).await {
                Err(error) => Err(failed::tell_leaver(&cx, &dynamic(), meta, error).await),
                done => done,
            }
        }
        Ok(tenant) => match in_time(live(&cx, tenant).boxed()).await {
            Err(error) => {
                let api: Api<Tenant> = Api::namespaced(cx.client.clone(), &namespace);
                let status = tenant.status.clone().unwrap_or_default();
                let borrows = tenant.spec.stack_ref.is_some();
                let unknown = failed::Unknown { layers: untouched::of_tenant(tenant), borrows };
                Err(failed::tell(&cx, &api, tenant, &status, unknown, error).await)
            }
            done => done,
        },
        Err(invalid) => {
            cx.stops_waiting(&meta.uid.clone().unwrap_or_default());
            unreadable::tell(&cx, &dynamic(), meta, &invalid.error).await
        }
    }
}

async fn live(cx: &Context, seen: &Tenant) -> Result<Action, Error> {
    let api: Api<Tenant> = Api::namespaced(cx.client.clone(), &seen.namespace().unwrap_or_default());
    let mut tenant = seen.clone();
    let before = tenant.status.clone().unwrap_or_default();
    let generation = tenant.metadata.generation.unwrap_or(0);
    if let Some(holder) = finalizer::held_by_another(&tenant, &cx.finalizer()) {
        cx.stops_waiting(&tenant.uid().unwrap_or_default());
        conditions_writer::held_by_another(cx, &conditions_writer::subject(&tenant), &holder).await;
        return Ok(Action::await_change());
    }
    if annotations::pause(tenant.meta()).is_some() {
        step_back(cx, &tenant);
        cx.no_further(&tenant.uid().unwrap_or_default(), &before);
        return super::teardown::paused(
            cx,
            &api,
            &conditions_writer::subject(&tenant),
            tenant.meta(),
            &before,
        )
        .await;
    }
    if let Some(wait) = cx.too_early(tenant.meta()) {
        return Ok(Action::requeue(cx.clock.outside(wait)));
    }
    let resolved = resolve(cx, &api, &mut tenant).await?;
    let refused_for = match &resolved {
        Resolved::Refused(Blocked { reason, .. }) => Some(*reason),
        _ => None,
    };
    let uid = tenant.uid().unwrap_or_default();
    let goes = matches!(resolved, Resolved::Go(_));
    match refused_for {
        // It waits for its id, and for nothing else.
        Some(Reason::TenantIdTaken) => give_places_back(cx, &tenant),
        _ if !goes => step_back(cx, &tenant),
        _ => {}
    }
    if !goes && !matches!(refused_for, Some(Reason::QuotaReserved | Reason::TooManyTenants)) {
        cx.stops_waiting(&uid);
    }
    let mut memory = cx.memories.lend(&uid);
    let pass = match resolved {
        Resolved::Refused(refused) => {
            let layers = untouched::of_tenant(&tenant);
            let documents = Documents::last(&before.conditions);
            let verdict = Outcome { refused: Some(refused), layers, documents, ..Outcome::default() };
            Pass { verdict, status: before.clone(), look_again: Some(STALLED), error: None }
        }
        Resolved::Withheld(withheld) => withhold(&tenant, &before, withheld),
        Resolved::Waits(standing) => {
            let layers = untouched::of_tenant(&tenant);
            let verdict = Outcome {
                borrowed: Some(standing),
                layers,
                undecided: !before.is_true(ConditionType::Accepted),
                documents: Documents::last(&before.conditions),
                ..Outcome::default()
            };
            Pass { verdict, status: before.clone(), look_again: None, error: None }
        }
        Resolved::Go(ready) => go(cx, &tenant, &before, &ready, &mut memory).await?,
    };
    let Pass { mut verdict, mut status, look_again, error } = pass;
    if error.is_none() {
        memory.failing_since = None;
    }
    let mirrored = {
        let (spec, ready) = (&tenant.spec, verdict.ready(&before.conditions));
        let stack = spec.stack_ref.as_ref().map(|stack| stack.name.as_str());
        let id = cx.tenant_identity(&tenant, &spec.tenant_id, spec.pattern, stack);
        registry::mirror(cx, &tenant, &id, &status, ready, &mut memory).await
    };
    verdict.registered = mirrored.standing;
    let look_again = clock::earliest(look_again, mirrored.look_again);
    let error = error.or(mirrored.fault.map(Error::from));
    conditions_writer::set_conditions(&mut status, &verdict, generation);
    cx.settle(&uid, &status, memory.observed.knowledge_base.ours().is_some());
    if !cx.ids.is_holder(&tenant.spec.tenant_id, &uid) {
        cx.leave(&uid);
    }
    let quiet = tenant.spec.pattern == Pattern::Pool;
    conditions_writer::write(cx, &api, &conditions_writer::subject(&tenant), &before, &status, quiet).await?;
    if let Some(error) = error {
        return Err(Error::Told(Box::new(error)));
    }
    memory.failures = 0;
    let again = look_again.map_or(cx.resync(&uid), |again| again.min(cx.resync(&uid)));
    Ok(Action::requeue(cx.clock.outside(again)))
}

/// Who cannot go on and has not its id gives back what it asked for, and whoever waits for the tenantId goes on.
fn step_back(cx: &Context, tenant: &Tenant) {
    let uid = tenant.uid().unwrap_or_default();
    if !cx.ids.is_holder(&tenant.spec.tenant_id, &uid) {
        give_places_back(cx, tenant);
        cx.release_claim(&tenant.spec.tenant_id, &uid);
    }
}

/// Who has not its id keeps no place from others.
fn give_places_back(cx: &Context, tenant: &Tenant) {
    let uid = tenant.uid().unwrap_or_default();
    if !cx.ids.is_holder(&tenant.spec.tenant_id, &uid) {
        cx.lapse(&uid);
        cx.leave(&uid);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::{PAUSED, Status};
    use crate::reconcile::mocked::{
        FINALIZER, TENANT, api_server, context, event, get_object, merge_patch, read, tenant, with,
    };
    use crate::stack::accept;

    /// A Silo that has its id and the promise of its knowledge base, and of which `says` has been told.
    async fn passes(spec: Value, paused: &str, says: impl FnOnce(&Tenant, &mut Status)) -> Vec<String> {
        let server = api_server([]);
        let cx = context(server.client());
        let metadata = json!({"finalizers": [FINALIZER], "annotations": {PAUSED: paused}});
        let object = tenant(metadata);
        let spec = with(object["spec"].clone(), spec);
        let mut tenant = read::<Tenant>(with(object, json!({"spec": spec})));
        cx.ids.trusted("acme", "uid-acme");
        let mut status = Status::default();
        says(&tenant, &mut status);
        tenant.status = Some(status);
        cx.reservations.promise(&cx.applicant(&tenant).id);
        live(&cx, &tenant).await.unwrap();
        cx.reservations.promised()
    }

    /// The next pass would make a call again that was refused a moment ago, and all deadlines would begin anew.
    #[tokio::test]
    async fn what_a_pass_has_learned_is_not_forgotten_with_a_status_that_cannot_be_written() {
        let refused = merge_patch(format!("{TENANT}/status"), json!("*")).refused(409);
        let server = api_server([refused]);
        let cx = context(server.client());
        let mut tenant = read::<Tenant>(tenant(json!({"finalizers": [FINALIZER]})));
        let mut built = Status { knowledge_base_id: Some("KB1".into()), ..Status::default() };
        built.set(ConditionType::Accepted, "True", Reason::Accepted, "", Some(3), clock::now());
        tenant.status = Some(built);
        cx.ids.trusted("acme", "uid-acme");
        cx.reservations.promise(&cx.applicant(&tenant).id);
        let error = live(&cx, &tenant).await.unwrap_err();
        assert!(error.is_stale(), "{error}");
        let memory = cx.memories.get("uid-acme");
        assert!(memory.failing_since.is_some() && memory.began_to_look.is_some(), "{memory:?}");
    }

    #[tokio::test]
    async fn who_is_paused_before_it_is_built_keeps_no_knowledge_base_from_others() {
        let pause = |tenant: &Tenant, status: &mut Status| conditions_writer::pause(status, &tenant.metadata);
        assert_eq!(passes(json!({}), "true", pause).await, [] as [&str; 0]);
        let built = |tenant: &Tenant, status: &mut Status| {
            status.knowledge_base_id = Some("KB1".into());
            pause(tenant, status);
        };
        assert_eq!(passes(json!({}), "true", built).await, ["uid-acme"]);
    }

    /// It never asks, and whoever is younger would wait for it for ever.
    #[tokio::test]
    async fn who_is_not_ours_or_cannot_be_read_is_in_line_before_nobody() {
        let held = "It is held by the installation 'test' and left alone by 'prod'. Two --selectors that overlap, or a \
                    label that was moved, make it visible to both";
        let anothers = tenant(json!({"finalizers": ["tenantry.dev/test"]}));
        let unreadable = with(tenant(json!({})), json!({"spec": {"tenantId": 5}}));
        for (object, events) in [
            (anothers, vec![event("Warning", "HeldByAnother", "Reconcile", held)]),
            (unreadable, vec![get_object(TENANT).refused(404)]),
        ] {
            let server = api_server(events);
            let mut cx = context(server.client());
            cx.settings.max_tenants_per_namespace = 1;
            for filled in [&cx.filled.tenants, &cx.filled.stacks, &cx.filled.namespaces] {
                filled.set(()).unwrap();
            }
            cx.reservations.waited(&cx.applicant(&read(tenant(json!({})))));
            let young = tenant(json!({"name": "young", "uid": "young",
                "creationTimestamp": "2026-01-01T00:00:00Z"}));
            let young = cx.applicant(&read(young));
            cx.reservations.enter(&young, 1, false).unwrap_err();
            let cx = Arc::new(cx);
            reconcile(Arc::new(read(object)), cx.clone()).await.unwrap();
            assert!(cx.reservations.enter(&young, 1, true).is_ok());
        }
    }

    #[tokio::test]
    async fn who_is_refused_after_it_was_let_in_keeps_no_knowledge_base_from_others() {
        let refused = |tenant: &Tenant, status: &mut Status| {
            let refused = accept::tenant(tenant).err();
            let layers = untouched::of_tenant(tenant);
            let verdict = Outcome { refused, layers, ..Outcome::default() };
            conditions_writer::set_conditions(status, &verdict, 3);
        };
        let unreadable = json!({"ingestion": {"schedule": "often"}});
        assert_eq!(passes(unreadable.clone(), "false", refused).await, [] as [&str; 0]);
        let built = |tenant: &Tenant, status: &mut Status| {
            status.knowledge_base_id = Some("KB1".into());
            refused(tenant, status);
        };
        assert_eq!(passes(unreadable, "false", built).await, ["uid-acme"]);
    }

    /// A layer that it does not have is nothing to wait for.
    #[tokio::test]
    async fn nobody_hears_of_a_key_that_is_not_to_be_created() {
        let says = |spec: Value| {
            let object = tenant(json!({}));
            let refused =
                read::<Tenant>(with(object.clone(), json!({"spec": with(object["spec"].clone(), spec)})));
            let mut status = Status::default();
            let blocked = Some(Blocked { reason: Reason::SiloNotAllowed, message: "no".into() });
            let verdict =
                Outcome { refused: blocked, layers: untouched::of_tenant(&refused), ..Outcome::default() };
            conditions_writer::set_conditions(&mut status, &verdict, 3);
            status.condition(ConditionType::KeyReady).map(|it| it.status.clone())
        };
        assert_eq!(says(json!({})), None);
        assert_eq!(says(json!({"encryption": {"key": "AWSOwned"}})), None);
        assert_eq!(says(json!({"encryption": {"key": "Create"}})), Some("Unknown".into()));
        let bridge = json!({"pattern": "Bridge", "stackRef": {"name": "standard"}});
        assert_eq!(says(bridge), None);
    }
}
