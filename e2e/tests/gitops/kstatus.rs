//! The rules by which Flux (and `kpt`, and `flux` with `wait: true`) read any custom resource, in their order.
//!
//! They are not ours to choose: they stand in kstatus' `GetStatus`, for kinds that it does not know by name. We implement
//! them in the test so that a change of our conditions shows as a change of what Flux does.

use serde::Deserialize;
use serde_json::Value;

/// What Flux makes of an object.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub enum Reading {
    /// Waits.
    InProgress,
    /// Gives up at once.
    Failed,
    /// Goes on.
    Current,
}

/// Reads `object`.
pub fn read(object: &Value) -> Reading {
    if !object["metadata"]["deletionTimestamp"].is_null() {
        return Reading::InProgress; // kstatus says Terminating; to a wait that is the same
    }
    let observed = &object["status"]["observedGeneration"];
    if !observed.is_null() && *observed != object["metadata"]["generation"] {
        return Reading::InProgress;
    }
    let conditions = object["status"]["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    for condition in conditions {
        match (condition["type"].as_str(), condition["status"].as_str()) {
            (Some("Reconciling"), Some("True")) => return Reading::InProgress,
            (Some("Stalled"), Some("True")) => return Reading::Failed,
            _ => {}
        }
    }
    match conditions.iter().find(|condition| condition["type"] == "Ready") {
        Some(ready) if ready["status"] != "True" => Reading::InProgress,
        // Without a Ready condition, too: hence the schema's default of observedGeneration, -1.
        _ => Reading::Current,
    }
}
