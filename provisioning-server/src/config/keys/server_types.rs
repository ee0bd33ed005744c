//! Keys of `server-types.yaml`: the hardware classes.

use super::Otherwise::{Default, Required, Said};
use super::Shape::{List, Map, Text, Whole, Word};
use super::{Group, Key};

/// A disk by its kernel name.
const DISK: &str = "^(/dev/)?[a-z][a-z0-9]*$";
const GIB_MAX: u64 = 1_000_000_000;

pub(super) const GROUPS: &[Group] = &[CLASSES, CLASS, LVM, ZFS, BTRFS];

const CLASSES: Group = Group {
    name: "server_types",
    is_list: false,
    about: "The hardware classes, each below a key of its own: a-z, 0-9, - and _. What is wiped is said here, and \
            never guessed.",
    keys: &[],
};

const CLASS: Group = Group {
    name: "server_types.*",
    is_list: false,
    about: "A hardware class. Exactly one of boot_disk, disk_list and disk_filter says which disks are wiped.",
    keys: &[
        Key {
            name: "server_types.*.display_name",
            shape: Text(""),
            otherwise: Said("the key"),
            example: "Mini PC",
            about: "What people read.",
        },
        Key {
            name: "server_types.*.boot_disk",
            shape: Text(DISK),
            otherwise: Said("none; one of the three is needed"),
            example: "nvme0n1",
            about: "The disk that is wiped, by its kernel name; see `lsblk` on such a machine.",
        },
        Key {
            name: "server_types.*.disk_list",
            shape: List(DISK),
            otherwise: Said("none; one of the three is needed"),
            example: "[nvme0n1, nvme1n1]",
            about: "Several disks that are wiped, for zfs and btrfs.",
        },
        Key {
            name: "server_types.*.disk_filter",
            shape: Map("^[A-Z0-9_]{1,64}$"),
            otherwise: Said("none; one of the three is needed"),
            example: "{ ID_SERIAL_SHORT: \"S2HV*\" }",
            about: "Wipes the disks with these udev properties, where * and ? stand for anything: for machines whose \
                    kernel names change. See `udevadm info --query=property --name=/dev/sda`.",
        },
        Key {
            name: "server_types.*.filter_match",
            shape: Word(&["any", "all"]),
            otherwise: Default("any"),
            example: "all",
            about: "Whether a disk needs any or all of the properties.",
        },
        Key {
            name: "server_types.*.filesystem",
            shape: Word(&["ext4", "xfs", "zfs", "btrfs"]),
            otherwise: Default("ext4"),
            example: "zfs",
            about: "The root filesystem: ext4 and xfs stand on LVM and on one disk.",
        },
        Key {
            name: "server_types.*.management_nic",
            shape: Text("^[A-Za-z][A-Za-z0-9._-]{0,14}$"),
            otherwise: Said("any will do"),
            example: "eno1",
            about: "The network interface that hosts of this class are managed by; another one is warned of.",
        },
        Key {
            name: "server_types.*.gpu",
            shape: Text(""),
            otherwise: Said("none"),
            example: "none",
            about: "What the inventory service is told of the machine's GPU.",
        },
        Key {
            name: "server_types.*.hostname_prefix",
            shape: Text("^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"),
            otherwise: Said("any name will do"),
            example: "pve",
            about: "What the names of such hosts begin with; another name is warned of.",
        },
    ],
};

const LVM: Group = Group {
    name: "server_types.*.lvm",
    is_list: false,
    about: "Options of ext4 and xfs, in GiB.",
    keys: &[
        Key {
            name: "server_types.*.lvm.hdsize",
            shape: Whole(0, GIB_MAX),
            otherwise: Said("all of the disk"),
            example: "200",
            about: "How much of the disk is used.",
        },
        Key {
            name: "server_types.*.lvm.swapsize",
            shape: Whole(0, GIB_MAX),
            otherwise: Said("the installer's choice, by memory"),
            example: "8",
            about: "The size of the swap volume; 0 makes none.",
        },
        Key {
            name: "server_types.*.lvm.maxroot",
            shape: Whole(0, GIB_MAX),
            otherwise: Said("the installer's choice, by the disk"),
            example: "50",
            about: "The most that the root volume takes.",
        },
        Key {
            name: "server_types.*.lvm.maxvz",
            shape: Whole(0, GIB_MAX),
            otherwise: Said("the installer's choice, by the disk"),
            example: "0",
            about: "The most that the volume for guests takes; 0 makes none.",
        },
        Key {
            name: "server_types.*.lvm.minfree",
            shape: Whole(0, GIB_MAX),
            otherwise: Said("the installer's choice, by the disk"),
            example: "16",
            about: "What is left free in the volume group, for snapshots.",
        },
    ],
};

const ZFS: Group = Group {
    name: "server_types.*.zfs",
    is_list: false,
    about: "Options of zfs.",
    keys: &[
        Key {
            name: "server_types.*.zfs.raid",
            shape: Word(&["raid0", "raid1", "raid10", "raidz-1", "raidz-2", "raidz-3"]),
            otherwise: Required,
            example: "raid1",
            about: "The redundancy, which is never guessed; raid0 for one disk.",
        },
        Key {
            name: "server_types.*.zfs.ashift",
            shape: Whole(9, 16),
            otherwise: Said("12, the installer's"),
            example: "12",
            about: "The sector size as a power of two.",
        },
        Key {
            name: "server_types.*.zfs.arc_max",
            shape: Whole(64, GIB_MAX),
            otherwise: Said("the installer's choice, by memory"),
            example: "4096",
            about: "The most memory that the cache takes, in MiB.",
        },
        Key {
            name: "server_types.*.zfs.checksum",
            shape: Word(&["on", "fletcher4", "sha256"]),
            otherwise: Said("on, the installer's"),
            example: "sha256",
            about: "The checksum of blocks.",
        },
        Key {
            name: "server_types.*.zfs.compress",
            shape: Word(&["on", "off", "lzjb", "lz4", "zle", "gzip", "zstd"]),
            otherwise: Said("on, the installer's"),
            example: "zstd",
            about: "The compression of blocks.",
        },
        Key {
            name: "server_types.*.zfs.copies",
            shape: Whole(1, 3),
            otherwise: Said("1, the installer's"),
            example: "2",
            about: "How often each block is written, beside the redundancy.",
        },
        Key {
            name: "server_types.*.zfs.hdsize",
            shape: Whole(8, GIB_MAX),
            otherwise: Said("all of the disk"),
            example: "200",
            about: "How much of each disk is used, in GiB.",
        },
    ],
};

const BTRFS: Group = Group {
    name: "server_types.*.btrfs",
    is_list: false,
    about: "Options of btrfs.",
    keys: &[
        Key {
            name: "server_types.*.btrfs.raid",
            shape: Word(&["raid0", "raid1", "raid10"]),
            otherwise: Required,
            example: "raid1",
            about: "The redundancy, which is never guessed; raid0 for one disk.",
        },
        Key {
            name: "server_types.*.btrfs.hdsize",
            shape: Whole(8, GIB_MAX),
            otherwise: Said("all of the disk"),
            example: "200",
            about: "How much of each disk is used, in GiB.",
        },
        Key {
            name: "server_types.*.btrfs.compress",
            shape: Word(&["on", "off", "zlib", "lzo", "zstd"]),
            otherwise: Said("off, the installer's"),
            example: "zstd",
            about: "The compression of files.",
        },
    ],
};
