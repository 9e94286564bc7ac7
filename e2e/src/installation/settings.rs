//! What an installation is made with: values of the chart, and what stands in for the network around it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Installation;
use crate::control_plane::ControlPlane;

/// An installation to be made. The defaults are the chart's, less its pause before a pod stops (nothing routes to pods but
/// the test itself, which looks), and with fake providers on loopback allowed.
pub struct Settings {
    pub(super) name: String,
    pub(super) release: String,
    pub(super) namespace: Option<String>,
    pub(super) control_plane: Option<Arc<ControlPlane>>,
    pub(super) watched: Vec<String>,
    pub(super) values: Value,
    pub(super) operator_environment: Vec<(String, String)>,
    pub(super) gateway_environment: Vec<(String, String)>,
    pub(super) has_relay: bool,
}

impl Settings {
    /// One whose namespaces begin with `name`, which no other test of the process uses.
    pub fn of(name: &str) -> Self {
        let values = json!({
            "crds": {"enabled": false}, // once for all installations, by the control plane
            "gateway": {"preStopSleepSeconds": 0, "allowLoopbackProviders": true},
        });
        Self {
            name: name.to_owned(),
            release: "headgate".to_owned(),
            namespace: None,
            control_plane: None,
            watched: Vec::new(),
            values,
            operator_environment: Vec::new(),
            gateway_environment: Vec::new(),
            has_relay: false,
        }
    }

    /// On this control plane and not on the shared one.
    #[must_use]
    pub fn on(mut self, control_plane: &Arc<ControlPlane>) -> Self {
        self.control_plane = Some(Arc::clone(control_plane));
        self
    }

    /// Under this name, in a namespace that has a release already.
    #[must_use]
    pub fn second_release(mut self, release: &str, namespace: &str) -> Self {
        release.clone_into(&mut self.release);
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// Watches these namespaces, which are created and whose names are put behind the installation's: `a` is
    /// `<name>-a`. Without: its own.
    #[must_use]
    pub fn watching(mut self, namespaces: &[&str]) -> Self {
        self.watched = namespaces.iter().map(|it| format!("{}-{it}", self.name)).collect();
        self
    }

    /// Watches exactly these namespaces, which are there.
    #[must_use]
    pub fn watching_existing(mut self, namespaces: &[&str]) -> Self {
        self.watched = namespaces.iter().map(|&it| it.to_owned()).collect();
        self
    }

    /// Sets values of the chart; objects are merged.
    #[must_use]
    pub fn values(mut self, values: &Value) -> Self {
        merge(&mut self.values, values);
        self
    }

    /// So many gateway pods.
    #[must_use]
    pub fn gateways(self, count: u32) -> Self {
        self.values(&json!({"gateway": {"replicas": count}}))
    }

    /// So many operator pods.
    #[must_use]
    pub fn operators(self, count: u32) -> Self {
        self.values(&json!({"operator": {"replicas": count}}))
    }

    /// Sets a variable of the operator, whatever the chart says.
    #[must_use]
    pub fn operator_environment(mut self, name: &str, value: &str) -> Self {
        self.operator_environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets a variable of the gateways, whatever the chart says.
    #[must_use]
    pub fn gateway_environment(mut self, name: &str, value: &str) -> Self {
        self.gateway_environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Puts a relay between the gateways and the API server, to be silenced.
    #[must_use]
    pub fn with_relay(mut self) -> Self {
        self.has_relay = true;
        self
    }

    /// Installs it and waits until every pod is ready, which gateways are with their first snapshot.
    pub async fn start(self) -> Installation {
        Installation::start(self, true).await
    }

    /// Installs it and waits for nothing.
    pub async fn start_without_waiting(self) -> Installation {
        Installation::start(self, false).await
    }
}

fn merge(into: &mut Value, values: &Value) {
    match (into, values) {
        (Value::Object(into), Value::Object(values)) => {
            for (key, value) in values {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, value) => *into = value.clone(),
    }
}
