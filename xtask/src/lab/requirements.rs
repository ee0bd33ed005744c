//! What the lab needs of the machine it runs on.

use std::fs::OpenOptions;
use std::process::{Command, Stdio};

use crate::setup::{Package, is_root};
use crate::shell::find_program;

/// What is installed for the lab alone.
pub(crate) const PACKAGES: &[Package] = &[
    Package { name: "qemu-system-x86", program: "qemu-system-x86_64", reason: "the lab's machines" },
    Package { name: "ovmf", program: "/usr/share/OVMF/OVMF_CODE_4M.fd", reason: "the lab's UEFI firmware" },
    Package { name: "ipxe-qemu", program: "/usr/lib/ipxe/qemu/efi-virtio.rom", reason: "the lab's network cards" },
    Package { name: "dnsmasq-base", program: "dnsmasq", reason: "netboot service, and the lab's DHCP server" },
    Package { name: "iproute2", program: "ip", reason: "the lab's network namespaces" },
    Package { name: "socat", program: "socat", reason: "the lab's cluster member listens by it" },
    Package { name: "openssl", program: "openssl", reason: "the lab's certificates and password hashes" },
    Package { name: "e2fsprogs", program: "mke2fs", reason: "the file system of the lab's machines" },
    Package { name: "mtools", program: "mformat", reason: "the EFI partition of the lab's machines" },
    Package { name: "xz-utils", program: "xz", reason: "unpacks the kernel modules of the lab's machines" },
    Package { name: "cpio", program: "cpio", reason: "the initramfs of the lab's machines" },
    Package { name: "xorriso", program: "xorriso", reason: "the ISO that the lab's machines install" },
];

/// Why the lab can not run on this machine whatever is installed; `None` when it can.
///
/// Root, a tun device that opens, and the right to make a network namespace: containers often lack one of them.
pub(crate) fn why_impossible() -> Option<String> {
    if !is_root() {
        return Some("the lab makes network namespaces, which takes root".to_owned());
    }
    if let Err(error) = OpenOptions::new().read(true).write(true).open("/dev/net/tun") {
        return Some(format!("the lab's machines are plugged in by /dev/net/tun, which does not open: {error}"));
    }
    if find_program("apt-get").is_none() {
        return Some("what the lab's machines boot is made of Debian packages, and there is no apt-get".to_owned());
    }
    let mut namespace = Command::new("unshare");
    namespace.args(["--net", "--mount", "true"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if !namespace.status().is_ok_and(|status| status.success()) {
        return Some("the lab makes network namespaces, and `unshare --net --mount true` fails here".to_owned());
    }
    None
}

/// Why the lab can not run now, and what to do.
pub(crate) fn what_is_missing() -> Option<String> {
    why_impossible().or_else(|| {
        let absent = PACKAGES.iter().find(|package| !package.is_there())?;
        Some(format!("{} is missing ({}): run `cargo xtask setup`", absent.name, absent.reason))
    })
}
