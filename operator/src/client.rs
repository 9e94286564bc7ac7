//! The client of the API server: every request has a deadline and is counted.
//!
//! The client library waits for ever by default and repeats a refused request up to fifteen times by itself. Both are off
//! here: a request that hangs would hold a Lease renewal or a whole reconcile, and whoever asked has a back-off of its own
//! that knows what it is for.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{Request, Response};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use tower::{BoxError, Layer, Service};

use crate::metrics::Metrics;

/// To a connection, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Of silence while an answer is read. Longer than [`WATCH_SECONDS`], since a watch without events is silent.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// To the head of an answer, also of a watch.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long one watch request lasts before it is renewed. Short, since it bounds how long a half-open connection goes
/// unnoticed.
pub const WATCH_SECONDS: u32 = 50;

/// A client by the usual rules: `KUBECONFIG`, else the service account of the pod. The error is one sentence.
pub async fn connect(metrics: &Arc<Metrics>) -> Result<Client, String> {
    let mut config = Config::infer()
        .await
        .map_err(|error| format!("{error}; set KUBECONFIG, or run in a pod with a ServiceAccount token"))?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    config.write_timeout = Some(ANSWER_TIMEOUT);
    config.reset_reader_on_write = true;
    config.default_retry = false;
    let observed = ObservedLayer {
        host: config
            .cluster_url
            .authority()
            .map_or("", |authority| authority.as_str())
            .into(),
        metrics: Arc::clone(metrics),
    };
    let builder = ClientBuilder::try_from(config).map_err(|error| format!("cannot make a client: {error}"))?;
    Ok(builder.with_layer(&observed).build())
}

/// Why a request failed, for a log line or a condition: the words of the API server, or the whole chain of causes.
pub fn reason(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return format!("{} {}: {}", status.code, status.reason, status.message);
    }
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        let said = next.to_string();
        // Some errors repeat their cause in their own words.
        if !words.ends_with(&said) {
            words.push_str(": ");
            words.push_str(&said);
        }
        cause = next.source();
    }
    words
}

/// Adds the deadline and the count.
struct ObservedLayer {
    host: Arc<str>,
    metrics: Arc<Metrics>,
}

impl<S> Layer<S> for ObservedLayer {
    type Service = Observed<S>;

    fn layer(&self, inner: S) -> Observed<S> {
        Observed {
            inner,
            host: Arc::clone(&self.host),
            metrics: Arc::clone(&self.metrics),
        }
    }
}

struct Observed<S> {
    inner: S,
    host: Arc<str>,
    metrics: Arc<Metrics>,
}

impl<S, B> Service<Request<Body>> for Observed<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = request.method().clone();
        let (host, metrics) = (Arc::clone(&self.host), Arc::clone(&self.metrics));
        let answer = self.inner.call(request);
        Box::pin(async move {
            let started = Instant::now();
            let answer = match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
                Ok(answer) => answer.map_err(Into::into),
                Err(_) => Err(BoxError::from(format!(
                    "the API server did not answer within {} s",
                    ANSWER_TIMEOUT.as_secs()
                ))),
            };
            let code = answer.as_ref().map(Response::status);
            metrics.record_request(
                method.as_str(),
                &host,
                code.as_ref().map_or("<error>", |status| status.as_str()),
                started.elapsed(),
            );
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_words_of_the_api_server() {
        let status = Status::failure("secrets is forbidden", "Forbidden").with_code(403);
        assert_eq!(
            reason(&kube::Error::Api(Box::new(status))),
            "403 Forbidden: secrets is forbidden"
        );
    }

    #[test]
    fn a_failure_is_told_with_all_its_causes_and_none_twice() {
        #[derive(Debug, thiserror::Error)]
        #[error("connection refused")]
        struct Inner;
        #[derive(Debug, thiserror::Error)]
        #[error("cannot connect")]
        struct Outer(#[source] Inner);
        let error = kube::Error::Service(Box::new(Outer(Inner)));
        assert_eq!(reason(&error), "ServiceError: cannot connect: connection refused");
    }
}
