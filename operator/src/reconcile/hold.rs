//! What people are told about held removals: an entry beside the pointer, and the line that lets them through. It changes
//! only when the hold does, so that watching it tells exactly that.

use std::collections::BTreeSet;

use headgate_snapshot::ObjectName;
use headgate_snapshot::delivery::annotation;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::guard::Hold;
use crate::args::Config;

/// How many of the held are named, of each kind.
const NAMED_MAX: usize = 3;
/// And how many bytes the names of a kind may take: an event is cut at 1024, and the line to run comes last.
const NAMED_BYTES_MAX: usize = 200;

/// The type of the entry.
const REMOVALS_HELD: &str = "RemovalsHeld";

/// One entry of the pointer's `status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(rename = "type")]
    type_: String,
    status: String,
    reason: String,
    message: String,
    last_transition_time: String,
    /// How many removals are held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    counts: Option<Counts>,
    /// What the annotation has to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approval: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    keys: usize,
    keys_published: usize,
    routes: usize,
    routes_published: usize,
}

/// What is to be said, and whether that is news.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The text of the pointer's `status`.
    pub(crate) text: String,
    /// What changed; `None`: nothing.
    pub(crate) news: Option<News>,
}

/// A change that is worth an event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Removals are held, or other ones than before.
    Held(String),
    /// Those of this digest are not held any more.
    Released(Option<String>),
    /// Nothing is published until a person mends what this says.
    NotPublishing(String),
    /// It is again.
    Publishing,
}

/// The line that lets the removals through.
pub(crate) fn approval_line(hold: &Hold, config: &Config) -> String {
    format!(
        "kubectl annotate --overwrite configmap {} -n {} {}={}",
        config.snapshot_name,
        config.snapshot_namespace,
        annotation::APPROVE_REMOVAL,
        hold.approval
    )
}

/// What to say about `hold`, where `text` is being said.
pub(crate) fn told(text: Option<&str>, hold: Option<&Hold>, config: &Config, now: Timestamp) -> Told {
    let entries: Option<Vec<Entry>> = text.and_then(|text| serde_json::from_str(text).ok());
    let before = entries.and_then(|entries| entries.into_iter().find(|entry| entry.type_ == REMOVALS_HELD));
    let mut entry = entry(hold, config, now);
    let has_flipped = before
        .as_ref()
        .map_or(hold.is_some(), |before| before.status != entry.status);
    let is_another_set = before.as_ref().is_some_and(|before| before.approval != entry.approval);
    let (held, since) = before
        .map(|before| (before.approval, before.last_transition_time))
        .unzip();
    if let Some(since) = since.filter(|_| !has_flipped) {
        entry.last_transition_time = since;
    }
    let news = match hold {
        Some(_) if has_flipped || is_another_set => Some(News::Held(entry.message.clone())),
        None if has_flipped => Some(News::Released(held.flatten())),
        _ => None,
    };
    let text = serde_json::to_string(&[entry]).expect("plain data is always JSON");
    Told { text, news }
}

fn entry(hold: Option<&Hold>, config: &Config, now: Timestamp) -> Entry {
    let (status, reason) = match hold {
        Some(_) => ("True", "TooManyAtOnce"),
        None => ("False", "NothingHeld"),
    };
    Entry {
        type_: REMOVALS_HELD.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: hold.map_or_else(
            || "every removal is published".to_owned(),
            |hold| held_message(hold, config),
        ),
        last_transition_time: super::conditions::whole_seconds(now).to_string(),
        counts: hold.map(|hold| Counts {
            keys: hold.removals.callers.len(),
            keys_published: hold.callers_published,
            routes: hold.removals.routes.len(),
            routes_published: hold.routes_published,
        }),
        approval: hold.map(|hold| hold.approval.clone()),
    }
}

fn held_message(hold: &Hold, config: &Config) -> String {
    format!(
        "{} of {} keys and {} of {} routes would go at once and are still served ({}), while everything else is published; \
         if that is meant, run: {}",
        hold.removals.callers.len(),
        hold.callers_published,
        hold.removals.routes.len(),
        hold.routes_published,
        names(hold),
        approval_line(hold, config)
    )
}

/// The first of the held, enough to tell a mistake from what was meant: `keys llm/a, llm/b and 28 more; routes llm/r`.
fn names(hold: &Hold) -> String {
    let kinds = [("keys", &hold.removals.callers), ("routes", &hold.removals.routes)];
    let named = kinds.into_iter().filter(|(_, names)| !names.is_empty());
    let named: Vec<_> = named
        .map(|(kind, names)| format!("{kind} {}", first_of(names)))
        .collect();
    named.join("; ")
}

fn first_of(names: &BTreeSet<ObjectName>) -> String {
    let mut text = String::new();
    let mut shown = 0;
    for name in names.iter().take(NAMED_MAX) {
        let name = name.to_string();
        if text.len() + name.len() > NAMED_BYTES_MAX {
            break;
        }
        text += if shown == 0 { "" } else { ", " };
        text += &name;
        shown += 1;
    }
    match (shown, names.len() - shown) {
        (_, 0) => text,
        (0, _) => "that have long names".to_owned(),
        (_, left) => format!("{text} and {left} more"),
    }
}

/// The digest that an approval names, where it is not that of what is held: it lets nothing through.
pub(crate) fn misdirected<'a>(hold: Option<&Hold>, approval: Option<&'a str>) -> Option<&'a str> {
    let wanted = hold?.approval.as_str();
    approval.map(str::trim).filter(|approval| *approval != wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::fixture::config;
    use crate::reconcile::guard::Removals;

    fn hold(approval: &str) -> Hold {
        Hold {
            removals: Removals {
                callers: ["team/a".parse().unwrap()].into(),
                routes: [].into(),
            },
            approval: approval.into(),
            callers_published: 3,
            routes_published: 2,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_line_to_run_is_told() {
        let told = told(None, Some(&hold("0123456789abcdef")), &config(), at(1));
        assert!(told.text.contains(
            "kubectl annotate --overwrite configmap headgate -n gateway-snapshots \
             headgate.dev/approve-removal=0123456789abcdef"
        ));
        assert!(told.text.contains("1 of 3 keys and 0 of 2 routes"), "{}", told.text);
    }

    #[test]
    fn the_first_of_the_held_are_named_and_the_line_to_run_still_fits_an_event() {
        let mut hold = hold("0123456789abcdef");
        hold.removals.callers = (1..=30)
            .map(|index| ObjectName::new("llm", format!("k{index:02}")))
            .collect();
        assert_eq!(names(&hold), "keys llm/k01, llm/k02, llm/k03 and 27 more");
        hold.removals.routes = ["llm/r".parse().unwrap()].into();
        assert_eq!(names(&hold), "keys llm/k01, llm/k02, llm/k03 and 27 more; routes llm/r");
        hold.removals.callers = [ObjectName::new("n".repeat(63), "k".repeat(253))].into();
        hold.removals.routes = (0..9)
            .map(|index| ObjectName::new("llm", format!("{index}{}", "r".repeat(90))))
            .collect();
        assert!(
            names(&hold).starts_with("keys that have long names; routes llm/0rr")
                && names(&hold).ends_with(" and 7 more")
        );
        assert!(held_message(&hold, &config()).len() <= 1_024);
    }

    #[test]
    fn an_approval_of_another_set_is_noticed() {
        let held = hold("0123456789abcdef");
        assert_eq!(
            misdirected(Some(&held), Some("fedcba9876543210")),
            Some("fedcba9876543210")
        );
        assert_eq!(misdirected(Some(&held), Some(" 0123456789abcdef ")), None);
        assert_eq!(misdirected(Some(&held), None), None);
        assert_eq!(misdirected(None, Some("fedcba9876543210")), None, "nothing is held");
    }

    #[test]
    fn only_a_transition_is_news_and_nothing_else_changes_the_text() {
        let config = config();
        let quiet = told(None, None, &config, at(1));
        assert_eq!(quiet.news, None, "a first publication holds nothing");
        assert_eq!(told(Some(&quiet.text), None, &config, at(2)), quiet);
        let held = told(Some(&quiet.text), Some(&hold("a")), &config, at(3));
        assert!(matches!(held.news, Some(News::Held(_))));
        let still = told(Some(&held.text), Some(&hold("a")), &config, at(4));
        assert_eq!((still.text, still.news), (held.text.clone(), None));
        let other = told(Some(&held.text), Some(&hold("b")), &config, at(5));
        assert!(matches!(other.news, Some(News::Held(_))));
        assert!(
            other.text.contains("1970-01-01T00:00:03Z"),
            "it has been held since then"
        );
        let released = told(Some(&other.text), None, &config, at(6));
        assert_eq!(released.news, Some(News::Released(Some("b".into()))));
    }
}
