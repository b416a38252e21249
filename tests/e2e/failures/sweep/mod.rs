//! The sweep: nothing that the operator asks for may be its last word, or asked in vain, without everything ending as if
//! nothing had happened.
//!
//! Each scenario is run once undisturbed, and all that the operator changes in AWS and in Kubernetes is written down.
//! Then each of these calls is a point, in two runs of its own: the process is killed when the call has taken effect
//! and its answer is on the way, and another comes after it; or the answer alone is lost. Besides, every operation,
//! reading ones included, meets every class of fault once. A call that is new is covered because it is called.
//!
//! `make sweep` runs all of it; a sample of it is a test like all others. `TENANTRY_SWEEP` names what alone is to be
//! run, by a part of its name: `silo-create` on both vector stores, `s3-vectors-bridge-`,
//! `opensearch-silo-create/kms:CreateKey#1/killed`, `/denied`.

mod outcome;
mod point;
mod run;
mod scenario;
mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use futures::StreamExt;
use futures::stream;
use serde_json::json;
use tenantry::api::{Pattern, VectorStore};

use crate::support::bed::bed;
use point::{Operation, Point};
use run::{Disturbance, Ended, Run};
use scenario::{Act, Scenario, Subject};

/// Worlds at a time.
const SIDE_BY_SIDE: usize = 8;
/// The same where other tests run beside.
const A_FEW: usize = 4;
/// How often a run is tried in which the call did not come: how many passes an operator needs is a matter of time.
const TRIES: usize = 2;

/// What a scenario comes to, and which calls it takes.
struct Reference {
    scenario: Scenario,
    ended: Ended,
}

impl Reference {
    /// All calls that change something, in AWS and in Kubernetes.
    fn points(&self) -> Vec<Point> {
        let calls = self.ended.journal.only(|call| call.mutating && call.took_effect());
        let aws = Point::of(calls.iter().map(Operation::of_call));
        aws.into_iter().chain(Point::of(self.ended.changes.iter().cloned())).collect()
    }

    fn run(&self, disturbance: Disturbance) -> Run {
        Run { scenario: self.scenario, disturbance }
    }

    /// Each call is the last, and each answer is lost.
    fn at_each_point(&self) -> impl Iterator<Item = Run> {
        let points = self.points().into_iter();
        points.flat_map(|point| {
            [Disturbance::Killed(point.clone()), Disturbance::Lost(point)].map(|it| self.run(it))
        })
    }

    /// Every operation, also one that only reads.
    fn operations(&self) -> BTreeSet<Operation> {
        let calls = self.ended.journal.iter().map(Operation::of_call);
        calls.chain(self.ended.requests.iter().cloned()).collect()
    }

    /// Every operation meets each class of fault once.
    fn with_each_fault(&self) -> impl Iterator<Item = Run> {
        let aws = [
            ("throttled", json!({"fault": "throttled"})),
            ("failed", json!({"fault": "failed"})),
            ("denied", json!({"fault": "denied"})),
            ("request-lost", json!({"drop": "before"})),
            ("answer-lost", json!({"drop": "after"})),
            ("late", json!({"delay": 1})),
        ];
        let kubernetes = [
            ("failed", json!({"do": "refuse", "status": 500})),
            ("throttled", json!({"do": "refuse", "status": 429})),
            ("conflict", json!({"do": "refuse", "status": 409})),
            ("denied", json!({"do": "refuse", "status": 403})),
            ("request-lost", json!({"do": "drop-before"})),
            ("answer-lost", json!({"do": "drop-after"})),
            ("late", json!({"do": "delay", "seconds": 1})),
        ];
        let requests: BTreeSet<_> = self.ended.requests.iter().cloned().collect();
        let aws = aws.into_iter().map(|(name, fault)| Disturbance::Aws { name, fault });
        let kubernetes = kubernetes.into_iter().map(move |(name, fault)| Disturbance::Kubernetes {
            name,
            fault,
            requests: requests.clone(),
        });
        aws.chain(kubernetes).map(|it| self.run(it))
    }
}

/// As few of them as have every operation between them, those with most that is new first.
fn covering(references: &[Reference]) -> Vec<&Reference> {
    let mut open: BTreeSet<_> = references.iter().flat_map(Reference::operations).collect();
    let mut chosen = Vec::new();
    while !open.is_empty() {
        let new = |reference: &&Reference| reference.operations().intersection(&open).count();
        let Some(next) = references.iter().max_by_key(new) else { break };
        open.retain(|operation| !next.operations().contains(operation));
        chosen.push(next);
    }
    chosen
}

/// Runs scenarios undisturbed.
async fn references(scenarios: Vec<Scenario>, side_by_side: usize) -> Vec<Reference> {
    let bed = bed().await;
    let runs = scenarios.into_iter().map(|scenario| async move {
        let run = Run { scenario, disturbance: Disturbance::None };
        match run.run(bed).await {
            Ok(ended) => Reference { scenario, ended },
            Err(failure) => panic!("{run} failed, and nothing had gone wrong:\n{failure}"),
        }
    });
    let mut references: Vec<_> = stream::iter(runs).buffer_unordered(side_by_side).collect().await;
    references.sort_by_key(|reference| reference.scenario.to_string());
    references
}

/// How a run ended.
enum Outcome {
    AsTheReference,
    /// The call never came.
    Missed,
    Failed(String),
}

async fn judge(run: &Run, reference: &Ended) -> Outcome {
    for _ in 0..TRIES {
        let ended = match run.run(bed().await).await {
            Ok(ended) => ended,
            Err(failure) => return Outcome::Failed(failure),
        };
        let differences = ended.outcome.differences(&reference.outcome);
        if !differences.is_empty() {
            return Outcome::Failed(format!("{}\n{}", differences.join("\n"), ended.journal.mutating()));
        }
        if ended.struck > 0 {
            return Outcome::AsTheReference;
        }
    }
    Outcome::Missed
}

/// Runs all of them, goes on when one fails, and says in the end what came of it.
async fn sweep(references: &[Reference], runs: Vec<Run>, side_by_side: usize) {
    let begun = Instant::now();
    let outcomes: BTreeMap<_, _> =
        references.iter().map(|reference| (reference.scenario.to_string(), &reference.ended)).collect();
    let (all, mut done) = (runs.len(), 0);
    let (mut failed, mut fewer) = (Vec::new(), 0);
    let judged = runs.into_iter().map(|run| {
        let reference = outcomes[&run.scenario.to_string()];
        async move {
            let begun = Instant::now();
            let verdict = judge(&run, reference).await;
            (run, verdict, begun.elapsed())
        }
    });
    let mut judged = stream::iter(judged).buffer_unordered(side_by_side);
    while let Some((run, verdict, taken)) = judged.next().await {
        done += 1;
        let said = match verdict {
            Outcome::AsTheReference => "ok",
            // How often the operator says how far it is depends on how fast all else is.
            Outcome::Missed if run.is_a_later_report() => {
                fewer += 1;
                "it was said in fewer words this time"
            }
            Outcome::Missed => {
                failed.push(run.to_string());
                "FAILED: the call never came"
            }
            Outcome::Failed(failure) => {
                println!("\n{run} failed:\n{failure}");
                failed.push(run.to_string());
                "FAILED"
            }
        };
        println!(
            "{:>5.0} s {done:>4}/{all} {run}: {said}, {:.1} s",
            begun.elapsed().as_secs_f32(),
            taken.as_secs_f32()
        );
    }
    println!(
        "{} of {all} runs failed; in {fewer} the status was written less often than in the reference",
        failed.len()
    );
    let again: String = failed.iter().map(|run| format!("  TENANTRY_SWEEP='{run}' make sweep\n")).collect();
    assert!(failed.is_empty(), "these failed, and each is run again by\n{again}");
}

/// What a sample takes one call of: every create, and so every layer; and of all else every verb of every service.
fn kind(operation: &Operation) -> String {
    let Operation::Aws { service, operation } = operation else { return operation.to_string() };
    let verb = operation[1..].find(char::is_uppercase).map_or(operation.as_str(), |at| &operation[..=at]);
    format!("{service}:{}", if verb == "Create" { operation } else { verb })
}

/// One run for each kind of call: on a store that has fewer runs than others, if there is a choice.
fn one_of_each_kind(references: &[Reference]) -> Vec<Run> {
    let mut kinds: BTreeMap<String, BTreeMap<VectorStore, Run>> = BTreeMap::new();
    for reference in references {
        for point in reference.points() {
            let of_kind = kinds.entry(kind(&point.operation)).or_default();
            of_kind
                .entry(reference.scenario.store)
                .or_insert_with(|| reference.run(Disturbance::Killed(point)));
        }
    }
    // What has no choice comes first.
    let mut kinds: Vec<_> = kinds.into_values().collect();
    kinds.sort_by_key(BTreeMap::len);
    let mut had = BTreeMap::<VectorStore, usize>::new();
    let runs = kinds.into_iter().filter_map(|of_kind| {
        let fewest = |(store, _): &(VectorStore, Run)| had.get(store).copied().unwrap_or_default();
        let (store, run) = of_kind.into_iter().min_by_key(fewest)?;
        *had.entry(store).or_default() += 1;
        Some(run)
    });
    runs.collect()
}

/// A Silo owns all six layers: every kind of call, from the first to the last of them, is once the last thing that the
/// process does. It comes to both stores, leaves all of it in one, and goes with all of it from the other: both ways in both
/// stores would take longer, and are in the whole of it.
#[tokio::test]
async fn a_sample() {
    let lives = [
        (VectorStore::OpenSearchServerless, [Act::Create, Act::Delete("Delete")]),
        (VectorStore::S3Vectors, [Act::Create, Act::Delete("Retain")]),
    ];
    let life = |it: &Scenario| {
        let is_of = lives.iter().any(|(store, acts)| *store == it.store && acts.contains(&it.act));
        it.subject == Subject::Tenant(Pattern::Silo) && is_of
    };
    let references = references(Scenario::all().into_iter().filter(life).collect(), A_FEW).await;
    let runs = one_of_each_kind(&references);
    sweep(&references, runs, A_FEW).await;
}

fn count<T: Ord>(of: impl Iterator<Item = T>) -> usize {
    of.collect::<BTreeSet<_>>().len()
}

/// All of it: more than an hour. See `make sweep`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes more than an hour: make sweep"]
async fn everything() {
    let begun = Instant::now();
    let wanted = std::env::var("TENANTRY_SWEEP").unwrap_or_default();
    let scenarios: Vec<_> = Scenario::all()
        .into_iter()
        .filter(|scenario| {
            // A filter may begin in the middle of a scenario's name, or go on behind it.
            let head = wanted.split('/').next().unwrap_or_default();
            scenario.to_string().contains(head)
        })
        .collect();
    assert!(!scenarios.is_empty(), "no scenario's name has TENANTRY_SWEEP={wanted}");
    println!("{} scenarios are run undisturbed", scenarios.len());
    let references = references(scenarios, SIDE_BY_SIDE).await;
    for reference in &references {
        let (points, scenario) = (reference.points(), reference.scenario);
        let in_kubernetes = points.iter().filter(|point| point.is_in_kubernetes()).count();
        println!(
            "  {scenario}: {} calls change AWS, {in_kubernetes} Kubernetes",
            points.len() - in_kubernetes
        );
    }
    let runs = references.iter().flat_map(Reference::at_each_point);
    let runs = runs.chain(covering(&references).into_iter().flat_map(Reference::with_each_fault));
    let runs: Vec<_> = runs.filter(|run| run.to_string().contains(&wanted)).collect();
    let points: usize = references.iter().map(|reference| reference.points().len()).sum();
    let operations = count(references.iter().flat_map(|it| it.points().into_iter().map(|it| it.operation)));
    let summary = format!(
        "{} scenarios, {points} points ({operations} operations), {} runs",
        references.len(),
        runs.len()
    );
    println!("{summary}");
    sweep(&references, runs, SIDE_BY_SIDE).await;
    println!(
        "The sweep: {summary}, all as undisturbed, in {:.0} minutes",
        begun.elapsed().as_secs_f32() / 60.0
    );
}
