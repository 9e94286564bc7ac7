//! Round trip, and the refusal of every damage: a data plane must never serve half of what was meant.

use std::collections::{BTreeMap, BTreeSet};

use headgate_snapshot::codec::{DecodeError, READABLE_FORMATS, UnknownFormat, decode, encode};
use headgate_snapshot::record::{RecordError, records_of, root_digest, snapshot_of};
use headgate_snapshot::{
    Backend, Caller, CredentialSlot, FORMAT, KeyEntry, KeyedDigest, Model, ModelTable, ObjectName, Price, Provider,
    ProviderKind, ProviderTimeouts, RecordKey, Retry, Route, SealingKey, Snapshot, Strategy, Target, UnknownPrice,
    UnsupportedParameters,
};

fn provider() -> Provider {
    Provider {
        kind: ProviderKind::OpenAI,
        base_url: Some("https://api.openai.com/v1".to_owned()),
        has_credential: true,
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
        ca_pem: None,
        discovers_models: true,
        models: BTreeMap::from([(
            "gpt-5".to_owned(),
            Model {
                upstream_model: "gpt-5-2025".to_owned(),
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

fn caller(key: &SealingKey, token: &str) -> Caller {
    Caller {
        keys: vec![KeyEntry {
            digest: key.digester().of_token(token.as_bytes()),
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

/// One of everything; names chosen so that the order of text and of tuples differ (`ml-b/…` before `ml/…`).
fn snapshot() -> Snapshot {
    let key = SealingKey::new([7; 32]);
    let openai = ObjectName::new("ml", "openai");
    let backend = Backend {
        provider: openai.clone(),
        model: None,
        override_parameters: BTreeMap::from([("seed".into(), "1".into())]),
    };
    let route = |target| Route {
        strategy: Strategy::Single(target),
        retry: Retry::default(),
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
            (ObjectName::new("ml", "ann"), caller(&key, "one")),
            (ObjectName::new("ml-b", "ann"), caller(&key, "two")),
        ]),
    }
}

/// A file with a root digest that fits whatever records it is given: what a hostile or buggy writer could make.
fn forge(records: &[(&str, &str)]) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    let mut bytes = b"HEADGATE".to_vec();
    bytes.extend_from_slice(&FORMAT.to_be_bytes());
    bytes.extend_from_slice(&root_digest(
        records.iter().map(|&(key, body)| (key, Sha256::digest(body).into())),
    ));
    bytes.extend_from_slice(&u32::try_from(records.len()).expect("few records").to_be_bytes());
    for (key, body) in records {
        for part in [key, body] {
            bytes.extend_from_slice(&u32::try_from(part.len()).expect("short texts").to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
    }
    bytes
}

#[test]
fn a_snapshot_survives_the_round_trip_in_every_format_written() {
    for format in READABLE_FORMATS {
        for snapshot in [Snapshot::default(), snapshot()] {
            let read = decode(&encode(&snapshot, format).unwrap()).unwrap();
            assert_eq!(read, snapshot);
            assert_eq!(read.version(), snapshot.version());
        }
    }
}

#[test]
fn the_version_is_the_root_digest_in_the_header() {
    let bytes = encode(&snapshot(), FORMAT).unwrap();
    let header = KeyedDigest(bytes[12..44].try_into().unwrap());
    assert_eq!(serde_json::to_value(header).unwrap(), snapshot().version());
}

#[test]
fn every_flipped_bit_is_refused() {
    let bytes = encode(&snapshot(), FORMAT).unwrap();
    for position in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[position] ^= 1 << bit;
            assert!(decode(&flipped).is_err(), "bit {bit} of byte {position}");
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    let bytes = encode(&snapshot(), FORMAT).unwrap();
    for length in 0..bytes.len() {
        let error = decode(&bytes[..length]).unwrap_err();
        assert!(
            matches!(error, DecodeError::NotASnapshot | DecodeError::Truncated),
            "at {length}: {error}"
        );
    }
}

#[test]
fn appended_bytes_are_refused() {
    let mut bytes = encode(&snapshot(), FORMAT).unwrap();
    bytes.push(0);
    assert!(matches!(
        decode(&bytes).unwrap_err(),
        DecodeError::TrailingBytes { bytes: 1 }
    ));
}

#[test]
fn an_unknown_format_is_its_own_error_in_both_directions() {
    let mut bytes = encode(&snapshot(), FORMAT).unwrap();
    for format in [0, FORMAT + 1, u32::MAX] {
        bytes[8..12].copy_from_slice(&format.to_be_bytes());
        assert!(matches!(decode(&bytes).unwrap_err(), DecodeError::UnknownFormat { found } if found == format));
        assert_eq!(
            encode(&snapshot(), format).unwrap_err(),
            UnknownFormat { requested: format }
        );
    }
}

#[test]
fn a_length_beyond_the_end_reserves_nothing_and_is_refused() {
    let mut bytes = forge(&[]);
    bytes[44..48].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(matches!(decode(&bytes).unwrap_err(), DecodeError::Truncated));
}

#[test]
fn records_twice_or_out_of_order_are_refused() {
    let table = r#"{"routesExact":{},"routesByPrefix":{},"routeForAny":null,"declared":{},"providers":{}}"#;
    assert!(decode(&forge(&[("models/a", table), ("models/b", table)])).is_ok());
    for keys in [["models/a", "models/a"], ["models/b", "models/a"]] {
        let error = decode(&forge(&keys.map(|key| (key, table)))).unwrap_err();
        assert!(matches!(error, DecodeError::OutOfOrder { key } if key == "models/a"));
    }
}

#[test]
fn bodies_that_are_wrong_unknown_or_not_canonical_are_refused() {
    let table = r#"{"routesExact":{},"routesByPrefix":{},"routeForAny":null,"declared":{},"providers":{}}"#;
    let spaced = table.replace(':', ": ");
    let extra = table.replace('}', r#","more":1}"#);
    let twice = table.replace(r#""declared":{}"#, r#""declared":{},"declared":{}"#);
    for body in [
        "",
        "null",
        "[]",
        "{}",
        "{",
        extra.as_str(),
        twice.as_str(),
        &"[".repeat(100_000),
    ] {
        let error = decode(&forge(&[("models/a", body)])).unwrap_err();
        assert!(
            matches!(error, DecodeError::Record(RecordError::Parse { .. })),
            "{error}"
        );
    }
    let error = decode(&forge(&[("models/a", &spaced)])).unwrap_err();
    assert!(
        matches!(error, DecodeError::Record(RecordError::NotCanonical { .. })),
        "{error}"
    );
    for key in [
        "",
        "models",
        "models/",
        "models/a/b",
        "caller/a",
        "caller/a/b/c",
        "credential/a/b",
        "budget/a/b",
        "provider//b",
    ] {
        assert!(
            matches!(decode(&forge(&[(key, table)])).unwrap_err(), DecodeError::Key(_)),
            "{key}"
        );
    }
}

#[test]
fn records_put_together_in_any_order_give_the_snapshot_and_twice_is_refused() {
    let mut records = records_of(&snapshot());
    records.reverse();
    assert_eq!(snapshot_of(records.clone()).unwrap(), snapshot());
    records.push(records[0].clone());
    assert!(matches!(
        snapshot_of(records).unwrap_err(),
        RecordError::Duplicate { .. }
    ));
}

#[test]
fn records_are_sorted_by_the_text_of_their_key_and_know_their_class() {
    let records = records_of(&snapshot());
    let keys: Vec<_> = records
        .iter()
        .map(|record| (record.key.to_string(), record.is_secret()))
        .collect();
    let expected = [
        ("caller/ml-b/ann", true),
        ("caller/ml/ann", true),
        ("credential/ml/openai/credential", true),
        ("credential/ml/openai/header:x-gateway-key", true),
        ("models/ml", false),
        ("provider/ml/openai", false),
        ("route/ml-b/gone", false),
        ("route/ml/smart", false),
    ];
    assert_eq!(keys, expected.map(|(key, secret)| (key.to_owned(), secret)));
    for record in records {
        assert_eq!(record.key.to_string().parse::<RecordKey>().unwrap(), record.key);
    }
}

#[test]
fn the_version_follows_the_content() {
    let mut changed = snapshot();
    changed
        .callers
        .get_mut(&ObjectName::new("ml", "ann"))
        .unwrap()
        .suspended = true;
    assert_ne!(changed.version(), snapshot().version());
    assert_eq!(snapshot().version(), snapshot().version());
}
