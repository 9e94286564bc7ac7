//! A cloud as a script: keeps what it is asked and answers with what the test makes of it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::to_bytes;
use http::{HeaderMap, Request, StatusCode};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Method, path and query.
    pub(super) line: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Asked {
    /// A header that stands once.
    pub(super) fn header(&self, name: &str) -> &str {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().map_or("", |value| value.to_str().expect("text"));
        assert!(values.next().is_none(), "{name} stands twice");
        value
    }

    /// The members of a form.
    pub(super) fn form(&self) -> HashMap<String, String> {
        assert_eq!(self.header("content-type"), "application/x-www-form-urlencoded");
        let members = self.body.split('&').filter_map(|member| member.split_once('='));
        members
            .map(|(name, value)| (name.to_owned(), unescaped(value)))
            .collect()
    }
}

pub(super) fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first == b'%' {
            let hex = std::str::from_utf8(&tail[..2]).expect("two digits");
            bytes.push(u8::from_str_radix(hex, 16).expect("two digits"));
            rest = &tail[2..];
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).expect("text")
}

/// The server.
pub(super) struct ScriptedCloud {
    /// `http://` and where it listens.
    pub(super) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl ScriptedCloud {
    /// `answer` gets the request and how many came before it.
    pub(super) async fn start(answer: impl Fn(&Asked, usize) -> (u16, String) + Clone + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address: SocketAddr = listener.local_addr().expect("a bound socket has an address");
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let kept = Arc::clone(&asked);
        let router = Router::new().fallback(async move |request: Request<axum::body::Body>| {
            let (head, body) = request.into_parts();
            let body = to_bytes(body, 1 << 20).await.expect("a body");
            let request = Asked {
                line: format!("{} {}", head.method, head.uri),
                headers: head.headers,
                body: String::from_utf8(body.into()).expect("text"),
            };
            let before = {
                let mut kept = kept.lock().expect("nothing panics while it holds it");
                kept.push(request.clone());
                kept.len() - 1
            };
            let (status, body) = answer(&request, before);
            (StatusCode::from_u16(status).expect("a status"), body)
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            url: format!("http://{address}"),
            asked,
        }
    }

    /// The requests so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("nothing panics while it holds it").clone()
    }
}

/// The answer of an OAuth token endpoint.
pub(super) fn token(text: &str, seconds: u64) -> (u16, String) {
    let body = serde_json::json!({"access_token": text, "expires_in": seconds, "token_type": "Bearer"});
    (200, body.to_string())
}
