//! Deadlines of a client connection between and during heads: a head must arrive in time from its first byte, an idle
//! connection is closed after a while. While a request is being answered, the body's own deadlines hold instead.
//!
//! hyper has one timer for both and closes without a word; a client that is slow by accident deserves a 408.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::deadline::LazyTimer;

/// Whether a request is being answered on this connection. Shared by the socket below hyper and the body above it.
#[derive(Clone, Default)]
pub(super) struct Phase(Arc<AtomicBool>);

impl Phase {
    /// A head was read whole.
    pub(super) fn begin_request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn end_request(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    fn is_answering(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The socket, with the deadlines of what a client may leave us waiting for.
pub(super) struct GuardedIo {
    stream: TcpStream,
    phase: Phase,
    head_timeout: Duration,
    keep_alive: Duration,
    waiting: Waiting,
    timer: LazyTimer,
}

#[derive(Clone, Copy)]
enum Waiting {
    /// Not for a head: a request is being answered.
    No,
    /// For the first byte of a head.
    ForFirstByte { since: Instant },
    /// For the rest of a head.
    ForHead { since: Instant },
}

/// The whole answer to a head that never ends; nothing of an answer has been written at that point.
const TIMED_OUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\n\
    content-type: application/json\r\n\
    content-length: 153\r\n\
    connection: close\r\n\r\n\
    {\"error\":{\"message\":\"The head of the request did not arrive in time. Send it again.\",\
    \"type\":\"invalid_request_error\",\"param\":null,\"code\":\"head_timeout\"}}\n";

impl GuardedIo {
    pub(super) fn new(stream: TcpStream, phase: Phase, head_timeout: Duration, keep_alive: Duration) -> Self {
        let waiting = Waiting::ForFirstByte { since: Instant::now() };
        Self {
            stream,
            phase,
            head_timeout,
            keep_alive,
            waiting,
            timer: LazyTimer::default(),
        }
    }

    /// What this read waits for, by what happened since the last one.
    fn update_waiting(&mut self) {
        match (self.phase.is_answering(), self.waiting) {
            (true, _) => self.waiting = Waiting::No,
            (false, Waiting::No) => self.waiting = Waiting::ForFirstByte { since: Instant::now() },
            (false, _) => {}
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let deadline = match self.waiting {
            Waiting::No => return Poll::Pending,
            Waiting::ForFirstByte { since } => since + self.keep_alive,
            Waiting::ForHead { since } => since + self.head_timeout,
        };
        std::task::ready!(self.timer.poll(deadline, cx));
        if matches!(self.waiting, Waiting::ForFirstByte { .. }) {
            return Poll::Ready(Ok(())); // nothing read is an end: an idle connection closes like one the client closed
        }
        // One attempt: the socket's buffer is empty, and who does not read will not miss it.
        let _ = self.stream.try_write(TIMED_OUT);
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for GuardedIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.update_waiting();
        let before = buf.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Pending => this.poll_deadline(cx),
            Poll::Ready(result) => {
                if buf.filled().len() > before && matches!(this.waiting, Waiting::ForFirstByte { .. }) {
                    this.waiting = Waiting::ForHead { since: Instant::now() };
                }
                Poll::Ready(result)
            }
        }
    }
}

impl AsyncWrite for GuardedIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}

/// A body that says when it is done with.
pub(super) struct TrackedBody {
    body: Body,
    phase: Phase,
}

impl TrackedBody {
    pub(super) fn new(body: Body, phase: Phase) -> Self {
        Self { body, phase }
    }
}

impl Drop for TrackedBody {
    fn drop(&mut self) {
        self.phase.end_request();
    }
}

impl http_body::Body for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    #[test]
    fn the_canned_answer_declares_its_true_length() {
        let text = std::str::from_utf8(TIMED_OUT).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("content-length: {}\r\n", body.len())),
            "the body has {} bytes",
            body.len()
        );
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok());
    }

    #[tokio::test]
    async fn a_head_that_does_not_end_is_answered_408() {
        let (mut client, server) = pair().await;
        let (short, long) = (Duration::from_millis(50), Duration::from_secs(60));
        let mut io = GuardedIo::new(server, Phase::default(), short, long);
        client.write_all(b"POST / HT").await.unwrap();
        let mut buffer = [0; 64];
        assert_eq!(io.read(&mut buffer).await.unwrap(), 9);
        assert_eq!(io.read(&mut buffer).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(io);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }

    #[tokio::test]
    async fn an_idle_connection_ends_quietly_and_a_request_being_answered_has_no_deadline_here() {
        let (_client, server) = pair().await;
        let (short, long) = (Duration::from_millis(50), Duration::from_secs(60));
        let phase = Phase::default();
        let mut io = GuardedIo::new(server, phase.clone(), long, short);
        let mut buffer = [0; 64];
        phase.begin_request();
        assert!(
            tokio::time::timeout(Duration::from_millis(200), io.read(&mut buffer))
                .await
                .is_err()
        );
        phase.end_request();
        assert_eq!(io.read(&mut buffer).await.unwrap(), 0);
    }
}
