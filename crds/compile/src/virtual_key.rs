//! `VirtualKey` to the caller of a snapshot: by which digests it is recognised, what it may use, when it ends.
//!
//! A key that cannot be served as it was meant (limits, guardrails, a Hard budget) stays and is refused with the reason:
//! whoever holds it should read why, not that it is unknown. One whose token is missing or somebody else's is left out.

use std::collections::{BTreeMap, BTreeSet};

use headgate_crds::VirtualKey;
use headgate_crds::virtual_key::{Generate, KeySecretRef, KeySource};
use headgate_snapshot::sealed::KeyDigester;
use headgate_snapshot::{Caller, KeyEntry, ObjectName, SealingKey};

use crate::budget::Refusing;
use crate::finding::{About, Findings, Kind, Reason};
use crate::guardrail;
use crate::reference::{World, not_found};
use crate::secret::{self, Problem};
use crate::unsupported;

/// Entries of a Secret that the operator creates.
const GENERATED_KEY: &str = "key";
const GENERATED_PREVIOUS_KEY: &str = "previousKey";

/// Compiles every key.
pub(crate) fn compile(
    world: &World<'_>,
    refusing: &Refusing<'_>,
    key: &SealingKey,
    findings: &mut Findings,
) -> BTreeMap<ObjectName, Caller> {
    let mut candidates = Vec::with_capacity(world.keys.len());
    for (name, object) in &world.keys {
        let mut about = findings.about(Kind::VirtualKey, name);
        match tokens(world, name, object, &mut about) {
            Ok(tokens) => candidates.push(Candidate { name, object, tokens }),
            Err((path, problem)) => about.leave_out(problem.reason, path, problem.message),
        }
    }
    let digester = key.digester();
    without_conflicts(candidates, findings)
        .into_iter()
        .map(|candidate| {
            let mut about = findings.about(Kind::VirtualKey, candidate.name);
            let caller = caller(world, refusing, &digester, &candidate, &mut about);
            (candidate.name.clone(), caller)
        })
        .collect()
}

/// A key whose tokens are known by their digest.
struct Candidate<'a> {
    name: &'a ObjectName,
    object: &'a VirtualKey,
    tokens: Tokens,
}

/// SHA-256 of the tokens that open a key, the current one first.
struct Tokens {
    /// Whether the digests are only claimed: whoever holds a Secret has shown the token itself.
    are_claimed: bool,
    digests: Vec<TokenDigest>,
}

struct TokenDigest {
    sha256: [u8; 32],
    not_after: Option<i64>,
}

fn tokens(
    world: &World<'_>,
    name: &ObjectName,
    object: &VirtualKey,
    about: &mut About<'_>,
) -> Result<Tokens, (&'static str, Problem)> {
    match object.spec.source() {
        Some(KeySource::SecretRef(reference)) => {
            from_secret(world, name, reference, about).map_err(|problem| ("spec.secretRef", problem))
        }
        Some(KeySource::Generate(generate)) => {
            from_generated(world, name, generate).map_err(|problem| ("spec.generate.secretName", problem))
        }
        Some(KeySource::Digests(digests)) => from_digests(digests).map_err(|problem| ("spec.digests", problem)),
        None => {
            let message = "a key has exactly one source; set one of secretRef, digests and generate".to_owned();
            Err((
                "spec",
                Problem {
                    reason: Reason::Invalid,
                    message,
                },
            ))
        }
    }
}

fn from_secret(
    world: &World<'_>,
    name: &ObjectName,
    reference: &KeySecretRef,
    about: &mut About<'_>,
) -> Result<Tokens, Problem> {
    let KeySecretRef {
        name: secret_name,
        key,
        previous_key,
    } = reference;
    let secret = secret::find(world, &name.namespace, secret_name)?;
    let Some(value) = secret::entry(secret_name, secret, key)? else {
        return Err(Problem {
            reason: Reason::SecretKeyMissing,
            message: format!("Secret `{secret_name}` has no entry `{key}`; add it, or name the entry in key"),
        });
    };
    let value = secret::for_token(value, secret_name, key)?;
    let mut digests = vec![TokenDigest {
        sha256: value.sha256(),
        not_after: None,
    }];
    if let Some(previous_key) = previous_key {
        // It works beside the first while it is there, so its absence is the usual case and no finding.
        let previous = secret::entry(secret_name, secret, previous_key).and_then(|value| {
            value
                .map(|value| secret::for_token(value, secret_name, previous_key))
                .transpose()
        });
        match previous {
            Ok(Some(value)) => digests.push(TokenDigest {
                sha256: value.sha256(),
                not_after: None,
            }),
            Ok(None) => {}
            Err(problem) => about.error(problem.reason, "spec.secretRef.previousKey", problem.message),
        }
    }
    Ok(Tokens {
        are_claimed: false,
        digests,
    })
}

fn from_generated(world: &World<'_>, name: &ObjectName, generate: &Generate) -> Result<Tokens, Problem> {
    let Generate { secret_name } = generate;
    let Some(secret) = world.secret(&name.namespace, secret_name) else {
        let missing = not_found(
            Kind::Secret,
            &ObjectName::new(&name.namespace, secret_name),
            &name.namespace,
        );
        let message = format!("{missing} yet; Headgate creates it, so there is nothing to do unless this stays");
        return Err(Problem {
            reason: Reason::RefNotFound,
            message,
        });
    };
    if secret.generated_for.as_ref() != Some(name) {
        let message = format!(
            "Secret `{secret_name}` exists and was not created for this key, so that it is neither read nor changed; \
             choose another secretName, or remove that Secret"
        );
        return Err(Problem {
            reason: Reason::Conflicted,
            message,
        });
    }
    let Some(value) = secret::entry(secret_name, secret, GENERATED_KEY)? else {
        let message =
            format!("Secret `{secret_name}` has lost its entry `{GENERATED_KEY}`; remove the Secret to get a new one");
        return Err(Problem {
            reason: Reason::SecretKeyMissing,
            message,
        });
    };
    let value = secret::for_token(value, secret_name, GENERATED_KEY)?;
    let mut digests = vec![TokenDigest {
        sha256: value.sha256(),
        not_after: None,
    }];
    if let Some(previous) = secret::entry(secret_name, secret, GENERATED_PREVIOUS_KEY)? {
        digests.push(TokenDigest {
            sha256: previous.sha256(),
            not_after: secret.previous_not_after,
        });
    }
    Ok(Tokens {
        are_claimed: false,
        digests,
    })
}

fn from_digests(digests: &[String]) -> Result<Tokens, Problem> {
    let wrong = || Problem {
        reason: Reason::Invalid,
        message:
            "a digest is `sha256:` and 64 lower-case hex digits, as `printf %s \"$KEY\" | sha256sum` prints them; \
                  correct it"
                .to_owned(),
    };
    let parse = |text: &String| {
        let sha256 = text.strip_prefix("sha256:").and_then(unhex).ok_or_else(wrong)?;
        Ok(TokenDigest {
            sha256,
            not_after: None,
        })
    };
    let digests: Vec<_> = digests.iter().map(parse).collect::<Result<_, Problem>>()?;
    if digests.is_empty() {
        return Err(wrong());
    }
    Ok(Tokens {
        are_claimed: true,
        digests,
    })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != 64 || !text.bytes().all(is_digit) {
        return None;
    }
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

/// One digest opens one key. Who shows the token beats who claims its digest, then the older one keeps it, then the
/// smaller name; the other is left out whole.
fn without_conflicts<'a>(mut candidates: Vec<Candidate<'a>>, findings: &mut Findings) -> Vec<Candidate<'a>> {
    candidates.sort_by(|a, b| {
        let created =
            |candidate: &Candidate<'_>| candidate.object.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let age = match (created(a), created(b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            // What has no moment of creation (a manifest in a folder) counts as younger than what has.
            (a, b) => b.is_some().cmp(&a.is_some()),
        };
        a.tokens
            .are_claimed
            .cmp(&b.tokens.are_claimed)
            .then(age)
            .then_with(|| a.name.cmp(b.name))
    });
    let mut holders: BTreeMap<[u8; 32], &ObjectName> = BTreeMap::new();
    candidates.retain(|candidate| {
        let digests = || candidate.tokens.digests.iter().map(|digest| digest.sha256);
        let Some(holder) = digests().find_map(|digest| holders.get(&digest).copied()) else {
            holders.extend(digests().map(|digest| (digest, candidate.name)));
            return true;
        };
        // Which key of another namespace it is, is nobody's business here.
        let by = if holder.namespace == candidate.name.namespace {
            format!("VirtualKey `{}`", holder.name)
        } else {
            "another VirtualKey".to_owned()
        };
        let message = format!("the same token already opens {by}, which comes first; give this one a token of its own");
        findings
            .about(Kind::VirtualKey, candidate.name)
            .leave_out(Reason::Conflicted, "spec", message);
        false
    });
    candidates
}

fn caller(
    world: &World<'_>,
    refusing: &Refusing<'_>,
    digester: &KeyDigester,
    candidate: &Candidate<'_>,
    about: &mut About<'_>,
) -> Caller {
    let Candidate { name, object, tokens } = candidate;
    let spec = &object.spec;
    let labels = object.metadata.labels.clone().unwrap_or_default();
    let owner = spec.owner.clone().unwrap_or_default();
    unsupported::report(unsupported::KEY, spec, about);
    guardrail::look_up(world, name, &spec.guardrails, about);
    look_up_default_provider(world, name, spec.default_provider.as_deref(), about);
    let refused = about
        .left_out()
        .map(str::to_owned)
        .or_else(|| refusing.of(name, &labels, spec));
    if let Some(reason) = refused.as_ref().filter(|_| about.left_out().is_none()) {
        about.error(
            Reason::UnsupportedValue,
            "spec",
            format!("every request of this key is refused: {reason}; see that budget"),
        );
    }
    Caller {
        keys: entries(digester, &tokens.digests),
        fingerprint: fingerprint(&tokens.digests[0].sha256),
        user: owner.user,
        team: owner.team,
        metadata: owner.metadata,
        labels,
        not_after: spec.expires_at.as_ref().map(|time| time.0.as_second()),
        suspended: spec.suspended,
        models: spec.models.clone(),
        providers: spec.providers.clone(),
        routes: spec.routes.clone(),
        default_provider: spec.default_provider.clone(),
        refused,
    }
}

/// Sorted, each digest once: of a token that is both current and previous, the entry without an end counts.
fn entries(digester: &KeyDigester, digests: &[TokenDigest]) -> Vec<KeyEntry> {
    let mut seen = BTreeSet::new();
    let first_of_each = digests.iter().filter(|digest| seen.insert(digest.sha256));
    let mut entries: Vec<_> = first_of_each
        .map(|digest| KeyEntry {
            digest: digester.of_sha256(&digest.sha256),
            not_after: digest.not_after,
        })
        .collect();
    entries.sort();
    entries
}

/// First 8 hex digits of a digest.
fn fingerprint(sha256: &[u8; 32]) -> String {
    let [a, b, c, d, ..] = sha256;
    format!("{a:02x}{b:02x}{c:02x}{d:02x}")
}

fn look_up_default_provider(world: &World<'_>, name: &ObjectName, default: Option<&str>, about: &mut About<'_>) {
    let Some(default) = default else { return };
    let mut places = world.search_order(&name.namespace);
    if !places.any(|place| {
        world
            .provider(&name.namespace, &ObjectName::new(place, default))
            .is_some()
    }) {
        let missing = not_found(
            Kind::LLMProvider,
            &ObjectName::new(&name.namespace, default),
            &name.namespace,
        );
        let message = format!("{missing}, so that the key has no default provider; create it, or correct the name");
        about.error(Reason::RefNotFound, "spec.defaultProvider", message);
    }
}
