//! The context of all passes, and what feeds it.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use kube::core::PartialObjectMeta;
use kube::runtime::events::Reporter;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, Lookup, ObjectRef};
use tokio::sync::{OnceCell, mpsc};

use crate::api::{SharedStack, Tenant, TenantClass};
use crate::aws::Aws;
use crate::clock::Clock;
use crate::documents::job_slots::JobSlots;
use crate::documents::reviews::Reviews;
use crate::documents::scheduler::Limits;
use crate::reconcile::Guarded;
use crate::reconcile::claims::TenantIdClaims;
use crate::reconcile::context::Context;
use crate::reconcile::events::Events;
use crate::reconcile::ids::Ids;
use crate::reconcile::memory::Memories;
use crate::reconcile::tenants::Tenants;
use crate::settings::Settings;
use crate::stack::iam::operation::bedrock;
use crate::stack::identity::{Owner, Scope};

/// What a context is built from.
pub(super) struct Parts {
    pub settings: Settings,
    pub client: Client,
    pub aws: Aws,
    pub scope: Arc<Scope>,
    pub ids: Ids,
    pub reviews: Reviews,
    pub tenants: Arc<Tenants>,
}

/// What feeds the controller of a kind.
pub(super) struct Feed<K: Lookup<DynamicType: Eq + Hash + Clone> + Clone + 'static> {
    /// Fills its store.
    pub writer: Writer<K>,
    /// The objects that other passes wake.
    pub woken: mpsc::UnboundedReceiver<ObjectRef<K>>,
}

/// What feeds a context.
pub(super) struct Feeds {
    /// The Tenants that other passes wake.
    pub tenants_woken: mpsc::UnboundedReceiver<ObjectRef<Guarded<Tenant>>>,
    pub stacks: Feed<Guarded<SharedStack>>,
    pub namespaces: Writer<PartialObjectMeta<Namespace>>,
    pub classes: Writer<Guarded<TenantClass>>,
}

/// A context, and what fills its stores.
pub(super) fn context(parts: Parts) -> (Context, Feeds) {
    let Parts { settings, client, aws, scope, ids, reviews, tenants } = parts;
    let (stacks, stack_writer) = reflector::store();
    let (namespaces, namespace_writer) = reflector::store();
    let (tenant_classes, class_writer) = reflector::store();
    let (wake_tenant, tenants_woken) = mpsc::unbounded_channel();
    let (wake_stack, stacks_woken) = mpsc::unbounded_channel();
    let feeds = Feeds {
        tenants_woken,
        stacks: Feed { writer: stack_writer, woken: stacks_woken },
        namespaces: namespace_writer,
        classes: class_writer,
    };
    let reporter = Reporter { controller: "tenantry".into(), instance: Some(settings.installation.clone()) };
    let cx = Context {
        events: Events::new(client.clone(), reporter),
        clock: Clock::new(settings.clock),
        acts_since: Timestamp::now(),
        job_slots: {
            let (tenants, stacks) = (wake_tenant.clone(), wake_stack.clone());
            job_slots(&settings, move |owner| match owner {
                Owner::Tenant { namespace, name, .. } => {
                    let _ = tenants.send(ObjectRef::new(name).within(namespace));
                }
                Owner::Stack { name } => {
                    let _ = stacks.send(ObjectRef::new(name));
                }
            })
        },
        reviews: Reviews { names_tenants: settings.metrics_per_object > 0, ..reviews },
        models: Default::default(),
        client,
        aws,
        scope,
        settings,
        tenants,
        stacks,
        namespaces,
        tenant_classes,
        classes: Default::default(),
        filled: Default::default(),
        ids,
        claims: TenantIdClaims::default(),
        memories: Memories::default(),
        wake_tenant,
        wake_stack,
        failures: Default::default(),
        tallies: Default::default(),
        written: Default::default(),
        reservations: Default::default(),
        ready: OnceCell::new(),
    };
    (cx, feeds)
}

/// AWS's limits on ingestion jobs, at the pace that this operator keeps.
fn job_slots(settings: &Settings, wake: impl Fn(&Owner) + Send + Sync + 'static) -> JobSlots {
    let (clock, pace) = (Clock::new(settings.clock), f64::from(settings.pace.clamp(1, 100)) / 100.0);
    let rate = bedrock::StartIngestionJob.per_second().unwrap_or(1.0) * pace;
    let limits = Limits { jobs: settings.max_ingestion_jobs, interval: Duration::from_secs_f64(1.0 / rate) };
    JobSlots::new(limits, move |at| clock.calendar(at), wake)
}
