//! The conversation as providers want it that demand taking turns: neighbouring turns of one side made one.

use super::{Part, Role, Turn};

/// What one side said until the other answered.
#[derive(Clone, Debug)]
pub struct MergedTurn<'r, 'a> {
    /// Who.
    pub role: Role,
    /// What, in order; what tools returned stands first, as the providers that merge turns demand.
    pub parts: Vec<&'r Part<'a>>,
}

/// Merges neighbouring turns of one role. Turns without parts vanish.
pub fn merged<'r, 'a>(turns: &'r [Turn<'a>]) -> Vec<MergedTurn<'r, 'a>> {
    let mut merged: Vec<MergedTurn<'r, 'a>> = Vec::with_capacity(turns.len());
    for turn in turns.iter().filter(|turn| !turn.parts.is_empty()) {
        match merged.last_mut() {
            Some(last) if last.role == turn.role => last.parts.extend(&turn.parts),
            _ => merged.push(MergedTurn {
                role: turn.role,
                parts: turn.parts.iter().collect(),
            }),
        }
    }
    for turn in &mut merged {
        turn.parts.sort_by_key(|part| !matches!(part, Part::ToolResult { .. })); // stable
    }
    merged
}

/// The function that a tool call names, found by the call's id: the last one of that id, since clients reuse ids.
pub fn called_function<'r>(turns: &'r [Turn<'_>], call_id: &str) -> Option<&'r str> {
    turns
        .iter()
        .rev()
        .flat_map(|turn| turn.parts.iter().rev())
        .find_map(|part| match part {
            Part::ToolCall { id, name, .. } if id == call_id => Some(name.as_ref()),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(call_id: &'static str) -> Part<'static> {
        Part::ToolResult {
            call_id: call_id.into(),
            name: None,
            parts: vec![],
            is_error: false,
            cache: None,
        }
    }

    #[test]
    fn neighbours_become_one_turn_in_which_tool_results_stand_first() {
        let user = |part| Turn {
            role: Role::User,
            parts: vec![part],
        };
        let assistant = Turn {
            role: Role::Assistant,
            parts: vec![Part::text("a")],
        };
        let empty = Turn {
            role: Role::Assistant,
            parts: vec![],
        };
        let turns = [
            user(Part::text("1")),
            assistant,
            user(Part::text("2")),
            empty,
            user(result("x")),
            user(result("y")),
        ];
        let merged = merged(&turns);
        assert_eq!(merged.len(), 3);
        let last: Vec<_> = merged[2]
            .parts
            .iter()
            .map(|part| match part {
                Part::Text { text, .. } => text.as_ref(),
                Part::ToolResult { call_id, .. } => call_id.as_ref(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(last, ["x", "y", "2"]);
    }

    #[test]
    fn a_function_is_found_by_the_last_call_of_that_id() {
        let call = |name: &'static str| Turn {
            role: Role::Assistant,
            parts: vec![Part::ToolCall {
                id: "1".into(),
                name: name.into(),
                arguments: "".into(),
                signature: None,
                cache: None,
            }],
        };
        let turns = [call("old"), call("new")];
        assert_eq!(
            (called_function(&turns, "1"), called_function(&turns, "2")),
            (Some("new"), None)
        );
    }
}
