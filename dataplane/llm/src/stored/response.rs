//! Responses as their owner sees them: whole, as events of a stream, and the list of what one was asked with. Exchanged are
//! the ids of responses and of their items, since both can be named in later requests.

use std::borrow::Cow;
use std::ops::{ControlFlow, Range};

use bytes::Bytes;

use super::object::unreadable;
use super::{Kind, Owner};
use crate::failure::Failure;
use crate::json::{self, Member, Repeats};
use crate::provider::json_string;
use crate::splice::Edits;
use crate::sse;

/// A response. One that was deleted has an id alone.
pub fn shown(body: &Bytes, owner: &Owner<'_>) -> Result<Bytes, Failure> {
    let mut exchange = Exchange::new(body, owner);
    exchange.response(0..body.len())?;
    Ok(exchange.edits.apply(body))
}

/// A list of items.
pub fn shown_items(body: &Bytes, owner: &Owner<'_>) -> Result<Bytes, Failure> {
    let mut exchange = Exchange::new(body, owner);
    let [data, first, last] = exchange.fields(0..body.len(), ["data", "first_id", "last_id"])?;
    exchange.items(data)?;
    for id in [first, last] {
        exchange.id(id, Kind::Item)?;
    }
    Ok(exchange.edits.apply(body))
}

/// An event of a stream, blank line included; `None`: it stays as it is.
pub fn shown_event(event: &[u8], owner: &Owner<'_>) -> Result<Option<Bytes>, Failure> {
    let Some(data) = sse::data(event) else {
        return Ok(None);
    };
    let data = Bytes::copy_from_slice(data.trim_ascii());
    if data.first() != Some(&b'{') {
        return Ok(None); // nothing of the dialect
    }
    let mut exchange = Exchange::new(&data, owner);
    let [response, item, item_id] = exchange.fields(0..data.len(), ["response", "item", "item_id"])?;
    if let Some(response) = response {
        exchange.response(response)?;
    }
    if let Some(item) = item {
        exchange.item(item)?;
    }
    exchange.id(item_id, Kind::Item)?;
    let edited = exchange.edits.apply(&data);
    if edited.as_ptr() == data.as_ptr() {
        return Ok(None);
    }
    let mut shown = Vec::with_capacity(edited.len() + 64);
    if let Some(name) = sse::name(event) {
        shown.extend_from_slice(b"event: ");
        shown.extend_from_slice(name);
        shown.push(b'\n');
    }
    shown.extend_from_slice(b"data: ");
    // Line breaks in JSON are white space; they would be the next line here.
    let one_line = |byte: &u8| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte };
    shown.extend(edited.iter().map(one_line));
    shown.extend_from_slice(b"\n\n");
    Ok(Some(shown.into()))
}

/// The edits of one document.
struct Exchange<'a> {
    text: &'a [u8],
    owner: &'a Owner<'a>,
    edits: Edits<'static>,
}

impl<'a> Exchange<'a> {
    fn new(text: &'a [u8], owner: &'a Owner<'a>) -> Self {
        Self {
            text,
            owner,
            edits: Edits::default(),
        }
    }

    fn response(&mut self, place: Range<usize>) -> Result<(), Failure> {
        let [id, previous, output] = self.fields(place, ["id", "previous_response_id", "output"])?;
        self.id(id, Kind::Response)?;
        self.id(previous, Kind::Response)?;
        self.items(output)
    }

    fn items(&mut self, place: Option<Range<usize>>) -> Result<(), Failure> {
        let Some(place) = place.filter(|place| self.text[place.start] == b'[') else {
            return Ok(());
        };
        let mut items = Vec::new();
        let _ = json::walk(&self.text[place.clone()], |Member { value, .. }| {
            items.push(value.start + place.start..value.end + place.start);
            ControlFlow::Continue(())
        });
        items.into_iter().try_for_each(|item| self.item(item))
    }

    fn item(&mut self, place: Range<usize>) -> Result<(), Failure> {
        if self.text[place.start] != b'{' {
            return Ok(());
        }
        let [id, approval] = self.fields(place, ["id", "approval_request_id"])?;
        self.id(id, Kind::Item)?;
        self.id(approval, Kind::Item)
    }

    fn id(&mut self, place: Option<Range<usize>>, kind: Kind) -> Result<(), Failure> {
        let Some(place) = place else { return Ok(()) };
        match json::string_value(&self.text[place.clone()]) {
            Some(id) if !id.is_empty() => {
                let issued = self.owner.issue(kind, &id)?;
                self.edits.insert(place, Cow::Owned(json_string(&issued)));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn fields<const COUNT: usize>(
        &self,
        place: Range<usize>,
        names: [&str; COUNT],
    ) -> Result<[Option<Range<usize>>; COUNT], Failure> {
        let mut found = [const { None }; COUNT];
        json::find_fields(&self.text[place.clone()], &names, Repeats::TakeLast, &mut found)
            .map_err(|_| unreadable("the answer is no response"))?;
        let within = |member: Member| member.value.start + place.start..member.value.end + place.start;
        Ok(found.map(|member| member.map(within)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::object::tests::with_owner;
    use super::*;

    fn text(bytes: &Bytes) -> &str {
        std::str::from_utf8(bytes).expect("text")
    }

    #[test]
    fn a_response_and_its_items_have_ids_of_their_owner() {
        let body = r#"{ "id":"r1", "output":[{"type":"reasoning","id":"rs"},{"type":"message","id":"m","content":[{"type":"output_text","annotations":[{"file_id":"f"}]}]},
            {"type":"mcp_approval_response","id":null,"approval_request_id":"a"}],"previous_response_id" : "r0","metadata":{"id":"x"}}"#;
        let shown = with_owner(|owner| shown(&Bytes::from_static(body.as_bytes()), owner)).expect("a response");
        let mut expected = body.to_owned();
        for (id, issued) in [
            ("\"id\":\"r1\"", "\"id\":\"Response(r1)\""),
            ("\"rs\"", "\"Item(rs)\""),
            ("\"m\"", "\"Item(m)\""),
            ("\"a\"}", "\"Item(a)\"}"),
            ("\"r0\"", "\"Response(r0)\""),
        ] {
            expected = expected.replace(id, issued);
        }
        assert_eq!(text(&shown), expected);
    }

    #[test]
    fn what_was_asked_is_listed_with_ids_of_its_owner() {
        let body =
            r#"{"object":"list","data":[{"id":"a","type":"message"}],"first_id":"a","last_id":"a","has_more":false}"#;
        let shown = with_owner(|owner| shown_items(&Bytes::from_static(body.as_bytes()), owner)).expect("a list");
        assert_eq!(text(&shown), body.replace("\"a\"", "\"Item(a)\""));
    }

    #[test]
    fn events_have_them_wherever_one_stands() {
        for (event, expected) in [
            (
                "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"output\":[]}}\n\n",
                Some(
                    "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"Response(r)\",\"output\":[]}}\n\n",
                ),
            ),
            (
                "data: {\"item_id\":\"m\",\"delta\":\"\\\"item_id\\\":\"}\r\n\r\n",
                Some("data: {\"item_id\":\"Item(m)\",\"delta\":\"\\\"item_id\\\":\"}\n\n"),
            ),
            (
                "data: {\"item\":\ndata: {\"id\":\"m\"}}\n\n",
                Some("data: {\"item\": {\"id\":\"Item(m)\"}}\n\n"),
            ),
            ("data: {\"type\":\"keepalive\"}\n\n", None),
            (": comment\n\n", None),
            ("data: [DONE]\n\n", None),
        ] {
            let shown = with_owner(|owner| shown_event(event.as_bytes(), owner)).expect("an event");
            assert_eq!(shown.as_ref().map(text), expected, "{event}");
        }
        assert!(with_owner(|owner| shown_event(b"data: {\"item_id\"\n\n", owner)).is_err());
        assert!(with_owner(|owner| shown_event(b"data: {\"item_id\":\"a b\"}\n\n", owner)).is_err());
    }
}
