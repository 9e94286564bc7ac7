//! Snapshots for tests, as small as they can be, and what any snapshot has to fulfil to be served.

use crate::args::Config;
use headgate_snapshot::{
    Backend, Caller, CredentialSlot, KeyEntry, KeyedDigest, ModelTable, ObjectName, Provider, ProviderKind,
    ProviderTimeouts, Retry, Route, Sealed, SealingKey, Snapshot, StoredObjects, Strategy, Target, UnknownPrice,
    UnsupportedParameters,
};

/// The sealing key of tests.
pub(crate) fn sealing_key() -> SealingKey {
    SealingKey::new([7; 32])
}

pub(crate) fn snapshot_of(fill: impl FnOnce(&mut Snapshot)) -> Snapshot {
    let mut snapshot = Snapshot::default();
    fill(&mut snapshot);
    snapshot
}

pub(crate) fn table(fill: impl FnOnce(&mut ModelTable)) -> ModelTable {
    let mut table = ModelTable::default();
    fill(&mut table);
    table
}

/// A caller that one token opens; the same number, the same token.
pub(crate) fn caller(token: u8) -> Caller {
    Caller {
        keys: vec![KeyEntry {
            digest: digest(token),
            not_after: None,
        }],
        fingerprint: format!("{token:08x}"),
        user: None,
        team: None,
        metadata: [].into(),
        labels: [].into(),
        not_after: None,
        suspended: false,
        models: None,
        providers: None,
        routes: None,
        default_provider: None,
        refused: None,
    }
}

pub(crate) fn digest(token: u8) -> KeyedDigest {
    KeyedDigest([token; 32])
}

pub(crate) fn provider() -> Provider {
    Provider {
        kind: ProviderKind::Echo,
        base_url: None,
        cloud: None,
        has_credential: false,
        workload_identity: None,
        headers: [].into(),
        secret_headers: [].into(),
        forward_headers: [].into(),
        timeouts: ProviderTimeouts {
            connect_ms: 1,
            first_token_ms: 1,
            idle_ms: 1,
            total_ms: 1,
        },
        unsupported_parameters: UnsupportedParameters::Drop,
        unknown_price: UnknownPrice::Allow,
        stored_objects: StoredObjects::Forbid,
        ca_pem: None,
        discovers_models: false,
        models: [].into(),
    }
}

pub(crate) fn sealed(slot: &CredentialSlot) -> Sealed {
    sealing_key().seal(slot, "https://a:443", b"secret")
}

pub(crate) fn route_to(provider: &str) -> Route {
    Route {
        strategy: Strategy::Single(Target::Backend(Backend {
            provider: provider.parse().expect("namespace/name"),
            model: None,
            override_parameters: [].into(),
        })),
        retry: Retry::default(),
        total_timeout_ms: None,
        first_token_timeout_ms: None,
        idle_timeout_ms: None,
    }
}

/// What a data plane demands before it serves a snapshot: nothing names what is not there, no token opens two keys.
pub(crate) fn assert_whole(snapshot: &Snapshot) {
    for (name, route) in &snapshot.routes {
        if let Strategy::Single(Target::Backend(backend)) = &route.strategy {
            assert!(snapshot.providers.contains_key(&backend.provider), "route {name}");
        }
    }
    for (namespace, table) in &snapshot.models {
        assert_table_is_whole(snapshot, namespace, table);
    }
    let mut digests: Vec<_> = snapshot
        .callers
        .values()
        .flat_map(|caller| &caller.keys)
        .map(|key| key.digest)
        .collect();
    let count = digests.len();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), count, "a token opens two keys");
    for name in snapshot.callers.keys() {
        assert!(
            snapshot.models.contains_key(&name.namespace),
            "caller {name} has no names"
        );
    }
}

fn assert_table_is_whole(snapshot: &Snapshot, namespace: &str, table: &ModelTable) {
    let routes = table.routes_exact.values().chain(table.routes_by_prefix.values());
    for route in routes.chain(&table.route_for_any) {
        assert!(snapshot.routes.contains_key(route), "{namespace} names route {route}");
    }
    let provider_is_there = |name: &ObjectName| snapshot.providers.contains_key(name);
    for provider in table.providers.values().chain(table.declared.values().flatten()) {
        assert!(provider_is_there(provider), "{namespace} names provider {provider}");
    }
    for shared in &table.shared {
        assert_table_is_whole(snapshot, namespace, shared);
    }
}

/// A configuration with the defaults of the command line.
pub(crate) fn config() -> Config {
    let line = [
        "headgate-operator",
        "--namespace",
        "gateway",
        "--pod-name",
        "operator-0",
        "--installation",
        "headgate.gateway.main",
        "--data-plane-selector",
        "app=headgate",
    ];
    let args = <crate::args::Args as clap::Parser>::parse_from(line);
    Config::from_args(args).expect("the defaults are complete")
}
