//! Virtual keys with `generate` in a folder: minted once, kept in a state file, found again at the next start.
//!
//! The file stands in for the Secret that the operator would create. It is never inside the folder (a folder gets
//! committed), has mode 0600, and is replaced as a whole. It is not pruned: an object that is gone for a moment, as
//! during a `git checkout`, gets its key back. A file that cannot be read is an error, since minting anew would revoke
//! every key in it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// The layout of the file; another number is refused rather than guessed at.
const FORMAT: u32 = 1;

/// Mints one token: `vk-` and the base64url of 32 random bytes.
pub(in crate::source) fn mint() -> Result<Zeroizing<String>, StateError> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    getrandom::fill(&mut *bytes).map_err(StateError::Random)?;
    Ok(Zeroizing::new(format!("vk-{}", URL_SAFE_NO_PAD.encode(*bytes))))
}

/// A key that the folder asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// `namespace/name/secretName`: another Secret is another key.
    pub(super) id: String,
    /// `rotation.serial`; 0 without rotation.
    pub(super) serial: u64,
    /// How long the key before keeps working after a rotation, in seconds.
    pub(super) overlap_s: i64,
}

/// A minted key as it is kept.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Minted {
    /// The rotation it was minted by.
    pub(super) serial: u64,
    /// The token.
    pub(super) key: Zeroizing<String>,
    /// The token before it, for the overlap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<Previous>,
}

/// The token before a rotation.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Previous {
    pub(super) key: Zeroizing<String>,
    /// When it stops working: seconds since the Unix epoch.
    pub(super) not_after: i64,
}

/// What became of the keys that were asked for.
pub(super) struct Keys {
    /// The keys by id.
    pub(super) by_id: BTreeMap<String, Minted>,
    /// Ids of those minted just now, to be shown once.
    pub(super) fresh: Vec<String>,
}

/// The state file could not be used. Never carries a key.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The operating system gives no randomness.
    #[error("the system gives no random bytes for a key: {0}")]
    Random(getrandom::Error),
    /// A file operation failed.
    #[error("cannot {what} `{path}`: {source}; generated keys are kept there, name another place with --state-dir", path = path.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The file is not ours or not whole.
    #[error("`{path}` cannot be read as generated keys; restore it, or remove it to have new keys minted", path = .0.display())]
    Damaged(PathBuf),
    /// The kept sealing key is not whole.
    #[error(
        "`{path}` cannot be read as a sealing key; restore it, or remove it and with it all ids of stored objects that were \
         given out", path = .0.display()
    )]
    DamagedSeal(PathBuf),
    /// The state would get committed with the manifests.
    #[error("the state folder `{path}` lies within the manifests; name another one with --state-dir", path = .0.display())]
    WithinManifests(PathBuf),
    /// There is no place for the file.
    #[error("a virtual key with `generate` needs a place to be kept; name one with --state-dir")]
    NoPlace,
    /// There is no place for the sealing key.
    #[error(
        "an LLMProvider with `storedObjects: Allow` needs a place for the key that binds ids of objects to their owners; \
         name one with --state-dir"
    )]
    NoPlaceForSeal,
}

/// The state file of one manifests folder.
#[derive(Clone, Debug)]
pub(super) struct KeyFile {
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Contents {
    format: u32,
    /// The folder whose keys these are, for people.
    folder: PathBuf,
    keys: BTreeMap<String, Minted>,
}

impl KeyFile {
    /// The file for `folder` within `state_dir`. Touches nothing.
    pub(super) fn of(state_dir: &Path, folder: &Path) -> Result<Self, StateError> {
        let path = state_file(state_dir, folder, "keys", "json")?;
        Ok(Self { path })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Finds the keys asked for, mints and rotates those that need it, and writes the file if anything changed.
    pub(super) fn provide(&self, folder: &Path, wanted: &[Wanted], now_s: i64) -> Result<Keys, StateError> {
        let dir = self
            .path
            .parent()
            .expect("the path was joined from a folder and a name");
        create_private_dir(dir)?;
        // Two gateways over one folder must not mint two keys for one object; the lock ends with the file handle.
        let lock_path = self.path.with_extension("lock");
        let lock = private(File::options().write(true).create(true).truncate(false)).open(&lock_path);
        let lock = lock.map_err(failed("open", &lock_path))?;
        lock.lock().map_err(failed("lock", &lock_path))?;

        let mut keys = self.read()?;
        let mut fresh = Vec::new();
        for want in wanted {
            if provide_one(&mut keys, want, now_s)? {
                fresh.push(want.id.clone());
            }
        }
        if !fresh.is_empty() {
            self.write(folder, &keys)?;
        }
        Ok(Keys { by_id: keys, fresh })
    }

    fn read(&self) -> Result<BTreeMap<String, Minted>, StateError> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(failed("read", &self.path)(error)),
        };
        let contents: Contents = serde_json::from_str(&text).map_err(|_| StateError::Damaged(self.path.clone()))?;
        if contents.format != FORMAT {
            return Err(StateError::Damaged(self.path.clone()));
        }
        restrict(&self.path)?;
        Ok(contents.keys)
    }

    /// Beside the file, then over it: a crash leaves the old one or the new one.
    fn write(&self, folder: &Path, keys: &BTreeMap<String, Minted>) -> Result<(), StateError> {
        let contents = Contents {
            format: FORMAT,
            folder: folder.to_owned(),
            keys: keys.clone(),
        };
        let text = Zeroizing::new(serde_json::to_vec_pretty(&contents).expect("a map of strings serialises"));
        let beside = self.path.with_extension("new");
        // What a crash left there may have another mode; the lock says that nobody is writing it.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("replace", &beside)(error)),
            _ => {}
        }
        let mut file = private(File::options().write(true).create_new(true))
            .open(&beside)
            .map_err(failed("create", &beside))?;
        file.write_all(&text)
            .and_then(|()| file.sync_all())
            .map_err(failed("write", &beside))?;
        fs::rename(&beside, &self.path).map_err(failed("replace", &self.path))
    }
}

/// A file of `folder`'s within `state_dir`; its name follows the folder's real path, so that two gateways whose folders
/// both have a key `default/demo` do not share it. Touches nothing.
pub(super) fn state_file(state_dir: &Path, folder: &Path, what: &str, extension: &str) -> Result<PathBuf, StateError> {
    let real = real_path(folder)?;
    let state_dir = std::path::absolute(state_dir).map_err(failed("find", state_dir))?;
    if nearest_real(&state_dir).starts_with(&real) {
        return Err(StateError::WithinManifests(state_dir));
    }
    let digest = Sha256::digest(real.as_os_str().as_encoded_bytes());
    let short: [u8; 8] = digest[..8].try_into().expect("a SHA-256 has 32 bytes");
    let name = format!("{what}-{:016x}.{extension}", u64::from_be_bytes(short));
    Ok(state_dir.join(name))
}

/// Returns whether a key was minted.
fn provide_one(keys: &mut BTreeMap<String, Minted>, want: &Wanted, now_s: i64) -> Result<bool, StateError> {
    let previous = match keys.get(&want.id) {
        // A lower serial is a revert in Git; what was rotated stays rotated.
        Some(minted) if minted.serial >= want.serial => return Ok(false),
        Some(minted) => Some(Previous {
            key: minted.key.clone(),
            not_after: now_s.saturating_add(want.overlap_s),
        }),
        None => None,
    };
    keys.insert(
        want.id.clone(),
        Minted {
            serial: want.serial,
            key: mint()?,
            previous,
        },
    );
    Ok(true)
}

pub(super) fn failed<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> StateError + 'a {
    move |source| StateError::Io {
        what,
        path: path.to_owned(),
        source,
    }
}

fn real_path(folder: &Path) -> Result<PathBuf, StateError> {
    fs::canonicalize(folder).map_err(failed("find", folder))
}

/// The real path of the nearest ancestor that exists, with the rest appended: the state folder may not be there yet.
fn nearest_real(path: &Path) -> PathBuf {
    path.ancestors()
        .find_map(|ancestor| {
            let rest = path.strip_prefix(ancestor).expect("an ancestor is a prefix");
            Some(fs::canonicalize(ancestor).ok()?.join(rest))
        })
        .unwrap_or_else(|| path.to_owned())
}

pub(super) fn private(options: &mut fs::OpenOptions) -> &mut fs::OpenOptions {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600)
}

pub(super) fn create_private_dir(dir: &Path) -> Result<(), StateError> {
    let mut builder = fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(builder.recursive(true), 0o700)
        .create(dir)
        .map_err(failed("create", dir))
}

/// A file that was copied or restored may have been opened to others on the way.
pub(super) fn restrict(path: &Path) -> Result<(), StateError> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed("restrict", path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    struct Places {
        folder: tempfile::TempDir,
        state: tempfile::TempDir,
    }

    impl Places {
        fn new() -> Self {
            Self {
                folder: tempfile::tempdir().unwrap(),
                state: tempfile::tempdir().unwrap(),
            }
        }

        fn file(&self) -> KeyFile {
            KeyFile::of(&self.state.path().join("headgate"), self.folder.path()).unwrap()
        }

        fn provide(&self, serial: u64, now_s: i64) -> (Minted, bool) {
            let wanted = Wanted {
                id: "default/demo/demo-key".to_owned(),
                serial,
                overlap_s: 60,
            };
            let keys = self.file().provide(self.folder.path(), &[wanted], now_s).unwrap();
            (keys.by_id["default/demo/demo-key"].clone(), !keys.fresh.is_empty())
        }
    }

    #[test]
    fn a_key_is_minted_once_and_found_again() {
        let places = Places::new();
        let (first, is_fresh) = places.provide(0, 0);
        assert!(
            is_fresh && first.key.starts_with("vk-") && first.key.len() == 3 + 43,
            "{}",
            first.key.len()
        );
        let (second, is_fresh) = places.provide(0, 0);
        assert!(!is_fresh);
        assert_eq!(*first.key, *second.key);
        assert_ne!(*mint().unwrap(), *first.key);
    }

    #[test]
    fn only_the_owner_can_read_the_file_also_after_it_was_opened_up() {
        let places = Places::new();
        places.provide(0, 0);
        let path = places.file().path().to_owned();
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        assert_eq!(
            fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777,
            0o700
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        places.provide(0, 0);
        assert_eq!(mode(), 0o600);
    }

    #[test]
    fn a_higher_serial_mints_the_next_and_keeps_the_last_for_the_overlap() {
        let places = Places::new();
        let (first, _) = places.provide(1, 1_000);
        let (second, is_fresh) = places.provide(2, 1_000);
        let previous = second.previous.as_ref().unwrap();
        assert!(is_fresh);
        assert_eq!((previous.key.as_str(), previous.not_after), (first.key.as_str(), 1_060));
        let (third, is_fresh) = places.provide(1, 2_000);
        assert!(!is_fresh, "a revert does not bring the old key back");
        assert_eq!(*third.key, *second.key);
    }

    #[test]
    fn a_damaged_file_is_never_minted_over() {
        let places = Places::new();
        places.provide(0, 0);
        for damaged in ["", "{}", "{\"format\": 9, \"folder\": \"/\", \"keys\": {}}"] {
            fs::write(places.file().path(), damaged).unwrap();
            let error = places
                .file()
                .provide(places.folder.path(), &[], 0)
                .err()
                .expect("refused");
            assert!(
                error.to_string().contains("remove it to have new keys minted"),
                "{error}"
            );
            assert_eq!(fs::read_to_string(places.file().path()).unwrap(), damaged);
        }
    }

    #[test]
    fn the_state_never_lies_within_the_manifests() {
        let places = Places::new();
        for within in [places.folder.path().to_owned(), places.folder.path().join("a/b")] {
            let error = KeyFile::of(&within, places.folder.path()).unwrap_err();
            assert!(matches!(error, StateError::WithinManifests(_)), "{error}");
        }
    }
}
