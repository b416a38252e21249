//! What every pass needs: clients, stores, and the few things that a process remembers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMeta;
use kube::runtime::events::{Event, EventType};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, Resource, ResourceExt};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{OnceCell, SetOnce, mpsc};

use super::Guarded;
use super::claims::{Age, Claimant, TenantIdClaims};
use super::engine::World;
use super::events::Events;
use super::finalizer;
use super::ids::Ids;
use super::memory::Memories;
use super::models::Models;
use super::places::{Applicant, Limits};
use super::quota::{self, Next, Reservations, Unpromised};
use super::stop::Stop;
use crate::api::{
    ConditionType, IngestionSettings, Pattern, RETRY_REQUESTED_AT, Reason, SharedStack, Status, Tenant,
    finalizer_name,
};
use crate::aws::Aws;
use crate::clock::Clock;
use crate::documents::failures::ByTenant;
use crate::documents::job_slots::JobSlots;
use crate::documents::reviews::Reviews;
use crate::settings::Settings;
use crate::stack::cron::Schedule;
use crate::stack::identity::{Identity, Owner, Scope};
use crate::stack::model::blocked::Blocked;

/// How many bytes of a note are told. The API server takes 1,024.
const NOTE: usize = 1000;

/// Shared by all passes of a process.
pub struct Context {
    /// Kubernetes.
    pub client: Client,
    /// AWS.
    pub aws: Aws,
    /// Which installation, account and region.
    pub scope: Arc<Scope>,
    /// What the operator was told at its start.
    pub settings: Settings,
    /// The scale of all waits.
    pub clock: Clock,
    /// Since when this process acts.
    pub acts_since: Timestamp,
    /// All Tenants we see.
    pub tenants: Store<Guarded<Tenant>>,
    /// All SharedStacks we see.
    pub stacks: Store<Guarded<SharedStack>>,
    /// All namespaces, for their labels.
    pub namespaces: Store<PartialObjectMeta<Namespace>>,
    /// Which of these stores have been filled.
    pub filled: Filled,
    /// Who has which tenantId, as the records say.
    pub ids: Ids,
    /// Who asks for which tenantId.
    pub claims: TenantIdClaims,
    /// What passes remember.
    pub memories: Memories,
    /// Wakes a Tenant.
    pub wake_tenant: mpsc::UnboundedSender<ObjectRef<Guarded<Tenant>>>,
    /// Wakes a SharedStack.
    pub wake_stack: mpsc::UnboundedSender<ObjectRef<Guarded<SharedStack>>>,
    /// By SharedStack: what of its pool's documents could not be indexed, by tenantId. Absent until that is known.
    pub failures: PerStack<Arc<ByTenant>>,
    /// By uid: the version of each object that our last word in its status made.
    pub written: PerStack<String>,
    /// Whose turn it is to start an ingestion job.
    pub job_slots: JobSlots,
    /// Counts reviews of documents.
    pub reviews: Reviews,
    /// How long embedding models are on offer.
    pub models: Models,
    /// Who has a place where there are only so many, and who waits for one.
    pub reservations: Reservations,
    /// Writes events.
    pub events: Events,
    /// Set once all stores are filled and it is known who has which tenantId.
    pub ready: OnceCell<()>,
}

/// Says when each store has been filled for the first time. A store's own `wait_until_ready` wakes only the last of
/// several tasks that wait for it.
#[derive(Default)]
pub struct Filled {
    /// All Tenants are in.
    pub tenants: SetOnce<()>,
    /// All SharedStacks are in.
    pub stacks: SetOnce<()>,
    /// All namespaces are in.
    pub namespaces: SetOnce<()>,
}

impl Filled {
    /// Whether passes may run.
    pub fn all(&self) -> bool {
        [&self.tenants, &self.stacks, &self.namespaces].iter().all(|store| store.initialized())
    }
}

/// Values by a SharedStack's name.
pub struct PerStack<T>(Mutex<HashMap<String, T>>);

impl<T> Default for PerStack<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> PerStack<T> {
    /// All of them, locked.
    pub fn lock(&self) -> MutexGuard<'_, HashMap<String, T>> {
        self.0.lock()
    }

    /// One of them.
    pub fn get(&self, stack: &str) -> Option<T> {
        self.lock().get(stack).cloned()
    }
}

impl Context {
    /// Forgets an object that is gone.
    pub fn forget(&self, uid: &str) {
        self.memories.forget(uid);
        self.wake(self.reservations.forget(uid));
        self.job_slots.forget(uid);
        self.written.lock().remove(uid);
    }

    /// Our finalizer.
    pub fn finalizer(&self) -> String {
        finalizer_name(&self.settings.installation)
    }

    /// Waits until the caches can be trusted: all stores filled. Caches still decide only what is
    /// reversible.
    pub async fn caches(&self) {
        self.ready
            .get_or_init(|| async {
                self.filled.tenants.wait().await;
                self.filled.stacks.wait().await;
                self.filled.namespaces.wait().await;
                self.take_up_claims();
                self.take_up_places();
                self.take_up_promises();
                self.take_up_jobs();
            })
            .await;
    }

    /// Whoever has an id by the records asks for it first.
    fn take_up_claims(&self) {
        for (tenant_id, uid) in self.ids.holders() {
            self.claims.found(&tenant_id, &uid);
        }
    }

    /// Whoever has an id has its place in its namespace, and whoever waited for one is still in line: where there may be more
    /// Tenants than before, they are before those that happen to ask first.
    fn take_up_places(&self) {
        let is_limited = self.settings.max_tenants_per_namespace > 0;
        for tenant in self.tenants.state() {
            let Ok(tenant) = &tenant.0 else { continue };
            let accepted =
                tenant.status.as_ref().and_then(|status| status.condition(ConditionType::Accepted));
            let waited = accepted.is_some_and(|said| said.reason == Reason::TooManyTenants.as_str());
            if self.ids.is_holder(&tenant.spec.tenant_id, &tenant.uid().unwrap_or_default()) {
                self.reservations.is_in(&self.applicant(tenant).id);
            } else if is_limited && waited && tenant.metadata.deletion_timestamp.is_none() {
                self.reservations.waited(&self.applicant(tenant));
            }
        }
    }

    /// Promises their knowledge bases anew to all that were accepted and get on: one that is still being built is in no list.
    fn take_up_promises(&self) {
        let kept = |meta: &ObjectMeta, status: &Option<Status>| {
            status.as_ref().is_some_and(|status| {
                let leaves = meta.deletion_timestamp.is_some() && status.knowledge_base_id.is_none();
                status.is_true(ConditionType::Accepted) && !leaves && quota::keeps_promise(status)
            })
        };
        for tenant in self.tenants.state() {
            if let Ok(tenant) = &tenant.0
                && kept(&tenant.metadata, &tenant.status)
                && tenant.spec.pattern != Pattern::Pool
            {
                self.reservations.promise(&self.applicant(tenant).id);
            }
        }
        for stack in self.stacks.state() {
            if let Ok(stack) = &stack.0
                && kept(&stack.metadata, &stack.status)
                && stack.spec.pool.is_some()
            {
                let uid = stack.uid().unwrap_or_default();
                self.reservations.promise(&Identity::of_stack(self.scope.clone(), &stack.name_any(), &uid));
            }
        }
    }

    /// Any knowledge base that is there already may have a job: no other is started before all have been asked.
    fn take_up_jobs(&self) {
        let expect = |meta: &ObjectMeta, status: &Option<Status>| {
            let base = status.as_ref().and_then(|status| status.knowledge_base_id.as_deref());
            if let (Some(base), Some(uid)) = (base, &meta.uid) {
                self.job_slots.expect(base, uid);
            }
        };
        for tenant in self.tenants.state() {
            if let Ok(tenant) = &tenant.0
                && tenant.spec.pattern != Pattern::Pool
            {
                expect(&tenant.metadata, &tenant.status);
            }
        }
        for stack in self.stacks.state() {
            if let Ok(stack) = &stack.0 {
                expect(&stack.metadata, &stack.status);
            }
        }
    }

    /// When an object's documents are looked for, unless that rests.
    pub fn schedule(&self, said: &IngestionSettings, uid: &str) -> Option<Schedule> {
        Schedule::of(said, self.settings.look_for_documents, uid)
    }

    /// How long all is left alone when nothing happens: the resync period ± 10 %, spread by uid so that a restart's
    /// herd disperses.
    pub fn resync(&self, uid: &str) -> Duration {
        let spread =
            uid.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % 201;
        self.settings.resync * (900 + spread) / 1000
    }

    /// When a look at all layers is due again, at the earliest.
    pub fn resync_after(&self) -> Duration {
        self.settings.resync * 9 / 10
    }

    /// A Tenant as one that asks for a place.
    pub fn applicant(&self, tenant: &Tenant) -> Applicant {
        let spec = &tenant.spec;
        let stack = spec.stack_ref.as_ref().map(|stack| stack.name.as_str());
        let id = self.tenant_identity(tenant, &spec.tenant_id, spec.pattern, stack);
        self.applying(id, &tenant.metadata, tenant.status.as_ref())
    }

    /// An object as one that asks for a place. Whoever makes an object can write our finalizer into it, and nobody but we
    /// that it is accepted.
    pub fn applying(&self, id: Identity, meta: &ObjectMeta, status: Option<&Status>) -> Applicant {
        let finalizer = self.finalizer();
        let has_finalizer = meta.finalizers.iter().flatten().any(|it| *it == finalizer);
        let begun = has_finalizer && status.is_some_and(|status| status.is_true(ConditionType::Accepted));
        Applicant { id, born: meta.creation_timestamp.as_ref().map(|at| at.0), begun }
    }

    /// Asks for a Tenant's place in its namespace. `takes`, or only wants to know.
    pub fn enter(&self, applicant: &Applicant, takes: bool) -> Result<(), Blocked> {
        if self.settings.max_tenants_per_namespace == 0 {
            return Ok(());
        }
        self.forget_the_unseen();
        let limit = self.settings.max_tenants_per_namespace;
        self.passing_on(self.reservations.enter(applicant, limit, takes).map(|next| self.wake(next)))
    }

    /// Whether it is known, without asking AWS, that there is no room for one more knowledge base. `namespace` is how many its
    /// own may have.
    pub fn is_full(&self, applicant: &Applicant, namespace: Option<usize>) -> Option<Blocked> {
        self.passing_on(self.reservations.is_full(self.clock, applicant, self.limits(namespace)))
    }

    /// Asks for room for one more knowledge base. `namespace` is how many its own may have.
    pub async fn reserve(&self, applicant: &Applicant, namespace: Option<usize>) -> Result<(), Stop> {
        self.forget_the_unseen();
        let ask = || self.aws.knowledge_bases.names();
        let answer = self.reservations.reserve(self.clock, applicant, self.limits(namespace), ask).await;
        match self.passing_on(answer) {
            Ok(next) => {
                self.wake(next);
                Ok(())
            }
            Err(Unpromised::Full(refused)) => Err(refused.into()),
            Err(Unpromised::Unknown(fault)) => Err(Blocked::try_from(fault)?.into()),
        }
    }

    /// Who was refused for something else than what it waited for wakes the next of those who wait for that.
    fn passing_on<T>(&self, answer: T) -> T {
        self.wake(self.reservations.passed_on());
        answer
    }

    fn limits(&self, namespace: Option<usize>) -> Limits {
        Limits { account: self.settings.max_knowledge_bases, namespace }
    }

    /// An object gives the promise of its knowledge base back.
    pub fn lapse(&self, uid: &str) {
        self.wake(self.reservations.lapse(uid));
    }

    /// What a pass came to: an object that does not get on keeps the promise of its knowledge base only if that is there.
    pub fn settle(&self, uid: &str, status: &Status, has_knowledge_base: bool) {
        if !has_knowledge_base && !quota::keeps_promise(status) {
            self.lapse(uid);
        }
    }

    /// Nothing is made for an object that is paused, or leaves: it waits for no place, and keeps the promise of its knowledge
    /// base only if that is there.
    pub fn no_further(&self, uid: &str, status: &Status) {
        let has_one = || self.memories.get(uid).observed.knowledge_base.ours().is_some();
        self.stops_waiting(uid);
        if status.knowledge_base_id.is_none() && !has_one() {
            self.lapse(uid);
        }
    }

    /// A Tenant without its tenantId has no place in its namespace.
    pub fn leave(&self, uid: &str) {
        self.wake(self.reservations.leave(uid));
    }

    /// An object waits for no place any more.
    pub fn stops_waiting(&self, uid: &str) {
        self.wake(self.reservations.stops_waiting(uid));
    }

    /// Objects that went while the watch was broken off have no place.
    fn forget_the_unseen(&self) {
        self.reservations.keep(self.clock, |owner, uid| {
            let found = match owner {
                Owner::Tenant { namespace, name, .. } => {
                    let tenant = self.tenants.get(&ObjectRef::new(name).within(namespace));
                    tenant.and_then(|tenant| tenant.meta().uid.clone())
                }
                Owner::Stack { name } => self.stack(name).and_then(|stack| stack.meta().uid.clone()),
            };
            found.as_deref() == Some(uid)
        });
    }

    /// Wakes those for whom there may be a place now.
    fn wake(&self, next: Next) {
        for owner in next {
            match owner {
                Owner::Tenant { namespace, name, .. } => {
                    let _ = self.wake_tenant.send(ObjectRef::new(&name).within(&namespace));
                }
                Owner::Stack { name } => self.wake_stack(&name),
            }
        }
    }

    /// How long the pass of an object that lives has to be put off.
    pub fn too_early(&self, meta: &ObjectMeta) -> Option<Duration> {
        let memory = self.memories.get(meta.uid.as_deref()?);
        memory.too_early(self.clock, self.resync_after(), meta.generation.unwrap_or(0))
    }

    /// Tries at once what somebody asks for who has mended a cause, although it was refused a moment ago.
    pub fn heed(&self, meta: &ObjectMeta) {
        let asked = meta.annotations.as_ref().and_then(|all| all.get(RETRY_REQUESTED_AT)).map(String::as_str);
        let uid = meta.uid.as_deref().unwrap_or_default();
        if self.memories.get(uid).retried.as_deref() != asked {
            self.memories.note(uid, |memory| memory.retry(asked));
            // What was in the way may have been deleted by somebody else.
            self.reservations.ask_anew();
            self.models.ask_anew();
        }
    }

    /// What the engine needs of all this.
    pub fn world(&self) -> World<'_> {
        World {
            layers: &self.aws,
            clock: self.clock,
            resync_after: self.resync_after(),
            read_only: self.settings.read_only,
        }
    }

    /// A SharedStack by name, from the cache.
    pub fn stack(&self, name: &str) -> Option<Arc<Guarded<SharedStack>>> {
        self.stacks.get(&ObjectRef::new(name))
    }

    /// A namespace, from the cache.
    pub fn namespace(&self, name: &str) -> Option<Arc<PartialObjectMeta<Namespace>>> {
        self.namespaces.get(&ObjectRef::new(name))
    }

    /// Whether a Tenant has its tenantId, or is about to get it in this process: then it borrows what it names.
    pub fn has_id(&self, tenant_id: &str, uid: &str) -> bool {
        self.ids.is_holder(tenant_id, uid) || self.claims.is_holder(tenant_id, uid)
    }

    /// Wakes all Tenants that name a SharedStack.
    pub fn wake_borrowers(&self, stack: &str) {
        self.wake_tenants(|tenant| tenant.spec.borrows_from(stack));
    }

    /// Wakes the Tenants of a namespace that have no hold, or wait for a knowledge base: its labels and annotations may now
    /// allow what they did not.
    pub fn wake_namespace(&self, namespace: &str) {
        self.wake_tenants(|tenant| {
            let waits = || {
                let uid = tenant.uid().unwrap_or_default();
                !finalizer::has_finalizer(tenant, &self.finalizer())
                    || self.reservations.waits_for_knowledge_base(&uid)
            };
            tenant.namespace().as_deref() == Some(namespace) && waits()
        });
    }

    /// Wakes Tenants by what the cache says of them.
    pub fn wake_tenants(&self, which: impl Fn(&Tenant) -> bool) {
        let tenants = self.tenants.state();
        for tenant in tenants.iter().filter_map(|tenant| tenant.0.as_ref().ok()).filter(|it| which(it)) {
            // The receiver lives as long as the controller.
            let _ = self.wake_tenant.send(reference(tenant));
        }
    }

    /// Wakes a SharedStack.
    pub fn wake_stack(&self, name: &str) {
        let _ = self.wake_stack.send(ObjectRef::new(name));
    }

    /// Gives a tenantId back, and wakes who waits for it.
    pub fn release_claim(&self, tenant_id: &str, uid: &str) {
        if let Some(next) = self.claims.release(tenant_id, uid) {
            let _ = self.wake_tenant.send(next);
        }
    }

    /// The identity of a Tenant's stack.
    pub fn tenant_identity(
        &self,
        tenant: &impl ResourceExt,
        tenant_id: &str,
        pattern: Pattern,
        stack: Option<&str>,
    ) -> Identity {
        let owner = Owner::Tenant {
            namespace: tenant.namespace().unwrap_or_default(),
            name: tenant.name_any(),
            tenant_id: tenant_id.into(),
            pattern,
            stack: stack.map(Into::into),
        };
        Identity::new(self.scope.clone(), owner, &tenant.uid().unwrap_or_default())
    }

    /// Writes an event; one that cannot be written is logged, and changes nothing else.
    pub async fn event(
        &self,
        object: &ObjectReference,
        type_: EventType,
        reason: impl ToString,
        action: &str,
        note: impl Into<String>,
    ) {
        let mut note: String = note.into();
        if note.len() > NOTE {
            note.truncate(note.floor_char_boundary(NOTE));
            note.push('…');
        }
        let event = Event {
            type_,
            reason: reason.to_string(),
            note: Some(note),
            action: action.into(),
            secondary: None,
        };
        // An event that is told again counts on, whichever version of the object it is told of.
        let object = &ObjectReference { resource_version: None, ..object.clone() };
        if let Err(error) = self.events.tell(&event, object).await {
            tracing::warn!(%error, "an event could not be written");
        }
    }
}

/// Where to find a Tenant.
pub fn reference(tenant: &Tenant) -> ObjectRef<Guarded<Tenant>> {
    ObjectRef::new(&tenant.name_any()).within(&tenant.namespace().unwrap_or_default())
}

/// A Tenant as one that asks for its tenantId.
pub fn claimant(tenant: &Tenant) -> Claimant {
    let age: Age =
        (tenant.meta().creation_timestamp.as_ref().map(|at| at.0), tenant.uid().unwrap_or_default());
    Claimant { age, object: reference(tenant) }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use serde_json::{Value, json};

    use super::*;
    use crate::api::Reason;
    use crate::reconcile::conditions_writer::subject;
    use crate::reconcile::mocked::{
        FINALIZER, api_server, context, event, event_of, merge_patch, read, shared_stack, store, tenant, with,
    };
    use crate::stack::identity::{Adopts, Generation};

    const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/tenants/events";

    /// The Tenant at a version.
    fn acme(version: &str) -> ObjectReference {
        subject(&read::<Tenant>(tenant(json!({"resourceVersion": version}))))
    }

    /// A process that has nothing to say to Kubernetes.
    fn silent() -> Context {
        context(api_server([]).client())
    }

    /// A Tenant of a name, with some of its spec and its status as given. Its uid is its name.
    fn named(name: &str, metadata: Value, spec: Value, status: Value) -> Value {
        let tenant = tenant(with(json!({"name": name, "uid": name}), metadata));
        let spec = with(tenant["spec"].clone(), spec);
        with(tenant, json!({"spec": spec, "status": status}))
    }

    fn stack_named(name: &str, spec: Value, status: Value) -> Value {
        with(shared_stack(json!({"name": name, "uid": name})), json!({"spec": spec, "status": status}))
    }

    fn unreadable(name: &str) -> Value {
        named(name, json!({"finalizers": [FINALIZER]}), json!({"tenantId": 5}), json!({}))
    }

    fn accepted(status: &str) -> Value {
        json!({"conditions": [{
            "type": "Accepted", "status": status, "reason": "Accepted", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }]})
    }

    /// Who was woken, by namespace and name.
    fn heard<K: kube::runtime::reflector::Lookup<DynamicType = ()>>(
        receiver: &mut mpsc::UnboundedReceiver<ObjectRef<K>>,
    ) -> Vec<String> {
        let woken = std::iter::from_fn(|| receiver.try_recv().ok());
        let mut woken: Vec<_> =
            woken.map(|it| format!("{}/{}", it.namespace.unwrap_or_default(), it.name)).collect();
        woken.sort();
        woken
    }

    #[tokio::test]
    async fn a_note_is_told_as_far_as_the_api_server_takes_it() {
        let cut = |n: usize, what: &str| format!("{}…", what.repeat(n));
        for (note, told) in [
            ("It rains".into(), "It rains".into()),
            (String::new(), String::new()),
            ("a".repeat(1000), "a".repeat(1000)),
            ("a".repeat(1001), cut(1000, "a")),
            ("ü".repeat(500), "ü".repeat(500)),
            ("ü".repeat(501), cut(500, "ü")),
            (format!("a{}", "ü".repeat(500)), format!("a{}", cut(499, "ü"))),
            (format!("a{}", "ü".repeat(5000)), format!("a{}", cut(499, "ü"))),
            ("😀".repeat(250), "😀".repeat(250)),
            ("😀".repeat(251), cut(250, "😀")),
            (format!("aaa{}", "😀".repeat(250)), format!("aaa{}", cut(249, "😀"))),
        ] {
            assert!(told.len() <= 1024);
            let server = api_server([event("Warning", "Denied", "Reconcile", &told)]);
            let cx = context(server.client());
            cx.event(&acme("7"), EventType::Warning, "Denied", "Reconcile", note).await;
        }
    }

    #[tokio::test]
    async fn an_event_is_told_where_its_object_is() {
        let stack = shared_stack(json!({}));
        let server = api_server([
            event("Normal", "Ready", "Reconcile", "All is well"),
            event_of(&stack, "Warning", "Quota", "Sync", "Too many"),
        ]);
        let cx = context(server.client());
        cx.event(&acme("7"), EventType::Normal, "Ready", "Reconcile", "All is well").await;
        let stack = subject(&read::<SharedStack>(stack));
        cx.event(&stack, EventType::Warning, "Quota", "Sync", "Too many").await;
    }

    #[tokio::test]
    async fn an_event_that_cannot_be_written_is_told_anew_next_time() {
        let told = event("Warning", "Denied", "Reconcile", "no");
        let server = api_server([told.clone().refused(403), told.clone().refused(500), told]);
        let cx = context(server.client());
        for _ in 0..3 {
            cx.event(&acme("7"), EventType::Warning, "Denied", "Reconcile", "no").await;
        }
    }

    #[tokio::test]
    async fn no_event_is_lost_because_another_of_its_reason_was_told_a_moment_ago() {
        let counted = |count: u32| {
            let event = json!({
                "apiVersion": "events.k8s.io/v1", "kind": "Event", "eventTime": "*",
                "metadata": {"name": "acme.*", "namespace": "tenants"},
                "type": "Warning", "reason": "Denied", "action": "Reconcile", "note": "no",
                "regarding": {
                    "apiVersion": "tenantry.dev/v1alpha1", "kind": "Tenant", "name": "acme",
                    "namespace": "tenants", "uid": "uid-acme",
                },
                "reportingController": "tenantry", "reportingInstance": "prod",
                "series": {"count": count, "lastObservedTime": "*"},
            });
            merge_patch(format!("{EVENTS}/acme.*"), event)
        };
        let server = api_server([
            event("Warning", "Denied", "Reconcile", "no"),
            counted(2),
            counted(3).refused(500),
            counted(3),
            event("Warning", "Denied", "Reconcile", "another note"),
            counted(4),
            event("Warning", "Denied", "Register", "no"),
            event("Warning", "Quota", "Reconcile", "no"),
            event("Normal", "Denied", "Reconcile", "no"),
        ]);
        let cx = context(server.client());
        for (version, type_, reason, action, note) in [
            ("7", EventType::Warning, "Denied", "Reconcile", "no"),
            ("8", EventType::Warning, "Denied", "Reconcile", "no"),
            ("8", EventType::Warning, "Denied", "Reconcile", "no"),
            ("9", EventType::Warning, "Denied", "Reconcile", "no"),
            ("9", EventType::Warning, "Denied", "Reconcile", "another note"),
            ("9", EventType::Warning, "Denied", "Reconcile", "no"),
            ("9", EventType::Warning, "Denied", "Register", "no"),
            ("9", EventType::Warning, "Quota", "Reconcile", "no"),
            ("9", EventType::Normal, "Denied", "Reconcile", "no"),
        ] {
            cx.event(&acme(version), type_, reason, action, note).await;
        }
        let seen = server.seen();
        let name = |asked: usize| seen[asked].body["metadata"]["name"].as_str().unwrap().to_string();
        for patch in [1, 2, 3, 5] {
            assert_eq!(seen[patch].target, format!("{EVENTS}/{}", name(0)), "it is the same event");
            assert_eq!(seen[patch].body["eventTime"], seen[0].body["eventTime"]);
        }
    }

    /// As `kubectl delete events --all` does.
    #[tokio::test]
    async fn no_event_is_lost_because_somebody_has_deleted_the_one_that_it_would_count_on() {
        let told = event("Warning", "Denied", "Reconcile", "no");
        let counted_on = merge_patch(format!("{EVENTS}/acme.*"), json!("*"));
        let server = api_server([told.clone(), counted_on.refused(404), told]);
        let cx = context(server.client());
        for _ in 0..2 {
            cx.event(&acme("7"), EventType::Warning, "Denied", "Reconcile", "no").await;
        }
    }

    #[tokio::test]
    async fn what_is_not_about_a_pass_is_derived_from_the_settings() {
        let mut cx = silent();
        assert_eq!(cx.finalizer(), FINALIZER);
        // 90 % and up to a fifth more.
        for (uid, millis) in [("", 540_000), ("a", 598_200), ("ab", 594_000), ("uid-acme", 616_800)] {
            assert_eq!(cx.resync(uid), Duration::from_millis(millis), "{uid}");
        }
        assert_eq!(cx.resync_after(), Duration::from_secs(540));
        cx.settings.resync = Duration::from_secs(60);
        assert_eq!(cx.resync(""), Duration::from_secs(54));
        assert_eq!(cx.resync_after(), Duration::from_secs(54));
    }

    #[tokio::test]
    async fn passes_wait_until_all_stores_are_filled() {
        for last in 0..3 {
            let cx = silent();
            let stores = [&cx.filled.tenants, &cx.filled.stacks, &cx.filled.namespaces];
            for store in (0..3).filter(|store| *store != last) {
                assert!(!cx.filled.all() && cx.caches().now_or_never().is_none());
                stores[store].set(()).unwrap();
            }
            assert!(!cx.filled.all() && cx.caches().now_or_never().is_none(), "{last}");
            stores[last].set(()).unwrap();
            assert!(cx.filled.all() && cx.caches().now_or_never().is_some());
        }
    }

    /// One that trusts its caches.
    async fn trusting(mut cx: Context, tenants: Vec<Value>, stacks: Vec<Value>) -> Context {
        (cx.tenants, cx.stacks) = (store(tenants), store(stacks));
        for filled in [&cx.filled.tenants, &cx.filled.stacks, &cx.filled.namespaces] {
            filled.set(()).unwrap();
        }
        cx.caches().await;
        cx
    }

    #[tokio::test]
    async fn whoever_has_an_id_by_the_records_asks_for_it_first() {
        let held = |year: u32| json!({"creationTimestamp": format!("{year}-01-01T00:00:00Z"), "finalizers": [FINALIZER]});
        let tenants = vec![
            named("old", held(2001), json!({"tenantId": "first"}), json!({"prefix": "documents/"})),
            named("young", held(2003), json!({"tenantId": "first"}), Value::Null),
        ];
        let cx = silent();
        cx.ids.trusted("first", "young");
        cx.ids.trusted("out-of-sight", "its-label-was-taken-off");
        let cx = trusting(cx, tenants, vec![]).await;
        assert!(cx.claims.is_holder("first", "young") && cx.has_id("first", "young"));
        assert!(!cx.claims.is_holder("first", "old") && !cx.has_id("first", "old"));
        assert!(cx.claims.is_holder("out-of-sight", "its-label-was-taken-off"));
    }

    #[tokio::test]
    async fn what_was_accepted_keeps_the_promise_of_its_knowledge_base() {
        let (yes, no) = (accepted("True"), accepted("False"));
        let pattern = |pattern: &str| json!({"pattern": pattern, "stackRef": {"name": "standard"}});
        let silo = json!({});
        let tenants = vec![
            named("silo", json!({}), silo.clone(), yes.clone()),
            named("bridge", json!({}), pattern("Bridge"), yes.clone()),
            named("pool", json!({}), pattern("Pool"), yes.clone()),
            named("refused", json!({}), silo.clone(), no.clone()),
            named("refused-pool", json!({}), pattern("Pool"), no.clone()),
            named("new", json!({}), silo, Value::Null),
            unreadable("unreadable"),
        ];
        let pool = json!({"pool": {}});
        let stacks = vec![
            stack_named("stack", pool.clone(), yes.clone()),
            stack_named("stack-without", json!({}), yes),
            stack_named("stack-refused", pool.clone(), no),
            stack_named("stack-new", pool, Value::Null),
            stack_named("stack-unreadable", json!({"pool": 5}), json!({})),
        ];
        let cx = trusting(silent(), tenants, stacks).await;
        assert_eq!(cx.reservations.promised(), ["bridge", "silo", "stack"]);
    }

    /// What was Stalled when the process ended keeps no place from others when the next begins.
    #[tokio::test]
    async fn a_restart_gives_no_promise_to_what_does_not_get_on() {
        let condition = |kind: &str, reason: &str| {
            json!({"type": kind, "status": "True", "reason": reason, "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z"})
        };
        let says = |reason: &str| json!([condition("Accepted", "Accepted"), condition("Stalled", reason)]);
        let leaves = json!({"deletionTimestamp": "2026-01-02T00:00:00Z"});
        let with_one = |status: Value| with(status, json!({"knowledgeBaseId": "KB1"}));
        let tenants = vec![
            named("stalled", json!({}), json!({}), json!({"conditions": says("Invalid")})),
            named("waits", json!({}), json!({}), json!({"conditions": says("QuotaReserved")})),
            named("leaves", leaves.clone(), json!({}), accepted("True")),
            named("has-one", json!({}), json!({}), with_one(json!({"conditions": says("Denied")}))),
            named("leaves-one", leaves, json!({}), with_one(accepted("True"))),
            named("is-built", json!({}), json!({}), accepted("True")),
        ];
        let stalled = json!({"conditions": says("Invalid")});
        let stacks = vec![
            stack_named("stack-stalled", json!({"pool": {}}), stalled.clone()),
            stack_named("stack-has-one", json!({"pool": {}}), with_one(stalled)),
        ];
        let cx = trusting(silent(), tenants, stacks).await;
        assert_eq!(cx.reservations.promised(), ["has-one", "is-built", "leaves-one", "stack-has-one"]);
    }

    #[tokio::test]
    async fn a_promise_lapses_with_the_verdict_that_a_person_is_needed_and_the_next_is_woken() {
        let mut cx = silent();
        let (sender, mut tenants) = mpsc::unbounded_channel();
        cx.wake_tenant = sender;
        cx.settings.max_knowledge_bases = 0;
        let found = ["bogus", "built", "honest"].map(|name| named(name, json!({}), json!({}), Value::Null));
        cx.tenants = store(found.clone());
        let [bogus, built, honest] = found.map(|it| cx.applicant(&read(it)));
        for promised in [&bogus, &built] {
            cx.reservations.promise(&promised.id);
        }
        let ask = || async { Ok(Vec::new()) };
        let limits = cx.limits(None);
        let refused = cx.reservations.reserve(cx.clock, &honest, limits, ask).await;
        assert!(matches!(refused, Err(Unpromised::Full(full)) if full.reason == Reason::QuotaReserved));
        let mut stalled = Status::default();
        cx.settle("bogus", &stalled, false);
        assert_eq!(heard(&mut tenants), [] as [&str; 0], "it gets on");
        stalled.set(ConditionType::Stalled, "True", Reason::Invalid, "", None, crate::clock::now());
        cx.settle("built", &stalled, true);
        assert_eq!(cx.reservations.promised(), ["bogus", "built"], "what is there keeps its place");
        cx.settle("bogus", &stalled, false);
        assert_eq!(cx.reservations.promised(), ["built"]);
        assert_eq!(heard(&mut tenants), ["tenants/honest"]);
        // Who is paused, or leaves, keeps none either, and waits for none.
        cx.no_further("built", &Status::default());
        assert_eq!(heard(&mut tenants), ["tenants/honest"]);
        cx.no_further("honest", &Status::default());
        assert_eq!(heard(&mut tenants), [] as [&str; 0]);
        assert_eq!(cx.reservations.promised(), [] as [&str; 0]);
    }

    #[tokio::test]
    async fn tenants_are_counted_by_the_ids_that_they_have() {
        let mut cx = silent();
        let (sender, mut woken) = mpsc::unbounded_channel();
        cx.wake_tenant = sender;
        cx.settings.max_tenants_per_namespace = 1;
        let held = json!({"finalizers": [FINALIZER]});
        let tenants = vec![
            named("has-it", held.clone(), json!({"tenantId": "acme"}), Value::Null),
            named("forged", held, json!({"tenantId": "acme"}), accepted("True")),
            named("waits", json!({}), json!({"tenantId": "globex"}), Value::Null),
        ];
        cx.ids.trusted("acme", "has-it");
        let cx = trusting(cx, tenants.clone(), vec![]).await;
        let [has_it, forged, waits] = [0, 1, 2].map(|n| cx.applicant(&read(tenants[n].clone())));
        assert_eq!(cx.enter(&has_it, true), Ok(()));
        for refused in [&waits, &forged] {
            assert_eq!(cx.enter(refused, false).unwrap_err().reason, Reason::TooManyTenants);
        }
        cx.stops_waiting("forged");
        assert_eq!(heard(&mut woken), ["tenants/waits"]);
        cx.forget("has-it");
        assert_eq!(heard(&mut woken), ["tenants/waits"]);
        assert_eq!(cx.enter(&waits, true), Ok(()));
    }

    /// The number is raised by a restart, and then all ask at about the same time.
    #[tokio::test]
    async fn a_restart_lets_nobody_in_before_an_older_one_that_waited() {
        let waited = json!({"conditions": [{"type": "Accepted", "status": "False", "reason": "TooManyTenants",
            "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
        let born = |year: u32| json!({"creationTimestamp": format!("{year}-01-01T00:00:00Z")});
        let leaves = with(born(2001), json!({"deletionTimestamp": "2026-01-02T00:00:00Z"}));
        let tenants = vec![
            named("leaves", leaves, json!({"tenantId": "leaves"}), waited.clone()),
            named("old", born(2002), json!({"tenantId": "old"}), waited.clone()),
            named("young", born(2003), json!({"tenantId": "young"}), waited),
        ];
        let [old, young] = [1, 2].map(|n| read::<Tenant>(tenants[n].clone()));
        for (limit, let_in) in [(1, false), (2, true), (0, true)] {
            let mut cx = silent();
            cx.settings.max_tenants_per_namespace = limit;
            let cx = trusting(cx, tenants.clone(), vec![]).await;
            assert_eq!(cx.enter(&cx.applicant(&young), true).is_ok(), let_in, "{limit}");
            assert_eq!(cx.enter(&cx.applicant(&old), true), Ok(()), "{limit}");
        }
    }

    #[tokio::test]
    async fn every_knowledge_base_that_is_there_may_have_a_job() {
        let base = |id: &str| json!({"knowledgeBaseId": id});
        let pattern = |pattern: &str| json!({"pattern": pattern, "stackRef": {"name": "standard"}});
        let tenants = vec![
            named("silo", json!({}), json!({}), base("KBSILO")),
            named("bridge", json!({}), pattern("Bridge"), base("KBBRIDGE")),
            named("pool", json!({}), pattern("Pool"), base("KBOFTHEPOOL")),
            named("new", json!({}), json!({}), Value::Null),
            unreadable("unreadable"),
        ];
        let stacks = vec![stack_named("stack", json!({"pool": {}}), base("KBSTACK"))];
        let cx = trusting(silent(), tenants, stacks).await;
        for (base, may_have) in
            [("KBSILO", true), ("KBBRIDGE", true), ("KBSTACK", true), ("KBOFTHEPOOL", false)]
        {
            assert_eq!(cx.job_slots.too_early(base).is_some(), may_have, "{base}");
        }
    }

    #[tokio::test]
    async fn without_an_answer_from_aws_there_is_neither_room_nor_a_refusal() {
        let cx = silent();
        let id = Identity::of_stack(cx.scope.clone(), "standard", "uid");
        let answer = cx.reserve(&Applicant { id, born: None, begun: false }, None).await;
        let Err(Stop::Failed(crate::reconcile::Error::Aws(fault))) = answer else {
            panic!("it was answered")
        };
        assert_eq!(fault.operation, "ListKnowledgeBases");
        assert_eq!(cx.reservations.promised(), [] as [&str; 0]);
    }

    #[tokio::test]
    async fn nothing_is_remembered_of_an_object_that_is_gone() {
        let tenants = ["gone", "stays"].map(|name| {
            let status = with(accepted("True"), json!({"knowledgeBaseId": name}));
            named(name, json!({}), json!({"tenantId": name}), status)
        });
        let cx = trusting(silent(), tenants.into(), vec![]).await;
        for uid in ["gone", "stays"] {
            cx.memories.lend(uid).rounds = 5;
            cx.written.lock().insert(uid.into(), "8".into());
        }
        cx.forget("gone");
        for (uid, remembered) in [("gone", false), ("stays", true)] {
            assert_eq!(cx.memories.get(uid).rounds == 5, remembered, "{uid}");
            assert_eq!(cx.written.get(uid).is_some(), remembered, "{uid}");
            assert_eq!(cx.job_slots.too_early(uid).is_some(), remembered, "{uid}");
        }
        assert_eq!(cx.reservations.promised(), ["stays"]);
    }

    #[tokio::test]
    async fn stacks_and_the_labels_of_namespaces_are_in_the_caches() {
        let mut cx = silent();
        cx.stacks = store([stack_named("standard", json!({}), Value::Null)]);
        let namespace = |metadata| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
        cx.namespaces = store([
            namespace(json!({"name": "tenants", "labels": {"team": "a"}})),
            namespace(json!({"name": "bare"})),
        ]);
        assert_eq!(cx.stack("standard").unwrap().name_any(), "standard");
        assert!(cx.stack("other").is_none());
        assert_eq!(cx.namespace("tenants").unwrap().labels()["team"], "a");
        assert!(cx.namespace("bare").is_some() && cx.namespace("other").is_none());
    }

    #[tokio::test]
    async fn whom_something_concerns_is_woken() {
        let mut cx = silent();
        let (sender, mut tenants) = mpsc::unbounded_channel();
        cx.wake_tenant = sender;
        let (sender, mut stacks) = mpsc::unbounded_channel();
        cx.wake_stack = sender;
        let borrows = |stack: &str| json!({"pattern": "Bridge", "stackRef": {"name": stack}});
        let elsewhere = |finalizers: &[&str]| json!({"namespace": "elsewhere", "finalizers": finalizers});
        cx.tenants = store([
            named("a", json!({"finalizers": [FINALIZER]}), borrows("standard"), Value::Null),
            named("b", json!({}), borrows("other"), Value::Null),
            named("c", elsewhere(&[FINALIZER]), json!({}), Value::Null),
            named("d", elsewhere(&["tenantry.dev/test"]), borrows("standard"), Value::Null),
            unreadable("unreadable"),
        ]);
        cx.wake_borrowers("standard");
        assert_eq!(heard(&mut tenants), ["elsewhere/d", "tenants/a"]);
        cx.wake_namespace("tenants");
        assert_eq!(heard(&mut tenants), ["tenants/b"]);
        cx.wake_namespace("elsewhere");
        assert_eq!(heard(&mut tenants), ["elsewhere/d"]);
        cx.wake_tenants(|tenant| ["a", "b"].contains(&tenant.name_any().as_str()));
        assert_eq!(heard(&mut tenants), ["tenants/a", "tenants/b"]);
        assert_eq!(heard(&mut stacks), [] as [&str; 0]);
        cx.wake_stack("standard");
        assert_eq!(heard(&mut stacks), ["/standard"]);
        assert_eq!(heard(&mut tenants), [] as [&str; 0]);
    }

    #[tokio::test]
    async fn who_waits_for_a_tenant_id_is_woken_when_it_is_free() {
        let mut cx = silent();
        let (sender, mut tenants) = mpsc::unbounded_channel();
        cx.wake_tenant = sender;
        let asks = |name: &str| claimant(&read(named(name, json!({}), json!({}), Value::Null)));
        assert!(cx.claims.ask("acme", &asks("holder")) && !cx.claims.ask("acme", &asks("waits")));
        cx.release_claim("acme", "somebody");
        assert_eq!(heard(&mut tenants), [] as [&str; 0]);
        cx.release_claim("acme", "holder");
        assert_eq!(heard(&mut tenants), ["tenants/waits"]);
    }

    #[tokio::test]
    async fn a_stack_is_its_tenants_whoever_else_has_its_name() {
        let cx = silent();
        let tenant = read::<Tenant>(tenant(json!({"creationTimestamp": "2026-01-01T00:00:00Z"})));
        let identity = cx.tenant_identity(&tenant, "acme-1", Pattern::Bridge, Some("standard"));
        let expected = Identity {
            scope: cx.scope.clone(),
            owner: Owner::Tenant {
                namespace: "tenants".into(),
                name: "acme".into(),
                tenant_id: "acme-1".into(),
                pattern: Pattern::Bridge,
                stack: Some("standard".into()),
            },
            uid: "uid-acme".into(),
            generation: Generation::A,
            adopts: Adopts::Nothing,
        };
        assert_eq!(identity, expected);
        let found = ObjectRef::new("acme").within("tenants");
        assert_eq!(reference(&tenant), found);
        let born = "2026-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(claimant(&tenant), Claimant { age: (Some(born), "uid-acme".into()), object: found });
    }
}
