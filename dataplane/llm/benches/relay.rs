//! What the gateway adds to a body and to an event: scan and splice of a request, reading a whole answer, relaying a
//! stream; and the same where the provider speaks another dialect and all of it is translated. Run with `cargo bench -p headgate-llm`.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use headgate_llm::dialect::openai_chat::stream::Tap;
use headgate_llm::endpoint::Endpoint;
use headgate_llm::provider::{self, AnswerContext, EncodeOptions, Kind, StreamDecoder};
use headgate_llm::request::ModelRequest;
use headgate_llm::service::Service;

const EVENTS: usize = 1_000;

fn chat(kind: Kind) -> Service {
    let service = provider::of(kind).serve(Endpoint::ChatCompletions, &EncodeOptions::default());
    service.expect("every provider serves chats")
}

fn request_of(bytes: usize, stream: bool) -> Bytes {
    let head = format!("{{\"model\":\"fast\",\"stream\":{stream},\"temperature\":0.7,\"messages\":[");
    let message = "{\"role\":\"user\",\"content\":\"Please summarise this text: \\\"the quick brown fox jumps over the \
                   lazy dog\\\".\\nThen list three facts about it.\"}";
    let count = (bytes.saturating_sub(head.len()) / (message.len() + 1)).max(1);
    Bytes::from(format!("{head}{}]}}", vec![message; count].join(",")))
}

fn requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request");
    for (name, bytes) in [("250B", 250), ("100KB", 100_000)] {
        let body = request_of(bytes, true);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(format!("scan {name}"), |bencher| {
            bencher.iter(|| ModelRequest::parse(Endpoint::ChatCompletions, black_box(body.clone())));
        });
        let options = EncodeOptions {
            upstream_model: "gpt-4.1-mini",
            ..EncodeOptions::default()
        };
        for (what, kind) in [("splice", Kind::OpenAI), ("translate", Kind::Anthropic)] {
            group.bench_function(format!("scan and {what} {name}"), |bencher| {
                bencher.iter(|| {
                    let request =
                        ModelRequest::parse(Endpoint::ChatCompletions, black_box(body.clone())).expect("a valid body");
                    chat(kind).encode(&request, &options)
                });
            });
        }
    }
    group.finish();
}

fn answers(criterion: &mut Criterion) {
    let body = Bytes::from_static(
        br#"{"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion","created":1741569952,"model":"gpt-4.1","choices":[{"index":0,"message":{"role":"assistant","content":"Hello! How can I assist you today?","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}"#,
    );
    criterion.bench_function("answer 430B", |bencher| {
        bencher.iter(|| chat(Kind::OpenAI).decode_whole(black_box(body.clone()), &AnswerContext::default()));
    });
}

fn translated_answers(criterion: &mut Criterion) {
    let body = Bytes::from_static(
        br#"{"id":"msg_01XFDUDYJgAACzvnptvVoYEL","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{"type":"text","text":"Hello! How can I assist you today?"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":19,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":10,"service_tier":"standard"}}"#,
    );
    criterion.bench_function("translated answer 330B", |bencher| {
        bencher.iter(|| chat(Kind::Anthropic).decode_whole(black_box(body.clone()), &AnswerContext::default()));
    });
    let event = Bytes::from_static(
        b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" word\"}}\n\n",
    );
    let mut group = criterion.benchmark_group(format!("translated stream of {EVENTS} events of {} bytes", event.len()));
    group.throughput(Throughput::Elements(EVENTS as u64));
    group.bench_function("one event a read", |bencher| {
        bencher.iter(|| {
            let mut decoder = chat(Kind::Anthropic).stream_decoder(&AnswerContext::default());
            let mut out = Vec::with_capacity(4);
            for _ in 0..EVENTS {
                decoder.push(black_box(event.clone()), &mut out).expect("a valid event");
                out.clear();
            }
            decoder.progress().output_bytes
        });
    });
    group.finish();
}

fn streams(criterion: &mut Criterion) {
    let event = "data: {\"id\":\"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG\",\"object\":\"chat.completion.chunk\",\
                 \"created\":1741570283,\"model\":\"gpt-4.1\",\"service_tier\":\"default\",\"choices\":[{\"index\":0,\
                 \"delta\":{\"content\":\" word\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n";
    let mut group = criterion.benchmark_group(format!("stream of {EVENTS} events of {} bytes", event.len()));
    group.throughput(Throughput::Elements(EVENTS as u64));
    for (name, events_together) in [("one event a read", 1), ("eight events a read", 8)] {
        let chunk = Bytes::from(event.repeat(events_together));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut tap = Tap::new(true);
                let mut out = Vec::with_capacity(4);
                for _ in 0..EVENTS / events_together {
                    tap.push(black_box(chunk.clone()), &mut out).expect("a valid event");
                    out.clear();
                }
                tap.progress().output_bytes
            });
        });
    }
    group.finish();
}

criterion_group!(benches, requests, answers, translated_answers, streams);
criterion_main!(benches);
