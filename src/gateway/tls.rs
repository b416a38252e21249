//! The certificate that callers see. Its files are looked at again and again: whoever renews it tells nobody.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::parse_x509_certificate;

use super::metrics::CertificateMetrics;

/// What is spoken, the first best.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The certificate and its key. Clones are the same ones.
#[derive(Clone)]
pub struct Certificate {
    folder: Arc<Path>,
    config: Arc<ArcSwap<ServerConfig>>,
    metrics: CertificateMetrics,
}

/// What tells files from what they were: links are followed, as a Secret's are replaced.
type Version = [Option<(SystemTime, u64)>; 2];

impl Certificate {
    /// Reads `tls.crt` and `tls.key` in a folder. The metrics say when it ends, and whether the files can be used.
    pub fn read(folder: &Path, metrics: CertificateMetrics) -> anyhow::Result<Self> {
        let (config, ends) = load(folder)?;
        metrics.ends.set(ends);
        Ok(Self { folder: folder.into(), config: Arc::new(ArcSwap::from_pointee(config)), metrics })
    }

    /// How a new connection is served.
    pub fn now(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// Looks at the files every so often, and reads them again when they are others. Files that cannot be used change nothing: whoever renews them may be
    /// half done.
    pub async fn follow(self, every: Duration) {
        let mut used = version(&self.folder);
        loop {
            tokio::time::sleep(every).await;
            self.look(&mut used);
        }
    }

    fn look(&self, used: &mut Version) {
        let now = version(&self.folder);
        if now == *used {
            return;
        }
        match load(&self.folder) {
            Ok((config, ends)) => {
                self.config.store(Arc::new(config));
                self.metrics.stale.set(0);
                self.metrics.ends.set(ends);
                *used = now;
                tracing::info!("the certificate was read again");
            }
            Err(error) => {
                self.metrics.stale.set(1);
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the certificate cannot be read again; the one before goes on"
                );
            }
        }
    }
}

fn files(folder: &Path) -> [PathBuf; 2] {
    ["tls.crt", "tls.key"].map(|name| folder.join(name))
}

fn version(folder: &Path) -> Version {
    files(folder).map(|file| {
        let meta = fs::metadata(file).ok()?;
        Some((meta.modified().ok()?, meta.len()))
    })
}

/// How connections are served by the files, and when the certificate ends, in seconds since 1970.
fn load(folder: &Path) -> anyhow::Result<(ServerConfig, i64)> {
    let [certificate, key] = files(folder);
    let chain = CertificateDer::pem_file_iter(&certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("{} has no certificate that can be read", certificate.display()))?;
    let own = chain.first().with_context(|| format!("{} has no certificate", certificate.display()))?;
    let (_, parsed) = parse_x509_certificate(own)
        .with_context(|| format!("{} has no certificate that can be read", certificate.display()))?;
    let ends = parsed.validity().not_after.timestamp();
    let secret = PrivateKeyDer::from_pem_file(&key)
        .with_context(|| format!("{} has no key that can be read", key.display()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .with_context(|| format!("{} and {} do not fit together", certificate.display(), key.display()))?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok((config, ends))
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    /// Certificates of `localhost` for tests, and their keys.
    pub const PAIRS: [[&str; 2]; 2] = [
        [
            include_str!("../../tests/assets/gateway/first.crt"),
            include_str!("../../tests/assets/gateway/first.key"),
        ],
        [
            include_str!("../../tests/assets/gateway/second.crt"),
            include_str!("../../tests/assets/gateway/second.key"),
        ],
    ];

    /// When both end, as `openssl x509 -enddate` says: 2126-11-05 07:15:03.
    const ENDS: i64 = 4_949_536_503;

    /// Puts a certificate and a key into a folder, as of a moment.
    pub fn put(folder: &Path, certificate: &str, key: &str, moment: u64) {
        for (file, text) in files(folder).iter().zip([certificate, key]) {
            fs::write(file, text).unwrap();
            let file = fs::File::options().write(true).open(file).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(moment)).unwrap();
        }
    }

    #[test]
    fn files_that_change_are_read_again_and_bad_ones_change_nothing() {
        let (folder, metrics) = (tempfile::tempdir().unwrap(), CertificateMetrics::default());
        let [[certificate, key], [other, others]] = PAIRS;
        put(folder.path(), certificate, key, 1);
        let read = Certificate::read(folder.path(), metrics.clone()).unwrap();
        let ends = metrics.ends.get();
        assert_eq!(ends, ENDS);
        let (first, mut used) = (read.now(), version(folder.path()));
        read.look(&mut used);
        assert!(Arc::ptr_eq(&first, &read.now()), "nothing has changed");
        for (bad, its_key) in [("", key), (certificate, ""), (other, key), ("junk", "junk")] {
            put(folder.path(), bad, its_key, 2);
            read.look(&mut used);
            assert!(Arc::ptr_eq(&first, &read.now()) && metrics.stale.get() == 1, "{bad:.9}");
            assert_eq!(metrics.ends.get(), ends, "the one before goes on");
        }
        metrics.ends.set(0);
        put(folder.path(), other, others, 3);
        read.look(&mut used);
        assert!(!Arc::ptr_eq(&first, &read.now()) && metrics.stale.get() == 0);
        assert_eq!(metrics.ends.get(), ENDS);
    }

    #[test]
    fn nothing_is_served_without_a_certificate_that_can_be_used() {
        let folder = tempfile::tempdir().unwrap();
        for (certificate, key) in [("", ""), (PAIRS[0][0], PAIRS[1][1])] {
            put(folder.path(), certificate, key, 1);
            assert!(Certificate::read(folder.path(), CertificateMetrics::default()).is_err());
        }
        assert!(Certificate::read(&folder.path().join("absent"), CertificateMetrics::default()).is_err());
    }
}
