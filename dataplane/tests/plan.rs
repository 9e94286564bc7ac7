//! Which backend answers a name, and what a key may not even ask for. Pure: a snapshot made by hand, a plan or a refusal.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use headgate::auth::authenticate;
use headgate::identity::clouds::Clouds;
use headgate::metrics::Metrics;
use headgate::refusal::Refusal;
use headgate::route::{plan, visible_models};
use headgate::runtime::{Installation, PrepareError, Runtime};
use headgate::upstream::address::AddressPolicy;
use headgate_snapshot::{
    Backend, Caller, KeyEntry, Model, ModelTable, ObjectName, Provider, ProviderKind, ProviderTimeouts, Retry, Route,
    SealingKey, Snapshot, StoredObjects, Strategy, Target, UnknownPrice, UnsupportedParameters,
};

const TOKEN: &str = "vk-plan-test-0123456789abcdef0123456789abcdef";

fn name(text: &str) -> ObjectName {
    ObjectName::new("team", text)
}

fn provider(models: &[&str], discovers_models: bool) -> Provider {
    let model = |model: &&str| {
        let record = Model {
            upstream_model: format!("upstream-{model}"),
            api: None,
            publisher: None,
            context_window_tokens: None,
            max_output_tokens: None,
            price: None,
        };
        ((*model).to_owned(), record)
    };
    Provider {
        kind: ProviderKind::Echo,
        base_url: None,
        cloud: None,
        has_credential: false,
        workload_identity: None,
        headers: BTreeMap::new(),
        secret_headers: BTreeSet::new(),
        forward_headers: BTreeSet::new(),
        timeouts: ProviderTimeouts {
            connect_ms: 1,
            first_token_ms: 2,
            idle_ms: 3,
            total_ms: 4,
        },
        unsupported_parameters: UnsupportedParameters::Drop,
        unknown_price: UnknownPrice::Allow,
        stored_objects: StoredObjects::Forbid,
        ca_pem: None,
        discovers_models,
        models: models.iter().map(model).collect(),
    }
}

fn route(target: Target) -> Route {
    Route {
        strategy: Strategy::Single(target),
        retry: Retry {
            attempts: 7,
            ..Retry::default()
        },
        total_timeout_ms: Some(9),
        first_token_timeout_ms: None,
        idle_timeout_ms: None,
    }
}

fn to(provider: &str, model: Option<&str>) -> Target {
    Target::Backend(Backend {
        provider: name(provider),
        model: model.map(str::to_owned),
        override_parameters: BTreeMap::new(),
    })
}

fn caller(key: &SealingKey) -> Caller {
    Caller {
        keys: vec![KeyEntry {
            digest: key.digester().of_token(TOKEN.as_bytes()),
            not_after: None,
        }],
        fingerprint: "00000000".to_owned(),
        user: None,
        team: None,
        metadata: BTreeMap::new(),
        labels: BTreeMap::new(),
        not_after: None,
        suspended: false,
        models: None,
        providers: None,
        routes: None,
        default_provider: None,
        refused: None,
    }
}

/// Two providers declare `shared`; `common` stands in the table of a shared namespace; `anything` takes every name; routes lead `smart` and `fast-*` somewhere.
fn world(key: &SealingKey) -> Snapshot {
    let providers = [
        (name("alpha"), provider(&["shared", "only-alpha"], false)),
        (name("beta"), provider(&["shared", "common"], false)),
        (name("anything"), provider(&[], true)),
    ];
    let routes = [
        (name("smart"), route(to("beta", Some("shared")))),
        (name("fast"), route(to("anything", None))),
        (name("faster"), route(to("alpha", Some("shared")))),
        (
            name("broken"),
            route(Target::Unavailable {
                reason: "LLMProvider `gone` is missing".to_owned(),
            }),
        ),
    ];
    let mut table = ModelTable {
        routes_exact: [("smart", "smart"), ("broken", "broken")]
            .map(|(m, r)| (m.to_owned(), name(r)))
            .into(),
        routes_by_prefix: [("fast-", "fast"), ("fast-er-", "faster")]
            .map(|(m, r)| (m.to_owned(), name(r)))
            .into(),
        declared: [
            ("shared".to_owned(), vec![name("alpha"), name("beta")]),
            ("only-alpha".to_owned(), vec![name("alpha")]),
        ]
        .into(),
        providers: ["alpha", "beta", "anything"]
            .map(|provider| (provider.to_owned(), name(provider)))
            .into(),
        ..ModelTable::default()
    };
    table
        .unavailable
        .insert("lost".to_owned(), "LLMProvider `gone` is left out".to_owned());
    table.shared.push(ModelTable {
        declared: [("common".to_owned(), vec![name("beta")])].into(),
        ..ModelTable::default()
    });
    Snapshot {
        providers: providers.into(),
        routes: routes.into(),
        models: [("team".to_owned(), table)].into(),
        callers: [(name("key"), caller(key))].into(),
        ..Snapshot::default()
    }
}

const ADDRESSES: AddressPolicy = AddressPolicy {
    allow_loopback: true,
    allow_private: true,
};

fn prepare(snapshot: Snapshot, key: &SealingKey) -> Result<Runtime, PrepareError> {
    let installation = Installation {
        addresses: ADDRESSES,
        clouds: &Clouds::default(),
    };
    Runtime::prepare(snapshot, "v".to_owned(), key, installation, &Metrics::new(), None, 0)
}

/// What `model` leads to for a key changed by `change`: `provider upstream-model`, or the refusal's code.
fn ask(change: impl FnOnce(&mut Caller), model: &str, wanted_provider: Option<&str>) -> String {
    let key = SealingKey::new([1; 32]);
    let mut snapshot = world(&key);
    change(snapshot.callers.get_mut(&name("key")).expect("it was made"));
    let runtime = prepare(snapshot, &key).expect("the world is whole");
    let headers = [(
        "authorization".parse().expect("valid"),
        format!("Bearer {TOKEN}").parse().expect("valid"),
    )]
    .into_iter()
    .collect();
    let caller = authenticate(&runtime, &headers, SystemTime::now()).expect("the key is good");
    match plan(&runtime, &caller, model, wanted_provider) {
        Ok(plan) => format!("{} {}", plan.backend.provider.name.name, plan.backend.upstream_model()),
        Err(refusal) => refusal.code().to_owned(),
    }
}

fn nothing(_: &mut Caller) {}

#[test]
fn a_route_comes_before_a_declared_name_and_that_before_an_address() {
    assert_eq!(ask(nothing, "smart", None), "beta upstream-shared");
    assert_eq!(ask(nothing, "fast-1", None), "anything fast-1");
    assert_eq!(ask(nothing, "fast-er-1", None), "alpha upstream-shared");
    assert_eq!(ask(nothing, "shared", None), "alpha upstream-shared");
    assert_eq!(ask(nothing, "beta/shared", None), "beta upstream-shared");
    assert_eq!(ask(nothing, "anything/org/model", None), "anything org/model");
    assert_eq!(ask(nothing, "common", None), "beta upstream-common");
}

#[test]
fn a_name_that_nobody_knows_is_not_found() {
    for model in [
        "nothing",
        "fast",
        "alpha/unknown",
        "nobody/shared",
        "anything/",
        "/shared",
    ] {
        assert_eq!(ask(nothing, model, None), "model_not_found", "{model}");
    }
}

#[test]
fn what_is_broken_says_so_and_leads_nowhere_else() {
    assert_eq!(ask(nothing, "broken", None), "target_unavailable");
    assert_eq!(ask(nothing, "lost", None), "target_unavailable");
}

#[test]
fn the_wanted_provider_narrows_a_choice_and_never_widens_one() {
    assert_eq!(ask(nothing, "shared", Some("beta")), "beta upstream-shared");
    assert_eq!(ask(nothing, "shared", Some("anything")), "anything shared");
    assert_eq!(ask(nothing, "only-alpha", Some("beta")), "model_not_found");
    assert_eq!(ask(nothing, "smart", Some("beta")), "beta upstream-shared");
    assert_eq!(ask(nothing, "smart", Some("alpha")), "provider_not_on_route");
    let bound = |caller: &mut Caller| caller.providers = Some(vec!["alpha".to_owned()]);
    assert_eq!(ask(bound, "shared", Some("anything")), "model_not_allowed");
}

#[test]
fn a_keys_default_provider_chooses_among_those_that_declare_a_name() {
    let prefers =
        |provider: &'static str| move |caller: &mut Caller| caller.default_provider = Some(provider.to_owned());
    assert_eq!(ask(prefers("beta"), "shared", None), "beta upstream-shared");
    assert_eq!(ask(prefers("beta"), "shared", Some("alpha")), "alpha upstream-shared");
    assert_eq!(ask(prefers("beta"), "only-alpha", None), "alpha upstream-only-alpha");
}

#[test]
fn allow_lists_hold_for_models_providers_and_routes() {
    let models = |caller: &mut Caller| caller.models = Some(vec!["shared".to_owned(), "fast-*".to_owned()]);
    assert_eq!(ask(models, "shared", None), "alpha upstream-shared");
    assert_eq!(ask(models, "beta/shared", None), "beta upstream-shared");
    assert_eq!(ask(models, "fast-1", None), "anything fast-1");
    assert_eq!(ask(models, "smart", None), "model_not_allowed");

    let providers = |caller: &mut Caller| caller.providers = Some(vec!["bet*".to_owned()]);
    assert_eq!(ask(providers, "shared", None), "beta upstream-shared");
    assert_eq!(ask(providers, "only-alpha", None), "model_not_allowed");
    assert_eq!(ask(providers, "fast-1", None), "model_not_allowed");

    let routes = |caller: &mut Caller| caller.routes = Some(vec!["smart".to_owned()]);
    assert_eq!(ask(routes, "smart", None), "beta upstream-shared");
    assert_eq!(ask(routes, "fast-1", None), "model_not_allowed");
    assert_eq!(ask(routes, "shared", None), "model_not_allowed");
}

#[test]
fn a_refusal_does_not_tell_whether_a_forbidden_name_exists() {
    let models = |caller: &mut Caller| caller.models = Some(vec!["shared".to_owned()]);
    assert_eq!(ask(models, "smart", None), ask(models, "nothing", None));
}

#[test]
fn a_model_without_a_price_is_refused_where_prices_are_demanded() {
    let key = SealingKey::new([1; 32]);
    let mut snapshot = world(&key);
    snapshot.providers.get_mut(&name("alpha")).expect("valid").unknown_price = UnknownPrice::Deny;
    let runtime = prepare(snapshot, &key).expect("the world is whole");
    let headers = [("x-api-key".parse().expect("valid"), TOKEN.parse().expect("valid"))]
        .into_iter()
        .collect();
    let caller = authenticate(&runtime, &headers, SystemTime::now()).expect("the key is good");
    assert!(matches!(
        plan(&runtime, &caller, "only-alpha", None),
        Err(Refusal::UnknownPrice(_))
    ));
    assert!(plan(&runtime, &caller, "beta/shared", None).is_ok());
}

#[test]
fn a_route_has_its_own_retries_and_times() {
    let key = SealingKey::new([1; 32]);
    let runtime = prepare(world(&key), &key).expect("the world is whole");
    let headers = [("x-api-key".parse().expect("valid"), TOKEN.parse().expect("valid"))]
        .into_iter()
        .collect();
    let caller = authenticate(&runtime, &headers, SystemTime::now()).expect("the key is good");
    let by_route = plan(&runtime, &caller, "smart", None).expect("it is there");
    assert_eq!((by_route.retry.attempts, by_route.timeouts.total.as_millis()), (7, 9));
    assert_eq!(
        (
            by_route.timeouts.idle.as_millis(),
            by_route.timeouts.first_token.as_millis()
        ),
        (3, 2)
    );
    let implicit = plan(&runtime, &caller, "shared", None).expect("it is there");
    assert_eq!((implicit.retry.attempts, implicit.timeouts.total.as_millis()), (3, 4));
}

#[test]
fn a_key_sees_the_models_that_it_may_use() {
    let key = SealingKey::new([1; 32]);
    let mut snapshot = world(&key);
    snapshot.callers.get_mut(&name("key")).expect("valid").providers = Some(vec!["beta".to_owned()]);
    let runtime = prepare(snapshot, &key).expect("the world is whole");
    let headers = [("x-api-key".parse().expect("valid"), TOKEN.parse().expect("valid"))]
        .into_iter()
        .collect();
    let caller = authenticate(&runtime, &headers, SystemTime::now()).expect("the key is good");
    let visible = visible_models(&runtime, &caller);
    let visible: Vec<_> = visible
        .iter()
        .map(|(model, provider)| (*model, provider.as_str()))
        .collect();
    assert_eq!(visible, [("common", "beta"), ("shared", "beta"), ("smart", "beta")]);
}

#[test]
fn a_snapshot_that_names_what_it_does_not_hold_is_refused_whole() {
    let key = SealingKey::new([1; 32]);
    let mut snapshot = world(&key);
    snapshot.providers.remove(&name("beta"));
    let refused = prepare(snapshot, &key).err().expect("it dangles");
    assert!(matches!(refused, PrepareError::Dangling { .. }), "{refused}");
}
