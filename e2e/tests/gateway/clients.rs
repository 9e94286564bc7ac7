//! The released clients against the built gateway, and the providers' own clients against the fake provider; their tests
//! stand in `e2e/clients/`.

mod table;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use headgate_e2e::fake_provider::FakeProvider;
use headgate_e2e::gateway::Gateway;
use headgate_e2e::manifests::{self, NEIGHBOUR_KEY, VIRTUAL_KEY};
use headgate_e2e::workspace::{root, set_up};
use tokio::process::Command;

use super::scene;

/// Runs a client's tests and fails with what they printed.
async fn run(mut command: Command, provider: &FakeProvider, gateway: Option<&Gateway>) {
    command
        .env("FAKE_PROVIDER_URL", format!("http://{}", provider.address()))
        // A proxy of the machine must not come between a client and a loopback port.
        .env("NO_PROXY", "127.0.0.1")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(gateway) = gateway {
        command
            .env("HEADGATE_BASE_URL", gateway.base_url())
            .env("HEADGATE_API_KEY", VIRTUAL_KEY)
            .env("HEADGATE_NEIGHBOUR_KEY", NEIGHBOUR_KEY);
    }
    let output = command.output().await.expect("the client's tests can be started");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    println!("{printed}");
    assert!(output.status.success(), "{printed}");
}

fn folder(client: &str) -> PathBuf {
    root().join("e2e/clients").join(client)
}

/// A program behind the others: what runs beside it in this binary has deadlines, and thousands of cells of clients have none.
fn in_the_background(program: &Path) -> Command {
    let mut command = Command::new("nice");
    command.args(["-n", "10"]).arg(program);
    command
}

/// pytest over `tests`, a path below `e2e/clients/python`.
fn python(tests: &str) -> Command {
    let python = set_up("clients/python/setup").unwrap_or_else(|error| panic!("{error}"));
    let mut command = in_the_background(&python);
    command
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider"])
        .arg(folder("python").join(tests))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Node's test runner over `tests`, a path below `e2e/clients/node`. `None`: no Node.js here.
fn node(tests: &str) -> Option<Command> {
    let node = match set_up("clients/node/setup") {
        Ok(folder) => folder,
        // Node is the one tool `make test` does without; it says so there, too.
        Err(error) if error.contains("no Node.js here") => {
            eprintln!("SKIPPED, {tests}: {error}");
            return None;
        }
        Err(error) => panic!("{error}"),
    };
    let mut command = in_the_background(Path::new("node"));
    command
        .args(["--test", tests])
        .current_dir(folder("node"))
        .env("HEADGATE_NODE_FOLDER", node);
    Some(command)
}

#[tokio::test]
async fn openai_for_python() {
    let command = python("test_openai.py");
    let (provider, gateway) = scene().await;
    run(command, &provider, Some(&gateway)).await;
}

#[tokio::test]
async fn openai_for_node() {
    let Some(command) = node("openai.test.mjs") else { return };
    let (provider, gateway) = scene().await;
    run(command, &provider, Some(&gateway)).await;
}

/// What the fake provider says is what the providers say: their own clients are the judges.
#[tokio::test]
async fn the_providers_own_clients_read_the_fake_provider() {
    let command = python("judge");
    let provider = FakeProvider::start().await;
    run(command, &provider, None).await;
}

/// The matrix of `clients/matrix.json`: one provider and one gateway for all of it, both languages at once. Cells tell their
/// requests by a text of their own.
#[tokio::test]
async fn every_client_over_every_provider() {
    let folder = tempfile::tempdir().expect("a folder for outcomes");
    let outcomes = ["python.json", "node.json"].map(|file| folder.path().join(file));
    let mut python = python("matrix");
    python.env("HEADGATE_MATRIX_OUTCOMES", &outcomes[0]);
    let node = node("matrix/matrix.test.mjs");
    let provider = FakeProvider::start().await;
    let origin = format!("http://{}", provider.address());
    let gateway = Gateway::serving(&manifests::every_provider(&origin)).await;
    let Some(mut node) = node else {
        return run(python, &provider, Some(&gateway)).await;
    };
    node.env("HEADGATE_MATRIX_OUTCOMES", &outcomes[1]);
    tokio::join!(
        run(python, &provider, Some(&gateway)),
        run(node, &provider, Some(&gateway))
    );
    table::check(&[&outcomes[0], &outcomes[1]]);
}
