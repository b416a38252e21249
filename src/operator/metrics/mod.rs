//! What the process counts, in one registry; [`objects`] says at each scrape how the objects stand.

use std::sync::Arc;
use std::time::Instant;

use crate::reconcile::Action;
use parking_lot::Mutex;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::api::metric::*;
use crate::aws::Requests;
use crate::documents::reviews::Reviews;
use crate::reconcile::Error;
use crate::reconcile::context::Context;
use crate::serve::register;

mod objects;

/// controller-runtime's upper bounds of how long a pass takes, in seconds.
const BUCKETS: [f64; 39] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25,
    1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0,
    60.0,
];

/// How a pass ends.
const HOW: [&str; 3] = ["success", "requeue_after", "error"];
/// What the API server answers when it fails or asks for fewer requests, or nothing.
const FAILURES: [&str; 6] = ["429", "500", "502", "503", "504", "<error>"];
/// The methods of the operator's requests to it.
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "PATCH"];

/// See the [module](self).
pub struct Metrics {
    registry: Mutex<Registry>,
    /// Calls to AWS.
    pub aws: Requests,
    /// Reviews of documents.
    pub reviews: Reviews,
    /// Requests to the API server.
    pub kubernetes: Family<Labels<2>, Counter>,
    passes: Family<Labels<2>, Counter>,
    failed: Family<Labels<1>, Counter>,
    seconds: Family<Labels<1>, Histogram>,
    active: Family<Labels<1>, Gauge>,
    most: Family<Labels<1>, Gauge>,
    waiting: Family<Labels<1>, Gauge>,
    leads: Family<Labels<1>, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        let seconds = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        let metrics = Self {
            registry: Mutex::default(),
            aws: Requests::default(),
            reviews: Reviews::default(),
            kubernetes: Family::default(),
            passes: Family::default(),
            failed: Family::default(),
            seconds,
            active: Family::default(),
            most: Family::default(),
            waiting: Family::default(),
            leads: Family::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&self) {
        let registry = &mut *self.registry.lock();
        let build = Family::<Labels<1>, ConstGauge>::new_with_constructor(|| ConstGauge::new(1));
        drop(build.get_or_create(&BUILD.of([env!("CARGO_PKG_VERSION")])));
        register(registry, BUILD, build);
        register(registry, RECONCILES, self.passes.clone());
        register(registry, RECONCILE_ERRORS, self.failed.clone());
        register(registry, RECONCILE_SECONDS, self.seconds.clone());
        register(registry, ACTIVE_WORKERS, self.active.clone());
        register(registry, MAX_WORKERS, self.most.clone());
        register(registry, QUEUE_DEPTH, self.waiting.clone());
        register(registry, IS_LEADER, self.leads.clone());
        register(registry, KUBERNETES_REQUESTS, self.kubernetes.clone());
        register(registry, AWS_REQUESTS, self.aws.answered.clone());
        register(registry, AWS_SECONDS, self.aws.seconds.clone());
        register(registry, REVIEW_OBJECTS, self.reviews.listed.clone());
        register(registry, DOCUMENTS_REVIEWED, self.reviews.reviewed.clone());
        register(registry, SIDECARS_WRITTEN, self.reviews.written.clone());
        register(registry, SIDECARS_CORRECTED, self.reviews.corrected.clone());
        register(registry, DOCUMENTS_QUARANTINED, self.reviews.quarantined.clone());
        register(registry, ATTRIBUTES_DROPPED, self.reviews.dropped.clone());
    }

    /// From now on each scrape says how the objects stand, too.
    pub fn watch(&self, cx: &Arc<Context>) {
        for controller in [crate::reconcile::tenant::NAME, crate::reconcile::shared_stack::NAME] {
            let most = i64::from(cx.settings.concurrency);
            self.most.get_or_create(&MAX_WORKERS.of([controller])).set(most);
            // So that a rate is 0 before the first error, and not absent.
            drop(self.failed.get_or_create(&RECONCILE_ERRORS.of([controller])));
            for how in HOW {
                drop(self.passes.get_or_create(&RECONCILES.of([controller, how])));
            }
        }
        for (code, method) in FAILURES.into_iter().flat_map(|code| METHODS.map(|method| (code, method))) {
            drop(self.kubernetes.get_or_create(&KUBERNETES_REQUESTS.of([code, method])));
        }
        self.aws.begin(cx.settings.registry.is_some());
        let mut registry = self.registry.lock();
        registry.register_collector(Box::new(objects::Objects(cx.clone())));
    }

    /// How many objects wait for a pass.
    pub fn waiting(&self, controller: &str) -> Gauge {
        self.waiting.get_or_create_owned(&QUEUE_DEPTH.of([controller]))
    }

    /// Whether this process leads.
    pub fn leads(&self, lease: &str, leads: bool) {
        self.leads.get_or_create(&IS_LEADER.of([lease])).set(leads.into());
    }

    /// All of it, as a scrape wants it.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut page = String::new();
        text::encode(&mut page, &self.registry.lock())?;
        Ok(page)
    }

    /// Counts a pass.
    pub async fn pass(
        &self,
        controller: &str,
        pass: impl Future<Output = Result<Action, Error>>,
    ) -> Result<Action, Error> {
        let active = self.active.get_or_create_owned(&ACTIVE_WORKERS.of([controller]));
        let begun = Instant::now();
        active.inc();
        let result = pass.await;
        active.dec();
        let took = begun.elapsed().as_secs_f64();
        self.seconds.get_or_create(&RECONCILE_SECONDS.of([controller])).observe(took);
        let [success, requeue_after, error] = HOW;
        let how = match &result {
            Ok(action) if *action == Action::await_change() => success,
            Ok(_) => requeue_after,
            Err(_) => error,
        };
        self.passes.get_or_create(&RECONCILES.of([controller, how])).inc();
        if result.is_err() {
            self.failed.get_or_create(&RECONCILE_ERRORS.of([controller])).inc();
        }
        result
    }
}
