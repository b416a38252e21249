//! From create to Ready against AWS's own times, on a real API server: how long beside what nobody can make shorter, and with
//! how many calls. AWS is the double, in a process of its own; its times and the operator's waits are a tenth of real ones.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::bed;
use crate::report::{Bound, Report, median};
use crate::support::double::Journal;
use crate::support::world::World;

/// Each is onboarded so many times, in turn; the one in the middle counts.
const ROUNDS: usize = 3;

/// A kind of tenant, and how long its onboarding takes if nothing but AWS takes time.
struct Kind {
    name: &'static str,
    pattern: &'static str,
    /// What it waits for, one after the other, in AWS's seconds.
    path: &'static [(&'static str, f64)],
    most: f64,
    writes: f64,
}

const SILO: Kind = Kind {
    name: "silo",
    pattern: "pattern: Silo",
    path: &[COLLECTION, INDEX, VISIBLE, KNOWLEDGE_BASE],
    most: 1.05,
    writes: 7.0,
};
const BRIDGE: Kind = Kind {
    name: "bridge",
    pattern: "pattern: Bridge, stackRef: {name: standard}",
    path: &[INDEX, VISIBLE, KNOWLEDGE_BASE],
    most: 1.15,
    writes: 5.0,
};
const COLLECTION: (&str, f64) = ("collection", 60.0);
const INDEX: (&str, f64) = ("index", 1.0);
const VISIBLE: (&str, f64) = ("seen by Bedrock", 5.0);
const KNOWLEDGE_BASE: (&str, f64) = ("knowledge base", 5.0);

/// One onboarding.
struct Round {
    took: Duration,
    journal: Journal,
    writes: usize,
}

pub async fn run(report: &mut Report) -> anyhow::Result<()> {
    let bed = bed::up().await?;
    for kind in [&SILO, &BRIDGE] {
        let mut rounds = Vec::new();
        for number in 1..=ROUNDS {
            let w = World::new(bed, |_| {}).await;
            w.double.settings(json!({"lag": {"index_visible": INDEX.1 + VISIBLE.1}})).await;
            w.start_operator().await;
            w.granted().await;
            if kind.name != "silo" {
                w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {}}").await;
                w.ready("SharedStack/standard").await;
            }
            let round = onboard(&w, kind).await;
            eprintln!("{}, round {number} of {ROUNDS}: {:.2?}", kind.name, round.took);
            w.stop_operator().await;
            w.remove_all().await;
            rounds.push(round);
        }
        judge(report, kind, &rounds);
    }
    Ok(())
}

async fn onboard(w: &World, kind: &Kind) -> Round {
    let (witness, mark) = (w.witness(), w.double.mark().await);
    let begun = Instant::now();
    w.apply(&format!(
        "{{kind: Tenant, metadata: {{name: acme}}, spec: {{tenantId: acme, {}}}}}",
        kind.pattern
    ))
    .await;
    let acme = w.ready("acme").await;
    let took = begun.elapsed();
    let journal = w.double.journal(mark).await;
    let versions = witness.versions(w, &acme).await;
    let of_acme = versions.iter().filter(|version| version.uid() == acme.uid()).count();
    if std::env::var_os("TENANTRY_BENCH_TRACE").is_some() {
        let first = journal.iter().next().map_or(0.0, |call| call.time);
        for call in journal.iter() {
            eprintln!("{:8.3} {call}", call.time - first);
        }
        for version in versions.iter().filter(|version| version.uid() == acme.uid()) {
            eprintln!("{}", version.describe());
        }
    }
    Round { took, journal, writes: of_acme - 1 }
}

fn judge(report: &mut Report, kind: &Kind, rounds: &[Round]) {
    let name = kind.name;
    let aws_seconds: f64 = kind.path.iter().map(|(_, seconds)| seconds).sum();
    let path = aws_seconds / 10.0;
    let sum: Vec<_> = kind.path.iter().map(|(what, seconds)| format!("{what} {seconds}")).collect();
    report.note(format!(
        "{name}: the critical path is {} = {aws_seconds} s, ÷ 10: {path:.2} s",
        sum.join(" + ")
    ));
    let ratios: Vec<_> = rounds.iter().map(|round| round.took.as_secs_f64() / path).collect();
    report.raw(&format!("{name}.ratios"), &ratios);
    report.judge(&format!("{name}-create-to-ready/critical-path"), median(ratios), Bound::AtMost(kind.most));
    for round in rounds {
        let mut reads: BTreeMap<&str, usize> = BTreeMap::new();
        for call in round.journal.iter().filter(|call| !call.mutating) {
            *reads.entry(&call.operation).or_default() += 1;
        }
        report.raw(&format!("{name}.reads"), &reads);
    }
    let worst = |count: &dyn Fn(&Round) -> usize| rounds.iter().map(count).max().unwrap_or_default() as f64;
    report.judge(
        &format!("{name}-reads"),
        worst(&|round| round.journal.only(|call| !call.mutating).len()),
        Bound::AtMost(60.0),
    );
    report.judge(
        &format!("{name}-list-knowledge-bases"),
        worst(&|round| round.journal.of("ListKnowledgeBases").len()),
        Bound::AtMost(3.0),
    );
    report.judge(
        &format!("{name}-kubernetes-writes"),
        worst(&|round| round.writes),
        Bound::AtMost(kind.writes),
    );
    let refused = |round: &Round| round.journal.mutating().only(|call| !call.succeeded()).len();
    report.judge(&format!("{name}-refused-probes"), worst(&refused), Bound::AtMost(4.0));
}
