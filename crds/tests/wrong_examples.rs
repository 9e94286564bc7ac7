//! Every wrong example is refused offline with the message that its first line promises. The same files are applied to a
//! real API server elsewhere, which has to say the same.

use std::path::Path;

use headgate_crds::{Kind, admit};
use serde_json::Value;

const PROMISE: &str = "# must say: ";

#[test]
fn every_wrong_example_is_refused_as_its_first_line_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/wrong");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // Those that only `compile` can refuse have other names.
        if !name.starts_with("schema-") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let promised = text.lines().next().and_then(|line| line.strip_prefix(PROMISE));
        let promised = promised.unwrap_or_else(|| panic!("{name}: the first line must be `{PROMISE}…`"));
        let mut object: Value = serde_yaml::from_str(&text).unwrap();
        let kind = Kind::of(object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap())
            .unwrap_or_else(|| panic!("{name}: not one of our kinds"));
        let said: Vec<String> = admit(kind, &mut object).iter().map(ToString::to_string).collect();
        assert!(
            said.iter().any(|line| line.contains(promised)),
            "{name} must say `{promised}`, not {said:#?}"
        );
        assert_eq!(said.len(), 1, "{name} must be wrong in one way only: {said:#?}");
        seen += 1;
    }
    assert!(seen >= 40, "only {seen} wrong examples found");
}
