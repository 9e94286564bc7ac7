//! A request as it arrived: the bytes, and where in them the few fields stand that the gateway reads.
//!
//! Nothing else is interpreted, so a parameter released this morning works this morning. A field that is read may be
//! spelt only once and only so: were `"model"` and `"Model"` both let through, the gateway would authorise one model and
//! a provider that ignores case would serve the other.

use std::ops::Range;

use bytes::Bytes;

use crate::endpoint::Endpoint;
use crate::json::{self, FieldsError, Kind, Member, Problem, Repeats, SyntaxError};

/// Longest accepted model name, in characters. The longest in use (Bedrock's profile ARNs) stay below half of it.
pub const MODEL_LENGTH_MAX: usize = 256;

/// Most choices that one request may ask for; `OpenAI`'s own bound.
pub const CHOICES_MAX: u32 = 128;

/// A parsed body of a request to a model. Only the top-level fields below are read; all else stays bytes.
#[derive(Clone, Debug)]
pub struct ModelRequest {
    /// What was called.
    pub endpoint: Endpoint,
    /// The body as received.
    pub body: Bytes,
    /// `model`, unescaped.
    pub model: String,
    /// `stream`.
    pub stream: bool,
    /// Whether the client wants usage in its stream: `stream_options.include_usage` where the dialect has it.
    pub include_usage: bool,
    /// The cap on the output, by whatever name.
    pub max_output_tokens: Option<u64>,
    /// `n`: how many choices are asked for, 1 to [`CHOICES_MAX`].
    pub choices: u32,
    /// `user`, unescaped.
    pub user: Option<String>,
    fields: [Option<Member>; FIELDS],
    include_usage_value: Option<Range<usize>>,
}

/// The top-level fields that the gateway reads, in the order of [`names`].
#[derive(Clone, Copy)]
pub(crate) enum Field {
    Model,
    /// What the model is asked: `messages`, `prompt` or `input`.
    Input,
    Stream,
    StreamOptions,
    /// `max_tokens`, or what the dialect calls it.
    MaxTokens,
    MaxCompletionTokens,
    N,
    User,
    Tools,
    ToolChoice,
    /// What stands beside the conversation: `system` or `instructions`.
    Instructions,
}

const FIELDS: usize = 11;

/// The fields of an endpoint; one that it does not have has no name.
const fn names(endpoint: Endpoint) -> &'static [&'static str; FIELDS] {
    match endpoint {
        Endpoint::ChatCompletions => &[
            "model",
            "messages",
            "stream",
            "stream_options",
            "max_tokens",
            "max_completion_tokens",
            "n",
            "user",
            "tools",
            "tool_choice",
            "",
        ],
        Endpoint::Completions => &[
            "model",
            "prompt",
            "stream",
            "stream_options",
            "max_tokens",
            "",
            "n",
            "user",
            "",
            "",
            "",
        ],
        Endpoint::Embeddings => &["model", "input", "", "", "", "", "", "user", "", "", ""],
        Endpoint::PassThrough(_) => &["model", "", "stream", "", "", "", "n", "user", "", "", ""],
        Endpoint::Responses => &[
            "model",
            "input",
            "stream",
            "",
            "max_output_tokens",
            "",
            "",
            "user",
            "tools",
            "tool_choice",
            "instructions",
        ],
        Endpoint::Messages => &[
            "model",
            "messages",
            "stream",
            "",
            "max_tokens",
            "",
            "",
            "",
            "tools",
            "tool_choice",
            "system",
        ],
        // The same without what only an answer has.
        Endpoint::CountTokens => &[
            "model",
            "messages",
            "",
            "",
            "",
            "",
            "",
            "",
            "tools",
            "tool_choice",
            "system",
        ],
    }
}

impl ModelRequest {
    /// Checks the whole body (UTF-8, JSON grammar, depth) and finds the fields that the gateway reads.
    pub fn parse(endpoint: Endpoint, body: Bytes) -> Result<Self, BadRequest> {
        let names = names(endpoint);
        let mut fields = [const { None }; FIELDS];
        json::find_fields(&body, names, Repeats::Refuse, &mut fields).map_err(|error| match error {
            FieldsError::Syntax(error) => BadRequest::unreadable(error),
            FieldsError::NotAnObject => BadRequest::not_an_object(),
            FieldsError::Repeated(index) => BadRequest::repeated(names[index]),
        })?;
        let reader = Reader {
            body: &body,
            names,
            fields: &fields,
        };
        let model = reader.model(endpoint)?;
        reader.input(endpoint)?;
        let (include_usage, include_usage_value) = reader.stream_options()?;
        let max_completion_tokens = reader.integer(Field::MaxCompletionTokens)?;
        let max_tokens = reader.integer(Field::MaxTokens)?;
        let stream = reader.boolean(Field::Stream)?;
        let choices = reader.choices()?;
        let user = reader.user()?;
        Ok(Self {
            endpoint,
            model,
            stream,
            include_usage,
            max_output_tokens: max_completion_tokens.or(max_tokens),
            choices,
            user,
            fields,
            include_usage_value,
            body,
        })
    }

    /// What the model is asked, the JSON as it was written: `messages`, `prompt` or `input`.
    pub fn input(&self) -> &[u8] {
        self.value(Field::Input).unwrap_or_default()
    }

    /// `system` or `instructions` as it was written.
    pub fn instructions(&self) -> &[u8] {
        self.value(Field::Instructions).unwrap_or_default()
    }

    /// `tools` as it was written.
    pub fn tools(&self) -> Option<&[u8]> {
        self.value(Field::Tools)
    }

    /// `tool_choice` as it was written.
    pub fn tool_choice(&self) -> Option<&[u8]> {
        self.value(Field::ToolChoice)
    }

    pub(crate) fn value(&self, field: Field) -> Option<&[u8]> {
        self.member(field).map(|member| &self.body[member.value.clone()])
    }

    pub(crate) fn member(&self, field: Field) -> Option<&Member> {
        self.fields[field as usize].as_ref()
    }

    /// Where the value of `stream_options.include_usage` stands in the body.
    pub(crate) fn include_usage_value(&self) -> Option<Range<usize>> {
        self.include_usage_value.clone()
    }

    /// Where the first field of the body may be inserted.
    pub(crate) fn inside(&self) -> usize {
        memchr::memchr(b'{', &self.body).expect("parse has seen an object") + 1
    }
}

/// Reads the fields one by one; `null` is as good as absent wherever `OpenAI` takes it so.
struct Reader<'a> {
    body: &'a [u8],
    names: &'static [&'static str; FIELDS],
    fields: &'a [Option<Member>; FIELDS],
}

impl<'a> Reader<'a> {
    fn value(&self, field: Field) -> Option<&'a [u8]> {
        let value = &self.body[self.fields[field as usize].as_ref()?.value.clone()];
        (json::kind(value) != Kind::Null).then_some(value)
    }

    fn required(&self, field: Field) -> Result<&'a [u8], BadRequest> {
        let name = self.names[field as usize];
        self.value(field).ok_or_else(|| {
            BadRequest::new(
                "missing_field",
                Some(name),
                format!("`{name}` is required; add it to the request body"),
            )
        })
    }

    fn model(&self, endpoint: Endpoint) -> Result<String, BadRequest> {
        let has_default = matches!(endpoint, Endpoint::PassThrough(what) if what.has_default_model());
        if has_default && self.value(Field::Model).is_none() {
            return Ok(String::new());
        }
        let model = text(self.required(Field::Model)?, "model")?;
        if model.is_empty() || model.chars().count() > MODEL_LENGTH_MAX {
            let message = format!("`model` must have 1 to {MODEL_LENGTH_MAX} characters");
            return Err(BadRequest::new("invalid_value", Some("model"), message));
        }
        Ok(model)
    }

    fn user(&self) -> Result<Option<String>, BadRequest> {
        self.value(Field::User).map(|value| text(value, "user")).transpose()
    }

    /// What the model is asked has the form of the endpoint; what stands in it is read later, or by the provider.
    fn input(&self, endpoint: Endpoint) -> Result<(), BadRequest> {
        let (accepted, wanted): (&[Kind], _) = match endpoint {
            Endpoint::ChatCompletions | Endpoint::Messages | Endpoint::CountTokens => (&[Kind::Array], "an array"),
            Endpoint::Completions | Endpoint::Embeddings | Endpoint::Responses => {
                (&[Kind::String, Kind::Array], "a string or an array")
            }
            Endpoint::PassThrough(_) => return Ok(()),
        };
        // A stored conversation or prompt may stand for it.
        if endpoint == Endpoint::Responses && self.value(Field::Input).is_none() {
            return Ok(());
        }
        if accepted.contains(&json::kind(self.required(Field::Input)?)) {
            return Ok(());
        }
        Err(BadRequest::wrong_type(self.names[Field::Input as usize], wanted))
    }

    fn boolean(&self, field: Field) -> Result<bool, BadRequest> {
        self.value(field)
            .map_or(Ok(false), |value| boolean(value, self.names[field as usize]))
    }

    fn integer(&self, field: Field) -> Result<Option<u64>, BadRequest> {
        let name = self.names[field as usize];
        let Some(value) = self.value(field) else {
            return Ok(None);
        };
        if !value.iter().all(u8::is_ascii_digit) {
            return Err(BadRequest::wrong_type(name, "a non-negative integer"));
        }
        let number = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
        number
            .map(Some)
            .ok_or_else(|| BadRequest::new("invalid_value", Some(name), format!("`{name}` is too large")))
    }

    fn choices(&self) -> Result<u32, BadRequest> {
        let choices = self.integer(Field::N)?.unwrap_or(1);
        match u32::try_from(choices) {
            Ok(choices) if (1..=CHOICES_MAX).contains(&choices) => Ok(choices),
            _ => {
                let message = format!("`n` must be between 1 and {CHOICES_MAX}");
                Err(BadRequest::new("invalid_value", Some("n"), message))
            }
        }
    }

    /// `stream_options.include_usage`, and where its value stands in the body.
    fn stream_options(&self) -> Result<(bool, Option<Range<usize>>), BadRequest> {
        const PARAM: &str = "stream_options.include_usage";
        let Some(options) = self.value(Field::StreamOptions) else {
            return Ok((false, None));
        };
        let mut found = [None];
        json::find_fields(options, &["include_usage"], Repeats::Refuse, &mut found).map_err(|error| match error {
            FieldsError::Syntax(error) => BadRequest::unreadable(error),
            FieldsError::NotAnObject => BadRequest::wrong_type("stream_options", "an object"),
            FieldsError::Repeated(_) => BadRequest::repeated(PARAM),
        })?;
        let [Some(member)] = found else {
            return Ok((false, None));
        };
        let value = &options[member.value.clone()];
        let include_usage = json::kind(value) != Kind::Null && boolean(value, PARAM)?;
        let start = self.fields[Field::StreamOptions as usize]
            .as_ref()
            .map_or(0, |options| options.value.start);
        Ok((
            include_usage,
            Some(start + member.value.start..start + member.value.end),
        ))
    }
}

fn text(value: &[u8], name: &str) -> Result<String, BadRequest> {
    json::string_value(value)
        .map(Into::into)
        .ok_or_else(|| BadRequest::wrong_type(name, "a string"))
}

fn boolean(value: &[u8], name: &str) -> Result<bool, BadRequest> {
    match json::kind(value) {
        Kind::Bool => Ok(value == b"true"),
        _ => Err(BadRequest::wrong_type(name, "true or false")),
    }
}

/// The code of a refusal that is answered with 403: the request needs what is stored at the provider.
pub const STORED_OBJECTS_FORBIDDEN: &str = "stored_objects_forbidden";

/// Why a request body is refused with 400, or 403 with [`STORED_OBJECTS_FORBIDDEN`]. The words are for the client and never quote more than a field name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadRequest {
    /// A stable code: `invalid_json`, `invalid_utf8`, `json_too_deep`, `duplicate_field`, `missing_field`,
    /// `invalid_type`, `invalid_value`, `unsupported_parameter`, [`STORED_OBJECTS_FORBIDDEN`].
    pub code: &'static str,
    /// The field at fault, if one is.
    pub param: Option<String>,
    /// One sentence that says what to do.
    pub message: String,
}

impl BadRequest {
    pub(crate) fn new(code: &'static str, param: Option<&str>, message: String) -> Self {
        Self {
            code,
            param: param.map(Into::into),
            message,
        }
    }

    pub(crate) fn not_an_object() -> Self {
        Self::new("invalid_type", None, "the request body must be a JSON object".into())
    }

    pub(crate) fn unreadable(error: SyntaxError) -> Self {
        match error.problem {
            Problem::InvalidUtf8 => Self::new(
                "invalid_utf8",
                None,
                format!("the request body must be UTF-8 text: {error}"),
            ),
            Problem::TooDeep => Self::new(
                "json_too_deep",
                None,
                format!("the request body is {error}; flatten it"),
            ),
            Problem::Syntax(_) => Self::new(
                "invalid_json",
                None,
                format!("the request body must be valid JSON: {error}"),
            ),
        }
    }

    pub(crate) fn repeated(name: &str) -> Self {
        let message = format!("`{name}` must be given once and spelt exactly so; remove the other spellings of it");
        Self::new("duplicate_field", Some(name), message)
    }

    /// A parameter that the provider does not have, where the policy is to refuse it.
    pub(crate) fn unsupported(name: &str) -> Self {
        let message = format!("the model's provider does not support this `{name}`; leave it out");
        Self::new("unsupported_parameter", Some(name), message)
    }

    pub(crate) fn invalid(name: &str, message: String) -> Self {
        Self::new("invalid_value", Some(name), message)
    }

    pub(crate) fn wrong_type(name: &str, wanted: &str) -> Self {
        Self::new("invalid_type", Some(name), format!("`{name}` must be {wanted}"))
    }
}
