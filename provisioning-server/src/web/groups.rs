//! The groups of hosts that the counters of the fleet count and filter by.

use provisioning_core::machine::Phase;

/// A group of hosts. Whoever needs a person is also in one of the other groups.
#[derive(Clone, Copy)]
pub(super) struct Group {
    /// What addresses, scripts and programs know it by.
    pub(super) key: &'static str,
    /// What its counter says.
    pub(super) label: &'static str,
    /// What it holds, in a clause.
    pub(super) hint: &'static str,
    /// Whether hosts in a phase belong to it.
    pub(super) holds: fn(Phase) -> bool,
}

/// All groups in the order of their counters.
pub(super) const GROUPS: [Group; 6] = [
    Group {
        key: "needs-you",
        label: "Needs you",
        hint: "failed, or armed and waiting for its power button",
        holds: |phase| matches!(phase, Phase::Failed | Phase::PxeReady),
    },
    Group {
        key: "waiting",
        label: "Waiting",
        hint: "registered, or armed and not yet netbooted",
        holds: |phase| matches!(phase, Phase::Registered | Phase::PxeReady),
    },
    Group { key: "active", label: "Active", hint: "on its way to ready", holds: is_active },
    Group {
        key: "failed",
        label: "Failed",
        hint: "its last operation ended without ready",
        holds: |phase| phase == Phase::Failed,
    },
    Group { key: "ready", label: "Ready", hint: "set up and in the inventory", holds: |phase| phase == Phase::Ready },
    Group { key: "all", label: "All", hint: "every registered host", holds: |_| true },
];

/// The group that is shown when none is chosen.
pub(super) const SHOWN_FIRST: Group = GROUPS[5];

/// Whether a host's time is running.
pub(super) fn is_active(phase: Phase) -> bool {
    match phase {
        Phase::PxeBooted | Phase::Installing | Phase::Installed | Phase::FirstBoot | Phase::Joining => true,
        Phase::Registered | Phase::PxeReady | Phase::Ready | Phase::Failed => false,
    }
}

impl Group {
    /// A group by its key; the one that is shown first when there is none of that name.
    pub(super) fn named(key: &str) -> Self {
        GROUPS.into_iter().find(|group| group.key == key).unwrap_or(SHOWN_FIRST)
    }

    /// The phases it holds, for the scripts.
    pub(super) fn phases(&self) -> String {
        let names = Phase::ALL.into_iter().filter(|phase| (self.holds)(*phase)).map(Phase::as_str);
        names.collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_is_in_exactly_one_group_beside_all_and_those_that_need_you() {
        for phase in Phase::ALL {
            let groups = GROUPS.iter().filter(|group| (group.holds)(phase)).map(|group| group.key);
            let groups: Vec<_> = groups.filter(|key| !["all", "needs-you"].contains(key)).collect();
            assert_eq!(groups.len(), 1, "{phase} is in {groups:?}");
        }
    }

    #[test]
    fn a_person_is_needed_where_something_failed_or_a_machine_must_be_powered_on() {
        assert_eq!(Group::named("needs-you").phases(), "pxe_ready failed");
        assert_eq!(Group::named("nonsense").key, "all");
    }
}
