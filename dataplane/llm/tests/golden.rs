//! Golden files: one folder a case under `tests/golden`, named by what it shows.
//!
//! In: `case.json` (provider and options), `request.json`, and what the provider answered, `answer.json` or `answer.sse` or
//! `answer.ndjson` or `answer.eventstream.json` (see [`framed`]). Out: `upstream.json` (what the provider gets),
//! `client.json` or `client.sse` (what the client gets) and `facts.json` (what was learnt on the way). `UPDATE_GOLDEN=1`
//! writes the outputs anew: read the diff.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use headgate_llm::dialect::anthropic_messages::error as anthropic;
use headgate_llm::dialect::openai_chat::{answer, error};
use headgate_llm::dialect::openai_responses;
use headgate_llm::endpoint::{Endpoint, ErrorShape};
use headgate_llm::failure::Failure;
use headgate_llm::provider::echo::{self, EchoAnswer};
use headgate_llm::provider::{
    self, Account, AnswerContext, EncodeOptions, Encoded, Kind, ModelApi, Progress, UnsupportedParameters,
};
use headgate_llm::request::{BadRequest, ModelRequest};
use headgate_llm::service::Service;
use headgate_llm::usage::Usage;
use http::{HeaderMap, HeaderName};
use serde::Deserialize;
use serde_json::{Value, json};

mod frames;

/// Sat, 21 Nov 2026 10:00:00 GMT
const NOW_UNIX_SECONDS: u64 = 1_795_255_200;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Case {
    kind: String,
    /// The path that the client calls; absent: chat completions.
    #[serde(default)]
    endpoint: Option<String>,
    #[serde(default)]
    upstream_model: String,
    #[serde(default)]
    overrides: Vec<(String, String)>,
    /// `Drop` (the default), `Pass` or `Reject`.
    #[serde(default)]
    unsupported_parameters: Option<String>,
    #[serde(default)]
    max_output_tokens: Option<u64>,
    /// What the manifest says of an account at Azure.
    #[serde(default)]
    azure: Option<Azure>,
    /// … or at Vertex AI.
    #[serde(default)]
    vertex: Option<Vertex>,
    #[serde(default)]
    publisher: Option<String>,
    /// `Chat` (the default) or `Responses`.
    #[serde(default)]
    api: Option<String>,
    #[serde(default)]
    allows_stored_objects: bool,
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    credential: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Azure {
    api_version: String,
    #[serde(default)]
    deployments: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vertex {
    project: String,
    location: String,
}

/// What a case produced: file names and contents.
type Outputs = Vec<(&'static str, Vec<u8>)>;

#[test]
fn every_golden_case_comes_out_as_written() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for folder in folders() {
        let outputs = run(&folder);
        for name in ["upstream.json", "client.json", "client.sse", "facts.json"] {
            let path = folder.join(name);
            let produced = outputs
                .iter()
                .find(|(output, _)| *output == name)
                .map(|(_, content)| content);
            match produced {
                Some(content) if update => std::fs::write(&path, content).unwrap(),
                None if update => drop(std::fs::remove_file(&path)),
                _ if std::fs::read(&path).ok().as_ref() != produced => {
                    let shown = produced.map(|content| String::from_utf8_lossy(content).into_owned());
                    wrong.push(format!(
                        "{}: {}",
                        path.display(),
                        shown.unwrap_or_else(|| "not produced".into())
                    ));
                }
                _ => {}
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} outputs differ (UPDATE_GOLDEN=1 writes them):\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    assert!(folders.len() > 50, "the golden cases are missing");
    folders
}

fn run(folder: &Path) -> Outputs {
    let read = |name: &str| std::fs::read(folder.join(name)).ok().map(Bytes::from);
    let case: Case = serde_json::from_slice(&read("case.json").unwrap()).unwrap();
    let kind = kind(&case.kind);
    let endpoint = endpoint(&case);
    let options = options(&case);
    let service = provider::of(kind).serve(endpoint, &options);
    let mut facts = json!({});
    let mut outputs = Outputs::new();

    let request = read("request.json")
        .map(|body| ModelRequest::parse(endpoint, body))
        .transpose();
    let encoded = match &request {
        Ok(Some(request)) => Some(service.clone().and_then(|service| encode(service, request, &options))),
        Ok(None) => None,
        Err(refusal) => Some(Err(refusal.clone())),
    };
    match &encoded {
        Some(Ok(encoded)) => {
            facts["request"] =
                json!({ "path": encoded.path, "stripUsage": encoded.strip_usage, "dropped": encoded.dropped });
            for (name, value) in &encoded.headers {
                facts["request"]["headers"][name.as_str()] = value.to_str().unwrap().into();
            }
            // Empty: nobody is asked.
            outputs.extend((!encoded.body.is_empty()).then(|| ("upstream.json", encoded.body.to_vec())));
        }
        Some(Err(refusal)) => {
            facts["refused"] = json!({ "code": refusal.code, "param": refusal.param, "message": refusal.message });
        }
        None => {}
    }

    let (mut whole, mut events) = (
        read("answer.json"),
        read("answer.sse")
            .or_else(|| read("answer.ndjson"))
            .or_else(|| read("answer.eventstream.json").map(|list| framed(&list))),
    );
    if kind == Kind::Echo {
        // It answers what it was sent: a chat, whatever the client speaks, or texts to embed.
        let sent = match &encoded {
            Some(Ok(encoded)) if endpoint != Endpoint::Embeddings => {
                ModelRequest::parse(Endpoint::ChatCompletions, encoded.body.clone()).unwrap()
            }
            _ => request.clone().unwrap().unwrap(),
        };
        match echo::answer(&sent, "chatcmpl-golden", NOW_UNIX_SECONDS) {
            EchoAnswer::Whole(body) => whole = Some(body),
            EchoAnswer::Stream(list) => events = Some(list.concat().into()),
        }
    }
    let parsed = request.as_ref().ok().and_then(Option::as_ref);
    let Ok(service) = service else {
        outputs.push(("facts.json", format!("{facts:#}\n").into_bytes()));
        return outputs;
    };
    let context = AnswerContext {
        request: parsed,
        id: "golden",
        now_unix_seconds: NOW_UNIX_SECONDS,
        requested_model: parsed.map_or("", |request| &request.model),
        upstream_model: &case.upstream_model,
        include_usage: parsed.is_some_and(|request| request.include_usage),
        strip_usage: matches!(&encoded, Some(Ok(encoded)) if encoded.strip_usage),
    };
    if let (Some(Ok(_)), Some(answer)) = (&encoded, parsed.and_then(|request| service.estimate(request))) {
        facts["estimate"] = json!({ "usage": usage(answer.usage) });
        outputs.push(("client.json", answer.body.to_vec()));
    }
    if let Some(body) = whole {
        let (client, answer) = decode_whole(service, endpoint, body, &context, &case);
        facts["answer"] = answer;
        outputs.extend(client.map(|client| ("client.json", client)));
    }
    if let Some(events) = events {
        let (client, stream) = decode_stream(service, endpoint, &context, &events);
        facts["stream"] = stream;
        outputs.push(("client.sse", client));
    }
    outputs.push(("facts.json", format!("{facts:#}\n").into_bytes()));
    outputs
}

/// The bytes of a stream of messages, with their checksums: a list of `{"headers": {…}, "payload": …}`, where a payload
/// that is text is sent as it is. A text in the list is bytes that follow, in hex.
fn framed(list: &[u8]) -> Bytes {
    let frames = serde_json::from_slice::<Vec<Value>>(list)
        .unwrap()
        .into_iter()
        .map(|message| {
            if let Some(hex) = message.as_str() {
                let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
                return pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
            }
            let headers = message["headers"].as_object().unwrap();
            let headers: Vec<_> = headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
                .collect();
            let payload = match &message["payload"] {
                Value::String(text) => text.clone(),
                payload => payload.to_string(),
            };
            frames::frame(&headers, payload.as_bytes())
        });
    frames.collect::<Vec<Vec<u8>>>().concat().into()
}

fn kind(name: &str) -> Kind {
    match name {
        "OpenAI" => Kind::OpenAI,
        "OpenAICompatible" => Kind::OpenAICompatible,
        "Ollama" => Kind::Ollama,
        "OllamaOpenAI" => Kind::OllamaOpenAI,
        "Anthropic" => Kind::Anthropic,
        "Bedrock" => Kind::Bedrock,
        "Gemini" => Kind::Gemini,
        "Groq" => Kind::Groq,
        "Mistral" => Kind::Mistral,
        "DeepSeek" => Kind::DeepSeek,
        "Together" => Kind::Together,
        "Cohere" => Kind::Cohere,
        "AzureOpenAI" => Kind::AzureOpenAI,
        "VertexAI" => Kind::VertexAI,
        "Echo" => Kind::Echo,
        other => panic!("no such kind: {other}"),
    }
}

fn endpoint(case: &Case) -> Endpoint {
    let path = case.endpoint.as_deref().unwrap_or(Endpoint::ChatCompletions.path());
    let found = Endpoint::ALL.into_iter().find(|endpoint| endpoint.path() == path);
    found.unwrap_or_else(|| panic!("no such endpoint: {path}"))
}

fn options(case: &Case) -> EncodeOptions<'_> {
    EncodeOptions {
        upstream_model: &case.upstream_model,
        overrides: &case.overrides,
        unsupported: match case.unsupported_parameters.as_deref() {
            None | Some("Drop") => UnsupportedParameters::Drop,
            Some("Pass") => UnsupportedParameters::Pass,
            Some("Reject") => UnsupportedParameters::Reject,
            Some(other) => panic!("no such policy: {other}"),
        },
        max_output_tokens_default: case.max_output_tokens,
        account: account(case),
        publisher: case.publisher.as_deref(),
        api: match case.api.as_deref() {
            None | Some("Chat") => ModelApi::Chat,
            Some("Responses") => ModelApi::Responses,
            Some(other) => panic!("no such api: {other}"),
        },
        allows_stored_objects: case.allows_stored_objects,
        ..EncodeOptions::default()
    }
}

fn account(case: &Case) -> Account<'_> {
    match (&case.azure, &case.vertex) {
        (None, None) => Account::Plain,
        (
            Some(Azure {
                api_version,
                deployments,
            }),
            None,
        ) => Account::Azure {
            api_version,
            deployments,
        },
        (None, Some(Vertex { project, location })) => Account::Vertex { project, location },
        (Some(_), Some(_)) => panic!("an account is at one cloud"),
    }
}

fn encode(service: Service, request: &ModelRequest, options: &EncodeOptions<'_>) -> Result<Encoded, BadRequest> {
    let encoded = service.encode(request, options)?;
    if !encoded.body.is_empty() {
        serde_json::from_slice::<Value>(&encoded.body).expect("an encoded request is valid JSON");
    }
    Ok(encoded)
}

fn decode_whole(
    service: Service,
    endpoint: Endpoint,
    body: Bytes,
    context: &AnswerContext<'_>,
    case: &Case,
) -> (Option<Vec<u8>>, Value) {
    let decoded = match case.status {
        None => service.decode_whole(body, context),
        Some(status) => {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW_UNIX_SECONDS);
            Err(service.decode_failure(status, &headers(case), &body, &case.credential, now))
        }
    };
    match decoded {
        Ok(answer) => {
            let facts = json!({ "usage": usage(answer.usage), "finishReason": answer::finish_reason(&answer.body) });
            (Some(answer.body.to_vec()), facts)
        }
        Err(failure) => (error_body(endpoint, &failure), failure_facts(&failure)),
    }
}

/// A provider's error in the form of the endpoint, as the data plane sends it.
fn error_body(endpoint: Endpoint, failure: &Failure) -> Option<Vec<u8>> {
    let body = failure.body.as_ref()?;
    Some(match endpoint.error_shape() {
        ErrorShape::OpenAI => body.to_vec(),
        ErrorShape::Anthropic => anthropic::body(body, failure.status.unwrap_or(502), "golden").to_vec(),
    })
}

fn error_event(endpoint: Endpoint, failure: &Failure, events: u64) -> Option<Bytes> {
    let body = error_body(endpoint, failure)?;
    Some(match endpoint.error_shape() {
        ErrorShape::OpenAI if endpoint == Endpoint::Responses => openai_responses::error::event(&body, events),
        ErrorShape::OpenAI => error::event(&body),
        ErrorShape::Anthropic => anthropic::event(&body),
    })
}

fn headers(case: &Case) -> HeaderMap {
    let header = |(name, value): (&String, &String)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    case.headers.iter().map(header).collect()
}

/// Decodes the stream in one piece, in single bytes and in pieces of other lengths, which must make no difference.
fn decode_stream(
    service: Service,
    endpoint: Endpoint,
    context: &AnswerContext<'_>,
    events: &Bytes,
) -> (Vec<u8>, Value) {
    let whole = decode_chunks(service, endpoint, context, events, events.len().max(1));
    for chunk_length in [1, 2, 3, 7, 100, 333] {
        let chunked = decode_chunks(service, endpoint, context, events, chunk_length);
        assert_eq!(
            String::from_utf8_lossy(&chunked.0),
            String::from_utf8_lossy(&whole.0),
            "chunks of {chunk_length}"
        );
        assert_eq!(chunked.1, whole.1, "chunks of {chunk_length}");
    }
    whole
}

fn decode_chunks(
    service: Service,
    endpoint: Endpoint,
    context: &AnswerContext<'_>,
    events: &Bytes,
    chunk_length: usize,
) -> (Vec<u8>, Value) {
    let mut decoder = service.stream_decoder(context);
    let mut out = Vec::new();
    let mut result = Ok(());
    for start in (0..events.len()).step_by(chunk_length) {
        let end = events.len().min(start + chunk_length);
        result = decoder.push(events.slice(start..end), &mut out);
        if result.is_err() {
            break;
        }
    }
    let result = result.and_then(|()| decoder.finish(&mut out));
    let events = decoder.progress().events;
    out.extend(
        result
            .as_ref()
            .err()
            .and_then(|failure| error_event(endpoint, failure, events)),
    );
    let mut facts = progress(decoder.progress());
    if let Err(failure) = &result {
        facts["failure"] = failure_facts(failure);
    }
    (out.concat(), facts)
}

fn progress(progress: &Progress) -> Value {
    json!({
        "hasContent": progress.has_content,
        "isComplete": progress.is_complete,
        "usage": usage(progress.usage),
        "outputBytes": progress.output_bytes,
        "estimatedOutputTokens": progress.estimated_output_tokens(),
        "finishReason": progress.finish_reason,
    })
}

fn usage(usage: Option<Usage>) -> Value {
    usage.map_or(Value::Null, |usage| {
        json!({
            "input": usage.input_tokens,
            "cachedInput": usage.cached_input_tokens,
            "cacheWrite": usage.total_cache_write_tokens(),
            "audioInput": usage.audio_input_tokens,
            "output": usage.output_tokens,
            "reasoning": usage.reasoning_tokens,
            "audioOutput": usage.audio_output_tokens,
            "isEstimated": usage.is_estimated,
        })
    })
}

fn failure_facts(failure: &Failure) -> Value {
    json!({
        "kind": failure.kind.as_str(),
        "isRetryable": failure.kind.is_retryable(),
        "status": failure.status,
        "retryAfterSeconds": failure.retry_after.map(|wait| wait.as_secs_f64()),
        "detail": failure.detail,
        "hasBody": failure.body.is_some(),
    })
}
