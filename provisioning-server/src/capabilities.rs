//! Rights that the program's file carries (`setcap`), taken up and handed on to dnsmasq: so that the server runs in a
//! container, or from anywhere, under an ordinary user.

use anyhow::Context as _;
use nix::sys::prctl;
use nix::unistd::geteuid;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, configure_capability_in_ambient_set, set_capabilities,
};

/// What netbooting takes: ports below 1024, raw packets, and dnsmasq's handling of interfaces.
const NETBOOT: CapabilitySet =
    CapabilitySet::NET_BIND_SERVICE.union(CapabilitySet::NET_RAW).union(CapabilitySet::NET_ADMIN);

/// Takes up what the program's file permits of the three that dnsmasq needs, makes it ambient, which is how a child that
/// is no file of ours comes to it, and gives up for good what else programs could gain when they are executed
/// (`no_new_privs`).
///
/// The file should permit (`setcap cap_net_admin,cap_net_raw,cap_net_bind_service=p`) and leave `e` out: with `e` the
/// kernel refuses to execute it where one of them is out of bounds, although much of the server needs none.
///
/// Both are a thread's own: to be called before there is a second thread.
///
/// # Errors
/// When the kernel refuses.
pub fn take_up() -> anyhow::Result<()> {
    // Root's children have them anyhow.
    if !geteuid().is_root() {
        let held = capabilities(None).context("the process's capabilities cannot be read")?;
        if let Some(raised) = raised(held) {
            set_capabilities(None, raised).context("the program's capabilities cannot be taken up")?;
            for capability in NETBOOT.intersection(raised.permitted).iter() {
                configure_capability_in_ambient_set(capability, true)
                    .with_context(|| format!("{capability:?} cannot be handed on to dnsmasq"))?;
            }
        }
    }
    prctl::set_no_new_privs().context("the process cannot renounce further privileges")
}

/// The sets in which all of [`NETBOOT`] that is permitted is in effect and can be inherited; nothing when none is.
fn raised(held: CapabilitySets) -> Option<CapabilitySets> {
    let usable = NETBOOT.intersection(held.permitted);
    let raised = CapabilitySets {
        effective: held.effective.union(usable),
        permitted: held.permitted,
        inheritable: held.inheritable.union(usable),
    };
    (!usable.is_empty()).then_some(raised)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_file_permits_is_taken_up_and_nothing_else() {
        let file = CapabilitySet::NET_RAW.union(CapabilitySet::NET_BIND_SERVICE).union(CapabilitySet::SYS_ADMIN);
        let none = CapabilitySet::empty();
        let raised = raised(CapabilitySets { effective: none, permitted: file, inheritable: none }).unwrap();
        let expected = CapabilitySet::NET_RAW.union(CapabilitySet::NET_BIND_SERVICE);
        assert_eq!((raised.effective, raised.inheritable, raised.permitted), (expected, expected, file));
    }

    #[test]
    fn a_program_without_capabilities_changes_nothing() {
        let none = CapabilitySet::empty();
        assert_eq!(raised(CapabilitySets { effective: none, permitted: none, inheritable: none }), None);
    }
}
