//! The rules of `GuardrailPolicy`.

use headgate_crds::Kind;

const ACCEPTED: [&str; 9] = [
    "{input: [{name: a, pii: {}, action: Redact}]}",
    "{output: [{name: a, secrets: {}, action: Redact}], stream: {mode: Buffer}}",
    "{input: [{name: a, regex: {patterns: ['a+']}}, {name: b, contains: {words: [x], operator: Any}}]}",
    "{input: [{name: a, length: {unit: Tokens, min: 1, max: 1}}], output: [{name: a, jsonSchema: {schema: {type: object}}}]}",
    "{input: [{name: a, contentSafety: {words: [x]}}, {name: b, contentSafety: {categories: [Hate], threshold: '0.9'}}]}",
    "{input: [{name: a, urls: {allow: ['*.example.com']}}, {name: b, models: {allow: ['gpt-*']}}]}",
    "{input: [{name: a, promptInjection: {}, scope: LastUserMessage}, {name: b, moderation: {provider: {name: openai}}}]}",
    "{input: [{name: a, webhook: {url: 'http://guard.svc:8080/check', secretRef: {name: s}}, failureMode: Open, action: Redact}]}",
    "{input: [{name: a, pii: {types: [Email], locale: [vi]}, action: Flag}], allowedNamespaces: {from: All}}",
];

const REFUSED: [crate::Refused; 11] = [
    (
        "{}",
        "spec.input",
        "a policy without checks guards nothing; add a check to input or output",
    ),
    (
        "{input: [], output: []}",
        "spec.input",
        "a policy without checks guards nothing; add a check to input or output",
    ),
    (
        "{input: [{name: a}]}",
        "spec.input[0]",
        "a check is exactly one of pii, contentSafety, regex, contains, length, jsonSchema, urls, models, promptInjection, secrets, webhook and moderation; set one of them",
    ),
    (
        "{output: [{name: a, pii: {}, secrets: {}}]}",
        "spec.output[0]",
        "a check is exactly one of pii, contentSafety, regex, contains, length, jsonSchema, urls, models, promptInjection, secrets, webhook and moderation; set one of them",
    ),
    (
        "{input: [{name: a, promptInjection: {}, action: Redact}]}",
        "spec.input[0].action",
        "length, jsonSchema, models, promptInjection and moderation find nothing that could be cut out; set action to Deny or Flag",
    ),
    (
        "{input: [{name: a, contentSafety: {}}]}",
        "spec.input[0].contentSafety",
        "contentSafety needs something to look for; set categories, words or both",
    ),
    (
        "{input: [{name: a, length: {unit: Words}}]}",
        "spec.input[0].length",
        "length needs a bound; set min, max or both",
    ),
    (
        "{input: [{name: a, length: {unit: Words, min: 2, max: 1}}]}",
        "spec.input[0].length.min",
        "min must not be above max",
    ),
    (
        "{input: [{name: a, urls: {}}]}",
        "spec.input[0].urls",
        "urls needs hosts; set allow, deny or both",
    ),
    (
        "{input: [{name: a, pii: {}}], allowedNamespaces: {selector: {}}}",
        "spec.allowedNamespaces.selector",
        "selector goes with from: Selector and only with it; set both or neither",
    ),
    (
        "{input: [{name: a, pii: {}}, {name: b, length: {unit: Words}}]}",
        "spec.input[1].length",
        "length needs a bound; set min, max or both",
    ),
];

#[test]
fn a_check_is_one_thing_and_can_do_what_is_asked() {
    crate::check(Kind::GuardrailPolicy, &ACCEPTED, &REFUSED);
}
