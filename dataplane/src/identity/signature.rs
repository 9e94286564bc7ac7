//! The signature of AWS over one request.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};

use headgate_llm::failure::{Failure, FailureKind};
use headgate_llm::sigv4::{AwsCredentials, SigningRequest, sign};

use crate::upstream::request_body::RequestBody;

/// The signing name of Bedrock's runtime.
const BEDROCK: &str = "bedrock";
/// Bodies above this are hashed aside: 256 KiB take a processor about half a millisecond without its own instructions.
pub(super) const HASHED_INLINE_BYTES_MAX: usize = 256 * 1024;

/// Signs a request that is otherwise finished.
pub(super) async fn sign_request(
    request: &mut Request<RequestBody>,
    region: &str,
    keys: Arc<AwsCredentials>,
    now: SystemTime,
) -> Result<(), Failure> {
    let body = match request.body() {
        RequestBody::Whole(bytes) => bytes.clone().unwrap_or_default(),
        // Its digest would have to be known before it has arrived. No endpoint of Bedrock takes one.
        RequestBody::Upload(_) => return Err(unsigned("an upload cannot be signed for AWS")),
    };
    let signing = Signing {
        method: request.method().clone(),
        host: request.headers().get(header::HOST).cloned(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        body,
        region: region.to_owned(),
        keys,
    };
    let signed = if signing.body.len() <= HASHED_INLINE_BYTES_MAX {
        signing.sign(now)
    } else {
        let signed = tokio::task::spawn_blocking(move || signing.sign(now)).await;
        signed.ok().flatten()
    };
    let headers = signed.ok_or_else(|| unsigned("the request cannot be signed for AWS"))?;
    for (name, value) in headers {
        request.headers_mut().insert(name, value);
    }
    Ok(())
}

fn unsigned(why: &str) -> Failure {
    Failure::new(FailureKind::Auth, why)
}

/// What a signature is made of. Host, time and body are signed, and the token of a temporary key; proxies may write the
/// other headers anew.
struct Signing {
    method: Method,
    host: Option<HeaderValue>,
    path: String,
    query: String,
    body: Bytes,
    region: String,
    keys: Arc<AwsCredentials>,
}

impl Signing {
    fn sign(&self, now: SystemTime) -> Option<Vec<(HeaderName, HeaderValue)>> {
        let request = SigningRequest {
            method: self.method.as_str(),
            host: self.host.as_ref()?.to_str().ok()?,
            path: &self.path,
            query: &self.query,
            headers: &HeaderMap::new(),
            body: &self.body,
            region: &self.region,
            service: BEDROCK,
        };
        sign(&request, &self.keys, now)
    }
}
