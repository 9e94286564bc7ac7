//! The bodies of `GET /v1/models` and `GET /v1/models/{id}` in `OpenAI`'s shape.

use bytes::Bytes;
use serde::Serialize;

/// One model as a client sees it.
#[derive(Clone, Debug, Serialize)]
pub struct Model<'a> {
    /// What to write into `model`.
    pub id: &'a str,
    /// Always `model`.
    object: &'static str,
    /// Unix seconds. Clients only sort by it.
    pub created: u64,
    /// Who serves it.
    pub owned_by: &'a str,
}

impl<'a> Model<'a> {
    /// A model with this name.
    pub fn new(id: &'a str, created: u64, owned_by: &'a str) -> Self {
        Self {
            id,
            object: "model",
            created,
            owned_by,
        }
    }

    /// The body of `GET /v1/models/{id}`.
    pub fn body(&self) -> Bytes {
        json(self)
    }
}

/// The body of `GET /v1/models`.
pub fn list_body(models: &[Model<'_>]) -> Bytes {
    #[derive(Serialize)]
    struct List<'a> {
        object: &'static str,
        data: &'a [Model<'a>],
    }
    json(&List {
        object: "list",
        data: models,
    })
}

fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value)
        .expect("strings and numbers can always be written as JSON")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_listed_and_shown_in_the_shape_that_sdks_read() {
        let echo = Model::new("echo/any \"name\"", 0, "echo");
        let one = r#"{"id":"echo/any \"name\"","object":"model","created":0,"owned_by":"echo"}"#;
        assert_eq!(echo.body(), one);
        assert_eq!(list_body(&[]), r#"{"object":"list","data":[]}"#);
        assert_eq!(list_body(&[echo]), format!("{{\"object\":\"list\",\"data\":[{one}]}}"));
    }
}
