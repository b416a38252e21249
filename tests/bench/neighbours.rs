//! A few documents of one tenant of a pool beside very many changed ones of another: how long it takes until a job may start
//! that reads the few.

use std::time::{Duration, Instant};

use crate::report::{Bound, Report, median_ratio};
use crate::s3::S3;
use crate::stamping::{aws, review, rules};

/// The few,
const FEW: usize = 10;
/// and the many of whoever comes first in every listing.
const MANY: usize = 300_000;
/// Both sides in turn so many times.
const ROUNDS: usize = 5;
/// A call to S3 takes as long as in a network.
const CALL: Duration = Duration::from_millis(20);

pub async fn run(report: &mut Report) -> anyhow::Result<()> {
    let s3 = S3::start()?;
    let (aws, rules) = (aws(s3.endpoint()).await, rules());
    s3.slow(CALL).await?;
    let tenants = ["acme", "globex"];
    let (mut times, mut looked_at) = (Vec::new(), 0);
    for round in 0..=ROUNDS {
        let mut took = [Duration::ZERO; 2];
        for (took, many) in took.iter_mut().zip([0, MANY]) {
            s3.fill(&[("acme", many), ("globex", FEW)]).await?;
            let begun = Instant::now();
            let findings = review(&aws, &rules, &tenants).await?;
            *took = begun.elapsed();
            anyhow::ensure!(findings.written >= FEW, "{findings:?}");
            looked_at = findings.written - FEW;
        }
        let [alone, beside] = took;
        eprintln!("neighbours, round {round} of {ROUNDS}: {alone:.1?} alone, {beside:.1?} beside {MANY}");
        // The first of everything costs more.
        if round > 0 {
            times.push([beside.as_secs_f64(), alone.as_secs_f64()]);
        }
    }
    report.raw("neighbours.seconds: beside many, alone", &times);
    report.judge("neighbours-few-beside-many/alone", median_ratio(&times), Bound::AtMost(2.0));
    report.note(format!("before the {FEW}, {looked_at} of the others were looked at"));
    Ok(())
}
