//! What is watched: each watch fills a store, and says which objects have changed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt, future, stream};
use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer;
use kube::runtime::{PredicateConfig, WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio::sync::{SetOnce, mpsc};
use tokio_util::task::AbortOnDropHandle;

use super::definitions;
use crate::api::{SharedStack, Tenant};
use crate::reconcile::context::Context;
use crate::reconcile::tenants::{Tenants, news};
use crate::reconcile::{Guarded, Unread, offer_status};
use crate::stack::causes::causes;
use crate::stack::identity::Identity;

/// How many Tenants are read before they are put into the cache: a page of a list.
const AHEAD: usize = 500;

/// What SharedStacks offered when their borrowers were last woken, by name.
pub(super) type Offers = Mutex<HashMap<String, String>>;

/// What a watch tells.
type Told<K> = Result<watcher::Event<K>, watcher::Error>;

/// A watch that is begun, whoever listens to it later: its first list is asked for now, and a page of it waits to be taken in
/// while the next is read.
pub(super) struct Begun<K>(mpsc::Receiver<Told<K>>, AbortOnDropHandle<()>);

impl<K> Begun<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    fn watch(client: Client, label_selector: Option<String>) -> Self {
        let filter = watcher::Config { label_selector, ..watcher::Config::default() };
        let (read, told) = mpsc::channel(AHEAD);
        let watch = watcher(Api::<K>::all(client), filter).default_backoff().for_each(move |event| {
            let read = read.clone();
            // Who ends does not listen any more.
            async move { drop(read.send(event).await) }
        });
        Self(told, AbortOnDropHandle::new(tokio::spawn(watch)))
    }

    /// What it tells, from the beginning on.
    fn told(self) -> impl Stream<Item = Told<K>> {
        let Self(mut told, task) = self;
        stream::poll_fn(move |context| {
            let _ = &task;
            told.poll_recv(context)
        })
    }
}

/// The watches, each the only one of its kind. They begin before the controllers do: the lists are there when those begin, and
/// whoever must know at the start which Tenants there are need not list them again.
pub(super) struct Watches {
    pub tenants: TenantWatch,
    pub stacks: Begun<Guarded<SharedStack>>,
    pub namespaces: Begun<PartialObjectMeta<Namespace>>,
}

impl Watches {
    /// Begins to watch the objects of a selector, and all namespaces.
    pub fn begin(client: &Client, selector: Option<&String>) -> Self {
        Self {
            tenants: TenantWatch::begin(client.clone(), selector.cloned()),
            stacks: Begun::watch(client.clone(), selector.cloned()),
            namespaces: Begun::watch(client.clone(), None),
        }
    }
}

/// The watch of SharedStacks fills the store, and tells `seen` of everything. It triggers passes only by changes that
/// may not be the operator's own.
pub(super) fn stacks(
    watch: Begun<Guarded<SharedStack>>,
    writer: Writer<Guarded<SharedStack>>,
    seen: impl Fn(&watcher::Event<Guarded<SharedStack>>) + Send + 'static,
) -> impl Stream<Item = Result<Guarded<SharedStack>, watcher::Error>> {
    watch
        .told()
        .modify(|object| object.managed_fields_mut().clear())
        .reflect(writer)
        .inspect_ok(seen)
        .applied_objects()
        .predicate_filter(
            |object: &Guarded<SharedStack>| Some(news(object.meta())),
            PredicateConfig::default(),
        )
}

/// The watch of Tenants.
pub(crate) struct TenantWatch {
    /// What it has shown.
    pub tenants: Arc<Tenants>,
    listed: Arc<SetOnce<()>>,
    shown: mpsc::UnboundedReceiver<Shown>,
    _task: AbortOnDropHandle<()>,
}

/// What a watch of Tenants shows.
pub(super) enum Shown {
    /// A Tenant of which something is news.
    News(ObjectRef<Guarded<Tenant>>),
    /// One that is gone, or that the selector does not show any more.
    Gone(Box<Guarded<Tenant>>),
    /// All that are there have been listed.
    Listed,
}

impl TenantWatch {
    /// Begins to watch the Tenants of a selector.
    pub fn begin(client: Client, label_selector: Option<String>) -> Self {
        let (tenants, listed) = (Arc::<Tenants>::default(), Arc::<SetOnce<()>>::default());
        let (sender, shown) = mpsc::unbounded_channel();
        // A task of its own, so that what is read is put into the cache beside the reading.
        let watch = Begun::watch(client, label_selector);
        let task = tokio::spawn(take(tenants.clone(), listed.clone(), watch, sender));
        Self { tenants, listed, shown, _task: AbortOnDropHandle::new(task) }
    }

    /// Waits until all that are there have been listed.
    pub async fn listed(&self) {
        self.listed.wait().await;
    }

    /// What it shows, from the beginning on. Answers those of which something is news.
    pub fn news(self, cx: Arc<Context>) -> impl Stream<Item = ObjectRef<Guarded<Tenant>>> {
        let Self { mut shown, _task: task, .. } = self;
        let shown = stream::poll_fn(move |context| {
            let _ = &task;
            shown.poll_recv(context)
        });
        shown.filter_map(move |shown| future::ready(tenant_seen(&cx, shown)))
    }
}

/// Puts into the cache what the watch has read, and hands on what follows.
async fn take(
    tenants: Arc<Tenants>,
    listed: Arc<SetOnce<()>>,
    watch: Begun<Unread<Tenant>>,
    shown: mpsc::UnboundedSender<Shown>,
) {
    let Begun(mut told, _task) = watch;
    while let Some(told) = told.recv().await {
        let event = match told {
            Ok(event) => event,
            Err(error) => {
                failed::<Tenant>(&error);
                continue;
            }
        };
        let is_done = matches!(event, watcher::Event::InitDone);
        if let Some(news) = taken(&tenants, event) {
            // Who ends does not listen any more.
            let _ = shown.send(news);
        }
        if is_done {
            fill(&listed);
        }
    }
}

/// Puts into the cache what the watch tells.
fn taken(tenants: &Tenants, event: watcher::Event<Unread<Tenant>>) -> Option<Shown> {
    let shown = match &event {
        watcher::Event::Delete(gone) => Some(Shown::Gone(Box::new(gone.clone().read()))),
        watcher::Event::InitDone => Some(Shown::Listed),
        _ => None,
    };
    let news = tenants.take(event);
    shown.or(news.map(Shown::News))
}

/// The objects that a watch shows.
pub(super) fn changed<K: Resource<DynamicType = ()>>(
    watch: impl Stream<Item = Result<K, watcher::Error>>,
) -> impl Stream<Item = ObjectRef<K>> {
    watch.filter_map(|event| {
        future::ready(match event {
            Ok(object) => Some(ObjectRef::from_obj(&object)),
            Err(error) => {
                failed::<K>(&error);
                None
            }
        })
    })
}

/// A watch that fails is begun again, and the log says so.
pub(super) fn failed<K: Resource<DynamicType = ()>>(error: &watcher::Error) {
    if definitions::is_gone(error) {
        let kind = K::kind(&()).into_owned();
        tracing::warn!(kind, "its definition is gone; {}", definitions::ADVICE);
    } else {
        tracing::warn!(error = causes(error), "a watch failed; trying again");
    }
}

/// Watches namespaces, for their labels. A change wakes all Tenants in the namespace.
pub(super) async fn namespaces(
    cx: &Context,
    watch: Begun<PartialObjectMeta<Namespace>>,
    writer: Writer<PartialObjectMeta<Namespace>>,
) {
    watch
        .told()
        .modify(|namespace| namespace.managed_fields_mut().clear())
        .reflect(writer)
        .for_each(|event| {
            match event {
                Ok(watcher::Event::Apply(namespace)) => cx.wake_namespace(&namespace.name_any()),
                Ok(watcher::Event::InitDone) => fill(&cx.filled.namespaces),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(error = causes(&error), "namespaces cannot be watched; trying again");
                }
            }
            async {}
        })
        .await;
}

/// What follows from what the watch of Tenants shows; answers one of which something is news.
fn tenant_seen(cx: &Context, shown: Shown) -> Option<ObjectRef<Guarded<Tenant>>> {
    match shown {
        Shown::News(tenant) => return Some(tenant),
        Shown::Gone(gone) => tenant_gone(cx, &gone),
        Shown::Listed => {
            // A listing does not say what has gone since the last.
            let there = cx.tenants.kept();
            let there: HashSet<_> = there.iter().filter_map(|it| it.meta().uid.as_deref()).collect();
            for next in cx.claims.keep(|uid| there.contains(uid)) {
                let _ = cx.wake_tenant.send(next);
            }
            fill(&cx.filled.tenants);
        }
    }
    None
}

/// A Tenant that is gone, or that the selector does not show any more, no longer asks for its tenantId. Its SharedStack may
/// be waiting for that. The record still says whose the id is.
fn tenant_gone(cx: &Context, gone: &Guarded<Tenant>) {
    let uid = gone.meta().uid.clone().unwrap_or_default();
    cx.forget(&uid);
    let Ok(gone) = &gone.0 else { return };
    cx.release_claim(&gone.spec.tenant_id, &uid);
    if let Some((_, Some(stack))) = cx.would_stand(gone) {
        cx.wake_stack(&stack);
    }
}

/// A SharedStack wakes its borrowers when its offer has changed. At the start all are due anyway.
pub(super) fn stack_seen(cx: &Context, offers: &Offers, event: &watcher::Event<Guarded<SharedStack>>) {
    let (stack, offer) = match event {
        watcher::Event::Apply(stack) | watcher::Event::InitApply(stack) => {
            let id = Identity::of_stack(cx.scope.clone(), &stack.name_any(), "");
            let offer = stack.0.as_ref().ok().map(|stack| {
                let offer = offer_status::offer_of(&id, stack).map(|offer| offer.hash());
                let spec =
                    serde_json::to_string(&(&stack.spec.allowed_namespaces, stack.spec.pool.is_some())).ok();
                format!("{:?} {offer:?} {spec:?}", stack.metadata.deletion_timestamp.is_some())
            });
            (stack.name_any(), offer)
        }
        watcher::Event::Delete(stack) => (stack.name_any(), None),
        watcher::Event::InitDone => return fill(&cx.filled.stacks),
        watcher::Event::Init => return,
    };
    let mut offers = offers.lock();
    let offer = offer.unwrap_or_default();
    if offers.get(&stack) != Some(&offer) {
        offers.insert(stack.clone(), offer);
        if cx.filled.stacks.initialized() {
            cx.wake_borrowers(&stack);
        }
    }
}

/// A store is filled; each new listing fills it again.
fn fill(filled: &SetOnce<()>) {
    let _ = filled.set(());
}
