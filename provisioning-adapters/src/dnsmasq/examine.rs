//! Whether dnsmasq could run here, found out without starting or changing anything.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Stdio;

use ipnet::Ipv4Net;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::config::{Addresses, DnsmasqConfig};
use super::fault::DnsmasqFault;
use super::holders;
use super::preflight;
use super::programs::BootPrograms;
use super::render::{Facts, render};

/// No program of iPXE's is smaller, in bytes: a smaller file is a piece of one, or something else.
const PROGRAM_BYTES_MIN: u64 = 16 << 10;
/// None is larger, in bytes.
const PROGRAM_BYTES_MAX: u64 = 16 << 20;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its stable name.
    pub about: &'static str,
    /// What was found, or what is wrong and what to do about it.
    pub outcome: Result<String, String>,
}

/// Looks at all that [`Dnsmasq::start`](super::Dnsmasq::start) needs. `server` is the process of a server that runs, whose
/// own dnsmasq may hold the ports.
pub async fn examine(config: &DnsmasqConfig, server: Option<i32>) -> Vec<Finding> {
    let program = preflight::program(&config.program);
    let own = preflight::own_address(&config.interface, config.subnet);
    let mut findings = vec![
        finding(
            "dnsmasq",
            match &program {
                Ok(program) => version(program).await,
                Err(fault) => Err(told(fault)),
            },
        ),
        finding("interface", own.as_ref().map(|own| format!("{} is {own}", config.interface)).map_err(told)),
        finding("capabilities", capabilities(server)),
        finding("boot-programs", programs(&config.programs)),
    ];
    if let Ok(own) = own {
        findings.push(finding("dhcp-ports", ports(config, own.addr(), server)));
        if let Ok(program) = &program {
            findings.push(finding("dnsmasq-config", accepted(config, own, program).await));
        }
    }
    findings
}

fn finding(about: &'static str, outcome: Result<String, String>) -> Finding {
    Finding { about, outcome }
}

fn told(fault: &DnsmasqFault) -> String {
    provisioning_core::ports::chain(fault)
}

async fn version(program: &Path) -> Result<String, String> {
    let said = Command::new(program).arg("--version").env_clear().kill_on_drop(true).output().await;
    let said = said.map_err(|error| format!("{} cannot be run: {error}", program.display()))?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let version = text.lines().next().and_then(|line| line.strip_prefix("Dnsmasq version "));
    let version = version.and_then(|rest| rest.split_ascii_whitespace().next());
    let version = version.ok_or_else(|| format!("{} is no dnsmasq: set pxe.dnsmasq", program.display()))?;
    Ok(format!("{} {version}", program.display()))
}

/// A server that runs has shown that it may.
fn capabilities(server: Option<i32>) -> Result<String, String> {
    match (preflight::capabilities(), server) {
        (Ok(()), _) => Ok("this user may open the ports".to_owned()),
        (Err(_), Some(_)) => Ok("the server that runs may".to_owned()),
        (Err(fault), None) => Err(told(&fault)),
    }
}

fn programs(folder: &Path) -> Result<String, String> {
    let found = BootPrograms::find(folder);
    found.check().map_err(|fault| told(&fault))?;
    let mut faults = found.warnings();
    let mut names: Vec<&str> = found.present.iter().map(|program| program.name).collect();
    names.sort_unstable();
    names.dedup();
    faults.extend(names.iter().filter_map(|name| implausible(&folder.join(name))));
    if !faults.is_empty() {
        return Err(faults.join("; "));
    }
    let version =
        found.version.map_or_else(|| "of a version that is not told".to_owned(), |version| version.to_string());
    Ok(format!("iPXE {version}: {}", names.join(", ")))
}

/// What tells that a file is no boot program.
fn implausible(file: &Path) -> Option<String> {
    let size = match fs::metadata(file) {
        Ok(found) => found.len(),
        Err(error) => return Some(format!("{} cannot be read: {error}", file.display())),
    };
    if !(PROGRAM_BYTES_MIN..=PROGRAM_BYTES_MAX).contains(&size) {
        return Some(format!("{} has {size} bytes, which no boot program has", file.display()));
    }
    let head = fs::read(file).unwrap_or_default();
    // EFI programs are of the PE format.
    let is_efi = file.extension().is_some_and(|extension| extension == "efi");
    (is_efi && !head.starts_with(b"MZ")).then(|| format!("{} is no EFI program", file.display()))
}

fn ports(config: &DnsmasqConfig, own: Ipv4Addr, server: Option<i32>) -> Result<String, String> {
    let ports: &[u16] = match &config.addresses {
        Addresses::Proxy => &[67, 69, 4011],
        Addresses::Dhcp(_) => &[67, 69],
    };
    let shown = ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match holders::holder(ports, own, &config.interface) {
        None if server.is_none() => Ok(format!("{shown} are free")),
        None => Err("the server runs, but its dnsmasq does not: see the server's log".to_owned()),
        Some(holder) if holder.process.as_ref().is_some_and(|(pid, _)| server.is_some() && parent(*pid) == server) => {
            Ok(format!("{shown} are held by the server's own dnsmasq"))
        }
        Some(holder) => Err(told(&DnsmasqFault::PortTaken { interface: config.interface.clone(), holder })),
    }
}

/// The process that has started this one.
fn parent(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

async fn accepted(config: &DnsmasqConfig, own: Ipv4Net, program: &Path) -> Result<String, String> {
    if let Addresses::Dhcp(pool) = &config.addresses {
        pool.check(own, Some(own.addr())).map_err(|error| format!("pxe.range: {error}"))?;
    }
    let programs = BootPrograms::find(&config.programs);
    let text = render(&Facts::of(config, own, &programs));
    let text = text.map_err(|error| told(&error.into()))?;
    let mut command = Command::new(program);
    command.arg("--test").arg("--conf-file=/dev/stdin").env_clear().kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let failed = |error: std::io::Error| format!("dnsmasq --test cannot be run: {error}");
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A dnsmasq that does not read to the end says why.
        stdin.write_all(text.as_bytes()).await.ok();
    }
    let said = child.wait_with_output().await.map_err(failed)?;
    if said.status.success() {
        Ok("dnsmasq accepts what the server would give it".to_owned())
    } else {
        Err(format!("dnsmasq refuses its configuration: {}", String::from_utf8_lossy(&said.stderr).trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_boot_program_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).unwrap();
        let efi = [b"MZ".to_vec(), vec![0; 70_000]].concat();
        assert!(programs(dir.path()).unwrap_err().contains("apt-get install ipxe"));
        for name in ["snponly.efi", "ipxe.efi", "undionly.kpxe"] {
            write(name, &efi);
        }
        assert!(programs(dir.path()).unwrap().contains("ipxe.efi, snponly.efi, undionly.kpxe"));
        write("snponly.efi", &vec![0; 70_000]);
        assert!(programs(dir.path()).unwrap_err().contains("snponly.efi is no EFI program"));
        write("snponly.efi", b"MZ");
        assert!(programs(dir.path()).unwrap_err().contains("snponly.efi has 2 bytes"));
        fs::remove_file(dir.path().join("undionly.kpxe")).unwrap();
        write("snponly.efi", &efi);
        assert!(programs(dir.path()).unwrap_err().contains("no undionly.kpxe: BIOS machines"));
    }

    #[test]
    fn a_process_has_its_parent() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(parent(own), Some(nix::unistd::getppid().as_raw()));
        assert_eq!(parent(i32::MAX), None);
    }
}
