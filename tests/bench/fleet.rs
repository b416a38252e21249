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
use crate::report::{Bound, Report, median, median_ratio};
use crate::s3::S3;

/// Fewer, to see that the cost of one does not depend on how many there are.
const FEW: usize = 2000;
/// Both sides in turn so many times.
const PAIRS: usize = 3;
/// Tenants in a page of a list.
const PAGE: usize = 500;
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
    let (mut seconds, mut cpus, mut template) = (Vec::new(), Vec::new(), None);
    for pair in 1..=PAIRS {
        let before = onboarded(FEW).await?.each;
        let many = onboarded(size).await?;
        let (took, each) = (many.took, many.each);
        if pair == 1 {
            template = Some(afterwards(report, size, many).await?);
        } else {
            drop(many);
        }
        // On both sides of the many: the machine may have been faster or slower just then.
        let few = f64::midpoint(before, onboarded(FEW).await?.each);
        cpus.push([each, few]);
        let around = Surroundings::start().await?;
        let bare = Bare::start(&around, template.clone().unwrap_or_default()).await?;
        let bares = around.onboard(size).await?;
        bare.stop();
        eprintln!(
            "fleet, pair {pair} of {PAIRS}: {took:.1?} with the operator, {bares:.1?} bare; {each:.2} ms of a processor for each \
             of {size}, {few:.2} of {FEW}"
        );
        seconds.push([took.as_secs_f64(), bares.as_secs_f64()]);
    }
    report.raw(&format!("fleet-{size}.seconds: operator, bare client"), &seconds);
    report.raw(&format!("fleet-{size}.cpu-ms-per-tenant: of all, of {FEW}"), &cpus);
    report.judge(&format!("fleet-{size}/bare-client"), median_ratio(&seconds), Bound::AtMost(1.05));
    let each = cpus.iter().map(|[each, _]| *each).collect();
    report.judge(&name(size, "cpu-ms-per-tenant"), median(each), Bound::AtMost(1.0));
    report.judge(&name(size, "cpu-per-tenant/of-2000"), median_ratio(&cpus), Bound::AtMost(1.1));
    Ok(())
}

/// An operator that has onboarded Tenants, and has nothing more to do.
struct Onboarded {
    around: Surroundings,
    operator: Operator,
    /// What it needed before, in MiB.
    empty: f64,
    took: Duration,
    /// The processor time of one tenant, in milliseconds.
    each: f64,
}

async fn onboarded(tenants: usize) -> anyhow::Result<Onboarded> {
    let around = Surroundings::start().await?;
    let operator = around.operator()?;
    operator.idle().await?;
    around.kubernetes.served().await?;
    around.s3.served().await?;
    let (cpu, empty) = (operator.cpu()?, operator.peak()?);
    let took = around.onboard(tenants).await?;
    operator.idle().await?;
    let each = (operator.cpu()? - cpu).as_secs_f64() * 1000.0 / tenants as f64;
    Ok(Onboarded { around, operator, empty, took, each })
}

/// What the tenants cost once they are there. Answers the status of one of them.
async fn afterwards(report: &mut Report, size: usize, done: Onboarded) -> anyhow::Result<Value> {
    let Onboarded { around, operator, empty, .. } = done;
    requests(report, size, &around).await?;
    let onboarded = operator.peak()?;
    around.kubernetes.expire().await?;
    listed_anew(size, &around).await?;
    operator.idle().await?;
    let peak = operator.peak()?;
    report.raw(&format!("fleet-{size}.memory-mib: empty, onboarded, listed anew"), [empty, onboarded, peak]);
    report.judge(&name(size, "memory-mib"), peak, Bound::AtMost(if size > 10_000 { 190.0 } else { 90.0 }));
    report.judge(
        &name(size, "memory-kib-per-tenant"),
        (peak - empty) * 1024.0 / size as f64,
        Bound::AtMost(5.0),
    );

    let (cpu, passes, since) = (operator.cpu()?, operator.passes().await?, Instant::now());
    tokio::time::sleep(QUIET).await;
    let quiet = (operator.cpu()? - cpu).as_secs_f64() / since.elapsed().as_secs_f64();
    let passes = operator.passes().await? - passes;
    anyhow::ensure!(passes >= size, "in {QUIET:?} there were {passes} passes over {size} Tenants");
    report.judge(
        &name(size, "quiet-cpu-percent"),
        100.0 * quiet,
        Bound::AtMost(if size > 10_000 { 6.0 } else { 2.0 }),
    );
    operator.stop().await?;
    restart(report, size, &around).await?;
    crate::bare::status(&around).await
}

/// Waits until all Tenants have been listed.
async fn listed_anew(size: usize, around: &Surroundings) -> anyhow::Result<()> {
    let (begun, mut pages) = (Instant::now(), 0);
    while pages < size.div_ceil(PAGE) {
        anyhow::ensure!(begun.elapsed() < DEADLINE, "the Tenants were not listed anew: {pages} pages");
        tokio::time::sleep(Duration::from_millis(100)).await;
        pages += around.kubernetes.served().await?.get("LIST tenants").copied().unwrap_or(0);
    }
    Ok(())
}

fn name(size: usize, what: &str) -> String {
    if size == 10_000 { format!("fleet-{what}") } else { format!("fleet-{size}-{what}") }
}

/// What one tenant costs the API server and AWS: all requests there were, but for the lease's.
async fn requests(report: &mut Report, size: usize, around: &Surroundings) -> anyhow::Result<()> {
    let (kubernetes, s3) = (around.kubernetes.served().await?, around.s3.served().await?);
    report.note(format!("of the API server: {kubernetes:?}; of AWS: {s3:?}"));
    let each = |which: &dyn Fn(&str) -> bool| {
        let all = kubernetes.iter().filter(|(what, _)| which(what) && !what.contains("leases"));
        all.map(|(_, count)| count).sum::<usize>() as f64 / size as f64
    };
    let is_event = |what: &str| what.contains("events");
    // The finalizer and the status.
    report.judge(
        &name(size, "writes-per-tenant"),
        each(&|it| is_write(it) && !is_event(it)),
        Bound::Exactly(2),
    );
    // That it is Ready: once, for whoever looks at the Tenant.
    report.judge(&name(size, "events-per-tenant"), each(&is_event), Bound::Exactly(1));
    // The namespace and the SharedStack, as they are now.
    report.judge(&name(size, "gets-per-tenant"), each(&|it| it.starts_with("GET ")), Bound::Exactly(2));
    // Its record.
    let aws = s3.values().sum::<usize>() as f64 / size as f64;
    report.judge(&name(size, "aws-calls-per-tenant"), aws, Bound::Exactly(1));
    Ok(())
}

/// Whether a request changes something.
fn is_write(request: &str) -> bool {
    !["GET ", "LIST ", "WATCH "].iter().any(|reads| request.starts_with(reads))
}

/// A process takes over, several times: from its start until it has passed over every object once.
async fn restart(report: &mut Report, size: usize, around: &Surroundings) -> anyhow::Result<()> {
    let (mut seconds, mut writes, mut memory) = (Vec::new(), 0, Vec::new());
    for _ in 0..PAIRS {
        let begun = Instant::now();
        crate::bare::list_tenants(around).await?;
        let list = begun.elapsed();
        around.kubernetes.served().await?;
        around.s3.served().await?;
        let operator = around.operator()?;
        let took = operator.idle().await?;
        let passes = operator.passes().await?;
        anyhow::ensure!(
            passes >= size,
            "after its start the operator made {passes} passes over {size} Tenants"
        );
        let (kubernetes, s3) = (around.kubernetes.served().await?, around.s3.served().await?);
        report.note(format!("restart: {took:.2?}, LIST {list:.2?}, {passes} passes; {kubernetes:?}; {s3:?}"));
        seconds.push([took.as_secs_f64(), list.as_secs_f64()]);
        let changes = kubernetes.iter().filter(|(what, _)| is_write(what) && !what.contains("leases"));
        let changes = changes.chain(s3.iter().filter(|(what, _)| what.as_str() == "PutObject"));
        writes += changes.map(|(_, count)| count).sum::<usize>();
        memory.push(operator.peak()?);
        operator.stop().await?;
    }
    report.raw(&format!("fleet-{size}.restart-seconds: operator, LIST"), &seconds);
    report.raw(&format!("fleet-{size}.restart-memory-mib"), &memory);
    report.judge(&name(size, "restart/list"), median_ratio(&seconds), Bound::AtMost(1.2));
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
