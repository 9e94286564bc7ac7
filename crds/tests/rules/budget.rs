//! The rules of `Budget`.

use headgate_crds::Kind;

const ACCEPTED: [&str; 6] = [
    "{limitUSD: '500', period: Monthly, selector: {}}",
    "{limitTokens: 1000000, rolling: 720h, models: ['gpt-*']}",
    "{limitUSD: '0.25', limitTokens: 5, period: Total, providers: [openai], timeZone: Asia/Ho_Chi_Minh}",
    "{limitUSD: '1', period: Daily, selector: {teams: [ml]}, per: User, enforcement: Soft, alerts: [{percent: 50}, {percent: 90, webhook: {secretRef: {name: s, key: url}}}]}",
    "{limitUSD: '1', period: Daily, selector: {}, onExceeded: {action: Reroute, route: {name: cheap}}}",
    "{limitUSD: '1', rolling: 1m, selector: {}, alerts: [], estimate: {maxOutputTokens: 4096, maxCostUSD: '0.5'}}",
];

const REFUSED: [crate::Refused; 8] = [
    (
        "{period: Monthly, selector: {}}",
        "spec.limitUSD",
        "a budget needs a limit; set limitUSD, limitTokens or both",
    ),
    (
        "{limitUSD: '1', selector: {}}",
        "spec.period",
        "a budget has exactly one of period and rolling; set one of them",
    ),
    (
        "{limitUSD: '1', period: Daily, rolling: 24h, selector: {}}",
        "spec.period",
        "a budget has exactly one of period and rolling; set one of them",
    ),
    (
        "{limitUSD: '1', period: Daily}",
        "spec.selector",
        "a budget must say what is charged to it; set selector ({} for every key of this namespace), models or providers",
    ),
    (
        "{limitUSD: '1', rolling: 59s, selector: {}}",
        "spec.rolling",
        "must be between 1m and 8784h (a year)",
    ),
    (
        "{limitUSD: '1', rolling: 8785h, selector: {}}",
        "spec.rolling",
        "must be between 1m and 8784h (a year)",
    ),
    (
        "{limitUSD: '1', period: Daily, selector: {}, onExceeded: {action: Reroute}}",
        "spec.onExceeded.route",
        "route goes with action: Reroute and only with it; set both or neither",
    ),
    (
        "{limitUSD: '1', period: Daily, selector: {}, onExceeded: {route: {name: cheap}}}",
        "spec.onExceeded.route",
        "route goes with action: Reroute and only with it; set both or neither",
    ),
];

#[test]
fn a_budget_says_how_much_how_long_and_of_what() {
    crate::check(Kind::Budget, &ACCEPTED, &REFUSED);
}
