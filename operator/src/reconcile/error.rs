//! Why a reconcile stopped, in sentences that say what to do.

use headgate_snapshot::delivery::TooLarge;

use super::ring::RingProblem;

/// Why a reconcile did not come to its end. Nothing is half done by it: whatever was written is as it should be, and the
/// next one goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// Somebody else leads.
    #[error("this operator does not lead any more")]
    NotLeader,
    /// The API server refused, or did not answer.
    #[error("cannot {doing}: {source}")]
    Kube {
        /// What was being done.
        doing: &'static str,
        /// What came back.
        source: Box<kube::Error>,
    },
    /// No sealing keys, no snapshot.
    #[error(transparent)]
    Ring(#[from] RingProblem),
    /// Two installations share a pointer.
    #[error(
        "ConfigMap `{name}` is the pointer of installation {installation}; give each installation a snapshot namespace of its \
         own (HEADGATE_SNAPSHOT_NAMESPACE)"
    )]
    ForeignPointer {
        /// The pointer.
        name: String,
        /// Whose it is.
        installation: String,
    },
    /// Somebody wrote in between; the next reconcile looks anew.
    #[error("{what} was changed by somebody else meanwhile")]
    Moved {
        /// What.
        what: &'static str,
    },
    /// A record does not fit into any shard.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// The system has no randomness.
    #[error("the system gives no random numbers, without which no key can be made: {0}")]
    Random(getrandom::Error),
    /// The compiler panicked.
    #[error("the compiler panicked, which is a defect; please report the lines above")]
    Panicked,
}

impl ReconcileError {
    /// Whether nothing can be published until a person mends something. The rest passes, or is ours to mend.
    pub(crate) fn asks_for_a_person(&self) -> bool {
        matches!(self, Self::Ring(_) | Self::ForeignPointer { .. } | Self::TooLarge(_))
    }

    /// What became of a request, by what it was for.
    pub(crate) fn kube(doing: &'static str) -> impl Fn(kube::Error) -> Self {
        move |source| Self::Kube {
            doing,
            source: Box::new(source),
        }
    }
}
