//! The Secrets that our kinds name, and no others.
//!
//! In each watched namespace one metadata-only watch tells which Secrets exist and in which version; of that only name and
//! resourceVersion are kept. The named ones that moved are fetched by `get`. Over all namespaces there is no such watch,
//! since it would need the right to list every Secret of the cluster: there the named ones are polled, slowly, by name.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use headgate_compile::{Secret as Named, SecretValue};
use headgate_snapshot::ObjectName;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, ResourceExt};
use tokio::time::{Instant, sleep, sleep_until};

use super::store::Store;
use crate::backoff::Backoff;
use crate::client;

/// At most so many `get`s at once.
const IN_FLIGHT_MAX: usize = 20;
/// Between two polled `get`s: 20 a second over all.
const POLL_SPACING: Duration = Duration::from_millis(50);
/// How long one round over all named Secrets takes at least: three of them need not be asked for seven times a second.
const POLL_ROUND_MIN: Duration = Duration::from_secs(2);
/// When a generated key's previous token stopped working, if the annotation that says so cannot be read.
const LONG_AGO: i64 = 0;

/// What is known of Secrets.
pub(super) struct Secrets {
    /// resourceVersions by name, of all Secrets in the watched namespaces. Unused where all namespaces are served.
    pub(super) versions: Store<String>,
    known: Mutex<Known>,
    /// Whether named Secrets are polled instead of watched.
    is_polled: bool,
    /// The earliest moment of the next polled `get`.
    next_slot: Mutex<Instant>,
}

/// What is named, and what was fetched of it.
#[derive(Default)]
struct Known {
    named: BTreeSet<ObjectName>,
    fetched: BTreeMap<ObjectName, Fetched>,
}

/// The outcome of one `get`.
struct Fetched {
    /// `None`: absent.
    secret: Option<Named>,
    /// The version got; `None`: absent.
    version: Option<String>,
    /// The version that the watch had told when it was got. The `get` may be ahead of the watch.
    version_watched: Option<String>,
    /// The right to read it is missing. Asked for again each time, since nothing tells when it is granted.
    is_forbidden: bool,
}

impl Secrets {
    pub(super) fn new(is_polled: bool) -> Self {
        Self {
            versions: Store::new(),
            known: Mutex::default(),
            is_polled,
            next_slot: Mutex::new(Instant::now()),
        }
    }

    /// All that were fetched and exist.
    pub(super) fn fetched(&self) -> BTreeMap<ObjectName, Named> {
        let known = self.known();
        let existing = known
            .fetched
            .iter()
            .filter_map(|(name, fetched)| Some((name.clone(), fetched.secret.clone()?)));
        existing.collect()
    }

    /// Whether a Secret in this version (`None`: gone) is named and news.
    pub(super) fn is_news(&self, name: &ObjectName, version: Option<&String>) -> bool {
        let known = self.known();
        known.named.contains(name) && known.fetched.get(name).and_then(|fetched| fetched.version.as_ref()) != version
    }

    /// Fetches those of `named` that are not known or not current, and forgets all others. Returns whether any of them
    /// is another one than before. Stops at the first error; what was fetched by then stays.
    pub(super) async fn fetch(&self, client: &Client, named: &BTreeSet<ObjectName>) -> Result<bool, kube::Error> {
        let (wanted, mut has_changed) = self.wanted(named);
        let gets = wanted.into_iter().map(|(name, version_watched)| async move {
            if self.is_polled {
                self.slot().await;
            }
            let got = get(client, &name).await;
            (name, version_watched, got)
        });
        let mut gets = stream::iter(gets).buffer_unordered(IN_FLIGHT_MAX);
        while let Some((name, version_watched, got)) = gets.next().await {
            has_changed |= self.record(name, version_watched, got?);
        }
        Ok(has_changed)
    }

    /// Polls the named Secrets for ever, `on_change` after each that is another one than before.
    pub(super) async fn poll(&self, client: &Client, on_change: impl Fn()) {
        let mut backoff = Backoff::new(POLL_SPACING, Duration::from_secs(10));
        let mut last: Option<ObjectName> = None;
        loop {
            let (next, count) = self.after(last.as_ref());
            let Some(name) = next else {
                sleep(POLL_ROUND_MIN).await;
                continue;
            };
            sleep(POLL_ROUND_MIN / u32::try_from(count).unwrap_or(u32::MAX)).await;
            self.slot().await;
            match get(client, &name).await {
                Ok(got) => {
                    backoff.succeed();
                    if self.record(name.clone(), None, got) {
                        on_change();
                    }
                    last = Some(name);
                }
                Err(error) => {
                    if !backoff.is_failing() {
                        tracing::warn!(secret = %name, error = client::reason(&error), "a secret could not be polled; what is known stays in force");
                    }
                    sleep(backoff.fail(fastrand::f64())).await;
                }
            }
        }
    }

    /// Which of `named` have to be got, with the version that the watch told; and whether any went away.
    fn wanted(&self, named: &BTreeSet<ObjectName>) -> (Vec<(ObjectName, Option<String>)>, bool) {
        let versions = self.versions.objects();
        let mut known = self.known();
        known.named.clone_from(named);
        known.fetched.retain(|name, _| named.contains(name));
        let mut wanted = Vec::new();
        let mut has_changed = false;
        for name in named {
            let watched = versions.get(name);
            let fetched = known.fetched.get(name);
            if !self.is_polled && watched.is_none() {
                has_changed |= fetched.is_some_and(|fetched| fetched.secret.is_some());
                known.fetched.remove(name);
            } else if fetched.is_none_or(|fetched| fetched.is_forbidden || !self.is_current(fetched, watched)) {
                wanted.push((name.clone(), watched.cloned()));
            }
        }
        (wanted, has_changed)
    }

    /// A polled one is kept current by the poll.
    fn is_current(&self, fetched: &Fetched, watched: Option<&String>) -> bool {
        self.is_polled || fetched.version.as_ref() == watched || fetched.version_watched.as_ref() == watched
    }

    /// Keeps what was got, unless nobody names it any more. Returns whether it is another one than before.
    fn record(&self, name: ObjectName, version_watched: Option<String>, got: Got) -> bool {
        let mut known = self.known();
        if !known.named.contains(&name) {
            return false;
        }
        let before = known.fetched.get(&name);
        let is_forbidden = matches!(got, Got::Forbidden);
        if is_forbidden && before.is_none_or(|before| !before.is_forbidden) {
            tracing::warn!(
                secret = %name,
                "a secret may not be read and counts as absent; grant `get` on secrets in its namespace"
            );
        }
        let (secret, version) = match got {
            Got::Present(secret, version) => (Some(secret), Some(version)),
            Got::Absent | Got::Forbidden => (None, None),
        };
        let has_changed = before.and_then(|before| before.version.as_ref()) != version.as_ref();
        let fetched = Fetched {
            secret,
            version,
            version_watched,
            is_forbidden,
        };
        known.fetched.insert(name, fetched);
        has_changed
    }

    /// The named Secret that follows in the round, and how many there are.
    fn after(&self, last: Option<&ObjectName>) -> (Option<ObjectName>, usize) {
        let known = self.known();
        let following = last.and_then(|last| known.named.range((Bound::Excluded(last), Bound::Unbounded)).next());
        (following.or(known.named.first()).cloned(), known.named.len())
    }

    /// Waits for the next moment at which a polled `get` may be sent.
    async fn slot(&self) {
        let at = {
            let mut next = self.next_slot.lock().unwrap_or_else(PoisonError::into_inner);
            let at = (*next).max(Instant::now());
            *next = at + POLL_SPACING;
            at
        };
        sleep_until(at).await;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the API server says about one Secret.
enum Got {
    Present(Named, String),
    Absent,
    Forbidden,
}

async fn get(client: &Client, name: &ObjectName) -> Result<Got, kube::Error> {
    // A name becomes part of a path. What is none names nothing.
    if !is_path_segment(&name.namespace) || !is_path_segment(&name.name) {
        return Ok(Got::Absent);
    }
    let api: Api<Secret> = Api::namespaced(client.clone(), &name.namespace);
    match api.get_opt(&name.name).await {
        Ok(Some(secret)) => {
            let version = secret.resource_version().unwrap_or_default();
            Ok(Got::Present(named(secret), version))
        }
        Ok(None) => Ok(Got::Absent),
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(Got::Forbidden),
        Err(error) => Err(error),
    }
}

fn is_path_segment(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    text.bytes().all(is_letter) && text.bytes().any(|byte| byte != b'.')
}

/// A Secret as the compiler knows it. The bytes move, they are not copied.
fn named(mut secret: Secret) -> Named {
    let entries = secret.data.take().unwrap_or_default().into_iter();
    Named {
        generated_for: generated_for(&secret),
        serial: secret.annotations().get(SERIAL).and_then(|text| text.parse().ok()),
        previous_not_after: previous_not_after(&secret),
        entries: entries.map(|(key, value)| (key, SecretValue::known(value.0))).collect(),
    }
}

/// The `VirtualKey` that owns it: the one controller that an object can have.
fn generated_for(secret: &Secret) -> Option<ObjectName> {
    let is_ours = |api_version: &str| {
        api_version
            .split_once('/')
            .is_some_and(|(group, _)| group == headgate_crds::GROUP)
    };
    let owner = secret.owner_references().iter().find(|owner| {
        owner.controller == Some(true)
            && is_ours(&owner.api_version)
            && owner.kind == headgate_crds::Kind::VirtualKey.as_str()
    })?;
    Some(ObjectName::new(secret.namespace().unwrap_or_default(), &owner.name))
}

fn previous_not_after(secret: &Secret) -> Option<i64> {
    let text = secret.annotations().get(PREVIOUS_NOT_AFTER)?;
    let moment: Option<jiff::Timestamp> = text.parse().ok();
    Some(moment.map_or(LONG_AGO, jiff::Timestamp::as_second))
}

/// On a generated key's Secret: the rotation that minted its current token.
pub const SERIAL: &str = "headgate.dev/serial";
/// On a generated key's Secret: when its previous token stops working, RFC 3339.
pub const PREVIOUS_NOT_AFTER: &str = "headgate.dev/previous-not-after";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn names(texts: &[&str]) -> BTreeSet<ObjectName> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn wanted(secrets: &Secrets, texts: &[&str]) -> Vec<String> {
        let (wanted, _) = secrets.wanted(&names(texts));
        wanted.into_iter().map(|(name, _)| name.to_string()).collect()
    }

    fn see(secrets: &Secrets, name: &str, version: Option<&str>) -> bool {
        let update = super::super::store::Update::One(name.parse().unwrap(), version.map(ToOwned::to_owned));
        secrets
            .versions
            .absorb(None, update, |name, _, new| secrets.is_news(name, new))
    }

    fn got(secrets: &Secrets, name: &str, watched: &str, version: &str) -> bool {
        let got = Got::Present(Named::default(), version.to_owned());
        secrets.record(name.parse().unwrap(), Some(watched.to_owned()), got)
    }

    #[test]
    fn only_named_secrets_that_exist_are_fetched_and_only_once() {
        let secrets = Secrets::new(false);
        assert!(!see(&secrets, "a/x", Some("1")), "nobody names it");
        see(&secrets, "a/unnamed", Some("2"));
        assert_eq!(wanted(&secrets, &["a/x", "a/missing"]), ["a/x"]);
        assert!(got(&secrets, "a/x", "1", "1"));
        assert!(wanted(&secrets, &["a/x", "a/missing"]).is_empty());
        assert_eq!(secrets.fetched().len(), 1);
    }

    #[test]
    fn a_named_secret_that_appears_moves_or_goes_is_news_once() {
        let secrets = Secrets::new(false);
        wanted(&secrets, &["a/x"]);
        assert!(see(&secrets, "a/x", Some("1")));
        wanted(&secrets, &["a/x"]);
        got(&secrets, "a/x", "1", "1");
        assert!(!see(&secrets, "a/x", Some("1")));
        assert!(see(&secrets, "a/x", Some("2")));
        assert_eq!(wanted(&secrets, &["a/x"]), ["a/x"]);
        assert!(got(&secrets, "a/x", "2", "2"));
        assert!(see(&secrets, "a/x", None));
        let (wanted, has_changed) = secrets.wanted(&names(&["a/x"]));
        assert!(wanted.is_empty() && has_changed && secrets.fetched().is_empty());
        assert!(!secrets.wanted(&names(&["a/x"])).1, "gone already");
    }

    #[test]
    fn a_get_that_is_ahead_of_the_watch_is_not_repeated_and_its_event_is_no_news() {
        let secrets = Secrets::new(false);
        see(&secrets, "a/x", Some("1"));
        wanted(&secrets, &["a/x"]);
        got(&secrets, "a/x", "1", "2");
        assert!(wanted(&secrets, &["a/x"]).is_empty());
        assert!(!see(&secrets, "a/x", Some("2")));
        assert!(wanted(&secrets, &["a/x"]).is_empty());
    }

    #[test]
    fn what_is_no_longer_named_is_forgotten_also_while_it_is_being_fetched() {
        let secrets = Secrets::new(false);
        see(&secrets, "a/x", Some("1"));
        wanted(&secrets, &["a/x"]);
        got(&secrets, "a/x", "1", "1");
        wanted(&secrets, &[]);
        assert!(secrets.fetched().is_empty());
        assert!(!got(&secrets, "a/x", "1", "1") && secrets.fetched().is_empty());
    }

    #[test]
    fn a_forbidden_secret_counts_as_absent_and_is_asked_for_again() {
        let secrets = Secrets::new(false);
        see(&secrets, "a/x", Some("1"));
        wanted(&secrets, &["a/x"]);
        let name: ObjectName = "a/x".parse().unwrap();
        assert!(!secrets.record(name, Some("1".into()), Got::Forbidden));
        assert_eq!(wanted(&secrets, &["a/x"]), ["a/x"]);
        assert!(got(&secrets, "a/x", "1", "1"));
    }

    #[test]
    fn a_poll_goes_round_by_name() {
        let secrets = Secrets::new(true);
        assert_eq!(wanted(&secrets, &["a/x", "b/y"]), ["a/x", "b/y"]);
        got(&secrets, "a/x", "", "1");
        got(&secrets, "b/y", "", "1");
        assert!(
            wanted(&secrets, &["a/x", "b/y"]).is_empty(),
            "the poll keeps them current"
        );
        let first = secrets.after(None).0.unwrap();
        let second = secrets.after(Some(&first)).0.unwrap();
        assert_eq!((first.to_string(), second.to_string()), ("a/x".into(), "b/y".into()));
        assert_eq!(secrets.after(Some(&second)).0, Some(first));
    }

    #[tokio::test(start_paused = true)]
    async fn polled_gets_keep_their_distance() {
        let secrets = Secrets::new(true);
        let started = Instant::now();
        for _ in 0..21 {
            secrets.slot().await;
        }
        assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
    }

    fn of(edit: impl FnOnce(&mut Value)) -> Named {
        let mut value = json!({
            "metadata": {
                "name": "s", "namespace": "team",
                "annotations": {PREVIOUS_NOT_AFTER: "2026-11-21T00:00:00Z", SERIAL: "3"},
                "ownerReferences": [
                    {"apiVersion": "headgate.dev/v1alpha1", "kind": "VirtualKey", "name": "k", "uid": "u", "controller": true}
                ],
            },
            "data": {"key": "dmstYQ=="},
        });
        edit(&mut value);
        named(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn a_generated_secret_names_the_key_that_owns_it() {
        let secret = of(|_| {});
        assert_eq!(secret.generated_for, Some(ObjectName::new("team", "k")));
        assert_eq!(
            (secret.previous_not_after, secret.serial),
            (Some(1_795_219_200), Some(3))
        );
        assert_eq!(secret.entries["key"], SecretValue::known("vk-a"));
    }

    #[test]
    fn an_owner_that_is_no_controller_or_not_ours_owns_nothing() {
        let edits: [(&str, Value); 3] = [
            ("controller", json!(false)),
            ("kind", json!("Budget")),
            ("apiVersion", json!("headgate.dev.example.com/v1")),
        ];
        for (field, value) in edits {
            let secret = of(|secret| secret["metadata"]["ownerReferences"][0][field] = value);
            assert_eq!(secret.generated_for, None, "{field}");
        }
    }

    #[test]
    fn an_end_that_cannot_be_read_has_passed() {
        let secret = of(|secret| secret["metadata"]["annotations"][PREVIOUS_NOT_AFTER] = json!("soon"));
        assert_eq!(secret.previous_not_after, Some(0));
    }

    #[test]
    fn a_name_that_is_no_path_segment_is_never_sent() {
        for wrong in ["", ".", "..", "a/b", "a?b", "A", "a%2e"] {
            assert!(!is_path_segment(wrong), "{wrong}");
        }
        assert!(is_path_segment("openai.v2-key"));
    }
}
