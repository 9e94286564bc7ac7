//! Ids of stored objects, each bound to the virtual key that it was given to.
//!
//! What callers leave at a provider lies in one account that all of them share, and there are many replicas without a
//! store between them. So the id that a client gets holds the provider's own, names the LLMProvider, and carries a tag
//! over both and over its owner that only this installation can make. Whose an id is, is not in it: it is a caller's if
//! the tag is the right one for that caller. The owner is the VirtualKey by its name and not by its token, so that a
//! rotation loses nothing.
//!
//! Tags are made with the sealing key that the snapshot in force came with, which every replica is known to have, and
//! known again with every key of the ring.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use headgate_llm::stored::{Kind, Owner, TAG_LENGTH};
use headgate_snapshot::{Binder, ObjectName};

use crate::auth::Authenticated;
use crate::gateway::Gateway;
use crate::runtime::provider::PreparedProvider;

pub mod events;

/// The layout of what an id holds. Another one is another number, and ids of this one stay readable beside it.
const LAYOUT: u8 = 1;
/// What tells an id of ours from a provider's, behind the prefix.
const SIGN: &str = "hg";
/// 128 bits: nobody guesses that at a server.
const TAG_BYTES: usize = 16;
/// 96 bits, which base64 writes as [`TAG_LENGTH`] characters. It opens nothing: it tells one's own in a list.
const OWNER_TAG_BYTES: usize = TAG_LENGTH / 4 * 3;
/// The longest id of a provider; those in use have some 60 characters.
const ID_BYTES_MAX: usize = 256;
/// The longest prefix that is taken over from a provider's id.
const PREFIX_LENGTH_MAX: usize = 16;
/// Longer than any id of ours: two names of at most 253 characters, the longest of a provider's, the tag, in base64.
const TEXT_LENGTH_MAX: usize = 1_200;

/// An id as a client sends it. Everybody could have written it: [`Ids::hold`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// What it names.
    pub kind: Kind,
    /// The LLMProvider where that is.
    pub provider: ObjectName,
    /// The provider's id.
    pub id: String,
    tag: [u8; TAG_BYTES],
}

impl Claimed {
    /// Reads an id; `None`: it is none of this gateway's. There is one spelling of each.
    pub fn read(text: &str) -> Option<Self> {
        if text.len() > TEXT_LENGTH_MAX {
            return None;
        }
        let at = text.find(['-', '_'])? + 1;
        let bytes = URL_SAFE_NO_PAD.decode(text[at..].strip_prefix(SIGN)?).ok()?;
        let (rest, tag) = bytes.split_last_chunk::<TAG_BYTES>()?;
        let (&[layout, kind], rest) = rest.split_first_chunk::<2>()?;
        let kind = kind_of(kind).filter(|_| layout == LAYOUT)?;
        let (namespace, rest) = counted(rest)?;
        let (name, id) = counted(rest)?;
        let id = std::str::from_utf8(id).ok().filter(|id| can_be_held(id))?;
        let is_ours = text[..at] == *prefix(kind, id);
        is_ours.then(|| Self {
            kind,
            provider: ObjectName::new(namespace, name),
            id: id.to_owned(),
            tag: *tag,
        })
    }
}

/// The ids of one caller for what lies at one provider.
#[derive(Clone, Debug)]
pub struct Ids {
    signing: Binder,
    /// All keys of the ring that are known here.
    ring: Arc<Vec<Binder>>,
    owner: ObjectName,
    provider: ObjectName,
}

impl Ids {
    /// `None`: the provider keeps no objects.
    pub fn of(gateway: &Gateway, caller: &Authenticated, provider: &PreparedProvider) -> Option<Self> {
        Some(Self {
            signing: provider.stored_objects.clone()?,
            ring: gateway.ring.load_full(),
            owner: caller.name.clone(),
            provider: provider.name.clone(),
        })
    }

    /// Whether an id was given to this caller, for something at this provider.
    pub fn hold(&self, claimed: &Claimed) -> bool {
        let Claimed {
            kind,
            provider,
            id,
            tag,
        } = claimed;
        let parts = self.parts(*kind, id);
        *provider == self.provider && self.keys().any(|key| key.is_tag(&parts, tag))
    }

    /// The id that the caller gets for one of the provider's; `None`: it is none that could be passed on.
    pub fn issue(&self, kind: Kind, id: &str) -> Option<String> {
        if !can_be_held(id) {
            return None;
        }
        let ObjectName { namespace, name } = &self.provider;
        let mut bytes = vec![LAYOUT, byte_of(kind)];
        for part in [namespace, name] {
            bytes.push(u8::try_from(part.len()).ok()?);
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes.extend_from_slice(id.as_bytes());
        bytes.extend_from_slice(&self.signing.tag::<TAG_BYTES>(&self.parts(kind, id)));
        Some(format!("{}{SIGN}{}", prefix(kind, id), URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// What marks objects in the provider's lists as this caller's; the first is written.
    pub fn owner_tags(&self) -> Vec<String> {
        let parts = [
            "owner",
            &self.owner.namespace,
            &self.owner.name,
            &self.provider.namespace,
            &self.provider.name,
        ];
        let tag = |key: &Binder| URL_SAFE_NO_PAD.encode(key.tag::<OWNER_TAG_BYTES>(&parts));
        self.keys().map(tag).collect()
    }

    /// Lends this to what rewrites answers.
    pub fn lend<T>(&self, look: impl FnOnce(&Owner<'_>) -> T) -> T {
        let tags = self.owner_tags();
        let issue = |kind, id: &str| self.issue(kind, id);
        look(&Owner {
            issue: &issue,
            tags: &tags,
        })
    }

    fn keys(&self) -> impl Iterator<Item = &Binder> {
        std::iter::once(&self.signing).chain(self.ring.iter())
    }

    fn parts<'a>(&'a self, kind: Kind, id: &'a str) -> [&'a str; 7] {
        [
            "id",
            kind.prefix(),
            &self.owner.namespace,
            &self.owner.name,
            &self.provider.namespace,
            &self.provider.name,
            id,
        ]
    }
}

/// How an id begins: as the provider's does, if that begins with a word, so that people and programs know its kind.
fn prefix(kind: Kind, id: &str) -> Cow<'_, str> {
    let letters = id.bytes().take_while(u8::is_ascii_alphabetic).count();
    let has_word = (1..PREFIX_LENGTH_MAX).contains(&letters) && matches!(id.as_bytes().get(letters), Some(b'-' | b'_'));
    if has_word && kind != Kind::Place {
        Cow::Borrowed(&id[..=letters])
    } else {
        Cow::Borrowed(kind.prefix())
    }
}

/// Whether something can be the id of an object at a provider. It becomes a segment of a path, where dots alone would
/// mean another place.
fn can_be_held(id: &str) -> bool {
    let is_short = (1..=ID_BYTES_MAX).contains(&id.len());
    is_short && !matches!(id, "." | "..") && !id.chars().any(char::is_control)
}

fn byte_of(kind: Kind) -> u8 {
    match kind {
        Kind::File => 1,
        Kind::Batch => 2,
        Kind::Response => 3,
        Kind::Place => 4,
        Kind::Item => 5,
    }
}

fn kind_of(byte: u8) -> Option<Kind> {
    [Kind::File, Kind::Batch, Kind::Response, Kind::Place, Kind::Item]
        .into_iter()
        .find(|kind| byte_of(*kind) == byte)
}

/// A text after its length in one byte, and what follows it.
fn counted(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(length.into())?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use headgate_snapshot::SealingKey;

    use super::*;

    fn ids(key: u8, ring: &[u8], owner: &str, provider: &str) -> Ids {
        let binder = |key: u8| SealingKey::new([key; 32]).binder();
        Ids {
            signing: binder(key),
            ring: Arc::new(ring.iter().copied().map(binder).collect()),
            owner: ObjectName::new("team", owner),
            provider: ObjectName::new("ml", provider),
        }
    }

    fn anna() -> Ids {
        ids(1, &[], "anna", "openai")
    }

    fn opens(ids: &Ids, text: &str) -> bool {
        Claimed::read(text).is_some_and(|claimed| ids.hold(&claimed))
    }

    #[test]
    fn an_id_holds_the_providers_and_begins_like_it() {
        for (kind, id, prefix) in [
            (Kind::File, "file-abc", "file-hg"),
            (Kind::File, "assistant-abc", "assistant-hg"),
            (Kind::File, "0b3c-77", "file-hg"),
            (Kind::Batch, "batch_abc", "batch_hg"),
            (Kind::Response, "resp_0/ é", "resp_hg"),
            (Kind::Place, "file-abc", "place_hg"),
        ] {
            let text = anna().issue(kind, id).expect("an id");
            assert!(text.starts_with(prefix), "{text}");
            let claimed = Claimed::read(&text).expect("ours");
            assert_eq!((claimed.kind, claimed.id.as_str()), (kind, id));
            assert_eq!(claimed.provider, ObjectName::new("ml", "openai"));
            assert!(anna().hold(&claimed));
            assert!(!text.contains("anna"));
        }
    }

    #[test]
    fn an_id_is_its_owners_at_its_provider_and_of_its_kind() {
        let text = anna().issue(Kind::File, "file-abc").expect("an id");
        for other in [
            ids(1, &[], "bert", "openai"),
            ids(1, &[], "anna", "azure"),
            ids(2, &[3], "anna", "openai"),
            Ids {
                owner: ObjectName::new("tea", "manna"),
                ..anna()
            },
        ] {
            assert!(!opens(&other, &text));
        }
        let mut claimed = Claimed::read(&text).expect("ours");
        claimed.kind = Kind::Batch;
        assert!(!anna().hold(&claimed));
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let text = anna().issue(Kind::File, "file-abc").expect("an id");
        for at in 0..text.len() {
            for other in ["A", "b", "-", "_", "", "AA"] {
                let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
                assert!(changed == text || !opens(&anna(), &changed), "{changed}");
            }
        }
        for (cut, _) in text.char_indices() {
            assert!(!opens(&anna(), &text[..cut]));
        }
        for none in [
            "file-abc",
            "",
            "hg",
            "file-hg",
            "file-hgAAAA",
            &format!("file-hg{}", "A".repeat(5_000)),
        ] {
            assert_eq!(Claimed::read(none), None, "{none}");
        }
    }

    #[test]
    fn a_rotation_of_the_sealing_key_loses_nothing_while_the_old_one_is_in_the_ring() {
        let before = anna().issue(Kind::File, "file-abc").expect("an id");
        let tags_before = anna().owner_tags();
        let after = ids(2, &[1, 2], "anna", "openai");
        assert!(opens(&after, &before));
        let issued = after.issue(Kind::File, "file-abc").expect("an id");
        assert_ne!(issued, before);
        assert!(!opens(&anna(), &issued), "a replica without the new key is never asked");
        assert!(after.owner_tags().contains(&tags_before[0]));
        assert_ne!(after.owner_tags()[0], tags_before[0]);
        assert!(!opens(&ids(2, &[2], "anna", "openai"), &before));
    }

    #[test]
    fn an_owners_tag_is_the_owners_at_one_provider() {
        let tag = |ids: &Ids| ids.owner_tags().remove(0);
        assert_eq!(tag(&anna()).len(), TAG_LENGTH);
        assert_eq!(tag(&anna()), tag(&anna()));
        assert_ne!(tag(&anna()), tag(&ids(1, &[], "bert", "openai")));
        assert_ne!(tag(&anna()), tag(&ids(1, &[], "anna", "azure")));
    }

    #[test]
    fn what_no_path_can_carry_is_no_id() {
        for id in ["", ".", "..", "a\nb", &"x".repeat(ID_BYTES_MAX + 1)] {
            assert_eq!(anna().issue(Kind::File, id), None, "{id}");
        }
        let longest = Ids {
            provider: ObjectName::new("n".repeat(253), "p".repeat(253)),
            ..anna()
        };
        let text = longest.issue(Kind::File, &"x".repeat(ID_BYTES_MAX)).expect("an id");
        assert!(
            text.len() <= TEXT_LENGTH_MAX && opens(&longest, &text),
            "{}",
            text.len()
        );
    }
}
