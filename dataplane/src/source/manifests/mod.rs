//! A folder of manifests as a source: read, admitted, compiled, served, watched.
//!
//! The steps of [`Folder::load`] are the ones of a cluster: the API server's (`yaml`, `admission`), then the operator's
//! (`minted`, `compile`), so that a folder and a cluster come to the same snapshot. Two kinds of wrong are kept apart. What
//! an API server would refuse refuses the load, and what was served before goes on being served: half a commit is nobody's
//! intent. What it would accept is judged object by object, and a wrong one is left out.
//!
//! A served folder that is suddenly empty or gone is refused, too: it is far more often a checkout or a copy under way than
//! the wish to revoke every key. An empty folder at the start is served as it is.

mod admission;
mod field;
mod file;
mod folder;
mod minted;
mod seal;
mod secret;
mod watch;
mod yaml;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use headgate_compile::{Compiled, Options, Resources, Secret, SecretValue, compile};
use headgate_crds::llm_provider::StoredObjects;
use headgate_crds::{Duration, Kind, Object as Typed, VirtualKey};
use headgate_snapshot::{ObjectName, SealingKey, Snapshot};
use serde_json::Value;

use self::admission::{Admitted, Object, Role};
use self::file::SourceFile;
use self::minted::{KeyFile, Keys, StateError, Wanted};
use self::secret::Variables;
use super::{Announce, Delivery, Environment, StartError};
use crate::diagnostic::{Report, Severity, Subject};

pub(super) use self::minted::mint;
pub use self::watch::Watching;
pub(super) use self::watch::start;

/// The entry of a generated Secret that holds the token, and the one that holds the token before it: `VirtualKey`'s own
/// words.
const KEY_ENTRY: &str = "key";
const PREVIOUS_KEY_ENTRY: &str = "previousKey";

/// A folder to be served.
pub struct Folder {
    dir: PathBuf,
    state_dir: Option<PathBuf>,
    environment: Environment,
    announce: Announce,
    /// Made at start, for folders whose key need not outlive the process.
    sealing_key: Arc<SealingKey>,
    /// That of a folder whose key must, once it is read.
    kept_sealing_key: OnceLock<Arc<SealingKey>>,
}

impl Folder {
    /// The folder at `dir`. `state_dir` is where keys are kept, if there is such a place; `announce` shows a generated key
    /// to the person at the terminal, once.
    pub fn new(
        dir: PathBuf,
        state_dir: Option<PathBuf>,
        environment: Environment,
        announce: Announce,
    ) -> Result<Self, StartError> {
        Ok(Self {
            dir,
            state_dir,
            environment,
            announce,
            sealing_key: Arc::new(fresh_sealing_key()?),
            kept_sealing_key: OnceLock::new(),
        })
    }

    /// Reads and compiles the folder. `None`: its contents are still those of `before`.
    fn load(&self, before: Before, now_s: i64) -> Option<Loaded> {
        let contents = match folder::read(&self.dir) {
            Ok(contents) if Some(contents.fingerprint) == before.fingerprint => return None,
            Ok(contents) if before.has_objects && is_blank(&contents.files) => {
                return Some(Loaded::refused(vec![self.emptied("empty")], Some(contents.fingerprint)));
            }
            Ok(contents) => contents,
            Err(_) if before.has_objects && !self.dir.exists() => {
                return Some(Loaded::refused(vec![self.emptied("gone")], None));
            }
            // The next look may find the file readable though no content changed.
            Err(error) => return Some(Loaded::refused(vec![unreadable(&error)], None)),
        };
        let fingerprint = Some(contents.fingerprint);
        let mut files = contents.files;
        let admitted = admission::admit(&mut files);
        if admitted.is_refused() {
            return Some(Loaded::refused(admitted.reports, fingerprint));
        }
        let variables = Variables::Environment(Arc::clone(&self.environment));
        let mut resources = resources(&admitted, &variables);
        let provided = self.provide_keys(&mut resources, now_s);
        let sealing_key = match provided.and_then(|()| self.sealing_key_of(&resources)) {
            Ok(sealing_key) => sealing_key,
            Err(error) => {
                let report = Report::new(Severity::Error, "StateUnusable", error.to_string());
                return Some(Loaded::refused(vec![report], None));
            }
        };
        Some(Loaded::compiled(&resources, sealing_key, admitted, &files, fingerprint))
    }

    /// The key that these objects are sealed with.
    fn sealing_key_of(&self, resources: &Resources) -> Result<Arc<SealingKey>, StateError> {
        let mut providers = resources.providers.iter();
        if !providers.any(|provider| provider.spec.stored_objects == StoredObjects::Allow) {
            return Ok(Arc::clone(&self.sealing_key));
        }
        if let Some(kept) = self.kept_sealing_key.get() {
            return Ok(Arc::clone(kept));
        }
        let state_dir = self.state_dir.as_deref().ok_or(StateError::NoPlaceForSeal)?;
        let kept = seal::kept(state_dir, &self.dir)?;
        Ok(Arc::clone(self.kept_sealing_key.get_or_init(|| kept)))
    }

    /// Says that the folder has nothing any more. `what`: in which way.
    fn emptied(&self, what: &str) -> Report {
        let message = format!(
            "the folder `{}` is {what}; the last good state stays in force; put its manifests back, or restart to serve \
             without them",
            self.dir.display()
        );
        Report::new(Severity::Error, "FolderEmpty", message)
    }

    /// Puts generated keys where the operator would: into a Secret that the key owns. A Secret of that name which is in
    /// the folder stays as it is, and `compile` refuses to read it.
    fn provide_keys(&self, resources: &mut Resources, now_s: i64) -> Result<(), StateError> {
        let wanted: Vec<_> = resources.keys.iter().filter_map(|key| wanted(key)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let state_dir = self.state_dir.as_deref().ok_or(StateError::NoPlace)?;
        let file = KeyFile::of(state_dir, &self.dir)?;
        let wishes: Vec<_> = wanted.iter().map(|(_, _, want)| want.clone()).collect();
        let Keys { by_id, fresh } = file.provide(&self.dir, &wishes, now_s)?;
        for (owner, secret, want) in wanted {
            let minted = &by_id[&want.id];
            resources
                .secrets
                .entry(secret)
                .or_insert_with(|| generated(owner.clone(), minted));
            if fresh.contains(&want.id) {
                (self.announce)(&format!(
                    "virtual key {owner}: {}   # shown this once, kept in {}",
                    *minted.key,
                    file.path().display()
                ));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Folder")
            .field("dir", &self.dir)
            .field("state_dir", &self.state_dir)
            .finish_non_exhaustive()
    }
}

/// What the load before found, as far as the next one depends on it. The default: there was none.
#[derive(Clone, Copy, Debug, Default)]
struct Before {
    /// Of the newest load whose outcome depends on the contents alone; `None` looks closer the next time.
    fingerprint: Option<[u8; 32]>,
    /// Whether what is served came from at least one object.
    has_objects: bool,
}

impl Before {
    /// What there is to know for the load after `loaded`.
    fn then(self, loaded: &Loaded) -> Self {
        let has_objects = match loaded.outcome {
            Outcome::Served { has_objects, .. } => has_objects,
            Outcome::Refused => self.has_objects,
        };
        Self {
            fingerprint: loaded.fingerprint,
            has_objects,
        }
    }
}

/// What came of reading a folder once.
struct Loaded {
    outcome: Outcome,
    findings: Vec<Report>,
    /// Of the contents, where the outcome depends on nothing else.
    fingerprint: Option<[u8; 32]>,
}

enum Outcome {
    Served {
        snapshot: Snapshot,
        version: String,
        sealing_key: Arc<SealingKey>,
        has_objects: bool,
    },
    Refused,
}

impl Loaded {
    fn refused(findings: Vec<Report>, fingerprint: Option<[u8; 32]>) -> Self {
        Self {
            outcome: Outcome::Refused,
            findings: sorted(findings),
            fingerprint,
        }
    }

    fn compiled(
        resources: &Resources,
        sealing_key: Arc<SealingKey>,
        admitted: Admitted,
        files: &[SourceFile],
        fingerprint: Option<[u8; 32]>,
    ) -> Self {
        let Compiled { snapshot, findings, .. } = compile(resources, &Options::default(), &sealing_key);
        let has_objects = !admitted.objects.is_empty();
        let findings = report(findings, admitted, files);
        let version = snapshot.version();
        Self {
            outcome: Outcome::Served {
                snapshot,
                version,
                sealing_key,
                has_objects,
            },
            findings,
            fingerprint,
        }
    }
}

/// What `headgate check` says about a folder.
#[derive(Debug)]
pub struct Checked {
    /// Manifest files that were read.
    pub files: usize,
    /// Objects that Headgate reads.
    pub objects: usize,
    /// What was found.
    pub findings: Vec<Report>,
}

/// The folder cannot be checked at all.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct CheckError(#[from] folder::ReadError);

/// Checks a folder as serving it would, without the environment, without minting a key, without a connection.
pub fn check(dir: &Path) -> Result<Checked, CheckError> {
    let mut files = folder::read(dir)?.files;
    let admitted = admission::admit(&mut files);
    let objects = admitted.objects.len();
    let findings = if admitted.is_refused() {
        sorted(admitted.reports)
    } else {
        let mut resources = resources(&admitted, &Variables::StandIn);
        for (owner, secret, want) in resources.keys.iter().filter_map(|key| wanted(key)).collect::<Vec<_>>() {
            let value = SecretValue::StandIn { variable: want.id };
            let entries = [(KEY_ENTRY.to_owned(), value)].into();
            let generated = Secret {
                entries,
                generated_for: Some(owner),
                serial: None,
                previous_not_after: None,
            };
            resources.secrets.entry(secret).or_insert(generated);
        }
        // Nothing is sealed for anybody: the snapshot is dropped here.
        let Compiled { findings, .. } = compile(&resources, &Options::default(), &SealingKey::new([0; 32]));
        report(findings, admitted, &files)
    };
    Ok(Checked {
        files: files.len(),
        objects,
        findings,
    })
}

/// Manifests that this program wrote itself.
pub(super) struct Generated {
    /// What stands in place of a file name.
    pub(super) name: &'static str,
    /// The manifests.
    pub(super) text: String,
}

/// Loads manifests of our own through the same steps as a folder.
pub(super) fn load_generated(generated: Generated, environment: Environment) -> Result<Delivery, StartError> {
    let sealing_key = fresh_sealing_key()?;
    let mut files = [SourceFile::new(generated.name.to_owned(), generated.text)];
    let admitted = admission::admit(&mut files);
    let refused = |findings| StartError {
        message: "the environment makes no servable manifests; please report this".to_owned(),
        findings,
    };
    if admitted.is_refused() {
        return Err(refused(admitted.reports));
    }
    let resources = resources(&admitted, &Variables::Environment(environment));
    match Loaded::compiled(&resources, Arc::new(sealing_key), admitted, &files, None) {
        Loaded {
            outcome:
                Outcome::Served {
                    snapshot,
                    version,
                    sealing_key,
                    ..
                },
            findings,
            ..
        } => Ok(Delivery {
            snapshot: Arc::new(snapshot),
            version,
            sealing_key,
            findings,
            is_kept_from_before: false,
        }),
        Loaded {
            outcome: Outcome::Refused,
            findings,
            ..
        } => Err(refused(findings)),
    }
}

fn fresh_sealing_key() -> Result<SealingKey, StartError> {
    let bytes = seal::random().map_err(|error| StartError::new(error.to_string()))?;
    Ok(SealingKey::new(*bytes))
}

/// The typed objects of admitted documents.
fn resources(admitted: &Admitted, variables: &Variables) -> Resources {
    let mut resources = Resources::default();
    for Object {
        subject,
        role,
        document,
        ..
    } in &admitted.objects
    {
        let name = ObjectName::new(&subject.namespace, &subject.name);
        match role {
            Role::Ours(kind) => match typed(*kind, &document.value) {
                Typed::LLMProvider(provider) => resources.providers.push(Arc::from(provider)),
                Typed::RoutePolicy(route) => resources.routes.push(Arc::from(route)),
                Typed::VirtualKey(key) => resources.keys.push(Arc::from(key)),
                Typed::Budget(budget) => resources.budgets.push(Arc::from(budget)),
                Typed::GuardrailPolicy(guardrail) => resources.guardrails.push(Arc::from(guardrail)),
            },
            Role::Secret => {
                let entries = secret::read(&document.value, variables).expect("admission has read this Secret");
                resources.secrets.insert(
                    name,
                    Secret {
                        entries,
                        ..Secret::default()
                    },
                );
            }
            Role::Namespace => {
                let labels = document.value.pointer("/metadata/labels").and_then(Value::as_object);
                let labels = labels.into_iter().flatten();
                let labels = labels
                    .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                    .collect();
                resources.namespace_labels.insert(subject.name.clone(), labels);
            }
        }
    }
    resources
}

fn typed(kind: Kind, value: &Value) -> Typed {
    Typed::from_value(kind, value.clone()).expect("`admit` promises that what it lets through can be read")
}

/// The key's owner, its Secret, and what to mint.
fn wanted(key: &VirtualKey) -> Option<(ObjectName, ObjectName, Wanted)> {
    let generate = key.spec.generate.as_ref()?;
    let namespace = key.metadata.namespace.as_deref()?;
    let owner = ObjectName::new(namespace, key.metadata.name.as_deref()?);
    let id = format!("{owner}/{}", generate.secret_name);
    let (serial, overlap) = key
        .spec
        .rotation
        .as_ref()
        .map_or((0, Duration::default()), |rotation| (rotation.serial, rotation.overlap));
    let overlap_s = i64::try_from(overlap.as_millis() / 1_000).unwrap_or(i64::MAX);
    Some((
        owner,
        ObjectName::new(namespace, &generate.secret_name),
        Wanted { id, serial, overlap_s },
    ))
}

fn generated(owner: ObjectName, minted: &minted::Minted) -> Secret {
    let mut entries: BTreeMap<_, _> = [(KEY_ENTRY.to_owned(), SecretValue::known(minted.key.as_bytes()))].into();
    if let Some(previous) = &minted.previous {
        entries.insert(
            PREVIOUS_KEY_ENTRY.to_owned(),
            SecretValue::known(previous.key.as_bytes()),
        );
    }
    let previous_not_after = minted.previous.as_ref().map(|previous| previous.not_after);
    Secret {
        entries,
        generated_for: Some(owner),
        serial: None,
        previous_not_after,
    }
}

/// Gives each finding of `compile` its place, and adds what admission found.
fn report(findings: Vec<headgate_compile::Finding>, admitted: Admitted, files: &[SourceFile]) -> Vec<Report> {
    let objects: BTreeMap<&Subject, &Object> = admitted
        .objects
        .iter()
        .map(|object| (&object.subject, object))
        .collect();
    let mut reports: Vec<_> = findings
        .into_iter()
        .map(|finding| {
            let severity = match finding.severity {
                headgate_compile::Severity::Error => Severity::Error,
                headgate_compile::Severity::Warning => Severity::Warning,
            };
            let subject = Subject {
                kind: finding.object.kind.to_string(),
                namespace: finding.object.namespace,
                name: finding.object.name,
            };
            let place = objects.get(&subject).map(|object| place(object, files, &finding.path));
            let reason = format!("{:?}", finding.reason);
            Report::new(severity, reason, finding.message)
                .about(subject)
                .in_field(finding.path)
                .at(place)
        })
        .collect();
    reports.extend(admitted.reports);
    sorted(reports)
}

/// Where a field stands; what is missing is shown at the nearest key around it, the whole object at its name.
fn place(object: &Object, files: &[SourceFile], path: &str) -> crate::diagnostic::Place {
    let pointer = if path.is_empty() {
        "/metadata/name".to_owned()
    } else {
        field::pointer(path)
    };
    files[object.file].place(object.document.spot(&pointer))
}

/// As one reads: file by file, line by line; what has no place comes last.
fn sorted(mut reports: Vec<Report>) -> Vec<Report> {
    reports.sort_by(|a, b| {
        let key = |report: &Report| {
            report
                .place
                .as_ref()
                .map(|place| (place.file.clone(), place.line, place.column))
        };
        (key(a).is_none(), key(a), a).cmp(&(key(b).is_none(), key(b), b))
    });
    reports.dedup();
    reports
}

/// Whether there is no manifest at all. A file that a save has just truncated is none; a comment is something.
fn is_blank(files: &[SourceFile]) -> bool {
    files.iter().all(|file| file.text.trim().is_empty())
}

fn unreadable(error: &folder::ReadError) -> Report {
    Report::new(Severity::Error, "Unreadable", error.to_string())
}
