//! Reading YAML files for assertions about them.

use std::path::Path;

use serde_json::Value;

/// The text of a file.
pub fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The documents of a file.
pub fn documents(path: &Path) -> Vec<Value> {
    of_text(&text(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The documents of a text; empty ones are left out.
pub fn of_text(text: &str) -> Result<Vec<Value>, String> {
    let documents: Vec<Value> = serde_yaml::from_multiple(text).map_err(|error| error.to_string())?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}
