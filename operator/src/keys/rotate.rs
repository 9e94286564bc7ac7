//! The next token of a generated key, while the one before keeps working for a while. Pure: the token and the moment are
//! given, and what comes out is a patch that holds only for the Secret as it was read.

use headgate_compile::{Secret as Known, SecretValue};
use headgate_crds::VirtualKey;
use headgate_crds::virtual_key::Rotation;
use headgate_snapshot::ObjectName;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use serde_json::{Value, json};
use std::time::Duration;

use super::mint::{KEY_ENTRY, Token};
use crate::reconcile::conditions::whole_seconds;
use crate::world::{PREVIOUS_NOT_AFTER, SERIAL};

/// The entry that holds the token before.
const PREVIOUS_KEY_ENTRY: &str = "previousKey";

/// A rotation that is about to be written.
pub(super) struct Rotated {
    /// A merge patch that fails if the Secret has changed since.
    pub(super) patch: Value,
    /// The Secret as the compiler will know it.
    pub(super) known: Known,
}

/// Rotates `current`, if it is the Secret of `key`, holds a token, and is older than `rotation` asks for. A lower serial
/// does nothing: there is no way back to a token.
pub(super) fn rotate(
    key: &VirtualKey,
    current: &Secret,
    rotation: &Rotation,
    token: &Token,
    now: Timestamp,
) -> Option<Rotated> {
    let serial = current
        .annotations()
        .get(SERIAL)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let before = current.data.as_ref()?.get(KEY_ENTRY)?;
    if !is_owned_by(current, key) || rotation.serial <= serial {
        return None;
    }
    let overlap = Duration::from(rotation.overlap);
    let not_after = whole_seconds(now.saturating_add(overlap).unwrap_or(Timestamp::MAX));
    let patch = json!({
        "metadata": {
            "uid": current.uid(),
            "resourceVersion": current.resource_version(),
            "annotations": {SERIAL: rotation.serial.to_string(), PREVIOUS_NOT_AFTER: not_after.to_string()},
        },
        "data": {KEY_ENTRY: ByteString(token.as_bytes().to_vec()), PREVIOUS_KEY_ENTRY: before},
    });
    let known = Known {
        entries: [
            (KEY_ENTRY.to_owned(), SecretValue::known(token.as_bytes())),
            (PREVIOUS_KEY_ENTRY.to_owned(), SecretValue::known(before.0.clone())),
        ]
        .into(),
        generated_for: Some(ObjectName::new(key.namespace().unwrap_or_default(), key.name_any())),
        serial: Some(rotation.serial),
        previous_not_after: Some(not_after.as_second()),
    };
    Some(Rotated { patch, known })
}

/// Whether it was made for this very key, and not for one of the same name before it.
fn is_owned_by(secret: &Secret, key: &VirtualKey) -> bool {
    let owners = secret.owner_references();
    let uid = key.metadata.uid.as_ref();
    uid.is_some()
        && owners
            .iter()
            .any(|owner| owner.controller == Some(true) && Some(&owner.uid) == uid)
}

#[cfg(test)]
mod tests {
    use super::super::mint;
    use super::*;

    fn key(uid: &str) -> VirtualKey {
        serde_json::from_value(json!({
            "metadata": {"name": "k", "namespace": "team", "uid": uid},
            "spec": {"generate": {"secretName": "s"}},
        }))
        .unwrap()
    }

    fn secret() -> Secret {
        let name = ObjectName::new("team", "s");
        let mut secret = mint::secret(&key("u"), &name, &mint::token(&[1; 32]), 1).unwrap();
        secret.metadata.uid = Some("secret-uid".into());
        secret.metadata.resource_version = Some("7".into());
        secret
    }

    fn rotation(serial: u64) -> Rotation {
        serde_json::from_value(json!({"serial": serial, "overlap": "1h"})).unwrap()
    }

    fn rotated(key: &VirtualKey, secret: &Secret, serial: u64) -> Option<Rotated> {
        let now = Timestamp::from_second(1_000).unwrap();
        rotate(key, secret, &rotation(serial), &mint::token(&[2; 32]), now)
    }

    #[test]
    fn the_token_before_keeps_working_for_the_overlap() {
        let Rotated { patch, known } = rotated(&key("u"), &secret(), 2).unwrap();
        let text = |token: &Token| json!(ByteString(token.as_bytes().to_vec()));
        assert_eq!(patch["data"]["key"], text(&mint::token(&[2; 32])));
        assert_eq!(patch["data"]["previousKey"], text(&mint::token(&[1; 32])));
        let annotations = &patch["metadata"]["annotations"];
        assert_eq!(annotations["headgate.dev/serial"], "2");
        assert_eq!(annotations["headgate.dev/previous-not-after"], "1970-01-01T01:16:40Z");
        assert_eq!((known.serial, known.previous_not_after), (Some(2), Some(4_600)));
    }

    #[test]
    fn the_patch_holds_only_for_the_secret_as_it_was_read() {
        let patch = rotated(&key("u"), &secret(), 2).unwrap().patch;
        assert_eq!(
            (&patch["metadata"]["uid"], &patch["metadata"]["resourceVersion"]),
            (&json!("secret-uid"), &json!("7"))
        );
    }

    #[test]
    fn the_same_or_a_lower_serial_does_nothing() {
        assert!(rotated(&key("u"), &secret(), 1).is_none());
        assert!(rotated(&key("u"), &secret(), 0).is_none());
    }

    #[test]
    fn a_secret_of_a_key_that_was_deleted_is_left_to_die() {
        assert!(rotated(&key("another"), &secret(), 2).is_none());
    }

    #[test]
    fn a_secret_that_lost_its_token_is_left_alone() {
        let mut empty = secret();
        empty.data = None;
        assert!(rotated(&key("u"), &empty, 2).is_none());
    }
}
