//! What is watched, and what works on it with its context.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::{FutureExt, Stream, StreamExt, TryStreamExt, future, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::events::Reporter;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{PredicateConfig, WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio::sync::{OnceCell, SetOnce, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::metrics::Metrics;
use super::records::Installation;
use super::serve::{Health, Phase};
use super::work::{Pass, Work, received};
use super::{definitions, wait_for_aws};
use crate::api::{SharedStack, Tenant};
use crate::aws::Aws;
use crate::clock::Clock;
use crate::documents::job_slots::JobSlots;
use crate::documents::reviews::Reviews;
use crate::documents::scheduler::Limits;
use crate::reconcile::claims::TenantIdClaims;
use crate::reconcile::context::Context;
use crate::reconcile::events::Events;
use crate::reconcile::memory::Memories;
use crate::reconcile::{Action, Error as PassError, Guarded, offer_status, retry, shared_stack, tenant};
use crate::records::Kept;
use crate::records::lock::Lock;
use crate::settings::Settings;
use crate::stack::causes::causes;
use crate::stack::iam::operation::bedrock;
use crate::stack::identity::{Identity, Owner, Scope};

/// How long passes under way may take to finish; Kubernetes kills after 30 s.
const SHUTDOWN: Duration = Duration::from_secs(25);

/// How the work came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Nothing is under way any more.
    Drained,
    /// Something was: a call that was sent may still take effect.
    CutOff,
}

/// Does the work, until `stop`: this process is the only one that does.
pub(super) async fn lead(
    settings: Settings,
    client: Client,
    aws: Aws,
    installation: Installation,
    metrics: &Arc<Metrics>,
    health: &Health,
    stop: CancellationToken,
) -> anyhow::Result<Ended> {
    let grant = &installation.grant;
    let (scope, clock) = (grant.scope.clone(), Clock::new(settings.clock));
    let open = || installation.open(&aws, &client, &settings);
    let opened = wait_for_aws::wait(clock, &stop, health, Phase::AsksAws, open).await;
    let Some((ids, unrecorded)) = opened.context("the operator does not start")? else {
        return Ok(Ended::CutOff);
    };
    if !settings.read_only {
        let take = || grant.take(&aws, settings.take_over.as_deref());
        let taken = wait_for_aws::wait(clock, &stop, health, Phase::AsksAws, take).await;
        if taken.context("the operator does not start")?.is_none() {
            return Ok(Ended::CutOff);
        }
    }
    let operator = &grant.operator;
    {
        let Scope { installation, account, region, .. } = &*scope;
        tracing::info!(installation, account, region, operator, "starting");
    }

    let (tenant_store, tenant_writer) = reflector::store();
    let (stack_store, stack_writer) = reflector::store();
    let (namespace_store, namespace_writer) = reflector::store();
    let (wake_tenant, tenants_woken) = mpsc::unbounded_channel();
    let (wake_stack, stacks_woken) = mpsc::unbounded_channel();
    let job_slots = {
        let (tenants, stacks) = (wake_tenant.clone(), wake_stack.clone());
        job_slots(&settings, move |owner| match owner {
            Owner::Tenant { namespace, name, .. } => {
                let _ = tenants.send(ObjectRef::new(name).within(namespace));
            }
            Owner::Stack { name } => {
                let _ = stacks.send(ObjectRef::new(name));
            }
        })
    };
    let reporter = Reporter { controller: "tenantry".into(), instance: Some(settings.installation.clone()) };
    let cx = Arc::new(Context {
        events: Events::new(client.clone(), reporter),
        clock,
        acts_since: Timestamp::now(),
        job_slots,
        reviews: Reviews { names_tenants: settings.metrics_per_object > 0, ..metrics.reviews.clone() },
        models: Default::default(),
        client: client.clone(),
        aws,
        scope,
        settings,
        tenants: tenant_store.clone(),
        stacks: stack_store.clone(),
        namespaces: namespace_store,
        filled: Default::default(),
        ids,
        claims: TenantIdClaims::default(),
        memories: Memories::default(),
        wake_tenant,
        wake_stack,
        failures: Default::default(),
        written: Default::default(),
        reservations: Default::default(),
        ready: OnceCell::new(),
    });
    metrics.watch(&cx);
    health.is(Phase::Works(cx.clone()));

    let filter =
        watcher::Config { label_selector: cx.settings.selector.clone(), ..watcher::Config::default() };
    let tenants = {
        let cx = cx.clone();
        watch(Api::all(client.clone()), filter.clone(), tenant_writer, move |event| tenant_seen(&cx, event))
    };
    let stacks = {
        let (cx, offers) = (cx.clone(), Mutex::default());
        watch(Api::all(client.clone()), filter, stack_writer, move |event| stack_seen(&cx, &offers, event))
    };
    let work = |controller| Work {
        places: cx.settings.concurrency,
        depth: metrics.waiting(controller),
        stop: stop.clone(),
    };
    let tenants = work(tenant::NAME).run(
        stream::select(changed(tenants), received(tenants_woken)),
        cx.caches(),
        passes(tenant::NAME, tenant_store, metrics, &cx, tenant::reconcile),
    );
    let stacks = work(shared_stack::NAME).run(
        stream::select(changed(stacks), received(stacks_woken)),
        cx.caches(),
        passes(shared_stack::NAME, stack_store, metrics, &cx, shared_stack::reconcile),
    );
    let namespaces = watcher(Api::<PartialObjectMeta<Namespace>>::all(client), watcher::Config::default())
        .default_backoff()
        .modify(|namespace| namespace.managed_fields_mut().clear())
        .reflect(namespace_writer)
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
        });
    Ok(tokio::select! {
        _ = namespaces => Ended::CutOff,
        _ = async { tokio::join!(tenants, stacks) } => Ended::Drained,
        // Who only reads has nothing to lose.
        lost = installation.watch(&cx), if !cx.settings.read_only => return Err(lost),
        never = record(&installation, &cx, unrecorded) => match never {},
        ended = patience(&cx, stop) => ended,
    })
}

/// Records what has no record yet, and has no end.
async fn record(
    installation: &Installation,
    cx: &Context,
    unrecorded: Option<Kept<Lock>>,
) -> std::convert::Infallible {
    if let Some(lock) = unrecorded {
        cx.caches().await;
        installation.complete(cx, lock).await;
    }
    std::future::pending().await
}

/// Passes over a kind: each is over the object as it is when it begins, is counted, and is followed by another.
fn passes<K, F>(
    controller: &'static str,
    store: Store<Guarded<K>>,
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
        let object = store.get(object)?;
        let (uid, cx, metrics) = (object.uid(), cx.clone(), metrics.clone());
        let pass = reconcile(object, cx.clone()).boxed();
        let pass = async move {
            let over = metrics.pass(controller, pass).await;
            over.unwrap_or_else(|error| retry::after(&cx, uid.as_deref(), &error)).after
        };
        Some(pass.instrument(span).boxed())
    }
}

/// What a watch shows.
fn changed<K: Resource<DynamicType = ()>>(
    watch: impl Stream<Item = Result<K, watcher::Error>>,
) -> impl Stream<Item = ObjectRef<K>> {
    watch.filter_map(|event| {
        future::ready(match event {
            Ok(object) => Some(ObjectRef::from_obj(&object)),
            Err(error) if definitions::is_gone(&error) => {
                let kind = K::kind(&()).into_owned();
                tracing::warn!(kind, "its definition is gone; {}", definitions::ADVICE);
                None
            }
            Err(error) => {
                tracing::warn!(error = causes(&error), "a watch failed; trying again");
                None
            }
        })
    })
}

/// AWS's limits on ingestion jobs, at the pace that this operator keeps.
fn job_slots(settings: &Settings, wake: impl Fn(&Owner) + Send + Sync + 'static) -> JobSlots {
    let (clock, pace) = (Clock::new(settings.clock), f64::from(settings.pace.clamp(1, 100)) / 100.0);
    let rate = bedrock::StartIngestionJob.per_second().unwrap_or(1.0) * pace;
    let limits = Limits { jobs: settings.max_ingestion_jobs, interval: Duration::from_secs_f64(1.0 / rate) };
    JobSlots::new(limits, move |at| clock.calendar(at), wake)
}

/// Ends some time after `stop`: passes under way may finish, but a process that is asked to end does end; at once if
/// its stores are not filled yet, because the watches that would fill them have ended.
async fn patience(cx: &Context, stop: CancellationToken) -> Ended {
    stop.cancelled().await;
    if !cx.filled.all() {
        // Passes wait for that before anything else.
        return Ended::Drained;
    }
    tokio::time::sleep(cx.clock.outside(SHUTDOWN)).await;
    tracing::warn!("stopped in the middle of a pass; the next start goes on with it");
    Ended::CutOff
}

/// A kind's one watch: it fills the store, tells `seen` of everything, and triggers passes only by what somebody other
/// than we may have changed.
fn watch<K>(
    api: Api<Guarded<K>>,
    filter: watcher::Config,
    writer: Writer<Guarded<K>>,
    seen: impl Fn(&watcher::Event<Guarded<K>>) + Send + 'static,
) -> impl Stream<Item = Result<Guarded<K>, watcher::Error>>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
{
    watcher(api, filter)
        .default_backoff()
        .modify(|object| object.managed_fields_mut().clear())
        .reflect(writer)
        .inspect_ok(seen)
        .applied_objects()
        .predicate_filter(news::<K>, PredicateConfig::default())
}

/// What of an object is news: not its status and not its hold, which are ours.
fn news<K: Resource>(object: &Guarded<K>) -> Option<u64> {
    let meta = object.meta();
    let mut hasher = DefaultHasher::new();
    (&meta.uid, meta.generation, &meta.labels, &meta.annotations, meta.deletion_timestamp.is_some())
        .hash(&mut hasher);
    Some(hasher.finish())
}

/// A Tenant that is gone, or out of our sight, asks for its tenantId no more, and its SharedStack may be waiting for that.
/// Whose the id is its record says.
fn tenant_seen(cx: &Context, event: &watcher::Event<Guarded<Tenant>>) {
    let gone = match event {
        watcher::Event::Delete(gone) => gone,
        watcher::Event::InitDone => {
            // A listing does not say what has gone since the last.
            let there: HashSet<_> =
                cx.tenants.state().iter().filter_map(|it| it.meta().uid.clone()).collect();
            for next in cx.claims.keep(|uid| there.contains(uid)) {
                let _ = cx.wake_tenant.send(next);
            }
            return fill(&cx.filled.tenants);
        }
        _ => return,
    };
    let uid = gone.meta().uid.clone().unwrap_or_default();
    cx.forget(&uid);
    let Ok(gone) = &gone.0 else { return };
    cx.release_claim(&gone.spec.tenant_id, &uid);
    if let Some(stack) = &gone.spec.stack_ref {
        cx.wake_stack(&stack.name);
    }
}

/// A SharedStack wakes its borrowers when what it offers, or whether it offers at all, has changed.
fn stack_seen(
    cx: &Context,
    offers: &Mutex<HashMap<String, String>>,
    event: &watcher::Event<Guarded<SharedStack>>,
) {
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
        cx.wake_borrowers(&stack);
    }
}

/// A store is filled; each new listing fills it again.
fn fill(filled: &SetOnce<()>) {
    let _ = filled.set(());
}
