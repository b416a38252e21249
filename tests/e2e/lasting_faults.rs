//! A failure that lasts is told with its cause, while a stack is built, while it stands and while it goes, and it all goes
//! on by itself once the cause is gone.

use regex::Regex;
use serde_json::json;
use tenantry::api::{Layer, Pattern, RETRY_REQUESTED_AT};
use tenantry::settings::Settings;

use crate::objects::Object;
use crate::world::{World, world_with, world_without_operator};

/// A deadline of ten minutes is six seconds.
const SPEED: u32 = 100;

/// What goes wrong.
struct Row {
    /// Also the Tenant's name.
    name: &'static str,
    fault: serde_json::Value,
    /// What is told once it has lasted: while it is built, and while it goes.
    told: &'static str,
    /// What is told of what was ready.
    of_ready: &'static str,
}

fn coded(code: &str, status: u16) -> serde_json::Value {
    json!({"code": code, "status": status, "message": "A fault that lasts"})
}

/// One code a class, and no answer at all. Nothing of a Bridge tenant is `Unreachable` here, and what is `NotYet`, a
/// `Conflict` or `NotFound` is no failure of a look.
fn rows() -> Vec<Row> {
    let row = |name, fault, told, of_ready| Row { name, fault, told, of_ready };
    let person = |name, code, status, reason| row(name, coded(code, status), reason, reason);
    vec![
        person("denied", "AccessDenied", 403, "Stalled=True/Denied"),
        person("skewed", "InvalidSignatureException", 403, "Stalled=True/Denied"),
        person("optin", "OptInRequired", 403, "Stalled=True/Denied"),
        person("quota", "LimitExceeded", 409, "Stalled=True/Quota"),
        person("invalid", "ValidationError", 400, "Stalled=True/Invalid"),
        row(
            "throttled",
            coded("Throttling", 400),
            "Stalled=True/DeadlineExceeded",
            "Reconciling=True/Throttled",
        ),
        row(
            "failing",
            coded("ServiceFailure", 500),
            "Stalled=True/DeadlineExceeded",
            "Reconciling=True/Transient",
        ),
        row("cut", json!({"drop": "before"}), "Stalled=True/DeadlineExceeded", "Reconciling=True/Transient"),
        row(
            "unknown",
            coded("NobodyHasSeenThisBefore", 400),
            "Stalled=True/DeadlineExceeded",
            "Stalled=True/DeadlineExceeded",
        ),
    ]
}

impl Row {
    /// From now on AWS answers so whenever the role of the row's Tenant is looked at.
    async fn strikes(&self, w: &World) {
        let role = w.tenant_identity(self.name, Pattern::Bridge, Some("standard"), "").name(Layer::Role);
        let mut rule = self.fault.clone();
        rule["service"] = json!("iam");
        rule["resource"] = json!(format!("*{role}*"));
        rule["count"] = json!(1_000_000);
        w.double.fault(rule).await;
    }

    /// Waits for what is told, and for the cause in it.
    async fn is_told(&self, w: &World, wanted: &str) -> Object {
        let told = w.condition(self.name, wanted).await;
        let (kind, _) = wanted.split_once('=').unwrap();
        let cause = self.fault["code"].as_str().unwrap_or("Connection");
        let message = told.message(kind);
        assert!(message.contains(cause) && message.contains("iam:"), "{}", told.describe());
        for condition in &told.status.conditions {
            assert!(condition.message != "Looking at what is there", "{}", told.describe());
        }
        told
    }
}

fn fast(settings: &mut Settings) {
    settings.clock = SPEED;
}

async fn bridge_stack(w: &World) {
    w.double.settings(json!({"speedup": SPEED})).await;
    w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {}}").await;
    w.ready("SharedStack/standard").await;
}

#[tokio::test]
async fn a_failure_that_lasts_is_told_while_a_stack_is_built_while_it_stands_and_while_it_goes() {
    world_with(fast, |w| async move {
        bridge_stack(&w).await;
        let rows = rows();
        for row in &rows {
            row.strikes(&w).await;
            w.apply(&format!(
                "{{kind: Tenant, metadata: {{name: {0}}}, spec: {{tenantId: {0}, pattern: Bridge, \
                 stackRef: {{name: standard}}, deletionPolicy: Delete}}}}",
                row.name
            ))
            .await;
        }
        for row in &rows {
            let told = row.is_told(&w, row.told).await;
            assert!(!told.is("Ready=True"), "{}", told.describe());
        }
        w.double.heal().await;
        for row in &rows {
            w.ready(row.name).await;
        }

        // All that stands is looked at once more.
        for row in &rows {
            row.strikes(&w).await;
            w.annotate(row.name, RETRY_REQUESTED_AT, Some("standing")).await;
        }
        for row in &rows {
            let told = row.is_told(&w, row.of_ready).await;
            assert_eq!(told.is("Ready=True"), row.of_ready.starts_with("Reconciling"), "{}", told.describe());
        }
        w.double.heal().await;
        for row in &rows {
            w.condition(row.name, "Reconciling=False/Ready").await;
            w.ready(row.name).await;
        }

        for row in &rows {
            row.strikes(&w).await;
            w.delete(row.name).await;
        }
        for row in &rows {
            let told = row.is_told(&w, row.told).await;
            let reason = row.told.split_once('/').unwrap().1;
            assert!(told.is(&format!("DeletionBlocked=True/{reason}")), "{}", told.describe());
            let message = told.message("DeletionBlocked");
            assert!(!message.contains("Change the spec"), "nobody acts on it any more: {message}");
            assert!(!told.is("KnowledgeBaseReady=True"), "{}", told.describe());
        }
        w.double.heal().await;
        for row in &rows {
            w.gone(row.name).await;
        }
    })
    .await;
}

/// What is refused is tried again after five minutes, or when somebody says that the cause is gone.
#[tokio::test]
async fn whoever_has_mended_a_cause_need_not_wait_for_the_next_try() {
    world_with(
        |_| {},
        |w| async move {
            w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {}}").await;
            w.ready("SharedStack/standard").await;
            let row = Row {
                name: "acme",
                fault: coded("AccessDenied", 403),
                told: "Stalled=True/Denied",
                of_ready: "Stalled=True/Denied",
            };
            row.strikes(&w).await;
            w.apply(
                "{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Bridge, stackRef: {name: standard}}}",
            )
            .await;
            row.is_told(&w, row.told).await;
            w.double.heal().await;
            let asked = std::time::Instant::now();
            w.annotate("acme", RETRY_REQUESTED_AT, Some("now")).await;
            w.until("acme", "is tried again", |it| !it.is(row.told)).await;
            // Five minutes are thirty seconds here, and a look is made every ten, which is one, at most.
            assert!(asked.elapsed().as_secs() < 20, "it took {:?}", asked.elapsed());
            w.ready("acme").await;
        },
    )
    .await;
}

/// HEAD has no body, so that S3 gives no reason. Whoever sees no bucket because a right is missing must not be told that
/// somebody else has it.
#[tokio::test]
async fn a_refusal_without_a_reason_is_not_taken_for_anothers_bucket() {
    world_with(
        |_| {},
        |w| async move {
            let bucket = w.tenant_identity("acme", Pattern::Silo, None, "").name(Layer::Bucket);
            for operation in ["HeadBucket", "GetBucketTagging"] {
                let rule = json!({
                    "operation": operation, "resource": bucket, "fault": "denied", "count": 1_000_000,
                });
                w.double.fault(rule).await;
            }
            w.apply("{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Silo}}").await;
            let told = w.condition("acme", "Stalled=True/Denied").await;
            let message = told.message("BucketReady");
            assert!(message.contains("Allow s3:GetBucketTagging"), "{}", told.describe());
            w.double.heal().await;
            w.annotate("acme", RETRY_REQUESTED_AT, Some("now")).await;
            w.ready("acme").await;
        },
    )
    .await;
}

/// Whoever starts the operator is told which server it cannot reach, and why.
#[tokio::test]
async fn a_server_that_cannot_be_reached_is_named_and_nothing_else_is_logged_again_and_again() {
    let test = async |w: World| {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = std::fs::read_to_string(&w.bed.operator_kubeconfig).unwrap();
        let server = Regex::new(r"https://127\.0\.0\.1:\d+").unwrap();
        let path = std::env::temp_dir().join(format!("tenantry-{}-{}", std::process::id(), w.suffix));
        let away = format!("https://{closed}");
        std::fs::write(&path, server.replace_all(&config, &away).as_bytes()).unwrap();
        let mut operator = w.replica_by("first", path.to_str().unwrap(), &[]).await;
        operator.says(&w, &format!("the API server {away}/ cannot be reached")).await;
        let (ready, why) = operator.ready().await;
        assert!(!ready && why.contains(&away) && why.contains("refused"), "{why}");
        assert!(!operator.log().contains("failed with error"), "{}", operator.log());
        operator.die().await;
        std::fs::remove_file(path).unwrap();
    };
    world_without_operator(|_| {}, test).await;
}
