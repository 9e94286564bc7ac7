//! `kubectl apply --server-side --validate=strict` for any object, as a function.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, ValidationDirective};
use kube::discovery::{self, Scope};
use kube::{Client, core::GroupVersionKind};
use serde::Deserialize as _;
use tokio::time::{Instant, sleep};

use super::lock;

/// Who the tests are, in `metadata.managedFields`.
pub const FIELD_MANAGER: &str = "headgate-e2e";

/// Why an object was not taken: what the API server said, or what was wrong before it was asked.
#[derive(Debug)]
pub struct ApplyError(pub String);

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Applies objects to one namespace, unless they name their own.
pub struct Applier {
    client: Client,
    namespace: String,
    /// What discovery said: two requests a kind, not an object.
    kinds: Mutex<BTreeMap<String, (ApiResource, Scope)>>,
}

impl Applier {
    /// One that works in `namespace`, which is there.
    pub fn of(client: Client, namespace: &str) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
            kinds: Mutex::default(),
        }
    }

    /// One that works in `namespace`, which is created.
    pub async fn new(client: Client, namespace: &str) -> Self {
        let applier = Self::of(client, namespace);
        let object = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n");
        applier
            .apply_yaml(&object)
            .await
            .unwrap_or_else(|error| panic!("namespace {namespace}: {error}"));
        applier
    }

    /// Applies every document of `yaml` in order; stops at the first that is refused.
    pub async fn apply_yaml(&self, yaml: &str) -> Result<Vec<DynamicObject>, ApplyError> {
        let mut applied = Vec::new();
        for object in documents(yaml)? {
            applied.push(self.apply(&object).await?);
        }
        Ok(applied)
    }

    /// Applies one object. Unknown and duplicate fields are errors.
    pub async fn apply(&self, object: &DynamicObject) -> Result<DynamicObject, ApplyError> {
        let api = self.api_of(object).await?;
        let name = object
            .metadata
            .name
            .as_deref()
            .ok_or_else(|| ApplyError("the object has no name".to_owned()))?;
        let parameters = PatchParams {
            field_validation: Some(ValidationDirective::Strict),
            ..PatchParams::apply(FIELD_MANAGER).force()
        };
        api.patch(name, &parameters, &Patch::Apply(object))
            .await
            .map_err(|error| ApplyError(error.to_string()))
    }

    /// Creates one object, as `kubectl apply` does without `--server-side` where there is none: the schema then speaks for
    /// itself, while a server-side apply fails earlier and in other words when a type is wrong.
    pub async fn create(&self, object: &DynamicObject) -> Result<DynamicObject, ApplyError> {
        let api = self.api_of(object).await?;
        // By hand, since kube's parameters of a POST do not have the validation.
        let path = format!(
            "{}?fieldValidation=Strict&fieldManager={FIELD_MANAGER}",
            api.resource_url()
        );
        let body = serde_json::to_vec(object).map_err(|error| ApplyError(error.to_string()))?;
        let request = http::Request::post(path)
            .header("content-type", "application/json")
            .body(body);
        let request = request.map_err(|error| ApplyError(error.to_string()))?;
        self.client
            .request(request)
            .await
            .map_err(|error| ApplyError(error.to_string()))
    }

    /// Waits until the API server serves the kind that `crd` defines.
    pub async fn wait_until_established(&self, crd: &DynamicObject, within: Duration) {
        let api = self.api_of(crd).await.expect("it was just applied");
        let name = crd.metadata.name.as_deref().expect("an applied object has a name");
        let deadline = Instant::now() + within;
        loop {
            let now = api.get(name).await.expect("the CRD was just applied");
            let conditions = now.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
            if conditions
                .iter()
                .any(|condition| condition["type"] == "Established" && condition["status"] == "True")
            {
                return;
            }
            assert!(Instant::now() < deadline, "{name} is not established: {conditions:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The API of the object's kind, found by discovery as kubectl does.
    async fn api_of(&self, object: &DynamicObject) -> Result<Api<DynamicObject>, ApplyError> {
        let types = object
            .types
            .as_ref()
            .ok_or_else(|| ApplyError("the object has no apiVersion and kind".to_owned()))?;
        let kind = GroupVersionKind::try_from(types).map_err(|error| ApplyError(error.to_string()))?;
        let key = format!("{}/{}", types.api_version, types.kind);
        let known = lock(&self.kinds).get(&key).cloned();
        let (resource, scope) = if let Some(known) = known {
            known
        } else {
            let (resource, capabilities) = discovery::pinned_kind(&self.client, &kind)
                .await
                .map_err(|error| ApplyError(error.to_string()))?;
            let found = (resource, capabilities.scope);
            lock(&self.kinds).insert(key, found.clone());
            found
        };
        Ok(match scope {
            Scope::Cluster => Api::all_with(self.client.clone(), &resource),
            Scope::Namespaced => {
                let namespace = object.metadata.namespace.as_deref().unwrap_or(&self.namespace);
                Api::namespaced_with(self.client.clone(), namespace, &resource)
            }
        })
    }
}

/// The objects of a YAML stream; empty documents are left out.
pub fn documents(yaml: &str) -> Result<Vec<DynamicObject>, ApplyError> {
    let values: Vec<serde_json::Value> =
        serde_yaml::from_multiple(yaml).map_err(|error| ApplyError(error.to_string()))?;
    values
        .into_iter()
        .filter(|value| !value.is_null())
        .map(|value| DynamicObject::deserialize(value).map_err(|error| ApplyError(error.to_string())))
        .collect()
}
