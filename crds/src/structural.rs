//! The schema of each kind, read once into a tree that objects can be walked along: what is compiled (patterns, CEL
//! programs) is compiled here, at first use.
//!
//! Read from the very definition that the API server gets, not from the types: what is judged here and there cannot differ.
//! Only the part of JSON schema that our definitions use is known; anything else is a panic in the first test that loads it.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool, ValidationRule,
};
use kube::core::cel::cel::Program;
use kube::core::cel::cel::objects::Key;
use regex::Regex;
use serde_json::Value;

use crate::{Kind, definition};

/// One node of a structural schema.
pub(crate) struct Node {
    pub(crate) shape: Shape,
    pub(crate) default: Option<Value>,
    pub(crate) rules: Vec<Rule>,
    /// Whether this node or one below it has rules: a tree without any is not walked for them.
    pub(crate) has_rules_within: bool,
}

/// What a node holds.
pub(crate) enum Shape {
    Object(ObjectShape),
    Array(ArrayShape),
    String(StringShape),
    Integer { minimum: Option<i64>, maximum: Option<i64> },
    Boolean,
}

/// Named fields, or entries by free keys, or anything.
pub(crate) struct ObjectShape {
    pub(crate) fields: BTreeMap<String, Field>,
    pub(crate) required: Vec<String>,
    /// The schema of entries whose keys are data.
    pub(crate) entries: Option<Box<Node>>,
    /// Whether fields that the schema does not name may be there.
    pub(crate) is_open: bool,
    pub(crate) size: Bounds,
}

/// A named field.
pub(crate) struct Field {
    /// The name as CEL sees it: reserved words are escaped.
    pub(crate) cel_key: Key,
    pub(crate) node: Node,
}

/// A list.
pub(crate) struct ArrayShape {
    pub(crate) items: Box<Node>,
    pub(crate) size: Bounds,
    pub(crate) unique: Unique,
}

/// What must not occur twice in a list.
pub(crate) enum Unique {
    Nothing,
    /// An item (list type `set`).
    Items,
    /// The values of these fields (list type `map`).
    Keys(Vec<String>),
}

/// A text.
pub(crate) struct StringShape {
    /// The closed set of values; empty: any.
    pub(crate) allowed: Vec<String>,
    pub(crate) pattern: Option<Regex>,
    pub(crate) length: Bounds,
    pub(crate) is_moment: bool,
}

/// Bounds of a length or size.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) min: Option<usize>,
    pub(crate) max: Option<usize>,
}

/// One CEL rule.
pub(crate) struct Rule {
    pub(crate) program: Program,
    pub(crate) message: String,
    /// Below the node that has the rule.
    pub(crate) field_path: Vec<String>,
    pub(crate) reason: String,
}

/// The schema of a kind, compiled at first use.
pub(crate) fn node(kind: Kind) -> &'static Node {
    static NODES: [LazyLock<Node>; 5] = [
        LazyLock::new(|| load(Kind::LLMProvider)),
        LazyLock::new(|| load(Kind::RoutePolicy)),
        LazyLock::new(|| load(Kind::VirtualKey)),
        LazyLock::new(|| load(Kind::Budget)),
        LazyLock::new(|| load(Kind::GuardrailPolicy)),
    ];
    match kind {
        Kind::LLMProvider => &NODES[0],
        Kind::RoutePolicy => &NODES[1],
        Kind::VirtualKey => &NODES[2],
        Kind::Budget => &NODES[3],
        Kind::GuardrailPolicy => &NODES[4],
    }
}

fn load(kind: Kind) -> Node {
    let schema = serde_json::from_value(definition::structural_schema(kind)).expect("our own schema is a schema");
    Node::of(schema)
}

impl Node {
    fn of(schema: JSONSchemaProps) -> Self {
        let rules: Vec<Rule> = schema
            .x_kubernetes_validations
            .as_deref()
            .unwrap_or_default()
            .iter()
            .map(Rule::of)
            .collect();
        let default = schema.default.as_ref().map(|default| default.0.clone());
        let shape = match schema.type_.as_deref() {
            Some("object") => Shape::Object(ObjectShape::of(schema)),
            Some("array") => Shape::Array(ArrayShape::of(schema)),
            Some("string") => Shape::String(StringShape::of(schema)),
            Some("integer") => Shape::Integer {
                minimum: schema.minimum.map(whole),
                maximum: schema.maximum.map(whole),
            },
            Some("boolean") => Shape::Boolean,
            other => unreachable!("our definitions have no schema of type {other:?}"),
        };
        let has_rules_within = !rules.is_empty() || shape.children().any(|child| child.has_rules_within);
        Self {
            shape,
            default,
            rules,
            has_rules_within,
        }
    }
}

impl Shape {
    /// The name of the type, as messages say it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Object(_) => "object",
            Self::Array(_) => "array",
            Self::String(_) => "string",
            Self::Integer { .. } => "integer",
            Self::Boolean => "boolean",
        }
    }

    fn children(&self) -> Box<dyn Iterator<Item = &Node> + '_> {
        match self {
            Self::Object(object) => Box::new(
                object
                    .fields
                    .values()
                    .map(|field| &field.node)
                    .chain(object.entries.as_deref()),
            ),
            Self::Array(array) => Box::new(std::iter::once(&*array.items)),
            Self::String(_) | Self::Integer { .. } | Self::Boolean => Box::new(std::iter::empty()),
        }
    }
}

impl ObjectShape {
    fn of(schema: JSONSchemaProps) -> Self {
        let entries = match schema.additional_properties {
            Some(JSONSchemaPropsOrBool::Schema(entries)) => Some(Box::new(Node::of(*entries))),
            Some(JSONSchemaPropsOrBool::Bool(_)) | None => None,
        };
        let fields = schema.properties.unwrap_or_default().into_iter().map(|(name, field)| {
            let cel_key = Key::String(Arc::new(cel_name(&name)));
            (
                name,
                Field {
                    cel_key,
                    node: Node::of(field),
                },
            )
        });
        Self {
            fields: fields.collect(),
            required: schema.required.unwrap_or_default(),
            entries,
            is_open: schema.x_kubernetes_preserve_unknown_fields == Some(true),
            size: Bounds::of(schema.min_properties, schema.max_properties),
        }
    }
}

impl ArrayShape {
    fn of(schema: JSONSchemaProps) -> Self {
        let Some(JSONSchemaPropsOrArray::Schema(items)) = schema.items else {
            unreachable!("every list of ours has one schema for its items")
        };
        let unique = match schema.x_kubernetes_list_type.as_deref() {
            Some("set") => Unique::Items,
            Some("map") => Unique::Keys(schema.x_kubernetes_list_map_keys.unwrap_or_default()),
            _ => Unique::Nothing,
        };
        Self {
            items: Box::new(Node::of(*items)),
            size: Bounds::of(schema.min_items, schema.max_items),
            unique,
        }
    }
}

impl StringShape {
    fn of(schema: JSONSchemaProps) -> Self {
        let allowed = schema
            .enum_
            .unwrap_or_default()
            .into_iter()
            .filter_map(|value| match value.0 {
                Value::String(text) => Some(text),
                _ => None,
            });
        Self {
            allowed: allowed.collect(),
            pattern: schema
                .pattern
                .map(|pattern| Regex::new(&pattern).expect("our patterns are regular expressions")),
            length: Bounds::of(schema.min_length, schema.max_length),
            is_moment: schema.format.as_deref() == Some("date-time"),
        }
    }
}

impl Bounds {
    fn of(min: Option<i64>, max: Option<i64>) -> Self {
        let size = |bound: i64| usize::try_from(bound).expect("bounds of sizes are positive");
        Self {
            min: min.map(size),
            max: max.map(size),
        }
    }
}

impl Rule {
    fn of(rule: &ValidationRule) -> Self {
        let field_path = rule.field_path.as_deref().unwrap_or_default();
        Self {
            program: Program::compile(&rule.rule).expect("our rules are CEL"),
            message: rule.message.clone().expect("every rule of ours has a message"),
            field_path: field_path
                .split('.')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            reason: rule.reason.clone().expect("every rule of ours has a reason"),
        }
    }
}

/// The API server escapes names that CEL reserves. Of its list we use one; a test keeps field names to letters and digits,
/// so that nothing else needs escaping.
fn cel_name(name: &str) -> String {
    if name == "namespace" {
        "__namespace__".to_owned()
    } else {
        name.to_owned()
    }
}

#[allow(clippy::cast_possible_truncation)] // our bounds are whole numbers below 2^53
fn whole(bound: f64) -> i64 {
    bound as i64
}
