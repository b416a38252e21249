//! From create to Ready against AWS's own times, on a real API server: how long beside what nobody can make shorter, and with
//! how many calls. AWS is the double, in a process of its own; its times and the operator's waits are a tenth of real ones,
//! or half of them.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use serde_json::json;
use tokio::process::Command;

use crate::bed;
use crate::report::{Bound, Report, median};
use crate::support::bed::{Bed, root};
use crate::support::double::{Call, Journal};
use crate::support::objects::Object;
use crate::support::world::World;

/// Each is onboarded so many times; the one in the middle counts.
const ROUNDS: usize = 3;
/// How much faster than in production AWS is, and all that the operator waits.
const FASTER: u32 = 10;
/// The same where AWS needs seconds only: what the operator itself takes does not grow shorter, and would be half of what is
/// measured.
const LESS_FAST: u32 = 2;
/// Every line of a trace: what was asked when, and each version of the object.
const TRACE: &str = "TENANTRY_BENCH_TRACE";

/// In AWS's seconds; the double's own defaults but for what an index takes: there both times begin when it is asked for.
const COLLECTION: (&str, f64) = ("collection", 60.0);
const INDEX: (&str, f64) = ("index", 1.0);
const SEEN: (&str, f64) = ("until Bedrock sees it", 5.0);
const KNOWLEDGE_BASE: (&str, f64) = ("knowledge base", 5.0);

/// What is made of a role, an index and a knowledge base, of whichever pattern that owns them, in whichever store.
const OF_AN_INDEX: [&str; 6] = [
    "CreateRole",
    "PutRolePolicy",
    "CreateIndex",
    "CreateKnowledgeBase",
    "UpdateAssumeRolePolicy",
    "CreateDataSource",
];
/// What opens an index of a collection to its role.
const IN_A_COLLECTION: [&str; 1] = ["CreateAccessPolicy"];
/// A Silo's own collection, with two policies.
const COLLECTION_OF_ITS_OWN: [&str; 3] = ["CreateSecurityPolicy", "CreateSecurityPolicy", "CreateCollection"];
/// A Silo's own vector bucket, with its policy.
const VECTOR_BUCKET_OF_ITS_OWN: [&str; 2] = ["CreateVectorBucket", "PutVectorBucketPolicy"];
/// A Silo's own bucket.
const BUCKET_OF_ITS_OWN: [&str; 6] = [
    "CreateBucket",
    "PutPublicAccessBlock",
    "PutBucketOwnershipControls",
    "PutBucketPolicy",
    "PutBucketVersioning",
    "PutBucketLifecycleConfiguration",
];

/// A kind of tenant, and what its onboarding may take.
struct Kind {
    name: &'static str,
    spec: &'static str,
    /// What it waits for, one after the other. All else is made beside that, or is there when AWS answers.
    path: &'static [(&'static str, f64)],
    faster: u32,
    /// How many times the path it may take.
    most: f64,
    /// How many calls to AWS, all together, and how many of them read. A look more or less is a matter of the moment.
    calls: f64,
    reads: f64,
    /// To Kubernetes: the finalizer, and the status.
    writes: f64,
    changes: &'static [&'static [&'static str]],
}

const SILO: Kind = Kind {
    name: "silo",
    spec: "pattern: Silo",
    path: &[COLLECTION, INDEX, SEEN, KNOWLEDGE_BASE],
    faster: FASTER,
    most: 1.05,
    calls: 75.0,
    reads: 58.0,
    writes: 6.0,
    changes: &[&OF_AN_INDEX, &IN_A_COLLECTION, &COLLECTION_OF_ITS_OWN, &BUCKET_OF_ITS_OWN],
};
/// Beside its one wait are some 0.13 s of our own and the double's, as many as a Silo on a collection has beside its path.
const SILO_ON_S3_VECTORS: Kind = Kind {
    name: "silo-on-s3-vectors",
    spec: "pattern: Silo, vectorStore: S3Vectors",
    path: &[KNOWLEDGE_BASE],
    faster: LESS_FAST,
    most: 1.1,
    calls: 54.0,
    reads: 39.0,
    writes: 4.0,
    changes: &[&OF_AN_INDEX, &VECTOR_BUCKET_OF_ITS_OWN, &BUCKET_OF_ITS_OWN],
};
const BRIDGE: Kind = Kind {
    name: "bridge",
    spec: "pattern: Bridge, stackRef: {name: standard}",
    path: &[INDEX, SEEN, KNOWLEDGE_BASE],
    faster: FASTER,
    most: 1.15,
    calls: 35.0,
    reads: 27.0,
    writes: 5.0,
    changes: &[&OF_AN_INDEX, &IN_A_COLLECTION],
};

/// One onboarding.
struct Round {
    took: Duration,
    journal: Journal,
    writes: usize,
}

pub async fn run(report: &mut Report) -> anyhow::Result<()> {
    let bed = bed::up().await?;
    let (mut silos, mut on_s3_vectors, mut bridges, mut samples) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for number in 1..=ROUNDS {
        silos.push(alone(bed, &SILO).await);
        samples.push(public_sample(bed, number).await?);
        on_s3_vectors.push(alone(bed, &SILO_ON_S3_VECTORS).await);
        bridges.push(alone(bed, &BRIDGE).await);
        eprintln!(
            "onboarding, round {number} of {ROUNDS}: a Silo {:.2?}, the public sample {:.2} s, a Silo on S3 Vectors {:.2?}, a \
             Bridge {:.2?}",
            silos[number - 1].took,
            samples[number - 1],
            on_s3_vectors[number - 1].took,
            bridges[number - 1].took
        );
    }
    let ratios = silos.iter().zip(&samples).map(|(silo, sample)| silo.took.as_secs_f64() / sample).collect();
    judge(report, &SILO, &silos);
    report.raw("silo.public-sample-seconds", &samples);
    report.judge("silo-create-to-ready/public-sample", median(ratios), Bound::AtMost(1.0));
    judge(report, &SILO_ON_S3_VECTORS, &on_s3_vectors);
    judge(report, &BRIDGE, &bridges);
    pool(report, bed).await;
    steady_state(report, bed).await;
    Ok(())
}

/// A world whose operator runs.
async fn world(bed: &'static Bed, faster: u32, resync: Duration) -> World {
    let w = World::new(bed, |settings| (settings.clock, settings.resync) = (faster, resync)).await;
    w.double.settings(json!({"speedup": faster, "lag": {"index_visible": INDEX.1 + SEEN.1}})).await;
    w.start_operator().await;
    w.granted().await;
    w
}

async fn end(w: World) {
    w.stop_operator().await;
    w.remove_all().await;
}

/// No bench lasts until a resync, but the one about it.
const NO_RESYNC: Duration = Duration::from_secs(36_000);

async fn alone(bed: &'static Bed, kind: &Kind) -> Round {
    let w = world(bed, kind.faster, NO_RESYNC).await;
    if kind.spec.contains("stackRef") {
        w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {}}").await;
        w.ready("SharedStack/standard").await;
    }
    let round = onboard(&w, kind.spec).await;
    end(w).await;
    round
}

async fn onboard(w: &World, spec: &str) -> Round {
    let (witness, mark) = (w.witness(), w.double.mark().await);
    let (begun, applied) = (Instant::now(), SystemTime::now());
    w.apply(&format!("{{kind: Tenant, metadata: {{name: acme}}, spec: {{tenantId: acme, {spec}}}}}")).await;
    let acme = w.ready("acme").await;
    let took = begun.elapsed();
    let journal = w.double.journal(mark).await;
    let mut versions = witness.versions(w, &acme).await;
    versions.retain(|version| version.uid() == acme.uid());
    if std::env::var_os(TRACE).is_some() {
        trace(applied, took, &journal, &versions);
    }
    // The first version is the user's.
    Round { took, journal, writes: versions.len() - 1 }
}

fn trace(applied: SystemTime, took: Duration, journal: &Journal, versions: &[Object]) {
    let applied = applied.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    journal.iter().for_each(|call| eprintln!("{:8.3} {call}", call.time - applied));
    eprintln!("{:8.3} Ready", took.as_secs_f64());
    versions.iter().for_each(|version| eprintln!("{}", version.describe()));
}

/// A script that sleeps where public samples do, against the same double.
async fn public_sample(bed: &Bed, number: usize) -> anyhow::Result<f64> {
    let account = 999_999_999_000 + number;
    let arguments = [account.to_string(), FASTER.to_string(), (INDEX.1 + SEEN.1).to_string()];
    let mut command = Command::new(root().join(".cache/venv/bin/python"));
    command.arg(root().join("tests/bench/public_sample.py")).arg(&bed.aws_endpoint).args(arguments);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().await?;
    let said = String::from_utf8(output.stdout)?;
    said.trim().parse().with_context(|| format!("the public sample did not come to its end: {said}"))
}

fn judge(report: &mut Report, kind: &Kind, rounds: &[Round]) {
    let name = kind.name;
    let seconds: f64 = kind.path.iter().map(|(_, seconds)| seconds).sum();
    let path = seconds / f64::from(kind.faster);
    let sum: Vec<_> = kind.path.iter().map(|(what, seconds)| format!("{what} {seconds}")).collect();
    report.note(format!(
        "the critical path of a {name} is {} = {seconds} s, ÷ {}: {path:.2} s",
        sum.join(" + "),
        kind.faster
    ));
    let times: Vec<_> = rounds.iter().map(|round| round.took.as_secs_f64()).collect();
    report.raw(&format!("{name}.seconds"), &times);
    let ratios = times.iter().map(|took| took / path).collect();
    report.judge(&format!("{name}-create-to-ready/critical-path"), median(ratios), Bound::AtMost(kind.most));
    for round in rounds {
        report.raw(&format!("{name}.calls"), count(&round.journal));
    }
    let mut line = |what: &str, bound: Bound, of: &dyn Fn(&Round) -> usize| {
        let worst = rounds.iter().map(of).max().unwrap_or_default();
        report.judge(&format!("{name}-{what}"), worst as f64, bound);
    };
    line("creates-after-their-own-success", Bound::Exactly(0), &|round| {
        round.journal.only(|call| is_there_already(&call.error)).len()
    });
    line("refused-probes", Bound::AtMost(4.0), &|round| {
        round.journal.mutating().only(|call| !call.succeeded()).len()
    });
    line("aws-calls", Bound::AtMost(kind.calls), &|round| round.journal.len());
    line("reads", Bound::AtMost(kind.reads), &|round| round.journal.only(|call| !call.mutating).len());
    line("list-knowledge-bases", Bound::AtMost(3.0), &|round| round.journal.of("ListKnowledgeBases").len());
    line("changes-not-as-in-the-table", Bound::Exactly(0), &|round| {
        let made = count(&round.journal.mutating().only(Call::succeeded));
        let mut wanted = BTreeMap::new();
        kind.changes.concat().into_iter().for_each(|it| *wanted.entry(it.to_owned()).or_insert(0) += 1);
        let all = made.keys().chain(wanted.keys()).collect::<std::collections::BTreeSet<_>>();
        let of = |counted: &BTreeMap<String, usize>, it: &str| counted.get(it).copied().unwrap_or_default();
        all.into_iter().map(|it| of(&made, it).abs_diff(of(&wanted, it))).sum()
    });
    line("kubernetes-writes", Bound::AtMost(kind.writes), &|round| round.writes);
}

/// How AWS says that what is asked for is there: of a name that nobody else has, that it was made before.
fn is_there_already(error: &str) -> bool {
    error.contains("Conflict") || error.contains("Already")
}

fn count(journal: &Journal) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    journal.iter().for_each(|call| *counted.entry(call.operation.clone()).or_default() += 1);
    counted
}

/// A tenant of a pool that stands is let in, and nothing is made for it.
async fn pool(report: &mut Report, bed: &'static Bed) {
    let w = world(bed, FASTER, NO_RESYNC).await;
    w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}").await;
    w.ready("SharedStack/standard").await;
    let round = onboard(&w, "pattern: Pool, stackRef: {name: standard}").await;
    let of_records = round.journal.of_records().len();
    report.judge("pool-kubernetes-writes", round.writes as f64, Bound::Exactly(2));
    let others = round.journal.len() - of_records;
    report.judge("pool-aws-calls-besides-its-record", others as f64, Bound::Exactly(0));
    report.raw("pool.calls", count(&round.journal));
    end(w).await;
}

/// What stands is looked at at each resync, and nothing is written anywhere.
async fn steady_state(report: &mut Report, bed: &'static Bed) {
    const RESYNC: Duration = Duration::from_secs(20);
    let w = world(bed, FASTER, RESYNC).await;
    w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}").await;
    let patterns = ["Silo", "Bridge, stackRef: {name: standard}", "Pool, stackRef: {name: standard}"];
    for (name, pattern) in ["silo", "bridge", "pool"].into_iter().zip(patterns) {
        w.apply(&format!(
            "{{kind: Tenant, metadata: {{name: {name}}}, spec: {{tenantId: {name}, pattern: {pattern}}}}}"
        ))
        .await;
    }
    for object in ["silo", "bridge", "pool", "SharedStack/standard"] {
        w.ready(object).await;
    }
    // What follows the first Ready is over by then.
    tokio::time::sleep(RESYNC / FASTER).await;
    let (mark, before) = (w.double.mark().await, versions(&w).await);
    tokio::time::sleep(5 * RESYNC / FASTER).await;
    let journal = w.double.journal(mark).await;
    let changed = versions(&w).await.iter().filter(|version| !before.contains(version)).count();
    let resyncs = journal.of("HeadBucket").len() / 2;
    assert!(resyncs >= 3, "there were {resyncs} resyncs");
    report.note(format!(
        "at steady state: {resyncs} resyncs of a Silo, a SharedStack and what borrows from it"
    ));
    report.raw("steady-state.calls", count(&journal));
    let changes = journal.only(|call| call.mutating).len();
    report.judge("steady-state-aws-changes", changes as f64, Bound::Exactly(0));
    report.judge("steady-state-kubernetes-writes", changed as f64, Bound::Exactly(0));
    end(w).await;
}

async fn versions(w: &World) -> Vec<String> {
    w.all().await.iter().map(|object| object.version().to_owned()).collect()
}
