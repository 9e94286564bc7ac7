//! Plays behaviours on connections: one task a connection, requests on it in order.
//!
//! While an answer is under way the socket is also read, since a caller who hangs up shows only there.

use std::io::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};

use super::answer::{self, Asked, MEBIBYTE};
use super::behaviour::Behaviour;
use super::request::Request;
use super::{RECEIVED_MAX, Received, Shared};

/// How long a hanging behaviour hangs: longer than any deadline under test, shorter than a stuck CI run.
const HANG: Duration = Duration::from_secs(120);

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

struct Connection {
    socket: TcpStream,
    shared: Arc<Shared>,
    buffer: Vec<u8>,
    /// The request being answered.
    id: usize,
}

impl Connection {
    async fn serve(mut self) -> Result<()> {
        self.socket.set_nodelay(true)?;
        while let Some(request) = Request::read(&mut self.socket, &mut self.buffer).await? {
            if request.path == "/_fake/received" {
                let received: Vec<_> = self.shared.state().received.iter().cloned().collect();
                self.whole(200, &[], json!(received).to_string().as_bytes()).await?;
                continue;
            }
            let asked = Asked::of(&request);
            let behaviour = self.record(&request, &asked);
            match self.play(&request, &asked, behaviour).await {
                Ok(()) => self.shared.update(self.id, |r| r.finished = true),
                Err(error) => return Err(self.note(error)),
            }
        }
        Ok(())
    }

    /// Writes the request down and takes its behaviour from the queue or from its model.
    fn record(&mut self, request: &Request, asked: &Asked) -> Option<Behaviour> {
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
        let behaviour = state.queue.pop_front().or_else(|| Behaviour::named(&asked.model));
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

    async fn play(&mut self, request: &Request, asked: &Asked, behaviour: Option<Behaviour>) -> Result<()> {
        if request.method == "GET" && request.path.ends_with("/models") {
            return self.whole(200, &[], &answer::models()).await;
        }
        let Some(behaviour) = behaviour else {
            let message = format!("The model `{}` does not exist", asked.model);
            return self.whole(404, &[], &answer::error(404, &message)).await;
        };
        match behaviour {
            Behaviour::Chat { events, every, usage } if asked.stream => self.stream(asked, events, every, usage).await,
            Behaviour::Chat { every, usage, .. } => {
                self.pause(every).await?;
                self.whole(
                    200,
                    &[],
                    &answer::whole(asked, "Xin chào from the fake provider.", usage),
                )
                .await
            }
            Behaviour::Echo => {
                let echo = json!({"method": request.method, "path": request.path, "headers": request.headers,
                    "body": String::from_utf8_lossy(&request.body)});
                self.whole(200, &[], &answer::whole(asked, &echo.to_string(), true))
                    .await
            }
            Behaviour::Status {
                status,
                retry_after_s,
                repeats_credential,
            } => self.status(request, status, retry_after_s, repeats_credential).await,
            Behaviour::Redirect => self.whole(307, &[("location", "/v1/elsewhere")], b"").await,
            Behaviour::Hang => self.pause(HANG).await,
            Behaviour::HangMidBody => {
                let body = answer::whole(asked, "half", true);
                self.half(&body).await?;
                self.pause(HANG).await
            }
            Behaviour::CutMidBody => {
                self.half(&answer::whole(asked, "half", true)).await?;
                Err(ErrorKind::Interrupted.into())
            }
            Behaviour::HangMidStream => {
                self.events(asked, 2, Duration::ZERO).await?;
                self.pause(HANG).await
            }
            Behaviour::Reset => self.reset(),
            Behaviour::ResetMidStream => {
                self.events(asked, 2, Duration::ZERO).await?;
                // The events must have left before the reset, which discards what is still unsent or unread.
                self.pause(Duration::from_millis(50)).await?;
                self.reset()
            }
            Behaviour::Garbage => {
                self.socket
                    .write_all(b"\x16\x03\x01\x02\x00 this is no HTTP at all \xff\xfe\r\n\r\n")
                    .await?;
                Err(ErrorKind::Interrupted.into())
            }
            Behaviour::NotJson => {
                self.whole_as(
                    "text/html",
                    200,
                    &[],
                    b"<html><body>Welcome to the captive portal</body></html>",
                )
                .await
            }
            Behaviour::LongLine(bytes) => self.long_line(bytes).await,
            Behaviour::BigAnswer(bytes) => self.big_answer(asked, bytes).await,
            Behaviour::Gzip => {
                let body = answer::gzip(&answer::whole(asked, "compressed", true));
                self.whole(200, &[("content-encoding", "gzip")], &body).await
            }
            Behaviour::GzipBomb(bytes) => self.gzip_bomb(asked, bytes).await,
            Behaviour::CutBeforeDone => {
                self.events(asked, 2, Duration::ZERO).await?;
                self.chunk(b"").await
            }
            Behaviour::ErrorEvent => {
                self.events(asked, 2, Duration::ZERO).await?;
                self.chunk(&answer::error_event()).await?;
                self.chunk(b"").await
            }
        }
    }

    async fn status(
        &mut self,
        request: &Request,
        status: u16,
        retry_after_s: Option<u32>,
        repeats: bool,
    ) -> Result<()> {
        let seconds = retry_after_s.map(|s| s.to_string());
        let headers: Vec<_> = seconds.iter().map(|s| ("retry-after", s.as_str())).collect();
        let message = match request.header("authorization") {
            Some(credential) if repeats => format!("Incorrect API key provided: {credential}."),
            _ => format!("the fake provider says {status}"),
        };
        self.whole(status, &headers, &answer::error(status, &message)).await
    }

    async fn stream(&mut self, asked: &Asked, events: u32, every: Duration, usage: bool) -> Result<()> {
        if let Some(tool) = &asked.tool {
            self.stream_head().await?;
            for event in answer::tool_events(&asked.model, tool) {
                self.event(&event).await?;
            }
        } else {
            self.events(asked, events, every).await?;
        }
        self.chunk(&answer::stream_end(asked, usage)).await?;
        self.chunk(b"").await
    }

    /// A stream's head and its content events, each at its time from the start, so that delays do not add up.
    async fn events(&mut self, asked: &Asked, events: u32, every: Duration) -> Result<()> {
        self.stream_head().await?;
        let event = answer::content_event(&asked.model);
        let started = Instant::now();
        for n in 1..=events {
            if !every.is_zero() {
                self.pause_until(started + every * n).await?;
            }
            self.event(&event).await?;
        }
        Ok(())
    }

    async fn stream_head(&mut self) -> Result<()> {
        self.socket
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nx-request-id: req_fake\r\n\r\n")
            .await
    }

    async fn event(&mut self, event: &[u8]) -> Result<()> {
        self.chunk(event).await?;
        self.shared.update(self.id, |r| r.events_sent += 1);
        Ok(())
    }

    async fn chunk(&mut self, bytes: &[u8]) -> Result<()> {
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.socket.write_all(&chunk).await
    }

    async fn whole(&mut self, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Result<()> {
        self.whole_as("application/json", status, headers, body).await
    }

    async fn whole_as(&mut self, kind: &str, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Result<()> {
        let mut answer = head(kind, status, headers, body.len());
        answer.extend_from_slice(body);
        self.socket.write_all(&answer).await
    }

    /// A head that promises all of `body`, and its first half.
    async fn half(&mut self, body: &[u8]) -> Result<()> {
        let mut answer = head("application/json", 200, &[], body.len());
        answer.extend_from_slice(&body[..body.len() / 2]);
        self.socket.write_all(&answer).await
    }

    async fn big_answer(&mut self, asked: &Asked, bytes: usize) -> Result<()> {
        let [before, after] = answer::around_content(asked);
        let mebibytes = bytes / MEBIBYTE;
        let length = before.len() + mebibytes * MEBIBYTE + after.len();
        self.socket
            .write_all(&head("application/json", 200, &[], length))
            .await?;
        self.socket.write_all(&before).await?;
        let content = vec![b'x'; MEBIBYTE];
        for _ in 0..mebibytes {
            self.socket.write_all(&content).await?;
        }
        self.socket.write_all(&after).await
    }

    async fn gzip_bomb(&mut self, asked: &Asked, bytes: usize) -> Result<()> {
        let [beginning, mebibyte] = answer::gzip_bomb(asked);
        let mebibytes = bytes / MEBIBYTE;
        let length = beginning.len() + mebibytes * mebibyte.len();
        self.socket
            .write_all(&head("application/json", 200, &[("content-encoding", "gzip")], length))
            .await?;
        self.socket.write_all(&beginning).await?;
        for _ in 0..mebibytes {
            self.socket.write_all(&mebibyte).await?;
        }
        Ok(())
    }

    async fn long_line(&mut self, bytes: usize) -> Result<()> {
        self.stream_head().await?;
        self.chunk(b"data: {\"choices\":[{\"delta\":{\"content\":\"").await?;
        let piece = vec![b'x'; 64 * 1024];
        for _ in 0..bytes / piece.len() {
            self.chunk(&piece).await?;
        }
        self.chunk(b"\"}}]}\n\ndata: [DONE]\n\n").await?;
        self.chunk(b"").await
    }

    /// Closes with RST instead of FIN.
    fn reset(&mut self) -> Result<()> {
        self.socket.set_zero_linger()?;
        Err(ErrorKind::Interrupted.into())
    }

    async fn pause(&mut self, length: Duration) -> Result<()> {
        self.pause_until(Instant::now() + length).await
    }

    /// Waits, unless the caller hangs up first.
    async fn pause_until(&mut self, until: Instant) -> Result<()> {
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

fn head(kind: &str, status: u16, headers: &[(&str, &str)], length: usize) -> Vec<u8> {
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
