//! The sealing keys, from the folder that their Secret is mounted as.
//!
//! The kubelet brings a new key a minute or two after the Secret got it, and swaps the folder behind a symbolic link whose
//! name begins with two dots. So the folder is read again every 30 s and whenever something names a key that is not known,
//! and nothing is watched.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use headgate_snapshot::delivery::{KeyRing, RingError};
use zeroize::Zeroizing;

/// How often the folder is read again.
pub(super) const READ_EVERY: Duration = Duration::from_secs(30);

/// The longest file that is looked at: a key is 32 bytes, in base64 44, and a line break.
const KEY_BYTES_MAX: usize = 1_024;
/// The most files that are looked at; `KeyRing` refuses fewer with a better message.
const FILES_MAX: usize = 1_024;

/// The folder cannot be read as a key ring. Names files, never their content.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadRingError {
    #[error("the sealing keys in `{path}` cannot be read: {source}; mount their Secret there", path = path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{source} (in `{path}`)", path = path.display())]
    Ring { path: PathBuf, source: RingError },
}

/// The folder, and what was last read from it.
pub(super) struct MountedRing {
    dir: PathBuf,
    current: Option<Arc<KeyRing>>,
    /// The last trouble that was logged, so that it is told once.
    trouble: Option<String>,
}

impl MountedRing {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            current: None,
            trouble: None,
        }
    }

    /// What was last read; `None` before the folder could be read once.
    pub(super) fn get(&self) -> Option<&Arc<KeyRing>> {
        self.current.as_ref()
    }

    /// Reads the folder again; whether the keys are others now. A folder that cannot be read changes nothing.
    pub(super) async fn refresh(&mut self) -> bool {
        let dir = self.dir.clone();
        let read = tokio::task::spawn_blocking(move || read(&dir)).await;
        match read {
            Ok(Ok(ring)) => {
                if ring.unusable().is_empty() {
                    self.trouble = None;
                } else {
                    let entries = ring.unusable().join(", ");
                    self.failed(format!(
                        "passed over what is neither 32 bytes nor their base64: {entries}"
                    ));
                }
                let ids = ring.ids();
                let is_new = self.current.as_ref().is_none_or(|current| current.ids() != ids);
                if is_new {
                    tracing::info!(key_ids = ids.join(","), "sealing keys read");
                }
                self.current = Some(Arc::new(ring));
                is_new
            }
            Ok(Err(error)) => self.failed(error.to_string()),
            Err(error) => self.failed(error.to_string()),
        }
    }

    fn failed(&mut self, error: String) -> bool {
        if self.trouble.as_ref() != Some(&error) {
            tracing::warn!(error, "sealing keys cannot be read; those that could be stay in force");
            self.trouble = Some(error);
        }
        false
    }
}

fn read(dir: &Path) -> Result<KeyRing, ReadRingError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ReadRingError::Io { path, source }
    };
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed(dir))?.take(FILES_MAX) {
        let entry = entry.map_err(failed(dir))?;
        // The kubelet's own: `..data` and the folder it points at. A name that is not text cannot come from a Secret.
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
            continue;
        };
        if name.starts_with("..") {
            continue;
        }
        let path = entry.path();
        let file = File::open(&path).map_err(failed(&path))?;
        if !file.metadata().map_err(failed(&path))?.is_file() {
            continue;
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_BYTES_MAX + 1));
        file.take(KEY_BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(failed(&path))?;
        entries.push((name, bytes));
    }
    KeyRing::from_entries(entries).map_err(|source| ReadRingError::Ring {
        path: dir.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use headgate_snapshot::SealingKey;

    use super::*;

    /// As the kubelet mounts a Secret: real files in a folder with a date, links to them by way of `..data`.
    fn mount(dir: &Path, generation: &str, keys: &[(&str, [u8; 32])]) {
        let real = dir.join(format!("..{generation}"));
        fs::create_dir(&real).unwrap();
        for (name, key) in keys {
            fs::write(real.join(name), key).unwrap();
            let _ = symlink(Path::new("..data").join(name), dir.join(name));
        }
        let _ = fs::remove_file(dir.join("..data"));
        symlink(format!("..{generation}"), dir.join("..data")).unwrap();
    }

    #[tokio::test]
    async fn a_key_that_the_kubelet_brings_later_is_found_by_reading_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut ring = MountedRing::new(dir.path().to_owned());
        assert!(
            !ring.refresh().await && ring.get().is_none(),
            "an empty folder is no ring"
        );
        mount(dir.path(), "2026", &[("key-0001", [1; 32])]);
        assert!(ring.refresh().await);
        assert!(!ring.refresh().await, "nothing new");
        mount(dir.path(), "2027", &[("key-0001", [1; 32]), ("key-0002", [2; 32])]);
        assert!(ring.refresh().await);
        let ids = [SealingKey::new([1; 32]), SealingKey::new([2; 32])].map(|key| key.id().to_owned());
        assert_eq!(ring.get().unwrap().ids(), ids);
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_read_any_more_leaves_the_keys_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("key-0001"), [1; 32]).unwrap();
        let mut ring = MountedRing::new(dir.path().to_owned());
        assert!(ring.refresh().await);
        fs::write(dir.path().join("key-0002"), "no key").unwrap();
        assert!(!ring.refresh().await);
        assert_eq!(ring.get().unwrap().ids().len(), 1);
        fs::remove_dir_all(dir.path()).unwrap();
        assert!(!ring.refresh().await);
        assert!(ring.get().is_some());
    }

    #[test]
    fn what_is_wrong_is_named_and_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("key-0001"), "canary").unwrap();
        let error = read(dir.path()).unwrap_err().to_string();
        assert!(error.contains("key-0001") && !error.contains("canary"), "{error}");
    }
}
