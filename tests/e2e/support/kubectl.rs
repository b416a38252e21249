//! What a person sees who works with kubectl, or with the program's own commands.

use std::collections::BTreeMap;
use std::process::Stdio;

use aws_config::SdkConfig;

use crate::support::world::World;

/// What a program prints. It must succeed.
pub async fn printed(program: &str, arguments: &[&str], environment: BTreeMap<String, String>) -> String {
    let (succeeded, out, error) = tried(program, arguments, environment).await;
    assert!(succeeded, "{program} {arguments:?}: {out}{error}");
    out
}

/// Whether a program succeeds, and what it prints and complains of.
async fn tried(
    program: &str,
    arguments: &[&str],
    environment: BTreeMap<String, String>,
) -> (bool, String, String) {
    let mut command = tokio::process::Command::new(program);
    let output = command.args(arguments).envs(environment).stdin(Stdio::null()).output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

impl World {
    /// What kubectl prints. It must succeed.
    pub async fn kubectl(&self, arguments: &[&str]) -> String {
        printed(&self.bed.kubectl, arguments, self.environment()).await
    }

    /// What `tenantry` prints. It must succeed.
    pub async fn tenantry(&self, arguments: &[&str]) -> String {
        printed(env!("CARGO_BIN_EXE_tenantry"), arguments, self.environment()).await
    }

    /// The same as somebody else sees AWS.
    pub async fn tenantry_under(&self, session: &SdkConfig, arguments: &[&str]) -> String {
        printed(env!("CARGO_BIN_EXE_tenantry"), arguments, self.environment_under(session).await).await
    }

    /// Whether `tenantry` succeeds, and what it prints and complains of.
    pub async fn tenantry_tried(&self, arguments: &[&str]) -> (bool, String, String) {
        self.tenantry_tried_with(arguments, &[]).await
    }

    /// The same with something else in its environment.
    pub async fn tenantry_tried_with(
        &self,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> (bool, String, String) {
        let mut whole = self.environment();
        whole.extend(environment.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        tried(env!("CARGO_BIN_EXE_tenantry"), arguments, whole).await
    }
}
