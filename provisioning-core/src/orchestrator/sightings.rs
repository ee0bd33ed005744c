//! What a boot server sees: into the journal of the host it concerns, or among the discovered machines.

use std::net::IpAddr;

use tracing::Instrument as _;

use super::whereabouts::Placed;
use super::{Orchestrator, spans};
use crate::model::{Dmi, MacAddr, SystemInfo};
use crate::netboot::{Glimpse, Sighted, Sighting, Trace, shortened};
use crate::ports::{Happening, NewEntry, Source, StoreError};

/// Addresses of an installer's request that are looked up: NICs with a plug, mostly.
const LOOKED_UP_MAX: usize = 16;

impl Orchestrator {
    /// Takes in what a boot server saw. Firmware repeats itself: a machine's journal gets at most twelve lines of one
    /// netboot. Never fails; when the store does not answer the sighting is lost, which is logged.
    pub async fn sighted(&self, sighting: Sighting) {
        let at = self.ports.clock.now();
        if let Sighting { mac: None, address: None, what: Sighted::NoAddress { why } } = &sighting {
            self.whereabouts.turned_away(shortened(why), at);
        }
        let Some((mac, placed)) = self.whereabouts.place(sighting, at) else { return };
        self.take_in_all(mac, placed).await;
    }

    /// A machine showed its address over HTTP: what was seen by that address alone is its own.
    pub(super) async fn located(&self, mac: MacAddr, address: Option<IpAddr>) {
        let Some(IpAddr::V4(address)) = address else { return };
        let placed = self.whereabouts.learn(mac, address, self.ports.clock.now());
        self.take_in_all(mac, placed).await;
    }

    async fn take_in_all(&self, mac: MacAddr, placed: Vec<Placed>) {
        for Placed { at, address, what } in placed {
            let what = what.shortened();
            let taking = async {
                if let Err(error) = self.take_in(mac, Placed { at, address, what }).await {
                    tracing::warn!(%error, "lost what the boot server saw of a machine");
                }
            };
            taking.instrument(spans::sighting(mac)).await;
        }
    }

    async fn take_in(&self, mac: MacAddr, placed: Placed) -> Result<(), StoreError> {
        let Placed { at, address, what } = placed;
        let trace = Trace::BootServer { what: what.clone() };
        let glimpse = Glimpse { at, address: address.map(IpAddr::V4), trace: Some(trace), dmi: None };
        let Some(glimpse) = self.damped(mac, glimpse) else { return Ok(()) };
        match self.ports.store.host_by_mac(mac).await? {
            Some(record) => {
                spans::is_about(&record);
                let entry = NewEntry {
                    at,
                    host: Some(record.host.id),
                    operation: record.state.operation(),
                    source: Source::BootServer,
                    what: Happening::Sighted { mac, address, what },
                };
                self.write_down(vec![entry]).await
            }
            None => self.discovered_now(mac, glimpse).await,
        }
    }

    /// A machine that is nobody's asked us for something over HTTP. Only remembered here, so that it is answered at
    /// once; the clockwork writes it down.
    pub(super) async fn stranger_asked(&self, mac: MacAddr, address: Option<IpAddr>, trace: Trace, dmi: Option<Dmi>) {
        self.located(mac, address).await;
        let glimpse = Glimpse { at: self.ports.clock.now(), address, trace: Some(trace), dmi };
        let Some(glimpse) = self.damped(mac, glimpse) else { return };
        if let Err(error) = self.discovered_now(mac, glimpse).await {
            tracing::warn!(%mac, %error, "lost a request of a machine that is not registered");
        }
    }

    /// An installer of a machine that no armed host has the address of: told under the address that is known, else
    /// under its first.
    pub(super) async fn strange_installer(&self, info: &SystemInfo, from: Option<IpAddr>, why: String) {
        let mut unknown = vec![];
        for mac in info.macs.iter().take(LOOKED_UP_MAX) {
            match self.ports.store.host_by_mac(*mac).await {
                Ok(None) => unknown.push(*mac),
                // A host's: its journal has the refusal, and it is no stranger.
                Ok(Some(_)) | Err(_) => return,
            }
        }
        let mut known = None;
        for mac in &unknown {
            if matches!(self.discovered_machine(*mac).await, Ok(Some(_))) {
                known = Some(*mac);
                break;
            }
        }
        let Some(mac) = known.or(unknown.first().copied()) else { return };
        self.stranger_asked(mac, from, Trace::AnswerRefused { why }, Some(info.dmi.clone())).await;
    }

    /// A glimpse that tells something new, or that counts as a repeat of a discovered machine; `None` when it has been
    /// dealt with.
    fn damped(&self, mac: MacAddr, glimpse: Glimpse) -> Option<Glimpse> {
        let kind = glimpse.trace.as_ref().map(Trace::kind).unwrap_or_default();
        let is_ordinary = matches!(&glimpse.trace, Some(Trace::BootServer { what }) if what.is_ordinary());
        if is_ordinary && !self.trail_damper.is_netbooting(mac, self.ports.clock.now()) {
            return None;
        }
        // By the time it is now: what waited for its machine comes late, and must not turn the damper's time back.
        if self.trail_damper.lets_through(mac, kind, is_ordinary, self.ports.clock.now()) {
            return Some(glimpse);
        }
        if self.discovery.repeat(mac, Glimpse { trace: None, ..glimpse }) {
            self.bell.notify_one();
        }
        None
    }
}
