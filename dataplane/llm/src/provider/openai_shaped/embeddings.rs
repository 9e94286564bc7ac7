//! Embeddings of servers that speak `OpenAI`'s dialect for them. Bodies pass as those of chats do.

use bytes::Bytes;

use super::super::leftovers::Leftovers;
use super::super::overrides::overridden;
use super::super::{EncodeOptions, Encoded, WholeAnswer, embedding};
use super::request::{self, RequestRules};
use super::{Rules, name_model};
use crate::dialect::openai_chat::answer;
use crate::dialect::openai_embeddings::{in_base64, read, wants_base64};
use crate::estimate;
use crate::failure::Failure;
use crate::request::{BadRequest, ModelRequest};
use crate::splice::Edits;
use crate::usage::Usage;

/// What a server does differently from the others.
#[derive(Debug)]
pub(in super::super) struct EmbeddingRules {
    /// Their path, behind the base URL.
    pub(in super::super) path: &'static str,
    /// What it takes.
    pub(in super::super) inputs: Inputs,
    /// What it wants otherwise in requests.
    pub(in super::super) request: Option<&'static RequestRules>,
}

/// What a server embeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Inputs {
    /// What that is, it says itself.
    Any,
    /// Text, also as tokens.
    TextOrTokens,
    /// Text.
    Text,
}

impl EmbeddingRules {
    /// A server that does as `OpenAI`.
    pub(in super::super) const PLAIN: Self = Self {
        path: "/embeddings",
        inputs: Inputs::Any,
        request: None,
    };
}

pub(super) fn encode(
    server: &Rules,
    rules: &EmbeddingRules,
    request: &ModelRequest,
    options: &EncodeOptions<'_>,
) -> Result<Encoded, BadRequest> {
    let (request, mut dropped) = overridden(request, options.overrides)?;
    match rules.inputs {
        Inputs::Any => {}
        Inputs::TextOrTokens => drop(read(&request)?),
        Inputs::Text => drop(embedding::texts(&read(&request)?)?),
    }
    let mut edits = Edits::default();
    let mut leftovers = Leftovers::new(options.unsupported);
    name_model(&request, options.deployed_model(), &mut edits);
    if let Some(rules) = rules.request {
        request::edit(
            &request,
            rules,
            options.upstream_model,
            None,
            &mut edits,
            &mut leftovers,
        )?;
    }
    dropped.append(&mut leftovers.dropped);
    Ok(server.encoded(&request, rules.path, options, edits, dropped))
}

/// Reads an answer. Vectors are no output that is paid for, so that usage which the server does not report is that of the
/// input alone.
pub(super) fn decode(body: Bytes, request: &ModelRequest) -> Result<WholeAnswer, Failure> {
    let mut answer = answer::read(body)?;
    if wants_base64(request) {
        answer.body = in_base64(&answer.body);
    }
    answer
        .usage
        .get_or_insert_with(|| Usage::estimated(estimate::input_tokens(request), 0));
    Ok(answer)
}
