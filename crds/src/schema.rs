//! Shapes that several kinds share: bounded names, globs, label maps, moments, conditions.
//!
//! Each is a schema function for `#[schemars(schema_with = …)]`, since the derive has no words for list types and map
//! bounds. Patterns keep to ASCII classes, which Go's and Rust's regular expressions read alike; every pattern comes with
//! a `maxLength`, without which the API server prices a CEL rule over it as if the string were a megabyte long.

use schemars::{Schema, SchemaGenerator, json_schema};

/// A DNS subdomain: the name of an object.
pub const OBJECT_NAME: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// A DNS label: the name of a namespace, of a target, of a check.
pub const LABEL_NAME: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// An entry of a Secret.
pub const SECRET_KEY: &str = "^[-._a-zA-Z0-9]+$";
/// A model name: printable ASCII without space and star.
pub const MODEL_NAME: &str = "^[!-)+-~]+$";
/// A model name, a prefix of one with a star at its end, or the star alone.
pub const MODEL_MATCH: &str = r"^([!-)+-~]+\*?|\*)$";
/// Printable ASCII; a star stands for any run of characters.
pub const GLOB: &str = "^[!-~]+$";
/// An HTTP header name (RFC 9110 `token`).
pub const HEADER_NAME: &str = "^[-!#$%&'*+.^_`|~0-9A-Za-z]+$";
/// An HTTP header value: printable ASCII, spaces only inside.
pub const HEADER_VALUE: &str = "^[!-~]([ -~]*[!-~])?$";
/// RFC 3339 in this century: narrower than the format, so that both clocks that read it (Go's, Rust's) agree.
pub const MOMENT: &str =
    r"^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][01][0-9]:[0-5][0-9])$";

/// The largest number of any schema: bounds are floats to the API server, and beyond 2^53 it refuses its own rounding.
pub const WHOLE_MAX: i64 = 9_007_199_254_740_991;
/// Longest model name, glob and route match.
pub const MODEL_NAME_LENGTH_MAX: u32 = 256;

/// A moment in RFC 3339.
pub fn moment(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time", "pattern": MOMENT, "maxLength": 40 })
}

/// A set of object names.
pub fn object_names(_: &mut SchemaGenerator) -> Schema {
    string_set(OBJECT_NAME, 253, 64)
}

/// A set of namespace names.
pub fn namespaces(_: &mut SchemaGenerator) -> Schema {
    string_set(LABEL_NAME, 63, 64)
}

/// A set of globs, at least one: an empty allow-list would read as "nothing" to some and as "everything" to others.
pub fn globs(_: &mut SchemaGenerator) -> Schema {
    let mut schema = string_set(GLOB, MODEL_NAME_LENGTH_MAX, 64);
    schema.insert("minItems".to_owned(), 1.into());
    schema
}

/// A set of free texts: users, teams.
pub fn texts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 256, "x-kubernetes-list-type": "set",
        "items": { "type": "string", "minLength": 1, "maxLength": 128 },
    })
}

/// A set of header names.
pub fn header_names(_: &mut SchemaGenerator) -> Schema {
    string_set(HEADER_NAME, 64, 32)
}

/// Short text by short text: labels, metadata.
pub fn text_map(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "maxProperties": 32,
        "additionalProperties": { "type": "string", "maxLength": 256 },
    })
}

/// Any JSON object whose content is not ours to judge.
pub fn free_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "maxProperties": 64, "x-kubernetes-preserve-unknown-fields": true })
}

/// A `metav1.LabelSelector` with bounds.
pub fn label_selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "matchLabels": {
                "description": "Labels that must be there with these values.",
                "type": "object", "maxProperties": 32,
                "additionalProperties": { "type": "string", "maxLength": 63 },
            },
            "matchExpressions": {
                "description": "Requirements that must all hold.",
                "type": "array", "maxItems": 16, "x-kubernetes-list-type": "atomic",
                "items": {
                    "type": "object", "required": ["key", "operator"],
                    "properties": {
                        "key": { "description": "The label.", "type": "string", "minLength": 1, "maxLength": 317 },
                        "operator": {
                            "description": "How the label relates to the values.",
                            "type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                        },
                        "values": {
                            "description": "The values of In and NotIn; absent for Exists and DoesNotExist.",
                            "type": "array", "maxItems": 32, "x-kubernetes-list-type": "set",
                            "items": { "type": "string", "maxLength": 63 },
                        },
                    },
                },
            },
        },
    })
}

/// `metav1.Condition` by type, bounded as the API conventions bound it.
pub fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 16,
        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object", "required": ["type", "status", "reason", "message", "lastTransitionTime"],
            "properties": {
                "type": {
                    "description": "Which condition.",
                    "type": "string", "maxLength": 316,
                    "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
                },
                "status": {
                    "description": "Whether it holds.",
                    "type": "string", "enum": ["True", "False", "Unknown"],
                },
                "reason": {
                    "description": "Why, as one word for programs.",
                    "type": "string", "minLength": 1, "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "message": {
                    "description": "Why, and what to do, for people.",
                    "type": "string", "maxLength": 32768,
                },
                "observedGeneration": {
                    "description": "The generation of the spec that this was judged by.",
                    "type": "integer", "format": "int64", "minimum": 0, "maximum": WHOLE_MAX,
                },
                "lastTransitionTime": {
                    "description": "When the status last flipped.",
                    "type": "string", "format": "date-time", "maxLength": 40,
                },
            },
        },
    })
}

fn string_set(pattern: &str, length_max: u32, items_max: u32) -> Schema {
    json_schema!({
        "type": "array", "maxItems": items_max, "x-kubernetes-list-type": "set",
        "items": { "type": "string", "minLength": 1, "maxLength": length_max, "pattern": pattern },
    })
}
