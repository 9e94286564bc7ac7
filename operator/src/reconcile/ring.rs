//! The sealing keys: read, and created once.
//!
//! A ring is never made while a pointer exists: whatever is published is sealed and signed with a key that was lost, and a
//! new one would take every data plane's trust away at once. That is for a person to decide.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headgate_snapshot::delivery::{KeyRing, RingError, label};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, Client};
use zeroize::Zeroizing;

use super::ReconcileError;
use crate::args::Config;
use crate::world::World;

/// The name of the first entry. The next one is a person's: `key-0002`.
const FIRST_ENTRY: &str = "key-0001";

/// The ring is missing, or cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RingProblem {
    /// It was there: something is published with it.
    #[error(
        "Secret `{0}` with the sealing keys is gone, and a snapshot is published that was sealed with them; restore it from a \
         backup, or, if it is lost for good, delete the pointer ConfigMap and restart the data planes so that all is \
         published anew with new keys"
    )]
    Lost(String),
    /// It was never there, and is not ours to make.
    #[error(
        "Secret `{0}` with the sealing keys does not exist; create it with an entry such as key-0001 that holds what \
         `openssl rand -base64 32` prints, or let the operator create it (HEADGATE_CREATE_SEALING_KEYS)"
    )]
    Missing(String),
    /// What is in it is no ring.
    #[error("Secret `{name}`: {source}")]
    Unusable {
        /// The Secret.
        name: String,
        /// What is wrong with it.
        source: RingError,
    },
}

/// The ring in force. `is_published`: whether there is a pointer.
pub(crate) async fn read_or_create(
    client: &Client,
    config: &Config,
    world: &World,
    is_published: bool,
) -> Result<KeyRing, ReconcileError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &config.namespace);
    let name = || format!("{}/{}", config.namespace, config.sealing_keys_secret);
    if let Some(secret) = world.ring() {
        return Ok(ring_of(&secret, name)?);
    }
    // The watch may lag behind our own creation.
    let read = api.get_opt(&config.sealing_keys_secret).await;
    if let Some(secret) = read.map_err(ReconcileError::kube("read the sealing keys"))? {
        return Ok(ring_of(&secret, name)?);
    }
    if is_published {
        return Err(RingProblem::Lost(name()).into());
    }
    if !config.create_sealing_keys {
        return Err(RingProblem::Missing(name()).into());
    }
    if !world.is_leader() {
        return Err(ReconcileError::NotLeader);
    }
    let mut random = Zeroizing::new([0_u8; 32]);
    getrandom::fill(&mut *random).map_err(ReconcileError::Random)?;
    let created = api.create(&PostParams::default(), &first_ring(config, &random)).await;
    let created = created.map_err(ReconcileError::kube("create the sealing keys"))?;
    tracing::info!(secret = name(), "the sealing keys were created; back them up");
    Ok(ring_of(&created, name)?)
}

fn ring_of(secret: &Secret, name: impl Fn() -> String) -> Result<KeyRing, RingProblem> {
    let entries = secret.data.iter().flatten();
    let entries = entries.map(|(entry, value)| (entry.clone(), Zeroizing::new(value.0.clone())));
    let ring = KeyRing::from_entries(entries).map_err(|source| RingProblem::Unusable { name: name(), source })?;
    if !ring.unusable().is_empty() {
        tracing::warn!(
            secret = name(),
            entries = ring.unusable().join(", "),
            "entries of the sealing keys are neither 32 bytes nor their base64 and are passed over; correct or remove them"
        );
    }
    Ok(ring)
}

fn first_ring(config: &Config, random: &[u8; 32]) -> Secret {
    let value = STANDARD.encode(random).into_bytes();
    Secret {
        metadata: ObjectMeta {
            name: Some(config.sealing_keys_secret.clone()),
            namespace: Some(config.namespace.clone()),
            labels: Some(
                [
                    (label::INSTALLATION.to_owned(), config.installation.clone()),
                    ("app.kubernetes.io/managed-by".to_owned(), "headgate".to_owned()),
                ]
                .into(),
            ),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        data: Some([(FIRST_ENTRY.to_owned(), ByteString(value))].into()),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(entries: &[(&str, &[u8])]) -> Secret {
        Secret {
            data: Some(
                entries
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), ByteString(value.to_vec())))
                    .collect(),
            ),
            ..Secret::default()
        }
    }

    #[test]
    fn entries_are_keys_in_the_order_of_their_names() {
        let ring = ring_of(&secret(&[("key-0002", &[2; 32]), ("key-0001", &[1; 32])]), || {
            "ns/ring".into()
        })
        .unwrap();
        let newest = headgate_snapshot::SealingKey::new([2; 32]);
        assert_eq!(ring.newest().id(), newest.id());
    }

    #[test]
    fn a_ring_that_cannot_be_used_is_told_by_name_and_without_its_content() {
        let error = ring_of(&secret(&[("key-0001", b"hunter2")]), || "ns/ring".into()).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("ns/ring") && text.contains("key-0001") && !text.contains("hunter2"),
            "{text}"
        );
        assert!(ring_of(&secret(&[]), || "ns/ring".into()).is_err());
    }
}
