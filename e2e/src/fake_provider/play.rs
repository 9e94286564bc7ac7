//! Plays a behaviour: what goes over the wire, and when, whatever the dialect.

use std::io::{ErrorKind, Result};
use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use super::asked::{self, Asked, Pieces};
use super::behaviour::Behaviour;
use super::compressed::{self, MEBIBYTE};
use super::connection::{Connection, head};
use super::request::Request;
use super::wire::{Call, Endpoint, Speech, Wire};

/// How long a hanging behaviour hangs: longer than any deadline under test, shorter than a stuck CI run.
const HANG: Duration = Duration::from_secs(120);
/// Events of text before a stream breaks.
const BEGINNING: u32 = 2;

impl Connection {
    pub(super) async fn play(
        &mut self,
        request: &Request,
        wire: Wire,
        asked: &Asked,
        behaviour: Option<Behaviour>,
    ) -> Result<()> {
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
}
