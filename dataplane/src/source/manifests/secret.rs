//! `v1 Secret` manifests: what a folder has in place of a cluster's Secrets.
//!
//! A whole `stringData` value `${NAME}` takes the environment, so that a folder can be committed without its secrets.
//! Only a whole value does: a template language would invite secrets that are half in Git. `check` never looks at the
//! environment.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headgate_compile::SecretValue;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::source::Environment;

/// Where the value of `${NAME}` comes from.
#[derive(Clone)]
pub(super) enum Variables {
    /// The environment, for serving.
    Environment(Environment),
    /// Nowhere, for checking: `compile` knows a stand-in for a good value.
    StandIn,
}

/// Something is wrong with a Secret; never carries a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Where, as a JSON pointer.
    pub(super) pointer: String,
    /// What, and what to do.
    pub(super) message: String,
}

/// The variable of a value that is one variable and nothing else.
pub(super) fn variable(text: &str) -> Option<&str> {
    let name = text.strip_prefix("${")?.strip_suffix('}')?;
    let is_name = !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some(name)
}

/// Reads `data` and `stringData`; the latter wins, as in Kubernetes.
pub(super) fn read(manifest: &Value, variables: &Variables) -> Result<BTreeMap<String, SecretValue>, Vec<Wrong>> {
    let mut values = BTreeMap::new();
    let mut wrong = unknown_fields(manifest);
    for (key, value) in entries(manifest, "data", &mut wrong) {
        // A line break within base64 is usual in manifests, and the API server takes it, too.
        let packed = Zeroizing::new(value.replace(['\n', '\r'], ""));
        match STANDARD.decode(packed.as_bytes()) {
            Ok(bytes) => drop(values.insert(key.to_owned(), SecretValue::known(bytes))),
            Err(_) => wrong.push(Wrong {
                pointer: format!("/data/{key}"),
                message: format!("`data.{key}` is not base64; write the plain value under `stringData` instead"),
            }),
        }
    }
    for (key, value) in entries(manifest, "stringData", &mut wrong) {
        values.insert(key.to_owned(), expand(value, variables));
    }
    if wrong.is_empty() { Ok(values) } else { Err(wrong) }
}

fn expand(value: &str, variables: &Variables) -> SecretValue {
    let Some(name) = variable(value) else {
        return SecretValue::known(value);
    };
    let variable = name.to_owned();
    match variables {
        Variables::Environment(environment) => match environment(name) {
            Some(value) => SecretValue::known(value),
            None => SecretValue::Unset { variable },
        },
        Variables::StandIn => SecretValue::StandIn { variable },
    }
}

fn unknown_fields(manifest: &Value) -> Vec<Wrong> {
    const KNOWN: [&str; 7] = [
        "apiVersion",
        "kind",
        "metadata",
        "type",
        "immutable",
        "data",
        "stringData",
    ];
    let fields = manifest.as_object().into_iter().flat_map(|map| map.keys());
    fields
        .filter(|field| !KNOWN.contains(&field.as_str()))
        .map(|field| Wrong {
            pointer: format!("/{field}"),
            message: format!("a Secret has no field `{field}`; remove it"),
        })
        .collect()
}

fn entries<'a>(manifest: &'a Value, field: &str, wrong: &mut Vec<Wrong>) -> Vec<(&'a str, &'a str)> {
    let map = match manifest.get(field) {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Object(map)) => map,
        Some(_) => {
            wrong.push(Wrong {
                pointer: format!("/{field}"),
                message: format!("`{field}` is not a map of names to values"),
            });
            return Vec::new();
        }
    };
    let mut entries = Vec::new();
    for (key, value) in map {
        let is_key = !key.is_empty()
            && key.len() <= 253
            && key
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        match value.as_str() {
            Some(value) if is_key => entries.push((key.as_str(), value)),
            Some(_) => wrong.push(Wrong {
                pointer: format!("/{field}"),
                message: format!("a name in `{field}` has characters other than letters, digits, `-`, `_` and `.`"),
            }),
            None => wrong.push(Wrong {
                pointer: format!("/{field}/{key}"),
                message: format!("`{field}.{key}` is not a string; put it into quotes"),
            }),
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn read(manifest: &Value, variables: &Variables) -> BTreeMap<String, SecretValue> {
        super::read(manifest, variables).unwrap_or_else(|wrong| panic!("{wrong:?}"))
    }

    fn serving() -> Variables {
        Variables::Environment(Arc::new(|name| (name == "SET").then(|| "from outside".to_owned())))
    }

    fn unset(variable: &str) -> SecretValue {
        SecretValue::Unset {
            variable: variable.to_owned(),
        }
    }

    #[test]
    fn only_a_whole_value_is_a_variable() {
        assert_eq!(variable("${OPENAI_API_KEY}"), Some("OPENAI_API_KEY"));
        for plain in [
            "", "$SET", "${SET", "x${SET}", "${SET}x", "${}", "${1A}", "${A-B}", "${SET}\n",
        ] {
            assert_eq!(variable(plain), None, "{plain}");
        }
    }

    #[test]
    fn string_data_takes_the_environment_and_beats_data() {
        let manifest = json!({"data": {"a": "YQ==", "b": "Yg=="}, "stringData": {"b": "${SET}", "c": "x ${SET}", "d": "${UNSET}"}});
        let values = read(&manifest, &serving());
        let expected = [
            ("a", SecretValue::known("a")),
            ("b", SecretValue::known("from outside")),
            ("c", SecretValue::known("x ${SET}")),
            ("d", unset("UNSET")),
        ];
        assert!(
            values == expected.map(|(key, value)| (key.to_owned(), value)).into(),
            "{values:?}"
        );
    }

    #[test]
    fn data_is_never_expanded() {
        let values = read(&json!({"data": {"a": STANDARD.encode("${SET}")}}), &serving());
        assert!(values["a"] == SecretValue::known("${SET}"));
    }

    #[test]
    fn checking_leaves_the_environment_alone() {
        let values = read(
            &json!({"stringData": {"a": "${SET}", "b": "plain"}}),
            &Variables::StandIn,
        );
        assert!(
            values["a"]
                == SecretValue::StandIn {
                    variable: "SET".to_owned()
                }
        );
        assert!(values["b"] == SecretValue::known("plain"));
    }

    #[test]
    fn what_is_wrong_is_named_without_its_value() {
        let manifest = json!({"data": {"a": "canary!"}, "stringData": {"b": 12}, "stringdata": {"c": "canary"}});
        let Err(wrong) = super::read(&manifest, &serving()) else {
            panic!("accepted")
        };
        let pointers: Vec<_> = wrong.iter().map(|wrong| wrong.pointer.as_str()).collect();
        assert_eq!(pointers, ["/stringdata", "/data/a", "/stringData/b"]);
        assert!(!format!("{wrong:?}").contains("canary"));
    }
}
