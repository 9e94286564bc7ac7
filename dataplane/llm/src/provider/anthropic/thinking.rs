//! How much a model shall think, in the form that this model takes: effort, a budget of tokens, or nothing at all.

use serde::Serialize;

use super::super::capability::{Claude, Off, Thinking};
use super::super::leftovers::Leftovers;
use super::block;
use crate::hub::{Effort, Part, Reasoning, Request, Role};
use crate::request::BadRequest;

/// The least budget that is accepted.
const BUDGET_MIN: u64 = 1024;
/// What is left for the answer where the client set a budget and no cap.
const ANSWER_TOKENS: u64 = 4096;

/// `thinking`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(in super::super) enum Config {
    Adaptive {
        /// Newer models keep their thoughts to themselves unless they are asked.
        display: &'static str,
    },
    Enabled {
        budget_tokens: u64,
    },
    Disabled,
    BetweenTools,
}

/// What goes into a request.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Plan {
    pub(in super::super) config: Option<Config>,
    /// `output_config.effort`.
    pub(in super::super) effort: Option<&'static str>,
    /// `max_tokens`: a budget counts against it.
    pub(in super::super) max_tokens: u64,
}

impl Plan {
    /// The model thinks because it was asked to, which restricts sampling and tool choice.
    pub(in super::super) fn is_on(&self) -> bool {
        matches!(self.config, Some(Config::Adaptive { .. } | Config::Enabled { .. }))
    }
}

const ADAPTIVE: Config = Config::Adaptive { display: "summarized" };

/// Plans a request; `max_tokens` is the cap where the client set none. A tool that must be called excludes thinking: the
/// call is what the client waits for.
pub(in super::super) fn plan(
    request: &Request<'_>,
    model: &'static Claude,
    forces_tool: bool,
    max_tokens: u64,
    leftovers: &mut Leftovers<'_>,
) -> Result<Plan, BadRequest> {
    let mut plan = Plan {
        config: None,
        effort: None,
        max_tokens: request.max_output_tokens.unwrap_or(max_tokens),
    };
    let Some(reasoning) = request.reasoning else {
        return Ok(plan);
    };
    let name = match reasoning {
        Reasoning::Effort(_) | Reasoning::Off => "reasoning_effort",
        Reasoning::Budget { .. } | Reasoning::Adaptive => "thinking",
    };
    if forces_tool && reasoning != Reasoning::Off {
        leftovers.value(name)?;
        return Ok(plan);
    }
    match (model.thinking, reasoning) {
        (Thinking::Never | Thinking::Budget, Reasoning::Off) => {} // as it is anyway
        (_, Reasoning::Off) => match model.off {
            Off::Disabled => plan.config = Some(Config::Disabled),
            Off::BetweenTools => plan.config = Some(Config::BetweenTools),
            Off::Never => leftovers.value(name)?,
        },
        (Thinking::Never, _) => leftovers.value(name)?,
        (Thinking::Adaptive | Thinking::AdaptiveOrBudget, Reasoning::Effort(effort)) => {
            plan.config = Some(ADAPTIVE);
            plan.effort = nearest(effort, model, leftovers)?;
        }
        (Thinking::Adaptive | Thinking::AdaptiveOrBudget, Reasoning::Adaptive) => plan.config = Some(ADAPTIVE),
        (Thinking::Adaptive, Reasoning::Budget { tokens }) => {
            leftovers.value(name)?;
            plan.config = Some(ADAPTIVE);
            plan.effort = nearest(Effort::of_budget(tokens), model, leftovers)?;
        }
        (Thinking::Budget, Reasoning::Effort(effort)) => {
            plan.effort = if model.efforts.is_empty() {
                None
            } else {
                nearest(effort, model, leftovers)?
            };
            set_budget(&mut plan, budget_of(effort), name, request, leftovers)?;
        }
        (Thinking::Budget, Reasoning::Adaptive) => {
            set_budget(&mut plan, budget_of(Effort::Medium), name, request, leftovers)?;
        }
        (Thinking::Budget | Thinking::AdaptiveOrBudget, Reasoning::Budget { tokens }) => {
            set_budget(&mut plan, tokens, name, request, leftovers)?;
        }
    }
    Ok(plan)
}

/// A budget is less than `max_tokens`. A cap that the client set stands, and lowers the budget, which is reported; one that
/// we set makes room.
fn set_budget(
    plan: &mut Plan,
    tokens: u64,
    name: &str,
    request: &Request<'_>,
    leftovers: &mut Leftovers<'_>,
) -> Result<(), BadRequest> {
    if lacks_its_thought(request) {
        return leftovers.value(name);
    }
    let mut budget_tokens = tokens.max(BUDGET_MIN);
    match request.max_output_tokens {
        None => plan.max_tokens = plan.max_tokens.max(budget_tokens.saturating_add(ANSWER_TOKENS)),
        Some(cap) if cap <= BUDGET_MIN => return leftovers.value(name),
        Some(cap) if cap <= budget_tokens => {
            leftovers.value(name)?;
            budget_tokens = cap - 1;
        }
        Some(_) => {}
    }
    plan.config = Some(Config::Enabled { budget_tokens });
    Ok(())
}

/// With a budget, a turn whose tools were called must begin with its thought. Clients that know nothing of thoughts drop
/// them; they get their answer, and this turn goes on without thinking.
fn lacks_its_thought(request: &Request<'_>) -> bool {
    let last = request.turns.iter().rev().find(|turn| turn.role == Role::Assistant);
    last.is_some_and(|turn| {
        let calls = turn.parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
        calls && !turn.parts.iter().any(block::is_proof)
    })
}

/// The words that the model knows, next to the one that was asked for; a lower one than asked is reported.
fn nearest(
    effort: Effort,
    model: &'static Claude,
    leftovers: &mut Leftovers<'_>,
) -> Result<Option<&'static str>, BadRequest> {
    let wanted = match effort {
        Effort::Minimal => "low",
        effort => effort.as_str(),
    };
    if let Some(known) = model.efforts.iter().find(|known| *known == wanted) {
        return Ok(Some(known));
    }
    leftovers.value("reasoning_effort")?;
    Ok(model.efforts.iter().find(|known| *known == "high").map(String::as_str))
}

/// Tokens for an effort, as other gateways spend them; clients expect the same of the same word.
fn budget_of(effort: Effort) -> u64 {
    match effort {
        Effort::Minimal | Effort::Low => 1_024,
        Effort::Medium => 8_192,
        Effort::High => 24_576,
        Effort::XHigh | Effort::Max => 32_768,
    }
}
