//! The few calls to the API server that following a snapshot takes. Each has a deadline and a bound on what it reads, and
//! none is tried again here: who calls knows how long it is worth it.
//!
//! The client is kube's, its typed calls are not used: those read answers of any length, wait for ever on a connection
//! whose other end is gone, and log the text of what they cannot read, which may be a Secret. A connection on which a
//! deadline passed is closed with its request, so the next call dials anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use http_body_util::{BodyExt as _, Limited};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::client::Body;
use kube::core::params::{GetParams, ListParams, Patch, PatchParams, WatchParams};
use kube::core::{ObjectList, Request, Status, WatchEvent};
use kube::{Client, Config, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

use crate::metrics::DeliveryMetrics;

/// From the first byte sent to the last one read, for anything but a watch.
const CALL_DEADLINE: Duration = Duration::from_secs(5);
/// How long the API server keeps a watch open. Short, since only its end tells that the other end is still there.
const WATCH_SECONDS: u32 = 30;
/// How much longer than that a watch may last: the API server adds nothing, a busy network may.
const WATCH_GRACE: Duration = Duration::from_secs(5);
/// The longest answer: an object of the largest size that an API server stores, base64 and JSON around it.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The longest list of Leases that `headgate status` reads.
const LIST_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a call is for: names it in logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    GetPointer,
    WatchPointer,
    GetShard,
    ApplyLease,
    ListLeases,
}

impl Operation {
    /// The label of the metric.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::GetPointer => "get_pointer",
            Self::WatchPointer => "watch_pointer",
            Self::GetShard => "get_shard",
            Self::ApplyLease => "apply_lease",
            Self::ListLeases => "list_leases",
        }
    }
}

/// A call that brought nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ApiError {
    /// There is no such object.
    #[error("it does not exist")]
    NotFound,
    /// The API server answered, and will answer the same again until somebody changes something.
    #[error("the API server answers {status}: {message}")]
    Denied {
        /// The HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// No usable answer: it is away, busy, or the way to it is cut.
    #[error("the API server cannot be reached: {0}")]
    Away(String),
}

/// A way to the API server.
#[derive(Clone)]
pub(super) struct Api {
    client: Client,
    /// Where the snapshot objects are.
    namespace: Arc<str>,
    contact: Option<Arc<Contact>>,
    doubt: Arc<Notify>,
}

/// Remembers what fails, so that each trouble is told once when it begins and once when it is over.
struct Contact {
    metrics: DeliveryMetrics,
    troubles: Mutex<BTreeMap<Operation, String>>,
}

impl Api {
    /// A client by kube's usual rules: `KUBECONFIG`, `~/.kube/config`, else the pod's service account.
    pub(super) async fn config() -> Result<Config, String> {
        let mut config = Config::infer().await.map_err(|error| {
            format!(
                "no way to the API server is known: {error}; set KUBECONFIG, or run in a pod with a service account token"
            )
        })?;
        config.connect_timeout = Some(CALL_DEADLINE);
        config.write_timeout = Some(CALL_DEADLINE);
        config.default_retry = false;
        Ok(config)
    }

    /// A way to `namespace`. `metrics`: where calls are counted and troubles logged; without, neither happens.
    pub(super) fn new(config: Config, namespace: &str, metrics: Option<DeliveryMetrics>) -> Result<Self, String> {
        let client = Client::try_from(config)
            .map_err(|error| format!("the configuration of the way to the API server is unusable: {error}"))?;
        let contact = metrics.map(|metrics| {
            Arc::new(Contact {
                metrics,
                troubles: Mutex::default(),
            })
        });
        Ok(Self {
            client,
            namespace: namespace.into(),
            contact,
            doubt: Arc::default(),
        })
    }

    /// A call went unanswered: what looks open may be open at this end only.
    pub(super) async fn doubted(&self) {
        self.doubt.notified().await;
    }

    /// The pointer as it is now, read from the storage behind the API server.
    pub(super) async fn pointer(&self, name: &str) -> Result<ConfigMap, ApiError> {
        self.get(Operation::GetPointer, name).await
    }

    /// Starts to watch the ConfigMap of that name: first as it is, then each change.
    pub(super) async fn watch_pointer(&self, name: &str) -> Result<Watch, ApiError> {
        let parameters = WatchParams::default()
            .fields(&format!("metadata.name={name}"))
            .timeout(WATCH_SECONDS)
            .disable_bookmarks();
        // Without a version to start from there is none that can be too old.
        let request = self
            .request::<ConfigMap>()
            .watch(&parameters, "")
            .map_err(|error| unbuilt(&error))?;
        let deadline = Instant::now() + Duration::from_secs(WATCH_SECONDS.into()) + WATCH_GRACE;
        let opened = timeout(CALL_DEADLINE, self.open(request)).await;
        let body = self.told(Operation::WatchPointer, opened.unwrap_or_else(|_| Err(late())))?;
        Ok(Watch {
            api: self.clone(),
            body,
            unread: BytesMut::new(),
            deadline,
        })
    }

    /// A public shard.
    pub(super) async fn config_map(&self, name: &str) -> Result<ConfigMap, ApiError> {
        self.get(Operation::GetShard, name).await
    }

    /// A secret shard.
    pub(super) async fn secret(&self, name: &str) -> Result<Secret, ApiError> {
        self.get(Operation::GetShard, name).await
    }

    /// Creates or updates a Lease by server-side apply.
    pub(super) async fn apply_lease(&self, lease: &Lease, field_manager: &str) -> Result<(), ApiError> {
        let name = lease.metadata.name.as_deref().unwrap_or_default();
        let parameters = PatchParams::apply(field_manager).force();
        let request = self
            .request::<Lease>()
            .patch(name, &parameters, &Patch::Apply(lease))
            .map_err(|error| unbuilt(&error))?;
        self.call::<Lease>(Operation::ApplyLease, request, ANSWER_BYTES_MAX)
            .await
            .map(|_| ())
    }

    /// All Leases with that label.
    pub(super) async fn leases(&self, label_selector: &str) -> Result<Vec<Lease>, ApiError> {
        let parameters = ListParams::default().labels(label_selector);
        let request = self
            .request::<Lease>()
            .list(&parameters)
            .map_err(|error| unbuilt(&error))?;
        let list: ObjectList<Lease> = self.call(Operation::ListLeases, request, LIST_BYTES_MAX).await?;
        Ok(list.items)
    }

    async fn get<T: Resource<DynamicType = ()> + DeserializeOwned>(
        &self,
        operation: Operation,
        name: &str,
    ) -> Result<T, ApiError> {
        let request = self
            .request::<T>()
            .get(name, &GetParams::default())
            .map_err(|error| unbuilt(&error))?;
        self.call(operation, request, ANSWER_BYTES_MAX).await
    }

    fn request<T: Resource<DynamicType = ()>>(&self) -> Request {
        Request::new(T::url_path(&(), Some(&self.namespace)))
    }

    async fn call<T: DeserializeOwned>(
        &self,
        operation: Operation,
        request: http::Request<Vec<u8>>,
        bytes_max: usize,
    ) -> Result<T, ApiError> {
        let answer = timeout(CALL_DEADLINE, async {
            let body = self.open(request).await?;
            whole(body, bytes_max).await
        });
        let answer = answer.await.unwrap_or_else(|_| Err(late()));
        // Not what stands there: it may be a Secret.
        let parsed = answer.and_then(|bytes| {
            serde_json::from_slice(&bytes)
                .map_err(|error| ApiError::Away(format!("its answer cannot be read ({:?})", error.classify())))
        });
        self.told(operation, parsed)
    }

    /// Sends a request; an answer that is an error becomes one.
    async fn open(&self, request: http::Request<Vec<u8>>) -> Result<Body, ApiError> {
        let response = self.client.send(request.map(Body::from)).await;
        let response = response.map_err(|error| ApiError::Away(causes(&error)))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response.into_body());
        }
        let said = whole(response.into_body(), ANSWER_BYTES_MAX).await.unwrap_or_default();
        Err(refusal(status, &said))
    }

    /// Counts an outcome, and logs it if it is news.
    fn told<T>(&self, operation: Operation, outcome: Result<T, ApiError>) -> Result<T, ApiError> {
        if operation != Operation::WatchPointer && matches!(outcome, Err(ApiError::Away(_))) {
            self.doubt.notify_one();
        }
        if let Some(contact) = &self.contact {
            match &outcome {
                // An answer, if not the one that was hoped for; what to do about it is the caller's to say.
                Ok(_) | Err(ApiError::NotFound) => contact.fine(operation),
                Err(error @ ApiError::Denied { .. }) => {
                    contact.heard();
                    contact.failed(operation, error);
                }
                Err(error @ ApiError::Away(_)) => contact.failed(operation, error),
            }
        }
        outcome
    }
}

impl Contact {
    fn heard(&self) {
        let now = jiff::Timestamp::now().as_second();
        self.metrics.api_last_contact_timestamp.set(now);
    }

    fn fine(&self, operation: Operation) {
        self.heard();
        if self.troubles().remove(&operation).is_some() {
            tracing::info!(operation = operation.as_str(), "the API server answers again");
        }
    }

    fn failed(&self, operation: Operation, error: &ApiError) {
        self.metrics.api_error(operation.as_str());
        let is_known = self.troubles().insert(operation, error.to_string()).is_some();
        if !is_known {
            tracing::warn!(
                operation = operation.as_str(),
                error = %error,
                "a call to the API server failed; it is tried again, and what is served stays in force"
            );
        }
    }

    fn troubles(&self) -> std::sync::MutexGuard<'_, BTreeMap<Operation, String>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A watch that is open.
pub(super) struct Watch {
    api: Api,
    body: Body,
    unread: BytesMut,
    deadline: Instant,
}

impl Watch {
    /// The next event; `None` when the API server has ended the watch. May be dropped at any await.
    pub(super) async fn next(&mut self) -> Result<Option<WatchEvent<ConfigMap>>, ApiError> {
        let deadline = self.deadline;
        let event = timeout_at(deadline, self.next_event()).await;
        let event = event.unwrap_or_else(|_| Err(ApiError::Away("the watch is not ended when it should be".into())));
        self.api.clone().told(Operation::WatchPointer, event)
    }

    async fn next_event(&mut self) -> Result<Option<WatchEvent<ConfigMap>>, ApiError> {
        loop {
            if let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                let line = self.unread.split_to(end);
                self.unread.advance(1);
                let event = serde_json::from_slice(&line)
                    .map_err(|error| ApiError::Away(format!("an event cannot be read ({:?})", error.classify())))?;
                return match event {
                    WatchEvent::Error(status) => Err(denied(&status)),
                    event => Ok(Some(event)),
                };
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(ApiError::Away(causes(&*Box::<dyn std::error::Error>::from(error)))),
                Some(Ok(frame)) => self
                    .unread
                    .extend_from_slice(frame.data_ref().map_or(&[][..], |data| data)),
            }
            if self.unread.len() > ANSWER_BYTES_MAX {
                return Err(ApiError::Away("an event is too long".into()));
            }
        }
    }
}

async fn whole(body: Body, bytes_max: usize) -> Result<bytes::Bytes, ApiError> {
    let collected = Limited::new(body, bytes_max).collect().await;
    collected
        .map(http_body_util::Collected::to_bytes)
        .map_err(|error| ApiError::Away(causes(&*error)))
}

/// What is answered again and again is told apart from what passes.
fn refusal(status: http::StatusCode, said: &[u8]) -> ApiError {
    let passes = status.is_server_error() || matches!(status.as_u16(), 408 | 429);
    let message = serde_json::from_slice::<Status>(said)
        .map(|status| status.message)
        .unwrap_or_default();
    match status {
        http::StatusCode::NOT_FOUND => ApiError::NotFound,
        status if passes => ApiError::Away(format!("it answers {status}")),
        status => ApiError::Denied {
            status: status.as_u16(),
            message,
        },
    }
}

fn denied(status: &Status) -> ApiError {
    ApiError::Denied {
        status: status.code,
        message: status.message.clone(),
    }
}

fn late() -> ApiError {
    ApiError::Away(format!("no answer within {} s", CALL_DEADLINE.as_secs()))
}

fn unbuilt(error: &kube::core::request::Error) -> ApiError {
    ApiError::Denied {
        status: 0,
        message: error.to_string(),
    }
}

/// An error with its causes: the outer one of kube's says little more than that there is one.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}
