//! Processors that do not fall asleep. To wake one takes longer than all that the gateway does for a question, on a virtual machine
//! several times as long, and differs from minute to minute; it would hide what is measured.

use std::io::Read;
use std::process::{Child, Command, Stdio};

use anyhow::Context;

/// What the process is started with.
pub const SERVE: &str = "keep-awake";

/// A process that works on each processor as long as nobody else wants to, and gives way at once.
pub struct Awake(Child);

impl Awake {
    /// Until it is dropped.
    pub fn keep() -> anyhow::Result<Self> {
        let mut command = Command::new("chrt");
        let command = command.args(["--idle", "0"]).arg(std::env::current_exe()?).arg(SERVE);
        let started = command.stdin(Stdio::piped()).spawn();
        Ok(Self(
            started.context(
                "chrt is needed to keep processors awake (Debian, Ubuntu: apt install util-linux)",
            )?,
        ))
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // There is nobody left to tell.
        let _ = self.0.wait();
    }
}

/// Works until the standard input ends.
pub fn serve() -> anyhow::Result<()> {
    for _ in 0..std::thread::available_parallelism()?.get() {
        std::thread::spawn(|| {
            loop {
                std::hint::black_box(());
            }
        });
    }
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
