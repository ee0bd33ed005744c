//! When a host is another machine than at its last installation: an operator has to say that this is meant.

use super::Orchestrator;
use super::error::OperatorError;
use crate::model::{Dmi, HardwareId, Host, HostId};
use crate::ports::{Change, Happening, HostRecord, NewEntry, Source, StoreError};

impl Orchestrator {
    /// Accepts another machine for a host, also while an operation runs: the machine can then be netbooted again.
    /// `None` accepts whichever asks next.
    ///
    /// # Errors
    /// `NoSuchHost`, `Store`.
    pub async fn accept_hardware(
        &self,
        id: HostId,
        hardware_id: Option<HardwareId>,
    ) -> Result<HostRecord, OperatorError> {
        loop {
            let record = self.known_host(id).await?;
            let host = Host { hardware_id: hardware_id.clone(), ..record.host };
            let mut change = Change::to(host.clone(), record.state.clone(), Some(record.revision));
            let what = Happening::HardwareAccepted { hardware_id: hardware_id.clone() };
            let (at, operation) = (self.ports.clock.now(), record.state.running());
            change.journal = vec![NewEntry { at, host: Some(id), operation, source: Source::Operator, what }];
            match self.ports.store.commit(change).await {
                Ok(committed) => {
                    self.heard_of(committed.last_seq);
                    return Ok(HostRecord { host, state: record.state, revision: committed.revision });
                }
                Err(StoreError::Stale { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The machine that asks, when it is known to be another than the one that was installed last. Machines without a
/// usable id are taken for the same: nothing tells them apart.
pub(super) fn other_machine(host: &Host, dmi: &Dmi) -> Option<HardwareId> {
    let known = host.hardware_id.as_ref()?;
    let found = dmi.hardware_id()?;
    // Firmware may have learned its UUID only since; the serial number is the same machine's as well.
    let is_same = ["uuid", "serial"]
        .iter()
        .filter_map(|key| dmi.system.get(*key))
        .any(|text| text.parse::<HardwareId>().is_ok_and(|id| id == *known));
    (!is_same).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn host(known: Option<&str>) -> Host {
        Host {
            id: HostId::from_bytes([1; 16]),
            name: "pve-07".parse().unwrap(),
            macs: vec![],
            server_type: "mini".parse().unwrap(),
            address: None,
            hardware_id: known.map(|text| text.parse().unwrap()),
            last_ready_at: None,
            registered_at: Timestamp::from_millis(0),
        }
    }

    fn dmi(pairs: &[(&str, &str)]) -> Dmi {
        Dmi { system: pairs.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect() }
    }

    #[test]
    fn a_machine_is_another_only_when_both_ids_are_known_and_none_is_the_same() {
        let uuid = "4c4c4544-0031-4b10-8052-b4c04f4e3532";
        let other = other_machine(&host(Some(uuid)), &dmi(&[("uuid", "5d5d5544-0031"), ("serial", "s1234")]));
        assert_eq!(other.unwrap().as_str(), "5d5d5544-0031");
        for same in
            [&[("uuid", "4C4C4544-0031-4B10-8052-B4C04F4E3532")][..], &[("uuid", "x-9999"), ("serial", uuid)], &[]]
        {
            assert_eq!(other_machine(&host(Some(uuid)), &dmi(same)), None, "{same:?}");
        }
        assert_eq!(other_machine(&host(None), &dmi(&[("uuid", uuid)])), None, "never installed");
        assert_eq!(other_machine(&host(Some(uuid)), &dmi(&[("uuid", "Default string")])), None, "a vendor's filler");
    }
}
