//! The server's certificate: read from files or made by itself, and read again when the files change.
//!
//! Machines know it by its SHA-256 alone (`reference/fetch-answer.md`, TLS), browsers by whatever they trust.

mod self_signed;
mod validity;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use provisioning_core::model::{CertFingerprint, Timestamp};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;

pub use self_signed::Names;

/// Where a certificate comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// PEM files.
    Files {
        /// The certificate and those behind it.
        cert: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// One of our own, in this directory.
    SelfSigned {
        /// The directory, for this user alone.
        directory: PathBuf,
        /// What it is made out to.
        names: Names,
    },
}

/// The certificate that is shown now. Cheap to clone: the clones show the same.
#[derive(Clone)]
pub struct Tls {
    source: Source,
    shown: Arc<Shown>,
    config: Arc<ServerConfig>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("source", &self.source)
            .field("fingerprint", &self.fingerprint())
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl Shown {
    fn now(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now())
    }
}

impl Tls {
    /// Loads the certificate; one of our own is made when there is none yet, or when its names are others by now.
    ///
    /// # Errors
    /// When the files cannot be read or written, or certificate and key do not belong together.
    pub fn load(source: Source, now: Timestamp) -> Result<Self, TlsError> {
        let key = match &source {
            Source::Files { cert, key } => read(cert, key)?,
            Source::SelfSigned { directory, names } => {
                let file = self_signed::ensure(directory, names, now)?;
                read(&file, &file)?
            }
        };
        let shown = Arc::new(Shown(RwLock::new(Arc::new(key))));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&shown) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { source, shown, config: Arc::new(config) })
    }

    /// What handshakes are made with.
    pub fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.config).into()
    }

    /// The SHA-256 of the certificate that is shown now.
    pub fn fingerprint(&self) -> CertFingerprint {
        fingerprint(&self.shown.now())
    }

    /// When the certificate that is shown now ends; `None` when that cannot be read.
    pub fn ends(&self) -> Option<Timestamp> {
        validity::ends(self.shown.now().cert.first()?)
    }

    /// Reads the files again. What connections have begun goes on under the certificate before.
    ///
    /// # Errors
    /// When they cannot be used: then the certificate before is shown on.
    pub fn reload(&self) -> Result<Reloaded, TlsError> {
        let key = match &self.source {
            Source::Files { cert, key } => read(cert, key)?,
            Source::SelfSigned { directory, .. } => {
                let file = self_signed::file(directory);
                read(&file, &file)?
            }
        };
        let (before, now) = (self.fingerprint(), fingerprint(&key));
        if before == now {
            return Ok(Reloaded::Same);
        }
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
        Ok(Reloaded::Changed(now))
    }

    /// What an edit of the files changes.
    pub(crate) fn stamp(&self) -> Vec<Option<(SystemTime, u64)>> {
        let files = match &self.source {
            Source::Files { cert, key } => vec![cert.clone(), key.clone()],
            Source::SelfSigned { directory, .. } => vec![self_signed::file(directory)],
        };
        let stamp = |file: PathBuf| {
            let metadata = std::fs::metadata(file).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        files.into_iter().map(stamp).collect()
    }
}

/// What reading the files again gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// The certificate that was shown before.
    Same,
    /// Another one, with this SHA-256.
    Changed(CertFingerprint),
}

fn fingerprint(key: &CertifiedKey) -> CertFingerprint {
    CertFingerprint::new(Sha256::digest(&key.cert[0]).into())
}

fn read(cert: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let chain: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_file_iter(cert).and_then(Iterator::collect);
    let chain = chain.map_err(|source| TlsError::Pem { path: cert.to_owned(), source })?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: cert.to_owned() });
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|source| TlsError::Pem { path: key.to_owned(), source })?;
    let (cert, key) = (cert.to_owned(), key.to_owned());
    CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider()).map_err(|source| TlsError::Pair {
        cert,
        key,
        source,
    })
}

/// Why there is no certificate to show.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is no PEM.
    #[error("{} cannot be used as PEM", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// A file has no certificate in it.
    #[error("{} holds no certificate", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// Key and certificate do not belong together, or are of a kind that nobody speaks.
    #[error("{} and {} are no pair", cert.display(), key.display())]
    Pair {
        /// The certificate.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// A certificate of our own cannot be made.
    #[error("no certificate can be made for {names}")]
    Make {
        /// For whom.
        names: String,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
    /// A certificate of our own cannot be kept.
    #[error("{} cannot be written", path.display())]
    Keep {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The TLS library does not do what it was built for.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn own(directory: &Path, name: &str) -> Source {
        let names = Names::new(&format!("https://{name}:8443").parse().unwrap(), "10.0.0.2:8443".parse().unwrap());
        Source::SelfSigned { directory: directory.to_owned(), names }
    }

    fn load(source: Source) -> Result<Tls, TlsError> {
        Tls::load(source, Timestamp::from_millis(1_790_000_000_000))
    }

    #[test]
    fn a_certificate_of_our_own_outlives_a_restart_and_is_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let directory = dir.path().join("tls");
        let first = load(own(&directory, "prov.lab")).unwrap().fingerprint();
        assert_eq!(load(own(&directory, "prov.lab")).unwrap().fingerprint(), first);
        let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(directory.clone()), 0o700);
        assert_eq!(mode(self_signed::file(&directory)), 0o600);
        let public = std::fs::read_to_string(directory.join("cert.pem")).unwrap();
        assert!(public.contains("BEGIN CERTIFICATE") && !public.contains("PRIVATE"), "{public}");
        assert_ne!(load(own(&directory, "other.lab")).unwrap().fingerprint(), first, "the names are others now");
    }

    #[test]
    fn files_are_read_again_and_bad_ones_change_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let made = |name: &str| {
            let directory = dir.path().join(name);
            load(own(&directory, name)).unwrap();
            std::fs::read_to_string(self_signed::file(&directory)).unwrap()
        };
        let (one, two) = (made("one.lab"), made("two.lab"));
        let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        let write = |cert_pem: &str, key_pem: &str| {
            std::fs::write(&cert, cert_pem).unwrap();
            std::fs::write(&key, key_pem).unwrap();
        };
        write(&one, &one);
        let tls = load(Source::Files { cert: cert.clone(), key: key.clone() }).unwrap();
        let first = tls.fingerprint();
        assert_eq!(tls.reload().unwrap(), Reloaded::Same);
        for (cert_pem, key_pem) in [("", one.as_str()), (&one, ""), (&two, &one), ("nonsense", &one)] {
            write(cert_pem, key_pem);
            assert!(tls.reload().is_err(), "{cert_pem:.20} {key_pem:.20}");
            assert_eq!(tls.fingerprint(), first);
        }
        write(&two, &two);
        let Reloaded::Changed(second) = tls.reload().unwrap() else { panic!("the certificate is another one") };
        assert!(second != first && tls.fingerprint() == second);
    }
}
