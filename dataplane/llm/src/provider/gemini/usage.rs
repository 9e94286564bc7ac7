//! Token counts.

use serde::Deserialize;

use crate::usage::Usage;

/// `usageMetadata`: the prompt includes the cache; the candidates exclude thoughts; results of the provider's own tools are
/// counted beside the prompt. Cumulative in a stream, where the later report may leave some out.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireUsage {
    prompt_token_count: Option<u64>,
    cached_content_token_count: Option<u64>,
    tool_use_prompt_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
    total_token_count: Option<u64>,
    prompt_tokens_details: Option<Audio>,
    cache_tokens_details: Option<Audio>,
    tool_use_prompt_tokens_details: Option<Audio>,
    candidates_tokens_details: Option<Audio>,
}

/// The tokens of sound in a list of counts by modality.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(from = "Vec<ByModality>")]
struct Audio(u64);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ByModality {
    #[serde(default)]
    modality: String,
    #[serde(default)]
    token_count: u64,
}

/// More than any answer has; above it a count is a mistake, and sums of such counts could overflow.
const COUNT_MAX: u64 = 1 << 40;

impl From<Vec<ByModality>> for Audio {
    fn from(list: Vec<ByModality>) -> Self {
        let audio = list.iter().filter(|count| count.modality == "AUDIO");
        Self(
            audio
                .fold(0, |sum: u64, count| sum.saturating_add(count.token_count))
                .min(COUNT_MAX),
        )
    }
}

impl WireUsage {
    /// Takes what a later report says, where it says anything.
    pub(super) fn overwrite(&mut self, later: Self) {
        *self = Self {
            prompt_token_count: later.prompt_token_count.or(self.prompt_token_count),
            cached_content_token_count: later.cached_content_token_count.or(self.cached_content_token_count),
            tool_use_prompt_token_count: later.tool_use_prompt_token_count.or(self.tool_use_prompt_token_count),
            candidates_token_count: later.candidates_token_count.or(self.candidates_token_count),
            thoughts_token_count: later.thoughts_token_count.or(self.thoughts_token_count),
            total_token_count: later.total_token_count.or(self.total_token_count),
            prompt_tokens_details: later.prompt_tokens_details.or(self.prompt_tokens_details),
            cache_tokens_details: later.cache_tokens_details.or(self.cache_tokens_details),
            tool_use_prompt_tokens_details: later
                .tool_use_prompt_tokens_details
                .or(self.tool_use_prompt_tokens_details),
            candidates_tokens_details: later.candidates_tokens_details.or(self.candidates_tokens_details),
        };
    }

    /// The same in disjoint classes.
    pub(super) fn read(&self) -> Usage {
        let count = |count: Option<u64>| count.unwrap_or(0).min(COUNT_MAX);
        let audio = |audio: Option<Audio>| audio.map_or(0, |audio| audio.0);
        let prompt = count(self.prompt_token_count) + count(self.tool_use_prompt_token_count);
        let cached = count(self.cached_content_token_count).min(prompt);
        let sound = audio(self.prompt_tokens_details) + audio(self.tool_use_prompt_tokens_details);
        let sound = sound
            .saturating_sub(audio(self.cache_tokens_details))
            .min(prompt - cached);
        let reasoning = count(self.thoughts_token_count);
        let mut answer = count(self.candidates_token_count);
        // Some models count thoughts among the candidates; the provider's own total tells which.
        if reasoning > 0 && self.total_token_count == Some(prompt + answer) {
            answer = answer.saturating_sub(reasoning);
        }
        let spoken = audio(self.candidates_tokens_details).min(answer);
        Usage {
            input_tokens: prompt - cached - sound,
            cached_input_tokens: cached,
            audio_input_tokens: sound,
            output_tokens: answer - spoken,
            reasoning_tokens: reasoning,
            audio_output_tokens: spoken,
            ..Usage::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Usage {
        serde_json::from_str::<WireUsage>(json).unwrap().read()
    }

    #[test]
    fn classes_are_disjoint_and_add_up_to_the_total() {
        let usage = read(
            r#"{"promptTokenCount":100,"cachedContentTokenCount":40,"toolUsePromptTokenCount":7,"candidatesTokenCount":20,
                "thoughtsTokenCount":30,"totalTokenCount":157,
                "promptTokensDetails":[{"modality":"TEXT","tokenCount":80},{"modality":"AUDIO","tokenCount":20}],
                "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":5}],
                "candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":8}]}"#,
        );
        let expected = Usage {
            input_tokens: 52,
            cached_input_tokens: 40,
            audio_input_tokens: 15,
            output_tokens: 12,
            audio_output_tokens: 8,
            reasoning_tokens: 30,
            ..Usage::default()
        };
        assert_eq!(usage, expected);
        assert_eq!(usage.total_input_tokens() + usage.total_output_tokens(), 157);
    }

    #[test]
    fn thoughts_among_the_candidates_are_not_counted_twice() {
        let json = r#"{"promptTokenCount":10,"candidatesTokenCount":30,"thoughtsTokenCount":20,"totalTokenCount":40}"#;
        let usage = read(json);
        assert_eq!((usage.output_tokens, usage.reasoning_tokens), (10, 20));
    }

    #[test]
    fn counts_that_make_no_sense_do_not_overflow() {
        let max = u64::MAX;
        let usage = read(&format!(
            r#"{{"promptTokenCount":{max},"toolUsePromptTokenCount":{max},"cachedContentTokenCount":{max},
                "candidatesTokenCount":{max},"thoughtsTokenCount":{max},
                "promptTokensDetails":[{{"modality":"AUDIO","tokenCount":{max}}},{{"modality":"AUDIO","tokenCount":{max}}}]}}"#
        ));
        assert!(usage.total_input_tokens() + usage.total_output_tokens() < u64::MAX);
    }
}
