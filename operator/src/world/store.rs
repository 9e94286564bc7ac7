//! What was seen of one kind, kept by name, and whether a change of it matters.
//!
//! A deletion and an object that cannot be read are the same here: it is not there. A new list replaces everything of its
//! scope, so that what was deleted while a watch was broken goes as well.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use headgate_snapshot::ObjectName;

/// What a watch tells.
#[derive(Debug)]
pub(super) enum Update<V> {
    /// All that there is in the scope of the watch.
    Whole(BTreeMap<ObjectName, V>),
    /// One object; `None`: it is gone.
    One(ObjectName, Option<V>),
}

/// Everything of one kind, from however many watches.
pub(super) struct Store<V> {
    objects: Mutex<BTreeMap<ObjectName, V>>,
}

impl<V> Store<V> {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self {
            objects: Mutex::new(BTreeMap::new()),
        }
    }

    /// To read it; never held over an await.
    pub(super) fn objects(&self) -> MutexGuard<'_, BTreeMap<ObjectName, V>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an update in. `scope` is the namespace that a whole list speaks for (`None`: all). Returns whether the pair
    /// of old and new matters for any of the objects; all are taken in, whether they matter or not.
    pub(super) fn absorb(
        &self,
        scope: Option<&str>,
        update: Update<V>,
        matters: impl Fn(&ObjectName, Option<&V>, Option<&V>) -> bool,
    ) -> bool {
        let mut objects = self.objects();
        match update {
            Update::One(name, value) => {
                let does_matter = matters(&name, objects.get(&name), value.as_ref());
                match value {
                    Some(value) => objects.insert(name, value),
                    None => objects.remove(&name),
                };
                does_matter
            }
            Update::Whole(mut listed) => {
                let is_in_scope = |name: &ObjectName| scope.is_none_or(|scope| name.namespace == scope);
                let known = objects.keys().filter(|name| is_in_scope(name));
                let names: BTreeSet<&ObjectName> = known.chain(listed.keys()).collect();
                let does_matter = names
                    .iter()
                    .any(|name| matters(name, objects.get(name), listed.get(name)));
                objects.retain(|name, _| !is_in_scope(name));
                objects.append(&mut listed);
                does_matter
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ObjectName {
        text.parse().unwrap()
    }

    fn list(entries: &[(&str, u32)]) -> Update<u32> {
        Update::Whole(entries.iter().map(|(text, value)| (name(text), *value)).collect())
    }

    fn differs(_: &ObjectName, old: Option<&u32>, new: Option<&u32>) -> bool {
        old != new
    }

    #[test]
    fn a_list_replaces_its_scope_and_nothing_else() {
        let store = Store::new();
        assert!(store.absorb(Some("a"), list(&[("a/x", 1), ("a/y", 2)]), differs));
        assert!(store.absorb(Some("b"), list(&[("b/x", 3)]), differs));
        assert!(
            store.absorb(Some("a"), list(&[("a/y", 2)]), differs),
            "a/x was deleted unseen"
        );
        let names: Vec<String> = store.objects().keys().map(ToString::to_string).collect();
        assert_eq!(names, ["a/y", "b/x"]);
        assert!(store.absorb(None, list(&[]), differs));
        assert!(store.objects().is_empty());
    }

    #[test]
    fn the_same_list_again_does_not_matter() {
        let store = Store::new();
        store.absorb(None, list(&[("a/x", 1)]), differs);
        assert!(!store.absorb(None, list(&[("a/x", 1)]), differs));
    }

    #[test]
    fn what_does_not_matter_is_kept_all_the_same() {
        let store = Store::new();
        store.absorb(None, list(&[("a/x", 1)]), differs);
        assert!(!store.absorb(None, Update::One(name("a/x"), Some(2)), |_, _, _| false));
        assert_eq!(store.objects()[&name("a/x")], 2);
        assert!(store.absorb(None, Update::One(name("a/x"), None), differs));
        assert!(store.objects().is_empty());
        assert!(
            !store.absorb(None, Update::One(name("a/x"), None), differs),
            "gone already"
        );
    }
}
