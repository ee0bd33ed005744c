//! A certificate of our own: made once, kept in the data directory.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::DirBuilder;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use provisioning_core::model::{BaseUrl, Secret, Timestamp};
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};

use super::TlsError;
use crate::data_dir::write_private;

/// Machines know it by its digest alone, so that it need not end soon; and each new one has to be trusted anew.
const YEARS: i32 = 10;
/// What the line with the names begins with. Text between PEM's blocks is no part of them.
const NAMES: &str = "names: ";

/// What a certificate is made out to: DNS names and addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(BTreeSet<String>);

impl Names {
    /// The host of the URL that machines and browsers use, and the address that is listened on.
    pub fn new(public_url: &BaseUrl, listen: SocketAddr) -> Self {
        let authority = public_url.as_str().split("://").nth(1).unwrap_or_default();
        let authority = authority.split('/').next().unwrap_or_default();
        let host = match authority.strip_prefix('[') {
            Some(address) => address.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        };
        let address = Some(listen.ip()).filter(|address| !address.is_unspecified()).map(|address| address.to_string());
        // Who works on this machine itself shall be able to check it as well.
        let local = ["localhost".to_owned(), IpAddr::from([127, 0, 0, 1]).to_string()];
        Self([host.to_owned()].into_iter().chain(address).chain(local).filter(|name| !name.is_empty()).collect())
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(String::as_str).collect::<Vec<_>>().join(" "))
    }
}

/// The file with key and certificate: one, so that it is there whole or not at all.
pub(super) fn file(directory: &Path) -> PathBuf {
    directory.join("self-signed.pem")
}

/// Makes the certificate unless there is one for these names. Beside it stands `cert.pem`, to be handed to whoever shall
/// trust it.
pub(super) fn ensure(directory: &Path, names: &Names, now: Timestamp) -> Result<PathBuf, TlsError> {
    let file = file(directory);
    let keep = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Keep { path, source }
    };
    let known = match std::fs::read_to_string(&file) {
        Ok(text) => Secret::new(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Secret::new(String::new()),
        Err(source) => return Err(keep(&file)(source)),
    };
    if known.expose().lines().next() == Some(&format!("{NAMES}{names}")) {
        return Ok(file);
    }
    let (cert, key) = make(names, now).map_err(|source| TlsError::Make { names: names.to_string(), source })?;
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(keep(directory))?;
    let both = Secret::new(format!("{NAMES}{names}\n{}{cert}", key.expose()));
    write_private(&file, both.expose()).map_err(keep(&file))?;
    let public = directory.join("cert.pem");
    write_private(&public, &cert).map_err(keep(&public))?;
    tracing::info!(%names, path = %public.display(), "made a certificate");
    Ok(file)
}

fn make(names: &Names, now: Timestamp) -> Result<(String, Secret<String>), rcgen::Error> {
    let mut params = CertificateParams::new(names.0.iter().cloned().collect::<Vec<_>>())?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, "provisioning");
    params.distinguished_name = subject;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // From the first day of this year: machines with a wrong clock shall not mind.
    let year = now.to_string().get(..4).and_then(|year| year.parse().ok()).unwrap_or(2026);
    params.not_before = rcgen::date_time_ymd(year, 1, 1);
    params.not_after = rcgen::date_time_ymd(year + YEARS, 1, 1);
    let key = KeyPair::generate()?;
    let cert = params.self_signed(&key)?;
    Ok((cert.pem(), Secret::new(key.serialize_pem())))
}
