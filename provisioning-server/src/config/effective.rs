//! The configuration in force as people read it: every key with its value, or with its default, and where it is from.
//!
//! A value is shown only when it is named here: a key that this file does not know yet is listed as written, with
//! its place and without its value, so that a new secret cannot get out by being forgotten.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use provisioning_adapters::dnsmasq::{Addresses, RespondTo};

use provisioning_core::model::JoinSecret;

use super::fault::Place;
use super::{AuthConfig, Config, InfrastructureConfig, LogFormat, PasswordConfig, TlsConfig};
use crate::web::span;

/// A key and what is in force for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key in full, such as `server.public_url`.
    pub key: String,
    /// What is in force.
    pub value: Shown,
    /// Where it was written; `None` for a default.
    pub from: Option<String>,
}

/// A value as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// This.
    Value(String),
    /// There is one, and it is not shown.
    Hidden,
    /// There is none.
    Nothing,
}

impl Config {
    /// All keys with what is in force for them, in the order of the file's sections.
    pub fn settings(&self) -> Vec<Setting> {
        // The demo writes no file.
        let otherwise = self.path.as_os_str().is_empty().then(|| "the program".to_owned());
        let mut list = List { origins: self.origins.0.clone(), otherwise, settings: vec![] };
        self.server_settings(&mut list);
        self.pxe_settings(&mut list);
        self.proxmox_settings(&mut list);
        infrastructure_settings(self.infrastructure.as_ref(), &mut list);
        self.other_settings(&mut list);
        list.finish()
    }

    fn server_settings(&self, list: &mut List) {
        list.value("server.public_url", self.site.public_url.as_str());
        list.value("server.listen", self.server.listen);
        list.value("server.data_dir", self.server.data_dir.display());
        list.optional("server.tls_fingerprint", self.site.tls_fingerprint.as_ref());
        match &self.server.tls {
            None => list.value("server.tls", "off"),
            Some(TlsConfig::SelfSigned) => list.value("server.tls.self_signed", true),
            Some(TlsConfig::Files { cert, key }) => {
                list.value("server.tls.cert", cert.display());
                list.value("server.tls.key", key.display());
            }
        }
        list.optional("server.boot_listen", self.server.boot_listen);
        list.value("server.boot_url", self.site.boot_url());
        list.optional("server.artifact_listen", self.server.artifact_listen);
        list.optional("images.max_streams", self.max_streams);
        list.optional("images.max_bandwidth", self.max_bandwidth);
        list.value("server_types_file", self.server_types_file.display());
    }

    fn pxe_settings(&self, list: &mut List) {
        let pxe = &self.pxe;
        list.value("pxe.enabled", pxe.enabled);
        list.optional("pxe.interface", pxe.interface.as_ref());
        list.optional("pxe.subnet", pxe.subnet.as_ref());
        match &pxe.addresses {
            Addresses::Proxy => list.value("pxe.mode", "proxy"),
            Addresses::Dhcp(pool) => {
                list.value("pxe.mode", "dhcp");
                list.value("pxe.range", format!("{}-{}", pool.first, pool.last));
                list.value("pxe.lease_time", span(pool.lease_time));
                list.optional("pxe.router", pool.router.as_ref());
                let dns: Vec<String> = pool.dns.iter().map(ToString::to_string).collect();
                list.optional("pxe.dns", (!dns.is_empty()).then(|| dns.join(", ")));
            }
        }
        let respond_to = match pxe.respond_to {
            RespondTo::Registered => "registered",
            RespondTo::All => "all",
        };
        list.value("pxe.respond_to", respond_to);
        list.value("pxe.ipxe_dir", pxe.ipxe_dir.display());
        list.value("pxe.user", &pxe.user);
        list.optional("pxe.run_dir", pxe.run_dir.as_ref().map(|path| path.as_path().display()));
        list.value("pxe.dnsmasq", pxe.program.display());
    }

    fn proxmox_settings(&self, list: &mut List) {
        let site = &self.site;
        let cluster = site.cluster.as_ref();
        list.optional("proxmox.existing_node", cluster.map(|cluster| &cluster.member));
        list.optional("proxmox.join_fingerprint", cluster.map(|cluster| &cluster.fingerprint));
        list.secret("proxmox.join_password", cluster.is_some());
        let join_secret = cluster.map(|cluster| match cluster.join_secret {
            JoinSecret::Password => "password",
            JoinSecret::Ticket => "ticket",
        });
        list.optional("proxmox.join_secret", join_secret);
        list.secret("proxmox.api_token", self.api_token.is_some());
        list.value("proxmox.domain", &site.domain);
        list.value("proxmox.country", &site.country);
        list.value("proxmox.timezone", &site.timezone);
        list.value("proxmox.keyboard", &site.keyboard);
        list.value("proxmox.mailto", &site.mailto);
        list.value("proxmox.root_ssh_keys", format!("{} keys", site.root_ssh_keys.len()));
        list.optional("proxmox.gateway", site.static_network.as_ref().map(|network| network.gateway));
        list.optional("proxmox.dns", site.static_network.as_ref().map(|network| network.dns));
        list.value("proxmox.ssh_port", self.ssh_port);
        list.secret("credentials.root_password_hash", true);
    }

    fn other_settings(&self, list: &mut List) {
        let policy = &self.policy;
        let timeouts: [(&str, Duration); 7] = [
            ("timeouts.pxe_booted", policy.pxe_booted),
            ("timeouts.installing", policy.installing),
            ("timeouts.came_back", policy.came_back),
            ("timeouts.installed", policy.installed),
            ("timeouts.first_boot", policy.first_boot),
            ("timeouts.joining", policy.joining),
            ("timeouts.resume_window", policy.resume_window),
        ];
        for (key, time) in timeouts {
            list.value(key, span(time));
        }
        let days = |kept: Option<Duration>| kept.map_or(0, |kept| kept.as_secs() / (24 * 3600));
        list.value("retention.journal_days", days(self.retention.journal));
        list.value("retention.artefacts_days", days(self.retention.artefacts));
        let (mode, has_admin) = match &self.auth {
            AuthConfig::Token { admin } => ("token", admin.is_some()),
            AuthConfig::Open => ("open", false),
        };
        list.value("auth.mode", mode);
        list.secret("auth.admin_token", has_admin);
        let password = self.logins.password.as_ref();
        list.secret("auth.password", matches!(password, Some(PasswordConfig::Clear(_))));
        list.secret("auth.password_hash", matches!(password, Some(PasswordConfig::Hash(_))));
        list.value("auth.session_idle", span(self.logins.session_idle));
        let format = match self.logging.format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        };
        list.value("logging.format", format);
        list.value("logging.level", &self.logging.level);
    }
}

fn infrastructure_settings(config: Option<&InfrastructureConfig>, list: &mut List) {
    list.optional("infrastructure.base_url", config.map(|config| &config.base_url));
    let Some(config) = config else { return };
    list.value("infrastructure.method", config.method.as_str());
    list.optional("infrastructure.path", config.path.as_ref());
    for name in config.headers.keys() {
        list.secret(&format!("infrastructure.headers.{name}"), true);
    }
    list.secret("infrastructure.token", config.token.is_some());
    list.optional("infrastructure.body", config.body.as_ref());
    for (ours, theirs) in &config.server_type_map {
        list.value(&format!("infrastructure.server_type_map.{ours}"), theirs);
    }
    list.optional("infrastructure.timeout", config.timeout.map(span));
    list.optional("infrastructure.ca_file", config.ca_pem.as_ref().map(|_| "certificates of its own"));
    list.value("infrastructure.conflict_means_known", config.conflict_means_known);
}

/// Settings in the making, and where the written ones are from.
struct List {
    origins: BTreeMap<String, Place>,
    /// Where values are from that were not written.
    otherwise: Option<String>,
    settings: Vec<Setting>,
}

impl List {
    fn value(&mut self, key: &str, value: impl Display) {
        self.add(key, Shown::Value(value.to_string()));
    }

    fn optional(&mut self, key: &str, value: Option<impl Display>) {
        self.add(key, value.map_or(Shown::Nothing, |value| Shown::Value(value.to_string())));
    }

    fn secret(&mut self, key: &str, is_there: bool) {
        self.add(key, if is_there { Shown::Hidden } else { Shown::Nothing });
    }

    fn add(&mut self, key: &str, value: Shown) {
        let written = self.origins.remove(key);
        let place = self.origins.remove(&format!("{key}_file")).or(written);
        let from = place.map(|place| shortly(&place)).or_else(|| self.otherwise.clone());
        self.settings.push(Setting { key: key.to_owned(), value, from });
    }

    /// What was written and is not named above.
    fn finish(mut self) -> Vec<Setting> {
        let others = self.origins.into_iter();
        self.settings.extend(others.filter(|(key, _)| !key.starts_with("server_types.")).map(|(key, place)| Setting {
            key,
            value: Shown::Hidden,
            from: Some(shortly(&place)),
        }));
        self.settings
    }
}

/// A place as a page has room for it: the file's name and the line.
fn shortly(place: &Place) -> String {
    match place {
        Place::File { path, line, .. } => {
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
            if *line == 0 { name.into_owned() } else { format!("{name}, line {line}") }
        }
        Place::Variable(name) => format!("environment, {name}"),
    }
}
