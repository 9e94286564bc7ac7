//! `CountTokens`: what the input of a request comes to.
//!
//! It knows the bare ids of some of Claude's models, and refuses the inference profiles by which the same models are asked,
//! all other models, and accounts whose policy does not allow `bedrock:CountTokens`. Where it refuses, the tokens are
//! estimated. (<https://docs.aws.amazon.com/bedrock/latest/userguide/count-tokens.html>)

use bytes::Bytes;
use serde::Deserialize;

use crate::hub;
use crate::json::{self, Repeats};
use crate::provider::{EncodeOptions, path};
use crate::request::BadRequest;
use crate::translate::{CountWire, WireFailure, WireRequest};

use super::encode;

/// The counter.
pub(super) struct CountTokens;

/// The members of a request to Converse that are counted; the others are refused.
const COUNTED: [&str; 4] = ["messages", "system", "toolConfig", "additionalModelRequestFields"];

impl CountWire for CountTokens {
    fn encode(&self, request: &hub::Request<'_>, options: &EncodeOptions<'_>) -> Result<WireRequest, BadRequest> {
        let (body, dropped) = encode::body(request, options)?;
        Ok(WireRequest {
            path: format!("/model/{}/count-tokens", path::segment(bare_id(options.upstream_model))).into(),
            headers: http::HeaderMap::new(),
            body: question(&body),
            dropped,
        })
    }

    fn decode(&self, body: &[u8]) -> Result<u64, WireFailure> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Count {
            input_tokens: u64,
        }
        match serde_json::from_slice::<Count>(body) {
            Ok(count) => Ok(count.input_tokens),
            Err(_) => Err(WireFailure::protocol("the answer is no count of tokens")),
        }
    }

    fn is_lacking(&self, status: u16) -> bool {
        matches!(status, 400 | 403 | 404)
    }
}

/// The id without the region of a profile, and without what stands before it in an ARN.
fn bare_id(model: &str) -> &str {
    model.find("anthropic.claude").map_or(model, |at| &model[at..])
}

fn question(converse: &Bytes) -> Bytes {
    let mut found = [const { None }; COUNTED.len()];
    json::find_fields(converse, &COUNTED, Repeats::TakeLast, &mut found).expect("written here, as an object");
    let mut body = b"{\"input\":{\"converse\":{".to_vec();
    for (index, (name, member)) in COUNTED
        .iter()
        .zip(found)
        .filter_map(|(name, member)| Some((name, member?)))
        .enumerate()
    {
        let comma = if index == 0 { "" } else { "," };
        body.extend_from_slice(format!("{comma}\"{name}\":").as_bytes());
        body.extend_from_slice(&converse[member.value]);
    }
    body.extend_from_slice(b"}}}");
    body.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_counted_by_the_id_of_its_model() {
        for model in [
            "anthropic.claude-haiku-4-5-20251001-v1:0",
            "us.anthropic.claude-haiku-4-5-20251001-v1:0",
            "arn:aws:bedrock:eu-central-1:1:inference-profile/global.anthropic.claude-haiku-4-5-20251001-v1:0",
        ] {
            assert_eq!(bare_id(model), "anthropic.claude-haiku-4-5-20251001-v1:0");
        }
        assert_eq!(bare_id("us.amazon.nova-pro-v1:0"), "us.amazon.nova-pro-v1:0");
    }
}
