//! `headgate status`: what a cluster publishes, what each data plane says that it serves, and what is held.
//!
//! Read with a person's kubeconfig: one ConfigMap, one list of Leases. The pointer is not verified, since that takes a
//! sealing key, which people should not need; what the data planes refused they have verified themselves. The exit code is
//! for scripts: 0 all is well, 1 something is held, refused, behind or not published, 2 it cannot be read. JSON is a document in each case.

mod view;

use std::io::Write as _;
use std::process::ExitCode;

use headgate_snapshot::delivery::{Pointer, STATUS_KEY, label};
use k8s_openapi::api::core::v1::ConfigMap;

use self::view::{Condition, Document, Seen};
use super::ack::COMPONENT;
use super::api::{Api, ApiError};
use super::pointer::{Told, told};
use crate::args::{Output, StatusArgs};

/// Reads and prints.
pub async fn run(args: StatusArgs) -> ExitCode {
    let (output, error, exit_code) = match read(&args).await {
        Ok(seen) => {
            let document = Document::of(&seen, jiff::Timestamp::now());
            let output = match args.output {
                Output::Text => document.to_text(),
                Output::Json => view::json(&document),
            };
            (output, String::new(), u8::from(!document.clean))
        }
        Err(message) => {
            let output = match args.output {
                Output::Text => String::new(),
                Output::Json => view::json(&view::Failure::new(&message)),
            };
            (output, format!("headgate: {message}\n"), 2)
        }
    };
    // Nobody is left to tell when a pipe is closed early; the exit code still counts.
    let _ = std::io::stdout().write_all(output.as_bytes());
    let _ = std::io::stderr().write_all(error.as_bytes());
    ExitCode::from(exit_code)
}

async fn read(args: &StatusArgs) -> Result<Seen, String> {
    let config = Api::config().await?;
    let namespace = match &args.snapshot_namespace {
        Some(namespace) => namespace.clone(),
        // As the chart names it.
        None => format!("{}-snapshots", config.default_namespace),
    };
    let source = format!("{namespace}/{}", args.snapshot_name);
    let api = Api::new(config, &namespace, None)?;
    let object = api.pointer(&args.snapshot_name).await.map_err(|error| match error {
        ApiError::NotFound => format!(
            "there is no ConfigMap {source}; name the namespace of the snapshots with --snapshot-namespace, or see the log \
             of the operator if it should be there"
        ),
        error => format!("ConfigMap {source}: {error}"),
    })?;
    let pointer = pointer(&object)
        .map_err(|error| format!("ConfigMap {source} is no pointer that this version can read: {error}"))?;
    let selector = format!(
        "{}={},{}={}",
        COMPONENT.0,
        COMPONENT.1,
        label::INSTALLATION,
        pointer.installation
    );
    let leases = api
        .leases(&selector)
        .await
        .map_err(|error| format!("the Leases in {namespace}: {error}"))?;
    Ok(Seen {
        source,
        pointer,
        conditions: conditions(&object),
        leases,
    })
}

fn pointer(object: &ConfigMap) -> Result<Pointer, serde_json::Error> {
    let Told::Pointer { signed, .. } = told(object) else {
        return serde_json::from_str("");
    };
    serde_json::from_str(&signed.text)
}

/// What the operator tells people. What cannot be read is shown as it is: it is there for a reason.
fn conditions(object: &ConfigMap) -> Vec<Condition> {
    let text = object.data.as_ref().and_then(|data| data.get(STATUS_KEY));
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
        return Vec::new();
    };
    serde_json::from_str(text).unwrap_or_else(|_| vec![Condition::unreadable(text)])
}
