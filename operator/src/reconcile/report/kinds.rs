//! What each kind tells about itself beside its conditions. Only what people look for in `kubectl get`; fields that others
//! fill in (spend, health) are neither read nor written here.

use std::collections::BTreeMap;
use std::fmt::Debug;

use headgate_compile::{Kind, Resources, SecretValue};
use headgate_crds::condition::Condition;
use headgate_crds::guardrail_policy::Check;
use headgate_crds::route_policy::ResolvedTarget;
use headgate_crds::virtual_key::{ActiveVersion, KeySource};
use headgate_crds::{
    Budget, BudgetStatus, GuardrailPolicy, GuardrailPolicyStatus, LLMProvider, LLMProviderStatus, RoutePolicy,
    RoutePolicyStatus, VirtualKey, VirtualKeyStatus,
};
use headgate_snapshot::{ObjectName, Snapshot, Strategy, Target};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// The longest one-line summary, in characters; the schema's own bound.
const SUMMARY_CHARACTERS_MAX: usize = 512;
/// Models that are listed; the schema's own bound.
const MODELS_MAX: usize = 256;

/// What a status is made from.
pub(crate) struct Sources<'a> {
    /// What was compiled.
    pub(crate) resources: &'a Resources,
    /// The providers of `resources` by name.
    pub(crate) providers: BTreeMap<ObjectName, &'a LLMProvider>,
    /// What is published.
    pub(crate) snapshot: &'a Snapshot,
    /// For tokens that stop working.
    pub(crate) now: Timestamp,
}

impl<'a> Sources<'a> {
    /// What is known of the world, and of what is published of it.
    pub(crate) fn new(resources: &'a Resources, snapshot: &'a Snapshot, now: Timestamp) -> Self {
        let providers = resources
            .providers
            .iter()
            .map(|provider| (name_of(provider.as_ref()), provider.as_ref()));
        Self {
            resources,
            providers: providers.collect(),
            snapshot,
            now,
        }
    }

    /// The value of a Secret's entry, as the compiler reads it.
    fn value(&self, namespace: &str, name: &str, entry: &str) -> Option<&'a [u8]> {
        match self
            .resources
            .secrets
            .get(&ObjectName::new(namespace, name))?
            .entries
            .get(entry)?
        {
            SecretValue::Known(bytes) => Some(bytes.trim_ascii()).filter(|bytes| !bytes.is_empty()),
            SecretValue::Unset { .. } | SecretValue::StandIn { .. } => None,
        }
    }
}

/// First 8 hex digits of the SHA-256: tells one value from another, opens nothing.
fn fingerprint(value: &[u8]) -> String {
    let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(value).into();
    format!("{a:02x}{b:02x}{c:02x}{d:02x}")
}

/// Namespace and name of an object.
pub(crate) fn name_of(object: &impl Resource) -> ObjectName {
    ObjectName::new(object.namespace().unwrap_or_default(), object.name_any())
}

/// A kind whose status we write.
pub(crate) trait Reported: Resource<DynamicType = (), Scope = NamespaceResourceScope> {
    /// The kind.
    const KIND: Kind;
    /// Its status.
    type Status: Clone + Debug + PartialEq + Serialize + Send;

    /// Its status so far.
    fn status(&self) -> Option<&Self::Status>;
    /// Its conditions so far.
    fn conditions(&self) -> &[Condition];
    /// What of a status is ours, but for the conditions.
    fn ours(status: &Self::Status) -> Self::Status;
    /// The same with conditions.
    fn with(fields: Self::Status, conditions: Vec<Condition>) -> Self::Status;
    /// What is to be told of it, for its present generation, but for the conditions.
    fn fields(&self, sources: &Sources<'_>) -> Self::Status;
    /// Whether it is refused until lifted.
    fn is_suspended(&self) -> bool {
        false
    }
    /// From when on it is refused.
    fn expires_at(&self) -> Option<Timestamp> {
        None
    }
    /// Whether a record of it is published; `None` for kinds that have none.
    fn is_published(name: &ObjectName, snapshot: &Snapshot) -> Option<bool>;
}

/// The parts that only differ by name: `ours` keeps the fields that are listed.
macro_rules! reported {
    ($kind:ident, $status:ident, keeps [$($ours:ident)*], leaves {$($foreign:ident: $nothing:expr),*}) => {
        const KIND: Kind = Kind::$kind;
        type Status = $status;

        fn status(&self) -> Option<&$status> {
            self.status.as_ref()
        }

        fn conditions(&self) -> &[Condition] {
            self.status.as_ref().map_or(&[], |status| &status.conditions)
        }

        fn ours(status: &$status) -> $status {
            $status {
                observed_generation: status.observed_generation,
                $($ours: status.$ours.clone(),)*
                $($foreign: $nothing,)*
                conditions: Vec::new(),
            }
        }

        fn with(fields: $status, conditions: Vec<Condition>) -> $status {
            $status { conditions, ..fields }
        }
    };
}

impl Reported for LLMProvider {
    reported!(LLMProvider, LLMProviderStatus,
        keeps [models model_count credential_fingerprint], leaves {healthy: Vec::new()});

    fn fields(&self, sources: &Sources<'_>) -> LLMProviderStatus {
        let name = name_of(self);
        let served = sources.snapshot.providers.get(&name);
        let models: Vec<String> = served
            .iter()
            .flat_map(|provider| provider.models.keys().cloned())
            .collect();
        let secret = self
            .spec
            .credential
            .as_ref()
            .and_then(|credential| credential.secret_ref.as_ref());
        let credential = secret.and_then(|secret| sources.value(&name.namespace, &secret.name, &secret.key));
        LLMProviderStatus {
            observed_generation: generation_of(self),
            model_count: served.map(|_| u32::try_from(models.len()).unwrap_or(u32::MAX)),
            models: models.into_iter().take(MODELS_MAX).collect(),
            credential_fingerprint: credential.map(fingerprint),
            healthy: Vec::new(),
            conditions: Vec::new(),
        }
    }

    fn is_published(name: &ObjectName, snapshot: &Snapshot) -> Option<bool> {
        Some(snapshot.providers.contains_key(name))
    }
}

impl Reported for RoutePolicy {
    reported!(RoutePolicy, RoutePolicyStatus, keeps [targets target_summary], leaves {});

    fn fields(&self, sources: &Sources<'_>) -> RoutePolicyStatus {
        let route = sources.snapshot.routes.get(&name_of(self));
        let target = route.map(|route| {
            let Strategy::Single(target) = &route.strategy;
            resolved(self, target, sources)
        });
        RoutePolicyStatus {
            observed_generation: generation_of(self),
            target_summary: target.as_ref().map(summary_of_target),
            targets: target.into_iter().collect(),
            conditions: Vec::new(),
        }
    }

    fn is_published(name: &ObjectName, snapshot: &Snapshot) -> Option<bool> {
        Some(snapshot.routes.contains_key(name))
    }
}

/// Where a route leads, nested routes followed.
fn resolved(policy: &RoutePolicy, target: &Target, sources: &Sources<'_>) -> ResolvedTarget {
    let name = policy
        .spec
        .targets
        .first()
        .map(|target| target.name.clone())
        .unwrap_or_default();
    match target {
        Target::Unavailable { reason } => ResolvedTarget {
            name,
            provider: None,
            upstream_model: None,
            price: None,
            unavailable: Some(shortened(reason)),
        },
        Target::Backend(backend) => {
            let provider = sources.providers.get(&backend.provider);
            let model = backend.model.as_ref().and_then(|model| {
                let models = provider.into_iter().flat_map(|provider| &provider.spec.models);
                models.into_iter().find(|declared| declared.name == *model)
            });
            let upstream = model.and_then(|model| model.upstream_model.clone());
            ResolvedTarget {
                name,
                provider: Some(backend.provider.to_string()),
                upstream_model: upstream.or_else(|| backend.model.clone()),
                price: model.and_then(|model| model.price.clone()),
                unavailable: None,
            }
        }
    }
}

fn summary_of_target(target: &ResolvedTarget) -> String {
    match (&target.provider, &target.upstream_model) {
        (Some(provider), Some(model)) => {
            let provider = provider.split_once('/').map_or(provider.as_str(), |(_, name)| name);
            shortened(&format!("{provider}/{model}"))
        }
        // The name that was asked for is passed on.
        (Some(provider), None) => {
            let provider = provider.split_once('/').map_or(provider.as_str(), |(_, name)| name);
            shortened(&format!("{provider}/*"))
        }
        (None, _) => "unavailable".to_owned(),
    }
}

impl Reported for VirtualKey {
    reported!(VirtualKey, VirtualKeyStatus,
        keeps [secret_name fingerprint active_versions expires_at], leaves {spend: None});

    fn fields(&self, sources: &Sources<'_>) -> VirtualKeyStatus {
        let name = name_of(self);
        let caller = sources.snapshot.callers.get(&name);
        VirtualKeyStatus {
            observed_generation: generation_of(self),
            secret_name: match self.spec.source() {
                Some(KeySource::SecretRef(reference)) => Some(reference.name.clone()),
                Some(KeySource::Generate(generate)) => Some(generate.secret_name.clone()),
                Some(KeySource::Digests(_)) | None => None,
            },
            fingerprint: caller.map(|caller| caller.fingerprint.clone()),
            // What a key that is left out would open is nobody's business.
            active_versions: caller
                .map(|_| active_versions(self, &name.namespace, sources))
                .unwrap_or_default(),
            expires_at: self.spec.expires_at.clone(),
            spend: None,
            conditions: Vec::new(),
        }
    }

    fn is_suspended(&self) -> bool {
        self.spec.suspended
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.spec.expires_at.as_ref().map(|time| time.0)
    }

    fn is_published(name: &ObjectName, snapshot: &Snapshot) -> Option<bool> {
        Some(snapshot.callers.contains_key(name))
    }
}

/// The tokens that work now, the current one first.
fn active_versions(key: &VirtualKey, namespace: &str, sources: &Sources<'_>) -> Vec<ActiveVersion> {
    let version = |fingerprint| ActiveVersion {
        fingerprint,
        serial: None,
        not_after: None,
    };
    match key.spec.source() {
        None => Vec::new(),
        Some(KeySource::Digests(digests)) => {
            let hex = digests.iter().filter_map(|digest| digest.strip_prefix("sha256:"));
            hex.map(|hex| version(hex.chars().take(8).collect())).collect()
        }
        Some(KeySource::SecretRef(reference)) => {
            let entries = std::iter::once(&reference.key).chain(&reference.previous_key);
            let values = entries.filter_map(|entry| sources.value(namespace, &reference.name, entry));
            values.map(|value| version(fingerprint(value))).collect()
        }
        Some(KeySource::Generate(generate)) => {
            let secret = sources
                .resources
                .secrets
                .get(&ObjectName::new(namespace, &generate.secret_name));
            let current = sources
                .value(namespace, &generate.secret_name, "key")
                .map(|value| ActiveVersion {
                    serial: secret.and_then(|secret| secret.serial).filter(|&serial| serial > 0),
                    ..version(fingerprint(value))
                });
            let end = secret.and_then(|secret| secret.previous_not_after);
            let end = end.and_then(|second| Timestamp::from_second(second).ok());
            let previous = sources.value(namespace, &generate.secret_name, "previousKey");
            let previous = previous
                .filter(|_| end.is_none_or(|end| sources.now < end))
                .map(|value| ActiveVersion {
                    not_after: end.map(Time),
                    ..version(fingerprint(value))
                });
            current.into_iter().chain(previous).collect()
        }
    }
}

impl Reported for Budget {
    reported!(Budget, BudgetStatus, keeps [], leaves {
        spent_usd: None, reserved_usd: None, remaining_usd: None, spent_tokens: None, percent_used: None,
        period_start: None, resets_at: None, top: Vec::new(), last_updated: None
    });

    fn fields(&self, _: &Sources<'_>) -> BudgetStatus {
        BudgetStatus {
            observed_generation: generation_of(self),
            spent_usd: None,
            reserved_usd: None,
            remaining_usd: None,
            spent_tokens: None,
            percent_used: None,
            period_start: None,
            resets_at: None,
            top: Vec::new(),
            last_updated: None,
            conditions: Vec::new(),
        }
    }

    fn is_published(_: &ObjectName, _: &Snapshot) -> Option<bool> {
        None
    }
}

impl Reported for GuardrailPolicy {
    reported!(GuardrailPolicy, GuardrailPolicyStatus,
        keeps [input_summary output_summary], leaves {inspected: Vec::new()});

    fn fields(&self, _: &Sources<'_>) -> GuardrailPolicyStatus {
        GuardrailPolicyStatus {
            observed_generation: generation_of(self),
            input_summary: summary_of_checks(&self.spec.input),
            output_summary: summary_of_checks(&self.spec.output),
            inspected: Vec::new(),
            conditions: Vec::new(),
        }
    }

    fn is_published(_: &ObjectName, _: &Snapshot) -> Option<bool> {
        None
    }
}

fn summary_of_checks(checks: &[Check]) -> Option<String> {
    let texts: Vec<_> = checks
        .iter()
        .map(|check| format!("{} {:?}", check.name, check.action))
        .collect();
    (!texts.is_empty()).then(|| shortened(&texts.join(", ")))
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= SUMMARY_CHARACTERS_MAX {
        return text.to_owned();
    }
    let start: String = text.chars().take(SUMMARY_CHARACTERS_MAX - 1).collect();
    format!("{start}…")
}

fn generation_of(object: &impl Resource) -> i64 {
    object.meta().generation.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use headgate_compile::{Options, Secret, compile};
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;
    use crate::reconcile::fixture::sealing_key;

    fn object<T: DeserializeOwned>(name: &str, spec: impl Into<Value>) -> Arc<T> {
        let spec: Value = spec.into();
        let metadata = json!({"name": name, "namespace": "team", "generation": 3});
        Arc::new(serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap())
    }

    fn secret(resources: &mut Resources, name: &str, secret: Secret) {
        resources.secrets.insert(ObjectName::new("team", name), secret);
    }

    fn fields<K: Reported>(object: &K, resources: &Resources, second: i64) -> K::Status {
        let compiled = compile(resources, &Options::default(), &sealing_key());
        let now = Timestamp::from_second(second).unwrap();
        object.fields(&Sources::new(resources, &compiled.snapshot, now))
    }

    fn world() -> Resources {
        let mut resources = Resources::default();
        let models = json!([
            {"name": "m", "upstreamModel": "m-2026", "price": {"input": "1", "output": "2"}}, {"name": "n"},
        ]);
        resources.providers.push(object(
            "p",
            json!({"type": "OpenAI", "credential": {"secretRef": {"name": "c"}}, "models": models}),
        ));
        secret(&mut resources, "c", Secret::of([("api-key", " sk-secret\n")]));
        resources
    }

    #[test]
    fn a_provider_tells_its_models_and_which_credential_it_has() {
        let resources = world();
        let status = fields(resources.providers[0].as_ref(), &resources, 0);
        assert_eq!((status.observed_generation, status.model_count), (3, Some(2)));
        assert_eq!(status.models, ["m", "n"]);
        // printf sk-secret | sha256sum
        assert_eq!(status.credential_fingerprint, Some(fingerprint(b"sk-secret")));
        assert_eq!(status.credential_fingerprint.unwrap().len(), 8);
    }

    #[test]
    fn a_provider_that_is_left_out_serves_no_models() {
        let mut resources = world();
        resources.secrets.clear();
        let status = fields(resources.providers[0].as_ref(), &resources, 0);
        assert_eq!(
            (status.model_count, status.models.len(), status.credential_fingerprint),
            (None, 0, None)
        );
    }

    #[test]
    fn a_route_tells_where_it_leads_through_others() {
        let mut resources = world();
        let to_provider = json!([{"name": "only", "provider": {"name": "p", "model": "m"}}]);
        resources
            .routes
            .push(object("inner", json!({"models": ["a"], "targets": to_provider})));
        let to_route = json!([{"name": "next", "route": {"name": "inner"}}]);
        resources
            .routes
            .push(object("outer", json!({"models": ["b"], "targets": to_route})));
        let status = fields(resources.routes[1].as_ref(), &resources, 0);
        assert_eq!(status.target_summary.as_deref(), Some("p/m-2026"));
        let target = &status.targets[0];
        assert_eq!(
            (target.name.as_str(), target.provider.as_deref()),
            ("next", Some("team/p"))
        );
        assert!(target.price.is_some() && target.unavailable.is_none());
    }

    #[test]
    fn a_route_that_leads_nowhere_says_so() {
        let mut resources = Resources::default();
        let targets = json!([{"name": "only", "provider": {"name": "absent", "model": "m"}}]);
        resources
            .routes
            .push(object("r", json!({"models": ["a"], "targets": targets})));
        let status = fields(resources.routes[0].as_ref(), &resources, 0);
        assert_eq!(status.target_summary.as_deref(), Some("unavailable"));
        assert!(status.targets[0].unavailable.as_ref().unwrap().contains("absent"));
    }

    #[test]
    fn a_generated_key_tells_both_tokens_while_both_work() {
        let mut resources = Resources::default();
        resources.keys.push(object(
            "k",
            json!({"generate": {"secretName": "s"}, "rotation": {"serial": 2}}),
        ));
        let token = |letter: &str| format!("vk-{}", letter.repeat(43));
        let mut generated = Secret::of([("key", token("b")), ("previousKey", token("a"))]);
        generated.generated_for = Some(ObjectName::new("team", "k"));
        generated.serial = Some(2);
        generated.previous_not_after = Some(100);
        secret(&mut resources, "s", generated);
        let status = fields(resources.keys[0].as_ref(), &resources, 99);
        assert_eq!(status.secret_name.as_deref(), Some("s"));
        assert_eq!(status.fingerprint, Some(fingerprint(token("b").as_bytes())));
        let versions: Vec<_> = status
            .active_versions
            .iter()
            .map(|v| (v.serial, v.not_after.is_some()))
            .collect();
        assert_eq!(versions, [(Some(2), false), (None, true)]);
        assert_eq!(status.active_versions[0].fingerprint, status.fingerprint.unwrap());
        assert_eq!(
            fields(resources.keys[0].as_ref(), &resources, 100)
                .active_versions
                .len(),
            1
        );
    }

    #[test]
    fn what_others_fill_in_is_neither_ours_nor_written() {
        let key: VirtualKey = serde_json::from_value(json!({
            "metadata": {"name": "k", "namespace": "team"},
            "spec": {"generate": {"secretName": "s"}},
            "status": {"observedGeneration": 1, "spend": {"monthUSD": "1", "requests": 2}, "secretName": "s"},
        }))
        .unwrap();
        let ours = VirtualKey::ours(key.status.as_ref().unwrap());
        assert!(ours.spend.is_none() && ours.secret_name.is_some());
        assert!(!serde_json::to_string(&ours).unwrap().contains("spend"));
    }

    #[test]
    fn checks_are_told_in_one_line_of_bounded_length() {
        let long: Vec<Value> = (0..32)
            .map(|index| json!({"name": format!("{}{index}", "n".repeat(40)), "secrets": {}, "action": "Deny"}))
            .collect();
        let policy: Arc<GuardrailPolicy> = object("g", json!({"input": long[..1], "output": long}));
        let status = fields(policy.as_ref(), &Resources::default(), 0);
        assert!(status.input_summary.unwrap().ends_with("0 Deny"));
        assert_eq!(status.output_summary.unwrap().chars().count(), SUMMARY_CHARACTERS_MAX);
    }
}
