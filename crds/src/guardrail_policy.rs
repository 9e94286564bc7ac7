//! `GuardrailPolicy`: what may go in and come out.
//!
//! Action, failure mode and scope stand on each check, not on the policy: to redact e-mail addresses and to deny injections
//! is one policy to its author. A check that cannot do what is asked is refused, never silently passed.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::{Condition, unseen};
use crate::{AllowedNamespaces, Duration, LocalRef, Ratio, SecretRef, schema};

/// What a `GuardrailPolicy` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "headgate.dev",
    version = "v1alpha1",
    kind = "GuardrailPolicy",
    plural = "guardrailpolicies",
    shortname = "hgguard",
    category = "headgate",
    namespaced,
    status = "GuardrailPolicyStatus",
    derive = "PartialEq",
    doc = "What may go in and come out.",
    printcolumn(name = "Input", type_ = "string", json_path = ".status.inputSummary"),
    printcolumn(name = "Output", type_ = "string", json_path = ".status.outputSummary"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.input) && self.input.size() > 0) || (has(self.output) && self.output.size() > 0)")
    .message("a policy without checks guards nothing; add a check to input or output")
    .field_path(".input")
    .reason(Reason::FieldValueRequired))]
pub struct GuardrailPolicySpec {
    /// Checks on what goes to the model, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub input: Vec<Check>,
    /// Checks on what the model answers, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub output: Vec<Check>,
    /// How streamed answers are checked.
    #[serde(default)]
    pub stream: StreamCheck,
    /// Which namespaces may use this policy.
    #[serde(default)]
    pub allowed_namespaces: AllowedNamespaces,
}

/// One check: a name, exactly one kind of check, and what follows from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.pii), has(self.contentSafety), has(self.regex), has(self.contains), has(self.length), has(self.jsonSchema), has(self.urls), has(self.models), has(self.promptInjection), has(self.secrets), has(self.webhook), has(self.moderation)].filter(x, x).size() == 1")
    .message("a check is exactly one of pii, contentSafety, regex, contains, length, jsonSchema, urls, models, promptInjection, secrets, webhook and moderation; set one of them")
    .reason(Reason::FieldValueInvalid))]
#[x_kube(validation = Rule::new("self.action != 'Redact' || !(has(self.length) || has(self.jsonSchema) || has(self.models) || has(self.promptInjection) || has(self.moderation))")
    .message("length, jsonSchema, models, promptInjection and moderation find nothing that could be cut out; set action to Deny or Flag")
    .field_path(".action")
    .reason(Reason::FieldValueInvalid))]
pub struct Check {
    /// Name of the check within this list; refusals name it.
    #[schemars(length(min = 1, max = 63), regex(pattern = schema::LABEL_NAME))]
    pub name: String,
    /// Personal data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pii: Option<PiiCheck>,
    /// Unsafe content, by words and by classifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_safety: Option<ContentSafetyCheck>,
    /// Regular expressions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<RegexCheck>,
    /// Words that must or must not be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<ContainsCheck>,
    /// How long the text may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<LengthCheck>,
    /// JSON that must fit a schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json_schema: Option<JsonSchemaCheck>,
    /// URLs by host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub urls: Option<UrlsCheck>,
    /// Models that may be asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<ModelsCheck>,
    /// Attempts to override the instructions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_injection: Option<PromptInjectionCheck>,
    /// Credentials such as API keys and private keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<SecretsCheck>,
    /// A service of yours that decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookCheck>,
    /// A provider's moderation endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moderation: Option<ModerationCheck>,
    /// Deny: 400 guardrail_violation. Redact: what was found is replaced. Flag: reported, nothing else.
    #[serde(default)]
    pub action: GuardAction,
    /// What follows when the check itself fails. Closed: as if it had found something. Open: as if it had not.
    #[serde(default)]
    pub failure_mode: FailureMode,
    /// Which messages of the input are looked at.
    #[serde(default)]
    pub scope: MessageScope,
}

/// The kind of a check.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CheckKind<'a> {
    /// Personal data.
    Pii(&'a PiiCheck),
    /// Unsafe content.
    ContentSafety(&'a ContentSafetyCheck),
    /// Regular expressions.
    Regex(&'a RegexCheck),
    /// Words.
    Contains(&'a ContainsCheck),
    /// Length.
    Length(&'a LengthCheck),
    /// JSON by schema.
    JsonSchema(&'a JsonSchemaCheck),
    /// URLs by host.
    Urls(&'a UrlsCheck),
    /// Models.
    Models(&'a ModelsCheck),
    /// Attempts to override the instructions.
    PromptInjection(&'a PromptInjectionCheck),
    /// Credentials.
    Secrets(&'a SecretsCheck),
    /// A service of the user's.
    Webhook(&'a WebhookCheck),
    /// A provider's moderation endpoint.
    Moderation(&'a ModerationCheck),
}

impl Check {
    /// Its one kind; `None` only for an object that admission would have refused.
    pub fn kind(&self) -> Option<CheckKind<'_>> {
        let mut kinds = [
            self.pii.as_ref().map(CheckKind::Pii),
            self.content_safety.as_ref().map(CheckKind::ContentSafety),
            self.regex.as_ref().map(CheckKind::Regex),
            self.contains.as_ref().map(CheckKind::Contains),
            self.length.as_ref().map(CheckKind::Length),
            self.json_schema.as_ref().map(CheckKind::JsonSchema),
            self.urls.as_ref().map(CheckKind::Urls),
            self.models.as_ref().map(CheckKind::Models),
            self.prompt_injection.as_ref().map(CheckKind::PromptInjection),
            self.secrets.as_ref().map(CheckKind::Secrets),
            self.webhook.as_ref().map(CheckKind::Webhook),
            self.moderation.as_ref().map(CheckKind::Moderation),
        ]
        .into_iter()
        .flatten();
        let first = kinds.next()?;
        kinds.next().is_none().then_some(first)
    }
}

/// Personal data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PiiCheck {
    /// What is looked for. Absent: all of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"))]
    pub types: Vec<PiiType>,
    /// Whose formats are known: en, vi. Absent: both.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "set"))]
    pub locale: Vec<PiiLocale>,
}

/// A sort of personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum PiiType {
    /// E-mail addresses.
    Email,
    /// Telephone numbers.
    Phone,
    /// Payment cards, by their check digit.
    CreditCard,
    /// Identity cards: CMND and CCCD.
    NationalId,
    /// US social security numbers.
    SSN,
    /// Bank accounts.
    IBAN,
    /// IP addresses.
    IPAddress,
    /// Keys of well-known services.
    ApiKey,
}

/// Whose formats of personal data are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum PiiLocale {
    /// English.
    #[serde(rename = "en")]
    English,
    /// Vietnamese.
    #[serde(rename = "vi")]
    Vietnamese,
}

/// Unsafe content, by words and by classifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.categories) || has(self.words)")
    .message("contentSafety needs something to look for; set categories, words or both")
    .reason(Reason::FieldValueRequired))]
pub struct ContentSafetyCheck {
    /// Categories that the classifier looks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "set"))]
    pub categories: Option<Vec<ContentCategory>>,
    /// Whole words that are looked for; diacritics count, case does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 512),
        inner(length(min = 1, max = 128)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub words: Option<Vec<String>>,
    /// How sure the classifier must be, as a decimal string ("0.8").
    #[serde(default = "threshold")]
    pub threshold: Ratio,
}

const fn threshold() -> Ratio {
    Ratio::from_ten_thousandths(8_000)
}

/// A category of unsafe content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)] // the names of the categories
pub enum ContentCategory {
    Hate,
    Harassment,
    Violence,
    SelfHarm,
    Sexual,
    Illicit,
}

/// Regular expressions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegexCheck {
    /// Patterns in linear-time syntax (no look-around, no back-references); a match is a finding.
    #[schemars(
        length(min = 1, max = 64),
        inner(length(min = 1, max = 512)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub patterns: Vec<String>,
}

/// Words that must or must not be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainsCheck {
    /// The words.
    #[schemars(
        length(min = 1, max = 512),
        inner(length(min = 1, max = 128)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub words: Vec<String>,
    /// What passes: a text with Any of the words, with All of them, or with None.
    #[serde(default)]
    pub operator: ContainsOperator,
}

/// What passes a `contains` check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ContainsOperator {
    /// A text with at least one of the words.
    Any,
    /// A text with every one of the words.
    All,
    /// A text with none of the words.
    #[default]
    None,
}

/// How long the text may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.min) || has(self.max)")
    .message("length needs a bound; set min, max or both")
    .reason(Reason::FieldValueRequired))]
#[x_kube(validation = Rule::new("!has(self.min) || !has(self.max) || self.min <= self.max")
    .message("min must not be above max")
    .field_path(".min")
    .reason(Reason::FieldValueInvalid))]
pub struct LengthCheck {
    /// In what the length is counted.
    pub unit: LengthUnit,
    /// At least so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub min: Option<u64>,
    /// At most so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub max: Option<u64>,
}

/// In what a length is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)] // units
pub enum LengthUnit {
    Words,
    Sentences,
    Characters,
    Tokens,
}

/// JSON that must fit a schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JsonSchemaCheck {
    /// The JSON schema (2020-12), without references to other documents.
    #[schemars(schema_with = "schema::free_object")]
    pub schema: BTreeMap<String, serde_json::Value>,
}

/// URLs by host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.allow) || has(self.deny)")
    .message("urls needs hosts; set allow, deny or both")
    .reason(Reason::FieldValueRequired))]
pub struct UrlsCheck {
    /// Hosts that may appear, all others being findings; a star stands for any text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::globs")]
    pub allow: Option<Vec<String>>,
    /// Hosts that must not appear; a star stands for any text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::globs")]
    pub deny: Option<Vec<String>>,
}

/// Models that may be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelsCheck {
    /// The models; a star stands for any text.
    #[schemars(schema_with = "schema::globs")]
    pub allow: Vec<String>,
}

/// Attempts to override the instructions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PromptInjectionCheck {
    /// How sure the check must be, as a decimal string ("0.8").
    #[serde(default = "threshold")]
    pub threshold: Ratio,
}

/// Credentials such as API keys and private keys. Nothing to set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretsCheck {}

/// A service of the user's that decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookCheck {
    /// Where the text is sent.
    #[schemars(length(min = 8, max = 512), regex(pattern = "^https?://[^/@?# ]+(/[!-~]*)?$"))]
    pub url: String,
    /// The entry of a Secret that is sent as bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// How long its answer is waited for.
    #[serde(default = "webhook_timeout")]
    pub timeout: Duration,
}

const fn webhook_timeout() -> Duration {
    Duration::from_secs(3)
}

/// A provider's moderation endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModerationCheck {
    /// The LLMProvider that is asked.
    pub provider: LocalRef,
}

/// What follows from a finding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GuardAction {
    /// 400 `guardrail_violation`.
    #[default]
    Deny,
    /// What was found is replaced.
    Redact,
    /// Reported, nothing else.
    Flag,
}

/// What follows when a check itself fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FailureMode {
    /// As if it had found nothing.
    Open,
    /// As if it had found something.
    #[default]
    Closed,
}

/// Which messages of the input are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MessageScope {
    /// All of them.
    #[default]
    AllMessages,
    /// The last one of the user.
    LastUserMessage,
}

/// How streamed answers are checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamCheck {
    /// Window: as it passes, holding back what a finding could begin with. Buffer: whole, before anything is sent.
    #[serde(default)]
    pub mode: StreamMode,
    /// How many characters are held back and looked at together; for mode: Window.
    #[serde(default = "window_characters")]
    #[schemars(range(min = 16, max = 65_536))]
    pub window_characters: u32,
}

const fn window_characters() -> u32 {
    512
}

impl Default for StreamCheck {
    fn default() -> Self {
        Self {
            mode: StreamMode::default(),
            window_characters: window_characters(),
        }
    }
}

/// How a stream is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StreamMode {
    /// As it passes.
    #[default]
    Window,
    /// Whole, before anything is sent.
    Buffer,
}

/// What became of a `GuardrailPolicy`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GuardrailPolicyStatus {
    /// The generation of the spec that this status describes; -1: not seen yet.
    #[serde(default = "unseen")]
    #[schemars(range(min = -1, max = schema::WHOLE_MAX))]
    pub observed_generation: i64,
    /// The input checks in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub input_summary: Option<String>,
    /// The output checks in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub output_summary: Option<String>,
    /// What each check really inspects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub inspected: Vec<Inspected>,
    /// Accepted, ResolvedRefs, Programmed, Ready; Reconciling and Stalled while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// What one check really inspects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Inspected {
    /// The check as input/name or output/name.
    #[schemars(length(max = 80))]
    pub check: String,
    /// What it looks at.
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "set"))]
    pub paths: Vec<InspectedPath>,
}

/// Something that a check can look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum InspectedPath {
    /// Whole requests or answers.
    Whole,
    /// Streamed answers.
    Stream,
    /// Arguments of tool calls.
    ToolArguments,
}
