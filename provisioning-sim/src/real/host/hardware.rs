//! What a machine is made of.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use provisioning_core::model::MacAddr;

/// The parts of a machine that an installation depends on.
#[derive(Clone, Debug)]
pub struct Hardware {
    /// NICs in the order of their names. The first one boots.
    pub nics: Vec<Nic>,
    /// Disks in the order of their indices.
    pub disks: Vec<Disk>,
    /// DMI uuid.
    pub uuid: String,
    /// DMI serial number.
    pub serial: String,
    /// UEFI, or else BIOS.
    pub uefi: bool,
    /// The host name that DHCP tells.
    pub dhcp_name: Option<String>,
    /// The address that DHCP gives.
    pub lease: IpNet,
}

/// A network card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// The kernel's name for it.
    pub link: String,
    /// Its address.
    pub mac: MacAddr,
}

/// A disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// The kernel's name for it, without `/dev/`.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
    /// udev properties.
    pub properties: Vec<(String, String)>,
}

/// Names of the disks that machines have unless told otherwise.
const DISKS: [&str; 4] = ["sda", "sdb", "nvme0n1", "nvme1n1"];

impl Hardware {
    /// The hardware of machine number `number` of the fleet `seed`: two NICs, four disks, and an address of its own
    /// in 127.0.0.0/8. Fleets of different seeds rarely share a network, so that several can run on one machine.
    pub fn numbered(seed: u64, number: u16, name: &str) -> Self {
        let [high, low] = number.to_be_bytes();
        let [.., a, b] = seed.to_be_bytes();
        let nic = |port: u8| Nic {
            link: format!("eno{}", port + 1),
            // The locally administered bit keeps clear of real vendors.
            mac: MacAddr::new([0x52, 0x54 | port, a, b, high, low]).expect("not zero and no group address"),
        };
        let serial = format!("SIM{seed:04X}{number:05}");
        let ip = loopback(seed, number);
        Self {
            nics: vec![nic(0), nic(1)],
            disks: DISKS.iter().map(|disk| Disk::named(disk, &serial)).collect(),
            uuid: format!("7b2f1c52-93d1-4a1c-8a55-{:04x}{:04x}{number:04x}", seed % 0x1_0000, seed >> 48),
            serial,
            uefi: number.is_multiple_of(2),
            dhcp_name: Some(name.to_owned()),
            lease: IpNet::new(ip.into(), 8).expect("8 is a prefix of IPv4"),
        }
    }

    /// The same machine with disks of these names; with the usual ones when there is no name.
    #[must_use]
    pub fn with_disks(mut self, names: &[String]) -> Self {
        if !names.is_empty() {
            self.disks = names.iter().map(|name| Disk::named(name, &self.serial)).collect();
        }
        self
    }

    /// The NIC that boots.
    pub fn boot_nic(&self) -> &Nic {
        self.nics.first().expect("a machine has a NIC")
    }

    /// The address that DHCP gives.
    pub fn address(&self) -> IpAddr {
        self.lease.addr()
    }
}

/// 127.x.y.z: x by the seed from 77 to 252 (253 for the last of very many), never ending in 0 or 255.
fn loopback(seed: u64, number: u16) -> Ipv4Addr {
    let (third, fourth) = (number / 250 % 250, number % 250 + 1);
    let second = 77 + u16::try_from(seed % 176).unwrap_or_default() + number / 62_500;
    let [second, third, fourth] = [second, third, fourth].map(|part| u8::try_from(part).unwrap_or(u8::MAX));
    Ipv4Addr::new(127, second, third, fourth)
}

impl Nic {
    /// Its udev properties, with the lower-case name that filters must be written for.
    pub fn properties(&self) -> Vec<(&'static str, String)> {
        let digits: String = self.mac.to_string().split(':').collect();
        vec![
            ("INTERFACE", self.link.clone()),
            ("ID_NET_NAME", self.link.clone()),
            ("ID_NET_NAME_ONBOARD", self.link.clone()),
            ("ID_NET_NAME_MAC", format!("enx{digits}")),
            ("ID_BUS", "pci".to_owned()),
        ]
    }
}

impl Disk {
    /// A disk of this name with the properties that filters usually ask for.
    pub fn named(name: &str, machine: &str) -> Self {
        let (model, bus) = if name.starts_with("nvme") { ("SIM_NVME_1T", "nvme") } else { ("SIM_SSD_1T", "ata") };
        let serial = format!("{machine}{}", name.to_uppercase());
        let property = |key: &str, value: String| (key.to_owned(), value);
        Self {
            name: name.to_owned(),
            size_bytes: 960_197_124_096,
            properties: vec![
                property("DEVNAME", format!("/dev/{name}")),
                property("DEVLINKS", format!("/dev/disk/by-id/{bus}-{model}_{serial}")),
                property("ID_BUS", bus.to_owned()),
                property("ID_MODEL", model.to_owned()),
                property("ID_SERIAL", format!("{model}_{serial}")),
                property("ID_SERIAL_SHORT", serial.clone()),
                property("ID_WWN", format!("0x5002538{serial}")),
            ],
        }
    }

    /// Its device path.
    pub fn path(&self) -> String {
        format!("/dev/{}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_machines_share_an_address_or_a_uuid() {
        let mut seen = BTreeSet::new();
        for number in (0..3000).chain([62_499, 62_500, 65_000]) {
            let machine = Hardware::numbered(7, number, "pve");
            assert!(machine.address().is_loopback());
            assert!(seen.insert(machine.address().to_string()), "{number}");
            assert!(seen.insert(machine.uuid.clone()), "{number}");
            assert!(machine.nics.iter().all(|nic| seen.insert(nic.mac.to_string())), "{number}");
        }
    }
}
