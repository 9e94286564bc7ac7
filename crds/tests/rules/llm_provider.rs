//! The rules of `LLMProvider`.

use headgate_crds::Kind;

const ACCEPTED: [&str; 16] = [
    "{type: Echo, discover: Any}",
    "{type: OpenAI, models: [{name: gpt-4o}], credential: {secretRef: {name: openai}}}",
    "{type: OpenAICompatible, baseURL: 'http://vllm.models.svc:8000/v1', discover: Any}",
    "{type: OpenAICompatible, baseURL: 'https://host/a@b', discover: Any}",
    "{type: AzureOpenAI, baseURL: 'https://x.openai.azure.com', discover: Any, azure: {}}",
    "{type: AzureOpenAI, baseURL: 'https://x.openai.azure.com', discover: Any, credential: {workloadIdentity: {}}}",
    "{type: Bedrock, discover: Any, bedrock: {region: eu-central-1}, credential: {workloadIdentity: {assume: 'arn:aws:iam::1:role/x'}}}",
    "{type: VertexAI, vertex: {project: p, location: global}, models: [{name: claude, publisher: anthropic}]}",
    "{type: Ollama, ollama: {api: OpenAI}, discover: Any}",
    "{type: OpenAI, discover: Any, models: []}",
    "{type: OpenAI, discover: Any, headers: [{name: HTTP-Referer, value: 'https://example.com'}]}",
    "{type: OpenAI, discover: Any, headerSecrets: [{name: Authorization, secretRef: {name: s}}]}",
    "{type: OpenAI, discover: Any, forwardHeaders: [x-session-id]}",
    "{type: OpenAI, discover: Any, timeouts: {connect: 1ms}}",
    "{type: OpenAI, discover: Any, circuitBreaker: {openFor: 1s}}",
    "{type: OpenAI, discover: Any, allowedNamespaces: {from: Selector, selector: {matchLabels: {team: ml}}}}",
];

const REFUSED: [crate::Refused; 24] = [
    (
        "{type: OpenAICompatible, discover: Any}",
        "spec.baseURL",
        "type OpenAICompatible needs baseURL; set it to where the server is, version path included, such as http://vllm.models.svc:8000/v1",
    ),
    (
        "{type: AzureOpenAI, discover: Any}",
        "spec.baseURL",
        "type AzureOpenAI needs baseURL; set it to the resource's endpoint, such as https://NAME.openai.azure.com",
    ),
    (
        "{type: OpenAI, discover: Any, azure: {}}",
        "spec.azure",
        "azure goes with type: AzureOpenAI only; remove it or change the type",
    ),
    (
        "{type: OpenAI, discover: Any, bedrock: {region: eu-central-1}}",
        "spec.bedrock",
        "bedrock goes with type: Bedrock only; remove it or change the type",
    ),
    (
        "{type: Bedrock, discover: Any}",
        "spec.bedrock",
        "type Bedrock needs bedrock.region; set it to the account's region, such as eu-central-1",
    ),
    (
        "{type: Gemini, discover: Any, vertex: {project: p, location: global}}",
        "spec.vertex",
        "vertex goes with type: VertexAI only; remove it or change the type",
    ),
    (
        "{type: VertexAI, discover: Any}",
        "spec.vertex",
        "type VertexAI needs vertex.project and vertex.location; set both",
    ),
    (
        "{type: OpenAI, discover: Any, ollama: {}}",
        "spec.ollama",
        "ollama goes with type: Ollama only; remove it or change the type",
    ),
    (
        "{type: OpenAI, discover: Any, credential: {workloadIdentity: {}}}",
        "spec.credential.workloadIdentity",
        "workloadIdentity goes with types Bedrock, VertexAI and AzureOpenAI only; use credential.secretRef",
    ),
    (
        "{type: OpenAI}",
        "spec.models",
        "no model is declared; list at least one in models, or set discover: Any to accept any name as provider/model",
    ),
    (
        "{type: OpenAI, models: []}",
        "spec.models",
        "no model is declared; list at least one in models, or set discover: Any to accept any name as provider/model",
    ),
    (
        "{type: OpenAI, models: [{name: a}, {name: b, publisher: google}]}",
        "spec.models",
        "publisher goes with type: VertexAI only; remove it from every model",
    ),
    (
        "{type: OpenAI, discover: Any, baseURL: 'ftp://host/v1'}",
        "spec.baseURL",
        "must start with http:// or https:// and name a host, such as https://api.openai.com/v1",
    ),
    (
        "{type: OpenAI, discover: Any, baseURL: 'https:///v1'}",
        "spec.baseURL",
        "must start with http:// or https:// and name a host, such as https://api.openai.com/v1",
    ),
    (
        "{type: OpenAI, discover: Any, baseURL: 'https://me:pw@host/v1'}",
        "spec.baseURL",
        "must hold no user name or password; put the credential into a Secret and name it in credential.secretRef",
    ),
    (
        "{type: OpenAI, discover: Any, baseURL: 'https://host/v1?key=x'}",
        "spec.baseURL",
        "must hold no query, fragment or spaces; end it with the path",
    ),
    (
        "{type: OpenAI, discover: Any, credential: {}}",
        "spec.credential",
        "set exactly one of secretRef and workloadIdentity",
    ),
    (
        "{type: OpenAI, discover: Any, headers: [{name: Authorization, value: x}]}",
        "spec.headers[0].name",
        "credential headers, Host and connection headers cannot be set here; name a Secret in credential.secretRef or headerSecrets",
    ),
    (
        "{type: OpenAI, discover: Any, headers: [{name: a, value: x}, {name: HOST, value: x}]}",
        "spec.headers[1].name",
        "credential headers, Host and connection headers cannot be set here; name a Secret in credential.secretRef or headerSecrets",
    ),
    (
        "{type: OpenAI, discover: Any, headerSecrets: [{name: Host, secretRef: {name: s}}]}",
        "spec.headerSecrets[0].name",
        "Host and connection headers cannot be set; remove the entry",
    ),
    (
        "{type: OpenAI, discover: Any, forwardHeaders: [X-API-Key]}",
        "spec.forwardHeaders",
        "credential headers, Host and connection headers are never forwarded; remove them from the list",
    ),
    (
        "{type: OpenAI, discover: Any, timeouts: {total: 0s}}",
        "spec.timeouts",
        "a timeout of zero would end every call; set each to more than 0s",
    ),
    (
        "{type: OpenAI, discover: Any, circuitBreaker: {openFor: 0s}}",
        "spec.circuitBreaker.openFor",
        "openFor of zero would set nothing aside; set it to more than 0s, or remove circuitBreaker",
    ),
    (
        "{type: OpenAI, discover: Any, allowedNamespaces: {from: Selector}}",
        "spec.allowedNamespaces.selector",
        "selector goes with from: Selector and only with it; set both or neither",
    ),
];

#[test]
fn a_provider_carries_only_what_its_type_reads() {
    crate::check(Kind::LLMProvider, &ACCEPTED, &REFUSED);
}
