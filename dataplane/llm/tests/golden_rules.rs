//! What holds in every golden case, whatever it shows: traps that other gateways fell into with one provider and not with
//! another. The cases themselves are run by `golden.rs`; here only what they hold is read.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::{Path, PathBuf};

use serde_json::Value;

const CHAT: &str = "/v1/chat/completions";

/// Servers that speak the chat dialect: what they write passes, so that its form is theirs.
const PASSED: [&str; 9] = [
    "OpenAI",
    "OpenAICompatible",
    "AzureOpenAI",
    "Groq",
    "Mistral",
    "DeepSeek",
    "Together",
    "OllamaOpenAI",
    "Echo",
];

struct Case {
    name: String,
    folder: PathBuf,
    endpoint: String,
    kind: String,
}

impl Case {
    fn all() -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let folders = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
        let cases: Vec<Self> = folders.map(Self::read).collect();
        assert!(cases.len() > 500, "the golden cases are missing");
        cases
    }

    fn read(folder: PathBuf) -> Self {
        let case: Value = serde_json::from_slice(&std::fs::read(folder.join("case.json")).unwrap()).unwrap();
        Self {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            endpoint: case["endpoint"].as_str().unwrap_or(CHAT).to_owned(),
            kind: case["kind"].as_str().unwrap().to_owned(),
            folder,
        }
    }

    fn json(&self, file: &str) -> Option<Value> {
        serde_json::from_slice(&std::fs::read(self.folder.join(file)).ok()?).ok()
    }

    /// The data of the events that the client gets.
    fn events(&self) -> Option<Vec<String>> {
        let text = std::fs::read_to_string(self.folder.join("client.sse")).ok()?;
        let lines = text.split(['\r', '\n']);
        let data = lines.filter_map(|line| line.strip_prefix("data:"));
        Some(data.map(|data| data.trim().to_owned()).collect())
    }

    fn is_of_choices(&self) -> bool {
        self.endpoint == CHAT || self.endpoint == "/v1/completions"
    }

    /// Whether these data are the dialect's last word. `response.failed` is one, too: SDKs know it for a failure.
    fn is_end(&self, data: &str) -> bool {
        let event: Value = serde_json::from_str(data).unwrap_or_default();
        let named = event["type"].as_str().unwrap_or_default();
        match self.endpoint.as_str() {
            "/v1/messages" => named == "message_stop",
            "/v1/responses" => matches!(named, "response.completed" | "response.incomplete" | "response.failed"),
            _ => data == "[DONE]",
        }
    }

    fn asked_for_usage(&self) -> bool {
        let request = self.json("request.json").unwrap_or_default();
        request["stream_options"]["include_usage"] == true
    }
}

/// One that took cached or thought tokens for others than those that are counted already.
#[test]
fn input_and_output_add_up_to_the_total_wherever_a_total_is_told() {
    let (mut seen, mut wrong) = (0, Vec::new());
    for case in Case::all() {
        let events = case.events().unwrap_or_default();
        let told = events.iter().filter_map(|data| serde_json::from_str(data).ok());
        for body in told.chain(case.json("client.json")) {
            for usage in [&body["usage"], &body["response"]["usage"]] {
                let count = |names: [&str; 2]| names.iter().find_map(|name| usage[*name].as_u64());
                let Some(total) = usage["total_tokens"].as_u64() else {
                    continue;
                };
                let input = count(["prompt_tokens", "input_tokens"]).unwrap_or(0);
                let output = count(["completion_tokens", "output_tokens"]).unwrap_or(0);
                seen += 1;
                if input + output != total {
                    wrong.push(format!("{}: {usage}", case.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 100, "only {seen} totals are told");
}

/// SDKs take `[DONE]` and `message_stop` for success, and wait for ever without.
#[test]
fn a_stream_says_its_end_if_it_was_whole_and_only_then() {
    let (mut seen, mut wrong) = (0, Vec::new());
    for case in Case::all() {
        let (Some(events), Some(facts)) = (case.events(), case.json("facts.json")) else {
            continue;
        };
        seen += 1;
        let has_failed = facts["stream"]["failure"].is_object();
        if events.iter().any(|data| case.is_end(data)) == has_failed {
            wrong.push(case.name);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 100, "only {seen} streams");
}

#[test]
fn usage_stands_in_a_stream_where_it_was_asked_for_and_once() {
    let (mut seen, mut wrong) = (0, Vec::new());
    for case in Case::all().into_iter().filter(Case::is_of_choices) {
        let (Some(events), Some(facts)) = (case.events(), case.json("facts.json")) else {
            continue;
        };
        let with_usage = events
            .iter()
            .filter_map(|data| serde_json::from_str::<Value>(data).ok())
            .filter(|event| event["usage"].is_object());
        let (of_its_own, beside): (Vec<Value>, Vec<Value>) =
            with_usage.partition(|event| event["choices"].as_array().is_some_and(Vec::is_empty));
        let is_passed = PASSED.contains(&case.kind.as_str());
        let is_whole = facts["stream"]["isComplete"] == true;
        seen += 1;
        let is_right = match (case.asked_for_usage(), is_passed) {
            // A server's last event may hold it beside its choices, and passes as it is.
            (false, true) => of_its_own.is_empty(),
            (true, true) => of_its_own.len() <= 1,
            (false, false) => of_its_own.is_empty() && beside.is_empty(),
            (true, false) => beside.is_empty() && of_its_own.len() == usize::from(is_whole),
        };
        if !is_right {
            wrong.push(case.name);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 100, "only {seen} streams");
}
