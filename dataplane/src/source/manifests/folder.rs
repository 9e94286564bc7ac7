//! Which files of a folder are manifests, and their text. Reads, and judges nothing.
//!
//! All or nothing: a file that cannot be read refuses the whole read, since serving without it would revoke what it
//! declares. Hidden names are passed over, which is also what makes a mounted ConfigMap work: its files are links into
//! `..data`, and the hidden directories behind them are not read a second time.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::file::SourceFile;

/// Files in a folder.
const FILES_MAX: usize = 10_000;
/// Folders within folders.
const DEPTH_MAX: usize = 16;
/// One file; a Kubernetes object is at most 1.5 MiB, a file may hold many.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// All files.
const TOTAL_BYTES_MAX: u64 = 128 << 20;

/// What a folder holds.
#[derive(Debug)]
pub(super) struct Contents {
    /// Its manifests, by path.
    pub(super) files: Vec<SourceFile>,
    /// A digest over names and bytes: equal contents, equal fingerprint.
    pub(super) fingerprint: [u8; 32],
}

/// The folder cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("cannot read `{path}`: {source}", path = path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("`{}` is not a folder", .0.display())]
    NotAFolder(PathBuf),
    #[error("`{path}` is not UTF-8 text", path = .0.display())]
    NotText(PathBuf),
    #[error("`{path}` is above {FILE_BYTES_MAX} bytes; split it", path = .0.display())]
    LargeFile(PathBuf),
    #[error("`{path}` holds more than {FILES_MAX} manifests or {TOTAL_BYTES_MAX} bytes; name a smaller folder", path = .0.display())]
    LargeFolder(PathBuf),
    #[error("`{path}` lies more than {DEPTH_MAX} folders deep", path = .0.display())]
    Deep(PathBuf),
}

/// Reads every manifest below `dir`: `*.yaml`, `*.yml` and `*.json`, in the order of their paths.
pub(super) fn read(dir: &Path) -> Result<Contents, ReadError> {
    let mut paths = BTreeSet::new();
    collect(dir, dir, &mut Seen::default(), &mut paths, 0)?;
    let mut digest = Sha256::new();
    let mut total: u64 = 0;
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        let text = read_file(&path)?;
        total += text.len() as u64;
        if total > TOTAL_BYTES_MAX {
            return Err(ReadError::LargeFolder(dir.to_owned()));
        }
        let name = path.display().to_string();
        for part in [name.as_bytes(), text.as_bytes()] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        files.push(SourceFile::new(name, text));
    }
    Ok(Contents {
        files,
        fingerprint: digest.finalize().into(),
    })
}

/// Real paths that were visited: a link in a circle ends, and a file with two names is read once.
#[derive(Default)]
struct Seen(BTreeSet<PathBuf>);

fn collect(
    root: &Path,
    dir: &Path,
    seen: &mut Seen,
    paths: &mut BTreeSet<PathBuf>,
    depth: usize,
) -> Result<(), ReadError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ReadError::Io { path, source }
    };
    if depth > DEPTH_MAX {
        return Err(ReadError::Deep(dir.to_owned()));
    }
    if !fs::metadata(dir).map_err(failed(dir))?.is_dir() {
        return Err(ReadError::NotAFolder(dir.to_owned()));
    }
    if !seen.0.insert(fs::canonicalize(dir).map_err(failed(dir))?) {
        return Ok(());
    }
    let mut entries = fs::read_dir(dir)
        .map_err(failed(dir))?
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed(dir))?;
    // The order of a directory is the file system's; which of two names of one file is read must not depend on it.
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let is_manifest = has_manifest_name(&path);
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            // A link that leads nowhere is nobody's manifest (editors lock files that way), unless it is named like one.
            Err(_) if !is_manifest => continue,
            Err(source) => return Err(ReadError::Io { path, source }),
        };
        if metadata.is_dir() {
            collect(root, &path, seen, paths, depth + 1)?;
        } else if metadata.is_file() && is_manifest && seen.0.insert(fs::canonicalize(&path).map_err(failed(&path))?) {
            paths.insert(path);
            if paths.len() > FILES_MAX {
                return Err(ReadError::LargeFolder(root.to_owned()));
            }
        }
    }
    Ok(())
}

fn has_manifest_name(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known))
}

fn read_file(path: &Path) -> Result<String, ReadError> {
    let failed = |source| ReadError::Io {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    // One byte more than allowed tells "too large" from "just fits", also for a file that grows meanwhile.
    fs::File::open(path)
        .map_err(failed)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(ReadError::LargeFile(path.to_owned()));
    }
    String::from_utf8(bytes).map_err(|_| ReadError::NotText(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let contents = read(dir).unwrap();
        contents
            .files
            .iter()
            .map(|file| {
                file.name
                    .strip_prefix(&format!("{}/", dir.display()))
                    .unwrap()
                    .to_owned()
            })
            .collect()
    }

    #[test]
    fn manifests_are_found_at_any_depth_in_the_order_of_their_paths() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("b/.git")).unwrap();
        for name in [
            "z.yaml",
            "b/a.yml",
            "b/c.json",
            "b/.git/x.yaml",
            ".hidden.yaml",
            "notes.txt",
        ] {
            fs::write(dir.path().join(name), "a: 1\n").unwrap();
        }
        assert_eq!(names(dir.path()), ["b/a.yml", "b/c.json", "z.yaml"]);
    }

    #[test]
    fn a_mounted_config_map_is_read_once_through_its_links() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("..2026_11_21")).unwrap();
        fs::write(dir.path().join("..2026_11_21/a.yaml"), "a: 1\n").unwrap();
        symlink("..2026_11_21", dir.path().join("..data")).unwrap();
        symlink("..data/a.yaml", dir.path().join("a.yaml")).unwrap();
        assert_eq!(names(dir.path()), ["a.yaml"]);
    }

    #[test]
    fn links_in_a_circle_and_a_second_name_are_not_read_twice() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.yaml"), "a: 1\n").unwrap();
        symlink(".", dir.path().join("circle")).unwrap();
        symlink("a.yaml", dir.path().join("b.yaml")).unwrap();
        assert_eq!(names(dir.path()), ["a.yaml"]);
    }

    #[test]
    fn the_fingerprint_follows_names_and_contents() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.yaml"), "a: 1\n").unwrap();
        let first = read(dir.path()).unwrap().fingerprint;
        assert_eq!(first, read(dir.path()).unwrap().fingerprint);
        fs::rename(dir.path().join("a.yaml"), dir.path().join("b.yaml")).unwrap();
        assert_ne!(first, read(dir.path()).unwrap().fingerprint);
    }

    #[test]
    fn what_cannot_be_read_refuses_the_whole_folder_and_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing");
        assert!(
            read(&missing)
                .unwrap_err()
                .to_string()
                .contains("missing`: No such file")
        );
        fs::write(dir.path().join("a.yaml"), b"\xff\xfe").unwrap();
        assert!(
            read(dir.path())
                .unwrap_err()
                .to_string()
                .ends_with("a.yaml` is not UTF-8 text")
        );
        assert!(
            read(&dir.path().join("a.yaml"))
                .unwrap_err()
                .to_string()
                .ends_with("is not a folder")
        );
        let large = fs::File::create(dir.path().join("a.yaml")).unwrap();
        large.set_len(FILE_BYTES_MAX + 1).unwrap();
        assert!(read(dir.path()).unwrap_err().to_string().contains("split it"));
    }
}
