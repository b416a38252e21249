//! Who asks for a place where there are only so many, who keeps one, and who gives one back.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::runtime::reflector::ObjectRef;

use super::Context;
use crate::api::{Pattern, Placement, Standing, Status, Tenant, TenantSpec, standing};
use crate::reconcile::places::{Applicant, Limits};
use crate::reconcile::quota;
use crate::reconcile::stop::PassStop;
use crate::stack::identity::{Identity, Owner};
use crate::stack::model::blocked::Blocked;

impl Context {
    /// A Tenant as one that asks for a place, if it is known where it would stand.
    pub fn applicant(&self, tenant: &Tenant) -> Option<Applicant> {
        let (pattern, stack) = self.would_stand(tenant)?;
        let id = self.tenant_identity(tenant, &tenant.spec.tenant_id, pattern, stack.as_deref());
        Some(self.applying(id, &tenant.metadata, tenant.status.as_ref()))
    }

    /// Where a Tenant stands, or would stand by its class.
    pub fn would_stand(&self, tenant: &Tenant) -> Option<(Pattern, Option<String>)> {
        self.would_stand_by(&tenant.spec, tenant.status.as_ref())
    }

    /// The same by its spec and its status.
    pub fn would_stand_by(
        &self,
        spec: &TenantSpec,
        status: Option<&Status>,
    ) -> Option<(Pattern, Option<String>)> {
        if let Some(Standing { pattern, stack }) = standing(spec, status) {
            return Some((pattern, stack.map(str::to_owned)));
        }
        let Placement { pattern, stack_ref, .. } = self.placed_by(&spec.class_ref.as_ref()?.name)?;
        Some((pattern, stack_ref.map(|it| it.name)))
    }

    /// Where a class places its tenants, if it does.
    pub fn placed_by(&self, class: &str) -> Option<Placement> {
        self.class(class).ok()?.spec.placement.clone()
    }

    /// An object as one that asks for a place. Whoever makes an object can write our finalizer into it, and nobody but we
    /// that it is accepted.
    pub fn applying(&self, id: Identity, meta: &ObjectMeta, status: Option<&Status>) -> Applicant {
        let finalizer = self.finalizer();
        let has_finalizer = meta.finalizers.iter().flatten().any(|it| *it == finalizer);
        let begun = has_finalizer && status.is_some_and(Status::is_accepted);
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
