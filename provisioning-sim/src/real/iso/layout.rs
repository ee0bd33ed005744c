//! What lies where in a Proxmox ISO (`reference/pxe-boot.md`, "ISO layout").

use super::IsoOptions;
use super::initramfs::{append_member, append_trailer};

/// One path of the image: a file with its bytes, or a directory that would else be empty.
pub(super) struct Planned {
    pub(super) path: String,
    /// `None` for a directory.
    pub(super) content: Option<Vec<u8>>,
}

/// All files of the image, in no particular order; parents of a path need no entry of their own.
pub(super) fn files(options: &IsoOptions) -> Vec<Planned> {
    let mut dice = Dice(options.seed);
    let product = options.product.as_str();
    let cd_info = cd_info(options);
    let cd_id = format!("{}\n", dice.uuid());
    let base = options.filler_bytes / 5 * 3;

    let mut files = vec![
        file(".cd-info", cd_info.as_bytes()),
        file(".disk/info", cd_info.as_bytes()),
        file(&format!(".{product}-cd-id.txt"), cd_id.as_bytes()),
        file("boot/linux26", &kernel(&mut dice)),
        file("boot/initrd.img", &initrd(&mut dice, &cd_info, product, &cd_id)),
        file("boot/grub/grub.cfg", b"# synthetic: boots nothing\n"),
        file("EULA", b"A synthetic image has no terms.\n"),
        file("COPYING", b"synthetic\n"),
        file("COPYRIGHT", b"synthetic\n"),
        file("Release.txt", format!("{} {}\n", options.product.long_name(), options.release).as_bytes()),
        file(&format!("{product}-base.squashfs"), &dice.bytes(base)),
        file(&format!("{product}-installer.squashfs"), &dice.bytes(options.filler_bytes - base)),
        file(&format!("proxmox/{product}-base.cnt"), b"2048\n"),
        file("dists/trixie/Release", b"Origin: synthetic\n"),
    ];
    for package in packages(options) {
        files.push(file(&format!("proxmox/packages/{package}"), &dice.bytes(3000)));
    }
    for mount_point in [".base", ".installer", ".installer-mp", ".workdir"] {
        files.push(Planned { path: mount_point.to_owned(), content: None });
    }
    if options.capable {
        files.push(file("auto-installer-capable", b""));
    }
    if let Some(mode_file) = &options.mode_file {
        files.push(file("auto-installer-mode.toml", mode_file));
    }
    files
}

fn file(path: &str, content: &[u8]) -> Planned {
    Planned { path: path.to_owned(), content: Some(content.to_vec()) }
}

fn cd_info(options: &IsoOptions) -> String {
    format!(
        "RELEASE='{}'\nISORELEASE='{}'\nISONAME='{}'\nPRODUCT='{}'\nPRODUCTLONG='{}'\n",
        options.release,
        options.iso_release,
        options.product.iso_name(),
        options.product.as_str(),
        options.product.long_name(),
    )
}

/// Two ordinary names and one so long that its Rock Ridge name needs a continuation area.
fn packages(options: &IsoOptions) -> [String; 3] {
    let release = options.release;
    [
        format!("proxmox-ve_{release}.0_all.deb"),
        format!("pve-manager_{release}.1_amd64.deb"),
        format!("proxmox-kernel-{}_{release}_amd64.deb", "6.17.2-1-pve-signed-".repeat(7)),
    ]
}

/// Random bytes that begin like a bzImage, so that `file` calls it a kernel.
fn kernel(dice: &mut Dice) -> Vec<u8> {
    let mut kernel = dice.bytes(48 * 1024 + 17);
    kernel[..2].copy_from_slice(b"MZ");
    kernel[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    kernel[0x202..0x206].copy_from_slice(b"HdrS");
    kernel
}

/// An uncompressed cpio whose length is no multiple of four: who appends to it must pad.
fn initrd(dice: &mut Dice, cd_info: &str, product: &str, cd_id: &str) -> Vec<u8> {
    let mut archive = Vec::new();
    append_member(&mut archive, ".cd-info", cd_info.as_bytes());
    append_member(&mut archive, &format!(".{product}-cd-id.txt"), cd_id.as_bytes());
    append_member(&mut archive, "init", b"#!/bin/sh\nexit 1\n");
    append_member(&mut archive, "lib/firmware.bin", &dice.bytes(96 * 1024 + 3));
    append_trailer(&mut archive);
    archive
}

/// SplitMix64: enough for filler, and the same on every machine.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }

    fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            a >> 32,
            a & 0xffff,
            a >> 20 & 0xfff,
            b >> 52,
            b & 0xffff_ffff_ffff
        )
    }
}
