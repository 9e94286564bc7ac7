//! Connections: one task each, requests on it in order, every one written down before it is played.
//!
//! While an answer is under way the socket is also read, since a caller who hangs up shows only there.

use std::io::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};

use super::asked::Asked;
use super::behaviour::Behaviour;
use super::request::Request;
use super::wire::{Body, Endpoint, Wire};
use super::{RECEIVED_MAX, Received, Shared};

pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((socket, _)) = accepted {
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    // A broken connection is what tests here are about; the record tells what happened to the request.
                    let _ = Connection { socket, shared, buffer: Vec::new(), id: 0 }.serve().await;
                });
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

pub(super) struct Connection {
    pub(super) socket: TcpStream,
    pub(super) shared: Arc<Shared>,
    buffer: Vec<u8>,
    /// The request being answered.
    id: usize,
}

impl Connection {
    async fn serve(mut self) -> Result<()> {
        self.socket.set_nodelay(true)?;
        while let Some(request) = Request::read(&mut self.socket, &mut self.buffer).await? {
            if let Some(query) = request.path.strip_prefix("/_fake/received") {
                // Parallel tests tell their requests by a text of their own.
                let holding = query.strip_prefix("?holding=").unwrap_or_default();
                let is_wanted = |received: &&Received| received.body.contains(holding);
                let received: Vec<_> = self.shared.state().received.iter().filter(is_wanted).cloned().collect();
                self.whole(200, &[], json!(received).to_string().as_bytes()).await?;
                continue;
            }
            let (wire, asked) = Wire::of(&request);
            let behaviour = self.record(&request, wire, &asked);
            let played = match wire.refusal(&request, &asked) {
                Some(refusal) => self.body(&refusal).await,
                None => self.play(&request, wire, &asked, behaviour).await,
            };
            match played {
                Ok(()) => self.shared.update(self.id, |r| r.finished = true),
                Err(error) => return Err(self.note(error)),
            }
        }
        Ok(())
    }

    /// Writes the request down and takes its behaviour from the queue or from its model.
    fn record(&mut self, request: &Request, wire: Wire, asked: &Asked) -> Option<Behaviour> {
        let mut state = self.shared.state();
        self.id = state.count;
        state.count += 1;
        if state.received.len() == RECEIVED_MAX {
            state.received.pop_front();
        }
        state.received.push_back(Received {
            id: self.id,
            method: request.method.clone(),
            path: request.path.clone(),
            headers: request.headers.clone(),
            body: String::from_utf8_lossy(&request.body).into_owned(),
            events_sent: 0,
            finished: false,
            hung_up: false,
            hung_up_at_ms: None,
        });
        // An endpoint without a model has nothing to be named by.
        let is_nameless = asked.model.is_empty() && matches!(wire.endpoint, Endpoint::Computed(_));
        let named = || {
            if is_nameless {
                Some(Behaviour::CHAT)
            } else {
                Behaviour::named(&asked.model)
            }
        };
        let behaviour = state.queue.pop_front().or_else(named);
        drop(state);
        self.shared.changed.send_modify(|n| *n += 1);
        behaviour
    }

    /// Tells a hang-up by the caller from an ending of our own making.
    fn note(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::Interrupted {
            let at_ms = u64::try_from(self.shared.started.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.shared.update(self.id, |r| {
                r.hung_up = true;
                r.hung_up_at_ms = Some(at_ms);
            });
        }
        error
    }

    pub(super) async fn stream_head(&mut self, kind: &str) -> Result<()> {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\nx-request-id: req_fake\r\n\r\n"
        );
        self.socket.write_all(head.as_bytes()).await
    }

    pub(super) async fn event(&mut self, event: &[u8]) -> Result<()> {
        self.chunk(event).await?;
        self.shared.update(self.id, |r| r.events_sent += 1);
        Ok(())
    }

    pub(super) async fn chunk(&mut self, bytes: &[u8]) -> Result<()> {
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.socket.write_all(&chunk).await
    }

    pub(super) async fn body(&mut self, body: &Body) -> Result<()> {
        let headers: Vec<_> = body
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        self.whole_as(body.kind, body.status, &headers, &body.bytes).await
    }

    pub(super) async fn whole(&mut self, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Result<()> {
        self.whole_as("application/json", status, headers, body).await
    }

    pub(super) async fn whole_as(
        &mut self,
        kind: &str,
        status: u16,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<()> {
        let mut answer = head(kind, status, headers, body.len());
        answer.extend_from_slice(body);
        self.socket.write_all(&answer).await
    }

    /// A head that promises all of `body`, and its first half.
    pub(super) async fn half(&mut self, body: &[u8]) -> Result<()> {
        let mut answer = head("application/json", 200, &[], body.len());
        answer.extend_from_slice(&body[..body.len() / 2]);
        self.socket.write_all(&answer).await
    }

    /// Closes with RST instead of FIN.
    pub(super) fn reset(&mut self) -> Result<()> {
        self.socket.set_zero_linger()?;
        Err(ErrorKind::Interrupted.into())
    }

    pub(super) async fn pause(&mut self, length: Duration) -> Result<()> {
        self.pause_until(Instant::now() + length).await
    }

    /// Waits, unless the caller hangs up first.
    pub(super) async fn pause_until(&mut self, until: Instant) -> Result<()> {
        tokio::select! {
            biased;
            () = sleep_until(until) => Ok(()),
            read = self.socket.read_buf(&mut self.buffer) => {
                if read? == 0 {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                // A pipelined request: keep it for later, and stop looking for a hang-up meanwhile.
                sleep_until(until).await;
                Ok(())
            }
        }
    }
}

pub(super) fn head(kind: &str, status: u16, headers: &[(&str, &str)], length: usize) -> Vec<u8> {
    let mut head = format!(
        "HTTP/1.1 {status} Fake\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nx-request-id: req_fake\r\n"
    );
    for (name, value) in headers {
        head.push_str(name);
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    head.into_bytes()
}
