//! The tables of `docs/clients.md`, written from what the clients' tests told of every cell.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use headgate_e2e::workspace::root;
use serde_json::Value;

const BEGIN: &str =
    "<!-- tables: written by `UPDATE_GOLDEN=1 cargo test -p headgate-e2e --test gateway every_client` -->\n";
const END: &str = "<!-- end of tables -->\n";
const ENDPOINTS: [(&str, &str); 7] = [
    ("chat", "Chat completions, `POST /v1/chat/completions`"),
    ("messages", "Messages, `POST /v1/messages`"),
    ("responses", "Responses, `POST /v1/responses`"),
    ("completions", "Completions, `POST /v1/completions`"),
    ("embeddings", "Embeddings, `POST /v1/embeddings`"),
    ("media", "What passes unread: pictures, sound, moderation, reranking"),
    ("stored", "What is stored: files, batches, responses"),
];
const IN_MEMORY: &str = "writing to a string does not fail";

/// What a client's tests wrote down of one cell: client, endpoint, feature, provider, outcome.
type Outcome = (String, String, String, String, String);

/// Fails unless `docs/clients.md` says what `files` tell; with `UPDATE_GOLDEN` set, makes it say so.
pub(super) fn check(files: &[&Path]) {
    let outcomes: Vec<Outcome> = files
        .iter()
        .flat_map(|file| {
            let text = std::fs::read(file).expect("the tests wrote their outcomes");
            serde_json::from_slice::<Vec<Outcome>>(&text).expect("outcomes are lists of five")
        })
        .collect();
    let path = root().join("docs/clients.md");
    let page = std::fs::read_to_string(&path).expect("docs/clients.md is there");
    let (before, rest) = page.split_once(BEGIN).expect("the page says where its tables begin");
    let (_, after) = rest.split_once(END).expect("the page says where its tables end");
    let wanted = format!("{before}{BEGIN}{}{END}{after}", tables(&outcomes));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, wanted).expect("docs/clients.md can be written");
        return;
    }
    assert!(
        page == wanted,
        "docs/clients.md does not say what the clients see; run UPDATE_GOLDEN=1 cargo test -p headgate-e2e --test gateway every_client"
    );
}

fn tables(outcomes: &[Outcome]) -> String {
    let matrix = std::fs::read(root().join("e2e/clients/matrix.json")).expect("the matrix is there");
    let matrix: Value = serde_json::from_slice(&matrix).expect("the matrix is JSON");
    let mut text = String::new();
    for (endpoint, title) in ENDPOINTS {
        let of_endpoint: Vec<_> = outcomes.iter().filter(|outcome| outcome.1 == endpoint).collect();
        let clients: BTreeSet<_> = of_endpoint.iter().map(|outcome| outcome.0.as_str()).collect();
        let clients: Vec<_> = clients.into_iter().collect();
        let features = words(&matrix["features"][endpoint]);
        writeln!(text, "\n### {title}\n\nClients: {}.\n", clients.join(", ")).expect(IN_MEMORY);
        writeln!(text, "| provider | {} |", features.join(" | ")).expect(IN_MEMORY);
        writeln!(text, "| --- |{}", " --- |".repeat(features.len())).expect(IN_MEMORY);
        for provider in words(&matrix["providers"]) {
            let cells: Vec<_> = features
                .iter()
                .map(|feature| {
                    cell(
                        of_endpoint
                            .iter()
                            .filter(|outcome| outcome.2 == *feature && outcome.3 == provider),
                    )
                })
                .collect();
            let title = matrix["titles"][provider].as_str().unwrap_or(provider);
            writeln!(text, "| {title} | {} |", cells.join(" | ")).expect(IN_MEMORY);
        }
    }
    text.push_str("\n### Why not\n\n");
    for kind in ["refused", "not yet", "does not apply"] {
        for rule in matrix[kind].as_array().into_iter().flatten() {
            writeln!(
                text,
                "- {}: {}.",
                scope(rule, kind, &matrix),
                rule["because"].as_str().unwrap_or_default()
            )
            .expect(IN_MEMORY);
        }
    }
    text.push('\n');
    text
}

/// One word where all clients agree; else what most see, and who sees something else.
fn cell<'a>(outcomes: impl Iterator<Item = &'a &'a Outcome>) -> String {
    let mut clients_by_word: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (client, _, _, _, outcome) in outcomes.copied() {
        let word = match outcome.as_str() {
            "works" => "yes",
            "refused" => "refused",
            "not yet" => "not yet",
            _ => "–",
        };
        clients_by_word.entry(word).or_default().push(client);
    }
    let mut by_count: Vec<_> = clients_by_word.into_iter().collect();
    by_count.sort_by_key(|(_, clients)| std::cmp::Reverse(clients.len()));
    let Some(((most, _), others)) = by_count.split_first() else {
        return String::new();
    };
    others.iter().fold((*most).to_owned(), |mut text, (word, clients)| {
        write!(text, " ({}: {word})", clients.join(", ")).expect(IN_MEMORY);
        text
    })
}

/// What a rule is about, in words.
fn scope(rule: &Value, kind: &str, matrix: &Value) -> String {
    let titles = |key: &str| {
        let names = words(&rule[key]).into_iter();
        let titles: Vec<_> = names
            .map(|name| matrix["titles"][name].as_str().unwrap_or(name))
            .collect();
        titles.join(", ")
    };
    let providers = match (titles("providers"), titles("but providers")) {
        (all, but) if all.is_empty() && but.is_empty() => None,
        (all, but) if but.is_empty() => Some(all),
        (_, but) => Some(format!("all but {but}")),
    };
    let of = |key: &str| {
        let list = words(&rule[key]);
        (!list.is_empty()).then(|| list.join(", "))
    };
    let all = [providers, of("endpoints"), of("features"), of("clients")];
    let about = all.into_iter().flatten().collect::<Vec<_>>().join("; ");
    format!("{about} ({kind})")
}

fn words(list: &Value) -> Vec<&str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}
