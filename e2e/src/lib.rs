//! What the end-to-end tests stand on: a scripted provider, the built gateway as a process, a real Kubernetes API
//! server with the rendered chart on it, raw sockets, and the released clients of others.
//!
//! Nothing here knows the inside of a crate under test: the tests hold for whatever binary `HEADGATE_BIN` names.

#[cfg(feature = "kubernetes")]
pub mod control_plane;
pub mod fake_provider;
pub mod gateway;
#[cfg(feature = "kubernetes")]
pub mod installation;
pub mod leash;
pub mod manifests;
pub mod raw_http;
pub mod relay;
pub mod workspace;
