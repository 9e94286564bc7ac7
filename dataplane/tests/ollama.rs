//! A chat client and an Ollama server, through the whole gateway and over a socket: where its calls arrive.

mod scripted;

use std::sync::Arc;

use axum::body::Body;
use http::{Request, StatusCode};
use scripted::{Reply, Scripted, TOKEN};
use serde_json::{Value, json};

#[tokio::test]
async fn its_openai_layer_is_called_where_it_stands_however_the_server_is_named() {
    let answer = json!({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}).to_string();
    for suffix in ["", "/", "/v1", "/v1/"] {
        let provider = Scripted::start([Reply::json(200, answer.clone())]).await;
        let spec = format!(
            "type: Ollama, baseURL: \"http://{}{suffix}\", ollama: {{api: OpenAI}}",
            provider.address
        );
        let gateway = scripted::gateway(&spec, "qwen3").await;
        let body = json!({"model": "model", "messages": []});
        let request = Request::post("/v1/chat/completions")
            .header("authorization", format!("Bearer {TOKEN}"))
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .expect("a request");
        let routes = headgate::http_api::DataRoutes::new(Arc::clone(&gateway));
        assert_eq!(routes.answer(request).await.status(), StatusCode::OK);
        let [received] = &provider.received()[..] else {
            panic!("one request")
        };
        assert_eq!(received.line, "POST /v1/chat/completions", "{suffix:?}");
        assert_eq!(received.body["model"], Value::from("qwen3"));
    }
}
