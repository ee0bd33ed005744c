//! The hosts file: the machines of the boot plan, one line each, read again by dnsmasq on SIGHUP.
//!
//! A line is `MAC[,ADDRESS] # HOST ANSWER`. Only the part before the `#` means something to dnsmasq; the rest lets the
//! plan be read back. No line sets a tag: dnsmasq 2.86 to 2.90 writes to the tags of a line when a machine asks, frees
//! them at the next SIGHUP, and dies of that (seen with 2.90, in proxy and in full mode).

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;

use ipnet::Ipv4Net;
use provisioning_core::machine::BootAnswer;
use provisioning_core::ports::{BootEntry, BootPlan};

/// The file for a plan. Addresses are kept only in full DHCP, and only those of the network, each for one NIC.
pub fn hosts_file(plan: &BootPlan, reserve_in: Option<Ipv4Net>) -> String {
    let mut taken = BTreeSet::new();
    let mut text = String::new();
    for entry in &plan.entries {
        let address = match (entry.address, reserve_in) {
            (Some(IpAddr::V4(address)), Some(net)) if net.contains(&address) && taken.insert(address) => Some(address),
            _ => None,
        };
        let address = address.map(|address| format!(",{address}")).unwrap_or_default();
        writeln!(text, "{}{address} # {} {}", entry.mac, entry.host, word(entry.answer))
            .expect("writing to a String never fails");
    }
    text
}

/// The plan that a file was written for; lines that are none of ours are left out. Addresses are told as far as they
/// are kept.
pub fn read_hosts_file(text: &str) -> BootPlan {
    BootPlan { entries: text.lines().filter_map(entry).collect() }
}

fn entry(line: &str) -> Option<BootEntry> {
    let (machine, note) = line.split_once(" # ")?;
    let (host, answer) = note.split_once(' ')?;
    let (mac, address) = match machine.split_once(',') {
        Some((mac, address)) => (mac, Some(address.parse().ok()?)),
        None => (machine, None),
    };
    let answer = [BootAnswer::Installer, BootAnswer::LocalDisk, BootAnswer::NextDevice]
        .into_iter()
        .find(|known| word(*known) == answer)?;
    Some(BootEntry { mac: mac.parse().ok()?, host: host.parse().ok()?, answer, address })
}

fn word(answer: BootAnswer) -> &'static str {
    match answer {
        BootAnswer::Installer => "installer",
        BootAnswer::LocalDisk => "local-disk",
        BootAnswer::NextDevice => "next-device",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(n: u8, address: Option<&str>) -> BootEntry {
        BootEntry {
            mac: format!("52:54:00:00:00:{n:02x}").parse().unwrap(),
            host: format!("pve-{n:02}").parse().unwrap(),
            answer: [BootAnswer::Installer, BootAnswer::LocalDisk, BootAnswer::NextDevice][usize::from(n % 3)],
            address: address.map(|address| address.parse().unwrap()),
        }
    }

    #[test]
    fn an_address_is_kept_once_and_only_in_its_network() {
        let addresses = [Some("10.0.0.50"), Some("10.0.0.50"), Some("10.9.0.50"), Some("fd00::1"), None];
        let plan = BootPlan { entries: (1..).zip(addresses).map(|(n, address)| entry(n, address)).collect() };
        let text = hosts_file(&plan, Some("10.0.0.2/24".parse().unwrap()));
        assert_eq!(
            text,
            "52:54:00:00:00:01,10.0.0.50 # pve-01 local-disk\n\
             52:54:00:00:00:02 # pve-02 next-device\n\
             52:54:00:00:00:03 # pve-03 installer\n\
             52:54:00:00:00:04 # pve-04 local-disk\n\
             52:54:00:00:00:05 # pve-05 next-device\n"
        );
        assert!(!hosts_file(&plan, None).contains("10.0.0.50"), "proxy-DHCP gives no addresses");
    }

    proptest! {
        #[test]
        fn a_plan_is_read_back_as_it_was_written(numbers in prop::collection::btree_set(1_u8..90, 0..20)) {
            let entries = numbers.into_iter().map(|n| {
                let address = format!("10.0.0.{n}");
                entry(n, (n % 2 == 0).then_some(address.as_str()))
            });
            let plan = BootPlan { entries: entries.collect() };
            let net = "10.0.0.0/24".parse().unwrap();
            prop_assert_eq!(read_hosts_file(&hosts_file(&plan, Some(net))), plan);
        }

        #[test]
        fn no_file_makes_the_reader_panic(text in ".{0,200}") {
            read_hosts_file(&text);
        }
    }
}
