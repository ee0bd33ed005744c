//! Findings in words: what is the matter, why that is likely, and what an operator can do about it.

use super::attempt::Attempt;
use super::{Case, Finding, Severity, Snippet, Step};
use crate::machine::Phase;
use crate::model::BaseUrl;

/// Prints the snippet for other DHCP servers.
const SNIPPET_COMMAND: &str = "provisioning dhcp-snippet dnsmasq|isc|kea|mikrotik|opnsense";

/// A finding's stable name.
pub(super) fn name(finding: &Finding) -> &'static str {
    match finding {
        Finding::NeverSeen => "never_seen",
        Finding::OtherNic(_) => "other_nic",
        Finding::UnderWay => "under_way",
        Finding::Downloading(_) => "downloading",
        Finding::LeftAlone => "left_alone",
        Finding::NoAddress(_) => "no_address",
        Finding::NoOffer => "no_offer",
        Finding::Denied(_) => "denied",
        Finding::OfferIgnored => "offer_ignored",
        Finding::OfferNotTaken => "offer_not_taken",
        Finding::HttpBootSilent => "http_boot_silent",
        Finding::ProgramNeverFetched => "program_never_fetched",
        Finding::ProgramMissing(_) => "program_missing",
        Finding::ProgramBroken(_) => "program_broken",
        Finding::ProgramNotStarted(_) => "program_not_started",
        Finding::IpxeWithoutAddress => "ipxe_without_address",
        Finding::ScriptNotFetched => "script_not_fetched",
        Finding::UrlTooLong(_) => "url_too_long",
        Finding::NotRegistered => "not_registered",
        Finding::NotArmed(_) => "not_armed",
        Finding::BootsDisk => "boots_disk",
        Finding::NetbootLoop(_) => "netboot_loop",
        Finding::KernelNotFetched => "kernel_not_fetched",
        Finding::DownloadStalled(_) => "download_stalled",
        Finding::AnswerNotAsked => "answer_not_asked",
        Finding::InstallerRestarts(_) => "installer_restarts",
        Finding::AnswerRefused(_) => "answer_refused",
        Finding::Done => "done",
    }
}

/// How much a finding matters for a host in this phase.
pub(super) fn severity(finding: &Finding, phase: Option<Phase>) -> Severity {
    let is_awaited = matches!(phase, Some(Phase::PxeReady | Phase::PxeBooted));
    match finding {
        Finding::Done | Finding::BootsDisk | Finding::Downloading(_) => Severity::Fine,
        Finding::UnderWay => Severity::Waiting,
        Finding::NotArmed(Phase::PxeReady) => Severity::Waiting,
        Finding::NeverSeen if is_awaited || phase.is_none() => Severity::Attention,
        Finding::NeverSeen => Severity::Fine,
        Finding::NotRegistered | Finding::NotArmed(_) | Finding::OtherNic(_) | Finding::NetbootLoop(_) => {
            Severity::Attention
        }
        Finding::LeftAlone if phase.is_none() => Severity::Attention,
        // A machine that nobody waits for may stop netbooting where it likes.
        _ if phase.is_none() || is_awaited => Severity::Trouble,
        _ => Severity::Attention,
    }
}

/// The step whose absence is the finding.
pub(super) fn missing(finding: &Finding, attempt: &Attempt<'_>) -> Option<Step> {
    match finding {
        Finding::NeverSeen | Finding::OtherNic(_) => Some(Step::FirmwareAsked),
        Finding::UnderWay | Finding::Downloading(_) | Finding::Done | Finding::BootsDisk | Finding::NetbootLoop(_) => {
            None
        }
        Finding::LeftAlone | Finding::NoAddress(_) | Finding::NoOffer => Some(Step::Offered),
        Finding::Denied(_) | Finding::OfferIgnored | Finding::OfferNotTaken => Some(Step::ProgramAsked),
        Finding::ProgramNeverFetched | Finding::ProgramMissing(_) | Finding::ProgramBroken(_) => {
            Some(Step::ProgramLoaded)
        }
        Finding::HttpBootSilent | Finding::ProgramNotStarted(_) => Some(Step::IpxeAsked),
        Finding::IpxeWithoutAddress if attempt.first_at(Step::IpxeAsked).is_none() => Some(Step::IpxeAsked),
        Finding::IpxeWithoutAddress | Finding::ScriptNotFetched | Finding::UrlTooLong(_) => Some(Step::ScriptFetched),
        Finding::NotRegistered | Finding::NotArmed(_) | Finding::KernelNotFetched => Some(Step::KernelFetched),
        Finding::DownloadStalled(_) => Some(match attempt.progress() {
            Some(progress) if !progress.kernel.is_done() => Step::KernelFetched,
            _ => Step::InitrdFetched,
        }),
        Finding::AnswerNotAsked | Finding::AnswerRefused(_) | Finding::InstallerRestarts(_) => {
            Some(Step::AnswerFetched)
        }
    }
}

/// The finding in one sentence, without full stop.
pub(super) fn summary(finding: &Finding, case: &Case<'_>) -> String {
    let plain = match finding {
        Finding::NeverSeen => "Nothing has been seen of this NIC",
        Finding::OtherNic(mac) => return format!("Nothing has been seen of this NIC; the host netboots by {mac}"),
        Finding::UnderWay => "It is on its way: its last step was a moment ago",
        Finding::Downloading(percent) => return format!("It is loading the installer: {percent} %"),
        Finding::LeftAlone => "It asked what to boot and was left alone, since it was not registered",
        Finding::NoAddress(_) => "It asked what to boot, and our boot server has no subnet or address for it",
        Finding::NoOffer => "It asks what to boot, and our boot server makes it no offer",
        Finding::Denied(_) => "It was denied the address it asked for",
        Finding::OfferIgnored => "It was offered iPXE by proxy-DHCP and never came for it",
        Finding::OfferNotTaken => "It was offered an address and iPXE, and took neither",
        Finding::HttpBootSilent => "It was offered iPXE by UEFI HTTP Boot, and iPXE never started",
        Finding::ProgramNeverFetched => "It was told which program to load and never fetched it by TFTP",
        Finding::ProgramMissing(file) => return format!("It asked by TFTP for {file}, which is not there"),
        Finding::ProgramBroken(_) => "Loading the boot program by TFTP broke off",
        Finding::ProgramNotStarted(Some(file)) => return format!("It loaded {file}, and iPXE never spoke"),
        Finding::ProgramNotStarted(None) => "It loaded the boot program, and iPXE never spoke",
        Finding::IpxeWithoutAddress => "iPXE runs on it and gets no answer from DHCP",
        Finding::ScriptNotFetched => "iPXE was told where its script is and never fetched it",
        Finding::UrlTooLong(length) => {
            return format!("iPXE was told a URL of {length} characters or more; DHCP carries 127 and cuts the rest");
        }
        Finding::NotRegistered => "It asked for a boot script and was sent on, since no host has this address",
        Finding::NotArmed(Phase::PxeReady) => "It netbooted before the host was armed, and was sent on",
        Finding::NotArmed(_) => "It netbooted and was not installed, since its host is not armed",
        Finding::BootsDisk => "It netbooted and was sent to its own disk, as it should be",
        Finding::NetbootLoop(times) => {
            return format!(
                "It netbooted {times} times within a quarter of an hour, and was sent to its disk each time"
            );
        }
        Finding::KernelNotFetched => "It has the installer's boot script and never asked for the kernel",
        Finding::DownloadStalled(part) => {
            return format!("Its download stands still at {} of {} bytes", part.bytes, part.total);
        }
        Finding::AnswerNotAsked => "It has loaded the installer, which has not asked for its answer file",
        Finding::InstallerRestarts(times) => {
            return format!(
                "The installer was started {times} times within half an hour and never asked for its answer"
            );
        }
        Finding::AnswerRefused(why) => return format!("Its installer was refused its answer file: {why}"),
        Finding::Done if matches!(case.phase, Some(Phase::Ready)) => "Netbooting is over: the host is ready",
        Finding::Done => "Netbooting is over: the installer has its answer file",
    };
    plain.to_owned()
}

/// Why it is likely so.
pub(super) fn cause(finding: &Finding, case: &Case<'_>) -> Option<String> {
    let url = case.public_url;
    Some(match finding {
        Finding::NeverSeen => "the machine is off, boots from its disk, or its requests do not reach the boot server: \
            another VLAN, or a switch that takes half a minute to open the port"
            .to_owned(),
        Finding::OtherNic(_) => "its firmware tries that NIC first, or the cable is plugged in there".to_owned(),
        Finding::LeftAlone if case.phase.is_some() => {
            "it asked before its host was registered, or the boot server has not taken over the new plan".to_owned()
        }
        Finding::LeftAlone => "pxe.respond_to is `registered`, and no host has this address".to_owned(),
        Finding::NoAddress(why) => format!("the boot server says: {why}; the subnet is not the machine's"),
        Finding::NoOffer => {
            "the boot server sees the request and has nothing for this kind of machine, or it came from a network that \
             it does not serve"
                .to_owned()
        }
        Finding::Denied(why) => format!("it asks for an address of another network or DHCP server ({why})"),
        Finding::OfferIgnored => {
            "this firmware does not merge a proxy offer with the offer of the site's DHCP server; \
            else another PXE server on this network answered first, or a firewall drops UDP port 4011"
                .to_owned()
        }
        Finding::OfferNotTaken => "another DHCP server on this network answered first".to_owned(),
        Finding::HttpBootSilent => format!(
            "the firmware could not fetch iPXE over HTTP from {url}: a firewall, an address that it cannot reach, HTTPS \
             only in its settings, or Secure Boot"
        ),
        Finding::ProgramNeverFetched => "TFTP does not get through: a firewall on UDP port 69, or an address of ours \
            that the machine cannot reach"
            .to_owned(),
        Finding::ProgramMissing(_) => "the iPXE programs are not where the boot server looks for them, or the site's \
            own DHCP server names another file"
            .to_owned(),
        Finding::ProgramBroken(why) => {
            format!("packets are lost, or a firewall lets only the first one through ({why})")
        }
        Finding::ProgramNotStarted(_) => {
            "Secure Boot refuses iPXE, which is not signed by Microsoft; else the program \
            is damaged, or not made for this kind of firmware"
                .to_owned()
        }
        Finding::IpxeWithoutAddress => {
            "the switch closes the port for half a minute when iPXE resets the NIC (spanning \
            tree), no DHCP server hands out addresses here, or this iPXE does not know the NIC"
                .to_owned()
        }
        Finding::ScriptNotFetched => format!(
            "the machine cannot reach {url}: a firewall, a wrong server.public_url, \
            or a name that its DNS server does not know"
        ),
        Finding::UrlTooLong(_) => "server.public_url, or the URL in the site's own DHCP server, is too long".to_owned(),
        Finding::NotRegistered => "no host was registered with this address".to_owned(),
        Finding::NotArmed(Phase::PxeReady) => "the rebuild was started after the machine had asked".to_owned(),
        Finding::NotArmed(Phase::Failed) => "its last operation has failed; only a new one arms it".to_owned(),
        Finding::NotArmed(_) => "nobody has started a rebuild of this host".to_owned(),
        Finding::NetbootLoop(_) => {
            "the network comes first in its boot order and its disk does not boot: the firmware \
            goes round"
                .to_owned()
        }
        Finding::KernelNotFetched => format!(
            "the URLs in the script lead nowhere for it: {url} is not reachable from \
            this network, or HTTPS is asked of an iPXE that cannot do it"
        ),
        Finding::DownloadStalled(_) => "the link is broken or very slow, or the machine has too little memory for \
            the image"
            .to_owned(),
        Finding::AnswerNotAsked => "the installer's kernel does not know the NIC or the machine has too little memory \
            (8 GiB are safe); else DHCP gives the installer no address"
            .to_owned(),
        Finding::InstallerRestarts(_) => {
            "the installer's kernel crashes, or the machine has too little memory for the \
            image (8 GiB are safe)"
                .to_owned()
        }
        Finding::AnswerRefused(_)
        | Finding::UnderWay
        | Finding::Downloading(_)
        | Finding::BootsDisk
        | Finding::Done => return None,
    })
}

/// What to do, the likeliest remedy first.
pub(super) fn advice(finding: &Finding, case: &Case<'_>) -> Vec<String> {
    let (url, mac) = (case.public_url, case.mac);
    let lines: &[&str] = match finding {
        Finding::NeverSeen => &[
            "Switch it on and choose network boot, usually F12 or F11 at its start",
            "Compare the address with the one on the machine's label or in its firmware",
            "Put it into the boot server's VLAN (pxe.interface), or let the router relay DHCP to this server",
            "Turn on portfast (edge port) at its switch port",
        ],
        Finding::OtherNic(other) => {
            return vec![
                format!("Nothing, if {other} is the NIC it shall boot from"),
                "Else move the cable, or change the firmware's boot order".to_owned(),
            ];
        }
        Finding::LeftAlone if case.phase.is_some() => &["Restart the machine into the network once more"],
        Finding::LeftAlone => {
            return vec![
                format!("Adopt it: provisioning discovered adopt {mac} NAME --server-type KEY"),
                "Or set pxe.respond_to: all, so that unknown machines are answered too".to_owned(),
            ];
        }
        Finding::NoAddress(_) => &[
            "Set pxe.interface and pxe.subnet to the network that the machine is in",
            "If it is behind a router, let that relay DHCP to this server",
        ],
        Finding::NoOffer => &[
            "Check the boot server's warnings in the log: a missing iPXE program leaves its kind of machine unanswered",
            "Set pxe.interface to the interface of the machine's network",
            "In the firmware, choose IPv4 PXE and not IPv6",
        ],
        Finding::Denied(_) => {
            &["See that only one DHCP server hands out addresses on this network", "Power it off and on"]
        }
        Finding::OfferIgnored => &[
            "Put the lines below into the site's own DHCP server: then there is one offer, and nothing to merge",
            "Switch off other PXE servers on this network (WDS, FOG, MAAS, a NAS)",
            "Let UDP ports 67, 69 and 4011 through this server's firewall",
        ],
        Finding::OfferNotTaken => {
            &["Switch the other DHCP server off on this network, or set pxe.mode: proxy to live beside it"]
        }
        Finding::HttpBootSilent => {
            return vec![
                format!("Let TCP through to {url} from the machine's network"),
                "Allow plain HTTP in the firmware's HTTP Boot settings, and turn Secure Boot off".to_owned(),
                "Or choose PXE over IPv4 instead of HTTP Boot".to_owned(),
            ];
        }
        Finding::ProgramNeverFetched => &[
            "Let UDP port 69 through this server's firewall, in both directions",
            "Check that the machine's network can reach this server's address",
        ],
        Finding::ProgramMissing(_) => &[
            "Install the iPXE programs (Debian's package ipxe), or set pxe.ipxe_dir to where they are",
            "If the site's own DHCP server names the file, let it name undionly.kpxe (BIOS) or ipxe.efi (UEFI)",
        ],
        Finding::ProgramBroken(_) => &[
            "Start it once more: one broken transfer means little",
            "Let UDP through in both directions: TFTP answers from a port of its own",
            "Look for a damaged cable or a jumbo-frame mismatch",
        ],
        Finding::ProgramNotStarted(_) => &[
            "Turn Secure Boot off in the firmware",
            "See that UEFI machines get ipxe.efi and BIOS machines undionly.kpxe",
            "Use a newer iPXE (Debian 13's), or snponly.efi where ipxe.efi does not know the NIC",
        ],
        Finding::IpxeWithoutAddress => &[
            "Turn on portfast (edge port) at its switch port",
            "See that a DHCP server hands out addresses on this network",
            "Use a newer iPXE, or snponly.efi, which drives the NIC through the firmware",
        ],
        Finding::ScriptNotFetched => {
            return vec![
                format!("Open {url}/healthz from another machine of this network: it says ok"),
                "Let TCP through this server's firewall on that port".to_owned(),
                "Set server.public_url to an address that machines can reach; an IP address needs no DNS".to_owned(),
            ];
        }
        Finding::UrlTooLong(_) => &["Use a short server.public_url, such as http://10.0.0.2:8080"],
        Finding::NotRegistered => {
            return vec![format!("Adopt it: provisioning discovered adopt {mac} NAME --server-type KEY")];
        }
        Finding::NotArmed(Phase::PxeReady) => &["Restart the machine into the network"],
        Finding::NotArmed(_) => &["Start a rebuild of the host, then restart the machine into the network"],
        Finding::NetbootLoop(_) => &[
            "Look at its screen: does the disk boot? If not, rebuild the host",
            "Put the disk first in its boot order, or leave the network first: a working disk is booted either way",
        ],
        Finding::KernelNotFetched => {
            return vec![
                format!("Open {url}/healthz from another machine of this network: it says ok"),
                "Look at the machine's screen: iPXE names the file and the reason".to_owned(),
                "Use http:// in server.public_url, or an iPXE that can do HTTPS (Debian 13's)".to_owned(),
            ];
        }
        Finding::DownloadStalled(_) => &[
            "Look at the machine's screen for an error of iPXE",
            "Give it more memory, 8 GiB at least: the whole image is held in it",
            "Check cable and switch port, then restart the machine into the network",
        ],
        Finding::AnswerNotAsked => &[
            "Look at the machine's screen: the installer says what it waits for",
            "Give it 8 GiB of memory or more: the whole image is held in it",
            "See that DHCP also answers an ordinary client on this network",
        ],
        Finding::InstallerRestarts(_) => &[
            "Look at the machine's screen for a kernel panic",
            "Give it 8 GiB of memory or more",
            "Try a newer image: its kernel knows newer hardware",
        ],
        Finding::AnswerRefused(_) => &["Mend what the refusal names, then restart the machine into the network"],
        Finding::UnderWay => &["Look again in a moment"],
        Finding::Downloading(_) | Finding::BootsDisk | Finding::Done => &[],
    };
    lines.iter().map(|line| (*line).to_owned()).collect()
}

/// What is worth knowing beside the finding.
pub(super) fn notes(attempt: &Attempt<'_>) -> Vec<String> {
    let old = attempt.agent().filter(|agent| is_outdated(agent));
    let old = old.map(|agent| {
        format!(
            "{agent} is older than 2021: on UEFI it cannot boot the local disk reliably and may hang; use the iPXE of \
             Debian 13 or newer"
        )
    });
    old.into_iter().collect()
}

/// Whether an iPXE is from before 2021, by what it calls itself: 1.21.1 is the release of the last day of 2020, and
/// Debian writes the commit's date into its own.
fn is_outdated(agent: &str) -> bool {
    let Some(version) = agent.strip_prefix("iPXE/") else { return false };
    if let Some((_, commit)) = version.split_once("git-") {
        let year = commit.get(..4).and_then(|year| year.parse::<u16>().ok());
        if let Some(year) = year.filter(|year| (2005..2100).contains(year)) {
            return year < 2021;
        }
    }
    let mut numbers = version.split(['.', '+', ' ', '-']).map_while(|part| part.parse::<u16>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => (major, minor) < (1, 21),
        _ => false,
    }
}

/// What to put into the site's own DHCP server, where that is the remedy.
pub(super) fn snippet(finding: &Finding, public_url: &BaseUrl) -> Option<Snippet> {
    if *finding != Finding::OfferIgnored {
        return None;
    }
    let url = public_url.join("/ipxe/${mac}");
    let server = host_of(public_url);
    let lines = vec![
        "# dnsmasq, beside its own dhcp-range".to_owned(),
        "dhcp-userclass=set:ipxe,iPXE".to_owned(),
        "dhcp-match=set:ipxe,175".to_owned(),
        "dhcp-match=set:efi64,option:client-arch,7".to_owned(),
        "dhcp-match=set:efi64,option:client-arch,9".to_owned(),
        format!("dhcp-boot=tag:ipxe,{url},,{server}"),
        format!("dhcp-boot=tag:!ipxe,tag:efi64,ipxe.efi,,{server}"),
        format!("dhcp-boot=tag:!ipxe,tag:!efi64,undionly.kpxe,,{server}"),
    ];
    Some(Snippet { server: "dnsmasq", lines, command: SNIPPET_COMMAND })
}

/// The host of our URL: by default the boot server's address too.
fn host_of(url: &BaseUrl) -> &str {
    let rest = url.as_str().split_once("://").map_or(url.as_str(), |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    match authority.strip_prefix('[').and_then(|v6| v6.split_once(']')) {
        Some((address, _)) => address,
        None => authority.split(':').next().unwrap_or(authority),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipxe_of_before_2021_is_outdated() {
        for old in ["iPXE/1.0.0+git-20190125.36a4c85-5.1", "iPXE/1.20.1", "iPXE/1.0.0"] {
            assert!(is_outdated(old), "{old}");
        }
        for new in [
            "iPXE/1.21.1+git20250501",
            "iPXE/1.0.0+git-20220211.e5e5b3e",
            "iPXE/2.0",
            "UefiHttpBoot/1.0",
            "curl/8",
            "iPXE/",
        ] {
            assert!(!is_outdated(new), "{new}");
        }
    }

    #[test]
    fn the_host_of_a_url_is_without_port_and_brackets() {
        for (url, host) in [
            ("http://10.0.0.2:8080", "10.0.0.2"),
            ("https://boot.lan/a", "boot.lan"),
            ("http://[fd00::2]:80", "fd00::2"),
        ] {
            assert_eq!(host_of(&url.parse().unwrap()), host);
        }
    }
}
