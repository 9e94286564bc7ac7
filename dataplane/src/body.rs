//! Reading a client's request body: bounded in size while it arrives, in silence, and in all.

use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body::Body;

use crate::deadline::MovingDeadline;
use crate::refusal::Refusal;

/// How large a JSON body may be. Ten pictures in one chat fit; a 100 MB body does not.
pub const JSON_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How long a body may take as a whole: the largest one at one megabit a second.
const TOTAL: Duration = Duration::from_secs(300);

/// The same of a body that may also be a form, whose parts are looked at when it is read.
pub fn check_passing_head(headers: &HeaderMap) -> Result<(), Refusal> {
    match check_head(headers) {
        Err(Refusal::UnsupportedMediaType) if is_form(headers) => check_encoding(headers),
        checked => checked,
    }
}

/// The same of a body that must be a form.
pub fn check_form_head(headers: &HeaderMap) -> Result<(), Refusal> {
    if is_form(headers) {
        check_encoding(headers)
    } else {
        Err(Refusal::UnsupportedMediaType)
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE);
    content_type.is_some_and(|value| essence(value.as_bytes()).eq_ignore_ascii_case(b"multipart/form-data"))
}

/// Refuses what is said of a JSON body before it is read: another type, an encoding that hides its size, a length beyond
/// the bound.
pub fn check_head(headers: &HeaderMap) -> Result<(), Refusal> {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .map_or(&b""[..], |value| value.as_bytes());
    if !is_json(content_type) {
        return Err(Refusal::UnsupportedMediaType);
    }
    check_encoding(headers)?;
    match content_length(headers) {
        Some(length) if length > JSON_BYTES_MAX as u64 => Err(Refusal::BodyTooLarge(JSON_BYTES_MAX)),
        _ => Ok(()),
    }
}

fn check_encoding(headers: &HeaderMap) -> Result<(), Refusal> {
    let encoding = headers.get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding != "identity") {
        return Err(Refusal::UnsupportedEncoding);
    }
    Ok(())
}

/// Reads the whole body. One that arrives in one piece is not copied.
pub async fn read_json<B>(headers: &HeaderMap, body: B, idle: Duration) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut reader = Reader {
        body,
        deadline: MovingDeadline::within(idle, TOTAL),
    };
    let Some(first) = reader.next().await? else {
        return Ok(Bytes::new());
    };
    let Some(second) = reader.next().await? else {
        return bounded(first);
    };
    // A declared length is trusted for the size of the buffer only as far as a client that lies cannot hurt.
    let expected = content_length(headers)
        .map_or(0, |length| usize::try_from(length).unwrap_or(0))
        .min(1024 * 1024);
    let mut whole = BytesMut::with_capacity(expected.max((first.len() + second.len()) * 2));
    for part in [first, second] {
        extend(&mut whole, &part)?;
    }
    while let Some(part) = reader.next().await? {
        extend(&mut whole, &part)?;
    }
    Ok(whole.freeze())
}

/// Bodies up to this size are read to be thrown away when their request is refused, so that the connection lives on: a
/// client that is told of a wrong key should not lose its connection over it.
const DISCARDED_BYTES_MAX: u64 = 64 * 1024;

/// Reads and forgets a body that is declared to be small. False: it is not, or did not arrive; nothing more of it is read.
pub async fn discard_small<B>(headers: &HeaderMap, body: B, idle: Duration) -> bool
where
    B: Body<Data = Bytes> + Unpin,
{
    if body.is_end_stream() {
        return true;
    }
    if content_length(headers).is_none_or(|length| length > DISCARDED_BYTES_MAX) {
        return false;
    }
    let mut reader = Reader {
        body,
        deadline: MovingDeadline::within(idle, TOTAL),
    };
    loop {
        match reader.next().await {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

fn bounded(bytes: Bytes) -> Result<Bytes, Refusal> {
    if bytes.len() > JSON_BYTES_MAX {
        Err(Refusal::BodyTooLarge(JSON_BYTES_MAX))
    } else {
        Ok(bytes)
    }
}

fn extend(whole: &mut BytesMut, part: &[u8]) -> Result<(), Refusal> {
    if whole.len() + part.len() > JSON_BYTES_MAX {
        return Err(Refusal::BodyTooLarge(JSON_BYTES_MAX));
    }
    whole.extend_from_slice(part);
    Ok(())
}

struct Reader<B> {
    body: B,
    deadline: MovingDeadline,
}

impl<B: Body<Data = Bytes> + Unpin> Reader<B> {
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        std::future::poll_fn(|cx| {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => self.deadline.poll(cx).map(|_| Err(Refusal::BodyTimeout)),
                Poll::Ready(None) => Poll::Ready(Ok(None)),
                Poll::Ready(Some(Err(_))) => Poll::Ready(Err(Refusal::BodyCut)),
                Poll::Ready(Some(Ok(frame))) => {
                    self.deadline.restart();
                    Poll::Ready(Ok(Some(frame.into_data().unwrap_or_default()))) // trailers say nothing we read
                }
            }
        })
        .await
    }
}

/// A type without its parameters.
fn essence(content_type: &[u8]) -> &[u8] {
    let parts = content_type.split(|&byte| byte == b';').next();
    parts.unwrap_or_default().trim_ascii()
}

/// `application/json` or a `+json` type, whatever its parameters.
fn is_json(content_type: &[u8]) -> bool {
    let essence = essence(content_type);
    essence.eq_ignore_ascii_case(b"application/json") || essence.to_ascii_lowercase().ends_with(b"+json")
}

pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use http::HeaderValue;

    fn head(name: header::HeaderName, value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(name, HeaderValue::from_static(value));
        headers
    }

    #[test]
    fn json_of_any_charset_passes_and_other_types_do_not() {
        for good in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/vnd.api+json",
        ] {
            assert!(check_head(&head(header::CONTENT_TYPE, good)).is_ok(), "{good}");
        }
        for bad in [
            "text/plain",
            "multipart/form-data; boundary=json",
            "application/jsonp",
            "",
        ] {
            let refused = check_head(&head(header::CONTENT_TYPE, bad));
            assert!(matches!(refused, Err(Refusal::UnsupportedMediaType)), "{bad}");
        }
    }

    #[test]
    fn what_is_declared_too_long_or_compressed_is_refused_unread() {
        assert!(matches!(
            check_head(&head(header::CONTENT_LENGTH, "33554433")),
            Err(Refusal::BodyTooLarge(JSON_BYTES_MAX))
        ));
        assert!(check_head(&head(header::CONTENT_LENGTH, "33554432")).is_ok());
        assert!(matches!(
            check_head(&head(header::CONTENT_ENCODING, "gzip")),
            Err(Refusal::UnsupportedEncoding)
        ));
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_bound() {
        let idle = Duration::from_secs(1);
        let read = async |bytes: usize| read_json(&HeaderMap::new(), Body::from(vec![b' '; bytes]), idle).await;
        assert_eq!(read(0).await.expect("empty").len(), 0);
        assert_eq!(read(JSON_BYTES_MAX).await.expect("it fits").len(), JSON_BYTES_MAX);
        assert!(matches!(read(JSON_BYTES_MAX + 1).await, Err(Refusal::BodyTooLarge(_))));
    }
}
