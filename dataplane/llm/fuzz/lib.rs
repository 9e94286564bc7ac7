//! What the targets share: which provider and endpoint an input is for, and cutting a stream in pieces.

use headgate_llm::endpoint::Endpoint;
use headgate_llm::provider::{self, EncodeOptions, Kind, ModelApi};
use headgate_llm::service::Service;

/// A provider and an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// The provider.
    pub kind: Kind,
    /// What the client calls.
    pub endpoint: Endpoint,
    /// By which dialect the model is asked.
    pub api: ModelApi,
}

impl Pair {
    /// The pair that the first two bytes name, and the rest. `seeds` writes them.
    pub fn of(data: &[u8]) -> Option<(Self, &[u8])> {
        let [kind, endpoint, rest @ ..] = data else { return None };
        let api = if endpoint & 0x80 == 0 {
            ModelApi::Chat
        } else {
            ModelApi::Responses
        };
        let pair = Self {
            kind: Kind::ALL[usize::from(*kind) % Kind::ALL.len()],
            endpoint: Endpoint::ALL[usize::from(*endpoint & 0x7f) % Endpoint::ALL.len()],
            api,
        };
        Some((pair, rest))
    }

    /// How it is served, if it is.
    pub fn service(self) -> Option<Service> {
        provider::of(self.kind).serve(self.endpoint, &self.options()).ok()
    }

    /// The options of its requests.
    pub fn options(self) -> EncodeOptions<'static> {
        EncodeOptions {
            upstream_model: "model",
            api: self.api,
            ..EncodeOptions::default()
        }
    }
}

/// The cuts that the beginning of an input names, and the rest: a count of at most 15, and so many lengths.
pub fn cuts(data: &[u8]) -> (&[u8], &[u8]) {
    let Some((count, rest)) = data.split_first() else {
        return (&[], &[]);
    };
    rest.split_at(usize::from(*count & 15).min(rest.len()))
}

/// `bytes` in pieces, whose lengths `cuts` gives round and round; without any, in one.
pub fn pieces<'a>(bytes: &'a [u8], cuts: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = bytes;
    let mut cuts = cuts.iter().cycle();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let wanted = cuts.next().map_or(rest.len(), |cut| usize::from(*cut) + 1);
        let (piece, behind) = rest.split_at(wanted.min(rest.len()));
        rest = behind;
        Some(piece)
    })
}
