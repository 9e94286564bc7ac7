//! One folder a case under `tests/cases`: `input.yaml` is a world, `snapshot.yaml` and `findings.yaml` what it comes to.
//!
//! `UPDATE_GOLDEN=1 cargo test -p headgate-compile --test golden` writes the latter two anew; read the difference before
//! committing it. The name of a case is the sentence it proves.

mod world;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use headgate_compile::{Resources, SecretValue, compile};
use serde::Serialize;

#[test]
fn every_case_comes_to_what_its_files_say() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut folders: Vec<PathBuf> = fs::read_dir(cases)
        .expect("the cases are there")
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    folders.sort();
    assert!(folders.len() >= 25, "cases are missing: found {}", folders.len());
    let differences: String = folders.iter().map(|folder| check(folder, update)).collect();
    assert!(
        differences.is_empty(),
        "{differences}\nUPDATE_GOLDEN=1 takes these over"
    );
}

/// The differences of one case, as text.
fn check(folder: &Path, update: bool) -> String {
    let input = fs::read_to_string(folder.join("input.yaml")).expect("a case has an input.yaml");
    let (resources, options) = world::read(&input);
    let compiled = compile(&resources, &options, &world::sealing_key());
    let mut differences = String::new();
    for (name, text) in [
        ("snapshot.yaml", yaml(&compiled.snapshot)),
        ("findings.yaml", yaml(&compiled.findings)),
    ] {
        assert_no_secret_in(&resources, &text);
        let path = folder.join(name);
        if update {
            fs::write(&path, &text).expect("the case can be written");
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if expected != text {
            let _ = write!(differences, "\n{}\n{}", path.display(), difference(&expected, &text));
        }
    }
    assert_no_secret_in(&resources, &format!("{compiled:?} {resources:?}"));
    assert_no_secret_in(&resources, &yaml(&compiled.lookups));
    differences
}

fn yaml(value: &impl Serialize) -> String {
    serde_yaml::to_string(value).expect("plain data is YAML")
}

/// Every case is a canary: what is long enough to be a secret must not come out as it went in.
fn assert_no_secret_in(resources: &Resources, text: &str) {
    for value in resources.secrets.values().flat_map(|secret| secret.entries.values()) {
        let SecretValue::Known(bytes) = value else { continue };
        let value = String::from_utf8_lossy(bytes);
        let value = value.trim();
        let is_public = value.starts_with("-----BEGIN CERTIFICATE") || value.starts_with("${") || value.len() < 6;
        assert!(is_public || !text.contains(value), "a secret value came out");
    }
}

/// Lines that are gone (`-`) and new (`+`), by the longest common subsequence, with two lines around.
fn difference(expected: &str, actual: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (expected.lines().collect(), actual.lines().collect());
    let mut common = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push((' ', old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            lines.push(('-', old[i]));
            i += 1;
        } else {
            lines.push(('+', new[j]));
            j += 1;
        }
    }
    let is_near = |index: usize| {
        let around = index.saturating_sub(2)..lines.len().min(index + 3);
        lines[around].iter().any(|(sign, _)| *sign != ' ')
    };
    let near = lines.iter().enumerate().filter(|(index, _)| is_near(*index));
    near.map(|(_, (sign, line))| format!("  {sign} {line}\n"))
        .collect::<Vec<_>>()
        .concat()
}
