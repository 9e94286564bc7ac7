//! Whether an object fits its structural schema: fields, types, bounds, patterns, uniqueness.
//!
//! In the order and the words of the API server, so that a message found here can be searched for there. Some violations
//! keep CEL rules from running, as they do there: a rule over a value of the wrong type would only add noise.

use serde_json::{Map, Value};

use crate::structural::{ArrayShape, Bounds, Node, ObjectShape, Shape, StringShape, Unique};
use crate::violation::{Path, Violation, shown};

/// What was found so far.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) violations: Vec<Violation>,
    /// Whether one of them keeps rules from running.
    pub(crate) is_blocking: bool,
}

impl Findings {
    pub(crate) fn add(&mut self, path: &Path<'_>, message: impl Into<String>) {
        self.violations.push(path.violation(message));
    }

    fn block(&mut self, path: &Path<'_>, message: impl Into<String>) {
        self.is_blocking = true;
        self.add(path, message);
    }
}

/// Adds whatever about `value` does not fit `node`.
pub(crate) fn check(value: &Value, node: &Node, path: &Path<'_>, findings: &mut Findings) {
    match (value, &node.shape) {
        (Value::Object(object), Shape::Object(shape)) => check_object(object, shape, path, findings),
        (Value::Array(items), Shape::Array(shape)) => check_array(items, shape, path, findings),
        (Value::String(text), Shape::String(shape)) => check_string(text, shape, path, findings),
        (Value::Bool(_), Shape::Boolean) => {}
        (Value::Number(number), Shape::Integer { minimum, maximum }) if !number.is_f64() => {
            check_integer(number, *minimum, *maximum, path, findings);
        }
        (value, shape) => {
            let (actual, expected) = (type_name(value), shape.type_name());
            let mut message =
                format!("Invalid value: {actual:?}: {path} in body must be of type {expected}: {actual:?}");
            if expected == "string" && matches!(actual, "boolean" | "integer" | "number") {
                // YAML reads `500` as a number and `Off` as false.
                message.push_str("; put it in quotes");
            }
            findings.block(path, message);
        }
    }
}

fn check_object(object: &Map<String, Value>, shape: &ObjectShape, path: &Path<'_>, findings: &mut Findings) {
    check_size(object.len(), shape.size, "properties", path, findings);
    for name in shape.required.iter().filter(|name| !object.contains_key(*name)) {
        findings.block(&Path::Field(path, name), "Required value");
    }
    for (name, value) in object {
        match (shape.fields.get(name), &shape.entries) {
            (Some(field), _) => check(value, &field.node, &Path::Field(path, name), findings),
            (None, Some(entry)) => check(value, entry, &Path::Key(path, name), findings),
            (None, None) if shape.is_open => {}
            (None, None) => unknown_field(name, shape.fields.keys(), path, findings),
        }
    }
}

/// A field that nothing reads. The API server drops it or, when asked to be strict, says so in these words.
pub(crate) fn unknown_field<'a>(
    name: &str,
    known: impl IntoIterator<Item = impl AsRef<str> + 'a>,
    path: &Path<'_>,
    findings: &mut Findings,
) {
    let path = Path::Field(path, name);
    let mut message = format!("unknown field \"{path}\"");
    if let Some(meant) = known.into_iter().find(|known| is_slip(name, known.as_ref())) {
        message.push_str("; did you mean ");
        message.push_str(meant.as_ref());
        message.push('?');
    }
    findings.add(&path, message);
}

/// Whether `written` is `known` in another case, or one letter away.
fn is_slip(written: &str, known: &str) -> bool {
    if written.eq_ignore_ascii_case(known) {
        return true;
    }
    let (longer, shorter) = if written.len() >= known.len() {
        (written, known)
    } else {
        (known, written)
    };
    let same_start = longer.bytes().zip(shorter.bytes()).take_while(|(a, b)| a == b).count();
    let (longer_rest, shorter_rest) = (&longer.as_bytes()[same_start..], &shorter.as_bytes()[same_start..]);
    match longer.len() - shorter.len() {
        0 => longer_rest.get(1..) == shorter_rest.get(1..),
        1 => longer_rest.get(1..) == Some(shorter_rest),
        _ => false,
    }
}

fn check_array(items: &[Value], shape: &ArrayShape, path: &Path<'_>, findings: &mut Findings) {
    check_size(items.len(), shape.size, "items", path, findings);
    for (index, item) in items.iter().enumerate() {
        check(item, &shape.items, &Path::Item(path, index), findings);
    }
    match &shape.unique {
        Unique::Nothing => {}
        Unique::Items => check_unique(items, Clone::clone, path, findings),
        Unique::Keys(keys) => {
            let key_of = |item: &Value| {
                keys.iter()
                    .map(|key| (key.clone(), item.get(key).cloned().unwrap_or(Value::Null)))
                    .collect::<Value>()
            };
            check_unique(items, key_of, path, findings);
        }
    }
}

fn check_unique(items: &[Value], key_of: impl Fn(&Value) -> Value, path: &Path<'_>, findings: &mut Findings) {
    let mut seen = std::collections::HashSet::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let key = key_of(item);
        if seen.contains(&key) {
            let value = match &key {
                Value::String(text) => shown(text),
                other => other.to_string(),
            };
            findings.add(&Path::Item(path, index), format!("Duplicate value: {value}"));
        } else {
            seen.insert(key);
        }
    }
}

fn check_size(size: usize, bounds: Bounds, what: &str, path: &Path<'_>, findings: &mut Findings) {
    if let Some(max) = bounds.max
        && size > max
    {
        let items = if max == 1 { "item" } else { "items" };
        findings.block(path, format!("Too many: {size}: must have at most {max} {items}"));
    }
    if let Some(min) = bounds.min
        && size < min
    {
        findings.add(
            path,
            format!("Invalid value: {size}: {path} in body should have at least {min} {what}"),
        );
    }
}

fn check_string(text: &str, shape: &StringShape, path: &Path<'_>, findings: &mut Findings) {
    let length = text.chars().count();
    if let Some(max) = shape.length.max
        && length > max
    {
        findings.block(path, format!("Too long: may not be more than {max} bytes"));
    }
    if let Some(min) = shape.length.min
        && length < min
    {
        let shown = shown(text);
        findings.add(
            path,
            format!("Invalid value: {shown}: {path} in body should be at least {min} chars long"),
        );
    }
    if let Some(pattern) = &shape.pattern
        && !pattern.is_match(text)
    {
        findings.add(
            path,
            format!(
                "Invalid value: {}: {path} in body should match '{pattern}'",
                shown(text)
            ),
        );
    } else if shape.is_moment && text.parse::<jiff::Timestamp>().is_err() {
        let shown = shown(text);
        findings.add(
            path,
            format!("Invalid value: {shown}: {path} in body must be of type date-time: {shown}"),
        );
    }
    if !shape.allowed.is_empty() && !shape.allowed.iter().any(|allowed| allowed == text) {
        let allowed = shape
            .allowed
            .iter()
            .map(|allowed| format!("{allowed:?}"))
            .collect::<Vec<_>>()
            .join(", ");
        findings.block(
            path,
            format!("Unsupported value: {}: supported values: {allowed}", shown(text)),
        );
    }
}

fn check_integer(
    number: &serde_json::Number,
    minimum: Option<i64>,
    maximum: Option<i64>,
    path: &Path<'_>,
    findings: &mut Findings,
) {
    // What does not fit i64 is above every bound of ours.
    let value = number.as_i64().unwrap_or(i64::MAX);
    if let Some(maximum) = maximum.filter(|maximum| value > *maximum) {
        let message = format!("Invalid value: {number}: {path} in body should be less than or equal to {maximum}");
        findings.add(path, message);
    }
    if let Some(minimum) = minimum.filter(|minimum| value < *minimum) {
        let message = format!("Invalid value: {number}: {path} in body should be greater than or equal to {minimum}");
        findings.add(path, message);
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
