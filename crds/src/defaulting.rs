//! What the API server does to an object before it judges it: drops nulls, fills in defaults, makes `5.0` a 5.
//!
//! Folder and cluster compile to the same digest only if this is done to manifests in a folder too.

use serde_json::Value;

use crate::structural::{Node, Shape};

/// Brings a value of this schema into the form in which the API server would keep it.
pub(crate) fn normalise(value: &mut Value, node: &Node) {
    match (value, &node.shape) {
        (Value::Object(object), Shape::Object(shape)) => {
            // A null is the same as leaving the field out: none of our fields is nullable.
            object.retain(|name, value| !value.is_null() || (shape.is_open && !shape.fields.contains_key(name)));
            for (name, field) in &shape.fields {
                if let Some(default) = &field.node.default
                    && !object.contains_key(name)
                {
                    object.insert(name.clone(), default.clone());
                }
            }
            for (name, value) in object.iter_mut() {
                let node = shape
                    .fields
                    .get(name)
                    .map(|field| &field.node)
                    .or(shape.entries.as_deref());
                if let Some(node) = node {
                    normalise(value, node);
                }
            }
        }
        (Value::Array(items), Shape::Array(shape)) => items.iter_mut().for_each(|item| normalise(item, &shape.items)),
        (value @ Value::Number(_), Shape::Integer { .. }) => make_whole(value),
        _ => {}
    }
}

/// JSON does not tell `5.0` from `5`; the API server keeps the latter.
#[allow(clippy::cast_possible_truncation)] // checked: whole and below 2^53
fn make_whole(value: &mut Value) {
    if let Some(number) = value.as_f64()
        && !value.is_i64()
        && number.fract() == 0.0
        && number.abs() < 9e15
    {
        *value = (number as i64).into();
    }
}
