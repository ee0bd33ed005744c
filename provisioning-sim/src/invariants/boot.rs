//! Boot answers are what the phases say, at any time; the boot plan is, once all is quiet.

use std::collections::BTreeMap;

use provisioning_core::machine::{BootAnswer, boot_answer};
use provisioning_core::model::HostId;

use super::{Deed, Invariant, Scene, Seen, Verdict};

#[derive(Default)]
pub(super) struct Boot {
    last_seq: u64,
    /// Which answers were in force, and from which place of the journal on.
    answers: BTreeMap<HostId, Vec<(u64, BootAnswer)>>,
}

impl Boot {
    fn note(&mut self, scene: &Scene) {
        for (id, record) in &scene.hosts {
            let now = boot_answer(&record.state);
            let known = self.answers.entry(*id).or_default();
            if known.last().is_none_or(|(_, answer)| *answer != now) {
                known.push((self.last_seq, now));
            }
        }
    }

    /// Whether the answer was in force at any time since the question.
    fn was_in_force(&self, host: HostId, asked_after: u64, answer: BootAnswer) -> bool {
        for (since, known) in self.answers.get(&host).into_iter().flatten().rev() {
            if *known == answer {
                return true;
            }
            if *since <= asked_after {
                return false;
            }
        }
        answer == BootAnswer::NextDevice
    }
}

impl Invariant for Boot {
    fn name(&self) -> &'static str {
        "boot answers and boot plan are what the phases say"
    }

    fn see(&mut self, seen: Seen<'_>, scene: &Scene) -> Verdict {
        match seen {
            Seen::Entry(entry) => {
                self.last_seq = entry.seq;
                Ok(())
            }
            Seen::Deed(Deed::BootAnswered { host, asked_after, answer }) => {
                self.note(scene);
                if self.was_in_force(*host, *asked_after, *answer) {
                    return Ok(());
                }
                let record = scene.hosts.get(host);
                let (name, phase) = record.map(|record| (&record.host.name, record.state.phase())).unzip();
                Err(format!("{name:?} was told {answer:?} while it was {phase:?}"))
            }
            Seen::Deed(_) | Seen::Read(_) => Ok(()),
        }
    }

    fn look(&mut self, scene: &Scene) -> Verdict {
        self.note(scene);
        Ok(())
    }

    fn quiet(&mut self, scene: &Scene) -> Verdict {
        let Some(plan) = &scene.plan else { return Err("no boot plan was ever in force".into()) };
        let mut wished: Vec<_> = scene
            .hosts
            .values()
            .flat_map(|record| record.host.macs.iter().map(|mac| (*mac, boot_answer(&record.state))))
            .collect();
        wished.sort_unstable_by_key(|(mac, _)| *mac);
        let found: Vec<_> = plan.entries.iter().map(|entry| (entry.mac, entry.answer)).collect();
        if found == wished { Ok(()) } else { Err(format!("the boot plan says {found:?}, the phases say {wished:?}")) }
    }
}

#[cfg(test)]
mod tests {
    use provisioning_core::machine::Leg;
    use provisioning_core::ports::{BootEntry, BootPlan};

    use super::super::sample::{deed, host, provisioning, ready, scene};
    use super::*;

    #[test]
    fn it_fires_on_an_installer_for_a_host_that_is_not_armed() {
        let mut rule = Boot::default();
        let told = |answer| Deed::BootAnswered { host: host(), asked_after: 0, answer };
        let armed = scene(provisioning(Leg::PxeReady));
        rule.look(&armed).unwrap();
        deed(&mut rule, &told(BootAnswer::Installer), &armed).unwrap();
        rule.last_seq = 5;
        let ready = scene(ready());
        rule.look(&ready).unwrap();
        deed(&mut rule, &told(BootAnswer::Installer), &ready).unwrap();
        let late = Deed::BootAnswered { host: host(), asked_after: 5, answer: BootAnswer::Installer };
        assert!(deed(&mut rule, &late, &ready).is_err());
    }

    #[test]
    fn it_fires_on_a_plan_that_was_left_behind() {
        let mut scene = scene(ready());
        let record = &scene.hosts[&host()];
        let entry =
            |answer| BootEntry { mac: record.host.macs[0], host: record.host.name.clone(), answer, address: None };
        let plans =
            [BootAnswer::Installer, BootAnswer::LocalDisk].map(|answer| BootPlan { entries: vec![entry(answer)] });
        let [stale, right] = plans;
        scene.plan = Some(stale);
        assert!(Boot::default().quiet(&scene).is_err());
        scene.plan = Some(right);
        Boot::default().quiet(&scene).unwrap();
    }
}
