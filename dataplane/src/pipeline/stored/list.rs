//! Lists of stored objects: as many of the provider's pages as it takes to fill one of the owner's.

use std::sync::Arc;

use bytes::Bytes;

use headgate_llm::failure::{Failure, FailureKind};
use headgate_llm::provider::path;
use headgate_llm::stored::Kind;
use headgate_llm::stored::list::{List, Next};

use super::{ANSWER_BYTES_MAX, Answer, Backend, Stored, unknown};
use crate::refusal::Refusal;
use crate::relay::PassingBody;
use crate::runtime::Runtime;
use crate::stored::{Claimed, Ids};

/// Most pages of the provider that are read for one of ours: ten thousand batches, fifty times as many files.
const PAGES_MAX: usize = 100;

impl Stored<'_> {
    pub(super) async fn list(&mut self, runtime: Arc<Runtime>) -> Result<Answer, Refusal> {
        let backend = self.backend_without_id(runtime)?;
        let asked = Asked::read(self.head.uri.query().unwrap_or_default());
        let after = asked.after.as_deref().map(|after| self.place(&backend, after));
        let list = List::begin(self.call.family, asked.limit.as_deref(), after.transpose()?)?;
        let total = backend.plan.timeouts.total;
        let filled = tokio::time::timeout(total, self.fill(&backend, list, &asked.rest)).await;
        filled.unwrap_or_else(|_| {
            let detail = "the provider's list could not be read in time";
            Err(Refusal::Upstream(Failure::new(FailureKind::Timeout, detail)))
        })
    }

    /// The provider's id of the object behind which the list goes on.
    fn place(&self, backend: &Backend, after: &str) -> Result<String, Refusal> {
        let is_place = |kind| kind == self.call.family.kind() || kind == Kind::Place;
        Claimed::read(after)
            .filter(|claimed| is_place(claimed.kind) && backend.ids.hold(claimed))
            .map(|claimed| claimed.id)
            .ok_or_else(|| unknown("after"))
    }

    async fn fill(&mut self, backend: &Backend, mut list: List, rest: &str) -> Result<Answer, Refusal> {
        let mut next = Next::Page;
        for _ in 0..PAGES_MAX {
            let query = [rest, &list.query()].join("&");
            let page = self
                .ask(backend, None, &query, PassingBody::Whole(Bytes::new()))
                .await?
                .whole(ANSWER_BYTES_MAX)
                .await?;
            next = backend.ids.lend(|owner| list.take(&page, owner))?;
            if next != Next::Page {
                break;
            }
        }
        Ok(Answer::Whole(backend.ids.lend(|owner| list.finish(next, owner))?))
    }
}

/// The query of a list within an object, with the provider's id of the item behind which it goes on.
pub(super) fn with_providers_place(query: &str, ids: &Ids) -> Result<String, Refusal> {
    let asked = Asked::read(query);
    let mut pairs = vec![asked.rest];
    pairs.extend(asked.limit.map(|limit| format!("limit={}", path::segment(&limit))));
    if let Some(after) = asked.after {
        let claimed = Claimed::read(&after).filter(|claimed| claimed.kind == Kind::Item && ids.hold(claimed));
        let claimed = claimed.ok_or_else(|| unknown("after"))?;
        pairs.push(format!("after={}", path::segment(&claimed.id)));
    }
    Ok(pairs.join("&"))
}

/// What a list is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    limit: Option<String>,
    after: Option<String>,
    /// All else, as it came: it goes to the provider.
    rest: String,
}

impl Asked {
    /// Of a name that stands twice the last counts; neither goes to the provider.
    fn read(query: &str) -> Self {
        let mut asked = Self::default();
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match decoded(name).as_deref() {
                Some(b"limit") => asked.limit = Some(text(value)),
                Some(b"after") => asked.after = Some(text(value)),
                _ => rest.push(pair),
            }
        }
        asked.rest = rest.join("&");
        asked
    }
}

fn text(value: &str) -> String {
    let bytes = decoded(value).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The bytes behind percent-encoding; `None`: it is broken.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        bytes.push(match byte {
            b'%' => {
                let (digits, behind) = rest.split_at_checked(2)?;
                rest = behind;
                u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_list_is_asked_for_is_read_however_it_is_written_and_the_rest_passes() {
        let asked = Asked::read("purpose=batch&l%69mit=5&&after=file-hg%5F1&order=asc%26&after");
        assert_eq!(asked.limit.as_deref(), Some("5"));
        assert_eq!(asked.after.as_deref(), Some(""));
        assert_eq!(asked.rest, "purpose=batch&order=asc%26");
        assert_eq!(Asked::read("after=file-hg%5F1").after.as_deref(), Some("file-hg_1"));
        assert_eq!(Asked::read(""), Asked::default());
        assert_eq!(Asked::read("%zz=1&%").rest, "%zz=1&%");
    }
}
