//! The chart of this tree, rendered by the real helm.

use std::io::Write as _;

use serde_json::Value;
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::workspace;

/// What `helm template` prints for these values. Its hooks are left out, as they are by `helm install` until their time.
pub async fn render(release: &str, namespace: &str, values: &Value) -> Result<String, String> {
    static HELM: OnceCell<std::path::PathBuf> = OnceCell::const_new();
    let find = async || {
        let found = tokio::task::spawn_blocking(|| workspace::set_up("helm/build")).await;
        found
            .expect("finding helm does not panic")
            .unwrap_or_else(|error| panic!("{error}"))
    };
    let helm = HELM.get_or_init(find).await;
    let mut file = tempfile::NamedTempFile::new().expect("a file for values");
    file.write_all(values.to_string().as_bytes()).expect("write values");
    let output = Command::new(helm)
        .args(["template", release])
        .arg(workspace::root().join("charts/headgate"))
        .args(["--namespace", namespace, "--no-hooks", "--values"])
        .arg(file.path())
        .output()
        .await
        .expect("helm can be started");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
