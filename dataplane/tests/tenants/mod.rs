//! Several keys at providers that all of them share, and what they ask.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::Body;
use headgate::gateway::Gateway;
use headgate::http_api::DataRoutes;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use serde_json::Value;

use crate::scripted::Scripted;

/// The token of the first of two keys that may use everything; a third one is bound to a model.
pub const ANNA: &str = "vk-anna-0123456789abcdef0123456789abcdef";
/// The second.
pub const BERT: &str = "vk-bert-0123456789abcdef0123456789abcdef";
/// The bound one.
pub const BOUND: &str = "vk-bound-0123456789abcdef0123456789abcde";

/// Manifests of the keys and of one provider for each spec, `p0`, `p1`, …, the first of them every key's default; all have
/// the model `model`, each one of its own, and allow stored objects unless their spec says otherwise.
pub fn manifests(providers: &[String]) -> String {
    let mut text = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{api-key: scripted-credential, anna: {ANNA}, \
         bert: {BERT}, bound: {BOUND}}}\n"
    );
    for (key, more) in [("anna", ""), ("bert", ""), ("bound", ", models: [model]")] {
        write!(
            text,
            "---\napiVersion: headgate.dev/v1alpha1\nkind: VirtualKey\nmetadata: {{name: {key}}}\nspec: {{secretRef: \
             {{name: s, key: {key}}}, defaultProvider: p0{more}}}\n"
        )
        .expect("memory");
    }
    for (index, spec) in providers.iter().enumerate() {
        write!(
            text,
            "---\napiVersion: headgate.dev/v1alpha1\nkind: LLMProvider\nmetadata: {{name: p{index}}}\nspec: {{credential: \
             {{secretRef: {{name: s, key: api-key}}}}, models: [{{name: model}}, {{name: only-{index}}}], {spec}}}\n"
        )
        .expect("memory");
    }
    text
}

/// The spec of a provider of this type.
pub fn spec(type_: &str, provider: &Scripted, more: &str) -> String {
    format!("type: {type_}, baseURL: \"http://{}/v1\"{more}", provider.address)
}

/// An answer, read to its end.
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its head.
    pub response: Response<()>,
    /// Its body.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).expect("JSON")
    }

    /// Status and code of an error, which has all that SDKs look for.
    pub fn code(&self) -> (u16, String) {
        let body = self.json();
        for key in ["message", "type", "param", "code"] {
            assert!(body["error"].get(key).is_some(), "{body}");
        }
        (
            self.status,
            body["error"]["code"].as_str().unwrap_or_default().to_owned(),
        )
    }
}

/// Asks without a body.
pub async fn ask(gateway: &Arc<Gateway>, token: &str, method: Method, path: &str) -> Answer {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("authorization", format!("Bearer {token}"));
    send(gateway, request.body(Body::empty()).expect("a request")).await
}

/// Asks with GET.
pub async fn get(gateway: &Arc<Gateway>, token: &str, path: &str) -> Answer {
    ask(gateway, token, Method::GET, path).await
}

/// Asks with JSON.
pub async fn post(gateway: &Arc<Gateway>, token: &str, path: &str, body: &Value) -> Answer {
    let request = Request::post(path)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json");
    send(gateway, request.body(Body::from(body.to_string())).expect("a request")).await
}

/// Sends any request.
pub async fn send(gateway: &Arc<Gateway>, request: Request<Body>) -> Answer {
    let response = DataRoutes::new(Arc::clone(gateway)).answer(request).await;
    let (parts, body) = response.into_parts();
    let collected = body.collect().await.expect("the answer ends well");
    Answer {
        status: parts.status.as_u16(),
        response: Response::from_parts(parts, ()),
        bytes: collected.to_bytes().to_vec(),
    }
}
