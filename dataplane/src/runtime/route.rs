//! A route made ready: its target resolved to a provider, its times parsed.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use headgate_snapshot::{Backend, ObjectName, Retry, Route, Strategy, Target};

use super::provider::PreparedProvider;
use super::{Map, PrepareError};

/// One RoutePolicy.
pub struct PreparedRoute {
    /// The RoutePolicy.
    pub name: ObjectName,
    /// Where it leads.
    pub target: PreparedTarget,
    /// When the same backend is tried again.
    pub retry: Arc<Retry>,
    /// Instead of the provider's.
    pub total_timeout: Option<Duration>,
    /// Instead of the provider's.
    pub first_token_timeout: Option<Duration>,
    /// Instead of the provider's.
    pub idle_timeout: Option<Duration>,
}

/// Where a route leads.
pub enum PreparedTarget {
    /// To a model at a provider.
    Backend {
        /// The provider.
        provider: Arc<PreparedProvider>,
        /// The model by the name clients use; `None`: the one that was asked for.
        model: Option<String>,
        /// Top-level request fields that are set.
        overrides: Arc<[(String, String)]>,
    },
    /// Nowhere, for this reason.
    Unavailable(String),
}

/// What an implicit route has.
pub static IMPLICIT_RETRY: LazyLock<Arc<Retry>> = LazyLock::new(|| Arc::new(Retry::default()));

impl PreparedRoute {
    pub(super) fn prepare(
        name: &ObjectName,
        record: Route,
        providers: &Map<ObjectName, Arc<PreparedProvider>>,
    ) -> Result<Self, PrepareError> {
        let Route {
            strategy: Strategy::Single(target),
            retry,
            total_timeout_ms,
            first_token_timeout_ms,
            idle_timeout_ms,
        } = record;
        let target = match target {
            Target::Unavailable { reason } => PreparedTarget::Unavailable(reason),
            Target::Backend(Backend {
                provider,
                model,
                override_parameters,
            }) => PreparedTarget::Backend {
                provider: providers
                    .get(&provider)
                    .cloned()
                    .ok_or_else(|| PrepareError::Dangling {
                        from: format!("RoutePolicy {name}"),
                        to: format!("LLMProvider {provider}"),
                    })?,
                model,
                overrides: override_parameters.into_iter().collect(),
            },
        };
        Ok(Self {
            name: name.clone(),
            target,
            retry: Arc::new(retry),
            total_timeout: total_timeout_ms.map(Duration::from_millis),
            idle_timeout: idle_timeout_ms.map(Duration::from_millis),
            first_token_timeout: first_token_timeout_ms.map(Duration::from_millis),
        })
    }
}
