//! Events for people: warnings and recoveries, each once, when something turns. They pass; what lasts is a condition.
//!
//! Nothing depends on one, so a failure to write one is told in the log and forgotten. Many at once are cut: ten thousand
//! objects that turn together have one cause, which the first hundred name well enough.

use futures_util::{StreamExt, stream};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

use crate::args::Config;

/// Who reports, as `kubectl describe` shows it.
const CONTROLLER: &str = "headgate.dev/operator";
/// Events that are written for one look at the world.
const EVENTS_MAX: usize = 100;
/// Events that are written at once.
const IN_FLIGHT: usize = 10;
/// The API server takes notes of so many bytes.
const NOTE_BYTES_MAX: usize = 1_024;
/// The API server takes instances of so many bytes.
const INSTANCE_BYTES_MAX: usize = 128;

/// Something that turned.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Turn {
    /// What it is about.
    pub(crate) object: ObjectReference,
    /// Whether it turned for the worse.
    pub(crate) is_warning: bool,
    /// One word.
    pub(crate) reason: &'static str,
    /// One sentence, without secrets.
    pub(crate) note: String,
}

/// Writes events.
pub(crate) struct Events {
    recorder: Recorder,
}

impl Events {
    /// Events in the name of this pod.
    pub(crate) fn new(client: Client, config: &Config) -> Self {
        let instance = config.pod_name.chars().take(INSTANCE_BYTES_MAX).collect();
        let reporter = Reporter {
            controller: CONTROLLER.to_owned(),
            instance: Some(instance),
        };
        Self {
            recorder: Recorder::new(client, reporter),
        }
    }

    /// Writes what turned.
    pub(crate) async fn tell(&self, turns: Vec<Turn>) {
        if turns.len() > EVENTS_MAX {
            tracing::warn!(
                turned = turns.len(),
                written = EVENTS_MAX,
                "many objects turned at once; not each gets an event"
            );
        }
        let writes = turns.into_iter().take(EVENTS_MAX).map(|turn| self.write(turn));
        stream::iter(writes).buffer_unordered(IN_FLIGHT).collect::<()>().await;
    }

    async fn write(&self, turn: Turn) {
        let event = Event {
            type_: if turn.is_warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: turn.reason.to_owned(),
            note: Some(cut(turn.note)),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &turn.object).await {
            tracing::warn!(%error, reason = turn.reason, "an event could not be written");
        }
    }
}

fn cut(mut note: String) -> String {
    const DOTS: &str = "…";
    if note.len() > NOTE_BYTES_MAX {
        let fits = |end: &usize| note.is_char_boundary(*end);
        let end = (0..=NOTE_BYTES_MAX - DOTS.len()).rev().find(fits).unwrap_or(0);
        note.truncate(end);
        note.push_str(DOTS);
    }
    note
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_never_longer_than_the_api_server_takes() {
        assert_eq!(cut("short".into()), "short");
        let long = cut("ä".repeat(2_000));
        assert!(long.len() <= NOTE_BYTES_MAX && long.ends_with('…'), "{}", long.len());
    }
}
