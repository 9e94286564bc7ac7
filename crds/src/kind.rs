//! The closed set of our kinds, and how a manifest names them.

use std::fmt;

/// One of the five kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // each is documented at its type
pub enum Kind {
    LLMProvider,
    RoutePolicy,
    VirtualKey,
    Budget,
    GuardrailPolicy,
}

impl Kind {
    /// All five, in the order in which documentation names them.
    pub const ALL: [Self; 5] = [
        Self::LLMProvider,
        Self::RoutePolicy,
        Self::VirtualKey,
        Self::Budget,
        Self::GuardrailPolicy,
    ];

    /// What a manifest says in `kind`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LLMProvider => "LLMProvider",
            Self::RoutePolicy => "RoutePolicy",
            Self::VirtualKey => "VirtualKey",
            Self::Budget => "Budget",
            Self::GuardrailPolicy => "GuardrailPolicy",
        }
    }

    /// What the API server says in URLs.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::LLMProvider => "llmproviders",
            Self::RoutePolicy => "routepolicies",
            Self::VirtualKey => "virtualkeys",
            Self::Budget => "budgets",
            Self::GuardrailPolicy => "guardrailpolicies",
        }
    }

    /// The kind that `apiVersion` and `kind` of a manifest name; `None` where it is none of ours, also in another version
    /// of our group.
    pub fn of(api_version: &str, kind: &str) -> Option<Self> {
        if api_version != crate::API_VERSION {
            return None;
        }
        Self::ALL.into_iter().find(|known| known.as_str() == kind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
