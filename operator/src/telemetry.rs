//! Log lines through `tracing`: text on a terminal, else one JSON object a line, to standard error.
//!
//! The client library logs each failed request as an error of its own; those lines are off, because whoever asked decides
//! whether a failure matters and logs it once. `HEADGATE_LOG_LEVEL=info,kube_client=debug` brings them back.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::LogFormat;

/// Stands before what people ask for, so that theirs wins.
const QUIET: &str = "kube_client=off,kube_runtime=off";

/// Starts logging. The error is one sentence.
pub fn start(level: &str, format: LogFormat) -> Result<(), String> {
    let filter =
        EnvFilter::try_new(format!("{QUIET},{level}")).map_err(|error| format!("log level `{level}`: {error}"))?;
    let is_text = match format {
        LogFormat::Text => true,
        LogFormat::Json => false,
        LogFormat::Auto => std::io::stderr().is_terminal(),
    };
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false);
    if is_text {
        registry.with(lines).init();
    } else {
        // Flat: the fields of an event beside its message, as the data plane writes them.
        registry
            .with(
                lines
                    .json()
                    .flatten_event(true)
                    .with_current_span(false)
                    .with_span_list(false),
            )
            .init();
    }
    Ok(())
}
