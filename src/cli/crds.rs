//! `tenantry crds`

use std::path::PathBuf;

use clap::Args;

use super::help;
use crate::api::crds;

#[derive(Debug, Args)]
#[command(after_help = help::after("tenantry crds | kubectl apply -f -", &[]))]
pub(super) struct Crds {
    /// Write one file for each kind into this folder instead of printing them.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

impl Crds {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.dir {
            Some(dir) => crds::write(&dir)?,
            None => print!("{}", crds::yaml()),
        }
        Ok(())
    }
}
