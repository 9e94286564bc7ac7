//! What holds of every document in which ids stand, searched for with generated ones: what is found in the bytes is what a
//! reader of the whole tree finds, however the bytes were cut, and nothing else changes.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use bytes::Bytes;
use headgate_llm::json::{Named, string_value, strings_named};
use headgate_llm::multipart::Scanner;
use headgate_llm::stored::batch_file::BatchFile;
use headgate_llm::stored::object::Object;
use headgate_llm::stored::{Family, Kind, Owner, response};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

const NAMES: [&str; 2] = ["file_id", "file_ids"];

/// Documents in which the names that matter stand as keys, as values and in texts.
fn document() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("file_id".to_owned()),
        Just("file_ids".to_owned()),
        Just("id".to_owned()),
        Just("previous_response_id".to_owned()),
        Just("\"file_id\":\"x\"".to_owned()),
        "[a-c\\\\\" :é\\n]{0,6}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i32>().prop_map(Value::from),
        word.clone().prop_map(Value::from)
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((word.clone(), inner), 0..6).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The strings that members of these names hold, or begin with in a list.
fn held(value: &Value, names: &[&str], found: &mut Vec<String>) {
    match value {
        Value::Array(elements) => elements.iter().for_each(|element| held(element, names, found)),
        Value::Object(members) => {
            for (name, value) in members {
                let strings = match value {
                    Value::String(text) => vec![text.clone()],
                    Value::Array(elements) => {
                        let texts = elements.iter().map_while(Value::as_str);
                        texts.map(str::to_owned).collect()
                    }
                    _ => Vec::new(),
                };
                if names.iter().any(|other| other.eq_ignore_ascii_case(name)) {
                    found.extend(strings);
                }
                held(value, names, found);
            }
        }
        _ => {}
    }
}

/// Whether a list or a string stands behind one of these names.
fn names_stored(value: &Value) -> bool {
    match value {
        Value::Array(elements) => elements.iter().any(names_stored),
        Value::Object(members) => members.iter().any(|(name, value)| {
            let is_named = ["file_id", "file_ids", "previous_response_id"].contains(&name.as_str());
            (is_named && (value.is_string() || value.is_array())) || names_stored(value)
        }),
        _ => false,
    }
}

fn is_refused(lines: &str, piece: usize) -> bool {
    let part = |name: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"f\"\r\n\r\n{value}\r\n")
    };
    let form = format!("{}{}--b--", part("file", lines), part("purpose", "batch"));
    let mut scanner = Scanner::new(b"multipart/form-data; boundary=b").unwrap();
    let mut file = BatchFile::default();
    let mut start = 0;
    for bytes in form.as_bytes().chunks(piece) {
        let mut steps = Vec::new();
        scanner.push(bytes, &mut steps).unwrap();
        file.push(start, bytes, &steps);
        start += bytes.len() as u64;
    }
    file.names().is_some()
}

#[expect(clippy::unnecessary_wraps, reason = "the form of what issues ids")]
fn issue(kind: Kind, id: &str) -> Option<String> {
    Some(format!("<{kind:?} {id}>"))
}

fn exchanged(value: &mut Value, kind: Kind) {
    if let Some(id) = value.as_str().filter(|id| !id.is_empty()) {
        *value = issue(kind, id).into();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_found_in_the_bytes_is_what_the_tree_holds(value in document(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let mut found = Vec::new();
        strings_named(text.as_bytes(), &NAMES, |Named { value, .. }| {
            found.push(string_value(&text.as_bytes()[value]).unwrap().into_owned());
        });
        let mut expected = Vec::new();
        held(&value, &NAMES, &mut expected);
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_line_of_a_batch_that_names_what_is_stored_is_noticed_however_it_is_cut(lines in vec(document(), 1..4), piece in 1_usize..40) {
        let text: Vec<String> = lines.iter().map(Value::to_string).collect();
        prop_assert_eq!(is_refused(&text.join("\n"), piece), lines.iter().any(names_stored));
    }

    #[test]
    fn nothing_but_ids_changes_in_what_its_owner_sees(value in document(), id in "[a-z_]{0,4}", previous in "[a-z]{0,2}") {
        let owner = Owner { issue: &issue, tags: &[] };
        let Value::Object(mut members) = value else { return Ok(()) };
        for (name, text) in [("id", &id), ("previous_response_id", &previous), ("output_file_id", &id)] {
            members.insert(name.to_owned(), text.as_str().into());
        }
        let object = Value::Object(members);
        let body = Bytes::from(object.to_string());

        let shown = response::shown(&body, &owner).unwrap();
        let mut expected = object.clone();
        exchanged(&mut expected["id"], Kind::Response);
        exchanged(&mut expected["previous_response_id"], Kind::Response);
        prop_assert_eq!(serde_json::from_slice::<Value>(&shown).unwrap(), expected);

        let shown = Object::read(Family::Batch, body).unwrap().edited(&owner).unwrap();
        let mut expected = object;
        exchanged(&mut expected["id"], Kind::Batch);
        exchanged(&mut expected["output_file_id"], Kind::File);
        prop_assert_eq!(serde_json::from_slice::<Value>(&shown).unwrap(), expected);
    }
}
