//! What one of Gemini's models accepts.

use std::sync::LazyLock;

use serde::Deserialize;

/// A row of the table.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a row of a table of what can be done and what not"
)]
pub(crate) struct Gemini {
    models: Vec<String>,
    pub(crate) thinking: Thinking,
    /// `temperature`, `topP` and `topK`, and the penalties; where not, the former are ignored and the latter refused.
    pub(crate) sampling: bool,
    /// A conversation may end with the model's own turn, which it continues.
    pub(crate) prefill: bool,
    /// Calls of functions carry signatures, and are refused without them.
    pub(crate) signs_calls: bool,
    /// What a tool returned may hold pictures; else they stand beside it.
    pub(crate) media_in_results: bool,
    /// Where a reader can check the row.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers; tests demand it"))]
    source: String,
    /// When somebody last did.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers; tests demand it"))]
    date: String,
}

/// How the model is told to think.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Thinking {
    /// `thinkingLevel`: its values, from the lowest.
    Level {
        /// Upper case.
        levels: Vec<String>,
    },
    /// `thinkingBudget`, in tokens.
    Budget {
        /// The least that is accepted, beside 0.
        min: u64,
        /// The most.
        max: u64,
        /// Whether 0 turns it off.
        off: bool,
    },
    /// Not at all; `thinkingConfig` is an error.
    Never,
    /// Nobody knows: as it is asked.
    Any,
}

static GEMINI: LazyLock<Vec<Gemini>> =
    LazyLock::new(|| serde_json::from_str(include_str!("gemini.json")).expect("a test reads the same file"));

static UNKNOWN: Gemini = Gemini {
    models: Vec::new(),
    thinking: Thinking::Any,
    sampling: true,
    prefill: true,
    signs_calls: true,
    media_in_results: true,
    source: String::new(),
    date: String::new(),
};

/// What a model of Gemini's accepts, by the provider's name of it, with or without its collection.
pub(crate) fn gemini(model: &str) -> &'static Gemini {
    let name = model.rsplit('/').next().unwrap_or(model);
    let rows = GEMINI
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
        for row in GEMINI.iter() {
            assert!(row.source.starts_with("https://"), "{row:?}");
            let parts: Vec<_> = row.date.split('-').map(|part| part.parse::<u32>().unwrap()).collect();
            assert!(matches!(parts[..], [2026..=2099, 1..=12, 1..=31]), "{row:?}");
        }
    }

    #[test]
    fn what_a_row_says_of_thinking_can_be_written() {
        let known = ["MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"];
        for row in GEMINI.iter() {
            match &row.thinking {
                Thinking::Level { levels } => {
                    let places: Vec<_> = levels
                        .iter()
                        .map(|level| known.iter().position(|known| known == level).expect("a level"))
                        .collect();
                    assert!(!places.is_empty() && places.is_sorted(), "{row:?}");
                }
                Thinking::Budget { min, max, .. } => assert!(min < max, "{row:?}"),
                Thinking::Never => {}
                Thinking::Any => panic!("only for models that nobody knows: {row:?}"),
            }
        }
    }

    #[test]
    fn no_prefix_stands_in_two_rows() {
        let mut prefixes: Vec<_> = GEMINI.iter().flat_map(|row| &row.models).collect();
        let count = prefixes.len();
        prefixes.sort();
        prefixes.dedup();
        assert_eq!(prefixes.len(), count);
    }

    #[test]
    fn the_longest_prefix_tells_whatever_collection_the_name_stands_in() {
        let budget = |min, max, off| Thinking::Budget { min, max, off };
        assert_eq!(gemini("gemini-2.5-flash").thinking, budget(1, 24_576, true));
        assert_eq!(
            gemini("models/gemini-2.5-flash-lite-preview-09-2025").thinking,
            budget(512, 24_576, true)
        );
        assert_eq!(gemini("gemini-2.5-flash-image").thinking, Thinking::Never);
        assert!(!gemini("gemini-3.8-flash").sampling && gemini("gemini-3-flash-preview").sampling);
    }

    #[test]
    fn a_model_that_nobody_knows_may_do_everything() {
        let unknown = gemini("gemini-tomorrow");
        assert_eq!(unknown.thinking, Thinking::Any);
        assert!(unknown.sampling && unknown.prefill && unknown.signs_calls);
    }
}
