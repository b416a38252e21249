//! The memory of a process, as Linux counts it.

use anyhow::Context;

/// A moment from which growth is measured.
pub struct Growth {
    before: f64,
}

impl Growth {
    /// From now on; what was needed at most before is forgotten.
    /// <https://docs.kernel.org/filesystems/proc.html>
    pub fn since_now() -> anyhow::Result<Self> {
        std::fs::write("/proc/self/clear_refs", "5").context("the peak of memory cannot be reset")?;
        Ok(Self { before: mebibytes("VmRSS")? })
    }

    /// How much more was needed at most, in MiB.
    pub fn mebibytes(&self) -> anyhow::Result<f64> {
        Ok(mebibytes("VmHWM")? - self.before)
    }
}

fn mebibytes(what: &str) -> anyhow::Result<f64> {
    of(&std::fs::read_to_string("/proc/self/status")?, what)
}

/// What the file `status` of a process says of it.
pub fn of(status: &str, what: &str) -> anyhow::Result<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix("kB")).context("no such line")?;
    Ok(kibibytes.trim().parse::<f64>()? / 1024.0)
}
