//! Stored responses in an account that all callers share, through the whole gateway and over a socket: what one key asked
//! goes on for that key alone, whole and streamed, and no id of the provider's leaves or opens anything.

mod scripted;
mod tenants;

use std::sync::Arc;

use headgate::gateway::Gateway;
use http::Method;
use scripted::{Reply, Scripted};
use serde_json::{Value, json};
use tenants::{ANNA, BERT, ask, get, manifests, post};

async fn gateway(more: &str, replies: impl IntoIterator<Item = Reply>) -> (Arc<Gateway>, Scripted) {
    let provider = Scripted::start(replies).await;
    let spec = tenants::spec("OpenAI", &provider, more);
    (scripted::gateway_of(&manifests(&[spec])).await, provider)
}

const ALLOW: &str = ", storedObjects: Allow";

fn response(id: &str, previous: &Value) -> Value {
    json!({"id": id, "object": "response", "status": "completed", "model": "m", "previous_response_id": previous,
        "output": [{"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "Hi", "annotations": []}]}],
        "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}})
}

fn answer(id: &str) -> Reply {
    Reply::json(200, response(id, &Value::Null).to_string())
}

fn stream(id: &str) -> Reply {
    let item = json!({"type": "message", "id": "msg_1", "role": "assistant", "content": []});
    let events = [
        json!({"type": "response.created", "sequence_number": 0, "response": {"id": id, "status": "in_progress", "output": []}}),
        json!({"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": item}),
        json!({"type": "response.output_text.delta", "sequence_number": 2, "item_id": "msg_1", "output_index": 0,
            "content_index": 0, "delta": "Hi"}),
        json!({"type": "response.completed", "sequence_number": 3, "response": response(id, &Value::Null)}),
    ];
    let events = events.map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().expect("a type")));
    Reply::stream("text/event-stream; charset=utf-8", events.concat())
}

fn events(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).expect("text");
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).expect("JSON")).collect()
}

fn asked(more: &Value) -> Value {
    let mut body = json!({"model": "model", "input": "Hello"});
    body.as_object_mut()
        .expect("an object")
        .extend(more.as_object().expect("an object").clone());
    body
}

#[tokio::test]
async fn a_response_goes_on_for_the_key_that_asked_for_it() {
    let (gateway, provider) = gateway(
        ALLOW,
        [
            answer("resp_1"),
            Reply::json(200, response("resp_2", &json!("resp_1")).to_string()),
        ],
    )
    .await;
    let first = post(&gateway, ANNA, "/v1/responses", &asked(&json!({"store": true})))
        .await
        .json();
    let id = first["id"].as_str().expect("an id");
    assert!(id.starts_with("resp_hg"), "{id}");
    for item in first["output"].as_array().expect("items") {
        assert!(item["id"].as_str().expect("an id").contains("_hg"), "{item}");
    }
    let foreign = post(
        &gateway,
        BERT,
        "/v1/responses",
        &asked(&json!({"previous_response_id": id})),
    )
    .await;
    let raw = post(
        &gateway,
        ANNA,
        "/v1/responses",
        &asked(&json!({"previous_response_id": "resp_1"})),
    )
    .await;
    for refused in [foreign, raw] {
        assert_eq!(refused.code(), (400, "object_not_found".to_owned()));
        assert_eq!(refused.json()["error"]["param"], "previous_response_id");
    }
    let second = post(
        &gateway,
        ANNA,
        "/v1/responses",
        &asked(&json!({"previous_response_id": id})),
    )
    .await
    .json();
    assert_eq!(second["previous_response_id"], json!(id));
    let received = provider.received();
    assert_eq!(received.len(), 2);
    assert_eq!(
        (&received[0].body["store"], &received[1].body["store"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(received[1].body["previous_response_id"], "resp_1");
}

#[tokio::test]
async fn items_are_sent_back_with_the_providers_ids_and_named_by_their_owner_alone() {
    let (gateway, provider) = gateway(ALLOW, [answer("resp_1"), answer("resp_2")]).await;
    let first = post(&gateway, ANNA, "/v1/responses", &asked(&json!({}))).await.json();
    let items = first["output"].as_array().expect("items");
    let reference = json!({"type": "item_reference", "id": items[1]["id"]});
    let back = |items: &[Value]| json!({"model": "model", "input": items});
    for (token, item) in [
        (BERT, &reference),
        (BERT, &items[0]),
        (ANNA, &json!({"type": "item_reference", "id": "msg_1"})),
        (ANNA, &json!({"type": "reasoning", "id": "rs_1", "summary": []})),
        (ANNA, &json!({"type": "item_reference", "id": first["id"]})),
    ] {
        let refused = post(&gateway, token, "/v1/responses", &back(std::slice::from_ref(item))).await;
        assert_eq!(refused.code(), (400, "object_not_found".to_owned()), "{item}");
    }
    let foreign_label = json!({"type": "message", "id": "msg_7", "role": "assistant", "content": []});
    let all = [items[0].clone(), items[1].clone(), reference, foreign_label];
    assert_eq!(post(&gateway, ANNA, "/v1/responses", &back(&all)).await.status, 200);
    let sent = &provider.received()[1].body["input"];
    let ids: Vec<&str> = sent
        .as_array()
        .expect("items")
        .iter()
        .filter_map(|item| item["id"].as_str())
        .collect();
    assert_eq!(ids, ["rs_1", "msg_1", "msg_1", "msg_7"]);
    assert_eq!(provider.received().len(), 2);
}

#[tokio::test]
async fn every_event_of_a_stream_has_ids_of_its_owner() {
    let (gateway, provider) = gateway(ALLOW, [stream("resp_1"), stream("resp_1")]).await;
    let asked = post(
        &gateway,
        ANNA,
        "/v1/responses",
        &asked(&json!({"stream": true, "background": true})),
    )
    .await;
    let made = events(&asked.bytes);
    assert_eq!(made.len(), 4);
    let id = made[0]["response"]["id"].as_str().expect("an id");
    assert_eq!(made[3]["response"]["id"], json!(id));
    let item = &made[1]["item"]["id"];
    assert_eq!(
        (item, item),
        (&made[2]["item_id"], &made[3]["response"]["output"][1]["id"])
    );
    let text = String::from_utf8(asked.bytes).expect("text");
    assert!(!text.contains("\"resp_1\"") && !text.contains("\"msg_1\""), "{text}");
    assert!(text.starts_with("event: response.created\ndata: "), "{text}");

    let path = format!("/v1/responses/{id}?stream=true&starting_after=1");
    let again = get(&gateway, ANNA, &path).await;
    assert_eq!(again.response.headers()["x-accel-buffering"], "no");
    assert_eq!(events(&again.bytes), made);
    assert_eq!(
        provider.received()[1].line,
        "GET /v1/responses/resp_1?stream=true&starting_after=1"
    );
    let metrics = String::from_utf8(gateway.metrics.render()).expect("text");
    let counted = "llm_tokens_total{model=\"model\",provider=\"p0\",type=\"input\"} 10";
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test]
async fn a_response_is_shown_stopped_and_deleted_by_its_owner() {
    let items = json!({"object": "list", "data": [{"type": "message", "id": "msg_0", "role": "user", "content": []}],
        "first_id": "msg_0", "last_id": "msg_0", "has_more": false});
    let (gateway, provider) = gateway(
        ALLOW,
        [
            answer("resp_1"),
            answer("resp_1"),
            Reply::json(200, items.to_string()),
            Reply::json(200, items.to_string()),
            answer("resp_1"),
            Reply::json(200, r#"{"id":"resp_1","object":"response","deleted":true}"#),
        ],
    )
    .await;
    let made = post(&gateway, ANNA, "/v1/responses", &asked(&json!({}))).await.json();
    let path = format!("/v1/responses/{}", made["id"].as_str().expect("an id"));
    for (method, tail) in [
        (Method::GET, ""),
        (Method::DELETE, ""),
        (Method::POST, "/cancel"),
        (Method::GET, "/input_items"),
    ] {
        let foreign = ask(&gateway, BERT, method, &format!("{path}{tail}")).await;
        assert_eq!(foreign.code(), (404, "object_not_found".to_owned()));
    }
    assert_eq!(get(&gateway, ANNA, &format!("{path}?include[]=x")).await.json(), made);
    let listed = get(&gateway, ANNA, &format!("{path}/input_items?limit=1")).await.json();
    let last = listed["last_id"].as_str().expect("an id");
    assert_eq!(
        (&listed["data"][0]["id"], &listed["first_id"]),
        (&json!(last), &json!(last))
    );
    let foreign = get(&gateway, ANNA, &format!("{path}/input_items?after=msg_0")).await;
    assert_eq!(foreign.json()["error"]["param"], "after");
    get(&gateway, ANNA, &format!("{path}/input_items?after={last}&order=asc")).await;
    assert_eq!(
        ask(&gateway, ANNA, Method::POST, &format!("{path}/cancel"))
            .await
            .json(),
        made
    );
    let deleted = ask(&gateway, ANNA, Method::DELETE, &path).await.json();
    assert_eq!(
        deleted,
        json!({"id": made["id"], "object": "response", "deleted": true})
    );
    let lines: Vec<String> = provider.received().into_iter().map(|received| received.line).collect();
    assert_eq!(
        lines[1..],
        [
            "GET /v1/responses/resp_1?include[]=x",
            "GET /v1/responses/resp_1/input_items?limit=1",
            "GET /v1/responses/resp_1/input_items?order=asc&after=msg_0",
            "POST /v1/responses/resp_1/cancel",
            "DELETE /v1/responses/resp_1",
        ]
    );
}

#[tokio::test]
async fn where_nothing_may_be_stored_nothing_that_is_can_be_named() {
    let (gateway, provider) = gateway("", [answer("resp_1")]).await;
    for more in [
        json!({"previous_response_id": "resp_1"}),
        json!({"conversation": {"id": "conv_1"}}),
        json!({"background": true}),
        json!({"input": [{"type": "item_reference", "id": "msg_1"}]}),
        json!({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]}),
        json!({"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}),
    ] {
        let refused = post(&gateway, ANNA, "/v1/responses", &asked(&more)).await;
        assert_eq!(refused.code(), (403, "stored_objects_forbidden".to_owned()), "{more}");
    }
    let plain = post(&gateway, ANNA, "/v1/responses", &asked(&json!({}))).await.json();
    assert_eq!(
        plain,
        response("resp_1", &Value::Null),
        "what is not stored keeps the provider's ids"
    );
    assert_eq!(provider.received()[0].body["store"], json!(false));
    assert_eq!(provider.received().len(), 1);
}
