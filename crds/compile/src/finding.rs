//! What `compile` has to say about an object: data, never an error.
//!
//! A finding becomes a condition in the cluster, a diagnostic with a caret in a folder, a line in `/snapshot`. So it
//! names the object, the condition it belongs to, the field, and says in one sentence what to do next. It never holds a
//! secret, and never tells whether an object of another namespace exists.

use std::fmt;

use headgate_snapshot::ObjectName;
use serde::Serialize;

/// The kinds that findings and lookups are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Kind {
    /// `LLMProvider`.
    LLMProvider,
    /// `RoutePolicy`.
    RoutePolicy,
    /// `VirtualKey`.
    VirtualKey,
    /// `Budget`.
    Budget,
    /// `GuardrailPolicy`.
    GuardrailPolicy,
    /// A core `Secret`.
    Secret,
    /// A core `Namespace`, looked up for its labels. Cluster-wide: its [`ObjectName::namespace`] is empty.
    Namespace,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Whether the finding makes its condition false.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Severity {
    /// The condition is false: the object, or what the path names, is not served as written.
    Error,
    /// The object is served; people should know something about it.
    Warning,
}

/// The condition that a finding belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Condition {
    /// Whether the object makes sense in itself and beside the others.
    Accepted,
    /// Whether what it refers to is there.
    ResolvedRefs,
}

/// The reason of the condition, as it stands in the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Reason {
    /// A value makes no sense.
    Invalid,
    /// Another object claims the same, and has precedence.
    Conflicted,
    /// The schema has the field and this version does nothing with it yet.
    UnsupportedValue,
    /// What is named was not found, or is not for this namespace.
    RefNotFound,
    /// The Secret was found; the entry is not in it, or nothing usable is.
    SecretKeyMissing,
}

impl Reason {
    /// The condition that carries this reason.
    pub fn condition(self) -> Condition {
        match self {
            Self::Invalid | Self::Conflicted | Self::UnsupportedValue => Condition::Accepted,
            Self::RefNotFound | Self::SecretKeyMissing => Condition::ResolvedRefs,
        }
    }
}

/// Which object a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ObjectRef {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ObjectRef {
    /// The object of that kind and name.
    pub fn new(kind: Kind, name: &ObjectName) -> Self {
        Self {
            kind,
            namespace: name.namespace.clone(),
            name: name.name.clone(),
        }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// One thing that was found. Ordered by object, then path: the order of [`Compiled::findings`](crate::Compiled).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Finding {
    /// The object.
    pub object: ObjectRef,
    /// The field, as people write it: `spec.models[2].price.input`. Empty: the object as a whole.
    pub path: String,
    /// Whether the condition is false.
    pub severity: Severity,
    /// The condition.
    pub condition: Condition,
    /// Its reason.
    pub reason: Reason,
    /// What is wrong and what to do next, one sentence.
    pub message: String,
}

/// Collects findings for whichever object is being compiled.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    /// What is found about one object.
    pub(crate) fn about<'a>(&'a mut self, kind: Kind, name: &'a ObjectName) -> About<'a> {
        About {
            findings: self,
            kind,
            name,
            left_out: None,
        }
    }

    /// All of them in order, each once.
    pub(crate) fn into_sorted(mut self) -> Vec<Finding> {
        self.0.sort();
        self.0.dedup();
        self.0
    }
}

/// Findings about one object, and whether they leave it out.
pub(crate) struct About<'a> {
    findings: &'a mut Findings,
    kind: Kind,
    name: &'a ObjectName,
    left_out: Option<String>,
}

impl About<'_> {
    /// The object cannot be served at all.
    pub(crate) fn leave_out(&mut self, reason: Reason, path: impl Into<String>, message: impl Into<String>) {
        let path = path.into();
        if self.left_out.is_none() {
            self.left_out = Some(format!(
                "{} `{}` is left out ({reason:?} at {path})",
                self.kind, self.name.name
            ));
        }
        self.error(reason, path, message);
    }

    /// The condition is false; the object, or the rest of it, is served all the same.
    pub(crate) fn error(&mut self, reason: Reason, path: impl Into<String>, message: impl Into<String>) {
        self.add(Severity::Error, reason, path.into(), message.into());
    }

    /// The object is served; people should know.
    pub(crate) fn warning(&mut self, reason: Reason, path: impl Into<String>, message: impl Into<String>) {
        self.add(Severity::Warning, reason, path.into(), message.into());
    }

    /// Why the object is left out, if it is: the first reason, in words that a caller may read (they name the object, the
    /// reason and the field, and nothing that the field holds).
    pub(crate) fn left_out(&self) -> Option<&str> {
        self.left_out.as_deref()
    }

    fn add(&mut self, severity: Severity, reason: Reason, path: String, message: String) {
        let object = ObjectRef::new(self.kind, self.name);
        self.findings.0.push(Finding {
            object,
            path,
            severity,
            condition: reason.condition(),
            reason,
            message,
        });
    }
}
