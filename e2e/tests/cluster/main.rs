//! Headgate on Kubernetes: from `kubectl apply` to served, and a status that is true. The real chart, a real API server,
//! the built binaries, and nothing but the rights that the chart grants.
//!
//! One test binary on purpose: linking is most of what a further one costs, and its tests share one control plane.

mod apply;
