//! How much a model shall think, in the form that this model takes: a level, a budget of tokens, or nothing at all.

use serde::Serialize;

use crate::hub::{Effort, Reasoning};
use crate::provider::capability::gemini::{Gemini, Thinking};
use crate::provider::leftovers::Leftovers;
use crate::request::BadRequest;

/// As many tokens as the model sees fit.
const DYNAMIC_BUDGET: i64 = -1;

/// `thinkingConfig`. A level and a budget in one request are refused by the provider, and `plan` never writes both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Config {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    include_thoughts: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<i64>,
}

impl Config {
    fn level(level: &'static str) -> Self {
        Self {
            include_thoughts: true,
            thinking_level: Some(level),
            thinking_budget: None,
        }
    }

    fn budget(tokens: i64) -> Self {
        Self {
            include_thoughts: true,
            thinking_level: None,
            thinking_budget: Some(tokens),
        }
    }

    /// The same without showing its thoughts.
    fn silent(self) -> Self {
        Self {
            include_thoughts: false,
            ..self
        }
    }
}

/// What a request asks for, as `model` takes it; what it has to be bent for is reported.
pub(super) fn plan(
    reasoning: Option<Reasoning>,
    model: &'static Gemini,
    leftovers: &mut Leftovers<'_>,
) -> Result<Option<Config>, BadRequest> {
    let Some(reasoning) = reasoning else {
        return Ok(None); // the model's own default
    };
    match &model.thinking {
        Thinking::Never if reasoning == Reasoning::Off => Ok(None), // as it is anyway
        Thinking::Never => leftovers.value(name_of(reasoning)).map(|()| None),
        Thinking::Level { levels } => by_level(reasoning, levels, leftovers).map(Some),
        Thinking::Budget { min, max, off } => {
            let bounds = Bounds {
                min: *min,
                max: *max,
                can_be_off: *off,
            };
            bounds.plan(reasoning, leftovers).map(Some)
        }
        Thinking::Any => Ok(Some(as_asked(reasoning))),
    }
}

fn name_of(reasoning: Reasoning) -> &'static str {
    match reasoning {
        Reasoning::Effort(_) | Reasoning::Off => "reasoning_effort",
        Reasoning::Budget { .. } | Reasoning::Adaptive => "thinking",
    }
}

/// A model that nobody knows gets what was asked for.
fn as_asked(reasoning: Reasoning) -> Config {
    match reasoning {
        Reasoning::Effort(effort) => Config::level(word(effort)),
        Reasoning::Budget { tokens } => Config::budget(tokens_of(tokens)),
        Reasoning::Adaptive => Config {
            include_thoughts: true,
            ..Config::default()
        },
        Reasoning::Off => Config::budget(0).silent(),
    }
}

fn by_level(
    reasoning: Reasoning,
    levels: &'static [String],
    leftovers: &mut Leftovers<'_>,
) -> Result<Config, BadRequest> {
    let name = name_of(reasoning);
    let effort = match reasoning {
        Reasoning::Adaptive => return Ok(as_asked(reasoning)),
        Reasoning::Effort(effort) => effort,
        Reasoning::Budget { tokens } => {
            leftovers.value(name)?;
            effort_of(tokens)
        }
        // These models cannot be told not to think; the least that they take comes nearest.
        Reasoning::Off => {
            leftovers.value(name)?;
            return Ok(Config::level(&levels[0]).silent());
        }
    };
    if let Some(level) = levels.iter().find(|level| *level == word(effort)) {
        return Ok(Config::level(level));
    }
    leftovers.value(name)?;
    let nearest = levels
        .iter()
        .min_by_key(|level| rank(level).abs_diff(rank(word(effort))));
    Ok(Config::level(nearest.expect("a test demands levels of each row")))
}

/// What a model that counts tokens takes.
struct Bounds {
    min: u64,
    max: u64,
    can_be_off: bool,
}

impl Bounds {
    fn plan(&self, reasoning: Reasoning, leftovers: &mut Leftovers<'_>) -> Result<Config, BadRequest> {
        let tokens = match reasoning {
            Reasoning::Adaptive => return Ok(Config::budget(DYNAMIC_BUDGET)),
            Reasoning::Off | Reasoning::Budget { tokens: 0 } if self.can_be_off => {
                return Ok(Config::budget(0).silent());
            }
            Reasoning::Off => {
                leftovers.value("reasoning_effort")?;
                return Ok(Config::budget(tokens_of(self.min)).silent());
            }
            Reasoning::Effort(effort) => budget_of(effort),
            Reasoning::Budget { tokens } => {
                if !(self.min..=self.max).contains(&tokens) {
                    leftovers.value("thinking")?;
                }
                tokens
            }
        };
        Ok(Config::budget(tokens_of(tokens.clamp(self.min, self.max))))
    }
}

fn tokens_of(tokens: u64) -> i64 {
    i64::from(i32::try_from(tokens).unwrap_or(i32::MAX)) // the provider's field has 32 bits
}

/// The provider's word for an effort.
fn word(effort: Effort) -> &'static str {
    match effort {
        Effort::Minimal => "MINIMAL",
        Effort::Low => "LOW",
        Effort::Medium => "MEDIUM",
        Effort::High => "HIGH",
        Effort::XHigh | Effort::Max => "XHIGH",
    }
}

fn rank(level: &str) -> usize {
    ["MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"]
        .iter()
        .position(|known| *known == level)
        .unwrap_or_default()
}

/// Tokens for an effort, as Google's own layer for `OpenAI`'s clients spends them.
/// (<https://ai.google.dev/gemini-api/docs/openai>)
fn budget_of(effort: Effort) -> u64 {
    match effort {
        Effort::Minimal | Effort::Low => 1_024,
        Effort::Medium => 8_192,
        Effort::High => 24_576,
        Effort::XHigh | Effort::Max => 32_768,
    }
}

/// The effort that spends about as much.
fn effort_of(tokens: u64) -> Effort {
    match tokens {
        0 => Effort::Minimal,
        1..=4_095 => Effort::Low,
        4_096..=16_383 => Effort::Medium,
        _ => Effort::High,
    }
}
