//! What `headgate serve` says when it starts: what it serves, to whom, and the line to try. Fingerprints, never keys.

use std::fmt::Write as _;
use std::net::SocketAddr;

use headgate_snapshot::{ModelTable, Snapshot};

use super::Delivery;
use crate::diagnostic;

/// More names than this are counted, not listed: a banner is read at a glance.
const LISTED_MAX: usize = 12;

/// A few lines for the person at the terminal.
pub fn describe(delivery: &Delivery, listen: SocketAddr) -> String {
    let snapshot = &*delivery.snapshot;
    let mut text = format!("headgate {} serves on http://{listen}\n\n", env!("CARGO_PKG_VERSION"));
    if snapshot.models.values().all(|table| names(snapshot, table).is_empty()) {
        text += "  models    none yet: add an LLMProvider, see examples/quickstart\n";
    }
    for (namespace, table) in &snapshot.models {
        let names = names(snapshot, table);
        if !names.is_empty() {
            let _ = writeln!(text, "  models    {} (namespace {namespace})", listed(&names));
        }
    }
    let keys: Vec<_> = snapshot
        .callers
        .iter()
        .map(|(name, caller)| format!("{name} ({})", state(caller)))
        .collect();
    let keys = if keys.is_empty() {
        "none yet: every request is refused; add a VirtualKey".to_owned()
    } else {
        listed(&keys)
    };
    let _ = writeln!(text, "  keys      {keys}");
    let counts = diagnostic::count(&delivery.findings);
    let _ = writeln!(text, "  findings  {}", if counts.is_empty() { "none" } else { &counts });
    for finding in delivery.findings.iter().take(LISTED_MAX) {
        let _ = writeln!(text, "    {finding}");
    }
    if let Some(more @ 1..) = delivery.findings.len().checked_sub(LISTED_MAX) {
        let _ = writeln!(text, "    and {more} more: `headgate check` shows all");
    }
    let _ = write!(text, "\n{}", to_try(snapshot, listen));
    text
}

/// What clients of one namespace may ask for. Names that several tables have are listed once.
fn names(snapshot: &Snapshot, table: &ModelTable) -> Vec<String> {
    let mut names: Vec<String> = table
        .routes_exact
        .keys()
        .chain(table.declared.keys())
        .cloned()
        .collect();
    names.extend(table.routes_by_prefix.keys().map(|prefix| format!("{prefix}*")));
    names.extend(table.route_for_any.iter().map(|_| "*".to_owned()));
    let discovers = |name: &_| {
        snapshot
            .providers
            .get(name)
            .is_some_and(|provider| provider.discovers_models)
    };
    names.extend(
        table
            .providers
            .iter()
            .filter(|(_, provider)| discovers(provider))
            .map(|(name, _)| format!("{name}/*")),
    );
    names.extend(table.shared.iter().flat_map(|shared| self::names(snapshot, shared)));
    names.sort();
    names.dedup();
    names
}

fn state(caller: &headgate_snapshot::Caller) -> String {
    let state = match caller {
        caller if caller.suspended => ", suspended",
        caller if caller.refused.is_some() => ", refused",
        caller if caller.keys.is_empty() => ", without a token",
        _ => "",
    };
    format!(
        "{}{state}",
        if caller.fingerprint.is_empty() {
            "no fingerprint"
        } else {
            &caller.fingerprint
        }
    )
}

fn listed(names: &[String]) -> String {
    let shown = names
        .iter()
        .take(LISTED_MAX)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().checked_sub(LISTED_MAX) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

/// The curl line, for the first model that some key can name without a star.
fn to_try(snapshot: &Snapshot, listen: SocketAddr) -> String {
    let usable = |namespace: &str| {
        snapshot
            .callers
            .iter()
            .any(|(name, caller)| name.namespace == *namespace && !caller.keys.is_empty())
    };
    let mut models = snapshot
        .models
        .iter()
        .filter(|(namespace, _)| usable(namespace))
        .flat_map(|(_, table)| names(snapshot, table));
    let Some(model) = models.find(|model| !model.contains('*')) else {
        return String::new();
    };
    // What a wildcard address is reached by from this machine.
    let host = if listen.ip().is_unspecified() {
        format!("127.0.0.1:{}", listen.port())
    } else {
        listen.to_string()
    };
    // Within single quotes of a shell, which model names may hold.
    let model = serde_json::Value::from(model).to_string().replace('\'', "'\\''");
    let body = format!("{{\"model\":{model},\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}");
    format!(
        "Try it, with a virtual key in $HEADGATE_VIRTUAL_KEY:\n  \
         curl http://{host}/v1/chat/completions -H \"Authorization: Bearer $HEADGATE_VIRTUAL_KEY\" \\\n       \
         -H 'Content-Type: application/json' -d '{body}'\n"
    )
}
