//! Access keys out of a Secret, and the pod's role in each of the places where it may be found.

use std::path::PathBuf;

use headgate_llm::failure::FailureKind;
use headgate_llm::sigv4::{AwsCredentials, SigningRequest, sign};
use serde_json::json;

use super::super::clouds::Aws;
use super::cloud::{Asked, ScriptedCloud};
use super::*;

const EXPIRATION: &str = "2026-11-28T11:00:00Z";

fn bedrock() -> Cloud {
    Cloud::Bedrock {
        region: "eu-central-1".to_owned(),
    }
}

fn identity(cloud: Aws, assume: Option<&str>) -> Arc<Identity> {
    let clouds = Clouds {
        aws: cloud,
        ..Clouds::default()
    };
    opened(bedrock(), pod(assume), &clouds)
}

fn nowhere() -> Aws {
    Aws {
        metadata_service: None,
        ..Aws::default()
    }
}

/// The signature of these keys over the request of [`proven`].
fn assert_signed_by(headers: &HeaderMap, id: &str, key: &str, session: Option<&str>, at: SystemTime) {
    let request = SigningRequest {
        method: "POST",
        host: "bedrock-runtime.eu-central-1.amazonaws.com",
        path: "/model/m/converse",
        query: "x=1",
        headers: &HeaderMap::new(),
        body: BODY.as_bytes(),
        region: "eu-central-1",
        service: "bedrock",
    };
    let keys = AwsCredentials::new(id, key, session).expect("a key");
    for (name, value) in sign(&request, &keys, at).expect("a signature") {
        assert_eq!(headers[&name], value);
        assert_eq!(headers.get_all(&name).iter().count(), 1);
    }
    assert_eq!(headers.contains_key("x-amz-security-token"), session.is_some());
}

fn xml(action: &str, id: &str) -> (u16, String) {
    let credentials = format!(
        "<Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>secret/{id}+</SecretAccessKey>\
         <SessionToken>session-{id}==</SessionToken><Expiration>{EXPIRATION}</Expiration></Credentials>"
    );
    let body = format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <{action}Result>{credentials}\
         </{action}Result></{action}Response>"
    );
    (200, body)
}

#[tokio::test]
async fn an_access_key_signs_each_request_with_its_own_time() {
    let key = json!({"accessKeyId": "AKIDEXAMPLE", "secretAccessKey": "secret", "sessionToken": "session"});
    let identity = opened(
        bedrock(),
        OpenedBy::Credential(key.to_string().into()),
        &Clouds::default(),
    );
    assert!(!identity.is_header());
    for at in [now(), now() + Duration::from_secs(1)] {
        let headers = proven(&identity, at).await.expect("a signature");
        assert_signed_by(&headers, "AKIDEXAMPLE", "secret", Some("session"), at);
    }
}

#[tokio::test]
async fn a_large_body_is_signed_as_a_small_one_is() {
    let key = json!({"accessKeyId": "AKIDEXAMPLE", "secretAccessKey": "secret"});
    let identity = opened(
        bedrock(),
        OpenedBy::Credential(key.to_string().into()),
        &Clouds::default(),
    );
    let mut signatures = Vec::new();
    for length in [1, super::super::signature::HASHED_INLINE_BYTES_MAX + 1] {
        let body = Bytes::from(vec![b'x'; length]);
        let mut request = Request::post("/")
            .header("host", "h")
            .body(RequestBody::whole(body.clone()))
            .expect("a request");
        identity.prove(&mut request, now()).await.expect("a signature");
        let signing = SigningRequest {
            method: "POST",
            host: "h",
            path: "/",
            query: "",
            headers: &HeaderMap::new(),
            body: &body,
            region: "eu-central-1",
            service: "bedrock",
        };
        let keys = AwsCredentials::new("AKIDEXAMPLE", "secret", None).expect("a key");
        let made = sign(&signing, &keys, now()).expect("a signature");
        let (name, value) = made.last().expect("the signature");
        assert_eq!(request.headers()[name], value);
        signatures.push(value.clone());
    }
    assert_ne!(signatures[0], signatures[1]);
}

#[test]
fn an_api_key_is_a_header_like_others() {
    let identity = opened(
        bedrock(),
        OpenedBy::Credential("api-key".to_owned().into()),
        &Clouds::default(),
    );
    assert!(identity.is_header());
}

#[tokio::test]
async fn an_access_key_of_the_environment_comes_first_and_never_lapses() {
    let cloud = Aws {
        access_key: Some(("AKIDENV".to_owned(), "secret".to_owned().into(), None)),
        web_identity: Some((PathBuf::from("/nowhere"), "role".to_owned())),
        ..nowhere()
    };
    let identity = identity(cloud, None);
    for at in [now(), now() + Duration::from_secs(40 * 24 * 3600)] {
        assert_signed_by(
            &proven(&identity, at).await.expect("a signature"),
            "AKIDENV",
            "secret",
            None,
            at,
        );
    }
}

#[tokio::test]
async fn a_token_of_the_cluster_stands_for_a_role() {
    let cloud = ScriptedCloud::start(|_, _| xml("AssumeRoleWithWebIdentity", "ASIAIRSA")).await;
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "token-of-the-cluster\n").expect("a file");
    let role = "arn:aws:iam::123456789012:role/llm";
    let irsa = Aws {
        web_identity: Some((file.path().to_owned(), role.to_owned())),
        sts: Some(cloud.url.clone()),
        ..nowhere()
    };
    let headers = proven(&identity(irsa, None), now()).await.expect("a signature");
    assert_signed_by(
        &headers,
        "ASIAIRSA",
        "secret/ASIAIRSA+",
        Some("session-ASIAIRSA=="),
        now(),
    );
    let [asked] = &cloud.asked()[..] else {
        panic!("one request")
    };
    assert_eq!(asked.line, "POST /");
    assert_eq!(asked.header("authorization"), "", "the token is the proof");
    let form = asked.form();
    for (name, value) in [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", role),
        ("RoleSessionName", "headgate"),
        ("WebIdentityToken", "token-of-the-cluster"),
    ] {
        assert_eq!(form[name], value);
    }
}

#[tokio::test]
async fn another_role_is_assumed_by_a_signed_request() {
    let cloud = ScriptedCloud::start(|_, _| xml("AssumeRole", "ASIAOTHER")).await;
    let source = Aws {
        access_key: Some((
            "AKIDENV".to_owned(),
            "secret".to_owned().into(),
            Some("session".to_owned().into()),
        )),
        region: Some("us-east-1".to_owned()),
        sts: Some(cloud.url.clone()),
        ..nowhere()
    };
    let role = "arn:aws:iam::123456789012:role/other";
    let headers = proven(&identity(source, Some(role)), now()).await.expect("a signature");
    assert_signed_by(
        &headers,
        "ASIAOTHER",
        "secret/ASIAOTHER+",
        Some("session-ASIAOTHER=="),
        now(),
    );

    let [asked] = &cloud.asked()[..] else {
        panic!("one request")
    };
    let form = asked.form();
    assert_eq!(
        (form["Action"].as_str(), form["RoleArn"].as_str()),
        ("AssumeRole", role)
    );
    assert_eq!(asked.header("x-amz-security-token"), "session");
    let signing = SigningRequest {
        method: "POST",
        host: asked.header("host"),
        path: "/",
        query: "",
        headers: &HeaderMap::new(),
        body: asked.body.as_bytes(),
        region: "us-east-1",
        service: "sts",
    };
    let keys = AwsCredentials::new("AKIDENV", "secret", Some("session")).expect("a key");
    let made = sign(&signing, &keys, now()).expect("a signature");
    assert_eq!(made.last().expect("the signature").1, asked.header("authorization"));
}

/// As the agent of EKS Pod Identity and the metadata service write them.
fn keys(id: &str) -> (u16, String) {
    let keys = json!({
        "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": id, "SecretAccessKey": "secret", "Token": "session",
        "Expiration": EXPIRATION,
    });
    (200, keys.to_string())
}

#[tokio::test]
async fn the_agent_of_the_node_is_shown_the_pods_token() {
    let cloud = ScriptedCloud::start(|_, _| keys("ASIAAGENT")).await;
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "token-of-the-pod").expect("a file");
    let agent = Aws {
        container: Some(format!("{}/v1/credentials", cloud.url)),
        container_token_file: Some(file.path().to_owned()),
        ..nowhere()
    };
    let headers = proven(&identity(agent, None), now()).await.expect("a signature");
    assert_signed_by(&headers, "ASIAAGENT", "secret", Some("session"), now());
    let [asked] = &cloud.asked()[..] else {
        panic!("one request")
    };
    assert_eq!(
        (asked.line.as_str(), asked.header("authorization")),
        ("GET /v1/credentials", "token-of-the-pod")
    );
}

#[tokio::test]
async fn the_metadata_service_is_asked_with_a_session_of_its_own() {
    let answer = |asked: &Asked, _| match asked.line.as_str() {
        "PUT /latest/api/token" => (200, "metadata-session".to_owned()),
        "GET /latest/meta-data/iam/security-credentials/" => (200, "node-role\n".to_owned()),
        _ => keys("ASIANODE"),
    };
    let cloud = ScriptedCloud::start(answer).await;
    let node = Aws {
        metadata_service: Some(cloud.url.clone()),
        ..Aws::default()
    };
    let identity = identity(node, None);
    let headers = proven(&identity, now()).await.expect("a signature");
    assert_signed_by(&headers, "ASIANODE", "secret", Some("session"), now());
    let asked = cloud.asked();
    assert_eq!(asked[0].header("x-aws-ec2-metadata-token-ttl-seconds"), "21600");
    for asked in &asked[1..] {
        assert_eq!(asked.header("x-aws-ec2-metadata-token"), "metadata-session");
    }
    assert_eq!(
        asked[2].line,
        "GET /latest/meta-data/iam/security-credentials/node-role"
    );
}

#[tokio::test]
async fn what_is_no_key_is_a_failure_of_the_account_and_never_an_unsigned_request() {
    let refused = shown(&identity(nowhere(), None), now()).await.expect_err("no identity");
    assert_eq!(refused.kind, FailureKind::Auth);
    assert!(
        refused.detail.starts_with("the pod has no identity at AWS; "),
        "{}",
        refused.detail
    );

    let denied = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>Not authorized to perform \
                  sts:AssumeRole</Message></Error></ErrorResponse>";
    for (answer, words) in [
        (
            (200, "<x/>".to_owned()),
            "the answer of AWS's STS holds no usable access key",
        ),
        (
            (
                200,
                xml("AssumeRole", "ASIA").1.replace(EXPIRATION, "2026-11-28T09:59:59Z"),
            ),
            "the answer of AWS's STS does not say how long its access key lives",
        ),
        (
            (403, denied.to_owned()),
            "AWS's STS answers with status 403: AccessDenied Not authorized to perform sts:AssumeRole",
        ),
    ] {
        let cloud = ScriptedCloud::start(move |_, _| answer.clone()).await;
        let source = Aws {
            access_key: Some(("AKIDENV".to_owned(), "secret".to_owned().into(), None)),
            sts: Some(cloud.url.clone()),
            ..nowhere()
        };
        let failure = shown(&identity(source, Some("role")), now()).await.expect_err("no key");
        assert_eq!((failure.kind, failure.detail.as_str()), (FailureKind::Auth, words));
    }
}
