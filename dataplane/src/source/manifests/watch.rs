//! A folder that is served is watched: what is saved is loaded, and delivered if it differs.
//!
//! Events only say "look again"; what changed is decided by reading the folder and comparing its fingerprint, so that a
//! burst, a rename, a lost event or a duplicate cost one read and mean the same. Editors save in several steps, hence the
//! quiet time before each read. A file system may have no events (network mounts) or lose them; a look every 30 s finds
//! those changes, too.
//!
//! A watch is on a folder, not on its path: it ends with a folder that is removed or renamed, and one that is made anew may
//! even get the old inode. Hence after any removal or rename all watches are set anew, before the read, so that nothing
//! falls between the two; and while there is no folder, its path is looked at twice a second.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use super::{Before, Folder, Loaded, Outcome};
use crate::diagnostic::{Report, Severity};
use crate::source::{Delivery, StartError};

/// No event for this long: a save is over. Above what editors need between their steps, below what people notice.
const QUIET: Duration = Duration::from_millis(100);
/// Never wait longer than this, however busy the folder is.
const QUIET_CAP: Duration = Duration::from_secs(1);
/// How often to look without being told.
const RESCAN: Duration = Duration::from_secs(30);
/// How often to look for a folder that is gone: nothing tells when it is back.
const REVISIT: Duration = Duration::from_millis(500);

/// Keeps the deliveries of one folder current.
pub struct Watching {
    folder: Arc<Folder>,
    watched: Watched,
    changed: Arc<Notify>,
    deliveries: watch::Sender<Arc<Delivery>>,
    before: Before,
}

/// Loads a folder for the first time and prepares to watch it.
pub(in crate::source) async fn start(folder: Folder) -> Result<(watch::Receiver<Arc<Delivery>>, Watching), StartError> {
    let folder = Arc::new(folder);
    let changed = Arc::new(Notify::new());
    // Before the first read: what is saved while it runs is seen by one of the two.
    let watched = Watched::new(&folder.dir, Arc::clone(&changed));
    let loaded = load(&folder, Before::default())
        .await
        .expect("without a fingerprint to compare with, a load has an outcome");
    let before = Before::default().then(&loaded);
    let Outcome::Served {
        snapshot,
        version,
        sealing_key,
        ..
    } = loaded.outcome
    else {
        let message = format!(
            "nothing is served: `{}` cannot be loaded as it is",
            folder.dir.display()
        );
        return Err(StartError {
            message,
            findings: loaded.findings,
        });
    };
    let findings = with_notice(loaded.findings, &watched);
    let delivery = Delivery {
        snapshot: Arc::new(snapshot),
        version,
        sealing_key,
        findings,
        is_kept_from_before: false,
    };
    let (deliveries, receiver) = watch::channel(Arc::new(delivery));
    Ok((
        receiver,
        Watching {
            folder,
            watched,
            changed,
            deliveries,
            before,
        },
    ))
}

impl Watching {
    /// Runs until nobody listens any more. May be dropped at any time.
    pub async fn run(mut self) {
        loop {
            let patience = if self.watched.is_lost() { REVISIT } else { RESCAN };
            tokio::select! {
                () = settled(&self.changed) => {}
                () = sleep_until(Instant::now() + patience) => {}
                () = self.deliveries.closed() => return,
            }
            self.watched.follow(&self.folder.dir);
            if let Some(loaded) = load(&self.folder, self.before).await {
                self.before = self.before.then(&loaded);
                self.deliver(loaded);
            }
        }
    }

    /// Delivers what differs: another version, other findings, or a folder that became loadable again.
    fn deliver(&self, loaded: Loaded) {
        let findings = with_notice(loaded.findings, &self.watched);
        self.deliveries.send_if_modified(|current| {
            let kept = || {
                (
                    Arc::clone(&current.snapshot),
                    current.version.clone(),
                    Arc::clone(&current.sealing_key),
                )
            };
            let ((snapshot, version, sealing_key), is_kept_from_before) = match loaded.outcome {
                Outcome::Served { version, .. } if version == current.version => (kept(), false),
                Outcome::Served {
                    snapshot,
                    version,
                    sealing_key,
                    ..
                } => ((Arc::new(snapshot), version, sealing_key), false),
                Outcome::Refused => (kept(), true),
            };
            let is_same = version == current.version
                && findings == current.findings
                && is_kept_from_before == current.is_kept_from_before;
            if !is_same {
                *current = Arc::new(Delivery {
                    snapshot,
                    version,
                    sealing_key,
                    findings,
                    is_kept_from_before,
                });
            }
            !is_same
        });
    }
}

/// Reading and compiling is work for a blocking thread. `None`: the contents are those of `before`.
async fn load(folder: &Arc<Folder>, before: Before) -> Option<Loaded> {
    let folder = Arc::clone(folder);
    let now_s = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
    let loading = tokio::task::spawn_blocking(move || folder.load(before, now_s));
    match loading.await {
        Ok(loaded) => loaded,
        Err(error) => {
            // A bug of ours must not end the watch, and must not pass for "unchanged".
            let message = format!("loading the folder failed unexpectedly ({error}); please report this");
            Some(Loaded::refused(
                vec![Report::new(Severity::Error, "Internal", message)],
                None,
            ))
        }
    }
}

/// Waits for an event, then until no more come.
async fn settled(changed: &Notify) {
    changed.notified().await;
    let cap = Instant::now() + QUIET_CAP;
    loop {
        let quiet = Instant::now() + QUIET;
        tokio::select! {
            () = changed.notified() => {}
            () = sleep_until(quiet.min(cap)) => return,
        }
        if Instant::now() >= cap {
            return;
        }
    }
}

fn with_notice(mut findings: Vec<Report>, watched: &Watched) -> Vec<Report> {
    findings.extend(watched.trouble.clone());
    findings
}

/// What the operating system watches for us.
struct Watched {
    watcher: Option<RecommendedWatcher>,
    /// The folder behind all links, and the folder that holds the link if the folder is one: swapping the link changes
    /// nothing in either target.
    paths: Vec<(PathBuf, RecursiveMode, Identity)>,
    /// Set with an event after which a watch may have ended unseen.
    is_stale: Arc<AtomicBool>,
    trouble: Option<Report>,
}

impl Watched {
    fn new(dir: &Path, changed: Arc<Notify>) -> Self {
        let is_stale = Arc::new(AtomicBool::new(false));
        let stale = Arc::clone(&is_stale);
        let made = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // An error may mean lost events: look again.
            let kind = event.map_or(EventKind::Any, |event| event.kind);
            if may_end_a_watch(kind) {
                stale.store(true, Ordering::Release);
            }
            if is_change(kind) {
                changed.notify_one();
            }
        });
        let mut this = Self {
            watcher: None,
            paths: Vec::new(),
            is_stale,
            trouble: None,
        };
        match made {
            Ok(watcher) => this.watcher = Some(watcher),
            Err(error) => this.trouble = Some(unwatched(dir, &error)),
        }
        this.follow(dir);
        this
    }

    /// Watches what `dir` is now: the folder may have been replaced, or its link swapped.
    fn follow(&mut self, dir: &Path) {
        let Some(watcher) = &mut self.watcher else { return };
        let is_stale = self.is_stale.swap(false, Ordering::AcqRel);
        let Ok(real) = dir.canonicalize() else {
            for (path, ..) in self.paths.drain(..) {
                let _ = watcher.unwatch(&path);
            }
            return;
        };
        let identity = identity(&real);
        let mut paths = vec![(real, RecursiveMode::Recursive, identity)];
        if dir.is_symlink()
            && let Some(parent) = dir.parent()
        {
            let parent = if parent.as_os_str().is_empty() {
                Path::new(".")
            } else {
                parent
            };
            paths.push((parent.to_owned(), RecursiveMode::NonRecursive, self::identity(parent)));
        }
        if paths == self.paths && self.trouble.is_none() && !is_stale {
            return;
        }
        for (path, ..) in self.paths.drain(..) {
            // It fails for what is no longer there, which is what is wanted.
            let _ = watcher.unwatch(&path);
        }
        self.trouble = None;
        for (path, mode, _) in &paths {
            if let Err(error) = watcher.watch(path, *mode) {
                self.trouble = Some(unwatched(dir, &error));
            }
        }
        self.paths = paths;
    }

    /// Whether there was no folder to watch when it was last looked for.
    fn is_lost(&self) -> bool {
        self.watcher.is_some() && self.paths.is_empty()
    }
}

/// Tells a folder from one that was made anew at the same path, whose events we would not get.
type Identity = Option<(u64, u64)>;

fn identity(path: &Path) -> Identity {
    use std::os::unix::fs::MetadataExt as _;
    path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Reading is an event, too, and we read; only what may alter contents counts.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

/// Whether what is watched may not be there any more, or be another of the same name. An event of any kind may tell of
/// trouble, and counts.
fn may_end_a_watch(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) | EventKind::Any | EventKind::Other
    )
}

fn unwatched(dir: &Path, error: &notify::Error) -> Report {
    let message = format!(
        "`{}` cannot be watched ({error}); changes are noticed within {} s",
        dir.display(),
        RESCAN.as_secs()
    );
    Report::new(Severity::Warning, "NotWatched", message)
}
