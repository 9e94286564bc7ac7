//! Reading what a provider answers: bounded in size after decoding, and in the silence between two reads.
//!
//! We ask for `accept-encoding: identity`; an answer that is compressed all the same is decoded here, so that usage and
//! errors can be read and the bound holds on what was really sent.

use std::collections::VecDeque;
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use headgate_llm::failure::{Failure, FailureKind};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use http_body::Body as _;
use hyper::body::Incoming;

use super::Lease;
use crate::deadline::{MovingDeadline, Passed};

/// The body of an answer, decoded.
pub struct AnswerBody {
    source: Source,
    decoder: Option<Decoder>,
    deadline: MovingDeadline,
}

enum Source {
    Provider {
        body: Incoming,
        lease: Option<Lease>,
    },
    /// From inside the gateway (Echo): already here.
    Inside(VecDeque<Bytes>),
}

impl AnswerBody {
    /// A provider's answer; `deadline` bounds the silence between two reads, and the whole.
    pub fn of_provider(
        body: Incoming,
        lease: Lease,
        headers: &HeaderMap,
        deadline: MovingDeadline,
    ) -> Result<Self, Failure> {
        Ok(Self {
            source: Source::Provider {
                body,
                lease: Some(lease),
            },
            decoder: Decoder::of(headers)?,
            deadline,
        })
    }

    /// An answer made inside.
    pub fn inside(parts: VecDeque<Bytes>) -> Self {
        Self {
            source: Source::Inside(parts),
            decoder: None,
            deadline: MovingDeadline::never(),
        }
    }

    /// The next bytes, decoded, `None` at a clean end.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        loop {
            let next = match (ready!(self.poll_raw(cx)), &mut self.decoder) {
                (Some(Ok(bytes)), Some(decoder)) => Some(decoder.decode(&bytes)),
                (next, _) => next,
            };
            match next {
                Some(Ok(bytes)) if bytes.is_empty() => {} // trailers, or too little to decode
                next => return Poll::Ready(next),
            }
        }
    }

    /// The next bytes as they arrived. At the end the connection goes back to its pool.
    fn poll_raw(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        let (body, lease) = match &mut self.source {
            Source::Inside(parts) => return Poll::Ready(parts.pop_front().map(Ok)),
            Source::Provider { body, lease } => (body, lease),
        };
        match Pin::new(body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.deadline.restart();
                Poll::Ready(Some(Ok(frame.into_data().unwrap_or_default())))
            }
            Poll::Ready(Some(Err(error))) => {
                Poll::Ready(Some(Err(Failure::new(FailureKind::Cut, super::chain(&error)))))
            }
            Poll::Ready(None) => {
                if let Some(lease) = lease.take() {
                    lease.give_back();
                }
                Poll::Ready(None)
            }
            Poll::Pending => self.deadline.poll(cx).map(|passed| {
                let detail = match passed {
                    Passed::Silence => "the provider fell silent",
                    Passed::Total => "the provider did not finish in time",
                };
                Some(Err(Failure::new(FailureKind::Timeout, detail)))
            }),
        }
    }

    /// The next bytes, `None` at a clean end. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Result<Bytes, Failure>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The whole body, of at most `bytes_max`. One that arrives in one piece is not copied.
    pub async fn collect(mut self, bytes_max: usize) -> Result<Bytes, Failure> {
        let Some(first) = self.next().await.transpose()? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.next_within(&first, bytes_max).await? else {
            return Ok(first);
        };
        let mut whole = BytesMut::with_capacity((first.len() + second.len()) * 2);
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while let Some(bytes) = self.next_within(&whole, bytes_max).await? {
            whole.extend_from_slice(&bytes);
        }
        Ok(whole.freeze())
    }

    async fn next_within(&mut self, so_far: &[u8], bytes_max: usize) -> Result<Option<Bytes>, Failure> {
        let next = self.next().await.transpose()?;
        if so_far.len() + next.as_ref().map_or(0, Bytes::len) > bytes_max {
            let detail = format!("the answer is longer than {bytes_max} bytes");
            return Err(Failure::new(FailureKind::Protocol, detail));
        }
        Ok(next)
    }
}

/// The encodings that servers send although they were asked not to.
enum Decoder {
    Gzip(MultiGzDecoder<Vec<u8>>),
    Deflate(ZlibDecoder<Vec<u8>>),
}

impl Decoder {
    fn of(headers: &HeaderMap) -> Result<Option<Self>, Failure> {
        let Some(encoding) = headers.get(CONTENT_ENCODING) else {
            return Ok(None);
        };
        match encoding.as_bytes() {
            b"identity" | b"" => Ok(None),
            b"gzip" | b"x-gzip" => Ok(Some(Self::Gzip(MultiGzDecoder::new(Vec::new())))),
            b"deflate" => Ok(Some(Self::Deflate(ZlibDecoder::new(Vec::new())))),
            _ => Err(Failure::new(
                FailureKind::Protocol,
                "the answer has a content encoding that was not asked for",
            )),
        }
    }

    /// What `bytes` complete. The output of one read is bounded by the size of a read times what deflate can expand it
    /// (about a thousand); the bound on the whole is the reader's.
    fn decode(&mut self, bytes: &[u8]) -> Result<Bytes, Failure> {
        let result = match self {
            Self::Gzip(decoder) => decoder.write_all(bytes).and_then(|()| decoder.flush()),
            Self::Deflate(decoder) => decoder.write_all(bytes).and_then(|()| decoder.flush()),
        };
        let decoded = match self {
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Deflate(decoder) => decoder.get_mut(),
        };
        match result {
            Ok(()) => Ok(std::mem::take(decoded).into()),
            Err(error) => Err(Failure::new(
                FailureKind::Protocol,
                format!("the compressed answer is damaged: {error}"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(texts: &[&'static str]) -> AnswerBody {
        AnswerBody::inside(texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect())
    }

    #[tokio::test]
    async fn a_body_is_collected_up_to_its_bound() {
        assert_eq!(parts(&[]).collect(10).await, Ok(Bytes::new()));
        assert_eq!(parts(&["abc"]).collect(3).await, Ok("abc".into()));
        assert_eq!(parts(&["abc", "de", "f"]).collect(6).await, Ok("abcdef".into()));
        for texts in [&["abcd"][..], &["ab", "cd"], &["a", "b", "c", "d"]] {
            let refused = parts(texts).collect(3).await.expect_err("it is too long");
            assert_eq!(refused.kind, FailureKind::Protocol);
            assert_eq!(refused.detail, "the answer is longer than 3 bytes");
        }
    }

    #[test]
    fn gzip_is_decoded_in_pieces_and_damage_is_noticed() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(b"hello, hello, hello").expect("memory");
        let encoded = encoder.finish().expect("memory");
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, http::HeaderValue::from_static("gzip"))]);
        let mut decoder = Decoder::of(&headers).expect("known").expect("encoded");
        let mut decoded = Vec::new();
        for byte in &encoded {
            decoded.extend_from_slice(&decoder.decode(&[*byte]).expect("whole"));
        }
        assert_eq!(decoded, b"hello, hello, hello");
        let mut damaged = Decoder::of(&headers).expect("known").expect("encoded");
        assert_eq!(
            damaged.decode(b"not gzip at all").expect_err("damaged").kind,
            FailureKind::Protocol
        );
    }

    #[test]
    fn an_unknown_encoding_is_refused() {
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, http::HeaderValue::from_static("br"))]);
        assert!(Decoder::of(&headers).is_err());
    }
}
