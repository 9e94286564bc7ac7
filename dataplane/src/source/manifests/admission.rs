//! From documents to objects: which of them are ours, whether each is well-formed, and where each stands.
//!
//! This is what the API server does in a cluster, and the line is drawn at the same place: what it would refuse
//! (`kubectl apply` fails) refuses the whole load here, since half a commit is nobody's intent. What it would accept is
//! left to `compile`, which judges object by object. Other people's kinds are passed over, as a folder of an application
//! has many; a kind or group that looks like a misspelling of ours is an error, not somebody else's.

use std::collections::BTreeMap;

use headgate_crds::{API_VERSION, GROUP, Kind};
use serde_json::{Value, json};

use super::field;
use super::file::SourceFile;
use super::secret;
use super::yaml::{self, Document};
use crate::diagnostic::{Report, Severity, Subject, mask};

/// Lists within lists.
const LIST_DEPTH_MAX: usize = 4;
/// How many letters may differ for a group to count as a misspelling of ours.
const TYPOS_MAX: usize = 3;

/// An object of a kind that we read.
#[derive(Debug)]
pub(super) struct Object {
    /// What it is and its name.
    pub(super) subject: Subject,
    /// Which of ours it is.
    pub(super) role: Role,
    /// Index of its file.
    pub(super) file: usize,
    /// Its content, defaults applied, and where that stands.
    pub(super) document: Document,
}

/// The kinds that we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// One of the five.
    Ours(Kind),
    /// A core Secret.
    Secret,
    /// A core Namespace, for its labels.
    Namespace,
}

/// What a folder says.
#[derive(Debug, Default)]
pub(super) struct Admitted {
    /// Its objects, each once.
    pub(super) objects: Vec<Object>,
    /// What was found. Any error refuses the load.
    pub(super) reports: Vec<Report>,
    /// How many objects of other people's kinds there are.
    foreign: BTreeMap<String, usize>,
}

impl Admitted {
    /// Whether anything is inadmissible.
    pub(super) fn is_refused(&self) -> bool {
        self.reports.iter().any(|report| report.severity == Severity::Error)
    }
}

/// Reads and judges all files.
pub(super) fn admit(files: &mut [SourceFile]) -> Admitted {
    let mut admitted = Admitted::default();
    let read = yaml::read_all(files.iter().map(|file| file.text.as_str()));
    for (index, (file, documents)) in files.iter_mut().zip(read).enumerate() {
        match documents {
            Ok(documents) => {
                for document in &documents {
                    file.mask(document);
                    for wrapped in document.wrapped() {
                        file.mask(&wrapped);
                    }
                }
                for document in documents {
                    admit_document(file, index, document, 0, &mut admitted);
                }
            }
            Err(error) => {
                let message = file.mask_unreadable(&error);
                let place = error.spot.map(|spot| file.place(spot));
                let message = if place.is_none() {
                    format!("{}: {message}", mask::controls(&file.name))
                } else {
                    message
                };
                admitted
                    .reports
                    .push(Report::new(Severity::Error, "Unreadable", message).at(place));
            }
        }
    }
    refuse_duplicates(files, &mut admitted);
    if !admitted.foreign.is_empty() {
        let kinds: Vec<_> = admitted
            .foreign
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        let message = format!("left out, since they are not Headgate's: {}", kinds.join(", "));
        admitted.reports.push(Report::new(Severity::Note, "Skipped", message));
    }
    admitted
}

fn admit_document(file: &SourceFile, index: usize, mut document: Document, depth: usize, admitted: &mut Admitted) {
    let refuse = |document: &Document, pointer: &str, message: String| {
        Report::new(Severity::Error, "Invalid", message).at(file.place(document.spot(pointer)))
    };
    let text = |pointer: &str| {
        document
            .value
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let (Some(api_version), Some(kind)) = (text("/apiVersion"), text("/kind")) else {
        let message = "not a manifest: it needs `apiVersion` and `kind`".to_owned();
        admitted.reports.push(refuse(&document, "", message));
        return;
    };
    if document.value.get("items").is_some_and(Value::is_array) && kind.ends_with("List") {
        if depth == LIST_DEPTH_MAX {
            admitted.reports.push(refuse(
                &document,
                "/kind",
                "lists within lists within lists; flatten them".to_owned(),
            ));
            return;
        }
        for item in document.into_items("/items") {
            admit_document(file, index, item, depth + 1, admitted);
        }
        return;
    }
    let role = match sort(&api_version, &kind) {
        Sorted::Known(role) => role,
        Sorted::Foreign => {
            *admitted.foreign.entry(kind).or_default() += 1;
            return;
        }
        Sorted::Doubtful(message) => {
            let warning = Report::new(Severity::Warning, "Skipped", message);
            admitted
                .reports
                .push(warning.at(file.place(document.spot("/apiVersion"))));
            return;
        }
        Sorted::Wrong { pointer, message } => {
            admitted.reports.push(refuse(&document, pointer, message));
            return;
        }
    };
    let subject = identify(&mut document.value, role, kind);
    for Violation { pointer, path, message } in violations(role, &mut document) {
        // What is unknown is a name, and its value may be anything.
        let spot = if message.starts_with("unknown field") {
            document.key_spot(&pointer)
        } else {
            document.spot(&pointer)
        };
        let value = document.value.pointer(&pointer).and_then(Value::as_str);
        let message = match value {
            Some(value) if mask::is_sensitive(&path) => without_value(&message, value),
            _ => message,
        };
        let report = Report::new(Severity::Error, "Invalid", message)
            .in_field(path)
            .at(file.place(spot));
        admitted.reports.push(if subject.name.is_empty() {
            report
        } else {
            report.about(subject.clone())
        });
    }
    admitted.objects.push(Object {
        subject,
        role,
        file: index,
        document,
    });
}

/// Takes the value out of a message about a field that may hold a credential; messages quote as Rust or as JSON does.
fn without_value(message: &str, value: &str) -> String {
    let masked = "\"…\"";
    message
        .replace(&format!("{value:?}"), masked)
        .replace(&Value::from(value).to_string(), masked)
}

/// What a manifest is to us.
enum Sorted {
    Known(Role),
    /// Somebody else's; counted.
    Foreign,
    /// Somebody else's, but perhaps meant as ours.
    Doubtful(String),
    /// Ours, and misspelt.
    Wrong {
        pointer: &'static str,
        message: String,
    },
}

fn sort(api_version: &str, kind: &str) -> Sorted {
    match (api_version, kind) {
        ("v1", "Secret") => return Sorted::Known(Role::Secret),
        ("v1", "Namespace") => return Sorted::Known(Role::Namespace),
        _ => {}
    }
    if let Some(ours) = Kind::of(api_version, kind) {
        return Sorted::Known(Role::Ours(ours));
    }
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let nearest = Kind::ALL
        .into_iter()
        .min_by_key(|ours| distance(ours.as_str(), kind))
        .expect("there are five kinds");
    let is_our_kind = nearest.as_str().eq_ignore_ascii_case(kind);
    if group == GROUP && api_version == API_VERSION {
        let all = Kind::ALL.map(Kind::as_str).join(", ");
        let hint = if distance(nearest.as_str(), kind) <= TYPOS_MAX {
            format!("; did you mean `{nearest}`?")
        } else {
            String::new()
        };
        return Sorted::Wrong {
            pointer: "/kind",
            message: format!("`{kind}` is no kind of {GROUP}{hint} The kinds are {all}"),
        };
    }
    if group == GROUP || distance(group, GROUP) <= TYPOS_MAX || (group.is_empty() && is_our_kind) {
        let message = format!("`{api_version}` is not served; write `apiVersion: {API_VERSION}`");
        return Sorted::Wrong {
            pointer: "/apiVersion",
            message,
        };
    }
    if kind == "Secret" && group.is_empty() {
        let message = format!("`{api_version}` is not served; a Secret has `apiVersion: v1`");
        return Sorted::Wrong {
            pointer: "/apiVersion",
            message,
        };
    }
    if group.contains("headgate") || is_our_kind {
        return Sorted::Doubtful(format!(
            "left out: `{kind}` of `{api_version}` is not Headgate's; if it should be, write `apiVersion: {API_VERSION}`"
        ));
    }
    Sorted::Foreign
}

/// The object's identity; without a namespace it lives in `default`. Whether the names are any good is judged with the
/// rest of it.
fn identify(manifest: &mut Value, role: Role, kind: String) -> Subject {
    let text = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let name = text("/metadata/name").unwrap_or_default();
    let namespace = match text("/metadata/namespace") {
        _ if role == Role::Namespace => String::new(),
        Some(namespace) => namespace,
        None => {
            if let Some(metadata) = manifest.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.entry("namespace").or_insert_with(|| json!("default"));
            }
            "default".to_owned()
        }
    };
    Subject { kind, namespace, name }
}

/// Metadata of a Secret or a Namespace, as far as we read it.
fn metadata_violations(manifest: &Value) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut refuse = |pointer: &str, message: &str| violations.push(Violation::at(pointer, message));
    let text = |pointer: &str| {
        manifest
            .pointer(pointer)
            .map(|value| value.as_str().unwrap_or_default())
    };
    match text("/metadata/name") {
        None => refuse("/metadata/name", "Required value: name is required"),
        Some(name) if !is_dns_name(name, 253, true) => {
            refuse(
                "/metadata/name",
                "Invalid value: must be lower-case letters, digits, `-` and `.`, at most 253 of them",
            );
        }
        Some(_) => {}
    }
    if text("/metadata/namespace").is_some_and(|namespace| !is_dns_name(namespace, 63, false)) {
        refuse(
            "/metadata/namespace",
            "Invalid value: must be lower-case letters, digits and `-`, at most 63 of them",
        );
    }
    let is_labels = |labels: &Value| {
        labels
            .as_object()
            .is_some_and(|labels| labels.values().all(Value::is_string))
    };
    if manifest
        .pointer("/metadata/labels")
        .is_some_and(|labels| !labels.is_null() && !is_labels(labels))
    {
        refuse(
            "/metadata/labels",
            "Invalid value: labels are strings; put their values into quotes",
        );
    }
    violations
}

/// A DNS label, or a subdomain of several (RFC 1123), as the API server demands of names.
fn is_dns_name(text: &str, length_max: usize, may_have_dots: bool) -> bool {
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        let is_inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
        !bytes.is_empty() && bytes.iter().all(is_inner) && bytes[0] != b'-' && bytes[bytes.len() - 1] != b'-'
    };
    text.len() <= length_max
        && if may_have_dots {
            text.split('.').all(is_label)
        } else {
            is_label(text)
        }
}

/// Something that the API server would refuse.
struct Violation {
    /// Where, as a JSON pointer.
    pointer: String,
    /// Where, as people write it.
    path: String,
    message: String,
}

impl Violation {
    fn at(pointer: &str, message: &str) -> Self {
        Self {
            pointer: pointer.to_owned(),
            path: field::path(pointer),
            message: message.to_owned(),
        }
    }
}

fn violations(role: Role, document: &mut Document) -> Vec<Violation> {
    match role {
        Role::Ours(kind) => {
            let found = headgate_crds::admit(kind, &mut document.value).into_iter();
            found
                .map(|found| Violation {
                    pointer: yaml::pointer(&found.pointer),
                    path: found.path,
                    message: found.message,
                })
                .collect()
        }
        Role::Namespace => metadata_violations(&document.value),
        Role::Secret => {
            let mut violations = metadata_violations(&document.value);
            if let Err(wrong) = secret::read(&document.value, &secret::Variables::StandIn) {
                violations.extend(wrong.iter().map(|wrong| Violation::at(&wrong.pointer, &wrong.message)));
            }
            violations
        }
    }
}

/// Git has no "newer": of two objects with one name neither wins.
fn refuse_duplicates(files: &[SourceFile], admitted: &mut Admitted) {
    let mut first: BTreeMap<&Subject, &Object> = BTreeMap::new();
    for object in admitted.objects.iter().filter(|object| !object.subject.name.is_empty()) {
        let place_of = |object: &Object| files[object.file].place(object.document.spot("/metadata/name"));
        if let Some(other) = first.get(&object.subject) {
            let message = format!("is declared twice; the other one is at {}", place_of(other));
            let report = Report::new(Severity::Error, "Conflicted", message).about(object.subject.clone());
            admitted
                .reports
                .push(report.at(place_of(object)).help("remove one of the two, or rename it"));
        } else {
            first.insert(&object.subject, object);
        }
    }
}

/// Letters to change, add or remove to get from one text to the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, letter) in from.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}
