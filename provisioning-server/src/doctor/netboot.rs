//! Netbooting: our own dnsmasq, and who else answers machines on their LAN.

use provisioning_adapters::dnsmasq::Addresses;

use super::Check;
use crate::config::Config;
use crate::wire::upkeep::{Offer, examine_boot_server, other_dhcp_servers};

const LAN: &str = "dhcp-servers";

pub(super) async fn checks(config: &Config, server: Option<i32>, lan: bool) -> Vec<Check> {
    let mut checks = vec![];
    if config.pxe.enabled {
        match examine_boot_server(config, server).await {
            Err(error) => checks.push(Check::failed("dnsmasq", format!("{error:#}"), "mend what is said of the key")),
            Ok(findings) => checks.extend(findings.into_iter().map(|finding| match finding.outcome {
                Ok(found) => Check::ok(finding.about, found),
                Err(fault) => Check::failed(finding.about, fault, remedy(finding.about)),
            })),
        }
    } else {
        checks.push(Check::skipped("dnsmasq", "pxe.enabled is false: your own DHCP server answers machines"));
    }
    let is_up = checks.iter().all(|check| check.name != "interface" || check.what_to_do.is_none());
    if (config.pxe.enabled && is_up) || (lan && config.pxe.interface.is_some()) {
        checks.push(dhcp_servers(config).await);
    } else {
        checks.push(Check::skipped(LAN, "asked with --lan and pxe.interface, or with pxe.enabled"));
    }
    checks
}

fn remedy(about: &str) -> &'static str {
    match about {
        "dnsmasq" => "install dnsmasq (Debian: apt-get install dnsmasq-base), or set pxe.dnsmasq to where it is",
        "interface" => "set pxe.interface, and pxe.subnet, to the LAN of the hosts (ip addr shows what there is)",
        "capabilities" => "run the server as root, or with the capabilities of its systemd unit",
        "boot-programs" => {
            "install iPXE's programs (Debian 13 or newer: apt-get install ipxe), or set pxe.ipxe_dir to where such are"
        }
        "dhcp-ports" => {
            "stop what holds the port, or keep it off this interface; or leave DHCP to it: pxe.enabled: false, \
                         then provisioning dhcp-snippet"
        }
        _ => "mend the keys below pxe",
    }
}

async fn dhcp_servers(config: &Config) -> Check {
    let asked = config.clone();
    match tokio::task::spawn_blocking(move || other_dhcp_servers(&asked)).await {
        Err(error) => Check::failed(LAN, error.to_string(), "run provisioning doctor again"),
        Ok(Err(error)) => Check::warning(
            LAN,
            format!("the LAN cannot be asked: {error:#}"),
            "run this as root, or as a user who may open port 68, for this check",
        ),
        Ok(Ok(offers)) => judge(&offers, &config.pxe.addresses, config.pxe.enabled),
    }
}

/// Whether what the others offer goes together with what we do.
fn judge(offers: &[Offer], ours: &Addresses, is_ours_on: bool) -> Check {
    let of = |wanted: fn(&Offer) -> bool| {
        let mut servers: Vec<String> =
            offers.iter().filter(|offer| wanted(offer)).map(|offer| offer.server.to_string()).collect();
        servers.dedup();
        servers.join(", ")
    };
    let (lending, booting) = (of(|offer| offer.address.is_some()), of(|offer| offer.boots));
    if is_ours_on && !booting.is_empty() {
        let found = format!("{booting} tells netbooting machines what to boot, as this server does");
        let what_to_do = "take the boot options (66, 67, next-server) out of that DHCP server, or set pxe.enabled: false and \
                          give it provisioning dhcp-snippet";
        return Check::failed(LAN, found, what_to_do);
    }
    match ours {
        Addresses::Dhcp(_) if is_ours_on && !lending.is_empty() => Check::failed(
            LAN,
            format!("{lending} hands out addresses on the LAN, as this server does: machines get either one's"),
            "set pxe.mode: proxy, which leaves addresses to the other, or switch the other off on this LAN",
        ),
        Addresses::Dhcp(_) if is_ours_on => {
            Check::ok(LAN, "no other DHCP server answers, as it should be with pxe.mode: dhcp")
        }
        _ if lending.is_empty() => Check::warning(
            LAN,
            "no DHCP server offers an address: netbooting machines get none",
            "see that the LAN's DHCP server runs; on an isolated LAN set pxe.mode: dhcp",
        ),
        _ => Check::ok(LAN, format!("{lending} hands out addresses")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use provisioning_adapters::dnsmasq::Pool;

    use super::super::State;
    use super::*;

    #[test]
    fn one_dhcp_server_hands_out_addresses_and_one_tells_what_to_boot() {
        let address = Ipv4Addr::new(10, 0, 0, 50);
        let pool =
            Pool { first: address, last: address, lease_time: Duration::from_secs(3600), router: None, dns: vec![] };
        let offer = |address: Option<Ipv4Addr>, boots| Offer { server: Ipv4Addr::new(10, 0, 0, 1), address, boots };
        let (lends, boots) = (offer(Some(address), false), offer(None, true));
        let (proxy, full) = (Addresses::Proxy, Addresses::Dhcp(pool));
        for (offers, ours, expected) in [
            (vec![lends.clone()], &proxy, State::Ok),
            (vec![], &proxy, State::Warning),
            (vec![lends.clone(), boots.clone()], &proxy, State::Failed),
            (vec![], &full, State::Ok),
            (vec![lends.clone()], &full, State::Failed),
        ] {
            let check = judge(&offers, ours, true);
            assert_eq!(check.state, expected, "{check:?}");
        }
        assert_eq!(judge(&[lends, boots], &proxy, false).state, State::Ok, "then all of it is the other's");
    }
}
