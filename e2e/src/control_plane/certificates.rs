//! The certificates and keys of a control plane that lives as long as a test.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// Writes `ca.crt`, `server.crt`, `server.key`, `service-account.key` and `service-account.pub` into `folder`; returns the authority as DER.
pub(super) fn write(folder: &Path) -> Vec<u8> {
    let key = || KeyPair::generate().expect("a key can be made");
    let save = |name: &str, pem: String| std::fs::write(folder.join(name), pem).expect("write a certificate");

    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "headgate-e2e");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority_key = key();
    let authority_certificate = authority
        .self_signed(&authority_key)
        .expect("our own parameters can be signed");
    let issuer = Issuer::new(authority, authority_key);

    let server_key = key();
    // rcgen turns a name that is an address into an address entry, which is what clients of 127.0.0.1 look for.
    let server = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()]).expect("literal names");
    let server = server
        .signed_by(&server_key, &issuer)
        .expect("our own parameters can be signed");

    save("ca.crt", authority_certificate.pem());
    save("server.crt", server.pem());
    save("server.key", server_key.serialize_pem());
    let service_account = key();
    save("service-account.key", service_account.serialize_pem());
    save("service-account.pub", service_account.public_key_pem());
    authority_certificate.der().to_vec()
}
