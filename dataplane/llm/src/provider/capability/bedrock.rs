//! What a family of models accepts through Bedrock's Converse, where families differ; of Claude's the rest stands in
//! `claude.json`.

use std::sync::LazyLock;

use serde::Deserialize;

/// A row of the table.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a row of a table of what can be done and what not"
)]
pub(crate) struct Family {
    models: Vec<String>,
    pub(crate) reasoning: Reasoning,
    /// Words for how much the model thinks, from the lowest; `none` where it can be switched off.
    pub(crate) efforts: Vec<String>,
    /// `temperature` and `topP`.
    pub(crate) sampling: bool,
    pub(crate) top_k: TopK,
    /// Other fields of the chat dialect that the model takes by their own names.
    pub(crate) tuning: Vec<String>,
    /// Words of `toolChoice` beside `auto`.
    pub(crate) tool_choices: Vec<ToolChoice>,
    /// `outputConfig.textFormat` and `strict` tools.
    pub(crate) structured_output: bool,
    pub(crate) cache: Cache,
    /// It takes its own thoughts back.
    pub(crate) thoughts: bool,
    /// What a tool returned must be a JSON object; to others it is text.
    pub(crate) json_results: bool,
    /// Ids of tool calls are nine letters and digits.
    pub(crate) short_tool_ids: bool,
    /// Where a reader can check the row.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers; tests demand it"))]
    source: String,
    /// When somebody last did.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers; tests demand it"))]
    date: String,
}

/// Under which of its own fields the model is told how much to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Reasoning {
    /// `thinking` and `output_config.effort`; see `claude.json`.
    Claude,
    /// `reasoningConfig: {type: enabled, maxReasoningEffort}`.
    Nova,
    /// `reasoning_effort`.
    Effort,
    /// `reasoning: {effort}`.
    Nested,
    /// `reasoning_config`, a word.
    Config,
    /// It cannot be told.
    Never,
    /// Nobody knows: Converse's own word for an effort, Claude's for a budget.
    Any,
}

/// Where `top_k` goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum TopK {
    /// `top_k`.
    Flat,
    /// `k`.
    K,
    /// `inferenceConfig: {topK}`.
    Nova,
    /// Nowhere.
    Never,
}

/// How a tool can be demanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum ToolChoice {
    /// Some tool.
    Any,
    /// This tool.
    Tool,
}

/// Where `cachePoint` may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Cache {
    /// Everywhere, with `ttl`.
    Full,
    /// In instructions and messages, without `ttl`.
    Messages,
    /// Nowhere.
    Never,
}

static FAMILIES: LazyLock<Vec<Family>> =
    LazyLock::new(|| serde_json::from_str(include_str!("bedrock.json")).expect("a test reads the same file"));

static UNKNOWN: LazyLock<Family> = LazyLock::new(|| Family {
    models: Vec::new(),
    reasoning: Reasoning::Any,
    efforts: ["low", "medium", "high", "xhigh", "max"].map(str::to_owned).to_vec(),
    sampling: true,
    top_k: TopK::Flat,
    tuning: Vec::new(),
    tool_choices: vec![ToolChoice::Any, ToolChoice::Tool],
    structured_output: true,
    cache: Cache::Full,
    thoughts: true,
    json_results: false,
    short_tool_ids: false,
    source: String::new(),
    date: String::new(),
});

/// What a model accepts, by its id: with or without the prefix of a region (`us.`, `global.`, …), bare or in an ARN. The
/// ARN of an application's inference profile does not say which model it stands for, and nobody knows that one.
pub(crate) fn family(model: &str) -> &'static Family {
    let segments = model.split('/');
    let names = segments.flat_map(|segment| [Some(segment), segment.split_once('.').map(|(_, rest)| rest)]);
    let rows = || {
        FAMILIES
            .iter()
            .flat_map(|row| row.models.iter().map(move |prefix| (prefix, row)))
    };
    let mut found = names.flatten().filter_map(|name| {
        rows()
            .filter(|(prefix, _)| name.starts_with(prefix.as_str()))
            .max_by_key(|(prefix, _)| prefix.len())
    });
    found.next().map_or(&UNKNOWN, |(_, row)| row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_names_its_source_and_when_it_was_checked() {
        for row in FAMILIES.iter() {
            assert!(row.source.starts_with("https://"), "{row:?}");
            let parts: Vec<_> = row.date.split('-').map(|part| part.parse::<u32>().unwrap()).collect();
            assert!(matches!(parts[..], [2026..=2099, 1..=12, 1..=31]), "{row:?}");
        }
    }

    #[test]
    fn what_a_row_says_of_thinking_can_be_written() {
        let known = ["none", "low", "medium", "high", "xhigh", "max"];
        for row in FAMILIES.iter() {
            let places: Vec<_> = row
                .efforts
                .iter()
                .map(|word| known.iter().position(|known| known == word))
                .collect();
            assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{row:?}");
            let has_no_words = matches!(row.reasoning, Reasoning::Claude | Reasoning::Never);
            assert_eq!(row.efforts.is_empty(), has_no_words, "{row:?}");
            assert_ne!(
                row.reasoning,
                Reasoning::Any,
                "only for models that nobody knows: {row:?}"
            );
        }
    }

    #[test]
    fn no_prefix_stands_in_two_rows() {
        let mut prefixes: Vec<_> = FAMILIES.iter().flat_map(|row| &row.models).collect();
        let count = prefixes.len();
        prefixes.sort();
        prefixes.dedup();
        assert_eq!(prefixes.len(), count);
    }

    #[test]
    fn a_family_is_known_in_every_region_and_in_arns_that_name_it() {
        for model in [
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "global.anthropic.claude-opus-5",
            "region-of-tomorrow.anthropic.claude-opus-5",
            "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-opus-5",
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.anthropic.claude-opus-5",
        ] {
            assert_eq!(family(model).reasoning, Reasoning::Claude, "{model}");
        }
        assert_eq!(family("us.amazon.nova-2-lite-v1:0").reasoning, Reasoning::Nova);
        assert_eq!(family("amazon.nova-lite-v1:0").reasoning, Reasoning::Never);
        assert_eq!(family("openai.gpt-oss-120b-1:0").reasoning, Reasoning::Effort);
        assert!(!family("anthropic.claude-fable-5").structured_output);
        assert!(family("anthropic.claude-fable-5-1").structured_output);
    }

    #[test]
    fn a_model_that_nobody_knows_may_do_everything() {
        for model in [
            "tomorrow.model-v1:0",
            "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdef123456",
            "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abcdef123456",
            "",
        ] {
            let unknown = family(model);
            assert_eq!(
                (unknown.reasoning, unknown.top_k),
                (Reasoning::Any, TopK::Flat),
                "{model}"
            );
            assert!(unknown.sampling && unknown.structured_output && unknown.cache == Cache::Full);
        }
    }
}
