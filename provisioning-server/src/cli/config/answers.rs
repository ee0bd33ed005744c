//! The questions of `provisioning config init`, in their order, and what this machine proposes for each.

use std::fmt::Display;
use std::io::{self, BufRead as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use provisioning_core::model::{
    BaseUrl, CertFingerprint, CountryCode, DiskName, Domain, Hostname, Keyboard, MailAddress, MemberAddr,
    ParseFingerprintError, PasswordHash, Secret, ServerTypeKey, Timezone,
};

use super::init::InitArgs;
use super::questions::{Question, Questions, yes_or_no};
use crate::cli::password::ask_twice;
use crate::setup::network::{Network, is_own, networks};
use crate::setup::region::Region;
use crate::setup::{Proposal, root_password};

/// How to get a member's fingerprint.
const FINGERPRINT_HELP: &str = "\
  To get it, run this on that member as root:
  openssl x509 -noout -sha256 -fingerprint -in $(ls /etc/pve/local/pveproxy-ssl.pem /etc/pve/local/pve-ssl.pem 2>/dev/null | head -1)
";

/// All that the files are made from.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) network: Option<Network>,
    pub(super) public_url: BaseUrl,
    pub(super) listen: SocketAddr,
    pub(super) pxe: bool,
    pub(super) data_dir: String,
    pub(super) domain: Domain,
    pub(super) country: CountryCode,
    pub(super) timezone: Timezone,
    pub(super) keyboard: Keyboard,
    pub(super) mailto: MailAddress,
    pub(super) root_password_hash: PasswordHash,
    pub(super) cluster: Option<ClusterAnswers>,
    /// A file for the join password to be written, and the password.
    pub(super) new_join_password: Option<(PathBuf, Secret<String>)>,
    pub(super) server_type: ServerTypeKey,
    pub(super) boot_disk: DiskName,
    pub(super) hostname_prefix: Hostname,
}

/// The cluster to join.
#[derive(Debug)]
pub(super) struct ClusterAnswers {
    pub(super) member: MemberAddr,
    pub(super) fingerprint: CertFingerprint,
    /// As the configuration names it.
    pub(super) password_file: String,
}

impl Answers {
    /// The port without TLS, for firmware: the next one.
    pub(super) fn boot_listen(&self) -> SocketAddr {
        SocketAddr::new(self.listen.ip(), self.listen.port().checked_add(1).unwrap_or(8081))
    }
}

/// Finds every answer; `None` when some are lacking, which the questions have noted.
pub(super) fn find(args: &InitArgs, folder: &Path, questions: &mut Questions) -> anyhow::Result<Option<Answers>> {
    let network = network(args, questions)?;
    let public_url = public_url(args, network.as_ref(), questions)?;
    let listen = listen(args, public_url.as_ref(), questions)?;
    let pxe = pxe(args, network.as_ref(), questions)?;
    let data_dir = data_dir(args, folder, questions)?;
    let region = Region::of(Path::new("/"));
    let hosts = &args.hosts;
    let domain: Option<Domain> =
        ask(questions, "The hosts' DNS domain", "--domain", hosts.domain.as_ref(), region.domain, "internal")?;
    let country = ask(questions, "Country, two letters", "--country", hosts.country.as_ref(), region.country, "us")?;
    let timezone = ask(questions, "Time zone", "--timezone", hosts.timezone.as_ref(), region.timezone, "UTC")?;
    let keyboard = ask(questions, "Keyboard", "--keyboard", hosts.keyboard.as_ref(), region.keyboard, "en-us")?;
    let mail = domain.as_ref().map(|domain| Proposal::new(format!("root@{domain}"), "the domain"));
    let mailto =
        ask(questions, "Where hosts send their mail", "--mailto", hosts.mailto.as_ref(), mail, "root@localhost")?;
    let root_password_hash = root_password(args, questions)?;
    let cluster = cluster(args, folder, questions)?;
    let class = &args.class;
    let server_type =
        ask(questions, "A key for the first server type", "--server-type", class.server_type.as_ref(), None, "mini")?;
    let boot_disk = questions.ask(Question {
        about: "The disk that its machines are installed on, and that is wiped (see lsblk there; such as nvme0n1)",
        flag: "--boot-disk",
        given: class.boot_disk.as_deref(),
        proposal: None,
    })?;
    let about = "What the names of its hosts begin with";
    let hostname_prefix = ask(questions, about, "--hostname-prefix", class.hostname_prefix.as_ref(), None, "pve")?;
    let all = || {
        let (cluster, new_join_password) = cluster?;
        Some(Answers {
            network,
            public_url: public_url?,
            listen: listen?,
            pxe: pxe?,
            data_dir: data_dir?,
            domain: domain?,
            country: country?,
            timezone: timezone?,
            keyboard: keyboard?,
            mailto: mailto?,
            root_password_hash: root_password_hash?,
            cluster,
            new_join_password,
            server_type: server_type?,
            boot_disk: boot_disk?,
            hostname_prefix: hostname_prefix?,
        })
    };
    Ok(all())
}

/// Asks for a value that this machine or else the product has a proposal for.
fn ask<T: std::str::FromStr<Err: Display>>(
    questions: &mut Questions,
    about: &str,
    flag: &str,
    given: Option<&String>,
    found: Option<Proposal>,
    default: &str,
) -> anyhow::Result<Option<T>> {
    let proposal = Some(found.unwrap_or_else(|| Proposal::new(default, "the defaults")));
    questions.ask(Question { about, flag, given: given.map(String::as_str), proposal })
}

/// The machines' network: the one of the flags, else one of this machine's, picked from a list when there are several.
fn network(args: &InitArgs, questions: &mut Questions) -> anyhow::Result<Option<Network>> {
    let flags = &args.network;
    let mut found = networks().context("this machine's network interfaces cannot be listed")?;
    if let Some(interface) = &flags.interface {
        let all: Vec<String> = found.iter().map(|network| network.interface.clone()).collect();
        found.retain(|network| network.interface == *interface);
        if found.is_empty() {
            bail!("--interface {interface}: no network of this machine; it is on {}", list(&all));
        }
    }
    if let Some(subnet) = &flags.subnet {
        let wanted: ipnet::Ipv4Net =
            subnet.parse().map_err(|_| anyhow::anyhow!("--subnet {subnet:?}: write it as 10.0.0.0/24"))?;
        let all: Vec<String> = found.iter().map(|network| network.subnet().to_string()).collect();
        found.retain(|network| network.subnet() == wanted.trunc());
        if found.is_empty() {
            bail!("--subnet {subnet}: no network of this machine; it is on {}", list(&all));
        }
    }
    if found.len() < 2 || !questions.can_ask() {
        return Ok(found.into_iter().next());
    }
    let mut err = io::stderr().lock();
    writeln!(err, "Which network are the machines on?")?;
    for (number, network) in (1..).zip(&found) {
        let hint = if network.has_default_route { ", the default route's" } else { "" };
        writeln!(err, "  {number}  {} {}{hint}", network.interface, network.address)?;
    }
    drop(err);
    let count = found.len();
    let chosen = questions.ask_with(
        Question {
            about: "Its number",
            flag: "--interface",
            given: None,
            proposal: Some(Proposal::new("1", "the order above")),
        },
        |text| {
            let number = text.parse::<usize>().ok().filter(|number| (1..=count).contains(number));
            number.ok_or_else(|| format!("type a number from 1 to {count}"))
        },
    )?;
    Ok(chosen.map(|number| found.swap_remove(number - 1)))
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none that others could be on".to_owned() } else { names.join(", ") }
}

fn public_url(
    args: &InitArgs,
    network: Option<&Network>,
    questions: &mut Questions,
) -> anyhow::Result<Option<BaseUrl>> {
    let proposal = network.map(|network| {
        Proposal::new(format!("http://{}:8080", network.address.addr()), format!("{}'s address", network.interface))
    });
    questions.ask(Question {
        about: "The URL under which machines reach this server",
        flag: "--public-url",
        given: args.network.public_url.as_deref(),
        proposal,
    })
}

/// Proposes the address of the URL, when it is one of this machine's, and its port.
fn listen(
    args: &InitArgs,
    public_url: Option<&BaseUrl>,
    questions: &mut Questions,
) -> anyhow::Result<Option<SocketAddr>> {
    let proposal = public_url.map(|url| Proposal::new(listen_for(url).to_string(), "the URL"));
    questions.ask_with(
        Question {
            about: "The address and port to listen on",
            flag: "--listen",
            given: args.network.listen.as_deref(),
            proposal,
        },
        |text| text.parse().map_err(|_| "write an address and a port, such as 0.0.0.0:8080".to_owned()),
    )
}

fn listen_for(url: &BaseUrl) -> SocketAddr {
    let authority = url.as_str().split("://").nth(1).unwrap_or_default().split('/').next().unwrap_or_default();
    let fallback = if url.is_https() { 443 } else { 80 };
    let everywhere = |port| SocketAddr::from(([0, 0, 0, 0], port));
    match authority.parse::<SocketAddr>() {
        Ok(SocketAddr::V4(address)) if is_own(*address.ip()) => address.into(),
        Ok(address) if address.is_ipv6() => address,
        Ok(address) => everywhere(address.port()),
        Err(_) => match (authority.parse::<IpAddr>(), authority.rsplit_once(':')) {
            (Ok(IpAddr::V4(ip)), _) if is_own(ip) => SocketAddr::new(ip.into(), fallback),
            (_, Some((_, port))) => everywhere(port.parse().unwrap_or(fallback)),
            _ => everywhere(fallback),
        },
    }
}

fn pxe(args: &InitArgs, network: Option<&Network>, questions: &mut Questions) -> anyhow::Result<Option<bool>> {
    let is_there =
        ["/usr/sbin/dnsmasq", "/usr/bin/dnsmasq", "/sbin/dnsmasq"].iter().any(|path| Path::new(path).exists());
    let proposal = match (network, is_there) {
        (None, _) => Proposal::new("no", "no network was found for it"),
        (Some(_), true) => Proposal::new("yes", "dnsmasq being installed"),
        (Some(_), false) => Proposal::new("no", "dnsmasq not being installed"),
    };
    let pxe = questions.ask_with(
        Question {
            about: "Shall the server run a dnsmasq beside your DHCP server, to tell machines where to boot from? (yes, no)",
            flag: "--pxe",
            given: args.network.pxe.as_deref(),
            proposal: Some(proposal),
        },
        yes_or_no,
    )?;
    if pxe == Some(true) && network.is_none() {
        bail!("--pxe yes: this machine is on no network that other machines could be on");
    }
    Ok(pxe)
}

fn data_dir(args: &InitArgs, folder: &Path, questions: &mut Questions) -> anyhow::Result<Option<String>> {
    let proposal = if folder.starts_with("/etc") {
        Proposal::new("/var/lib/provisioning", "the configuration being below /etc")
    } else {
        Proposal::new("data", "the defaults: beside the configuration")
    };
    questions.ask_with(
        Question {
            about: "The folder for the server's data",
            flag: "--data-dir",
            given: args.network.data_dir.as_deref(),
            proposal: Some(proposal),
        },
        |text| if text.is_empty() { Err("name a folder".to_owned()) } else { Ok(text.to_owned()) },
    )
}

/// Root's password on new hosts, as a hash. The password itself is kept nowhere.
fn root_password(args: &InitArgs, questions: &mut Questions) -> anyhow::Result<Option<PasswordHash>> {
    let hash = if let Some(path) = &args.hosts.root_password_hash_file {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("--root-password-hash-file {}", path.display()))?;
        Secret::new(text.trim_end().to_owned())
    } else if args.hosts.root_password_stdin {
        let mut text = String::new();
        io::stdin().lock().read_line(&mut text)?;
        let password = Secret::new(text.trim_end_matches(['\n', '\r']).to_owned());
        // The line itself is zeroed as well.
        drop(Secret::new(text));
        root_password::hash(&password)?
    } else if questions.can_ask() {
        loop {
            match ask_twice("Root's password on new hosts: ").and_then(|password| Ok(root_password::hash(&password)?)) {
                Ok(hash) => break hash,
                Err(error) => writeln!(io::stderr().lock(), "  {error:#}")?,
            }
        }
    } else {
        questions.lacks("--root-password-hash-file or --root-password-stdin");
        return Ok(None);
    };
    let hash = hash.expose().parse().map_err(|error| anyhow::anyhow!("--root-password-hash-file: {error}"))?;
    Ok(Some(hash))
}

type ClusterFound = (Option<ClusterAnswers>, Option<(PathBuf, Secret<String>)>);

/// `None` when something is lacking; `Some((None, _))` for standalone hosts.
fn cluster(args: &InitArgs, folder: &Path, questions: &mut Questions) -> anyhow::Result<Option<ClusterFound>> {
    let flags = &args.cluster;
    let member = questions.ask_with(
        Question {
            about: "A member of the cluster to join, its address or name; nothing leaves hosts standalone",
            flag: "--existing-node",
            given: flags.existing_node.as_deref(),
            proposal: Some(Proposal::new("", "the defaults")),
        },
        |text| match text {
            "" => Ok(None),
            text => text.parse::<MemberAddr>().map(Some).map_err(|error| error.to_string()),
        },
    )?;
    let Some(Some(member)) = member else { return Ok(member.map(|_| (None, None))) };
    if questions.can_ask() && flags.join_fingerprint.is_none() {
        write!(io::stderr().lock(), "{FINGERPRINT_HELP}")?;
    }
    let fingerprint = questions.ask_with(
        Question {
            about: "The SHA-256 fingerprint of its certificate",
            flag: "--join-fingerprint",
            given: flags.join_fingerprint.as_deref(),
            proposal: None,
        },
        |text| without_label(text).parse().map_err(|error: ParseFingerprintError| error.to_string()),
    )?;
    let (password_file, new) = match &flags.join_password_file {
        Some(path) => (std::path::absolute(path)?.display().to_string(), None),
        None if questions.can_ask() => {
            let path = folder.join("join-password");
            if path.exists() {
                writeln!(io::stderr().lock(), "  {} is there and stays as it is", path.display())?;
                ("join-password".to_owned(), None)
            } else {
                let password = ask_twice(&format!("Root's password on {member}, kept in {}: ", path.display()))?;
                ("join-password".to_owned(), Some((path, password)))
            }
        }
        None => {
            questions.lacks("--join-password-file");
            return Ok(None);
        }
    };
    let answers = |fingerprint| (Some(ClusterAnswers { member, fingerprint, password_file }), new);
    Ok(fingerprint.map(answers))
}

/// openssl prints `sha256 Fingerprint=AB:…`.
fn without_label(text: &str) -> &str {
    text.rsplit_once('=').map_or(text, |(_, digits)| digits).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_to_listen_on_follows_the_url() {
        for (url, listen) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://192.0.2.77:9000", "0.0.0.0:9000"),
            ("https://prov.lab.example", "0.0.0.0:443"),
            ("http://prov.lab.example:81", "0.0.0.0:81"),
            ("http://[fd00::2]:8080", "[fd00::2]:8080"),
        ] {
            assert_eq!(listen_for(&url.parse().unwrap()).to_string(), listen, "{url}");
        }
    }

    #[test]
    fn a_fingerprint_may_be_pasted_with_what_openssl_prints_before_it() {
        assert_eq!(without_label("sha256 Fingerprint=AB:CD"), "AB:CD");
        assert_eq!(without_label("AB:CD"), "AB:CD");
    }
}
