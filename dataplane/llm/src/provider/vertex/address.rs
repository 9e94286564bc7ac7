//! Names of models and the paths that they come to.

use super::super::{Account, EncodeOptions, path};

/// What the upstream name of a model means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name<'a> {
    /// A publisher's model.
    Model {
        /// As in `google`.
        publisher: &'a str,
        /// As in `gemini-2.5-pro`.
        model: &'a str,
    },
    /// What was deployed or tuned in the project, by its id.
    Endpoint(&'a str),
}

impl<'a> Name<'a> {
    /// Reads all forms that Google's own SDK and lists have: `m`, `models/m`, `p/m`, `publishers/p/models/m`,
    /// `endpoints/id`, the last two also behind `projects/…/locations/…/`.
    pub(super) fn of(options: &EncodeOptions<'a>) -> Self {
        let name = options.upstream_model;
        if let Some(id) = name.rsplit_once("endpoints/").and_then(|(before, id)| {
            let is_id = !id.is_empty() && !id.contains('/') && (before.is_empty() || before.ends_with('/'));
            is_id.then_some(id)
        }) {
            return Self::Endpoint(id);
        }
        let published = name.rsplit_once("publishers/").map_or(name, |(_, published)| published);
        let (named, model) = match published.split_once('/') {
            Some(("models", model)) => (None, model),
            Some((publisher, model)) => (Some(publisher), model.strip_prefix("models/").unwrap_or(model)),
            None => (None, published),
        };
        let by_family = || {
            if model.starts_with("claude-") {
                "anthropic"
            } else {
                "google"
            }
        };
        Self::Model {
            publisher: options.publisher.or(named).unwrap_or_else(by_family),
            model,
        }
    }
}

/// `/projects/…/locations/…`; empty where the base URL says it all.
pub(super) fn place(account: Account<'_>) -> String {
    match account {
        Account::Vertex { project, location } => format!(
            "/projects/{}/locations/{}",
            path::segment_with(project, b":"), // of projects that belong to a domain
            path::segment(location)
        ),
        Account::Plain | Account::Azure { .. } => String::new(),
    }
}

/// The path of what is done with a model; `verb` as in `:generateContent`, possibly with a query.
pub(super) fn path(options: &EncodeOptions<'_>, verb: &str) -> String {
    let place = place(options.account);
    match Name::of(options) {
        Name::Endpoint(id) => format!("{place}/endpoints/{}{verb}", path::segment(id)),
        Name::Model { publisher, model } => format!(
            "{place}/publishers/{}/models/{}{verb}",
            path::segment(publisher),
            path::segment_with(model, b"@") // before the date of a version
        ),
    }
}

/// The path by which Claude's tokens are counted. The model stands in the body, under the name that its path has.
pub(super) fn claude_count_tokens(account: Account<'_>) -> String {
    format!("{}/publishers/anthropic/models/count-tokens:rawPredict", place(account))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: Account<'_> = Account::Vertex {
        project: "p1",
        location: "europe-west4",
    };

    fn check(upstream_model: &str, publisher: Option<&str>, expected: &str) {
        let options = EncodeOptions {
            upstream_model,
            publisher,
            account: ACCOUNT,
            ..EncodeOptions::default()
        };
        let expected = format!("/projects/p1/locations/europe-west4{expected}:x");
        assert_eq!(path(&options, ":x"), expected, "{upstream_model} {publisher:?}");
    }

    #[test]
    fn a_model_is_found_by_every_form_of_its_name() {
        let gemini = "/publishers/google/models/gemini-2.5-pro";
        for name in [
            "gemini-2.5-pro",
            "models/gemini-2.5-pro",
            "google/gemini-2.5-pro",
            "publishers/google/models/gemini-2.5-pro",
            "projects/other/locations/us/publishers/google/models/gemini-2.5-pro",
        ] {
            check(name, None, gemini);
        }
        let claude = "/publishers/anthropic/models/claude-sonnet-4-5@20250929";
        check("claude-sonnet-4-5@20250929", None, claude);
        check("anthropic/claude-sonnet-4-5@20250929", None, claude);
        check(
            "mistralai/mistral-medium-3",
            None,
            "/publishers/mistralai/models/mistral-medium-3",
        );
    }

    #[test]
    fn the_manifests_publisher_stands() {
        check("medium", Some("mistralai"), "/publishers/mistralai/models/medium");
        check(
            "claude-house-blend",
            Some("google"),
            "/publishers/google/models/claude-house-blend",
        );
        check("meta/llama-4", Some("meta"), "/publishers/meta/models/llama-4");
    }

    #[test]
    fn what_was_tuned_is_found_in_the_accounts_own_project() {
        check("endpoints/123", None, "/endpoints/123");
        check("projects/other/locations/us/endpoints/123", None, "/endpoints/123");
        check("endpoints/", None, "/publishers/endpoints/models/");
        check("myendpoints/1", None, "/publishers/myendpoints/models/1");
    }

    #[test]
    fn a_name_is_one_segment_whatever_it_holds() {
        check("google/../a:b?c", None, "/publishers/google/models/..%2Fa%3Ab%3Fc");
        check("a/b/c#d", None, "/publishers/a/models/b%2Fc%23d");
        check("endpoints/1:y?z", None, "/endpoints/1%3Ay%3Fz");
    }

    #[test]
    fn an_account_whose_base_url_says_it_all_has_no_place() {
        let options = EncodeOptions {
            upstream_model: "gemini-2.5-pro",
            ..EncodeOptions::default()
        };
        assert_eq!(path(&options, ":x"), "/publishers/google/models/gemini-2.5-pro:x");
    }

    #[test]
    fn claudes_tokens_are_counted_at_a_path_of_their_own() {
        let expected = "/projects/p1/locations/europe-west4/publishers/anthropic/models/count-tokens:rawPredict";
        assert_eq!(claude_count_tokens(ACCOUNT), expected);
    }
}
