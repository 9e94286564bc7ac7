//! What `headgate status` shows, from what was read: a decision and two ways to print it, without IO.

use std::fmt::Write as _;

use headgate_snapshot::delivery::{Ack, Digest, Generation, Pointer, annotation};
use k8s_openapi::api::coordination::v1::Lease;
use serde::{Deserialize, Serialize};

use crate::diagnostic::mask::controls;

/// All that was read.
pub(super) struct Seen {
    pub(super) source: String,
    pub(super) pointer: Pointer,
    pub(super) conditions: Vec<Condition>,
    pub(super) leases: Vec<Lease>,
}

/// Something that the operator tells people about the snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Condition {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default = "is_true")]
    status: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

fn is_true() -> String {
    "True".to_owned()
}

impl Condition {
    pub(super) fn unreadable(text: &str) -> Self {
        Self {
            kind: "Unreadable".to_owned(),
            status: is_true(),
            reason: "Unreadable".to_owned(),
            message: text.chars().take(1_000).collect(),
        }
    }

    /// Whether somebody has to do something: `Published` is well when it is `True`, everything else when it is not.
    fn asks_for_a_person(&self) -> bool {
        match self.kind.as_str() {
            "Published" => self.status != "True",
            _ => self.status == "True",
        }
    }
}

/// The JSON document of `--output json`. Fields may be added, none renamed or removed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    /// Whether the exit code is 0.
    pub(super) clean: bool,
    source: String,
    installation: String,
    snapshot: Published,
    data_planes: Vec<DataPlane>,
    conditions: Vec<Condition>,
}

/// The document where nothing could be read.
#[derive(Debug, Serialize)]
pub(super) struct Failure<'a> {
    clean: bool,
    error: &'a str,
}

impl<'a> Failure<'a> {
    pub(super) fn new(error: &'a str) -> Self {
        Self { clean: false, error }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Published {
    /// `not verified`: that takes a sealing key.
    signature: &'static str,
    sequence: u64,
    format: u32,
    root: Digest,
    key_id: String,
    shards: usize,
    /// Of the text of all shards.
    bytes: u64,
    records: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_sequence: Option<u64>,
    /// Keys that must not come back with an older snapshot.
    removed_keys: usize,
}

impl Published {
    fn of(pointer: &Pointer) -> Self {
        let Generation {
            sequence,
            format,
            root,
            key_id,
            layout: _,
            shards,
        } = &pointer.head;
        Self {
            signature: "not verified",
            sequence: *sequence,
            format: *format,
            root: *root,
            key_id: key_id.clone(),
            shards: shards.len(),
            bytes: shards.iter().map(|shard| u64::from(shard.bytes)).sum(),
            records: shards.iter().map(|shard| u64::from(shard.records)).sum(),
            previous_sequence: pointer.previous.as_ref().map(|previous| previous.sequence),
            removed_keys: pointer.removed.digests.len(),
        }
    }
}

/// How a data plane stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// It serves the newest snapshot.
    Current,
    /// It serves another one.
    Behind,
    /// It serves another one, since it refused the newest.
    Refused,
    /// It serves nothing yet.
    Starting,
    /// It stopped telling: mostly a pod that is gone. The operator removes its Lease after an hour.
    Expired,
    /// What it tells cannot be read.
    Unreadable,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Behind => "behind",
            Self::Refused => "refused",
            Self::Starting => "starting",
            Self::Expired => "expired",
            Self::Unreadable => "unreadable",
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DataPlane {
    name: String,
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    /// Why it refused what it refused, or why it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format_max: Option<u32>,
    key_ids: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    build: Option<String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    renewed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    renewed_seconds_ago: Option<i64>,
}

impl DataPlane {
    fn of(lease: &Lease, head: &Generation, now: jiff::Timestamp) -> Self {
        let spec = lease.spec.as_ref();
        let renewed_at = spec.and_then(|spec| spec.renew_time.as_ref()).map(|time| time.0);
        let age = renewed_at.map(|renewed| now.duration_since(renewed).as_secs());
        let duration = spec.and_then(|spec| spec.lease_duration_seconds).unwrap_or(0);
        let is_expired = age.is_none_or(|age| age > i64::from(duration));
        let text = lease
            .metadata
            .annotations
            .as_ref()
            .and_then(|all| all.get(annotation::ACK));
        let ack = text.map_or_else(
            || Err(format!("its Lease has no annotation {}", annotation::ACK)),
            |text| Ack::from_annotation(text).map_err(|error| error.to_string()),
        );
        let (state, reason) = match &ack {
            _ if is_expired => (State::Expired, None),
            Err(error) => (State::Unreadable, Some(error.clone())),
            Ok(ack) => state(ack, head),
        };
        let ack = ack.ok();
        Self {
            name: lease.metadata.name.clone().unwrap_or_default(),
            state,
            reason,
            sequence: ack.as_ref().and_then(|ack| ack.serving).map(|serving| serving.sequence),
            format_max: ack.as_ref().map(|ack| ack.format_max),
            key_ids: ack.as_ref().map(|ack| ack.key_ids.clone()).unwrap_or_default(),
            build: ack.map(|ack| ack.build),
            renewed_at: renewed_at.map(|renewed| renewed.to_string()),
            renewed_seconds_ago: age,
        }
    }
}

fn state(ack: &Ack, head: &Generation) -> (State, Option<String>) {
    if let Some(refused) = &ack.refused {
        let which = refused
            .sequence
            .map_or_else(String::new, |sequence| format!("sequence {sequence}: "));
        return (State::Refused, Some(format!("{which}{}", refused.reason)));
    }
    match &ack.serving {
        None => (State::Starting, None),
        Some(serving) if (serving.sequence, serving.root) == (head.sequence, head.root) => (State::Current, None),
        Some(_) => (State::Behind, None),
    }
}

impl Document {
    /// What there is to say at that moment.
    pub(super) fn of(seen: &Seen, now: jiff::Timestamp) -> Self {
        let head = &seen.pointer.head;
        let mut data_planes: Vec<_> = seen
            .leases
            .iter()
            .map(|lease| DataPlane::of(lease, head, now))
            .collect();
        data_planes.sort_by(|a, b| a.name.cmp(&b.name));
        let reporting = || data_planes.iter().filter(|plane| plane.state != State::Expired);
        let all_current = reporting().next().is_some() && reporting().all(|plane| plane.state == State::Current);
        let is_asked = seen.conditions.iter().any(Condition::asks_for_a_person);
        Self {
            clean: all_current && !is_asked,
            source: seen.source.clone(),
            installation: seen.pointer.installation.clone(),
            snapshot: Published::of(&seen.pointer),
            data_planes,
            conditions: seen.conditions.clone(),
        }
    }

    /// For people.
    pub(super) fn to_text(&self) -> String {
        let Self {
            clean: _,
            source,
            installation,
            snapshot,
            data_planes,
            conditions,
        } = self;
        let mut text = format!(
            "snapshot {} of installation {} (signature {})\n",
            controls(source),
            controls(installation),
            snapshot.signature
        );
        let previous = snapshot
            .previous_sequence
            .map_or_else(|| "none".to_owned(), |sequence| sequence.to_string());
        let _ = writeln!(
            text,
            "  sequence {}   previous {previous}   format {}   key {}\n  {} records in {} shards, {} bytes   {} removed keys",
            snapshot.sequence,
            snapshot.format,
            controls(&snapshot.key_id),
            snapshot.records,
            snapshot.shards,
            snapshot.bytes,
            snapshot.removed_keys,
        );
        text.push('\n');
        if data_planes.is_empty() {
            text += "no data plane has reported\n";
        } else {
            text += &table(data_planes);
        }
        for condition in conditions.iter().filter(|condition| condition.asks_for_a_person()) {
            let status = match condition.status.as_str() {
                "True" => String::new(),
                other => format!("={other}"),
            };
            let _ = writeln!(
                text,
                "\n{}{} ({}): {}",
                controls(&condition.kind),
                controls(&status),
                controls(&condition.reason),
                controls(&condition.message)
            );
        }
        text
    }
}

fn table(data_planes: &[DataPlane]) -> String {
    let shown = |sequence: Option<u64>| sequence.map_or_else(|| "-".to_owned(), |sequence| sequence.to_string());
    let rows: Vec<[String; 5]> = data_planes
        .iter()
        .map(|plane| {
            let age = plane.renewed_seconds_ago;
            [
                controls(&plane.name).to_string(),
                shown(plane.sequence),
                plane.state.as_str().to_owned(),
                age.map_or_else(|| "never".to_owned(), |age| format!("{age} s ago")),
                plane
                    .build
                    .as_deref()
                    .map_or_else(|| "-".to_owned(), |build| controls(build).to_string()),
            ]
        })
        .collect();
    let head = ["DATA PLANE", "SERVES", "STATE", "RENEWED", "BUILD"].map(str::to_owned);
    let widths: [usize; 5] = std::array::from_fn(|column| {
        let cells = rows.iter().chain([&head]);
        cells.map(|row| row[column].chars().count()).max().unwrap_or(0)
    });
    let line = |row: &[String; 5]| {
        let cells: Vec<_> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    let mut text = line(&head);
    for (row, plane) in rows.iter().zip(data_planes) {
        text += &line(row);
        if let Some(reason) = &plane.reason {
            let _ = writeln!(text, "    {}", controls(reason));
        }
    }
    text
}

/// The document as it is printed.
pub(super) fn json(document: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(document).expect("strings and numbers become JSON");
    format!("{text}\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use headgate_snapshot::delivery::{Layout, RefusedHead, Removed, Serving};
    use k8s_openapi::api::coordination::v1::LeaseSpec;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};

    use super::*;

    const NOW: jiff::Timestamp = jiff::Timestamp::UNIX_EPOCH;

    fn pointer() -> Pointer {
        Pointer {
            installation: "headgate.gateway.headgate".to_owned(),
            head: Generation {
                sequence: 12,
                format: 2,
                root: Digest([12; 32]),
                key_id: "0011223344556677".to_owned(),
                layout: Layout::default(),
                shards: Vec::new(),
            },
            previous: None,
            removed: Removed {
                since: 12,
                digests: BTreeMap::new(),
            },
        }
    }

    fn lease(name: &str, age_s: i64, serving: Option<u8>, refused: Option<&str>) -> Lease {
        let ack = Ack {
            installation: "headgate.gateway.headgate".to_owned(),
            serving: serving.map(|sequence| Serving {
                sequence: sequence.into(),
                root: Digest([sequence; 32]),
            }),
            refused: refused.map(|reason| RefusedHead {
                sequence: Some(12),
                root: None,
                reason: reason.to_owned(),
            }),
            format_max: 2,
            key_ids: Vec::new(),
            build: "1.0.0".to_owned(),
        };
        Lease {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                annotations: Some([(annotation::ACK.to_owned(), ack.to_annotation())].into()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                lease_duration_seconds: Some(40),
                renew_time: Some(MicroTime(NOW - jiff::SignedDuration::from_secs(age_s))),
                ..LeaseSpec::default()
            }),
        }
    }

    fn document(leases: Vec<Lease>, conditions: &str) -> Document {
        let seen = Seen {
            source: "snapshots/headgate".to_owned(),
            pointer: pointer(),
            conditions: serde_json::from_str(conditions).unwrap(),
            leases,
        };
        Document::of(&seen, NOW)
    }

    fn states(document: &Document) -> Vec<&str> {
        document.data_planes.iter().map(|plane| plane.state.as_str()).collect()
    }

    #[test]
    fn all_is_well_when_whoever_reports_serves_the_head() {
        let document = document(
            vec![lease("b", 3, Some(12), None), lease("a", 900, Some(7), None)],
            "[]",
        );
        assert_eq!(states(&document), ["expired", "current"]);
        assert!(document.clean);
        let text = document.to_text();
        for part in [
            "sequence 12",
            "not verified",
            "key 0011223344556677",
            "b           12      current  3 s ago",
        ] {
            assert!(text.contains(part), "no {part} in\n{text}");
        }
    }

    #[test]
    fn a_data_plane_that_is_behind_refuses_or_has_not_begun_is_not_well() {
        for (lease, state) in [
            (lease("a", 3, Some(11), None), "behind"),
            (lease("a", 3, Some(11), Some("the shard is gone")), "refused"),
            (lease("a", 3, None, None), "starting"),
            (
                Lease {
                    metadata: ObjectMeta::default(),
                    ..lease("a", 3, None, None)
                },
                "unreadable",
            ),
        ] {
            let document = document(vec![lease], "[]");
            assert_eq!(states(&document), [state]);
            assert!(!document.clean, "{state}");
        }
    }

    #[test]
    fn nobody_who_reports_is_not_well_either() {
        assert!(!document(Vec::new(), "[]").clean);
        assert!(!document(vec![lease("a", 41, Some(12), None)], "[]").clean);
    }

    #[test]
    fn what_is_held_is_told_with_the_line_to_run() {
        let held = r#"[{"type": "RemovalsHeld", "status": "True", "reason": "BlastRadius",
            "message": "run: kubectl annotate --overwrite configmap headgate"}]"#;
        let held = document(vec![lease("a", 3, Some(12), None)], held);
        assert!(!held.clean);
        assert!(held.to_text().contains("kubectl annotate --overwrite"));
        let over = r#"[{"type": "RemovalsHeld", "status": "False"}]"#;
        assert!(document(vec![lease("a", 3, Some(12), None)], over).clean);
    }

    #[test]
    fn an_operator_that_cannot_publish_is_not_well_though_everybody_serves_the_head() {
        let told = |status: &str| {
            let conditions = format!(
                r#"[{{"type": "Published", "status": "{status}", "reason": "NotPublishing", "message": "the keys are gone"}}]"#
            );
            document(vec![lease("a", 3, Some(12), None)], &conditions)
        };
        let failing = told("False");
        assert!(!failing.clean);
        let text = failing.to_text();
        assert!(
            text.contains("Published=False (NotPublishing): the keys are gone"),
            "{text}"
        );
        assert!(told("True").clean && !told("True").to_text().contains("the keys are gone"));
    }

    #[test]
    fn what_a_lease_says_commands_no_terminal() {
        let document = document(vec![lease("a", 3, Some(11), Some("\u{1b}[2Jgone"))], "[]");
        assert!(!document.to_text().contains('\u{1b}'));
    }
}
