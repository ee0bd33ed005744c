//! Boot plans by number, and what the supervised dnsmasq says and sees.

use std::time::Duration;

use provisioning_core::machine::BootAnswer;
use provisioning_core::netboot::{Sighted, Sighting};
use provisioning_core::ports::{BootEntry, BootPlan};
use tokio::time::{interval, timeout};

use super::lan::Server;

/// How long something is waited for that takes seconds at most.
const PATIENCE: Duration = Duration::from_secs(20);

/// Hosts by the last byte of their NIC's address; each of the second list with an address of its own.
pub(crate) fn plan(hosts: &[u8], reserved: &[(u8, &str)]) -> BootPlan {
    let entries = hosts.iter().map(|n| BootEntry {
        mac: format!("52:54:00:00:00:{n:02x}").parse().unwrap(),
        host: format!("pve-{n:02}").parse().unwrap(),
        answer: BootAnswer::Installer,
        address: reserved.iter().find(|(nic, _)| nic == n).map(|(_, address)| address.parse().unwrap()),
    });
    BootPlan { entries: entries.collect() }
}

/// Waits for what a future says, on this thread.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(PATIENCE, future).await.expect("it happens in time") })
}

impl Server {
    /// Waits until what is asked for is so.
    pub(crate) fn until(&self, so: impl Fn(&Self) -> bool) {
        wait(async {
            let mut ticks = interval(Duration::from_millis(20));
            while !so(self) {
                ticks.tick().await;
            }
        });
    }

    /// The process that runs now; waits for it.
    pub(crate) fn pid(&self) -> i32 {
        use provisioning_adapters::dnsmasq::DnsmasqState;
        let pid = || match self.dnsmasq.status().state {
            DnsmasqState::Running { pid, .. } => i32::try_from(pid).ok(),
            _ => None,
        };
        self.until(|_| pid().is_some());
        pid().expect("it has just been there")
    }

    /// Waits for a sighting, and drops those before it.
    pub(crate) fn sees(&mut self, what: impl Fn(&Sighted) -> bool) -> Sighting {
        wait(async {
            loop {
                let seen = self.sightings.recv().await.expect("dnsmasq is being read");
                if what(&seen.what) {
                    return seen;
                }
            }
        })
    }
}
