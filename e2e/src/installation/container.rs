//! From the container of a pod to a process on this machine: which binary, which environment, which folders.
//!
//! The container's own environment is what the chart says it is; only what a process beside other processes cannot have is
//! replaced: addresses (free loopback ports), mounted paths (temporary folders), and the way to the API server (a
//! kubeconfig with a token bound to the very pod, where a container has its mounted token).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Container, EnvVar, Pod, Secret, ServiceAccount};
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt as _};

use super::volumes::Place;
use crate::control_plane::{ControlPlane, free_ports};
use crate::leash::{Process, Program};
use crate::workspace;

/// Longer than any test.
const TOKEN_SECONDS: i64 = 6 * 60 * 60;
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// What pods run on.
pub(super) struct Host {
    pub(super) control_plane: Arc<ControlPlane>,
    /// Where processes of the gateway find the API server; others find it at its own address.
    pub(super) gateway_relay: Option<SocketAddr>,
    pub(super) operator_environment: Vec<(String, String)>,
    pub(super) gateway_environment: Vec<(String, String)>,
    /// The release whose pods these are; another release of the namespace has a stand-in of its own.
    pub(super) instance: String,
}

/// A started container.
pub(super) struct Started {
    pub(super) process: Process,
    pub(super) listen: SocketAddr,
    pub(super) admin: SocketAddr,
}

impl Drop for Started {
    fn drop(&mut self) {
        self.process.kill(); // a test that has ended waits for no drain
    }
}

impl Host {
    /// Starts the container of `pod`, with a token of its own service account.
    pub(super) async fn start(&self, client: &Client, pod: &Pod, place: &Place) -> Started {
        let [listen, admin] = free_ports().map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let is_gateway = component(pod) == "gateway";
        let mut environment: BTreeMap<String, String> = BTreeMap::new();
        for variable in container(pod).env.iter().flatten() {
            if let Some(value) = value_of(client, pod, variable).await {
                environment.insert(variable.name.clone(), place.translate(&value));
            }
        }
        let overrides = if is_gateway {
            &self.gateway_environment
        } else {
            &self.operator_environment
        };
        environment.extend(overrides.iter().cloned());
        environment.insert("HEADGATE_LISTEN".to_owned(), listen.to_string());
        environment.insert("HEADGATE_ADMIN_LISTEN".to_owned(), admin.to_string());
        environment.insert("HOME".to_owned(), place.folder.display().to_string());
        let kubeconfig = place.folder.join("kubeconfig");
        if !kubeconfig.exists() {
            let address = self.gateway_relay.filter(|_| is_gateway);
            let address = address.unwrap_or_else(|| self.control_plane.address());
            let token = bound_token(client, pod).await;
            self.control_plane.write_kubeconfig(&kubeconfig, &token, address);
        }
        environment.insert("KUBECONFIG".to_owned(), kubeconfig.display().to_string());
        let mut command = container(pod).command.iter().chain(&container(pod).args).flatten();
        let program = command.next().expect("the chart names the binary as command");
        let process = Process::start(Program {
            path: binary(program),
            arguments: command.map(|argument| place.translate(argument).into()).collect(),
            environment: Some(environment.into_iter().collect()),
            log: place.folder.join("log"),
            removes: None,
        });
        Started { process, listen, admin }
    }
}

/// What a container is called that is one of ours; `gateway` or `operator`.
pub(super) fn component(pod: &Pod) -> &str {
    pod.labels()
        .get("app.kubernetes.io/component")
        .map_or("", String::as_str)
}

pub(super) fn container(pod: &Pod) -> &Container {
    &pod.spec.as_ref().expect("a stored pod has a spec").containers[0]
}

fn binary(path_in_image: &str) -> &'static Path {
    match path_in_image {
        "/usr/local/bin/headgate" => workspace::headgate_binary(),
        "/usr/local/bin/headgate-operator" => workspace::operator_binary(),
        other => panic!("the image has no {other}"),
    }
}

async fn value_of(client: &Client, pod: &Pod, variable: &EnvVar) -> Option<String> {
    if let Some(value) = &variable.value {
        return Some(value.clone());
    }
    let from = variable.value_from.as_ref()?;
    if let Some(field) = &from.field_ref {
        return Some(match field.field_path.as_str() {
            "metadata.name" => pod.name_any(),
            "metadata.namespace" => pod.namespace().expect("pods live in namespaces"),
            "metadata.uid" => pod.uid().expect("a stored pod has a uid"),
            other => panic!("the stand-in for the kubelet does not know the field {other}; teach it"),
        });
    }
    let reference = from.secret_key_ref.as_ref()?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &pod.namespace()?);
    let secret = secrets.get_opt(&reference.name).await.ok()??;
    let value = secret.data?.remove(&reference.key)?;
    String::from_utf8(value.0).ok()
}

/// As a kubelet asks for it: bound to the pod, so that its claims name it.
async fn bound_token(client: &Client, pod: &Pod) -> String {
    let accounts: Api<ServiceAccount> =
        Api::namespaced(client.clone(), &pod.namespace().expect("pods live in namespaces"));
    let account = pod.spec.as_ref().and_then(|spec| spec.service_account_name.clone());
    let account = account.unwrap_or_else(|| "default".to_owned());
    let request = TokenRequest {
        spec: TokenRequestSpec {
            bound_object_ref: Some(BoundObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Pod".to_owned()),
                name: pod.metadata.name.clone(),
                uid: pod.metadata.uid.clone(),
            }),
            expiration_seconds: Some(TOKEN_SECONDS),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    loop {
        let answer = accounts
            .create_token_request(&account, &PostParams::default(), &request)
            .await;
        match answer {
            Ok(answer) => return answer.status.expect("an answer has a token").token,
            Err(kube::Error::Api(error)) if error.code != 429 && error.code < 500 => {
                panic!("no token for {account}: {error}")
            }
            Err(_) => tokio::time::sleep(RETRY_AFTER).await,
        }
    }
}
