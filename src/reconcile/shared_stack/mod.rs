//! A pass over a SharedStack: its pool's documents, and those that borrow from it.

mod apply;
mod borrowers;
mod losses;
mod resolve;
mod retained;
mod teardown;

use std::borrow::Cow;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client};

use self::teardown::DeletedStack;
use super::context::Context;
use super::engine::Passed;
use super::ingestion::LastStep;
use super::leftovers::{self, Search};
use super::managed::{Managed, Pass};
use super::memory::Memory;
use super::resolved::{Asks, Resolved};
use super::stop::PassStop;
use super::{Action, Error, Guarded, conditions_writer, ids, pass, untouched};
use crate::api::{PerLayer, Reason, SharedStack, Status, VectorStore};
use crate::clock;
use crate::stack::identity::Identity;
use crate::stack::model::outcome::LayerStatus;

/// What metrics call this controller.
pub const NAME: &str = "sharedstack";

/// One pass.
pub async fn reconcile(stack: Arc<Guarded<SharedStack>>, cx: Arc<Context>) -> Result<Action, Error> {
    pass::reconcile(stack, cx).await
}

impl Managed for SharedStack {
    fn api(client: Client, _namespace: &str) -> Api<Self> {
        Api::all(client)
    }

    fn status(&self) -> Option<&Status> {
        self.status.as_ref()
    }

    fn untouched(&self) -> PerLayer<Option<LayerStatus>> {
        untouched::of_stack(self)
    }

    fn borrows(&self) -> bool {
        false
    }

    async fn resolve(object: &mut Cow<'_, Self>, cx: &Context) -> Result<Resolved, PassStop> {
        resolve::resolve(cx, object).await
    }

    /// What lies in a bucket that it takes over has its records before anybody new borrows.
    async fn inspect(&self, cx: &Context, resolved: &Resolved, pass: &Pass<'_>, passed: &mut Passed) {
        if matches!(passed.layers.bucket, Some(LayerStatus::Ready))
            && pass.before.bucket.is_none()
            && let Err(unread) = record_markers(cx, &resolved.id, resolved.store_kind()).await
        {
            passed.look_again = clock::earliest(passed.look_again, Some(ids::LOOK_AGAIN));
            passed.layers.bucket = Some(unread);
        }
    }

    async fn documents(
        &self,
        cx: &Context,
        resolved: &Resolved,
        pass: &Pass<'_>,
        memory: &mut Memory,
    ) -> Option<LastStep> {
        let Asks::SharedStack(shared) = &resolved.asks else { return None };
        let Pass { before, status, .. } = pass;
        let step = apply::pool_documents(cx, self, shared, before, status, pass.is_whole(), memory).await;
        conditions_writer::records_lost(cx, &conditions_writer::subject(self)).await;
        step
    }

    async fn teardown(cx: &Context, seen: &ObjectMeta) -> Result<Action, Error> {
        super::teardown::teardown::<DeletedStack>(cx, seen).await
    }
}

/// Records the tenants that left something in the bucket, as far as they have no record.
async fn record_markers(cx: &Context, id: &Identity, store: VectorStore) -> Result<(), LayerStatus> {
    if cx.settings.read_only {
        return Ok(());
    }
    let waits = |why: String| LayerStatus::Waiting(Reason::WaitingForRecords, why);
    match leftovers::record(cx, id, store, Search::Markers).await {
        Ok(_) => Ok(()),
        Err(Error::Aws(fault)) => Err(match LayerStatus::from(&*fault) {
            stalled @ LayerStatus::Stalled(..) => stalled,
            _ => waits(fault.to_string()),
        }),
        Err(other) => Err(waits(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::reconcile::mocked::{api_server, context, event_of, get_object, read, shared_stack, with};
    use crate::reconcile::places::Limits;

    /// It never asks, and whoever is younger would wait for it for ever.
    #[tokio::test]
    async fn who_is_not_ours_or_cannot_be_read_waits_for_no_knowledge_base() {
        let held = "It is held by the installation 'test' and left alone by 'prod'. Two --selectors that overlap, or a \
                    label that was moved, make it visible to both";
        let standard = shared_stack(json!({}));
        let anothers = shared_stack(json!({"finalizers": ["tenantry.dev/test"]}));
        let unreadable = with(standard.clone(), json!({"spec": {"pool": 5}}));
        let it = "/apis/tenantry.dev/v1alpha1/sharedstacks/standard";
        for (object, asked) in [
            (anothers, event_of(&standard, "Warning", "HeldByAnother", "Reconcile", held)),
            (unreadable, get_object(it).refused(404)),
        ] {
            let server = api_server([asked]);
            let cx = context(server.client());
            for filled in [&cx.filled.tenants, &cx.filled.stacks, &cx.filled.namespaces, &cx.filled.classes] {
                filled.set(()).unwrap();
            }
            let waiting = read::<SharedStack>(standard.clone());
            let id = Identity::of_stack(cx.scope.clone(), "standard", "uid-standard");
            let applicant = cx.applying(id, &waiting.metadata, None);
            let limits = Limits { account: 0, namespace: None };
            let ask = || async { Ok(Vec::new()) };
            let refused = cx.reservations.reserve(cx.clock, &applicant, limits, ask).await;
            assert!(matches!(refused, Err(PassStop::Refused(_))));
            assert!(cx.reservations.waits_for_knowledge_base("uid-standard"));
            let cx = Arc::new(cx);
            reconcile(Arc::new(read(object)), cx.clone()).await.unwrap();
            assert!(!cx.reservations.waits_for_knowledge_base("uid-standard"));
        }
    }
}
