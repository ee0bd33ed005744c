//! What became of a fleet.

use std::collections::BTreeMap;
use std::fmt;

use super::operator::HostStatus;
use crate::real::cluster::ClusterRecords;

/// What became of a fleet. Its `Display` begins with `N ready, M failed`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many hosts are ready.
    pub ready: usize,
    /// The hosts that are not, with the server's reasons.
    pub failures: Vec<Failure>,
    /// What the cluster did that it should not have seen: joins that overlapped, members that were shut out.
    pub cluster_faults: Vec<String>,
}

/// A host that did not come to ready.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// Its name.
    pub host: String,
    /// The phase in which it failed, or is.
    pub during: String,
    /// The reason's stable name.
    pub reason: String,
    /// What happened.
    pub message: String,
    /// What to do.
    pub advice: String,
}

impl Failure {
    pub(super) fn of(host: &HostStatus) -> Self {
        let said = host.failure.clone().unwrap_or_default();
        Self {
            host: host.hostname.clone(),
            during: said.during.unwrap_or_else(|| "unknown".to_owned()),
            reason: said.reason,
            message: said.message,
            advice: said.advice,
        }
    }
}

impl Summary {
    pub(super) fn new(
        phases: &BTreeMap<String, String>,
        failed: BTreeMap<String, Failure>,
        timed_out: bool,
        records: Option<&ClusterRecords>,
    ) -> Self {
        let ready = phases.values().filter(|phase| *phase == "ready").count();
        let mut failures: Vec<Failure> = failed.into_values().collect();
        let pending = phases.iter().filter(|(_, phase)| !matches!(phase.as_str(), "ready" | "failed"));
        failures.extend(pending.filter(|_| timed_out).map(|(host, phase)| Failure {
            host: host.clone(),
            during: phase.clone(),
            reason: "fleet_timeout".to_owned(),
            message: "the fleet's own time ran out".to_owned(),
            advice: "look at the host's journal, or allow more time with --timeout".to_owned(),
        }));
        Self { ready, failures, cluster_faults: records.map(faults).unwrap_or_default() }
    }

    /// Whether every host is ready and the cluster saw nothing that it should not.
    pub fn is_success(&self) -> bool {
        self.failures.is_empty() && self.cluster_faults.is_empty()
    }
}

fn faults(records: &ClusterRecords) -> Vec<String> {
    let mut faults = Vec::new();
    if records.max_overlap > 1 {
        faults.push(format!("{} joins ran at the same time", records.max_overlap));
    }
    faults.extend(records.shut_out.iter().map(|node| format!("{node} was shut out of the cluster")));
    let twice = records.additions.iter().filter(|(_, times)| **times > 1);
    faults.extend(twice.map(|(node, times)| format!("{node} was added to the cluster {times} times")));
    faults
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ready, {} failed", self.ready, self.failures.len())?;
        for Failure { host, during, reason, message, advice } in &self.failures {
            write!(f, "\n  {host}  in {during}: {reason}: {message}\n    {advice}")?;
        }
        for fault in &self.cluster_faults {
            write!(f, "\n  cluster: {fault}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_begins_with_its_count_and_names_reasons() {
        let phases = [("a", "ready"), ("b", "failed"), ("c", "installing")].map(|(h, p)| (h.to_owned(), p.to_owned()));
        let failed =
            Failure { host: "b".into(), during: "joining".into(), reason: "join_failed".into(), ..Failure::default() };
        let summary = Summary::new(&phases.into(), [("b".to_owned(), failed)].into(), true, None);
        let text = summary.to_string();
        assert!(text.starts_with("1 ready, 2 failed\n"), "{text}");
        assert!(
            text.contains("b  in joining: join_failed") && text.contains("c  in installing: fleet_timeout"),
            "{text}"
        );
        assert!(!summary.is_success());
    }

    #[test]
    fn a_cluster_that_saw_overlapping_joins_is_no_success() {
        let records = ClusterRecords { max_overlap: 2, ..ClusterRecords::default() };
        let summary =
            Summary::new(&[("a".to_owned(), "ready".to_owned())].into(), BTreeMap::new(), false, Some(&records));
        assert_eq!(summary.to_string(), "1 ready, 0 failed\n  cluster: 2 joins ran at the same time");
        assert!(!summary.is_success());
    }
}
