//! From the tree of `provisioning.yaml` to [`Config`]: every section read to its end, all faults collected.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use provisioning_core::machine::Policy;
use provisioning_core::model::{
    ApiToken, CertFingerprint, Cluster, CountryCode, Domain, JoinSecret, Keyboard, MailAddress, MemberAddr,
    PasswordHash, Secret, ServerTypeKey, Site, SshPublicKey, StaticNetwork, Timezone,
};
use provisioning_core::orchestrator::Retention;

use super::reader::{Reader, Section};
use super::server::{self, Server};
use super::{
    Config, InfrastructureConfig, InventoryMethod, LogFormat, LoggingConfig, Origins, auth, notify, pxe, server_types,
};
use crate::bandwidth::Bandwidth;

const ROOT_PASSWORD_HELP: &str = "make one with `openssl passwd -6` and write it in single quotes, or put it into a \
                                  file and name that under credentials.root_password_hash_file";

/// A hundred years.
const RETENTION_DAYS_MAX: u32 = 36_500;
const RETENTION_DAYS: &str = "1 to 36500, or 0 for ever";

/// Reads everything; `None` when a fault left something out.
pub(super) fn config(reader: &Reader, mut root: Section<'_>, path: &Arc<Path>) -> Option<Config> {
    let types_file = root.path("server_types_file").unwrap_or_else(|| reader.path("server-types.yaml"));
    let Server { config: server, public_url, boot_url, artifact_url, tls_fingerprint } =
        server::read(reader, root.section("server"));
    let pxe = pxe::read(reader, root.section("pxe"), boot_url.as_ref().or(public_url.as_ref()));
    let hash = credentials(root.section("credentials"));
    let proxmox = proxmox(root.section("proxmox"));
    let infrastructure = infrastructure(root.section("infrastructure"));
    let policy = timeouts(root.section("timeouts"));
    let (auth, logins) = auth::read(root.section("auth"), server.listen);
    let logging = logging(root.section("logging"));
    let (max_streams, max_bandwidth) = images(root.section("images"));
    let retention = retention(root.section("retention"));
    let notify = notify::targets(reader, &mut root);
    root.finish();
    let server_types = server_types::read(reader, &types_file);

    let (proxmox, public_url, root_password_hash) = (proxmox?, public_url?, hash?);
    let site = Site {
        public_url,
        boot_url,
        artifact_url,
        tls_fingerprint,
        domain: proxmox.domain,
        country: proxmox.country,
        timezone: proxmox.timezone,
        keyboard: proxmox.keyboard,
        mailto: proxmox.mailto,
        root_password_hash,
        root_ssh_keys: proxmox.root_ssh_keys,
        static_network: proxmox.static_network,
        cluster: proxmox.cluster,
    };
    Some(Config {
        path: path.to_path_buf(),
        server,
        site,
        ssh_port: proxmox.ssh_port,
        api_token: proxmox.api_token,
        policy,
        infrastructure,
        retention,
        max_streams,
        max_bandwidth,
        pxe,
        auth,
        logins,
        logging,
        notify,
        server_types,
        server_types_file: types_file,
        warnings: vec![],
        origins: Origins::default(),
    })
}

/// `images`: how they are handed out.
fn images(mut section: Section<'_>) -> (Option<usize>, Option<Bandwidth>) {
    let max_streams: Option<NonZeroUsize> = section.number("max_streams", "1 up");
    let max_bandwidth = section.parsed("max_bandwidth");
    section.finish();
    (max_streams.map(NonZeroUsize::get), max_bandwidth)
}

/// `retention`: how long the past is kept; 0 keeps it for ever.
fn retention(mut section: Section<'_>) -> Retention {
    let default = Retention::default();
    let mut kept = |key: &str, default| match section.number::<u32>(key, RETENTION_DAYS) {
        None => default,
        Some(0) => None,
        Some(days) if days > RETENTION_DAYS_MAX => {
            section.fault(key, format!("{days} is not a whole number from {RETENTION_DAYS}"), None);
            default
        }
        Some(days) => Some(Duration::from_secs(u64::from(days) * 24 * 3600)),
    };
    let (journal, artefacts) = (kept("journal_days", default.journal), kept("artefacts_days", default.artefacts));
    section.finish();
    Retention { journal, artefacts }
}

fn credentials(mut section: Section<'_>) -> Option<PasswordHash> {
    let written = ["root_password_hash", "root_password_hash_file"].iter().any(|key| section.is_written(key));
    let hash = section.secret_parsed("root_password_hash");
    if !written {
        section.fault("root_password_hash", "is missing", Some(ROOT_PASSWORD_HELP.to_owned()));
    }
    section.finish();
    hash
}

/// What `proxmox` says, before it is put together with the rest.
struct Proxmox {
    domain: Domain,
    country: CountryCode,
    timezone: Timezone,
    keyboard: Keyboard,
    mailto: MailAddress,
    root_ssh_keys: Vec<SshPublicKey>,
    static_network: Option<StaticNetwork>,
    cluster: Option<Cluster>,
    api_token: Option<ApiToken>,
    ssh_port: u16,
}

fn proxmox(mut section: Section<'_>) -> Option<Proxmox> {
    let api_token = section.secret_parsed::<ApiToken>("api_token");
    let cluster = cluster(&mut section);
    if cluster.is_some() && api_token.is_none() {
        no_witness(&section);
    }
    let static_network = static_network(&mut section);
    let domain = section.parsed_or_default("domain");
    let country = section.parsed_or_default("country");
    let timezone = section.parsed_or_default("timezone");
    let keyboard = section.parsed_or_default("keyboard");
    let mailto = section.parsed_or_default("mailto");
    let root_ssh_keys = section.list("root_ssh_keys").unwrap_or_default();
    let ssh_port = match section.number::<u16>("ssh_port", "1 to 65535") {
        Some(0) => {
            section.fault("ssh_port", "0 is not a whole number from 1 to 65535", None);
            22
        }
        port => port.unwrap_or(22),
    };
    section.finish();
    Some(Proxmox {
        domain: domain?,
        country: country?,
        timezone: timezone?,
        keyboard: keyboard?,
        mailto: mailto?,
        root_ssh_keys,
        static_network,
        cluster,
        api_token,
        ssh_port,
    })
}

/// Joins work without, and then the joining node alone tells whether it is in the cluster.
fn no_witness(section: &Section<'_>) {
    if ["api_token", "api_token_file"].iter().any(|key| section.was_written(key)) {
        return;
    }
    let problem = "is missing: with a token that may read the cluster (role PVEAuditor on /) an existing member confirms \
                   every join, and names that are taken are refused beforehand";
    section.warn(section.place().clone(), "api_token", problem);
}

fn cluster(section: &mut Section<'_>) -> Option<Cluster> {
    let fingerprint: Option<CertFingerprint> = section.parsed("join_fingerprint");
    let fingerprint_wrong = fingerprint.is_none() && section.was_written("join_fingerprint");
    let password = section.secret("join_password");
    let password_wrong =
        password.is_none() && (section.was_written("join_password") || section.was_written("join_password_file"));
    let words = [("password", JoinSecret::Password), ("ticket", JoinSecret::Ticket)];
    let join_secret = section.word("join_secret", &words).unwrap_or_default();
    let (place, text) = section.text("existing_node").filter(|(_, text)| !text.is_empty())?;
    let member: MemberAddr = match text.parse() {
        Ok(member) => member,
        Err(error) => {
            section.fault_at(&place, "existing_node", format!("{text:?}: {error}; an IP address or a DNS name"));
            return None;
        }
    };
    if fingerprint.is_none() && !fingerprint_wrong {
        let help = "run this on that node as root:\n\
                    openssl x509 -noout -sha256 -fingerprint -in \
                    $(ls /etc/pve/local/pveproxy-ssl.pem /etc/pve/local/pve-ssl.pem 2>/dev/null | head -1)";
        let problem = format!("is missing: joining {member} needs its certificate's fingerprint");
        section.fault("join_fingerprint", problem, Some(help.to_owned()));
    }
    if password.is_none() && !password_wrong {
        let help = "put root's password on that node into a file that only you can read, and name it under \
                    proxmox.join_password_file";
        let problem = format!("is missing: joining {member} needs root's password there");
        section.fault("join_password", problem, Some(help.to_owned()));
    }
    Some(Cluster { member, fingerprint: fingerprint?, password: password?.1, join_secret })
}

fn static_network(section: &mut Section<'_>) -> Option<StaticNetwork> {
    let gateway = section.parsed_as::<IpAddr>("gateway", "an IP address");
    let dns = section.parsed_as::<IpAddr>("dns", "an IP address");
    match (gateway, dns) {
        (Some((_, gateway)), Some((_, dns))) => Some(StaticNetwork { gateway, dns }),
        (Some((place, _)), None) if !section.was_written("dns") => {
            section.fault_at(&place, "gateway", "stands without dns: hosts with an address of their own need both");
            None
        }
        (None, Some((place, _))) if !section.was_written("gateway") => {
            section.fault_at(&place, "dns", "stands without gateway: hosts with an address of their own need both");
            None
        }
        _ => None,
    }
}

/// `None` when no service is named.
fn infrastructure(mut section: Section<'_>) -> Option<InfrastructureConfig> {
    let base_url = section.text("base_url").map(|(place, text)| (place, text.trim_end_matches('/').to_owned()));
    let methods = [("PUT", InventoryMethod::Put), ("POST", InventoryMethod::Post), ("PATCH", InventoryMethod::Patch)];
    let config = InfrastructureConfig {
        base_url: base_url.as_ref().map_or_else(String::new, |(_, text)| text.clone()),
        method: section.word("method", &methods).unwrap_or_default(),
        path: section.text("path").map(|(_, text)| text),
        headers: section.map("headers").into_iter().map(|(name, _, value)| (name, Secret::new(value))).collect(),
        token: section.secret("token").map(|(_, token)| token),
        body: section.text("body").map(|(_, text)| text),
        server_type_map: server_type_map(&mut section),
        timeout: section.duration("timeout"),
        ca_pem: section.file("ca_file"),
        conflict_means_known: section.truth("conflict_means_known").is_some_and(|(_, known)| known),
    };
    let known_scheme = ["http://", "https://"].iter().any(|scheme| config.base_url.starts_with(scheme));
    if let Some((place, url)) = base_url.filter(|(_, text)| !text.is_empty())
        && (!known_scheme || url.contains(['?', '#', ' ']))
    {
        let problem = format!("{url:?}: write an http:// or https:// URL without ? and #, or \"\" for no service");
        section.fault_at(&place, "base_url", problem);
    }
    section.finish();
    (!config.base_url.is_empty()).then_some(config)
}

fn server_type_map(section: &mut Section<'_>) -> BTreeMap<ServerTypeKey, String> {
    let mut map = BTreeMap::new();
    for (ours, place, theirs) in section.map("server_type_map") {
        match ours.parse() {
            Ok(key) => {
                map.insert(key, theirs);
            }
            Err(error) => section.fault_at(&place, &format!("server_type_map.{ours}"), format!("{error}")),
        }
    }
    map
}

fn timeouts(mut section: Section<'_>) -> Policy {
    let default = Policy::default();
    let policy = Policy {
        pxe_booted: section.duration("pxe_booted").unwrap_or(default.pxe_booted),
        installing: section.duration("installing").unwrap_or(default.installing),
        came_back: section.duration("came_back").unwrap_or(default.came_back),
        installed: section.duration("installed").unwrap_or(default.installed),
        first_boot: section.duration("first_boot").unwrap_or(default.first_boot),
        joining: section.duration("joining").unwrap_or(default.joining),
        resume_window: section.duration("resume_window").unwrap_or(default.resume_window),
        ..default
    };
    section.finish();
    policy
}

fn logging(mut section: Section<'_>) -> LoggingConfig {
    let format = section.word("format", &[("text", LogFormat::Text), ("json", LogFormat::Json)]).unwrap_or_default();
    let level = section.text("level");
    if let Some((place, text)) = &level
        && let Err(error) = text.parse::<tracing_subscriber::EnvFilter>()
    {
        let problem = format!("{text:?} is no log level such as info, debug or info,provisioning_core=debug: {error}");
        section.fault_at(place, "level", problem);
    }
    section.finish();
    LoggingConfig { format, level: level.map_or_else(|| "info".to_owned(), |(_, text)| text) }
}
