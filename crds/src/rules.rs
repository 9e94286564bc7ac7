//! The CEL rules of a schema, evaluated in process over an object that fits it.
//!
//! kube's validator converts the value anew at every node of the tree, rules or not; ten thousand keys would take seconds.
//! So the walk is our own, and only the language is borrowed. Rules never see the old object: ours have no transitions.

use std::collections::HashMap;
use std::sync::Arc;

use kube::core::cel::KubeCelExt as _;
use kube::core::cel::cel::objects::{Key, Map};
use kube::core::cel::cel::{Context, Value as CelValue};
use serde_json::Value;

use crate::structural::{Node, Rule, Shape};
use crate::validate::Findings;
use crate::violation::{Path, shown};

thread_local! {
    /// The language with Kubernetes' functions. One a thread: it is costly to make and cannot be shared.
    static LANGUAGE: Context<'static> = Context::default().with_all();
}

/// Adds the message of every rule within `node` that does not hold for `value`.
pub(crate) fn evaluate(value: &Value, node: &Node, path: &Path<'_>, findings: &mut Findings) {
    LANGUAGE.with(|language| walk(value, node, path, language, findings));
}

fn walk(value: &Value, node: &Node, path: &Path<'_>, language: &Context<'_>, findings: &mut Findings) {
    if !node.has_rules_within {
        return;
    }
    if !node.rules.is_empty() {
        let mut scope = language.new_inner_scope();
        scope.add_variable_from_value("self", to_cel(value, node));
        for rule in &node.rules {
            judge(rule, value, path, &scope, findings);
        }
    }
    match (value, &node.shape) {
        (Value::Object(object), Shape::Object(shape)) => {
            for (name, value) in object {
                match (shape.fields.get(name), &shape.entries) {
                    (Some(field), _) => walk(value, &field.node, &Path::Field(path, name), language, findings),
                    (None, Some(entry)) => walk(value, entry, &Path::Key(path, name), language, findings),
                    (None, None) => {}
                }
            }
        }
        (Value::Array(items), Shape::Array(shape)) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, &shape.items, &Path::Item(path, index), language, findings);
            }
        }
        _ => {}
    }
}

fn judge(rule: &Rule, value: &Value, path: &Path<'_>, scope: &Context<'_>, findings: &mut Findings) {
    let message = match rule.program.execute(scope) {
        Ok(CelValue::Bool(true)) => return,
        Ok(CelValue::Bool(false)) => in_words(rule, value),
        // A duration that is none, say, which its pattern has refused already. Otherwise fails closed, as the API server does.
        Ok(_) | Err(_) if !findings.violations.is_empty() => return,
        Ok(_) | Err(_) => format!("Invalid value: rule could not be evaluated: {}", rule.message),
    };
    at_field(path, &rule.field_path, &mut |path| findings.add(path, message.as_str()));
}

/// As the API server words the rule's reason.
fn in_words(rule: &Rule, value: &Value) -> String {
    match rule.reason.as_str() {
        "FieldValueForbidden" => format!("Forbidden: {}", rule.message),
        "FieldValueRequired" => format!("Required value: {}", rule.message),
        _ => {
            let value = match value {
                Value::Object(_) | Value::Array(_) => return format!("Invalid value: {}", rule.message),
                Value::String(text) => shown(text),
                other => other.to_string(),
            };
            format!("Invalid value: {value}: {}", rule.message)
        }
    }
}

/// Calls back with the path of the field that a rule points at.
fn at_field(path: &Path<'_>, names: &[String], then: &mut dyn FnMut(&Path<'_>)) {
    match names.split_first() {
        None => then(path),
        Some((name, rest)) => at_field(&Path::Field(path, name), rest, then),
    }
}

/// A value as CEL sees it: named fields under their escaped names, entries of maps under their own.
fn to_cel(value: &Value, node: &Node) -> CelValue {
    match (value, &node.shape) {
        (Value::Object(object), Shape::Object(shape)) => {
            let mut fields = HashMap::with_capacity(object.len());
            for (name, value) in object {
                if let Some(field) = shape.fields.get(name) {
                    fields.insert(field.cel_key.clone(), to_cel(value, &field.node));
                } else if let Some(entry) = &shape.entries {
                    fields.insert(Key::String(Arc::new(name.clone())), to_cel(value, entry));
                }
                // What the schema does not name is not visible to rules.
            }
            CelValue::Map(Map { map: Arc::new(fields) })
        }
        (Value::Array(items), Shape::Array(shape)) => {
            CelValue::List(Arc::new(items.iter().map(|item| to_cel(item, &shape.items)).collect()))
        }
        (Value::String(text), _) => CelValue::String(Arc::new(text.clone())),
        (Value::Bool(value), _) => CelValue::Bool(*value),
        (Value::Number(number), _) => number.as_i64().map_or(CelValue::Null, CelValue::Int),
        (Value::Null | Value::Object(_) | Value::Array(_), _) => CelValue::Null,
    }
}
