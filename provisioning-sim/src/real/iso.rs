//! A small synthetic Proxmox ISO, and the reading of such images the way a booting machine does it.
//!
//! The reader shares no code with the server's: what the server patches is judged here by other eyes.

mod initramfs;
mod layout;
mod reader;
mod writer;

use std::io;
use std::path::Path;

use provisioning_core::model::Release;

pub use initramfs::{InitramfsError, last_member};
pub use reader::{IsoEntry, IsoFs, IsoReadError};

/// Which of Proxmox' products an image claims to install.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// Proxmox VE.
    Pve,
    /// Proxmox Backup Server.
    Pbs,
    /// Proxmox Mail Gateway.
    Pmg,
}

impl Product {
    /// The short name, `PRODUCT` in `.cd-info`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pve => "pve",
            Self::Pbs => "pbs",
            Self::Pmg => "pmg",
        }
    }

    /// The long name, `PRODUCTLONG` in `.cd-info`.
    pub fn long_name(self) -> &'static str {
        match self {
            Self::Pve => "Proxmox VE",
            Self::Pbs => "Proxmox Backup Server",
            Self::Pmg => "Proxmox Mail Gateway",
        }
    }

    /// `ISONAME` in `.cd-info`, the first part of the file's usual name.
    pub fn iso_name(self) -> &'static str {
        match self {
            Self::Pve => "proxmox-ve",
            Self::Pbs => "proxmox-backup-server",
            Self::Pmg => "proxmox-mail-gateway",
        }
    }
}

/// What the synthetic image shall be like. Equal options make equal bytes.
#[derive(Clone, Debug)]
pub struct IsoOptions {
    /// `RELEASE` of `.cd-info`.
    pub release: Release,
    /// `ISORELEASE` of `.cd-info`.
    pub iso_release: u16,
    /// The product it claims to be.
    pub product: Product,
    /// Whether `/auto-installer-capable` is there, as it is from 8.2 on.
    pub capable: bool,
    /// A mode file that is there already, as in an image that somebody has prepared.
    pub mode_file: Option<Vec<u8>>,
    /// Bytes of random filler in the two squashfs files together; the rest of the image takes about 200 KiB.
    pub filler_bytes: usize,
    /// Decides all that looks random.
    pub seed: u64,
}

impl Default for IsoOptions {
    fn default() -> Self {
        Self {
            release: Release::new(9, 2),
            iso_release: 1,
            product: Product::Pve,
            capable: true,
            mode_file: None,
            filler_bytes: 1 << 20,
            seed: 1,
        }
    }
}

impl IsoOptions {
    /// The file name by Proxmox' convention: `proxmox-ve_9.2-1.iso`.
    pub fn file_name(&self) -> String {
        format!("{}_{}-{}.iso", self.product.iso_name(), self.release, self.iso_release)
    }
}

/// Makes the image's bytes: ISO 9660 with Rock Ridge, laid out as `reference/pxe-boot.md` describes the real one.
pub fn build(options: &IsoOptions) -> Vec<u8> {
    writer::write("PVE", layout::files(options))
}

/// Makes the image and writes it to a file, over what was there.
pub fn write_file(options: &IsoOptions, path: &Path) -> io::Result<()> {
    std::fs::write(path, build(options))
}

#[cfg(test)]
mod tests;
