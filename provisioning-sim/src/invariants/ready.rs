//! `ready` means: joined for true, by that operation, and its one-time key opens nothing any more.

use provisioning_core::machine::{HostState, Phase};
use provisioning_core::ports::{Happening, HostRecord};

use super::{Invariant, Scene, Seen, Verdict};

pub(super) struct Ready;

fn check(record: &HostRecord, scene: &Scene) -> Verdict {
    let HostState::Ready { by, .. } = record.state else { return Ok(()) };
    let name = &record.host.name;
    let Some(node) = scene.nodes.get(&record.host.id) else {
        return Err(format!("{name} is ready without a system on its disk"));
    };
    if node.installed_by != by {
        return Err(format!("{name} is ready by {by}, its disk was written by {}", node.installed_by));
    }
    if !node.is_listed {
        return Err(format!("{name} is ready, and the cluster does not know it"));
    }
    if node.key_stands {
        return Err(format!("{name} is ready, and its one-time key stands in a file still"));
    }
    if scene.held.contains(&by) {
        return Err(format!("{name} is ready, and its one-time key lies in the vault still"));
    }
    Ok(())
}

impl Invariant for Ready {
    fn name(&self) -> &'static str {
        "ready means truly joined by that operation, and its key is gone"
    }

    fn see(&mut self, seen: Seen<'_>, scene: &Scene) -> Verdict {
        let Seen::Entry(entry) = seen else { return Ok(()) };
        let record = entry.host.and_then(|host| scene.hosts.get(&host));
        match (&entry.what, record) {
            (Happening::Moved { to: Phase::Ready, .. }, Some(record)) => check(record, scene),
            _ => Ok(()),
        }
    }

    fn quiet(&mut self, scene: &Scene) -> Verdict {
        for record in scene.hosts.values() {
            check(record, scene)?;
            let is_member = scene.nodes.get(&record.host.id).is_some_and(|node| node.is_member);
            if record.state.phase() == Phase::Ready && !is_member {
                return Err(format!("{} is ready and no online member", record.host.name));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::NodeView;
    use super::super::sample::{host, operation, ready, scene};
    use super::*;

    #[test]
    fn it_fires_on_a_host_that_is_ready_in_name_only() {
        let mut scene = scene(ready());
        assert!(Ready.quiet(&scene).is_err(), "no system");
        let good = NodeView { installed_by: operation(1), is_member: true, is_listed: true, key_stands: false };
        let bad = [
            NodeView { installed_by: operation(2), ..good },
            NodeView { is_member: false, ..good },
            NodeView { is_listed: false, ..good },
            NodeView { key_stands: true, ..good },
        ];
        for node in bad {
            scene.nodes.insert(host(), node);
            assert!(Ready.quiet(&scene).is_err(), "{node:?}");
        }
        scene.nodes.insert(host(), good);
        Ready.quiet(&scene).unwrap();
        scene.held = vec![operation(1)];
        assert!(Ready.quiet(&scene).is_err(), "the key is kept");
    }
}
