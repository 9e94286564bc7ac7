//! What a request of the hub becomes at each server: the parts that no golden case of a client's dialect shows alone.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::super::{deepseek, groq, mistral, ollama, openai, openai_compatible, together};
use super::*;
use crate::hub::{CacheControl, Media, Tool, ToolChoice, Turn};

fn user(parts: Vec<Part<'_>>) -> Turn<'_> {
    Turn {
        role: Role::User,
        parts,
    }
}

fn assistant(parts: Vec<Part<'_>>) -> Turn<'_> {
    Turn {
        role: Role::Assistant,
        parts,
    }
}

fn thought(text: &'static str, signature: Option<&'static str>) -> Part<'static> {
    Part::Reasoning {
        text: text.into(),
        signature: signature.map(Into::into),
    }
}

fn call(id: &'static str, signature: Option<&'static str>) -> Part<'static> {
    Part::ToolCall {
        id: id.into(),
        name: "look".into(),
        arguments: " ".into(),
        signature: signature.map(Into::into),
        cache: None,
    }
}

fn result(call_id: &'static str, parts: Vec<Part<'static>>, is_error: bool) -> Part<'static> {
    Part::ToolResult {
        call_id: call_id.into(),
        name: None,
        parts,
        is_error,
        cache: None,
    }
}

fn picture() -> Part<'static> {
    Part::Image {
        media: Media::Inline {
            mime_type: "image/png".into(),
            base64: "AAAA".into(),
        },
        detail: None,
        cache: None,
    }
}

fn document(media: Media<'static>, name: Option<&'static str>) -> Part<'static> {
    Part::File {
        media,
        name: name.map(Into::into),
        cache: None,
    }
}

fn function() -> Tool<'static> {
    Tool::Function {
        name: "look".into(),
        description: None,
        parameters: None,
        strict: None,
        cache: None,
    }
}

fn asking(turns: Vec<Turn<'_>>) -> Request<'_> {
    Request {
        turns,
        ..Request::default()
    }
}

fn hello<'a>() -> Request<'a> {
    asking(vec![user(vec![Part::text("Hi")])])
}

fn json(text: &str) -> &RawValue {
    serde_json::from_str(text).expect("JSON")
}

fn encode_with(
    rules: &Rules,
    model: &str,
    unsupported: UnsupportedParameters,
    request: &Request<'_>,
) -> Result<(Value, Vec<String>), BadRequest> {
    let options = EncodeOptions {
        upstream_model: model,
        unsupported,
        ..EncodeOptions::default()
    };
    let encoded = Wire::encode(rules, request, &options)?;
    let body = serde_json::from_slice(&encoded.body).expect("JSON");
    Ok((body, encoded.dropped))
}

fn encode(rules: &Rules, model: &str, request: &Request<'_>) -> (Value, Vec<String>) {
    encode_with(rules, model, UnsupportedParameters::Drop, request).expect("accepted")
}

fn messages(rules: &Rules, request: &Request<'_>) -> Value {
    encode(rules, "m", request).0["messages"].take()
}

fn refusal(rules: &Rules, request: &Request<'_>) -> (&'static str, Option<String>) {
    let refusal = encode_with(rules, "m", UnsupportedParameters::Drop, request).expect_err("refused");
    (refusal.code, refusal.param)
}

#[test]
fn instructions_are_the_developers_where_there_is_one_and_texts_a_list_where_lists_are_safe() {
    let mut request = asking(vec![user(vec![Part::text("a"), Part::text("b")])]);
    request.instructions = vec![Part::text("x"), Part::text("y")];
    request.max_output_tokens = Some(9);
    let list = |texts: [&str; 2]| json!(texts.map(|text| json!({"type": "text", "text": text})));
    let (body, _) = encode(&openai::OPENAI, "gpt-4o", &request);
    assert_eq!(
        body["messages"],
        json!([{"role": "developer", "content": list(["x", "y"])}, {"role": "user", "content": list(["a", "b"])}])
    );
    assert_eq!(
        (&body["max_completion_tokens"], &body["max_tokens"]),
        (&json!(9), &Value::Null)
    );
    for rules in [
        &openai_compatible::OPENAI_COMPATIBLE,
        &ollama::OLLAMA,
        &deepseek::DEEPSEEK,
        &together::TOGETHER,
        &mistral::MISTRAL,
        &groq::GROQ,
    ] {
        let (body, _) = encode(rules, "m", &request);
        let strings = json!([{"role": "system", "content": "x\n\ny"}, {"role": "user", "content": "a\nb"}]);
        assert_eq!(body["messages"], strings);
        let cap = ["max_tokens", "max_completion_tokens"].map(|name| body[name].clone());
        assert!(cap.contains(&json!(9)) && cap.contains(&Value::Null), "{body}");
    }
}

#[test]
fn results_come_first_and_what_a_tool_message_cannot_carry_follows_in_the_users() {
    let request = asking(vec![
        assistant(vec![call("c1", None), call("c2", None)]),
        user(vec![
            Part::text("and?"),
            result("c1", vec![picture()], false),
            result("c2", vec![Part::text("no such file")], true),
        ]),
        assistant(vec![call("c3", None)]),
        user(vec![result("c3", vec![], true)]),
        assistant(vec![call("c4", None)]),
        user(vec![result("c4", vec![], false)]),
    ]);
    let written = messages(&openai::OPENAI, &request);
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "look", "arguments": "{}"}});
    let said = |id: &str, content: &str| json!({"role": "tool", "tool_call_id": id, "content": content});
    let rest = json!([
        {"type": "text", "text": "Returned by the tool look:"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "text", "text": "and?"},
    ]);
    let expected = json!([
        {"role": "assistant", "content": null, "tool_calls": [call("c1"), call("c2")]},
        said("c1", "(see the next message)"),
        said("c2", "Error: no such file"),
        {"role": "user", "content": rest},
        {"role": "assistant", "content": null, "tool_calls": [call("c3")]},
        said("c3", "Error"),
        {"role": "assistant", "content": null, "tool_calls": [call("c4")]},
        said("c4", ""),
    ]);
    assert_eq!(written, expected);
}

#[test]
fn calls_that_a_client_spread_over_turns_stand_together_before_their_results() {
    let request = asking(vec![
        assistant(vec![thought("a", None), call("c1", None)]),
        assistant(vec![thought("b", None), call("c2", None)]),
        user(vec![result("c1", vec![], false)]),
        user(vec![result("c2", vec![], false)]),
    ]);
    let written = messages(&deepseek::DEEPSEEK, &request);
    let roles: Vec<_> = written
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["role"].clone())
        .collect();
    assert_eq!(roles, ["assistant", "tool", "tool"]);
    assert_eq!(written[0]["reasoning_content"], "a\nb");
}

#[test]
fn thoughts_go_back_to_those_that_take_them() {
    let turns = || {
        vec![
            assistant(vec![
                thought("why", Some("proof")),
                Part::RedactedReasoning { data: "sealed".into() },
                call("c1", Some("g")),
            ]),
            user(vec![result("c1", vec![Part::text("1")], false)]),
        ]
    };
    let first = |rules: &Rules| messages(rules, &asking(turns()))[0].clone();
    for rules in [&openai::OPENAI, &openai_compatible::OPENAI_COMPATIBLE] {
        let message = first(rules);
        let names: Vec<_> = message.as_object().unwrap().keys().collect();
        assert_eq!(names, ["content", "role", "tool_calls"]);
        assert_eq!(message["tool_calls"][0]["extra_content"], Value::Null);
    }
    assert_eq!(first(&deepseek::DEEPSEEK)["reasoning_content"], "why");
    assert_eq!(first(&together::TOGETHER)["reasoning_content"], "why");
    assert_eq!(first(&groq::GROQ)["reasoning"], "why");
    assert_eq!(first(&ollama::OLLAMA)["reasoning"], "why");
    let part = json!([{"type": "thinking", "thinking": [{"type": "text", "text": "why"}]}]);
    assert_eq!(first(&mistral::MISTRAL)["content"], part);

    let rules = &openai_compatible::OPENAI_COMPATIBLE;
    let (passed, _) = encode_with(rules, "m", UnsupportedParameters::Pass, &asking(turns())).unwrap();
    let message = &passed["messages"][0];
    assert_eq!(message["reasoning_content"], "why");
    let details = json!([
        {"type": "reasoning.text", "text": "why", "signature": "proof", "index": 0},
        {"type": "reasoning.encrypted", "data": "sealed", "index": 1},
    ]);
    assert_eq!(message["reasoning_details"], details);
    let google = json!({"google": {"thought_signature": "g"}});
    assert_eq!(message["tool_calls"][0]["extra_content"], google);
}

#[test]
fn a_turn_of_thoughts_alone_vanishes_where_thoughts_do() {
    let request = asking(vec![
        user(vec![Part::text("a")]),
        assistant(vec![thought("why", None)]),
        user(vec![Part::text("b")]),
    ]);
    assert_eq!(messages(&openai::OPENAI, &request).as_array().unwrap().len(), 2);
    let kept = json!({"role": "assistant", "content": "", "reasoning_content": "why"});
    assert_eq!(messages(&deepseek::DEEPSEEK, &request)[1], kept);
}

#[test]
fn mistral_has_an_assistant_between_a_tool_and_a_user_and_marks_what_it_shall_continue() {
    let request = asking(vec![
        assistant(vec![call("c1", None)]),
        user(vec![result("c1", vec![Part::text("1")], false), Part::text("and?")]),
        assistant(vec![Part::text("Well")]),
    ]);
    let written = messages(&mistral::MISTRAL, &request);
    let roles: Vec<_> = written
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["role"].clone())
        .collect();
    assert_eq!(roles, ["assistant", "tool", "assistant", "user", "assistant"]);
    assert_eq!(written[2], json!({"role": "assistant", "content": "OK."}));
    assert_eq!(
        written[4],
        json!({"role": "assistant", "content": "Well", "prefix": true})
    );
    let id = written[0]["tool_calls"][0]["id"].as_str().unwrap();
    assert_eq!((id.len(), &written[1]["tool_call_id"]), (9, &json!(id)));
    assert_eq!(messages(&groq::GROQ, &request).as_array().unwrap().len(), 4);
}

#[test]
fn ids_that_openai_finds_too_long_are_shortened_alike() {
    let long = "call_0123456789abcdef0123456789abcdef_0_10";
    let request = asking(vec![
        assistant(vec![call(long, None), call("c2", None)]),
        user(vec![result(long, vec![], false)]),
    ]);
    let written = messages(&openai::OPENAI, &request);
    let id = written[0]["tool_calls"][0]["id"].as_str().unwrap();
    assert!(id.len() <= 40 && id.starts_with("call_"), "{id}");
    assert_eq!(written[1]["tool_call_id"], id);
    assert_eq!(written[0]["tool_calls"][1]["id"], "c2");
    assert_eq!(messages(&ollama::OLLAMA, &request)[1]["tool_call_id"], long);
}

#[test]
fn a_budget_is_the_effort_that_spends_as_much_and_a_word_a_model_lacks_the_nearest() {
    let effort = |rules: &Rules, model: &str, reasoning| {
        let mut request = hello();
        request.reasoning = Some(reasoning);
        let (body, dropped) = encode(rules, model, &request);
        (body["reasoning_effort"].clone(), dropped)
    };
    let said = |word: &str| (json!(word), Vec::new());
    let reported = |word: &str, name: &str| (json!(word), vec![name.to_owned()]);
    let absent = |name: &str| (Value::Null, vec![name.to_owned()]);
    let budget = |tokens| Reasoning::Budget { tokens };
    let compatible = &openai_compatible::OPENAI_COMPATIBLE;
    for (tokens, word) in [
        (1_024, "low"),
        (4_095, "low"),
        (4_096, "medium"),
        (16_383, "medium"),
        (16_384, "high"),
    ] {
        assert_eq!(effort(compatible, "m", budget(tokens)), said(word));
    }
    assert_eq!(effort(compatible, "m", Reasoning::Effort(Effort::Max)), said("max"));
    assert_eq!(effort(compatible, "m", Reasoning::Adaptive), (Value::Null, vec![]));
    assert_eq!(effort(compatible, "m", Reasoning::Off), absent("reasoning_effort"));

    let openai = &openai::OPENAI;
    assert_eq!(effort(openai, "gpt-5.2", Reasoning::Off), said("none"));
    assert_eq!(effort(openai, "gpt-5", Reasoning::Off), absent("reasoning_effort"));
    assert_eq!(effort(openai, "gpt-4o", Reasoning::Off), (Value::Null, vec![]));
    assert_eq!(effort(openai, "gpt-4o", budget(9_000)), absent("thinking"));
    assert_eq!(
        effort(openai, "o3", Reasoning::Effort(Effort::Minimal)),
        reported("low", "reasoning_effort")
    );
    assert_eq!(
        effort(openai, "gpt-tomorrow", Reasoning::Effort(Effort::XHigh)),
        said("xhigh")
    );

    let groq = &groq::GROQ;
    assert_eq!(effort(groq, "openai/gpt-oss-120b", budget(30_000)), said("high"));
    assert_eq!(effort(groq, "qwen/qwen3-32b", Reasoning::Off), said("none"));
    assert_eq!(
        effort(groq, "llama-3.3-70b-versatile", budget(2_000)),
        absent("thinking")
    );
    let mistral = &mistral::MISTRAL;
    assert_eq!(
        effort(mistral, "mistral-small-latest", budget(5_000)),
        reported("high", "thinking")
    );
    assert_eq!(effort(mistral, "mistral-small-latest", Reasoning::Off), said("none"));
    assert_eq!(
        effort(mistral, "mistral-large-latest", budget(5_000)),
        absent("thinking")
    );
    assert_eq!(
        effort(&ollama::OLLAMA, "qwen3", Reasoning::Effort(Effort::Max)),
        reported("high", "reasoning_effort")
    );
    assert_eq!(effort(&ollama::OLLAMA, "qwen3", Reasoning::Off), said("none"));
}

#[test]
fn servers_are_told_not_to_think_in_their_own_words() {
    let mut request = hello();
    request.reasoning = Some(Reasoning::Off);
    let (body, dropped) = encode(&deepseek::DEEPSEEK, "deepseek-flash", &request);
    assert_eq!((&body["thinking"], dropped), (&json!({"type": "disabled"}), vec![]));
    let (body, dropped) = encode(&together::TOGETHER, "m", &request);
    assert_eq!((&body["reasoning"], dropped), (&json!({"enabled": false}), vec![]));
    let (body, _) = encode(&groq::GROQ, "qwen/qwen3-32b", &request);
    assert_eq!(
        (&body["reasoning_effort"], &body["reasoning_format"]),
        (&json!("none"), &json!("parsed"))
    );
}

#[test]
fn deepseek_does_not_think_when_a_client_lost_the_thoughts_of_a_turn_with_calls() {
    let turns = |thoughts: Vec<Part<'static>>| {
        let said = [thoughts, vec![call("c1", None)]].into_iter().flatten().collect();
        vec![assistant(said), user(vec![result("c1", vec![], false)])]
    };
    let (body, dropped) = encode(&deepseek::DEEPSEEK, "m", &asking(turns(vec![])));
    assert_eq!((&body["thinking"], dropped), (&json!({"type": "disabled"}), vec![]));
    let mut request = asking(turns(vec![]));
    request.reasoning = Some(Reasoning::Budget { tokens: 2_000 });
    assert_eq!(encode(&deepseek::DEEPSEEK, "m", &request).1, ["thinking"]);
    let (body, _) = encode(&deepseek::DEEPSEEK, "m", &asking(turns(vec![thought("why", None)])));
    assert_eq!(body["thinking"], Value::Null);
}

#[test]
fn sampling_is_left_out_where_a_model_refuses_it_unless_it_says_nothing() {
    let mut request = hello();
    request.tuning.temperature = Some(json("0.2"));
    request.tuning.top_p = Some(json("1.0"));
    request.tuning.seed = Some(json("7"));
    request.tuning.top_k = Some(json("5"));
    let (body, dropped) = encode(&openai::OPENAI, "o3", &request);
    assert_eq!(
        (dropped, &body["seed"]),
        (vec!["temperature".to_owned(), "top_k".to_owned()], &json!(7))
    );
    let (body, dropped) = encode(&openai::OPENAI, "gpt-4o", &request);
    assert_eq!(
        (&body["temperature"], &body["top_p"], dropped),
        (&json!(0.2), &json!(1.0), vec!["top_k".to_owned()])
    );
    request.reasoning = Some(Reasoning::Off);
    assert_eq!(encode(&openai::OPENAI, "gpt-5.2", &request).0["temperature"], 0.2);
    let (body, dropped) = encode(&openai_compatible::OPENAI_COMPATIBLE, "o3", &hello_with(&request));
    assert_eq!((&body["top_k"], dropped), (&json!(5), vec![]));
}

fn hello_with<'a>(request: &Request<'a>) -> Request<'a> {
    Request {
        reasoning: None,
        ..request.clone()
    }
}

#[test]
fn a_model_whose_tools_exclude_thinking_does_not_think_beside_them() {
    let mut request = hello();
    request.tools = vec![function()];
    assert_eq!(
        encode(&openai::OPENAI, "gpt-5.6", &request).0["reasoning_effort"],
        "none"
    );
    request.reasoning = Some(Reasoning::Effort(Effort::High));
    let (body, dropped) = encode(&openai::OPENAI, "gpt-5.6-luna", &request);
    assert_eq!(
        (&body["reasoning_effort"], dropped),
        (&json!("none"), vec!["reasoning_effort".to_owned()])
    );
}

#[test]
fn a_choice_of_tools_goes_only_beside_tools_and_to_those_that_have_it() {
    let mut request = hello();
    request.tool_choice = Some(ToolChoice::Required);
    request.parallel_tool_calls = Some(false);
    let (body, dropped) = encode(&openai::OPENAI, "gpt-4o", &request);
    assert_eq!(
        (&body["tool_choice"], &body["parallel_tool_calls"], dropped),
        (&Value::Null, &Value::Null, vec![])
    );
    request.tools = vec![function()];
    let (body, _) = encode(&openai::OPENAI, "gpt-4o", &request);
    assert_eq!(
        (&body["tool_choice"], &body["parallel_tool_calls"]),
        (&json!("required"), &json!(false))
    );
    assert_eq!(encode(&mistral::MISTRAL, "m", &request).0["tool_choice"], "any");
    let (body, dropped) = encode(&ollama::OLLAMA, "m", &request);
    assert_eq!(
        (&body["tool_choice"], dropped.as_slice()),
        (
            &Value::Null,
            &["tool_choice", "parallel_tool_calls"].map(str::to_owned)[..]
        )
    );
    request.tool_choice = Some(ToolChoice::None);
    assert_eq!(encode(&ollama::OLLAMA, "m", &request).0["tools"], Value::Null);
    request.tools = vec![Tool::Native {
        kind: "web_search_20250305".into(),
        json: json("{}"),
    }];
    assert_eq!(
        refusal(&openai::OPENAI, &request),
        ("unsupported_parameter", Some("tools[0].type".to_owned()))
    );
}

#[test]
fn documents_go_as_the_server_takes_them_or_are_refused() {
    let sent = |rules: &Rules, media: Media<'static>, name| {
        let request = asking(vec![user(vec![document(media, name), Part::text("?")])]);
        let encoded = encode_with(rules, "m", UnsupportedParameters::Drop, &request);
        encoded.map(|(body, _)| body["messages"][0]["content"][0].clone())
    };
    let inline = |mime_type: &'static str| Media::Inline {
        mime_type: mime_type.into(),
        base64: "SGk=".into(),
    };
    let pdf =
        json!({"type": "file", "file": {"file_data": "data:application/pdf;base64,SGk=", "filename": "document.pdf"}});
    assert_eq!(sent(&openai::OPENAI, inline("application/pdf"), None).unwrap(), pdf);
    let named = sent(&openai::OPENAI, inline("application/pdf"), Some("a.pdf")).unwrap();
    assert_eq!(named["file"]["filename"], "a.pdf");
    let named = sent(&openai::OPENAI, inline("text/plain"), Some("Notes")).unwrap();
    assert_eq!(named["file"]["filename"], "Notes.txt");
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,SGk="}});
    assert_eq!(sent(&groq::GROQ, inline("image/png"), None).unwrap(), image);
    for rules in [&openai::OPENAI, &deepseek::DEEPSEEK] {
        let request = asking(vec![user(vec![document(Media::Text("Hi".into()), Some("a.txt"))])]);
        assert_eq!(messages(rules, &request)[0]["content"], "a.txt\n\nHi");
    }
    let request = asking(vec![user(vec![document(inline("text/plain"), None)])]);
    assert_eq!(messages(&mistral::MISTRAL, &request)[0]["content"], "Hi");

    let url = || Media::Url {
        url: "https://host/a.pdf".into(),
        mime_type: None,
    };
    for (rules, media) in [
        (&openai::OPENAI, url()),
        (&openai::OPENAI, Media::FileId("file-1".into())),
        (&groq::GROQ, inline("application/pdf")),
        (&ollama::OLLAMA, inline("application/pdf")),
    ] {
        let refused = sent(rules, media, None).expect_err("refused");
        assert_eq!(
            (refused.code, refused.param.as_deref()),
            ("unsupported_parameter", Some("messages"))
        );
    }
}

#[test]
fn several_choices_are_refused_where_they_would_be_ignored() {
    let mut request = hello();
    request.choices = 2;
    for rules in [&ollama::OLLAMA, &groq::GROQ, &deepseek::DEEPSEEK] {
        assert_eq!(
            refusal(rules, &request),
            ("unsupported_parameter", Some("n".to_owned()))
        );
    }
    assert_eq!(encode(&openai::OPENAI, "gpt-4o", &request).0["n"], 2);
}

#[test]
fn marks_for_a_prompt_cache_are_reported_and_a_name_that_is_too_long_too() {
    let marked = Part::Text {
        text: "Hi".into(),
        cache: Some(CacheControl::OneHour),
    };
    let mut request = asking(vec![user(vec![marked])]);
    request.user = Some("x".repeat(65).into());
    let (body, dropped) = encode(&openai::OPENAI, "gpt-4o", &request);
    assert_eq!(body["messages"][0]["content"], "Hi");
    assert_eq!(
        (dropped.as_slice(), &body["user"]),
        (&["user", "cache_control"].map(str::to_owned)[..], &Value::Null)
    );
    let rules = &openai_compatible::OPENAI_COMPATIBLE;
    let (body, _) = encode_with(rules, "m", UnsupportedParameters::Pass, &request).unwrap();
    let mark = json!({"type": "ephemeral", "ttl": "1h"});
    assert_eq!(body["messages"][0]["content"][0]["cache_control"], mark);
}

#[test]
fn other_fields_pass_to_those_that_know_them_and_are_unknown_elsewhere() {
    let fields = [
        ("service_tier", "\"standard_only\""),
        ("store", "false"),
        ("metadata", "{\"a\":\"b\"}"),
        ("container", "\"c\""),
        ("tools", "[]"),
        ("Temperature", "2"),
    ];
    let mut request = hello();
    request.other = fields
        .iter()
        .map(|(name, value)| ((*name).into(), json(value)))
        .collect();
    let (body, dropped) = encode(&openai::OPENAI, "gpt-4o", &request);
    assert_eq!(
        (&body["service_tier"], &body["store"]),
        (&json!("default"), &json!(false))
    );
    assert_eq!(dropped, ["container", "tools", "Temperature"]);
    let (body, dropped) = encode(&openai_compatible::OPENAI_COMPATIBLE, "m", &request);
    assert_eq!(
        (&body["service_tier"], &body["store"], &body["metadata"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(
        dropped,
        ["service_tier", "metadata", "container", "tools", "Temperature"]
    );
    assert_eq!(encode(&groq::GROQ, "m", &request).0["service_tier"], "on_demand");
    let rules = &openai_compatible::OPENAI_COMPATIBLE;
    let (body, dropped) = encode_with(rules, "m", UnsupportedParameters::Pass, &request).unwrap();
    assert_eq!((&body["container"], &body["tools"]), (&json!("c"), &Value::Null));
    assert_eq!(dropped, ["service_tier", "tools", "Temperature"]);
    let refused = encode_with(rules, "m", UnsupportedParameters::Reject, &request).expect_err("refused");
    assert_eq!(refused.param.as_deref(), Some("metadata"));
}

#[test]
fn a_stream_is_asked_for_its_usage_where_it_must_be() {
    let mut request = hello();
    request.stream = true;
    let asked = |rules: &Rules| encode(rules, "m", &request).0["stream_options"].clone();
    assert_eq!(asked(&openai::OPENAI), json!({"include_usage": true}));
    assert_eq!(asked(&deepseek::DEEPSEEK), json!({"include_usage": true}));
    assert_eq!(
        (asked(&groq::GROQ), asked(&mistral::MISTRAL)),
        (Value::Null, Value::Null)
    );
    request.include_usage = true;
    let asked = |rules: &Rules| encode(rules, "m", &request).0["stream_options"].clone();
    assert_eq!(asked(&openai::OPENAI), json!({"include_usage": true}));
    assert_eq!(asked(&together::TOGETHER), Value::Null);
}
