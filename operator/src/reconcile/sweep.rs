//! Which shards there are, which of them nobody names any more, and when they go. Kept in memory and counted anew by each
//! leader, so that an idle cluster sees no write for it.
//!
//! A shard stays for a grace time after the last pointer that named it: a reader that has just read that pointer is about
//! to get it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use headgate_snapshot::delivery::{Class, Pointer, ShardRef, label};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{DeleteParams, ListParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::ReconcileError;
use super::apply::Writer;
use crate::args::Config;
use crate::world::DataPlane;

/// On a shard: the format that it is stored in. The name tells only the text.
pub(crate) const FORMAT_LABEL: &str = "headgate.dev/format";
/// How long the Lease of a data plane stays after it expired: it still tells the sequence that was served.
const LEASE_GRACE: Duration = Duration::from_secs(3_600);
/// Objects a page of a list.
const PAGE: u32 = 500;

/// The shards of the installation.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    shards: BTreeMap<(Class, String), Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// `None`: it does not say.
    format: Option<u32>,
    /// Since when no pointer names it; `None`: one does.
    unnamed_since: Option<Timestamp>,
}

impl Shelf {
    /// Lists what is there, by metadata.
    pub(crate) async fn list(client: &Client, config: &Config) -> Result<Self, ReconcileError> {
        let mut shelf = Self::default();
        let selector = format!("{}={}", label::INSTALLATION, config.installation);
        list::<ConfigMap>(client, config, &selector, Class::Public, &mut shelf).await?;
        list::<Secret>(client, config, &selector, Class::Secret, &mut shelf).await?;
        Ok(shelf)
    }

    /// Whether a shard is there in that format.
    pub(crate) fn holds(&self, reference: &ShardRef, format: u32) -> bool {
        let key = (reference.class, reference.object_name());
        self.shards.get(&key).is_some_and(|entry| entry.format == Some(format))
    }

    /// Remembers a shard that was written.
    pub(crate) fn put(&mut self, reference: &ShardRef, format: u32) {
        let entry = Entry {
            format: Some(format),
            unnamed_since: None,
        };
        self.shards.insert((reference.class, reference.object_name()), entry);
    }

    /// Counts the grace of everything that `pointer` does not name, and ends it for what it does.
    pub(crate) fn count(&mut self, pointer: &Pointer, now: Timestamp) {
        let generations = std::iter::once(&pointer.head).chain(&pointer.previous);
        let references = generations.flat_map(|generation| &generation.shards);
        let named: BTreeSet<_> = references
            .map(|reference| (reference.class, reference.object_name()))
            .collect();
        for (key, entry) in &mut self.shards {
            if named.contains(key) {
                entry.unnamed_since = None;
            } else {
                entry.unnamed_since.get_or_insert(now);
            }
        }
    }

    /// Shards whose grace is over.
    fn due(&self, grace: Duration, now: Timestamp) -> Vec<(Class, String)> {
        let is_due = |entry: &Entry| end_of(entry, grace).is_some_and(|end| end <= now);
        let due = self.shards.iter().filter(|(_, entry)| is_due(entry));
        due.map(|(key, _)| key.clone()).collect()
    }

    /// When the next grace ends.
    pub(crate) fn next_due(&self, grace: Duration) -> Option<Timestamp> {
        self.shards.values().filter_map(|entry| end_of(entry, grace)).min()
    }
}

fn end_of(entry: &Entry, grace: Duration) -> Option<Timestamp> {
    entry
        .unnamed_since
        .map(|since| since.saturating_add(grace).unwrap_or(Timestamp::MAX))
}

async fn list<K>(
    client: &Client,
    config: &Config,
    selector: &str,
    class: Class,
    shelf: &mut Shelf,
) -> Result<(), ReconcileError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let api: Api<K> = Api::namespaced(client.clone(), &config.snapshot_namespace);
    let selector = format!("{selector},{}={}", label::SHARD, class.as_str());
    let mut parameters = ListParams::default().labels(&selector).limit(PAGE);
    loop {
        let page = api.list_metadata(&parameters).await;
        let page = page.map_err(ReconcileError::kube("list the shards"))?;
        for object in &page.items {
            let entry = Entry {
                format: object.labels().get(FORMAT_LABEL).and_then(|format| format.parse().ok()),
                unnamed_since: None,
            };
            shelf.shards.insert((class, object.name_any()), entry);
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters.continue_token = Some(token),
            None => return Ok(()),
        }
    }
}

/// Deletes shards whose grace is over.
pub(crate) async fn shards(writer: &Writer<'_>, shelf: &mut Shelf, now: Timestamp) -> Result<(), ReconcileError> {
    for (class, name) in shelf.due(writer.config.shard_grace, now) {
        match class {
            Class::Public => delete::<ConfigMap>(writer, &name).await?,
            Class::Secret => delete::<Secret>(writer, &name).await?,
        }
        shelf.shards.remove(&(class, name));
    }
    Ok(())
}

/// Deletes the Leases of data planes that are gone for long.
pub(crate) async fn leases(
    writer: &Writer<'_>,
    data_planes: &[DataPlane],
    now: Timestamp,
) -> Result<(), ReconcileError> {
    for data_plane in data_planes {
        if end_of_lease(data_plane).is_some_and(|end| end <= now) {
            delete::<Lease>(writer, &data_plane.name).await?;
        }
    }
    Ok(())
}

/// When the next Lease is to be deleted.
pub(crate) fn next_lease_due(data_planes: &[DataPlane]) -> Option<Timestamp> {
    data_planes.iter().filter_map(end_of_lease).min()
}

/// A Lease whose pod is still there is the pod's business.
fn end_of_lease(data_plane: &DataPlane) -> Option<Timestamp> {
    let lease = data_plane.lease.as_ref().filter(|_| data_plane.pod.is_none())?;
    Some(lease.expires_at().saturating_add(LEASE_GRACE).unwrap_or(Timestamp::MAX))
}

async fn delete<K>(writer: &Writer<'_>, name: &str) -> Result<(), ReconcileError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
{
    writer.lead()?;
    let api: Api<K> = Api::namespaced(writer.client.clone(), &writer.config.snapshot_namespace);
    match api.delete(name, &DeleteParams::default()).await {
        Ok(_) => {
            tracing::debug!(kind = %K::kind(&()), name, "deleted what nobody needs any more");
            Ok(())
        }
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(ReconcileError::kube("delete what nobody needs any more")(error)),
    }
}

#[cfg(test)]
mod tests {
    use headgate_snapshot::delivery::{Digest, Generation, Layout, Removed};

    use super::*;

    fn reference(byte: u8) -> ShardRef {
        ShardRef {
            class: Class::Public,
            digest: Digest([byte; 32]),
            bytes: 1,
            records: 1,
        }
    }

    fn generation(shards: &[u8]) -> Generation {
        Generation {
            sequence: 1,
            format: 2,
            root: Digest([0; 32]),
            key_id: String::new(),
            layout: Layout::default(),
            shards: shards.iter().copied().map(reference).collect(),
        }
    }

    fn pointer(head: &[u8], previous: &[u8]) -> Pointer {
        Pointer {
            installation: String::new(),
            head: generation(head),
            previous: Some(generation(previous)),
            removed: Removed::default(),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    const GRACE: Duration = Duration::from_secs(600);

    fn names(due: Vec<(Class, String)>) -> Vec<String> {
        due.into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn a_shard_goes_after_its_grace_and_neither_head_nor_previous_ever_goes() {
        let mut shelf = Shelf::default();
        for byte in [1, 2, 3] {
            shelf.put(&reference(byte), 2);
        }
        shelf.count(&pointer(&[1], &[2]), at(0));
        assert!(shelf.due(GRACE, at(599)).is_empty());
        shelf.count(&pointer(&[1], &[2]), at(300));
        assert_eq!(shelf.next_due(GRACE), Some(at(600)), "counted once");
        assert_eq!(names(shelf.due(GRACE, at(600))), [reference(3).object_name()]);
    }

    #[test]
    fn a_shard_that_is_named_again_starts_over() {
        let mut shelf = Shelf::default();
        shelf.put(&reference(3), 2);
        shelf.count(&pointer(&[1], &[2]), at(0));
        shelf.count(&pointer(&[3], &[1]), at(300));
        assert_eq!(shelf.next_due(GRACE), None);
        shelf.count(&pointer(&[1], &[1]), at(500));
        assert_eq!(shelf.next_due(GRACE), Some(at(1_100)));
    }

    #[test]
    fn a_shard_in_another_format_is_not_the_one_that_is_needed() {
        let mut shelf = Shelf::default();
        shelf.put(&reference(1), 1);
        assert!(shelf.holds(&reference(1), 1) && !shelf.holds(&reference(1), 2) && !shelf.holds(&reference(2), 1));
    }
}
