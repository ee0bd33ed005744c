//! The section `network`: what DHCP gave, or the fixed address that the host was registered with.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use super::error::{AddressFault, AnswerError};
use crate::model::{Host, Site};

/// The section. `source` is always written: 9.2 demands it and all others know it. There is never a table
/// `interface-name-pinning`, which 9.2 takes for enabled even when it says the opposite.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "source", rename_all = "kebab-case")]
pub(super) enum Network {
    /// The installer keeps the lease it got, as a fixed address.
    FromDhcp,
    /// A fixed address for one NIC.
    FromAnswer {
        /// Address and prefix.
        cidr: IpNet,
        /// Exactly one name server.
        dns: IpAddr,
        /// The default gateway.
        gateway: IpAddr,
        /// Which NIC gets it.
        filter: NicFilter,
    },
}

/// Finds the NIC by its MAC: udev's name of that kind is `enx` and the twelve digits in lower case.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct NicFilter {
    #[serde(rename = "ID_NET_NAME_MAC")]
    name_by_mac: String,
}

impl Network {
    pub(super) fn new(host: &Host, site: &Site) -> Result<Self, AnswerError> {
        let Some(cidr) = host.address else { return Ok(Self::FromDhcp) };
        let around =
            site.static_network.ok_or(AnswerError::NoStaticNetwork { host: host.name.clone(), address: cidr })?;
        let mac = host.macs.first().ok_or_else(|| AnswerError::NoMac { host: host.name.clone() })?;

        let refused =
            |field, value: String| move |fault| AnswerError::Address { field, value, host: host.name.clone(), fault };
        check_address(cidr).map_err(refused("address", cidr.to_string()))?;
        check_gateway(around.gateway, cidr).map_err(refused("gateway", around.gateway.to_string()))?;
        check_unicast(around.dns).map_err(refused("dns", around.dns.to_string()))?;

        let digits = mac.to_string().replace(':', "");
        let filter = NicFilter { name_by_mac: format!("*{digits}") };
        Ok(Self::FromAnswer { cidr, dns: around.dns, gateway: around.gateway, filter })
    }
}

fn check_address(cidr: IpNet) -> Result<(), AddressFault> {
    if cidr.prefix_len() == 0 {
        return Err(AddressFault::NoPrefix);
    }
    check_unicast(cidr.addr())?;
    check_place(cidr.addr(), cidr)
}

/// The gateway must be a neighbour. A link-local one would do for IPv6, but installers before 9.0.6 refuse it.
fn check_gateway(gateway: IpAddr, cidr: IpNet) -> Result<(), AddressFault> {
    let subnet = cidr.trunc();
    check_unicast(gateway)?;
    if gateway.is_ipv4() != cidr.addr().is_ipv4() {
        return Err(AddressFault::OtherFamily { subnet });
    }
    if !subnet.contains(&gateway) {
        return Err(AddressFault::Outside { subnet });
    }
    if gateway == cidr.addr() {
        return Err(AddressFault::HostItself);
    }
    // The lowest IPv6 address of a subnet means "any of its routers", so it may well be the gateway.
    if gateway.is_ipv4() { check_place(gateway, cidr) } else { Ok(()) }
}

/// Neither end of the subnet is a host's address, except where a subnet has no room for more.
fn check_place(ip: IpAddr, cidr: IpNet) -> Result<(), AddressFault> {
    let subnet = cidr.trunc();
    if cidr.max_prefix_len() - cidr.prefix_len() < 2 {
        return Ok(());
    }
    if ip == cidr.network() {
        return Err(AddressFault::Network { subnet });
    }
    if ip.is_ipv4() && ip == cidr.broadcast() {
        return Err(AddressFault::Broadcast { subnet });
    }
    Ok(())
}

fn check_unicast(ip: IpAddr) -> Result<(), AddressFault> {
    let everyone = ip == IpAddr::V4(std::net::Ipv4Addr::BROADCAST);
    if ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || everyone {
        Err(AddressFault::NoUnicast)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_that_no_host_can_have_is_refused() {
        let lan = subnet("10.0.0.0/24");
        let cases = [
            ("10.0.0.5/24", Ok(())),
            ("10.0.0.0/24", Err(AddressFault::Network { subnet: lan })),
            ("10.0.0.255/24", Err(AddressFault::Broadcast { subnet: lan })),
            ("10.0.0.255/23", Ok(())),
            ("10.0.0.0/31", Ok(())),
            ("10.0.0.0/32", Ok(())),
            ("10.0.0.5/0", Err(AddressFault::NoPrefix)),
            ("127.0.0.1/8", Err(AddressFault::NoUnicast)),
            ("0.0.0.0/8", Err(AddressFault::NoUnicast)),
            ("224.0.0.9/24", Err(AddressFault::NoUnicast)),
            ("255.255.255.255/32", Err(AddressFault::NoUnicast)),
            ("2001:db8::5/64", Ok(())),
            ("2001:db8::/64", Err(AddressFault::Network { subnet: subnet("2001:db8::/64") })),
            ("2001:db8::ffff:ffff:ffff:ffff/64", Ok(())),
            ("::1/128", Err(AddressFault::NoUnicast)),
        ];
        for (text, expected) in cases {
            assert_eq!(check_address(subnet(text)), expected, "{text}");
        }
    }

    #[test]
    fn a_gateway_that_could_not_be_reached_is_refused() {
        let v4 = "10.0.0.5/24";
        let lan = subnet("10.0.0.0/24");
        let v6 = "2001:db8::5/64";
        let lan6 = subnet("2001:db8::/64");
        let cases = [
            ("10.0.0.1", v4, Ok(())),
            ("10.0.1.1", v4, Err(AddressFault::Outside { subnet: lan })),
            ("10.0.0.5", v4, Err(AddressFault::HostItself)),
            ("10.0.0.0", v4, Err(AddressFault::Network { subnet: lan })),
            ("10.0.0.255", v4, Err(AddressFault::Broadcast { subnet: lan })),
            ("2001:db8::1", v4, Err(AddressFault::OtherFamily { subnet: lan })),
            ("0.0.0.0", v4, Err(AddressFault::NoUnicast)),
            ("10.0.0.4", "10.0.0.5/31", Ok(())),
            ("10.0.0.1", "10.0.0.5/32", Err(AddressFault::Outside { subnet: subnet("10.0.0.5/32") })),
            ("2001:db8::1", v6, Ok(())),
            ("2001:db8::", v6, Ok(())),
            ("fe80::1", v6, Err(AddressFault::Outside { subnet: lan6 })),
            ("10.0.0.1", v6, Err(AddressFault::OtherFamily { subnet: lan6 })),
        ];
        for (gateway, cidr, expected) in cases {
            assert_eq!(check_gateway(gateway.parse().unwrap(), subnet(cidr)), expected, "{gateway} for {cidr}");
        }
    }
}
