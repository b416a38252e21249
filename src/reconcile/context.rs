//! What every pass needs: clients, stores, and the few things that a process remembers.

mod classes;
mod per_stack;
mod places;
mod start;
mod wakes;

pub use per_stack::PerStack;
pub use wakes::reference;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMeta;
use kube::runtime::events::{Event, EventType};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, Resource, ResourceExt};
use tokio::sync::{OnceCell, SetOnce, mpsc};

use super::Guarded;
use super::claims::{Age, Claimant, TenantIdClaims};
use super::classes::Classes;
use super::engine::World;
use super::events::Events;
use super::ids::Ids;
use super::memory::{Memories, Memory};
use super::models::Models;
use super::quota::Reservations;
use super::tenants::Tenants;
use super::written::Written;
use crate::api::{
    IngestionSettings, Pattern, RETRY_REQUESTED_AT, SharedStack, Tenant, TenantClass, finalizer_name,
};
use crate::aws::Aws;
use crate::clock::Clock;
use crate::documents::failures::ByTenant;
use crate::documents::job_slots::JobSlots;
use crate::documents::reviews::Reviews;
use crate::documents::tally::Tallies;
use crate::settings::Settings;
use crate::stack::cron::Schedule;
use crate::stack::identity::{Identity, Owner, Scope};

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
    pub tenants: Arc<Tenants>,
    /// All SharedStacks we see.
    pub stacks: Store<Guarded<SharedStack>>,
    /// All namespaces, for their labels.
    pub namespaces: Store<PartialObjectMeta<Namespace>>,
    /// All TenantClasses, whichever installation uses them.
    pub tenant_classes: Store<Guarded<TenantClass>>,
    /// Which of them carry our finalizer.
    pub classes: Classes,
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
    /// By SharedStack: how many documents each tenant of its pool has, and how many of them are held back, by tenantId. Absent
    /// until that is known.
    pub tallies: PerStack<Arc<Tallies>>,
    /// What our last words in statuses made that the caches do not have yet.
    pub written: Written,
    /// The slots in which ingestion jobs start.
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
    /// All TenantClasses are in.
    pub classes: SetOnce<()>,
}

impl Filled {
    /// Whether passes may run.
    pub fn all(&self) -> bool {
        [&self.tenants, &self.stacks, &self.namespaces, &self.classes].iter().all(|store| store.initialized())
    }
}

impl Context {
    /// Forgets an object that is gone.
    pub fn forget(&self, uid: &str) {
        self.memories.forget(uid);
        self.comes_to_no_class(uid);
        self.wake(self.reservations.forget(uid));
        self.job_slots.forget(uid);
        self.written.forget(uid);
    }

    /// Our finalizer.
    pub fn finalizer(&self) -> String {
        finalizer_name(&self.settings.installation)
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

    /// How long the pass of an object that lives has to be put off.
    pub fn too_early(&self, meta: &ObjectMeta) -> Option<Duration> {
        let generation = meta.generation.unwrap_or(0);
        let too_early = |memory: &Memory| memory.too_early(self.clock, self.resync_after(), generation);
        self.memories.look(meta.uid.as_deref()?, too_early)
    }

    /// Tries at once what somebody asks for who has mended a cause, although it was refused a moment ago.
    pub fn heed(&self, meta: &ObjectMeta) {
        let asked = meta.annotations.as_ref().and_then(|all| all.get(RETRY_REQUESTED_AT)).map(String::as_str);
        let uid = meta.uid.as_deref().unwrap_or_default();
        if self.memories.look(uid, |memory| memory.retried.as_deref() != asked) {
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

    /// A Tenant that has its tenantId has its place in its namespace. Where there is no limit nobody asks who has one.
    pub fn is_in(&self, id: &Identity) {
        if self.settings.max_tenants_per_namespace > 0 {
            self.reservations.is_in(id);
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

/// A Tenant as one that asks for its tenantId.
pub fn claimant(tenant: &Tenant) -> Claimant {
    let age: Age =
        (tenant.meta().creation_timestamp.as_ref().map(|at| at.0), tenant.uid().unwrap_or_default());
    Claimant { age, object: reference(tenant) }
}

#[cfg(test)]
mod tests;
