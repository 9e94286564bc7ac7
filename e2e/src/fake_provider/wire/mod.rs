//! The dialects of all providers, one file each, and [`Wire::of`], which tells from a request's path which one it speaks.
//!
//! A model's answer is a [`Speech`]: whole or streamed. Everything else (embeddings, counts, lists, files) is computed at
//! once, by a function. How a provider words its errors depends on neither, but on whose service it is: [`Family`].

mod azure;
mod bedrock;
mod chat;
mod cohere;
mod completions;
mod embeddings;
mod event_stream;
mod family;
mod files;
mod gemini;
mod media;
mod messages;
mod models;
mod ollama;
mod responses;
mod sigv4;
mod sse;
mod token;

use serde_json::Value;

use super::asked::{Asked, Pieces, Tool};
use super::form;
use super::request::Request;
pub use chat::EVENT_BYTES;
pub(super) use family::Family;
pub(super) use files::Stored;
pub use sigv4::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};

/// A dialect in which a model speaks. `asked` is always the request that is answered.
pub(super) trait Speech: Sync {
    /// Reads a request. `model` is what its path names, if it names one.
    fn asked(&self, model: Option<&str>, body: Value) -> Asked;

    /// A whole answer: the call of `asked.tool`, else `text`.
    fn whole(&self, asked: &Asked, text: &str, usage: bool) -> Vec<u8>;

    /// The `content-type` of a stream.
    fn stream_type(&self) -> &'static str {
        "text/event-stream"
    }

    /// What a correct stream says again and again.
    fn piece(&self, _asked: &Asked) -> String {
        "xin chao ".to_owned()
    }

    /// The events before the first text or call, thoughts included.
    fn opening(&self, asked: &Asked) -> Vec<Vec<u8>>;

    /// One event of text. `index` counts from 0.
    fn text(&self, asked: &Asked, piece: &str, index: u32) -> Vec<u8>;

    /// Events carry their number, so that no two are the same.
    fn is_numbered(&self) -> bool {
        false
    }

    /// The events of a call.
    fn call(&self, asked: &Asked, tool: &Tool) -> Vec<Vec<u8>>;

    /// Everything after the last text or call.
    fn ending(&self, asked: &Asked, said: &Pieces, usage: bool) -> Vec<u8>;

    /// An error in the middle of a stream, behind `texts` events of text: HTTP said 200 long ago.
    fn error_event(&self, asked: &Asked, texts: u32) -> Vec<u8>;
}

/// An answer that is computed at once.
pub(super) struct Body {
    pub(super) status: u16,
    pub(super) kind: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) bytes: Vec<u8>,
}

impl Body {
    pub(super) fn json(value: &Value) -> Self {
        Self {
            status: 200,
            kind: "application/json",
            headers: Vec::new(),
            bytes: value.to_string().into_bytes(),
        }
    }

    fn not_found(family: Family, message: &str) -> Self {
        family.error(404, message, None)
    }
}

/// What a computed answer may look at.
pub(super) struct Call<'a> {
    pub(super) request: &'a Request,
    /// The path without its query.
    pub(super) path: &'a str,
    pub(super) asked: &'a Asked,
    pub(super) stored: &'a mut Stored,
}

/// How an endpoint answers.
#[derive(Clone, Copy)]
pub(super) enum Endpoint {
    /// A model speaks.
    Speech(&'static dyn Speech),
    /// Something is computed.
    Computed(fn(&mut Call<'_>) -> Body),
}

/// A provider's dialect at one of its endpoints.
#[derive(Clone, Copy)]
pub(super) struct Wire {
    pub(super) family: Family,
    pub(super) endpoint: Endpoint,
}

impl Wire {
    /// The wire that a request speaks, and what it asks. A path that means nothing is taken for chat completions.
    pub(super) fn of(request: &Request) -> (Self, Asked) {
        let path = request.path.split('?').next().unwrap_or_default();
        let (wire, model) = named(request, path);
        let body = body(request);
        let asked = match wire.endpoint {
            Endpoint::Speech(speech) => speech.asked(model.as_deref(), body),
            Endpoint::Computed(_) => Asked::plainly(model.as_deref(), body),
        };
        (wire, asked)
    }

    /// A refusal for what the real service checks before anything else. `None`: nothing to object.
    pub(super) fn refusal(self, request: &Request, asked: &Asked) -> Option<Body> {
        match self.family {
            Family::Bedrock => {
                sigv4::objection(request).map(|(status, message)| self.family.error(status, &message, None))
            }
            Family::Anthropic => messages::objection(self, asked).map(|message| self.family.error(400, message, None)),
            _ => None,
        }
    }
}

fn body(request: &Request) -> Value {
    if let Ok(json) = serde_json::from_slice(&request.body) {
        return json;
    }
    // A form: its fields, without the files.
    let kind = request.header("content-type").unwrap_or_default();
    form::parts(kind, &request.body)
        .iter()
        .filter(|part| part.filename.is_none())
        .map(|part| (part.name.to_owned(), String::from_utf8_lossy(part.bytes).into()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn named(request: &Request, path: &str) -> (Wire, Option<String>) {
    let (family, endpoint, model) = google(path)
        .or_else(|| bedrock::endpoint(path).map(|(endpoint, model)| (Family::Bedrock, endpoint, model)))
        .or_else(|| elsewhere(path).map(|(family, endpoint)| (family, endpoint, None)))
        .unwrap_or_else(|| {
            let family = Family::of_openai_path(path);
            let model = azure::deployment(path);
            (family, openai(request, path, family), model)
        });
    (Wire { family, endpoint }, model)
}

/// `…/models/MODEL:method`: AI Studio and Vertex AI, Claude there included.
fn google(path: &str) -> Option<(Family, Endpoint, Option<String>)> {
    let (before, last) = path.rsplit_once('/')?;
    let (model, method) = last.rsplit_once(':')?;
    if before.ends_with("/publishers/anthropic/models") {
        return messages::vertex_endpoint(model, method).map(|(endpoint, model)| (Family::Anthropic, endpoint, model));
    }
    let endpoint = gemini::endpoint(method)?;
    Some((Family::Google, endpoint, Some(decoded(model))))
}

/// Services with paths of their own.
fn elsewhere(path: &str) -> Option<(Family, Endpoint)> {
    use Endpoint::{Computed, Speech};
    Some(match path {
        "/api/chat" => (Family::Ollama, Speech(&ollama::Chat)),
        "/api/embed" => (Family::Ollama, Computed(ollama::embed)),
        "/api/tags" => (Family::Ollama, Computed(ollama::tags)),
        "/api/version" => (Family::Ollama, Computed(ollama::version)),
        "/v1beta/models" => (Family::Google, Computed(models::gemini)),
        _ if path.ends_with("/v2/chat") => (Family::Cohere, Speech(&cohere::Chat)),
        _ if path.ends_with("/v2/embed") => (Family::Cohere, Computed(cohere::embed)),
        _ if path.ends_with("/v2/rerank") => (Family::Cohere, Computed(cohere::rerank)),
        _ if path.ends_with("/messages") => (Family::Anthropic, Speech(&messages::Messages)),
        _ if path.ends_with("/messages/count_tokens") => (Family::Anthropic, Computed(messages::count)),
        _ if path.ends_with("/token") => (Family::OpenAI, Computed(token::grant)),
        _ => return None,
    })
}

/// `OpenAI`'s paths, whoever serves them.
fn openai(request: &Request, path: &str, family: Family) -> Endpoint {
    use Endpoint::{Computed, Speech};
    // A deployment may have any name, that of an endpoint too.
    let below_deployment = path
        .strip_prefix("/openai/deployments/")
        .and_then(|rest| rest.find('/').map(|at| &rest[at..]));
    let path = below_deployment.unwrap_or(path);
    let has = |name: &str| path.ends_with(name) || path.contains(&format!("{name}/"));
    match () {
        () if path.ends_with("/chat/completions") => Speech(chat::of(family)),
        () if path.ends_with("/completions") => Speech(&completions::Completions),
        () if path.ends_with("/embeddings") => Computed(embeddings::embed),
        () if path.ends_with("/responses") && request.method == "POST" => Speech(&responses::Responses),
        () if has("/responses") => Computed(responses::stored),
        () if has("/images") => Computed(media::images),
        () if path.ends_with("/audio/speech") => Computed(media::speech),
        () if has("/audio") => Computed(media::transcription),
        () if path.ends_with("/moderations") => Computed(media::moderations),
        () if path.ends_with("/rerank") => Computed(cohere::rerank),
        () if has("/files") => Computed(files::files),
        () if has("/batches") => Computed(files::batches),
        () if has("/models") && request.method == "GET" => Computed(models::list),
        () => Speech(chat::of(family)),
    }
}

/// Percent-decoded.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = (*first == b'%')
            .then(|| tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, family: Family, model: &str) {
        let request = Request {
            method: "POST".to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: br#"{"model": "from-body"}"#.to_vec(),
        };
        let (wire, asked) = Wire::of(&request);
        assert_eq!((wire.family, asked.model.as_str()), (family, model), "{path}");
    }

    #[test]
    fn a_path_says_whose_service_it_is_and_often_the_model() {
        check("/v1/chat/completions", Family::Bare, "from-body");
        check("/api.openai.com/v1/chat/completions", Family::OpenAI, "from-body");
        check("/v1/messages?beta=true", Family::Anthropic, "from-body");
        check(
            "/v1beta/models/chat:streamGenerateContent?alt=sse",
            Family::Google,
            "chat",
        );
        check(
            "/v1/projects/p/locations/global/publishers/google/models/chat:generateContent",
            Family::Google,
            "chat",
        );
        check(
            "/v1/projects/p/locations/l/publishers/anthropic/models/chat:rawPredict",
            Family::Anthropic,
            "chat",
        );
        check("/model/eu.chat%3A0/converse", Family::Bedrock, "eu.chat:0");
        check(
            "/openai/deployments/chat/chat/completions?api-version=2024-10-21",
            Family::Azure,
            "chat",
        );
        check(
            "/openai/deployments/chat/completions?api-version=2024-10-21",
            Family::Azure,
            "chat",
        );
        check("/openai/v1/responses", Family::Azure, "from-body");
        check("/groq/openai/v1/chat/completions", Family::Groq, "from-body");
        check("/mistral/v1/chat/completions", Family::Mistral, "from-body");
        check("/v2/chat", Family::Cohere, "from-body");
        check("/api/chat", Family::Ollama, "from-body");
        check("/v1/elsewhere", Family::Bare, "from-body");
    }
}
