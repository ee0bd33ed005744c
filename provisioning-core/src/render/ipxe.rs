//! The iPXE boot script: what an armed machine fetches and boots.

use std::fmt::Write as _;

use crate::model::{BaseUrl, BootToken, Fqdn, Release};

/// What a boot script is made of.
#[derive(Clone, Debug)]
pub struct BootScript<'a> {
    /// Where firmware reaches us. Written out, since `Host` headers and `${next-server}` lie
    /// (`reference/netboot.md` §3).
    pub public_url: &'a BaseUrl,
    /// The operation's token.
    pub token: &'a BootToken,
    /// The host, for the person at the console.
    pub fqdn: &'a Fqdn,
    /// What is installed, likewise.
    pub release: Release,
}

/// Kernel arguments of an unattended installation, as the official iPXE layout has them
/// (`reference/pxe-boot.md`). All but `initrd=` are dropped from the installed system's command line.
const KERNEL_ARGUMENTS: &str = "ramdisk_size=16777216 rw quiet splash=silent proxmox-start-auto-installer";

/// Renders the script that boots the installer. Works with every iPXE, BIOS and UEFI: the kernel is given an
/// `initrd=` that names the image, which UEFI needs and BIOS does not mind.
///
/// An iPXE older than 2021 is warned of on the console only; it boots all the same (`reference/netboot.md` §1).
pub fn boot_script(script: &BootScript<'_>) -> String {
    let BootScript { public_url, token, fqdn, release } = script;
    let base = public_url.join(&["/boot/", &token.expose()].concat());
    // Machines that boot ask for nothing more often: its buffer is as long as it gets.
    let mut text = String::with_capacity(512);
    write!(
        text,
        "#!ipxe\n\
         echo Provisioning: installing Proxmox VE {release} on {fqdn}\n\
         kernel {base}/vmlinuz initrd=initrd.img {KERNEL_ARGUMENTS}\n\
         initrd --name initrd.img {base}/initrd\n\
         boot\n"
    )
    .expect("a String takes everything");
    text
}

/// The script that boots the local disk. A plain `exit` hangs UEFI machines; `exit 1` goes on to the next
/// boot option where `sanboot` finds no disk (`reference/netboot.md` §3.9).
pub const LOCAL_DISK_SCRIPT: &str =
    "#!ipxe\necho Provisioning: booting from the local disk\nsanboot --no-describe --drive 0x80 || exit 1\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{OperationId, Timestamp};

    #[test]
    fn the_script_names_absolute_urls_under_the_operations_token() {
        let token = BootToken::new(OperationId::new(Timestamp::from_millis(1), [1; 10]), [2; 16]);
        let text = boot_script(&BootScript {
            public_url: &"http://10.0.0.2:8080".parse().unwrap(),
            token: &token,
            fqdn: &"pve-07.lab.example".parse().unwrap(),
            release: Release::new(9, 2),
        });
        insta::assert_snapshot!(text, @"
        #!ipxe
        echo Provisioning: installing Proxmox VE 9.2 on pve-07.lab.example
        kernel http://10.0.0.2:8080/boot/AAAAAAABcQGBAQEBAQEBAQICAgICAgICAgICAgICAgI/vmlinuz initrd=initrd.img ramdisk_size=16777216 rw quiet splash=silent proxmox-start-auto-installer
        initrd --name initrd.img http://10.0.0.2:8080/boot/AAAAAAABcQGBAQEBAQEBAQICAgICAgICAgICAgICAgI/initrd
        boot
        ");
    }
}
