//! No secret in any output: everything the gateway says is collected and searched for texts that exist nowhere else.

use std::time::Duration;

use headgate_e2e::fake_provider::FakeProvider;
use headgate_e2e::gateway::Settings;
use headgate_e2e::manifests::{self, CREDENTIAL, EXPIRED_KEY, NARROW_KEY, SUSPENDED_KEY, VIRTUAL_KEY};
use headgate_e2e::raw_http::{Answer, chat, chat_request, get, send};

const WRONG_KEY: &str = "vk-canary-wrong-6TgBnHy7UjMki8OlPz0QaWsX";
const ADMIN_TOKEN: &str = "canary-admin-3EdCrFv4TgBnHy7U";
const PROMPT: &str = "canary prompt about the merger";

/// A part of a secret long enough to be of use to whoever finds it in a log.
fn fragments(secret: &str) -> [&str; 2] {
    [&secret[..16], &secret[secret.len() - 12..]]
}

#[tokio::test]
async fn no_secret_and_no_prompt_in_logs_metrics_errors_or_snapshot() {
    let provider = FakeProvider::start().await;
    let yaml = manifests::fake_provider(&provider.base_url());
    let settings = Settings::serving(&yaml).environment("HEADGATE_LOG_LEVEL", "trace");
    let gateway = settings.environment("HEADGATE_ADMIN_TOKEN", ADMIN_TOKEN).start().await;
    let mut said: Vec<Answer> = Vec::new();

    // Every model but those that repeat what they got on purpose, or take their time.
    let models = [
        "chat",
        "no-usage",
        "leaky",
        "redirect",
        "reset",
        "garbage",
        "not-json",
        "status-401",
        "status-400",
        "status-429-after-7",
        "status-500",
        "cut-mid-body",
        "reset-mid-stream",
        "cut-before-done",
        "error-event",
        "no-such",
    ];
    for model in models {
        let body =
            format!(r#"{{"model":"{model}","stream":true,"messages":[{{"role":"user","content":"{PROMPT}"}}]}}"#);
        for body in [body.replace("true", "false"), body] {
            let request = chat_request(&[&format!("authorization: Bearer {VIRTUAL_KEY}")], body.as_bytes());
            said.extend(send(gateway.address, &request).await);
        }
    }
    for key in [WRONG_KEY, SUSPENDED_KEY, EXPIRED_KEY, NARROW_KEY] {
        said.extend(chat(gateway.address, key, "slow-no-such", false).await);
        said.extend(
            get(
                gateway.address,
                &format!("/v1/nothing?key={key}"),
                &[&format!("x-api-key: {key}")],
            )
            .await,
        );
    }
    let broken = format!(r#"{{"model":"chat","messages":[{{"content":"{PROMPT}""#);
    said.extend(
        send(
            gateway.address,
            &chat_request(&[&format!("api-key: {VIRTUAL_KEY}")], broken.as_bytes()),
        )
        .await,
    );

    // Bad saves, each with a secret near the fault: a caret must not point at it.
    let bad_secret = manifests::secret("fake-provider", "api-key", CREDENTIAL);
    for bad in [
        yaml.replace(&bad_secret, &bad_secret.replace("stringData: {", "stringData: {{")),
        yaml.replace(
            &bad_secret,
            &bad_secret.replace("kind: Secret", "kind: Secret\nunknown: field"),
        ),
        yaml.replace(
            "secretRef: {name: caller, key: key}",
            "secretRef: {name: caller, key: absent}",
        ),
    ] {
        let before = gateway.output().len();
        gateway.save("gateway.yaml", &bad);
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while gateway.output().len() == before && std::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        said.push(gateway.admin("/snapshot").await);
    }
    said.push(gateway.admin("/metrics").await);
    said.extend(
        get(
            gateway.admin_address,
            "/snapshot",
            &[&format!("authorization: Bearer {ADMIN_TOKEN}")],
        )
        .await,
    );

    let mut all = gateway.output();
    for answer in &said {
        all.push_str(&answer.text());
        all.extend(answer.headers.iter().map(|(name, value)| format!("\n{name}: {value}")));
        all.push('\n');
    }
    assert!(all.contains("llm_error"), "the log was collected: {all:.500}");
    for secret in [
        CREDENTIAL,
        VIRTUAL_KEY,
        SUSPENDED_KEY,
        EXPIRED_KEY,
        NARROW_KEY,
        WRONG_KEY,
        ADMIN_TOKEN,
    ] {
        for fragment in fragments(secret) {
            let found = all.lines().find(|line| line.contains(fragment));
            assert!(found.is_none(), "a secret got out: {:.600}", found.unwrap_or_default());
        }
    }
    let found = all.lines().find(|line| line.contains(PROMPT));
    assert!(found.is_none(), "a prompt got out: {:.600}", found.unwrap_or_default());
}
