//! What a request asks for and a provider does not have: left out and reported, passed, or refused, as the policy says.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use super::UnsupportedParameters;
use crate::request::BadRequest;

/// Most names that are reported, and the longest of them: they come from the client, and stand in one response header.
const NAMES_MAX: usize = 32;
const NAME_LENGTH_MAX: usize = 64;
/// Stands for all names beyond those.
const OTHERS: &str = "others";

/// Collects the parameters that a provider does not have while its request is written.
#[derive(Debug, Default)]
pub(crate) struct Leftovers<'a> {
    policy: UnsupportedParameters,
    /// Names of those that were left out.
    pub(crate) dropped: Vec<String>,
    /// Those that go out as they are: top-level members of the provider's body.
    pub(crate) passed: Vec<(Cow<'a, str>, Cow<'a, RawValue>)>,
}

/// Members that go out as they came; to be flattened into a body.
pub(crate) struct Passed<'a>(pub(crate) Vec<(Cow<'a, str>, Cow<'a, RawValue>)>);

impl Serialize for Passed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// JSON made here.
pub(crate) fn raw(json: String) -> Cow<'static, RawValue> {
    Cow::Owned(RawValue::from_string(json).expect("made of valid JSON"))
}

impl<'a> Leftovers<'a> {
    pub(crate) fn new(policy: UnsupportedParameters) -> Self {
        Self {
            policy,
            ..Self::default()
        }
    }

    /// A parameter that the provider does not have.
    pub(crate) fn parameter(
        &mut self,
        name: impl Into<Cow<'a, str>>,
        value: Cow<'a, RawValue>,
    ) -> Result<(), BadRequest> {
        let name = name.into();
        match self.policy {
            UnsupportedParameters::Drop => self.drop(&name),
            UnsupportedParameters::Pass => self.passed.push((name, value)),
            UnsupportedParameters::Reject => return Err(BadRequest::unsupported(&name)),
        }
        Ok(())
    }

    /// A parameter that the provider has and takes no such value for: it cannot be passed, since another one goes out in
    /// its place, or none can.
    pub(crate) fn value(&mut self, name: &str) -> Result<(), BadRequest> {
        match self.policy {
            UnsupportedParameters::Drop | UnsupportedParameters::Pass => self.drop(name),
            UnsupportedParameters::Reject => return Err(BadRequest::unsupported(name)),
        }
        Ok(())
    }

    /// Left out whatever the policy: what only tunes caching or billing changes no answer.
    pub(crate) fn drop(&mut self, name: &str) {
        let is_sayable =
            name.len() <= NAME_LENGTH_MAX && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
        let name = if is_sayable && self.dropped.len() < NAMES_MAX {
            name
        } else {
            OTHERS
        };
        if !self.dropped.iter().any(|dropped| dropped == name) {
            self.dropped.push(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Cow<'_, RawValue> {
        Cow::Borrowed(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn the_policy_says_what_becomes_of_a_parameter() {
        let mut drop = Leftovers::new(UnsupportedParameters::Drop);
        drop.parameter("seed", raw("7")).unwrap();
        assert_eq!((drop.dropped, drop.passed.len()), (vec!["seed".to_owned()], 0));
        let mut pass = Leftovers::new(UnsupportedParameters::Pass);
        pass.parameter("seed", raw("7")).unwrap();
        pass.value("stop").unwrap();
        assert_eq!((pass.dropped, pass.passed.len()), (vec!["stop".to_owned()], 1));
        let mut reject = Leftovers::new(UnsupportedParameters::Reject);
        assert_eq!(
            reject.parameter("seed", raw("7")).unwrap_err().param.as_deref(),
            Some("seed")
        );
        assert_eq!(reject.value("stop").unwrap_err().code, "unsupported_parameter");
    }

    #[test]
    fn the_names_that_are_reported_fit_a_header_whatever_a_client_sends() {
        let mut leftovers = Leftovers::default();
        for name in ["a", "a", "a,b", "x\ny", "ế", &"n".repeat(65)] {
            leftovers.drop(name);
        }
        assert_eq!(leftovers.dropped, ["a", OTHERS]);
        (0..1000).for_each(|index| leftovers.drop(&format!("field_{index}")));
        assert_eq!(leftovers.dropped.len(), NAMES_MAX);
    }
}
