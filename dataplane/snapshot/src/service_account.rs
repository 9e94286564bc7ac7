//! The key file of a Google service account, as the credential of a VertexAI account holds it.
//!
//! `compile` judges it and the data plane opens the account with it, by the same function: what one lets through, the
//! other can use. It names where its assertions are sent, and a Secret may be written by somebody who is not trusted to
//! choose that: only Google's own hosts are let through.

use std::fmt;

use ring::signature::RsaKeyPair;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;
use zeroize::{Zeroize, Zeroizing};

use crate::origin_of;

/// Where assertions are exchanged unless the file says otherwise (RFC 7523 at Google).
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
/// The only universe that is known here; others have hosts of their own.
const UNIVERSE: &str = "googleapis.com";

/// A key by which a service account shows who it is. `Debug` shows nothing of the key.
pub struct ServiceAccountKey {
    /// The account's address, `name@project.iam.gserviceaccount.com`.
    pub client_email: String,
    /// The name of the key at Google, if the file has it.
    pub private_key_id: Option<String>,
    /// Where assertions are exchanged for tokens: `https`, a host of Google's, no query.
    pub token_uri: String,
    /// What signs them. `ring` does not wipe it when it is dropped.
    pub key_pair: RsaKeyPair,
}

impl fmt::Debug for ServiceAccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccountKey")
            .field("client_email", &self.client_email)
            .finish_non_exhaustive()
    }
}

/// Why a text is no usable key file: the end of a sentence that begins with where the text comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceAccountError {
    /// Not JSON, or without the members of any credential of Google's.
    #[error("is not the JSON key file of a service account; put the file there as Google made it")]
    NotAKeyFile,
    /// Federation: tokens of one cloud for those of another, through addresses that the file names.
    #[error(
        "is the configuration of a workload identity federation (external_account) and not the key file of a service \
         account; use credential.workloadIdentity, or a key file"
    )]
    ExternalAccount,
    /// Some other kind of credential, such as a person's own login.
    #[error("is a credential of another type than service_account; put the key file of a service account there")]
    OtherType,
    /// The private key.
    #[error(
        "holds no private_key that can sign (RSA in PKCS#8, 2048 bits or more); create a key anew and put its file there"
    )]
    PrivateKey,
    /// An address beyond Google's own.
    #[error(
        "names a token_uri that is not one of Google's own (https, below googleapis.com); put the file there as Google made it"
    )]
    TokenUri,
    /// Another universe.
    #[error(
        "belongs to another universe than googleapis.com, which is not supported; use an account of the public one"
    )]
    Universe,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    client_email: String,
    private_key_id: Option<String>,
    #[serde(default)]
    private_key: Zeroizing<String>,
    token_uri: Option<String>,
    universe_domain: Option<String>,
}

impl ServiceAccountKey {
    /// Reads the file.
    pub fn parse(text: &str) -> Result<Self, ServiceAccountError> {
        let wire: Wire = serde_json::from_str(text).map_err(|_| ServiceAccountError::NotAKeyFile)?;
        match wire.kind.as_str() {
            "service_account" => {}
            "external_account" | "external_account_authorized_user" => {
                return Err(ServiceAccountError::ExternalAccount);
            }
            _ => return Err(ServiceAccountError::OtherType),
        }
        if wire.universe_domain.is_some_and(|universe| universe != UNIVERSE) {
            return Err(ServiceAccountError::Universe);
        }
        if wire.client_email.is_empty() {
            return Err(ServiceAccountError::NotAKeyFile);
        }
        let token_uri = wire.token_uri.unwrap_or_else(|| TOKEN_URI.to_owned());
        if !is_of_google(&token_uri) {
            return Err(ServiceAccountError::TokenUri);
        }
        Ok(Self {
            client_email: wire.client_email,
            private_key_id: wire.private_key_id.filter(|id| !id.is_empty()),
            token_uri,
            key_pair: key_pair(&wire.private_key).ok_or(ServiceAccountError::PrivateKey)?,
        })
    }
}

fn is_of_google(url: &str) -> bool {
    let host =
        origin_of(url).and_then(|origin| Some(origin.strip_prefix("https://")?.strip_suffix(":443")?.to_owned()));
    host.is_some_and(|host| host.ends_with(".googleapis.com")) && !url.contains(['?', '#'])
}

fn key_pair(pem: &str) -> Option<RsaKeyPair> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).ok()?;
    let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok();
    let mut der = der;
    der.zeroize();
    pair
}
