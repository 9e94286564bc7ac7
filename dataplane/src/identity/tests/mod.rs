//! Identities against servers on a real port that answer as the clouds do.

mod aws;
mod azure;
mod cloud;
mod google;
mod openings;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use headgate_llm::failure::Failure;
use http::{HeaderMap, Request};

use super::clouds::Clouds;
use super::{Identity, OpenedBy, Opening};
use crate::upstream::request_body::RequestBody;
use headgate_snapshot::{Cloud, WorkloadIdentity};

/// 2026-11-28 10:00:00 UTC.
const NOW: Duration = Duration::from_secs(1_795_860_000);
const BODY: &str = r#"{"messages":[]}"#;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + NOW
}

fn pod(assume: Option<&str>) -> OpenedBy {
    OpenedBy::Pod(WorkloadIdentity {
        assume: assume.map(str::to_owned),
    })
}

fn opened(cloud: Cloud, by: OpenedBy, clouds: &Clouds) -> Arc<Identity> {
    Identity::of("ml/p", Opening { cloud, by }, clouds, None).expect("a usable credential")
}

/// The headers of a request that was proven.
async fn proven(identity: &Identity, now: SystemTime) -> Result<HeaderMap, Failure> {
    let body = RequestBody::whole(Bytes::from_static(BODY.as_bytes()));
    let mut request = Request::post("/model/m/converse?x=1")
        .header("host", "bedrock-runtime.eu-central-1.amazonaws.com")
        .body(body)
        .expect("a request");
    identity.prove(&mut request, now).await?;
    Ok(request.into_parts().0.headers)
}

/// What a token goes out as.
async fn shown(identity: &Identity, now: SystemTime) -> Result<String, Failure> {
    let headers = proven(identity, now).await?;
    Ok(headers["authorization"].to_str().expect("text").to_owned())
}
