//! The rules of `VirtualKey`.

use headgate_crds::Kind;

const ACCEPTED: [&str; 6] = [
    "{secretRef: {name: s}}",
    "{secretRef: {name: s, key: now, previousKey: before}, owner: {user: ann, team: ml, metadata: {cost-centre: '7'}}}",
    "{digests: ['sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef']}",
    "{generate: {secretName: s}, rotation: {serial: 2}}",
    "{generate: {secretName: s}, expiresAt: '2027-01-01T00:00:00Z', suspended: true, limits: {requestsPerMinute: 60}}",
    "{generate: {secretName: s}, models: ['gpt-*'], providers: [openai], routes: ['*'], defaultProvider: openai, guardrails: [pii]}",
];

const REFUSED: [crate::Refused; 5] = [
    (
        "{}",
        "spec",
        "a key has exactly one source; set one of secretRef, digests and generate",
    ),
    (
        "{secretRef: {name: s}, generate: {secretName: t}}",
        "spec",
        "a key has exactly one source; set one of secretRef, digests and generate",
    ),
    (
        "{secretRef: {name: s}, rotation: {serial: 1}}",
        "spec.rotation",
        "rotation goes with generate only; for secretRef put the old token under previousKey, for digests list both",
    ),
    (
        "{secretRef: {name: s, key: a, previousKey: a}}",
        "spec.secretRef.previousKey",
        "previousKey must name another entry than key",
    ),
    (
        "{secretRef: {name: s, previousKey: key}}",
        "spec.secretRef.previousKey",
        "previousKey must name another entry than key",
    ),
];

#[test]
fn a_key_has_one_source_and_rotates_only_what_headgate_minted() {
    crate::check(Kind::VirtualKey, &ACCEPTED, &REFUSED);
}
