//! A pool's documents: the last step of its SharedStack's pass.

use std::collections::BTreeSet;

use kube::ResourceExt;

use crate::api::{APPROVE, Pattern, Shared, SharedStack, Sidecars, Status, Tenant};
use crate::documents::schedule::Ask;
use crate::documents::sidecar::{Pool, Rules};
use crate::documents::source::Source;
use crate::reconcile::context::Context;
use crate::reconcile::memory::Memory;
use crate::reconcile::tenant::request;
use crate::reconcile::{conditions_writer, finalizer, ingestion};
use crate::stack::identity::Identity;

/// The pool's documents: requests of its own and of its tenants, and tenants that leave.
pub(super) async fn pool_documents(
    cx: &Context,
    stack: &SharedStack,
    shared: &Shared,
    before: &Status,
    status: &Status,
    whole: bool,
    memory: &mut Memory,
) -> Option<ingestion::LastStep> {
    let pool = shared.pool.as_ref()?;
    let (name, uid) = (stack.name_any(), stack.uid().unwrap_or_default());
    let id = Identity::of_stack(cx.scope.clone(), &name, &uid);
    let mut asks: Vec<Ask> = request(stack).map(Ask::Request).into_iter().collect();
    let tenants = tenants_of(cx, &name);
    asks.extend(tenants.iter().filter_map(request).map(Ask::Request));
    // One job for all whose documents moved before it.
    asks.extend(tenants.iter().filter_map(moved).max().map(Ask::Moved));
    let approved = stack.annotations().get(APPROVE).map(String::as_str);
    let rules =
        Rules { tenant_id_key: pool.tenant_id_key.clone(), attributes: pool.index.attributes.clone() };
    let is_somebodys = somebodys(cx, &name);
    // As long as the markers are not read, whatever tenants have retained would be taken for nobody's.
    let whole = whole && cx.retained.lock().contains_key(&name);
    let source = ingestion::source(status, &id, approved, pool.ingestion.as_ref()).filter(|_| whole);
    let source = source.map(|source| Source {
        pool: Some(Pool { rules: &rules, is_somebodys: &is_somebodys }),
        merges: pool.sidecars == Sidecars::Merge,
        leaving: leaving_of(cx, &name),
        ..source
    });
    let mut step = ingestion::last_step(cx, source.as_ref(), &asks, before, &mut memory.documents).await;
    if let Some(findings) = &step.findings {
        conditions_writer::reviewed(cx, &conditions_writer::subject(stack), findings).await;
    }
    if let Some(failures) = step.failures.take() {
        ingestion::tell_tenants(cx, &name, failures);
    }
    Some(step)
}

/// Which tenantIds are somebody's: a Tenant holds it, or what a Tenant retained in this stack waits for it. A Tenant that
/// is ours and cannot be read may hold any.
fn somebodys<'a>(cx: &'a Context, stack: &'a str) -> impl Fn(&str) -> bool + Send + Sync + use<'a> {
    let tenants = cx.tenants.state();
    let any = tenants.iter().any(|tenant| tenant.0.is_err() && finalizer::is_held(&**tenant, &cx.hold()));
    move |id| {
        let is_retained = || cx.retained.lock().get(stack).is_some_and(|it| it.contains_key(id));
        any || cx.claims.is_held(id) || is_retained()
    }
}

/// The tenantIds of the Pool tenants that leave this stack, from the cache.
pub(super) fn leaving_of(cx: &Context, stack: &str) -> BTreeSet<String> {
    let tenants = cx.tenants.state();
    let readable = tenants.iter().filter_map(|tenant| tenant.0.as_ref().ok());
    let leaving = readable
        .filter(|tenant| tenant.metadata.deletion_timestamp.is_some() && tenant.spec.borrows_from(stack));
    leaving.map(|tenant| tenant.spec.tenant_id.clone()).collect()
}

/// The Pool tenants that hold an id in this stack and ask for a job, from the cache.
pub(super) fn tenants_of(cx: &Context, stack: &str) -> Vec<Tenant> {
    let tenants = cx.tenants.state();
    let readable = tenants.iter().filter_map(|tenant| tenant.0.as_ref().ok());
    let pool =
        readable.filter(|tenant| tenant.spec.pattern == Pattern::Pool && tenant.spec.borrows_from(stack));
    let asks = |tenant: &Tenant| request(tenant).is_some() || moved(tenant).is_some();
    pool.filter(|tenant| finalizer::is_held(*tenant, &cx.hold()) && asks(tenant)).cloned().collect()
}

/// When the operator last moved or deleted this tenant's documents.
pub(super) fn moved(tenant: &Tenant) -> Option<jiff::Timestamp> {
    tenant.status.as_ref()?.documents_moved_time.as_ref().map(|at| at.0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;
    use crate::documents::marker::Marker;
    use crate::reconcile::context::asker;
    use crate::reconcile::mocked::{HOLD, api_server, context, read, store, tenant, with};

    #[tokio::test]
    async fn an_id_is_somebodys_while_it_is_held_or_something_is_retained_under_it() {
        let cx = context(api_server([]).client());
        cx.claims.found("held", asker(&read::<Tenant>(tenant(json!({})))));
        let retained = |id: &str| BTreeMap::from([(id.to_owned(), Marker::default())]);
        cx.retained.lock().extend([
            ("standard".to_owned(), retained("retained")),
            ("other".to_owned(), retained("elsewhere")),
        ]);
        let is_somebodys = somebodys(&cx, "standard");
        for (id, somebodys) in [("held", true), ("retained", true), ("elsewhere", false), ("nobody", false)] {
            assert_eq!(is_somebodys(id), somebodys, "{id}");
        }
        drop(cx.claims.release("held", "uid-acme"));
        assert!(!is_somebodys("held"));
    }

    #[tokio::test]
    async fn a_tenant_of_ours_that_cannot_be_read_may_hold_any_id() {
        let unreadable = |finalizers: Value| {
            with(tenant(json!({"finalizers": finalizers})), json!({"spec": {"tenantId": 5}}))
        };
        for (finalizers, somebodys_id) in [(json!([HOLD]), true), (json!(["tenantry.dev/test"]), false)] {
            let mut cx = context(api_server([]).client());
            cx.tenants = store([unreadable(finalizers.clone())]);
            assert_eq!(somebodys(&cx, "standard")("any"), somebodys_id, "{finalizers}");
        }
    }
}
