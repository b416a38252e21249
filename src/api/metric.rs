//! The metrics, by name: dashboards and alerts are written against them, so they are API like conditions and reasons.

/// What a metric's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows while the process lives.
    Counter,
    /// It says how things stand.
    Gauge,
    /// How long something took, by buckets.
    Histogram,
}

impl Kind {
    /// As the exposition format writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// One metric. The number of its labels is part of its type, so that none can be forgotten.
#[derive(Clone, Copy, Debug)]
pub struct Metric<const LABELS: usize> {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: [&'static str; LABELS],
    /// What it says.
    pub meaning: &'static str,
}

/// Values for the labels of a metric, each with its label's name.
pub type Labels<const LABELS: usize> = [(&'static str, String); LABELS];

impl<const LABELS: usize> Metric<LABELS> {
    /// One of its series.
    pub fn of(&self, values: [&str; LABELS]) -> Labels<LABELS> {
        std::array::from_fn(|label| (self.labels[label], values[label].to_owned()))
    }

    /// Its row, with nothing left of how many labels it has.
    const fn row(&'static self) -> Row {
        Row { name: self.name, kind: self.kind, labels: &self.labels, meaning: self.meaning }
    }
}

/// A metric as a table has it.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub meaning: &'static str,
}

macro_rules! metrics {
    ($(#[$doc:meta])* $all:ident: $($id:ident: $kind:ident $name:literal [$($label:literal),*] $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub const $id: Metric<{ <[&str]>::len(&[$($label),*]) }> =
                Metric { name: $name, kind: Kind::$kind, labels: [$($label),*], meaning: $meaning };
        )*
        $(#[$doc])*
        pub const $all: &[Row] = &[$($id.row()),*];
    };
}

// The first group has the names that controller-runtime and client-go gave them, so that dashboards and alerts for
// other controllers know this one too.
metrics! {
    /// All metrics of the operator, in the order of the manual.
    ALL:
    RECONCILES: Counter "controller_runtime_reconcile_total" ["controller", "result"]
        "Passes that ended, by how: `success`, `requeue_after` or `error`.";
    RECONCILE_ERRORS: Counter "controller_runtime_reconcile_errors_total" ["controller"]
        "Passes that failed and are tried again.";
    RECONCILE_SECONDS: Histogram "controller_runtime_reconcile_time_seconds" ["controller"]
        "How long passes took.";
    ACTIVE_WORKERS: Gauge "controller_runtime_active_workers" ["controller"]
        "Passes under way, those included that wait for AWS.";
    MAX_WORKERS: Gauge "controller_runtime_max_concurrent_reconciles" ["controller"]
        "How many passes may work at once: the places.";
    QUEUE_DEPTH: Gauge "workqueue_depth" ["name"]
        "Objects that are due and wait for a place.";
    IS_LEADER: Gauge "leader_election_master_status" ["name"]
        "1 if this process leads, 0 if it stands by. Absent without leader election.";
    KUBERNETES_REQUESTS: Counter "rest_client_requests_total" ["code", "method"]
        "Requests to the API server, by HTTP status; `<error>` if there was no answer.";
    BUILD: Gauge "tenantry_build_info" ["version"]
        "Always 1; the label has the release.";
    CONDITION: Gauge "tenantry_status_condition" ["kind", "namespace", "name", "type", "status", "reason"]
        "1 for each condition of an object as it stands. Of all SharedStacks, and of at most `--metrics-per-object` Tenants, those first that are not Ready or otherwise in trouble.";
    DELETION: Gauge "tenantry_deletion_timestamp_seconds" ["kind", "namespace", "name"]
        "When the deletion of an object was asked for; there while it goes on. Of the same objects.";
    OLDEST_DELETION: Gauge "tenantry_oldest_deletion_timestamp_seconds" ["kind"]
        "When the deletion that goes on longest was asked for; there while one goes on. Of all objects.";
    LAST_JOB: Gauge "tenantry_ingestion_finished_timestamp_seconds" ["kind", "namespace", "name", "status"]
        "When the last ingestion job ended, and how. Of the same objects.";
    OBJECTS: Gauge "tenantry_objects" ["kind", "type", "status", "reason"]
        "How many objects have a condition that stands so. Of all objects.";
    UNREADABLE: Gauge "tenantry_objects_unreadable" ["kind"]
        "How many objects this release cannot read, such as those that a newer definition let in. Nothing is done for them, and no other metric counts them.";
    CLASS_TENANTS: Gauge "tenantry_class_tenants" ["class", "ready"]
        "How many Tenants stand under a TenantClass that is there, by whether they are Ready: `true` or `false`.";
    CLASS_DOCUMENTS: Gauge "tenantry_class_documents" ["class"]
        "How many documents the tenants of a TenantClass that is there have together, as they were last counted.";
    CLASS_BYTES: Gauge "tenantry_class_documents_bytes" ["class"]
        "How many bytes these documents have.";
    MODEL_END: Gauge "tenantry_model_end_of_life_timestamp_seconds" ["model"]
        "When an embedding model that is in use ends; there once AWS has said so.";
    RECORDS_LOST: Gauge "tenantry_records_lost" []
        "1 while the bucket with the records of tenantIds, or a record that must be there, is gone; else 0.";
    AWS_REQUESTS: Counter "tenantry_aws_requests_total" ["service", "operation", "code"]
        "Calls to AWS that were answered, or should have been, by AWS's error code; `OK` without one.";
    AWS_SECONDS: Histogram "tenantry_aws_request_duration_seconds" ["service", "operation"]
        "How long calls to AWS took, without the wait for their turn.";
    JOBS_RUNNING: Gauge "tenantry_ingestion_jobs_running" []
        "Ingestion jobs that run or are about to start, those of other installations not counted.";
    JOBS_WAITING: Gauge "tenantry_ingestion_jobs_waiting" []
        "Knowledge bases that wait for their turn to start a job.";
    JOB_SLOTS: Gauge "tenantry_ingestion_job_slots" []
        "How many jobs may run at once.";
    LONGEST_WAIT: Gauge "tenantry_ingestion_longest_wait_seconds" []
        "How long the oldest of those that wait has been waiting.";
    REVIEW_OBJECTS: Gauge "tenantry_documents_review_objects" ["owner"]
        "How many objects a review of documents has listed so far; there while it goes on. Without names, those of all Tenants are one sum, `Tenant`, which stays.";
    DOCUMENTS_REVIEWED: Counter "tenantry_documents_reviewed_total" []
        "Documents that reviews have seen.";
    SIDECARS_WRITTEN: Counter "tenantry_documents_sidecars_written_total" []
        "Metadata files that reviews have written.";
    SIDECARS_CORRECTED: Counter "tenantry_documents_corrected_total" []
        "Metadata files that named another tenant and were corrected.";
    DOCUMENTS_QUARANTINED: Counter "tenantry_documents_quarantined_total" []
        "Documents that were moved into quarantine: their key names no tenant, or leaves no room, or a job had no room for them.";
    UNCLAIMED: Gauge "tenantry_documents_unclaimed" ["name"]
        "How many documents of a SharedStack's pool lay under tenantIds that are nobody's when they were last reviewed.";
    ATTRIBUTES_DROPPED: Counter "tenantry_documents_attributes_dropped_total" []
        "Attributes of metadata files that nobody had declared and that were not kept.";
}

metrics! {
    /// All metrics of the gateway, in the order of the manual.
    GATEWAY:
    GATEWAY_BUILD: Gauge "tenantry_gateway_build_info" ["version"]
        "Always 1; the label has the release.";
    GATEWAY_REQUESTS: Counter "tenantry_gateway_requests_total" ["operation", "code"]
        "Requests that were answered, by operation and by the code that the caller was told; `OK` without one. `Unknown` is an operation that the gateway does not have.";
    GATEWAY_SECONDS: Histogram "tenantry_gateway_request_duration_seconds" ["operation"]
        "How long requests took, from the last byte of the request's head to the answer.";
    GATEWAY_QUEUE_SECONDS: Histogram "tenantry_gateway_queue_seconds" []
        "How long questions waited for their turn.";
    GATEWAY_QUEUED: Gauge "tenantry_gateway_queued" []
        "Questions that wait for their turn.";
    GATEWAY_IN_FLIGHT: Gauge "tenantry_gateway_in_flight" []
        "Requests under way, those included that wait for their turn.";
    GATEWAY_CONNECTIONS: Gauge "tenantry_gateway_connections" []
        "Connections of callers.";
    GATEWAY_CONNECTIONS_REFUSED: Counter "tenantry_gateway_connections_refused_total" []
        "Connections that were closed at once: their address, or all addresses together, had as many as they may.";
    GATEWAY_REFUSED: Counter "tenantry_gateway_refused_total" ["reason"]
        "Requests that were refused, by why.";
    GATEWAY_CLASS_REQUESTS: Counter "tenantry_gateway_class_requests_total" ["class", "outcome"]
        "Questions of tenants that have a TenantClass, by how they ended: `ok`, `refused`, or `gone` where the caller went away before.";
    GATEWAY_CLASS_REFUSED: Counter "tenantry_gateway_class_refused_total" ["class", "reason", "enforcement"]
        "Questions that a limit of the tenant's class has refused (`Enforce`), or would have refused (`Shadow`): `requests_per_minute`, `concurrent`, or `throttled`, which waited too long for their turn.";
    GATEWAY_CLASS_QUEUE_SECONDS: Histogram "tenantry_gateway_class_queue_seconds" ["class"]
        "How long questions of tenants that have a TenantClass waited for their turn, if they had it.";
    GATEWAY_FOREIGN: Counter "tenantry_gateway_foreign_passages_total" ["pattern"]
        "Passages that AWS returned to a tenant's question and that are not the tenant's; they were dropped. Anything but 0 means that a filter was not applied, that a metadata file lies, or that a knowledge base was mixed up.";
    GATEWAY_MEMBERS_DROPPED: Counter "tenantry_gateway_members_dropped_total" []
        "Members of AWS's answers that this release does not know and that were not passed on.";
    GATEWAY_UPSTREAM: Counter "tenantry_gateway_upstream_requests_total" ["service", "operation", "code"]
        "Calls to AWS that were answered, or should have been, by AWS's error code; `OK` without one.";
    GATEWAY_UPSTREAM_SECONDS: Histogram "tenantry_gateway_upstream_request_duration_seconds" ["service", "operation"]
        "How long calls to AWS took.";
    GATEWAY_KUBERNETES: Counter "tenantry_gateway_kubernetes_requests_total" ["code", "method"]
        "Requests to the API server, by HTTP status; `<error>` if there was no answer.";
    GATEWAY_SESSIONS: Gauge "tenantry_gateway_sts_sessions" []
        "Sessions with AWS that are kept, one a tenant.";
    GATEWAY_TENANTS: Gauge "tenantry_gateway_tenants" ["state"]
        "Tenants that are known, by whether they can be asked: `ready`, `unready`, `leaving` or `twice`, which is a tenantId that two accepted Tenants have.";
    GATEWAY_TENANTS_AGE: Gauge "tenantry_gateway_tenants_age_seconds" []
        "How long ago the API server last answered: what is known of tenants, callers and rights is at most so much older than usual.";
    GATEWAY_REPLICAS: Gauge "tenantry_gateway_ready_replicas" []
        "Among how many ready replicas the rate is shared.";
    GATEWAY_RATE: Gauge "tenantry_gateway_retrieve_rate" []
        "How many questions a second this replica puts to AWS at most.";
    GATEWAY_LINES_DROPPED: Counter "tenantry_gateway_access_log_dropped_total" []
        "Lines of the access log that were not written, because whatever takes them was too slow.";
    GATEWAY_CERTIFICATE_STALE: Gauge "tenantry_gateway_certificate_stale" []
        "1 while the files with certificate and key cannot be used and those read before go on; else 0.";
    GATEWAY_CERTIFICATE_ENDS: Gauge "tenantry_gateway_certificate_end_timestamp_seconds" []
        "When the certificate that callers are shown ends, in seconds since 1970; 0 without TLS.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        for metric in ALL.iter().chain(GATEWAY) {
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
            assert!(metric.kind != Kind::Histogram || metric.name.ends_with("_seconds"), "{}", metric.name);
        }
    }

    #[test]
    fn a_series_has_a_value_for_each_label() {
        let series = RECONCILES.of(["tenant", "error"]);
        assert_eq!(series, [("controller", "tenant".to_owned()), ("result", "error".to_owned())]);
    }
}
