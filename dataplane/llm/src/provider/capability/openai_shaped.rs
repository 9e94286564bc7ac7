//! What models accept at providers that speak `OpenAI`'s dialect. Chat clients decide that themselves; this is for clients
//! of other dialects, who ask in words that some models refuse.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::hub::Effort;

/// A row of the table.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Model {
    provider: String,
    /// Names, or their beginnings up to a hyphen; an empty one stands for all that no other row knows.
    models: Vec<String>,
    /// Words of `reasoning_effort`, from the lowest; none: the model does not think, and refuses the field.
    efforts: Vec<String>,
    /// `temperature` and its like.
    sampling: Sampling,
    /// Functions, while it thinks.
    tools_beside_thinking: bool,
    /// Where a reader can check the row.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers; tests demand it"))]
    source: String,
    /// When somebody last did.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers; tests demand it"))]
    date: String,
}

/// When sampling is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Sampling {
    Always,
    /// With the effort `none`, said in so many words: what a model does unasked changes from one to the next.
    WithoutThinking,
    Never,
}

static MODELS: LazyLock<Vec<Model>> =
    LazyLock::new(|| serde_json::from_str(include_str!("openai_shaped.json")).expect("a test reads the same file"));

/// What a model accepts, by the provider's name of it; `None`: nobody knows.
pub(crate) fn of(provider: &str, model: &str) -> Option<&'static Model> {
    let rows = MODELS.iter().filter(|row| row.provider == provider);
    let named = rows.flat_map(|row| row.models.iter().map(move |name| (name, row)));
    named
        .filter(|(name, _)| is_beginning(name, model))
        .max_by_key(|(name, _)| name.len())
        .map(|(_, row)| row)
}

/// `gpt-5` is the beginning of `gpt-5-mini` and not of `gpt-5.1`, which is another model.
fn is_beginning(name: &str, model: &str) -> bool {
    let rest = model.strip_prefix(name);
    rest.is_some_and(|rest| name.is_empty() || rest.is_empty() || rest.starts_with('-'))
}

impl Model {
    pub(crate) fn thinks(&self) -> bool {
        !self.efforts.is_empty()
    }

    /// Whether it can be told not to think.
    pub(crate) fn can_be_silent(&self) -> bool {
        self.efforts.iter().any(|word| word == "none")
    }

    /// Whether functions go only without thinking, which must then be said.
    pub(crate) fn is_silent_with_tools(&self) -> bool {
        !self.tools_beside_thinking
    }

    /// Whether it takes `temperature` and its like beside this word for effort.
    pub(crate) fn samples(&self, effort: Option<&str>) -> bool {
        match self.sampling {
            Sampling::Always => true,
            Sampling::WithoutThinking => effort == Some("none"),
            Sampling::Never => false,
        }
    }

    /// The word for an effort, else the next higher, else the highest that there is. `none` is no effort.
    pub(crate) fn nearest(&self, wanted: Effort) -> Option<&'static str> {
        const ORDER: [Effort; 6] = [
            Effort::Minimal,
            Effort::Low,
            Effort::Medium,
            Effort::High,
            Effort::XHigh,
            Effort::Max,
        ];
        let is_known = |effort: &&Effort| self.efforts.iter().any(|word| word == effort.as_str());
        let place = ORDER.iter().position(|effort| *effort == wanted)?;
        let (lower, higher) = ORDER.split_at(place);
        let found = higher
            .iter()
            .find(is_known)
            .or_else(|| lower.iter().rev().find(is_known));
        found.map(|effort| effort.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(provider: &str, model: &str) -> Option<Vec<&'static str>> {
        Some(of(provider, model)?.efforts.iter().map(String::as_str).collect())
    }

    #[test]
    fn every_row_names_its_source_when_it_was_checked_and_words_that_exist() {
        for row in MODELS.iter() {
            assert!(row.source.starts_with("https://"), "{row:?}");
            assert!(row.date.starts_with("2026-"), "{row:?}");
            let known = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
            assert!(row.efforts.iter().all(|word| known.contains(&word.as_str())), "{row:?}");
            assert!(row.tools_beside_thinking || row.can_be_silent(), "{row:?}");
        }
        let mut names: Vec<_> = MODELS
            .iter()
            .flat_map(|row| row.models.iter().map(|name| (&row.provider, name)))
            .collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "a model stands in two rows");
    }

    #[test]
    fn a_model_is_found_by_the_longest_beginning_up_to_a_hyphen() {
        let old = ["minimal", "low", "medium", "high"];
        assert_eq!(words("OpenAI", "gpt-5-mini-2025-08-07").as_deref(), Some(&old[..]));
        assert_eq!(words("OpenAI", "gpt-5.1").unwrap()[0], "none");
        assert_eq!(words("OpenAI", "gpt-5-pro").as_deref(), Some(&["high"][..]));
        assert_eq!(words("OpenAI", "gpt-4.1-mini").as_deref(), Some(&[][..]));
        assert_eq!(words("OpenAI", "gpt-9"), None);
        assert_eq!(words("", "gpt-5"), None);
        assert_eq!(words("Together", "anything").unwrap().len(), 3);
    }

    #[test]
    fn an_effort_that_a_model_lacks_is_the_next_higher_else_the_highest() {
        let five = of("OpenAI", "gpt-5.1").unwrap();
        assert_eq!(five.nearest(Effort::Minimal), Some("low"));
        assert_eq!(five.nearest(Effort::Medium), Some("medium"));
        assert_eq!(five.nearest(Effort::Max), Some("high"));
        assert_eq!(of("Groq", "qwen/qwen3-32b").unwrap().nearest(Effort::Low), None);
    }

    #[test]
    fn sampling_and_thinking_exclude_each_other_where_the_model_says_so() {
        let five = of("OpenAI", "gpt-5.2").unwrap();
        assert!(five.samples(Some("none")) && !five.samples(None) && !five.samples(Some("low")));
        assert!(!of("OpenAI", "o3-mini").unwrap().samples(None));
        assert!(of("OpenAI", "gpt-4o").unwrap().samples(None));
    }
}
