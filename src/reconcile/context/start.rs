//! What a process takes up at its start of what is there already, before its first pass.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use super::Context;
use crate::api::{ConditionType, Reason, Status};
use crate::reconcile::quota;
use crate::stack::identity::Identity;

impl Context {
    /// Waits until the caches can be trusted: all stores filled. Caches still decide only what is
    /// reversible.
    pub async fn caches(&self) {
        self.ready
            .get_or_init(|| async {
                self.filled.tenants.wait().await;
                self.filled.stacks.wait().await;
                self.filled.namespaces.wait().await;
                self.filled.classes.wait().await;
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
        if self.settings.max_tenants_per_namespace == 0 {
            return;
        }
        for tenant in self.tenants.readable() {
            let accepted =
                tenant.status.as_ref().and_then(|status| status.condition(ConditionType::Accepted));
            let waited = accepted.is_some_and(|said| said.reason == Reason::TooManyTenants.as_str());
            let Some(applicant) = self.applicant(&tenant) else { continue };
            if self.ids.is_holder(&tenant.spec.tenant_id, &tenant.uid().unwrap_or_default()) {
                self.is_in(&applicant.id);
            } else if waited && tenant.metadata.deletion_timestamp.is_none() {
                self.reservations.waited(&applicant);
            }
        }
    }

    /// Promises their knowledge bases anew to all that were accepted and get on: one that is still being built is in no list.
    fn take_up_promises(&self) {
        let kept = |meta: &ObjectMeta, status: &Option<Status>| {
            status.as_ref().is_some_and(|status| {
                let leaves = meta.deletion_timestamp.is_some() && status.knowledge_base_id.is_none();
                status.is_accepted() && !leaves && quota::keeps_promise(status)
            })
        };
        for tenant in self.tenants.with_knowledge_bases() {
            if let Some(applicant) =
                self.applicant(&tenant).filter(|_| kept(&tenant.metadata, &tenant.status))
            {
                self.reservations.promise(&applicant.id);
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
        for tenant in self.tenants.with_knowledge_bases() {
            expect(&tenant.metadata, &tenant.status);
        }
        for stack in self.stacks.state() {
            if let Ok(stack) = &stack.0 {
                expect(&stack.metadata, &stack.status);
            }
        }
    }
}
