//! The sealing key of a folder. It is made at start and nothing sealed outlives the process, with one exception: clients
//! keep the ids of stored objects, which it binds to their owners. So a folder with an account that stores objects has its
//! key kept beside its generated virtual keys. That also is how several gateways over one folder know each other's ids:
//! by one state folder.
//!
//! A caller's own token would need no file, but the caller knows it and could make ids with it; an account's credential
//! changes when it is rotated, and is all that some callers would need to guess.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headgate_snapshot::SealingKey;
use zeroize::Zeroizing;

use super::minted::{self, StateError, create_private_dir, failed, private, restrict};

/// 32 random bytes.
pub(super) fn random() -> Result<Zeroizing<[u8; 32]>, StateError> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    getrandom::fill(&mut *bytes).map_err(StateError::Random)?;
    Ok(bytes)
}

/// The kept sealing key of `folder`, made if there is none.
pub(super) fn kept(state_dir: &Path, folder: &Path) -> Result<Arc<SealingKey>, StateError> {
    let path = minted::state_file(state_dir, folder, "sealing-key", "txt")?;
    create_private_dir(path.parent().expect("the path was joined from a folder and a name"))?;
    // Two gateways over one folder must not make two keys; the lock ends with the file handle.
    let lock_path = path.with_extension("lock");
    let lock = private(File::options().write(true).create(true).truncate(false)).open(&lock_path);
    let lock = lock.map_err(failed("open", &lock_path))?;
    lock.lock().map_err(failed("lock", &lock_path))?;
    let bytes = match fs::read_to_string(&path) {
        Ok(text) => {
            restrict(&path)?;
            read(&Zeroizing::new(text)).ok_or(StateError::DamagedSeal(path))?
        }
        Err(error) if error.kind() == ErrorKind::NotFound => write_new(&path)?,
        Err(error) => return Err(failed("read", &path)(error)),
    };
    Ok(Arc::new(SealingKey::new(*bytes)))
}

fn read(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let bytes = Zeroizing::new(STANDARD.decode(text.trim_ascii()).ok()?);
    Some(Zeroizing::new(bytes.as_slice().try_into().ok()?))
}

/// Beside its place first: a crash leaves no file or a whole one.
fn write_new(path: &PathBuf) -> Result<Zeroizing<[u8; 32]>, StateError> {
    let bytes = random()?;
    let text = Zeroizing::new(STANDARD.encode(*bytes) + "\n");
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("replace", &beside)(error)),
        _ => {}
    }
    let mut file = private(File::options().write(true).create_new(true))
        .open(&beside)
        .map_err(failed("create", &beside))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(failed("write", &beside))?;
    fs::rename(&beside, path).map_err(failed("replace", path))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_for_a_folder_and_found_again() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let state = tempfile::tempdir().unwrap();
        let state_dir = state.path().join("headgate");
        let first = kept(&state_dir, folder.path()).unwrap();
        assert_eq!(kept(&state_dir, folder.path()).unwrap().id(), first.id());
        assert_ne!(kept(&state_dir, other.path()).unwrap().id(), first.id());
        for entry in fs::read_dir(&state_dir).unwrap() {
            let mode = entry.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_damaged_key_is_never_made_anew() {
        let (folder, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        kept(state.path(), folder.path()).unwrap();
        let path = minted::state_file(state.path(), folder.path(), "sealing-key", "txt").unwrap();
        for damaged in ["", "canary", "Y2FuYXJ5"] {
            fs::write(&path, damaged).unwrap();
            let error = kept(state.path(), folder.path()).unwrap_err().to_string();
            assert!(error.contains("sealing-key") && !error.contains("canary"), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
        }
    }
}
