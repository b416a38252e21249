//! What surrounds the operator, each part in a process of its own: what it needs is not counted as the operator's.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use anyhow::Context;

/// The path under which a bench speaks with its surroundings. Such calls are neither counted nor slow.
pub const CONTROL: &str = "/_bench/";

/// This program again, as a server. It ends with this process, because its standard input does.
pub struct Process {
    process: Child,
    endpoint: String,
    http: reqwest::Client,
}

impl Process {
    /// Starts what has this name.
    pub fn start(name: &str) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let command = command.arg(name).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let mut endpoint = String::new();
        let output = process.stdout.take().context("it has no output")?;
        BufReader::new(output).read_line(&mut endpoint)?;
        Ok(Self { process, endpoint: endpoint.trim().into(), http: reqwest::Client::new() })
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Says something to it, or asks.
    pub async fn control(&self, what: &str) -> anyhow::Result<String> {
        let answer = self.http.get(format!("{}{CONTROL}{what}", self.endpoint)).send().await?;
        Ok(answer.error_for_status()?.text().await?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // There is nobody left to tell.
        let _ = self.process.wait();
    }
}

/// In the server: says where it is, and ends it when its standard input ends.
pub async fn serve<F: Future<Output = anyhow::Result<()>>>(
    serving: impl FnOnce(tokio::net::TcpListener) -> F,
) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("http://{}", listener.local_addr()?);
    let input_ends = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    tokio::select! {
        failed = serving(listener) => failed,
        _ = input_ends => Ok(()),
    }
}
