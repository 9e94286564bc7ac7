//! What the documentation says and a program can verify: that links lead somewhere, and that every word of a status is
//! explained.

use std::path::{Path, PathBuf};

use headgate_e2e::workspace;

use crate::yaml;

#[test]
fn every_link_between_files_leads_somewhere() {
    let mut seen = 0;
    for file in markdown_files() {
        let text = yaml::text(&file);
        for target in links(&text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let folder = file.parent().expect("a file is in a folder");
            let named = if path.is_empty() {
                file.clone()
            } else {
                folder.join(path)
            };
            assert!(named.exists(), "{}: {target} leads nowhere", file.display());
            let is_there = anchor.is_empty() || headings(&yaml::text(&named)).iter().any(|heading| heading == anchor);
            assert!(is_there, "{}: {target} names no heading", file.display());
            seen += 1;
        }
    }
    assert!(seen > 30, "only {seen} links found");
}

#[test]
fn every_condition_and_reason_is_explained() {
    let documentation = yaml::text(&workspace::root().join("docs/conditions.md"));
    let source = yaml::text(&workspace::root().join("crds/src/condition.rs"));
    let words: Vec<_> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub const ")?.split_once(": &str = \""))
        .filter_map(|(_, value)| value.split_once('"'))
        .map(|(word, _)| word)
        .collect();
    assert!(words.len() > 20, "{words:?}");
    for word in words {
        let explained = format!("`{word}`");
        assert!(
            documentation.contains(&explained),
            "docs/conditions.md does not explain {explained}"
        );
    }
}

/// The documents that people read; nothing of others.
fn markdown_files() -> Vec<PathBuf> {
    let root = workspace::root();
    let mut files = Vec::new();
    for folder in [root.to_owned(), root.join("docs"), root.join("docs/gitops")] {
        files.extend(markdown_in(&folder));
    }
    let examples = std::fs::read_dir(root.join("examples")).expect("examples/ can be listed");
    for entry in examples {
        let folder = entry.expect("examples/ can be listed").path();
        if folder.is_dir() {
            files.extend(markdown_in(&folder));
        }
    }
    files
}

fn markdown_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("a folder can be listed").path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect()
}

/// Targets of `[text](target)`; blocks of code have none.
fn links(text: &str) -> Vec<&str> {
    let mut is_code = false;
    let mut links = Vec::new();
    for line in text.lines() {
        is_code ^= line.trim_start().starts_with("```");
        if !is_code {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
            links.extend(targets.map(|(target, _)| target));
        }
    }
    links
}

/// The anchors that a renderer gives to the headings of a document.
fn headings(text: &str) -> Vec<String> {
    let mut is_code = false;
    let mut headings = Vec::new();
    for line in text.lines() {
        is_code ^= line.trim_start().starts_with("```");
        let title = line.trim_start_matches('#');
        if !is_code && title.len() < line.len() {
            let kept = title.trim().to_lowercase();
            let kept = kept
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            headings.push(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
        }
    }
    headings
}
