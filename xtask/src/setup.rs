//! What the checks need beside a Rust toolchain, and how a machine gets it.

use std::path::Path;

use anyhow::bail;

use crate::book;
use crate::browser;
use crate::deb;
use crate::docker;
use crate::lab;
use crate::schemathesis;
use crate::shell::{Shell, find_program};

/// A Debian package, the program by which we see that it is there, and why the checks need it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Package {
    pub(crate) name: &'static str,
    /// A program's name, or the absolute path of another file.
    pub(crate) program: &'static str,
    pub(crate) reason: &'static str,
}

impl Package {
    /// Whether it is installed.
    pub(crate) fn is_there(&self) -> bool {
        if self.program.starts_with('/') {
            Path::new(self.program).exists()
        } else {
            find_program(self.program).is_some()
        }
    }
}

const PACKAGES: &[Package] = &[
    Package { name: "gcc", program: "cc", reason: "links, and compiles the bundled SQLite and aws-lc" },
    Package {
        name: "openssh-server",
        program: "sshd",
        reason: "the SSH adapter is tested against a real sshd (its service need not run)",
    },
    Package { name: "xorriso", program: "xorriso", reason: "a second opinion on the ISO images that are served" },
    Package { name: "cpio", program: "cpio", reason: "a second opinion on the initrd that is served" },
    Package { name: "busybox-static", program: "busybox", reason: "runs the first-boot script in a bare system" },
    Package {
        name: "dnsmasq-base",
        program: "dnsmasq",
        reason: "the boot server is tested against a real dnsmasq (as root, in network namespaces)",
    },
    Package {
        name: "ipxe",
        program: "/usr/lib/ipxe/undionly.kpxe",
        reason: "what dnsmasq hands to firmware while the book's commands run",
    },
    Package { name: "iproute2", program: "ip", reason: "makes the network namespaces of those tests" },
    Package { name: "curl", program: "curl", reason: "the book's commands are run, and use it" },
    Package { name: "jq", program: "jq", reason: "likewise" },
    Package { name: "openssl", program: "openssl", reason: "likewise" },
    Package { name: "chromium", program: "chromium", reason: "the browser that the dashboard is tested in" },
    Package { name: "nodejs", program: "node", reason: "runs the browser tests" },
    Package { name: "npm", program: "npm", reason: "fetches what the browser tests are written with" },
    Package {
        name: "systemd",
        program: "systemd-socket-activate",
        reason: "opens sockets for the server in its tests, and judges its units (it need not run)",
    },
    Package { name: "shellcheck", program: "shellcheck", reason: "checks the shell scripts" },
];

/// Python with all that an environment of its own needs.
const PYTHON: Package =
    Package { name: "python3-venv", program: "python3", reason: "runs schemathesis, and installs mdBook" };

/// Installs missing packages, schemathesis, mdBook and cargo-nextest; does nothing when all is there.
pub(crate) fn run(shell: &Shell) -> anyhow::Result<()> {
    // What cannot run here need not be installed.
    let lab = if lab::why_impossible().is_none() { lab::PACKAGES } else { &[] };
    let packed = if docker::why_impossible().is_none() { [docker::PACKAGES, deb::PACKAGES].concat() } else { vec![] };
    let mut missing: Vec<&Package> =
        PACKAGES.iter().chain(lab).chain(&packed).filter(|package| !package.is_there()).collect();
    missing.sort_by_key(|package| package.name);
    missing.dedup_by_key(|package| package.name);
    if !missing.is_empty() {
        install_packages(shell, &missing)?;
    }
    if !schemathesis::has_python() {
        install_packages(shell, &[&PYTHON])?;
    }
    schemathesis::install(shell)?;
    book::install(shell)?;
    if !shell.has_cargo_subcommand("nextest") {
        println!("cargo-nextest runs the tests and is not here: installing it (some minutes)");
        shell.cargo(&["install", "cargo-nextest", "--locked"])?;
    }
    browser::set_up(shell)
}

fn install_packages(shell: &Shell, missing: &[&Package]) -> anyhow::Result<()> {
    println!("missing on this machine:\n{}", reasons(missing));
    let install = install_args(missing);
    if find_program("apt-get").is_none() {
        bail!("install these by this system's own means: programs {}", programs(missing));
    }
    if !is_root() {
        bail!("install them, then try again:\n  sudo apt-get {}", install.join(" "));
    }
    let env = [("DEBIAN_FRONTEND", "noninteractive")];
    shell.run("apt-get", &["update"], &env)?;
    shell.run("apt-get", &install, &env)?;
    if let Some(absent) = missing.iter().find(|package| !package.is_there()) {
        bail!("package {} was installed, but there is no `{}`", absent.name, absent.program);
    }
    Ok(())
}

fn install_args(missing: &[&Package]) -> Vec<&'static str> {
    let mut args = vec!["install", "--yes", "--no-install-recommends"];
    args.extend(missing.iter().map(|package| package.name));
    // `gcc` only recommends the C library's headers, without which it compiles nothing.
    if missing.iter().any(|package| package.name == "gcc") {
        args.push("libc6-dev");
    }
    args
}

fn reasons(missing: &[&Package]) -> String {
    let lines: Vec<String> =
        missing.iter().map(|package| format!("  {:<16}{}", package.name, package.reason)).collect();
    lines.join("\n")
}

fn programs(missing: &[&Package]) -> String {
    let names: Vec<&str> = missing.iter().map(|package| package.program).collect();
    names.join(", ")
}

/// Only root may install packages. `std` does not tell the user id; `/proc` does.
pub(crate) fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| effective_uid(&status) == Some(0))
}

/// The second number of the line `Uid: real effective saved file-system`.
fn effective_uid(status: &str) -> Option<u32> {
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    ids.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_user_decides_who_is_root() {
        assert_eq!(effective_uid("Name:\tcat\nUid:\t1000\t0\t0\t0\nGid:\t5\t5\t5\t5\n"), Some(0));
        assert_eq!(effective_uid("Name:\tcat\n"), None);
    }

    #[test]
    fn only_what_is_missing_is_installed() {
        let missing: Vec<&Package> = PACKAGES.iter().filter(|package| package.name == "cpio").collect();
        assert_eq!(install_args(&missing), ["install", "--yes", "--no-install-recommends", "cpio"]);
    }

    #[test]
    fn a_compiler_comes_with_the_headers_it_needs() {
        let missing: Vec<&Package> = PACKAGES.iter().filter(|package| package.name == "gcc").collect();
        assert_eq!(install_args(&missing).last(), Some(&"libc6-dev"));
    }

    #[test]
    fn each_missing_package_is_shown_with_its_reason() {
        let missing: Vec<&Package> = PACKAGES.iter().filter(|package| package.name == "xorriso").collect();
        assert_eq!(reasons(&missing), "  xorriso         a second opinion on the ISO images that are served");
    }
}
