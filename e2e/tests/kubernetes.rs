//! The five kinds and every example against a real API server: what `kubectl apply` will say, said here first.
//!
//! CEL rules and schemas also have unit tests in process; those cannot see cost budgets, defaulting order, or what strict
//! field validation makes of an example.

use std::path::{Path, PathBuf};
use std::time::Duration;

use headgate_e2e::control_plane::{Applier, ControlPlane, documents};
use headgate_e2e::workspace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::Api;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

const ESTABLISHED_WITHIN: Duration = Duration::from_secs(30);
const CRD_BYTES_MAX: u64 = 100 * 1024; // api.md, shared rules; all five: four times that
const CRDS_BYTES_MAX: u64 = 400 * 1024;
const KINDS: [&str; 5] = [
    "budgets",
    "guardrailpolicies",
    "llmproviders",
    "routepolicies",
    "virtualkeys",
];

/// An applier in a namespace of the test's own, on a control plane that has the five kinds.
async fn cluster(namespace: &str) -> Applier {
    static KINDS_APPLIED: OnceCell<()> = OnceCell::const_new();
    let applier = Applier::new(ControlPlane::shared().await.client(), namespace).await;
    KINDS_APPLIED.get_or_init(|| apply_crds(&applier)).await;
    applier
}

async fn apply_crds(applier: &Applier) {
    for file in yaml_files(&workspace::root().join("crds")) {
        let taken = applier.apply_yaml(&read(&file)).await;
        taken.unwrap_or_else(|error| panic!("{} is refused: {error}", file.display()));
    }
    let crds: Api<CustomResourceDefinition> = Api::all(ControlPlane::shared().await.client());
    for kind in KINDS {
        let deadline = Instant::now() + ESTABLISHED_WITHIN;
        loop {
            let crd = crds
                .get(&format!("{kind}.headgate.dev"))
                .await
                .expect("the CRD was just applied");
            let conditions = crd.status.and_then(|status| status.conditions).unwrap_or_default();
            if conditions
                .iter()
                .any(|c| c.type_ == "Established" && c.status == "True")
            {
                let structural = conditions.iter().find(|c| c.type_ == "NonStructuralSchema");
                assert!(structural.is_none(), "{kind}: {structural:?}");
                break;
            }
            assert!(Instant::now() < deadline, "{kind} is not established: {conditions:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn the_five_kinds_are_established_and_applying_them_again_changes_nothing() {
    let applier = cluster("kinds").await;
    let crds: Api<CustomResourceDefinition> = Api::all(ControlPlane::shared().await.client());
    let versions = async || {
        let list = crds
            .list(&kube::api::ListParams::default())
            .await
            .expect("CRDs can be listed");
        let ours = list.items.into_iter().filter(|crd| crd.spec.group == "headgate.dev");
        let mut ours: Vec<_> = ours
            .map(|crd| (crd.metadata.name, crd.metadata.resource_version))
            .collect();
        ours.sort();
        ours
    };
    let before = versions().await;
    assert_eq!(before.len(), KINDS.len(), "{before:?}");
    apply_crds(&applier).await;
    assert_eq!(versions().await, before);
}

#[test]
fn each_crd_stays_below_100_kib_and_all_five_below_400() {
    let sizes: Vec<_> = yaml_files(&workspace::root().join("crds"))
        .into_iter()
        .map(|file| (std::fs::metadata(&file).expect("a listed file").len(), file))
        .collect();
    assert_eq!(sizes.len(), KINDS.len(), "{sizes:?}");
    assert!(sizes.iter().all(|(bytes, _)| *bytes < CRD_BYTES_MAX), "{sizes:?}");
    assert!(
        sizes.iter().map(|(bytes, _)| bytes).sum::<u64>() < CRDS_BYTES_MAX,
        "{sizes:?}"
    );
}

#[tokio::test]
async fn every_example_applies_and_applying_it_again_changes_nothing() {
    for folder in example_folders() {
        let name = folder
            .file_name()
            .expect("a listed folder")
            .to_string_lossy()
            .into_owned();
        let applier = cluster(&format!("example-{name}")).await;
        for file in yaml_files(&folder) {
            let (yaml, path) = (read(&file), file.display());
            let apply = async || {
                applier
                    .apply_yaml(&yaml)
                    .await
                    .unwrap_or_else(|error| panic!("{path} is refused: {error}"))
            };
            let first = apply().await;
            assert!(!first.is_empty(), "{path} holds no object");
            // A create stores no status, not even its defaults; the next write does. From then on nothing may move.
            let second = apply().await;
            let third = apply().await;
            for ((one, two), three) in first.iter().zip(&second).zip(&third) {
                let name = &one.metadata.name;
                assert_eq!(one.metadata.generation, two.metadata.generation, "{path}: {name:?}");
                assert_eq!(
                    two.metadata.resource_version, three.metadata.resource_version,
                    "{path}: {name:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn every_wrong_example_that_the_schema_can_see_is_refused_with_its_message() {
    let wrong: Vec<_> = yaml_files(&workspace::root().join("examples/wrong"))
        .into_iter()
        .filter(|file| {
            file.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("schema-"))
        })
        .collect();
    assert!(!wrong.is_empty(), "examples/wrong/ has no schema-*.yaml");
    let applier = cluster("wrong").await;
    for file in wrong {
        let (yaml, path) = (read(&file), file.display());
        let expected = must_say(&yaml).unwrap_or_else(|| panic!("{path} does not begin with `# must say: …`"));
        let mut refusals = Vec::new();
        for object in documents(&yaml).unwrap_or_else(|error| panic!("{path}: {error}")) {
            refusals.extend(applier.create(&object).await.err());
        }
        assert!(
            refusals.iter().any(|error| error.0.contains(expected)),
            "{path} must say {expected:?}, but: {refusals:?}"
        );
    }
}

/// The fragment that the first line promises.
fn must_say(yaml: &str) -> Option<&str> {
    Some(yaml.lines().next()?.strip_prefix("# must say:")?.trim())
}

/// Folders of `examples/` that show how things are done right.
fn example_folders() -> Vec<PathBuf> {
    let mut folders: Vec<_> = std::fs::read_dir(workspace::root().join("examples"))
        .expect("examples/ can be listed")
        .map(|entry| entry.expect("examples/ can be listed").path())
        .filter(|path| path.is_dir() && !path.ends_with("wrong"))
        .collect();
    folders.sort();
    assert!(!folders.is_empty(), "examples/ is empty");
    folders
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("a folder can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        // Settings of other tools, such as pre-commit's.
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| !name.to_string_lossy().starts_with('.'))
        })
        .collect();
    // As `kubectl apply -f DIR` would want it: what lives in a namespace comes after it.
    files.sort_by_key(|file| (!file.ends_with("namespace.yaml"), file.clone()));
    files
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
