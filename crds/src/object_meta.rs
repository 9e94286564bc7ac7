//! What the API server demands of `metadata`: names, labels, annotations. The rest of it is the cluster's to write.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use crate::schema;
use crate::validate::{Findings, unknown_field};
use crate::violation::{Path, shown};

/// Fields of `metav1.ObjectMeta`; those that only a cluster writes are let through and read by nobody.
const FIELDS: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

static OBJECT_NAME: LazyLock<Regex> = LazyLock::new(|| Regex::new(schema::OBJECT_NAME).expect("a constant"));
static LABEL_NAME: LazyLock<Regex> = LazyLock::new(|| Regex::new(schema::LABEL_NAME).expect("a constant"));
static QUALIFIED_NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$").expect("a constant"));

/// Adds whatever is wrong about the metadata of an object. An absent namespace is none of it: the context supplies one.
pub(crate) fn check(object: &Map<String, Value>, findings: &mut Findings) {
    let path = Path::Field(&Path::Root, "metadata");
    let metadata = match object.get("metadata") {
        Some(Value::Object(metadata)) => metadata,
        None | Some(Value::Null) => {
            return findings.add(&Path::Field(&path, "name"), "Required value: name is required");
        }
        Some(_) => return findings.add(&path, "Invalid value: metadata must be of type object"),
    };
    for name in metadata.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
        unknown_field(name, FIELDS, &path, findings);
    }
    match text(metadata, "name", &path, findings) {
        Some("") | None => {
            if !metadata.contains_key("name") || metadata["name"] == "" {
                findings.add(&Path::Field(&path, "name"), "Required value: name is required");
            }
        }
        Some(name) if name.len() > 253 || !OBJECT_NAME.is_match(name) => findings.add(
            &Path::Field(&path, "name"),
            format!(
                "Invalid value: {}: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
                 '-' or '.', and must start and end with an alphanumeric character",
                shown(name)
            ),
        ),
        Some(_) => {}
    }
    if let Some(namespace) = text(metadata, "namespace", &path, findings)
        && (namespace.len() > 63 || !LABEL_NAME.is_match(namespace))
    {
        let message = format!(
            "Invalid value: {}: a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', \
             and must start and end with an alphanumeric character",
            shown(namespace)
        );
        findings.add(&Path::Field(&path, "namespace"), message);
    }
    for field in ["labels", "annotations"] {
        check_map(metadata, field, &path, findings);
    }
}

fn text<'a>(metadata: &'a Map<String, Value>, name: &str, path: &Path<'_>, findings: &mut Findings) -> Option<&'a str> {
    match metadata.get(name) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(_) => {
            findings.add(
                &Path::Field(path, name),
                format!("Invalid value: {name} must be of type string"),
            );
            None
        }
    }
}

fn check_map(metadata: &Map<String, Value>, field: &str, path: &Path<'_>, findings: &mut Findings) {
    let path = Path::Field(path, field);
    let entries = match metadata.get(field) {
        None | Some(Value::Null) => return,
        Some(Value::Object(entries)) => entries,
        Some(_) => return findings.add(&path, format!("Invalid value: {field} must be of type object")),
    };
    for (key, value) in entries {
        let path = Path::Key(&path, key);
        if !is_label_key(key) {
            findings.add(
                &path,
                "Invalid value: name part must consist of alphanumeric characters, '-', '_' or '.', and must start and \
                 end with an alphanumeric character; an optional prefix is a DNS subdomain and a slash",
            );
        }
        match value {
            Value::String(text) if field == "labels" && !is_label_value(text) => findings.add(
                &path,
                format!(
                    "Invalid value: {}: a valid label must be an empty string or consist of alphanumeric characters, \
                     '-', '_' or '.', and must start and end with an alphanumeric character",
                    shown(text)
                ),
            ),
            Value::String(_) => {}
            _ => findings.add(&path, "Invalid value: must be of type string; put it in quotes"),
        }
    }
}

fn is_label_key(key: &str) -> bool {
    let (prefix, name) = key
        .split_once('/')
        .map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let is_prefix = |prefix: &str| prefix.len() <= 253 && OBJECT_NAME.is_match(prefix);
    prefix.is_none_or(is_prefix) && name.len() <= 63 && QUALIFIED_NAME.is_match(name)
}

fn is_label_value(value: &str) -> bool {
    value.is_empty() || (value.len() <= 63 && QUALIFIED_NAME.is_match(value))
}
