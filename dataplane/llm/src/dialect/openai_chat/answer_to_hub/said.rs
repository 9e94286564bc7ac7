//! What a message or a delta says: both have the same members, and servers differ in the same ways in both.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::json;
use crate::translate::WireFailure;

/// A message, or a part of one.
#[derive(Default, Deserialize)]
pub(super) struct Said<'a> {
    /// A text, or a list of parts.
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "lenient")]
    reasoning_content: Option<String>,
    /// The same in the words of Groq, `OpenRouter` and newer vLLM.
    #[serde(default, deserialize_with = "lenient")]
    reasoning: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    reasoning_details: Vec<Detail>,
    #[serde(default, deserialize_with = "lenient")]
    images: Vec<Image>,
    #[serde(borrow)]
    tool_calls: Option<Vec<Call<'a>>>,
    /// What `tool_calls` replaced.
    #[serde(borrow)]
    function_call: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Part {
    #[serde(default, deserialize_with = "lenient")]
    text: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    refusal: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    image_url: Option<ImageUrl>,
}

/// An entry of `reasoning_details`, whole or a piece of one.
#[derive(Default, Deserialize)]
struct Detail {
    text: Option<String>,
    summary: Option<String>,
    signature: Option<String>,
    data: Option<String>,
}

#[derive(Deserialize)]
struct Image {
    image_url: ImageUrl,
}

#[derive(Deserialize)]
struct ImageUrl {
    url: String,
}

/// A tool call, whole or a piece of one.
#[derive(Clone, Deserialize)]
pub(super) struct Call<'a> {
    pub(super) index: Option<u32>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    function: Option<Function<'a>>,
    #[serde(default, deserialize_with = "lenient")]
    extra_content: Option<ExtraContent>,
}

#[derive(Clone, Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    /// The text of a JSON object, or the object itself.
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

#[derive(Clone, Deserialize)]
struct ExtraContent {
    google: Option<Google>,
}

#[derive(Clone, Deserialize)]
struct Google {
    thought_signature: Option<String>,
}

/// Something that was said, other than calls of tools. None is empty.
pub(super) enum Piece {
    Text(String),
    Refusal(String),
    Thought(String),
    /// What proves the thought before it.
    Proof(String),
    /// A thought that only its provider can read.
    Sealed(String),
    Media {
        mime_type: String,
        base64: String,
    },
}

impl<'a> Said<'a> {
    /// In the order in which it is thought and said.
    pub(super) fn pieces(&self) -> Result<Vec<Piece>, WireFailure> {
        let mut pieces = self.thoughts();
        let mut push = |piece: fn(String) -> Piece, text: &str| {
            if !text.is_empty() {
                pieces.push(piece(text.to_owned()));
            }
        };
        let (text, parts) = self.content()?;
        push(Piece::Text, &text);
        for part in &parts {
            push(Piece::Text, part.text.as_deref().unwrap_or_default());
            push(Piece::Refusal, part.refusal.as_deref().unwrap_or_default());
        }
        push(Piece::Refusal, self.refusal.as_deref().unwrap_or_default());
        let in_parts = parts.iter().filter_map(|part| part.image_url.as_ref());
        let pictures = in_parts.chain(self.images.iter().map(|image| &image.image_url));
        pieces.extend(pictures.filter_map(|picture| media(&picture.url)));
        Ok(pieces)
    }

    fn content(&self) -> Result<(Cow<'_, str>, Vec<Part>), WireFailure> {
        let Some(content) = self.content.map(RawValue::get) else {
            return Ok((Cow::Borrowed(""), Vec::new()));
        };
        if let Some(text) = json::string_value(content.as_bytes()) {
            return Ok((text, Vec::new()));
        }
        let parts = serde_json::from_str(content);
        let parts = parts.map_err(|_| WireFailure::protocol("`content` of the answer is neither text nor a list"))?;
        Ok((Cow::Borrowed(""), parts))
    }

    /// The details say more than the plain text beside them, where they say any.
    fn thoughts(&self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut has_text = false;
        for detail in &self.reasoning_details {
            let text = detail.text.as_deref().or(detail.summary.as_deref());
            has_text |= text.is_some_and(|text| !text.is_empty());
            let said = [
                (text, Piece::Thought as fn(String) -> Piece),
                (detail.signature.as_deref(), Piece::Proof),
                (detail.data.as_deref(), Piece::Sealed),
            ];
            for (text, piece) in said {
                pieces.extend(text.filter(|text| !text.is_empty()).map(|text| piece(text.to_owned())));
            }
        }
        let plain = self.reasoning_content.as_ref().filter(|text| !text.is_empty());
        let plain = plain.or(self.reasoning.as_ref()).filter(|text| !text.is_empty());
        if let Some(text) = plain.filter(|_| !has_text) {
            pieces.insert(0, Piece::Thought(text.clone()));
        }
        pieces
    }

    /// The calls, the old form among them.
    pub(super) fn calls(&self) -> Vec<Cow<'_, Call<'a>>> {
        let calls = self.tool_calls.iter().flatten().map(Cow::Borrowed);
        let old = self.function_call.as_ref().map(|function| {
            Cow::Owned(Call {
                index: Some(0),
                id: None,
                function: Some(function.clone()),
                extra_content: None,
            })
        });
        calls.chain(old).collect()
    }
}

impl Call<'_> {
    /// Its id, where it is given.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref().filter(|id| !id.is_empty())
    }

    /// The function, where it is named.
    pub(super) fn name(&self) -> Option<&str> {
        self.function.as_ref()?.name.as_deref().filter(|name| !name.is_empty())
    }

    /// The arguments, or a piece of them.
    pub(super) fn arguments(&self) -> Option<Cow<'_, str>> {
        let text = self.function.as_ref()?.arguments?.get();
        match text.as_bytes().first()? {
            b'"' => json::string_value(text.as_bytes()),
            b'{' => Some(Cow::Borrowed(text)),
            _ => None,
        }
    }

    /// Gemini's thought signature.
    pub(super) fn signature(&self) -> Option<&str> {
        self.extra_content
            .as_ref()?
            .google
            .as_ref()?
            .thought_signature
            .as_deref()
    }
}

/// A picture that is here; one that is elsewhere has no place in the hub.
fn media(url: &str) -> Option<Piece> {
    let (mime_type, base64) = url.strip_prefix("data:")?.split_once(";base64,")?;
    Some(Piece::Media {
        mime_type: mime_type.to_owned(),
        base64: base64.to_owned(),
    })
}

/// What stands beside the answer and is of another type than expected is as if it were absent.
fn lenient<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    let json = Option::<&'de RawValue>::deserialize(deserializer)?;
    Ok(json
        .and_then(|json| serde_json::from_str(json.get()).ok())
        .unwrap_or_default())
}
