//! `headgate check`: every example is clean, every wrong example says what it promises, and what is drawn points at the
//! words that are wrong.

#![allow(clippy::unwrap_used)] // a helper of a test may fail as the test itself does

use std::fs;
use std::path::{Path, PathBuf};

use headgate::args::{CheckArgs, Output};
use headgate::check::{Verdict, verdict};
use headgate::diagnostic::Style;
use serde_json::Value;

const PROMISE: &str = "# must say: ";

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

fn check(dir: &Path, output: Output, deny_warnings: bool) -> Verdict {
    verdict(
        &CheckArgs {
            dir: dir.to_owned(),
            output,
            deny_warnings,
        },
        Style::Plain,
    )
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn check_text(files: &[(&str, &str)]) -> Verdict {
    check(folder(files).path(), Output::Text, false)
}

fn check_json(files: &[(&str, &str)]) -> (Value, u8) {
    let verdict = check(folder(files).path(), Output::Json, false);
    (serde_json::from_str(&verdict.output).unwrap(), verdict.exit_code)
}

#[test]
fn every_example_is_clean_without_a_warning() {
    let mut seen = 0;
    for entry in fs::read_dir(examples()).unwrap() {
        let dir = entry.unwrap().path();
        if dir.ends_with("wrong") || !dir.is_dir() {
            continue;
        }
        let verdict = check(&dir, Output::Text, true);
        assert_eq!(
            verdict.exit_code,
            0,
            "{}\n{}{}",
            dir.display(),
            verdict.output,
            verdict.error
        );
        assert!(verdict.output.ends_with(": nothing wrong\n"), "{}", verdict.output);
        assert!(dir.join("README.md").is_file(), "{} has no README.md", dir.display());
        seen += 1;
    }
    assert!(seen >= 3, "only {seen} examples found");
}

#[test]
fn every_wrong_example_says_what_its_first_line_promises() {
    let (mut seen, mut broken) = (0, Vec::new());
    for entry in fs::read_dir(examples().join("wrong")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        let promised = text.lines().next().and_then(|line| line.strip_prefix(PROMISE));
        let promised = promised.unwrap_or_else(|| panic!("{name}: the first line must be `{PROMISE}…`"));
        let (json, exit_code) = check_json(&[(&name, &text)]);
        assert_eq!(exit_code, 1, "{name}: {json:#}");
        let findings = json["findings"].as_array().unwrap();
        let says = |finding: &Value| {
            let (field, message) = (finding["field"].as_str(), finding["message"].as_str().unwrap());
            let line = field.map_or(message.to_owned(), |field| format!("{field}: {message}"));
            line.contains(promised) && finding["severity"] == "error"
        };
        let is_placed = |finding: &Value| finding["line"].as_u64() > Some(1);
        if !findings.iter().any(says) || !findings.iter().all(is_placed) || json["errors"] != 1 {
            broken.push(format!(
                "{name} must say `{promised}`, that alone and with its place: {json:#}"
            ));
        }
        seen += 1;
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(seen >= 60, "only {seen} wrong examples found");
}

#[test]
fn a_finding_shows_file_line_and_column_with_carets_below_the_words() {
    let text = "apiVersion: headgate.dev/v1alpha1\nkind: RoutePolicy\nmetadata: {name: chat}\nspec:\n  models: [chat]\n  targets:\n  - name: first\n    provider:\n      name: nobody\n";
    let dir = folder(&[("gateway.yaml", text)]);
    let verdict = check(dir.path(), Output::Text, false);
    assert_eq!(verdict.exit_code, 1);
    let file = dir.path().join("gateway.yaml");
    assert!(
        verdict.output.contains(&format!("[{}:8:5]", file.display())),
        "{}",
        verdict.output
    );
    assert!(
        verdict
            .output
            .contains("RoutePolicy default/chat: spec.targets[0].provider: LLMProvider `nobody` was not found"),
        "{}",
        verdict.output
    );
    assert!(
        verdict.output.ends_with("1 file, 1 object: 1 error\n"),
        "{}",
        verdict.output
    );
    let lines: Vec<_> = verdict.output.lines().collect();
    let source = lines
        .iter()
        .position(|line| line.contains("    provider:"))
        .expect("the line is shown");
    assert!(
        lines[source].find("provider") == lines[source + 1].find("^^^^^^^^")
            && lines[source + 1].ends_with(" ^^^^^^^^"),
        "{}",
        verdict.output
    );
}

#[test]
fn an_unknown_field_is_pointed_at_by_its_name() {
    let text = "apiVersion: headgate.dev/v1alpha1\nkind: LLMProvider\nmetadata: {name: echo}\nspec:\n  type: Echo\n  modles: [{name: echo}]\n  discover: Any\n";
    let (json, exit_code) = check_json(&[("a.yaml", text)]);
    assert_eq!(exit_code, 1);
    let finding = &json["findings"][0];
    assert_eq!(
        (&finding["line"], &finding["column"], &finding["length"]),
        (&6.into(), &3.into(), &6.into()),
        "{json:#}"
    );
    assert_eq!(finding["field"], "spec.modles");
}

#[test]
fn an_error_in_a_later_document_names_its_own_line() {
    let good = "apiVersion: headgate.dev/v1alpha1\nkind: LLMProvider\nmetadata: {name: NAME}\nspec:\n  type: Echo\n  models: [{name: m}]\n";
    let text = format!(
        "{}---\n{}---\nkind: [\n",
        good.replace("NAME", "a"),
        good.replace("NAME", "b")
    );
    let (json, _) = check_json(&[("a.yaml", &text)]);
    assert_eq!(json["findings"][0]["reason"], "Unreadable");
    assert!(json["findings"][0]["line"].as_u64() >= Some(15), "{json:#}");
}

#[test]
fn two_objects_of_one_name_are_named_with_both_places() {
    let text = "apiVersion: headgate.dev/v1alpha1\nkind: LLMProvider\nmetadata: {name: echo}\nspec: {type: Echo, discover: Any}\n";
    let (json, exit_code) = check_json(&[("a.yaml", text), ("b.yaml", text)]);
    let finding = &json["findings"][0];
    assert_eq!(exit_code, 1);
    assert!(finding["file"].as_str().unwrap().ends_with("b.yaml"), "{json:#}");
    assert!(finding["message"].as_str().unwrap().contains("a.yaml:3:18"), "{json:#}");
}

#[test]
fn other_peoples_kinds_are_left_out_and_lists_are_opened() {
    let provider = "apiVersion: headgate.dev/v1alpha1\n  kind: LLMProvider\n  metadata: {name: echo}\n  spec: {type: Echo, discover: Any}\n";
    let files = [
        (
            "kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]\n".to_owned(),
        ),
        (
            "deploy.yaml",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n".to_owned(),
        ),
        ("list.yaml", format!("apiVersion: v1\nkind: List\nitems:\n- {provider}")),
    ];
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let (json, exit_code) = check_json(&files);
    assert_eq!(
        (exit_code, &json["objects"], &json["clean"]),
        (0, &1.into(), &true.into()),
        "{json:#}"
    );
    assert_eq!(json["findings"][0]["severity"], "note");
    assert!(
        json["findings"][0]["message"]
            .as_str()
            .unwrap()
            .contains("1 Deployment"),
        "{json:#}"
    );
}

#[test]
fn warnings_fail_only_where_they_are_denied() {
    let provider = |name: &str| {
        format!(
            "apiVersion: headgate.dev/v1alpha1\nkind: LLMProvider\nmetadata: {{name: {name}}}\nspec: {{type: Echo, models: [{{name: m}}]}}\n"
        )
    };
    // A key makes its namespace one in which names are resolved.
    let key =
        "apiVersion: headgate.dev/v1alpha1\nkind: VirtualKey\nmetadata: {name: k}\nspec: {generate: {secretName: k}}\n";
    let dir = folder(&[("a.yaml", &provider("a")), ("b.yaml", &provider("b")), ("k.yaml", key)]);
    let allowed = check(dir.path(), Output::Text, false);
    assert!(allowed.output.contains("1 warning"), "{}", allowed.output);
    assert_eq!(allowed.exit_code, 0);
    assert_eq!(check(dir.path(), Output::Text, true).exit_code, 1);
}

#[test]
fn a_folder_that_cannot_be_read_is_exit_code_2() {
    let verdict = check(Path::new("/nowhere/at/all"), Output::Text, false);
    assert_eq!((verdict.exit_code, verdict.output.as_str()), (2, ""));
    assert!(
        verdict.error.contains("cannot read `/nowhere/at/all`"),
        "{}",
        verdict.error
    );
}

#[test]
fn no_value_of_a_secret_is_ever_shown() {
    let canary = "canary-0123456789";
    let secret = |body: &str| format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\n{body}");
    let wrong = [
        secret(&format!("data: {{key: {canary}!}}\n")),
        secret(&format!("stringData: {{key: 12, other: {canary}}}\n")),
        secret(&format!("stringdata: {{key: {canary}}}\n")),
        secret(&format!("stringData:\n  key: {canary}\n  key: {canary}\n")),
        secret(&format!("stringData:\n  key: !{canary} {canary}\n")),
        secret(&format!("stringData:\n  key: \"{canary}\n")),
        secret(&format!("stringData: {{key: {canary}\n")),
        secret(&format!("stringData:\n  key: a: {canary}\n")),
        secret(&format!("stringData:\n  key: &{canary} x\n  b: *{canary}x\n")),
        secret(&format!("stringData:\n  key: {canary}\n")).replace("kind: Secret", "kind: Sceret"),
        secret(&format!("stringData:\n  key: {canary}\n")).replace("v1", "v2"),
        format!(
            "{{\"apiVersion\": \"v1\", \"kind\": \"Secret\", \"metadata\": {{}}, \"stringData\": {{\"a\": \"{canary}\"}}}}\n"
        ),
        format!(
            "{{apiVersion: v1, kind: List, items: [{{apiVersion: v1, kind: Secret, metadata: {{name: s}}, stringData: {{key: [{canary}]}}}}]}}\n"
        ),
        format!(
            "{{apiVersion: v1, kinds: List, items: [{{apiVersion: v1, kind: Secret, metadata: {{name: s}}, stringData: {{key: {canary}}}}}]}}\n"
        ),
        format!(
            "apiVersion: headgate.dev/v1alpha1\nkind: LLMProvider\nmetadata: {{name: x}}\nspec:\n  type: Echo\n  discover: Any\n  headers: [{{name: authorization, value: \"Bearer {canary}\"}}]\n"
        ),
        format!(
            "apiVersion: headgate.dev/v1alpha1\nkind: LLMProvider\nmetadata: {{name: x}}\nspec:\n  type: OpenAICompatible\n  discover: Any\n  baseURL: https://me:{canary}@host/v1\n"
        ),
    ];
    for text in wrong {
        for output in [Output::Text, Output::Json] {
            let verdict = check(folder(&[("a.yaml", &text)]).path(), output, false);
            let said = format!("{}{}", verdict.output, verdict.error);
            assert!(!said.contains("canary"), "{text}\n{said}");
        }
    }
}

#[test]
fn a_credential_in_a_wrong_field_is_masked_and_the_field_is_named() {
    let manifest = |kind: &str, spec: &str| {
        format!("apiVersion: headgate.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: x}}\nspec: {spec}\n")
    };
    let wrong = [
        (
            "LLMProvider",
            "{type: OpenAI, credential: sk-live-canary1}",
            "credential: *",
        ),
        (
            "LLMProvider",
            "{type: OpenAI, discover: sk-live-canary1}",
            "discover: *",
        ),
        (
            "LLMProvider",
            "{type: OpenAI, discover: Any, apiKey: sk-canary1}",
            "apiKey: *",
        ),
        (
            "LLMProvider",
            "{type: OpenAI, discover: Any, apiKey: canary}",
            "apiKey: *",
        ),
        (
            "LLMProvider",
            "{type: OpenAI, discover: Any, headers: {Authorization: Bearer canary}}",
            "headers: {Authorization: *",
        ),
        ("VirtualKey", "{secretRef: {name: k, key: a canary}}", "key: * *"),
        (
            "VirtualKey",
            "{secretRef: {name: k, key: \"a \\\"canary\"}}",
            "key: \"* *",
        ),
    ];
    for (kind, spec, shown) in wrong {
        let text = manifest(kind, spec);
        let verdict = check_text(&[("a.yaml", &text)]);
        assert!(!verdict.output.contains("canary"), "{}", verdict.output);
        assert!(verdict.output.contains(shown), "{}", verdict.output);
        let (json, exit_code) = check_json(&[("a.yaml", &text)]);
        assert!(exit_code == 1 && !json.to_string().contains("canary"), "{json:#}");
    }
}

#[test]
fn a_file_name_commands_no_terminal() {
    let echo = "apiVersion: headgate.dev/v1alpha1\nkind: LLMProvider\nmetadata: {name: echo}\nspec: {type: Echo, discover: Any, x: 1}\n";
    let unreadable: &[u8] = b"\xff";
    for texts in [
        [echo.as_bytes(), echo.as_bytes()],
        [echo.as_bytes(), b"a: ["],
        [b"a: \x01\n", unreadable],
    ] {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in ["a\u{1b}[31m.yaml", "b\u{1b}]0;x\u{7}.yaml"].into_iter().zip(texts) {
            fs::write(dir.path().join(name), text).unwrap();
        }
        for output in [Output::Text, Output::Json] {
            let verdict = check(dir.path(), output, false);
            let said = verdict.output + &verdict.error;
            assert!(said.contains("u{1b}") || said.contains("u001b"), "{said}");
            assert!(!said.contains(['\u{1b}', '\u{7}']), "{said:?}");
        }
    }
}

#[test]
fn json_is_a_document_even_where_a_file_cannot_be_read() {
    let make: [fn(&Path); 3] = [
        |path| fs::write(path, b"\xff\xfe").unwrap(),
        |path| std::os::unix::fs::symlink("nowhere", path).unwrap(),
        |path| std::os::unix::fs::symlink("a.yaml", path).unwrap(),
    ];
    for make in make {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yaml");
        make(&path);
        let verdict = check(dir.path(), Output::Json, false);
        let json: Value = serde_json::from_str(&verdict.output).unwrap();
        let finding = &json["findings"][0];
        assert_eq!(
            (verdict.exit_code, &json["clean"], &json["errors"]),
            (2, &false.into(), &1.into())
        );
        assert_eq!(
            (&finding["reason"], finding["file"].as_str()),
            (&"Unreadable".into(), path.to_str())
        );
        assert!(finding["message"].as_str().unwrap().contains("a.yaml"), "{json:#}");
    }
}

#[test]
fn checking_takes_nothing_from_the_environment() {
    // PATH is set wherever tests run; its value must have no way into a finding, a snapshot or a conflict.
    let key = "apiVersion: headgate.dev/v1alpha1\nkind: VirtualKey\nmetadata: {name: k}\nspec: {secretRef: {name: k}}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: k}\nstringData: {key: \"${HEADGATE_TEST_NEVER_SET}\"}\n";
    let verdict = check_text(&[("a.yaml", key)]);
    assert_eq!(verdict.exit_code, 0, "{}", verdict.output);
}
