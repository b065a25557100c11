//! `airside version`.

use std::process::ExitCode;

pub fn execute() -> anyhow::Result<ExitCode> {
    println!(
        "airside {} (commit {})",
        env!("CARGO_PKG_VERSION"),
        env!("AIRSIDE_COMMIT")
    );
    println!("pingora {}", env!("AIRSIDE_PINGORA"));
    println!("features: identity (sqlite, mysql), allocator mimalloc");
    Ok(ExitCode::SUCCESS)
}
