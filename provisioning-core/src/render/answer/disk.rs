//! The section `disk-setup`: which disks are wiped, and what is made on them. As the server type says it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::dialect::{Dialect, Entry};
use super::error::AnswerError;
use crate::model::{
    BtrfsCompress, BtrfsOptions, BtrfsRaid, DiskName, DiskSelection, DiskSetup, Filesystem, FilterMatch, Glob,
    LvmOptions, Release, UdevKey, ZfsChecksum, ZfsCompress, ZfsOptions, ZfsRaid,
};

const BTRFS_COMPRESS: Release = Release::new(8, 3);

/// The section. Scalars stand before tables, as TOML wants it; of the option tables only the file system's own is
/// there, since the installer refuses any other.
#[derive(Debug, Serialize)]
pub(super) struct DiskSection<'a> {
    filesystem: &'static str,
    #[serde(flatten)]
    disk_list: Option<Entry<&'a [DiskName]>>,
    /// Only `all` is written: `any` is the default.
    #[serde(flatten)]
    filter_match: Option<Entry<FilterMatch>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<&'a BTreeMap<UdevKey, Glob>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lvm: Option<Lvm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zfs: Option<Zfs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    btrfs: Option<Btrfs>,
}

impl<'a> DiskSection<'a> {
    pub(super) fn new(setup: &'a DiskSetup, dialect: Dialect) -> Result<Self, AnswerError> {
        let mut section = Self {
            filesystem: setup.filesystem.as_str(),
            disk_list: None,
            filter_match: None,
            filter: None,
            lvm: None,
            zfs: None,
            btrfs: None,
        };
        match &setup.selection {
            DiskSelection::Named(disks) => section.disk_list = Some(dialect.entry("disk-list", disks)),
            DiskSelection::Filter { properties, matching } => {
                section.filter = Some(properties);
                section.filter_match =
                    (*matching == FilterMatch::All).then(|| dialect.entry("filter-match", FilterMatch::All));
            }
        }
        match setup.filesystem {
            Filesystem::Ext4(options) | Filesystem::Xfs(options) => section.lvm = Lvm::new(options),
            Filesystem::Zfs(options) => section.zfs = Some(Zfs::new(options, dialect)),
            Filesystem::Btrfs(options) => section.btrfs = Some(Btrfs::new(options, dialect)?),
        }
        Ok(section)
    }
}

/// Sizes in GiB.
#[derive(Debug, Serialize)]
struct Lvm {
    #[serde(skip_serializing_if = "Option::is_none")]
    hdsize: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    swapsize: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maxroot: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maxvz: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minfree: Option<u32>,
}

impl Lvm {
    /// No table at all when everything is left to the installer.
    fn new(options: LvmOptions) -> Option<Self> {
        if options == LvmOptions::default() {
            return None;
        }
        let LvmOptions { hdsize, swapsize, maxroot, maxvz, minfree } = options;
        Some(Self { hdsize, swapsize, maxroot, maxvz, minfree })
    }
}

#[derive(Debug, Serialize)]
struct Zfs {
    raid: ZfsRaid,
    #[serde(skip_serializing_if = "Option::is_none")]
    ashift: Option<u8>,
    #[serde(flatten)]
    arc_max: Option<Entry<u32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checksum: Option<ZfsChecksum>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compress: Option<ZfsCompress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    copies: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hdsize: Option<u32>,
}

impl Zfs {
    fn new(options: ZfsOptions, dialect: Dialect) -> Self {
        let ZfsOptions { raid, ashift, arc_max, checksum, compress, copies, hdsize } = options;
        let arc_max = arc_max.map(|mib| dialect.entry("arc-max", mib));
        Self { raid, ashift, arc_max, checksum, compress, copies, hdsize }
    }
}

#[derive(Debug, Serialize)]
struct Btrfs {
    raid: BtrfsRaid,
    #[serde(skip_serializing_if = "Option::is_none")]
    hdsize: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compress: Option<BtrfsCompress>,
}

impl Btrfs {
    fn new(options: BtrfsOptions, dialect: Dialect) -> Result<Self, AnswerError> {
        let BtrfsOptions { raid, hdsize, compress } = options;
        if compress.is_some() {
            dialect.require("btrfs option compress", BTRFS_COMPRESS)?;
        }
        Ok(Self { raid, hdsize, compress })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(setup: &DiskSetup, minor: u16) -> String {
        let dialect = Dialect::of(Release::new(8, minor)).unwrap();
        toml::to_string(&DiskSection::new(setup, dialect).unwrap()).unwrap()
    }

    #[test]
    fn sizes_left_to_the_installer_make_no_table() {
        let disks = || DiskSelection::Named(vec!["sda".parse().unwrap()]);
        let plain = DiskSetup::new(disks(), Filesystem::Xfs(LvmOptions::default())).unwrap();
        assert_eq!(written(&plain, 4), "filesystem = \"xfs\"\ndisk-list = [\"sda\"]\n");

        let no_pool = LvmOptions { maxvz: Some(0), ..LvmOptions::default() };
        let sized = DiskSetup::new(disks(), Filesystem::Ext4(no_pool)).unwrap();
        assert_eq!(written(&sized, 3), "filesystem = \"ext4\"\ndisk_list = [\"sda\"]\n\n[lvm]\nmaxvz = 0\n");
    }

    #[test]
    fn a_filters_properties_keep_their_spelling_in_every_dialect() {
        let properties = BTreeMap::from([("ID_SERIAL_SHORT".parse().unwrap(), "S2-HV_*".parse().unwrap())]);
        let selection = DiskSelection::Filter { properties, matching: FilterMatch::All };
        let options = BtrfsOptions { raid: BtrfsRaid::Raid1, hdsize: None, compress: None };
        let setup = DiskSetup::new(selection, Filesystem::Btrfs(options)).unwrap();
        let rest = "\n[filter]\nID_SERIAL_SHORT = \"S2-HV_*\"\n\n[btrfs]\nraid = \"raid1\"\n";
        assert_eq!(written(&setup, 3), format!("filesystem = \"btrfs\"\nfilter_match = \"all\"\n{rest}"));
        assert_eq!(written(&setup, 4), format!("filesystem = \"btrfs\"\nfilter-match = \"all\"\n{rest}"));
    }

    #[test]
    fn btrfs_compression_is_refused_where_the_installer_does_not_know_it() {
        let options = BtrfsOptions { raid: BtrfsRaid::Raid0, hdsize: None, compress: Some(BtrfsCompress::Zstd) };
        let selection = DiskSelection::Named(vec!["sda".parse().unwrap()]);
        let setup = DiskSetup::new(selection, Filesystem::Btrfs(options)).unwrap();
        let release = Release::new(8, 2);
        let error = DiskSection::new(&setup, Dialect::of(release).unwrap()).unwrap_err();
        assert_eq!(
            error,
            AnswerError::NotInRelease { feature: "btrfs option compress", since: BTRFS_COMPRESS, release }
        );
        assert!(written(&setup, 3).contains("compress = \"zstd\""));
    }
}
