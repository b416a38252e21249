//! What every pass needs: clients, stores, and the few things that a process remembers.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMeta;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, Resource, ResourceExt};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{OnceCell, SetOnce, mpsc};

use super::Guarded;
use super::claims::{Age, Asker, Claims};
use super::engine::World;
use super::finalizer;
use super::memory::Memories;
use super::quota::{self, Reservations};
use crate::api::{ConditionType, Pattern, SharedStack, Status, Tenant, hold_name};
use crate::aws::Aws;
use crate::clock::Clock;
use crate::documents::failures::ByTenant;
use crate::documents::marker::Marker;
use crate::documents::reviews::Reviews;
use crate::documents::turns::Turns;
use crate::settings::Settings;
use crate::stack::fault::Fault;
use crate::stack::identity::{Adopts, Identity, Owner, Scope, Slot};
use crate::stack::model::blocked::Blocked;

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
    /// All Tenants we see.
    pub tenants: Store<Guarded<Tenant>>,
    /// All SharedStacks we see.
    pub stacks: Store<Guarded<SharedStack>>,
    /// All namespaces, for their labels.
    pub namespaces: Store<PartialObjectMeta<Namespace>>,
    /// Which of these stores have been filled.
    pub filled: Filled,
    /// Who holds which tenantId.
    pub claims: Claims,
    /// What passes remember.
    pub memories: Memories,
    /// Wakes a Tenant.
    pub wake_tenant: mpsc::UnboundedSender<ObjectRef<Guarded<Tenant>>>,
    /// Wakes a SharedStack.
    pub wake_stack: mpsc::UnboundedSender<ObjectRef<Guarded<SharedStack>>>,
    /// By SharedStack: the tenantIds retained in its bucket, with their markers. Absent until the markers
    /// have been listed; nobody new borrows before.
    pub retained: Shelf<BTreeMap<String, Marker>>,
    /// By SharedStack: what of its pool's documents could not be indexed, by tenantId. Absent until that is known.
    pub failures: Shelf<Arc<ByTenant>>,
    /// By uid: the version of each object that our last word in its status made.
    pub written: Shelf<String>,
    /// Whose turn it is to start an ingestion job.
    pub turns: Turns,
    /// Counts reviews of documents.
    pub reviews: Reviews,
    /// Knowledge bases that are promised.
    pub reservations: Reservations,
    /// Writes events.
    pub recorder: Recorder,
    /// Set once all stores are filled and the claims are taken from the holds.
    pub ready: OnceCell<()>,
}

/// Says when each store has been filled for the first time. A store's own `wait_until_ready` wakes only the last of
/// several tasks that wait for it, and the controller is one.
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
pub struct Shelf<T>(Mutex<HashMap<String, T>>);

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Shelf<T> {
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
        self.reservations.forget(uid);
        self.turns.forget(uid);
        self.written.lock().remove(uid);
    }

    /// Our finalizer.
    pub fn hold(&self) -> String {
        hold_name(&self.settings.installation)
    }

    /// Waits until the caches can be trusted: all stores filled, all holds known. Caches still decide only what is
    /// reversible.
    pub async fn caches(&self) {
        self.ready
            .get_or_init(|| async {
                self.filled.tenants.wait().await;
                self.filled.stacks.wait().await;
                self.filled.namespaces.wait().await;
                self.take_up_claims();
                self.take_up_promises();
                self.take_up_jobs();
            })
            .await;
    }

    /// Fills the claims from the holds. Of two holders, as a restored backup may have them, who was acted upon acts on;
    /// then the older. A finalizer alone proves little: whoever makes an object can write one.
    fn take_up_claims(&self) {
        let tenants = self.tenants.state();
        let readable = tenants.iter().filter_map(|tenant| tenant.0.as_ref().ok());
        let mut held: Vec<_> = readable.filter(|tenant| finalizer::is_held(*tenant, &self.hold())).collect();
        held.sort_by_key(|tenant| (!was_acted_upon(tenant.status.as_ref()), asker(tenant).age));
        for tenant in held {
            self.claims.found(&tenant.spec.tenant_id, asker(tenant));
        }
    }

    /// Promises their knowledge bases anew to all that were accepted: one that is still being built is in no list.
    fn take_up_promises(&self) {
        let accepted =
            |status: &Option<Status>| status.as_ref().is_some_and(|it| it.is_true(ConditionType::Accepted));
        for tenant in self.tenants.state() {
            if let Ok(tenant) = &tenant.0
                && accepted(&tenant.status)
                && tenant.spec.pattern != Pattern::Pool
            {
                let stack = tenant.spec.stack_ref.as_ref().map(|reference| reference.name.as_str());
                let (id, pattern) = (&tenant.spec.tenant_id, tenant.spec.pattern);
                self.reservations.promise(&self.tenant_identity(tenant, id, pattern, stack));
            }
        }
        for stack in self.stacks.state() {
            if let Ok(stack) = &stack.0
                && accepted(&stack.status)
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
                self.turns.expect(base, uid);
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

    /// Asks for room for one more knowledge base.
    pub async fn reserve(&self, id: &Identity) -> Result<Result<(), Blocked>, Fault> {
        let limit = self.settings.max_knowledge_bases;
        quota::reserve(&self.aws.knowledge_bases, &self.reservations, limit, id).await
    }

    /// What the engine needs of all this.
    pub fn world(&self) -> World<'_> {
        World {
            layers: &self.aws,
            clock: self.clock,
            resync_after: self.settings.resync * 9 / 10,
            read_only: self.settings.read_only,
        }
    }

    /// A SharedStack by name, from the cache.
    pub fn stack(&self, name: &str) -> Option<Arc<Guarded<SharedStack>>> {
        self.stacks.get(&ObjectRef::new(name))
    }

    /// A namespace's labels, from the cache.
    pub fn namespace_labels(&self, name: &str) -> BTreeMap<String, String> {
        let namespace = self.namespaces.get(&ObjectRef::new(name));
        namespace.map(|namespace| namespace.labels().clone()).unwrap_or_default()
    }

    /// Wakes all Tenants that name a SharedStack.
    pub fn wake_borrowers(&self, stack: &str) {
        self.wake_tenants(|tenant| tenant.spec.borrows_from(stack));
    }

    /// Wakes the Tenants of a namespace that have no hold: its labels may now allow what they did not.
    pub fn wake_namespace(&self, namespace: &str) {
        self.wake_tenants(|tenant| {
            tenant.namespace().as_deref() == Some(namespace) && !finalizer::is_held(tenant, &self.hold())
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
        for waiting in self.claims.release(tenant_id, uid) {
            let _ = self.wake_tenant.send(waiting);
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
        Identity {
            scope: self.scope.clone(),
            owner: Owner::Tenant {
                namespace: tenant.namespace().unwrap_or_default(),
                name: tenant.name_any(),
                tenant_id: tenant_id.into(),
                pattern,
                stack: stack.map(Into::into),
            },
            uid: tenant.uid().unwrap_or_default(),
            slot: Slot::A,
            adopts: Adopts::Nothing,
        }
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
        if note.len() > 1000 {
            note = note.chars().take(900).chain("…".chars()).collect();
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
        if let Err(error) = self.recorder.publish(&event, object).await {
            tracing::warn!(%error, "an event could not be written");
        }
    }
}

/// Where to find a Tenant.
pub fn reference(tenant: &Tenant) -> ObjectRef<Guarded<Tenant>> {
    ObjectRef::new(&tenant.name_any()).within(&tenant.namespace().unwrap_or_default())
}

/// Whether a Tenant was ever acted upon: only the operator writes a status, and the prefix is in it from the first time
/// on.
pub fn was_acted_upon(status: Option<&Status>) -> bool {
    status.is_some_and(|status| status.prefix.is_some())
}

/// A Tenant as one that asks for its tenantId.
pub fn asker(tenant: &Tenant) -> Asker {
    let age: Age =
        (tenant.meta().creation_timestamp.as_ref().map(|at| at.0), tenant.uid().unwrap_or_default());
    Asker { age, object: reference(tenant) }
}
