//! The fields of an object by name, whatever way their names are spelt.
//!
//! In a request two spellings of one name are refused, because two readers of the body could take different values: the
//! gateway the one it authorises and the provider the one it serves.

use std::ops::ControlFlow;

use super::{Kind, Member, SyntaxError, string_value, walk};

/// What to do about a field that is spelt twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeats {
    /// Refuse it, and every spelling that differs only in case: two readers of the body could take different values.
    Refuse,
    /// Take the last of those spelt exactly so, as most parsers do.
    TakeLast,
}

/// Why the fields of a document cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldsError {
    /// Not valid JSON.
    Syntax(SyntaxError),
    /// Valid, but no object.
    NotAnObject,
    /// The field with this index in `names` is spelt twice, or in other case.
    Repeated(usize),
}

/// Validates `text` as a JSON object and writes into `found[i]` where the field `names[i]` stands. Names are compared
/// after unescaping; an empty name is never found. `found` is as long as `names` and filled with `None`.
pub fn find_fields(
    text: &[u8],
    names: &[&str],
    repeats: Repeats,
    found: &mut [Option<Member>],
) -> Result<(), FieldsError> {
    let mut repeated = None;
    let kind = walk(text, |member| {
        if let Some((index, spelling)) = match_key(&text[member.key.clone()], names) {
            match repeats {
                Repeats::Refuse if spelling == Spelling::Variant || found[index].is_some() => {
                    repeated = repeated.or(Some(index));
                }
                Repeats::TakeLast if spelling == Spelling::Variant => {}
                _ => found[index] = Some(member),
            }
        }
        ControlFlow::Continue(())
    })
    .map_err(FieldsError::Syntax)?;
    if kind != Kind::Object {
        return Err(FieldsError::NotAnObject);
    }
    repeated.map_or(Ok(()), |index| Err(FieldsError::Repeated(index)))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Spelling {
    Exact,
    Variant,
}

/// Which of `names` a key is that [`walk`] has validated, quotes included, in whatever spelling.
pub(crate) fn matching(key: &[u8], names: &[&str]) -> Option<usize> {
    match_key(key, names).map(|(index, _)| index)
}

fn match_key(key: &[u8], names: &[&str]) -> Option<(usize, Spelling)> {
    let found = |spelling: &dyn Fn(&str) -> Option<Spelling>| {
        names
            .iter()
            .enumerate()
            .filter(|(_, name)| !name.is_empty())
            .find_map(|(index, name)| Some((index, spelling(name)?)))
    };
    // Almost every key is plain ASCII and can be compared where it stands.
    let inner = key.get(1..key.len().checked_sub(1)?)?;
    if inner.iter().all(|&byte| byte.is_ascii() && byte != b'\\') {
        return found(&|name| match inner.eq_ignore_ascii_case(name.as_bytes()) {
            true if inner == name.as_bytes() => Some(Spelling::Exact),
            is_variant => is_variant.then_some(Spelling::Variant),
        });
    }
    let key = string_value(key)?;
    found(&|name| spelling(&key, name))
}

/// Compares as Go's `encoding/json` does (Ollama is written in it), which ignores case and thereby also takes the long
/// s and the Kelvin sign for `s` and `k`.
fn spelling(key: &str, name: &str) -> Option<Spelling> {
    if key == name {
        return Some(Spelling::Exact);
    }
    if key.is_ascii() {
        return key.eq_ignore_ascii_case(name).then_some(Spelling::Variant);
    }
    let folded = key.chars().map(|character| match character {
        '\u{17F}' => 's',
        '\u{212A}' => 'k',
        other => other.to_ascii_lowercase(),
    });
    folded
        .eq(name.chars().map(|character| character.to_ascii_lowercase()))
        .then_some(Spelling::Variant)
}
