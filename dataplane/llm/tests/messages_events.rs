//! Streams of the Messages dialect, whatever provider stands behind: the grammar of blocks holds for any events, and nothing
//! that was said is lost.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use headgate_llm::dialect::anthropic_messages::AnthropicMessages;
use headgate_llm::hub::{Delta, Event, FinishReason};
use headgate_llm::provider::{AnswerContext, Progress};
use headgate_llm::translate::{Dialect, WireFailure};
use headgate_llm::usage::Usage;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

const CONTEXT: AnswerContext<'static> = AnswerContext {
    request: None,
    id: "r1",
    now_unix_seconds: 1_700_000_000,
    requested_model: "asked",
    upstream_model: "served",
    include_usage: false,
    strip_usage: false,
};

/// The bytes, what was learnt, and how it ended; each event is written by itself.
fn write(events: &[Event]) -> (String, Progress, Result<(), WireFailure>) {
    let mut writer = AnthropicMessages.writer(&CONTEXT);
    let (mut out, mut result) = (Vec::new(), Ok(()));
    for event in events {
        result = writer.write(&mut vec![event.clone()], &mut out);
        if result.is_err() {
            break;
        }
    }
    let text = String::from_utf8(out.concat()).unwrap();
    (text, writer.progress().clone(), result)
}

fn data(stream: &str) -> Vec<Value> {
    let event = |event: &str| {
        let (name, data) = event.split_once("\ndata: ").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
        data
    };
    stream.split_terminator("\n\n").map(event).collect()
}

/// Puts a message together as the SDKs do, and asserts on the way what they rely on.
fn message(events: &[Value]) -> Value {
    let mut message = events[0]["message"].clone();
    assert_eq!(
        (&events[0]["type"], &message["content"]),
        (&json!("message_start"), &json!([]))
    );
    let (mut open, mut has_reason, mut is_stopped) = (None, false, false);
    let mut blocks: Vec<Value> = Vec::new();
    let mut inputs: Vec<String> = Vec::new();
    for event in &events[1..] {
        assert!(!is_stopped, "behind the end: {event}");
        let index = || usize::try_from(event["index"].as_u64().unwrap()).unwrap();
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                assert_eq!((open, index(), has_reason), (None, blocks.len(), false), "{event}");
                open = Some(index());
                blocks.push(event["content_block"].clone());
                inputs.push(String::new());
            }
            "content_block_delta" => {
                assert_eq!(open, Some(index()), "{event}");
                let (delta, block) = (&event["delta"], &mut blocks[index()]);
                let (kind, member, more) = match delta["type"].as_str().unwrap() {
                    "text_delta" => ("text", "text", &delta["text"]),
                    "thinking_delta" => ("thinking", "thinking", &delta["thinking"]),
                    "signature_delta" => ("thinking", "signature", &delta["signature"]),
                    "input_json_delta" => {
                        assert_eq!(block["type"], "tool_use");
                        inputs[index()].push_str(delta["partial_json"].as_str().unwrap());
                        continue;
                    }
                    other => panic!("{other}"),
                };
                assert_eq!(block["type"], kind, "{event}");
                let before = block[member].as_str().unwrap();
                assert!(member != "signature" || before.is_empty(), "a thought is signed once");
                block[member] = format!("{before}{}", more.as_str().unwrap()).into();
            }
            "content_block_stop" => {
                assert_eq!(open.take(), Some(index()), "{event}");
            }
            "message_delta" => {
                assert!(open.is_none() && !has_reason, "{event}");
                has_reason = true;
                message["stop_reason"] = event["delta"]["stop_reason"].clone();
                message["usage"] = event["usage"].clone();
            }
            "message_stop" => {
                assert!(has_reason, "{event}");
                is_stopped = true;
            }
            other => panic!("{other}"),
        }
    }
    for (block, input) in blocks.iter_mut().zip(inputs) {
        if block["type"] == "tool_use" {
            assert_eq!(block["input"], json!({}));
            block["input"] = input.into();
        }
    }
    message["content"] = blocks.into();
    message
}

fn said(delta: Delta) -> Event {
    Event::Delta { choice: 0, delta }
}

fn text(text: &str) -> Event {
    said(Delta::Text(text.into()))
}

fn call(index: u32) -> Event {
    let (id, name) = (format!("call_{index}"), format!("f{index}"));
    said(Delta::ToolCallStart {
        index,
        id,
        name,
        signature: None,
    })
}

fn arguments(index: u32, text: &str) -> Event {
    let text = text.into();
    said(Delta::ToolCallArguments { index, text })
}

fn end(reason: FinishReason) -> [Event; 2] {
    [Event::Finish { choice: 0, reason }, Event::End]
}

#[track_caller]
fn content(events: &[Event]) -> Value {
    let (stream, progress, result) = write(events);
    assert!(result.is_ok() && progress.is_complete, "{result:?} {stream}");
    message(&data(&stream))["content"].clone()
}

fn tool_use(index: u32, input: &str) -> Value {
    json!({"type": "tool_use", "id": format!("call_{index}"), "name": format!("f{index}"), "input": input})
}

#[test]
fn calls_whose_arguments_interleave_are_whole_blocks_in_order() {
    let events = [
        call(0),
        arguments(0, "{\"a\":"),
        call(1),
        arguments(1, "{\"b\":["),
        arguments(0, "1"),
        call(2),
        arguments(2, "{}"),
        arguments(1, "2]}"),
        arguments(0, "}"),
    ];
    let expected = json!([tool_use(0, "{\"a\":1}"), tool_use(1, "{\"b\":[2]}"), tool_use(2, "{}")]);
    assert_eq!(
        content(&[&events[..], &end(FinishReason::ToolCalls)].concat()),
        expected
    );
}

#[test]
fn a_call_that_has_ended_holds_nothing_up() {
    let (stream, ..) = write(&[call(0), arguments(0, "{\"a\":\"}\\\"{\"}"), call(1), text("So.")]);
    let opened = |data: &Value| data["content_block"]["type"].as_str().map(ToOwned::to_owned);
    let opened: Vec<_> = data(&stream).iter().filter_map(opened).collect();
    assert_eq!(
        opened,
        ["tool_use", "tool_use"],
        "the text waits behind the second call, which is open"
    );
    let (stream, ..) = write(&[call(0), arguments(0, "{\"a\":\"}\\\"{\"}"), text("So.")]);
    assert!(stream.ends_with("\"text\":\"So.\"}}\n\n"), "{stream}");
}

#[test]
fn what_is_said_in_the_middle_of_a_call_follows_it() {
    let signed = said(Delta::ReasoningSignature("s".into()));
    let events = [
        call(0),
        arguments(0, "{"),
        text("a"),
        text("b"),
        said(Delta::Reasoning("t".into())),
        signed.clone(),
        signed,
        said(Delta::RedactedReasoning("d".into())),
        text("c"),
        arguments(0, "}"),
        text("d"),
    ];
    let expected = json!([
        tool_use(0, "{}"),
        {"type": "text", "text": "ab"},
        {"type": "thinking", "thinking": "t", "signature": "s"},
        {"type": "thinking", "thinking": "", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "text", "text": "cd"},
    ]);
    assert_eq!(content(&[&events[..], &end(FinishReason::Stop)].concat()), expected);
}

#[test]
fn calls_that_never_say_that_they_end_are_written_at_the_end() {
    let events = [
        call(3),
        call(0),
        arguments(0, ""),
        arguments(3, "[1"),
        arguments(0, "no json"),
    ];
    let expected = json!([tool_use(3, "[1"), tool_use(0, "no json")]);
    assert_eq!(content(&[&events[..], &end(FinishReason::Length)].concat()), expected);
}

#[test]
fn a_call_that_begins_twice_is_one_and_one_that_ended_takes_no_more() {
    let events = [call(0), call(0), arguments(0, "{}"), call(1), arguments(0, " \n")];
    assert_eq!(
        content(&[&events[..], &end(FinishReason::Stop)].concat()),
        json!([tool_use(0, "{}"), tool_use(1, "")])
    );
    for late in [arguments(0, "{"), arguments(7, "{}")] {
        let (stream, _, result) = write(&[call(0), arguments(0, "{}"), call(1), late]);
        assert!(result.is_err(), "{stream}");
    }
}

#[test]
fn a_proof_stands_before_its_call() {
    let start = Delta::ToolCallStart {
        index: 0,
        id: "toolu_1".into(),
        name: "f".into(),
        signature: Some("c2ln".into()),
    };
    let events = [said(start.clone()), said(start), arguments(0, "{}")];
    let expected = json!([
        {"type": "redacted_thinking", "data": "tool_use:toolu_1:c2ln"},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": "{}"},
    ]);
    assert_eq!(
        content(&[&events[..], &end(FinishReason::ToolCalls)].concat()),
        expected
    );
}

#[test]
fn nothing_goes_out_before_there_is_content() {
    let start = Event::Start {
        id: Some("m1".into()),
        model: Some("served".into()),
    };
    let used = Usage {
        input_tokens: 5,
        cached_input_tokens: 7,
        ..Usage::default()
    };
    let events = [
        start,
        Event::Usage(used),
        text(""),
        said(Delta::Logprobs(serde_json::from_str("{}").unwrap())),
    ];
    let (stream, progress, result) = write(&events);
    assert!(stream.is_empty() && !progress.has_content && result.is_ok());
    let (stream, progress, _) = write(&[&events[..], &[text("a")]].concat());
    let message = data(&stream)[0]["message"].clone();
    assert!(progress.has_content);
    assert_eq!((&message["id"], &message["model"]), (&json!("m1"), &json!("served")));
    assert_eq!(
        (
            &message["usage"]["input_tokens"],
            &message["usage"]["cache_read_input_tokens"]
        ),
        (&json!(5), &json!(7))
    );
}

#[test]
fn counts_that_follow_the_reason_are_told_and_the_reason_is_the_dialects() {
    for (reason, with_call, with_refusal, expected) in [
        (FinishReason::Stop, false, false, "end_turn"),
        (FinishReason::Length, false, false, "max_tokens"),
        (FinishReason::ToolCalls, true, false, "tool_use"),
        (FinishReason::Stop, true, false, "tool_use"),
        (FinishReason::Length, true, false, "max_tokens"),
        (FinishReason::ContentFilter, false, false, "refusal"),
        (FinishReason::Stop, false, true, "refusal"),
    ] {
        let mut events = vec![text("a")];
        events.extend(with_call.then(|| call(0)));
        events.extend(with_refusal.then(|| said(Delta::Refusal("No.".into()))));
        events.push(Event::Finish { choice: 0, reason });
        events.push(Event::Usage(Usage {
            input_tokens: 5,
            audio_input_tokens: 1,
            cache_write_tokens: 2,
            cache_write_1h_tokens: 3,
            output_tokens: 4,
            reasoning_tokens: 6,
            audio_output_tokens: 1,
            ..Usage::default()
        }));
        events.push(Event::End);
        let (stream, progress, _) = write(&events);
        let message = message(&data(&stream));
        assert_eq!(message["stop_reason"], expected);
        assert_eq!(
            message["usage"],
            json!({"input_tokens": 6, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 0,
                   "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3},
                   "output_tokens": 11, "output_tokens_details": {"thinking_tokens": 6}})
        );
        assert_eq!(progress.finish_reason.as_deref(), Some(reason.as_str()));
    }
}

#[test]
fn an_empty_answer_is_a_message_and_one_without_a_reason_is_none() {
    assert_eq!(content(&end(FinishReason::Stop)), json!([]));
    let (stream, progress, result) = write(&[text("a"), Event::End]);
    assert!(result.is_err() && !progress.is_complete && !stream.contains("message_delta"));
    let (_, _, result) = write(&[&end(FinishReason::Stop)[..1], &[text("late")]].concat());
    assert!(result.is_err());
}

#[test]
fn other_choices_are_passed_over() {
    let other = |delta| Event::Delta { choice: 1, delta };
    let events = [
        other(Delta::Text("x".into())),
        text("a"),
        other(Delta::Text("y".into())),
        Event::Finish {
            choice: 1,
            reason: FinishReason::Length,
        },
    ];
    let expected = json!([{"type": "text", "text": "a"}]);
    assert_eq!(content(&[&events[..], &end(FinishReason::Stop)].concat()), expected);
}

#[test]
fn what_waits_behind_a_call_is_bounded() {
    let piece = "x".repeat(1024 * 1024);
    let mut events = vec![call(0), arguments(0, "{")];
    events.extend((0..9).map(|_| text(&piece)));
    assert!(write(&events[..9]).2.is_ok());
    assert!(write(&events).2.is_err());
    let many: Vec<_> = (0..2000).map(call).collect();
    assert!(write(&many).2.is_err());
}

fn any_event() -> impl Strategy<Value = Event> {
    let piece = || {
        prop::sample::select(vec![
            "",
            "a",
            "ế😀",
            "{",
            "}",
            "{}",
            "\"",
            "\\",
            "[1]",
            " ",
            "{\"a\":\"}\"}",
        ])
    };
    let delta = prop_oneof![
        4 => piece().prop_map(|text| Delta::Text(text.into())),
        1 => piece().prop_map(|text| Delta::Refusal(text.into())),
        2 => piece().prop_map(|text| Delta::Reasoning(text.into())),
        1 => piece().prop_map(|text| Delta::ReasoningSignature(text.into())),
        1 => piece().prop_map(|text| Delta::RedactedReasoning(text.into())),
        1 => Just(Delta::Media { mime_type: "image/png".into(), base64: "AAAA".into() }),
        4 => (0_u32..3, any::<bool>(), any::<bool>()).prop_map(|(index, has_id, is_signed)| Delta::ToolCallStart {
            index,
            id: if has_id { format!("c{index}") } else { String::new() },
            name: format!("f{index}"),
            signature: is_signed.then(|| "s".into()),
        }),
        8 => (0_u32..3, piece()).prop_map(|(index, text)| Delta::ToolCallArguments { index, text: text.into() }),
    ];
    prop_oneof![
        12 => (prop::sample::select(vec![0, 0, 0, 0, 1]), delta).prop_map(|(choice, delta)| Event::Delta { choice, delta }),
        1 => Just(Event::Start { id: Some("m".into()), model: None }),
        1 => Just(Event::Usage(Usage::estimated(3, 4))),
        1 => Just(Event::Finish { choice: 0, reason: FinishReason::Stop }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_grammar_of_blocks_holds_for_any_events(mut events in vec(any_event(), 0..40)) {
        events.push(Event::Finish { choice: 0, reason: FinishReason::Stop });
        events.push(Event::End);
        let (stream, progress, result) = write(&events);
        let data = data(&stream);
        if !data.is_empty() {
            prop_assert!(progress.has_content);
            let message = message(&data); // asserts the grammar
            if result.is_ok() {
                prop_assert!(progress.is_complete);
                let blocks = message["content"].as_array().unwrap();
                for index in 0..3_u32 {
                    let of_call = |event: &Event| match event {
                        Event::Delta { choice: 0, delta: Delta::ToolCallArguments { index: other, text } }
                            if *other == index => Some(text.clone()),
                        _ => None,
                    };
                    let sent: String = events.iter().filter_map(of_call).collect();
                    let written: Vec<_> = blocks.iter().filter(|block| block["name"] == format!("f{index}")).collect();
                    prop_assert!(written.len() <= 1, "one block for each call");
                    if let [block] = written[..] {
                        prop_assert_eq!(block["input"].as_str().unwrap().trim(), sent.trim());
                    } else {
                        prop_assert_eq!(sent, "");
                    }
                }
            }
        }
    }
}
