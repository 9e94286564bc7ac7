//! `OpenAI`'s Responses: items instead of messages, and a stream that says everything twice, numbered, each part as it
//! begins, as it grows and once more whole.

use serde_json::{Value, json};

use super::super::asked::{Asked, CREATED_S, Pieces, SIGNATURE, TEXT, THOUGHT, Tool, tokens};
use super::sse::typed;
use super::{Body, Call, Family, Speech};

const ID: &str = "resp_fake";
const MESSAGE_ID: &str = "msg_fake";
const THOUGHT_ID: &str = "rs_fake";
const CALL_ITEM_ID: &str = "fc_fake";

pub(super) struct Responses;

impl Speech for Responses {
    fn asked(&self, model: Option<&str>, body: Value) -> Asked {
        let is_answered = body["input"]
            .as_array()
            .is_some_and(|all| all.iter().any(|item| item["type"] == "function_call_output"));
        let function = &body["tools"][0];
        let may_call = !is_answered && function["type"] == "function" && body["tool_choice"] != "none";
        let format = &body["text"]["format"];
        Asked {
            stream: body["stream"] == true,
            tool: Tool::new(&function["name"], &function["parameters"]).filter(|_| may_call),
            schema: (format["type"] == "json_schema").then(|| format["schema"].clone()),
            thinks: body["reasoning"]["effort"]
                .as_str()
                .is_some_and(|effort| effort != "none"),
            ..Asked::plainly(model, body)
        }
    }

    fn whole(&self, asked: &Asked, text: &str, _usage: bool) -> Vec<u8> {
        response(asked, "completed", &output(asked, text))
            .to_string()
            .into_bytes()
    }

    fn opening(&self, asked: &Asked) -> Vec<Vec<u8>> {
        let mut events = vec![
            json!({"type": "response.created", "response": response(asked, "in_progress", &[])}),
            json!({"type": "response.in_progress", "response": response(asked, "in_progress", &[])}),
        ];
        if asked.thinks {
            events.extend(thought_events());
        }
        let at = output_index(asked);
        if asked.tool.is_none() {
            events.push(json!({"type": "response.output_item.added", "output_index": at,
                "item": {"type": "message", "id": MESSAGE_ID, "status": "in_progress", "role": "assistant", "content": []}}));
            events.push(
                json!({"type": "response.content_part.added", "output_index": at, "item_id": MESSAGE_ID,
                "content_index": 0, "part": text_part("")}),
            );
        }
        numbered(events, 0)
    }

    fn text(&self, asked: &Asked, piece: &str, index: u32) -> Vec<u8> {
        let delta = json!({"type": "response.output_text.delta", "output_index": output_index(asked), "item_id": MESSAGE_ID,
            "content_index": 0, "delta": piece, "logprobs": []});
        numbered(vec![delta], opened(asked) + index).concat()
    }

    fn is_numbered(&self) -> bool {
        true
    }

    fn call(&self, asked: &Asked, tool: &Tool) -> Vec<Vec<u8>> {
        let at = output_index(asked);
        let [one, two] = tool.halves();
        let delta = |delta: String| {
            json!({"type": "response.function_call_arguments.delta", "output_index": at, "item_id": CALL_ITEM_ID,
                "delta": delta})
        };
        let events = vec![
            json!({"type": "response.output_item.added", "output_index": at, "item": call_item(tool, "in_progress", "")}),
            delta(one),
            delta(two),
            json!({"type": "response.function_call_arguments.done", "output_index": at, "item_id": CALL_ITEM_ID,
                "name": tool.name, "arguments": tool.arguments.to_string()}),
            json!({"type": "response.output_item.done", "output_index": at,
                "item": call_item(tool, "completed", &tool.arguments.to_string())}),
        ];
        numbered(events, opened(asked))
    }

    fn ending(&self, asked: &Asked, said: &Pieces, _usage: bool) -> Vec<u8> {
        let at = output_index(asked);
        let text = said.joined();
        let mut events = Vec::new();
        let mut before = opened(asked);
        if asked.tool.is_some() {
            before += 5; // the events of a call
        } else {
            before += said.count();
            events.push(
                json!({"type": "response.output_text.done", "output_index": at, "item_id": MESSAGE_ID,
                "content_index": 0, "text": text, "logprobs": []}),
            );
            events.push(
                json!({"type": "response.content_part.done", "output_index": at, "item_id": MESSAGE_ID,
                "content_index": 0, "part": text_part(&text)}),
            );
            events.push(json!({"type": "response.output_item.done", "output_index": at, "item": message(&text)}));
        }
        events.push(
            json!({"type": "response.completed", "response": response(asked, "completed", &output(asked, &text))}),
        );
        numbered(events, before).concat()
    }

    fn error_event(&self, asked: &Asked, texts: u32) -> Vec<u8> {
        let event =
            json!({"type": "error", "code": "fake_mid_stream", "message": "the model fell over", "param": null});
        numbered(vec![event], opened(asked) + texts).concat()
    }
}

/// `GET` and `DELETE` of a response that was stored: there is one, whatever was asked before.
pub(super) fn stored(call: &mut Call<'_>) -> Body {
    if call.path.split('/').next_back() != Some(ID) {
        return Body::not_found(Family::OpenAI, "Response with that id not found.");
    }
    if call.request.method == "DELETE" {
        return Body::json(&json!({"id": ID, "object": "response", "deleted": true}));
    }
    let asked = Asked {
        model: "chat".to_owned(),
        ..Asked::default()
    };
    Body::json(&response(&asked, "completed", &output(&asked, TEXT)))
}

fn numbered(events: Vec<Value>, from: u32) -> Vec<Vec<u8>> {
    (from..)
        .zip(events)
        .map(|(number, mut event)| {
            event["sequence_number"] = number.into();
            typed(&event)
        })
        .collect()
}

/// Events of [`Responses::opening`].
fn opened(asked: &Asked) -> u32 {
    2 + if asked.thinks { 6 } else { 0 } + if asked.tool.is_none() { 2 } else { 0 }
}

/// The place of the message or call: behind the thoughts.
fn output_index(asked: &Asked) -> u32 {
    u32::from(asked.thinks)
}

fn thought_events() -> Vec<Value> {
    let part = json!({"type": "summary_text", "text": THOUGHT});
    let part_event = |kind: &str, part: &Value| json!({"type": kind, "output_index": 0, "item_id": THOUGHT_ID, "summary_index": 0, "part": part});
    let mut begun = thought();
    begun["summary"] = json!([]);
    vec![
        json!({"type": "response.output_item.added", "output_index": 0, "item": begun}),
        part_event(
            "response.reasoning_summary_part.added",
            &json!({"type": "summary_text", "text": ""}),
        ),
        json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "item_id": THOUGHT_ID,
            "summary_index": 0, "delta": THOUGHT}),
        json!({"type": "response.reasoning_summary_text.done", "output_index": 0, "item_id": THOUGHT_ID,
            "summary_index": 0, "text": THOUGHT}),
        part_event("response.reasoning_summary_part.done", &part),
        json!({"type": "response.output_item.done", "output_index": 0, "item": thought()}),
    ]
}

fn thought() -> Value {
    json!({"type": "reasoning", "id": THOUGHT_ID, "summary": [{"type": "summary_text", "text": THOUGHT}],
        "encrypted_content": SIGNATURE})
}

fn text_part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn message(text: &str) -> Value {
    json!({"type": "message", "id": MESSAGE_ID, "status": "completed", "role": "assistant", "content": [text_part(text)]})
}

fn call_item(tool: &Tool, status: &str, arguments: &str) -> Value {
    json!({"type": "function_call", "id": CALL_ITEM_ID, "call_id": super::super::asked::CALL_ID, "name": tool.name,
        "arguments": arguments, "status": status})
}

fn output(asked: &Asked, text: &str) -> Vec<Value> {
    let mut items = Vec::new();
    if asked.thinks {
        items.push(thought());
    }
    items.push(match &asked.tool {
        Some(tool) => call_item(tool, "completed", &tool.arguments.to_string()),
        None => message(text),
    });
    items
}

fn response(asked: &Asked, status: &str, output: &[Value]) -> Value {
    let body = &asked.body;
    let or = |value: &Value, default: Value| if value.is_null() { default } else { value.clone() };
    let is_complete = status == "completed";
    let usage = json!({"input_tokens": tokens::INPUT,
        "input_tokens_details": {"cached_tokens": tokens::CACHED, "cache_write_tokens": 0},
        "output_tokens": tokens::OUTPUT, "output_tokens_details": {"reasoning_tokens": tokens::REASONING},
        "total_tokens": tokens::TOTAL});
    json!({"id": ID, "object": "response", "created_at": CREATED_S, "status": status, "model": asked.model,
        "completed_at": is_complete.then_some(CREATED_S), "background": false, "error": null, "incomplete_details": null,
        "instructions": body["instructions"], "max_output_tokens": body["max_output_tokens"], "output": output,
        "parallel_tool_calls": or(&body["parallel_tool_calls"], json!(true)),
        "previous_response_id": body["previous_response_id"],
        "reasoning": or(&body["reasoning"], json!({"effort": null, "summary": null})),
        "service_tier": "default", "store": or(&body["store"], json!(true)),
        "temperature": or(&body["temperature"], json!(1.0)),
        "text": or(&body["text"], json!({"format": {"type": "text"}})),
        "tool_choice": or(&body["tool_choice"], json!("auto")), "tools": or(&body["tools"], json!([])),
        "top_p": or(&body["top_p"], json!(1.0)), "truncation": "disabled",
        "usage": is_complete.then_some(usage), "metadata": or(&body["metadata"], json!({}))})
}
