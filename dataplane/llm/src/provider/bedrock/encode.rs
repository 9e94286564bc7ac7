//! A request of the hub as Converse takes it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::block::{Block, Blocks};
use super::fields::{self, Fields};
use super::inference::{self, InferenceConfig};
use super::model_fields::ModelFields;
use super::tools::{self, ToolConfig};
use crate::hub::{self, OutputFormat, Request, Role};
use crate::provider::EncodeOptions;
use crate::provider::anthropic::encode::JSON_INSTRUCTION;
use crate::provider::capability::bedrock::{Family, family};
use crate::provider::capability::{self, Claude};
use crate::provider::leftovers::Leftovers;
use crate::request::BadRequest;

/// What a message says that holds a document and no text, which is refused.
const BESIDE_A_DOCUMENT: &str = "See the document.";

/// The model a request is for, as the tables know it.
#[derive(Clone, Copy)]
pub(super) struct Model {
    pub(super) family: &'static Family,
    /// Of models other than Claude's nothing is known here, and all passes.
    pub(super) claude: &'static Claude,
}

impl Model {
    /// JSON by a schema, in answers and in arguments.
    pub(super) fn has_structured_output(self) -> bool {
        self.family.structured_output && self.claude.structured_output
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'r> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Block<'r>>,
    messages: Vec<Message<'r>>,
    #[serde(skip_serializing_if = "InferenceConfig::is_empty")]
    inference_config: InferenceConfig<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_model_request_fields: Option<BTreeMap<Cow<'r, str>, Cow<'r, RawValue>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_model_response_field_paths: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guardrail_config: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    performance_config: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_metadata: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<Cow<'r, RawValue>>,
}

#[derive(Serialize)]
struct Message<'r> {
    role: &'static str,
    content: Vec<Block<'r>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutputConfig<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text_format: Option<TextFormat<'r>>,
}

#[derive(Serialize)]
struct TextFormat<'r> {
    r#type: &'static str,
    structure: Structure<'r>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Structure<'r> {
    json_schema: JsonSchema<'r>,
}

#[derive(Serialize)]
struct JsonSchema<'r> {
    name: &'r str,
    /// The text of the schema, which is a string here.
    schema: &'r str,
}

/// The body, and the names of what was left out.
pub(super) fn body(request: &Request<'_>, options: &EncodeOptions<'_>) -> Result<(Bytes, Vec<String>), BadRequest> {
    let model = Model {
        family: family(options.upstream_model),
        claude: capability::claude(options.upstream_model),
    };
    refuse_what_would_change_the_answer(request, model)?;
    let mut leftovers = Leftovers::new(options.unsupported);
    let mut model_fields = ModelFields::default();
    let mut blocks = Blocks::new(model.family);
    let system = system(request, &mut blocks)?;
    let messages = messages(request, &mut blocks)?;
    blocks.report(&mut leftovers);
    let (tool_config, forces_tool) = tools::config(request, model, &mut model_fields, &mut leftovers)?;
    let (inference_config, effort) =
        inference::config(request, options, model, forces_tool, &mut model_fields, &mut leftovers)?;
    let fields = fields::read(request, model.family, &mut model_fields, &mut leftovers)?;
    let Fields {
        guardrail_config,
        performance_config,
        request_metadata,
        response_field_paths,
        service_tier,
    } = fields;
    for (name, value) in std::mem::take(&mut leftovers.passed) {
        model_fields.pass(name, value, &mut leftovers)?;
    }
    let body = Body {
        system,
        messages,
        inference_config,
        tool_config,
        output_config: output_config(request, effort),
        additional_model_request_fields: model_fields.finish(),
        additional_model_response_field_paths: response_field_paths,
        guardrail_config,
        performance_config,
        request_metadata,
        service_tier,
    };
    let json = serde_json::to_vec(&body).expect("structs with text for keys can always be written as JSON");
    Ok((json.into(), leftovers.dropped))
}

fn refuse_what_would_change_the_answer(request: &Request<'_>, model: Model) -> Result<(), BadRequest> {
    let refused = |param: &str, message: &str| {
        Err(BadRequest::new(
            "unsupported_parameter",
            Some(param),
            message.to_owned(),
        ))
    };
    if request.choices > 1 {
        return refused(
            "n",
            "`n` above 1 is not possible with this model's provider; ask several times instead",
        );
    }
    if matches!(request.output_format, OutputFormat::JsonSchema { .. }) && !model.has_structured_output() {
        return refused(
            "response_format",
            "`response_format` of type json_schema is not possible with this model; ask for json_object, or use another \
             model",
        );
    }
    let ends_with_its_own = request.turns.last().is_some_and(|turn| turn.role == Role::Assistant);
    if ends_with_its_own && !model.claude.prefill {
        return refused(
            "messages",
            "`messages` end with the assistant's, which this model cannot continue; end with a user or tool message",
        );
    }
    Ok(())
}

fn system<'r>(request: &'r Request<'_>, blocks: &mut Blocks) -> Result<Vec<Block<'r>>, BadRequest> {
    let mut system = blocks.all(&request.instructions)?;
    if matches!(request.output_format, OutputFormat::JsonObject) {
        system.push(Block::Text(JSON_INSTRUCTION));
    }
    Ok(system)
}

/// Turns that alternate; one whose parts all vanish vanishes, and its neighbours become one.
fn messages<'r>(request: &'r Request<'_>, blocks: &mut Blocks) -> Result<Vec<Message<'r>>, BadRequest> {
    let mut messages: Vec<Message<'r>> = Vec::new();
    for turn in hub::merged(&request.turns) {
        let content = blocks.all(turn.parts)?;
        let role = match turn.role {
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        match messages.last_mut() {
            _ if content.is_empty() => {}
            Some(last) if last.role == role => last.content.extend(content),
            _ => messages.push(Message { role, content }),
        }
    }
    for message in &mut messages {
        let has = |is: fn(&Block<'_>) -> bool| message.content.iter().any(is);
        if has(|block| matches!(block, Block::Document(_))) && !has(|block| matches!(block, Block::Text(_))) {
            message.content.push(Block::Text(BESIDE_A_DOCUMENT));
        }
    }
    Ok(messages)
}

fn output_config<'r>(request: &'r Request<'_>, effort: Option<&'static str>) -> Option<OutputConfig<'r>> {
    let text_format = match &request.output_format {
        OutputFormat::JsonSchema { name, schema, .. } => Some(TextFormat {
            r#type: "json_schema",
            structure: Structure {
                json_schema: JsonSchema {
                    name,
                    schema: schema.get(),
                },
            },
        }),
        OutputFormat::Text | OutputFormat::JsonObject => None,
    };
    (effort.is_some() || text_format.is_some()).then_some(OutputConfig { effort, text_format })
}
