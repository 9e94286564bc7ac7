//! What the documents say of providers and traps is true as far as a program can tell: links lead somewhere, a test that is
//! named is there, every kind has its place, and each cell of a table is what its golden case or the adapter shows.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::{Path, PathBuf};

use headgate_llm::endpoint::Endpoint;
use headgate_llm::pass_through::PassThrough;
use headgate_llm::provider::{self, EncodeOptions, Kind};
use headgate_llm::service::Service;
use serde_json::Value;

const PROVIDERS: &str = "docs/providers.md";
const TRAPS: &str = "docs/traps.md";

/// Those whose links are followed.
const DOCUMENTS: [&str; 7] = [
    PROVIDERS,
    TRAPS,
    "docs/dialects.md",
    "docs/adding-a-provider.md",
    "docs/stored-objects.md",
    "README.md",
    "ARCHITECTURE.md",
];

const CASES: &str = "dataplane/llm/tests/golden/";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `[text](target)`.
#[derive(Clone, Copy, Debug)]
struct Link<'t> {
    text: &'t str,
    target: &'t str,
}

fn links(text: &str) -> Vec<Link<'_>> {
    let linked = text.match_indices("](").filter_map(|(middle, _)| {
        let behind = &text[middle + 2..];
        let target = &behind[..behind.find(')')?];
        let mut depth = 0;
        let start = text[..middle].rfind(|character| {
            depth += match character {
                ']' => 1,
                '[' => -1,
                _ => 0,
            };
            depth < 0
        })?;
        let text = &text[start + 1..middle];
        Some(Link { text, target })
    });
    linked.collect()
}

/// Where a link of a document leads, from the root, and the heading there.
fn followed<'t>(document: &str, target: &'t str) -> (String, Option<&'t str>) {
    let (path, heading) = target
        .split_once('#')
        .map_or((target, None), |(path, to)| (path, Some(to)));
    if path.is_empty() {
        return (document.to_owned(), heading);
    }
    let folder = Path::new(document).parent().unwrap();
    let mut parts: Vec<&str> = folder.iter().filter_map(|part| part.to_str()).collect();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match part {
            ".." => assert!(parts.pop().is_some(), "{document}: {target} leaves the project"),
            part => parts.push(part),
        }
    }
    (parts.join("/"), heading)
}

/// The fragment that leads to a heading.
fn fragment(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|character| match character {
        ' ' => Some('-'),
        '-' | '_' => Some(character),
        _ => character.is_alphanumeric().then(|| character.to_ascii_lowercase()),
    });
    kept.collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    for document in DOCUMENTS {
        let text = read(document);
        for link in links(&text).iter().filter(|link| !link.target.contains("://")) {
            let (path, heading) = followed(document, link.target);
            let is_there = root().join(&path).exists();
            let has_heading = |heading: &str| {
                let there = read(&path);
                let headings = there.lines().filter_map(|line| line.strip_prefix('#'));
                headings
                    .map(|line| fragment(line.trim_start_matches('#')))
                    .any(|found| found == heading)
            };
            if !is_there || !heading.is_none_or(has_heading) {
                wrong.push(format!("{document}: {}", link.target));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A link whose text is the name of a test leads to a file that has it.
#[test]
fn every_test_that_is_named_is_there() {
    let text = read(TRAPS);
    let (mut seen, mut wrong) = (0, Vec::new());
    for Link { text: name, target } in links(&text) {
        let (path, _) = followed(TRAPS, target);
        let Some(name) = name.strip_prefix('`').and_then(|name| name.strip_suffix('`')) else {
            continue;
        };
        let is_code = [".rs", ".py", ".mjs"].iter().any(|ending| path.ends_with(ending));
        if !is_code || name.contains(['/', '.']) {
            continue;
        }
        seen += 1;
        let code = read(&path);
        if !["fn ", "def "]
            .iter()
            .any(|word| code.contains(&format!("{word}{name}(")))
        {
            wrong.push(format!("{path} has no {name}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 30, "only {seen} tests are named");
}

#[test]
fn every_kind_has_its_place() {
    let text = read(PROVIDERS);
    for kind in Kind::ALL {
        assert!(
            text.contains(&format!("`{kind:?}`")),
            "{PROVIDERS} says nothing of {kind:?}"
        );
    }
}

/// A cell of a table, with the kinds that its row and its column are about.
struct Cell<'t> {
    row: &'t str,
    column: &'t str,
    text: &'t str,
    kinds: Vec<Kind>,
}

fn row_of(line: &str) -> Vec<&str> {
    let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
    inner.split('|').map(str::trim).collect()
}

fn cells(text: &str) -> Vec<Cell<'_>> {
    let mut cells = Vec::new();
    let mut head: Option<Vec<&str>> = None;
    for line in text.lines() {
        if !line.starts_with('|') {
            head = None;
            continue;
        }
        let Some(columns) = &head else {
            head = Some(row_of(line));
            continue;
        };
        let row = row_of(line);
        assert_eq!(row.len(), columns.len(), "{line}");
        for (column, text) in columns.iter().zip(&row).skip(1) {
            let kinds = [named_kinds(column), named_kinds(row[0])].concat();
            cells.push(Cell {
                row: row[0],
                column,
                text,
                kinds,
            });
        }
    }
    cells
}

fn named_kinds(text: &str) -> Vec<Kind> {
    let is_named = |kind: &Kind| text.contains(&format!("`{kind:?}`"));
    let mut kinds: Vec<Kind> = Kind::ALL.into_iter().filter(is_named).collect();
    if kinds.contains(&Kind::OllamaOpenAI) {
        kinds.retain(|kind| *kind == Kind::OllamaOpenAI); // whose row names both
    }
    kinds
}

fn case_of(target: &str) -> Option<String> {
    let (path, _) = followed(PROVIDERS, target);
    path.strip_prefix(CASES).map(str::to_owned)
}

fn json_of(case: &str, file: &str) -> Value {
    serde_json::from_str(&read(format!("{CASES}{case}/{file}"))).unwrap()
}

#[test]
fn each_cell_says_what_its_case_shows() {
    let text = read(PROVIDERS);
    let (mut seen, mut wrong) = (0, Vec::new());
    for cell in cells(&text) {
        for Link { text: mark, target } in links(cell.text) {
            let Some(case) = case_of(target) else { continue };
            seen += 1;
            let kind = json_of(&case, "case.json")["kind"].as_str().unwrap().to_owned();
            let is_another = !cell.kinds.is_empty() && !cell.kinds.iter().any(|known| format!("{known:?}") == kind);
            if is_another && !mark.starts_with("as `") {
                wrong.push(format!("{} at {}: {case} is {kind}'s", cell.row, cell.column));
            }
            let facts = json_of(&case, "facts.json");
            let is_refused = facts["refused"].is_object();
            let has_dropped = facts["request"]["dropped"]
                .as_array()
                .is_some_and(|names| !names.is_empty());
            if is_refused != (mark == "400") || (mark == "left out" && !has_dropped) {
                wrong.push(format!(
                    "{} at {}: {case} does not show `{mark}`",
                    cell.row, cell.column
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 300, "only {seen} cells have a case");
}

#[test]
fn each_endpoint_is_served_as_the_table_says() {
    let text = read(PROVIDERS);
    let (mut seen, mut wrong) = (0, Vec::new());
    for cell in cells(&text) {
        let Some(endpoint) = Endpoint::ALL
            .into_iter()
            .find(|endpoint| cell.column == format!("`{}`", endpoint.path()))
        else {
            continue;
        };
        let link = links(cell.text).first().copied();
        let asked = link
            .and_then(|link| case_of(link.target))
            .map(|case| json_of(&case, "case.json"));
        let name = |name: &str| asked.as_ref().and_then(|case| case[name].as_str());
        let options = EncodeOptions {
            upstream_model: name("upstreamModel").unwrap_or_default(),
            publisher: name("publisher"),
            ..EncodeOptions::default()
        };
        let mark = link.map_or(cell.text, |link| link.text);
        for kind in &cell.kinds {
            seen += 1;
            let shown = match provider::of(*kind).serve(endpoint, &options) {
                Ok(Service::Native(_)) => "as it is",
                Ok(Service::Translated { .. } | Service::Embeddings(_)) => "translated",
                Ok(Service::Counted { .. }) => "counted",
                Ok(Service::Estimated) => "estimated",
                Err(_) => "400",
            };
            if shown != mark {
                wrong.push(format!("{kind:?} at {}: {mark}, and it is {shown}", cell.column));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen >= Kind::ALL.len() * 5, "only {seen} endpoints are told");
}

/// The row of an endpoint. Stored responses are found at their ids; without one the path is that of making them.
fn label_of(what: PassThrough) -> String {
    match what {
        PassThrough::StoredResponses => format!("`{}/{{id}}`", what.path()),
        _ => format!("`{}`", what.path()),
    }
}

#[test]
fn what_passes_unread_is_what_the_table_says() {
    let text = read(PROVIDERS);
    let (mut told, mut wrong) = (Vec::new(), Vec::new());
    for cell in cells(&text) {
        let Some(what) = PassThrough::ALL.into_iter().find(|what| cell.row == label_of(*what)) else {
            continue;
        };
        for kind in cell.kinds {
            told.push((kind, what));
            let has_it = provider::of(kind)
                .pass_through(what, &EncodeOptions::default())
                .is_some();
            if has_it != (cell.text == "yes") {
                wrong.push(format!("{kind:?} at {}: {}", what.path(), cell.text));
            }
        }
    }
    for kind in Kind::ALL {
        for what in PassThrough::ALL
            .into_iter()
            .filter(|what| !told.contains(&(kind, *what)))
        {
            if provider::of(kind)
                .pass_through(what, &EncodeOptions::default())
                .is_some()
            {
                wrong.push(format!("{kind:?} has {}, which no cell tells", what.path()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
