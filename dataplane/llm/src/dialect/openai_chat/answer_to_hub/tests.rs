//! Answers and streams in the shapes in which servers really write them.

use serde_json::json;

use super::stream::Decoder;
use super::*;
use crate::hub::{Delta, Event};
use crate::translate::EventDecoder;

static MEND: Mend = Mend {
    signs: &["\"eos\"", "\"broken\"", "\"x_groq\""],
    finish_reasons: &[("eos", "stop")],
    failures: &["broken"],
    usage_in: Some("x_groq"),
};

/// What one choice with this message and reason comes to, a line for each thing that was said.
fn whole(message: &str, reason: &str) -> Result<(Vec<String>, FinishReason), WireFailure> {
    let body = format!("{{\"choices\":[{{\"index\":0,\"message\":{message},\"finish_reason\":{reason}}}]}}");
    let answer = read(body.as_bytes(), Some(&MEND))?;
    let [choice] = &answer.choices[..] else {
        panic!("{answer:?}")
    };
    Ok((choice.output.iter().map(line).collect(), choice.finish_reason))
}

fn line(output: &Output) -> String {
    match output {
        Output::Text(text) => format!("text {text}"),
        Output::Refusal(text) => format!("refusal {text}"),
        Output::Reasoning { text, signature } => format!("thought {text} {signature:?}"),
        Output::RedactedReasoning { data } => format!("sealed {data}"),
        Output::ToolCall {
            id,
            name,
            arguments,
            signature,
        } => format!("call {id} {name} {arguments} {signature:?}"),
        Output::Media { mime_type, base64 } => format!("media {mime_type} {base64}"),
    }
}

#[track_caller]
fn check(message: &str, expected: &[&str]) {
    assert_eq!(whole(message, "\"stop\"").expect("an answer").0, expected, "{message}");
}

#[test]
fn text_is_text_however_it_is_written() {
    check(r#"{"role":"assistant","content":"việt\n"}"#, &["text việt\n"]);
    check(r#"{"content":null}"#, &[]);
    check(r#"{"content":""}"#, &[]);
    check(
        r#"{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}"#,
        &["text a", "text b"],
    );
    check(r#"{"content":[{"type":"refusal","refusal":"no"}]}"#, &["refusal no"]);
    check(r#"{"content":null,"refusal":"no"}"#, &["refusal no"]);
    check("null", &[]);
}

#[test]
fn thoughts_are_read_once_from_wherever_they_stand() {
    check(
        r#"{"content":"b","reasoning_content":"a"}"#,
        &["thought a None", "text b"],
    );
    check(r#"{"content":"b","reasoning":"a"}"#, &["thought a None", "text b"]);
    check(r#"{"reasoning":"a","reasoning_content":""}"#, &["thought a None"]);
    check(r#"{"content":"b","reasoning":{"of":"another type"}}"#, &["text b"]);
    let details = r#"{"reasoning":"ab","reasoning_details":[{"type":"reasoning.text","text":"a","signature":"s"},
        {"type":"reasoning.encrypted","data":"d"},{"type":"reasoning.summary","summary":"b"}]}"#;
    check(details, &["thought a Some(\"s\")", "sealed d", "thought b None"]);
    let sealed = r#"{"reasoning":"a","reasoning_details":[{"type":"reasoning.encrypted","data":"d"}]}"#;
    check(sealed, &["thought a None", "sealed d"]);
    check(
        r#"{"reasoning_details":[{"signature":"s"}]}"#,
        &["thought  Some(\"s\")"],
    );
}

#[test]
fn calls_are_whole_however_their_arguments_are_written() {
    let call = |arguments: &str| {
        format!(
            r#"{{"tool_calls":[{{"id":"c","type":"function","function":{{"name":"f","arguments":{arguments}}}}}]}}"#
        )
    };
    check(&call(r#""{\"a\": 1.50}""#), &["call c f {\"a\": 1.50} None"]);
    check(&call(r#"{"a": 1.50}"#), &["call c f {\"a\": 1.50} None"]);
    for nothing in ["\"\"", "\" \"", "null"] {
        check(&call(nothing), &["call c f {} None"]);
    }
    let old = r#"{"content":null,"function_call":{"name":"f","arguments":"{}"}}"#;
    check(old, &["call  f {} None"]);
    let signed =
        r#"{"tool_calls":[{"id":"c","function":{"name":"f"},"extra_content":{"google":{"thought_signature":"s"}}}]}"#;
    check(signed, &["call c f {} Some(\"s\")"]);
    for broken in [
        r#"{"tool_calls":[{"id":"c"}]}"#,
        r#"{"tool_calls":[{"function":{"arguments":"{}"}}]}"#,
    ] {
        assert_eq!(whole(broken, "null").expect_err("broken").kind, FailureKind::Protocol);
    }
}

#[test]
fn pictures_that_are_here_are_read_and_those_elsewhere_passed_over() {
    let images = r#"{"content":"a","images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},
        {"type":"image_url","image_url":{"url":"https://host/a.png"}}]}"#;
    check(images, &["text a", "media image/png AAAA"]);
}

#[test]
fn the_reason_is_what_came_out_of_it() {
    let call = r#"{"tool_calls":[{"function":{"name":"f"}}]}"#;
    for (message, reason, expected) in [
        (call, "\"stop\"", FinishReason::ToolCalls),
        (call, "null", FinishReason::ToolCalls),
        (call, "\"length\"", FinishReason::Length),
        ("{}", "\"tool_calls\"", FinishReason::Stop),
        ("{}", "\"function_call\"", FinishReason::Stop),
        ("{}", "\"content_filter\"", FinishReason::ContentFilter),
        ("{}", "\"eos\"", FinishReason::Stop),
        ("{}", "\"invented_tomorrow\"", FinishReason::Stop),
    ] {
        assert_eq!(
            whole(message, reason).expect("an answer").1,
            expected,
            "{message} {reason}"
        );
    }
    for failed in ["\"error\"", "\"broken\""] {
        let failure = whole("{}", failed).expect_err("a failure");
        assert_eq!((failure.kind, failure.status), (FailureKind::Server, Some(503)));
    }
}

#[test]
fn what_stands_beside_the_choices_is_kept() {
    let body = json!({
        "id": "c-1", "model": "m-1", "created": 7.0,
        "choices": [
            {"index": 1, "message": {"content": "b"}, "finish_reason": "stop"},
            {"index": 0, "message": {"content": "a"}, "finish_reason": "stop", "logprobs": {"content": [], "refusal": null}},
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}},
    });
    let answer = read(body.to_string().as_bytes(), None).unwrap();
    assert_eq!(
        (answer.id.as_deref(), answer.model.as_deref()),
        (Some("c-1"), Some("m-1"))
    );
    let lines: Vec<_> = answer
        .choices
        .iter()
        .flat_map(|choice| &choice.output)
        .map(line)
        .collect();
    assert_eq!(lines, ["text a", "text b"]);
    assert!(answer.choices[0].logprobs.is_some() && answer.choices[1].logprobs.is_none());
    let usage = answer.usage.unwrap();
    assert_eq!(
        (usage.input_tokens, usage.cached_input_tokens, usage.output_tokens),
        (6, 4, 5)
    );
}

#[test]
fn an_error_under_status_200_is_one() {
    let failure = read(br#"{"error":{"message":"busy","type":"overloaded","code":503}}"#, None).unwrap_err();
    assert_eq!((failure.kind, failure.status), (FailureKind::Server, Some(503)));
    let words = (
        failure.message.as_deref(),
        failure.error_type.as_deref(),
        failure.code.as_deref(),
    );
    assert_eq!(words, (Some("busy"), Some("overloaded"), Some("503")));
    for broken in [
        "",
        "[]",
        "{}",
        "null",
        r#"{"choices":[]}"#,
        r#"{"choices":[{"message":{"content":5}}]}"#,
    ] {
        let failure = read(broken.as_bytes(), None).unwrap_err();
        assert_eq!(
            (failure.kind, failure.message),
            (FailureKind::Protocol, None),
            "{broken}"
        );
    }
}

/// What a stream comes to, decoded in one piece and byte by byte, which must make no difference.
fn stream(text: &str) -> (Vec<String>, Result<(), WireFailure>) {
    let decode = |length: usize| {
        let mut decoder = Decoder::mending(Some(&MEND));
        let mut events = Vec::new();
        let mut pieces = text.as_bytes().chunks(length.max(1));
        let result = pieces.try_for_each(|piece| decoder.push(piece, &mut events));
        let result = result.and_then(|()| decoder.finish(&mut events));
        (events.iter().map(event_line).collect::<Vec<_>>(), result)
    };
    let whole = decode(text.len());
    assert_eq!(decode(1), whole, "{text}");
    assert_eq!(decode(7), whole, "{text}");
    whole
}

fn event_line(event: &Event) -> String {
    match event {
        Event::Start { id, model } => format!("start {id:?} {model:?}"),
        Event::Delta { choice, delta } => format!(
            "{choice} {}",
            match delta {
                Delta::Text(text) => format!("text {text}"),
                Delta::Refusal(text) => format!("refusal {text}"),
                Delta::Reasoning(text) => format!("thought {text}"),
                Delta::ReasoningSignature(proof) => format!("proof {proof}"),
                Delta::RedactedReasoning(data) => format!("sealed {data}"),
                Delta::ToolCallStart { index, id, name, .. } => format!("call {index} {id} {name}"),
                Delta::ToolCallArguments { index, text } => format!("arguments {index} {text}"),
                Delta::Media { mime_type, base64 } => format!("media {mime_type} {base64}"),
                Delta::Logprobs(json) => format!("logprobs {json}"),
            }
        ),
        Event::Finish { choice, reason } => format!("{choice} finish {}", reason.as_str()),
        Event::Usage(usage) => format!("usage {} {}", usage.input_tokens, usage.output_tokens),
        Event::End => "end".to_owned(),
    }
}

fn delta(delta: &str) -> String {
    format!(
        "data: {{\"id\":\"c-1\",\"model\":\"m-1\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":null}}]}}\n\n"
    )
}

fn reason(word: &str) -> String {
    format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"{word}\"}}]}}\n\n")
}

const DONE: &str = "data: [DONE]\n\n";
const START: &str = "start Some(\"c-1\") Some(\"m-1\")";

#[track_caller]
fn check_stream(events: &[String], expected: &[&str]) {
    let (lines, result) = stream(&events.concat());
    assert_eq!(lines, expected);
    assert_eq!(result, Ok(()));
}

#[test]
fn a_stream_is_told_as_it_comes_and_its_reason_at_its_end() {
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n".to_owned();
    let events = [
        ": comment\n\n".to_owned(),
        delta(r#"{"role":"assistant","content":""}"#),
        delta(r#"{"reasoning_content":"a"}"#),
        delta(r#"{"content":"b"}"#),
        reason("length"),
        usage,
        DONE.to_owned(),
    ];
    check_stream(
        &events,
        &[START, "0 thought a", "0 text b", "usage 3 4", "0 finish length", "end"],
    );
}

#[test]
fn a_stream_without_done_is_whole_when_every_choice_has_its_reason() {
    check_stream(
        &[delta(r#"{"content":"b"}"#), reason("eos")],
        &[START, "0 text b", "0 finish stop", "end"],
    );
    let unclosed = reason("stop").trim_end().to_owned();
    check_stream(
        &[delta(r#"{"content":"b"}"#), unclosed],
        &[START, "0 text b", "0 finish stop", "end"],
    );
    let (lines, result) = stream(&delta(r#"{"content":"b"}"#));
    assert_eq!(
        (lines.last().map(String::as_str), result),
        (Some("0 text b"), Ok(())),
        "cut: no end"
    );
    let cut = delta(r#"{"content":"b"}"#) + "data: {\"choices\":[{\"index\":0,\"del";
    assert_eq!(stream(&cut).0.last().map(String::as_str), Some("0 text b"));
    assert_eq!(stream("").0, Vec::<String>::new());
}

#[test]
fn done_without_a_reason_is_a_stop_and_text_behind_a_reason_is_kept() {
    check_stream(
        &[delta(r#"{"content":"b"}"#), DONE.to_owned()],
        &[START, "0 text b", "0 finish stop", "end"],
    );
    let late = [
        reason("stop"),
        delta(r#"{"content":"b"}"#),
        DONE.to_owned(),
        delta(r#"{"content":"c"}"#),
    ];
    check_stream(&late, &["start None None", "0 text b", "0 finish stop", "end"]);
}

fn calls(deltas: &[&str], expected: &[&str]) {
    let mut events: Vec<_> = deltas
        .iter()
        .map(|call| delta(&format!("{{\"tool_calls\":{call}}}")))
        .collect();
    events.extend([reason("stop"), DONE.to_owned()]);
    let expected = [&[START], expected, &["0 finish tool_calls", "end"]].concat();
    check_stream(&events, &expected);
}

#[test]
fn calls_are_put_together_by_their_index() {
    calls(
        &[
            r#"[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]"#,
            r#"[{"index":0,"function":{"arguments":"{\"x\":"}}]"#,
            r#"[{"index":0,"function":{"arguments":"1}"}}]"#,
            r#"[{"index":1,"id":"b","function":{"name":"g","arguments":"{}"}}]"#,
        ],
        &[
            "0 call 0 a f",
            "0 arguments 0 {\"x\":",
            "0 arguments 0 1}",
            "0 call 1 b g",
            "0 arguments 1 {}",
        ],
    );
}

#[test]
fn a_call_without_arguments_gets_empty_ones() {
    calls(
        &[
            r#"[{"index":0,"id":"a","function":{"name":"f","arguments":""}}]"#,
            r#"[{"index":1,"id":"b","function":{"name":"g"}}]"#,
        ],
        &["0 call 0 a f", "0 arguments 0 {}", "0 call 1 b g", "0 arguments 1 {}"],
    );
}

#[test]
fn servers_that_send_whole_calls_number_them_alike_or_repeat_their_names_are_understood() {
    let two = &[
        "0 call 0 a f",
        "0 arguments 0 {\"x\":1}",
        "0 call 1 b f",
        "0 arguments 1 {\"x\":2}",
    ];
    let whole = |index: &str, id: &str, x: u32| {
        format!("{{{index}\"id\":\"{id}\",\"function\":{{\"name\":\"f\",\"arguments\":\"{{\\\"x\\\":{x}}}\"}}}}")
    };
    for index in ["", "\"index\":0,"] {
        let (a, b) = (whole(index, "a", 1), whole(index, "b", 2));
        calls(&[&format!("[{a},{b}]")], two);
        calls(&[&format!("[{a}]"), &format!("[{b}]")], two);
    }
    let object = r#"[{"index":0,"id":"a","function":{"name":"f","arguments":{"x":1}}}]"#;
    calls(&[object], &two[..2]);
    calls(
        &[
            r#"[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}]"#,
            r#"[{"index":0,"id":"a","function":{"name":"f","arguments":"}"}}]"#,
            r#"[{"function":{"arguments":" "}}]"#,
        ],
        &["0 call 0 a f", "0 arguments 0 {", "0 arguments 0 }", "0 arguments 0  "],
    );
}

#[test]
fn the_old_form_of_a_call_is_one() {
    let events = [
        delta(r#"{"function_call":{"name":"f","arguments":""}}"#),
        delta(r#"{"function_call":{"arguments":"{}"}}"#),
        reason("function_call"),
        DONE.to_owned(),
    ];
    check_stream(
        &events,
        &[START, "0 call 0  f", "0 arguments 0 {}", "0 finish tool_calls", "end"],
    );
}

#[test]
fn calls_that_nobody_can_put_together_are_a_failure() {
    for broken in [
        vec![r#"[{"index":0,"function":{"arguments":"{}"}}]"#],
        vec![
            r#"[{"index":0,"id":"a","function":{"name":"f"}},{"index":1,"id":"b","function":{"name":"g"}}]"#,
            r#"[{"index":0,"function":{"arguments":"{\"x\":1}"}}]"#,
        ],
    ] {
        let events: Vec<_> = broken
            .iter()
            .map(|call| delta(&format!("{{\"tool_calls\":{call}}}")))
            .collect();
        let failure = stream(&events.concat()).1.expect_err("broken");
        assert_eq!(failure.kind, FailureKind::Protocol);
    }
    let many: Vec<_> = (0..300)
        .map(|index| format!("{{\"index\":{index},\"id\":\"{index}\",\"function\":{{\"name\":\"f\"}}}}"))
        .collect();
    let many = delta(&format!("{{\"tool_calls\":[{}]}}", many.join(",")));
    assert!(stream(&many).1.is_err());
}

#[test]
fn thoughts_of_a_stream_keep_their_proof_and_are_said_once() {
    let events = [
        delta(r#"{"reasoning":"a","reasoning_details":[{"type":"reasoning.text","text":"a","index":0}]}"#),
        delta(r#"{"reasoning":null,"reasoning_details":[{"type":"reasoning.text","signature":"s","index":0}]}"#),
        delta(r#"{"reasoning_details":[{"type":"reasoning.encrypted","data":"d"}]}"#),
        reason("stop"),
        DONE.to_owned(),
    ];
    check_stream(
        &events,
        &[START, "0 thought a", "0 proof s", "0 sealed d", "0 finish stop", "end"],
    );
}

#[test]
fn choices_are_told_apart_and_log_probabilities_follow_their_text() {
    let two =
        "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b\"},\"logprobs\":{\"content\":[]}},{\"index\":0,\
               \"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n"
            .to_owned();
    let end = "data: {\"choices\":[{\"index\":1,\"delta\":{},\"finish_reason\":\"length\"}]}\n\n".to_owned();
    let expected = [
        "start None None",
        "1 text b",
        "1 logprobs {\"content\":[]}",
        "0 text a",
        "1 finish length",
        "0 finish stop",
        "end",
    ];
    check_stream(&[two, end], &expected);
    let mad = "data: {\"choices\":[{\"index\":4000000000,\"delta\":{}}]}\n\n";
    assert_eq!(stream(mad).1.expect_err("too many").kind, FailureKind::Protocol);
}

#[test]
fn what_a_filter_found_comes_first_and_starts_nothing() {
    let filter = "data: {\"id\":\"\",\"model\":\"\",\"choices\":[],\"prompt_filter_results\":[]}\n\n".to_owned();
    let events = [
        filter,
        delta(r#"{"content":"b"}"#),
        reason("content_filter"),
        DONE.to_owned(),
    ];
    check_stream(&events, &[START, "0 text b", "0 finish content_filter", "end"]);
}

#[test]
fn events_of_a_server_with_words_of_its_own_are_mended() {
    let usage =
        "data: {\"choices\":[],\"x_groq\":{\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}}\n\n".to_owned();
    let events = [delta(r#"{"content":"b"}"#), reason("eos"), usage, DONE.to_owned()];
    check_stream(&events, &[START, "0 text b", "usage 3 4", "0 finish stop", "end"]);
    let (lines, result) = stream(&[delta(r#"{"content":"b"}"#), reason("broken")].concat());
    assert_eq!(
        (lines.len(), result.expect_err("a failure").kind),
        (2, FailureKind::Server)
    );
}

#[test]
fn an_error_in_a_stream_ends_it() {
    let error = r#"{"error":{"message":"busy","code":503}}"#;
    for (event, kind) in [
        (format!("data: {error}\n\n"), FailureKind::Server),
        (format!("data: {error}"), FailureKind::Server),
        (
            "event: error\ndata: {\"message\":\"slow down\",\"code\":\"rate_limit_exceeded\"}\n\n".to_owned(),
            FailureKind::RateLimit,
        ),
        ("data: {\"error\":5}\n\n".to_owned(), FailureKind::Protocol),
        ("data: not JSON\n\n".to_owned(), FailureKind::Protocol),
    ] {
        let (lines, result) = stream(&(delta(r#"{"content":"b"}"#) + &event));
        assert_eq!(lines, [START, "0 text b"]);
        assert_eq!(result.expect_err("a failure").kind, kind, "{event}");
    }
}
