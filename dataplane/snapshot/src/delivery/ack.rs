//! What a data plane says about itself, in an annotation of its Lease: what it serves, what it refused and why, and what it
//! could read. `Programmed` is folded from these, so they say what is true at that moment and nothing that is planned.

use serde::{Deserialize, Serialize};

use super::Digest;

/// The longest reason, in bytes: an annotation is looked at by people.
const REASON_BYTES_MAX: usize = 1_024;
/// The longest text that is read as an acknowledgement, in bytes.
const ACK_BYTES_MAX: usize = 16 * 1_024;

/// The state of one data plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ack {
    /// Whose snapshots it follows.
    pub installation: String,
    /// What it serves; absent before its first snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving: Option<Serving>,
    /// The head that it would not take, until one that it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedHead>,
    /// The highest format that it reads.
    pub format_max: u32,
    /// The sealing keys that it has, oldest first.
    pub key_ids: Vec<String>,
    /// Its version.
    pub build: String,
}

/// A generation that is being served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Serving {
    /// Its number.
    pub sequence: u64,
    /// The digest of what is really served: another one than the generation's where removed keys were left out.
    pub root: Digest,
}

/// A pointer or its snapshot that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusedHead {
    /// Its number, where the pointer could be trusted that far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// Its digest, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<Digest>,
    /// Why, one sentence.
    pub reason: String,
}

/// The annotation is no acknowledgement.
#[derive(Debug, thiserror::Error)]
pub enum AckError {
    /// It is too long.
    #[error("an acknowledgement has at most {ACK_BYTES_MAX} bytes")]
    TooLong,
    /// It is not of our form.
    #[error("the acknowledgement cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
}

impl Ack {
    /// The text of the annotation. A long reason is cut.
    pub fn to_annotation(&self) -> String {
        let mut ack = self.clone();
        if let Some(refused) = &mut ack.refused {
            let is_within = |&(start, letter): &(usize, char)| start + letter.len_utf8() <= REASON_BYTES_MAX;
            let end = refused.reason.char_indices().take_while(is_within).last();
            refused
                .reason
                .truncate(end.map_or(0, |(start, letter)| start + letter.len_utf8()));
        }
        serde_json::to_string(&ack).expect("plain data is always JSON")
    }

    /// Reads the text of an annotation. Fields of newer data planes are passed over.
    pub fn from_annotation(text: &str) -> Result<Self, AckError> {
        if text.len() > ACK_BYTES_MAX {
            return Err(AckError::TooLong);
        }
        Ok(serde_json::from_str(text)?)
    }
}
