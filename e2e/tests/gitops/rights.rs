//! `docs/rbac.md` against the Roles of the rendered chart: a table of rights that is out of date is worse than none.

use std::collections::BTreeSet;

use headgate_e2e::installation::render;
use headgate_e2e::workspace;
use serde_json::{Value, json};

use crate::yaml;

/// A verb on a resource, of all objects (`""`) or of one.
type Right = (String, String, String);

/// Sections of the document, and the kind, namespace and end of the name of the Role that each describes.
const SECTIONS: [(&str, &str, &str, &str); 5] = [
    ("Operator, in each watched namespace", "Role", "llm", "operator"),
    ("Operator, in the release's namespace", "Role", "headgate", "operator"),
    (
        "Operator, in the snapshot namespace",
        "Role",
        "headgate-snapshots",
        "operator",
    ),
    (
        "Operator, in the whole cluster",
        "ClusterRole",
        "",
        "operator-namespaces",
    ),
    (
        "Data plane, in the snapshot namespace",
        "Role",
        "headgate-snapshots",
        "gateway",
    ),
];

#[tokio::test]
async fn the_table_of_rights_is_what_the_chart_grants() {
    let values = json!({"watchNamespaces": ["llm"], "operator": {"rbac": {"namespaces": true}}});
    let rendered = render("headgate", "headgate", &values)
        .await
        .expect("the chart renders");
    let rendered = yaml::of_text(&rendered).expect("the chart renders YAML");
    let roles = rendered.iter().filter(|object| object["rules"].is_array());
    assert_eq!(roles.count(), SECTIONS.len(), "each Role has a section");

    let documentation = yaml::text(&workspace::root().join("docs/rbac.md"));
    for (title, kind, namespace, name_end) in SECTIONS {
        let is_described = |object: &&Value| {
            let metadata = &object["metadata"];
            object["kind"] == kind
                && metadata["namespace"].as_str().unwrap_or_default() == namespace
                && metadata["name"].as_str().is_some_and(|name| name.ends_with(name_end))
        };
        let role = rendered
            .iter()
            .find(is_described)
            .unwrap_or_else(|| panic!("{title}: no such Role"));
        assert_eq!(documented(&documentation, title), granted(role), "{title}");
    }
}

fn granted(role: &Value) -> BTreeSet<Right> {
    let rules = role["rules"].as_array().expect("a Role has rules");
    let rights = rules.iter().flat_map(|rule| {
        let [resources, verbs, names] = ["resources", "verbs", "resourceNames"].map(|field| texts(&rule[field]));
        rights(&resources, &verbs, &names)
    });
    rights.collect()
}

/// The rows below a heading: resources in backticks, verbs with commas, names in backticks, why.
fn documented(documentation: &str, title: &str) -> BTreeSet<Right> {
    let section = documentation.split("\n## ").find(|section| section.starts_with(title));
    let section = section.unwrap_or_else(|| panic!("docs/rbac.md has no section `{title}`"));
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let rights = rows.flat_map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let verbs: Vec<_> = cells[2].split(", ").map(str::to_owned).collect();
        rights(&quoted(cells[1]), &verbs, &quoted(cells[3]))
    });
    rights.collect()
}

fn rights(resources: &[String], verbs: &[String], names: &[String]) -> Vec<Right> {
    let all = [String::new()];
    let names = if names.is_empty() { &all } else { names };
    let mut rights = Vec::new();
    for resource in resources {
        for verb in verbs {
            rights.extend(names.iter().map(|name| (resource.clone(), verb.clone(), name.clone())));
        }
    }
    rights
}

fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn texts(list: &Value) -> Vec<String> {
    let texts = list.as_array().map_or(&[][..], Vec::as_slice).iter();
    texts
        .map(|text| text.as_str().expect("a rule holds texts").to_owned())
        .collect()
}
