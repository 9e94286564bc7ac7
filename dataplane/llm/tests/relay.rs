//! What the stream relay promises beside the bytes: no copies, bounds, the moment of commitment.

use bytes::Bytes;
use headgate_llm::dialect::openai_chat::error::{self, ErrorObject};
use headgate_llm::dialect::openai_chat::stream::Tap;
use headgate_llm::failure::FailureKind;
use headgate_llm::provider::StreamDecoder;
use headgate_llm::sse::{self, EVENT_BYTES_MAX};

fn delta(content: &str) -> String {
    format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{content},\"finish_reason\":null}}]}}\n\n")
}

fn is_slice_of(part: &Bytes, whole: &Bytes) -> bool {
    let whole = whole.as_ptr_range();
    let part = part.as_ptr_range();
    whole.start <= part.start && part.end <= whole.end
}

#[test]
fn what_arrives_together_leaves_as_one_slice_without_a_copy() {
    let chunk = Bytes::from(delta("{\"content\":\"a\"}").repeat(5));
    let mut out = Vec::new();
    Tap::new(true).push(chunk.clone(), &mut out).unwrap();
    assert_eq!(out, std::slice::from_ref(&chunk));
    assert!(is_slice_of(&out[0], &chunk));
}

#[test]
fn only_the_event_that_was_split_is_copied() {
    let stream = Bytes::from(delta("{\"content\":\"a\"}").repeat(4));
    let event_length = stream.len() / 4;
    let (first, second) = (stream.slice(..event_length + 10), stream.slice(event_length + 10..));
    let (mut tap, mut out) = (Tap::new(true), Vec::new());
    tap.push(first.clone(), &mut out).unwrap();
    assert_eq!(out, [stream.slice(..event_length)], "half an event waits");
    tap.push(second.clone(), &mut out).unwrap();
    assert_eq!(out.len(), 3);
    assert!(is_slice_of(&out[0], &first) && !is_slice_of(&out[1], &second) && is_slice_of(&out[2], &second));
    assert_eq!(out.concat(), stream);
}

#[test]
fn taking_an_event_out_leaves_the_slices_around_it() {
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\n";
    let text = delta("{\"content\":\"a\"}");
    let chunk = Bytes::from(format!("{text}{text}{usage}data: [DONE]\n\n"));
    let mut out = Vec::new();
    Tap::new(true).push(chunk.clone(), &mut out).unwrap();
    assert_eq!(
        out,
        [chunk.slice(..2 * text.len()), Bytes::from_static(b"data: [DONE]\n\n")]
    );
    assert!(out.iter().all(|part| is_slice_of(part, &chunk)));
}

#[test]
fn only_the_first_content_commits() {
    let commits = |content: &str| {
        let mut tap = Tap::new(true);
        tap.push(Bytes::from(delta(content)), &mut Vec::new()).unwrap();
        tap.progress().has_content
    };
    for waits in [
        "{}",
        "null",
        r#"{"role":"assistant"}"#,
        r#"{"role":"assistant","content":"","refusal":null,"tool_calls":[],"reasoning_content":"","audio":{}}"#,
    ] {
        assert!(!commits(waits), "{waits}");
    }
    for content in [
        r#"{"content":"a"}"#,
        r#"{"content":"\n"}"#,
        r#"{"reasoning_content":"a"}"#,
        r#"{"reasoning":"a"}"#,
        r#"{"refusal":"no"}"#,
        r#"{"tool_calls":[{"index":0}]}"#,
        r#"{"function_call":{"name":"f"}}"#,
        r#"{"audio":{"id":"a"}}"#,
        r#"{"images":[{"type":"image_url"}]}"#,
        r#"{"role":"assistant","invented_tomorrow":"a"}"#,
    ] {
        assert!(commits(content), "{content}");
    }
}

#[test]
fn a_terminal_event_commits_and_completes() {
    let mut tap = Tap::new(true);
    tap.push(Bytes::from_static(b"data: [DONE]\n\n"), &mut Vec::new())
        .unwrap();
    assert!(tap.progress().has_content && tap.progress().is_complete);
}

#[test]
fn an_event_above_the_bound_ends_the_stream_wherever_it_is_cut() {
    let line = Bytes::from(vec![b'a'; EVENT_BYTES_MAX]);
    let (mut tap, mut out) = (Tap::new(true), Vec::new());
    tap.push(Bytes::from_static(b": hello\n\n"), &mut out).unwrap();
    tap.push(line.clone(), &mut out).unwrap();
    let failure = tap.push(Bytes::from_static(b"b"), &mut out).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Protocol);
    assert_eq!(out.concat(), b": hello\n\n");

    let mut tap = Tap::new(true);
    let failure = tap
        .push(Bytes::from([line.as_ref(), b"\n\n"].concat()), &mut out)
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Protocol);
}

#[test]
fn nothing_follows_a_failure() {
    let (mut tap, mut out) = (Tap::new(true), Vec::new());
    let content = delta("{\"content\":\"a\"}");
    let stream = format!("{content}data: {{\"error\":{{\"message\":\"no\"}}}}\n\n{content}data: [DONE]\n\n");
    assert_eq!(
        tap.push(Bytes::from(stream), &mut out).unwrap_err().kind,
        FailureKind::Server
    );
    let after = out.len();
    tap.push(Bytes::from_static(b"data: [DONE]\n\n"), &mut out).unwrap();
    assert_eq!(tap.finish(&mut out).unwrap_err().kind, FailureKind::Cut);
    assert_eq!((out.len(), out.concat()), (after, content.into_bytes()));
}

#[test]
fn a_choice_index_beyond_all_bounds_is_a_failure() {
    let event = delta("{\"content\":\"a\"}").replace("\"index\":0", "\"index\":128");
    let (mut tap, mut out) = (Tap::new(true), Vec::new());
    assert_eq!(
        tap.push(Bytes::from(event.clone()), &mut out).unwrap_err().kind,
        FailureKind::Protocol
    );
    let mut tap = Tap::new(true);
    tap.push(Bytes::from(delta("{\"content\":\"a\"}")), &mut out).unwrap();
    assert_eq!(
        tap.push(Bytes::from(event), &mut out).unwrap_err().kind,
        FailureKind::Protocol
    );
}

#[test]
fn the_error_event_is_one_line_with_all_four_keys() {
    let body = ErrorObject {
        message: "a\nb \"c\"",
        r#type: "server_error",
        param: None,
        code: Some("x"),
    }
    .body();
    assert_eq!(
        body,
        r#"{"error":{"message":"a\nb \"c\"","type":"server_error","param":null,"code":"x"}}"#
    );
    assert_eq!(error::event(&body), [b"data: ".as_slice(), &body, b"\n\n"].concat());
}

#[test]
fn data_and_names_of_events_are_read_as_the_standard_says() {
    let data =
        |event: &'static str| sse::data(event.as_bytes()).map(|data| String::from_utf8(data.into_owned()).unwrap());
    assert_eq!(data("data: a\n\n").as_deref(), Some("a"));
    assert_eq!(data("data:a").as_deref(), Some("a"));
    assert_eq!(data("data:  a\r\n\r\n").as_deref(), Some(" a"));
    assert_eq!(data("data: a\ndata:\r\ndata:b\r\n\n").as_deref(), Some("a\n\nb"));
    assert_eq!(data("\u{feff}data: a\n\n").as_deref(), Some("a"));
    assert_eq!(data("id: 1\ndata: a\nevent: e\n\n").as_deref(), Some("a"));
    assert_eq!(data("data\n\n").as_deref(), Some(""));
    for none in ["", "\n", ": data: a\n\n", "id: 1\n\n", "database: 1\n\n"] {
        assert_eq!(data(none), None, "{none:?}");
    }
    assert_eq!(sse::name(b"event: a\ndata: x\nevent:b\n\n"), Some(b"b".as_slice()));
    assert_eq!(sse::name(b"data: event: a\n\n"), None);
}
