//! The certificate authority of a provider, out of a Secret: only certificates, each of which a TLS stack will take.
//!
//! It is no secret and will stand in a ConfigMap, so nothing else of the entry may come along: who points at an entry that
//! holds a private key as well is told so, and the certificates are written anew rather than copied.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// The most that an authority may take, in bytes of PEM. All public authorities together take some 220 KiB; a record has to
/// fit into one object of a cluster.
const BYTES_MAX: usize = 256 * 1024;

/// The certificates in PEM, or the end of a sentence that begins with where they come from.
pub(crate) fn certificates(pem: &[u8]) -> Result<String, &'static str> {
    if pem.windows(b"PRIVATE KEY".len()).any(|window| window == b"PRIVATE KEY") {
        return Err(
            "holds a private key, which an authority's certificate goes without; name an entry with the certificate only",
        );
    }
    let mut text = String::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| "is not PEM; put the authority's certificate there")?;
        webpki::anchor_from_trusted_cert(&certificate)
            .map_err(|_| "holds a certificate that cannot be read; put the authority's certificate there")?;
        write(&mut text, &certificate);
        if text.len() > BYTES_MAX {
            return Err("holds more than 256 KiB of certificates; put only the authority of this provider there");
        }
    }
    if text.is_empty() {
        return Err("holds no certificate; put the authority's certificate there in PEM");
    }
    Ok(text)
}

/// One certificate in the one way there is: 64 characters a line (RFC 7468).
fn write(text: &mut String, certificate: &[u8]) {
    text.push_str("-----BEGIN CERTIFICATE-----\n");
    for line in STANDARD.encode(certificate).as_bytes().chunks(64) {
        text.extend(line.iter().copied().map(char::from));
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_bounded_since_one_object_must_not_stop_the_snapshot_of_all() {
        let case = include_str!("../tests/cases/an_openai_account_with_everything/input.yaml");
        let begin = case.find("-----BEGIN").unwrap();
        let end = case.find("-----END CERTIFICATE-----").unwrap() + "-----END CERTIFICATE-----".len();
        let lines = case[begin..end].lines().map(|line| format!("{}\n", line.trim()));
        let one = lines.collect::<String>();
        assert!(certificates(one.as_bytes()).is_ok());
        let many = one.repeat(BYTES_MAX / one.len() + 1);
        assert!(certificates(many.as_bytes()).unwrap_err().contains("256 KiB"));
    }
}
