//! What holds for all of them: what outlives a reload, what a 401 does, what is taken out of others' words, and what an
//! environment says.

use std::path::PathBuf;

use headgate_llm::failure::FailureKind;

use super::super::clouds::Google;
use super::cloud::{ScriptedCloud, token};
use super::*;

fn vertex(location: &str) -> Cloud {
    Cloud::Vertex {
        project: "my-project".to_owned(),
        location: location.to_owned(),
    }
}

async fn cloud() -> (ScriptedCloud, Clouds) {
    let cloud = ScriptedCloud::start(|_, before| token(&format!("token-number-{before}"), 3600)).await;
    let clouds = Clouds {
        google: Google {
            metadata_server: cloud.url.clone(),
            ..Google::default()
        },
        ..Clouds::default()
    };
    (cloud, clouds)
}

#[tokio::test]
async fn a_token_outlives_a_reload_that_changes_nothing_of_the_account() {
    let (cloud, clouds) = cloud().await;
    let first = opened(vertex("global"), pod(None), &clouds);
    shown(&first, now()).await.expect("a token");
    let again = |location, by| {
        let opening = Opening {
            cloud: vertex(location),
            by,
        };
        Identity::of("ml/p", opening, &clouds, Some(&first)).expect("usable")
    };
    assert_eq!(
        shown(&again("global", pod(None)), now()).await.expect("a token"),
        "Bearer token-number-0"
    );
    assert_eq!(cloud.asked().len(), 1);
    for other in [
        again("eu", pod(None)),
        again("global", pod(Some("x@y.iam.gserviceaccount.com"))),
    ] {
        assert!(!Arc::ptr_eq(&first, &other));
    }
}

#[tokio::test]
async fn a_401_of_the_provider_brings_a_new_token_once() {
    let (cloud, clouds) = cloud().await;
    let identity = opened(vertex("global"), pod(None), &clouds);
    let second = Duration::from_secs(1);
    assert_eq!(shown(&identity, now()).await.expect("a token"), "Bearer token-number-0");
    identity.refused(now());
    assert_eq!(shown(&identity, now()).await.expect("a token"), "Bearer token-number-1");
    // Whose account is not allowed at all gets the same again: the token endpoint is not asked at each request.
    identity.refused(now() + second);
    assert_eq!(
        shown(&identity, now() + second).await.expect("a token"),
        "Bearer token-number-1"
    );
    assert_eq!(cloud.asked().len(), 2);
    identity.refused(now() + 60 * second);
    assert_eq!(
        shown(&identity, now() + 60 * second).await.expect("a token"),
        "Bearer token-number-2"
    );
}

#[tokio::test]
async fn tokens_of_now_and_before_are_taken_out_of_a_providers_words() {
    let (_cloud, clouds) = cloud().await;
    let identity = opened(vertex("global"), pod(None), &clouds);
    let said = || Failure::new(FailureKind::Auth, "no token-number-0, no token-number-1");
    assert_eq!(identity.scrub(said()), said(), "nothing was sent yet");
    shown(&identity, now()).await.expect("a token");
    identity.refused(now());
    shown(&identity, now()).await.expect("a token");
    assert_eq!(identity.scrub(said()).detail, "no [redacted], no [redacted]");
}

#[tokio::test]
async fn a_token_shows_itself_to_nobody_but_the_provider() {
    let (_cloud, clouds) = cloud().await;
    let identity = opened(vertex("global"), pod(None), &clouds);
    let headers = proven(&identity, now()).await.expect("a token");
    assert!(!format!("{headers:?}").contains("token-number"), "{headers:?}");
    assert_eq!(format!("{clouds:?}"), "Clouds(redacted)");
}

#[test]
fn times_that_are_past_or_none_leave_nothing() {
    let until = |text| super::super::until(text, now());
    assert_eq!(until("2026-11-28T10:00:01Z"), Some(Duration::from_secs(1)));
    assert_eq!(until("2026-11-28T12:00:01+02:00"), Some(Duration::from_secs(1)));
    for text in ["2026-11-28T10:00:00Z", "2020-01-01T00:00:00Z", "", "soon", "1795860001"] {
        assert_eq!(until(text), None, "{text}");
    }
}

#[test]
fn the_environment_is_read_as_the_clouds_own_sdks_read_it() {
    let of = |variables: &'static [(&str, &str)]| {
        Clouds::of(&move |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    };
    let bare = of(&[]);
    assert_eq!(bare.google.metadata_server, "http://metadata.google.internal");
    assert_eq!(bare.azure.authority, "https://login.microsoftonline.com");
    assert_eq!(bare.azure.metadata_service, "http://169.254.169.254");
    assert_eq!(bare.aws.metadata_service.as_deref(), Some("http://169.254.169.254"));

    let google = of(&[("GCE_METADATA_HOST", "127.0.0.1:8080")]).google;
    assert_eq!(google.metadata_server, "http://127.0.0.1:8080");

    let azure = of(&[
        (
            "AZURE_FEDERATED_TOKEN_FILE",
            "/var/run/secrets/azure/tokens/azure-identity-token",
        ),
        ("AZURE_CLIENT_ID", "client"),
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us/"),
    ])
    .azure;
    assert_eq!(azure.authority, "https://login.microsoftonline.us");
    assert_eq!(
        (azure.client_id.as_deref(), azure.tenant_id.as_deref()),
        (Some("client"), Some("tenant"))
    );
    assert!(azure.federated_token_file.is_some());

    let irsa = of(&[
        ("AWS_ROLE_ARN", "role"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/token"),
        ("AWS_ROLE_SESSION_NAME", "me"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        ("AWS_EC2_METADATA_DISABLED", "TRUE"),
    ])
    .aws;
    assert_eq!(irsa.web_identity, Some((PathBuf::from("/token"), "role".to_owned())));
    assert_eq!(
        (irsa.session_name.as_str(), irsa.region.as_deref()),
        ("me", Some("eu-central-1"))
    );
    assert_eq!(irsa.metadata_service, None);

    let pod_identity = of(&[
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "http://169.254.170.23/v1/credentials",
        ),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/token"),
    ])
    .aws;
    assert_eq!(
        pod_identity.container.as_deref(),
        Some("http://169.254.170.23/v1/credentials")
    );
    assert_eq!(pod_identity.container_token_file, Some(PathBuf::from("/token")));
    let task = of(&[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/x")]).aws;
    assert_eq!(task.container.as_deref(), Some("http://169.254.170.2/v2/credentials/x"));
    let half_a_key = of(&[("AWS_ACCESS_KEY_ID", "AKID")]).aws;
    assert!(half_a_key.access_key.is_none());
}
