//! The folder most tests serve: one provider, the fake one, with a model for each behaviour; keys in every state.

use std::fmt::Write as _;

use crate::fake_provider::{ACCESS_KEY_ID, Behaviour, SECRET_ACCESS_KEY};
use crate::workspace::root;

/// The key callers use. Unlike any other text, so that a search for it in logs proves something.
pub const VIRTUAL_KEY: &str = "vk-canary-caller-7Qd2mXwB9sLr4TzKc8HnVf3Y";
/// A key that is suspended.
pub const SUSPENDED_KEY: &str = "vk-canary-suspended-5JpRw1EoZx6GyUbNi0Ka2S";
/// A key that expired years ago.
pub const EXPIRED_KEY: &str = "vk-canary-expired-9CvFt4QmLd7HsPeXk3WzAr1B";
/// A key that may use the model `chat` only.
pub const NARROW_KEY: &str = "vk-canary-narrow-2NbYu8KjGi5OcMtVq6ZxEl0D";
/// The key of somebody else, for whom everything that the caller stored is not there.
pub const NEIGHBOUR_KEY: &str = "vk-canary-neighbour-8RtYu2IoPa4SdFg6HjKl1ZxC";
/// What the gateway presents to the provider. Callers must never see it.
pub const CREDENTIAL: &str = "sk-canary-provider-4ThXz7RwPj1LqNm6VbYc9Gd";

/// Parameterised behaviours that tests use besides [`Behaviour::NAMES`].
const MODELS: [&str; 13] = [
    "status-400",
    "status-401",
    "status-403",
    "status-404",
    "status-429-after-7",
    "status-503",
    "status-529",
    "events-20-every-10ms",
    "events-60-every-50ms",
    "line-100mb",
    "answer-70mb",
    "answer-2mb",
    "bomb-200mb",
];

const IN_MEMORY: &str = "writing to a string does not fail";

/// Deadlines of the provider, as `timeouts` of the manifest: short, since tests wait for them.
pub const SHORT_TIMEOUTS: &str = "{connect: 1s, firstToken: 2s, idle: 2s, total: 60s}";

/// Models that fail on purpose fail at once: each test is about one answer. All others have the route of their own that a
/// declared model has, retries included.
const NO_RETRIES: &str = r#"apiVersion: headgate.dev/v1alpha1
kind: RoutePolicy
metadata: {name: no-retries, namespace: default}
spec:
  models: ["status-*", "reset*", "hang*", "cut-*", "line-*", "answer-*", "bomb-*", garbage, not-json, leaky, redirect, error-event]
  strategy: Single
  targets: [{name: fake, provider: {name: fake}}]
  retry: {attempts: 0}
"#;

/// Manifests for one fake provider at `base_url`.
pub fn fake_provider(base_url: &str) -> String {
    let mut yaml = format!(
        r"apiVersion: headgate.dev/v1alpha1
kind: LLMProvider
metadata: {{name: fake, namespace: default}}
spec:
  type: OpenAICompatible
  baseURL: {base_url}
  credential: {{secretRef: {{name: fake-provider, key: api-key}}}}
  timeouts: {SHORT_TIMEOUTS}
  models:
"
    );
    for model in Behaviour::NAMES.iter().chain(&MODELS) {
        // A price for one model, so that the cost header and metric have something to show.
        let price = if *model == "chat" {
            ", price: {input: \"2.5\", output: \"10\"}"
        } else {
            ""
        };
        writeln!(yaml, "  - {{name: {model}{price}}}").expect(IN_MEMORY);
    }
    yaml.push_str("---\n");
    yaml.push_str(NO_RETRIES);
    yaml.push_str("---\n");
    yaml.push_str(&secret("fake-provider", "api-key", CREDENTIAL));
    for (name, token, more) in [
        ("caller", VIRTUAL_KEY, ""),
        ("suspended", SUSPENDED_KEY, "  suspended: true\n"),
        ("expired", EXPIRED_KEY, "  expiresAt: \"2020-01-01T00:00:00Z\"\n"),
        ("narrow", NARROW_KEY, "  models: [chat]\n"),
    ] {
        yaml.push_str("---\n");
        yaml.push_str(&secret(name, "key", token));
        yaml.push_str("---\n");
        yaml.push_str(&virtual_key(name, more));
    }
    yaml
}

/// Behaviours that every client meets at every provider.
const EVERYWHERE: [&str; 9] = [
    "chat",
    "slow",
    "status-400",
    "status-401",
    "status-404",
    "status-429-after-7",
    "status-500",
    "reset-mid-stream",
    "error-event",
];

/// Manifests for every kind of provider, all played by the fake one at `origin` (scheme, host and port): those of
/// `clients/manifests/`, filled in. Models are named `PROVIDER/BEHAVIOUR`; each provider's own route forbids retries.
pub fn every_provider(origin: &str) -> String {
    let path = root().join("e2e/clients/manifests/providers.yaml");
    let template = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let template = template
        .replace("${FAKE}", origin)
        .replace("${KEY}", CREDENTIAL)
        .replace("${AWS_ID}", ACCESS_KEY_ID)
        .replace("${AWS_SECRET}", SECRET_ACCESS_KEY)
        .replace("${VIRTUAL_KEY}", VIRTUAL_KEY)
        .replace("${NEIGHBOUR_KEY}", NEIGHBOUR_KEY);
    let mut yaml = String::new();
    for document in template.split("---\n") {
        let provider = document
            .contains("kind: LLMProvider\n")
            .then(|| document.split_once("metadata: {name: ")?.1.split_once(','))
            .flatten();
        let Some((provider, _)) = provider else {
            writeln!(yaml, "{document}---").expect(IN_MEMORY);
            continue;
        };
        let document = with_models(document, provider);
        write!(
            yaml,
            "{document}---\napiVersion: headgate.dev/v1alpha1\nkind: RoutePolicy\n\
             metadata: {{name: {provider}, namespace: default}}\nspec:\n  models: [\"{provider}/*\"]\n  \
             targets: [{{name: it, provider: {{name: {provider}}}}}]\n  retry: {{attempts: 0}}\n---\n"
        )
        .expect(IN_MEMORY);
    }
    yaml
}

/// `document` with the models that stand for `${MODELS}`, `${MODELS, publisher: NAME}` or `${MODELS, embeddings: PREFIX}`.
fn with_models(document: &str, provider: &str) -> String {
    let (before, rest) = document.split_once("${MODELS").expect("every provider has models");
    let (options, after) = rest.split_once('}').expect("a brace that opens also closes");
    let publisher = if options.contains("publisher") { options } else { "" };
    let embeddings = options.strip_prefix(", embeddings: ").unwrap_or_default();
    let models: Vec<_> = EVERYWHERE
        .iter()
        .flat_map(|model| {
            [
                format!("{{name: {provider}/{model}, upstreamModel: {model}{publisher}}}"),
                format!("{{name: {provider}/embed-{model}, upstreamModel: {embeddings}{model}{publisher}}}"),
            ]
        })
        .collect();
    // One that is asked by Responses also where chats are what a server is known for; only OpenAI and Azure have them all.
    let by_responses = if document.contains("storedObjects: Allow") && provider != "groq" {
        ", api: Responses"
    } else {
        ""
    };
    format!(
        "{before}[{}, {{name: {provider}/stored, upstreamModel: chat{publisher}{by_responses}}}]{after}",
        models.join(", ")
    )
}

/// A Secret with one entry.
pub fn secret(name: &str, key: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: default}}\nstringData: {{{key}: \"{value}\"}}\n"
    )
}

/// A `VirtualKey` whose text is in the Secret of its own name; `more` are further lines of its spec, indented by two.
pub fn virtual_key(name: &str, more: &str) -> String {
    format!(
        "apiVersion: headgate.dev/v1alpha1\nkind: VirtualKey\nmetadata: {{name: {name}, namespace: default}}\n\
         spec:\n  owner: {{user: {name}}}\n  secretRef: {{name: {name}, key: key}}\n{more}"
    )
}
