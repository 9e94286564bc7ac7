//! What a server wants otherwise in messages: roles it does not have, members it refuses, thoughts where it looks for
//! them, ids of its own alphabet.

use std::ops::Range;

use super::super::leftovers::Leftovers;
use super::request::{elements, members, stays};
use crate::json::{self, Kind, Member};
use crate::request::BadRequest;
use crate::splice::Edits;

/// What a server wants in messages. All of them know no `developer`, who is written as `system`.
#[derive(Debug)]
pub(in super::super) struct MessageRules {
    /// Members that a message may have; empty: any. Thoughts are not among them.
    pub(in super::super) members: &'static [&'static str],
    /// Where thoughts of earlier turns are looked for.
    pub(in super::super) thoughts: Thoughts,
    /// Makes an id that the server takes of one that a client sends; the same of the same.
    pub(in super::super) tool_id: Option<fn(&str) -> Option<String>>,
}

/// Where a server looks for what the model thought in earlier turns.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Thoughts {
    /// In a member of that name, as text.
    In(&'static str),
    /// In `content`, as a part before the others.
    AsPart,
}

/// Spellings in which clients hand thoughts back, those first that say most simply what was said.
const SPELLINGS: [&str; 5] = [
    "reasoning_content",
    "reasoning",
    "reasoning_details",
    "thinking_blocks",
    "content_blocks",
];

/// Writes the edits of all messages.
pub(super) fn edit<'r>(
    body: &'r str,
    messages: Range<usize>,
    rules: &MessageRules,
    edits: &mut Edits<'r>,
    leftovers: &mut Leftovers<'r>,
) -> Result<(), BadRequest> {
    for message in elements(body, messages) {
        Message {
            body,
            members: members(body, message),
            rules,
        }
        .edit(edits, leftovers)?;
    }
    Ok(())
}

struct Message<'r, 'm> {
    body: &'r str,
    members: Vec<Member>,
    rules: &'m MessageRules,
}

impl<'r> Message<'r, '_> {
    fn edit(&self, edits: &mut Edits<'r>, leftovers: &mut Leftovers<'r>) -> Result<(), BadRequest> {
        let thoughts = self.thoughts();
        let mut removed = vec![false; self.members.len()];
        for (index, member) in self.members.iter().enumerate() {
            let value = &self.body[member.value.clone()];
            let name = self.name(index);
            match name {
                "role" if value == "\"developer\"" => edits.replace(member.value.clone(), "\"system\""),
                "tool_call_id" => self.map_id(member.value.clone(), edits),
                "tool_calls" => self.map_calls(member.value.clone(), edits),
                "content" if !self.rules.members.is_empty() => self.without_cache_marks(member, edits, leftovers),
                _ => {}
            }
            if SPELLINGS.contains(&name) {
                removed[index] = !self.say_thoughts(index, thoughts.as_ref(), edits);
            } else if !self.rules.members.is_empty() && !self.rules.members.contains(&name) {
                let says_nothing = matches!(value, "[]" | "\"\"" | "{}");
                removed[index] = says_nothing || !stays(leftovers, &format!("messages[].{name}"), value)?;
            }
        }
        if let (Thoughts::AsPart, Some((_, text))) = (self.rules.thoughts, thoughts) {
            self.think_in_content(&text, edits);
        }
        edits.remove_members(&self.members, |index| removed[index]);
        Ok(())
    }

    /// A key with escapes in it is none that is looked for.
    fn name(&self, index: usize) -> &'r str {
        self.body[self.members[index].key.clone()].trim_matches('"')
    }

    fn value(&self, name: &str) -> Option<Range<usize>> {
        let index = (0..self.members.len()).rev().find(|index| self.name(*index) == name)?;
        Some(self.members[index].value.clone())
    }

    /// The first spelling that says something: its place among the members, and its text as JSON.
    fn thoughts(&self) -> Option<(usize, String)> {
        SPELLINGS.iter().find_map(|spelling| {
            let index = (0..self.members.len()).find(|index| self.name(*index) == *spelling)?;
            let value = &self.body[self.members[index].value.clone()];
            match json::kind(value.as_bytes()) {
                Kind::String if value != "\"\"" => Some((index, value.to_owned())),
                Kind::Array => text_of(value).map(|text| (index, text)),
                _ => None,
            }
        })
    }

    /// Whether the member stays: it is written as the one in which the server looks for thoughts.
    fn say_thoughts(&self, index: usize, thoughts: Option<&(usize, String)>, edits: &mut Edits<'r>) -> bool {
        let (Thoughts::In(wanted), Some((chosen, text))) = (self.rules.thoughts, thoughts) else {
            return false;
        };
        if *chosen != index {
            return false;
        }
        let member = &self.members[index];
        if self.name(index) != wanted {
            edits.replace(member.key.clone(), format!("\"{wanted}\""));
        }
        if self.body[member.value.clone()] != **text {
            edits.replace(member.value.clone(), text.clone());
        }
        true
    }

    fn think_in_content(&self, text: &str, edits: &mut Edits<'r>) {
        let thought = format!("{{\"type\":\"thinking\",\"thinking\":[{{\"type\":\"text\",\"text\":{text}}}]}}");
        let Some(content) = self.value("content") else {
            return;
        };
        let value = &self.body[content.clone()];
        match json::kind(value.as_bytes()) {
            Kind::String if value != "\"\"" => {
                let list = format!("[{thought},{{\"type\":\"text\",\"text\":{value}}}]");
                edits.replace(content, list);
            }
            Kind::String | Kind::Null => edits.replace(content, format!("[{thought}]")),
            Kind::Array => {
                let is_empty = elements(self.body, content.clone()).is_empty();
                let comma = if is_empty { "" } else { "," };
                edits.replace(content.start..content.start + 1, format!("[{thought}{comma}"));
            }
            _ => {}
        }
    }

    fn map_calls(&self, calls: Range<usize>, edits: &mut Edits<'r>) {
        for call in elements(self.body, calls) {
            let members = members(self.body, call);
            for member in &members {
                if &self.body[member.key.clone()] == "\"id\"" {
                    self.map_id(member.value.clone(), edits);
                }
            }
            if !self.rules.members.is_empty() {
                edits.remove_members(&members, |index| {
                    let key = &self.body[members[index].key.clone()];
                    matches!(key, "\"extra_content\"" | "\"cache_control\"")
                });
            }
        }
    }

    fn map_id(&self, id: Range<usize>, edits: &mut Edits<'r>) {
        let Some(text) = json::string_value(self.body[id.clone()].as_bytes()) else {
            return;
        };
        if let Some(mapped) = self.rules.tool_id.and_then(|map| map(&text)) {
            edits.replace(id, format!("\"{mapped}\""));
        }
    }

    /// Marks for a prompt cache, which these servers cut by themselves.
    fn without_cache_marks(&self, content: &Member, edits: &mut Edits<'r>, leftovers: &mut Leftovers<'r>) {
        for part in elements(self.body, content.value.clone()) {
            let members = members(self.body, part);
            let is_mark = |index: usize| &self.body[members[index].key.clone()] == "\"cache_control\"";
            if (0..members.len()).any(is_mark) {
                leftovers.drop("cache_control");
                edits.remove_members(&members, is_mark);
            }
        }
    }
}

/// The text of a list of thoughts, as JSON.
fn text_of(list: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Thought {
        text: Option<String>,
        thinking: Option<String>,
    }
    let list: Vec<Thought> = serde_json::from_str(list).ok()?;
    let texts = list.into_iter().filter_map(|thought| thought.thinking.or(thought.text));
    let text: String = texts.collect();
    (!text.is_empty()).then(|| serde_json::to_string(&text).expect("a string can always be written as JSON"))
}
