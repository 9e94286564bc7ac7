//! What `ModelRequest::parse` reads, and what it refuses with which words.

use bytes::Bytes;
use headgate_llm::endpoint::Endpoint;
use headgate_llm::json::DEPTH_MAX;
use headgate_llm::request::{BadRequest, ModelRequest};

const MESSAGES: &str = r#""messages":[{"role":"user","content":"Hi"}]"#;

fn parse(body: impl Into<Vec<u8>>) -> Result<ModelRequest, BadRequest> {
    ModelRequest::parse(Endpoint::ChatCompletions, Bytes::from(body.into()))
}

/// A request with these fields beside `model` and `messages`.
fn with(fields: &str) -> Result<ModelRequest, BadRequest> {
    parse(format!("{{\"model\":\"m\",{MESSAGES},{fields}}}"))
}

#[track_caller]
fn refused(result: Result<ModelRequest, BadRequest>, code: &str, param: Option<&str>) -> String {
    let refusal = result.expect_err("accepted");
    assert_eq!((refusal.code, refusal.param.as_deref()), (code, param), "{refusal}");
    refusal.message
}

#[test]
fn the_fields_that_the_gateway_reads_are_read() {
    let request = with(
        r#""stream":true,"stream_options":{"include_usage":true},"max_tokens":5,"n":3,"user":"\u0061nn","tools":[],"x":{}"#,
    )
    .unwrap();
    assert_eq!((request.model.as_str(), request.user.as_deref()), ("m", Some("ann")));
    assert_eq!((request.stream, request.include_usage), (true, true));
    assert_eq!((request.max_output_tokens, request.choices), (Some(5), 3));
    assert_eq!(request.input(), br#"[{"role":"user","content":"Hi"}]"#);
    assert_eq!((request.tools(), request.tool_choice()), (Some(b"[]".as_slice()), None));
}

#[test]
fn what_is_absent_or_null_has_its_default() {
    let nulls =
        r#""stream":null,"stream_options":null,"max_tokens":null,"max_completion_tokens":null,"n":null,"user":null"#;
    for request in [
        with(nulls),
        with("\"x\":1"),
        with("\"stream_options\":{\"include_usage\":null}"),
    ] {
        let request = request.unwrap();
        assert_eq!(
            (request.stream, request.include_usage, request.choices),
            (false, false, 1)
        );
        assert_eq!((request.max_output_tokens, request.user), (None, None));
    }
}

#[test]
fn max_completion_tokens_beats_max_tokens() {
    assert_eq!(
        with(r#""max_tokens":900,"max_completion_tokens":7"#)
            .unwrap()
            .max_output_tokens,
        Some(7)
    );
    assert_eq!(
        with(r#""max_tokens":900,"max_completion_tokens":null"#)
            .unwrap()
            .max_output_tokens,
        Some(900)
    );
}

#[test]
fn a_body_that_is_no_json_object_is_refused_with_the_place() {
    let message = refused(parse("{\"model\":\"é\",\n  \"x\":secret}"), "invalid_json", None);
    assert_eq!(
        message,
        "the request body must be valid JSON: expected a value at line 2, column 7 (byte 21)"
    );
    for body in [
        "",
        " ",
        "{",
        "{}}",
        "{\"model\":\"m\",}",
        "{\"a\" 1}",
        "{'a':1}",
        "\u{feff}{}",
        "{\"a\":01}",
        "nul",
    ] {
        refused(parse(body), "invalid_json", None);
    }
    for body in ["[]", "null", "\"model\"", "3"] {
        refused(parse(body), "invalid_type", None);
    }
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let message = refused(parse(b"{\"model\":\"m\xff\"}".as_slice()), "invalid_utf8", None);
    assert!(message.contains("(byte 11)"), "{message}");
    for bytes in [
        b"\xc0\x80".as_slice(),
        b"\xed\xa0\x80",
        b"\xf5\x80\x80\x80",
        b"\xe1\xbb",
    ] {
        refused(
            parse([b"{\"x\":\"".as_slice(), bytes, b"\"}"].concat()),
            "invalid_utf8",
            None,
        );
    }
}

#[test]
fn half_a_surrogate_pair_is_refused_and_a_whole_one_is_not() {
    for half in [r"\ud800", r"\udc00", r"\ud83d\u0041", r"\ud83dx", r"\udc00\ud800"] {
        refused(with(&format!("\"x\":\"{half}\"")), "invalid_json", None);
        refused(with(&format!("\"{half}\":1")), "invalid_json", None);
    }
    assert_eq!(with(r#""user":"\ud83d\ude00""#).unwrap().user.as_deref(), Some("😀"));
}

#[test]
fn nesting_is_bounded_also_where_nothing_is_read() {
    let nested = |depth: usize| {
        let inner = depth - 1; // the body itself is the first level
        with(&format!("\"x\":{}{}", "[".repeat(inner), "]".repeat(inner)))
    };
    assert!(nested(DEPTH_MAX as usize).is_ok());
    refused(nested(DEPTH_MAX as usize + 1), "json_too_deep", None);
    refused(nested(10_000), "json_too_deep", None);
    refused(parse("{\"a\":".repeat(10_000)), "json_too_deep", None);
    refused(parse("[".repeat(1_000_000)), "json_too_deep", None);
}

#[test]
fn a_field_that_is_read_may_be_spelt_only_once_and_only_so() {
    for (fields, param) in [
        (r#""model":"canary""#, "model"),
        (r#""Model":"canary""#, "model"),
        (r#""mod\u0065l":"canary""#, "model"),
        (r#""MOD\u0045L":"canary""#, "model"),
        (r#""Stream":true"#, "stream"),
        ("\"\u{17f}tream\":true", "stream"),
        ("\"max_to\u{212a}ens\":1", "max_tokens"),
        (r#""user":"a","user":"a""#, "user"),
        (r#""Messages":[]"#, "messages"),
        (r#""tools":[],"TOOLS":[]"#, "tools"),
        (
            r#""stream_options":{"include_usage":true,"include_usage":false}"#,
            "stream_options.include_usage",
        ),
        (
            r#""stream_options":{"Include_Usage":true}"#,
            "stream_options.include_usage",
        ),
    ] {
        let message = refused(with(fields), "duplicate_field", Some(param));
        assert!(!message.contains("canary"), "{message}");
    }
}

#[test]
fn fields_that_are_not_read_may_be_anything() {
    for fields in [
        r#""x":1,"x":2"#,
        r#""X":1,"x":2"#,
        r#""metadata":{"model":1,"Model":2}"#,
        r#""models":[],"mode":1"#,
    ] {
        assert_eq!(with(fields).unwrap().model, "m", "{fields}");
    }
}

#[test]
fn model_and_messages_are_required() {
    refused(parse(format!("{{{MESSAGES}}}")), "missing_field", Some("model"));
    refused(
        parse(format!("{{\"model\":null,{MESSAGES}}}")),
        "missing_field",
        Some("model"),
    );
    refused(parse("{\"model\":\"m\"}"), "missing_field", Some("messages"));
    assert!(
        parse("{\"model\":\"m\",\"messages\":[]}").is_ok(),
        "an empty list is the provider's to judge"
    );
}

#[test]
fn values_of_another_type_are_refused_by_name() {
    for (fields, param) in [
        ("\"stream\":\"true\"", "stream"),
        ("\"stream\":1", "stream"),
        ("\"stream_options\":true", "stream_options"),
        (
            "\"stream_options\":{\"include_usage\":1}",
            "stream_options.include_usage",
        ),
        ("\"max_tokens\":\"5\"", "max_tokens"),
        ("\"max_tokens\":-1", "max_tokens"),
        ("\"max_tokens\":1.5", "max_tokens"),
        ("\"max_completion_tokens\":1e3", "max_completion_tokens"),
        ("\"n\":[]", "n"),
        ("\"user\":7", "user"),
    ] {
        refused(with(fields), "invalid_type", Some(param));
    }
    refused(
        parse(format!("{{\"model\":7,{MESSAGES}}}")),
        "invalid_type",
        Some("model"),
    );
    refused(
        parse("{\"model\":\"m\",\"messages\":{}}"),
        "invalid_type",
        Some("messages"),
    );
}

#[test]
fn values_out_of_bounds_are_refused_by_name() {
    let model = |model: &str| parse(format!("{{\"model\":\"{model}\",{MESSAGES}}}"));
    refused(model(""), "invalid_value", Some("model"));
    refused(model(&"é".repeat(257)), "invalid_value", Some("model"));
    assert!(model(&"é".repeat(256)).is_ok());
    refused(with("\"n\":0"), "invalid_value", Some("n"));
    refused(with("\"n\":129"), "invalid_value", Some("n"));
    assert_eq!(with("\"n\":128").unwrap().choices, 128);
    refused(
        with("\"max_tokens\":18446744073709551616"),
        "invalid_value",
        Some("max_tokens"),
    );
}
