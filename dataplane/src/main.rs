//! `headgate`: the gateway, and the tool for a tree of its manifests.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;

use headgate::args::{self, Command, ServeArgs, StatusArgs};
use headgate::diagnostic::{self, Style};
use headgate::source::{StartError, kubernetes};
use headgate::{check, process, serve, telemetry};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match args::parse().command {
        Command::Serve(args) => serve(*args),
        Command::Check(args) => check::run(&args),
        Command::Status(args) => status(args),
        Command::Completions { shell } => {
            args::print_completions(shell);
            ExitCode::SUCCESS
        }
    }
}

fn serve(args: ServeArgs) -> ExitCode {
    process::harden();
    let logging = telemetry::start(&args.log_level, args.log_format);
    let served = match &logging {
        Err(message) => Err(StartError {
            message: message.clone(),
            findings: Vec::new(),
        }),
        Ok(_) => match scheduler().enable_all().build() {
            Ok(runtime) => runtime.block_on(serve::serve(args, Arc::new(args::environment), Arc::new(announce))),
            Err(error) => Err(StartError {
                message: format!("cannot start: {error}"),
                findings: Vec::new(),
            }),
        },
    };
    drop(logging);
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(StartError { message, findings }) => {
            let style = Style::of(std::io::stderr().is_terminal(), &args::environment);
            eprint!("{}", diagnostic::render(&findings, style));
            eprintln!("headgate: {message}");
            ExitCode::FAILURE
        }
    }
}

fn status(args: StatusArgs) -> ExitCode {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(kubernetes::status::run(args)),
        Err(error) => {
            eprintln!("headgate: cannot start: {error}");
            ExitCode::from(2)
        }
    }
}

/// On one core (a pod with a CPU limit of one) there is nobody to share work with, and a scheduler that could would cost a
/// request a twentieth of its work.
fn scheduler() -> tokio::runtime::Builder {
    match std::thread::available_parallelism() {
        Ok(cores) if cores.get() == 1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    }
}

/// To the terminal, never through the log.
fn announce(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
