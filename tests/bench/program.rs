//! The program that is measured, as it is installed, before the surroundings of a bench.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::account::ACCOUNT;

/// The installation's name.
pub const INSTALLATION: &str = "bench";
/// The region.
pub const REGION: &str = "us-east-1";

/// The command that runs it, without its verb. `files` is where its kubeconfig is written, `log` where it says what it does.
pub fn command(
    program: impl AsRef<OsStr>,
    files: &Path,
    kubernetes: &str,
    aws: &str,
    log: &Path,
) -> anyhow::Result<Command> {
    let kubeconfig = files.join("kubeconfig");
    std::fs::write(
        &kubeconfig,
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: bench\n\
             clusters: [{{name: bench, cluster: {{server: \"{kubernetes}\"}}}}]\n\
             users: [{{name: bench, user: {{}}}}]\n\
             contexts: [{{name: bench, context: {{cluster: bench, user: bench, namespace: tenantry}}}}]\n"
        ),
    )?;
    let mut command = Command::new(program);
    command
        .env("KUBECONFIG", kubeconfig)
        .env("AWS_ENDPOINT_URL", aws)
        .envs([
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", ACCOUNT),
            ("AWS_SECRET_ACCESS_KEY", "not-a-secret"),
        ])
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(log)?);
    Ok(command)
}
