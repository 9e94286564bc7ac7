//! The API server asked in somebody's name: impersonation carries what no kubeconfig can, the claim of a pod's token.

use headgate_e2e::control_plane::ControlPlane;
use http::Request;
use kube::Client;
use serde_json::Value;

/// Who asks.
pub struct Caller {
    client: Client,
    headers: Vec<(&'static str, String)>,
}

impl Caller {
    /// One that may do everything.
    pub fn admin(control_plane: &ControlPlane) -> Self {
        Self {
            client: control_plane.client(),
            headers: Vec::new(),
        }
    }

    /// A service account, with the token of `pod` if one is named.
    pub fn account(control_plane: &ControlPlane, namespace: &str, name: &str, pod: Option<&str>) -> Self {
        let mut headers = vec![
            ("impersonate-user", format!("system:serviceaccount:{namespace}:{name}")),
            ("impersonate-group", "system:serviceaccounts".to_owned()),
        ];
        // A header's name has no slash: the API server decodes it.
        headers.extend(pod.map(|pod| {
            (
                "impersonate-extra-authentication.kubernetes.io%2fpod-name",
                pod.to_owned(),
            )
        }));
        Self {
            client: control_plane.client(),
            headers,
        }
    }

    /// Creates `object` in the collection at `path`.
    pub async fn create(&self, path: &str, object: &Value) -> Result<Value, String> {
        self.send("POST", path, "application/json", object).await
    }

    /// Applies `object`, which is at `path`, server-side.
    pub async fn apply(&self, path: &str, object: &Value) -> Result<Value, String> {
        let path = format!("{path}?fieldManager=headgate-e2e-chart&force=true");
        self.send("PATCH", &path, "application/apply-patch+yaml", object).await
    }

    /// Merges `object` into the one at `path`.
    pub async fn merge(&self, path: &str, object: &Value) -> Result<Value, String> {
        self.send("PATCH", path, "application/merge-patch+json", object).await
    }

    /// Deletes the object at `path`.
    pub async fn delete(&self, path: &str) -> Result<Value, String> {
        self.send(
            "DELETE",
            path,
            "application/json",
            &Value::Object(serde_json::Map::default()),
        )
        .await
    }

    /// The object at `path`.
    pub async fn get(&self, path: &str) -> Result<Value, String> {
        self.send("GET", path, "application/json", &Value::Null).await
    }

    /// The error is the API server's message.
    async fn send(&self, method: &str, path: &str, content_type: &str, body: &Value) -> Result<Value, String> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content_type);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let body = if method == "GET" {
            Vec::new()
        } else {
            serde_json::to_vec(body).expect("a value is JSON")
        };
        let request = request.body(body).expect("a literal method and valid headers");
        self.client.request(request).await.map_err(|error| match error {
            kube::Error::Api(status) => status.message,
            other => other.to_string(),
        })
    }
}
