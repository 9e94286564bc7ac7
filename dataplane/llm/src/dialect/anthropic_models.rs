//! The bodies of `GET /v1/models` and `GET /v1/models/{id}` in Anthropic's shape, page by page.

use bytes::Bytes;
use serde::Serialize;

/// Models on a page where the client does not say.
pub const LIMIT_DEFAULT: usize = 20;
/// Most models on a page.
pub const LIMIT_MAX: usize = 1000;

/// One model as a client sees it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Model<'a> {
    /// What to write into `model`.
    pub id: &'a str,
    r#type: &'static str,
    display_name: &'a str,
    /// RFC 3339. Clients only sort by it.
    pub created_at: &'a str,
    lifecycle: &'static str,
}

impl<'a> Model<'a> {
    /// A model with this name.
    pub fn new(id: &'a str, created_at: &'a str) -> Self {
        Self {
            id,
            r#type: "model",
            display_name: id,
            created_at,
            lifecycle: "active", // whatever is not served is not listed
        }
    }

    /// The body of `GET /v1/models/{id}`.
    pub fn body(&self) -> Bytes {
        json(self)
    }
}

/// Which part of the list a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many models at most.
    pub limit: usize,
    /// The last one of the page before.
    pub after_id: Option<String>,
    /// The first one of the page behind.
    pub before_id: Option<String>,
}

impl Page {
    /// The body of `GET /v1/models`; `models` are sorted by their ids. An id that is not among them cuts the list where it
    /// would stand, so that paging goes on when a model goes away.
    pub fn body(&self, models: &[Model<'_>]) -> Bytes {
        let start = self
            .after_id
            .as_deref()
            .map_or(0, |id| models.partition_point(|model| model.id <= id));
        let end = self
            .before_id
            .as_deref()
            .map_or(models.len(), |id| models.partition_point(|model| model.id < id));
        let between = models.get(start..end).unwrap_or_default();
        let length = between.len().min(self.limit);
        let data = if self.before_id.is_some() {
            &between[between.len() - length..]
        } else {
            &between[..length]
        };
        json(&List {
            data,
            has_more: length < between.len(),
            first_id: data.first().map(|model| model.id),
            last_id: data.last().map(|model| model.id),
        })
    }
}

#[derive(Serialize)]
struct List<'a> {
    data: &'a [Model<'a>],
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value)
        .expect("strings and numbers can always be written as JSON")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 5] = ["a", "b", "c/x", "d", "e"];

    #[track_caller]
    fn check(limit: usize, after_id: Option<&str>, before_id: Option<&str>, ids: &[&str], has_more: bool) {
        let page = Page {
            limit,
            after_id: after_id.map(Into::into),
            before_id: before_id.map(Into::into),
        };
        let body = page.body(&NAMES.map(|name| Model::new(name, "1970-01-01T00:00:00Z")));
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        let listed: Vec<_> = body["data"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|model| &model["id"])
            .collect();
        assert_eq!(listed, ids, "{page:?}");
        assert_eq!(body["has_more"], has_more, "{page:?}");
        assert_eq!(
            (body["first_id"].as_str(), body["last_id"].as_str()),
            (ids.first().copied(), ids.last().copied())
        );
    }

    #[test]
    fn a_model_has_all_that_the_sdks_type_demands() {
        let model = Model::new("claude \"x\"", "2026-11-21T10:00:00Z");
        let body = r#"{"id":"claude \"x\"","type":"model","display_name":"claude \"x\"","created_at":"2026-11-21T10:00:00Z","lifecycle":"active"}"#;
        assert_eq!(model.body(), body);
    }

    #[test]
    fn pages_go_forward_and_backward_and_meet() {
        check(20, None, None, &NAMES, false);
        check(2, None, None, &["a", "b"], true);
        check(2, Some("b"), None, &["c/x", "d"], true);
        check(2, Some("d"), None, &["e"], false);
        check(2, Some("e"), None, &[], false);
        check(2, None, Some("c/x"), &["a", "b"], false);
        check(2, None, Some("d"), &["b", "c/x"], true);
        check(2, None, Some("a"), &[], false);
    }

    #[test]
    fn an_id_that_is_gone_cuts_the_list_where_it_would_stand() {
        check(2, Some("bb"), None, &["c/x", "d"], true);
        check(2, None, Some("bb"), &["a", "b"], false);
        check(9, Some("d"), Some("b"), &[], false);
    }
}
