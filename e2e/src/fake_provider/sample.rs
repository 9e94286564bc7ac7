//! The smallest JSON that satisfies a schema of the kind that clients send: what a model that obeys would write.

use serde_json::{Map, Value, json};

/// Every free text.
pub(super) const WORD: &str = "Hanoi";
/// Schemas that refer to themselves end here.
const DEPTH_MAX: u32 = 8;

/// A value for `schema`: required members only, or where none is required, all of them.
pub(super) fn of(schema: &Value) -> Value {
    value(schema, schema, 0)
}

fn value(schema: &Value, root: &Value, depth: u32) -> Value {
    if depth > DEPTH_MAX {
        return Value::Null;
    }
    if let Some(path) = schema["$ref"]
        .as_str()
        .and_then(|reference| reference.strip_prefix('#'))
    {
        return value(root.pointer(path).unwrap_or(&Value::Null), root, depth + 1);
    }
    for one_of_these in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema[one_of_these].get(0) {
            return value(first, root, depth + 1);
        }
    }
    if let Some(constant) = schema.get("const").or_else(|| schema["enum"].get(0)) {
        return constant.clone();
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.first().and_then(Value::as_str),
        kind => kind.as_str(),
    };
    match kind.map(str::to_ascii_lowercase).as_deref() {
        Some("object") => object(schema, root, depth),
        Some("array") => json!([value(&schema["items"], root, depth + 1)]),
        Some("string") => json!(WORD),
        Some("integer") => json!(7),
        Some("number") => json!(0.5),
        Some("boolean") => json!(true),
        _ if schema["properties"].is_object() => object(schema, root, depth),
        _ => Value::Null,
    }
}

fn object(schema: &Value, root: &Value, depth: u32) -> Value {
    let Some(properties) = schema["properties"].as_object() else {
        return json!({});
    };
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().collect();
    let members: Map<_, _> = properties
        .iter()
        .filter(|(name, _)| required.is_empty() || required.iter().any(|required| *required == name.as_str()))
        .map(|(name, property)| (name.clone(), value(property, root, depth + 1)))
        .collect();
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(schema: &Value, sample: &Value) {
        assert_eq!(of(schema), *sample);
    }

    #[test]
    fn what_is_required_is_there_and_nothing_else() {
        check(
            &json!({"type": "object", "required": ["city", "days"], "properties": {"city": {"type": "string"},
                "days": {"type": "integer"}, "note": {"type": "string"}}}),
            &json!({"city": "Hanoi", "days": 7}),
        );
    }

    #[test]
    fn googles_words_for_types_are_understood() {
        check(
            &json!({"type": "OBJECT", "properties": {"cities": {"type": "ARRAY", "items": {"type": "STRING"}}}}),
            &json!({"cities": ["Hanoi"]}),
        );
    }

    #[test]
    fn references_choices_and_constants_are_followed() {
        check(
            &json!({"$defs": {"Kind": {"enum": ["capital"]}}, "type": "object", "properties": {"kind": {"$ref": "#/$defs/Kind"},
                "size": {"anyOf": [{"type": "number"}, {"type": "null"}]}, "v": {"const": 1}}}),
            &json!({"kind": "capital", "size": 0.5, "v": 1}),
        );
    }

    #[test]
    fn a_schema_that_holds_itself_ends() {
        let schema = json!({"type": "object", "properties": {"child": {"$ref": "#"}}});
        assert!(of(&schema)["child"]["child"].is_object());
    }
}
