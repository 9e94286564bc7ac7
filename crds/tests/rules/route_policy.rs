//! The rules of `RoutePolicy`.

use headgate_crds::Kind;

const ACCEPTED: [&str; 11] = [
    "{models: [gpt-4o], targets: [{name: a, provider: {name: openai}}]}",
    "{models: ['gpt-*', '*'], targets: [{name: a, provider: {name: openai, namespace: shared, model: gpt-4o, overrideParameters: {temperature: 0.5, stop: [a]}}}]}",
    "{models: [m], targets: [{name: a, route: {name: other}}]}",
    "{models: [m], strategy: Fallback, targets: [{name: a, provider: {name: x}, onErrors: ['5xx', '503', '*']}, {name: b, provider: {name: z}}]}",
    "{models: [m], strategy: LoadBalance, loadBalance: {algorithm: LeastCost, sticky: {by: User}}, targets: [{name: a, provider: {name: x}, weight: 70}, {name: b, provider: {name: z}, weight: 30}]}",
    "{models: [m], strategy: LoadBalance, loadBalance: {sticky: {by: Header, header: x-user}}, targets: [{name: a, provider: {name: x}}]}",
    "{models: [m], strategy: Conditional, default: b, targets: [{name: a, provider: {name: x}, when: 'true'}, {name: b, provider: {name: z}}]}",
    "{models: [m], strategy: Conditional, targets: [{name: a, provider: {name: x}, when: 'request.inputTokens > 1000'}]}",
    "{models: [m], targets: [{name: a, provider: {name: x}}], mirror: {target: {provider: {name: z}}, percent: 5}}",
    "{models: [m], targets: [{name: a, provider: {name: x}}], retry: {attempts: 0, onStatusCodes: []}, timeouts: {total: 1m}}",
    "{models: [m], targets: [{name: a, provider: {name: x}}], cache: {mode: Semantic}, match: {endpoints: [ChatCompletions]}}",
];

const REFUSED: [crate::Refused; 15] = [
    (
        "{models: [m], targets: [{name: a, provider: {name: x}}, {name: b, provider: {name: z}}]}",
        "spec.targets",
        "strategy Single takes exactly one target; for several set strategy to Fallback, LoadBalance or Conditional",
    ),
    (
        "{models: [m], targets: [{name: a, provider: {name: x}, weight: 1}]}",
        "spec.targets",
        "weight goes with strategy: LoadBalance only; remove it from every target or change the strategy",
    ),
    (
        "{models: [m], targets: [{name: a, provider: {name: x}, onErrors: [5xx]}]}",
        "spec.targets",
        "onErrors goes with strategy: Fallback only; remove it from every target or change the strategy",
    ),
    (
        "{models: [m], targets: [{name: a, provider: {name: x}, when: 'true'}]}",
        "spec.targets",
        "when goes with strategy: Conditional only; remove it from every target or change the strategy",
    ),
    (
        "{models: [m], strategy: Conditional, targets: [{name: a, provider: {name: x}}]}",
        "spec.targets",
        "strategy Conditional needs when on every target but the default one; add it, or name the target in default",
    ),
    (
        "{models: [m], default: a, targets: [{name: a, provider: {name: x}}]}",
        "spec.default",
        "default goes with strategy: Conditional only; remove it or change the strategy",
    ),
    (
        "{models: [m], strategy: Conditional, default: b, targets: [{name: a, provider: {name: x}, when: 'true'}]}",
        "spec.default",
        "default must be the name of one of targets",
    ),
    (
        "{models: [m], loadBalance: {}, targets: [{name: a, provider: {name: x}}]}",
        "spec.loadBalance",
        "loadBalance goes with strategy: LoadBalance only; remove it or change the strategy",
    ),
    (
        "{models: [m], targets: [{name: a}]}",
        "spec.targets[0]",
        "a target is exactly one of provider and route; set one of them",
    ),
    (
        "{models: [m], targets: [{name: a, provider: {name: x}, route: {name: z}}]}",
        "spec.targets[0]",
        "a target is exactly one of provider and route; set one of them",
    ),
    (
        "{models: [m], strategy: LoadBalance, loadBalance: {sticky: {by: Header}}, targets: [{name: a, provider: {name: x}}]}",
        "spec.loadBalance.sticky.header",
        "header goes with by: Header and only with it; set both or neither",
    ),
    (
        "{models: [m], strategy: LoadBalance, loadBalance: {sticky: {by: User, header: x}}, targets: [{name: a, provider: {name: x}}]}",
        "spec.loadBalance.sticky.header",
        "header goes with by: Header and only with it; set both or neither",
    ),
    (
        "{models: [m], targets: [{name: a, provider: {name: x}}], timeouts: {idle: 0ms}}",
        "spec.timeouts",
        "a timeout of zero would end every request; set each to more than 0s",
    ),
    (
        "{models: [m], targets: [{name: a, provider: {name: x}}], mirror: {target: {}, percent: 5}}",
        "spec.mirror.target",
        "a mirror's target is exactly one of provider and route; set one of them",
    ),
    (
        "{models: [m], targets: [{name: a, provider: {name: x}}], allowedNamespaces: {from: All, selector: {}}}",
        "spec.allowedNamespaces.selector",
        "selector goes with from: Selector and only with it; set both or neither",
    ),
];

#[test]
fn a_route_carries_only_what_its_strategy_reads() {
    crate::check(Kind::RoutePolicy, &ACCEPTED, &REFUSED);
}
