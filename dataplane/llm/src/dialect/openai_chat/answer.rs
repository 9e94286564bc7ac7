//! Whole answers: validated and read for usage and finish reason, never rewritten.

use std::ops::ControlFlow;

use bytes::Bytes;

use super::{error, usage};
use crate::failure::{Failure, FailureKind};
use crate::json::{self, FieldsError, Kind, Member, Repeats};
use crate::provider::WholeAnswer;
use crate::usage::Usage;

const NAMES: [&str; 3] = ["usage", "choices", "error"];

/// Reads a whole answer. Refuses what is no JSON object, and an error that came under status 200.
pub fn read(body: Bytes) -> Result<WholeAnswer, Failure> {
    if let Some(usage) = usage_at_the_end(&body) {
        return Ok(WholeAnswer {
            body,
            usage: Some(usage),
        });
    }
    let mut found = [const { None }; NAMES.len()];
    json::find_fields(&body, &NAMES, Repeats::TakeLast, &mut found).map_err(|error| {
        let detail = match error {
            FieldsError::Syntax(error) => format!("the answer is not valid JSON: {error}"),
            FieldsError::NotAnObject | FieldsError::Repeated(_) => "the answer is not a JSON object".to_owned(),
        };
        Failure::new(FailureKind::Protocol, detail)
    })?;
    let value = |member: &Option<Member>| {
        member
            .as_ref()
            .map(|member| &body[member.value.clone()])
            .filter(|value| json::kind(value) != Kind::Null)
    };
    let [usage_member, choices, error_member] = &found;
    if value(error_member).is_some() && value(choices).is_none() {
        let unreadable = || Failure::new(FailureKind::Protocol, "an error in an answer with status 200");
        return Err(error::read_unannounced(&body).unwrap_or_else(unreadable));
    }
    let usage = value(usage_member).and_then(usage::read);
    Ok(WholeAnswer { body, usage })
}

/// The usage of an answer that looks like one, read without the rest: usage stands behind the choices, and a provider
/// that closes its answer well from there on is believed about the text before. This is most of all answers, and a whole
/// pass over them would be the largest single cost of a request.
fn usage_at_the_end(body: &[u8]) -> Option<Usage> {
    let begins_as_answer = body.trim_ascii_start().first() == Some(&b'{');
    if !begins_as_answer || memchr::memmem::find(body, b"\"choices\"").is_none() {
        return None;
    }
    usage::read(&body[json::last_member(body, b"\"usage\"")?])
}

/// The finish reason of the first choice of an answer that [`read`] has validated. Apart, since it costs a second pass
/// that most requests have no use for.
pub fn finish_reason(body: &[u8]) -> Option<String> {
    let mut choices = None;
    let _ = json::walk(body, |member| {
        if &body[member.key] == b"\"choices\"" {
            choices = Some(&body[member.value]);
        }
        ControlFlow::Continue(())
    });
    // The pass begins at the first choice and stops at its reason; what it says about the text behind the choice is of
    // no interest.
    let choices = choices?;
    let first_choice = &choices[memchr::memchr(b'{', choices)?..];
    let mut reason = None;
    let _ = json::walk(first_choice, |member| {
        if &first_choice[member.key] != b"\"finish_reason\"" {
            return ControlFlow::Continue(());
        }
        reason = json::string_value(&first_choice[member.value]).map(Into::into);
        ControlFlow::Break(())
    });
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input_tokens(body: &'static str) -> Option<u64> {
        let answer = read(Bytes::from_static(body.as_bytes())).expect("an answer");
        answer.usage.map(|usage| usage.input_tokens)
    }

    #[test]
    fn usage_is_that_of_the_outermost_object_wherever_the_word_stands() {
        let counted = r#""usage":{"prompt_tokens":7}"#;
        for body in [
            r#"{"choices":[],"usage":{"prompt_tokens":7}}"#,
            r#" {"choices":[],"usage" : {"prompt_tokens":7} , "service_tier":"x\"usage\""}"#,
            r#"{"usage":{"prompt_tokens":7},"choices":[{"usage":{"prompt_tokens":9}}]}"#,
            r#"{"usage":{"prompt_tokens":7},"choices":[{"message":{"content":"usage"}}]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":9},"usage":{"prompt_tokens":7}}"#,
        ] {
            assert_eq!(input_tokens(body), Some(7), "{body}");
        }
        assert_eq!(input_tokens(r#"{"choices":[{"usage":{"prompt_tokens":9}}]}"#), None);
        let cut = format!("{{\"choices\":[],{counted}");
        assert!(read(cut.into()).is_err());
    }
}
