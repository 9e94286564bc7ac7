//! What the process asks of the system before it serves.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// Hardens the process: no core dump and no debugger of the same user can read keys out of its memory, and as many file
/// descriptors as the system grants, since each client and each provider connection is one. What the system refuses is
/// not worth refusing to serve.
pub fn harden() {
    let _ = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    );
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let granted = getrlimit(Resource::Nofile);
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: granted.maximum,
            maximum: granted.maximum,
        },
    );
}
