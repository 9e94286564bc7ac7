//! TLS towards providers: rustls, the public certificate authorities compiled in, or the one a manifest names.
//!
//! The roots are compiled in so that a distroless image and a laptop trust the same set; a company's own authority is
//! `tls.caSecretRef`.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// A certificate authority that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Not PEM.
    #[error("the certificate authority is not PEM: {0}")]
    Pem(rustls_pki_types::pem::Error),
    /// No certificate in it.
    #[error("the certificate authority holds no certificate")]
    Empty,
    /// Not a certificate that can sign.
    #[error("the certificate authority is refused: {0}")]
    Certificate(rustls::Error),
    /// The cryptography library refuses our choice of versions.
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

/// The client side of TLS 1.2 and 1.3, HTTP/1.1 only: why is said at [`super::Upstream`].
pub fn client_config(ca_pem: Option<&str>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    match ca_pem {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                roots
                    .add(certificate.map_err(TlsError::Pem)?)
                    .map_err(TlsError::Certificate)?;
            }
            if roots.is_empty() {
                return Err(TlsError::Empty);
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_authorities_are_there() {
        assert!(client_config(None).is_ok());
    }

    #[test]
    fn an_authority_that_is_no_certificate_is_refused() {
        assert!(matches!(client_config(Some("hello")), Err(TlsError::Empty)));
        let pem = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        assert!(matches!(client_config(Some(pem)), Err(TlsError::Certificate(_))));
    }
}
