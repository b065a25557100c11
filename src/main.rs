//! The program: what the process has one of, then the command line.

use std::process::ExitCode;

// Without it, to measure what it brings: `scripts/dist-steps`.
#[cfg(not(system_allocator))]
#[global_allocator]
static ALLOCATOR: airside_allocator::Allocator = airside_allocator::Allocator;

fn main() -> ExitCode {
    airside::cli::main()
}
