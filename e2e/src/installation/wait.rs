//! `kubectl wait`, as functions: until an object is there, gone, or says what it should; until many do. Every wait has an
//! end, and tells what it saw instead.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use futures_util::StreamExt as _;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

use super::{Objects, POLL_EVERY};

/// A condition to wait for.
#[derive(Clone, Copy, Debug)]
pub struct Condition<'a> {
    /// `Accepted`, `Programmed`, …
    pub kind: &'a str,
    /// `True`, `False`, `Unknown`.
    pub status: &'a str,
    /// Empty: whatever.
    pub reason: &'a str,
}

impl fmt::Display for Condition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={} {}", self.kind, self.status, self.reason)
    }
}

/// The condition of that type, of the object's present generation. One that speaks of an older generation is none.
pub fn condition_of(object: &DynamicObject, kind: &str) -> Option<Value> {
    let conditions = object.data["status"]["conditions"].as_array()?;
    let found = conditions.iter().find(|condition| condition["type"] == kind)?;
    let is_present = found["observedGeneration"].as_i64() == object.metadata.generation;
    is_present.then(|| found.clone())
}

impl Objects {
    /// Waits until the object is there and satisfies `wanted`; after `within` the error is the object as it then was.
    pub async fn wait_for(
        &self,
        object: &str,
        within: Duration,
        wanted: impl Fn(&DynamicObject) -> bool,
    ) -> Result<DynamicObject, String> {
        let (api, name) = self.place(object);
        let deadline = Instant::now() + within;
        loop {
            let last = match api.get_opt(name).await {
                Ok(Some(now)) if wanted(&now) => return Ok(now),
                Ok(Some(now)) => serde_json::to_string(&now.data).expect("objects are JSON"),
                Ok(None) => "absent".to_owned(),
                // The API server may be on its way back.
                Err(error) => error.to_string(),
            };
            if Instant::now() > deadline {
                return Err(last);
            }
            sleep(POLL_EVERY).await;
        }
    }

    /// Waits until the object is gone.
    pub async fn wait_until_gone(&self, object: &str, within: Duration) {
        let (api, name) = self.place(object);
        let deadline = Instant::now() + within;
        while api.get_opt(name).await.ok() != Some(None) {
            assert!(Instant::now() < deadline, "{object} is still there");
            sleep(POLL_EVERY).await;
        }
    }

    /// Waits for a condition about the object's present generation. Panics with the status that it has instead.
    pub async fn wait_for_condition(&self, object: &str, wanted: Condition<'_>, within: Duration) -> DynamicObject {
        let is_met = |now: &DynamicObject| {
            condition_of(now, wanted.kind).is_some_and(|found| {
                found["status"] == wanted.status && (wanted.reason.is_empty() || found["reason"] == wanted.reason)
            })
        };
        let met = self.wait_for(object, within, is_met).await;
        met.unwrap_or_else(|last| panic!("{object} does not become {wanted} within {within:?}: {last}"))
    }

    /// Waits until exactly `count` objects of a kind in a namespace are as wanted; the error is how many are. Told by a
    /// watch, since a list of ten thousand every second would be most of the load.
    pub async fn wait_for_many(
        &self,
        kind: &str,
        namespace: &str,
        count: usize,
        within: Duration,
        wanted: impl Fn(&DynamicObject) -> bool,
    ) -> Result<(), usize> {
        let mut met = BTreeSet::new();
        let mut events = Box::pin(watcher(self.api(kind, namespace), watcher::Config::default()).default_backoff());
        let deadline = Instant::now() + within;
        while let Ok(Some(event)) = timeout_at(deadline, events.next()).await {
            match event {
                Ok(Event::Init) => met.clear(),
                Ok(Event::Apply(object) | Event::InitApply(object)) => {
                    let name = object.name_any();
                    let _ = if wanted(&object) {
                        met.insert(name)
                    } else {
                        met.remove(&name)
                    };
                }
                Ok(Event::Delete(object)) => drop(met.remove(&object.name_any())),
                // The list is whole, or the API server is away for a moment.
                Ok(Event::InitDone) | Err(_) => {}
            }
            if met.len() == count {
                return Ok(());
            }
        }
        Err(met.len())
    }

    /// Waits for an event about an object, (reason, note); the error holds those that there are.
    pub async fn wait_for_event(
        &self,
        object: &str,
        within: Duration,
        wanted: impl Fn(&(String, String)) -> bool,
    ) -> Result<(String, String), String> {
        let deadline = Instant::now() + within;
        loop {
            let events = self.events(object).await;
            if let Some(found) = events.iter().find(|event| wanted(event)) {
                return Ok(found.clone());
            }
            if Instant::now() > deadline {
                return Err(format!("the events about {object} are {events:?}"));
            }
            sleep(POLL_EVERY).await;
        }
    }
}
