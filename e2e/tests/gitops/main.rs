//! What people who sync from Git rely on: that Argo CD and Flux read our status as it is meant, that the example tree
//! builds, passes `headgate check` and applies, and that the documentation says what is there.
//!
//! Argo CD and Flux themselves are not run. Their verdicts are small and published: a Lua script over the object, and
//! kstatus' rules over its conditions; both are run here over the same recorded statuses.

mod argo_cd;
mod documentation;
mod health;
mod kstatus;
mod recorded;
mod rights;
mod tree;
mod yaml;
