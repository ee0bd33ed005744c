//! The input of an answer, owned, and read from a TOML file laid over `base.toml`.

use std::fs;
use std::path::{Path, PathBuf};

use provisioning_core::model::{
    BaseUrl, BootToken, CertFingerprint, CountryCode, DiskSetup, Domain, Host, Keyboard, MailAddress, Release, Secret,
    ServerType, Site, SshPublicKey, StaticNetwork, Timezone,
};
use provisioning_core::render::answer::{Answer, AnswerError, AnswerInput, Format, answer};
use serde::Deserialize;
use toml::{Table, Value};

/// All that [`AnswerInput`] borrows.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) site: Site,
    pub(crate) host: Host,
    pub(crate) server_type: ServerType,
    pub(crate) one_time_key: SshPublicKey,
    pub(crate) token: BootToken,
    pub(crate) fallback_password: Option<Secret<String>>,
}

impl Case {
    pub(crate) fn answer(&self, release: Release, format: Format) -> Result<Answer, AnswerError> {
        let input = AnswerInput {
            site: &self.site,
            host: &self.host,
            server_type: &self.server_type,
            one_time_key: &self.one_time_key,
            token: &self.token,
            fallback_password: self.fallback_password.as_ref(),
        };
        answer(&input, release, format)
    }

    /// The file's case, and what else the file says of how to try it.
    pub(crate) fn read(path: &Path) -> (Self, Trial) {
        let mut table = parse(&golden_folder().join("base.toml"));
        lay_over(&mut table, parse(path));
        let raw: RawCase = table.try_into().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        raw.into_case()
    }
}

/// How a case is to be tried.
#[derive(Debug)]
pub(crate) struct Trial {
    /// The only release to try, in `bad/`.
    pub(crate) release: Option<Release>,
    /// The only releases to try, in `good/`; all when absent.
    pub(crate) releases: Option<Vec<Release>>,
    pub(crate) format: Format,
}

pub(crate) fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/answer")
}

fn parse(path: &Path) -> Table {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn lay_over(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => lay_over(below, above),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCase {
    release: Option<Release>,
    releases: Option<Vec<Release>>,
    format: Option<String>,
    token: String,
    one_time_key: SshPublicKey,
    fallback_password: Option<String>,
    site: RawSite,
    host: Host,
    server_type: ServerType,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSite {
    public_url: BaseUrl,
    tls_fingerprint: Option<CertFingerprint>,
    domain: Domain,
    country: CountryCode,
    timezone: Timezone,
    keyboard: Keyboard,
    mailto: MailAddress,
    root_password_hash: String,
    root_ssh_keys: Vec<SshPublicKey>,
    static_network: Option<RawStaticNetwork>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStaticNetwork {
    gateway: std::net::IpAddr,
    dns: std::net::IpAddr,
}

impl RawCase {
    fn into_case(self) -> (Case, Trial) {
        let format = match self.format.as_deref() {
            None | Some("toml") => Format::Toml,
            Some("json") => Format::Json,
            Some(other) => panic!("{other} is no format"),
        };
        let disk = self.server_type.disk;
        let disk = DiskSetup::new(disk.selection, disk.filesystem).expect("cases are about answers, not disks");
        let raw = self.site;
        let site = Site {
            public_url: raw.public_url,
            boot_url: None,
            artifact_url: None,
            tls_fingerprint: raw.tls_fingerprint,
            domain: raw.domain,
            country: raw.country,
            timezone: raw.timezone,
            keyboard: raw.keyboard,
            mailto: raw.mailto,
            root_password_hash: raw.root_password_hash.parse().unwrap(),
            root_ssh_keys: raw.root_ssh_keys,
            static_network: raw.static_network.map(|n| StaticNetwork { gateway: n.gateway, dns: n.dns }),
            cluster: None,
        };
        let case = Case {
            site,
            host: self.host,
            server_type: ServerType { disk, ..self.server_type },
            one_time_key: self.one_time_key,
            token: self.token.parse().unwrap(),
            fallback_password: self.fallback_password.map(Secret::new),
        };
        (case, Trial { release: self.release, releases: self.releases, format })
    }
}
