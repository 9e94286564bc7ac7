//! Condition types and reasons as constants: people and programs search for exactly these words.
//!
//! Each constant's value is its own name in `PascalCase`; they are grouped as the status reports them.

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// Types of conditions.
pub mod types {
    /// Whether the spec makes sense: every kind has it.
    pub const ACCEPTED: &str = "Accepted";
    /// Whether everything that the spec names is there: every kind has it.
    pub const RESOLVED_REFS: &str = "ResolvedRefs";
    /// Whether every ready data-plane pod serves this object's record: every kind has it.
    pub const PROGRAMMED: &str = "Programmed";
    /// The summary of the three: every kind has it.
    pub const READY: &str = "Ready";
    /// Present while something is still moving (kstatus).
    pub const RECONCILING: &str = "Reconciling";
    /// Present while nothing will move without a person (kstatus).
    pub const STALLED: &str = "Stalled";
    /// VirtualKey: `expiresAt` has passed.
    pub const EXPIRED: &str = "Expired";
    /// VirtualKey: refused until lifted.
    pub const SUSPENDED: &str = "Suspended";
    /// Budget: nothing is left of the limit in this period.
    pub const EXHAUSTED: &str = "Exhausted";
    /// Budget: an alert's share of the limit is spent.
    pub const ALERT_REACHED: &str = "AlertReached";
    /// Budget: the store that counts spend does not answer.
    pub const STORE_DEGRADED: &str = "StoreDegraded";
}

/// Reasons of conditions.
pub mod reasons {
    /// The spec makes sense.
    pub const ACCEPTED: &str = "Accepted";
    /// The spec contradicts itself or cannot be done.
    pub const INVALID: &str = "Invalid";
    /// Another object claims the same and comes first.
    pub const CONFLICTED: &str = "Conflicted";
    /// The value is part of the API, but this installation cannot do it.
    pub const UNSUPPORTED_VALUE: &str = "UnsupportedValue";
    /// Everything named was found.
    pub const RESOLVED_REFS: &str = "ResolvedRefs";
    /// Something named is absent, or does not allow this namespace; the two are never told apart.
    pub const REF_NOT_FOUND: &str = "RefNotFound";
    /// The Secret is there, its entry is not.
    pub const SECRET_KEY_MISSING: &str = "SecretKeyMissing";
    /// Every ready pod serves it.
    pub const PROGRAMMED: &str = "Programmed";
    /// Pods have yet to acknowledge it.
    pub const PENDING: &str = "Pending";
    /// Some pods lag.
    pub const PARTIALLY_PROGRAMMED: &str = "PartiallyProgrammed";
    /// A pod refused the snapshot that holds it.
    pub const REJECTED: &str = "Rejected";
    /// There is no ready data-plane pod.
    pub const NO_DATA_PLANE: &str = "NoDataPlane";
}

/// `status.observedGeneration` of an object that no operator has seen yet, so that it counts as in progress, not as done.
pub const UNSEEN: i64 = -1;

pub(crate) const fn unseen() -> i64 {
    UNSEEN
}
