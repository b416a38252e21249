//! Who is to have a pass because of what became of others.

use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use super::Context;
use crate::api::{ConditionType, Tenant};
use crate::reconcile::Guarded;
use crate::reconcile::quota::Next;
use crate::reconcile::tenants::Kept;
use crate::stack::identity::Owner;

impl Context {
    /// Wakes those for whom there may be a place now.
    pub(super) fn wake(&self, next: Next) {
        for owner in next {
            match owner {
                Owner::Tenant { namespace, name, .. } => {
                    let _ = self.wake_tenant.send(ObjectRef::new(&name).within(&namespace));
                }
                Owner::Stack { name } => self.wake_stack(&name),
            }
        }
    }

    /// Wakes all Tenants that name a SharedStack, or whose class does.
    pub fn wake_borrowers(&self, stack: &str) {
        self.wake_tenants(|tenant| {
            let stands = tenant.common().and_then(|(spec, status)| self.would_stand_by(spec, status));
            stands.is_some_and(|(_, lender)| lender.as_deref() == Some(stack))
        });
    }

    /// Wakes the Tenants of a namespace that do not have our finalizer, wait for a knowledge base, or ask for a class that they
    /// may not have: its labels and annotations may now allow what they did not.
    pub fn wake_namespace(&self, namespace: &str) {
        let finalizer = self.finalizer();
        self.wake_tenants(|tenant| {
            let meta = tenant.meta();
            let is_refused = || {
                let status = tenant.common().and_then(|(_, status)| status);
                status.is_some_and(|status| !status.is_true(ConditionType::Accepted))
            };
            let waits = || {
                is_refused()
                    || !meta.finalizers.iter().flatten().any(|it| *it == finalizer)
                    || self.reservations.waits_for_knowledge_base(meta.uid.as_deref().unwrap_or_default())
            };
            meta.namespace.as_deref() == Some(namespace) && waits()
        });
    }

    /// Wakes Tenants by what the cache says of them, as far as they can be read.
    pub fn wake_tenants(&self, which: impl Fn(&Kept) -> bool) {
        for tenant in self.tenants.kept().iter().filter(|kept| kept.common().is_some() && which(kept)) {
            let meta = tenant.meta();
            let name = ObjectRef::new(meta.name.as_deref().unwrap_or_default());
            // The receiver lives as long as the controller.
            let _ = self.wake_tenant.send(name.within(meta.namespace.as_deref().unwrap_or_default()));
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
}

/// Where to find a Tenant.
pub fn reference(tenant: &Tenant) -> ObjectRef<Guarded<Tenant>> {
    ObjectRef::new(&tenant.name_any()).within(&tenant.namespace().unwrap_or_default())
}
