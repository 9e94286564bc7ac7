//! What holds for every request for embeddings and every answer, searched for with generated ones.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use headgate_llm::dialect::openai_embeddings::INPUTS_MAX;
use headgate_llm::endpoint::Endpoint;
use headgate_llm::provider::{self, AnswerContext, EncodeOptions, Kind, UnsupportedParameters};
use headgate_llm::request::ModelRequest;
use headgate_llm::service::Service;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

/// The kinds that have embeddings: those of `OpenAI`'s dialect, and those that are translated.
const NATIVE: [Kind; 7] = [
    Kind::OpenAI,
    Kind::OpenAICompatible,
    Kind::OllamaOpenAI,
    Kind::Mistral,
    Kind::Together,
    Kind::AzureOpenAI,
    Kind::Echo,
];
const TRANSLATED: [Kind; 5] = [Kind::Gemini, Kind::VertexAI, Kind::Cohere, Kind::Ollama, Kind::Bedrock];

fn service(kind: Kind) -> Service {
    provider::of(kind)
        .serve(Endpoint::Embeddings, &EncodeOptions::default())
        .expect("a kind with embeddings")
}

fn request(body: &Value) -> ModelRequest {
    ModelRequest::parse(Endpoint::Embeddings, Bytes::from(body.to_string())).unwrap()
}

fn any_kind() -> impl Strategy<Value = Kind> {
    prop::sample::select([NATIVE.as_slice(), &TRANSLATED].concat())
}

fn any_input() -> impl Strategy<Value = Value> {
    let element = prop_oneof![
        3 => any::<String>().prop_map(Value::from),
        2 => any::<u32>().prop_map(Value::from),
        1 => prop::sample::select(vec![json!(null), json!(-1), json!(1.5), json!([]), json!([1, 2]), json!(["a"]), json!({})]),
    ];
    prop_oneof![
        1 => any::<String>().prop_map(Value::from),
        2 => vec(any::<String>(), 0..4).prop_map(Value::from),
        1 => vec(any::<u32>(), 0..4).prop_map(Value::from),
        3 => vec(element, 0..4).prop_map(Value::from),
    ]
}

fn any_field() -> impl Strategy<Value = (&'static str, Value)> {
    let name = prop::sample::select(vec![
        "dimensions",
        "encoding_format",
        "user",
        "input_type",
        "task_type",
        "title",
        "texts",
        "requests",
        "output_dimension",
        "options",
        "invented_tomorrow",
    ]);
    let value = prop::sample::select(vec![
        json!(null),
        json!(8),
        json!(-8),
        json!("base64"),
        json!("float"),
        json!([1]),
        json!({"a": 1.5}),
    ]);
    (name, value)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_is_encoded_as_json_or_refused_by_name(
        kind in any_kind(),
        input in any_input(),
        fields in vec(any_field(), 0..4),
        model in prop::sample::select(vec!["amazon.titan-embed-text-v2:0", "eu.cohere.embed-v4:0", "u"]),
        unsupported in prop::sample::select(vec![
            UnsupportedParameters::Drop, UnsupportedParameters::Pass, UnsupportedParameters::Reject,
        ]),
    ) {
        let mut body = json!({ "model": "m", "input": input });
        for (name, value) in fields {
            body[name] = value;
        }
        let Ok(request) = ModelRequest::parse(Endpoint::Embeddings, Bytes::from(body.to_string())) else {
            return Ok(()); // `user` is no text
        };
        let options = EncodeOptions { upstream_model: model, unsupported, ..EncodeOptions::default() };
        match service(kind).encode(&request, &options) {
            Ok(encoded) => {
                let upstream: Value = serde_json::from_slice(&encoded.body).unwrap();
                // A name that stood twice would be gone from the value and not from the text.
                let names = upstream.as_object().unwrap().len();
                let mut written = 0;
                let walked = headgate_llm::json::walk(&encoded.body, |_| {
                    written += 1;
                    std::ops::ControlFlow::Continue(())
                });
                prop_assert!(walked.is_ok());
                prop_assert_eq!(names, written, "{}", upstream);
            }
            Err(refusal) => prop_assert!(refusal.param.is_some(), "{}", refusal),
        }
    }

    #[test]
    fn base64_says_the_same_as_numbers(numbers in vec(any::<f32>().prop_filter("finite", |number| number.is_finite()), 0..20)) {
        let request = request(&json!({"model": "m", "input": "a", "encoding_format": "base64"}));
        let context = AnswerContext { request: Some(&request), ..AnswerContext::default() };
        let vector = json!(numbers);
        for (kind, answer) in [
            (Kind::Ollama, json!({"embeddings": [vector]})),
            (Kind::Cohere, json!({"embeddings": {"float": [vector]}})),
            (Kind::Gemini, json!({"embeddings": [{"values": vector}]})),
            (Kind::Bedrock, json!({"embedding": vector})),
            (Kind::OpenAICompatible, json!({"data": [{"embedding": vector}]})),
        ] {
            let answer = service(kind).decode_whole(Bytes::from(answer.to_string()), &context).unwrap();
            let written: Value = serde_json::from_slice(&answer.body).unwrap();
            let bytes = STANDARD.decode(written["data"][0]["embedding"].as_str().unwrap()).unwrap();
            let read: Vec<f32> = bytes.chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
            prop_assert_eq!(&read, &numbers, "{:?}", kind);
        }
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(kind in any_kind(), bytes in vec(any::<u8>(), 0..200), status in 100_u16..600) {
        let bytes = Bytes::from(bytes);
        let request = request(&json!({"model": "m", "input": "a", "encoding_format": "base64"}));
        let context = AnswerContext { request: Some(&request), ..AnswerContext::default() };
        let _ = service(kind).decode_whole(bytes.clone(), &context);
        let now = std::time::SystemTime::UNIX_EPOCH;
        let _ = service(kind).decode_failure(status, &http::HeaderMap::new(), &bytes, "", now);
        let mut stream = service(kind).stream_decoder(&context);
        let _ = stream.push(bytes, &mut Vec::new());
        let ended = stream.finish(&mut Vec::new());
        prop_assert!(ended.is_err() || NATIVE.contains(&kind));
    }
}

#[test]
fn a_million_inputs_are_refused_and_not_embedded() {
    let request = request(&json!({"model": "m", "input": vec!["a"; 1_000_000]}));
    let options = EncodeOptions {
        upstream_model: "cohere.embed-v4:0",
        ..EncodeOptions::default()
    };
    for kind in TRANSLATED.into_iter().chain([Kind::Echo, Kind::Mistral]) {
        let refusal = service(kind).encode(&request, &options).unwrap_err();
        assert!(refusal.message.contains(&INPUTS_MAX.to_string()), "{refusal}");
    }
}
