//! How much the model may think, and in what form it answers.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::place::{missing, typed};
use crate::dialect::openai_chat::to_hub::Text;
use crate::hub::{Effort, OutputFormat, Reasoning, Request};
use crate::json::{self, Kind};
use crate::request::BadRequest;

/// `thinking` and `output_config.effort`, which together say how much is thought.
#[derive(Default)]
pub(super) struct Thinking {
    config: Option<Reasoning>,
    effort: Option<Effort>,
}

impl Thinking {
    /// Effort says how much where `thinking` leaves that to the model; a budget, and none at all, say it themselves.
    pub(super) fn reasoning(&self) -> Option<Reasoning> {
        match (self.config, self.effort) {
            (None | Some(Reasoning::Adaptive), Some(effort)) => Some(Reasoning::Effort(effort)),
            (config, _) => config,
        }
    }

    /// Reads `thinking`.
    pub(super) fn read_config<'a>(&mut self, value: &'a str, request: &mut Request<'a>) -> Result<(), BadRequest> {
        #[derive(Deserialize)]
        #[serde(expecting = "an object")]
        struct Config<'a> {
            #[serde(borrow)]
            r#type: Text<'a>,
            budget_tokens: Option<u64>,
            #[serde(borrow)]
            display: Option<Text<'a>>,
        }
        let config: Config<'_> = typed("thinking", value)?;
        self.config = Some(match config.r#type.0.as_ref() {
            "enabled" => Reasoning::Budget {
                tokens: config.budget_tokens.ok_or_else(|| missing("thinking.budget_tokens"))?,
            },
            "adaptive" => Reasoning::Adaptive,
            // Between tools is still none before the answer.
            "disabled" | "between_tools" => Reasoning::Off,
            _ => {
                let message = "`thinking.type` must be enabled, adaptive, disabled or between_tools".to_owned();
                return Err(BadRequest::invalid("thinking.type", message));
            }
        });
        if config.display.is_some_and(|display| display.0 == "omitted") {
            request.left_out.push("thinking.display".into());
        }
        Ok(())
    }

    /// Reads `output_config`.
    pub(super) fn read_output_config<'a>(
        &mut self,
        value: &'a str,
        request: &mut Request<'a>,
    ) -> Result<(), BadRequest> {
        #[derive(Deserialize)]
        #[serde(expecting = "an object")]
        struct Config<'a> {
            #[serde(borrow)]
            effort: Option<Text<'a>>,
            #[serde(borrow)]
            format: Option<Format<'a>>,
            #[serde(borrow)]
            task_budget: Option<&'a RawValue>,
        }
        #[derive(Deserialize)]
        #[serde(expecting = "an object")]
        struct Format<'a> {
            #[serde(borrow)]
            r#type: Text<'a>,
            #[serde(borrow)]
            schema: Option<&'a RawValue>,
        }
        let config: Config<'a> = typed("output_config", value)?;
        self.effort = config.effort.map(|word| effort(&word.0)).transpose()?;
        if let Some(format) = config.format {
            if format.r#type.0 != "json_schema" {
                let message = "`output_config.format.type` must be json_schema".to_owned();
                return Err(BadRequest::invalid("output_config.format.type", message));
            }
            let name = "output_config.format.schema";
            let schema = format.schema.ok_or_else(|| missing(name))?;
            if json::kind(schema.get().as_bytes()) != Kind::Object {
                return Err(BadRequest::wrong_type(name, "a JSON schema object"));
            }
            request.output_format = OutputFormat::JsonSchema {
                name: "answer".into(),
                schema,
                // OpenAI's strict mode refuses schemas with optional members, which this dialect has.
                strict: None,
            };
        }
        if config.task_budget.is_some() {
            request.left_out.push("output_config.task_budget".into());
        }
        Ok(())
    }
}

fn effort(word: &str) -> Result<Effort, BadRequest> {
    Ok(match word {
        "low" => Effort::Low,
        "medium" => Effort::Medium,
        "high" => Effort::High,
        "xhigh" => Effort::XHigh,
        "max" => Effort::Max,
        _ => {
            let message = "`output_config.effort` must be low, medium, high, xhigh or max".to_owned();
            return Err(BadRequest::invalid("output_config.effort", message));
        }
    })
}
