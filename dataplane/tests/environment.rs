//! Serving without a folder: what the environment offers is served, and what it holds is never shown.

#![allow(clippy::unwrap_used)] // a helper of a test may fail as the test itself does

use std::sync::{Arc, Mutex};

use headgate::source::{Delivery, Environment, Source, StartError, describe};
use headgate_snapshot::{ObjectName, ProviderKind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

type Variables = &'static [(&'static str, &'static str)];

/// No Ollama answers there: port 9 is for discarding.
const NO_OLLAMA: (&str, &str) = ("OLLAMA_HOST", "127.0.0.1:9");

async fn serve(
    variables: Vec<(&'static str, String)>,
    listen: &str,
) -> (Result<Arc<Delivery>, StartError>, Vec<String>) {
    let environment: Environment = Arc::new(move |name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.clone())
    });
    let announced = Arc::new(Mutex::new(Vec::new()));
    let announce = {
        let announced = Arc::clone(&announced);
        Arc::new(move |line: &str| announced.lock().unwrap().push(line.to_owned()))
    };
    let source = Source::environment(environment, announce, listen.parse().unwrap()).await;
    let delivery = source.map(|source| source.deliveries().borrow().clone());
    let announced = announced.lock().unwrap().clone();
    (delivery, announced)
}

fn owned(variables: Variables) -> Vec<(&'static str, String)> {
    variables
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect()
}

fn kind(delivery: &Delivery, name: &str) -> Option<ProviderKind> {
    delivery
        .snapshot
        .providers
        .get(&ObjectName::new("default", name))
        .map(|provider| provider.kind)
}

#[tokio::test]
async fn echo_is_served_always_with_a_fresh_key_that_is_shown_once() {
    let (delivery, announced) = serve(owned(&[NO_OLLAMA]), "127.0.0.1:8080").await;
    let delivery = delivery.unwrap();
    assert_eq!(kind(&delivery, "echo"), Some(ProviderKind::Echo));
    assert_eq!(
        (delivery.snapshot.providers.len(), delivery.findings.len()),
        (1, 0),
        "{:?}",
        delivery.findings
    );
    assert_eq!(announced.len(), 1);
    let token = announced[0].split(['=', ' ']).nth(2).unwrap();
    assert!(token.starts_with("vk-") && token.len() == 46, "{announced:?}");
    let caller = &delivery.snapshot.callers[&ObjectName::new("default", "local")];
    assert_eq!(
        caller.keys[0].digest,
        delivery.sealing_key.digester().of_token(token.as_bytes())
    );
    let banner = describe(&delivery, "127.0.0.1:8080".parse().unwrap());
    assert!(
        banner.contains("\"model\":\"echo\"") && !banner.contains(token),
        "{banner}"
    );
}

#[tokio::test]
async fn each_well_known_key_is_a_provider_and_no_key_is_shown() {
    let (delivery, announced) = serve(
        owned(&[
            NO_OLLAMA,
            ("HEADGATE_VIRTUAL_KEY", "vk-canary-canary-canary-canary-canary"),
            ("OPENAI_API_KEY", "sk-canary-openai"),
            ("GROQ_API_KEY", "sk-canary-groq"),
            ("ANTHROPIC_API_KEY", "sk-canary-anthropic"),
            ("CO_API_KEY", "canary-cohere"),
            ("AZURE_OPENAI_API_KEY", "canary-azure"),
        ]),
        "0.0.0.0:8080",
    )
    .await;
    let delivery = delivery.unwrap();
    assert_eq!(kind(&delivery, "openai"), Some(ProviderKind::OpenAI));
    assert_eq!(kind(&delivery, "groq"), Some(ProviderKind::Groq));
    assert_eq!(kind(&delivery, "anthropic"), Some(ProviderKind::Anthropic));
    assert_eq!(kind(&delivery, "cohere"), Some(ProviderKind::Cohere));
    assert_eq!(kind(&delivery, "mistral"), None);
    assert!(
        delivery
            .snapshot
            .providers
            .values()
            .filter(|provider| provider.has_credential)
            .count()
            == 4
    );
    assert_eq!(delivery.findings.len(), 1);
    assert!(
        delivery.findings[0].message.starts_with("AZURE_OPENAI_API_KEY is set"),
        "{:?}",
        delivery.findings
    );
    assert!(announced.is_empty(), "a key of one's own is not printed");
    let banner = describe(&delivery, "0.0.0.0:8080".parse().unwrap());
    assert!(banner.contains("openai/*") && banner.contains("groq/*"), "{banner}");
    assert!(!format!("{delivery:?}{banner}").contains("canary"));
}

#[tokio::test]
async fn without_a_key_of_ones_own_only_loopback_is_listened_on() {
    let (refused, announced) = serve(owned(&[NO_OLLAMA]), "0.0.0.0:8080").await;
    assert!(
        refused.unwrap_err().message.contains("only a loopback address"),
        "and says what to set"
    );
    assert!(announced.is_empty());
    let (refused, _) = serve(
        owned(&[NO_OLLAMA, ("HEADGATE_VIRTUAL_KEY", "canary")]),
        "127.0.0.1:8080",
    )
    .await;
    let message = refused.unwrap_err().message;
    assert!(
        message.contains("shorter than 32") && !message.contains("canary"),
        "{message}"
    );
}

#[tokio::test]
async fn a_key_that_no_client_can_send_is_refused_at_the_start_and_the_rule_is_named() {
    for wrong in [
        "canary-canary-canary canary-canary-canary",
        "canary-canary-canary-canary-canary-canary\n",
        "canary-canary-canary-canary-canary-c\u{e4}n\u{e4}ry",
    ] {
        let mut variables = owned(&[NO_OLLAMA]);
        variables.push(("HEADGATE_VIRTUAL_KEY", wrong.to_owned()));
        let (refused, announced) = serve(variables, "127.0.0.1:8080").await;
        let message = refused.expect_err("refused").message;
        assert!(
            message.starts_with("HEADGATE_VIRTUAL_KEY")
                && message.contains("visible ASCII characters, no spaces, 32 or more")
                && !message.contains("canary"),
            "{message}"
        );
        assert!(announced.is_empty());
    }
}

#[tokio::test]
async fn an_ollama_that_answers_is_served_and_one_that_does_not_is_not() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 256];
        let _ = stream.read(&mut head).await.unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 19\r\n\r\n{\"version\":\"0.12.0\"}")
            .await
            .unwrap();
    });
    let (delivery, _) = serve(vec![("OLLAMA_HOST", host.clone())], "127.0.0.1:8080").await;
    let delivery = delivery.unwrap();
    assert_eq!(
        kind(&delivery, "ollama"),
        Some(ProviderKind::Ollama),
        "{:?}",
        delivery.findings
    );
    let provider = &delivery.snapshot.providers[&ObjectName::new("default", "ollama")];
    assert_eq!(provider.base_url.as_deref(), Some(format!("http://{host}").as_str()));
    // The listener is gone: nothing answers there any more.
    let (delivery, _) = serve(vec![("OLLAMA_HOST", host)], "127.0.0.1:8080").await;
    assert_eq!(kind(&delivery.unwrap(), "ollama"), None);
}
