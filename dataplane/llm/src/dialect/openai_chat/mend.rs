//! Answers of servers that nearly speak the dialect, put right by few edits: the rest passes byte for byte.
//!
//! A list of rules says what a server does differently; where none of its words occurs in an answer, the answer is not
//! even read. What cannot be read is left as it is: whoever reads it next says so.

use std::ops::{ControlFlow, Range};

use bytes::Bytes;
use serde::Deserialize;

use crate::failure::{Failure, FailureKind};
use crate::json::{self, Kind, Member, Repeats};
use crate::splice::Edits;
use crate::sse;

/// What a server's answers have in words of its own.
#[derive(Debug)]
pub struct Mend {
    /// Texts of which at least one stands in an answer that any rule is about.
    pub signs: &'static [&'static str],
    /// Finish reasons, and the dialect's word for them.
    pub finish_reasons: &'static [(&'static str, &'static str)],
    /// Finish reasons that mean that the server failed: asked again, it may not.
    pub failures: &'static [&'static str],
    /// Where a stream's usage stands when it is not in `usage`: an object with a member of that name.
    pub usage_in: Option<&'static str>,
}

impl Mend {
    /// An event of a stream as the dialect has it; `None`: as it came.
    pub fn event(&self, event: &[u8]) -> Result<Option<Bytes>, Failure> {
        if !self.is_about(event) {
            return Ok(None);
        }
        let Some(data) = sse::data(event) else {
            return Ok(None);
        };
        let mended = self.document(&data.into_owned().into(), "delta")?;
        Ok(mended.map(|data| [b"data: ".as_slice(), &data, b"\n\n"].concat().into()))
    }

    /// A whole answer as the dialect has it.
    pub fn answer(&self, body: Bytes) -> Result<Bytes, Failure> {
        if !self.is_about(&body) {
            return Ok(body);
        }
        Ok(self.document(&body, "message")?.unwrap_or(body))
    }

    fn is_about(&self, text: &[u8]) -> bool {
        let mut signs = self.signs.iter();
        signs.any(|sign| memchr::memmem::find(text, sign.as_bytes()).is_some())
    }

    /// `said`: the member of a choice that says something.
    fn document(&self, text: &Bytes, said: &str) -> Result<Option<Bytes>, Failure> {
        let all = Object {
            text,
            place: 0..text.len(),
        };
        let Some([choices, usage, beside]) = all.members(["choices", "usage", self.usage_in.unwrap_or_default()])
        else {
            return Ok(None);
        };
        let mut edits = Edits::default();
        for choice in choices
            .map(|choices| all.at(choices.value).elements())
            .unwrap_or_default()
        {
            let Some([said, reason]) = choice.members([said, "finish_reason"]) else {
                continue;
            };
            if let Some(said) = said {
                mend_thoughts(&all.at(said.value), &mut edits);
            }
            if let Some(reason) = reason {
                self.mend_reason(&all.at(reason.value), &mut edits)?;
            }
        }
        if let Some(beside) = beside {
            mend_usage(&all, usage, &all.at(beside.value), &mut edits);
        }
        let mended = edits.apply(text);
        Ok((mended != *text).then_some(mended))
    }

    fn mend_reason(&self, reason: &Object<'_>, edits: &mut Edits<'_>) -> Result<(), Failure> {
        let Some(word) = json::string_value(reason.json()) else {
            return Ok(());
        };
        if self.failures.contains(&word.as_ref()) {
            return Err(Failure {
                status: Some(503),
                ..Failure::new(FailureKind::Server, format!("the answer ended with {word}"))
            });
        }
        if let Some((_, known)) = self.finish_reasons.iter().find(|(own, _)| *own == word) {
            edits.replace(reason.place.clone(), format!("\"{known}\""));
        }
        Ok(())
    }
}

/// `reasoning` becomes `reasoning_content`, and a list of parts text and thoughts apart.
fn mend_thoughts(said: &Object<'_>, edits: &mut Edits<'_>) {
    let names = ["content", "reasoning", "reasoning_content"];
    let Some([content, reasoning, reasoning_content]) = said.members(names) else {
        return;
    };
    if reasoning_content.is_some() {
        return;
    }
    if let Some(reasoning) = reasoning
        && json::kind(said.at(reasoning.value).json()) == Kind::String
    {
        edits.replace(reasoning.key, "\"reasoning_content\"");
    }
    let Some(content) = content.map(|content| said.at(content.value)) else {
        return;
    };
    if json::kind(content.json()) == Kind::Array
        && let Ok(parts) = serde_json::from_slice::<Vec<ContentPart>>(content.json())
    {
        edits.replace(content.place, apart(&parts));
    }
}

/// A part of `content` where that is a list, as Mistral's reasoning models write it.
#[derive(Deserialize)]
struct ContentPart {
    #[serde(default)]
    text: String,
    #[serde(default)]
    thinking: Vec<ThinkingPart>,
}

#[derive(Deserialize)]
struct ThinkingPart {
    #[serde(default)]
    text: String,
}

/// The value of `content`, and behind it the member for thoughts.
fn apart(parts: &[ContentPart]) -> String {
    let text: String = parts.iter().map(|part| part.text.as_str()).collect();
    let thoughts = parts.iter().flat_map(|part| &part.thinking);
    let thoughts: String = thoughts.map(|thought| thought.text.as_str()).collect();
    let json = |text: &str| serde_json::to_string(text).expect("a string can always be written as JSON");
    if thoughts.is_empty() {
        return json(&text);
    }
    format!("{},\"reasoning_content\":{}", json(&text), json(&thoughts))
}

fn mend_usage(all: &Object<'_>, usage: Option<Member>, beside: &Object<'_>, edits: &mut Edits<'_>) {
    let Some([Some(reported)]) = beside.members(["usage"]) else {
        return;
    };
    let reported = all.at(reported.value);
    if json::kind(reported.json()) != Kind::Object {
        return;
    }
    let reported = String::from_utf8_lossy(reported.json()).into_owned();
    match usage {
        None => edits.insert_field(all.inside(), "\"usage\"", &reported, false),
        Some(usage) if json::kind(all.at(usage.value.clone()).json()) == Kind::Null => {
            edits.replace(usage.value, reported);
        }
        Some(_) => {}
    }
}

/// A value somewhere in a document; all places count from the document's beginning.
struct Object<'t> {
    text: &'t [u8],
    place: Range<usize>,
}

impl<'t> Object<'t> {
    fn json(&self) -> &'t [u8] {
        &self.text[self.place.clone()]
    }

    fn at(&self, place: Range<usize>) -> Self {
        Self { text: self.text, place }
    }

    /// Where its first member may be inserted.
    fn inside(&self) -> usize {
        self.place.start + memchr::memchr(b'{', self.json()).unwrap_or_default() + 1
    }

    /// `None`: it is no object.
    fn members<const N: usize>(&self, names: [&str; N]) -> Option<[Option<Member>; N]> {
        let mut found = [const { None }; N];
        json::find_fields(self.json(), &names, Repeats::TakeLast, &mut found).ok()?;
        let start = self.place.start;
        Some(found.map(|member| member.map(|member: Member| shifted(&member, start))))
    }

    fn elements(&self) -> Vec<Self> {
        let mut elements = Vec::new();
        if json::kind(self.json()) == Kind::Array {
            let _ = json::walk(self.json(), |member| {
                elements.push(self.at(shifted(&member, self.place.start).value));
                ControlFlow::Continue(())
            });
        }
        elements
    }
}

/// A member of a part of a document, by its place in the document.
fn shifted(member: &Member, by: usize) -> Member {
    let shift = |range: &Range<usize>| range.start + by..range.end + by;
    Member {
        key: shift(&member.key),
        value: shift(&member.value),
    }
}
