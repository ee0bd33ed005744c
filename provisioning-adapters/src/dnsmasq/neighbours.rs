//! Which MAC address stands behind an IPv4 address, as the kernel's neighbour table knows it.

use std::net::Ipv4Addr;

use provisioning_core::model::MacAddr;

/// The table of the network namespace of the thread that asks.
const TABLE: &str = "/proc/thread-self/net/arp";

/// The NIC behind `address` on `interface`; `None` when the kernel has not talked to it lately.
pub(super) fn mac_of(address: Ipv4Addr, interface: &str) -> Option<MacAddr> {
    find(&std::fs::read_to_string(TABLE).ok()?, address, interface)
}

/// `IP-address HW-type Flags HW-address Mask Device`; flag 2 says that the entry is complete.
fn find(table: &str, address: Ipv4Addr, interface: &str) -> Option<MacAddr> {
    table.lines().skip(1).find_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let &[ip, _, flags, mac, _, device] = words.as_slice() else { return None };
        let complete = u32::from_str_radix(flags.strip_prefix("0x")?, 16).ok()? & 2 != 0;
        (complete && device == interface && ip.parse() == Ok(address)).then(|| mac.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "\
IP address       HW type     Flags       HW address            Mask     Device
10.77.0.55       0x1         0x2         22:57:d9:0a:0d:3a     *        eth0
10.77.0.104      0x1         0x0         00:00:00:00:00:00     *        eth0
10.77.0.56       0x1         0x2         22:57:d9:0a:0d:3b     *        eth1
";

    #[test]
    fn only_complete_entries_of_the_interface_count() {
        let find = |address: &str| find(SAMPLE, address.parse().unwrap(), "eth0");
        assert_eq!(find("10.77.0.55"), Some("22:57:d9:0a:0d:3a".parse().unwrap()));
        assert_eq!(find("10.77.0.104"), None);
        assert_eq!(find("10.77.0.56"), None);
        assert_eq!(find("10.77.0.57"), None);
    }
}
