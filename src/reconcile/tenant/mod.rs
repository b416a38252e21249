//! A pass over a Tenant: its tenantId, its place, what it borrows, and its item in the registry.

mod apply;
mod class;
mod pool;
mod resolve;
mod room;
mod teardown;

pub use apply::request;

use std::borrow::Cow;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client, ResourceExt};

use self::teardown::DeletedTenant;
use super::context::Context;
use super::ids::Ids;
use super::ingestion::LastStep;
use super::managed::{Managed, Pass};
use super::memory::Memory;
use super::resolved::Resolved;
use super::stop::PassStop;
use super::{Action, Error, Guarded, pass, registry, untouched};
use crate::api::{Pattern, PerLayer, Reason, Status, Tenant};
use crate::stack::identity::Identity;
use crate::stack::model::outcome::LayerStatus;

/// What metrics call this controller.
pub const NAME: &str = "tenant";

/// One pass.
pub async fn reconcile(tenant: Arc<Guarded<Tenant>>, cx: Arc<Context>) -> Result<Action, Error> {
    pass::reconcile(tenant, cx).await
}

impl Managed for Tenant {
    fn api(client: Client, namespace: &str) -> Api<Self> {
        Api::namespaced(client, namespace)
    }

    fn status(&self) -> Option<&Status> {
        self.status.as_ref()
    }

    fn untouched(&self) -> PerLayer<Option<LayerStatus>> {
        untouched::of_tenant(self)
    }

    fn borrows(&self) -> bool {
        self.stack().is_some()
    }

    /// All tenants of a pool follow it at once.
    fn is_quiet(&self) -> bool {
        self.pattern() == Some(Pattern::Pool)
    }

    async fn resolve(object: &mut Cow<'_, Self>, cx: &Context) -> Result<Resolved, PassStop> {
        resolve::resolve(cx, object).await
    }

    fn step_back(&self, cx: &Context, why: Option<Reason>) {
        give_places_back(cx, self);
        if !has_id(&cx.ids, self) {
            cx.comes_to_no_class(&self.uid().unwrap_or_default());
        }
        // Who waits for its id, and for nothing else, goes on asking for it.
        if why != Some(Reason::TenantIdTaken) && !has_id(&cx.ids, self) {
            cx.release_claim(&self.spec.tenant_id, &self.uid().unwrap_or_default());
        }
    }

    async fn begin(
        &self,
        cx: &Context,
        resolved: &Resolved,
        pass: &mut Pass<'_>,
        memory: &mut Memory,
    ) -> Result<(), PassStop> {
        apply::begin(cx, self, resolved, pass, memory).await
    }

    async fn documents(
        &self,
        cx: &Context,
        resolved: &Resolved,
        pass: &Pass<'_>,
        memory: &mut Memory,
    ) -> Option<LastStep> {
        Some(apply::documents(cx, self, resolved, pass, memory).await)
    }

    async fn register(&self, cx: &Context, id: Option<&Identity>, pass: &mut Pass<'_>, memory: &mut Memory) {
        let ready = pass.report.ready(&pass.before.conditions);
        let mirrored = registry::mirror(cx, self, id.filter(|_| ready), &pass.status, memory).await;
        pass.report.registered = mirrored.status;
        pass.look_again(mirrored.look_again);
        pass.fails(mirrored.fault);
    }

    fn settle(&self, cx: &Context) {
        if !has_id(&cx.ids, self) {
            cx.leave(&self.uid().unwrap_or_default());
        }
    }

    async fn teardown(cx: &Context, seen: &ObjectMeta) -> Result<Action, Error> {
        super::teardown::teardown::<DeletedTenant>(cx, seen).await
    }
}

fn has_id(ids: &Ids, tenant: &Tenant) -> bool {
    ids.is_holder(&tenant.spec.tenant_id, &tenant.uid().unwrap_or_default())
}

/// Who has not its id keeps no place from others.
fn give_places_back(cx: &Context, tenant: &Tenant) {
    if !has_id(&cx.ids, tenant) {
        let uid = tenant.uid().unwrap_or_default();
        cx.lapse(&uid);
        cx.leave(&uid);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::ConditionType;
    use crate::api::PAUSED;
    use crate::clock;
    use crate::reconcile::conditions_writer;
    use crate::reconcile::mocked::{
        FINALIZER, TENANT, api_server, context, event, get_object, merge_patch, read, tenant, with,
    };
    use crate::stack::accept;
    use crate::stack::model::blocked::Blocked;
    use crate::stack::model::outcome::{Outcome, Report};

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
        cx.reservations.promise(&cx.applicant(&tenant).unwrap().id);
        pass::pass(&cx, &tenant).await.unwrap();
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
        cx.reservations.promise(&cx.applicant(&tenant).unwrap().id);
        let error = pass::pass(&cx, &tenant).await.unwrap_err();
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
            for filled in [&cx.filled.tenants, &cx.filled.stacks, &cx.filled.namespaces, &cx.filled.classes] {
                filled.set(()).unwrap();
            }
            cx.reservations.waited(&cx.applicant(&read(tenant(json!({})))).unwrap());
            let young = tenant(json!({"name": "young", "uid": "young",
                "creationTimestamp": "2026-01-01T00:00:00Z"}));
            let young = cx.applicant(&read(young)).unwrap();
            cx.reservations.enter(&young, 1, false).unwrap_err();
            let cx = Arc::new(cx);
            reconcile(Arc::new(read(object)), cx.clone()).await.unwrap();
            assert!(cx.reservations.enter(&young, 1, true).is_ok());
        }
    }

    #[tokio::test]
    async fn who_is_refused_after_it_was_let_in_keeps_no_knowledge_base_from_others() {
        let refused = |tenant: &Tenant, status: &mut Status| {
            let outcome = Outcome::Refused(accept::tenant(tenant).unwrap_err());
            let layers = untouched::of_tenant(tenant);
            let report = Report { outcome, layers, ..Report::default() };
            conditions_writer::set_conditions(status, &report, 3);
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
            let blocked = Blocked { reason: Reason::SiloNotAllowed, message: "no".into() };
            let report = Report {
                outcome: Outcome::Refused(blocked),
                layers: untouched::of_tenant(&refused),
                ..Report::default()
            };
            conditions_writer::set_conditions(&mut status, &report, 3);
            status.condition(ConditionType::KeyReady).map(|it| it.status.clone())
        };
        assert_eq!(says(json!({})), None);
        assert_eq!(says(json!({"encryption": {"key": "AWSOwned"}})), None);
        assert_eq!(says(json!({"encryption": {"key": "Create"}})), Some("Unknown".into()));
        let bridge = json!({"pattern": "Bridge", "stackRef": {"name": "standard"}});
        assert_eq!(says(bridge), None);
    }
}
