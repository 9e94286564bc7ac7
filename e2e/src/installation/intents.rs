//! The manifests that tests apply, as short functions: a provider, a route, a key, a Secret.

/// What clients of tests present, and what no ConfigMap, status, event or log may ever hold.
pub const CALLER_KEY: &str = "vk-canary-cluster-caller-4ZtXw9LmQ2rYp7NbVc";
/// What gateways present to the fake provider; likewise.
pub const CREDENTIAL: &str = "sk-canary-cluster-provider-8RkPd3HsJf6TgWq";
/// The model of [`provider`].
pub const MODEL: &str = "chat";

/// An `OpenAICompatible` provider named `name` at `base_url` which serves [`MODEL`]; its credential is the Secret
/// `<name>-credential`.
pub fn provider(name: &str, base_url: &str) -> String {
    provider_with_models(name, base_url, &[MODEL])
}

/// The same with other models; the fake provider plays the behaviour that a model is called after.
pub fn provider_with_models(name: &str, base_url: &str, models: &[&str]) -> String {
    let models: Vec<_> = models.iter().map(|model| format!("{{name: \"{model}\"}}")).collect();
    format!(
        "apiVersion: headgate.dev/v1alpha1\nkind: LLMProvider\nmetadata: {{name: {name}}}\n\
         spec:\n  type: OpenAICompatible\n  baseURL: {base_url}\n  \
         credential: {{secretRef: {{name: {name}-credential, key: api-key}}}}\n  models: [{}]\n---\n",
        models.join(", ")
    )
}

/// The Secret of [`provider`] with this credential.
pub fn credential(provider: &str, value: &str) -> String {
    secret(&format!("{provider}-credential"), "api-key", value)
}

/// A Secret with one entry.
pub fn secret(name: &str, entry: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{{entry}: \"{value}\"}}\n---\n")
}

/// A key whose text is in the Secret `<name>-key`; `more` are further lines of its spec, each indented by two.
pub fn virtual_key(name: &str, more: &str) -> String {
    format!(
        "apiVersion: headgate.dev/v1alpha1\nkind: VirtualKey\nmetadata: {{name: {name}}}\n\
         spec:\n  owner: {{user: {name}}}\n  secretRef: {{name: {name}-key, key: key}}\n{more}---\n"
    )
}

/// The Secret of [`virtual_key`].
pub fn key_secret(name: &str, token: &str) -> String {
    secret(&format!("{name}-key"), "key", token)
}

/// A route from `model` to `upstream` of one provider.
pub fn route(name: &str, model: &str, provider: &str, upstream: &str) -> String {
    format!(
        "apiVersion: headgate.dev/v1alpha1\nkind: RoutePolicy\nmetadata: {{name: {name}}}\n\
         spec:\n  models: [\"{model}\"]\n  retry: {{attempts: 0}}\n  \
         targets: [{{name: only, provider: {{name: {provider}, model: {upstream}}}}}]\n---\n"
    )
}

/// A provider that answers from inside, with these models.
pub fn echo(name: &str, models: &[&str]) -> String {
    let models: Vec<_> = models.iter().map(|model| format!("{{name: \"{model}\"}}")).collect();
    format!(
        "apiVersion: headgate.dev/v1alpha1\nkind: LLMProvider\nmetadata: {{name: {name}}}\n\
         spec: {{type: Echo, models: [{}]}}\n---\n",
        models.join(", ")
    )
}

/// A key that is only its digest: nobody can use it, and it needs no Secret.
pub fn digest_key(name: &str, digest: &str) -> String {
    format!(
        "apiVersion: headgate.dev/v1alpha1\nkind: VirtualKey\nmetadata: {{name: {name}}}\n\
         spec: {{owner: {{user: {name}}}, digests: [\"sha256:{digest}\"]}}\n---\n"
    )
}

/// Everything a request needs: a provider at `base_url`, its credential, and the key `caller` with [`CALLER_KEY`].
pub fn served(base_url: &str) -> String {
    [
        credential("fake", CREDENTIAL),
        provider("fake", base_url),
        key_secret("caller", CALLER_KEY),
        virtual_key("caller", ""),
    ]
    .concat()
}
