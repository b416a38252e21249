//! The controllers: one for each kind. A controller makes passes over the objects that its watch or another pass names.

use std::sync::Arc;

use futures::{FutureExt, stream};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Resource, ResourceExt};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::build::Feed;
use super::metrics::Metrics;
use super::watches::{self, Begun, Offers, TenantWatch, changed, stack_seen};
use super::work::{Pass, Work, received};
use crate::api::{SharedStack, Tenant};
use crate::reconcile::context::Context;
use crate::reconcile::{Action, Error as PassError, Guarded, retry, shared_stack, tenant};

/// What the controllers work with.
pub(super) struct Controllers<'a> {
    pub cx: &'a Arc<Context>,
    pub metrics: &'a Arc<Metrics>,
    pub stop: &'a CancellationToken,
}

impl Controllers<'_> {
    /// Works on Tenants until it is to stop.
    pub async fn tenants(
        &self,
        watch: TenantWatch,
        woken: mpsc::UnboundedReceiver<ObjectRef<Guarded<Tenant>>>,
    ) {
        let due = stream::select(watch.news(self.cx.clone()), received(woken));
        let cx = self.cx.clone();
        let get = move |object: &ObjectRef<_>| cx.tenants.get(object);
        let passes = passes(tenant::NAME, get, self.metrics, self.cx, tenant::reconcile);
        self.work(tenant::NAME, Handle::current()).run(due, self.cx.caches(), passes).await;
    }

    /// Works on SharedStacks until it is to stop.
    pub async fn stacks(&self, watch: Begun<Guarded<SharedStack>>, feed: Feed<Guarded<SharedStack>>) {
        let (cx, offers) = (self.cx.clone(), Offers::default());
        let seen = move |event: &watcher::Event<Guarded<SharedStack>>| stack_seen(&cx, &offers, event);
        let due = stream::select(changed(watches::stacks(watch, feed.writer, seen)), received(feed.woken));
        let stacks = self.cx.stacks.clone();
        let passes = passes(
            shared_stack::NAME,
            move |object: &ObjectRef<_>| stacks.get(object),
            self.metrics,
            self.cx,
            shared_stack::reconcile,
        );
        let threads = self.cx.settings.stack_threads.clone().unwrap_or_else(Handle::current);
        self.work(shared_stack::NAME, threads).run(due, self.cx.caches(), passes).await;
    }

    fn work(&self, controller: &'static str, threads: Handle) -> Work {
        Work {
            places: self.cx.settings.concurrency,
            threads,
            depth: self.metrics.waiting(controller),
            stop: self.stop.clone(),
        }
    }
}

/// Passes over a kind. Each reads the object as it is when the pass begins, is counted, and says when the next one is due.
fn passes<K, F>(
    controller: &'static str,
    get: impl Fn(&ObjectRef<Guarded<K>>) -> Option<Arc<Guarded<K>>>,
    metrics: &Arc<Metrics>,
    cx: &Arc<Context>,
    reconcile: impl Fn(Arc<Guarded<K>>, Arc<Context>) -> F,
) -> impl Fn(&ObjectRef<Guarded<K>>) -> Option<Pass>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
    F: Future<Output = Result<Action, PassError>> + Send + 'static,
{
    let (metrics, cx) = (metrics.clone(), cx.clone());
    move |object| {
        let span = tracing::info_span!("reconciling object", object.ref = %object);
        let object = get(object)?;
        let (uid, cx, metrics) = (object.uid(), cx.clone(), metrics.clone());
        let pass = reconcile(object, cx.clone()).boxed();
        let pass = async move {
            let over = metrics.pass(controller, pass).await;
            over.unwrap_or_else(|error| retry::after(&cx, uid.as_deref(), &error)).after
        };
        Some(pass.instrument(span).boxed())
    }
}
