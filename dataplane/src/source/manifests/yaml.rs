//! YAML as a tree in which every value knows where it stands, so that a finding about `/spec/targets/0` has a line.
//!
//! Typed reading would lose what people got wrong (an unknown field, a number for a string) before admission could name
//! it, so the tree is untyped: `serde_json::Value` beside a map from JSON pointer to [`Position`]. What is quoted is a
//! string. What is not is read as `kubectl` reads it where that makes a difference: bare `yes` and `Off` are booleans, so
//! that a folder refuses what a cluster would. JSON files pass through the same door, since JSON is YAML.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_yaml::{Location, Spanned};

/// Values in one file, aliases expanded. 10,000 manifests of a usual size fit.
const NODES_MAX: usize = 500_000;
/// Documents in one file.
const DOCUMENTS_MAX: usize = 20_000;
/// Mappings and lists within each other; manifests with a JSON schema in them are the deepest.
const DEPTH_MAX: usize = 64;
/// For [`DEPTH_MAX`] levels, several times over.
const STACK_BYTES: usize = 16 << 20;
/// What aliases may add to a file: enough to share a block between manifests, too little for a bomb.
const ALIAS_EVENTS_MAX: usize = 50_000;

/// One document of a file.
#[derive(Debug)]
pub(super) struct Document {
    /// What it says.
    pub(super) value: Value,
    /// Where each part of it stands, by JSON pointer; the whole document is the empty pointer.
    positions: BTreeMap<String, Position>,
}

/// Where a value stands, and the key that leads to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    /// The key, for a value within a mapping.
    pub(super) key: Option<Spot>,
    /// The value.
    pub(super) value: Spot,
}

/// Characters of a file. Line and column count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) line: usize,
    pub(super) column: usize,
    /// How many characters; 0 for a block whose end is not known.
    pub(super) length: usize,
}

/// A file that cannot be read as YAML.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Unreadable {
    /// What is wrong. Words of the file stand in backticks, so that they can be taken out of what might be a Secret.
    pub(super) message: String,
    /// Where, if that is known.
    pub(super) spot: Option<Spot>,
}

impl Document {
    /// Where the value at `pointer` stands, or the nearest value around it.
    pub(super) fn position(&self, pointer: &str) -> Position {
        let mut pointer = pointer;
        loop {
            if let Some(position) = self.positions.get(pointer) {
                return *position;
            }
            pointer = &pointer[..pointer.rfind('/').expect("the empty pointer is always there")];
        }
    }

    /// What to show for the value at `pointer`: a scalar itself, a block by the key that leads to it, and what is missing
    /// by the key of what should hold it.
    pub(super) fn spot(&self, pointer: &str) -> Spot {
        let Position { key, value } = self.position(pointer);
        let is_written_scalar = self.positions.contains_key(pointer)
            && !self
                .value
                .pointer(pointer)
                .is_some_and(|value| value.is_object() || value.is_array());
        if is_written_scalar { value } else { key.unwrap_or(value) }
    }

    /// What to show for the name of the value at `pointer`.
    pub(super) fn key_spot(&self, pointer: &str) -> Spot {
        let Position { key, value } = self.position(pointer);
        key.unwrap_or(value)
    }

    /// Every mapping within this document that may be a manifest itself, as a document of its own: items of a list, and
    /// what other people's kinds wrap.
    pub(super) fn wrapped(&self) -> Vec<Document> {
        let has_manifest_key = |pointer: &&String| {
            let value = self.value.pointer(pointer);
            value.is_some_and(|value| {
                ["kind", "data", "stringData"]
                    .iter()
                    .any(|key| value.get(key).is_some())
            })
        };
        let wrapped = self
            .positions
            .keys()
            .filter(|pointer| !pointer.is_empty())
            .filter(has_manifest_key);
        wrapped
            .map(|pointer| Document {
                value: self.value.pointer(pointer).cloned().unwrap_or_default(),
                positions: positions_below(&self.positions, pointer),
            })
            .collect()
    }

    /// The items of the list at `pointer` as documents of their own, for `kind: List`.
    pub(super) fn into_items(self, pointer: &str) -> Vec<Document> {
        let Self { mut value, positions } = self;
        let Some(Value::Array(items)) = value.pointer_mut(pointer).map(Value::take) else {
            return Vec::new();
        };
        items
            .into_iter()
            .enumerate()
            .map(|(index, value)| Document {
                value,
                positions: positions_below(&positions, &format!("{pointer}/{index}")),
            })
            .collect()
    }
}

/// The positions at and below `pointer`, as seen from there.
fn positions_below(positions: &BTreeMap<String, Position>, pointer: &str) -> BTreeMap<String, Position> {
    let below = positions
        .range(pointer.to_owned()..)
        .take_while(|(key, _)| key.starts_with(pointer));
    below
        .filter_map(|(key, position)| Some((key.strip_prefix(pointer)?.to_owned(), *position)))
        .filter(|(rest, _)| rest.is_empty() || rest.starts_with('/'))
        .collect()
}

/// The pointer of these segments.
pub(super) fn pointer(segments: &[String]) -> String {
    segments
        .iter()
        .fold(String::new(), |pointer, segment| pointer + "/" + &escaped(segment))
}

fn escaped(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

/// Reads the documents of each file. The parser is recursive and takes some 40 KiB of stack a level without
/// optimisation, more than the threads of an async runtime have for the depth that it allows; so it gets a stack of its own.
pub(super) fn read_all<'a>(texts: impl Iterator<Item = &'a str> + Send) -> Vec<Result<Vec<Document>, Unreadable>> {
    std::thread::scope(|scope| {
        let reading = std::thread::Builder::new()
            .name("manifests".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || texts.map(read).collect())
            .expect("a process that serves can start a thread");
        reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Reads all documents of a file, empty ones left out.
fn read(text: &str) -> Result<Vec<Document>, Unreadable> {
    let options = serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_nodes: NODES_MAX,
            max_documents: DOCUMENTS_MAX,
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
        },
        alias_limits: serde_yaml::alias_limits! { max_total_replayed_events: ALIAS_EVENTS_MAX },
        strict_booleans: false,
        // Neither an octal number, as they were once, nor a float: whoever means a number drops the zero.
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        emit_comments: false,
        // The snippet would quote the file, and the file may hold secrets; we draw our own.
        with_snippet: false,
    };
    let trees: Vec<Spanned<Tree>> =
        serde_yaml::from_multiple_with_options(text, options).map_err(|error| unreadable(&error))?;
    Ok(trees
        .into_iter()
        .map(document)
        .filter(|document| !document.value.is_null())
        .collect())
}

/// Puts the words of the parser into ours.
fn unreadable(error: &serde_yaml::Error) -> Unreadable {
    let spot = error.location().map(|location| spot_of(&location));
    let text = error.to_string();
    let message = match text.strip_prefix("duplicate mapping key: ") {
        Some(rest) => format!(
            "the key `{}` stands twice in one mapping",
            rest.split_once(", set ").map_or(rest, |(key, _)| key)
        ),
        None if text.starts_with("budget breached")
            || text.contains("recursion limit")
            || text.contains("alias replay") =>
        {
            "the file is too large or too deep once its aliases are expanded; split it".to_owned()
        }
        None => format!(
            "not valid YAML: {}",
            text.rsplit_once(" at line ").map_or(text.as_str(), |(words, _)| words)
        ),
    };
    Unreadable { message, spot }
}

fn spot_of(location: &Location) -> Spot {
    let as_index = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    // Errors carry no length; `Span::UNKNOWN` is all ones.
    let length = location
        .span()
        .byte_len()
        .map_or(0, |_| as_index(location.span().len()));
    Spot {
        line: as_index(location.line()).max(1),
        column: as_index(location.column()).max(1),
        length,
    }
}

fn document(tree: Spanned<Tree>) -> Document {
    let mut positions = BTreeMap::new();
    let value = flatten(tree, None, String::new(), &mut positions);
    Document { value, positions }
}

/// The parser bounds the depth, so recursion is safe.
fn flatten(
    tree: Spanned<Tree>,
    key: Option<Spot>,
    pointer: String,
    positions: &mut BTreeMap<String, Position>,
) -> Value {
    let value = match tree.value {
        Tree::Scalar(value) => value,
        Tree::Sequence(items) => {
            let item = |(index, item)| flatten(item, None, format!("{pointer}/{index}"), positions);
            Value::Array(items.into_iter().enumerate().map(item).collect())
        }
        Tree::Mapping(entries) => {
            let mut map = Map::new();
            for (name, value) in entries {
                let child = format!("{pointer}/{}", escaped(&name.value));
                map.insert(
                    name.value,
                    flatten(value, Some(spot_of(&name.referenced)), child, positions),
                );
            }
            Value::Object(map)
        }
    };
    positions.insert(
        pointer,
        Position {
            key,
            value: spot_of(&tree.referenced),
        },
    );
    value
}

/// What the parser hands over. Recursive through [`Spanned`], so each level keeps its place without buffering.
enum Tree {
    Scalar(Value),
    Sequence(Vec<Spanned<Tree>>),
    Mapping(Vec<(Spanned<String>, Spanned<Tree>)>),
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Tree::Sequence(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Tree::Mapping(entries))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Result<Vec<Document>, Unreadable> {
        read_all(std::iter::once(text)).remove(0)
    }

    fn spot(document: &Document, pointer: &str) -> (usize, usize, usize) {
        let Spot { line, column, length } = document.position(pointer).value;
        (line, column, length)
    }

    #[test]
    fn every_value_knows_its_place() {
        let documents = read("a: 1\n---\n# comment\nlist:\n- name: x\n  port: 80\n").unwrap();
        assert_eq!(documents[0].value, json!({"a": 1}));
        assert_eq!(spot(&documents[1], "/list/0/port"), (6, 9, 2));
        assert_eq!(
            documents[1].position("/list/0/port").key.unwrap(),
            Spot {
                line: 6,
                column: 3,
                length: 4
            }
        );
    }

    #[test]
    fn what_is_missing_is_placed_at_what_should_hold_it() {
        let documents = read("spec:\n  model: x\n").unwrap();
        assert_eq!(documents[0].position("/spec/targets/0/name").key.unwrap().line, 1);
        assert_eq!(
            documents[0].spot("/spec/targets/0/name"),
            documents[0].key_spot("/spec")
        );
        assert_eq!(
            documents[0].spot("/spec"),
            Spot {
                line: 1,
                column: 1,
                length: 4
            }
        );
        assert_eq!(
            documents[0].spot("/spec/model"),
            Spot {
                line: 2,
                column: 10,
                length: 1
            }
        );
    }

    #[test]
    fn scalars_are_read_as_kubectl_reads_them() {
        let documents = read("[yes, Off, 'Off', true, 12, '12', 1.5, ~, 0755, 1_000, 2020-01-01, '']").unwrap();
        let expected = json!([
            true,
            false,
            "Off",
            true,
            12,
            "12",
            1.5,
            null,
            "0755",
            "1_000",
            "2020-01-01",
            ""
        ]);
        assert_eq!(documents[0].value, expected);
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_where_it_stands_again() {
        let error = read("spec:\n  a: 1\n  b: 2\n  a: 3\n").unwrap_err();
        assert_eq!(error.message, "the key `a` stands twice in one mapping");
        assert_eq!(error.spot.unwrap().line, 4);
    }

    #[test]
    fn what_is_not_yaml_is_refused_with_its_place() {
        let error = read("a: b: c\n").unwrap_err();
        assert_eq!(
            error.message,
            "not valid YAML: mapping values are not allowed in this context"
        );
        assert_eq!((error.spot.unwrap().line, error.spot.unwrap().column), (1, 5));
    }

    #[test]
    fn anchors_are_followed_and_bombs_are_refused() {
        let documents = read("a: &x {k: v}\nb: *x\n").unwrap();
        assert_eq!(documents[0].value, json!({"a": {"k": "v"}, "b": {"k": "v"}}));
        let level = |level: usize| match level {
            0 => "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned(),
            level => format!(
                "a{level}: &a{level} [{}]\n",
                vec![format!("*a{}", level - 1); 10].join(",")
            ),
        };
        let bomb = (0..12).map(level).collect();
        for wrong in [
            bomb,
            "[".repeat(10_000),
            (0..500).map(|depth| " ".repeat(depth) + "a:\n").collect(),
        ] {
            assert_eq!(
                read(&wrong).unwrap_err().message,
                "the file is too large or too deep once its aliases are expanded; split it"
            );
        }
    }

    #[test]
    fn items_of_a_list_keep_their_places() {
        let mut documents = read("kind: List\nitems:\n- a: 1\n- a: 2\n").unwrap();
        let items = documents.remove(0).into_items("/items");
        assert_eq!(
            items.iter().map(|item| item.value.clone()).collect::<Vec<_>>(),
            [json!({"a": 1}), json!({"a": 2})]
        );
        assert_eq!(spot(&items[1], "/a"), (4, 6, 1));
    }

    #[test]
    fn json_is_read_the_same_way() {
        let documents = read("{\n  \"spec\": {\n    \"name\": \"x\"\n  }\n}\n").unwrap();
        assert_eq!(spot(&documents[0], "/spec/name"), (3, 13, 3));
    }
}
