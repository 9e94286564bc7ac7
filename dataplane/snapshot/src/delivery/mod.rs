//! How a snapshot gets from the operator to every data plane: shards that never change, one small pointer that flips, and
//! an acknowledgement from each reader. Bytes and decisions only; who reads and writes them stands elsewhere.
//!
//! Records are spread over shards by the hash of their identity, so that one changed object rewrites one shard. Shards are
//! named by the digest of their text; the pointer lists them, and is signed. Whoever can edit those objects can
//! therefore stop a change, and can never make one.

pub mod ack;
pub mod assemble;
pub mod digest;
pub mod layout;
pub mod pointer;
pub mod ring;
pub mod shard;

use std::time::Duration;

pub use ack::{Ack, AckError, RefusedHead, Serving};
pub use assemble::{AssembleError, assemble, removed_between, without, working_digests, working_digests_at};
pub use digest::Digest;
pub use layout::{Layout, TooLarge, shards_of};
pub use pointer::{Generation, Pointer, PointerError, Removed, Signed};
pub use ring::{KeyRing, RingError};
pub use shard::{Class, Shard, ShardError, ShardRef};

/// Entry of the pointer ConfigMap that holds the pointer itself, JSON text.
pub const POINTER_KEY: &str = "pointer";
/// Entry of the pointer ConfigMap that holds its signature.
pub const SIGNATURE_KEY: &str = "signature";
/// Entry of the pointer ConfigMap that tells people about it: a JSON list of conditions, not signed.
pub const STATUS_KEY: &str = "status";
/// Entry of a shard, ConfigMap or Secret, that holds its records.
pub const RECORDS_KEY: &str = "records";

/// Labels of what the operator and the data planes write.
pub mod label {
    /// The installation that the object belongs to.
    pub const INSTALLATION: &str = "headgate.dev/installation";
    /// On a shard: its class.
    pub const SHARD: &str = "headgate.dev/shard";
}

/// Annotations that carry meaning.
pub mod annotation {
    /// On the Lease of a data-plane pod: its [`Ack`](super::Ack).
    pub const ACK: &str = "headgate.dev/ack";
    /// On the pointer: the digest of the removals that a person lets through.
    pub const APPROVE_REMOVAL: &str = "headgate.dev/approve-removal";
}

/// How often a data plane renews its Lease.
pub const LEASE_RENEW: Duration = Duration::from_secs(10);
/// How long a Lease counts without renewal: three may be missed.
pub const LEASE_DURATION: Duration = Duration::from_secs(40);
