//! An HTTP/1.1 client that sends exactly the bytes it is given.
//!
//! The tests of refusals need requests that no HTTP library would send; and since they use one client for those, they
//! use the same for good requests. Every wait has a deadline, so a gateway that hangs is a failed test, not a hung one.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than the longest deadline of the gateway that a test may have to wait out (30 s for a silent body).
pub const PATIENCE: Duration = Duration::from_secs(60);

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body without its transfer encoding.
    pub body: Vec<u8>,
    /// The body ended as its framing promised; `false`: the connection broke off.
    pub complete: bool,
}

impl Answer {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; panics with the body when it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in the answer {:.500}", self.text()))
    }

    /// `error.code` of an error body.
    pub fn error_code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The payloads of a stream's `data:` lines.
    pub fn events(&self) -> Vec<String> {
        self.text()
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(str::to_owned)
            .collect()
    }
}

/// A connection to the gateway.
pub struct Connection {
    socket: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Opens one to a gateway that is there.
    pub async fn open(address: SocketAddr) -> Self {
        let opened = Self::try_open(address).await;
        opened.expect("the gateway accepts connections")
    }

    /// Opens one, or tells that it was refused.
    pub async fn try_open(address: SocketAddr) -> std::io::Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        Ok(Self {
            socket,
            buffer: Vec::new(),
        })
    }

    /// Sends bytes. An error is no failure: a gateway may refuse and close before the request was sent whole.
    pub async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        timeout(PATIENCE, self.socket.write_all(bytes))
            .await
            .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
    }

    /// Reads one answer to its end, or says what came instead.
    pub async fn answer(&mut self) -> Result<Answer, String> {
        timeout(PATIENCE, self.read_answer())
            .await
            .map_err(|_| format!("no answer within {PATIENCE:?}"))?
    }

    /// Reads until `needle` was seen (it stays unread for [`Self::answer`]); `false` when the connection ended before.
    pub async fn wait_for(&mut self, needle: &str) -> bool {
        let seen = |buffer: &[u8]| buffer.windows(needle.len()).any(|window| window == needle.as_bytes());
        while !seen(&self.buffer) {
            match timeout(PATIENCE, self.socket.read_buf(&mut self.buffer)).await {
                Ok(Ok(n)) if n > 0 => {}
                _ => return false,
            }
        }
        true
    }

    /// Waits for the gateway to close; `false` if it has not done so after `within`.
    pub async fn is_closed(&mut self, within: Duration) -> bool {
        timeout(within, async { while matches!(self.more().await, Ok(n) if n > 0) {} })
            .await
            .is_ok()
    }

    async fn more(&mut self) -> std::io::Result<usize> {
        self.socket.read_buf(&mut self.buffer).await
    }

    async fn read_answer(&mut self) -> Result<Answer, String> {
        let mut answer = self.read_head().await?;
        if answer
            .header("transfer-encoding")
            .is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
        {
            answer.complete = self.read_chunks(&mut answer.body).await;
        } else if let Some(length) = answer
            .header("content-length")
            .and_then(|value| value.parse::<usize>().ok())
        {
            while self.buffer.len() < length && matches!(self.more().await, Ok(n) if n > 0) {}
            answer.complete = self.buffer.len() >= length;
            answer.body = self.buffer.drain(..length.min(self.buffer.len())).collect();
        } else {
            while matches!(self.more().await, Ok(n) if n > 0) {}
            answer.body = std::mem::take(&mut self.buffer);
            answer.complete = true;
        }
        Ok(answer)
    }

    async fn read_head(&mut self) -> Result<Answer, String> {
        let head_end = loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            match self.more().await {
                Ok(0) => return Err(format!("closed after {:?}", String::from_utf8_lossy(&self.buffer))),
                Ok(_) => {}
                Err(error) => return Err(format!("{error} after {:?}", String::from_utf8_lossy(&self.buffer))),
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..head_end]).into_owned();
        self.buffer.drain(..head_end + 4);
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = first
            .split(' ')
            .nth(1)
            .and_then(|s| s.parse().ok())
            .ok_or_else(|| format!("not HTTP: {first:?}"))?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Ok(Answer {
            status,
            headers,
            body: Vec::new(),
            complete: false,
        })
    }

    /// `true` when the last chunk came.
    async fn read_chunks(&mut self, body: &mut Vec<u8>) -> bool {
        loop {
            let line_end = loop {
                if let Some(end) = self.buffer.windows(2).position(|window| window == b"\r\n") {
                    break end;
                }
                if !matches!(self.more().await, Ok(n) if n > 0) {
                    return false;
                }
            };
            let line = String::from_utf8_lossy(&self.buffer[..line_end]).into_owned();
            self.buffer.drain(..line_end + 2);
            let Ok(size) = usize::from_str_radix(line.trim(), 16) else {
                return false;
            };
            while self.buffer.len() < size + 2 {
                if !matches!(self.more().await, Ok(n) if n > 0) {
                    return false;
                }
            }
            body.extend(self.buffer.drain(..size));
            self.buffer.drain(..2);
            if size == 0 {
                return true;
            }
        }
    }
}

/// A chat request as bytes; `headers` are whole lines without their end, the credential included.
pub fn chat_request(headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut request =
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n".to_vec();
    for header in headers {
        request.extend_from_slice(header.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    request.extend_from_slice(body);
    request
}

/// Sends one request on a connection of its own.
pub async fn send(address: SocketAddr, request: &[u8]) -> Result<Answer, String> {
    let connected = Connection::try_open(address).await;
    let mut connection = connected.map_err(|error| format!("no connection: {error}"))?;
    // A refused request may break the pipe before it was sent whole; the answer tells.
    let _ = connection.send(request).await;
    connection.answer().await
}

/// Asks `model` one question with `key`.
pub async fn chat(address: SocketAddr, key: &str, model: &str, stream: bool) -> Result<Answer, String> {
    let body = chat_body(model, stream);
    send(
        address,
        &chat_request(&[&format!("authorization: Bearer {key}")], body.as_bytes()),
    )
    .await
}

/// A small chat request for `model`.
pub fn chat_body(model: &str, stream: bool) -> String {
    format!(r#"{{"model":"{model}","stream":{stream},"messages":[{{"role":"user","content":"Xin chào"}}]}}"#)
}

/// A GET of `path`.
pub async fn get(address: SocketAddr, path: &str, headers: &[&str]) -> Result<Answer, String> {
    let mut request = format!("GET {path} HTTP/1.1\r\nhost: gateway\r\n");
    for header in headers {
        request.push_str(header);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    send(address, request.as_bytes()).await
}
