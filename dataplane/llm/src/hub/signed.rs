//! Signed turns: what an answer that calls tools must come back with, so that its maker goes on from its own thoughts.
//!
//! Thoughts, seals and signatures leave in members that `OpenAI`'s schema does not have. A client that keeps them hands
//! them back; one that drops what it does not know hands back bare calls. For the latter the data plane keeps a [`SignedTurn`]
//! by the id of its first call, and [`fill`] puts it into the request whose turn lacks it. Only the maker is sent it: who
//! that was, the data plane knows.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::{Answer, Choice, Delta, Event, Output, Part, Request, Role, Turn};
use crate::request::CHOICES_MAX;

/// More than the thoughts of one answer come to (some 50,000 tokens); a larger turn is not kept.
pub const SIGNED_TURN_BYTES_MAX: usize = 256 * 1024;

/// What a turn of the model's that calls tools was signed with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignedTurn {
    /// Thoughts that carry a proof, in order.
    pub thoughts: Vec<SignedThought>,
    /// All calls, in order; at least one.
    pub calls: Vec<SignedCall>,
}

/// A thought and its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignedThought {
    /// Words, and what proves them.
    Told {
        /// As they were told, which is what was signed.
        text: String,
        /// The proof.
        signature: String,
    },
    /// One that only its maker can read.
    Sealed {
        /// The sealed bytes, as text.
        data: String,
    },
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCall {
    /// The id that the client knows it by.
    pub id: String,
    /// Its own signature, where it has one.
    pub signature: Option<String>,
}

impl SignedTurn {
    /// The id by which it is found.
    pub fn id(&self) -> &str {
        self.calls.first().map_or("", |call| &call.id)
    }

    /// Bytes of its texts.
    pub fn size(&self) -> usize {
        let thoughts = self.thoughts.iter().map(|thought| match thought {
            SignedThought::Told { text, signature } => text.len() + signature.len(),
            SignedThought::Sealed { data } => data.len(),
        });
        let calls = self
            .calls
            .iter()
            .map(|call| call.id.len() + call.signature.as_ref().map_or(0, String::len));
        thoughts.chain(calls).sum()
    }

    /// Whether there is anything to keep it for.
    fn proves_something(&self) -> bool {
        !self.calls.is_empty() && (!self.thoughts.is_empty() || self.calls.iter().any(|call| call.signature.is_some()))
    }
}

/// Finds signed turns of the planned backend that the caller was given before.
pub trait SignedTurns: fmt::Debug + Sync {
    /// By the id of its first call.
    fn find(&self, call_id: &str) -> Option<Arc<SignedTurn>>;
}

/// Puts into the turns of a request what they were signed with and came back without. A turn with any proof left is the
/// client's own business.
pub fn fill(request: &mut Request<'_>, signed: &dyn SignedTurns) {
    let turns = request.turns.iter_mut().filter(|turn| turn.role == Role::Assistant);
    for turn in turns.filter(|turn| !turn.parts.iter().any(is_proof)) {
        let mut ids = turn.parts.iter().filter_map(|part| match part {
            Part::ToolCall { id, .. } => Some(id.as_ref()),
            _ => None,
        });
        if let Some(found) = ids.find_map(|id| signed.find(id)) {
            fill_turn(turn, &found);
        }
    }
}

fn is_proof(part: &Part<'_>) -> bool {
    match part {
        Part::Reasoning { signature, .. } | Part::ToolCall { signature, .. } => {
            signature.as_ref().is_some_and(|signature| !signature.is_empty())
        }
        Part::RedactedReasoning { data } => !data.is_empty(),
        _ => false,
    }
}

/// The thoughts stand first, as they did. What the client kept of their words goes: it would say them twice.
fn fill_turn(turn: &mut Turn<'_>, signed: &SignedTurn) {
    turn.parts
        .retain(|part| !matches!(part, Part::Reasoning { .. } | Part::RedactedReasoning { .. }));
    for part in &mut turn.parts {
        if let Part::ToolCall { id, signature, .. } = part {
            let call = signed.calls.iter().find(|call| call.id == *id);
            *signature = call.and_then(|call| call.signature.clone()).map(Cow::Owned);
        }
    }
    let thoughts = signed.thoughts.iter().cloned().map(|thought| match thought {
        SignedThought::Told { text, signature } => Part::Reasoning {
            text: text.into(),
            signature: Some(signature.into()),
        },
        SignedThought::Sealed { data } => Part::RedactedReasoning { data: data.into() },
    });
    turn.parts.splice(0..0, thoughts);
}

/// The signed turns of a whole answer.
pub fn of_answer(answer: &Answer) -> Vec<SignedTurn> {
    answer.choices.iter().filter_map(of_choice).collect()
}

fn of_choice(choice: &Choice) -> Option<SignedTurn> {
    let mut turn = SignedTurn::default();
    for output in &choice.output {
        match output {
            Output::Reasoning {
                text,
                signature: Some(signature),
            } => turn.thoughts.push(SignedThought::Told {
                text: text.clone(),
                signature: signature.clone(),
            }),
            Output::RedactedReasoning { data } => turn.thoughts.push(SignedThought::Sealed { data: data.clone() }),
            Output::ToolCall { id, signature, .. } => turn.calls.push(SignedCall {
                id: id.clone(),
                signature: signature.clone(),
            }),
            _ => {}
        }
    }
    (turn.proves_something() && turn.size() <= SIGNED_TURN_BYTES_MAX).then_some(turn)
}

/// Gathers the signed turns of a stream from its events.
#[derive(Debug, Default)]
pub struct Gatherer {
    choices: Vec<Gathered>,
    /// Those of choices that have finished.
    pub done: Vec<SignedTurn>,
}

#[derive(Debug)]
struct Gathered {
    choice: u32,
    turn: SignedTurn,
    /// The words of the thought that grows.
    text: String,
    size: usize, // of all that was kept; above the bound nothing is
}

impl Gatherer {
    /// Takes the next event.
    pub fn see(&mut self, event: &Event) {
        match event {
            Event::Delta { choice, delta } if *choice < CHOICES_MAX => self.grow(*choice, delta),
            Event::Finish { choice, .. } => {
                let Some(place) = self.choices.iter().position(|gathered| gathered.choice == *choice) else {
                    return;
                };
                let gathered = self.choices.swap_remove(place);
                if gathered.turn.proves_something() && gathered.size <= SIGNED_TURN_BYTES_MAX {
                    self.done.push(gathered.turn);
                }
            }
            Event::Start { .. } | Event::Delta { .. } | Event::Usage(_) | Event::End => {}
        }
    }

    fn grow(&mut self, choice: u32, delta: &Delta) {
        let gathered = self.gathered(choice);
        match delta {
            Delta::Reasoning(text) => gathered.keep(text.len(), |gathered| gathered.text.push_str(text)),
            Delta::ReasoningSignature(signature) if !signature.is_empty() => {
                gathered.keep(signature.len(), |gathered| {
                    let thought = SignedThought::Told {
                        text: std::mem::take(&mut gathered.text),
                        signature: signature.clone(),
                    };
                    gathered.turn.thoughts.push(thought);
                });
            }
            Delta::RedactedReasoning(data) if !data.is_empty() => gathered.keep(data.len(), |gathered| {
                gathered
                    .turn
                    .thoughts
                    .push(SignedThought::Sealed { data: data.clone() });
            }),
            Delta::ToolCallStart { id, signature, .. } => {
                gathered.text.clear(); // a thought without a proof
                let size = id.len() + signature.as_ref().map_or(0, String::len);
                gathered.keep(size, |gathered| {
                    let (id, signature) = (id.clone(), signature.clone());
                    gathered.turn.calls.push(SignedCall { id, signature });
                });
            }
            Delta::Text(_) => gathered.text.clear(),
            _ => {}
        }
    }

    fn gathered(&mut self, choice: u32) -> &mut Gathered {
        let place = self.choices.iter().position(|gathered| gathered.choice == choice);
        let place = place.unwrap_or_else(|| {
            self.choices.push(Gathered {
                choice,
                turn: SignedTurn::default(),
                text: String::new(),
                size: 0,
            });
            self.choices.len() - 1
        });
        &mut self.choices[place]
    }
}

impl Gathered {
    fn keep(&mut self, size: usize, keep: impl FnOnce(&mut Self)) {
        self.size = self.size.saturating_add(size);
        if self.size > SIGNED_TURN_BYTES_MAX {
            self.turn = SignedTurn::default();
            self.text = String::new();
        } else {
            keep(self);
        }
    }
}
