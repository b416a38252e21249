//! How the operator performs, as ratios and counts with bounds: `make bench`, in a release build.
//!
//! Times differ from machine to machine; what is judged is never a time, but what it is a multiple of: the same work done
//! without the operator, in the same run, each side in turn. A bench is a file here, and a line in [`benches`].

mod memory;
mod neighbours;
mod report;
mod s3;
mod stamping;

use std::process::ExitCode;

use report::Report;

/// What a bench calls itself to have S3 in a process of its own.
const SERVE_S3: &str = "serve-s3";

fn main() -> anyhow::Result<ExitCode> {
    if std::env::args().nth(1).as_deref() == Some(SERVE_S3) {
        // One thread: it is the surroundings, and must not take the whole machine.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(s3::serve())?;
        return Ok(ExitCode::SUCCESS);
    }
    let report = tokio::runtime::Runtime::new()?.block_on(benches())?;
    print!("{report}");
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn benches() -> anyhow::Result<Report> {
    let mut report = Report::default();
    stamping::run(&mut report).await?;
    neighbours::run(&mut report).await?;
    Ok(report)
}
