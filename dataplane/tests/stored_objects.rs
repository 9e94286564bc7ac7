//! Files and batches in an account that all callers share, through the whole gateway and over a socket: ids are bound to
//! the key that they were given to, lists show a key its own, and what is another's is as if it were not there.

mod scripted;
mod tenants;

use std::sync::Arc;

use axum::body::Body;
use headgate::gateway::Gateway;
use headgate::identity::clouds::Clouds;
use http::{Method, Request};
use scripted::{Reply, Scripted};
use serde_json::{Value, json};
use tenants::{ANNA, Answer, BERT, BOUND, ask, get, manifests, post, send};

/// A server that speaks `OpenAI`'s words, of which nothing is known.
fn spec(provider: &Scripted, more: &str) -> String {
    tenants::spec("OpenAICompatible", provider, more)
}

async fn gateway(replies: impl IntoIterator<Item = Reply>) -> (Arc<Gateway>, Scripted) {
    let provider = Scripted::start(replies).await;
    let spec = spec(&provider, ", storedObjects: Allow");
    (scripted::gateway_of(&manifests(&[spec])).await, provider)
}

fn form(name: &str) -> String {
    format!(
        "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b\r\nContent-Disposition: form-data; \
         name=\"file\"; filename=\"{name}\"\r\nContent-Type: application/octet-stream\r\n\r\n{{\"a\":1}}\n\r\n--b--\r\n"
    )
}

async fn upload_to(gateway: &Arc<Gateway>, token: &str, form: String, provider: Option<&str>) -> Answer {
    let mut request = Request::post("/v1/files")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "multipart/form-data; boundary=b")
        .header("content-length", form.len().to_string());
    if let Some(provider) = provider {
        request = request.header("x-headgate-provider", provider);
    }
    send(gateway, request.body(Body::from(form)).expect("a request")).await
}

/// Uploads, and tells the id that was given and the name under which the provider got it.
async fn upload(gateway: &Arc<Gateway>, provider: &Scripted, token: &str) -> (String, String) {
    let answer = upload_to(gateway, token, form("train.jsonl"), None).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.bytes));
    let received = provider.received();
    let sent = String::from_utf8(received.last().expect("it came").bytes.clone()).expect("text");
    let (_, name) = sent.split_once("filename=\"").expect("a name");
    let (name, _) = name.split_once('"').expect("a name");
    let id = answer.json()["id"].as_str().expect("an id").to_owned();
    (id, name.to_owned())
}

fn file(id: &str, filename: &str) -> String {
    json!({"id": id, "object": "file", "bytes": 8, "created_at": 1, "filename": filename, "purpose": "batch"})
        .to_string()
}

fn uploaded(id: &str) -> Reply {
    Reply::json(200, file(id, "hg-0123456789abcdef-train.jsonl"))
}

#[tokio::test]
async fn an_upload_passes_with_its_owner_in_the_name_and_comes_back_under_an_id_of_its_own() {
    let (gateway, provider) = gateway([uploaded("file-1").with_header("openai-version", "2020-10-01")]).await;
    let answer = upload_to(&gateway, ANNA, form("train.jsonl"), None).await;
    assert_eq!(answer.status, 200);
    let headers = answer.response.headers();
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["x-headgate-provider"], "p0");
    assert!(!headers.contains_key("x-headgate-cost-usd"));
    let body = answer.json();
    let id = body["id"].as_str().expect("an id");
    assert!(id.starts_with("file-hg") && !id.contains("anna"), "{id}");
    assert_eq!(body["filename"], "train.jsonl");
    assert_eq!(body["bytes"], 8);

    let [received] = &provider.received()[..] else {
        panic!("one request")
    };
    assert_eq!(received.line, "POST /v1/files");
    assert_eq!(received.header("authorization"), Some("Bearer scripted-credential"));
    assert_eq!(received.header("content-type"), Some("multipart/form-data; boundary=b"));
    assert_eq!(
        received.header("content-length"),
        Some(&*received.bytes.len().to_string())
    );
    let sent = String::from_utf8(received.bytes.clone()).expect("text");
    let (_, name) = sent.split_once("filename=\"").expect("a name");
    let name = &name[..name.find('"').expect("a quote")];
    assert!(name.starts_with("hg-") && name.ends_with("-train.jsonl"), "{name}");
    assert_eq!(sent, form(name));
}

#[tokio::test]
async fn a_file_is_shown_read_and_deleted_by_its_owner() {
    let content: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let deleted = r#"{"id":"file-1","object":"file","deleted":true}"#;
    let (gateway, provider) = gateway([
        uploaded("file-1"),
        uploaded("file-1"),
        Reply::stream("application/octet-stream", content.clone()).with_header(
            "content-disposition",
            "attachment; filename=\"hg-0123456789abcdef-train.jsonl\"",
        ),
        Reply::json(200, deleted),
    ])
    .await;
    let (id, _) = upload(&gateway, &provider, ANNA).await;
    let shown = get(&gateway, ANNA, &format!("/v1/files/{id}")).await.json();
    assert_eq!(
        (shown["id"].as_str(), shown["filename"].as_str()),
        (Some(id.as_str()), Some("train.jsonl"))
    );
    let read = get(&gateway, ANNA, &format!("/v1/files/{id}/content")).await;
    assert_eq!(read.response.headers()["content-type"], "application/octet-stream");
    assert_eq!(
        read.response.headers()["content-disposition"],
        "attachment; filename=\"train.jsonl\""
    );
    assert_eq!(read.bytes, content);
    let gone = ask(&gateway, ANNA, Method::DELETE, &format!("/v1/files/{id}")).await;
    assert_eq!(
        String::from_utf8(gone.bytes).expect("text"),
        deleted.replace("file-1", &id)
    );
    let lines: Vec<String> = provider.received().into_iter().map(|received| received.line).collect();
    assert_eq!(
        lines[1..],
        [
            "GET /v1/files/file-1",
            "GET /v1/files/file-1/content",
            "DELETE /v1/files/file-1"
        ]
    );
    let get_headers = &provider.received()[1];
    assert_eq!(get_headers.header("content-type"), None);
}

#[tokio::test]
async fn what_is_anothers_or_nobodys_is_not_there_and_the_provider_is_not_asked() {
    let (gateway, provider) = gateway([uploaded("file-1")]).await;
    let (id, _) = upload(&gateway, &provider, ANNA).await;
    // The tag may end in any letter.
    let other = if id.ends_with('A') { 'Q' } else { 'A' };
    let tampered = format!("{}{other}", &id[..id.len() - 1]);
    for (method, path, token) in [
        (Method::GET, format!("/v1/files/{id}"), BERT),
        (Method::GET, format!("/v1/files/{id}/content"), BERT),
        (Method::DELETE, format!("/v1/files/{id}"), BERT),
        (Method::GET, "/v1/files/file-1".to_owned(), ANNA),
        (Method::GET, format!("/v1/files/{tampered}"), ANNA),
        (Method::GET, "/v1/files/%ff".to_owned(), ANNA),
        (Method::GET, "/v1/files/..".to_owned(), ANNA),
        (Method::GET, format!("/v1/batches/{id}"), ANNA),
        (Method::POST, format!("/v1/batches/{id}/cancel"), ANNA),
        (Method::GET, format!("/v1/responses/{id}"), ANNA),
        (Method::GET, "/v1/responses/resp_1/input_items".to_owned(), ANNA),
    ] {
        let answer = ask(&gateway, token, method, &path).await;
        assert_eq!(answer.code(), (404, "object_not_found".to_owned()), "{path}");
        assert!(!answer.response.headers().contains_key("x-headgate-provider"));
    }
    assert_eq!(provider.received().len(), 1);
}

#[tokio::test]
async fn what_the_provider_does_not_find_reads_as_what_is_not_the_callers() {
    let error =
        json!({"error": {"message": "No such File object: file-1", "type": "invalid_request_error", "code": null}});
    let (gateway, provider) = gateway([uploaded("file-1"), Reply::json(404, error.to_string())]).await;
    let (id, _) = upload(&gateway, &provider, ANNA).await;
    let gone = get(&gateway, ANNA, &format!("/v1/files/{id}")).await;
    let foreign = get(&gateway, BERT, &format!("/v1/files/{id}")).await;
    assert_eq!((gone.status, gone.bytes), (foreign.status, foreign.bytes));
}

/// A gateway and a provider whose list has `entries`, where `%A` stands for Anna's mark and `%B` for Bert's.
async fn listing(replies: impl Fn(&dyn Fn(&str) -> String) -> Vec<Reply>) -> (Arc<Gateway>, Scripted) {
    let folder = tempfile::tempdir().expect("a folder");
    let state = tempfile::tempdir().expect("a folder");
    let write = |provider: &Scripted| {
        let manifests = manifests(&[spec(provider, ", storedObjects: Allow")]);
        std::fs::write(folder.path().join("a.yaml"), manifests).expect("a file");
    };
    let first = Scripted::start([uploaded("file-1"), uploaded("file-2")]).await;
    write(&first);
    let gateway = scripted::gateway_over(folder.path(), state.path(), Clouds::default()).await;
    let mut marks = Vec::new();
    for token in [ANNA, BERT] {
        let (_, name) = upload(&gateway, &first, token).await;
        marks.push(name.strip_suffix("train.jsonl").expect("its own name").to_owned());
    }
    let marked = |text: &str| {
        let tag = |mark: &str| mark[3..mark.len() - 1].to_owned();
        text.replace("%A", &marks[0])
            .replace("%B", &marks[1])
            .replace("%a", &tag(&marks[0]))
            .replace("%b", &tag(&marks[1]))
    };
    let second = Scripted::start(replies(&marked)).await;
    write(&second);
    // The same folder and state: another process over them knows what the first one marked.
    (
        scripted::gateway_over(folder.path(), state.path(), Clouds::default()).await,
        second,
    )
}

fn file_page(entries: &[(&str, String)], has_more: bool) -> Reply {
    let entries: Vec<String> = entries.iter().map(|(id, name)| file(id, name)).collect();
    Reply::json(
        200,
        format!(
            r#"{{"object":"list","data":[{}],"has_more":{has_more}}}"#,
            entries.join(",")
        ),
    )
}

#[tokio::test]
async fn a_list_is_filled_with_ones_own_and_goes_on_where_it_ended() {
    let pages = |marked: &dyn Fn(&str) -> String| {
        let first = || file_page(&[("file-9", "x.pdf".to_owned()), ("file-8", marked("%Aa"))], true);
        let second = || {
            let entries = [
                ("file-7", marked("%Bb")),
                ("file-6", marked("%Ac")),
                ("file-5", "y.pdf".to_owned()),
            ];
            file_page(&entries, true)
        };
        let last = || file_page(&[("file-4", marked("%Bd"))], false);
        vec![first(), second(), second(), last(), first(), second(), last()]
    };
    let (gateway, provider) = listing(pages).await;
    let names = |list: &Value| -> Vec<String> {
        let entries = list["data"].as_array().expect("entries");
        entries
            .iter()
            .map(|entry| entry["filename"].as_str().expect("a name").to_owned())
            .collect()
    };

    let list = get(&gateway, ANNA, "/v1/files?limit=1&order=desc").await.json();
    assert_eq!((names(&list), &list["has_more"]), (vec!["a".to_owned()], &json!(true)));
    let last = list["last_id"].as_str().expect("an id");
    assert_eq!(
        (&list["data"][0]["id"], &list["first_id"]),
        (&json!(last), &json!(last))
    );

    let list = get(&gateway, ANNA, &format!("/v1/files?limit=1&order=desc&after={last}"))
        .await
        .json();
    assert_eq!((names(&list), &list["has_more"]), (vec!["c".to_owned()], &json!(false)));

    let list = get(&gateway, BERT, "/v1/files").await.json();
    assert_eq!(names(&list), ["b", "d"]);
    assert_eq!(list["has_more"], json!(false));

    let lines: Vec<String> = provider.received().into_iter().map(|received| received.line).collect();
    assert_eq!(
        lines,
        [
            "GET /v1/files?order=desc&limit=1000",
            "GET /v1/files?order=desc&limit=1000&after=file-8",
            "GET /v1/files?order=desc&limit=1000&after=file-8",
            "GET /v1/files?order=desc&limit=1000&after=file-5",
            "GET /v1/files",
            "GET /v1/files?after=file-8",
            "GET /v1/files?after=file-5",
        ]
    );
    for (token, query) in [
        (BERT, format!("after={last}")),
        (ANNA, "after=file-8".to_owned()),
        (ANNA, "limit=0".to_owned()),
    ] {
        let refused = get(&gateway, token, &format!("/v1/files?{query}")).await;
        assert_eq!(refused.status, 400, "{query}");
    }
    assert_eq!(provider.received().len(), 7);
}

fn batch(metadata: &Value) -> String {
    json!({"id": "batch_1", "object": "batch", "endpoint": "/v1/chat/completions", "input_file_id": "file-1",
        "output_file_id": "file-2", "error_file_id": null, "status": "completed", "metadata": metadata,
        "usage": {"input_tokens": 1000, "output_tokens": 500}})
    .to_string()
}

#[tokio::test]
async fn a_batch_is_made_shown_listed_and_cancelled_and_its_answers_are_its_owners() {
    let (gateway, provider) = listing(|marked| {
        let of = |tag: &str| batch(&json!({"headgate_owner": marked(tag)}));
        vec![
            uploaded("file-1"),
            Reply::json(200, batch(&json!({"team": "x", "headgate_owner": marked("%a")}))),
            Reply::json(200, of("%a")),
            Reply::json(200, of("%a")),
            Reply::json(
                200,
                format!(
                    r#"{{"object":"list","data":[{},{}],"has_more":false}}"#,
                    of("%b"),
                    of("%a")
                ),
            ),
            Reply::stream("application/octet-stream", "{}\n"),
        ]
    })
    .await;
    let (file, _) = upload(&gateway, &provider, ANNA).await;
    let request = json!({"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h",
        "metadata": {"team": "x"}});
    let made = post(&gateway, ANNA, "/v1/batches", &request).await;
    assert_eq!(made.status, 200);
    assert!(!made.response.headers().contains_key("x-headgate-cost-usd"));
    let made = made.json();
    let id = made["id"].as_str().expect("an id");
    assert!(id.starts_with("batch_hg"), "{id}");
    assert_eq!(
        (&made["input_file_id"], &made["metadata"]),
        (&json!(file), &json!({"team": "x"}))
    );
    assert_eq!(made["error_file_id"], Value::Null);

    let shown = get(&gateway, ANNA, &format!("/v1/batches/{id}")).await.json();
    assert_eq!((&shown["id"], &shown["metadata"]), (&json!(id), &Value::Null));
    let cancelled = ask(&gateway, ANNA, Method::POST, &format!("/v1/batches/{id}/cancel")).await;
    assert_eq!(cancelled.json(), shown);
    let list = get(&gateway, ANNA, "/v1/batches?limit=1").await.json();
    assert_eq!(list["data"], json!([shown]));
    assert_eq!(list["has_more"], json!(false));
    let output = made["output_file_id"].as_str().expect("an id");
    assert_eq!(
        get(&gateway, BERT, &format!("/v1/files/{output}/content")).await.status,
        404
    );
    assert_eq!(
        get(&gateway, ANNA, &format!("/v1/files/{output}/content")).await.bytes,
        b"{}\n"
    );

    let received = provider.received();
    let lines: Vec<&str> = received.iter().map(|received| received.line.as_str()).collect();
    assert_eq!(
        lines[1..],
        [
            "POST /v1/batches",
            "GET /v1/batches/batch_1",
            "POST /v1/batches/batch_1/cancel",
            "GET /v1/batches?limit=100",
            "GET /v1/files/file-2/content",
        ]
    );
    assert_eq!(received[1].body["input_file_id"], "file-1");
    assert_eq!(received[1].body["metadata"]["team"], "x");
    assert_eq!(
        received[1].body["metadata"]["headgate_owner"].as_str().map(str::len),
        Some(16)
    );
    assert_eq!(received[3].header("content-length"), Some("0"));
    let metrics = String::from_utf8(gateway.metrics.render()).expect("text");
    assert!(
        !metrics.contains("type=\"input\"} 1000"),
        "what a batch used is told each time it is shown"
    );
}

#[tokio::test]
async fn a_batch_of_anothers_file_and_one_that_names_models_unseen_are_refused() {
    let error = json!({"error": {"message": "file-1 is no batch", "type": "invalid_request_error", "code": "x"}});
    let (gateway, provider) = gateway([uploaded("file-1"), Reply::json(400, error.to_string())]).await;
    let (file, _) = upload(&gateway, &provider, ANNA).await;
    let request = |file: &str| json!({"input_file_id": file, "endpoint": "/v1/embeddings", "completion_window": "24h"});
    for (token, id) in [(BERT, file.as_str()), (ANNA, "file-1"), (ANNA, "")] {
        let refused = post(&gateway, token, "/v1/batches", &request(id)).await;
        assert_eq!(refused.code(), (400, "object_not_found".to_owned()));
        assert_eq!(refused.json()["error"]["param"], "input_file_id");
    }
    let bound = post(&gateway, BOUND, "/v1/batches", &request(&file)).await;
    assert_eq!(bound.code(), (403, "batch_not_allowed".to_owned()));
    let mut full = request(&file);
    full["metadata"] = (0..16).map(|index| (format!("k{index}"), json!("v"))).collect();
    assert_eq!(
        post(&gateway, ANNA, "/v1/batches", &full).await.json()["error"]["param"],
        "metadata"
    );
    assert_eq!(provider.received().len(), 1);

    let refused = post(&gateway, ANNA, "/v1/batches", &request(&file)).await;
    assert_eq!(refused.code(), (400, "x".to_owned()));
    assert_eq!(refused.json()["error"]["message"], json!(format!("{file} is no batch")));
}

#[tokio::test]
async fn nothing_is_stored_where_the_manifest_does_not_allow_it() {
    let provider = Scripted::start([]).await;
    let gateway = scripted::gateway_of(&manifests(&[spec(&provider, "")])).await;
    let mut answers = vec![upload_to(&gateway, ANNA, form("a"), None).await];
    for path in ["/v1/files", "/v1/batches"] {
        answers.push(get(&gateway, ANNA, path).await);
    }
    answers.push(post(&gateway, ANNA, "/v1/batches", &json!({"input_file_id": "file-1"})).await);
    let chat = json!({"model": "model", "messages": [{"role": "user", "content": [{"type": "file",
        "file": {"file_id": "file-1"}}]}]});
    answers.push(post(&gateway, ANNA, "/v1/chat/completions", &chat).await);
    for answer in answers {
        assert_eq!(answer.code(), (403, "stored_objects_forbidden".to_owned()));
        let body = answer.json();
        assert!(
            body["error"]["message"]
                .as_str()
                .expect("words")
                .contains("storedObjects: Allow"),
            "{body}"
        );
        assert_eq!(body["error"]["type"], "permission_error");
    }
    assert!(provider.received().is_empty());
}

#[tokio::test]
async fn requests_about_nothing_that_can_be_planned_or_read_are_refused() {
    let (gateway, provider) = gateway([]).await;
    let unknown = Request::get("/v1/files")
        .header("authorization", "Bearer vk-none")
        .body(Body::empty());
    assert_eq!(
        send(&gateway, unknown.expect("a request")).await.code(),
        (401, "invalid_api_key".to_owned())
    );
    let other = Request::get("/v1/files")
        .header("authorization", format!("Bearer {ANNA}"))
        .header("x-headgate-provider", "other");
    let other = send(&gateway, other.body(Body::empty()).expect("a request")).await;
    assert_eq!(other.code(), (400, "provider_not_named".to_owned()));
    let json = post(&gateway, ANNA, "/v1/files", &json!({})).await;
    assert_eq!(json.code(), (415, "unsupported_media_type".to_owned()));
    let nameless = form("a").replace("; filename=\"a\"", "");
    assert_eq!(
        upload_to(&gateway, ANNA, nameless, None).await.json()["error"]["param"],
        "file"
    );
    assert_eq!(ask(&gateway, ANNA, Method::PUT, "/v1/files").await.code().0, 405);
    assert!(provider.received().is_empty());
}

/// A gateway over two providers that allow stored objects; `p0` is the default.
async fn two(first: Vec<Reply>, second: Vec<Reply>) -> (Arc<Gateway>, [Scripted; 2]) {
    let providers = [Scripted::start(first).await, Scripted::start(second).await];
    let specs = providers
        .each_ref()
        .map(|provider| spec(provider, ", storedObjects: Allow"));
    (scripted::gateway_of(&manifests(&specs)).await, providers)
}

fn chat(model: &str, file: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": file}},
        {"type": "text", "text": "\"file_id\": \"file-1\""}]}]})
}

fn chatted() -> Reply {
    let answer = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0,
        "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]});
    Reply::json(200, answer.to_string())
}

#[tokio::test]
async fn a_chat_about_a_file_goes_where_the_file_is_with_the_providers_id() {
    let (gateway, [first, second]) = two(vec![], vec![uploaded("file-1"), chatted(), uploaded("file-1")]).await;
    let id = upload_to(&gateway, ANNA, form("a"), Some("p1")).await.json()["id"].clone();
    let id = id.as_str().expect("an id");
    let answer = post(&gateway, ANNA, "/v1/chat/completions", &chat("model", id)).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.bytes));
    assert_eq!(answer.response.headers()["x-headgate-provider"], "p1");
    assert_eq!(
        second.received()[1].body["messages"],
        chat("model", "file-1")["messages"]
    );
    assert!(first.received().is_empty());
    // Whose object it is is also known without the header by which it was made, and another one is refused.
    let shown = |provider: &str| {
        Request::get(format!("/v1/files/{id}"))
            .header("authorization", format!("Bearer {ANNA}"))
            .header("x-headgate-provider", provider)
            .body(Body::empty())
            .expect("a request")
    };
    assert_eq!(
        send(&gateway, shown("p0")).await.code(),
        (400, "provider_not_on_route".to_owned())
    );
    assert_eq!(send(&gateway, shown("p1")).await.status, 200);
}

#[tokio::test]
async fn a_chat_about_what_is_not_ones_own_or_elsewhere_is_refused() {
    let (gateway, [first, second]) = two(vec![], vec![uploaded("file-1")]).await;
    let id = upload_to(&gateway, ANNA, form("a"), Some("p1")).await.json()["id"].clone();
    let id = id.as_str().expect("an id");
    for (token, model, file, code) in [
        (BERT, "model", id, "object_not_found"),
        (ANNA, "model", "file-1", "object_not_found"),
        (ANNA, "only-0", id, "object_elsewhere"),
        (BERT, "only-0", id, "object_not_found"),
    ] {
        let refused = post(&gateway, token, "/v1/chat/completions", &chat(model, file)).await;
        assert_eq!(refused.code(), (400, code.to_owned()), "{model} {file}");
        assert_eq!(refused.json()["error"]["param"], "file_id");
    }
    let picture = json!({"model": "only-1", "prompt": "a", "images": [{"file_id": "file-1"}]});
    let refused = post(&gateway, ANNA, "/v1/images/edits", &picture).await;
    assert_eq!(refused.code(), (400, "object_not_found".to_owned()));
    assert_eq!((first.received().len(), second.received().len()), (0, 1));
}

#[tokio::test]
async fn azures_version_stands_behind_the_whole_path() {
    let empty = r#"{"object":"list","data":[],"has_more":false}"#;
    let provider = Scripted::start([
        uploaded("assistant-1"),
        uploaded("assistant-1"),
        Reply::json(200, empty),
    ])
    .await;
    let spec = format!(
        "type: AzureOpenAI, baseURL: \"http://{}\", azure: {{apiVersion: 2024-10-21}}, storedObjects: Allow",
        provider.address
    );
    let gateway = scripted::gateway_of(&manifests(&[spec])).await;
    let (id, _) = upload(&gateway, &provider, ANNA).await;
    assert!(id.starts_with("assistant-hg"), "{id}");
    get(&gateway, ANNA, &format!("/v1/files/{id}?api-version=1")).await;
    get(&gateway, ANNA, "/v1/batches?api-version=1").await;
    let lines: Vec<String> = provider.received().into_iter().map(|received| received.line).collect();
    assert_eq!(
        lines,
        [
            "POST /openai/files?api-version=2024-10-21",
            "GET /openai/files/assistant-1?api-version=2024-10-21",
            "GET /openai/batches?api-version=2024-10-21&limit=100",
        ]
    );
}

#[tokio::test]
async fn a_provider_whose_objects_are_not_served_says_so_whatever_is_allowed() {
    let provider = Scripted::start([]).await;
    for (more, code) in [
        ("", "stored_objects_forbidden"),
        (", storedObjects: Allow", "unsupported_endpoint"),
    ] {
        let spec = tenants::spec("Anthropic", &provider, more);
        let gateway = scripted::gateway_of(&manifests(&[spec])).await;
        let listed = get(&gateway, ANNA, "/v1/files").await;
        assert_eq!(listed.code().1, code);
        let message = json!({"model": "model", "max_tokens": 9, "messages": [{"role": "user", "content": [{"type":
            "document", "source": {"type": "file", "file_id": "file_1"}}]}]});
        for (path, body) in [
            ("/v1/messages", &message),
            ("/v1/chat/completions", &chat("model", "file_1")),
        ] {
            let refused = post(&gateway, ANNA, path, body).await;
            assert_eq!(refused.status, 400, "{path}");
            let words = refused.json()["error"]["message"].as_str().expect("words").to_owned();
            assert!(words.contains("stored") || words.contains("file"), "{words}");
        }
    }
    assert!(provider.received().is_empty());
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_the_providers_fault() {
    let (gateway, provider) = gateway([
        Reply::json(200, "<html>"),
        Reply::json(200, r#"{"id":"","object":"list"}"#),
        Reply::json(401, "{}"),
    ])
    .await;
    assert_eq!(
        upload_to(&gateway, ANNA, form("a"), None).await.code(),
        (502, "upstream_invalid_answer".to_owned())
    );
    assert_eq!(
        get(&gateway, ANNA, "/v1/files").await.code(),
        (502, "upstream_invalid_answer".to_owned())
    );
    assert_eq!(
        get(&gateway, ANNA, "/v1/batches").await.code(),
        (502, "upstream_auth_failed".to_owned())
    );
    assert_eq!(provider.received().len(), 3);
}
