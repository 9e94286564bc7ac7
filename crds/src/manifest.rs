//! A manifest judged without a cluster: what the API server would fill in, what it would refuse and in which words.
//!
//! Promises that what [`admit`] lets through is what a cluster would store, and that [`Object::from_value`] reads it.

use kube::ResourceExt as _;
use serde_json::Value;

use crate::validate::{self, Findings};
use crate::violation::{Path, Violation};
use crate::{Budget, GuardrailPolicy, Kind, LLMProvider, RoutePolicy, VirtualKey};
use crate::{defaulting, object_meta, rules, structural};

/// Judges an object of a kind as the API server would on creation, and brings it into the form in which it would be stored:
/// `status` dropped (a manifest cannot set it), nulls dropped, defaults filled in.
///
/// Returns why the API server would refuse it; nothing, if it would not. The caller has chosen the kind by `apiVersion` and
/// `kind` ([`Kind::of`]). An absent namespace is no violation.
pub fn admit(kind: Kind, object: &mut Value) -> Vec<Violation> {
    let mut findings = Findings::default();
    let node = structural::node(kind);
    let Value::Object(fields) = object else {
        findings.add(
            &Path::Root,
            format!("a {kind} is a mapping with apiVersion, kind, metadata and spec"),
        );
        return findings.violations;
    };
    fields.remove("status");
    object_meta::check(fields, &mut findings);
    // Only what the definition describes goes through it; type and metadata have been seen to.
    let described = ["apiVersion", "kind", "metadata"].map(|name| (name, fields.remove(name)));
    defaulting::normalise(object, node);
    validate::check(object, node, &Path::Root, &mut findings);
    if !findings.is_blocking {
        rules::evaluate(object, node, &Path::Root, &mut findings);
    }
    if let Value::Object(fields) = object {
        fields.extend(
            described
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?))),
        );
    }
    findings.violations
}

/// An object of one of the five kinds.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // each is documented at its type
pub enum Object {
    LLMProvider(Box<LLMProvider>),
    RoutePolicy(Box<RoutePolicy>),
    VirtualKey(Box<VirtualKey>),
    Budget(Box<Budget>),
    GuardrailPolicy(Box<GuardrailPolicy>),
}

/// An object that [`admit`] would have refused could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read a {kind}")]
pub struct ReadObject {
    kind: Kind,
    source: serde_json::Error,
}

impl Object {
    /// Reads an object of a kind. Never fails for one that [`admit`] let through.
    pub fn from_value(kind: Kind, value: Value) -> Result<Self, ReadObject> {
        let read = match kind {
            Kind::LLMProvider => serde_json::from_value(value).map(Self::LLMProvider),
            Kind::RoutePolicy => serde_json::from_value(value).map(Self::RoutePolicy),
            Kind::VirtualKey => serde_json::from_value(value).map(Self::VirtualKey),
            Kind::Budget => serde_json::from_value(value).map(Self::Budget),
            Kind::GuardrailPolicy => serde_json::from_value(value).map(Self::GuardrailPolicy),
        };
        read.map_err(|source| ReadObject { kind, source })
    }

    /// Which kind it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::LLMProvider(_) => Kind::LLMProvider,
            Self::RoutePolicy(_) => Kind::RoutePolicy,
            Self::VirtualKey(_) => Kind::VirtualKey,
            Self::Budget(_) => Kind::Budget,
            Self::GuardrailPolicy(_) => Kind::GuardrailPolicy,
        }
    }

    /// Its name.
    pub fn name(&self) -> String {
        match self {
            Self::LLMProvider(object) => object.name_any(),
            Self::RoutePolicy(object) => object.name_any(),
            Self::VirtualKey(object) => object.name_any(),
            Self::Budget(object) => object.name_any(),
            Self::GuardrailPolicy(object) => object.name_any(),
        }
    }
}
