//! What calls leave at a provider and come back to: files, batches, responses. Which calls there are, and where ids stand
//! in what goes there and what comes back.
//!
//! All callers share the provider's account, so that no id of a provider ever reaches a client, and none of a client's
//! reaches the provider: each is exchanged where it stands, and all other bytes pass. Whose an id is, and how one is
//! written, is the data plane's business; here is [`Owner`], which it lends.

use http::Method;

use crate::failure::Failure;
use crate::pass_through::PassThrough;
use crate::provider::path;

pub mod batch;
pub mod batch_file;
pub mod file;
pub mod list;
pub mod object;
pub mod references;
pub mod response;

use object::unreadable;

/// A family of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Files: those of callers, and those in which a batch answers.
    File,
    /// Batches.
    Batch,
    /// Responses.
    Response,
}

impl Family {
    /// The endpoint under which they are.
    pub const fn endpoint(self) -> PassThrough {
        match self {
            Self::File => PassThrough::Files,
            Self::Batch => PassThrough::Batches,
            Self::Response => PassThrough::StoredResponses,
        }
    }

    /// What one is called.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Batch => "batch",
            Self::Response => "response",
        }
    }

    /// What the id of one names.
    pub const fn kind(self) -> Kind {
        match self {
            Self::File => Kind::File,
            Self::Batch => Kind::Batch,
            Self::Response => Kind::Response,
        }
    }
}

/// What an id names. One of one kind is none of another: a place in a list of everybody's objects opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A file.
    File,
    /// A batch.
    Batch,
    /// A response.
    Response,
    /// An item of a response: what came in, or what the model made of it.
    Item,
    /// A place in a list, behind an object that may be somebody else's.
    Place,
}

impl Kind {
    /// How ids begin at `OpenAI`.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::File => "file-",
            Self::Batch => "batch_",
            Self::Response => "resp_",
            Self::Item => "item_",
            Self::Place => "place_",
        }
    }
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Makes one.
    Create,
    /// Lists the caller's.
    List,
    /// Shows one.
    Get,
    /// What a file holds.
    Content,
    /// Removes one.
    Delete,
    /// Stops what is under way.
    Cancel,
    /// What a response was asked with.
    InputItems,
}

/// A call about stored objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// About which.
    pub family: Family,
    /// What is done.
    pub action: Action,
}

impl Call {
    /// All that there are. A response is made by `POST /v1/responses`, which asks a model.
    pub const ALL: [Self; 13] = [
        Self::of(Family::File, Action::Create),
        Self::of(Family::File, Action::List),
        Self::of(Family::File, Action::Get),
        Self::of(Family::File, Action::Content),
        Self::of(Family::File, Action::Delete),
        Self::of(Family::Batch, Action::Create),
        Self::of(Family::Batch, Action::List),
        Self::of(Family::Batch, Action::Get),
        Self::of(Family::Batch, Action::Cancel),
        Self::of(Family::Response, Action::Get),
        Self::of(Family::Response, Action::Delete),
        Self::of(Family::Response, Action::Cancel),
        Self::of(Family::Response, Action::InputItems),
    ];

    const fn of(family: Family, action: Action) -> Self {
        Self { family, action }
    }

    /// The method.
    pub fn method(self) -> Method {
        match self.action {
            Action::Create | Action::Cancel => Method::POST,
            Action::List | Action::Get | Action::Content | Action::InputItems => Method::GET,
            Action::Delete => Method::DELETE,
        }
    }

    /// Whether it is about one object, whose id stands in the path.
    pub const fn has_id(self) -> bool {
        !matches!(self.action, Action::Create | Action::List)
    }

    /// What stands behind the id.
    const fn behind_id(self) -> &'static str {
        match self.action {
            Action::Content => "/content",
            Action::Cancel => "/cancel",
            Action::InputItems => "/input_items",
            Action::Create | Action::List | Action::Get | Action::Delete => "",
        }
    }

    /// Its path at the gateway, with `{id}` where the id stands.
    pub fn pattern(self) -> String {
        let endpoint = self.family.endpoint().path();
        let id = if self.has_id() { "/{id}" } else { "" };
        format!("{endpoint}{id}{}", self.behind_id())
    }

    /// Its path at a provider that has the endpoint at `endpoint`, which may have a query of its own. `id` is the
    /// provider's, `query` what the client asks for beside it, without names that the provider's own query has.
    pub fn path(self, endpoint: &str, id: Option<&str>, query: &str) -> String {
        let (place, own_query) = endpoint.split_once('?').unwrap_or((endpoint, ""));
        let mut path = place.to_owned();
        if let Some(id) = id {
            path.push('/');
            path.push_str(&path::segment(id));
            path.push_str(self.behind_id());
        }
        let own_name = |pair: &str| {
            let name = pair.split('=').next();
            own_query.split('&').any(|own| own.split('=').next() == name)
        };
        let asked = query.split('&').filter(|pair| !pair.is_empty() && !own_name(pair));
        let pairs: Vec<&str> = Some(own_query)
            .filter(|query| !query.is_empty())
            .into_iter()
            .chain(asked)
            .collect();
        if !pairs.is_empty() {
            path.push('?');
            path.push_str(&pairs.join("&"));
        }
        path
    }
}

/// Whose objects they are: what the data plane knows of ids and owners.
#[derive(Clone, Copy)]
pub struct Owner<'a> {
    /// The id that the owner gets for one of the provider's; `None`: it is none that could be passed on.
    pub issue: &'a dyn Fn(Kind, &str) -> Option<String>,
    /// What marks objects as the owner's, for lists: [`TAG_LENGTH`] letters, digits, `-` and `_`. The first is written.
    pub tags: &'a [String],
}

/// Length of an owner's tag.
pub const TAG_LENGTH: usize = 16;

impl Owner<'_> {
    fn issue(&self, kind: Kind, id: &str) -> Result<String, Failure> {
        (self.issue)(kind, id).ok_or_else(|| unreadable("an id in the answer cannot be passed on"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_has_its_path_here_and_at_the_provider() {
        let patterns = Call::ALL.map(|call| format!("{} {}", call.method(), call.pattern()));
        assert_eq!(
            patterns,
            [
                "POST /v1/files",
                "GET /v1/files",
                "GET /v1/files/{id}",
                "GET /v1/files/{id}/content",
                "DELETE /v1/files/{id}",
                "POST /v1/batches",
                "GET /v1/batches",
                "GET /v1/batches/{id}",
                "POST /v1/batches/{id}/cancel",
                "GET /v1/responses/{id}",
                "DELETE /v1/responses/{id}",
                "POST /v1/responses/{id}/cancel",
                "GET /v1/responses/{id}/input_items",
            ]
        );
        let content = Call::of(Family::File, Action::Content);
        assert_eq!(content.path("/files", Some("file-1"), ""), "/files/file-1/content");
        assert_eq!(content.path("/files", Some("../x"), ""), "/files/..%2Fx/content");
        let list = Call::of(Family::File, Action::List);
        assert_eq!(list.path("/files", None, "a=b&&c"), "/files?a=b&c");
    }

    #[test]
    fn a_providers_own_query_stands_behind_the_id_and_is_not_the_clients_to_set() {
        let get = Call::of(Family::Batch, Action::Get);
        let path = get.path("/openai/batches?api-version=1", Some("b"), "api-version=2&x=3");
        assert_eq!(path, "/openai/batches/b?api-version=1&x=3");
    }
}
