//! Snapshots to deliver: one small one with one of everything, and as many callers as a case asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use headgate_snapshot::delivery::{
    Class, Digest, Generation, KeyRing, Layout, Pointer, Removed, Shard, ShardRef, shards_of,
};
use headgate_snapshot::record::records_of;
use headgate_snapshot::{
    Backend, Caller, CredentialSlot, KeyEntry, KeyedDigest, Model, ModelTable, ObjectName, Price, Provider,
    ProviderKind, ProviderTimeouts, Retry, Route, SealingKey, Snapshot, StoredObjects, Strategy, Target, UnknownPrice,
    UnsupportedParameters,
};

/// The bytes of the only sealing key of [`ring`].
pub const KEY: [u8; 32] = [7; 32];

pub fn key() -> SealingKey {
    SealingKey::new(KEY)
}

/// A ring of [`key`] alone.
pub fn ring() -> KeyRing {
    static RING: LazyLock<KeyRing> = LazyLock::new(|| ring_of(&[KEY]));
    RING.clone()
}

/// A ring of these keys, oldest first.
pub fn ring_of(keys: &[[u8; 32]]) -> KeyRing {
    let entry = |(index, bytes): (usize, &[u8; 32])| (format!("key-{index:04}"), bytes.to_vec().into());
    KeyRing::from_entries(keys.iter().enumerate().map(entry)).unwrap()
}

fn provider() -> Provider {
    Provider {
        kind: ProviderKind::OpenAI,
        base_url: Some("https://api.openai.com/v1".to_owned()),
        cloud: None,
        has_credential: true,
        workload_identity: None,
        headers: BTreeMap::from([("x-team".to_owned(), "ml".to_owned())]),
        secret_headers: BTreeSet::from(["x-gateway-key".to_owned()]),
        forward_headers: BTreeSet::from(["x-request-tag".to_owned()]),
        timeouts: ProviderTimeouts {
            connect_ms: 5_000,
            first_token_ms: 300_000,
            idle_ms: 120_000,
            total_ms: 900_000,
        },
        unsupported_parameters: UnsupportedParameters::Drop,
        unknown_price: UnknownPrice::Deny,
        stored_objects: StoredObjects::Forbid,
        ca_pem: None,
        discovers_models: true,
        models: BTreeMap::from([(
            "gpt-5".to_owned(),
            Model {
                upstream_model: "gpt-5-2025".to_owned(),
                api: None,
                publisher: None,
                context_window_tokens: Some(400_000),
                max_output_tokens: None,
                price: Some(Price {
                    input: 1_250_000_000,
                    output: 10_000_000_000,
                    ..Price::default()
                }),
            },
        )]),
    }
}

/// A caller that the token opens.
pub fn caller(token: &str) -> Caller {
    Caller {
        keys: vec![KeyEntry {
            digest: digest(token),
            not_after: Some(1_800_000_000),
        }],
        fingerprint: "00aa11bb".to_owned(),
        user: Some("ann".to_owned()),
        team: None,
        metadata: BTreeMap::from([("cost-centre".to_owned(), "Zürich \"7\"\n".to_owned())]),
        labels: BTreeMap::new(),
        not_after: None,
        suspended: false,
        models: Some(vec!["gpt-*".to_owned()]),
        providers: None,
        routes: None,
        default_provider: None,
        refused: None,
    }
}

pub fn digest(token: &str) -> KeyedDigest {
    key().digester().of_token(token.as_bytes())
}

/// Callers in the namespace `ml`, each opened by the token of its name.
pub fn callers<'a>(names: impl IntoIterator<Item = &'a str>) -> Snapshot {
    let named = |name| (ObjectName::new("ml", name), caller(name));
    Snapshot {
        callers: names.into_iter().map(named).collect(),
        ..Snapshot::default()
    }
}

/// `count` callers as a large installation has them: labels and owners differ, names are of ordinary length.
pub fn many_callers(count: usize) -> Snapshot {
    let digester = key().digester();
    let named = |index: usize| {
        let mut caller = caller("");
        caller.keys[0].digest = digester.of_token(format!("vk-{index}").as_bytes());
        caller.user = Some(format!("user-{index}@example.com"));
        caller.team = Some(format!("team-{}", index % 97));
        caller.labels = BTreeMap::from([("app.kubernetes.io/part-of".to_owned(), format!("app-{}", index % 53))]);
        (
            ObjectName::new(format!("tenant-{}", index % 41), format!("key-{index:05}")),
            caller,
        )
    };
    Snapshot {
        callers: (0..count).map(named).collect(),
        ..Snapshot::default()
    }
}

/// One of everything; names chosen so that the order of text and of tuples differ (`ml-b/…` before `ml/…`).
pub fn snapshot() -> Snapshot {
    let key = key();
    let openai = ObjectName::new("ml", "openai");
    let backend = Backend {
        provider: openai.clone(),
        model: None,
        override_parameters: BTreeMap::from([("seed".into(), "1".into())]),
    };
    let route = |target| Route {
        strategy: Strategy::Single(target),
        retry: Retry {
            on_status: BTreeSet::from([429, 503]),
            ..Retry::default()
        },
        total_timeout_ms: Some(1_000),
        first_token_timeout_ms: None,
        idle_timeout_ms: None,
    };
    let slots = [
        CredentialSlot::credential(openai.clone()),
        CredentialSlot::header(openai.clone(), "x-gateway-key"),
    ];
    Snapshot {
        providers: BTreeMap::from([(openai.clone(), provider())]),
        credentials: slots
            .map(|slot| (slot.clone(), key.seal(&slot, "https://api.openai.com:443", b"sk")))
            .into(),
        routes: BTreeMap::from([
            (ObjectName::new("ml", "smart"), route(Target::Backend(backend))),
            (
                ObjectName::new("ml-b", "gone"),
                route(Target::Unavailable {
                    reason: "LLMProvider `x` was not found".into(),
                }),
            ),
        ]),
        models: BTreeMap::from([(
            "ml".to_owned(),
            ModelTable {
                routes_exact: BTreeMap::from([("smart".into(), ObjectName::new("ml", "smart"))]),
                declared: BTreeMap::from([("gpt-5".into(), vec![openai.clone()])]),
                providers: BTreeMap::from([("openai".into(), openai)]),
                ..ModelTable::default()
            },
        )]),
        callers: BTreeMap::from([
            (ObjectName::new("ml", "ann"), caller("one")),
            (ObjectName::new("ml-b", "ann"), caller("two")),
        ]),
    }
}

/// The shards of a snapshot in the smallest layout that it takes.
pub fn shards(snapshot: &Snapshot) -> (Layout, Vec<Shard>) {
    shards_of(&records_of(snapshot), Layout::default()).unwrap()
}

/// What a pointer would say about a snapshot, and its shards.
pub fn generation(snapshot: &Snapshot, sequence: u64, format: u32) -> (Generation, Vec<Shard>) {
    let (layout, shards) = shards(snapshot);
    let generation = Generation {
        sequence,
        format,
        root: snapshot.version().parse().unwrap(),
        key_id: key().id().to_owned(),
        layout,
        shards: shards.iter().map(|shard| shard.reference).collect(),
    };
    (generation, shards)
}

/// A pointer with a `previous` and something removed.
pub fn pointer(format: u32) -> Pointer {
    Pointer {
        installation: "headgate.gateway.main".to_owned(),
        head: generation(&snapshot(), 12, format).0,
        previous: Some(generation(&callers(["ann", "bob"]), 11, format).0),
        removed: Removed {
            since: 9,
            digests: BTreeMap::from([(digest("bob"), 12), (digest("carl"), 10)]),
        },
    }
}

/// A shard with this text and a reference that fits it: what a hostile or buggy writer with the sealing key could make.
pub fn shard_of_text(class: Class, text: &str) -> Shard {
    let reference = ShardRef {
        class,
        digest: Digest::of(text),
        bytes: u32::try_from(text.len()).unwrap(),
        records: u32::try_from(text.lines().count()).unwrap(),
    };
    Shard {
        reference,
        text: text.to_owned(),
    }
}
