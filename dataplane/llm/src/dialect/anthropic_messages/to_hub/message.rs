//! Messages and what stands beside them as `system`: who said what.

use serde::Deserialize;

use super::block::{self, Content};
use super::place::typed;
use crate::dialect::openai_chat::to_hub::Text;
use crate::hub::{Part, Request, Role, Turn};
use crate::request::BadRequest;

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct Message<'a> {
    #[serde(borrow)]
    role: Text<'a>,
    #[serde(borrow, default)]
    content: Content<'a>,
}

/// Reads `messages`. Those of the system in the middle of a conversation join the instructions.
pub(super) fn read<'a>(messages: &'a str, request: &mut Request<'a>) -> Result<(), BadRequest> {
    let list: Vec<Message<'a>> = typed("messages", messages)?;
    if list.is_empty() {
        let message = "`messages` must hold at least one message".to_owned();
        return Err(BadRequest::invalid("messages", message));
    }
    request.turns.reserve(list.len());
    for (index, message) in list.into_iter().enumerate() {
        let place = format!("messages[{index}].content");
        let role = match message.role.0.as_ref() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => {
                request.instructions.extend(instructions(message.content, &place)?);
                continue;
            }
            _ => {
                let name = format!("messages[{index}].role");
                return Err(BadRequest::invalid(
                    &name,
                    format!("`{name}` must be user, assistant or system"),
                ));
            }
        };
        let parts = block::parts(message.content, role, &place, &mut request.left_out)?;
        request.turns.push(Turn { role, parts });
    }
    Ok(())
}

/// Reads `system`, which comes before all messages, wherever it stands in the body.
pub(super) fn system<'a>(system: &'a str, request: &mut Request<'a>) -> Result<(), BadRequest> {
    let parts = instructions(typed("system", system)?, "system")?;
    request.instructions.splice(0..0, parts);
    Ok(())
}

fn instructions<'a>(content: Content<'a>, place: &str) -> Result<Vec<Part<'a>>, BadRequest> {
    let parts = block::parts(content, Role::User, place, &mut Vec::new())?;
    let other = parts.iter().position(|part| !matches!(part, Part::Text { .. }));
    match other {
        None => Ok(parts.into_iter().filter(is_said).collect()),
        Some(_) => Err(BadRequest::invalid(place, format!("`{place}` must be text"))),
    }
}

/// An empty `system` is as good as none.
fn is_said(part: &Part<'_>) -> bool {
    match part {
        Part::Text { text, .. } => !text.is_empty(),
        _ => true,
    }
}
