//! Service accounts by key file, and the one that the pod runs as.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headgate_llm::failure::FailureKind;
use headgate_snapshot::ServiceAccountKey;
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};

use super::super::clouds::Google;
use super::cloud::{ScriptedCloud, token};
use super::*;

const KEY_FILE: &str = include_str!("../../../snapshot/tests/service-account.json");

fn vertex() -> Cloud {
    Cloud::Vertex {
        project: "my-project".to_owned(),
        location: "global".to_owned(),
    }
}

fn by_key(cloud: &ScriptedCloud) -> Arc<Identity> {
    let clouds = Clouds {
        google: Google {
            token_endpoint: Some(format!("{}/token", cloud.url)),
            ..Google::default()
        },
        ..Clouds::default()
    };
    let credential = OpenedBy::Credential(KEY_FILE.to_owned().into());
    opened(vertex(), credential, &clouds)
}

fn by_pod(url: &str, assume: Option<&str>) -> Arc<Identity> {
    let clouds = Clouds {
        google: Google {
            metadata_server: url.to_owned(),
            iam_credentials: url.to_owned(),
            token_endpoint: None,
        },
        ..Clouds::default()
    };
    opened(vertex(), pod(assume), &clouds)
}

#[tokio::test]
async fn a_key_file_is_exchanged_by_an_assertion_that_its_public_key_verifies() {
    let cloud = ScriptedCloud::start(|_, _| token("ya29.first", 3599)).await;
    let identity = by_key(&cloud);
    assert_eq!(shown(&identity, now()).await.expect("a token"), "Bearer ya29.first");

    let [asked] = &cloud.asked()[..] else {
        panic!("one request")
    };
    assert_eq!(asked.line, "POST /token");
    let mut form = asked.form();
    assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let assertion = form.remove("assertion").expect("an assertion");
    assert_eq!(form.len(), 1, "{form:?}");

    let (signed, signature) = assertion.rsplit_once('.').expect("a signature");
    let key = ServiceAccountKey::parse(KEY_FILE).expect("a key file");
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.key_pair.public_key().as_ref().to_vec());
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    public
        .verify(signed.as_bytes(), &signature)
        .expect("the key's signature");

    let part = |text: &str| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).expect("base64url")).expect("JSON")
    };
    let (head, claims) = signed.split_once('.').expect("two parts");
    assert_eq!(
        part(head),
        json!({"alg": "RS256", "typ": "JWT", "kid": "0123456789abcdef0123456789abcdef01234567"})
    );
    assert_eq!(
        part(claims),
        json!({
            "iss": "llm@my-project.iam.gserviceaccount.com",
            "scope": "https://www.googleapis.com/auth/cloud-platform",
            "aud": format!("{}/token", cloud.url),
            "iat": NOW.as_secs(),
            "exp": NOW.as_secs() + 3600,
        })
    );
}

#[tokio::test]
async fn the_metadata_server_says_who_the_pod_is() {
    let cloud = ScriptedCloud::start(|_, _| token("ya29.pod", 3599)).await;
    assert_eq!(
        shown(&by_pod(&cloud.url, None), now()).await.expect("a token"),
        "Bearer ya29.pod"
    );
    let [asked] = &cloud.asked()[..] else {
        panic!("one request")
    };
    assert_eq!(
        asked.line,
        "GET /computeMetadata/v1/instance/service-accounts/default/token"
    );
    assert_eq!(asked.header("metadata-flavor"), "Google");
    assert_eq!(format!("http://{}", asked.header("host")), cloud.url);
}

#[tokio::test]
async fn a_pod_can_become_another_service_account() {
    let cloud = ScriptedCloud::start(|_, before| match before {
        0 | 2 => token("ya29.pod", 3599),
        3 => (
            200,
            json!({"accessToken": "ya29.later", "expireTime": "2026-11-28T12:00:00Z"}).to_string(),
        ),
        _ => (
            200,
            json!({"accessToken": "ya29.other", "expireTime": "2026-11-28T11:00:00Z"}).to_string(),
        ),
    })
    .await;
    let identity = by_pod(&cloud.url, Some("llm@my-project.iam.gserviceaccount.com"));
    assert_eq!(shown(&identity, now()).await.expect("a token"), "Bearer ya29.other");
    let asked = &cloud.asked()[1];
    assert_eq!(
        asked.line,
        "POST /v1/projects/-/serviceAccounts/llm%40my-project.iam.gserviceaccount.com:generateAccessToken"
    );
    assert_eq!(asked.header("authorization"), "Bearer ya29.pod");
    let body: Value = serde_json::from_str(&asked.body).expect("JSON");
    assert_eq!(
        body,
        json!({"scope": ["https://www.googleapis.com/auth/cloud-platform"], "lifetime": "3600s"})
    );
    // It lives as long as it says and no longer.
    shown(&identity, now() + Duration::from_secs(3300))
        .await
        .expect("a token");
    assert_eq!(cloud.asked().len(), 2);
    shown(&identity, now() + Duration::from_secs(3600))
        .await
        .expect("a token");
    assert_eq!(cloud.asked().len(), 4);
}

#[tokio::test]
async fn what_is_no_token_is_a_failure_of_the_account_and_never_an_empty_bearer() {
    for answer in [
        json!({}),
        json!({"access_token": "", "expires_in": 3599}),
        json!({"access_token": "a b", "expires_in": 3599}),
        json!({"access_token": "a\nb: c", "expires_in": 3599}),
        json!({"access_token": "ya29.canary"}),
        json!({"access_token": "ya29.canary", "expires_in": 0}),
        json!({"access_token": ["ya29.canary"], "expires_in": 3599}),
        json!("ya29.canary"),
        json!({"id_token": "ya29.canary", "expires_in": 3599}),
    ] {
        let text = answer.to_string();
        let cloud = ScriptedCloud::start(move |_, _| (200, text.clone())).await;
        let failure = shown(&by_key(&cloud), now()).await.expect_err("no token");
        assert_eq!(failure.kind, FailureKind::Auth, "{answer}");
        assert!(
            failure.detail.starts_with("the answer of Google's token endpoint "),
            "{}",
            failure.detail
        );
        assert!(!failure.detail.contains("canary"), "{}", failure.detail);
    }
}

#[tokio::test]
async fn a_no_says_why_without_what_was_sent() {
    // Nobody does this; the log must not depend on it.
    let cloud = ScriptedCloud::start(|asked, _| {
        let error = json!({"error": "invalid_grant", "error_description": asked.form()["assertion"]});
        (400, error.to_string())
    })
    .await;
    let failure = shown(&by_key(&cloud), now()).await.expect_err("refused");
    assert_eq!(failure.kind, FailureKind::Auth);
    assert_eq!(
        failure.detail,
        "Google's token endpoint answers with status 400: invalid_grant [redacted]"
    );
}

#[tokio::test]
async fn who_cannot_be_asked_now_may_be_asked_again() {
    let cloud = ScriptedCloud::start(|_, _| (503, "try later".to_owned())).await;
    let failure = shown(&by_key(&cloud), now()).await.expect_err("away");
    assert_eq!(failure.kind, FailureKind::Connection);
    assert_eq!(
        failure.detail,
        "Google's token endpoint answers with status 503: try later"
    );

    let failure = shown(&by_pod("http://127.0.0.1:1", None), now())
        .await
        .expect_err("nobody is there");
    assert_eq!(failure.kind, FailureKind::Connection);
    assert!(
        failure
            .detail
            .starts_with("Google's metadata server cannot be asked: cannot connect to `127.0.0.1`"),
        "{}",
        failure.detail
    );
}

#[tokio::test]
async fn answers_are_bounded_and_redirects_are_not_followed() {
    let cloud = ScriptedCloud::start(|_, _| (200, "a".repeat(65 * 1024))).await;
    let failure = shown(&by_key(&cloud), now()).await.expect_err("too long");
    assert!(failure.detail.contains("length limit exceeded"), "{}", failure.detail);

    let cloud = ScriptedCloud::start(|_, _| (307, String::new())).await;
    let failure = shown(&by_key(&cloud), now()).await.expect_err("a redirect");
    assert_eq!(failure.kind, FailureKind::Auth);
    assert_eq!(cloud.asked().len(), 1);
}
