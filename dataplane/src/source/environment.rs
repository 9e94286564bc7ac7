//! Serving without a folder: what the environment offers, written down as manifests and loaded like any folder.
//!
//! The manifests are text with `${NAME}` where a secret goes, so this mode has no path of its own: the same reading,
//! admission and `compile` as a folder, and nothing here ever holds a provider's key. A key of which nothing says where
//! its account is, is named and never ignored in silence.

mod placed;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use super::manifests::{self, Generated};
use super::{Announce, Delivery, Environment, StartError};

/// Sets the one virtual key.
const VIRTUAL_KEY_VARIABLE: &str = "HEADGATE_VIRTUAL_KEY";
/// The shortest token that a `VirtualKey` takes.
const VIRTUAL_KEY_CHARACTERS_MIN: usize = 32;
/// How long a local Ollama may take to say that it is there; a start should not feel slower for those without one.
const OLLAMA_PATIENCE: Duration = Duration::from_millis(300);
/// Where Ollama listens by default.
const OLLAMA_PORT: u16 = 11_434;

/// A service, found by its variable.
struct Service {
    name: &'static str,
    variable: &'static str,
    /// Its type, and what else its manifest needs.
    spec: &'static str,
}

const SERVICES: [Service; 10] = [
    Service {
        name: "openai",
        variable: "OPENAI_API_KEY",
        spec: "type: OpenAI",
    },
    Service {
        name: "anthropic",
        variable: "ANTHROPIC_API_KEY",
        spec: "type: Anthropic",
    },
    Service {
        name: "gemini",
        variable: "GEMINI_API_KEY",
        spec: "type: Gemini",
    },
    Service {
        name: "groq",
        variable: "GROQ_API_KEY",
        spec: "type: Groq",
    },
    Service {
        name: "mistral",
        variable: "MISTRAL_API_KEY",
        spec: "type: Mistral",
    },
    Service {
        name: "deepseek",
        variable: "DEEPSEEK_API_KEY",
        spec: "type: DeepSeek",
    },
    Service {
        name: "together",
        variable: "TOGETHER_API_KEY",
        spec: "type: Together",
    },
    Service {
        name: "cohere",
        variable: "COHERE_API_KEY",
        spec: "type: Cohere",
    },
    Service {
        name: "cohere",
        variable: "CO_API_KEY", // as its own clients read it; the first one that is set counts
        spec: "type: Cohere",
    },
    Service {
        name: "openrouter",
        variable: "OPENROUTER_API_KEY",
        // As it documents its address for the OpenAI clients (read November 2026).
        spec: "type: OpenAICompatible\n  baseURL: https://openrouter.ai/api/v1",
    },
];

/// Makes the one delivery of this mode.
pub(super) async fn deliver(
    environment: Environment,
    announce: Announce,
    listen: SocketAddr,
) -> Result<Delivery, StartError> {
    let token = virtual_key(&environment, listen)?;
    let ollama = find_ollama(environment("OLLAMA_HOST").as_deref()).await;
    let mut manifests = write_manifests(&environment, ollama.as_deref());
    let findings = placed::write(&environment, &mut manifests);

    let text = manifests.clone();
    let known_token = Arc::clone(&token.text);
    let with_token: Environment = Arc::new(move |name| match name {
        VIRTUAL_KEY_VARIABLE => Some(known_token.to_string()),
        other => environment(other),
    });
    let loading = tokio::task::spawn_blocking(move || {
        manifests::load_generated(
            Generated {
                name: "environment",
                text,
            },
            with_token,
        )
    });
    let loaded = loading
        .await
        .map_err(|error| refusal(format!("starting failed unexpectedly ({error}); please report this")))?;
    let mut delivery = loaded?;
    delivery.findings.extend(findings);
    if token.is_fresh {
        announce(&format!(
            "export {VIRTUAL_KEY_VARIABLE}={}   # a fresh virtual key, shown this once",
            token.text.as_str()
        ));
    }
    Ok(delivery)
}

struct Token {
    text: Arc<Zeroizing<String>>,
    is_fresh: bool,
}

fn virtual_key(environment: &Environment, listen: SocketAddr) -> Result<Token, StartError> {
    match environment(VIRTUAL_KEY_VARIABLE).map(Zeroizing::new) {
        Some(text) if text.chars().count() < VIRTUAL_KEY_CHARACTERS_MIN => Err(refusal(format!(
            "{VIRTUAL_KEY_VARIABLE} is shorter than {VIRTUAL_KEY_CHARACTERS_MIN} characters; use a longer one, or unset it to have one minted"
        ))),
        // As `compile` judges a token; found there it would be an object left out, and a gateway that serves nobody.
        Some(text) if !text.bytes().all(|byte| byte.is_ascii_graphic()) => Err(refusal(format!(
            "{VIRTUAL_KEY_VARIABLE} holds a space or another character that no client can send in a key; it takes visible ASCII characters, no spaces, {VIRTUAL_KEY_CHARACTERS_MIN} or more; use such a one, or unset it to have one minted"
        ))),
        Some(text) => Ok(Token {
            text: Arc::new(text),
            is_fresh: false,
        }),
        None if !listen.ip().is_loopback() => Err(refusal(format!(
            "without {VIRTUAL_KEY_VARIABLE} only a loopback address is listened on, and {listen} is none; set it, or name a folder with --manifests"
        ))),
        None => {
            let text = manifests::mint().map_err(|error| refusal(error.to_string()))?;
            Ok(Token {
                text: Arc::new(text),
                is_fresh: true,
            })
        }
    }
}

fn refusal(message: String) -> StartError {
    StartError {
        message,
        findings: Vec::new(),
    }
}

/// What is offered, as manifests. Only names and constants are written into them; secrets stay variables.
fn write_manifests(environment: &Environment, ollama: Option<&str>) -> String {
    let mut text = format!(
        "apiVersion: headgate.dev/v1alpha1\nkind: VirtualKey\nmetadata: {{name: local}}\nspec:\n  secretRef: {{name: local, key: key}}\n\
         ---\napiVersion: v1\nkind: Secret\nmetadata: {{name: local}}\nstringData: {{key: \"${{{VIRTUAL_KEY_VARIABLE}}}\"}}\n\
         ---\n{}  type: Echo\n  models: [{{name: echo}}]\n",
        provider("echo")
    );
    for Service { name, variable, spec } in SERVICES {
        if environment(variable).is_none() || text.contains(&provider(name)) {
            continue;
        }
        let _ = write!(
            text,
            "---\n{}  {spec}\n  credential: {{secretRef: {{name: {name}, key: api-key}}}}\n  discover: Any\n\
             ---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{api-key: \"${{{variable}}}\"}}\n",
            provider(name)
        );
    }
    if let Some(origin) = ollama {
        let _ = write!(
            text,
            "---\n{}  type: Ollama\n  baseURL: {origin}\n  discover: Any\n",
            provider("ollama")
        );
    }
    text
}

fn provider(name: &str) -> String {
    format!("apiVersion: headgate.dev/v1alpha1\nkind: LLMProvider\nmetadata: {{name: {name}}}\nspec:\n")
}

/// The origin of the Ollama that answers, if one does.
async fn find_ollama(ollama_host: Option<&str>) -> Option<String> {
    let authority = ollama_authority(ollama_host)?;
    let asking = asks_for_version(&authority);
    matches!(tokio::time::timeout(OLLAMA_PATIENCE, asking).await, Ok(Ok(true))).then(|| format!("http://{authority}"))
}

/// Whether `GET /api/version` is answered as Ollama answers it.
async fn asks_for_version(authority: &str) -> std::io::Result<bool> {
    const ANSWER_BYTES_MAX: u64 = 4_096;
    let mut stream = TcpStream::connect(authority).await?;
    let request = format!("GET /api/version HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    Ok(answer.starts_with("HTTP/1.1 200") && answer.contains("\"version\""))
}

/// Host and port of `OLLAMA_HOST` in the spellings that Ollama takes: `host`, `host:port`, `:port`, `http://host:port`.
/// What it binds to (`0.0.0.0`) is not where one connects to. `None`: https, or nothing that can be connected to.
fn ollama_authority(ollama_host: Option<&str>) -> Option<String> {
    let text = ollama_host.unwrap_or_default().trim().trim_end_matches('/');
    let text = match text.split_once("://") {
        Some(("http", rest)) => rest,
        Some(_) => return None,
        None => text,
    };
    let (host, port) = match text.rsplit_once(':') {
        // The colons of a bare IPv6 address are no port.
        Some((host, port)) if host.ends_with(']') || !host.contains(':') => (host, port.parse().ok()?),
        _ => (text, OLLAMA_PORT),
    };
    let host = match host {
        "" | "0.0.0.0" | "[::]" | "::" => "127.0.0.1",
        other => other,
    };
    let is_host = host
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-_[]:".contains(&byte));
    is_host.then(|| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &'static [(&str, &str)]) -> Environment {
        Arc::new(|name| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn ollama_is_looked_for_where_its_own_client_would() {
        for (spelling, authority) in [
            (None, Some("127.0.0.1:11434")),
            (Some("0.0.0.0"), Some("127.0.0.1:11434")),
            (Some(":4000"), Some("127.0.0.1:4000")),
            (Some("box:4000"), Some("box:4000")),
            (Some("http://box:4000/"), Some("box:4000")),
            (Some("[::1]:4000"), Some("[::1]:4000")),
            (Some("https://box"), None),
            (Some("box/x\r\ny"), None),
        ] {
            assert_eq!(ollama_authority(spelling).as_deref(), authority, "{spelling:?}");
        }
    }

    #[test]
    fn manifests_name_variables_and_hold_no_secret() {
        let text = write_manifests(
            &environment(&[("OPENAI_API_KEY", "canary"), ("GROQ_API_KEY", "canary")]),
            Some("http://127.0.0.1:1"),
        );
        for part in [
            "${OPENAI_API_KEY}",
            "type: Groq",
            "type: Ollama",
            "type: Echo",
            "${HEADGATE_VIRTUAL_KEY}",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("canary") && !text.contains("mistral"));
    }

    #[test]
    fn a_service_with_two_variables_is_one_provider() {
        for both in [
            &[("COHERE_API_KEY", "canary")][..],
            &[("CO_API_KEY", "canary")],
            &[("CO_API_KEY", "canary"), ("COHERE_API_KEY", "canary")],
        ] {
            let text = write_manifests(&environment(both), None);
            assert_eq!(text.matches("type: Cohere").count(), 1, "{text}");
        }
    }

    #[test]
    fn the_network_is_only_listened_on_with_a_key_of_ones_own() {
        let anywhere: SocketAddr = "0.0.0.0:8080".parse().unwrap();
        let loopback: SocketAddr = "[::1]:8080".parse().unwrap();
        let refused = virtual_key(&environment(&[]), anywhere).err().unwrap();
        assert!(refused.message.contains("0.0.0.0:8080 is none; set it"), "{refused}");
        assert!(virtual_key(&environment(&[]), loopback).unwrap().is_fresh);
        let own = environment(&[(VIRTUAL_KEY_VARIABLE, "canary-canary-canary-canary-canary")]);
        assert!(!virtual_key(&own, anywhere).unwrap().is_fresh);
        let short = virtual_key(&environment(&[(VIRTUAL_KEY_VARIABLE, "canary")]), anywhere)
            .err()
            .unwrap();
        assert!(
            short.message.contains("shorter than 32") && !short.message.contains("canary"),
            "{short}"
        );
    }
}
