//! A folder as a source: what is saved is served, what is wrong keeps the last good, and keys are minted once.

#![allow(clippy::unwrap_used)] // a helper of a test may fail as the test itself does

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use headgate::diagnostic::{Severity, Style, render};
use headgate::source::manifests::Folder;
use headgate::source::{Delivery, Environment, Source, StartError, describe};
use headgate_snapshot::ObjectName;
use tokio::sync::watch;

const CANARY: &str = "canary-of-the-environment-0123456789";
/// Far above the second or so that a change takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(25);
/// Well above the second that it takes, well below the 30 s after which the folder is looked at anyway.
const SOON: Duration = Duration::from_secs(8);

/// A gateway's folder, its state folder, and what was announced at the terminal.
struct World {
    folder: tempfile::TempDir,
    state: tempfile::TempDir,
    announced: Arc<Mutex<Vec<String>>>,
}

impl World {
    fn new(text: &str) -> Self {
        let world = Self {
            folder: tempfile::tempdir().unwrap(),
            state: tempfile::tempdir().unwrap(),
            announced: Arc::default(),
        };
        world.save(text);
        world
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("gateway.yaml")
    }

    fn save(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
    }

    async fn start_at(&self, dir: &Path) -> Result<Source, StartError> {
        let environment: Environment = Arc::new(|name| (name == "CANARY").then(|| CANARY.to_owned()));
        let announced = Arc::clone(&self.announced);
        let announce = Arc::new(move |line: &str| announced.lock().unwrap().push(line.to_owned()));
        let state = self.state.path().join("headgate");
        Source::manifests(Folder::new(dir.to_owned(), Some(state), environment, announce)?).await
    }

    async fn start(&self) -> Result<Source, StartError> {
        self.start_at(self.folder.path()).await
    }

    async fn first(&self) -> Arc<Delivery> {
        let source = self
            .start()
            .await
            .unwrap_or_else(|error| panic!("{error}: {:?}", error.findings));
        source.deliveries().borrow().clone()
    }

    /// Deliveries that are kept current while the test runs.
    async fn watched(&self) -> watch::Receiver<Arc<Delivery>> {
        self.watched_at(self.folder.path()).await
    }

    async fn watched_at(&self, dir: &Path) -> watch::Receiver<Arc<Delivery>> {
        let source = self
            .start_at(dir)
            .await
            .unwrap_or_else(|error| panic!("{error}: {:?}", error.findings));
        let deliveries = source.deliveries();
        tokio::spawn(source.keep_current());
        deliveries
    }
}

async fn until(deliveries: &mut watch::Receiver<Arc<Delivery>>, is_so: impl Fn(&Delivery) -> bool) -> Arc<Delivery> {
    within(PATIENCE, deliveries, is_so).await
}

/// For what must not be left to the look every 30 s.
async fn soon(deliveries: &mut watch::Receiver<Arc<Delivery>>, is_so: impl Fn(&Delivery) -> bool) -> Arc<Delivery> {
    within(SOON, deliveries, is_so).await
}

async fn within(
    patience: Duration,
    deliveries: &mut watch::Receiver<Arc<Delivery>>,
    is_so: impl Fn(&Delivery) -> bool,
) -> Arc<Delivery> {
    let waiting = tokio::time::timeout(patience, deliveries.wait_for(|delivery| is_so(delivery)));
    let delivery = waiting.await.expect("the change is delivered in time");
    Arc::clone(&delivery.expect("the watch goes on"))
}

fn provider(name: &str) -> String {
    format!(
        "apiVersion: headgate.dev/v1alpha1\nkind: LLMProvider\nmetadata: {{name: {name}}}\nspec:\n  type: Echo\n  models: [{{name: echo}}]\n"
    )
}

fn serves(delivery: &Delivery, provider: &str) -> bool {
    delivery
        .snapshot
        .providers
        .contains_key(&ObjectName::new("default", provider))
}

fn says(delivery: &Delivery, part: &str) -> bool {
    delivery.findings.iter().any(|finding| finding.message.contains(part))
}

const GENERATED: &str = "---\napiVersion: headgate.dev/v1alpha1\nkind: VirtualKey\nmetadata: {name: demo}\nspec:\n  generate: {secretName: demo-key}\n";

fn with_secret(value: &str) -> String {
    format!(
        "apiVersion: headgate.dev/v1alpha1\nkind: LLMProvider\nmetadata: {{name: openai}}\nspec:\n  type: OpenAI\n  credential: {{secretRef: {{name: openai, key: k}}}}\n  discover: Any\n---\n\
         apiVersion: v1\nkind: Secret\nmetadata: {{name: openai}}\nstringData:\n  k: {value}\n---\n{}",
        provider("echo")
    )
}

#[tokio::test]
async fn a_saved_file_is_served() {
    let world = World::new(&provider("one"));
    let mut deliveries = world.watched().await;
    let first = deliveries.borrow_and_update().clone();
    assert!(serves(&first, "one") && first.findings.is_empty());
    world.save(&provider("two"));
    let second = until(&mut deliveries, |delivery| serves(delivery, "two")).await;
    assert!(!serves(&second, "one") && second.version != first.version);
    assert_eq!(second.sealing_key.id(), first.sealing_key.id());
}

#[tokio::test]
async fn an_editor_that_renames_over_the_file_is_noticed() {
    let world = World::new(&provider("one"));
    let mut deliveries = world.watched().await;
    let beside = world.folder.path().join(".gateway.yaml.swp");
    fs::write(&beside, provider("two")).unwrap();
    fs::rename(&beside, world.file()).unwrap();
    until(&mut deliveries, |delivery| serves(delivery, "two")).await;
}

#[tokio::test]
async fn a_swapped_link_is_noticed_within_the_folder_and_of_the_folder() {
    use std::os::unix::fs::symlink;
    let world = World::new("");
    fs::remove_file(world.file()).unwrap();
    let base = world.folder.path();
    for name in ["one", "two", "three"] {
        fs::create_dir_all(base.join(name).join("..data-a")).unwrap();
        fs::write(base.join(name).join("..data-a/a.yaml"), provider(name)).unwrap();
        symlink("..data-a", base.join(name).join("..data")).unwrap();
        symlink("..data/a.yaml", base.join(name).join("a.yaml")).unwrap();
    }
    // As a mounted ConfigMap: a new directory, then `..data` is renamed over.
    let mut deliveries = world.watched_at(&base.join("one")).await;
    fs::create_dir(base.join("one/..data-b")).unwrap();
    fs::write(base.join("one/..data-b/a.yaml"), provider("renewed")).unwrap();
    symlink("..data-b", base.join("one/..next")).unwrap();
    fs::rename(base.join("one/..next"), base.join("one/..data")).unwrap();
    until(&mut deliveries, |delivery| serves(delivery, "renewed")).await;
    // As git-sync does: the folder itself is a link.
    let current = base.join("current");
    symlink("two", &current).unwrap();
    let mut deliveries = world.watched_at(&current).await;
    symlink("three", base.join("next")).unwrap();
    fs::rename(base.join("next"), &current).unwrap();
    until(&mut deliveries, |delivery| serves(delivery, "three")).await;
    fs::write(base.join("three/..data-a/a.yaml"), provider("four")).unwrap();
    until(&mut deliveries, |delivery| serves(delivery, "four")).await;
}

#[tokio::test]
async fn a_bad_save_keeps_the_last_good_and_says_why_and_a_good_one_lifts_it() {
    let world = World::new(&provider("one"));
    let mut deliveries = world.watched().await;
    let first = deliveries.borrow_and_update().clone();
    for bad in [
        "spec: [\n".to_owned(),
        provider("two").replace("type: Echo", "type: Ecko"),
    ] {
        world.save(&bad);
        let kept = until(&mut deliveries, |delivery| delivery.is_kept_from_before).await;
        assert!(serves(&kept, "one") && kept.version == first.version);
        let place = kept.findings[0].place.as_ref().expect("a place");
        assert!(place.file.ends_with("gateway.yaml") && render(&kept.findings, Style::Plain).contains('^'));
        world.save(&provider("one"));
        let lifted = until(&mut deliveries, |delivery| !delivery.is_kept_from_before).await;
        assert!(lifted.findings.is_empty() && lifted.version == first.version);
    }
    fs::remove_dir_all(world.folder.path()).unwrap();
    let kept = until(&mut deliveries, |delivery| delivery.is_kept_from_before).await;
    assert!(serves(&kept, "one"));
}

#[tokio::test]
async fn a_folder_that_is_removed_and_made_anew_is_served_again_at_once() {
    let world = World::new("");
    let dir = world.folder.path().join("g");
    let make = |name: &str| {
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("gateway.yaml"), provider(name)).unwrap();
    };
    make("one");
    let mut deliveries = world.watched_at(&dir).await;
    // At one go, as a script does it; the inode may be the old one.
    for name in ["two", "three"] {
        fs::remove_dir_all(&dir).unwrap();
        make(name);
        soon(&mut deliveries, |delivery| serves(delivery, name)).await;
    }
    // Step by step, as a person does it.
    fs::remove_dir_all(&dir).unwrap();
    soon(&mut deliveries, |delivery| {
        says(delivery, "is gone; the last good state")
    })
    .await;
    fs::create_dir(&dir).unwrap();
    soon(&mut deliveries, |delivery| {
        says(delivery, "is empty; the last good state")
    })
    .await;
    fs::write(dir.join("gateway.yaml"), provider("four")).unwrap();
    soon(&mut deliveries, |delivery| serves(delivery, "four")).await;
    // Another folder is moved to its place.
    fs::rename(&dir, world.folder.path().join("old")).unwrap();
    make("five");
    soon(&mut deliveries, |delivery| serves(delivery, "five")).await;
    fs::write(dir.join("gateway.yaml"), provider("six")).unwrap();
    soon(&mut deliveries, |delivery| serves(delivery, "six")).await;
}

#[tokio::test]
async fn a_folder_that_is_suddenly_empty_keeps_the_last_good_and_says_so() {
    let world = World::new(&provider("one"));
    let mut deliveries = world.watched().await;
    let first = deliveries.borrow_and_update().clone();
    for empty in [true, false] {
        if empty {
            fs::remove_file(world.file()).unwrap();
        } else {
            world.save("\n");
        }
        let kept = until(&mut deliveries, |delivery| delivery.is_kept_from_before).await;
        assert!(serves(&kept, "one") && kept.version == first.version);
        assert!(
            says(&kept, "is empty; the last good state stays in force"),
            "{:?}",
            kept.findings
        );
        world.save(&provider("one"));
        let lifted = until(&mut deliveries, |delivery| !delivery.is_kept_from_before).await;
        assert!(lifted.findings.is_empty() && serves(&lifted, "one"));
    }
    // A comment is not nothing: it is how one says that nothing is to be served.
    world.save("# nothing for now\n");
    until(&mut deliveries, |delivery| {
        !serves(delivery, "one") && !delivery.is_kept_from_before
    })
    .await;
}

#[tokio::test]
async fn a_folder_that_is_empty_from_the_start_is_served_as_it_is() {
    let world = World::new("");
    fs::remove_file(world.file()).unwrap();
    let mut deliveries = world.watched().await;
    let first = deliveries.borrow_and_update().clone();
    assert!(first.findings.is_empty() && first.snapshot.providers.is_empty());
    world.save(&provider("one"));
    soon(&mut deliveries, |delivery| serves(delivery, "one")).await;
}

#[tokio::test]
async fn an_object_that_does_not_compile_is_left_out_alone() {
    let route = "---\napiVersion: headgate.dev/v1alpha1\nkind: RoutePolicy\nmetadata: {name: lost}\nspec:\n  models: [lost]\n  targets: [{name: a, provider: {name: nobody}}]\n";
    let delivery = World::new(&(provider("one") + route)).first().await;
    assert!(serves(&delivery, "one") && !delivery.is_kept_from_before);
    assert_eq!(delivery.findings.len(), 1);
    assert_eq!(delivery.findings[0].place.as_ref().unwrap().line, 13);
}

#[tokio::test]
async fn a_folder_that_is_bad_from_the_start_is_not_served() {
    let world = World::new("spec: [\n");
    let error = world.start().await.err().expect("refused");
    assert!(
        error.message.starts_with("nothing is served") && error.findings[0].place.is_some(),
        "{error}"
    );
    let error = world.start_at(Path::new("/nowhere")).await.err().expect("refused");
    assert!(
        error.findings[0].message.contains("cannot read `/nowhere`"),
        "{:?}",
        error.findings
    );
}

#[tokio::test]
async fn a_variable_is_taken_whole_and_its_value_is_never_shown() {
    let world = World::new(&with_secret("${CANARY}"));
    let delivery = world.first().await;
    assert!(
        serves(&delivery, "openai") && delivery.findings.is_empty(),
        "{:?}",
        delivery.findings
    );
    let shown = format!("{delivery:?}{}", describe(&delivery, "127.0.0.1:8080".parse().unwrap()));
    assert!(!shown.contains("canary"), "{shown}");
}

#[tokio::test]
async fn a_variable_that_is_not_set_is_named_and_leaves_out_what_needs_it() {
    let delivery = World::new(&with_secret("${NEVER_SET}")).first().await;
    assert!(!serves(&delivery, "openai") && serves(&delivery, "echo"));
    let finding = &delivery.findings[0];
    assert!(
        finding.severity == Severity::Error && finding.message.contains("NEVER_SET"),
        "{finding}"
    );
}

#[tokio::test]
async fn no_secret_shows_in_a_delivery_of_a_wrong_folder() {
    for wrong in ["${CANARY}\n  k: canary", "'canary", "!canary x", "canary\n oops"] {
        let world = World::new(&with_secret(wrong));
        let error = world.start().await.err().expect("refused");
        let shown = format!("{error} {:?} {}", error.findings, render(&error.findings, Style::Plain));
        assert!(!shown.contains("canary"), "{shown}");
    }
}

#[tokio::test]
async fn a_generated_key_is_shown_once_kept_privately_and_found_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new(&(provider("one") + GENERATED));
    let first = world.first().await;
    let caller = |delivery: &Delivery| delivery.snapshot.callers[&ObjectName::new("default", "demo")].clone();
    let announced = world.announced.lock().unwrap().clone();
    assert!(
        announced.len() == 1 && announced[0].starts_with("virtual key default/demo: vk-"),
        "{announced:?}"
    );
    let token = announced[0].split([':', '#']).nth(1).unwrap().trim();
    assert_eq!(
        caller(&first).keys[0].digest,
        first.sealing_key.digester().of_token(token.as_bytes())
    );
    assert!(!format!("{first:?}{}", describe(&first, "127.0.0.1:1".parse().unwrap())).contains(token));

    let state = world.state.path().join("headgate");
    let files: Vec<_> = fs::read_dir(&state)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(!files.is_empty());
    for file in files {
        assert_eq!(
            file.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{}",
            file.display()
        );
    }

    let again = world.first().await;
    assert_eq!(caller(&again).fingerprint, caller(&first).fingerprint);
    assert_eq!(world.announced.lock().unwrap().len(), 1, "shown once");
}

#[tokio::test]
async fn a_raised_serial_mints_the_next_key_and_the_last_one_works_for_the_overlap() {
    let world = World::new(&(provider("one") + GENERATED));
    let first = world.first().await;
    world.save(&(provider("one") + GENERATED + "  rotation: {serial: 1, overlap: 1h}\n"));
    let second = world.first().await;
    let caller = &second.snapshot.callers[&ObjectName::new("default", "demo")];
    let before = &first.snapshot.callers[&ObjectName::new("default", "demo")];
    assert_ne!(caller.fingerprint, before.fingerprint);
    assert_eq!(
        caller.keys.iter().filter(|key| key.not_after.is_some()).count(),
        1,
        "{caller:?}"
    );
    assert_eq!((caller.keys.len(), world.announced.lock().unwrap().len()), (2, 2));
}

#[tokio::test]
async fn a_generated_key_needs_a_place_outside_the_folder() {
    let world = World::new(&(provider("one") + GENERATED));
    for (state, says) in [
        (None, "--state-dir"),
        (Some(world.folder.path().join("state")), "lies within the manifests"),
    ] {
        let folder = Folder::new(
            world.folder.path().to_owned(),
            state,
            Arc::new(|_| None),
            Arc::new(|_| {}),
        )
        .unwrap();
        let error = Source::manifests(folder).await.err().expect("refused");
        assert!(error.findings[0].message.contains(says), "{:?}", error.findings);
    }
}

#[tokio::test]
async fn the_sealing_key_is_kept_where_objects_may_be_stored_and_nowhere_else() {
    let plain = provider("a");
    let stores = plain.replace("type: Echo", "type: OpenAI\n  storedObjects: Allow");
    let world = World::new(&plain);
    let key_id = |delivery: &Delivery| delivery.sealing_key.id().to_owned();
    assert_ne!(key_id(&*world.first().await), key_id(&*world.first().await));
    assert!(!world.state.path().join("headgate").exists());
    world.save(&stores);
    let kept = key_id(&*world.first().await);
    assert_eq!(kept, key_id(&*world.first().await), "another process has the same");

    let source = world.start().await.unwrap();
    let mut deliveries = source.deliveries();
    tokio::spawn(source.keep_current());
    world.save(&plain);
    until(&mut deliveries, |delivery| key_id(delivery) != kept).await;
    world.save(&stores);
    until(&mut deliveries, |delivery| key_id(delivery) == kept).await;

    let environment: Environment = Arc::new(|_| None);
    let folder = Folder::new(world.folder.path().to_owned(), None, environment, Arc::new(|_| ()));
    let refused = Source::manifests(folder.unwrap()).await.err().unwrap();
    let found = render(&refused.findings, Style::Plain);
    assert!(
        found.contains("storedObjects: Allow") && found.contains("--state-dir"),
        "{found}"
    );
}

#[tokio::test]
async fn an_existing_secret_is_never_taken_for_a_generated_key() {
    let secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: demo-key}\nstringData: {key: canary-0123456789-0123456789-0123456789}\n";
    let delivery = World::new(&(provider("one") + GENERATED + secret)).first().await;
    assert!(
        delivery.findings[0].message.contains("was not created for this key"),
        "{:?}",
        delivery.findings
    );
    assert!(delivery.snapshot.callers.values().all(|caller| caller.keys.is_empty()));
}

#[tokio::test]
async fn the_banner_says_what_is_served_and_what_to_try() {
    let delivery = World::new(&(provider("one") + GENERATED)).first().await;
    let banner = describe(&delivery, "0.0.0.0:8080".parse().unwrap());
    let fingerprint = &delivery.snapshot.callers[&ObjectName::new("default", "demo")].fingerprint;
    for part in [
        "echo (namespace default)",
        "default/demo",
        fingerprint,
        "findings  none",
        "curl http://127.0.0.1:8080/v1/chat/completions",
    ] {
        assert!(banner.contains(part), "{part} in {banner}");
    }
}
