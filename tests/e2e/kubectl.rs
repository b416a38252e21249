//! What a person sees who works with kubectl, or with the program's own commands.

use std::collections::BTreeMap;
use std::process::Stdio;

use crate::world::World;

/// What a program prints. It must succeed.
pub async fn printed(program: &str, arguments: &[&str], environment: BTreeMap<String, String>) -> String {
    let mut command = tokio::process::Command::new(program);
    let output = command.args(arguments).envs(environment).stdin(Stdio::null()).output().await.unwrap();
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {out}{error}");
    out.into_owned()
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
}
