//! A fresh token and the Secret that holds it. Pure: the random bytes are given.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headgate_compile::{Secret as Known, SecretValue};
use headgate_crds::VirtualKey;
use headgate_snapshot::ObjectName;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use zeroize::Zeroizing;

use crate::world::SERIAL;

/// The entry that holds the current token.
pub(super) const KEY_ENTRY: &str = "key";
/// How tokens begin, so that people and secret scanners know one when they see it.
const TOKEN_PREFIX: &str = "vk-";

/// A token, wiped when dropped.
pub(crate) type Token = Zeroizing<String>;

/// `vk-` and the 32 bytes in base64url: 46 characters that every client can send.
pub(crate) fn token(random: &[u8; 32]) -> Token {
    let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(random));
    Zeroizing::new(format!("{TOKEN_PREFIX}{}", *encoded))
}

/// The Secret of a key; `None` for a key that has no identity yet. The key owns it: deleting the key deletes it. It does
/// not hold the deletion up, and carries no label of the key's, which some tools would take for a sign that it is theirs.
pub(super) fn secret(key: &VirtualKey, name: &ObjectName, token: &Token, serial: u64) -> Option<Secret> {
    let mut owner = key.controller_owner_ref(&())?;
    owner.block_owner_deletion = Some(false);
    Some(Secret {
        metadata: ObjectMeta {
            name: Some(name.name.clone()),
            namespace: Some(name.namespace.clone()),
            labels: Some([("app.kubernetes.io/managed-by".to_owned(), "headgate".to_owned())].into()),
            annotations: Some([(SERIAL.to_owned(), serial.to_string())].into()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        data: Some([(KEY_ENTRY.to_owned(), ByteString(token.as_bytes().to_vec()))].into()),
        ..Secret::default()
    })
}

/// The same as the compiler will know it.
pub(super) fn known(key: &VirtualKey, name: &ObjectName, token: &Token, serial: u64) -> Known {
    Known {
        entries: [(KEY_ENTRY.to_owned(), SecretValue::known(token.as_bytes()))].into(),
        generated_for: key
            .metadata
            .name
            .as_ref()
            .map(|key| ObjectName::new(&name.namespace, key)),
        serial: Some(serial),
        previous_not_after: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_is_vk_and_43_url_safe_characters() {
        let token = token(&[0xfb; 32]);
        assert_eq!(token.len(), 46);
        let (prefix, rest) = token.split_at(3);
        assert_eq!(prefix, "vk-");
        assert!(
            rest.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        );
        assert_ne!(token, super::token(&[0xfc; 32]));
    }

    #[test]
    fn the_secret_is_owned_and_controlled_by_its_key_and_does_not_block_it() {
        let key: VirtualKey = serde_json::from_value(json!({
            "metadata": {"name": "k", "namespace": "team", "uid": "u", "labels": {"argocd.argoproj.io/instance": "x"}},
            "spec": {"generate": {"secretName": "s"}},
        }))
        .unwrap();
        let secret = secret(&key, &ObjectName::new("team", "s"), &token(&[1; 32]), 3).unwrap();
        let owner = &secret.metadata.owner_references.as_ref().unwrap()[0];
        assert_eq!(
            (owner.kind.as_str(), owner.name.as_str(), owner.uid.as_str()),
            ("VirtualKey", "k", "u")
        );
        assert_eq!(owner.api_version, "headgate.dev/v1alpha1");
        assert_eq!(
            (owner.controller, owner.block_owner_deletion),
            (Some(true), Some(false))
        );
        assert_eq!(secret.metadata.annotations.unwrap()["headgate.dev/serial"], "3");
        assert_eq!(
            secret.metadata.labels.unwrap().len(),
            1,
            "labels of the key stay with the key"
        );
    }

    #[test]
    fn a_key_without_identity_gets_none() {
        let key = VirtualKey::new(
            "k",
            serde_json::from_value(json!({"generate": {"secretName": "s"}})).unwrap(),
        );
        assert!(super::secret(&key, &ObjectName::new("team", "s"), &token(&[1; 32]), 0).is_none());
    }
}
