//! A snapshot put together from its shards: all of them, only them, and nothing in them but what was signed.

use headgate_snapshot::delivery::{
    AssembleError, Class, Digest, Generation, Layout, Shard, ShardError, assemble, shards_of,
};
use headgate_snapshot::record::{RecordError, records_of, root_digest};
use headgate_snapshot::{FORMAT, ObjectName, Snapshot};

use crate::world::{callers, generation, many_callers, shard_of_text, snapshot};

const TABLE: &str = r#"{"routesExact":{},"routesByPrefix":{},"routeForAny":null,"declared":{},"providers":{}}"#;

/// A generation of shards with these texts, each line of which counts towards the root: what somebody with the sealing
/// key and other code could publish.
fn forged(texts: &[(Class, String)]) -> (Generation, Vec<Shard>) {
    let shards: Vec<_> = texts.iter().map(|(class, text)| shard_of_text(*class, text)).collect();
    let lines = texts.iter().flat_map(|(_, text)| text.lines());
    let mut pairs: Vec<_> = lines
        .map(|line| line.split_once(' ').unwrap())
        .map(|(key, body)| (key, Digest::of(body).0))
        .collect();
    pairs.sort_unstable();
    let generation = Generation {
        sequence: 1,
        format: FORMAT,
        root: Digest(root_digest(pairs)),
        key_id: String::new(),
        layout: Layout::default(),
        shards: shards.iter().map(|shard| shard.reference).collect(),
    };
    (generation, shards)
}

fn forged_public(lines: &[(&str, &str)]) -> (Generation, Vec<Shard>) {
    let text = lines
        .iter()
        .map(|(key, body)| [key, " ", body, "\n"].concat())
        .collect();
    forged(&[(Class::Public, text)])
}

fn refusal((generation, shards): (Generation, Vec<Shard>)) -> AssembleError {
    assemble(&generation, shards).unwrap_err()
}

#[test]
fn a_snapshot_is_the_same_after_the_journey() {
    for whole in [Snapshot::default(), snapshot(), many_callers(500)] {
        let (generation, shards) = generation(&whole, 1, FORMAT);
        let read = assemble(&generation, shards).unwrap();
        assert_eq!(read, whole);
        assert_eq!(read.version(), generation.root.to_string());
    }
}

#[test]
fn neither_the_order_of_shards_nor_the_layout_matters() {
    let whole = many_callers(500);
    let records = records_of(&whole);
    for secret in [1, 4, 16] {
        let (layout, mut shards) = shards_of(&records, Layout { public: 1, secret }).unwrap();
        shards.reverse();
        let generation = Generation {
            layout,
            shards: shards.iter().rev().map(|shard| shard.reference).collect(),
            ..generation(&whole, 1, FORMAT).0
        };
        assert_eq!(assemble(&generation, shards).unwrap(), whole);
    }
}

#[test]
fn a_missing_an_extra_a_doubled_and_another_shard_are_refused() {
    let (generation, shards) = generation(&snapshot(), 1, FORMAT);
    let stranger = shard_of_text(Class::Public, &format!("models/other {TABLE}\n"));
    let mut missing = shards.clone();
    missing.pop();
    let mut extra = shards.clone();
    extra.push(stranger.clone());
    let mut doubled = shards.clone();
    doubled.push(shards[0].clone());
    let mut doubled_in_place_of_another = shards.clone();
    doubled_in_place_of_another[1] = shards[0].clone();
    let mut other = shards.clone();
    other[0] = stranger;
    for wrong in [missing, extra, doubled, doubled_in_place_of_another, other, vec![]] {
        let error = assemble(&generation, wrong).unwrap_err();
        assert!(matches!(error, AssembleError::OtherShards), "{error}");
    }
}

#[test]
fn a_shard_under_a_reference_that_the_pointer_does_not_state_is_refused() {
    let (generation, shards) = generation(&snapshot(), 1, FORMAT);
    let mut other_class = shards.clone();
    other_class[0].reference.class = match shards[0].reference.class {
        Class::Public => Class::Secret,
        Class::Secret => Class::Public,
    };
    let mut other_count = shards;
    other_count[0].reference.records += 1;
    for wrong in [other_class, other_count] {
        let error = assemble(&generation, wrong).unwrap_err();
        assert!(matches!(error, AssembleError::OtherShards), "{error}");
    }
}

#[test]
fn a_pointer_that_lists_a_shard_twice_is_served_by_nobody() {
    let (mut generation, mut shards) = generation(&snapshot(), 1, FORMAT);
    generation.shards.push(generation.shards[0]);
    shards.push(shards[0].clone());
    assert!(matches!(
        assemble(&generation, shards).unwrap_err(),
        AssembleError::OtherShards
    ));
}

#[test]
fn records_that_are_not_those_of_the_signed_root_are_refused() {
    let (mut generation, shards) = generation(&snapshot(), 1, FORMAT);
    generation.root = callers(["ann"]).version().parse().unwrap();
    assert!(matches!(
        assemble(&generation, shards).unwrap_err(),
        AssembleError::OtherRoot
    ));
}

#[test]
fn a_shard_of_another_generation_in_place_of_one_is_refused_by_the_root() {
    let before = snapshot();
    let mut after = before.clone();
    after.callers.remove(&ObjectName::new("ml", "ann"));
    let (mut head, _) = generation(&after, 2, FORMAT);
    let (old, shards) = generation(&before, 1, FORMAT);
    head.shards = old.shards;
    assert!(matches!(assemble(&head, shards).unwrap_err(), AssembleError::OtherRoot));
}

#[test]
fn a_record_that_stands_twice_is_refused_within_a_shard_and_across_two() {
    let line = format!("models/a {TABLE}\n");
    let within = forged(&[(Class::Public, format!("{line}{line}"))]);
    let across = forged(&[
        (Class::Public, line.clone()),
        (Class::Public, format!("{line}models/b {TABLE}\n")),
    ]);
    for twice in [within, across] {
        let error = refusal(twice);
        assert!(
            matches!(&error, AssembleError::Record(RecordError::Duplicate { key }) if key == "models/a"),
            "{error}"
        );
    }
}

/// The digest of a shard settles its text, and the root is over sorted records: order within a shard says nothing.
#[test]
fn records_out_of_order_mean_the_same() {
    let sorted = forged_public(&[("models/a", TABLE), ("models/b", TABLE)]);
    let (generation, shards) = forged_public(&[("models/b", TABLE), ("models/a", TABLE)]);
    assert_eq!(generation.root, sorted.0.root);
    let names: Vec<_> = assemble(&generation, shards).unwrap().models.into_keys().collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn bodies_that_are_wrong_or_have_unknown_fields_are_refused_and_their_record_named() {
    let extra = TABLE.replacen('}', r#"},"more":1"#, 1);
    let twice = TABLE.replace(r#""declared":{}"#, r#""declared":{},"declared":{}"#);
    let deep = "[".repeat(100_000);
    for body in ["", "null", "[]", "{}", "{", &extra, &twice, &deep] {
        let error = refusal(forged_public(&[("models/a", body)]));
        assert!(
            matches!(&error, AssembleError::Record(RecordError::Parse { key, .. }) if key == "models/a"),
            "{error}"
        );
    }
}

#[test]
fn a_body_that_we_would_have_written_otherwise_is_refused() {
    for body in [
        TABLE.replacen(':', ": ", 1),
        format!("{TABLE} "),
        TABLE.replacen("routesExact", r"routesE\u0078act", 1),
        TABLE.replacen(r#""declared":{},"providers":{}"#, r#""providers":{},"declared":{}"#, 1),
        TABLE.replacen(r#""providers":{}"#, r#""providers":{},"shared":[]"#, 1),
    ] {
        let error = refusal(forged_public(&[("models/a", &body)]));
        assert!(
            matches!(error, AssembleError::Record(RecordError::NotCanonical { .. })),
            "{body}: {error}"
        );
    }
}

#[test]
fn a_secret_record_in_a_public_shard_is_refused_even_if_signed() {
    let (_, shards) = generation(&snapshot(), 1, FORMAT);
    let secret = shards.iter().find(|s| s.reference.class == Class::Secret).unwrap();
    let error = refusal(forged(&[(Class::Public, secret.text.clone())]));
    assert!(
        matches!(error, AssembleError::Shard(ShardError::NotARecord { line: 1, .. })),
        "{error}"
    );
}
