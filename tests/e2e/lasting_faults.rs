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
            assert!(condition.message != "Looking at what exists in AWS", "{}", told.describe());
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

/// Applies a tenant that borrows from it.
async fn bridge(w: &World, name: &str) {
    w.apply(&format!(
        "{{kind: Tenant, metadata: {{name: {name}}}, spec: {{tenantId: {name}, pattern: Bridge, \
         stackRef: {{name: standard}}, deletionPolicy: Delete}}}}"
    ))
    .await;
}

#[tokio::test]
async fn a_failure_that_lasts_is_told_while_a_stack_is_built_while_it_stands_and_while_it_goes() {
    world_with(fast, |w| async move {
        bridge_stack(&w).await;
        let rows = rows();
        for row in &rows {
            row.strikes(&w).await;
            bridge(&w, row.name).await;
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

/// What AWS will take a little later, and then does not: it is waited for, and told when its time is over. A code, and the
/// operations that it comes from: while the Tenant is built, changed, and deleted.
const LATER: [(&str, &str, u16, [&str; 3]); 3] = [
    ("notyet", "EntityTemporarilyUnmodifiable", 409, ["PutRolePolicy", "TagRole", "DeleteRole"]),
    ("conflict", "ConcurrentModification", 409, ["PutRolePolicy", "TagRole", "DeleteRole"]),
    // What is not there needs no deletion.
    ("notfound", "NoSuchEntity", 404, ["PutRolePolicy", "TagRole", ""]),
];

/// The other classes, and what was asked to change while everything answers.
#[tokio::test]
async fn what_aws_does_not_take_in_time_is_told_while_a_stack_is_built_while_it_is_changed_and_while_it_goes()
{
    world_with(fast, |w| async move {
        bridge_stack(&w).await;
        let strike = async |stage: usize| {
            for (name, code, status, operations) in LATER {
                let role = w.tenant_identity(name, Pattern::Bridge, Some("standard"), "").name(Layer::Role);
                let mut rule = coded(code, status);
                rule["operation"] = json!(operations[stage]);
                rule["resource"] = json!(format!("*{role}*"));
                rule["count"] = json!(1_000_000);
                w.double.fault(rule).await;
            }
        };
        let is_told = async |name: &str, code: &str, wanted: &str| {
            let told = w.condition(name, wanted).await;
            let (kind, _) = wanted.split_once('=').unwrap();
            assert!(told.message(kind).contains(code), "{}", told.describe());
            told
        };
        strike(0).await;
        for (name, ..) in LATER {
            bridge(&w, name).await;
        }
        for (name, code, ..) in LATER {
            is_told(name, code, "Stalled=True/DeadlineExceeded").await;
        }
        w.double.heal().await;
        for (name, ..) in LATER {
            w.ready(name).await;
        }

        let witness = w.witness();
        strike(1).await;
        for (name, ..) in LATER {
            w.patch(name, json!({"spec": {"tags": {"team": "blue"}}})).await;
        }
        for (name, code, ..) in LATER {
            let told = is_told(name, code, "Stalled=True/DeadlineExceeded").await;
            let mut versions = witness.versions(&w, &told).await.into_iter();
            let answers = |it: &Object| it.is("Reconciling=True/NotYet") && it.is("Ready=True");
            let meanwhile = versions.any(|it| it.uid() == told.uid() && answers(&it));
            assert!(meanwhile, "it answered as before until its time was over: {}", told.describe());
        }
        w.double.heal().await;
        for (name, ..) in LATER {
            w.ready(name).await;
        }

        strike(2).await;
        for (name, ..) in LATER {
            w.delete(name).await;
        }
        for (name, code, ..) in LATER.into_iter().filter(|(.., operations)| !operations[2].is_empty()) {
            let told = is_told(name, code, "Stalled=True/DeadlineExceeded").await;
            assert!(told.is("DeletionBlocked=True/DeadlineExceeded"), "{}", told.describe());
        }
        w.double.heal().await;
        for (name, ..) in LATER {
            w.gone(name).await;
        }
    })
    .await;
}

/// A change that AWS refuses, or does not answer, while everything answers: `Ready` goes only where a person must act.
#[tokio::test]
async fn no_change_that_fails_goes_untold_or_takes_ready_along_that_passes_by_itself() {
    world_with(fast, |w| async move {
        bridge_stack(&w).await;
        let rows = rows();
        for row in &rows {
            bridge(&w, row.name).await;
        }
        for row in &rows {
            w.ready(row.name).await;
        }
        for row in &rows {
            let role = w.tenant_identity(row.name, Pattern::Bridge, Some("standard"), "").name(Layer::Role);
            let mut rule = row.fault.clone();
            rule["operation"] = json!("TagRole");
            rule["resource"] = json!(format!("*{role}*"));
            rule["count"] = json!(1_000_000);
            w.double.fault(rule).await;
            w.patch(row.name, json!({"spec": {"tags": {"team": "blue"}}})).await;
        }
        for row in &rows {
            let told = row.is_told(&w, row.of_ready).await;
            assert_eq!(told.is("Ready=True"), row.of_ready.starts_with("Reconciling"), "{}", told.describe());
        }
        w.double.heal().await;
        for row in &rows {
            w.ready(row.name).await;
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
