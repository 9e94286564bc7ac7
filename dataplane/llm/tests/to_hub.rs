//! What a chat request says in the hub's words, and what is refused before a provider is asked.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::borrow::Cow;

use bytes::Bytes;
use headgate_llm::dialect::openai_chat::to_hub;
use headgate_llm::endpoint::Endpoint;
use headgate_llm::hub::{
    CacheControl, Effort, Media, OutputFormat, Part, Reasoning, Request, Role, Tool, ToolChoice, Turn,
};
use headgate_llm::request::{BadRequest, ModelRequest};

const HELLO: &str = r#"{"role":"user","content":"Hi"}"#;

fn parsed(messages: &str, fields: &str) -> ModelRequest {
    let body = format!("{{\"model\":\"m\",\"messages\":[{messages}]{fields}}}");
    ModelRequest::parse(Endpoint::ChatCompletions, Bytes::from(body)).unwrap()
}

fn with<T>(fields: &str, check: impl FnOnce(Request<'_>) -> T) -> T {
    let request = parsed(HELLO, &format!(",{fields}"));
    check(to_hub::read(&request).unwrap())
}

fn turns(messages: &str, check: impl FnOnce(&[Part<'_>], &[Turn<'_>])) {
    let request = parsed(messages, "");
    let request = to_hub::read(&request).unwrap();
    check(&request.instructions, &request.turns);
}

fn parts(message: &str, check: impl FnOnce(&[Part<'_>])) {
    turns(message, |_, turns| check(&turns[0].parts));
}

#[track_caller]
fn refused(messages: &str, fields: &str, code: &str, param: &str) {
    let request = parsed(messages, fields);
    let refusal: BadRequest = to_hub::read(&request).expect_err("accepted");
    assert_eq!(
        (refusal.code, refusal.param.as_deref()),
        (code, Some(param)),
        "{refusal}"
    );
    assert!(!refusal.message.contains("secret"), "quotes the request: {refusal}");
}

#[test]
fn every_field_has_its_place_and_text_is_borrowed() {
    let fields = r#""tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"a":1.50},"strict":true}},
        {"type":"web_search","max_uses":3}],"tool_choice":{"type":"function","function":{"name":"f"}},
        "parallel_tool_calls":false,"stop":"\n","temperature":0.70,"top_k":5,"seed":7,"logprobs":true,"top_logprobs":2,
        "n":2,"user":"u","max_tokens":9,"stream":true,"stream_options":{"include_usage":true},"new_field":{"x":[1.0]},
        "metadata":null,"store":false"#;
    with(fields, |request| {
        assert_eq!((request.choices, request.max_output_tokens), (2, Some(9)));
        assert!(request.stream && request.include_usage);
        assert_eq!(request.parallel_tool_calls, Some(false));
        assert_eq!(request.stop, ["\n"]);
        assert_eq!(request.tool_choice, Some(ToolChoice::Named("f".into())));
        assert_eq!(request.tuning.temperature.unwrap().get(), "0.70");
        assert_eq!((request.tuning.logprobs, request.tuning.top_logprobs), (true, Some(2)));
        let other: Vec<_> = request
            .other
            .iter()
            .map(|(name, json)| (name.as_ref(), json.get()))
            .collect();
        assert_eq!(other, [("new_field", r#"{"x":[1.0]}"#), ("store", "false")]);
        let [
            Tool::Function {
                name,
                parameters,
                strict,
                ..
            },
            Tool::Native { kind, json },
        ] = request.tools.as_slice()
        else {
            panic!("{:?}", request.tools);
        };
        assert!(matches!(name, Cow::Borrowed("f")));
        assert_eq!((parameters.unwrap().get(), *strict), (r#"{"a":1.50}"#, Some(true)));
        assert_eq!(
            (kind.as_ref(), json.get()),
            ("web_search", r#"{"type":"web_search","max_uses":3}"#)
        );
        assert!(matches!(
            &request.turns[0].parts[0],
            Part::Text {
                text: Cow::Borrowed("Hi"),
                ..
            }
        ));
    });
}

#[test]
fn what_is_null_is_absent() {
    let fields = r#""tools":null,"tool_choice":null,"stop":null,"temperature":null,"reasoning_effort":null,
        "response_format":null,"functions":null,"logprobs":null"#;
    with(fields, |request| {
        assert!(request.tools.is_empty() && request.stop.is_empty() && request.tool_choice.is_none());
        assert!(request.reasoning.is_none() && matches!(request.output_format, OutputFormat::Text));
    });
}

#[test]
fn reasoning_is_what_thinking_says_else_the_effort() {
    let reasoning = |fields| with(fields, |request| request.reasoning);
    assert_eq!(
        reasoning(r#""reasoning_effort":"xhigh""#),
        Some(Reasoning::Effort(Effort::XHigh))
    );
    assert_eq!(reasoning(r#""reasoning_effort":"none""#), Some(Reasoning::Off));
    let budget = r#""thinking":{"type":"enabled","budget_tokens":2048},"reasoning_effort":"low""#;
    assert_eq!(reasoning(budget), Some(Reasoning::Budget { tokens: 2048 }));
    assert_eq!(reasoning(r#""thinking":{"type":"disabled"}"#), Some(Reasoning::Off));
    let adaptive = r#""reasoning_effort":"max","thinking":{"type":"adaptive"}"#;
    assert_eq!(reasoning(adaptive), Some(Reasoning::Effort(Effort::Max)));
}

#[test]
fn a_schema_is_taken_whole() {
    let schema =
        r#""response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"anyOf":[{}]},"strict":true}}"#;
    with(schema, |request| {
        let OutputFormat::JsonSchema { name, schema, strict } = request.output_format else {
            panic!()
        };
        assert_eq!(
            (name.as_ref(), schema.get(), strict),
            ("n", r#"{"anyOf":[{}]}"#, Some(true))
        );
    });
}

#[test]
fn system_and_developer_messages_are_instructions_wherever_they_stand() {
    let messages = r#"{"role":"system","content":"a"},{"role":"user","content":"b"},
        {"role":"developer","content":[{"type":"text","text":"c","cache_control":{"type":"ephemeral","ttl":"1h"}}]}"#;
    turns(messages, |instructions, turns| {
        let [Part::Text { text: a, cache: None }, Part::Text { text: c, cache }] = instructions else {
            panic!()
        };
        assert_eq!(
            (a.as_ref(), c.as_ref(), *cache),
            ("a", "c", Some(CacheControl::OneHour))
        );
        assert_eq!(turns.len(), 1);
    });
}

#[test]
fn media_say_where_they_are() {
    let message = r#"{"role":"user","content":[
        {"type":"image_url","image_url":{"url":"https://host/a.png","detail":"low"}},
        {"type":"image_url","image_url":"data:image/png;base64,AAAA"},
        {"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}},
        {"type":"file","file":{"filename":"a.pdf","file_data":"data:application\/pdf;base64,AA\/A"}},
        {"type":"file","file":{"file_id":"file-1"}}],"cache_control":{"type":"ephemeral"}}"#;
    parts(message, |parts| {
        let [
            Part::Image {
                media: Media::Url { .. },
                detail: Some(_),
                ..
            },
            Part::Image {
                media: Media::Inline { .. },
                ..
            },
            Part::Audio { .. },
            Part::File {
                media: Media::Inline { mime_type, base64 },
                name: Some(_),
                cache: None,
            },
            Part::File {
                media: Media::FileId(_),
                name: None,
                cache: Some(CacheControl::Default),
            },
        ] = parts
        else {
            panic!("{parts:?}");
        };
        assert_eq!((mime_type.as_ref(), base64.as_ref()), ("application/pdf", "AA/A"));
    });
}

#[test]
fn a_tool_loop_keeps_ids_names_arguments_and_signatures() {
    let messages = r#"{"role":"assistant","content":null,"tool_calls":[
        {"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"},
         "extra_content":{"google":{"thought_signature":"sig"}}},
        {"id":"2","type":"function","function":{"name":"g","arguments":""}}]},
        {"role":"tool","tool_call_id":"1","content":"one"},
        {"role":"tool","tool_call_id":"2","content":[{"type":"text","text":"two"}],"cache_control":{"type":"ephemeral","ttl":"5m"}}"#;
    turns(messages, |_, turns| {
        let [
            Part::ToolCall {
                id,
                name,
                arguments,
                signature,
                ..
            },
            Part::ToolCall {
                arguments: empty,
                signature: None,
                ..
            },
        ] = turns[0].parts.as_slice()
        else {
            panic!("{turns:?}");
        };
        assert_eq!(
            (id.as_ref(), name.as_ref(), arguments.as_ref()),
            ("1", "f", "{\"a\":1}")
        );
        assert_eq!((signature.as_deref(), empty.as_ref()), (Some("sig"), ""));
        assert_eq!((turns[1].role, turns[2].role), (Role::User, Role::User));
        let [
            Part::ToolResult {
                call_id, parts, cache, ..
            },
        ] = turns[2].parts.as_slice()
        else {
            panic!()
        };
        assert_eq!(
            (call_id.as_ref(), parts.len(), *cache),
            ("2", 1, Some(CacheControl::FiveMinutes))
        );
    });
}

#[test]
fn a_thought_comes_back_from_every_spelling_and_only_once() {
    let thought = |members: &str| {
        let mut thoughts = Vec::new();
        parts(&format!("{{\"role\":\"assistant\",{members}}}"), |parts| {
            thoughts = parts
                .iter()
                .filter_map(|part| match part {
                    Part::Reasoning { text, signature } => {
                        Some(format!("{text}/{}", signature.as_deref().unwrap_or("-")))
                    }
                    Part::RedactedReasoning { data } => Some(format!("sealed {data}")),
                    _ => None,
                })
                .collect();
        });
        thoughts.join(" ")
    };
    let bare = r#""reasoning_content":"hm","content":"a""#;
    assert_eq!(thought(bare), "hm/-");
    let blocks = r#"[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"redacted_thinking","data":"x"},{"type":"text","text":"a"}]"#;
    for members in [
        format!(r#""content":{blocks}"#),
        format!(r#""thinking_blocks":{blocks},{bare}"#),
        format!(r#""content_blocks":{blocks},{bare}"#),
        format!(
            r#""reasoning_details":[{{"type":"reasoning.text","text":"hm","signature":"s","index":0}},
            {{"type":"reasoning.encrypted","data":"x","index":1}}],"thinking_blocks":{blocks},{bare}"#
        ),
        format!(
            r#""reasoning_details":[{{"type":"reasoning.text","text":"h","index":0}},{{"type":"reasoning.text","text":"m","index":0}},
            {{"type":"reasoning.text","signature":"s","index":0}},{{"type":"reasoning.encrypted","data":"x","index":1}}],{bare}"#
        ),
    ] {
        assert_eq!(thought(&members), "hm/s sealed x", "{members}");
    }
}

#[test]
fn the_forms_that_tools_replaced_are_refused_by_name() {
    refused(
        HELLO,
        r#","functions":[{"name":"f"}]"#,
        "unsupported_parameter",
        "functions",
    );
    refused(
        HELLO,
        r#","function_call":"auto""#,
        "unsupported_parameter",
        "function_call",
    );
    let call = r#"{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}}"#;
    refused(call, "", "unsupported_parameter", "messages[0].function_call");
    refused(
        r#"{"role":"function","name":"f","content":"secret"}"#,
        "",
        "unsupported_parameter",
        "messages[0].role",
    );
}

#[test]
fn arguments_that_are_no_object_are_refused_with_their_place() {
    for arguments in ["[]", "1", "null", "{", "{\\\"a\\\":1}}", "secret"] {
        let messages = format!(
            r#"{HELLO},{{"role":"assistant","tool_calls":[{{"id":"1","type":"function","function":{{"name":"f","arguments":"{arguments}"}}}}]}}"#
        );
        refused(
            &messages,
            "",
            "invalid_value",
            "messages[1].tool_calls[0].function.arguments",
        );
    }
}

#[test]
fn what_cannot_be_read_is_refused_where_it_stands() {
    let part = |part: &str| format!(r#"{HELLO},{{"role":"user","content":[{{"type":"text","text":"a"}},{part}]}}"#);
    let check = |wrong: &str, code: &str, member: &str| {
        refused(&part(wrong), "", code, &format!("messages[1].content[1]{member}"));
    };
    check(
        r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,secret!"}}"#,
        "invalid_value",
        ".image_url.url",
    );
    check(r#"{"type":"image_url"}"#, "missing_field", ".image_url");
    check(
        r#"{"type":"input_audio","input_audio":{"data":"?","format":"wav"}}"#,
        "invalid_value",
        ".input_audio.data",
    );
    check(r#"{"type":"file","file":{}}"#, "invalid_value", ".file");
    check(
        r#"{"type":"file","file":{"file_data":"AAAA","file_id":"1"}}"#,
        "invalid_value",
        ".file",
    );
    check(
        r#"{"type":"video_url","video_url":{"url":"https://a/b"}}"#,
        "unsupported_parameter",
        ".type",
    );
    check(
        r#"{"type":"text","text":"a","cache_control":{"type":"ephemeral","ttl":"1d"}}"#,
        "invalid_value",
        ".cache_control",
    );
    for (message, code, member) in [
        (r#"{"role":"robot","content":"a"}"#, "invalid_value", ".role"),
        (r#"{"content":"secret"}"#, "invalid_type", ""),
        (r#"{"role":"user","content":{"secret":1}}"#, "invalid_type", ""),
        (r#"{"role":"user","content":"a","content":"b"}"#, "invalid_type", ""),
        (
            r#"{"role":"system","content":[{"type":"image_url","image_url":"https://a/b"}]}"#,
            "invalid_value",
            ".content",
        ),
        (r#"{"role":"tool","content":"a"}"#, "missing_field", ".tool_call_id"),
        (r#"{"role":"assistant","audio":{"id":"a"}}"#, "invalid_value", ".audio"),
        (
            r#"{"role":"assistant","tool_calls":[{"id":"1","type":"custom","custom":{"name":"c","input":"x"}}]}"#,
            "invalid_value",
            ".tool_calls[0]",
        ),
        ("\"secret\"", "invalid_type", ""),
    ] {
        refused(&format!("{HELLO},{message}"), "", code, &format!("messages[1]{member}"));
    }
}

#[test]
fn fields_of_the_wrong_type_are_refused_by_name() {
    for (fields, code, param) in [
        (r#""temperature":"secret""#, "invalid_type", "temperature"),
        (r#""stop":[1]"#, "invalid_type", "stop"),
        (r#""tools":{}"#, "invalid_type", "tools"),
        (r#""tools":[{"type":"function"}]"#, "invalid_type", "tools[0]"),
        (
            r#""tools":[{"type":"function","function":{"name":"f","parameters":"secret"}}]"#,
            "invalid_type",
            "tools[0].function.parameters",
        ),
        (r#""tool_choice":"any""#, "invalid_type", "tool_choice"),
        (
            r#""tool_choice":{"type":"allowed_tools"}"#,
            "invalid_type",
            "tool_choice",
        ),
        (
            r#""response_format":{"type":"xml"}"#,
            "invalid_value",
            "response_format.type",
        ),
        (
            r#""response_format":{"type":"json_schema"}"#,
            "missing_field",
            "response_format.json_schema.schema",
        ),
        (r#""reasoning_effort":"secret""#, "invalid_value", "reasoning_effort"),
        (r#""thinking":{"type":"secret"}"#, "invalid_value", "thinking.type"),
        (r#""seed":1,"seed":2"#, "duplicate_field", "seed"),
        (r#""Temperature":1"#, "duplicate_field", "temperature"),
    ] {
        refused(HELLO, &format!(",{fields}"), code, param);
    }
}
