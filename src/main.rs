use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = tenantry::cli::Cli::parse();
    let done = match cli.runtime() {
        Ok(runtime) => runtime.block_on(cli.run()),
        Err(error) => Err(format!("the threads of this program cannot be started: {error}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}
