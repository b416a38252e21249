//! A certificate authority of a test's own, as a cluster has one that no client knows by itself.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tempfile::TempDir;

/// An authority, and a folder with its certificate for clients: `ca.crt`.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    folder: TempDir,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(DnType::CommonName, "e2e authority");
        let certificate = params.self_signed(&key).unwrap().pem();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.crt"), &certificate).unwrap();
        Self { issuer: Issuer::new(params, key), certificate, folder }
    }

    /// The file that clients are given.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// Its certificate.
    pub fn pem(&self) -> &str {
        &self.certificate
    }

    /// A certificate for a server on loopback, with its key, in PEM.
    pub fn server(&self) -> (String, String) {
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, "gateway");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        (signed.pem(), key.serialize_pem())
    }

    /// Writes a new one where a server looks for its own, as the kubelet does it when a Secret changes: each file is replaced
    /// as a whole.
    pub fn serve_from(&self, folder: &Path) {
        let (certificate, key) = self.server();
        for (name, text) in [("tls.crt", certificate), ("tls.key", key)] {
            let unfinished = folder.join(format!(".{name}"));
            std::fs::write(&unfinished, text).unwrap();
            std::fs::rename(unfinished, folder.join(name)).unwrap();
        }
    }
}
