//! Holds an answer against the machine: which disks it means, which NIC, which name and address.

use ipnet::IpNet;

use crate::real::answer::{DiskPick, DiskPlan, FqdnPlan, InstallPlan, NetworkPlan, glob_matches};
use crate::real::host::{Disk, Hardware};

/// What an answer comes to on one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The system's full name.
    pub fqdn: String,
    /// Kernel names of the disks that are written.
    pub disks: Vec<String>,
    /// `hdsize` of the boot disk in bytes.
    pub hdsize_bytes: u64,
    /// Kernel name of the management NIC.
    pub management: String,
    /// The management address.
    pub address: IpNet,
}

/// Decides what is written where.
///
/// # Errors
/// In words, when the machine lacks what the answer wants: the installation aborts.
pub fn settle(plan: &InstallPlan, hardware: &Hardware) -> Result<Target, String> {
    let disks = disks(&plan.disks, &hardware.disks)?;
    let whole = disks.first().map_or(0, |disk| disk.size_bytes);
    let (management, address) = match &plan.network {
        NetworkPlan::FromDhcp => (hardware.boot_nic().link.clone(), hardware.lease),
        NetworkPlan::Static(fixed) => {
            let fits = |nic: &&crate::real::host::Nic| {
                let properties = nic.properties();
                fixed
                    .filter
                    .iter()
                    .any(|(key, glob)| properties.iter().any(|(name, value)| name == key && glob_matches(glob, value)))
            };
            let nic = hardware.nics.iter().find(fits).ok_or("no NIC fits network.filter")?;
            (nic.link.clone(), fixed.cidr)
        }
    };
    Ok(Target {
        fqdn: fqdn(&plan.fqdn, hardware)?,
        disks: disks.iter().map(|disk| disk.name.clone()).collect(),
        hdsize_bytes: plan.disks.hdsize_gib.map_or(whole, gib_to_bytes),
        management,
        address,
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sizes are small and not negative")]
fn gib_to_bytes(gib: f64) -> u64 {
    (gib * f64::from(1 << 30)) as u64
}

fn fqdn(plan: &FqdnPlan, hardware: &Hardware) -> Result<String, String> {
    match plan {
        FqdnPlan::Name(name) => Ok(name.clone()),
        FqdnPlan::FromDhcp { domain } => {
            let name = hardware.dhcp_name.as_deref().ok_or("DHCP told no host name")?;
            let domain = domain.as_deref().ok_or("neither the answer nor DHCP told a domain")?;
            Ok(format!("{name}.{domain}"))
        }
    }
}

fn disks<'a>(plan: &DiskPlan, present: &'a [Disk]) -> Result<Vec<&'a Disk>, String> {
    let many = plan.raid.is_some();
    let mut chosen: Vec<&Disk> = match &plan.pick {
        DiskPick::List(list) => {
            let meant = |name: &String| present.iter().find(|disk| disk.path().ends_with(name.as_str()));
            list.iter().filter_map(meant).collect()
        }
        // filter-match counts for zfs and btrfs only.
        DiskPick::Filter { globs, all } => present.iter().filter(|disk| fits(disk, globs, *all && many)).collect(),
    };
    if !many {
        chosen.truncate(1);
    }
    if chosen.is_empty() {
        return Err("no disk fits disk-setup".to_owned());
    }
    if chosen.len() < plan.disks_min() {
        let raid = plan.raid.as_deref().unwrap_or_default();
        return Err(format!("{raid} needs {} disks, {} fit", plan.disks_min(), chosen.len()));
    }
    let sizes = || chosen.iter().map(|disk| disk.size_bytes);
    let (Some(least), Some(most)) = (sizes().min(), sizes().max()) else { return Err("no disk".to_owned()) };
    if plan.disks_min() > 1 && most - least > most / 10 {
        return Err("the disks' sizes are more than a tenth apart".to_owned());
    }
    if least < 8 << 30 {
        return Err("the root disk is smaller than 8 GiB".to_owned());
    }
    Ok(chosen)
}

/// With `all`, a disk that lacks a property altogether still fits (`reference/answer-file.md`, `[disk-setup]`).
fn fits(disk: &Disk, globs: &[(String, String)], all: bool) -> bool {
    let fit = |(key, glob): &(String, String)| {
        disk.properties.iter().find(|(name, _)| name == key).map(|(_, value)| glob_matches(glob, value))
    };
    if all { globs.iter().all(|g| fit(g) != Some(false)) } else { globs.iter().any(|g| fit(g) == Some(true)) }
}
