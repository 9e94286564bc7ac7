//! The chart: what it renders, what it refuses, and what a real API server and the real helm make of it.
//!
//! Rendering is asserted fact by fact on parsed objects rather than by snapshots of YAML, which nobody reads when they
//! change. Nothing runs in the pods here; that the binaries live with these Roles is shown by the cluster tests.

mod admission;
mod caller;
mod cluster;
mod defaults;
mod files;
mod helm;
mod install;
mod rbac;
mod refusals;
mod values;
