//! Why a finding is likely, and what an operator can do about it, by the part of the way that it lies on.

use super::{Case, Finding, Snippet};
use crate::machine::Phase;
use crate::model::BaseUrl;

/// Prints the snippet for other DHCP servers.
const SNIPPET_COMMAND: &str = "provisioning dhcp-snippet dnsmasq|isc|kea|mikrotik|opnsense";

/// A likely cause, and what to do, the likeliest help first.
#[derive(Debug, Default)]
pub(super) struct Remedy {
    pub(super) cause: Option<String>,
    pub(super) advice: Vec<String>,
}

fn remedy(cause: impl Into<String>, advice: &[&str]) -> Remedy {
    let advice = advice.iter().map(|line| (*line).to_owned()).collect();
    Remedy { cause: Some(cause.into()), advice }
}

/// What helps against a finding; nothing where nothing is the matter.
pub(super) fn remedy_of(finding: &Finding, case: &Case<'_>) -> Remedy {
    before_an_offer(finding, case)
        .or_else(|| behind_an_offer(finding, case.public_url))
        .or_else(|| before_the_script(finding, case.public_url))
        .or_else(|| behind_the_script(finding, case))
        .or_else(|| in_the_installer(finding, case.public_url))
        .unwrap_or_default()
}

fn adopt(case: &Case<'_>) -> String {
    format!("Adopt it: provisioning discovered adopt {} NAME --server-type KEY", case.mac)
}

fn before_an_offer(finding: &Finding, case: &Case<'_>) -> Option<Remedy> {
    Some(match finding {
        Finding::NeverSeen => remedy(
            "the machine is off, boots from its disk, or its requests do not reach the boot server: another VLAN, or a \
             switch that takes half a minute to open the port",
            &[
                "Switch it on and choose network boot, usually F12 or F11 at its start",
                "Compare the address with the one on the machine's label or in its firmware",
                "Put it into the boot server's VLAN (pxe.interface), or let the router relay DHCP to this server",
                "Turn on portfast (edge port) at its switch port",
            ],
        ),
        Finding::TurnedAway(why) => remedy(
            format!("pxe.interface or pxe.subnet is not the machine's network; the boot server says: {why}"),
            &[
                "Set pxe.interface and pxe.subnet to the network that the machine is in",
                "If it is behind a router, let that relay DHCP to this server",
            ],
        ),
        Finding::OtherNic(other) => remedy(
            "its firmware tries that NIC first, or the cable is plugged in there",
            &[
                &format!("Nothing, if {other} is the NIC it shall boot from"),
                "Else move the cable, or change the firmware's boot order",
            ],
        ),
        Finding::LeftAlone if case.phase.is_some() => remedy(
            "it asked before its host was registered, or the boot server has not taken over the new plan",
            &["Restart the machine into the network once more"],
        ),
        Finding::LeftAlone => remedy(
            "pxe.respond_to is `registered`, and no host has this address",
            &[&adopt(case), "Or set pxe.respond_to: all, so that unknown machines are answered too"],
        ),
        Finding::NoAddress(why) => remedy(
            format!("the boot server says: {why}; the subnet is not the machine's"),
            &[
                "Set pxe.interface and pxe.subnet to the network that the machine is in",
                "If it is behind a router, let that relay DHCP to this server",
            ],
        ),
        Finding::NoOffer => remedy(
            "the boot server sees the request and has nothing for this kind of machine, or it came from a network that \
             it does not serve",
            &[
                "Look for warnings of the boot server in the log: without its iPXE program a kind of machine stays \
                 unanswered",
                "Set pxe.interface to the interface of the machine's network",
                "In the firmware, choose PXE over IPv4 and not over IPv6",
            ],
        ),
        _ => return None,
    })
}

fn behind_an_offer(finding: &Finding, url: &BaseUrl) -> Option<Remedy> {
    Some(match finding {
        Finding::Denied(why) => remedy(
            format!("it asks for an address of another network or DHCP server ({why})"),
            &["See that only one DHCP server hands out addresses on this network", "Power it off and on"],
        ),
        Finding::OfferIgnored => remedy(
            "this firmware does not merge a proxy offer with the offer of the site's DHCP server; else another PXE \
             server on this network answered first, or a firewall drops UDP port 4011",
            &[
                "Put the lines below into the site's own DHCP server: then there is one offer, and nothing to merge",
                "Switch off other PXE servers on this network (WDS, FOG, MAAS, a NAS)",
                "Let UDP ports 67, 69 and 4011 through this server's firewall",
            ],
        ),
        Finding::OfferNotTaken => remedy(
            "another DHCP server on this network answered first",
            &["Switch the other DHCP server off on this network, or set pxe.mode: proxy to live beside it"],
        ),
        Finding::HttpBootSilent => remedy(
            format!(
                "the firmware could not fetch iPXE over HTTP from {url}: a firewall, an address that it cannot reach, \
                 HTTPS only in its settings, or Secure Boot"
            ),
            &[
                &format!("Let TCP through to {url} from the machine's network"),
                "Allow plain HTTP in the firmware's HTTP Boot settings, and turn Secure Boot off",
                "Or choose PXE over IPv4 instead of HTTP Boot",
            ],
        ),
        Finding::ProgramNeverFetched => remedy(
            "TFTP does not get through: a firewall on UDP port 69, or an address of ours that the machine cannot reach",
            &[
                "Let UDP port 69 through this server's firewall, in both directions",
                "Check that the machine's network can reach this server's address",
            ],
        ),
        Finding::ProgramMissing(_) => remedy(
            "the iPXE programs are not where the boot server looks for them, or the site's own DHCP server names \
             another file",
            &[
                "Install the iPXE programs: on Debian they come with the package ipxe",
                "If the site's own DHCP server names the file, let it name undionly.kpxe (BIOS) or ipxe.efi (UEFI)",
            ],
        ),
        Finding::ProgramBroken(why) => remedy(
            format!("packets are lost, or a firewall lets only the first one through ({why})"),
            &[
                "Start it once more: one broken transfer means little",
                "Let UDP through in both directions: TFTP answers from a port of its own",
                "Look for a damaged cable or a jumbo-frame mismatch",
            ],
        ),
        _ => return None,
    })
}

fn before_the_script(finding: &Finding, url: &BaseUrl) -> Option<Remedy> {
    Some(match finding {
        Finding::ProgramNotStarted(_) => remedy(
            "Secure Boot refuses iPXE, which is not signed by Microsoft; else the program is damaged, or not made for \
             this kind of firmware",
            &[
                "Turn Secure Boot off in the firmware",
                "See that UEFI machines get ipxe.efi and BIOS machines undionly.kpxe",
                "Use a newer iPXE (Debian 13's), or snponly.efi where ipxe.efi does not know the NIC",
            ],
        ),
        Finding::IpxeWithoutAddress => remedy(
            "the switch closes the port for half a minute when iPXE resets the NIC (spanning tree), no DHCP server \
             hands out addresses here, or this iPXE does not know the NIC",
            &[
                "Turn on portfast (edge port) at its switch port",
                "See that a DHCP server hands out addresses on this network",
                "Use a newer iPXE, or snponly.efi, which drives the NIC through the firmware",
            ],
        ),
        Finding::ScriptNotFetched => remedy(
            format!(
                "the machine cannot reach {url}: a firewall, a wrong server.public_url, or a name that its DNS server \
                 does not know"
            ),
            &[
                &format!("Open {url}/healthz from another machine of this network: it says ok"),
                "Let TCP through this server's firewall on that port",
                "Set server.public_url to an address that machines can reach; an IP address needs no DNS",
            ],
        ),
        Finding::UrlTooLong(_) => remedy(
            "server.public_url, or the URL in the site's own DHCP server, is too long",
            &["Use a short server.public_url, such as http://10.0.0.2:8080"],
        ),
        _ => return None,
    })
}

fn behind_the_script(finding: &Finding, case: &Case<'_>) -> Option<Remedy> {
    Some(match finding {
        Finding::NotRegistered => remedy("no host was registered with this address", &[&adopt(case)]),
        Finding::NotArmed(Phase::PxeReady) => {
            remedy("the rebuild was started after the machine had asked", &["Restart the machine into the network"])
        }
        Finding::NotArmed(phase) => remedy(
            if *phase == Phase::Failed {
                "its last operation has failed; only a new one arms it"
            } else {
                "nobody has started a rebuild of this host"
            },
            &["Start a rebuild of the host, then restart the machine into the network"],
        ),
        Finding::NetbootLoop(_) => remedy(
            "the network comes first in its boot order and its disk does not boot: the firmware goes round",
            &[
                "Look at its screen: does the disk boot? If not, rebuild the host",
                "Put the disk first in its boot order, or leave the network first: a working disk is booted either way",
            ],
        ),
        _ => return None,
    })
}

fn in_the_installer(finding: &Finding, url: &BaseUrl) -> Option<Remedy> {
    Some(match finding {
        Finding::KernelNotFetched => remedy(
            format!(
                "the URLs in the script lead nowhere for it: {url} is not reachable from this network, or HTTPS is \
                 asked of an iPXE that cannot do it"
            ),
            &[
                &format!("Open {url}/healthz from another machine of this network: it says ok"),
                "Look at the machine's screen: iPXE names the file and the reason",
                "Use http:// in server.public_url, or an iPXE that can do HTTPS (Debian 13's)",
            ],
        ),
        Finding::DownloadStalled(_) => remedy(
            "the link is broken or very slow, or the machine has too little memory for the image",
            &[
                "Look at the machine's screen for an error of iPXE",
                "Give it more memory, 8 GiB at least: the whole image is held in it",
                "Check cable and switch port, then restart the machine into the network",
            ],
        ),
        Finding::AnswerNotAsked => remedy(
            "the installer's kernel does not know the NIC or the machine has too little memory (8 GiB are safe); else \
             DHCP gives the installer no address",
            &[
                "Look at the machine's screen: the installer says what it waits for",
                "Give it 8 GiB of memory or more: the whole image is held in it",
                "See that DHCP also answers an ordinary client on this network",
            ],
        ),
        Finding::InstallerRestarts(_) => remedy(
            "the installer's kernel crashes, or the machine has too little memory for the image (8 GiB are safe)",
            &[
                "Look at the machine's screen for a kernel panic",
                "Give it 8 GiB of memory or more",
                "Try a newer image: its kernel knows newer hardware",
            ],
        ),
        Finding::AnswerRefused(why) => {
            remedy(why, &["Mend what the refusal names, then restart the machine into the network"])
        }
        Finding::UnderWay => Remedy { cause: None, advice: vec!["Look again in a moment".to_owned()] },
        _ => return None,
    })
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
