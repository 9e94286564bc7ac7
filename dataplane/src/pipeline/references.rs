//! Ids of stored objects in a request to a model: the plan follows them to the provider that holds the objects, and the
//! provider's own ids take their place. What is refused here never left the gateway.

use headgate_llm::endpoint::Endpoint;
use headgate_llm::pass_through::PassThrough;
use headgate_llm::request::{BadRequest, ModelRequest, STORED_OBJECTS_FORBIDDEN};
use headgate_llm::service::Service;
use headgate_llm::stored::Kind;
use headgate_llm::stored::references::{self, Reference};

use super::stored::unknown;
use crate::attempt::encode_options;
use crate::auth::Authenticated;
use crate::gateway::Gateway;
use crate::refusal::Refusal;
use crate::route::{Plan, plan};
use crate::runtime::Runtime;
use crate::stored::{Claimed, Ids};

/// Who asks, in which world.
#[derive(Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) runtime: &'a Runtime,
    pub(super) caller: &'a Authenticated,
    /// `x-headgate-provider`.
    pub(super) wanted_provider: Option<&'a str>,
}

impl Asker<'_> {
    /// The plan and the request with ids exchanged. Nearly all requests have none and pass as they are.
    pub(super) fn exchange_ids(self, planned: Plan, request: ModelRequest) -> Result<(Plan, ModelRequest), Refusal> {
        let references = references::find(&request)?;
        if references.is_empty() {
            return Ok((planned, request));
        }
        let planned = self.follow(planned, &request, &references);
        let provider = &planned.backend.provider;
        let ids = Ids::of(self.gateway, self.caller, provider);
        let is_asked_natively = is_native(&planned, &request);
        let options = encode_options(&planned);
        let keeps_objects = provider.adapter.pass_through(PassThrough::Files, &options).is_some();
        let exchanged: Result<Vec<_>, _> = references
            .iter()
            .map(|found| match &ids {
                _ if !found.is_needed => {
                    Ok(Claimed::read(&found.id).map_or_else(|| found.id.clone(), |claimed| claimed.id))
                }
                // What is translated says itself what it does not take.
                _ if !is_asked_natively && !keeps_objects => Ok(found.id.clone()),
                _ if !keeps_objects => Err(not_kept(found.field)),
                Some(ids) => self.providers_id(ids, found),
                None if is_asked_natively => Err(forbidden(found)),
                None => Ok(found.id.clone()),
            })
            .collect();
        let exchanged = exchanged?;
        let is_same = references.iter().zip(&exchanged).all(|(found, id)| found.id == *id);
        if is_same {
            return Ok((planned, request));
        }
        let request = references::replaced(&request, &references, &exchanged)?;
        Ok((planned, request))
    }

    /// Where several providers could answer, the one that holds what the request names.
    fn follow(self, planned: Plan, request: &ModelRequest, references: &[Reference]) -> Plan {
        let mut needed = references.iter().filter(|reference| reference.is_needed);
        let first = needed.find_map(|reference| Claimed::read(&reference.id));
        let Some(claimed) = first.filter(|_| self.wanted_provider.is_none()) else {
            return planned;
        };
        if claimed.provider == planned.backend.provider.name {
            return planned;
        }
        match plan(self.runtime, self.caller, &request.model, Some(&claimed.provider.name)) {
            Ok(other) if other.backend.provider.name == claimed.provider => other,
            _ => planned,
        }
    }

    fn providers_id(self, ids: &Ids, reference: &Reference) -> Result<String, Refusal> {
        let claimed = Claimed::read(&reference.id).filter(|claimed| claimed.kind == reference.kind);
        let claimed = claimed.ok_or_else(|| unknown(reference.field))?;
        if ids.hold(&claimed) {
            return Ok(claimed.id);
        }
        let elsewhere = self.runtime.providers.get(&claimed.provider);
        let elsewhere = elsewhere.and_then(|provider| Ids::of(self.gateway, self.caller, provider));
        Err(match elsewhere {
            Some(elsewhere) if elsewhere.hold(&claimed) => Refusal::BadRequest(BadRequest {
                code: "object_elsewhere",
                param: Some(reference.field.to_owned()),
                message: format!(
                    "`{}` names what is stored at the provider `{}`, and another one serves this model; store it there, \
                     too, or ask for a model of that provider",
                    reference.field, claimed.provider.name
                ),
            }),
            _ => unknown(reference.field),
        })
    }
}

/// As [`Refusal::StoredObjectsForbidden`], of a field.
fn forbidden(reference: &Reference) -> Refusal {
    let field = reference.field;
    let instead = match reference.kind {
        Kind::Item => {
            "send the item itself, and thoughts with what `include: [\"reasoning.encrypted_content\"]` brings"
        }
        Kind::Response => "send the whole conversation",
        Kind::File | Kind::Batch | Kind::Place => "send the content itself",
    };
    Refusal::BadRequest(BadRequest {
        code: STORED_OBJECTS_FORBIDDEN,
        param: Some(field.to_owned()),
        message: format!(
            "`{field}` names what is stored at the model's provider, where that is not allowed; {instead}, or ask the \
             operator to set storedObjects: Allow in its LLMProvider"
        ),
    })
}

/// A provider whose stored objects are not served, whatever its manifest says.
fn not_kept(field: &str) -> Refusal {
    Refusal::BadRequest(BadRequest {
        code: "unsupported_parameter",
        param: Some(field.to_owned()),
        message: format!(
            "`{field}` names what is stored at the provider, and for the one that serves this model nothing stored is \
             served; send the content itself"
        ),
    })
}

/// Whether the provider gets the request in the client's words, ids included.
fn is_native(planned: &Plan, request: &ModelRequest) -> bool {
    let adapter = planned.backend.provider.adapter;
    let passes = matches!(request.endpoint, Endpoint::PassThrough(_));
    passes
        || matches!(
            adapter.serve(request.endpoint, &encode_options(planned)),
            Ok(Service::Native(_))
        )
}
