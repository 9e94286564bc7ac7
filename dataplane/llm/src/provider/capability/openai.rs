//! By which of `OpenAI`'s dialects its models are asked, at `OpenAI` and at Azure, which has fewer of them in chat.

use std::sync::LazyLock;

use serde::Deserialize;

use super::super::ModelApi;

/// A row of the table.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct OpenAI {
    models: Vec<String>,
    /// By which dialect it is asked where nobody says; by Responses where chat lacks it, or refuses it function tools.
    api: Api,
    /// Where a reader can check the row.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers; tests demand it"))]
    source: String,
    /// When somebody last did.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers; tests demand it"))]
    date: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Api {
    Chat,
    Responses,
}

static OPENAI: LazyLock<Vec<OpenAI>> =
    LazyLock::new(|| serde_json::from_str(include_str!("openai.json")).expect("a test reads the same file"));

static AZURE: LazyLock<Vec<OpenAI>> =
    LazyLock::new(|| serde_json::from_str(include_str!("azure.json")).expect("a test reads the same file"));

static UNKNOWN: OpenAI = OpenAI {
    models: Vec::new(),
    api: Api::Chat,
    source: String::new(),
    date: String::new(),
};

impl OpenAI {
    pub(crate) fn api(&self) -> ModelApi {
        match self.api {
            Api::Chat => ModelApi::Chat,
            Api::Responses => ModelApi::Responses,
        }
    }
}

/// What a model of `OpenAI`'s needs, by its name; others who serve it write something and a slash before it.
pub(crate) fn openai(model: &str) -> &'static OpenAI {
    row(&OPENAI, model.rsplit('/').next().unwrap_or(model))
}

/// What a model of `OpenAI`'s needs at Azure, by its name.
pub(crate) fn azure(model: &str) -> &'static OpenAI {
    row(&AZURE, model)
}

fn row(table: &'static [OpenAI], name: &str) -> &'static OpenAI {
    let rows = table
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
        every_row_is_sound(&OPENAI);
        every_row_is_sound(&AZURE);
    }

    fn every_row_is_sound(table: &[OpenAI]) {
        for row in table {
            assert!(row.source.starts_with("https://"), "{row:?}");
            let parts: Vec<_> = row.date.split('-').map(|part| part.parse::<u32>().unwrap()).collect();
            assert!(matches!(parts[..], [2026..=2099, 1..=12, 1..=31]), "{row:?}");
        }
        let mut prefixes: Vec<_> = table.iter().flat_map(|row| &row.models).collect();
        let count = prefixes.len();
        prefixes.sort();
        prefixes.dedup();
        assert_eq!(prefixes.len(), count, "a prefix stands in two rows");
    }

    #[test]
    fn the_longest_prefix_tells() {
        let api = |model| openai(model).api();
        for model in [
            "gpt-5-pro",
            "gpt-5-pro-2025-10-06",
            "gpt-5.6-sol",
            "gpt-6.1-terra",
            "o3-pro",
            "gpt-5.3-codex",
        ] {
            assert_eq!(api(model), ModelApi::Responses, "{model}");
        }
        for model in [
            "gpt-5",
            "gpt-5-mini",
            "gpt-4o",
            "o3",
            "o3-mini",
            "gpt-5.4",
            "gpt-tomorrow",
            "llama",
        ] {
            assert_eq!(api(model), ModelApi::Chat, "{model}");
        }
        assert_eq!(api("openai/gpt-6.1-sol"), ModelApi::Responses);
    }

    #[test]
    fn azure_has_no_codex_in_chat() {
        for model in [
            "gpt-5-codex",
            "gpt-5.1-codex",
            "gpt-5.1-codex-max",
            "codex-mini",
            "gpt-5-pro",
        ] {
            assert_eq!(azure(model).api(), ModelApi::Responses, "{model}");
        }
        for model in ["gpt-5", "gpt-5.2", "gpt-4o", "our-deployment"] {
            assert_eq!(azure(model).api(), ModelApi::Chat, "{model}");
        }
    }
}
