//! The control plane of Headgate: the world is watched, the compile is whole, the status is true.
//!
//! [`world`] keeps what the API server tells and says that something matters; [`controller`] gathers that and lets
//! [`reconcile`] look at the whole, while this process leads ([`leader`]). Nothing remembers what changed.

pub mod admin;
mod agenda;
pub mod args;
mod backoff;
pub mod client;
pub mod controller;
pub mod events;
pub mod keys;
pub mod leader;
pub mod metrics;
pub mod process;
pub mod reconcile;
pub mod telemetry;
pub mod world;
