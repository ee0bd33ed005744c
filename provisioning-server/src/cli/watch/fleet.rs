//! The hosts that are watched, as far as the display needs to know them.

use std::collections::BTreeMap;

use provisioning_core::machine::Phase;
use serde_json::Value;

use super::super::table::text;

/// A host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) phase: String,
    pub(super) operation: Option<String>,
    pub(super) failure: Option<String>,
    /// How far the download of kernel and initrd has come, in percent.
    pub(super) percent: Option<u64>,
}

impl Host {
    /// How many phases lie behind it, of the eight that lead to ready.
    pub(super) fn place(&self) -> u64 {
        let place = Phase::ALL.iter().position(|phase| phase.as_str() == self.phase);
        place.and_then(|place| u64::try_from(place).ok()).unwrap_or_default()
    }

    /// Whether an operation runs on it.
    pub(super) fn is_running(&self) -> bool {
        !["registered", "ready", "failed"].contains(&self.phase.as_str())
    }
}

/// All of them, by id.
#[derive(Debug, Default)]
pub(super) struct Fleet(BTreeMap<String, Host>);

impl Fleet {
    /// Takes a host as the API shows it.
    pub(super) fn put(&mut self, view: &Value) {
        let host = Host {
            id: text(view, "id"),
            name: text(view, "hostname"),
            phase: text(view, "phase"),
            operation: view["operation"].as_str().map(str::to_owned),
            failure: view["failure"]["message"].as_str().map(str::to_owned),
            percent: None,
        };
        self.0.insert(host.id.clone(), host);
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.0.remove(id);
    }

    pub(super) fn get(&self, id: &str) -> Option<&Host> {
        self.0.get(id)
    }

    pub(super) fn knows(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    pub(super) fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.0.values()
    }

    /// Takes news of a download; whose it is.
    pub(super) fn progress(&mut self, news: &Value) -> Option<Host> {
        let operation = news["operation"].as_str()?;
        let host = self.0.values_mut().find(|host| host.operation.as_deref() == Some(operation))?;
        let (bytes, total) = (news["bytes"].as_u64()?, news["total"].as_u64()?);
        host.percent = (bytes * 100).checked_div(total);
        Some(host.clone())
    }

    /// Whether no operation runs.
    pub(super) fn is_settled(&self) -> bool {
        !self.0.values().any(Host::is_running)
    }

    /// The names of those that have failed.
    pub(super) fn failed(&self) -> Vec<String> {
        self.0.values().filter(|host| host.phase == "failed").map(|host| host.name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fleet_is_settled_when_nothing_runs_and_names_what_failed() {
        let mut fleet = Fleet::default();
        fleet.put(&json!({ "id": "1", "hostname": "a", "phase": "installing", "operation": "o" }));
        fleet.put(&json!({ "id": "2", "hostname": "b", "phase": "failed", "failure": { "message": "cancelled" } }));
        assert!(!fleet.is_settled());
        let news = json!({ "operation": "o", "bytes": 30, "total": 120 });
        assert_eq!(fleet.progress(&news).unwrap().percent, Some(25));
        fleet.put(&json!({ "id": "1", "hostname": "a", "phase": "ready", "operation": "o" }));
        assert!(fleet.is_settled());
        assert_eq!(fleet.failed(), ["b"]);
    }

    #[test]
    fn a_host_moves_along_the_phases() {
        let mut fleet = Fleet::default();
        let mut places = vec![];
        for phase in Phase::ALL.iter().take(8) {
            fleet.put(&json!({ "id": "1", "hostname": "a", "phase": phase.as_str() }));
            places.push(fleet.get("1").unwrap().place());
        }
        assert_eq!(places, [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}
