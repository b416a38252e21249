//! What the gateway counts, in one registry. What an alert asks for is there from the start, at 0: a rate of what is absent
//! is absent, too.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::tenants::STATES;
use crate::api::Pattern;
use crate::api::metric::*;
use crate::ask::access::{OUTCOMES, Operation, Record};
use crate::ask::refusal::REASONS;
use crate::aws::Requests;
use crate::serve::register;

/// Upper bounds in seconds of how long a request takes: a millisecond with a refusal, some hundred with an answer.
const SECONDS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0];
/// Upper bounds in seconds of how long a question waits for its turn: at most one, if its class does not say more.
const QUEUE: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0];

/// What AWS is asked.
const UPSTREAM: [(&str, &str); 3] = [("bedrock", "Retrieve"), ("s3", "GetObject"), ("sts", "AssumeRole")];

/// Why a class refuses a question: its own limits, or the end of its time to wait.
const OF_CLASS: [&str; 3] = ["requests_per_minute", "concurrent", "throttled"];
/// Whether it was refused, or would have been.
const ENFORCEMENT: [&str; 2] = ["Enforce", "Shadow"];

/// What is told of the certificate.
#[derive(Clone, Default)]
pub struct CertificateMetrics {
    /// 1 while its files cannot be used.
    pub stale: Gauge,
    /// When it ends, in seconds since 1970.
    pub ends: Gauge,
}

/// What is told of connections.
#[derive(Clone, Default)]
pub struct ConnectionMetrics {
    /// Those that there are.
    pub open: Gauge,
    /// Those that were closed at once.
    pub refused: Counter,
}

/// See the [module](self).
pub struct Metrics {
    registry: Mutex<Registry>,
    /// Calls to AWS.
    pub aws: Requests,
    /// Requests to the API server.
    pub kubernetes: Family<Labels<2>, Counter>,
    /// Questions that wait for their turn.
    pub queued: Gauge,
    /// Requests under way.
    pub in_flight: Gauge,
    /// Connections of callers.
    pub connections: ConnectionMetrics,
    /// Members of AWS's answers that nobody knows.
    pub members_dropped: Counter,
    /// Sessions that are kept.
    pub sessions: Gauge,
    /// Tenants by their state.
    pub tenants: Family<Labels<1>, Gauge>,
    /// Since when the API server is silent, in seconds.
    pub tenants_age: Gauge<f64, AtomicU64>,
    /// Among how many the rate is shared.
    pub replicas: Gauge,
    /// This replica's share of it.
    pub rate: Gauge<f64, AtomicU64>,
    /// Lines of the access log that are lost.
    pub lines_dropped: Counter,
    /// Of the certificate that callers are shown.
    pub certificate: CertificateMetrics,
    requests: Family<Labels<2>, Counter>,
    seconds: Family<Labels<1>, Histogram>,
    queue_seconds: Histogram,
    refused: Family<Labels<1>, Counter>,
    class_requests: Family<Labels<2>, Counter>,
    class_refused: Family<Labels<3>, Counter>,
    class_queue_seconds: Family<Labels<1>, Histogram>,
    foreign: Family<Labels<1>, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let seconds = Family::new_with_constructor((|| Histogram::new(SECONDS)) as fn() -> Histogram);
        let metrics = Self {
            registry: Mutex::default(),
            aws: Requests::default(),
            kubernetes: Family::default(),
            queued: Gauge::default(),
            in_flight: Gauge::default(),
            connections: ConnectionMetrics::default(),
            members_dropped: Counter::default(),
            sessions: Gauge::default(),
            tenants: Family::default(),
            tenants_age: Gauge::default(),
            replicas: Gauge::default(),
            rate: Gauge::default(),
            lines_dropped: Counter::default(),
            certificate: CertificateMetrics::default(),
            requests: Family::default(),
            seconds,
            queue_seconds: Histogram::new(QUEUE),
            refused: Family::default(),
            class_requests: Family::default(),
            class_refused: Family::default(),
            class_queue_seconds: Family::new_with_constructor(
                (|| Histogram::new(QUEUE)) as fn() -> Histogram,
            ),
            foreign: Family::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&self) {
        let registry = &mut *self.registry.lock();
        let build = Family::<Labels<1>, ConstGauge>::new_with_constructor(|| ConstGauge::new(1));
        drop(build.get_or_create(&GATEWAY_BUILD.of([env!("CARGO_PKG_VERSION")])));
        for operation in Operation::ALL.map(Operation::as_str) {
            drop(self.requests.get_or_create(&GATEWAY_REQUESTS.of([operation, "OK"])));
            drop(self.seconds.get_or_create(&GATEWAY_SECONDS.of([operation])));
        }
        for (service, operation) in UPSTREAM {
            drop(self.aws.answered.get_or_create(&GATEWAY_UPSTREAM.of([service, operation, "OK"])));
            drop(self.aws.seconds.get_or_create(&GATEWAY_UPSTREAM_SECONDS.of([service, operation])));
        }
        for state in STATES {
            drop(self.tenants.get_or_create(&GATEWAY_TENANTS.of([state])));
        }
        drop(self.kubernetes.get_or_create(&GATEWAY_KUBERNETES.of(["201", "POST"])));
        for reason in REASONS {
            drop(self.refused.get_or_create(&GATEWAY_REFUSED.of([reason])));
        }
        for pattern in Pattern::ALL {
            drop(self.foreign.get_or_create(&GATEWAY_FOREIGN.of([&pattern.to_string()])));
        }
        register(registry, GATEWAY_BUILD, build);
        register(registry, GATEWAY_REQUESTS, self.requests.clone());
        register(registry, GATEWAY_SECONDS, self.seconds.clone());
        register(registry, GATEWAY_QUEUE_SECONDS, self.queue_seconds.clone());
        register(registry, GATEWAY_QUEUED, self.queued.clone());
        register(registry, GATEWAY_IN_FLIGHT, self.in_flight.clone());
        register(registry, GATEWAY_CONNECTIONS, self.connections.open.clone());
        register(registry, GATEWAY_CONNECTIONS_REFUSED, self.connections.refused.clone());
        register(registry, GATEWAY_REFUSED, self.refused.clone());
        register(registry, GATEWAY_CLASS_REQUESTS, self.class_requests.clone());
        register(registry, GATEWAY_CLASS_REFUSED, self.class_refused.clone());
        register(registry, GATEWAY_CLASS_QUEUE_SECONDS, self.class_queue_seconds.clone());
        register(registry, GATEWAY_FOREIGN, self.foreign.clone());
        register(registry, GATEWAY_MEMBERS_DROPPED, self.members_dropped.clone());
        register(registry, GATEWAY_UPSTREAM, self.aws.answered.clone());
        register(registry, GATEWAY_UPSTREAM_SECONDS, self.aws.seconds.clone());
        register(registry, GATEWAY_KUBERNETES, self.kubernetes.clone());
        register(registry, GATEWAY_SESSIONS, self.sessions.clone());
        register(registry, GATEWAY_TENANTS, self.tenants.clone());
        register(registry, GATEWAY_TENANTS_AGE, self.tenants_age.clone());
        register(registry, GATEWAY_REPLICAS, self.replicas.clone());
        register(registry, GATEWAY_RATE, self.rate.clone());
        register(registry, GATEWAY_LINES_DROPPED, self.lines_dropped.clone());
        register(registry, GATEWAY_CERTIFICATE_STALE, self.certificate.stale.clone());
        register(registry, GATEWAY_CERTIFICATE_ENDS, self.certificate.ends.clone());
    }

    /// All of it, as a scrape wants it.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut page = String::new();
        text::encode(&mut page, &self.registry.lock())?;
        Ok(page)
    }

    /// A request was answered; `code` is what the caller was told.
    pub fn answered(&self, operation: &str, code: &str, took: Duration) {
        self.requests.get_or_create(&GATEWAY_REQUESTS.of([operation, code])).inc();
        self.seconds.get_or_create(&GATEWAY_SECONDS.of([operation])).observe(took.as_secs_f64());
    }

    /// A request was refused for this.
    pub fn refused(&self, reason: &str) {
        self.refused.get_or_create(&GATEWAY_REFUSED.of([reason])).inc();
    }

    /// A question has waited so long for its turn.
    pub fn waited(&self, waited: Duration) {
        self.queue_seconds.observe(waited.as_secs_f64());
    }

    /// There is a class of this name: its series begin with 0.
    pub fn class_is_there(&self, class: &str) {
        for outcome in OUTCOMES {
            drop(self.class_requests.get_or_create(&GATEWAY_CLASS_REQUESTS.of([class, outcome])));
        }
        for labels in refusals_of(class) {
            drop(self.class_refused.get_or_create(&labels));
        }
        drop(self.class_queue_seconds.get_or_create(&GATEWAY_CLASS_QUEUE_SECONDS.of([class])));
    }

    /// There is no class of this name any more.
    pub fn class_is_gone(&self, class: &str) {
        for outcome in OUTCOMES {
            self.class_requests.remove(&GATEWAY_CLASS_REQUESTS.of([class, outcome]));
        }
        for labels in refusals_of(class) {
            self.class_refused.remove(&labels);
        }
        self.class_queue_seconds.remove(&GATEWAY_CLASS_QUEUE_SECONDS.of([class]));
    }

    /// A question of a tenant that has a class has ended.
    pub fn of_class(&self, record: &Record) {
        let Some(class) = &record.class else { return };
        self.class_requests.get_or_create(&GATEWAY_CLASS_REQUESTS.of([class, record.outcome()])).inc();
        if let Some(queued) = record.queued {
            let seconds = self.class_queue_seconds.get_or_create(&GATEWAY_CLASS_QUEUE_SECONDS.of([class]));
            seconds.observe(queued.as_secs_f64());
        }
        for (reason, enforcement) in [record.reason(), record.would_refuse].into_iter().zip(ENFORCEMENT) {
            if let Some(reason) = reason.filter(|reason| OF_CLASS.contains(reason)) {
                self.class_refused
                    .get_or_create(&GATEWAY_CLASS_REFUSED.of([class, reason, enforcement]))
                    .inc();
            }
        }
    }

    /// So many passages were not the tenant's.
    pub fn foreign(&self, pattern: Pattern, count: u64) {
        self.foreign.get_or_create(&GATEWAY_FOREIGN.of([&pattern.to_string()])).inc_by(count);
    }
}

/// All series that there can be of why a class refuses.
fn refusals_of(class: &str) -> impl Iterator<Item = Labels<3>> {
    let each = move |reason| ENFORCEMENT.map(|how| GATEWAY_CLASS_REFUSED.of([class, reason, how]));
    OF_CLASS.into_iter().flat_map(each)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_alerts_ask_for_is_there_from_the_start() {
        let text = Metrics::default().text().unwrap();
        for series in [
            "tenantry_gateway_foreign_passages_total{pattern=\"Pool\"} 0\n",
            "tenantry_gateway_foreign_passages_total{pattern=\"Silo\"} 0\n",
            "tenantry_gateway_refused_total{reason=\"throttled\"} 0\n",
            "tenantry_gateway_certificate_stale 0\n",
            "tenantry_gateway_tenants_age_seconds 0.0\n",
        ] {
            assert!(text.contains(series), "{series} is not in:\n{text}");
        }
    }

    #[test]
    fn every_metric_of_the_table_is_registered() {
        let metrics = Metrics::default();
        metrics.class_is_there("basic");
        let text = metrics.text().unwrap();
        for metric in GATEWAY {
            let name = metric.name.strip_suffix("_total").unwrap_or(metric.name);
            assert!(text.contains(&format!("# TYPE {name} {}\n", metric.kind.as_str())), "{name}");
        }
    }
}
