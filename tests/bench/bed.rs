//! A test bed: a real API server with our definitions in it, and the AWS double, each a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::Context;

use crate::support::bed::{Bed, define, root};
use crate::support::world::INSTALLATION;

/// Starts one. It ends with this process, because its standard input does.
pub async fn up() -> anyhow::Result<&'static Bed> {
    // Whoever has done so before has done it well.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut process = Command::new("python3")
        .args(["tests/bed/bed.py", "up", "--installation", INSTALLATION])
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("the test bed needs python3")?;
    let mut line = String::new();
    BufReader::new(process.stdout.take().context("it has no output")?).read_line(&mut line)?;
    let bed: Bed = serde_json::from_str(&line).context("the test bed did not come up; it said why above")?;
    // Its standard input stays open as long as this process lives.
    let _ = Box::leak(Box::new(process));
    define(&bed).await;
    Ok(Box::leak(Box::new(bed)))
}
