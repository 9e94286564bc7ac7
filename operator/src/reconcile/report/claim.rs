//! Whose an object is, where two installations watch one namespace. The one whose status stands there keeps it; the other
//! one says so in a condition, writes nothing else, and leaves the object out of its snapshot: two gateways that both
//! believe a key is theirs would tell its owner two truths.
//!
//! It is read off the object's field managers, so that it holds for every operator and survives each of them.

use headgate_crds::condition::Condition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::super::conditions::{self, INSTALLATION_CONFLICT, Verdict};
use crate::args::Config;

/// How the field managers of all our operators begin.
const OPERATORS: &str = "headgate-operator.";

/// The other installation that an object belongs to, if it does.
pub(crate) fn rival<'a>(metadata: &'a ObjectMeta, conditions: &[Condition], config: &Config) -> Option<&'a str> {
    let managers = metadata
        .managed_fields
        .iter()
        .flatten()
        .filter_map(|entry| entry.manager.as_deref());
    let others = managers.filter_map(|manager| installation_of(manager, config));
    others.filter(|other| !has_given_way(other, conditions)).min()
}

/// The installation behind a field manager, if it is one of ours and another one.
pub(crate) fn installation_of<'a>(manager: &'a str, config: &Config) -> Option<&'a str> {
    let installation = manager.strip_prefix(OPERATORS)?;
    (installation != config.installation).then_some(installation)
}

/// An installation that leaves the object to another one is no rival, though its condition stands there.
fn has_given_way(installation: &str, conditions: &[Condition]) -> bool {
    conditions::find(conditions, INSTALLATION_CONFLICT).is_some_and(|condition| says_of_itself(installation, condition))
}

/// Whether a condition of one of our types was written by this installation: the one that gives way writes beside the one
/// that stays.
pub(crate) fn is_ours(condition: &Condition, config: &Config) -> bool {
    condition.type_ != INSTALLATION_CONFLICT || says_of_itself(&config.installation, condition)
}

fn says_of_itself(installation: &str, condition: &Condition) -> bool {
    condition.message.starts_with(&giving_way(installation))
}

fn giving_way(installation: &str) -> String {
    format!("installation {installation} leaves this object to ")
}

/// What is said about an object that belongs to `rival`.
pub(crate) fn verdict(rival: &str, config: &Config) -> Verdict {
    let message = format!(
        "{}installation {rival}, which reports on it already; let only one of them watch this namespace. If {rival} does not \
         exist any more, clear what it left behind: kubectl patch KIND NAME --subresource=status --type=merge \
         -p '{{\"status\":null}}'",
        giving_way(&config.installation)
    );
    Verdict::new(INSTALLATION_CONFLICT, true, "AnotherInstallation", message)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

    use super::*;
    use crate::reconcile::fixture::config;

    fn managed_by(managers: &[&str]) -> ObjectMeta {
        let entry = |manager: &&str| ManagedFieldsEntry {
            manager: Some((*manager).to_owned()),
            ..ManagedFieldsEntry::default()
        };
        ObjectMeta {
            managed_fields: Some(managers.iter().map(entry).collect()),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn an_object_belongs_to_the_installation_that_reports_on_it() {
        let config = config();
        for (managers, expected) in [
            (&["kubectl", "headgate-operator.headgate.gateway.main"][..], None),
            (&["headgate-operator.headgate.other.main"], Some("headgate.other.main")),
            (&["headgate.gateway.main"], None),
            (&[], None),
        ] {
            assert_eq!(rival(&managed_by(managers), &[], &config), expected, "{managers:?}");
        }
    }

    #[test]
    fn whoever_gave_way_is_no_rival() {
        let (ours, mut theirs) = (config(), config());
        theirs.installation = "headgate.other.main".into();
        let said = verdict(&ours.installation, &theirs).onto(&[], 1, Timestamp::UNIX_EPOCH);
        let both = managed_by(&[&ours.field_manager(), &theirs.field_manager()]);
        assert_eq!(
            rival(&both, std::slice::from_ref(&said), &ours),
            None,
            "they gave way to us"
        );
        assert!(is_ours(&said, &theirs) && !is_ours(&said, &ours));
        assert_eq!(rival(&both, &[said], &theirs), Some(ours.installation.as_str()));
    }
}
