//! ARCHITECTURE.md lists the fields that are accepted and not implemented yet. A reader trusts that list, so it is held
//! to the code; `UPDATE_GOLDEN=1` rewrites it.

use std::fmt::Write as _;
use std::path::Path;

use headgate_compile::{Effect, unsupported_fields};

const BEGIN: &str = "<!-- unsupported fields: written by `UPDATE_GOLDEN=1 cargo test -p headgate-compile` -->\n";
const END: &str = "<!-- end of unsupported fields -->\n";

fn table() -> String {
    let mut table = "\n| kind | field | what happens |\n| --- | --- | --- |\n".to_owned();
    for (kind, path, effect) in unsupported_fields() {
        let effect = match effect {
            Effect::LeavesOut => "left out, or kept refusing with that reason",
            Effect::Warns => "served with a warning",
        };
        writeln!(table, "| {kind} | `{path}` | {effect} |").expect("writing to a String cannot fail");
    }
    table.push('\n');
    table
}

#[test]
fn architecture_md_lists_the_fields_that_are_not_implemented_yet() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ARCHITECTURE.md");
    let text = std::fs::read_to_string(&path).expect("ARCHITECTURE.md stands at the root");
    let (before, rest) = text
        .split_once(BEGIN)
        .expect("ARCHITECTURE.md has the marker before the list");
    let (listed, after) = rest
        .split_once(END)
        .expect("ARCHITECTURE.md has the marker behind the list");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, [before, BEGIN, &table(), END, after].concat()).expect("ARCHITECTURE.md can be written");
        return;
    }
    assert_eq!(
        listed,
        table(),
        "run `UPDATE_GOLDEN=1 cargo test -p headgate-compile --test architecture`"
    );
}
