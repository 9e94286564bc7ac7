//! Azure `OpenAI`. The base URL is the root of the resource, and what is asked is a deployment and no model.
//!
//! Its oddities: the deployment stands in the path of some endpoints and in the body of all; versions are dates in a
//! query, or `v1` in the path; the key has a header of its own; what its content filter found stands beside answers and in
//! errors, and in a stream comes first, in an event without choices. All of that passes as it is, and so do parameters:
//! which of them a version or a model takes is for the service to say. Checked against the service's published
//! specifications 2024-06-01, 2024-10-21 and v1, and the addresses of the released `openai` SDK 3.57 (November 2026).

use std::borrow::Cow;

use http::{HeaderName, HeaderValue};

use super::capability::openai::azure;
use super::issuer::Issuer;
use super::openai::FROM_HUB;
use super::openai_responses::Responses;
use super::openai_shaped::{Completions, FromHub, OutputCap, Rules};
use super::{Account, EncodeOptions, ModelApi, Provider, key_in, path};
use crate::endpoint::Endpoint;
use crate::pass_through::PassThrough;
use crate::request::BadRequest;
use crate::service::Service;

/// The service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Azure;

const RESPONSES: Responses = Responses { issuer: Issuer::Azure };

/// The first version that has Responses (2025-03-01-preview); all models are asked by chat before.
/// (<https://learn.microsoft.com/azure/ai-foundry/openai/how-to/responses>)
const RESPONSES_SINCE: &str = "2025-03-01";

static CURRENT: Rules = Rules {
    output_cap: OutputCap::MaxCompletionTokens,
    completions: Some(&Completions::PLAIN),
    from_hub: &FromHub {
        instructor: "system", // older versions know no developer, and newer ones take the one for the other
        ..FROM_HUB
    },
    passes: &[
        PassThrough::ImageGenerations,
        PassThrough::ImageEdits,
        PassThrough::Speech,
        PassThrough::Transcriptions,
        PassThrough::Translations,
        PassThrough::Files,
        PassThrough::Batches,
        PassThrough::StoredResponses,
    ],
    responses: RESPONSES,
    ..Rules::PLAIN
};

/// Versions that refuse what came with 2024-09-01-preview: `stream_options`, `max_completion_tokens` and
/// `parallel_tool_calls`.
/// (<https://learn.microsoft.com/azure/ai-services/openai/api-version-deprecation>)
static BEFORE_2024_09: Rules = Rules {
    output_cap: OutputCap::MaxTokens,
    asks_for_usage: false,
    completions: Some(&Completions {
        asks_for_usage: false,
        ..Completions::PLAIN
    }),
    from_hub: &FromHub {
        instructor: "system",
        lacks: &["top_k", "parallel_tool_calls"],
        ..FROM_HUB
    },
    ..Rules::PLAIN
};

impl Provider for Azure {
    fn default_base_url(&self) -> Option<&'static str> {
        None
    }

    fn credential_header(&self, credential: &str) -> Option<(HeaderName, HeaderValue)> {
        key_in(HeaderName::from_static("api-key"), credential)
    }

    fn forwarded_headers(&self) -> &'static [HeaderName] {
        CURRENT.forwarded_headers()
    }

    /// By the name of the model whose deployment it is; one that is named otherwise is asked by chat.
    fn usual_api(&self, upstream_model: &str) -> ModelApi {
        azure(upstream_model).api()
    }

    fn serve(&'static self, endpoint: Endpoint, options: &EncodeOptions<'_>) -> Result<Service, BadRequest> {
        if is_another_place(options.deployed_model()) {
            let message = "`model` is no deployment's name; ask for another one".to_owned();
            return Err(BadRequest::invalid("model", message));
        }
        let by_chat = EncodeOptions {
            api: ModelApi::Chat,
            ..*options
        };
        match dated(options.account) {
            Some(version) if version < "2024-09-01" => BEFORE_2024_09.serve(endpoint, &by_chat),
            Some(version) if version < RESPONSES_SINCE => CURRENT.serve(endpoint, &by_chat),
            _ => CURRENT.serve(endpoint, options),
        }
    }

    fn pass_through(&self, what: PassThrough, options: &EncodeOptions<'_>) -> Option<Cow<'static, str>> {
        let has_it = CURRENT.passes.contains(&what) && !is_another_place(options.deployed_model());
        has_it.then(|| path(what.tail(), options).into())
    }
}

/// Names that mean another place in a path, however they are written; no deployment is called so.
fn is_another_place(deployment: &str) -> bool {
    matches!(deployment, "." | "..")
}

/// The date of the version, as it is written; `None` for `v1`.
fn dated(account: Account<'_>) -> Option<&str> {
    match account {
        Account::Azure { api_version, .. } => Some(api_version).filter(|version| *version != "v1"),
        Account::Plain | Account::Vertex { .. } => None,
    }
}

/// Endpoints that a dated version has below each deployment; all others are the resource's.
const BELOW_DEPLOYMENTS: [&str; 8] = [
    "/completions",
    "/chat/completions",
    "/embeddings",
    "/audio/transcriptions",
    "/audio/translations",
    "/audio/speech",
    "/images/generations",
    "/images/edits",
];

/// Where an endpoint is behind the root of the resource. `tail` is its path as `OpenAI` has it behind `/v1`, possibly with
/// a query: `/chat/completions`, `/responses`, `/files?limit=2`.
pub(super) fn path(tail: &str, options: &EncodeOptions<'_>) -> String {
    let Some(version) = dated(options.account) else {
        return format!("/openai/v1{tail}");
    };
    let (place, query) = tail.split_once('?').map_or((tail, ""), |(place, query)| (place, query));
    let below = if BELOW_DEPLOYMENTS.contains(&place) {
        format!("/deployments/{}", path::segment(options.deployed_model()))
    } else {
        String::new()
    };
    let separator = if query.is_empty() { "" } else { "&" };
    format!(
        "/openai{below}{place}?{query}{separator}api-version={}",
        path::segment(version)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn check(api_version: &str, upstream_model: &str, tail: &str, expected: &str) {
        let deployments =
            BTreeMap::from([("gpt-5", "five/a b"), ("five/a b", "x")].map(|(a, b)| (a.to_owned(), b.to_owned())));
        let account = Account::Azure {
            api_version,
            deployments: &deployments,
        };
        let options = EncodeOptions {
            upstream_model,
            account,
            ..EncodeOptions::default()
        };
        assert_eq!(path(tail, &options), expected);
    }

    #[test]
    fn a_dated_version_has_the_endpoints_of_models_below_their_deployment() {
        let version = "2024-10-21";
        for tail in BELOW_DEPLOYMENTS {
            let expected = format!("/openai/deployments/five%2Fa%20b{tail}?api-version=2024-10-21");
            check(version, "gpt-5", tail, &expected);
        }
        let own_name = "/openai/deployments/o3/embeddings?api-version=2024-10-21";
        check(version, "o3", "/embeddings", own_name);
    }

    #[test]
    fn a_dated_version_has_all_else_below_the_resource() {
        let version = "2025-04-01-preview";
        let responses = "/openai/responses?api-version=2025-04-01-preview";
        check(version, "gpt-5", "/responses", responses);
        let files = "/openai/files?limit=2&api-version=2025-04-01-preview";
        check(version, "gpt-5", "/files?limit=2", files);
    }

    #[test]
    fn the_version_without_a_date_has_no_query_and_no_deployment_in_the_path() {
        check("v1", "gpt-5", "/chat/completions", "/openai/v1/chat/completions");
        check("v1", "gpt-5", "/responses/a?b=c", "/openai/v1/responses/a?b=c");
    }
}
