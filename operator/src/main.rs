//! `headgate-operator`: watches the five kinds, publishes snapshots, reports what data planes really serve.

use std::process::ExitCode;

use headgate_operator::args::{self, Config};
use headgate_operator::{process, telemetry};

/// Enough that a compile never keeps a Lease from being renewed; the operator waits most of the time.
const WORKER_THREADS: usize = 2;

fn main() -> ExitCode {
    match run(args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("headgate-operator: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(config: Config) -> Result<(), String> {
    process::harden();
    telemetry::start(&config.log_level, config.log_format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(process::run(config))
}
