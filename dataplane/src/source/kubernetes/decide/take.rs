//! Taking a head: judged, fetched, put in force; and putting anything in force.

use std::sync::Arc;
use std::time::Duration;

use headgate_snapshot::OLDEST_READABLE_FORMAT;
use headgate_snapshot::delivery::{Digest, Generation, Signed};
use tokio::time::{Instant, timeout_at};

use super::super::fallback::Which;
use super::super::install::{Installation, Installed, NotInstalled};
use super::super::keep::EncodedShard;
use super::super::pointer::Told;
use super::super::shards::FetchError;
use super::super::verify::{Floor, Reason, Refused, Rules, Trusted, judge};
use super::{Decider, Outcome, Own};

impl Decider {
    /// Takes the head of a pointer, if it may be taken and all of it can be had before `deadline`.
    pub(super) async fn take(&mut self, signed: &Signed, deadline: Option<Instant>) -> Outcome {
        let mut verdict = self.judge(signed);
        if matches!(&verdict, Err(refused) if refused.reason == Reason::UnknownKey) && self.ring.refresh().await {
            verdict = self.judge(signed);
        }
        let trusted = match verdict {
            Ok(trusted) => trusted,
            Err(refused) => {
                if let Some(trusted) = &refused.trusted {
                    self.learn(trusted);
                }
                return Outcome::Refused(refused);
            }
        };
        self.learn(&trusted);
        let head = &trusted.pointer.head;
        if self.is_in_force(head) {
            return Outcome::Served;
        }
        let fetching = self.shards.complete(head, &self.api);
        let fetched = match deadline {
            None => fetching.await,
            Some(deadline) => match timeout_at(deadline, fetching).await {
                Ok(fetched) => fetched,
                Err(_) => return Outcome::Away,
            },
        };
        let shards = match fetched {
            Ok(shards) => shards,
            Err(FetchError::Away(_)) => return Outcome::Away,
            Err(error @ FetchError::Missing { .. }) => return self.missing(&trusted, &error).await,
            Err(error) => {
                return Outcome::Refused(Refused::unusable(&trusted, Reason::ShardMissing, error.to_string()));
            }
        };
        match self.install(&trusted, Which::Head, shards).await {
            Ok(()) => Outcome::Served,
            Err(not) => Outcome::Refused(Refused::unusable(&trusted, not.reason, not.sentence)),
        }
    }

    /// A shard that is not there belongs to an old pointer more often than not.
    async fn missing(&self, trusted: &Arc<Trusted>, error: &FetchError) -> Outcome {
        if self.feed.read().await.is_err() {
            return Outcome::Away;
        }
        match &*self.feed.told().borrow() {
            Told::Pointer { signed, .. } if *signed == trusted.signed => {
                Outcome::Refused(Refused::unusable(trusted, Reason::ShardMissing, error.to_string()))
            }
            _ => Outcome::Superseded,
        }
    }

    /// Puts a generation in force, less what must be left out of it.
    pub(super) async fn install(
        &mut self,
        trusted: &Arc<Trusted>,
        which: Which,
        shards: Vec<EncodedShard>,
    ) -> Result<(), NotInstalled> {
        let begun = Instant::now();
        let generation = which.of(&trusted.pointer).expect("shards were fetched for it").clone();
        let refused = |reason, sentence| NotInstalled {
            reason,
            sentence,
            damaged: None,
        };
        if !(OLDEST_READABLE_FORMAT..=self.settings.format_max).contains(&generation.format) {
            let sentence = format!(
                "snapshot format {} is not one that this data plane reads",
                generation.format
            );
            return Err(refused(Reason::Format, sentence));
        }
        let key = self.ring.get().and_then(|ring| ring.get(&generation.key_id));
        let Some(key) = key.map(Arc::clone) else {
            let sentence = format!(
                "the snapshot is sealed with key `{}`, which the key ring does not hold",
                generation.key_id
            );
            return Err(refused(Reason::UnknownKey, sentence));
        };
        let own = self.own.as_ref();
        let is_own = own.and_then(Own::generation).map(Floor::of) == Some(Floor::of(&generation));
        let installation = Installation {
            trusted: Arc::clone(trusted),
            which,
            shards,
            key,
            newest: self.newest.clone(),
            in_force: own.filter(|_| is_own).and_then(|own| own.in_force),
        };
        let (gateway, keep) = (Arc::clone(&self.gateway), self.keep.clone());
        let ran = tokio::task::spawn_blocking(move || installation.run(&gateway, &keep)).await;
        let installed = ran.unwrap_or_else(|error| {
            let sentence = format!("preparing the snapshot ended unexpectedly ({error}); please report this");
            Err(refused(Reason::Unservable, sentence))
        });
        match installed {
            Ok(Installed::Already) => {}
            Ok(Installed::Now(root)) => self.in_force(trusted, which, &generation, root, begun.elapsed()),
            Err(not) => {
                if let Some(damaged) = &not.damaged {
                    self.shards.remove(damaged);
                }
                return Err(not);
            }
        }
        Ok(())
    }

    fn in_force(
        &mut self,
        trusted: &Arc<Trusted>,
        which: Which,
        generation: &Generation,
        root: Digest,
        took: Duration,
    ) {
        tracing::info!(
            sequence = generation.sequence,
            version = %root,
            is_whole = root == generation.root,
            took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "a published snapshot is in force"
        );
        if self.floor.is_none_or(|floor| floor.sequence <= generation.sequence) {
            self.floor = Some(Floor::of(generation));
        }
        self.own = Some(Own {
            trusted: Arc::clone(trusted),
            which,
            in_force: Some(root),
        });
        let newest = self.newest.as_ref().map(|newest| &newest.pointer.head);
        let needed: Vec<_> = newest.into_iter().chain([generation]).collect();
        self.shards.retain(&needed);
    }

    pub(super) fn judge(&self, signed: &Signed) -> Result<Arc<Trusted>, Refused> {
        let ring = self.ring.get().expect("the start waits for a key ring");
        let rules = Rules {
            ring,
            installation: &self.settings.installation,
            format_max: self.settings.format_max,
            floor: self.floor,
        };
        judge(signed, &rules)
    }

    /// Remembers the newest pointer that can be trusted.
    pub(super) fn learn(&mut self, trusted: &Arc<Trusted>) {
        let sequence = trusted.pointer.head.sequence;
        let is_newest = self
            .newest
            .as_ref()
            .is_none_or(|newest| newest.pointer.head.sequence <= sequence);
        if is_newest {
            self.newest = Some(Arc::clone(trusted));
        }
    }

    fn is_in_force(&self, head: &Generation) -> bool {
        self.own.as_ref().is_some_and(|own| {
            own.in_force == Some(head.root) && own.generation().map(Floor::of) == Some(Floor::of(head))
        })
    }
}
