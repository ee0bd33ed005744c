//! Machines that were seen on the network and belong to no host.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::sighting::{ClientArch, DhcpClient, Sighted};
use super::trail::{Footprint, Trace, shortened};
use crate::model::{Dmi, MacAddr, Timestamp};

/// How many discovered machines are kept; the one seen longest ago makes room for a new one.
pub const DISCOVERED_MAX: usize = 1_000;

/// How long a dismissed machine stays hidden: 30 days. One that is seen later is discovered anew, since by then it
/// may be somebody else's, or the same machine with another purpose.
pub const DISMISSED_FOR: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Footprints of a machine that are kept, the latest: about three netboots.
const TRAIL_MAX: usize = 36;

/// A machine that no host has the address of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscoveredMachine {
    /// The NIC by which it was seen.
    pub mac: MacAddr,
    /// When it was seen first.
    pub first_seen_at: Timestamp,
    /// When it was seen last.
    pub last_seen_at: Timestamp,
    /// How often it was seen doing something: about, since what is not yet written down is lost with the process.
    pub times_seen: u64,
    /// Its last known address.
    pub address: Option<IpAddr>,
    /// What it can boot.
    pub arch: Option<ClientArch>,
    /// Whether iPXE was seen running on it.
    pub ipxe: bool,
    /// What its boot program calls itself, such as `iPXE/1.21.1`.
    pub agent: Option<String>,
    /// The vendor's name for the machine, when its installer told.
    pub product: Option<String>,
    /// The DMI system UUID, when its installer told.
    pub uuid: Option<String>,
    /// The serial number, when its installer told.
    pub serial: Option<String>,
    /// Until when an operator does not want to see it.
    pub dismissed_until: Option<Timestamp>,
    /// What it was seen doing lately, in order.
    pub trail: Vec<Footprint>,
}

/// One look at a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glimpse {
    /// When.
    pub at: Timestamp,
    /// Its address, if it showed.
    pub address: Option<IpAddr>,
    /// What it was doing; `None` for a repeat that tells nothing new.
    pub trace: Option<Trace>,
    /// What its installer told of its hardware.
    pub dmi: Option<Dmi>,
}

impl DiscoveredMachine {
    /// A machine before its first glimpse.
    pub fn new(mac: MacAddr, at: Timestamp) -> Self {
        Self {
            mac,
            first_seen_at: at,
            last_seen_at: at,
            times_seen: 0,
            address: None,
            arch: None,
            ipxe: false,
            agent: None,
            product: None,
            uuid: None,
            serial: None,
            dismissed_until: None,
            trail: vec![],
        }
    }

    /// Whether an operator wants to see it at `at`.
    pub fn is_dismissed(&self, at: Timestamp) -> bool {
        self.dismissed_until.is_some_and(|until| at < until)
    }

    /// Learns what a glimpse tells. `true` when a dismissal has run out with it: it is discovered anew.
    pub fn learn(&mut self, glimpse: Glimpse) -> bool {
        let Glimpse { at, address, trace, dmi } = glimpse;
        self.last_seen_at = self.last_seen_at.max(at);
        self.times_seen += 1;
        self.address = address.or(self.address);
        if let Some(dmi) = dmi {
            let told = |key: &str| dmi.system.get(key).map(|text| shortened(text)).filter(|text| !text.is_empty());
            self.product = told("name").or_else(|| self.product.take());
            self.uuid = told("uuid").or_else(|| self.uuid.take());
            self.serial = told("serial").or_else(|| self.serial.take());
        }
        if let Some(trace) = trace {
            self.learn_trace(at, trace);
        }
        let is_over = self.dismissed_until.is_some_and(|until| at >= until);
        if is_over {
            self.dismissed_until = None;
        }
        is_over
    }

    fn learn_trace(&mut self, at: Timestamp, trace: Trace) {
        match &trace {
            Trace::BootServer { what } => {
                if let Some(client) = client_of(what) {
                    // iPXE says the same of itself on UEFI, but undionly.kpxe on a UEFI machine would mislead.
                    self.arch = if client.ipxe { self.arch.or(client.arch) } else { client.arch.or(self.arch) };
                    self.ipxe |= client.ipxe;
                }
            }
            Trace::ScriptAsked { agent: Some(agent), .. } => {
                self.ipxe |= agent.starts_with("iPXE/");
                self.agent = Some(agent.clone());
            }
            Trace::ScriptAsked { .. } | Trace::AnswerFetched | Trace::AnswerRefused { .. } | Trace::Installed => {}
        }
        // What was seen by its address alone may be told late.
        let place = self.trail.partition_point(|before| before.at <= at);
        self.trail.insert(place, Footprint { at, trace });
        let surplus = self.trail.len().saturating_sub(TRAIL_MAX);
        self.trail.drain(..surplus);
    }
}

fn client_of(what: &Sighted) -> Option<DhcpClient> {
    match what {
        Sighted::Discovered(client)
        | Sighted::LeftAlone(client)
        | Sighted::Offered { client, .. }
        | Sighted::BootServerAsked { client, .. } => Some(*client),
        Sighted::Requested { .. }
        | Sighted::Acknowledged { .. }
        | Sighted::Denied { .. }
        | Sighted::NoAddress { .. }
        | Sighted::FileSent { .. }
        | Sighted::FileMissing { .. }
        | Sighted::FileBroken { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::machine::BootAnswer;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn machine() -> DiscoveredMachine {
        DiscoveredMachine::new("52:54:00:00:00:07".parse().unwrap(), at(0))
    }

    fn glimpse(seconds: i64, trace: Option<Trace>) -> Glimpse {
        Glimpse { at: at(seconds), address: None, trace, dmi: None }
    }

    #[test]
    fn what_a_machine_showed_once_is_kept_when_it_shows_less() {
        let mut machine = machine();
        let client = DhcpClient { arch: Some(ClientArch::UefiX64), ipxe: false };
        machine.learn(glimpse(1, Some(Trace::BootServer { what: Sighted::Discovered(client) })));
        let agent = Some("iPXE/1.21.1".to_owned());
        let address = Some("10.0.0.7".parse().unwrap());
        let asked = Trace::ScriptAsked { told: BootAnswer::NextDevice, agent };
        machine.learn(Glimpse { address, ..glimpse(2, Some(asked)) });
        let system = BTreeMap::from([("uuid".to_owned(), "7B2F".to_owned()), ("serial".to_owned(), " \n".to_owned())]);
        machine.learn(Glimpse { dmi: Some(Dmi { system }), ..glimpse(3, None) });
        machine.learn(glimpse(4, None));
        assert_eq!((machine.first_seen_at, machine.last_seen_at, machine.times_seen), (at(0), at(4), 4));
        assert_eq!((machine.arch, machine.ipxe, machine.address), (Some(ClientArch::UefiX64), true, address));
        assert_eq!((machine.agent.as_deref(), machine.uuid.as_deref()), (Some("iPXE/1.21.1"), Some("7B2F")));
        assert_eq!(machine.serial, None, "blank is not told");
        assert_eq!(machine.trail.len(), 2);
    }

    #[test]
    fn the_trail_is_bounded_and_in_order() {
        let mut machine = machine();
        for n in 0..100 {
            machine.learn(glimpse(n, Some(Trace::Installed)));
        }
        machine.learn(glimpse(90, Some(Trace::AnswerFetched)));
        assert_eq!(machine.trail.len(), TRAIL_MAX);
        assert!(machine.trail.is_sorted_by_key(|print| print.at));
        assert_eq!(machine.trail.last().unwrap().at, at(99));
    }

    #[test]
    fn a_dismissed_machine_is_hidden_until_its_time_is_over_and_it_is_seen_again() {
        let mut machine = machine();
        machine.dismissed_until = Some(at(100));
        assert!(!machine.learn(glimpse(99, None)));
        assert!(machine.is_dismissed(at(99)) && !machine.is_dismissed(at(100)));
        assert!(machine.learn(glimpse(100, None)), "it is news again");
        assert_eq!(machine.dismissed_until, None);
        assert!(!machine.learn(glimpse(101, None)));
    }
}
