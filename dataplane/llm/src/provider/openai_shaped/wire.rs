//! The same servers for clients of other dialects: a request comes out of the hub as a chat request and then passes the
//! same rules as a chat client's; answers, streams and errors are read into the hub.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::super::capability::openai_shaped::{self as capability, Model};
use super::super::leftovers::{Leftovers, raw};
use super::super::{EncodeOptions, Native, Provider, UnsupportedParameters};
use super::{OutputCap, Rules};
use crate::dialect::openai_chat::answer_to_hub;
use crate::dialect::openai_chat::error;
use crate::dialect::openai_chat::from_hub::{self, Style, Thoughts};
use crate::endpoint::Endpoint;
use crate::hub::{self, Effort, Part, Reasoning, Request, Role};
use crate::request::{BadRequest, ModelRequest};
use crate::translate::{EventDecoder, Wire, WireFailure, WireRequest};

#[cfg(test)]
mod tests;

/// What a server takes from the hub that its rules for chat clients do not tell.
#[derive(Debug)]
pub(in super::super) struct FromHub {
    /// It defines the dialect, or follows it closely; see [`Style::is_original`].
    pub(in super::super) is_original: bool,
    /// See [`Style::instructor`].
    pub(in super::super) instructor: &'static str,
    /// What it wants of the thoughts of earlier turns.
    pub(in super::super) thoughts: History,
    /// Its name in the table of what models accept; empty: it is not there, and everything passes.
    pub(in super::super) models_of: &'static str,
    /// The member by which it is told not to think, where that is no effort: its name and its value, as JSON.
    pub(in super::super) off: Option<(&'static str, &'static str)>,
    /// A member that requests to a model get which have none of that name: the name and its value, as JSON.
    pub(in super::super) added: fn(&str) -> Option<(&'static str, &'static str)>,
    /// See [`Style::takes_files`].
    pub(in super::super) takes_files: bool,
    /// See [`Style::has_strict_order`].
    pub(in super::super) has_strict_order: bool,
    /// See [`Style::lacks`].
    pub(in super::super) lacks: &'static [&'static str],
    /// Fields of the hub's other ones that mean the same to it, beside those that its rules name.
    pub(in super::super) knows: &'static [&'static str],
}

/// What a server wants of the thoughts of earlier turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum History {
    /// None: it refuses them.
    Refused,
    /// Nobody knows. They are left out, unless the manifest has it that what is unknown passes.
    Unknown,
    /// Their text in a member of this name.
    In(&'static str),
    /// The same, and a turn whose tools were called is refused without them.
    Needed,
}

impl FromHub {
    /// A server of which nothing is known but that it speaks the dialect.
    pub(in super::super) const UNKNOWN: Self = Self {
        is_original: false,
        instructor: "system",
        thoughts: History::Unknown,
        models_of: "",
        off: None,
        added: |_| None,
        takes_files: true,
        has_strict_order: false,
        lacks: &[],
        knows: &[],
    };
}

/// Fields that only tune caching or billing: what does not know them misses nothing.
const HARMLESS: [&str; 4] = [
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
];

impl Wire for Rules {
    fn default_base_url(&self) -> Option<&'static str> {
        Provider::default_base_url(self)
    }

    fn credential_header(&self, credential: &str) -> Option<(HeaderName, HeaderValue)> {
        Provider::credential_header(self, credential)
    }

    fn forwarded_headers(&self) -> &'static [HeaderName] {
        Provider::forwarded_headers(self)
    }

    fn encode(&self, request: &Request<'_>, options: &EncodeOptions<'_>) -> Result<WireRequest, BadRequest> {
        let mut leftovers = Leftovers::new(options.unsupported);
        let model = capability::of(self.from_hub.models_of, options.upstream_model);
        let effort = self.effort(request, model, &mut leftovers)?;
        let is_sent = |name: &str| request.other.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
        let added = (self.from_hub.added)(options.upstream_model);
        if let Some(member) = added.filter(|(name, _)| !is_sent(name)) {
            pass(member, &mut leftovers);
        }
        self.other_fields(request, &mut leftovers)?;
        let style = Style {
            lacks_sampling: model.is_some_and(|model| !model.samples(effort)),
            ..self.style(options.unsupported)
        };
        let body = from_hub::body(request, &style, options.upstream_model, effort, &mut leftovers)?;
        let chat = ModelRequest::parse(Endpoint::ChatCompletions, body)?;
        let overridden = EncodeOptions {
            overrides: &[], // they stand in the client's request
            ..*options
        };
        let encoded = Native::encode(self, &chat, &overridden)?;
        encoded.dropped.iter().for_each(|name| leftovers.drop(name));
        Ok(WireRequest {
            path: encoded.path,
            headers: encoded.headers,
            body: encoded.body,
            dropped: leftovers.dropped,
        })
    }

    fn decode(&self, body: &[u8]) -> Result<hub::Answer, WireFailure> {
        answer_to_hub::read(body, self.answers)
    }

    fn decode_failure(&self, status: u16, _headers: &HeaderMap, body: &[u8]) -> WireFailure {
        error::read_wire(status, body)
    }

    fn events(&self) -> Box<dyn EventDecoder> {
        Box::new(answer_to_hub::stream::Decoder::mending(self.answers))
    }
}

impl Rules {
    fn style(&self, unsupported: UnsupportedParameters) -> Style {
        let passes = unsupported == UnsupportedParameters::Pass;
        let from_hub = self.from_hub;
        Style {
            is_original: from_hub.is_original,
            instructor: from_hub.instructor,
            output_cap: match self.output_cap {
                OutputCap::AsWritten if from_hub.is_original => "max_completion_tokens",
                OutputCap::AsWritten | OutputCap::MaxTokens => "max_tokens",
                OutputCap::MaxCompletionTokens => "max_completion_tokens",
            },
            asks_for_usage: self.asks_for_usage,
            thoughts: match from_hub.thoughts {
                History::Unknown if passes => Thoughts::Proven,
                History::Refused | History::Unknown => Thoughts::Nothing,
                History::In(member) => Thoughts::In(member),
                History::Needed => Thoughts::In("reasoning_content"),
            },
            cache_marks: passes,
            takes_files: from_hub.takes_files,
            has_strict_order: from_hub.has_strict_order,
            lacks: from_hub.lacks,
            lacks_sampling: false,
        }
    }

    /// The server's word for how much shall be thought; a member that says so in another way goes among those that pass.
    fn effort(
        &self,
        request: &Request<'_>,
        model: Option<&'static Model>,
        leftovers: &mut Leftovers<'_>,
    ) -> Result<Option<&'static str>, BadRequest> {
        let name = match request.reasoning {
            Some(Reasoning::Effort(_) | Reasoning::Off) => "reasoning_effort",
            Some(Reasoning::Budget { .. } | Reasoning::Adaptive) | None => "thinking",
        };
        let wants_thoughts = !matches!(request.reasoning, None | Some(Reasoning::Off));
        let must_be_silent = self.from_hub.thoughts == History::Needed && lacks_a_thought(request)
            || model.is_some_and(Model::is_silent_with_tools) && !request.tools.is_empty();
        if must_be_silent {
            if wants_thoughts {
                leftovers.value(name)?;
            }
            return Ok(self.silence(model, leftovers));
        }
        let wanted = match request.reasoning {
            None | Some(Reasoning::Adaptive) => return Ok(None),
            Some(Reasoning::Effort(effort)) => effort,
            Some(Reasoning::Budget { tokens }) => Effort::of_budget(tokens),
            Some(Reasoning::Off) => {
                let word = self.silence(model, leftovers);
                let is_silent_anyway = self.from_hub.off.is_some() || model.is_some_and(|model| !model.thinks());
                if word.is_none() && !is_silent_anyway {
                    leftovers.value(name)?;
                }
                return Ok(word);
            }
        };
        let word = match model {
            None => Some(wanted.as_str()),
            Some(model) => model.nearest(wanted),
        };
        if word != Some(wanted.as_str()) {
            leftovers.value(name)?;
        }
        Ok(word)
    }

    /// Tells the server not to think, by the word that is returned or by a member of its own, where it has either.
    fn silence(&self, model: Option<&Model>, leftovers: &mut Leftovers<'_>) -> Option<&'static str> {
        if let Some(member) = self.from_hub.off {
            pass(member, leftovers);
            return None;
        }
        model.filter(|model| model.can_be_silent()).map(|_| "none")
    }

    /// What the hub has no place for. The server has what its rules name; of a client's dialect all else is unknown here.
    fn other_fields<'r>(&self, request: &'r Request<'_>, leftovers: &mut Leftovers<'r>) -> Result<(), BadRequest> {
        let named = |name: &str| {
            let mut fields = self.request.iter().flat_map(|rules| rules.fields);
            fields.any(|(known, _)| *known == name) || self.from_hub.knows.contains(&name)
        };
        for (name, value) in &request.other {
            match name.as_ref() {
                name if from_hub::is_field(name) => leftovers.value(name)?,
                "service_tier" if named(name) && value.get() == "\"standard_only\"" => {
                    pass(("service_tier", "\"default\""), leftovers); // Anthropic's word for it
                }
                name if named(name) => leftovers.passed.push((Cow::Borrowed(name), Cow::Borrowed(*value))),
                "store" if value.get() == "false" => {}
                name if HARMLESS.contains(&name) => leftovers.drop(name),
                name => leftovers.parameter(name, Cow::Borrowed(*value))?,
            }
        }
        Ok(())
    }
}

fn pass((name, json): (&'static str, &'static str), leftovers: &mut Leftovers<'_>) {
    leftovers.passed.push((Cow::Borrowed(name), raw(json.to_owned())));
}

/// A turn in which tools were called and whose thought is gone. Clients that know nothing of thoughts drop them; they get
/// their answer, and this turn goes on without thinking.
fn lacks_a_thought(request: &Request<'_>) -> bool {
    hub::merged(&request.turns).iter().any(|turn| {
        let calls = turn.parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
        let is_thought = |part: &&Part<'_>| matches!(part, Part::Reasoning { text, .. } if !text.is_empty());
        turn.role == Role::Assistant && calls && !turn.parts.iter().any(is_thought)
    })
}
