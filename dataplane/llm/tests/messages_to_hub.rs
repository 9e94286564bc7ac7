//! What a Messages request says in the hub's words, and what is refused before a provider is asked.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::borrow::Cow;

use bytes::Bytes;
use headgate_llm::dialect::anthropic_messages::to_hub;
use headgate_llm::endpoint::Endpoint;
use headgate_llm::hub::{CacheControl, Effort, Media, OutputFormat, Part, Reasoning, Request, Tool, ToolChoice};
use headgate_llm::request::{BadRequest, ModelRequest};

const HELLO: &str = r#"{"role":"user","content":"Hi"}"#;

fn parsed(messages: &str, fields: &str) -> ModelRequest {
    let body = format!("{{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{messages}]{fields}}}");
    ModelRequest::parse(Endpoint::Messages, Bytes::from(body)).unwrap()
}

fn with<T>(fields: &str, check: impl FnOnce(Request<'_>) -> T) -> T {
    let request = parsed(HELLO, &format!(",{fields}"));
    check(to_hub::read(&request).unwrap())
}

/// The parts of one message.
fn parts(role: &str, blocks: &str, check: impl FnOnce(&[Part<'_>])) {
    let request = parsed(&format!("{{\"role\":\"{role}\",\"content\":[{blocks}]}}"), "");
    check(&to_hub::read(&request).unwrap().turns[0].parts);
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

#[track_caller]
fn refused_block(role: &str, block: &str, code: &str, member: &str) {
    let messages = format!("{{\"role\":\"{role}\",\"content\":[{{\"type\":\"text\",\"text\":\"a\"}},{block}]}}");
    refused(&messages, "", code, &format!("messages[0].content[1]{member}"));
}

#[test]
fn every_field_has_its_place_and_text_is_borrowed() {
    let fields = r#""system":"S","tools":[{"name":"f","description":"d","input_schema":{"a":1.50},"strict":true},
        {"type":"web_search_20260318","name":"web_search"}],"tool_choice":{"type":"tool","name":"f","disable_parallel_tool_use":true},
        "stop_sequences":["\n"],"temperature":0.70,"top_k":5,"top_p":0.1,"metadata":{"user_id":"u"},"stream":true,
        "service_tier":"auto","new_field":{"x":[1.0]},"container":null,"mcp_servers":[ ]"#;
    with(fields, |request| {
        assert_eq!((request.choices, request.max_output_tokens), (1, Some(9)));
        assert!(request.stream && request.include_usage);
        assert!(matches!(
            &request.instructions[..],
            [Part::Text {
                text: Cow::Borrowed("S"),
                cache: None
            }]
        ));
        assert_eq!(request.parallel_tool_calls, Some(false));
        assert_eq!(request.tool_choice, Some(ToolChoice::Named("f".into())));
        assert_eq!(request.stop, ["\n"]);
        assert_eq!(request.user.as_deref(), Some("u"));
        assert_eq!(request.tuning.temperature.unwrap().get(), "0.70");
        assert_eq!(
            (request.tuning.top_k.unwrap().get(), request.tuning.top_p.unwrap().get()),
            ("5", "0.1")
        );
        let [function, native] = &request.tools[..] else {
            panic!("{:?}", request.tools)
        };
        let Tool::Function {
            name,
            parameters,
            strict,
            ..
        } = function
        else {
            panic!("{function:?}")
        };
        assert_eq!(
            (name.as_ref(), parameters.unwrap().get(), *strict),
            ("f", "{\"a\":1.50}", Some(true))
        );
        assert!(matches!(native, Tool::Native { kind, .. } if kind == "web_search_20260318"));
        let other: Vec<_> = request
            .other
            .iter()
            .map(|(name, value)| (name.as_ref(), value.get()))
            .collect();
        assert_eq!(other, [("service_tier", "\"auto\""), ("new_field", "{\"x\":[1.0]}")]);
        assert!(request.left_out.is_empty());
    });
}

#[test]
fn null_is_as_good_as_absent() {
    let names = "system tools tool_choice thinking output_config stop_sequences temperature metadata service_tier cache_control";
    let fields: Vec<_> = names.split(' ').map(|name| format!("\"{name}\":null")).collect();
    with(&fields.join(","), |request| {
        assert!(request.instructions.is_empty() && request.tools.is_empty() && request.other.is_empty());
        assert_eq!(
            (request.tool_choice, request.reasoning, request.user),
            (None, None, None)
        );
    });
}

#[test]
fn the_system_comes_first_wherever_it_stands_and_its_messages_follow() {
    let messages =
        format!("{HELLO},{{\"role\":\"system\",\"content\":[{{\"type\":\"text\",\"text\":\"2\"}}]}},{HELLO}");
    let system = r#","system":[{"type":"text","text":"1","cache_control":{"type":"ephemeral","ttl":"1h"}},{"type":"text","text":""}]"#;
    let request = parsed(&messages, system);
    let request = to_hub::read(&request).unwrap();
    let said: Vec<_> = request
        .instructions
        .iter()
        .map(|part| match part {
            Part::Text { text, cache } => (text.as_ref(), *cache),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(said, [("1", Some(CacheControl::OneHour)), ("2", None)]);
    assert_eq!(request.turns.len(), 2);
}

#[test]
fn thinking_and_effort_together_say_how_much() {
    let reasoning = |fields: &str| with(fields, |request| request.reasoning);
    let effort = |effort| Some(Reasoning::Effort(effort));
    assert_eq!(reasoning("\"x\":1"), None);
    assert_eq!(
        reasoning(r#""thinking":{"type":"enabled","budget_tokens":2000}"#),
        Some(Reasoning::Budget { tokens: 2000 })
    );
    assert_eq!(
        reasoning(r#""thinking":{"type":"adaptive"}"#),
        Some(Reasoning::Adaptive)
    );
    assert_eq!(reasoning(r#""thinking":{"type":"disabled"}"#), Some(Reasoning::Off));
    assert_eq!(
        reasoning(r#""thinking":{"type":"between_tools"}"#),
        Some(Reasoning::Off)
    );
    assert_eq!(
        reasoning(r#""output_config":{"effort":"xhigh"}"#),
        effort(Effort::XHigh)
    );
    assert_eq!(
        reasoning(r#""output_config":{"effort":"low"},"thinking":{"type":"adaptive"}"#),
        effort(Effort::Low)
    );
    assert_eq!(
        reasoning(r#""thinking":{"type":"disabled"},"output_config":{"effort":"max"}"#),
        Some(Reasoning::Off)
    );
}

#[test]
fn a_schema_is_the_form_of_the_output() {
    with(
        r#""output_config":{"format":{"type":"json_schema","schema":{"b":1,"a":2.0}}}"#,
        |request| {
            let OutputFormat::JsonSchema { schema, .. } = request.output_format else {
                panic!("no schema")
            };
            assert_eq!(schema.get(), r#"{"b":1,"a":2.0}"#);
        },
    );
}

#[test]
fn pictures_and_documents_are_where_their_source_says() {
    let inline = |mime_type: &'static str| Media::Inline {
        mime_type: mime_type.into(),
        base64: "AAAA".into(),
    };
    let url = Media::Url {
        url: "https://host/a".into(),
        mime_type: None,
    };
    for (block, expected) in [
        (
            r#"{"type":"image","source":{"type":"base64","media_type":"image/PNG","data":"AAAA"}}"#,
            inline("image/png"),
        ),
        (
            r#"{"type":"image","source":{"type":"url","url":"https://host/a"}}"#,
            url.clone(),
        ),
        (
            r#"{"type":"image","source":{"type":"file","file_id":"f"}}"#,
            Media::FileId("f".into()),
        ),
        (
            r#"{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AAAA"}}"#,
            inline("application/pdf"),
        ),
        (
            r#"{"type":"document","source":{"type":"url","url":"https://host/a"}}"#,
            url,
        ),
        (
            r#"{"type":"document","source":{"type":"file","file_id":"f"}}"#,
            Media::FileId("f".into()),
        ),
        (
            r#"{"type":"document","source":{"type":"text","media_type":"text/plain","data":"T"}}"#,
            Media::Text("T".into()),
        ),
        (
            r#"{"type":"document","source":{"type":"content","content":"T"}}"#,
            Media::Text("T".into()),
        ),
    ] {
        parts("user", block, |parts| match parts {
            [Part::Image { media, .. } | Part::File { media, .. }] => assert_eq!(media, &expected),
            other => panic!("{other:?}"),
        });
    }
}

#[test]
fn a_document_keeps_its_name_and_its_mark() {
    let block = r#"{"type":"document","title":"N","source":{"type":"text","media_type":"text/plain","data":"T"},"cache_control":{"type":"ephemeral"}}"#;
    parts("user", block, |parts| {
        let [Part::File { name, cache, .. }] = parts else {
            panic!("{parts:?}")
        };
        assert_eq!((name.as_deref(), *cache), (Some("N"), Some(CacheControl::Default)));
    });
}

#[test]
fn a_mark_at_the_top_means_the_last_block_that_can_have_one() {
    let messages = r#"{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"text","text":"b"},{"type":"thinking","thinking":"c","signature":"s"}]}"#;
    let request = parsed(messages, r#","cache_control":{"type":"ephemeral","ttl":"5m"}"#);
    let request = to_hub::read(&request).unwrap();
    assert!(matches!(&request.turns[0].parts[0], Part::Text { cache: None, .. }));
    assert!(matches!(
        &request.turns[1].parts[0],
        Part::Text {
            cache: Some(CacheControl::FiveMinutes),
            ..
        }
    ));
}

#[test]
fn results_hold_text_and_media_and_say_whether_they_failed() {
    let block = r#"{"type":"tool_result","tool_use_id":"t","is_error":true,"content":[{"type":"text","text":"a"},
        {"type":"image","source":{"type":"url","url":"https://host/a"}},
        {"type":"document","source":{"type":"text","media_type":"text/plain","data":"T"}}]},
        {"type":"tool_result","tool_use_id":"u","content":"b"},{"type":"tool_result","tool_use_id":"v"}"#;
    parts("user", block, |parts| {
        let read: Vec<_> = parts
            .iter()
            .map(|part| match part {
                Part::ToolResult {
                    call_id,
                    parts,
                    is_error,
                    ..
                } => (call_id.as_ref(), parts.len(), *is_error),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(read, [("t", 3, true), ("u", 1, false), ("v", 0, false)]);
    });
}

#[test]
fn what_the_model_said_is_read_as_it_was_written() {
    let blocks = r#"{"type":"thinking","thinking":"h","signature":"s"},{"type":"thinking","thinking":"i","signature":""},
        {"type":"redacted_thinking","data":"d"},{"type":"tool_use","id":"t","name":"f","input":{"a":1.50},"caller":{"type":"direct"}}"#;
    parts("assistant", blocks, |parts| {
        let [
            Part::Reasoning {
                signature: Some(signature),
                ..
            },
            Part::Reasoning { signature: None, text },
            redacted,
            call,
        ] = parts
        else {
            panic!("{parts:?}")
        };
        assert_eq!((signature.as_ref(), text.as_ref()), ("s", "i"));
        assert!(matches!(redacted, Part::RedactedReasoning { data } if data == "d"));
        assert!(matches!(call, Part::ToolCall { arguments, signature: None, .. } if arguments == "{\"a\":1.50}"));
    });
}

#[test]
fn the_proof_of_a_call_finds_it_wherever_the_client_put_it() {
    let call = |id: &str| format!(r#"{{"type":"tool_use","id":"{id}","name":"f","input":{{}}}}"#);
    let blocks = [
        call("a"),
        call("b"),
        r#"{"type":"redacted_thinking","data":"tool_use:b:cHJvb2Y="}"#.to_owned(),
    ]
    .join(",");
    parts("assistant", &blocks, |parts| {
        let proofs: Vec<_> = parts
            .iter()
            .map(|part| match part {
                Part::ToolCall { signature, .. } => signature.as_deref(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(proofs, [None, Some("cHJvb2Y=")]);
    });
}

#[test]
fn what_no_other_provider_has_is_named_once() {
    let cited = r#"{"type":"document","context":"c","citations":{"enabled":true},"source":{"type":"text","media_type":"text/plain","data":"T"}}"#;
    let quiet = r#"{"type":"document","citations":{"enabled":false},"source":{"type":"text","media_type":"text/plain","data":"T"}}"#;
    let messages = format!("{{\"role\":\"user\",\"content\":[{quiet},{cited},{cited}]}}");
    let fields = r#","tools":[{"name":"f","input_schema":{},"defer_loading":true},{"name":"g","input_schema":{},"defer_loading":true}],
        "thinking":{"type":"adaptive","display":"omitted"}"#;
    let request = parsed(&messages, fields);
    let left_out = to_hub::read(&request).unwrap().left_out;
    assert_eq!(
        left_out,
        ["citations", "context", "tools[].defer_loading", "thinking.display"]
    );
}

#[test]
fn a_count_needs_no_cap_and_a_message_does() {
    let body = Bytes::from_static(br#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"stream":true}"#);
    let count = ModelRequest::parse(Endpoint::CountTokens, body.clone()).unwrap();
    assert!(!count.stream && to_hub::read(&count).is_ok());
    let message = ModelRequest::parse(Endpoint::Messages, body).unwrap();
    assert_eq!(to_hub::read(&message).unwrap_err().param.as_deref(), Some("max_tokens"));
}

#[test]
fn messages_that_are_none_are_refused_by_their_place() {
    refused("", "", "invalid_value", "messages");
    refused(r#"{"role":"user"}"#, "", "missing_field", "messages[0].content");
    refused(
        r#"{"role":"user","content":null}"#,
        "",
        "missing_field",
        "messages[0].content",
    );
    refused(r#"{"content":"secret"}"#, "", "missing_field", "messages[0].role");
    refused(
        r#"{"role":"tool","content":"secret"}"#,
        "",
        "invalid_value",
        "messages[0].role",
    );
    refused(r#"{"role":7,"content":"a"}"#, "", "invalid_type", "messages[0].role");
    refused(
        r#"{"role":"user","content":{"a":"secret"}}"#,
        "",
        "invalid_type",
        "messages[0].content",
    );
    refused(&format!("{HELLO},\"secret\""), "", "invalid_type", "messages[1]");
    refused(
        r#"{"role":"system","content":[{"type":"image","source":{"type":"url","url":"https://h/a"}}]}"#,
        "",
        "invalid_value",
        "messages[0].content",
    );
}

#[test]
fn blocks_that_are_none_are_refused_by_their_place() {
    let (missing, kind, value, unknown) = (
        "missing_field",
        "invalid_type",
        "invalid_value",
        "unsupported_parameter",
    );
    refused_block("user", r#"{"text":"a"}"#, missing, ".type");
    refused_block("user", r#"{"type":"text"}"#, missing, ".text");
    refused_block("user", r#"{"type":"text","text":["secret"]}"#, kind, ".text");
    refused_block("user", r#"{"type":"video"}"#, unknown, ".type");
    refused_block(
        "user",
        r#"{"type":"tool_use","id":"t","name":"f","input":{}}"#,
        unknown,
        ".type",
    );
    refused_block(
        "assistant",
        r#"{"type":"tool_result","tool_use_id":"t"}"#,
        unknown,
        ".type",
    );
    refused_block(
        "assistant",
        r#"{"type":"web_search_tool_result","tool_use_id":"t","content":[]}"#,
        unknown,
        ".type",
    );
    refused_block("user", r#"{"type":"image"}"#, missing, ".source");
    refused_block(
        "user",
        r#"{"type":"image","source":"https://secret/"}"#,
        kind,
        ".source",
    );
    refused_block(
        "user",
        r#"{"type":"image","source":{"type":"base64","media_type":"image/png"}}"#,
        missing,
        ".source.data",
    );
    refused_block(
        "user",
        r#"{"type":"image","source":{"type":"base64","data":"AAAA"}}"#,
        missing,
        ".source.media_type",
    );
    refused_block(
        "user",
        r#"{"type":"image","source":{"type":"base64","media_type":"text/html","data":"AAAA"}}"#,
        value,
        ".source.media_type",
    );
    refused_block(
        "user",
        r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"se cret"}}"#,
        value,
        ".source.data",
    );
    refused_block(
        "user",
        r#"{"type":"image","source":{"type":"url","url":"file:///secret"}}"#,
        value,
        ".source.url",
    );
    refused_block(
        "user",
        r#"{"type":"image","source":{"type":"text","data":"a"}}"#,
        unknown,
        ".source.type",
    );
    refused_block(
        "user",
        r#"{"type":"document","source":{"type":"content","content":[{"type":"text"}]}}"#,
        missing,
        ".source.content[0].text",
    );
    refused_block(
        "user",
        r#"{"type":"tool_result","content":"a"}"#,
        missing,
        ".tool_use_id",
    );
    refused_block(
        "user",
        r#"{"type":"tool_result","tool_use_id":"t","content":[{"type":"tool_reference","tool_name":"f"}]}"#,
        unknown,
        ".content[0].type",
    );
    refused_block(
        "user",
        r#"{"type":"tool_result","tool_use_id":"t","is_error":"secret"}"#,
        kind,
        ".is_error",
    );
    refused_block(
        "assistant",
        r#"{"type":"tool_use","id":"t","name":"f"}"#,
        missing,
        ".input",
    );
    refused_block(
        "assistant",
        r#"{"type":"tool_use","id":"t","name":"f","input":"secret"}"#,
        kind,
        ".input",
    );
    refused_block(
        "assistant",
        r#"{"type":"thinking","signature":"s"}"#,
        missing,
        ".thinking",
    );
    refused_block(
        "user",
        r#"{"type":"text","text":"a","cache_control":{"type":"secret"}}"#,
        value,
        ".cache_control",
    );
}

#[test]
fn fields_that_do_not_fit_are_refused_by_name() {
    let refused = |field: &str, code: &str, param: &str| refused(HELLO, &format!(",{field}"), code, param);
    let (missing, kind, value, unknown) = (
        "missing_field",
        "invalid_type",
        "invalid_value",
        "unsupported_parameter",
    );
    refused(r#""system":7"#, kind, "system");
    refused(r#""temperature":"secret""#, kind, "temperature");
    refused(r#""stop_sequences":"secret""#, kind, "stop_sequences");
    refused(r#""stop_sequences":["a",7]"#, kind, "stop_sequences[1]");
    refused(r#""metadata":{"user_id":7}"#, kind, "metadata.user_id");
    refused(r#""tools":{}"#, kind, "tools");
    refused(r#""tools":[{"name":"f"}]"#, missing, "tools[0].input_schema");
    refused(r#""tools":[{"input_schema":{}}]"#, missing, "tools[0].name");
    refused(
        r#""tools":[{"name":"f","input_schema":[]}]"#,
        kind,
        "tools[0].input_schema",
    );
    refused(
        r#""tools":[{"name":"f","input_schema":{},"strict":"secret"}]"#,
        kind,
        "tools[0].strict",
    );
    refused(r#""tool_choice":"auto""#, kind, "tool_choice");
    refused(r#""tool_choice":{"type":"secret"}"#, value, "tool_choice.type");
    refused(r#""tool_choice":{"type":"tool"}"#, missing, "tool_choice.name");
    refused(r#""thinking":{"type":"enabled"}"#, missing, "thinking.budget_tokens");
    refused(
        r#""thinking":{"type":"enabled","budget_tokens":-1}"#,
        kind,
        "thinking.budget_tokens",
    );
    refused(r#""thinking":{"type":"secret"}"#, value, "thinking.type");
    refused(r#""output_config":{"effort":"secret"}"#, value, "output_config.effort");
    refused(
        r#""output_config":{"format":{"type":"secret"}}"#,
        value,
        "output_config.format.type",
    );
    refused(
        r#""output_config":{"format":{"type":"json_schema"}}"#,
        missing,
        "output_config.format.schema",
    );
    refused(r#""mcp_servers":[{"name":"secret"}]"#, unknown, "mcp_servers");
    refused(r#""inference_geo":"secret""#, unknown, "inference_geo");
    refused(r#""top_p":1,"top_p":2"#, "duplicate_field", "top_p");
    refused(r#""Top_P":1"#, "duplicate_field", "top_p");
}
