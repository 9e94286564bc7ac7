//! A provider as a script, on a real port: takes requests one by one, keeps them, and answers each with the next reply.
//! Each connection serves one request, so that nothing depends on how the gateway pools.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use headgate::diagnostic::{Report, Severity};
use headgate::gateway::{Bounds, Gateway};
use headgate::identity::clouds::Clouds;
use headgate::source::Source;
use headgate::source::manifests::Folder;
use headgate::upstream::address::AddressPolicy;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The caller's key in [`gateway`].
pub const TOKEN: &str = "vk-scripted-0123456789abcdef0123456789abcdef";

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// The request line without the version.
    pub line: String,
    /// Lower-case names and values.
    pub headers: Vec<(String, String)>,
    /// The body as JSON; `Null` if it is none.
    pub body: Value,
    /// The body as it came.
    pub bytes: Vec<u8>,
}

impl Received {
    /// The value of a header that stands once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(other, _)| other == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} stands twice");
        value
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    headers: String,
    body: Vec<u8>,
    is_cut: bool,
}

impl Reply {
    /// A JSON body.
    pub fn json(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            headers: "content-type: application/json\r\n".to_owned(),
            body: body.into().into_bytes(),
            is_cut: false,
        }
    }

    /// A stream that ends well.
    pub fn stream(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            headers: format!("content-type: {content_type}\r\n"),
            body: body.into(),
            is_cut: false,
        }
    }

    /// A stream whose connection breaks behind these bytes.
    pub fn cut(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            is_cut: true,
            ..Self::stream(content_type, body)
        }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.extend([name, ": ", value, "\r\n"]);
        self
    }
}

/// The server.
pub struct Scripted {
    /// Where it listens.
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Scripted {
    /// Serves these replies in order; a request beyond them finds a closed connection.
    pub async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&received);
        let mut replies: VecDeque<_> = replies.into_iter().collect();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Some(reply) = replies.pop_front() else { break };
                serve(stream, &reply, &kept).await;
            }
        });
        Self { address, received }
    }

    /// The requests so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().expect("no test panics while it holds it").clone()
    }
}

async fn serve(mut stream: TcpStream, reply: &Reply, kept: &Mutex<Vec<Received>>) {
    let request = read_request(&mut stream).await;
    kept.lock().expect("no test panics while it holds it").push(request);
    let status = reply.status;
    let head = format!(
        "HTTP/1.1 {status} Scripted\r\n{}transfer-encoding: chunked\r\nconnection: close\r\n\r\n",
        reply.headers
    );
    let _ = stream.write_all(head.as_bytes()).await;
    // In small pieces, so that no event arrives whole.
    for piece in reply.body.chunks(23) {
        let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
        let _ = stream.write_all(&chunk).await;
        let _ = stream.flush().await;
    }
    if !reply.is_cut {
        let _ = stream.write_all(b"0\r\n\r\n").await;
    }
    let _ = stream.shutdown().await;
}

async fn read_request(stream: &mut TcpStream) -> Received {
    let mut bytes = Vec::new();
    loop {
        let read = stream
            .read_buf(&mut bytes)
            .await
            .expect("the gateway sends its request");
        assert!(read > 0, "the gateway closed in the middle of its request");
        let Some(head_end) = memchr::memmem::find(&bytes, b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8(bytes[..head_end].to_vec()).expect("a head is text");
        let mut lines = head.split("\r\n");
        let line = lines
            .next()
            .unwrap_or_default()
            .trim_end_matches(" HTTP/1.1")
            .to_owned();
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length: usize = length.map_or(0, |(_, value)| value.parse().expect("a number"));
        if bytes.len() < head_end + 4 + length {
            continue;
        }
        let bytes = bytes.split_off(head_end + 4);
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        return Received {
            line,
            headers,
            body,
            bytes,
        };
    }
}

/// A gateway over one provider of this spec (without its models) and one model, `model`, that is never tried again. The
/// credential is `scripted-credential`.
pub async fn gateway(provider_spec: &str, upstream_model: &str) -> Arc<Gateway> {
    gateway_with(provider_spec, upstream_model, "scripted-credential", Clouds::default()).await
}

/// The same with another credential, and with clouds to ask what it opens.
pub async fn gateway_with(provider_spec: &str, upstream_model: &str, credential: &str, clouds: Clouds) -> Arc<Gateway> {
    let credential = Value::from(credential);
    let manifests = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{api-key: {credential}, key: {TOKEN}}}\n\
         ---\napiVersion: headgate.dev/v1alpha1\nkind: VirtualKey\nmetadata: {{name: k}}\nspec: {{secretRef: {{name: s, \
         key: key}}}}\n---\napiVersion: headgate.dev/v1alpha1\nkind: LLMProvider\nmetadata: {{name: p}}\nspec: \
         {{credential: {{secretRef: {{name: s, key: api-key}}}}, models: [{{name: model, upstreamModel: {upstream_model}, \
         price: {{input: \"1\", output: \"2\"}}}}], {provider_spec}}}\n---\napiVersion: headgate.dev/v1alpha1\nkind: \
         RoutePolicy\nmetadata: {{name: r}}\nspec: {{models: [model], targets: [{{name: t, provider: {{name: p, model: \
         model}}}}], retry: {{attempts: 0}}}}\n"
    );
    gateway_at(&manifests, clouds).await
}

/// A gateway over these manifests.
pub async fn gateway_of(manifests: &str) -> Arc<Gateway> {
    gateway_at(manifests, Clouds::default()).await
}

async fn gateway_at(manifests: &str, clouds: Clouds) -> Arc<Gateway> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let state = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("gateway.yaml"), manifests).expect("the folder takes a file");
    gateway_over(folder.path(), state.path(), clouds).await
}

/// A gateway over a folder whose keys are kept at `state`.
pub async fn gateway_over(folder: &Path, state: &Path, clouds: Clouds) -> Arc<Gateway> {
    let (folder, state) = (folder.to_owned(), Some(state.to_owned()));
    let source = Folder::new(folder, state, Arc::new(|_| None), Arc::new(|_| ())).expect("random");
    let source = Source::manifests(source)
        .await
        .unwrap_or_else(|error| panic!("{error}: {:?}", error.findings));
    let delivery = Arc::clone(&source.deliveries().borrow());
    let is_error = |finding: &Report| finding.severity == Severity::Error;
    assert!(!delivery.findings.iter().any(is_error), "{:?}", delivery.findings);
    let second = std::time::Duration::from_secs(1);
    let bounds = Bounds {
        connections_max: 1,
        head_timeout: second,
        body_idle_timeout: second,
        keep_alive: second,
    };
    let addresses = AddressPolicy {
        allow_loopback: true,
        allow_private: true,
    };
    let gateway = Gateway::new(bounds, addresses).at(clouds);
    let snapshot = headgate_snapshot::Snapshot::clone(&delivery.snapshot);
    let prepared = gateway.prepare(snapshot, delivery.version.clone(), &delivery.sealing_key);
    gateway.swap(prepared.expect("the snapshot can be served"));
    Arc::new(gateway)
}
