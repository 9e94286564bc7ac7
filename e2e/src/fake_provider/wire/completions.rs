//! `OpenAI`'s completions of 2020: text in, text out, no tools and no thoughts.

use serde_json::{Value, json};

use super::super::asked::{Asked, CREATED_S, Pieces, Tool};
use super::sse::unnamed;
use super::{Speech, chat};

pub(super) struct Completions;

impl Speech for Completions {
    fn asked(&self, model: Option<&str>, body: Value) -> Asked {
        Asked {
            stream: body["stream"] == true,
            include_usage: body["stream_options"]["include_usage"] == true,
            ..Asked::plainly(model, body)
        }
    }

    fn whole(&self, asked: &Asked, text: &str, usage: bool) -> Vec<u8> {
        let mut answer = completion(asked, text, Some("stop"));
        if usage {
            answer["usage"] = chat::counts();
        }
        answer.to_string().into_bytes()
    }

    fn opening(&self, _asked: &Asked) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn text(&self, asked: &Asked, piece: &str, _index: u32) -> Vec<u8> {
        unnamed(&completion(asked, piece, None))
    }

    fn call(&self, _asked: &Asked, _tool: &Tool) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn ending(&self, asked: &Asked, _said: &Pieces, usage: bool) -> Vec<u8> {
        let mut end = unnamed(&completion(asked, "", Some("stop")));
        if usage && asked.include_usage {
            let mut last = completion(asked, "", None);
            last["choices"] = json!([]);
            last["usage"] = chat::counts();
            end.extend(unnamed(&last));
        }
        end.extend_from_slice(b"data: [DONE]\n\n");
        end
    }

    fn error_event(&self, asked: &Asked, texts: u32) -> Vec<u8> {
        chat::of(super::Family::OpenAI).error_event(asked, texts)
    }
}

fn completion(asked: &Asked, text: &str, finish: Option<&str>) -> Value {
    json!({"id": "cmpl-fake", "object": "text_completion", "created": CREATED_S, "model": asked.model,
        "choices": [{"index": 0, "text": text, "logprobs": null, "finish_reason": finish}]})
}
