//! The gateway as the program that is installed: a process, and what Linux counts of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::Context;
use tempfile::TempDir;

use super::around::Around;
use crate::memory;
use crate::program::{self, INSTALLATION};
use crate::support::gateway::authority::Authority;
use crate::support::gateway::process::free_addresses;

/// How long it may take until it is ready.
const DEADLINE: Duration = Duration::from_secs(60);

/// A running gateway. It is killed when it is dropped.
pub struct Gateway {
    process: Child,
    pub address: SocketAddr,
    /// The authority of its certificate, if it has one.
    pub authority: Option<Authority>,
    _files: TempDir,
}

impl Gateway {
    /// Starts it, and waits until it is ready. It writes its access log to a file, as one that is watched does.
    pub async fn start(around: &Around, tls: bool, arguments: &[&str]) -> anyhow::Result<Self> {
        let files = tempfile::tempdir()?;
        let [address, probes] = free_addresses();
        let authority = tls.then(Authority::new);
        let around = around.endpoint();
        let program = env!("CARGO_BIN_EXE_tenantry");
        let mut command = program::command(program, files.path(), around, around, &log())?;
        command
            .args(["gateway", "--installation", INSTALLATION, "--installation-bucket", "bench"])
            .args(["--ask-role", "arn:aws:iam::111122223333:role/ask", "--bind-address", &address])
            .args(["--health-probe-bind-address", &probes])
            .arg("--access-log")
            .arg(files.path().join("access.jsonl"))
            .args(arguments);
        match &authority {
            Some(authority) => {
                authority.serve_from(files.path());
                command.arg("--tls-cert-dir").arg(files.path());
            }
            None => {
                command.arg("--plaintext");
            }
        }
        let gateway = Self { process: command.spawn()?, address: address.parse()?, authority, _files: files };
        let begun = Instant::now();
        let ready = format!("http://{probes}/readyz");
        while !reqwest::get(&ready).await.is_ok_and(|answer| answer.status().is_success()) {
            anyhow::ensure!(begun.elapsed() < DEADLINE, "it is not ready in time; see {}", log().display());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(gateway)
    }

    /// The memory that it has now, or with `VmHWM` the most that it ever had, in MiB.
    pub fn memory(&self, what: &str) -> anyhow::Result<f64> {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path)
            .with_context(|| format!("it has ended; see {}", log().display()))?;
        memory::of(&status, what)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn log() -> PathBuf {
    crate::report::target().join("bench-gateway.log")
}
