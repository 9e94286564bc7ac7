//! What a provider is sent: bytes that are here, or an upload that is still arriving from the client.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// The body of a request to a provider.
pub enum RequestBody {
    /// All of it.
    Whole(Option<Bytes>),
    /// It passes as it arrives.
    Upload(Pin<Box<dyn Body<Data = Bytes, Error = UploadFailed> + Send>>),
}

/// The upload broke off; why is known to whoever made it, and the provider's connection is aborted.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the upload broke off")]
pub struct UploadFailed;

impl RequestBody {
    /// Bytes that are here; an empty body is sent as none.
    pub fn whole(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = UploadFailed;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadFailed>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Upload(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Upload(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Upload(body) => body.size_hint(),
        }
    }
}
