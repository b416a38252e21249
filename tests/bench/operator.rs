//! The operator as the program that is installed: a process, and what Linux counts of it.

use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::Context;
use tempfile::TempDir;

use crate::memory;
use crate::program::{self, INSTALLATION};
use crate::s3::BUCKET;
use crate::support::gateway::process::free_addresses;

/// Another program than the one that was just built, to compare the two.
const PROGRAM: &str = "TENANTRY_BENCH_PROGRAM";
/// Linux counts the time of processors in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);
/// Who needs no more of a processor than this in between has nothing to do.
const IDLE: Duration = Duration::from_millis(1500);

/// A running operator. It is killed if it is not stopped.
pub struct Operator {
    process: Child,
    metrics: String,
    begun: Instant,
    _files: TempDir,
}

impl Operator {
    /// Starts it before these surroundings. What it logs is in a file beside the raw figures.
    pub fn start(kubernetes: &str, aws: &str) -> anyhow::Result<Self> {
        let files = tempfile::tempdir()?;
        let program = std::env::var_os(PROGRAM).unwrap_or_else(|| env!("CARGO_BIN_EXE_tenantry").into());
        let mut command = program::command(program, files.path(), kubernetes, aws, &log())?;
        let [metrics] = free_addresses();
        command.args([
            "run",
            "--metrics-bind-address",
            &metrics,
            "--installation",
            INSTALLATION,
            "--installation-bucket",
            BUCKET,
            "--resync",
            "60",
        ]);
        Ok(Self { process: command.spawn()?, metrics, begun: Instant::now(), _files: files })
    }

    fn proc(&self, file: &str) -> anyhow::Result<String> {
        let path = format!("/proc/{}/{file}", self.process.id());
        std::fs::read_to_string(path)
            .with_context(|| format!("the operator has ended; see {}", log().display()))
    }

    /// The time of processors that it has had.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = self.proc("stat")?;
        let fields: Vec<_> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u32>().ok());
        let (user, system) = ticks(11).zip(ticks(12)).context("/proc/<pid>/stat has other fields")?;
        Ok(TICK * (user + system))
    }

    /// The memory that it needed at most, in MiB.
    pub fn peak(&self) -> anyhow::Result<f64> {
        memory::of(&self.proc("status")?, "VmHWM")
    }

    /// Waits until it has nothing more to do; answers how long after its start that was so.
    pub async fn idle(&self) -> anyhow::Result<Duration> {
        let (mut last, mut since) = (self.cpu()?, Instant::now());
        while since.elapsed() < IDLE {
            tokio::time::sleep(TICK).await;
            let now = self.cpu()?;
            // A tick now and then is the lease.
            if now > last + TICK {
                (last, since) = (now, Instant::now());
            }
        }
        Ok(since.duration_since(self.begun))
    }

    /// How many passes over Tenants it has made.
    pub async fn passes(&self) -> anyhow::Result<usize> {
        let page = reqwest::get(format!("http://{}/metrics", self.metrics)).await?.text().await?;
        let of_tenants = page.lines().filter(|line| {
            line.starts_with("controller_runtime_reconcile_total{") && line.contains(r#"controller="tenant""#)
        });
        Ok(of_tenants.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum())
    }

    /// Ends it as Kubernetes does.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        Command::new("kill").arg(self.process.id().to_string()).status()?;
        let begun = Instant::now();
        while self.process.try_wait()?.is_none() {
            anyhow::ensure!(begun.elapsed() < Duration::from_secs(40), "it does not end");
            tokio::time::sleep(TICK).await;
        }
        Ok(())
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn log() -> PathBuf {
    crate::report::target().join("bench-operator.log")
}
