//! The control plane of Headgate: the world is watched, the compile is whole, the status is true.
