//! A pass over a SharedStack: its pool's documents, and those that borrow from it.

mod apply;
mod resolve;
mod retained;
mod teardown;

use std::sync::Arc;

use kube::{Api, Client};

use super::context::Context;
use super::engine::Passed;
use super::ingestion::LastStep;
use super::leftovers::{self, Search};
use super::managed::{Managed, Pass};
use super::memory::Memory;
use super::resolved::{Asks, Resolved};
use super::stop::Stop;
use super::{Action, Error, Guarded, conditions_writer, ids, pass, untouched};
use crate::api::{PerLayer, Reason, SharedStack, Status};
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

    async fn resolve(&mut self, cx: &Context) -> Result<Resolved, Stop> {
        resolve::resolve(cx, self).await
    }

    /// What lies in a bucket that it takes over has its records before anybody new borrows.
    async fn inspect(&self, cx: &Context, resolved: &Resolved, pass: &Pass<'_>, passed: &mut Passed) {
        if matches!(passed.layers.bucket, Some(LayerStatus::Ready))
            && pass.before.bucket.is_none()
            && let Err(unread) = record_markers(cx, &resolved.id).await
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

    async fn teardown(cx: &Context, seen: &Guarded<Self>) -> Result<Action, Error> {
        teardown::leave(cx, seen).await
    }
}

/// Records the tenants that left something in the bucket, as far as they have no record.
async fn record_markers(cx: &Context, id: &Identity) -> Result<(), LayerStatus> {
    if cx.settings.read_only {
        return Ok(());
    }
    let waits = |why: String| LayerStatus::Waiting(Reason::WaitingForRecords, why);
    match leftovers::record(cx, id, Search::Markers).await {
        Ok(_) => Ok(()),
        Err(Error::Aws(fault)) => Err(match LayerStatus::from(&*fault) {
            stalled @ LayerStatus::Stalled(..) => stalled,
            _ => waits(fault.to_string()),
        }),
        Err(other) => Err(waits(other.to_string())),
    }
}
