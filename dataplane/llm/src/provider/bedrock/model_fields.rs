//! `additionalModelRequestFields`: what Converse has no field for, in the words of the model's family.
//!
//! Bedrock merges them into the model's own request, so a client's could say anew what the gateway has decided and counted
//! by: those are not taken.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use serde_json::value::RawValue;

use crate::json::{self, Kind};
use crate::provider::leftovers::Leftovers;
use crate::request::BadRequest;

/// Fields of the models' own requests, in all families, that repeat what Converse was told, run the provider's own tools or
/// fetch from addresses.
const DECIDED: [&str; 24] = [
    "container",
    "conversation",
    "inferenceConfig",
    "input",
    "inputText",
    "instructions",
    "max_completion_tokens",
    "max_gen_len",
    "max_new_tokens",
    "max_output_tokens",
    "max_tokens",
    "max_tokens_to_sample",
    "maxTokens",
    "mcp_servers",
    "messages",
    "model",
    "modelId",
    "n",
    "num_generations",
    "prompt",
    "stream",
    "system",
    "toolConfig",
    "tools",
];

/// Members, each name once.
#[derive(Default)]
pub(super) struct ModelFields<'r>(BTreeMap<Cow<'r, str>, Cow<'r, RawValue>>);

impl<'r> ModelFields<'r> {
    /// Writes a field of the family's, before any of the client's.
    pub(super) fn set(&mut self, name: &'static str, value: Cow<'r, RawValue>) {
        self.0.insert(Cow::Borrowed(name), value);
    }

    /// A field of the client's, unless it was decided otherwise.
    pub(super) fn pass(
        &mut self,
        name: Cow<'r, str>,
        value: Cow<'r, RawValue>,
        leftovers: &mut Leftovers<'_>,
    ) -> Result<(), BadRequest> {
        let is_decided = DECIDED.iter().any(|decided| decided.eq_ignore_ascii_case(&name));
        if is_decided || self.0.contains_key(&name) {
            return leftovers.value(&name);
        }
        self.0.insert(name, value);
        Ok(())
    }

    /// The fields of a client that knows them, an object.
    pub(super) fn pass_all(
        &mut self,
        param: &str,
        object: &'r RawValue,
        leftovers: &mut Leftovers<'_>,
    ) -> Result<(), BadRequest> {
        let text = object.get();
        if json::kind(text.as_bytes()) != Kind::Object {
            return Err(BadRequest::wrong_type(param, "an object"));
        }
        let (mut result, mut names) = (Ok(()), BTreeSet::new());
        let walked = json::walk(text.as_bytes(), |member| {
            let name = json::string_value(text[member.key].as_bytes()).expect("the key of a member is a string");
            let value = serde_json::from_str(&text[member.value]).expect("a member of a valid document is valid");
            result = if names.insert(name.clone()) {
                self.pass(Cow::Owned(name.into_owned()), Cow::Borrowed(value), leftovers)
            } else {
                Err(BadRequest::repeated(param))
            };
            if result.is_err() {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        debug_assert!(walked.is_ok(), "it stood in a document that was validated");
        result
    }

    /// As it goes out; `None` where nothing does.
    pub(super) fn finish(self) -> Option<BTreeMap<Cow<'r, str>, Cow<'r, RawValue>>> {
        (!self.0.is_empty()).then_some(self.0)
    }
}
