//! `headgate-operator`: watches the five kinds, publishes snapshots, reports what data planes really serve.

fn main() {}
