//! Values out of Secrets: found, judged, never shown. A finding names the Secret and the entry, and says what to do.
//!
//! Space around a value is cut off: files and `echo` end in a line break, and no header and no token can hold one.

use std::fmt;

use headgate_crds::SecretRef;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::finding::{Kind, Reason};
use crate::header;
use crate::reference::{World, not_found};
use crate::resources::{Secret, SecretValue};
use headgate_snapshot::ObjectName;

/// The shortest token that a virtual key may have, in characters.
const TOKEN_CHARACTERS_MIN: usize = 32;

/// A usable value. `Debug` shows nothing of it.
pub(crate) enum Value {
    /// The bytes themselves.
    Known(Zeroizing<Vec<u8>>),
    /// What stands for a variable that was left alone; see [`SecretValue::StandIn`].
    StandIn(Zeroizing<Vec<u8>>),
}

impl Value {
    /// The bytes, a stand-in's own.
    pub(crate) fn bytes(&self) -> &[u8] {
        let (Self::Known(bytes) | Self::StandIn(bytes)) = self;
        bytes
    }

    /// SHA-256 of the bytes.
    pub(crate) fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.bytes()).into()
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value(redacted)")
    }
}

/// Why there is no usable value.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) reason: Reason,
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(reason: Reason, message: String) -> Self {
        Self { reason, message }
    }
}

/// What a reference of `namespace` names.
pub(crate) fn resolve(world: &World<'_>, namespace: &str, reference: &SecretRef) -> Result<Value, Problem> {
    let SecretRef { name, key } = reference;
    let secret = find(world, namespace, name)?;
    match entry(name, secret, key)? {
        Some(value) => Ok(value),
        None => Err(Problem::new(
            Reason::SecretKeyMissing,
            format!("Secret `{name}` has no entry `{key}`; add it, or name the entry that holds the value in key"),
        )),
    }
}

/// A Secret of `namespace`.
pub(crate) fn find<'a>(world: &World<'a>, namespace: &str, name: &str) -> Result<&'a Secret, Problem> {
    world.secret(namespace, name).ok_or_else(|| {
        let missing = not_found(Kind::Secret, &ObjectName::new(namespace, name), namespace);
        Problem::new(
            Reason::RefNotFound,
            format!("{missing}; create it, or correct the name"),
        )
    })
}

/// An entry, if the Secret has it, and if it holds a value.
pub(crate) fn entry(name: &str, secret: &Secret, key: &str) -> Result<Option<Value>, Problem> {
    let unusable = |message| Err(Problem::new(Reason::SecretKeyMissing, message));
    match secret.entries.get(key) {
        None => Ok(None),
        Some(SecretValue::StandIn { variable }) => Ok(Some(Value::StandIn(stand_in(variable)))),
        Some(SecretValue::Unset { variable }) => unusable(format!(
            "entry `{key}` of Secret `{name}` is the environment variable `{variable}`, which is not set; set it"
        )),
        Some(SecretValue::Known(bytes)) => {
            let value = bytes.trim_ascii();
            if value.is_empty() {
                return unusable(format!(
                    "entry `{key}` of Secret `{name}` is empty; put the value there"
                ));
            }
            if is_placeholder(value) {
                return unusable(format!(
                    "entry `{key}` of Secret `{name}` is a placeholder such as ${{NAME}}, which nothing fills in here; \
                     put the value itself there"
                ));
            }
            Ok(Some(Value::Known(Zeroizing::new(value.to_vec()))))
        }
    }
}

/// A value that has to travel in a header.
pub(crate) fn for_header(value: Value, reference: &SecretRef) -> Result<Value, Problem> {
    if header::is_value(value.bytes()) {
        return Ok(value);
    }
    let SecretRef { name, key } = reference;
    Err(Problem::new(
        Reason::SecretKeyMissing,
        format!(
            "entry `{key}` of Secret `{name}` holds line breaks or characters that no header can carry; put the bare value \
             there"
        ),
    ))
}

/// A value by which a caller shows who it is.
pub(crate) fn for_token(value: Value, name: &str, key: &str) -> Result<Value, Problem> {
    let bytes = value.bytes();
    if !bytes.iter().all(u8::is_ascii_graphic) {
        return Err(Problem::new(
            Reason::Invalid,
            format!(
                "entry `{key}` of Secret `{name}` holds spaces or characters beyond ASCII, which no client can send as a \
                 key; use letters, digits and punctuation"
            ),
        ));
    }
    if bytes.len() < TOKEN_CHARACTERS_MIN {
        return Err(Problem::new(
            Reason::Invalid,
            format!(
                "entry `{key}` of Secret `{name}` is shorter than {TOKEN_CHARACTERS_MIN} characters and could be guessed; \
                 use a longer one, such as `openssl rand -hex 32` prints"
            ),
        ));
    }
    Ok(value)
}

/// `${NAME}` and nothing else.
fn is_placeholder(value: &[u8]) -> bool {
    let name = value.strip_prefix(b"${").and_then(|rest| rest.strip_suffix(b"}"));
    name.is_some_and(|name| !name.is_empty() && name.iter().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'_'))
}

/// Long enough for a token, the same for the same variable, and no secret at all.
fn stand_in(variable: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(format!("stand-in-for-the-environment-variable-{variable}").into_bytes())
}
