//! Very many Pool tenants: what each costs in requests, time, memory and processor time, what they cost while nothing
//! happens, and how soon a new process has caught up. The operator is the program itself; the API server and S3 are of the
//! bench, and take as long as real ones do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tenantry::stack::identity::{Identity, Scope};

use crate::account::ACCOUNT;
use crate::bare::Bare;
use crate::kubernetes::{Kubernetes, Times};
use crate::objects::STACK;
use crate::operator::Operator;
use crate::program::{INSTALLATION, REGION};
use crate::report::{Bound, Report, median};
use crate::s3::S3;

/// Fewer, to see that the cost of one does not depend on how many there are.
const FEW: usize = 2000;
/// Both sides in turn so many times.
const PAIRS: usize = 3;
/// A call to S3 takes as long as in a network.
const CALL: Duration = Duration::from_millis(20);
/// Requests take as long as those of a kube-apiserver with etcd on a disk: 10,000 Tenants are listed in 2.4 s.
const TIMES: Times = Times {
    read: Duration::from_millis(2),
    write: Duration::from_millis(6),
    listed: Duration::from_micros(240),
};
/// For so long nothing happens.
const QUIET: Duration = Duration::from_secs(120);
/// Nobody waits for longer than that.
const DEADLINE: Duration = Duration::from_secs(120);

/// An API server and S3, both as they are before the first tenant.
pub struct Surroundings {
    pub kubernetes: Kubernetes,
    pub s3: S3,
}

impl Surroundings {
    async fn start() -> anyhow::Result<Self> {
        let (kubernetes, s3) = (Kubernetes::start()?, S3::start()?);
        kubernetes.slow(TIMES).await?;
        s3.slow(CALL).await?;
        Ok(Self { kubernetes, s3 })
    }

    fn operator(&self) -> anyhow::Result<Operator> {
        Operator::start(self.kubernetes.endpoint(), self.s3.endpoint())
    }

    /// So many Tenants are created at once; how long it takes until all are Ready.
    pub async fn onboard(&self, tenants: usize) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        self.kubernetes.create(tenants).await?;
        while self.kubernetes.ready().await? < tenants {
            anyhow::ensure!(begun.elapsed() < DEADLINE, "not all are Ready in time");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(begun.elapsed())
    }
}

pub async fn run(report: &mut Report, size: usize) -> anyhow::Result<()> {
    let few = cpu(FEW).await?;
    let (mut ratios, mut template) = (Vec::new(), None);
    for pair in 1..=PAIRS {
        let around = Surroundings::start().await?;
        let operator = around.operator()?;
        operator.idle().await?;
        let operators = if pair == 1 {
            first(report, size, around, operator, few, &mut template).await?
        } else {
            around.onboard(size).await?
        };
        let around = Surroundings::start().await?;
        let bare = Bare::start(&around, template.clone().unwrap_or_default()).await?;
        let bares = around.onboard(size).await?;
        bare.stop();
        eprintln!("fleet, pair {pair} of {PAIRS}: {operators:.1?} with the operator, {bares:.1?} bare");
        ratios.push(operators.as_secs_f64() / bares.as_secs_f64());
    }
    report.raw(&format!("fleet-{size}.ratios"), &ratios);
    report.judge(&format!("fleet-{size}/bare-client"), median(ratios), Bound::AtMost(1.05));
    Ok(())
}

/// The processor time of one tenant among so many, in milliseconds.
async fn cpu(tenants: usize) -> anyhow::Result<f64> {
    let around = Surroundings::start().await?;
    let operator = around.operator()?;
    operator.idle().await?;
    let before = operator.cpu()?;
    around.onboard(tenants).await?;
    operator.idle().await?;
    Ok(milliseconds(operator.cpu()? - before) / tenants as f64)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The operator that comes first is also watched after it is done.
async fn first(
    report: &mut Report,
    size: usize,
    around: Surroundings,
    operator: Operator,
    few: f64,
    template: &mut Option<Value>,
) -> anyhow::Result<Duration> {
    around.kubernetes.served().await?;
    around.s3.served().await?;
    let (cpu, empty) = (operator.cpu()?, operator.peak()?);
    let took = around.onboard(size).await?;
    operator.idle().await?;
    let each = milliseconds(operator.cpu()? - cpu) / size as f64;
    requests(report, size, &around).await?;
    let onboarded = operator.peak()?;
    around.kubernetes.expire().await?;
    operator.idle().await?;
    let peak = operator.peak()?;
    report.raw(&format!("fleet-{size}.memory-mib"), [empty, onboarded, peak]);
    report.judge(&name(size, "memory-mib"), peak, Bound::AtMost(if size > 10_000 { 190.0 } else { 90.0 }));
    report.judge(
        &name(size, "memory-kib-per-tenant"),
        (peak - empty) * 1024.0 / size as f64,
        Bound::AtMost(5.0),
    );
    report.judge(&name(size, "cpu-ms-per-tenant"), each, Bound::AtMost(1.0));
    report.judge(&name(size, "cpu-per-tenant/of-2000"), each / few, Bound::AtMost(1.1));

    let (cpu, since) = (operator.cpu()?, Instant::now());
    tokio::time::sleep(QUIET).await;
    let quiet = (operator.cpu()? - cpu).as_secs_f64() / since.elapsed().as_secs_f64();
    report.judge(
        &name(size, "quiet-cpu-percent"),
        100.0 * quiet,
        Bound::AtMost(if size > 10_000 { 6.0 } else { 2.0 }),
    );
    operator.stop().await?;
    restart(report, size, &around).await?;
    *template = Some(crate::bare::status(&around).await?);
    Ok(took)
}

fn name(size: usize, what: &str) -> String {
    if size == 10_000 { format!("fleet-{what}") } else { format!("fleet-{size}-{what}") }
}

/// What one tenant costs the API server and AWS.
async fn requests(report: &mut Report, size: usize, around: &Surroundings) -> anyhow::Result<()> {
    let (kubernetes, s3) = (around.kubernetes.served().await?, around.s3.served().await?);
    report.note(format!("of the API server: {kubernetes:?}; of S3: {s3:?}"));
    let of = |what: &str| kubernetes.get(what).copied().unwrap_or(0) as f64 / size as f64;
    let writes = of("PATCH tenants") + of("PATCH tenants/status");
    report.judge(&name(size, "writes-per-tenant"), writes, Bound::AtMost(2.0));
    let gets = of("GET tenants") + of("GET namespaces") + of("GET sharedstacks");
    // The namespace and the SharedStack, as they are now.
    report.judge(&name(size, "gets-per-tenant"), gets, Bound::AtMost(2.0));
    let aws = s3.values().sum::<usize>() as f64 / size as f64;
    report.judge(&name(size, "aws-calls-per-tenant"), aws, Bound::AtMost(1.0));
    Ok(())
}

/// A process takes over, several times: from its start until it has passed over every object once.
async fn restart(report: &mut Report, size: usize, around: &Surroundings) -> anyhow::Result<()> {
    let (mut ratios, mut writes, mut memory) = (Vec::new(), 0, Vec::new());
    for _ in 0..PAIRS {
        let begun = Instant::now();
        crate::bare::list(around).await?;
        let list = begun.elapsed();
        around.kubernetes.served().await?;
        around.s3.served().await?;
        let operator = around.operator()?;
        let took = operator.idle().await?;
        let served = around.kubernetes.served().await?;
        report.note(format!(
            "restart: {took:.2?}, LIST {list:.2?}; {served:?}; {:?}",
            around.s3.served().await?
        ));
        ratios.push(took.as_secs_f64() / list.as_secs_f64());
        let kinds = ["PATCH tenants", "PATCH tenants/status", "POST events", "PATCH events"];
        writes += kinds.iter().filter_map(|what| served.get(*what)).sum::<usize>();
        memory.push(operator.peak()?);
        operator.stop().await?;
    }
    report.raw(&format!("fleet-{size}.restarts"), &ratios);
    report.raw(&format!("fleet-{size}.restart-memory-mib"), &memory);
    report.judge(&name(size, "restart/list"), median(ratios), Bound::AtMost(1.2));
    report.judge(&name(size, "restart-writes"), writes as f64, Bound::Exactly(0));
    report.judge(
        &name(size, "restart-memory-mib"),
        median(memory),
        Bound::AtMost(if size > 10_000 { 190.0 } else { 90.0 }),
    );
    Ok(())
}

/// The SharedStack, as it is once it is built. It is paused, so that nothing is measured but the tenants.
pub fn stack() -> Value {
    let scope = Arc::new(Scope::new(INSTALLATION, ACCOUNT, REGION));
    let bucket = Identity::of_stack(scope, STACK, "").name(tenantry::api::Layer::Bucket);
    let said = |kind: &str, status: &str, reason: &str| {
        json!({"type": kind, "status": status, "reason": reason, "message": reason, "observedGeneration": 1,
            "lastTransitionTime": "2026-01-01T00:00:00Z"})
    };
    json!({
        "apiVersion": "tenantry.dev/v1alpha1", "kind": "SharedStack",
        "metadata": {
            "name": STACK, "finalizers": [format!("tenantry.dev/{INSTALLATION}")],
            "annotations": {"tenantry.dev/paused": "true"},
        },
        "spec": {"pool": {"tenantIdKey": "tenantId"}},
        "status": {
            "observedGeneration": 1, "bucket": bucket, "prefix": "pool/", "region": REGION,
            "vectorStore": "OpenSearchServerless",
            "storeArn": format!("arn:aws:aoss:{REGION}:{ACCOUNT}:collection/bxjm7q0vbkd0b1o4v9nd"),
            "collectionEndpoint": format!("https://bxjm7q0vbkd0b1o4v9nd.{REGION}.aoss.amazonaws.com"),
            "indexName": "bench-sa-standard-index", "knowledgeBaseId": "S9N64I0A3Z",
            "knowledgeBaseArn": format!("arn:aws:bedrock:{REGION}:{ACCOUNT}:knowledge-base/S9N64I0A3Z"),
            "dataSourceId": "WUMJJFYXLN", "roleArn": format!("arn:aws:iam::{ACCOUNT}:role/bench/{bucket}"),
            "conditions": [said("Ready", "True", "Ready"), said("Accepted", "True", "Accepted")],
            "ingestion": {"lastJobId": "ABCDEFGHIJ", "lastStatus": "COMPLETE",
                "startedTime": "2026-01-01T00:00:00Z", "finishedTime": "2026-01-01T00:10:00Z"},
        },
    })
}
