//! What the chart carries: copies that must not drift, a table that must be complete, and a package that is the folder.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use headgate_e2e::workspace;
use serde_json::Value;

use crate::helm;

const BEGIN: &str = "<!-- values: written by `UPDATE_GOLDEN=1 cargo test -p headgate-e2e --test chart` -->\n";
const END: &str = "<!-- end of values -->\n";

/// All files below a folder, sorted.
pub fn below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a folder can be listed").path();
        if path.is_dir() {
            files.extend(below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names and texts of the `*.yaml` in a folder.
fn manifests(folder: &Path) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder).expect("a folder can be listed");
    let paths = entries.map(|entry| entry.expect("a folder can be listed").path());
    let mut manifests: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| {
            (
                path.file_name()
                    .expect("a file has a name")
                    .to_string_lossy()
                    .into_owned(),
                read(&path),
            )
        })
        .collect();
    manifests.sort();
    manifests
}

#[test]
fn the_chart_carries_the_kinds_of_this_tree() {
    let ours = manifests(&workspace::root().join("crds"));
    let carried = manifests(&helm::chart().join("files/crds"));
    assert!(
        ours.len() == 5 && ours == carried,
        "run `make crds`, which copies crds/*.yaml into the chart"
    );
}

#[test]
fn rendering_adds_to_a_kind_nothing_but_metadata() {
    let objects = helm::render("");
    for (name, text) in manifests(&workspace::root().join("crds")) {
        let ours: Value = serde_yaml::from_str(&text).unwrap();
        let rendered = objects.get("CustomResourceDefinition", name.trim_end_matches(".yaml"));
        assert_eq!(rendered["spec"], ours["spec"], "{name}");
    }
}

#[test]
fn the_chart_carries_the_health_check_of_the_docs() {
    let carried = helm::chart().join("files/argocd/health.lua");
    let documented = workspace::root().join("docs/gitops/health.lua");
    assert!(
        read(&carried) == read(&documented),
        "copy {} to {}",
        documented.display(),
        carried.display()
    );
}

#[test]
fn chart_and_binaries_are_of_one_version() {
    let chart: Value = serde_yaml::from_str(&read(&helm::chart().join("Chart.yaml"))).unwrap();
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["kubeVersion"], ">=1.30.0-0");
}

#[test]
fn a_kubernetes_that_is_too_old_is_refused() {
    let chart = helm::chart().display().to_string();
    let of = |version: &str| helm::run(&["template", "r", &chart, "--kube-version", version], "");
    let said = of("1.29.9").unwrap_err();
    assert!(said.contains("chart requires kubeVersion: >=1.30.0-0"), "{said}");
    of("1.30.1-gke.100").unwrap();
}

#[test]
fn the_package_is_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (chart, out) = (helm::chart().display().to_string(), folder.path().display().to_string());
    helm::run(&["package", &chart, "--destination", &out], "").unwrap_or_else(|error| panic!("{error}"));
    let package = below(folder.path())[0].display().to_string();
    let packaged = helm::run(&["template", "headgate", &package, "--namespace", "headgate"], "").unwrap();
    assert!(
        packaged == helm::template("headgate", "headgate", "").unwrap(),
        "{package} renders something else"
    );
}

#[test]
fn every_value_has_a_description_and_stands_in_the_readme() {
    let schema: Value = serde_json::from_str(&read(&helm::chart().join("values.schema.json"))).unwrap();
    let defaults: Value = serde_yaml::from_str(&read(&helm::chart().join("values.yaml"))).unwrap();
    let mut table = "| value | default | what it is |\n| --- | --- | --- |\n".to_owned();
    add_rows(&mut table, "", &schema, &defaults);
    let path = helm::chart().join("README.md");
    let readme = read(&path);
    let (before, rest) = readme
        .split_once(BEGIN)
        .expect("README.md has the mark where the values begin");
    let (written, after) = rest
        .split_once(END)
        .expect("README.md has the mark where the values end");
    let table = format!("\n{table}\n");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert!(
        written == table,
        "run `UPDATE_GOLDEN=1 cargo test -p headgate-e2e --test chart`"
    );
}

/// A row for each value; objects that the schema does not look into are one value.
fn add_rows(table: &mut String, path: &str, schema: &Value, defaults: &Value) {
    let Some(properties) = schema["properties"].as_object() else {
        let described = schema["description"].as_str();
        let description = described
            .unwrap_or_else(|| panic!("{path} has no description"))
            .replace('|', "\\|");
        let default = serde_json::to_string(defaults).expect("a value is JSON");
        writeln!(table, "| `{path}` | `{default}` | {description} |").expect("a String takes all");
        return;
    };
    if path != "global" {
        assert_eq!(
            schema["additionalProperties"], false,
            "{path}: a misspelt value must be refused"
        );
    }
    for name in defaults.as_object().into_iter().flatten().map(|(name, _)| name) {
        assert!(
            properties.contains_key(name),
            "values.yaml has {path}.{name}, which the schema does not know"
        );
    }
    for (name, property) in properties {
        let below = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        add_rows(table, &below, property, &defaults[name.as_str()]);
    }
}
