//! What is read of a request to choose an answer, whatever its wire, and what the model then says.

use serde_json::Value;

use super::request::Request;
use super::sample;

/// What a correct whole answer says.
pub(super) const TEXT: &str = "Xin chào from the fake provider.";
/// What the model thought before, where the wire shows thoughts and the request asks for them.
pub(super) const THOUGHT: &str = "Somebody greets me.";
/// The proof that comes with a thought. Base64, since some wires carry bytes.
pub(super) const SIGNATURE: &str = "ZmFrZS1zaWduYXR1cmU=";
/// The id of the one tool call, where the wire has ids.
pub(super) const CALL_ID: &str = "call_fake_1";
/// Fixed, so that two runs give equal bytes.
pub(super) const CREATED_S: u64 = 1_790_000_000;

/// Tokens of every answer. Wires differ in which of them include which; these do not.
pub(super) mod tokens {
    /// Of the prompt, the cached ones included.
    pub(in super::super) const INPUT: u64 = 11;
    /// Of the prompt, read from a cache.
    pub(in super::super) const CACHED: u64 = 3;
    /// Of the answer, the thoughts included.
    pub(in super::super) const OUTPUT: u64 = 7;
    /// Of the thoughts.
    pub(in super::super) const REASONING: u64 = 2;
    /// All of them.
    pub(in super::super) const TOTAL: u64 = INPUT + OUTPUT;
}

/// A tool that the model calls.
#[derive(Clone)]
pub(super) struct Tool {
    pub(super) name: String,
    /// JSON that satisfies the tool's schema.
    pub(super) arguments: Value,
}

impl Tool {
    /// One that is called with what its schema demands, or where it has none, with a city.
    pub(super) fn new(name: &Value, parameters: &Value) -> Option<Self> {
        let arguments = match sample::of(parameters) {
            Value::Object(members) if !members.is_empty() => Value::Object(members),
            _ => serde_json::json!({"city": sample::WORD}),
        };
        Some(Self {
            name: name.as_str()?.to_owned(),
            arguments,
        })
    }

    /// The arguments as text, in the two pieces they are streamed in.
    pub(super) fn halves(&self) -> [String; 2] {
        let text = self.arguments.to_string();
        let (one, two) = text.split_at(text.find(':').unwrap_or(0));
        [one.to_owned(), two.to_owned()]
    }
}

/// What is read of a request.
#[derive(Clone, Default)]
pub(super) struct Asked {
    /// Empty where the endpoint has none.
    pub(super) model: String,
    pub(super) stream: bool,
    /// `stream_options.include_usage`, on the wires that have it; on all others usage comes unasked.
    pub(super) include_usage: bool,
    /// The first function offered, unless the request holds the result of a call already: so a tool loop ends.
    pub(super) tool: Option<Tool>,
    /// The schema that the answer must satisfy.
    pub(super) schema: Option<Value>,
    /// Thoughts were asked for.
    pub(super) thinks: bool,
    /// The body, if it is JSON.
    pub(super) body: Value,
}

impl Asked {
    /// The model and nothing else: from the path, else from the body.
    pub(super) fn plainly(model: Option<&str>, body: Value) -> Self {
        Self {
            model: model.or(body["model"].as_str()).unwrap_or_default().to_owned(),
            body,
            ..Self::default()
        }
    }

    /// The same without a call: streams that break off do so in their text.
    pub(super) fn without_tool(&self) -> Self {
        Self {
            tool: None,
            ..self.clone()
        }
    }

    /// What a correct answer says: JSON where a schema demands it.
    pub(super) fn text(&self) -> String {
        self.schema
            .as_ref()
            .map_or_else(|| TEXT.to_owned(), |schema| sample::of(schema).to_string())
    }

    /// What a correct stream says: `times` the same `piece`, or JSON in two pieces where a schema demands it.
    pub(super) fn pieces(&self, piece: String, times: u32) -> Pieces {
        if self.schema.is_none() {
            return Pieces::Repeated { piece, times };
        }
        let text = self.text();
        let (one, two) = text.split_at(text.find(':').unwrap_or(0));
        Pieces::Split([one.to_owned(), two.to_owned()])
    }
}

/// The text of a stream. A long one is never held: it says the same again and again.
pub(super) enum Pieces {
    Repeated { piece: String, times: u32 },
    Split([String; 2]),
}

impl Pieces {
    pub(super) fn count(&self) -> u32 {
        match self {
            Self::Repeated { times, .. } => *times,
            Self::Split(_) => 2,
        }
    }

    /// The piece at `index`, from 0.
    pub(super) fn get(&self, index: u32) -> &str {
        match self {
            Self::Repeated { piece, .. } => piece,
            Self::Split([one, two]) => [one, two][usize::from(index > 0)],
        }
    }

    /// Every piece is the same.
    pub(super) fn repeat(&self) -> bool {
        matches!(self, Self::Repeated { .. })
    }

    pub(super) fn joined(&self) -> String {
        match self {
            Self::Repeated { piece, times } => piece.repeat(usize::try_from(*times).unwrap_or(0)),
            Self::Split(both) => both.concat(),
        }
    }
}

/// The credential that came, whichever header its wire uses.
pub(super) fn credential(request: &Request) -> Option<&str> {
    ["authorization", "x-api-key", "x-goog-api-key", "api-key"]
        .into_iter()
        .find_map(|name| request.header(name))
}
