//! What models of one provider can do where they differ from each other: data with sources and dates, in
//! `capability/*.json`.
//!
//! A row holds for the models whose names begin with one of its prefixes; the longest prefix wins. A name that no row
//! knows is a model of tomorrow: everything passes to it as it was asked, and the provider decides.

use std::sync::LazyLock;

use serde::Deserialize;

pub(crate) mod bedrock;
pub(crate) mod gemini;
pub(crate) mod openai;
pub(crate) mod openai_shaped;

/// What one of Claude's models accepts.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Claude {
    models: Vec<String>,
    pub(crate) sampling: Sampling,
    pub(crate) thinking: Thinking,
    pub(crate) off: Off,
    /// Values of `output_config.effort`, from the lowest.
    pub(crate) efforts: Vec<String>,
    /// `tool_choice` of `any` and `tool`.
    pub(crate) forced_tools: bool,
    /// A conversation may end with the model's own turn, which it continues.
    pub(crate) prefill: bool,
    /// `output_config.format` and `strict` tools.
    pub(crate) structured_output: bool,
    /// Where a reader can check the row.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers; tests demand it"))]
    source: String,
    /// When somebody last did.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers; tests demand it"))]
    date: String,
}

/// `temperature`, `top_p` and `top_k`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Sampling {
    /// All of them.
    Any,
    /// `temperature` or `top_p`, not both.
    One,
    /// None of them.
    None,
}

/// How the model is told to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Thinking {
    /// `{type: adaptive}`, and effort.
    Adaptive,
    /// Both forms.
    AdaptiveOrBudget,
    /// `{type: enabled, budget_tokens}`.
    Budget,
    /// Not at all.
    Never,
}

/// How the model is told not to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Off {
    /// `{type: disabled}`.
    Disabled,
    /// `{type: between_tools}`: not before its answer.
    BetweenTools,
    /// It always thinks.
    Never,
}

static CLAUDE: LazyLock<Vec<Claude>> =
    LazyLock::new(|| serde_json::from_str(include_str!("capability/claude.json")).expect("a test reads the same file"));

static UNKNOWN: LazyLock<Claude> = LazyLock::new(|| Claude {
    models: Vec::new(),
    sampling: Sampling::Any,
    thinking: Thinking::AdaptiveOrBudget,
    off: Off::Disabled,
    efforts: ["low", "medium", "high", "xhigh", "max"].map(str::to_owned).to_vec(),
    forced_tools: true,
    prefill: true,
    structured_output: true,
    source: String::new(),
    date: String::new(),
});

/// What a model of Claude's accepts, by the provider's name of it; other clouds write something before `claude-`.
pub(crate) fn claude(model: &str) -> &'static Claude {
    let name = model.find("claude-").map_or(model, |at| &model[at..]);
    let rows = CLAUDE
        .iter()
        .flat_map(|row| row.models.iter().map(move |prefix| (prefix, row)));
    rows.filter(|(prefix, _)| name.starts_with(prefix.as_str()))
        .max_by_key(|(prefix, _)| prefix.len())
        .map_or(&UNKNOWN, |(_, row)| row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_names_its_source_and_when_it_was_checked() {
        for row in CLAUDE.iter() {
            assert!(row.source.starts_with("https://"), "{row:?}");
            let parts: Vec<_> = row.date.split('-').map(|part| part.parse::<u32>().unwrap()).collect();
            assert!(matches!(parts[..], [2026..=2099, 1..=12, 1..=31]), "{row:?}");
            let known = ["low", "medium", "high", "xhigh", "max"];
            assert!(
                row.efforts.iter().all(|effort| known.contains(&effort.as_str())),
                "{row:?}"
            );
        }
    }

    #[test]
    fn no_prefix_stands_in_two_rows() {
        let mut prefixes: Vec<_> = CLAUDE.iter().flat_map(|row| &row.models).collect();
        let count = prefixes.len();
        prefixes.sort();
        prefixes.dedup();
        assert_eq!(prefixes.len(), count);
    }

    #[test]
    fn the_longest_prefix_tells_wherever_the_model_is_hosted() {
        assert_eq!(claude("claude-opus-5-5").off, Off::Never);
        assert_eq!(claude("claude-opus-5").off, Off::Disabled);
        assert_eq!(
            claude("us.anthropic.claude-sonnet-4-5-20250929-v1:0").sampling,
            Sampling::One
        );
        assert_eq!(claude("claude-sonnet-4@20250514").thinking, Thinking::Budget);
        assert_eq!(claude("claude-sonnet-4-20250514").thinking, Thinking::Budget);
        assert_eq!(claude("claude-opus-4-20250514").sampling, Sampling::Any);
    }

    #[test]
    fn a_model_that_nobody_knows_may_do_everything() {
        let unknown = claude("claude-tomorrow");
        assert_eq!(
            (unknown.sampling, unknown.thinking),
            (Sampling::Any, Thinking::AdaptiveOrBudget)
        );
        assert!(unknown.forced_tools && unknown.prefill && unknown.structured_output);
    }
}
