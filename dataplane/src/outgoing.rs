//! A request to a provider: its address, and the headers of the gateway, of the dialect and of the caller in the order in
//! which they win. A caller's credential is never among them.

use std::time::SystemTime;

use http::{HeaderMap, Method, Request};
use tokio::time::Instant;

use headgate_llm::failure::{Failure, FailureKind};

use crate::attempt::within;
use crate::runtime::provider::PreparedProvider;
use crate::upstream::request_body::RequestBody;

/// What is asked of a provider.
pub struct Outgoing<'a> {
    /// The method.
    pub method: Method,
    /// Behind the base URL, with its query.
    pub path: &'a str,
    /// Headers of the dialect. What a manifest or the caller sets wins.
    pub headers: &'a HeaderMap,
    /// The caller's headers, of which some pass.
    pub caller_headers: &'a HeaderMap,
}

impl Outgoing<'_> {
    /// The request with its head complete, but for what [`prove`] adds.
    pub fn request(&self, provider: &PreparedProvider, body: RequestBody) -> Result<Request<RequestBody>, Failure> {
        let uri = provider
            .address
            .uri(self.path)
            .map_err(|error| Failure::new(FailureKind::Connection, error.to_string()))?;
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = provider.headers.clone();
        for (name, value) in self.headers {
            request.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
        for name in &provider.forward_headers {
            if let Some(value) = self.caller_headers.get(name) {
                request.headers_mut().entry(name).or_insert_with(|| value.clone());
            }
        }
        for name in provider.adapter.forwarded_headers() {
            if let Some(value) = self.caller_headers.get(name) {
                request.headers_mut().insert(name, value.clone());
            }
        }
        Ok(request)
    }
}

/// Puts into a request that is otherwise finished what opens the account, where that is no header that stands for all.
pub async fn prove(
    provider: &PreparedProvider,
    request: &mut Request<RequestBody>,
    deadline: Instant,
) -> Result<(), Failure> {
    match &provider.identity {
        None => Ok(()),
        // In a box: what few providers need must not make the future of every request larger.
        Some(identity) => within(deadline, Box::pin(identity.prove(request, SystemTime::now()))).await,
    }
}
