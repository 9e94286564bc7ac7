//! What service accounts asked of the API server, from its audit log: who, which verb, of what, and how it was answered.

use serde::Deserialize;

use super::{AUDIT_LOG, ControlPlane};

/// One request of a service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `system:serviceaccount:<namespace>:<name>`.
    pub user: String,
    /// As a role names it.
    pub verb: String,
    /// API group; empty for the core.
    pub group: String,
    /// Plural, with the subresource: `virtualkeys/status`.
    pub resource: String,
    /// Empty for cluster-wide requests.
    pub namespace: String,
    /// Empty for lists and watches; those by field selector have the name here all the same.
    pub name: String,
    /// The status it was answered with.
    pub code: u16,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    verb: String,
    user: User,
    object_ref: Option<ObjectRef>,
    response_status: Option<ResponseStatus>,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
}

impl ControlPlane {
    /// Every request of service accounts so far, those of the control plane's own left out. Watches are in it from their
    /// first answer on.
    pub fn requests(&self) -> Vec<Request> {
        let log = std::fs::read_to_string(self.ours().folder.path().join(AUDIT_LOG)).unwrap_or_default();
        log.lines()
            // The last line may be half written.
            .filter_map(|line| serde_json::from_str::<Line>(line).ok())
            .filter_map(Request::of)
            .collect()
    }
}

impl Request {
    fn of(line: Line) -> Option<Self> {
        let object = line.object_ref?;
        let resource = match object.subresource.as_str() {
            "" => object.resource,
            subresource => format!("{}/{subresource}", object.resource),
        };
        Some(Self {
            user: line.user.username,
            verb: line.verb,
            group: object.api_group,
            resource,
            namespace: object.namespace,
            name: object.name,
            code: line.response_status.map_or(0, |status| status.code),
        })
    }
}
