//! Who asks for a place where there are only so many, who keeps one, and who gives one back.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::runtime::reflector::ObjectRef;

use super::Context;
use crate::api::{ConditionType, Status, Tenant};
use crate::reconcile::places::{Applicant, Limits};
use crate::reconcile::quota;
use crate::reconcile::stop::PassStop;
use crate::stack::identity::{Identity, Owner};
use crate::stack::model::blocked::Blocked;

impl Context {
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
    pub async fn reserve(&self, applicant: &Applicant, namespace: Option<usize>) -> Result<(), PassStop> {
        self.forget_the_unseen();
        let ask = || self.aws.knowledge_bases.names();
        let answer = self.reservations.reserve(self.clock, applicant, self.limits(namespace), ask).await;
        self.wake(self.passing_on(answer)?);
        Ok(())
    }

    /// Who was refused for something else than what it waited for wakes the next of those who wait for that.
    fn passing_on<T>(&self, answer: T) -> T {
        self.wake(self.reservations.passed_on());
        answer
    }

    pub(super) fn limits(&self, namespace: Option<usize>) -> Limits {
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
}
