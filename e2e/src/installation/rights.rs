//! What an installation's service accounts asked for, and what they were refused.

use tokio::time::{Instant, sleep};

use super::{Installation, PATIENCE, POLL_EVERY};
use crate::control_plane::Request;

impl Installation {
    /// What the API server said when it refused; until then, tried again: an admission policy takes effect a moment after
    /// it was written.
    pub async fn refused<T>(&self, write: impl AsyncFn() -> Result<T, kube::Error>) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match write().await {
                Err(kube::Error::Api(error)) => return error.message.clone(),
                Err(error) => panic!("{error}"),
                Ok(_) => assert!(Instant::now() < deadline, "it is never refused"),
            }
            sleep(POLL_EVERY).await;
        }
    }

    /// What its service accounts asked of the API server so far, the tests' own use of their tokens included.
    pub fn own_requests(&self) -> Vec<Request> {
        let prefix = format!("system:serviceaccount:{}:", self.namespace);
        let requests = self.control_plane.requests().into_iter();
        requests.filter(|request| request.user.starts_with(&prefix)).collect()
    }

    /// What they wrote that was taken, Leases left out.
    pub fn writes_but_leases(&self) -> Vec<Request> {
        let is_write = |request: &Request| {
            ["create", "update", "patch", "delete", "deletecollection"].contains(&request.verb.as_str())
                && request.resource != "leases"
                && request.code < 400
        };
        self.own_requests().into_iter().filter(is_write).collect()
    }
}
