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

use super::asked::{self, Asked, Pieces};
use super::behaviour::Behaviour;
use super::compressed::{self, MEBIBYTE};
use super::request::Request;
use super::wire::{Body, Call, Endpoint, Speech, Wire};
use super::{RECEIVED_MAX, Received, Shared};

/// How long a hanging behaviour hangs: longer than any deadline under test, shorter than a stuck CI run.
const HANG: Duration = Duration::from_secs(120);
/// Events of text before a stream breaks.
const BEGINNING: u32 = 2;

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

    async fn play(&mut self, request: &Request, wire: Wire, asked: &Asked, behaviour: Option<Behaviour>) -> Result<()> {
        let Some(behaviour) = behaviour else {
            let message = format!("The model `{}` does not exist", asked.model);
            return self.body(&wire.family.error(404, &message, None)).await;
        };
        match behaviour {
            Behaviour::Status {
                status,
                retry_after_s,
                repeats_credential,
            } => {
                let message = match asked::credential(request) {
                    Some(credential) if repeats_credential => format!("Incorrect API key provided: {credential}."),
                    _ => format!("the fake provider says {status}"),
                };
                self.body(&wire.family.error(status, &message, retry_after_s)).await
            }
            Behaviour::Redirect => self.whole(307, &[("location", "/v1/elsewhere")], b"").await,
            Behaviour::Hang => self.pause(HANG).await,
            Behaviour::Reset => self.reset(),
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
            behaviour => match wire.endpoint {
                Endpoint::Speech(speech) => self.speak(request, speech, asked, behaviour).await,
                Endpoint::Computed(compute) => {
                    if let Behaviour::Chat { every, .. } = behaviour {
                        self.pause(every).await?;
                    }
                    let body = compute(&mut Call {
                        request,
                        path: request.path.split('?').next().unwrap_or_default(),
                        asked,
                        stored: &mut self.shared.state().stored,
                    });
                    match behaviour {
                        Behaviour::HangMidBody => {
                            self.half(&body.bytes).await?;
                            self.pause(HANG).await
                        }
                        Behaviour::CutMidBody => {
                            self.half(&body.bytes).await?;
                            Err(ErrorKind::Interrupted.into())
                        }
                        _ => self.body(&body).await,
                    }
                }
            },
        }
    }

    /// The behaviours that are about what a model says.
    async fn speak(
        &mut self,
        request: &Request,
        speech: &dyn Speech,
        asked: &Asked,
        behaviour: Behaviour,
    ) -> Result<()> {
        match behaviour {
            Behaviour::Chat { events, every, usage } if asked.stream => {
                self.stream(speech, asked, events, every, usage).await
            }
            Behaviour::Chat { every, usage, .. } => {
                self.pause(every).await?;
                self.whole(200, &[], &speech.whole(asked, &asked.text(), usage)).await
            }
            Behaviour::Echo => {
                let echo = json!({"method": request.method, "path": request.path, "headers": request.headers,
                    "body": String::from_utf8_lossy(&request.body)});
                self.whole(200, &[], &speech.whole(asked, &echo.to_string(), true))
                    .await
            }
            Behaviour::HangMidBody => {
                self.half(&speech.whole(asked, "half", true)).await?;
                self.pause(HANG).await
            }
            Behaviour::CutMidBody => {
                self.half(&speech.whole(asked, "half", true)).await?;
                Err(ErrorKind::Interrupted.into())
            }
            Behaviour::HangMidStream => {
                self.beginning(speech, asked).await?;
                self.pause(HANG).await
            }
            Behaviour::ResetMidStream => {
                self.beginning(speech, asked).await?;
                // The events must have left before the reset, which discards what is still unsent or unread.
                self.pause(Duration::from_millis(50)).await?;
                self.reset()
            }
            Behaviour::CutBeforeDone => {
                self.beginning(speech, asked).await?;
                self.chunk(b"").await
            }
            Behaviour::ErrorEvent => {
                self.beginning(speech, asked).await?;
                self.chunk(&speech.error_event(&asked.without_tool(), BEGINNING))
                    .await?;
                self.chunk(b"").await
            }
            Behaviour::LongLine(bytes) => self.long_line(speech, bytes).await,
            Behaviour::BigAnswer(bytes) => self.big_answer(speech, asked, bytes).await,
            Behaviour::Gzip => {
                let body = compressed::gzip(&speech.whole(asked, "compressed", true));
                self.whole(200, &[("content-encoding", "gzip")], &body).await
            }
            Behaviour::GzipBomb(bytes) => self.gzip_bomb(speech, asked, bytes).await,
            Behaviour::Status { .. }
            | Behaviour::Redirect
            | Behaviour::Hang
            | Behaviour::Reset
            | Behaviour::Garbage
            | Behaviour::NotJson => unreachable!("played before anybody speaks"),
        }
    }

    async fn stream(
        &mut self,
        speech: &dyn Speech,
        asked: &Asked,
        events: u32,
        every: Duration,
        usage: bool,
    ) -> Result<()> {
        let said = asked.pieces(speech.piece(asked), events);
        if let Some(tool) = &asked.tool {
            self.opening(speech, asked).await?;
            for event in speech.call(asked, tool) {
                self.event(&event).await?;
            }
        } else {
            self.texts(speech, asked, &said, every).await?;
        }
        self.chunk(&speech.ending(asked, &said, usage)).await?;
        self.chunk(b"").await
    }

    /// The first two events of text, of a stream that will not end well.
    async fn beginning(&mut self, speech: &dyn Speech, asked: &Asked) -> Result<()> {
        let asked = asked.without_tool();
        let said = asked.pieces(speech.piece(&asked), BEGINNING);
        self.texts(speech, &asked, &said, Duration::ZERO).await
    }

    async fn opening(&mut self, speech: &dyn Speech, asked: &Asked) -> Result<()> {
        self.stream_head(speech.stream_type()).await?;
        for event in speech.opening(asked) {
            self.chunk(&event).await?;
        }
        Ok(())
    }

    /// A stream's opening and its text, each event at its time from the start, so that delays do not add up.
    async fn texts(&mut self, speech: &dyn Speech, asked: &Asked, said: &Pieces, every: Duration) -> Result<()> {
        self.opening(speech, asked).await?;
        // Made once where every event is the same: the bench sends millions.
        let same = (said.repeat() && !speech.is_numbered()).then(|| speech.text(asked, said.get(0), 0));
        let started = Instant::now();
        for index in 0..said.count() {
            if !every.is_zero() {
                self.pause_until(started + every * (index + 1)).await?;
            }
            match &same {
                Some(event) => self.event(event).await?,
                None => self.event(&speech.text(asked, said.get(index), index)).await?,
            }
        }
        Ok(())
    }

    async fn stream_head(&mut self, kind: &str) -> Result<()> {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\nx-request-id: req_fake\r\n\r\n"
        );
        self.socket.write_all(head.as_bytes()).await
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

    async fn body(&mut self, body: &Body) -> Result<()> {
        let headers: Vec<_> = body
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        self.whole_as(body.kind, body.status, &headers, &body.bytes).await
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

    async fn big_answer(&mut self, speech: &dyn Speech, asked: &Asked, bytes: usize) -> Result<()> {
        let [before, after] = compressed::around_text(speech, asked);
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

    async fn gzip_bomb(&mut self, speech: &dyn Speech, asked: &Asked, bytes: usize) -> Result<()> {
        let [beginning, mebibyte] = compressed::gzip_bomb(speech, asked);
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

    async fn long_line(&mut self, speech: &dyn Speech, bytes: usize) -> Result<()> {
        self.stream_head(speech.stream_type()).await?;
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
