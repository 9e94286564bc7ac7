//! The delivery encoding: what is written can be read, and whatever was damaged, forged, replaced or left out on the way is
//! refused. A data plane must never serve half of what was meant, nor anything that nobody meant.

// What prepares a case fails it, wherever it stands.
#![allow(clippy::unwrap_used)]

mod ack;
mod assemble;
mod golden;
mod layout;
mod pointer;
mod properties;
mod records;
mod removed;
mod ring;
mod shard;
mod world;
