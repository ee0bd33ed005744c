//! The `[disk-setup]` table: which disks, which file system.

use provisioning_core::model::Release;

use super::AnswerError;
use super::table::{Spelling, Table};

/// What is to be written where.
#[derive(Clone, Debug, PartialEq)]
pub struct DiskPlan {
    /// `ext4`, `xfs`, `zfs` or `btrfs`.
    pub filesystem: String,
    /// The RAID level in lower case, for zfs and btrfs.
    pub raid: Option<String>,
    /// Which disks.
    pub pick: DiskPick,
    /// `hdsize` in GiB, when the disk is not to be filled.
    pub hdsize_gib: Option<f64>,
}

/// How disks are chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskPick {
    /// By the end of the device path.
    List(Vec<String>),
    /// By udev properties.
    Filter {
        /// Property and glob.
        globs: Vec<(String, String)>,
        /// Whether all must fit and not just one.
        all: bool,
    },
}

impl DiskPlan {
    /// How many disks the RAID level needs.
    pub fn disks_min(&self) -> usize {
        match self.raid.as_deref() {
            Some("raid1") => 2,
            Some("raid10" | "raidz-2") => 4,
            Some("raidz-1") => 3,
            Some("raidz-3") => 5,
            _ => 1,
        }
    }
}

pub(super) fn read(table: Table) -> Result<DiskPlan, AnswerError> {
    let spelling = Spelling::of_main_tables(table.release());
    let mut table = table.spelled(spelling);
    let filesystem = table.word("filesystem", &["ext4", "xfs", "zfs", "btrfs"])?;
    let filesystem = filesystem.ok_or_else(|| table.fault("filesystem", "is missing"))?;
    let pick = pick(&mut table)?;
    let own = match filesystem.as_str() {
        "zfs" => "zfs",
        "btrfs" => "btrfs",
        _ => "lvm",
    };
    let options = table.table(own)?;
    for other in ["zfs", "lvm", "btrfs"] {
        if table.table(other)?.is_some() {
            return Err(table.fault(other, format!("does not go with {filesystem}")));
        }
    }
    let (raid, hdsize_gib) = match (own, options) {
        ("lvm", None) => (None, None),
        ("lvm", Some(options)) => (None, lvm(options)?),
        (_, None) => return Err(table.fault(own, "is missing: raid must be chosen")),
        ("zfs", Some(options)) => zfs(options)?,
        (_, Some(options)) => btrfs(options)?,
    };
    let plan = DiskPlan { filesystem, raid, pick, hdsize_gib };
    check_number(&table, &plan)?;
    table.finish()?;
    Ok(plan)
}

fn pick(table: &mut Table) -> Result<DiskPick, AnswerError> {
    let list = table.texts("disk-list")?;
    let globs = table.map_of_texts("filter")?;
    let all = table.word("filter-match", &["any", "all"])?.as_deref() == Some("all");
    match (list.is_empty(), globs.is_empty()) {
        (true, true) => Err(table.fault("disk-list", "names no disk, and there is no filter")),
        (false, false) => Err(table.fault("disk-list", "and filter exclude each other")),
        (false, true) => Ok(DiskPick::List(list)),
        (true, false) => Ok(DiskPick::Filter { globs, all }),
    }
}

fn check_number(table: &Table, plan: &DiskPlan) -> Result<(), AnswerError> {
    let DiskPick::List(list) = &plan.pick else { return Ok(()) };
    if plan.raid.is_none() {
        let one = list.len() == 1;
        return if one {
            Ok(())
        } else {
            Err(table.fault("disk-list", format!("must name one disk for {}", plan.filesystem)))
        };
    }
    let distinct: std::collections::BTreeSet<&String> = list.iter().collect();
    if distinct.len() < list.len() {
        return Err(table.fault("disk-list", "names a disk twice"));
    }
    // Before 9.0 this is found out only when the disks are written; either way nothing is installed.
    if list.len() < plan.disks_min() || (plan.raid.as_deref() == Some("raid10") && list.len() % 2 == 1) {
        let raid = plan.raid.as_deref().unwrap_or_default();
        return Err(table.fault("disk-list", format!("names {} disks, which {raid} can not be made of", list.len())));
    }
    Ok(())
}

fn zfs(mut table: Table) -> Result<(Option<String>, Option<f64>), AnswerError> {
    let raid = raid(&mut table, &["raid0", "raid1", "raid10", "raidz-1", "raidz-2", "raidz-3"])?;
    table.count("ashift")?;
    table.count("arc-max")?;
    table.count("copies")?;
    table.word("checksum", &["on", "fletcher4", "sha256"])?;
    table.word("compress", &["on", "off", "lzjb", "lz4", "zle", "gzip", "zstd"])?;
    let hdsize = table.gibibytes("hdsize")?;
    table.finish()?;
    Ok((Some(raid), hdsize))
}

fn btrfs(mut table: Table) -> Result<(Option<String>, Option<f64>), AnswerError> {
    let raid = raid(&mut table, &["raid0", "raid1", "raid10"])?;
    if table.known_since(Release::new(8, 3)) {
        table.word("compress", &["on", "off", "zlib", "lzo", "zstd"])?;
    }
    let hdsize = table.gibibytes("hdsize")?;
    table.finish()?;
    Ok((Some(raid), hdsize))
}

/// All lower or, from 8.3 on, all upper case.
fn raid(table: &mut Table, levels: &[&str]) -> Result<String, AnswerError> {
    let text = table.required_text("raid")?;
    let lower = text.to_ascii_lowercase();
    let upper_fits = table.known_since(Release::new(8, 3)) && text == text.to_ascii_uppercase();
    if levels.contains(&lower.as_str()) && (text == lower || upper_fits) {
        return Ok(lower);
    }
    Err(table.fault("raid", format!("is {text:?}, expected one of {}", levels.join(", "))))
}

fn lvm(mut table: Table) -> Result<Option<f64>, AnswerError> {
    let hdsize = table.gibibytes("hdsize")?;
    let swapsize = table.gibibytes("swapsize")?;
    for key in ["maxroot", "maxvz", "minfree"] {
        table.gibibytes(key)?;
    }
    if let (Some(hdsize), Some(swapsize), true) = (hdsize, swapsize, table.known_since(Release::new(9, 0)))
        && swapsize > hdsize / 2.0
    {
        return Err(table.fault("swapsize", "is more than half of hdsize"));
    }
    table.finish()?;
    Ok(hdsize)
}
