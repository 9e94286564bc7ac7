//! What a request asks for and a provider does not have: left out and reported, passed, or refused, as the policy says.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::UnsupportedParameters;
use crate::chat::BadRequest;

/// Collects the parameters that a provider does not have while its request is written.
#[derive(Debug, Default)]
pub(crate) struct Leftovers<'a> {
    policy: UnsupportedParameters,
    /// Names of those that were left out.
    pub(crate) dropped: Vec<String>,
    /// Those that go out as they are: top-level members of the provider's body.
    pub(crate) passed: Vec<(Cow<'a, str>, Cow<'a, RawValue>)>,
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
        if !self.dropped.iter().any(|dropped| dropped == name) {
            self.dropped.push(name.to_owned());
        }
    }
}
