//! `server-types.yaml`: hardware classes, checked to be something the installer accepts.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use provisioning_core::model::{
    BtrfsCompress, BtrfsOptions, BtrfsRaid, DiskName, DiskSelection, DiskSetup, Filesystem, FilterMatch, Glob,
    LvmOptions, ServerType, ServerTypeKey, UdevKey, ZfsChecksum, ZfsCompress, ZfsOptions, ZfsRaid,
};

use super::fault::{Fault, Place};
use super::keys::Document;
use super::reader::{Reader, Section};

const EXAMPLE: &str =
    "write one, for example:\nserver_types:\n  lab:\n    display_name: Lab machine\n    boot_disk: sda";

/// Reads the file; faults go to `reader`, and what has none comes back.
pub(super) fn read(reader: &Reader, path: &Path) -> Vec<ServerType> {
    let mut tree = match super::read_tree(reader, path) {
        Ok(tree) => tree,
        Err(fault) => {
            reader.fault(Fault { help: Some(EXAMPLE.to_owned()), ..fault });
            return vec![];
        }
    };
    tree.place = Place::whole(&std::sync::Arc::from(path));
    let mut root = reader.root(Document::ServerTypes, tree);
    let types = root.section("server_types").into_sections();
    if types.is_empty() {
        root.fault("server_types", "names no server type", Some(EXAMPLE.to_owned()));
    }
    root.finish();
    types.into_iter().filter_map(|(name, place, section)| server_type(&name, &place, section)).collect()
}

fn server_type(name: &str, place: &Place, mut section: Section<'_>) -> Option<ServerType> {
    let key = ServerTypeKey::from_str(name).map_err(|error| section.fault_at(place, "", error.to_string())).ok();
    let display_name = section.text("display_name").map_or_else(|| name.to_owned(), |(_, text)| text);
    let selection = selection(&mut section);
    let filesystem = filesystem(&mut section);
    let management_nic = section.parsed("management_nic");
    let gpu = section.text("gpu").map(|(_, text)| text).filter(|text| !text.is_empty());
    let hostname_prefix = section.parsed("hostname_prefix");
    let disk = match (selection, filesystem) {
        (Some(selection), Some(filesystem)) => {
            DiskSetup::new(selection, filesystem).map_err(|fault| section.fault_at(place, "", fault.to_string())).ok()
        }
        _ => None,
    };
    section.finish();
    Some(ServerType { key: key?, display_name, disk: disk?, management_nic, gpu, hostname_prefix })
}

/// Exactly one of the three ways to name disks.
fn selection(section: &mut Section<'_>) -> Option<DiskSelection> {
    let ways: Vec<&str> =
        ["boot_disk", "disk_list", "disk_filter"].into_iter().filter(|way| section.is_written(way)).collect();
    let boot_disk = section.parsed::<DiskName>("boot_disk");
    let list: Option<Vec<DiskName>> = section.list("disk_list");
    let filter = filter(section);
    let words = [("any", FilterMatch::Any), ("all", FilterMatch::All)];
    let matching = section.word("filter_match", &words).unwrap_or_default();
    match ways.as_slice() {
        ["boot_disk"] => boot_disk.map(|disk| DiskSelection::Named(vec![disk])),
        ["disk_list"] => list.map(DiskSelection::Named),
        ["disk_filter"] => filter.map(|properties| DiskSelection::Filter { properties, matching }),
        [] => {
            let help = "boot_disk: sda (see `lsblk` on such a machine), or disk_filter: {ID_SERIAL_SHORT: \"S2HV*\"} \
                        (see `udevadm info --query=property --name=/dev/sda`)";
            section.fault("boot_disk", "is missing: no disk is wiped that is not named", Some(help.to_owned()));
            None
        }
        several => {
            section.fault(several[1], format!("stands beside {}: write only one of them", several[0]), None);
            None
        }
    }
}

fn filter(section: &mut Section<'_>) -> Option<BTreeMap<UdevKey, Glob>> {
    let mut properties = BTreeMap::new();
    let mut sound = true;
    for (name, place, glob) in section.map("disk_filter") {
        match (name.parse::<UdevKey>(), glob.parse::<Glob>()) {
            (Ok(key), Ok(value)) => {
                properties.insert(key, value);
            }
            (Err(fault), _) | (_, Err(fault)) => {
                section.fault_at(&place, &format!("disk_filter.{name}"), format!("{glob:?}: {fault}"));
                sound = false;
            }
        }
    }
    sound.then_some(properties)
}

fn filesystem(section: &mut Section<'_>) -> Option<Filesystem> {
    #[derive(Clone, Copy, PartialEq)]
    enum Kind {
        Ext4,
        Xfs,
        Zfs,
        Btrfs,
    }
    let words = [("ext4", Kind::Ext4), ("xfs", Kind::Xfs), ("zfs", Kind::Zfs), ("btrfs", Kind::Btrfs)];
    let written = section.is_written("filesystem");
    let kind = section.word("filesystem", &words);
    if written && kind.is_none() {
        // Which options belong to it is not known.
        for options in ["lvm", "zfs", "btrfs"] {
            section.take(options);
        }
        return None;
    }
    let kind = kind.unwrap_or(Kind::Ext4);
    let own = match kind {
        Kind::Ext4 | Kind::Xfs => "lvm",
        Kind::Zfs => "zfs",
        Kind::Btrfs => "btrfs",
    };
    for other in ["lvm", "zfs", "btrfs"] {
        if other != own
            && let Some(tree) = section.take(other)
        {
            let problem = format!("does not belong to this filesystem: its options stand under {own}");
            section.fault_at(&tree.place, other, problem);
        }
    }
    match kind {
        Kind::Ext4 => Some(Filesystem::Ext4(lvm(section.section(own)))),
        Kind::Xfs => Some(Filesystem::Xfs(lvm(section.section(own)))),
        Kind::Zfs => zfs(section.section(own)).map(Filesystem::Zfs),
        Kind::Btrfs => btrfs(section.section(own)).map(Filesystem::Btrfs),
    }
}

fn lvm(mut section: Section<'_>) -> LvmOptions {
    const GIB: &str = "0 upwards (GiB)";
    let options = LvmOptions {
        hdsize: section.number("hdsize", GIB),
        swapsize: section.number("swapsize", GIB),
        maxroot: section.number("maxroot", GIB),
        maxvz: section.number("maxvz", GIB),
        minfree: section.number("minfree", GIB),
    };
    section.finish();
    options
}

fn zfs(mut section: Section<'_>) -> Option<ZfsOptions> {
    use ZfsRaid::{Raid0, Raid1, Raid10, RaidZ1, RaidZ2, RaidZ3};
    let raids = [Raid0, Raid1, Raid10, RaidZ1, RaidZ2, RaidZ3].map(|raid| (raid.as_str(), raid));
    let checksums = [ZfsChecksum::On, ZfsChecksum::Fletcher4, ZfsChecksum::Sha256].map(|c| (c.as_str(), c));
    let compressions = [
        ZfsCompress::On,
        ZfsCompress::Off,
        ZfsCompress::Lzjb,
        ZfsCompress::Lz4,
        ZfsCompress::Zle,
        ZfsCompress::Gzip,
        ZfsCompress::Zstd,
    ]
    .map(|c| (c.as_str(), c));
    let raid = raid(&mut section, &raids);
    let options = ZfsOptions {
        raid: raid.unwrap_or(Raid0),
        ashift: section.number("ashift", "9 to 16"),
        arc_max: section.number("arc_max", "64 upwards (MiB)"),
        checksum: section.word("checksum", &checksums),
        compress: section.word("compress", &compressions),
        copies: section.number("copies", "1 to 3"),
        hdsize: section.number("hdsize", "8 upwards (GiB)"),
    };
    section.finish();
    raid.map(|_| options)
}

/// Redundancy is not guessed: with several disks the installer's own default would be none.
fn raid<T: Copy>(section: &mut Section<'_>, raids: &[(&str, T)]) -> Option<T> {
    if !section.is_written("raid") {
        let names: Vec<&str> = raids.iter().map(|(name, _)| *name).collect();
        section.fault("raid", format!("is missing: write one of {}; raid0 for one disk", names.join(", ")), None);
    }
    section.word("raid", raids)
}

fn btrfs(mut section: Section<'_>) -> Option<BtrfsOptions> {
    let raids = [BtrfsRaid::Raid0, BtrfsRaid::Raid1, BtrfsRaid::Raid10].map(|raid| (raid.as_str(), raid));
    let compressions =
        [BtrfsCompress::On, BtrfsCompress::Off, BtrfsCompress::Zlib, BtrfsCompress::Lzo, BtrfsCompress::Zstd]
            .map(|c| (c.as_str(), c));
    let raid = raid(&mut section, &raids);
    let options = BtrfsOptions {
        raid: raid.unwrap_or(BtrfsRaid::Raid0),
        hdsize: section.number("hdsize", "8 upwards (GiB)"),
        compress: section.word("compress", &compressions),
    };
    section.finish();
    raid.map(|_| options)
}
