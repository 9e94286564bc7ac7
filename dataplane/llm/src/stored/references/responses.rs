//! Ids in a request to Responses. Conversations go on at a stored response, items are named instead of sent, and tools
//! work on what lies in the account.
//!
//! An item's own id only labels it while its content stands beside it. Where that is missing, the id stands for what is
//! stored, and whoever knows the id would reach it: in `item_reference`, in thoughts that are not sealed, in pictures
//! without their bytes, and perhaps in kinds that are not known yet.

use std::ops::{ControlFlow, Range};

use super::{Found, Kind, Reference};
use crate::json::{self, FieldsError, Member, Repeats};
use crate::request::{BadRequest, Field, ModelRequest};

const TOP: [&str; 5] = [
    "previous_response_id",
    "conversation",
    "prompt",
    "prompt_cache_options",
    "tools",
];

const ITEM: [&str; 6] = [
    "id",
    "type",
    "content",
    "encrypted_content",
    "result",
    "approval_request_id",
];

/// Items that hold their content and may have an id beside it.
const WITH_CONTENT: [&str; 25] = [
    "message",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "computer_call",
    "computer_call_output",
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    "local_shell_call",
    "local_shell_call_output",
    "shell_call",
    "shell_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    "mcp_call",
    "mcp_list_tools",
    "mcp_approval_request",
    "mcp_approval_response",
    "tool_search_call",
    "tool_search_output",
    "additional_tools",
    "program",
    "program_output",
];

/// What the model made: files that are named in it were found by it, and are not opened again.
const MADE_PARTS: [&str; 2] = ["output_text", "refusal"];
const MADE_ITEMS: [&str; 2] = ["file_search_call", "code_interpreter_call"];

/// Tools whose members are the client's own words, such as the schema of a function.
const FOREIGN_TOOLS: [&str; 5] = ["function", "custom", "mcp", "namespace", "tool_search"];

/// What tools work on. No endpoint makes these for a key, so that an id of one is nobody's.
const WORKED_ON: [&str; 3] = ["vector_store_ids", "container", "container_id"];

pub(super) fn find(request: &ModelRequest) -> Result<Vec<Reference>, BadRequest> {
    let body = &request.body[..];
    let mut found = Found::default();
    let [previous, conversation, prompt, cache, tools] = fields(body, 0..body.len(), TOP)?;
    if let Some(place) = previous {
        found.needed(body, place, Kind::Response, TOP[0]);
    }
    if let Some(place) = conversation {
        let [id] = fields(body, place.clone(), ["id"])?;
        found.needed(body, id.unwrap_or(place), Kind::Response, TOP[1]);
    }
    if let Some(place) = prompt {
        found.files_in(body, place);
    }
    if let Some(place) = cache {
        found.named_in(body, place, &["comparison_response_id"], Kind::Response);
    }
    for tool in tools.map_or_else(Vec::new, |place| elements(body, place)) {
        let [kind] = fields(body, tool.clone(), ["type"])?;
        if !is_any(body, kind, &FOREIGN_TOOLS) {
            found.files_in(body, tool.clone());
            found.named_in(body, tool, &WORKED_ON, Kind::Item);
        }
    }
    if let Some(input) = request.member(Field::Input) {
        for item in elements(body, input.value.clone()) {
            read_item(body, item, &mut found)?;
        }
    }
    found.few()
}

fn read_item(body: &[u8], item: Range<usize>, found: &mut Found) -> Result<(), BadRequest> {
    let [id, kind, content, sealed, result, approval] = fields(body, item.clone(), ITEM)?;
    let is_text = |place: &Option<Range<usize>>| place.as_ref().is_some_and(|place| body[place.start] == b'"');
    if let Some(id) = id {
        let has_content = match &kind {
            // Without a type it is a message, or what is left of a reference.
            None => content.is_some(),
            Some(_) => is_any(body, kind.clone(), &WITH_CONTENT),
        };
        // Servers that seal no thoughts send their words, and take no note of the id.
        let has_words = content
            .as_ref()
            .is_some_and(|place| !elements(body, place.clone()).is_empty());
        let is_thought = is_any(body, kind.clone(), &["reasoning"]);
        let holds_itself = has_content || is_text(&sealed) || is_text(&result) || (is_thought && has_words);
        found.push(body, id, Kind::Item, "id", !holds_itself);
    }
    if let Some(approval) = approval {
        found.push(body, approval, Kind::Item, "approval_request_id", false);
    }
    if is_any(body, kind.clone(), &MADE_ITEMS) {
        return Ok(());
    }
    // A message's parts, one by one; of everything else all.
    let is_message = kind.is_none() || is_any(body, kind, &["message"]);
    let Some(parts) = content.filter(|_| is_message) else {
        found.files_in(body, item);
        return Ok(());
    };
    found.files_in(body, item.start..parts.start);
    for part in elements(body, parts.clone()) {
        let [kind] = fields(body, part.clone(), ["type"])?;
        if !is_any(body, kind, &MADE_PARTS) {
            found.files_in(body, part);
        }
    }
    found.files_in(body, parts.end..item.end);
    Ok(())
}

/// Where members of the object at a place stand; none of what is no object. A name that stands twice is refused, since
/// the provider might read the other one.
fn fields<const COUNT: usize>(
    body: &[u8],
    place: Range<usize>,
    names: [&str; COUNT],
) -> Result<[Option<Range<usize>>; COUNT], BadRequest> {
    let mut found = [const { None }; COUNT];
    match json::find_fields(&body[place.clone()], &names, Repeats::Refuse, &mut found) {
        Ok(()) => {}
        Err(FieldsError::NotAnObject) => return Ok([const { None }; COUNT]),
        Err(FieldsError::Syntax(error)) => return Err(BadRequest::unreadable(error)),
        Err(FieldsError::Repeated(index)) => return Err(BadRequest::repeated(names[index])),
    }
    let within = |member: Member| member.value.start + place.start..member.value.end + place.start;
    let is_given = |value: &Range<usize>| &body[value.clone()] != b"null";
    Ok(found.map(|member| member.map(within).filter(is_given)))
}

/// Where the elements of the array at a place stand; none of what is no array.
fn elements(body: &[u8], place: Range<usize>) -> Vec<Range<usize>> {
    let mut elements = Vec::new();
    if body.get(place.start) == Some(&b'[') {
        let _ = json::walk(&body[place.clone()], |Member { value, .. }| {
            elements.push(value.start + place.start..value.end + place.start);
            ControlFlow::Continue(())
        });
    }
    elements
}

fn is_any(body: &[u8], place: Option<Range<usize>>, words: &[&str]) -> bool {
    let word = place.and_then(|place| json::string_value(&body[place]));
    word.is_some_and(|word| words.contains(&word.as_ref()))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::endpoint::Endpoint;

    fn found(more: &str) -> Result<Vec<String>, BadRequest> {
        let body = format!(r#"{{"model":"m",{more}}}"#);
        let request = ModelRequest::parse(Endpoint::Responses, Bytes::from(body)).expect("a request");
        let described = |found: Reference| {
            let mark = if found.is_needed { "!" } else { "" };
            format!("{}{mark}={:?}({})", found.field, found.kind, found.id)
        };
        Ok(find(&request)?.into_iter().map(described).collect())
    }

    fn check(more: &str, expected: &[&str]) {
        assert_eq!(found(more).expect("few"), expected, "{more}");
    }

    #[test]
    fn a_conversation_goes_on_where_it_is_stored() {
        check(
            r#""previous_response_id":"r","input":"hi""#,
            &["previous_response_id!=Response(r)"],
        );
        check(r#""previous_response_id":null,"conversation":null,"input":"hi""#, &[]);
        check(r#""conversation":"c","input":"hi""#, &["conversation!=Response(c)"]);
        check(
            r#""conversation":{"id":"c"},"input":"hi""#,
            &["conversation!=Response(c)"],
        );
        check(
            r#""prompt":{"id":"p","variables":{"x":{"type":"input_file","file_id":"f"}}},
               "prompt_cache_options":{"comparison_response_id":"r"}"#,
            &["file_id!=File(f)", "comparison_response_id!=Response(r)"],
        );
        let twice = found(r#""previous_response_id":"a","Previous_Response_Id":"b","input":"x""#).expect_err("two");
        assert_eq!(twice.code, "duplicate_field");
    }

    #[test]
    fn an_id_is_needed_where_nothing_stands_beside_it() {
        for (item, expected) in [
            (r#"{"type":"item_reference","id":"i"}"#, "id!=Item(i)"),
            (r#"{"id":"i"}"#, "id!=Item(i)"),
            (r#"{"type":"reasoning","id":"i","summary":[]}"#, "id!=Item(i)"),
            (
                r#"{"type":"reasoning","id":"i","content":[{"type":"reasoning_text","text":"Hm."}]}"#,
                "id=Item(i)",
            ),
            (r#"{"type":"reasoning","id":"i","content":[]}"#, "id!=Item(i)"),
            (
                r#"{"type":"reasoning","id":"i","encrypted_content":null}"#,
                "id!=Item(i)",
            ),
            (r#"{"type":"reasoning","id":"i","encrypted_content":"x"}"#, "id=Item(i)"),
            (
                r#"{"type":"image_generation_call","id":"i","status":"completed"}"#,
                "id!=Item(i)",
            ),
            (
                r#"{"type":"image_generation_call","id":"i","result":"AAAA"}"#,
                "id=Item(i)",
            ),
            (r#"{"type":"invented_tomorrow","id":"i","content":[]}"#, "id!=Item(i)"),
            (r#"{"role":"assistant","id":"i","content":"hi"}"#, "id=Item(i)"),
            (
                r#"{"type":"function_call","id":"i","call_id":"c","name":"f","arguments":"{\"file_id\":\"x\"}"}"#,
                "id=Item(i)",
            ),
            (
                r#"{"type":"mcp_approval_response","approval_request_id":"i","approve":true}"#,
                "approval_request_id=Item(i)",
            ),
        ] {
            check(&format!(r#""input":[{item}]"#), &[expected]);
        }
        let twice = found(r#""input":[{"type":"message","type":"item_reference","id":"i"}]"#).expect_err("two");
        assert_eq!(twice.code, "duplicate_field");
    }

    #[test]
    fn files_are_found_where_they_would_be_opened() {
        check(
            r#""input":[{"role":"user","content":[{"type":"input_file","file_id":"a"},{"type":"input_image","file_id":"b"}]},
               {"type":"function_call_output","call_id":"c","output":[{"type":"input_file","file_id":"d"}]},
               {"type":"computer_call_output","call_id":"c","output":{"type":"computer_screenshot","file_id":"e"}}]"#,
            &[
                "file_id!=File(a)",
                "file_id!=File(b)",
                "file_id!=File(d)",
                "file_id!=File(e)",
            ],
        );
        check(
            r#""input":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"x","annotations":[
               {"type":"file_citation","file_id":"a"}]}]},{"type":"file_search_call","id":"i","results":[{"file_id":"b"}]}]"#,
            &["id=Item(i)"],
        );
    }

    #[test]
    fn tools_work_on_what_is_ones_own_or_nobodys() {
        check(
            r#""input":"x","tools":[{"type":"function","name":"f","parameters":{"default":{"file_id":"x","container":"y"}}},
               {"type":"code_interpreter","container":{"type":"auto","file_ids":["a","b"]}},
               {"type":"code_interpreter","container":"c"},{"type":"file_search","vector_store_ids":["v"]},
               {"type":"image_generation","input_image_mask":{"file_id":"m"}}]"#,
            &[
                "file_ids!=File(a)",
                "file_ids!=File(b)",
                "container!=Item(c)",
                "vector_store_ids!=Item(v)",
                "file_id!=File(m)",
            ],
        );
    }

    #[test]
    fn every_spelling_and_every_place_of_a_message_counts() {
        check(
            r#""input":[{"file_id":"a","role":"user","content":[{"file_id":"b","FILE_ID":"c"}],"x":{"file_ids":["d"]}}]"#,
            &[
                "file_id!=File(a)",
                "file_id!=File(b)",
                "file_id!=File(c)",
                "file_ids!=File(d)",
            ],
        );
    }
}
