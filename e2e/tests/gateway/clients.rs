//! The released `openai` clients for Python and Node against the built gateway; their tests stand in `e2e/clients/`.

use std::path::Path;
use std::process::Stdio;

use headgate_e2e::manifests::VIRTUAL_KEY;
use headgate_e2e::workspace::{root, set_up};
use tokio::process::Command;

use super::scene;

/// Runs a client's tests against a gateway of their own and fails with what they printed.
async fn run(mut command: Command) {
    let (provider, gateway) = scene().await;
    command
        .env("HEADGATE_BASE_URL", gateway.base_url())
        .env("HEADGATE_API_KEY", VIRTUAL_KEY)
        .env("FAKE_PROVIDER_URL", format!("http://{}", provider.address()))
        // A proxy of the machine must not come between a client and a loopback port.
        .env("NO_PROXY", "127.0.0.1")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = command.output().await.expect("the client's tests can be started");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    println!("{printed}");
    assert!(output.status.success(), "{printed}");
}

fn folder(client: &str) -> std::path::PathBuf {
    root().join("e2e/clients").join(client)
}

#[tokio::test]
async fn openai_for_python() {
    let python = set_up("clients/python/setup").unwrap_or_else(|error| panic!("{error}"));
    let mut command = Command::new(python);
    command
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider"])
        .arg(folder("python"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    run(command).await;
}

#[tokio::test]
async fn openai_for_node() {
    let node = match set_up("clients/node/setup") {
        Ok(folder) => folder,
        // Node is the one tool `make test` does without; it says so there, too.
        Err(error) if error.contains("no Node.js here") => return eprintln!("SKIPPED, the openai-node tests: {error}"),
        Err(error) => panic!("{error}"),
    };
    let mut command = Command::new("node");
    command
        .arg("--test")
        .arg(Path::new("openai.test.mjs"))
        .current_dir(folder("node"))
        .env("HEADGATE_NODE_FOLDER", node);
    run(command).await;
}
