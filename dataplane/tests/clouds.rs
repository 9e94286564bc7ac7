//! Accounts at clouds, from a manifest to the request that arrives: whose proof it carries, and what becomes of a caller
//! when there is none. How each identity is asked for is shown beside it in `src/identity/tests`.

mod scripted;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use headgate::gateway::{Bounds, Gateway};
use headgate::identity::clouds::Clouds;
use headgate::source::Source;
use headgate::source::manifests::Folder;
use headgate::upstream::address::AddressPolicy;
use headgate_llm::sigv4::{AwsCredentials, SigningRequest, sign};
use headgate_snapshot::{ObjectName, SealingKey, Snapshot};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use scripted::{Received, Reply, Scripted, TOKEN};
use serde_json::{Value, json};

const KEY_FILE: &str = include_str!("../snapshot/tests/service-account.json");
const VERTEX: &str = "type: VertexAI, vertex: {project: my-project, location: europe-west4}";
const BEDROCK: &str = "type: Bedrock, bedrock: {region: eu-central-1}";
const AZURE: &str =
    "type: AzureOpenAI, azure: {apiVersion: 2024-10-21, deployments: [{model: model, deployment: ours}]}";
const BY_SECRET: &str = "secretRef: {name: s, key: api-key}";
const BY_POD: &str = "workloadIdentity: {}";

/// A gateway, and what it serves.
struct Deployed {
    gateway: Arc<Gateway>,
    snapshot: Snapshot,
    sealing_key: Arc<SealingKey>,
}

impl Deployed {
    fn reload(&self) {
        let prepared = self
            .gateway
            .prepare(self.snapshot.clone(), "again".to_owned(), &self.sealing_key);
        self.gateway.swap(prepared.expect("the snapshot can be served"));
    }
}

/// A gateway over one provider of this spec, which is `model` under this upstream name. Identities that manifests send
/// to a cloud's own hosts go to the scripted provider: that is what the address of the record is changed for.
async fn deploy(
    spec: &str,
    credential: &str,
    secret: &str,
    upstream_model: &str,
    provider: &Scripted,
    clouds: Clouds,
) -> Deployed {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let here = format!("http://{}", provider.address);
    let is_pod = credential == BY_POD;
    let base_url = match (is_pod, spec == AZURE) {
        (false, _) => format!(", baseURL: \"{here}\""),
        (true, true) => ", baseURL: \"https://ours.openai.azure.com\"".to_owned(),
        (true, false) => String::new(),
    };
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
        "stringData": {"api-key": secret, "key": TOKEN}});
    let manifests = format!(
        "{secret}\n---\napiVersion: headgate.dev/v1alpha1\nkind: VirtualKey\nmetadata: {{name: k}}\nspec: {{secretRef: {{name: \
         s, key: key}}}}\n---\napiVersion: headgate.dev/v1alpha1\nkind: LLMProvider\nmetadata: {{name: p}}\nspec: {{credential: \
         {{{credential}}}, models: [{{name: model, upstreamModel: {upstream_model}}}], {spec}{base_url}}}\n---\napiVersion: \
         headgate.dev/v1alpha1\nkind: RoutePolicy\nmetadata: {{name: r}}\nspec: {{models: [model], targets: [{{name: t, \
         provider: {{name: p, model: model}}}}], retry: {{attempts: 0}}}}\n"
    );
    std::fs::write(folder.path().join("gateway.yaml"), manifests).expect("the folder takes a file");
    let folder = Folder::new(folder.path().to_owned(), None, Arc::new(|_| None), Arc::new(|_| ())).expect("random");
    let source = Source::manifests(folder)
        .await
        .unwrap_or_else(|error| panic!("{error}: {:?}", error.findings));
    let delivery = Arc::clone(&source.deliveries().borrow());
    assert!(delivery.findings.is_empty(), "{:?}", delivery.findings);
    let mut snapshot = Snapshot::clone(&delivery.snapshot);
    if is_pod {
        let provider = snapshot.providers.get_mut(&ObjectName::new("default", "p"));
        provider.expect("the provider").base_url = Some(here);
    }
    let second = Duration::from_secs(1);
    let bounds = Bounds {
        connections_max: 1,
        head_timeout: second,
        body_idle_timeout: second,
        keep_alive: second,
    };
    let addresses = AddressPolicy {
        allow_loopback: true,
        allow_private: true,
    };
    let deployed = Deployed {
        gateway: Arc::new(Gateway::new(bounds, addresses).at(clouds)),
        snapshot,
        sealing_key: Arc::clone(&delivery.sealing_key),
    };
    deployed.reload();
    deployed
}

async fn chat(Deployed { gateway, .. }: &Deployed) -> (StatusCode, Value) {
    let body = json!({"model": "model", "messages": [{"role": "user", "content": "Hi"}]});
    let request = Request::post("/v1/chat/completions")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json")
        .header("x-amz-security-token", "a-callers-own")
        .body(Body::from(body.to_string()))
        .expect("a request");
    let response = headgate::http_api::DataRoutes::new(Arc::clone(gateway))
        .answer(request)
        .await;
    let status = response.status();
    let body = response.into_body().collect().await.expect("an answer").to_bytes();
    (status, serde_json::from_slice(&body).expect("JSON"))
}

async fn assert_answered(deployed: &Deployed) {
    let (status, body) = chat(deployed).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(body["choices"][0]["message"]["content"], "Xin chào");
}

fn of_bedrock() -> Reply {
    let message = json!({"role": "assistant", "content": [{"text": "Xin chào"}]});
    let usage = json!({"inputTokens": 1, "outputTokens": 1, "totalTokens": 2});
    Reply::json(
        200,
        json!({"output": {"message": message}, "stopReason": "end_turn", "usage": usage}).to_string(),
    )
}

fn of_gemini() -> Reply {
    let content = json!({"role": "model", "parts": [{"text": "Xin chào"}]});
    Reply::json(
        200,
        json!({"candidates": [{"content": content, "finishReason": "STOP", "index": 0}]}).to_string(),
    )
}

fn of_openai() -> Reply {
    let message = json!({"role": "assistant", "content": "Xin chào", "refusal": null});
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop", "logprobs": null});
    Reply::json(
        200,
        json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}).to_string(),
    )
}

fn token(text: &str) -> Reply {
    Reply::json(200, json!({"access_token": text, "expires_in": 3599}).to_string())
}

fn url(server: &Scripted) -> String {
    format!("http://{}", server.address)
}

/// Computes the signature of what arrived and compares it. The time is the request's own, which is now.
fn assert_signed(received: &Received, id: &str, key: &str, session: Option<&str>) {
    let (_, target) = received.line.split_once(' ').expect("a request line");
    let time = received.header("x-amz-date").expect("a time");
    let at = (0..60)
        .map(|seconds| SystemTime::now() - Duration::from_secs(seconds))
        .find(|at| {
            let unix_seconds = at.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
            let stamp = jiff::Timestamp::from_second(i64::try_from(unix_seconds).expect("in this millennium"));
            stamp.expect("a time").strftime("%Y%m%dT%H%M%SZ").to_string() == time
        });
    let request = SigningRequest {
        method: "POST",
        host: received.header("host").expect("a host"),
        path: target,
        query: "",
        headers: &HeaderMap::new(),
        body: &received.bytes,
        region: "eu-central-1",
        service: "bedrock",
    };
    let keys = AwsCredentials::new(id, key, session).expect("a key");
    for (name, value) in sign(&request, &keys, at.expect("a time of now")).expect("a signature") {
        assert_eq!(received.header(name.as_str()), value.to_str().ok(), "{name}");
    }
    assert_eq!(received.header("x-amz-security-token"), session);
}

#[tokio::test]
async fn bedrock_gets_requests_signed_by_an_access_key() {
    let provider = Scripted::start([of_bedrock(), of_bedrock()]).await;
    let keys = json!({"accessKeyId": "AKIDEXAMPLE", "secretAccessKey": "secret/key", "sessionToken": "session"});
    let model = "\"eu.anthropic.claude-sonnet-5-v1:0\"";
    let deployed = deploy(
        BEDROCK,
        BY_SECRET,
        &keys.to_string(),
        model,
        &provider,
        Clouds::default(),
    )
    .await;
    for _ in 0..2 {
        assert_answered(&deployed).await;
    }
    for received in provider.received() {
        assert_eq!(
            received.line,
            "POST /model/eu.anthropic.claude-sonnet-5-v1%3A0/converse"
        );
        assert_signed(&received, "AKIDEXAMPLE", "secret/key", Some("session"));
    }
}

#[tokio::test]
async fn bedrock_gets_an_api_key_as_a_bearer_and_no_signature() {
    let provider = Scripted::start([of_bedrock()]).await;
    let clouds = Clouds::default();
    let deployed = deploy(BEDROCK, BY_SECRET, "bedrock-api-key", "nova", &provider, clouds).await;
    assert_answered(&deployed).await;
    let received = &provider.received()[0];
    assert_eq!(received.header("authorization"), Some("Bearer bedrock-api-key"));
    assert_eq!(received.header("x-amz-date"), None);
    assert_eq!(received.header("x-amz-security-token"), None);
}

#[tokio::test]
async fn bedrock_gets_requests_signed_by_the_pods_role() {
    let keys = json!({"AccessKeyId": "ASIAPOD", "SecretAccessKey": "secret", "Token": "session",
        "Expiration": "2999-01-01T00:00:00Z"});
    let agent = Scripted::start([Reply::json(200, keys.to_string())]).await;
    let provider = Scripted::start([of_bedrock(), of_bedrock()]).await;
    let mut clouds = Clouds::default();
    clouds.aws.container = Some(format!("{}/v1/credentials", url(&agent)));
    let deployed = deploy(BEDROCK, BY_POD, "unused", "nova", &provider, clouds).await;
    for _ in 0..2 {
        assert_answered(&deployed).await;
    }
    for received in provider.received() {
        assert_signed(&received, "ASIAPOD", "secret", Some("session"));
    }
    assert_eq!(agent.received().len(), 1, "asked once for both");
}

#[tokio::test]
async fn vertex_gets_the_token_of_a_service_account() {
    let google = Scripted::start([token("ya29.by-key")]).await;
    let provider = Scripted::start([of_gemini(), of_gemini()]).await;
    let mut clouds = Clouds::default();
    clouds.google.token_endpoint = Some(format!("{}/token", url(&google)));
    let deployed = deploy(VERTEX, BY_SECRET, KEY_FILE, "gemini-3.6-flash", &provider, clouds).await;
    assert_answered(&deployed).await;
    deployed.reload();
    assert_answered(&deployed).await;
    for received in provider.received() {
        assert_eq!(
            received.line,
            "POST /projects/my-project/locations/europe-west4/publishers/google/models/gemini-3.6-flash:generateContent"
        );
        assert_eq!(received.header("authorization"), Some("Bearer ya29.by-key"));
        assert_eq!(received.header("x-goog-api-key"), None);
    }
    assert_eq!(google.received().len(), 1, "a reload keeps the token");
}

#[tokio::test]
async fn vertex_gets_a_new_token_after_a_401() {
    let google = Scripted::start([token("ya29.revoked"), token("ya29.fresh")]).await;
    let refused = Reply::json(401, json!({"error": {"message": "who is ya29.revoked?"}}).to_string());
    let provider = Scripted::start([refused, of_gemini()]).await;
    let mut clouds = Clouds::default();
    clouds.google.metadata_server = url(&google);
    let deployed = deploy(VERTEX, BY_POD, "unused", "gemini-3.6-flash", &provider, clouds).await;
    let (status, body) = chat(&deployed).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert_eq!(body["error"]["code"], "upstream_auth_failed");
    assert!(!body.to_string().contains("ya29"), "{body}");
    assert_answered(&deployed).await;
    let sent: Vec<_> = provider.received();
    let sent: Vec<_> = sent.iter().map(|received| received.header("authorization")).collect();
    assert_eq!(sent, [Some("Bearer ya29.revoked"), Some("Bearer ya29.fresh")]);
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_the_caller_is_told_that_their_key_is_fine() {
    let empty = Reply::json(200, json!({"access_token": "", "expires_in": 3599}).to_string());
    let refused = Reply::json(400, json!({"error": "invalid_grant"}).to_string());
    for answer in [empty, refused] {
        let google = Scripted::start([answer]).await;
        let provider = Scripted::start([]).await;
        let mut clouds = Clouds::default();
        clouds.google.token_endpoint = Some(format!("{}/token", url(&google)));
        let deployed = deploy(VERTEX, BY_SECRET, KEY_FILE, "gemini-3.6-flash", &provider, clouds).await;
        let (status, body) = chat(&deployed).await;
        assert_eq!(status, StatusCode::BAD_GATEWAY);
        assert_eq!(body["error"]["code"], "upstream_auth_failed");
        assert!(
            body["error"]["message"]
                .as_str()
                .is_some_and(|text| text.contains("your key is fine")),
            "{body}"
        );
        assert!(provider.received().is_empty());
    }
}

#[tokio::test]
async fn azure_gets_a_key_in_its_own_header() {
    let provider = Scripted::start([of_openai()]).await;
    let deployed = deploy(AZURE, BY_SECRET, "azure-key", "gpt-6.1", &provider, Clouds::default()).await;
    assert_answered(&deployed).await;
    let received = &provider.received()[0];
    assert_eq!(
        received.line,
        "POST /openai/deployments/ours/chat/completions?api-version=2024-10-21"
    );
    assert_eq!(received.header("api-key"), Some("azure-key"));
    assert_eq!(received.header("authorization"), None);
}

#[tokio::test]
async fn azure_gets_the_token_of_the_pods_identity() {
    let entra = Scripted::start([token("entra-token")]).await;
    let provider = Scripted::start([of_openai()]).await;
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "token-of-the-cluster").expect("a file");
    let mut clouds = Clouds::default();
    clouds.azure.federated_token_file = Some(file.path().to_owned());
    clouds.azure.tenant_id = Some("tenant".to_owned());
    clouds.azure.client_id = Some("client".to_owned());
    clouds.azure.authority = url(&entra);
    let deployed = deploy(AZURE, BY_POD, "unused", "gpt-6.1", &provider, clouds).await;
    assert_answered(&deployed).await;
    let received = &provider.received()[0];
    assert_eq!(received.header("authorization"), Some("Bearer entra-token"));
    assert_eq!(received.header("api-key"), None);
    assert_eq!(entra.received()[0].line, "POST /tenant/oauth2/v2.0/token");
}
