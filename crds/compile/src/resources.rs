//! What `compile` is given: objects, the Secrets they name, the labels of namespaces. Whoever watches a cluster or reads a
//! folder fills this in; nothing here is fetched.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use headgate_crds::{Budget, GuardrailPolicy, LLMProvider, RoutePolicy, VirtualKey};
use headgate_snapshot::ObjectName;
use zeroize::Zeroizing;

/// All objects of one world, in any order. They are shared, not copied: whoever watches a cluster hands over the very
/// objects that the watch keeps.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    /// `LLMProvider`s.
    pub providers: Vec<Arc<LLMProvider>>,
    /// `RoutePolicy`s.
    pub routes: Vec<Arc<RoutePolicy>>,
    /// `VirtualKey`s.
    pub keys: Vec<Arc<VirtualKey>>,
    /// `Budget`s.
    pub budgets: Vec<Arc<Budget>>,
    /// `GuardrailPolicy`s.
    pub guardrails: Vec<Arc<GuardrailPolicy>>,
    /// Secrets. Those that nothing names do no harm, but need not be here: [`Compiled::lookups`](crate::Compiled) says
    /// which are named.
    pub secrets: BTreeMap<ObjectName, Secret>,
    /// Labels by namespace. Absent: none, beside `kubernetes.io/metadata.name`.
    pub namespace_labels: BTreeMap<String, BTreeMap<String, String>>,
}

/// A core `Secret`, as far as we care.
#[derive(Clone, Debug, Default)]
pub struct Secret {
    /// Its entries.
    pub entries: BTreeMap<String, SecretValue>,
    /// The `VirtualKey` for which Headgate created it and which owns it. `None`: it is somebody else's, and no
    /// `generate` may read it.
    pub generated_for: Option<ObjectName>,
    /// Annotation `serial`: the rotation by which the current token of a generated Secret was minted. Nothing is compiled
    /// from it; it stands here since it is read, and compared, along with the rest.
    pub serial: Option<u64>,
    /// Annotation `previous-not-after`: when the entry `previousKey` of a generated Secret stops working, in seconds
    /// since the Unix epoch.
    pub previous_not_after: Option<i64>,
}

impl Secret {
    /// A Secret that people made, with these entries.
    pub fn of(entries: impl IntoIterator<Item = (impl Into<String>, impl Into<Vec<u8>>)>) -> Self {
        let known = |(key, value): (_, _)| (Into::into(key), SecretValue::known(value));
        Self {
            entries: entries.into_iter().map(known).collect(),
            ..Self::default()
        }
    }
}

/// One entry of a Secret. `Debug` never shows a value.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretValue {
    /// The bytes themselves.
    Known(Zeroizing<Vec<u8>>),
    /// A folder says `${NAME}` and the environment has no such variable. Whoever needs it gets a finding that names it.
    Unset {
        /// The variable.
        variable: String,
    },
    /// A folder says `${NAME}` and the environment was left alone on purpose, since nothing will be served
    /// (`headgate check`). It counts as a good value, the same one wherever the same variable stands.
    StandIn {
        /// The variable.
        variable: String,
    },
}

impl SecretValue {
    /// A value that is known.
    pub fn known(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Known(Zeroizing::new(bytes.into()))
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(_) => f.write_str("Known(redacted)"),
            Self::Unset { variable } => write!(f, "Unset({variable})"),
            Self::StandIn { variable } => write!(f, "StandIn({variable})"),
        }
    }
}

/// What the installation says, as opposed to its users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Namespaces whose models, providers and routes every namespace may find by name, in the order in which they are
    /// searched, as far as the objects allow it.
    pub shared_namespaces: Vec<String>,
    /// Whether labels of namespaces can be read at all. In a cluster this takes a `ClusterRole`, which the chart value
    /// `operator.rbac.namespaces` grants.
    pub namespace_labels: NamespaceLabels,
}

/// Whether labels of namespaces can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NamespaceLabels {
    /// They are in [`Resources::namespace_labels`].
    #[default]
    Readable,
    /// The right is missing: `allowedNamespaces.from: Selector` allows nobody, and says so.
    Unreadable,
}
