//! What a person sees who works with kubectl.

use std::process::Stdio;

use crate::world::World;

impl World {
    /// What kubectl prints. It must succeed.
    pub async fn kubectl(&self, arguments: &[&str]) -> String {
        let output = tokio::process::Command::new(&self.bed.kubectl)
            .args(arguments)
            .envs(self.environment())
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "kubectl {arguments:?}: {out}{error}");
        out.into_owned()
    }
}
