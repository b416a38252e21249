//! How operator and gateway perform, as ratios and counts with bounds: `make bench`, in a release build.
//!
//! Times differ from machine to machine; what is judged is never a time, but what it is a multiple of: the same work done
//! without them, in the same run, each side in turn. A bench is a file here, a name in [`BENCHES`] or [`LONG`] and a
//! line in [`bench`].

mod account;
mod bare;
mod bed;
mod bridges;
mod fleet;
mod gateway;
mod kubernetes;
mod memory;
mod neighbours;
mod objects;
mod onboarding;
mod operator;
mod process;
mod program;
mod report;
mod s3;
mod stamping;
#[allow(dead_code, unused_imports, clippy::unwrap_used, clippy::expect_used)]
#[path = "../e2e/support/mod.rs"]
mod support;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::Instant;

use futures::FutureExt;
use report::Report;
use tokio::runtime::{Builder, Runtime};

/// The benches by name. Those that take long run only when they are named.
const BENCHES: [&str; 6] = ["stamping", "neighbours", "onboarding", "bridges", "fleet", "gateway"];
const LONG: [&str; 1] = ["fleet-30000"];

fn main() -> anyhow::Result<ExitCode> {
    // Whoever has done so before has done it well.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // Cargo says --bench to every bench.
    let named: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if named == [gateway::awake::SERVE] {
        gateway::awake::serve()?;
        return Ok(ExitCode::SUCCESS);
    }
    if let [server @ (s3::SERVE | kubernetes::SERVE | gateway::around::SERVE)] =
        named.iter().map(String::as_str).collect::<Vec<_>>()[..]
    {
        // One thread: it is the surroundings, and must not take the whole machine.
        let runtime = Builder::new_current_thread().enable_all().build()?;
        match server {
            s3::SERVE => runtime.block_on(s3::serve())?,
            gateway::around::SERVE => runtime.block_on(gateway::around::serve())?,
            _ => runtime.block_on(kubernetes::serve())?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(unknown) = named.iter().find(|name| !BENCHES.iter().chain(&LONG).any(|known| known == name)) {
        anyhow::bail!(
            "there is no bench {unknown}: {}, and by name only: {}",
            BENCHES.join(", "),
            LONG.join(", ")
        );
    }
    let names = if named.is_empty() { BENCHES.map(String::from).to_vec() } else { named.clone() };
    let mut report = Report::new(&named)?;
    println!("# raw figures: {}", report.path().display());
    for name in &names {
        let begun = Instant::now();
        // One that ends early must not take the others with it, however it ends.
        let run = runtime(name)?.block_on(AssertUnwindSafe(bench(name, &mut report)).catch_unwind());
        match run {
            Ok(Ok(())) => {}
            Ok(Err(error)) => report.failed(name, &format!("{error:#}")),
            Err(_) => report.failed(name, "it panicked, as is said above"),
        }
        report.note(format!("{name} took {:.0?}", begun.elapsed()));
    }
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whoever asks the gateway one question after the other has one thread: otherwise each question wakes threads of the bench, too,
/// on the processors that the gateway needs.
fn runtime(name: &str) -> std::io::Result<Runtime> {
    let mut threads =
        if name == "gateway" { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    threads.enable_all().build()
}

async fn bench(name: &str, report: &mut Report) -> anyhow::Result<()> {
    match name {
        "stamping" => stamping::run(report).await,
        "neighbours" => neighbours::run(report).await,
        "onboarding" => onboarding::run(report).await,
        "bridges" => bridges::run(report).await,
        "fleet" => fleet::run(report, 10_000).await,
        "gateway" => gateway::run(report).await,
        "fleet-30000" => fleet::run(report, 30_000).await,
        other => anyhow::bail!("{other} is in the list of benches and is none"),
    }
}
