//! More operators than a world's own: in this process, or the program itself, where a test has to kill it.

use std::process::Stdio;

use aws_config::SdkConfig;
use tenantry::operator;
use tenantry::settings::Settings;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::world::{PATIENCE, World};

/// An operator beside, or in place of, the world's own.
pub struct Another {
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Another {
    /// Stops it after the passes under way.
    pub async fn stop(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(PATIENCE, self.task).await;
        ended.expect("the operator did not stop").expect("it panicked").expect("it failed");
    }
}

impl World {
    /// Starts one more operator, which has been told something else than the world's own.
    pub async fn another_operator(&self, tell: impl FnOnce(&mut Settings)) -> Another {
        let mut settings = self.settings.clone();
        tell(&mut settings);
        let sdk = self.operator_session().await;
        let (stop, client) = (CancellationToken::new(), self.bed.operator_client().await);
        let token = stop.clone();
        Another {
            stop,
            task: tokio::spawn(async move { operator::run(settings, client, &sdk, token).await }),
        }
    }

    /// `tenantry run` for this world, as its operator.
    pub async fn program(&self, arguments: &[&str]) -> Command {
        self.program_as(&self.operator_session().await, arguments).await
    }

    /// The same under another session.
    pub async fn program_as(&self, sdk: &SdkConfig, arguments: &[&str]) -> Command {
        let settings = &self.settings;
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenantry"));
        command
            .args(["run", "--installation", &settings.installation, "--clock", &settings.clock.to_string()])
            .args(["--selector", settings.selector.as_deref().unwrap(), "--deletion-grace", "0"])
            .args(["--look-for-documents", &settings.look_for_documents.as_secs().to_string()])
            .args(arguments)
            .envs(self.environment_under(sdk).await)
            .env("KUBECONFIG", &self.bed.operator_kubeconfig)
            // Worlds share a cluster and an installation's name. Who wants leaders elected says where.
            .env("TENANTRY_LEADER_ELECT", "false")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        command
    }
}

/// SIGKILL: nothing is finished, nothing is cleaned up.
pub async fn kill(mut operator: Child) {
    if let Ok(Some(ended)) = operator.try_wait() {
        panic!("the operator ended by itself: {ended}");
    }
    operator.kill().await.unwrap();
}
