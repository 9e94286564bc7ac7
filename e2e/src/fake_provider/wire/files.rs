//! Files and batches: the only endpoints with a memory. A batch is complete at once, and its output is its input.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::asked::CREATED_S;
use super::super::form;
use super::{Body, Call, Family};

/// What a test uploads is small and soon deleted; what is not makes place for what comes.
const KEPT_MAX: usize = 256;

/// Files and batches by id.
#[derive(Default)]
pub(in super::super) struct Stored {
    files: BTreeMap<String, File>,
    batches: BTreeMap<String, Value>,
    made: usize,
}

struct File {
    name: String,
    purpose: String,
    bytes: Vec<u8>,
}

impl Stored {
    /// Ids grow in their order.
    fn next_id(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{kind}{:06}", self.made)
    }
}

fn keep<T>(all: &mut BTreeMap<String, T>, id: &str, new: T) {
    if all.len() == KEPT_MAX {
        all.pop_first();
    }
    all.insert(id.to_owned(), new);
}

/// `…/files`, `…/files/ID` and `…/files/ID/content`.
pub(super) fn files(call: &mut Call<'_>) -> Body {
    let (_, rest) = call.path.rsplit_once("/files").expect("the path has it");
    let files = &mut call.stored.files;
    match (call.request.method.as_str(), rest.trim_matches('/')) {
        ("POST", "") => upload(call),
        ("GET", "") => list(&files.iter().map(|(id, file)| described(id, file)).collect::<Vec<_>>()),
        ("GET", id) if id.ends_with("/content") => match files.get(id.trim_end_matches("/content")) {
            Some(file) => Body {
                kind: "application/octet-stream",
                bytes: file.bytes.clone(),
                ..Body::json(&Value::Null)
            },
            None => no_such("File"),
        },
        ("GET", id) => files
            .get(id)
            .map_or_else(|| no_such("File"), |file| Body::json(&described(id, file))),
        ("DELETE", id) => match files.remove(id) {
            Some(_) => Body::json(&json!({"id": id, "object": "file", "deleted": true})),
            None => no_such("File"),
        },
        _ => no_such("Endpoint"),
    }
}

fn upload(call: &mut Call<'_>) -> Body {
    let kind = call.request.header("content-type").unwrap_or_default();
    let parts = form::parts(kind, &call.request.body);
    let Some(part) = parts.iter().find(|part| part.name == "file") else {
        return Family::OpenAI.error(400, "the form has no file", None);
    };
    let file = File {
        name: part.filename.unwrap_or("upload").to_owned(),
        purpose: call.asked.body["purpose"].as_str().unwrap_or("user_data").to_owned(),
        bytes: part.bytes.to_vec(),
    };
    let id = call.stored.next_id("file-");
    let answer = Body::json(&described(&id, &file));
    keep(&mut call.stored.files, &id, file);
    answer
}

/// `…/batches`, `…/batches/ID` and `…/batches/ID/cancel`.
pub(super) fn batches(call: &mut Call<'_>) -> Body {
    let (_, rest) = call.path.rsplit_once("/batches").expect("the path has it");
    match (call.request.method.as_str(), rest.trim_matches('/')) {
        ("POST", "") => begin(call),
        ("GET", "") => list(&call.stored.batches.values().cloned().collect::<Vec<_>>()),
        ("GET", id) => call.stored.batches.get(id).map_or_else(|| no_such("Batch"), Body::json),
        ("POST", rest) => match rest
            .strip_suffix("/cancel")
            .and_then(|id| call.stored.batches.get_mut(id))
        {
            Some(batch) => {
                batch["status"] = "cancelled".into();
                Body::json(batch)
            }
            None => no_such("Batch"),
        },
        _ => no_such("Endpoint"),
    }
}

fn begin(call: &mut Call<'_>) -> Body {
    let body = &call.asked.body;
    let Some(input) = body["input_file_id"]
        .as_str()
        .filter(|id| call.stored.files.contains_key(*id))
    else {
        return Family::OpenAI.error(400, "input_file_id names no file", None);
    };
    let lines = call.stored.files[input].bytes.split(|byte| *byte == b'\n');
    let total = lines.filter(|line| !line.is_empty()).count();
    let id = call.stored.next_id("batch_");
    let batch = json!({"id": id, "object": "batch", "endpoint": body["endpoint"], "input_file_id": input,
        "completion_window": body["completion_window"], "status": "completed", "output_file_id": input,
        "error_file_id": null, "errors": null, "created_at": CREATED_S, "completed_at": CREATED_S,
        "request_counts": {"total": total, "completed": total, "failed": 0}, "metadata": body["metadata"]});
    keep(&mut call.stored.batches, &id, batch.clone());
    Body::json(&batch)
}

fn described(id: &str, file: &File) -> Value {
    json!({"id": id, "object": "file", "bytes": file.bytes.len(), "created_at": CREATED_S, "filename": file.name,
        "purpose": file.purpose, "status": "processed"})
}

fn list(data: &[Value]) -> Body {
    let id = |item: Option<&Value>| item.map(|item| item["id"].clone());
    Body::json(
        &json!({"object": "list", "first_id": id(data.first()), "last_id": id(data.last()), "has_more": false,
        "data": data}),
    )
}

fn no_such(what: &str) -> Body {
    Body::not_found(Family::OpenAI, &format!("No such {what} object"))
}
