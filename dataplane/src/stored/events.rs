//! Streams of responses that are stored: each event as the owner of the response sees it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use headgate_llm::failure::Failure;
use headgate_llm::hub::SignedTurn;
use headgate_llm::provider::{Progress, StreamDecoder};
use headgate_llm::sse::{Relay, Verdict};
use headgate_llm::stored::{Kind, Owner, response};

use super::Ids;

/// How many ids are remembered, so that not each of a thousand events about one item costs an HMAC.
const ISSUED_MAX: usize = 256;

/// Exchanges the ids in events.
pub struct OwnEvents {
    ids: Arc<Ids>,
    issued: HashMap<(Kind, String), String>,
    relay: Relay,
}

impl OwnEvents {
    /// For one stream.
    pub fn of(ids: Arc<Ids>) -> Self {
        Self {
            ids,
            issued: HashMap::new(),
            relay: Relay::default(),
        }
    }

    /// The client knows this object by this id already.
    #[must_use]
    pub fn known(mut self, kind: Kind, id: &str, text: &str) -> Self {
        self.issued.insert((kind, id.to_owned()), text.to_owned());
        self
    }

    /// Takes what arrived, however it was cut; appends whole events to `out`.
    pub fn push(&mut self, bytes: &Bytes, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        let (ids, issued) = (&self.ids, &mut self.issued);
        self.relay.push(bytes, out, |event| {
            let shown = shown(ids, issued, event)?;
            Ok(shown.map_or(Verdict::Keep, Verdict::Replace))
        })
    }

    /// The stream has ended: what is left of an event that was not closed.
    pub fn finish(&mut self) -> Result<Bytes, Failure> {
        let rest = self.relay.finish();
        Ok(shown(&self.ids, &mut self.issued, &rest)?.unwrap_or(rest))
    }
}

fn shown(ids: &Ids, issued: &mut HashMap<(Kind, String), String>, event: &[u8]) -> Result<Option<Bytes>, Failure> {
    if issued.len() > ISSUED_MAX {
        issued.clear();
    }
    let issued = RefCell::new(issued);
    let issue = |kind, id: &str| {
        let mut issued = issued.borrow_mut();
        let key = (kind, id.to_owned());
        if let Some(text) = issued.get(&key) {
            return Some(text.clone());
        }
        let text = ids.issue(kind, id)?;
        issued.insert(key, text.clone());
        Some(text)
    };
    let owner = Owner {
        issue: &issue,
        tags: &[],
    };
    response::shown_event(event, &owner)
}

/// A stream of the dialect whose ids are exchanged on the way out.
pub struct OwnStream {
    inner: Box<dyn StreamDecoder>,
    events: OwnEvents,
    passed: Vec<Bytes>, // empty between calls; kept for its memory
}

impl OwnStream {
    /// What `inner` passes on, as the owner sees it.
    pub fn of(inner: Box<dyn StreamDecoder>, ids: Arc<Ids>) -> Self {
        Self {
            inner,
            events: OwnEvents::of(ids),
            passed: Vec::new(),
        }
    }

    fn show(&mut self, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        let mut passed = self.passed.drain(..);
        passed.try_for_each(|bytes| self.events.push(&bytes, out))
    }
}

impl StreamDecoder for OwnStream {
    fn push(&mut self, bytes: Bytes, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        let pushed = self.inner.push(bytes, &mut self.passed);
        self.show(out).and(pushed)
    }

    fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        let finished = self.inner.finish(&mut self.passed);
        self.show(out).and(finished)
    }

    fn progress(&self) -> &Progress {
        self.inner.progress()
    }

    fn take_signed(&mut self) -> Vec<SignedTurn> {
        self.inner.take_signed()
    }
}
