//! The contract between control plane and data plane: everything a data plane can be told, and nothing of Kubernetes.
//!
//! A [`Snapshot`] is plain data in ordered maps. `compile` makes it, the data plane prepares a runtime from it. Equal
//! intent gives an equal snapshot, equal records and an equal [`Snapshot::version`], whatever order the manifests came in.

pub mod binder;
pub mod caller;
pub mod delivery;
pub mod name;
pub mod origin;
pub mod price;
pub mod provider;
pub mod record;
pub mod route;
pub mod sealed;
pub mod service_account;

use std::collections::BTreeMap;

pub use binder::Binder;
pub use caller::{Caller, KeyEntry, KeyedDigest};
pub use name::ObjectName;
pub use origin::origin_of;
pub use price::Price;
pub use provider::{
    Cloud, CredentialSlot, Model, ModelApi, Provider, ProviderKind, ProviderTimeouts, StoredObjects, UnknownPrice,
    UnsupportedParameters, WorkloadIdentity,
};
pub use record::{Record, RecordKey};
pub use route::{Backend, ModelTable, Retry, Route, Strategy, Target};
pub use sealed::{KeyDigester, OpenError, Sealed, SealingKey};
use serde::{Deserialize, Serialize};
pub use service_account::{ServiceAccountError, ServiceAccountKey};

/// The newest snapshot format that this build reads and writes: shards stored deflated.
///
/// Whatever a released reader would refuse (a new field, a new kind of provider) raises it, since records are read strictly:
/// the operator then keeps writing the older format, without what is new, until the last old data plane is gone.
pub const FORMAT: u32 = 2;
/// The oldest snapshot format that this build reads and writes, N-1: shards stored plain.
pub const OLDEST_READABLE_FORMAT: u32 = 1;

/// All that a data plane serves at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Snapshot {
    /// LLM accounts by the name of their `LLMProvider`.
    pub providers: BTreeMap<ObjectName, Provider>,
    /// What opens those accounts, sealed for the origin it may be sent to.
    pub credentials: BTreeMap<CredentialSlot, Sealed>,
    /// Routes by the name of their `RoutePolicy`.
    pub routes: BTreeMap<ObjectName, Route>,
    /// Which name means what, per namespace that a key can live in.
    pub models: BTreeMap<String, ModelTable>,
    /// Callers by the name of their `VirtualKey`.
    pub callers: BTreeMap<ObjectName, Caller>,
}
