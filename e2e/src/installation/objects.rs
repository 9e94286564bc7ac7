//! What people do with kubectl, as functions: get, list, delete, patch, read the events; waiting stands in `wait.rs`.
//!
//! An object is named as people name it: `virtualkey/caller`, or `<namespace>/virtualkey/caller`.

use std::collections::BTreeMap;

use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt as _};
use serde_json::Value;

/// (as people call it, group, version, kind, plural)
const KINDS: [(&str, &str, &str, &str, &str); 18] = [
    ("llmprovider", "headgate.dev", "v1alpha1", "LLMProvider", "llmproviders"),
    (
        "routepolicy",
        "headgate.dev",
        "v1alpha1",
        "RoutePolicy",
        "routepolicies",
    ),
    ("virtualkey", "headgate.dev", "v1alpha1", "VirtualKey", "virtualkeys"),
    ("budget", "headgate.dev", "v1alpha1", "Budget", "budgets"),
    (
        "guardrailpolicy",
        "headgate.dev",
        "v1alpha1",
        "GuardrailPolicy",
        "guardrailpolicies",
    ),
    ("secret", "", "v1", "Secret", "secrets"),
    ("configmap", "", "v1", "ConfigMap", "configmaps"),
    ("pod", "", "v1", "Pod", "pods"),
    ("serviceaccount", "", "v1", "ServiceAccount", "serviceaccounts"),
    ("namespace", "", "v1", "Namespace", "namespaces"),
    ("service", "", "v1", "Service", "services"),
    ("deployment", "apps", "v1", "Deployment", "deployments"),
    ("lease", "coordination.k8s.io", "v1", "Lease", "leases"),
    ("event", "events.k8s.io", "v1", "Event", "events"),
    ("role", "rbac.authorization.k8s.io", "v1", "Role", "roles"),
    (
        "rolebinding",
        "rbac.authorization.k8s.io",
        "v1",
        "RoleBinding",
        "rolebindings",
    ),
    (
        "validatingadmissionpolicy",
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingAdmissionPolicy",
        "validatingadmissionpolicies",
    ),
    (
        "validatingadmissionpolicybinding",
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
    ),
];

/// The objects of a cluster, seen from one namespace.
#[derive(Clone)]
pub struct Objects {
    client: Client,
    namespace: String,
}

impl Objects {
    /// Seen from `namespace`.
    pub fn of(client: Client, namespace: &str) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
        }
    }

    /// The same with somebody else's rights.
    #[must_use]
    pub fn with(&self, client: Client) -> Self {
        Self::of(client, &self.namespace)
    }

    /// The client behind it.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The API of a kind in a namespace.
    pub fn api(&self, kind: &str, namespace: &str) -> Api<DynamicObject> {
        let resource = resource(kind);
        match resource.kind.as_str() {
            "Namespace" | "ValidatingAdmissionPolicy" | "ValidatingAdmissionPolicyBinding" => {
                Api::all_with(self.client.clone(), &resource)
            }
            _ => Api::namespaced_with(self.client.clone(), namespace, &resource),
        }
    }

    /// The object, if it is there.
    pub async fn find(&self, object: &str) -> Option<DynamicObject> {
        let (api, name) = self.place(object);
        api.get_opt(name)
            .await
            .unwrap_or_else(|error| panic!("get {object}: {error}"))
    }

    /// The object, which is there.
    pub async fn get(&self, object: &str) -> DynamicObject {
        self.find(object)
            .await
            .unwrap_or_else(|| panic!("there is no {object}"))
    }

    /// The object, or why it may not be read.
    pub async fn try_get(&self, object: &str) -> Result<DynamicObject, kube::Error> {
        let (api, name) = self.place(object);
        api.get(name).await
    }

    /// Creates an object in a namespace.
    pub async fn create(&self, namespace: &str, kind: &str, object: Value) -> DynamicObject {
        let object: DynamicObject = serde_json::from_value(object).expect("an object of Kubernetes");
        let created = self.api(kind, namespace).create(&PostParams::default(), &object).await;
        created.unwrap_or_else(|error| panic!("create {kind}: {error}"))
    }

    /// Every object of a kind in a namespace.
    pub async fn list(&self, kind: &str, namespace: &str) -> Vec<DynamicObject> {
        let listed = self.api(kind, namespace).list(&ListParams::default()).await;
        listed.unwrap_or_else(|error| panic!("list {kind}: {error}")).items
    }

    /// Deletes the object; what owned objects it had goes in the background.
    pub async fn delete(&self, object: &str) {
        let (api, name) = self.place(object);
        let deleted = api.delete(name, &DeleteParams::background()).await;
        deleted.unwrap_or_else(|error| panic!("delete {object}: {error}"));
    }

    /// A JSON merge patch.
    pub async fn patch(&self, object: &str, patch: Value) -> DynamicObject {
        self.try_patch(object, patch)
            .await
            .unwrap_or_else(|error| panic!("patch {object}: {error}"))
    }

    /// A JSON merge patch that may be refused.
    pub async fn try_patch(&self, object: &str, patch: Value) -> Result<DynamicObject, kube::Error> {
        let (api, name) = self.place(object);
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
    }

    /// The events about an object: (reason, note).
    pub async fn events(&self, object: &str) -> Vec<(String, String)> {
        let (namespace, kind, name) = self.parts(object);
        let kind = resource(kind).kind;
        let events = self.list("event", namespace).await;
        let about = events
            .into_iter()
            .filter(|event| event.data["regarding"]["kind"] == kind && event.data["regarding"]["name"] == name);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        about
            .map(|event| (text(&event.data["reason"]), text(&event.data["note"])))
            .collect()
    }

    /// Every object of these kinds in a namespace with its resourceVersion: equal maps mean that nobody wrote.
    pub async fn versions(&self, kinds: &[&str], namespace: &str) -> BTreeMap<String, String> {
        let mut versions = BTreeMap::new();
        for kind in kinds {
            for object in self.list(kind, namespace).await {
                let version = object.resource_version().unwrap_or_default();
                versions.insert(format!("{namespace}/{kind}/{}", object.name_any()), version);
            }
        }
        versions
    }

    pub(super) fn place<'a>(&'a self, object: &'a str) -> (Api<DynamicObject>, &'a str) {
        let (namespace, kind, name) = self.parts(object);
        (self.api(kind, namespace), name)
    }

    fn parts<'a>(&'a self, object: &'a str) -> (&'a str, &'a str, &'a str) {
        let mut parts = object.rsplitn(3, '/');
        let name = parts.next().unwrap_or_default();
        let kind = parts.next().unwrap_or_default();
        (parts.next().unwrap_or(&self.namespace), kind, name)
    }
}

fn resource(name: &str) -> ApiResource {
    let found = KINDS.iter().find(|(known, ..)| *known == name);
    let (_, group, version, kind, plural) = found.unwrap_or_else(|| panic!("teach the harness what a {name} is"));
    let kind = kube::core::GroupVersionKind::gvk(group, version, kind);
    ApiResource::from_gvk_with_plural(&kind, plural)
}
