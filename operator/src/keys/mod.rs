//! Secrets that hold generated keys: created once, rotated when Git says so, and otherwise never touched. A token that is
//! in somebody's hands must not change because an operator restarted.
//!
//! One key whose Secret cannot be written holds no other one up: it is named in the log and tried again later.

pub mod mint;
pub mod rotate;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use headgate_compile::{Resources, Secret as Known};
use headgate_crds::VirtualKey;
use headgate_snapshot::ObjectName;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use std::time::Duration;
use zeroize::Zeroizing;

use crate::reconcile::ReconcileError;
use crate::reconcile::apply::Writer;
use mint::Token;

/// Secrets that are written at once.
const WRITES_IN_FLIGHT: usize = 20;
/// For how long new writes are begun in one reconcile: keys that are there must not wait for thousands that are not.
const WRITE_SLICE: Duration = Duration::from_secs(1);
/// The watch shows our own writes within moments; what it never shows was deleted in between.
const OWN_WRITE_SHOWN_WITHIN: Duration = Duration::from_secs(60);

/// Secrets that this leader wrote and that the watch may not show yet. Without them the next compile would take a key
/// for missing that was created a moment ago, and publish that.
#[derive(Default)]
pub(crate) struct OwnWrites(BTreeMap<ObjectName, (Known, Timestamp)>);

impl OwnWrites {
    /// Puts them over what the watch shows, as far as they are newer.
    pub(crate) fn lay_over(&mut self, resources: &mut Resources, now: Timestamp) {
        self.0.retain(|name, (written, at)| {
            let is_shown = resources
                .secrets
                .get(name)
                .is_some_and(|shown| shown.serial >= written.serial);
            !is_shown && at.saturating_add(OWN_WRITE_SHOWN_WITHIN).is_ok_and(|end| now < end)
        });
        let written = self
            .0
            .iter()
            .map(|(name, (written, _))| (name.clone(), written.clone()));
        resources.secrets.extend(written);
    }

    fn add(&mut self, name: ObjectName, secret: Known, now: Timestamp) {
        self.0.insert(name, (secret, now));
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Secrets that were written: everything has to be compiled again.
    pub(crate) written: usize,
    /// Secrets that could not be written, and are tried again.
    pub(crate) failed: usize,
    /// Secrets that are still to be written, by the next reconcile.
    pub(crate) left: usize,
}

/// Mints what is missing and rotates what is due.
pub(crate) async fn provide(
    writer: &Writer<'_>,
    resources: &Resources,
    own_writes: &mut OwnWrites,
    now: Timestamp,
) -> Result<Outcome, ReconcileError> {
    let mut outcome = Outcome::default();
    let due = due(resources);
    outcome.left = due.len();
    let writes = due.into_iter().map(|(key, work)| async move {
        let written = match work {
            Work::Mint { secret, serial } => create(writer, key, &secret, serial).await,
            Work::Rotate { secret } => rotate(writer, key, &secret, now).await,
        };
        (key, written)
    });
    let slice = pin!(tokio::time::sleep(WRITE_SLICE));
    let mut writes = stream::iter(writes)
        .take_until(slice)
        .buffer_unordered(WRITES_IN_FLIGHT);
    while let Some((key, written)) = writes.next().await {
        outcome.left -= 1;
        match written {
            Ok(Some((name, secret))) => {
                writer.metrics.writes.with_label_values(&["secret"]).inc();
                own_writes.add(name, secret, now);
                outcome.written += 1;
            }
            Ok(None) => {}
            Err(error @ (ReconcileError::NotLeader | ReconcileError::Random(_))) => return Err(error),
            Err(error) => {
                let (namespace, name) = (key.namespace().unwrap_or_default(), key.name_any());
                tracing::warn!(namespace, name, %error, "a generated key could not be written; it is tried again");
                outcome.failed += 1;
            }
        }
    }
    Ok(outcome)
}

/// What a key's Secret needs.
#[derive(Debug, PartialEq, Eq)]
enum Work {
    Mint { secret: ObjectName, serial: u64 },
    Rotate { secret: ObjectName },
}

/// What there is to do. A Secret that several keys name and that is not there is made for one of them.
fn due(resources: &Resources) -> Vec<(&Arc<VirtualKey>, Work)> {
    let mut due = Vec::new();
    let mut missing: BTreeMap<ObjectName, (&Arc<VirtualKey>, Work)> = BTreeMap::new();
    for key in &resources.keys {
        match work_for(key, resources) {
            Some(Work::Mint { secret, serial }) => {
                let is_first = missing.get(&secret).is_none_or(|(other, _)| claim(key) < claim(other));
                if is_first {
                    missing.insert(secret.clone(), (key, Work::Mint { secret, serial }));
                }
            }
            Some(work) => due.push((key, work)),
            None => {}
        }
    }
    due.extend(missing.into_values());
    due
}

/// Whose a Secret is that is not there, the smallest first: the key's whose token was in it, else the older one's. A Secret
/// that was deleted by mistake must not come back as somebody else's.
fn claim(key: &VirtualKey) -> impl Ord {
    let named = key.spec.generate.as_ref().map(|generate| generate.secret_name.as_str());
    let had_it = key
        .status
        .as_ref()
        .is_some_and(|status| status.fingerprint.is_some() && status.secret_name.as_deref() == named);
    let created = key.metadata.creation_timestamp.as_ref().map(|time| time.0);
    // A key without a time of creation is younger than any.
    (Reverse(had_it), created.is_none(), created, key.name_any())
}

fn work_for(key: &Arc<VirtualKey>, resources: &Resources) -> Option<Work> {
    let generate = key.spec.generate.as_ref()?;
    if key.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let owner = ObjectName::new(key.namespace()?, key.name_any());
    let secret = ObjectName::new(&owner.namespace, &generate.secret_name);
    let serial = key.spec.rotation.as_ref().map_or(0, |rotation| rotation.serial);
    match resources.secrets.get(&secret) {
        None => Some(Work::Mint { secret, serial }),
        Some(known) if known.generated_for.as_ref() == Some(&owner) && known.serial.unwrap_or(0) < serial => {
            Some(Work::Rotate { secret })
        }
        Some(_) => None,
    }
}

/// Creates the Secret. One that exists already is left alone; `compile` says whose it is.
async fn create(
    writer: &Writer<'_>,
    key: &VirtualKey,
    name: &ObjectName,
    serial: u64,
) -> Result<Option<(ObjectName, Known)>, ReconcileError> {
    let token = fresh_token()?;
    let Some(secret) = mint::secret(key, name, &token, serial) else {
        return Ok(None);
    };
    writer.lead()?;
    let api: Api<Secret> = Api::namespaced(writer.client.clone(), &name.namespace);
    let parameters = PostParams {
        field_manager: Some(writer.config.field_manager()),
        ..PostParams::default()
    };
    match api.create(&parameters, &secret).await {
        Ok(_) => {
            tracing::info!(secret = %name, "created the secret of a generated key");
            Ok(Some((name.clone(), mint::known(key, name, &token, serial))))
        }
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
        Err(error) => Err(ReconcileError::kube("create the secret of a generated key")(error)),
    }
}

/// Rotates the Secret as it is at this moment. Whoever changed it meanwhile makes this a matter of the next reconcile.
async fn rotate(
    writer: &Writer<'_>,
    key: &VirtualKey,
    name: &ObjectName,
    now: Timestamp,
) -> Result<Option<(ObjectName, Known)>, ReconcileError> {
    let Some(rotation) = &key.spec.rotation else {
        return Ok(None);
    };
    let failed = ReconcileError::kube("rotate a generated key");
    let api: Api<Secret> = Api::namespaced(writer.client.clone(), &name.namespace);
    let Some(current) = api.get_opt(&name.name).await.map_err(failed)? else {
        return Ok(None);
    };
    let Some(rotated) = rotate::rotate(key, &current, rotation, &fresh_token()?, now) else {
        return Ok(None);
    };
    writer.lead()?;
    let parameters = PatchParams {
        field_manager: Some(writer.config.field_manager()),
        ..PatchParams::default()
    };
    match api.patch(&name.name, &parameters, &Patch::Merge(&rotated.patch)).await {
        Ok(_) => {
            tracing::info!(secret = %name, serial = rotation.serial, "rotated a generated key");
            Ok(Some((name.clone(), rotated.known)))
        }
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(None),
        Err(error) => Err(ReconcileError::kube("rotate a generated key")(error)),
    }
}

fn fresh_token() -> Result<Token, ReconcileError> {
    let mut random = Zeroizing::new([0_u8; 32]);
    getrandom::fill(&mut *random).map_err(ReconcileError::Random)?;
    Ok(mint::token(&random))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(serial: Option<u64>) -> Arc<VirtualKey> {
        let mut value = json!({
            "metadata": {"name": "k", "namespace": "team", "uid": "u"},
            "spec": {"generate": {"secretName": "s"}},
        });
        if let Some(serial) = serial {
            value["spec"]["rotation"] = json!({"serial": serial});
        }
        Arc::new(serde_json::from_value(value).unwrap())
    }

    fn world(secret: Option<Known>) -> Resources {
        let mut resources = Resources::default();
        if let Some(secret) = secret {
            resources.secrets.insert(secret_name(), secret);
        }
        resources
    }

    fn secret_name() -> ObjectName {
        ObjectName::new("team", "s")
    }

    fn generated(serial: u64) -> Known {
        Known {
            generated_for: Some(ObjectName::new("team", "k")),
            serial: Some(serial),
            ..Known::default()
        }
    }

    #[test]
    fn a_missing_secret_is_minted_with_the_serial_that_git_says() {
        let secret = secret_name;
        assert_eq!(
            work_for(&key(None), &world(None)),
            Some(Work::Mint {
                secret: secret(),
                serial: 0
            })
        );
        assert_eq!(
            work_for(&key(Some(4)), &world(None)),
            Some(Work::Mint {
                secret: secret(),
                serial: 4
            })
        );
    }

    #[test]
    fn only_a_raised_serial_rotates() {
        for (known, serial, rotates) in [
            (1, Some(2), true),
            (2, Some(2), false),
            (3, Some(2), false),
            (3, None, false),
        ] {
            let work = work_for(&key(serial), &world(Some(generated(known))));
            assert_eq!(work.is_some(), rotates, "{known} to {serial:?}");
        }
    }

    #[test]
    fn a_secret_of_somebody_else_is_never_touched() {
        let foreign = Known::default();
        assert_eq!(work_for(&key(Some(9)), &world(Some(foreign))), None);
        let mut of_another_key = generated(0);
        of_another_key.generated_for = Some(ObjectName::new("team", "other"));
        assert_eq!(work_for(&key(Some(9)), &world(Some(of_another_key))), None);
    }

    /// A key that names the Secret of the others, as old as `created_s`.
    fn rival(name: &str, created_s: i64, fingerprint: Option<&str>) -> Arc<VirtualKey> {
        let created = Timestamp::from_second(created_s).unwrap().to_string();
        let value = json!({
            "metadata": {"name": name, "namespace": "team", "uid": name, "creationTimestamp": created},
            "spec": {"generate": {"secretName": "s"}},
            "status": {"secretName": "s", "fingerprint": fingerprint},
        });
        Arc::new(serde_json::from_value(value).unwrap())
    }

    fn minted_for(keys: &[Arc<VirtualKey>]) -> Vec<String> {
        let mut resources = world(None);
        resources.keys.extend(keys.iter().cloned());
        due(&resources).into_iter().map(|(key, _)| key.name_any()).collect()
    }

    #[test]
    fn a_lost_secret_that_two_keys_name_comes_back_to_the_one_that_had_it() {
        let had_it = rival("z", 9, Some("0011aabb"));
        for others in [
            [had_it.clone(), rival("a", 1, None)],
            [rival("a", 1, None), had_it.clone()],
        ] {
            assert_eq!(minted_for(&others), ["z"]);
        }
    }

    #[test]
    fn a_new_secret_that_two_keys_name_is_the_older_ones_and_then_the_first_by_name() {
        assert_eq!(minted_for(&[rival("a", 9, None), rival("z", 1, None)]), ["z"]);
        assert_eq!(minted_for(&[rival("z", 1, None), rival("a", 1, None)]), ["a"]);
        assert_eq!(
            minted_for(&[key(None), rival("z", 1, None)]),
            ["z"],
            "one without a time is younger"
        );
    }

    #[test]
    fn a_key_that_had_another_secret_has_no_claim_to_this_one() {
        let mut moved = VirtualKey::clone(&rival("z", 9, Some("0011aabb")));
        moved.status.as_mut().unwrap().secret_name = Some("before".into());
        assert_eq!(minted_for(&[Arc::new(moved), rival("a", 1, None)]), ["a"]);
    }

    #[test]
    fn a_key_that_is_being_deleted_gets_no_secret_any_more() {
        let mut deleting = VirtualKey::clone(&key(None));
        deleting.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
            Timestamp::UNIX_EPOCH,
        ));
        assert_eq!(work_for(&Arc::new(deleting), &world(None)), None);
    }

    #[test]
    fn what_was_just_written_counts_until_the_watch_shows_it() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut own_writes = OwnWrites::default();
        own_writes.add(secret_name(), generated(2), at(0));
        let shown = |own_writes: &mut OwnWrites, shown, second| {
            let mut resources = world(shown);
            own_writes.lay_over(&mut resources, at(second));
            resources.secrets.get(&secret_name()).and_then(|secret| secret.serial)
        };
        assert_eq!(shown(&mut own_writes, None, 1), Some(2));
        assert_eq!(shown(&mut own_writes, Some(generated(1)), 1), Some(2), "the watch lags");
        assert_eq!(shown(&mut own_writes, Some(generated(2)), 2), Some(2));
        assert_eq!(
            shown(&mut own_writes, None, 3),
            None,
            "it was shown once and deleted since"
        );
        own_writes.add(secret_name(), generated(2), at(10));
        assert_eq!(shown(&mut own_writes, None, 70), None, "it was never shown");
    }
}
