//! Where things are: the repository, the cache outside it, and the binaries under test.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The `headgate` binary under test: `HEADGATE_BIN`, else what `cargo build` makes of this tree.
///
/// Built and not merely found, since a stale binary is a test of yesterday's code.
pub fn headgate_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| named_or_built("HEADGATE_BIN", "headgate"))
}

/// The `headgate-operator` binary under test: `HEADGATE_OPERATOR_BIN`, else what `cargo build` makes of this tree.
pub fn operator_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| named_or_built("HEADGATE_OPERATOR_BIN", "headgate-operator"))
}

/// The manifests of a folder, sorted by name.
pub fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("a folder can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

fn named_or_built(variable: &str, binary: &str) -> PathBuf {
    match std::env::var_os(variable) {
        Some(path) => PathBuf::from(path)
            .canonicalize()
            .unwrap_or_else(|error| panic!("{variable} names no file: {error}")),
        None => build(binary),
    }
}

fn build(binary: &str) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "build",
            "--locked",
            "--message-format=json-render-diagnostics",
            "--bin",
            binary,
        ])
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo can be started");
    assert!(
        output.status.success(),
        "cargo build --bin {binary} failed; its message stands above"
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == binary)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .expect("cargo names the executable it built")
}

/// Runs a set-up script of this crate and returns the path that it prints last. The scripts cache what they make outside
/// the clone; `make test` runs them first, so here they normally only print.
///
/// The error is what the script said, to be shown or to skip by.
pub fn set_up(script: &str) -> Result<PathBuf, String> {
    let path = root().join("e2e").join(script);
    let output = Command::new(&path)
        .output()
        .map_err(|error| format!("{}: {error}", path.display()))?;
    if !output.status.success() {
        return Err(format!("{script} failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    printed
        .lines()
        .last()
        .map(PathBuf::from)
        .ok_or_else(|| format!("{script} printed no path"))
}
