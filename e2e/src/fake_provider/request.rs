//! Reads one HTTP/1.1 request off a socket: head, then a body by length or by chunks.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncRead, AsyncReadExt};

const HEAD_BYTES_MAX: usize = 256 * 1024;
const BODY_BYTES_MAX: usize = 160 * 1024 * 1024;

/// A request as it stood on the wire.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Reads the next request. `buffer` keeps what was read beyond it. `None`: the peer closed between requests.
    pub(super) async fn read(socket: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Result<Option<Self>> {
        let head_end = loop {
            if let Some(end) = find(buffer, b"\r\n\r\n") {
                break end;
            }
            if buffer.len() > HEAD_BYTES_MAX {
                return Err(invalid("the head is too long"));
            }
            if socket.read_buf(buffer).await? == 0 {
                return if buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(ErrorKind::UnexpectedEof.into())
                };
            }
        };
        let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
        buffer.drain(..head_end + 4);
        let mut lines = head.split("\r\n");
        let mut first = lines.next().unwrap_or_default().split(' ');
        let (Some(method), Some(path)) = (first.next(), first.next()) else {
            return Err(invalid("the request line has no path"));
        };
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        let mut request = Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers,
            body: Vec::new(),
        };
        request.body = if request.header("transfer-encoding").is_some() {
            read_chunks(socket, buffer).await?
        } else {
            let length = request.header("content-length").map_or(Ok(0), str::parse);
            take(
                socket,
                buffer,
                length.map_err(|_| invalid("content-length is no number"))?,
            )
            .await?
        };
        Ok(Some(request))
    }
}

async fn read_chunks(socket: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line_end = loop {
            if let Some(end) = find(buffer, b"\r\n") {
                break end;
            }
            if socket.read_buf(buffer).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        };
        let line = String::from_utf8_lossy(&buffer[..line_end]).into_owned();
        buffer.drain(..line_end + 2);
        let size = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16)
            .map_err(|_| invalid("a chunk size is no number"))?;
        let mut chunk = take(socket, buffer, size + 2).await?;
        if size == 0 {
            return Ok(body);
        }
        chunk.truncate(size);
        body.append(&mut chunk);
    }
}

/// Takes exactly `length` bytes.
async fn take(socket: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>, length: usize) -> Result<Vec<u8>> {
    if length > BODY_BYTES_MAX {
        return Err(invalid("the body is too long"));
    }
    while buffer.len() < length {
        if socket.read_buf(buffer).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    let rest = buffer.split_off(length);
    Ok(std::mem::replace(buffer, rest))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn invalid(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(wire: &[u8]) -> (Request, Vec<u8>) {
        let (mut socket, mut buffer) = (wire, Vec::new());
        let request = Request::read(&mut socket, &mut buffer)
            .await
            .expect("readable")
            .expect("one request");
        (request, buffer)
    }

    #[tokio::test]
    async fn a_body_of_known_length_leaves_the_next_request_in_the_buffer() {
        let (request, rest) = read(b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /b").await;
        assert_eq!(
            (request.method.as_str(), request.path.as_str(), &request.body[..]),
            ("POST", "/a", &b"abc"[..])
        );
        assert_eq!(rest, b"GET /b");
    }

    #[tokio::test]
    async fn chunks_are_joined() {
        let (request, _) =
            read(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=1\r\nde\r\n0\r\n\r\n").await;
        assert_eq!(request.body, b"abcde");
    }
}
