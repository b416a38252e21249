//! Who still borrows from a SharedStack that is being deleted.

use kube::api::{DynamicObject, ListParams};
use kube::core::ApiResource;
use kube::{Api, ResourceExt};

use super::retained::listed;
use crate::api::{Reason, Tenant};
use crate::reconcile::context::Context;
use crate::reconcile::finalizer;
use crate::reconcile::ids;
use crate::reconcile::teardown::LastSpec;
use crate::reconcile::unparsed::field;
use crate::records::Trouble;
use crate::stack::model::progress::{Cadence, Progress};

/// All Tenants: a live LIST, because a cache may not have seen the newest finalizer.
pub(super) async fn all_tenants(cx: &Context) -> Result<Vec<DynamicObject>, kube::Error> {
    let api: Api<DynamicObject> = Api::all_with(cx.client.clone(), &ApiResource::erase::<Tenant>(&()));
    match api.list(&ListParams::default()).await {
        Ok(tenants) => Ok(tenants.items),
        // A kind that is not defined any more has no objects.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// What is waited for until nobody borrows. While the records do not answer, who borrows, and what was retained, cannot be
/// told.
pub(super) async fn wait_for(cx: &Context, tenants: &[DynamicObject], stack: &str) -> Progress {
    let borrowing = match cx.ids.closed() {
        Some(trouble) => Err(trouble),
        None => borrowing(cx, tenants, stack).await,
    };
    match borrowing {
        Err(trouble) => ids::waits(&trouble),
        Ok(tenants) if tenants.is_empty() => Progress::Done,
        Ok(tenants) => Progress::Waiting {
            reason: Reason::Borrowed,
            message: format!(
                "{} Tenants still borrow from it: {}. Delete them first",
                tenants.len(),
                listed(&tenants, ", ")
            ),
            cadence: Cadence::Steady,
        },
    }
}

/// Who borrows. A Tenant without our finalizer, or whose tenantId is not its own, borrows nothing, and will see that the
/// SharedStack is being deleted before it does. Whose an id is that this process has not met is read.
async fn borrowing(cx: &Context, tenants: &[DynamicObject], stack: &str) -> Result<Vec<String>, Trouble> {
    let names_it = |tenant: &&DynamicObject| {
        LastSpec::of(tenant, &|class| cx.placed_by(class)).stack.as_deref() == Some(stack)
            && finalizer::has_finalizer(*tenant, &cx.finalizer())
    };
    let mut borrowing = Vec::new();
    for tenant in tenants.iter().filter(names_it) {
        let tenant_id: String = field(tenant, "/spec/tenantId").unwrap_or_default();
        let uid = tenant.uid().unwrap_or_default();
        if cx.has_id(&tenant_id, &uid)
            || (cx.ids.read(&tenant_id).await?.is_some() && cx.has_id(&tenant_id, &uid))
        {
            borrowing.push(format!("{}/{}", tenant.namespace().unwrap_or_default(), tenant.name_any()));
        }
    }
    Ok(borrowing)
}
