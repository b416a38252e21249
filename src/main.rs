use std::process::ExitCode;

use clap::Parser;

/// A pass makes thousands of small values and drops them again, and a question some hundreds. This allocator takes less of the
/// processor for that than the one of the C library. Without huge pages it needs no more memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match tenantry::cli::Cli::parse().start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}
