//! What is told about how things stand: to the operator, to operations, to the log.

use std::sync::Arc;

use headgate_snapshot::delivery::Serving;

use super::super::verify::Refused;
use super::super::{ClusterStanding, RefusedStanding};
use super::Decider;
use crate::source::Standing;

impl Decider {
    /// Tells operator, operations and metrics how things stand, and the gateway which keys there are.
    pub(super) fn publish(&self) {
        let in_force = self
            .own
            .as_ref()
            .and_then(|own| Some((own.generation()?.sequence, own.in_force?)));
        let sequence = in_force.map(|(sequence, _)| sequence);
        let key_ids = self.ring.get().map(|ring| ring.ids()).unwrap_or_default();
        if let Some(ring) = self.ring.get() {
            let binders = ring.keys().iter().map(|key| key.binder()).collect();
            self.gateway.ring.store(Arc::new(binders));
        }
        self.metrics
            .sequence
            .set(i64::try_from(sequence.unwrap_or(0)).unwrap_or(i64::MAX));
        self.metrics.is_refusing.set(self.refused.is_some().into());
        self.acks.send_if_modified(|ack| {
            let before = ack.clone();
            ack.serving = in_force.map(|(sequence, root)| Serving { sequence, root });
            ack.refused = self.refused.as_ref().map(Refused::to_ack);
            ack.key_ids.clone_from(&key_ids);
            *ack != before
        });
        let standing = Standing {
            is_kept_from_before: self.refused.is_some(),
            findings: Vec::new(),
            cluster: Some(ClusterStanding {
                source: self.source(),
                sequence,
                newest_sequence: self.newest.as_ref().map(|newest| newest.pointer.head.sequence),
                refused: self.refused.as_ref().map(|refused| RefusedStanding {
                    sequence: refused.named.map(|named| named.sequence),
                    reason: refused.reason.as_str(),
                    message: refused.sentence.clone(),
                }),
                key_ids,
            }),
        };
        self.standing.send_replace(Arc::new(standing));
    }

    /// Remembers a refusal, counts it, and logs it if it is news.
    pub(super) fn refuse(&mut self, refused: Refused) {
        self.metrics.refused(refused.reason.as_str());
        let is_known = self
            .refused
            .as_ref()
            .is_some_and(|known| (known.reason, &known.sentence) == (refused.reason, &refused.sentence));
        if !is_known {
            tracing::warn!(
                sequence = refused.named.map(|named| named.sequence),
                reason = refused.reason.as_str(),
                detail = refused.sentence,
                "a published snapshot is refused; the last good one stays in force"
            );
        }
        self.refused = Some(refused);
    }
}
