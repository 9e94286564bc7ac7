//! The last good snapshot on disk, so that a restarted container serves with the API server away.
//!
//! Kept as it was delivered: pointer text, signature, shards. What is read back is held against the signature and the
//! digests like anything from the API server, so whoever can write the folder can take the last good away and never make
//! one. The pointer is replaced in one step and last; shards are named by their digest and never change. The file of the
//! pointer is synced, since going back to an older one could bring a removed key back; a torn shard only costs the last good.
//!
//! Besides it, the newest pointer that was trusted and could not be used: what it says about removed keys holds after a
//! restart, too.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use headgate_snapshot::delivery::{Digest, Signed};
use serde::{Deserialize, Serialize};

use super::fallback::Which;
use super::shards::ENCODED_BYTES_MAX;

/// Below the state folder.
const DIR: &str = "last-good";
const POINTER_FILE: &str = "pointer.json";
const REMOVALS_FILE: &str = "removals.json";
const SHARD_PREFIX: &str = "shard-";
/// While a file is being written.
const UNFINISHED: &str = "unfinished";
/// A pointer of the longest text, each quote of it escaped.
const POINTER_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A pointer as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct KeptPointer {
    /// Which of its generations was served.
    generation: Which,
    text: String,
    signature: String,
}

impl KeptPointer {
    pub(super) fn new(signed: &Signed, generation: Which) -> Self {
        let Signed { text, signature } = signed.clone();
        Self {
            generation,
            text,
            signature,
        }
    }

    pub(super) fn generation(&self) -> Which {
        self.generation
    }

    pub(super) fn signed(&self) -> Signed {
        Signed {
            text: self.text.clone(),
            signature: self.signature.clone(),
        }
    }
}

/// A file operation failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} `{path}`: {source}", path = path.display())]
pub(super) struct KeepError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// A shard and the bytes it was delivered as.
pub(super) type EncodedShard = (Digest, Arc<[u8]>);

/// The folder. All of it blocks.
#[derive(Clone, Debug)]
pub(super) struct Keep {
    dir: PathBuf,
}

impl Keep {
    pub(super) fn new(state_dir: &Path) -> Self {
        Self {
            dir: state_dir.join(DIR),
        }
    }

    /// The pointer of the last good; `None` if there is none that can be read.
    pub(super) fn pointer(&self) -> Option<KeptPointer> {
        self.read_pointer(POINTER_FILE)
    }

    /// The newest pointer of which only the removals count.
    pub(super) fn removals(&self) -> Option<KeptPointer> {
        self.read_pointer(REMOVALS_FILE)
    }

    /// A shard; `None` if it is not there. What is in it is for its digest to tell.
    pub(super) fn shard(&self, digest: &Digest) -> Option<Arc<[u8]>> {
        let path = self.shard_path(digest);
        told(read_bounded(&path, ENCODED_BYTES_MAX as u64), "read", &path).map(Arc::from)
    }

    /// Replaces what is kept. On an error what is there may be old or new, and is whole.
    pub(super) fn save(
        &self,
        pointer: &KeptPointer,
        removals: Option<&KeptPointer>,
        shards: &[EncodedShard],
    ) -> Result<(), KeepError> {
        let mut builder = DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)
            .map_err(failed("make", &self.dir))?;
        // First, so that there is no moment in which an older pointer stands without them.
        if let Some(removals) = removals {
            self.replace(REMOVALS_FILE, &json(removals), true)?;
        }
        for (digest, bytes) in shards {
            let is_there = fs::metadata(self.shard_path(digest)).is_ok_and(|file| file.len() == bytes.len() as u64);
            if !is_there {
                self.replace(&shard_file(digest), bytes, false)?;
            }
        }
        self.replace(POINTER_FILE, &json(pointer), true)?;
        if removals.is_none() {
            self.remove(REMOVALS_FILE)?;
        }
        self.sweep(shards)
    }

    /// Takes the last good away.
    pub(super) fn forget(&self) -> Result<(), KeepError> {
        self.remove(POINTER_FILE)
    }

    fn read_pointer(&self, name: &str) -> Option<KeptPointer> {
        let path = self.dir.join(name);
        let bytes = told(read_bounded(&path, POINTER_FILE_BYTES_MAX), "read", &path)?;
        let parsed = serde_json::from_slice(&bytes).map_err(io::Error::from);
        told(parsed, "understand", &path)
    }

    fn replace(&self, name: &str, bytes: &[u8], is_synced: bool) -> Result<(), KeepError> {
        let (unfinished, path) = (self.dir.join(UNFINISHED), self.dir.join(name));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)
            .map_err(failed("write", &unfinished))?;
        file.write_all(bytes).map_err(failed("write", &unfinished))?;
        if is_synced {
            file.sync_all().map_err(failed("sync", &unfinished))?;
        }
        drop(file);
        fs::rename(&unfinished, &path).map_err(failed("replace", &path))?;
        if is_synced {
            let folder = File::open(&self.dir).and_then(|dir| dir.sync_all());
            folder.map_err(failed("sync", &self.dir))?;
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), KeepError> {
        let path = self.dir.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", &path)(error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Removes shards that the pointer does not name any more.
    fn sweep(&self, shards: &[EncodedShard]) -> Result<(), KeepError> {
        let named: BTreeSet<String> = shards.iter().map(|(digest, _)| shard_file(digest)).collect();
        for entry in fs::read_dir(&self.dir).map_err(failed("list", &self.dir))? {
            let name = entry.map_err(failed("list", &self.dir))?.file_name();
            match name.to_str() {
                Some(name) if name.starts_with(SHARD_PREFIX) && !named.contains(name) => self.remove(name)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn shard_path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(shard_file(digest))
    }
}

fn shard_file(digest: &Digest) -> String {
    format!("{SHARD_PREFIX}{digest}")
}

fn json(pointer: &KeptPointer) -> Vec<u8> {
    serde_json::to_vec(pointer).expect("plain data is always JSON")
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeepError {
    let path = path.to_owned();
    move |source| KeepError { what, path, source }
}

/// What cannot be read is as good as not there, and worth a word if it is there.
fn told<T>(read: io::Result<T>, what: &'static str, path: &Path) -> Option<T> {
    read.inspect_err(|error| {
        if error.kind() != ErrorKind::NotFound {
            tracing::warn!(path = %path.display(), error = %error, "cannot {what} a file of the last good snapshot");
        }
    })
    .ok()
}

fn read_bounded(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::new(ErrorKind::InvalidData, "the file is too long"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn pointer(text: &str, generation: Which) -> KeptPointer {
        let signed = Signed {
            text: text.to_owned(),
            signature: "id:tag".to_owned(),
        };
        KeptPointer::new(&signed, generation)
    }

    fn shard(text: &str) -> EncodedShard {
        (Digest::of(text), Arc::from(text.as_bytes()))
    }

    #[test]
    fn what_was_kept_is_read_back_and_older_shards_are_swept() {
        let dir = tempfile::tempdir().unwrap();
        let keep = Keep::new(dir.path());
        assert_eq!((keep.pointer(), keep.removals()), (None, None));
        let (a, b, c) = (shard("a"), shard("b"), shard("c"));
        keep.save(&pointer("one", Which::Head), None, &[a.clone(), b.clone()])
            .unwrap();
        keep.save(&pointer("two", Which::Previous), None, &[b.clone(), c.clone()])
            .unwrap();
        assert_eq!(keep.pointer().unwrap(), pointer("two", Which::Previous));
        assert_eq!(keep.shard(&a.0), None);
        assert_eq!(keep.shard(&b.0).unwrap(), b.1);
        assert_eq!(keep.shard(&c.0).unwrap(), c.1);
    }

    #[test]
    fn removals_stay_until_something_is_kept_that_needs_none() {
        let dir = tempfile::tempdir().unwrap();
        let keep = Keep::new(dir.path());
        keep.save(&pointer("one", Which::Head), None, &[]).unwrap();
        for newer in ["two", "three"].map(|text| pointer(text, Which::Head)) {
            keep.save(&pointer("one", Which::Head), Some(&newer), &[]).unwrap();
            assert_eq!(keep.removals().unwrap(), newer);
        }
        keep.save(&pointer("four", Which::Head), None, &[]).unwrap();
        assert_eq!(keep.removals(), None);
    }

    #[test]
    fn a_last_good_that_was_taken_away_is_gone_and_taking_nothing_away_is_fine() {
        let dir = tempfile::tempdir().unwrap();
        let keep = Keep::new(dir.path());
        keep.forget().unwrap();
        keep.save(&pointer("one", Which::Head), None, &[]).unwrap();
        keep.forget().unwrap();
        assert_eq!(keep.pointer(), None);
    }

    #[test]
    fn nobody_else_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let keep = Keep::new(dir.path());
        keep.save(&pointer("one", Which::Head), None, &[shard("a")]).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&keep.dir), 0o700);
        for file in fs::read_dir(&keep.dir).unwrap() {
            assert_eq!(mode(&file.unwrap().path()), 0o600);
        }
    }

    #[test]
    fn what_is_cut_short_or_too_long_is_as_good_as_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let keep = Keep::new(dir.path());
        let a = shard("a");
        keep.save(&pointer("one", Which::Head), None, std::slice::from_ref(&a))
            .unwrap();
        fs::write(keep.dir.join(POINTER_FILE), "{\"text\":").unwrap();
        assert_eq!(keep.pointer(), None);
        fs::write(keep.shard_path(&a.0), vec![0; ENCODED_BYTES_MAX + 1]).unwrap();
        assert_eq!(keep.shard(&a.0), None);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Keep::new(&file)
            .save(&pointer("one", Which::Head), None, &[])
            .unwrap_err();
        assert!(error.to_string().contains("file/last-good"), "{error}");
    }
}
