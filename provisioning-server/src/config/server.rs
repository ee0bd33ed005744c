//! `server`: where it listens, how it is reached, and its certificate.

use std::net::SocketAddr;

use provisioning_core::model::{BaseUrl, CertFingerprint};

use super::reader::{Reader, Section};
use super::{ServerConfig, TlsConfig};

/// What the section says, and what of it all hosts share.
pub(super) struct Server {
    pub(super) config: ServerConfig,
    pub(super) public_url: Option<BaseUrl>,
    pub(super) boot_url: Option<BaseUrl>,
    pub(super) artifact_url: Option<BaseUrl>,
    pub(super) tls_fingerprint: Option<CertFingerprint>,
}

pub(super) fn read(reader: &Reader, mut section: Section<'_>) -> Server {
    let public_url: Option<BaseUrl> = section
        .required("public_url", "write the URL under which machines reach this server, such as http://10.0.0.2:8080");
    let address = "an address and a port such as 0.0.0.0:8080";
    let listen =
        section.parsed_as("listen", address).map_or(SocketAddr::from(([127, 0, 0, 1], 8080)), |(_, listen)| listen);
    let boot_listen = section.parsed_as::<SocketAddr>("boot_listen", address);
    if let Some((place, boot)) = &boot_listen
        && *boot == listen
        && boot.port() != 0
    {
        section.fault_at(place, "boot_listen", format!("{boot} is server.listen: give firmware a port of its own"));
    }
    let boot_listen = boot_listen.map(|(_, boot)| boot);
    let artifact_listen = section.parsed_as::<SocketAddr>("artifact_listen", address).map(|(_, listen)| listen);
    let data_dir = section.path("data_dir").unwrap_or_else(|| reader.path("data"));
    let tls_fingerprint = section.parsed("tls_fingerprint");
    let tls = tls(section.section("tls"));
    let boot_url: Option<BaseUrl> = section.parsed("boot_url");
    let boot_url = boot_url.or_else(|| at_port(public_url.as_ref()?, boot_listen?));
    let artifact_url = artifact_listen.and_then(|listen| at_port(boot_url.as_ref().or(public_url.as_ref())?, listen));

    if let Some(public_url) = &public_url {
        check_scheme(&section, public_url, tls.is_some(), boot_url.is_some());
        let loopback = ["://127.", "://localhost", "://[::1]"];
        if loopback.iter().any(|loopback| public_url.as_str().contains(loopback)) && !listen.ip().is_loopback() {
            let problem = "is this machine's own loopback address, which no other machine can reach";
            section.warn(section.place().clone(), "public_url", problem);
        }
    }
    if tls.is_some() && tls_fingerprint.is_some() {
        let problem = "is for a proxy with a certificate of its own: this server knows the one of server.tls";
        section.fault("tls_fingerprint", problem, None);
    }
    section.finish();
    let config = ServerConfig { listen, data_dir, tls, boot_listen, artifact_listen };
    Server { config, public_url, boot_url, artifact_url, tls_fingerprint }
}

fn check_scheme(section: &Section<'_>, public_url: &BaseUrl, has_tls: bool, has_boot_url: bool) {
    if has_tls && !public_url.is_https() {
        let problem = format!("{public_url} is not https, and the server speaks TLS: write https://");
        section.fault("public_url", problem, None);
    }
    if public_url.is_https() && !has_boot_url {
        let problem = "is not set, so firmware is sent to an https URL, which most of it cannot fetch: give it a \
                       port without TLS, such as 0.0.0.0:8081";
        section.warn(section.place().clone(), "boot_listen", problem);
    }
}

/// The host of `url` with the port of `listen`, without TLS.
fn at_port(url: &BaseUrl, listen: SocketAddr) -> Option<BaseUrl> {
    let authority = url.as_str().split("://").nth(1)?.split('/').next()?;
    let host = match authority.split_once(']') {
        Some((host, _)) => format!("{host}]"),
        None => authority.split(':').next()?.to_owned(),
    };
    format!("http://{host}:{}", listen.port()).parse().ok()
}

fn tls(mut section: Section<'_>) -> Option<TlsConfig> {
    let (cert, key) = (section.path("cert"), section.path("key"));
    let self_signed = section.truth("self_signed").is_some_and(|(_, wished)| wished);
    let config = match (cert, key, self_signed) {
        (None, None, true) => Some(TlsConfig::SelfSigned),
        (None, None, false) => None,
        (Some(cert), Some(key), false) => Some(TlsConfig::Files { cert, key }),
        (Some(_), None, false) => {
            section.fault("key", "is missing: server.tls.cert needs its private key", None);
            None
        }
        (None, Some(_), false) => {
            section.fault("cert", "is missing: server.tls.key needs its certificate", None);
            None
        }
        (_, _, true) => {
            section.fault("self_signed", "stands beside cert or key: write only one of them", None);
            None
        }
    };
    section.finish();
    config
}
