//! Which machine has which address: a boot server names a machine by its MAC address in one line and by its IP
//! address in another (`reference/netboot.md` §2).

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::model::{MacAddr, Timestamp};
use crate::netboot::{Sighted, Sighting};

/// How long an address is taken to be the same machine's, and how long a sighting by address alone waits for its
/// machine to show itself: a netboot is over by then.
const MEMORY: Duration = Duration::from_secs(300);
/// Addresses that are remembered; beyond these the one heard of longest ago is forgotten.
const KNOWN_MAX: usize = 4_096;
/// Sightings that wait; beyond these the oldest is dropped.
const WAITING_MAX: usize = 512;

/// See the file's first line.
#[derive(Debug, Default)]
pub(super) struct Whereabouts {
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    known: BTreeMap<Ipv4Addr, (MacAddr, Timestamp)>,
    waiting: VecDeque<Placed>,
    /// When the boot server last turned a request away without saying whose, and why.
    turned_away: Option<(Timestamp, String)>,
}

/// A sighting, when it was made, and the address it was made by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) at: Timestamp,
    pub(super) address: Option<Ipv4Addr>,
    pub(super) what: Sighted,
}

impl Whereabouts {
    /// The machine of a sighting, and all that is known of it since: this sighting, and those that waited for it.
    /// `None` while nobody knows whose it is.
    pub(super) fn place(&self, sighting: Sighting, at: Timestamp) -> Option<(MacAddr, Vec<Placed>)> {
        let Sighting { mac, address, what } = sighting;
        // Full DHCP: what was given counts, whatever was used to ask for it.
        let address = match what {
            Sighted::Acknowledged { address } => Some(address),
            _ => address,
        };
        let placed = Placed { at, address, what };
        let mut memory = self.memory();
        match (mac, address) {
            (Some(mac), Some(address)) => {
                let mut found = memory.learn(mac, address, at);
                found.push(placed);
                Some((mac, found))
            }
            (Some(mac), None) => Some((mac, vec![placed])),
            (None, Some(address)) => match memory.known.get(&address) {
                Some((mac, heard)) if at.since(*heard) < MEMORY => Some((*mac, vec![placed])),
                _ => {
                    memory.waiting.push_back(placed);
                    if memory.waiting.len() > WAITING_MAX {
                        memory.waiting.pop_front();
                    }
                    None
                }
            },
            (None, None) => None,
        }
    }

    /// Learns a machine's address; gives what was seen by that address before, while it was nobody's.
    pub(super) fn learn(&self, mac: MacAddr, address: Ipv4Addr, at: Timestamp) -> Vec<Placed> {
        self.memory().learn(mac, address, at)
    }

    /// The boot server turned away a request that nobody can tell whose it was.
    pub(super) fn turned_away(&self, why: String, at: Timestamp) {
        self.memory().turned_away = Some((at, why));
    }

    /// Why it lately did.
    pub(super) fn turns_away(&self, at: Timestamp) -> Option<String> {
        let memory = self.memory();
        let (when, why) = memory.turned_away.as_ref()?;
        (at.since(*when) < MEMORY).then(|| why.clone())
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().expect("no caller panics while it holds the addresses")
    }
}

impl Memory {
    fn learn(&mut self, mac: MacAddr, address: Ipv4Addr, at: Timestamp) -> Vec<Placed> {
        self.known.insert(address, (mac, at));
        if self.known.len() > KNOWN_MAX {
            let oldest = self.known.iter().min_by_key(|(_, (_, heard))| *heard).map(|(address, _)| *address);
            oldest.and_then(|address| self.known.remove(&address));
        }
        let is_its = |placed: &Placed| placed.address == Some(address) && at.since(placed.at) < MEMORY;
        let (found, rest) = self.waiting.drain(..).partition::<VecDeque<_>, _>(is_its);
        self.waiting = rest;
        found.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn mac(n: u8) -> MacAddr {
        MacAddr::new([0x52, 0x54, 0, 0, 0, n]).unwrap()
    }

    fn sent(file: &str) -> Sighted {
        Sighted::FileSent { file: file.to_owned() }
    }

    fn by_address(file: &str, address: [u8; 4]) -> Sighting {
        Sighting { mac: None, address: Some(address.into()), what: sent(file) }
    }

    #[test]
    fn a_file_sent_to_an_address_is_told_of_the_machine_that_shows_itself_there() {
        let whereabouts = Whereabouts::default();
        assert_eq!(whereabouts.place(by_address("ipxe.efi", [10, 0, 0, 7]), at(1)), None);
        assert_eq!(whereabouts.place(by_address("other", [10, 0, 0, 8]), at(1)), None);
        let found = whereabouts.learn(mac(7), [10, 0, 0, 7].into(), at(5));
        assert_eq!(found, [Placed { at: at(1), address: Some([10, 0, 0, 7].into()), what: sent("ipxe.efi") }]);
        assert_eq!(whereabouts.learn(mac(7), [10, 0, 0, 7].into(), at(6)), [], "it is told once");
        let (whose, found) = whereabouts.place(by_address("ipxe.efi", [10, 0, 0, 7]), at(7)).unwrap();
        assert_eq!((whose, found.len()), (mac(7), 1));
    }

    #[test]
    fn an_address_is_not_taken_for_the_same_machine_for_ever() {
        let whereabouts = Whereabouts::default();
        whereabouts.learn(mac(7), [10, 0, 0, 7].into(), at(0));
        assert_eq!(whereabouts.place(by_address("ipxe.efi", [10, 0, 0, 7]), at(301)), None);
        let late = whereabouts.learn(mac(9), [10, 0, 0, 7].into(), at(900));
        assert_eq!(late, [], "what has waited too long is nobody's");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let whereabouts = Whereabouts::default();
        for n in 0..5_000_u32 {
            whereabouts.learn(mac(7), Ipv4Addr::from(n), at(n.into()));
            let sighting = Sighting { mac: None, address: Some(Ipv4Addr::from(n + 100_000)), what: sent("x") };
            whereabouts.place(sighting, at(n.into()));
        }
        let memory = whereabouts.memory();
        assert_eq!((memory.known.len(), memory.waiting.len()), (KNOWN_MAX, WAITING_MAX));
        assert!(!memory.known.contains_key(&Ipv4Addr::from(0)), "the one heard of longest ago is forgotten");
    }
}
