//! Which disk an installation may wipe, and how it is laid out. Never guessed: the server type says it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::name::text_type;

/// The disk part of a server type, checked to be something the installer accepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSetup {
    /// Which disks are used, and wiped.
    pub selection: DiskSelection,
    /// What is made on them.
    pub filesystem: Filesystem,
}

/// How the disks are named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskSelection {
    /// By kernel name, as the installer's `disk-list`.
    Named(Vec<DiskName>),
    /// By udev properties, as the installer's `filter`.
    Filter {
        /// Property to glob, such as `ID_SERIAL_SHORT = "S2HV*"`.
        properties: BTreeMap<UdevKey, Glob>,
        /// Whether one matching property is enough. The installer heeds it for zfs and btrfs only.
        matching: FilterMatch,
    },
}

/// Whether any or all properties of a filter must match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FilterMatch {
    /// One is enough: the installer's default.
    #[default]
    Any,
    /// Each must match; a disk that lacks the property counts as matching (`reference/answer-file.md`).
    All,
}

/// What is made on the disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filesystem {
    /// LVM with ext4: one disk.
    Ext4(LvmOptions),
    /// LVM with XFS: one disk.
    Xfs(LvmOptions),
    /// ZFS.
    Zfs(ZfsOptions),
    /// Btrfs.
    Btrfs(BtrfsOptions),
}

impl Filesystem {
    /// The installer's word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Ext4(_) => "ext4",
            Self::Xfs(_) => "xfs",
            Self::Zfs(_) => "zfs",
            Self::Btrfs(_) => "btrfs",
        }
    }

    /// The fewest disks that it can be made on.
    fn disks_min(self) -> usize {
        match self {
            Self::Ext4(_) | Self::Xfs(_) => 1,
            Self::Zfs(options) => options.raid.disks_min(),
            Self::Btrfs(options) => options.raid.disks_min(),
        }
    }
}

/// Sizes in GiB; absent ones are the installer's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LvmOptions {
    /// How much of the disk is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hdsize: Option<u32>,
    /// Swap; at most half of `hdsize`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swapsize: Option<u32>,
    /// The root volume's largest size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maxroot: Option<u32>,
    /// The data volume's largest size; 0 makes no thin pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maxvz: Option<u32>,
    /// What is left free in the volume group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minfree: Option<u32>,
}

/// ZFS options with the ranges of the installer's API schema (`reference/answer-file.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZfsOptions {
    /// Redundancy.
    pub raid: ZfsRaid,
    /// log2 of the sector size, 9 to 16; the installer's default is 12.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ashift: Option<u8>,
    /// Cache limit in MiB, at least 64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arc_max: Option<u32>,
    /// Checksum algorithm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<ZfsChecksum>,
    /// Compression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compress: Option<ZfsCompress>,
    /// Copies of each block, 1 to 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copies: Option<u8>,
    /// How much of each disk is used, GiB, at least 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hdsize: Option<u32>,
}

/// Btrfs options.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BtrfsOptions {
    /// Redundancy.
    pub raid: BtrfsRaid,
    /// How much of each disk is used, GiB, at least 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hdsize: Option<u32>,
    /// Compression, from 8.3 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compress: Option<BtrfsCompress>,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// The installer's word for it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

words!(
    /// ZFS redundancy, in lower case, which all releases take.
    ZfsRaid {
        /// Stripes: no redundancy.
        Raid0 = "raid0",
        /// Mirror.
        Raid1 = "raid1",
        /// Striped mirrors.
        Raid10 = "raid10",
        /// One parity disk.
        RaidZ1 = "raidz-1",
        /// Two parity disks.
        RaidZ2 = "raidz-2",
        /// Three parity disks.
        RaidZ3 = "raidz-3",
    }
);
words!(
    /// Btrfs redundancy.
    BtrfsRaid {
        /// Stripes: no redundancy.
        Raid0 = "raid0",
        /// Mirror.
        Raid1 = "raid1",
        /// Striped mirrors.
        Raid10 = "raid10",
    }
);
words!(
    /// ZFS checksum algorithm.
    ZfsChecksum {
        /// ZFS' own default.
        On = "on",
        /// Fletcher4.
        Fletcher4 = "fletcher4",
        /// SHA-256.
        Sha256 = "sha256",
    }
);
words!(
    /// ZFS compression.
    ZfsCompress {
        /// ZFS' own default.
        On = "on",
        /// None.
        Off = "off",
        /// LZJB.
        Lzjb = "lzjb",
        /// LZ4.
        Lz4 = "lz4",
        /// Runs of zeroes.
        Zle = "zle",
        /// gzip.
        Gzip = "gzip",
        /// Zstandard.
        Zstd = "zstd",
    }
);
words!(
    /// Btrfs compression.
    BtrfsCompress {
        /// The file system's own default.
        On = "on",
        /// None.
        Off = "off",
        /// zlib.
        Zlib = "zlib",
        /// LZO.
        Lzo = "lzo",
        /// Zstandard.
        Zstd = "zstd",
    }
);

impl ZfsRaid {
    /// The fewest disks the installer accepts.
    pub fn disks_min(self) -> usize {
        match self {
            Self::Raid0 => 1,
            Self::Raid1 => 2,
            Self::RaidZ1 => 3,
            Self::Raid10 | Self::RaidZ2 => 4,
            Self::RaidZ3 => 5,
        }
    }
}

impl BtrfsRaid {
    /// The fewest disks the installer accepts.
    pub fn disks_min(self) -> usize {
        match self {
            Self::Raid0 => 1,
            Self::Raid1 => 2,
            Self::Raid10 => 4,
        }
    }
}

/// A disk by kernel name: `sda`, `vdb`, `nvme0n1`, `cciss/c0d0`; `/dev/` in front is dropped.
///
/// The installer compares the end of the device's path, so a wrong name such as `a` would match some disk,
/// and `/dev/disk/by-id/…` none: only names of disks it can partition are accepted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct DiskName(Arc<str>);

/// A udev property's name: `A-Z 0-9 _`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct UdevKey(Arc<str>);

/// A glob over a udev property's value: printable ASCII without quotes and backslashes; not only wildcards.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Glob(Arc<str>);

text_type!(DiskName, DiskFault);
text_type!(UdevKey, DiskFault);
text_type!(Glob, DiskFault);

impl FromStr for DiskName {
    type Err = DiskFault;

    fn from_str(text: &str) -> Result<Self, DiskFault> {
        let name = text.strip_prefix("/dev/").unwrap_or(text);
        if name.starts_with("disk/") {
            return Err(DiskFault::ByPath);
        }
        let letters = |s: &str| (1..=2).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_lowercase());
        let number = |s: &str| (1..=3).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
        let pair = |s: &str, between: char| s.split_once(between).is_some_and(|(a, b)| number(a) && number(b));
        let plain = ["sd", "hd", "vd", "xvd", "ed"].iter().any(|p| name.strip_prefix(p).is_some_and(letters));
        let is_nvme = name.strip_prefix("nvme").is_some_and(|rest| pair(rest, 'n'));
        let raid =
            name.split_once("/c").is_some_and(|(dir, rest)| ["cciss", "ida", "rd"].contains(&dir) && pair(rest, 'd'));
        if plain || is_nvme || raid { Ok(Self(name.into())) } else { Err(DiskFault::Name) }
    }
}

impl FromStr for UdevKey {
    type Err = DiskFault;

    fn from_str(text: &str) -> Result<Self, DiskFault> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        if fits { Ok(Self(text.into())) } else { Err(DiskFault::Key) }
    }
}

impl FromStr for Glob {
    type Err = DiskFault;

    fn from_str(text: &str) -> Result<Self, DiskFault> {
        let fits = (1..=256).contains(&text.len())
            && text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\' && b != b'\'');
        if !fits {
            return Err(DiskFault::Glob);
        }
        if text.bytes().all(|b| b == b'*' || b == b'?') {
            return Err(DiskFault::GlobMatchesAll);
        }
        Ok(Self(text.into()))
    }
}

impl DiskSetup {
    /// Puts selection and file system together.
    ///
    /// # Errors
    /// Any combination that the installer would refuse, or would take in another sense than it reads
    /// (`reference/answer-file.md`, `[disk-setup]`).
    pub fn new(selection: DiskSelection, filesystem: Filesystem) -> Result<Self, DiskFault> {
        check_options(filesystem)?;
        let single = matches!(filesystem, Filesystem::Ext4(_) | Filesystem::Xfs(_));
        match &selection {
            DiskSelection::Named(disks) => check_names(disks, filesystem, single)?,
            DiskSelection::Filter { properties, .. } if properties.is_empty() => return Err(DiskFault::NoDisk),
            DiskSelection::Filter { matching: FilterMatch::All, .. } if single => return Err(DiskFault::AllIgnored),
            DiskSelection::Filter { .. } => {}
        }
        Ok(Self { selection, filesystem })
    }

    /// What will be wiped, in words for the pre-flight.
    pub fn wipes(&self) -> String {
        let list = |items: Vec<String>, word: &str| items.join(word);
        match &self.selection {
            DiskSelection::Named(disks) => list(disks.iter().map(|d| format!("/dev/{d}")).collect(), ", "),
            DiskSelection::Filter { properties, matching } => {
                let word = if *matching == FilterMatch::All { " and " } else { " or " };
                let which = match self.filesystem {
                    Filesystem::Ext4(_) | Filesystem::Xfs(_) => "the first disk with",
                    Filesystem::Zfs(_) | Filesystem::Btrfs(_) => "every disk with",
                };
                format!("{which} {}", list(properties.iter().map(|(k, v)| format!("{k} = {v}")).collect(), word))
            }
        }
    }
}

fn check_names(disks: &[DiskName], filesystem: Filesystem, single: bool) -> Result<(), DiskFault> {
    if disks.is_empty() {
        return Err(DiskFault::NoDisk);
    }
    if single && disks.len() > 1 {
        return Err(DiskFault::OneDiskOnly { filesystem: filesystem.as_str() });
    }
    let needed = filesystem.disks_min();
    if disks.len() < needed {
        return Err(DiskFault::TooFew { needed, found: disks.len() });
    }
    let raid10 = match filesystem {
        Filesystem::Zfs(options) => options.raid == ZfsRaid::Raid10,
        Filesystem::Btrfs(options) => options.raid == BtrfsRaid::Raid10,
        Filesystem::Ext4(_) | Filesystem::Xfs(_) => false,
    };
    if raid10 && disks.len() % 2 == 1 {
        return Err(DiskFault::OddMirror);
    }
    let mut sorted: Vec<_> = disks.iter().collect();
    sorted.sort();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(DiskFault::Twice);
    }
    Ok(())
}

fn check_options(filesystem: Filesystem) -> Result<(), DiskFault> {
    let range = |key, value: Option<u32>, min, max| match value {
        Some(v) if v < min || v > max => Err(DiskFault::Range { key, value: v, min, max }),
        _ => Ok(()),
    };
    match filesystem {
        Filesystem::Ext4(o) | Filesystem::Xfs(o) => {
            range("hdsize", o.hdsize, 8, u32::MAX)?;
            let half = o.hdsize.map_or(u32::MAX, |size| size / 2);
            range("swapsize", o.swapsize, 0, half)
        }
        Filesystem::Zfs(o) => {
            range("ashift", o.ashift.map(u32::from), 9, 16)?;
            range("copies", o.copies.map(u32::from), 1, 3)?;
            range("arc_max", o.arc_max, 64, u32::MAX)?;
            range("hdsize", o.hdsize, 8, u32::MAX)
        }
        Filesystem::Btrfs(o) => range("hdsize", o.hdsize, 8, u32::MAX),
    }
}

/// Why a disk setup is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// No disk is named.
    NoDisk,
    /// Not the kernel name of a disk that the installer can partition.
    Name,
    /// A path below `/dev/disk`, which the installer never matches.
    ByPath,
    /// Not a udev property's name.
    Key,
    /// Not a glob.
    Glob,
    /// A glob of wildcards only, which would match every disk.
    GlobMatchesAll,
    /// `filter_match: all` with ext4 or xfs.
    AllIgnored,
    /// Several disks for a file system that uses one.
    OneDiskOnly {
        /// The file system.
        filesystem: &'static str,
    },
    /// Fewer disks than the redundancy needs.
    TooFew {
        /// The fewest that will do.
        needed: usize,
        /// How many are named.
        found: usize,
    },
    /// An odd number of disks for RAID10.
    OddMirror,
    /// A disk is named twice.
    Twice,
    /// A number out of its range.
    Range {
        /// The option.
        key: &'static str,
        /// What it was.
        value: u32,
        /// The smallest allowed.
        min: u32,
        /// The largest allowed.
        max: u32,
    },
}

impl fmt::Display for DiskFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDisk => f.write_str("names no disk: set boot_disk (sda, nvme0n1, …) or disk_filter"),
            Self::Name => f.write_str("not a disk that the installer can use: write sda, vda, nvme0n1 or the like"),
            Self::ByPath => f.write_str(
                "the installer never matches paths below /dev/disk: use disk_filter with ID_SERIAL_SHORT, ID_WWN or DEVLINKS",
            ),
            Self::Key => f.write_str("not a udev property such as ID_SERIAL_SHORT (see `udevadm info --query=property`)"),
            Self::Glob => f.write_str("not a pattern: 1 to 256 printable characters without quotes and backslashes"),
            Self::GlobMatchesAll => f.write_str("the pattern matches every disk"),
            Self::AllIgnored => {
                f.write_str("filter_match: all is ignored by the installer for ext4 and xfs: name one property that tells the disk")
            }
            Self::OneDiskOnly { filesystem } => write!(f, "{filesystem} uses one disk: name exactly one"),
            Self::TooFew { needed, found } => write!(f, "{found} disks are named, this redundancy needs at least {needed}"),
            Self::OddMirror => f.write_str("raid10 needs an even number of disks"),
            Self::Twice => f.write_str("a disk is named twice"),
            Self::Range { key, value, min, max: u32::MAX } => write!(f, "{key} is {value}, but must be at least {min}"),
            Self::Range { key, value, min, max } => write!(f, "{key} is {value}, but must be from {min} to {max}"),
        }
    }
}

impl std::error::Error for DiskFault {}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> DiskSelection {
        DiskSelection::Named(names.iter().map(|n| n.parse().unwrap()).collect())
    }

    fn zfs(raid: ZfsRaid) -> Filesystem {
        Filesystem::Zfs(ZfsOptions {
            raid,
            ashift: None,
            arc_max: None,
            checksum: None,
            compress: None,
            copies: None,
            hdsize: None,
        })
    }

    #[test]
    fn only_disks_that_the_installer_can_partition_have_names() {
        for ok in ["sda", "/dev/sdaa", "vda", "nvme0n1", "xvdb", "cciss/c0d0"] {
            assert!(ok.parse::<DiskName>().is_ok(), "{ok}");
        }
        for bad in ["", "a", "sd", "sda1", "nvme0", "nvme0n1p1", "mmcblk0", "dm-0", "md0", "sda\n"] {
            assert_eq!(bad.parse::<DiskName>(), Err(DiskFault::Name), "{bad:?}");
        }
        assert_eq!("/dev/disk/by-id/nvme-x".parse::<DiskName>(), Err(DiskFault::ByPath));
    }

    #[test]
    fn combinations_that_would_fail_on_the_target_are_refused() {
        let ext4 = Filesystem::Ext4(LvmOptions::default());
        assert!(DiskSetup::new(named(&["sda"]), ext4).is_ok());
        assert_eq!(DiskSetup::new(named(&["sda", "sdb"]), ext4), Err(DiskFault::OneDiskOnly { filesystem: "ext4" }));
        assert_eq!(
            DiskSetup::new(named(&["sda"]), zfs(ZfsRaid::Raid1)),
            Err(DiskFault::TooFew { needed: 2, found: 1 })
        );
        assert_eq!(DiskSetup::new(named(&["sda", "sda"]), zfs(ZfsRaid::Raid1)), Err(DiskFault::Twice));
        let five = ["sda", "sdb", "sdc", "sdd", "sde"];
        assert_eq!(DiskSetup::new(named(&five), zfs(ZfsRaid::Raid10)), Err(DiskFault::OddMirror));
        assert_eq!("*".parse::<Glob>(), Err(DiskFault::GlobMatchesAll));
        let swap = Filesystem::Ext4(LvmOptions { hdsize: Some(32), swapsize: Some(17), ..LvmOptions::default() });
        assert!(matches!(
            DiskSetup::new(named(&["sda"]), swap),
            Err(DiskFault::Range { key: "swapsize", max: 16, .. })
        ));
    }
}
